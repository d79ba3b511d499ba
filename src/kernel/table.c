/* This file chooses the kernel table. */
#include "kernel/table.h"

extern const tr_kernels tr_kernels_oracle, tr_kernels_generic;
#if defined(__x86_64__)
extern const tr_kernels tr_kernels_avx2, tr_kernels_avx512;
#endif

const tr_kernels *tr_kernels_at(tr_cpu_level level)
{
    switch (level) {
    case TR_CPU_ORACLE: return &tr_kernels_oracle;
#if defined(__x86_64__)
    case TR_CPU_AVX2: return &tr_kernels_avx2;
    case TR_CPU_AVX512: return &tr_kernels_avx512;
#endif
    default: return &tr_kernels_generic;
    }
}

tr_status tr_kernels_select(const tr_kernels **out, tr_error *err)
{
    tr_cpu_level level;
    TR_TRY(tr_cpu_detect(&level, err));
    *out = tr_kernels_at(level);
    return TR_OK;
}

/* Key tiles of 64 (see attention.c): scores and their gradients, queries, outputs and their gradients, each for
 * all query heads of a key head side by side, and three numbers a lane. */
size_t tr_attention_scratch(const tr_attention_shape *shape)
{
    size_t lanes = (size_t)(shape->n_heads / shape->n_kv_heads) * TR_ATTENTION_LANES;
    return lanes * (2 * 64 + 6 * (size_t)shape->head_dim + 4);
}
