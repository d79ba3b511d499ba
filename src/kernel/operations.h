/* Declarations of one level's operations (contracts: table.h). Included by the kernel sources only. */
#ifndef TR_KERNEL_OPERATIONS_H
#define TR_KERNEL_OPERATIONS_H

#include "kernel/level.h"
#include "kernel/table.h"

enum {
    tr_cpu_level_oracle = TR_CPU_ORACLE,
    tr_cpu_level_generic = TR_CPU_GENERIC,
    tr_cpu_level_avx2 = TR_CPU_AVX2,
    tr_cpu_level_avx512 = TR_CPU_AVX512,
};

void K(gemm_tile)(int rows, int k, const float *a, size_t lda, const float *panel, float *c, size_t ldc,
                  bool accumulate);
void K(gemm_small)(int m, int n, int k, const float *a, size_t a_row, size_t a_col, const float *b, size_t ldb,
                   float *c, size_t ldc, bool accumulate);
void K(transpose_panel)(const float *rows, size_t ld, int n_rows, int n_cols, float *panel);
void K(dequantize)(tr_type type, const void *source, float *out, size_t n);
void K(rmsnorm_forward)(const float *x, const float *w, float eps, int n, int d, float *y);
void K(rmsnorm_backward)(const float *x, const float *w, float eps, const float *dy, int n, int d, float *dx);
void K(rope)(float *x, size_t ld, int n, int n_heads, int head_dim, const int32_t *position, const float *table,
             bool interleaved, bool inverse);
void K(swiglu_forward)(const float *gate, const float *up, float *out, size_t count);
void K(swiglu_backward)(const float *gate, const float *up, const float *dout, float *dgate, float *dup, size_t count);
float K(logsumexp)(const float *logits, int n);
void K(softmax_scale)(float *logits, float logsumexp, float weight, int n);
void K(dropout)(const float *x, float *y, size_t count, float p, uint64_t seed, uint32_t stream, uint64_t first_index);
void K(attention_forward)(const tr_attention_shape *shape, const tr_attention_block *block, int kv_head, const float *q,
                          const float *k, const float *v, float *out, float *lse, float *scratch);
void K(attention_backward)(const tr_attention_shape *shape, const tr_attention_block *block, int kv_head,
                           const float *q, const float *k, const float *v, const float *out, const float *lse,
                           const float *dout, float *dq, float *dk, float *dv, float *scratch);
void K(adamw)(float *param, const float *grad, float *m, float *v, size_t count, float lr, float beta1, float beta2,
              float eps, float weight_decay, int64_t step, float grad_scale);

#endif
