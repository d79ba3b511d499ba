/* The kernel table: arithmetic on arrays, chosen once at start for the processor at hand. A GPU or another
 * processor joins by filling one more table. No operation allocates, knows about layers, or starts threads:
 * callers split the rows. All arrays are float32, row-major; "ld" is a row stride in floats.
 *
 * Every operation computes each output element by a fixed sequence of roundings that does not depend on how the
 * caller splits rows among threads. */
#ifndef TR_KERNEL_TABLE_H
#define TR_KERNEL_TABLE_H

#include "base/error.h"
#include "base/system.h"
#include "format/quant.h"

/* A stretch of consecutive nodes (keys) of a forest that a query attends to. */
typedef struct {
    int32_t start, length;
} tr_range;

/* Shapes of one attention layer. Query row i holds n_heads vectors of head_dim floats, key and value rows
 * n_kv_heads; query head h reads key head h / (n_heads / n_kv_heads). */
typedef struct {
    int n_heads, n_kv_heads, head_dim;
    float scale; /* of the dot products, usually 1/sqrt(head_dim) */
} tr_attention_shape;

#define TR_ATTENTION_LANES 16 /* queries handled together */

/* Queries of one run that are handled together. All see every range but the last whole, and of the last range
 * (their own run) the nodes up to their own. */
typedef struct {
    int n_queries;                        /* 1 .. TR_ATTENTION_LANES */
    int32_t node[TR_ATTENTION_LANES];     /* ascending, inside the last range */
    int32_t row[TR_ATTENTION_LANES];      /* row of q, out, ... that belongs to the query */
    const tr_range *range;
    int n_ranges;
} tr_attention_block;

typedef struct {
    tr_cpu_level level;

    /* -- matrix products -- */
    int tile_rows, panel_width;
    /* C (rows, panel_width) (+)= A (rows, k) * panel (k, panel_width); rows <= tile_rows. */
    void (*gemm_tile)(int rows, int k, const float *a, size_t lda, const float *panel, float *c, size_t ldc,
                      bool accumulate);
    /* C (m, n) (+)= A (m, k) * B (k, n), where A's element (i, j) is a[i * a_row + j * a_col]. For the small
     * products of LoRA and attention: no packing. */
    void (*gemm_small)(int m, int n, int k, const float *a, size_t a_row, size_t a_col, const float *b, size_t ldb,
                       float *c, size_t ldc, bool accumulate);
    /* panel[j * panel_width + i] = rows[i * ld + j] for i < n_rows, j < n_cols; i in n_rows .. panel_width is 0. */
    void (*transpose_panel)(const float *rows, size_t ld, int n_rows, int n_cols, float *panel);
    /* Decodes n elements (a multiple of the block) of a weight row; bit-identical to tr_dequantize. */
    void (*dequantize)(tr_type type, const void *source, float *out, size_t n);

    /* -- layers, on n rows -- */
    /* RMSNorm (Zhang, Sennrich 2019): y = x * w / sqrt(mean(x^2) + eps); x, y (n, d), w (d). y may be x. */
    void (*rmsnorm_forward)(const float *x, const float *w, float eps, int n, int d, float *y);
    /* dx (n, d) += gradient of the above for dy (n, d). */
    void (*rmsnorm_backward)(const float *x, const float *w, float eps, const float *dy, int n, int d, float *dx);
    /* RoPE (Su et al. 2021) in place on x (n, n_heads * head_dim): rotates pair j of row i by the angle of
     * position[i]; table (positions, head_dim) holds cos then sin of the head_dim/2 angles. Interleaved pairs are
     * (2j, 2j+1), else (j, j + head_dim/2). `inverse` rotates back: the gradient. */
    void (*rope)(float *x, size_t ld, int n, int n_heads, int head_dim, const int32_t *position, const float *table,
                 bool interleaved, bool inverse);
    /* SwiGLU (Shazeer 2020): out = silu(gate) * up, all (count). out may be gate. */
    void (*swiglu_forward)(const float *gate, const float *up, float *out, size_t count);
    /* Turns dout (count) into the gradients of gate and up; dgate may be dout. */
    void (*swiglu_backward)(const float *gate, const float *up, const float *dout, float *dgate, float *dup,
                            size_t count);
    /* log(sum(exp(logits))) of one row (n). */
    float (*logsumexp)(const float *logits, int n);
    /* logits (n) become weight * softmax(logits), given their logsumexp. */
    void (*softmax_scale)(float *logits, float logsumexp, float weight, int n);

    /* Inverted dropout with counter-based masks: y[i] = x[i] / (1-p) where the 16-bit random number of element
     * first_index + i of the stream is >= p * 65536, else 0. y may be x. p in [0, 1). */
    void (*dropout)(const float *x, float *y, size_t count, float p, uint64_t seed, uint32_t stream,
                    uint64_t first_index);

    /* -- attention of one block and one key head over a forest -- */
    /* q (rows, n_heads*head_dim), k and v (nodes, n_kv_heads*head_dim); fills out and lse (rows, n_heads) for the
     * query heads of key head kv_head. scratch: tr_attention_scratch floats. */
    void (*attention_forward)(const tr_attention_shape *shape, const tr_attention_block *block, int kv_head,
                              const float *q, const float *k, const float *v, float *out, float *lse, float *scratch);
    /* Given dout like out: dq (assigned), dk and dv (nodes, n_kv_heads*head_dim; accumulated). */
    void (*attention_backward)(const tr_attention_shape *shape, const tr_attention_block *block, int kv_head,
                               const float *q, const float *k, const float *v, const float *out, const float *lse,
                               const float *dout, float *dq, float *dk, float *dv, float *scratch);

    /* -- optimiser -- */
    /* AdamW (Loshchilov, Hutter 2019) as torch.optim.AdamW: step counts from 1. All (count); gradient is
     * multiplied by grad_scale first (clipping). */
    void (*adamw)(float *param, const float *grad, float *m, float *v, size_t count, float lr, float beta1, float beta2,
                  float eps, float weight_decay, int64_t step, float grad_scale);
} tr_kernels;

/* Floats of scratch that attention of this shape needs for each thread. */
size_t tr_attention_scratch(const tr_attention_shape *shape);

/* The table of a level. The caller has checked tr_cpu_has. */
const tr_kernels *tr_kernels_at(tr_cpu_level level);
/* The table for this process: tr_cpu_detect's level. */
tr_status tr_kernels_select(const tr_kernels **out, tr_error *err);

#endif
