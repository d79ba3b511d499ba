/* Tests of the matrix kernels: the register tile, the small products of LoRA and attention, the transposition that
 * fills a panel; at every level, against sums in double. */
#include "kernel_testing.h"

/* What a chain of k float products and sums may be off by, given the sum of the absolute products. */
static double rounding(int k, double magnitude) { return (k + 2) * 0x1p-23 * magnitude; }

/* Checks C (m, n; stride ldc) against before (or nothing) + A B; the gaps between rows must be poison still. */
static void check_product(int m, int n, int k, const float *a, size_t a_row, size_t a_col, const float *b, size_t ldb,
                          const float *c, size_t ldc, const float *before)
{
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            const size_t at = (size_t)i * ldc + (size_t)j;
            double sum = before ? (double)before[at] : 0, magnitude = fabs(sum);
            for (int l = 0; l < k; l++) {
                double product = (double)a[(size_t)i * a_row + (size_t)l * a_col] * b[(size_t)l * ldb + (size_t)j];
                sum += product;
                magnitude += fabs(product);
            }
            near(at, (double)c[at], sum, rounding(k, magnitude));
        }
        for (size_t j = (size_t)n; j < ldc && i + 1 < m; j++)
            if (!is_poison(c[(size_t)i * ldc + j])) fail_msg("%s: wrote between rows %d and %d", case_name, i, i + 1);
    }
}

/* An (m, n) matrix with stride ld, random or poison, its gaps poison. The last row ends with its last element. */
static float *take_matrix(int m, int n, size_t ld, bool random)
{
    float *c = take((size_t)(m - 1) * ld + (size_t)n);
    for (int i = 0; random && i < m; i++)
        for (int j = 0; j < n; j++) c[(size_t)i * ld + (size_t)j] = random_value(&random_state);
    return c;
}

static void try_tile(const tr_kernels *kernels, int rows, int k, int pad, bool accumulate)
{
    const int width = kernels->panel_width;
    const size_t lda = (size_t)(k + pad), ldc = (size_t)(width + pad);
    CASE("gemm_tile %s rows %d k %d pad %d accumulate %d", tr_cpu_name(kernels->level), rows, k, pad, accumulate);
    float *a = take_matrix(rows, k, lda, true), *panel = take_random((size_t)(k * width), 1);
    float *c = take_matrix(rows, width, ldc, accumulate);
    float *before = take_copy(c, (size_t)(rows - 1) * ldc + (size_t)width);
    kernels->gemm_tile(rows, k, a, lda, panel, c, ldc, accumulate);
    check_product(rows, width, k, a, lda, 1, panel, (size_t)width, c, ldc, accumulate ? before : NULL);
    /* Each row alone has the same bits. */
    for (int i = 0; i < rows; i++) {
        float *alone = take_copy(before + (size_t)i * ldc, (size_t)width);
        kernels->gemm_tile(1, k, a + (size_t)i * lda, lda, panel, alone, ldc, accumulate);
        same_bits(alone, c + (size_t)i * ldc, (size_t)width);
    }
    release_arrays();
}

static void test_tile_equals_sums_in_double_and_rows_do_not_matter_to_each_other(void **state)
{
    (void)state;
    static const int depths[] = {1, 2, 3, 7, 64, 129};
    FOR_EACH_LEVEL(kernels)
        for (int rows = 1; rows <= kernels->tile_rows; rows++)
            for (int d = 0; d < COUNT(depths); d++)
                for (int variant = 0; variant < 4; variant++)
                    try_tile(kernels, rows, depths[d], variant / 2 * 5, variant % 2);
}

static void try_small(const tr_kernels *kernels, int m, int n, int k, bool transposed, bool accumulate)
{
    const size_t a_row = transposed ? 1 : (size_t)k + 1, a_col = transposed ? (size_t)m + 2 : 1;
    const size_t ldb = (size_t)n + 3, ldc = (size_t)n + 1;
    CASE("gemm_small %s m %d n %d k %d transposed %d accumulate %d", tr_cpu_name(kernels->level), m, n, k, transposed,
         accumulate);
    float *a = transposed ? take_matrix(k, m, a_col, true) : take_matrix(m, k, a_row, true);
    float *b = take_matrix(k, n, ldb, true), *c = take_matrix(m, n, ldc, accumulate);
    const size_t size = (size_t)(m - 1) * ldc + (size_t)n;
    float *before = take_copy(c, size), *halves = take_copy(c, size);
    kernels->gemm_small(m, n, k, a, a_row, a_col, b, ldb, c, ldc, accumulate);
    check_product(m, n, k, a, a_row, a_col, b, ldb, c, ldc, accumulate ? before : NULL);
    /* In two parts, cut at any row: the same bits. */
    const int cut = m / 3;
    kernels->gemm_small(cut, n, k, a, a_row, a_col, b, ldb, halves, ldc, accumulate);
    kernels->gemm_small(m - cut, n, k, a + (size_t)cut * a_row, a_row, a_col, b, ldb, halves + (size_t)cut * ldc, ldc,
                        accumulate);
    same_bits(halves, c, size);
    release_arrays();
}

static void test_small_products_equal_sums_in_double_wherever_rows_are_cut(void **state)
{
    (void)state;
    static const int rows[] = {1, 2, 3, 5, 6, 7, 8, 9, 13, 16, 17};
    static const int columns[] = {1, 3, 4, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 80, 112, 129};
    static const int depths[] = {1, 3, 8, 16, 17, 65}; /* LoRA ranks, and more */
    FOR_EACH_LEVEL(kernels)
        for (int m = 0; m < COUNT(rows); m++)
            for (int n = 0; n < COUNT(columns); n++)
                for (int k = 0; k < COUNT(depths); k++) {
                    int variant = (m + n + k) % 4;
                    try_small(kernels, rows[m], columns[n], depths[k], variant & 1, variant & 2);
                    try_small(kernels, rows[m], columns[n], depths[k], !(variant & 1), variant & 2);
                }
}

static void test_an_empty_sum_is_zero_or_what_was_there(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels) {
        CASE("gemm_small %s k 0", tr_cpu_name(kernels->level));
        float *c = take_random(5 * 33, 1), *before = take_copy(c, 5 * 33), nothing = 0;
        kernels->gemm_small(5, 33, 0, &nothing, 1, 1, &nothing, 33, c, 33, true);
        same_bits(c, before, 5 * 33);
        kernels->gemm_small(5, 33, 0, &nothing, 1, 1, &nothing, 33, c, 33, false);
        for (size_t i = 0; i < 5 * 33; i++) near(i, (double)c[i], 0, 0);
        release_arrays();
    }
}

static void test_a_panel_is_the_transpose_filled_up_with_zeros(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
        for (int n_rows = 1; n_rows <= kernels->panel_width; n_rows++)
            for (int c = 0; c < COUNT(odd_sizes); c++) {
                const int width = kernels->panel_width, n_cols = odd_sizes[c];
                const size_t ld = (size_t)n_cols + 2;
                CASE("transpose_panel %s rows %d columns %d", tr_cpu_name(kernels->level), n_rows, n_cols);
                float *rows = take_matrix(n_rows, n_cols, ld, true), *panel = take((size_t)(n_cols * width));
                kernels->transpose_panel(rows, ld, n_rows, n_cols, panel);
                for (int j = 0; j < n_cols; j++)
                    for (int i = 0; i < width; i++) {
                        float expected = i < n_rows ? rows[(size_t)i * ld + (size_t)j] : 0;
                        same_bits(&panel[j * width + i], &expected, 1);
                    }
                release_arrays();
            }
}

static void test_every_level_fills_the_whole_table(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels) {
        assert_int_equal(kernels->level, level_);
        assert_true(kernels->tile_rows >= 1 && kernels->panel_width >= 1);
        assert_non_null(kernels->gemm_tile);
        assert_non_null(kernels->gemm_small);
        assert_non_null(kernels->transpose_panel);
        assert_non_null(kernels->dequantize);
        assert_non_null(kernels->rmsnorm_forward);
        assert_non_null(kernels->rmsnorm_backward);
        assert_non_null(kernels->rope);
        assert_non_null(kernels->swiglu_forward);
        assert_non_null(kernels->swiglu_backward);
        assert_non_null(kernels->logsumexp);
        assert_non_null(kernels->softmax_scale);
        assert_non_null(kernels->dropout);
        assert_non_null(kernels->attention_forward);
        assert_non_null(kernels->attention_backward);
        assert_non_null(kernels->adamw);
    }
}

TR_TEST_MAIN(cmocka_unit_test(test_every_level_fills_the_whole_table),
             cmocka_unit_test(test_tile_equals_sums_in_double_and_rows_do_not_matter_to_each_other),
             cmocka_unit_test(test_small_products_equal_sums_in_double_wherever_rows_are_cut),
             cmocka_unit_test(test_an_empty_sum_is_zero_or_what_was_there),
             cmocka_unit_test(test_a_panel_is_the_transpose_filled_up_with_zeros))
