/* This file drives the matrix products with frozen weights (see linear.h). Both walk the weight in groups of
 * GROUP columns of the result: decode a block of the group into level-2 cache, then run the register tile over all
 * rows. The work (groups x row chunks) is laid out in one line and cut into equal parts, so threads share it
 * evenly whatever the shape, and each element's sums are the same wherever the cuts fall. */
#include "kernel/linear.h"

#include <omp.h>
#include <string.h>

/* Most columns of the result handled together: the largest quantisation block, so that a backward group decodes whole
 * blocks; a multiple of every level's panel width. */
#define GROUP 256
#define CHUNK_ROWS 48 /* rows of a unit of work: a multiple of every level's tile rows */

/* The part of a thread's scratch. */
typedef struct {
    float *panels;  /* (GROUP / width panels) of (depth, width) */
    float *rows;    /* decoded weight rows before they become a panel */
    float *edge;    /* (tile_rows, width): a tile that sticks out of the result */
} workspace;

/* Most of the summed dimension that is handled at once: a group of panels then takes 3/8 of level-2 cache, which beat
 * 2/8, 4/8 and 5/8 over whole training steps. */
static int most_depth(void)
{
    int most = (int)(tr_cache_l2() * 3 / 8 / (GROUP * sizeof(float))) / 32 * 32;
    return most > 256 ? most : 256;
}

/* Length of the summed dimension handled at once: equal parts, each a whole number of quantisation blocks. */
static int block_depth(int depth, int quantum)
{
    int n_blocks = (depth + most_depth() - 1) / most_depth();
    int even = (depth + n_blocks - 1) / n_blocks;
    int block = (even + quantum - 1) / quantum * quantum;
    return block <= most_depth() ? block : most_depth() / quantum * quantum;
}

size_t tr_linear_scratch(const tr_kernels *kernels)
{
    size_t width = (size_t)kernels->panel_width, depth = (size_t)most_depth();
    size_t floats = depth * GROUP + depth * width + GROUP + (size_t)kernels->tile_rows * width;
    return (floats * sizeof(float) + 63) / 64 * 64;
}

static workspace cut_scratch(const tr_linear *linear, int thread)
{
    workspace w;
    w.panels = (float *)(linear->scratch + (size_t)thread * linear->scratch_stride);
    w.rows = w.panels + (size_t)most_depth() * GROUP;
    w.edge = w.rows + (size_t)most_depth() * (size_t)linear->kernels->panel_width + GROUP;
    return w;
}

/* Panels of output rows n0 .. n0+n_cols, input columns k0 .. k0+depth, transposed: panel[k][n]. */
static void fill_forward(const tr_kernels *kernels, const tr_matrix *w, int n0, int n_cols, int k0, int depth,
                         const workspace *space)
{
    size_t skip = tr_type_row_bytes(w->type, (size_t)k0);
    for (int p = 0; p < n_cols; p += kernels->panel_width) {
        int here = n_cols - p < kernels->panel_width ? n_cols - p : kernels->panel_width;
        for (int i = 0; i < here; i++)
            kernels->dequantize(w->type, w->data + (size_t)(n0 + p + i) * w->row_bytes + skip,
                                space->rows + (size_t)i * (size_t)depth, (size_t)depth);
        kernels->transpose_panel(space->rows, (size_t)depth, here, depth, space->panels + (size_t)p * (size_t)depth);
    }
}

/* Panels of input columns k0 .. k0+n_cols, output rows n0 .. n0+depth, as they lie: panel[n][k]. */
static void fill_backward(const tr_kernels *kernels, const tr_matrix *w, int k0, int n_cols, int n0, int depth,
                          const workspace *space)
{
    size_t skip = tr_type_row_bytes(w->type, (size_t)k0), width = (size_t)kernels->panel_width;
    size_t padded = ((size_t)n_cols + width - 1) / width * width;
    if (padded > (size_t)n_cols) memset(space->rows, 0, GROUP * sizeof *space->rows);
    for (int n = 0; n < depth; n++) {
        kernels->dequantize(w->type, w->data + (size_t)(n0 + n) * w->row_bytes + skip, space->rows, (size_t)n_cols);
        for (size_t p = 0; p < padded; p += width)
            memcpy(space->panels + p * (size_t)depth + (size_t)n * width, space->rows + p, width * sizeof(float));
    }
}

/* c (rows, n_cols) (+)= a (rows, depth) * the group's panels. */
static void multiply(const tr_kernels *kernels, const workspace *space, int depth, int n_cols, const float *a,
                     size_t lda, int rows, float *c, size_t ldc, bool accumulate)
{
    const int width = kernels->panel_width;
    for (int i = 0; i < rows; i += kernels->tile_rows) {
        int m = rows - i < kernels->tile_rows ? rows - i : kernels->tile_rows;
        for (int p = 0; p < n_cols; p += width) {
            const float *panel = space->panels + (size_t)p * (size_t)depth, *ai = a + (size_t)i * lda;
            float *ci = c + (size_t)i * ldc + p;
            if (n_cols - p >= width) {
                kernels->gemm_tile(m, depth, ai, lda, panel, ci, ldc, accumulate);
                continue;
            }
            size_t bytes = (size_t)(n_cols - p) * sizeof *c;
            for (int r = 0; accumulate && r < m; r++) memcpy(space->edge + r * width, ci + (size_t)r * ldc, bytes);
            kernels->gemm_tile(m, depth, ai, lda, panel, space->edge, (size_t)width, accumulate);
            for (int r = 0; r < m; r++) memcpy(ci + (size_t)r * ldc, space->edge + r * width, bytes);
        }
    }
}

/* Columns of a group: equal parts, so that all units are the same work; whole panels and, backward, whole blocks. */
static int group_width(int columns, int quantum)
{
    const int n_groups = (columns + GROUP - 1) / GROUP, even = (columns + n_groups - 1) / n_groups;
    return (even + quantum - 1) / quantum * quantum;
}

/* The shared walk. Forward: result columns are output rows of W, the sum runs over n_in. Backward: result columns
 * are input columns, the sum runs over n_out. */
static void product(const tr_linear *linear, const tr_matrix *w, bool backward, const float *a, size_t lda, int rows,
                    float *c, size_t ldc, bool accumulate)
{
    const tr_kernels *kernels = linear->kernels;
    const int columns = backward ? w->n_in : w->n_out, depth = backward ? w->n_out : w->n_in;
    const int along_row = tr_type_lookup(w->type)->block_elements, width = kernels->panel_width;
    const int block = block_depth(depth, backward || along_row < 8 ? 8 : along_row);
    const int group_columns = group_width(columns, backward && along_row > width ? along_row : width);
    const int n_groups = (columns + group_columns - 1) / group_columns, n_chunks = (rows + CHUNK_ROWS - 1) / CHUNK_ROWS;
    const int n_units = n_groups * n_chunks;
#pragma omp parallel if (n_units > 1)
    {
        const int thread = omp_get_thread_num(), n_threads = omp_get_num_threads();
        const int from = (int)((int64_t)n_units * thread / n_threads);
        const int to = (int)((int64_t)n_units * (thread + 1) / n_threads);
        const workspace space = cut_scratch(linear, thread);
        for (int unit = from; unit < to;) {
            const int group = unit / n_chunks, group_end = (group + 1) * n_chunks;
            const int row0 = (unit - group * n_chunks) * CHUNK_ROWS;
            const int last = (group_end < to ? group_end : to) - group * n_chunks;
            const int n_rows = (last * CHUNK_ROWS < rows ? last * CHUNK_ROWS : rows) - row0;
            const int column0 = group * group_columns;
            const int n_cols = columns - column0 < group_columns ? columns - column0 : group_columns;
            for (int d0 = 0; d0 < depth; d0 += block) {
                const int d = depth - d0 < block ? depth - d0 : block;
                if (backward)
                    fill_backward(kernels, w, column0, n_cols, d0, d, &space);
                else
                    fill_forward(kernels, w, column0, n_cols, d0, d, &space);
                multiply(kernels, &space, d, n_cols, a + (size_t)row0 * lda + d0, lda, n_rows,
                         c + (size_t)row0 * ldc + column0, ldc, accumulate || d0 > 0);
            }
            unit = group_end < to ? group_end : to;
        }
    }
}

void tr_linear_forward(const tr_linear *linear, const tr_matrix *w, const float *x, size_t ldx, int rows, float *y,
                       size_t ldy, bool accumulate)
{
    product(linear, w, false, x, ldx, rows, y, ldy, accumulate);
}

void tr_linear_backward(const tr_linear *linear, const tr_matrix *w, const float *dy, size_t lddy, int rows, float *dx,
                        size_t lddx, bool accumulate)
{
    product(linear, w, true, dy, lddy, rows, dx, lddx, accumulate);
}
