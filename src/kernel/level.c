/* This file fills the kernel table of one instruction-set level. */
#include "kernel/level.h"
#include "kernel/operations.h"

const tr_kernels K(kernels) = {
    .level = (tr_cpu_level)TR_PASTE(cpu_level, TR_LEVEL),
    .tile_rows = TILE_ROWS,
    .panel_width = TILE_VECS * VL,
    .gemm_tile = K(gemm_tile),
    .gemm_small = K(gemm_small),
    .transpose_panel = K(transpose_panel),
    .dequantize = K(dequantize),
    .rmsnorm_forward = K(rmsnorm_forward),
    .rmsnorm_backward = K(rmsnorm_backward),
    .rope = K(rope),
    .swiglu_forward = K(swiglu_forward),
    .swiglu_backward = K(swiglu_backward),
    .logsumexp = K(logsumexp),
    .softmax_scale = K(softmax_scale),
    .dropout = K(dropout),
    .attention_forward = K(attention_forward),
    .attention_backward = K(attention_backward),
    .adamw = K(adamw),
};
