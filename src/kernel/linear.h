/* Linear layers with a frozen weight that stays as its file has it: a panel of it is decoded to float32 into
 * cache, used for all rows, and forgotten. Both products of training with frozen weights: Y = X W^T and
 * dX = dY W. */
#ifndef TR_KERNEL_LINEAR_H
#define TR_KERNEL_LINEAR_H

#include "kernel/table.h"

/* A frozen matrix (n_out, n_in), rows consecutive in `data`, each of row_bytes. */
typedef struct {
    tr_type type;
    const uint8_t *data;
    int n_out, n_in;
    size_t row_bytes;
} tr_matrix;

/* Bytes of scratch that one thread needs, for matrices of any size. */
size_t tr_linear_scratch(const tr_kernels *kernels);

typedef struct {
    const tr_kernels *kernels;
    uint8_t *scratch;       /* tr_linear_scratch bytes for each of tr_threads() threads */
    size_t scratch_stride;  /* bytes from one thread's scratch to the next, a multiple of 64 */
} tr_linear;

/* y (rows, n_out) (+)= x (rows, n_in) W^T; strides ldx, ldy. */
void tr_linear_forward(const tr_linear *linear, const tr_matrix *w, const float *x, size_t ldx, int rows, float *y,
                       size_t ldy, bool accumulate);
/* dx (rows, n_in) (+)= dy (rows, n_out) W. */
void tr_linear_backward(const tr_linear *linear, const tr_matrix *w, const float *dy, size_t lddy, int rows, float *dx,
                        size_t lddx, bool accumulate);

#endif
