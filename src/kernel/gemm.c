/* This file implements the matrix products of one level: the register tile of the frozen weights' GEMM, the small
 * products of LoRA and attention, and the transposition that fills a weight panel. linear.c drives the tile. */
#include "kernel/operations.h"

#ifdef TR_ORACLE

void K(gemm_small)(int m, int n, int k, const float *a, size_t a_row, size_t a_col, const float *b, size_t ldb,
                   float *c, size_t ldc, bool accumulate)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            double sum = accumulate ? c[(size_t)i * ldc + (size_t)j] : 0;
            for (int l = 0; l < k; l++)
                sum += (double)a[(size_t)i * a_row + (size_t)l * a_col] * b[(size_t)l * ldb + (size_t)j];
            c[(size_t)i * ldc + (size_t)j] = (float)sum;
        }
}

void K(gemm_tile)(int rows, int k, const float *a, size_t lda, const float *panel, float *c, size_t ldc,
                  bool accumulate)
{
    K(gemm_small)(rows, TILE_VECS * VL, k, a, lda, 1, panel, TILE_VECS * VL, c, ldc, accumulate);
}

void K(transpose_panel)(const float *rows, size_t ld, int n_rows, int n_cols, float *panel)
{
    for (int j = 0; j < n_cols; j++)
        for (int i = 0; i < TILE_VECS * VL; i++)
            panel[(size_t)j * TILE_VECS * VL + (size_t)i] = i < n_rows ? rows[(size_t)i * ld + (size_t)j] : 0;
}

#else

/* The register tile: C (R, NV vectors) (+)= A (R, k) * B (k, NV vectors). R and NV are constants after inlining, so
 * that the accumulators live in registers; each element is one chain of fused multiply-adds over k, whatever R. */
static inline __attribute__((always_inline)) void tile(const int R, const int NV, int k, const float *a, size_t a_row,
                                                       size_t a_col, const float *b, size_t ldb, float *c, size_t ldc,
                                                       bool accumulate)
{
    vec sum[8][4]; /* constant sizes: a variable-length array would live in memory */
#pragma GCC unroll 8
    for (int i = 0; i < R; i++)
#pragma GCC unroll 8
        for (int v = 0; v < NV; v++) sum[i][v] = accumulate ? load(c + (size_t)i * ldc + (size_t)(v * VL)) : splat(0);
    for (int l = 0; l < k; l++) {
        vec row[4];
#pragma GCC unroll 8
        for (int v = 0; v < NV; v++) row[v] = load(b + v * VL);
#pragma GCC unroll 8
        for (int i = 0; i < R; i++) {
            vec factor = splat(a[(size_t)i * a_row]);
#pragma GCC unroll 8
            for (int v = 0; v < NV; v++) sum[i][v] += factor * row[v];
        }
        a += a_col;
        b += ldb;
    }
#pragma GCC unroll 8
    for (int i = 0; i < R; i++)
#pragma GCC unroll 8
        for (int v = 0; v < NV; v++) store(c + (size_t)i * ldc + (size_t)(v * VL), sum[i][v]);
}

void K(gemm_tile)(int rows, int k, const float *a, size_t lda, const float *panel, float *c, size_t ldc,
                  bool accumulate)
{
    const size_t width = TILE_VECS * VL;
    switch (rows) {
    case 1: tile(1, TILE_VECS, k, a, lda, 1, panel, width, c, ldc, accumulate); break;
    case 2: tile(2, TILE_VECS, k, a, lda, 1, panel, width, c, ldc, accumulate); break;
    case 3: tile(3, TILE_VECS, k, a, lda, 1, panel, width, c, ldc, accumulate); break;
    case 4: tile(4, TILE_VECS, k, a, lda, 1, panel, width, c, ldc, accumulate); break;
    case 5: tile(5, TILE_VECS, k, a, lda, 1, panel, width, c, ldc, accumulate); break;
    default: tile(6, TILE_VECS, k, a, lda, 1, panel, width, c, ldc, accumulate); break;
    }
}

/* One band of R <= SMALL_ROWS rows and NV vectors. */
#define BAND(R, NV) tile(R, NV, k, a, a_row, a_col, b, ldb, c, ldc, accumulate)
#define BAND_ROWS(NV)                                         \
    switch (rows) {                                           \
    case 1: BAND(1, NV); break;                               \
    case 2: BAND(2, NV); break;                               \
    case 3: BAND(3, NV); break;                               \
    case 4: BAND(4, NV); break;                               \
    case 5: BAND(5, NV); break;                               \
    case 6: BAND(6, NV); break;                               \
    case 7: BAND(7, NV); break;                               \
    default: BAND(8, NV); break;                              \
    }

static void band(int rows, int n_vecs, int k, const float *a, size_t a_row, size_t a_col, const float *b, size_t ldb,
                 float *c, size_t ldc, bool accumulate)
{
    if (n_vecs == 1) {
        BAND_ROWS(1)
    } else if (n_vecs == 2) {
        BAND_ROWS(2)
    } else {
        BAND_ROWS(SMALL_VECS)
    }
}

static void small_tail(int m, int n, int k, const float *a, size_t a_row, size_t a_col, const float *b, size_t ldb,
                       float *c, size_t ldc, bool accumulate)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            float sum = accumulate ? c[(size_t)i * ldc + (size_t)j] : 0;
            for (int l = 0; l < k; l++)
                sum += a[(size_t)i * a_row + (size_t)l * a_col] * b[(size_t)l * ldb + (size_t)j];
            c[(size_t)i * ldc + (size_t)j] = sum;
        }
}

void K(gemm_small)(int m, int n, int k, const float *a, size_t a_row, size_t a_col, const float *b, size_t ldb,
                   float *c, size_t ldc, bool accumulate)
{
    int j = 0;
    while (n - j >= VL) {
        int n_vecs = (n - j) / VL;
        if (n_vecs > SMALL_VECS) n_vecs = n_vecs == 4 && SMALL_VECS == 3 ? 2 : SMALL_VECS;
        for (int i = 0; i < m; i += SMALL_ROWS) {
            int rows = m - i < SMALL_ROWS ? m - i : SMALL_ROWS;
            band(rows, n_vecs, k, a + (size_t)i * a_row, a_row, a_col, b + j, ldb, c + (size_t)i * ldc + j, ldc,
                 accumulate);
        }
        j += n_vecs * VL;
    }
    if (j < n) small_tail(m, n - j, k, a, a_row, a_col, b + j, ldb, c + j, ldc, accumulate);
}

/* The lower halves of a and b with their lanes in turn (a0 b0 a1 b1 ...), and the upper halves. */
#if defined(__clang__) && VL == 16
static inline vec interleave_low(vec a, vec b)
{
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
static inline vec interleave_high(vec a, vec b)
{
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
#elif defined(__clang__) && VL == 8
static inline vec interleave_low(vec a, vec b) { return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
static inline vec interleave_high(vec a, vec b) { return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
#elif defined(__clang__)
static inline vec interleave_low(vec a, vec b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
static inline vec interleave_high(vec a, vec b) { return __builtin_shufflevector(a, b, 2, 6, 3, 7); }
#else /* GCC before 12 has no __builtin_shufflevector */
static inline __attribute__((always_inline)) vec interleave_from(vec a, vec b, int first)
{
    ivec lane;
    for (int i = 0; i < VL; i++) lane[i] = first + (i & 1 ? VL : 0) + i / 2;
    return __builtin_shuffle(a, b, lane);
}
static inline __attribute__((always_inline)) vec interleave_low(vec a, vec b) { return interleave_from(a, b, 0); }
static inline __attribute__((always_inline)) vec interleave_high(vec a, vec b) { return interleave_from(a, b, VL / 2); }
#endif

/* Transposes a VL x VL square held in registers: log2(VL) rounds of pairwise interleaving. */
static inline __attribute__((always_inline)) void transpose_square(vec row[VL])
{
    for (int round = 1; round < VL; round *= 2) {
        vec next[VL];
#pragma GCC unroll 16
        for (int i = 0; i < VL / 2; i++) {
            next[2 * i] = interleave_low(row[i], row[i + VL / 2]);
            next[2 * i + 1] = interleave_high(row[i], row[i + VL / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < VL; i++) row[i] = next[i];
    }
}

void K(transpose_panel)(const float *rows, size_t ld, int n_rows, int n_cols, float *panel)
{
    const size_t width = TILE_VECS * VL;
    for (int i = 0; i < (int)width; i += VL) {
        int here = n_rows - i < VL ? n_rows - i : VL, j = 0;
        if (here == VL)
            for (; j + VL <= n_cols; j += VL) {
                vec square[VL];
#pragma GCC unroll 16
                for (int r = 0; r < VL; r++) square[r] = load(rows + (size_t)(i + r) * ld + (size_t)j);
                transpose_square(square);
#pragma GCC unroll 16
                for (int r = 0; r < VL; r++) store(panel + (size_t)(j + r) * width + (size_t)i, square[r]);
            }
        for (; j < n_cols; j++)
            for (int r = 0; r < VL; r++)
                panel[(size_t)j * width + (size_t)(i + r)] = r < here ? rows[(size_t)(i + r) * ld + (size_t)j] : 0;
    }
}

#endif
