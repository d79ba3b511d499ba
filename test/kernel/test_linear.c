/* Tests of linear layers with a frozen weight of any element type: both products at every level against sums in
 * double, and the same bits however threads and rows are cut. */
#include "kernel_testing.h"

#include "base/system.h"
#include "kernel/linear.h"

enum { MAX_THREADS = 5 };

/* A weight, its decoded values, and input and output of one product with it. Forward: input (rows, n_in), output
 * (rows, n_out); backward the other way round. Strides exceed the widths; the gaps are poison. */
typedef struct {
    tr_matrix w;
    float *decoded; /* (n_out, n_in) */
    bool backward;
    int rows, n_from, n_to;
    size_t ld_from, ld_to;
    float *from, *before; /* input; output as it was before an accumulating call */
} product;

static float *take_strided(int rows, int columns, size_t ld)
{
    float *x = take((size_t)(rows - 1) * ld + (size_t)columns);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) x[(size_t)i * ld + (size_t)j] = random_value(&random_state);
    return x;
}

static size_t to_size(const product *p) { return (size_t)(p->rows - 1) * p->ld_to + (size_t)p->n_to; }

static void open_product(product *p, tr_type type, int n_out, int n_in, int rows, bool backward)
{
    const size_t row_bytes = tr_type_row_bytes(type, (size_t)n_in), bytes = (size_t)n_out * row_bytes;
    uint8_t *data = malloc(bytes);
    assert_non_null(data);
    assert_true(row_bytes > 0);
    random_weights(type, data, bytes, &random_state);
    *p = (product){.w = {type, data, n_out, n_in, row_bytes}, .backward = backward, .rows = rows,
                   .n_from = backward ? n_out : n_in, .n_to = backward ? n_in : n_out};
    p->ld_from = (size_t)p->n_from + 3;
    p->ld_to = (size_t)p->n_to + 5;
    p->decoded = take((size_t)n_out * (size_t)n_in);
    for (int i = 0; i < n_out; i++)
        tr_dequantize(type, data + (size_t)i * row_bytes, p->decoded + (size_t)i * (size_t)n_in, (size_t)n_in);
    p->from = take_strided(rows, p->n_from, p->ld_from);
    p->before = take_strided(rows, p->n_to, p->ld_to);
}

static void close_product(product *p)
{
    free((void *)(uintptr_t)p->w.data);
    release_arrays();
}

/* Runs rows first .. first + rows with that many threads into `to`, with scratch of exactly the size asked for. */
static void run_rows(const tr_kernels *kernels, const product *p, int threads, int first, int rows, bool accumulate,
                     float *to)
{
    enum { BETWEEN = 64 };
    tr_threads_set(threads);
    const size_t size = tr_linear_scratch(kernels), stride = size + BETWEEN;
    uint8_t *scratch = aligned_alloc(64, stride * (size_t)threads);
    assert_non_null(scratch);
    memset(scratch, 0xA5, stride * (size_t)threads);
    const tr_linear linear = {.kernels = kernels, .scratch = scratch, .scratch_stride = stride};
    const float *from = p->from + (size_t)first * p->ld_from;
    (p->backward ? tr_linear_backward : tr_linear_forward)(&linear, &p->w, from, p->ld_from, rows,
                                                           to + (size_t)first * p->ld_to, p->ld_to, accumulate);
    for (int t = 0; t < threads; t++)
        for (size_t i = size; i < stride; i++)
            if (scratch[(size_t)t * stride + i] != 0xA5) fail_msg("%s: scratch of thread %d overflows", case_name, t);
    free(scratch);
}

static float *run_all(const tr_kernels *kernels, const product *p, int threads, bool accumulate)
{
    float *to = accumulate ? take_copy(p->before, to_size(p)) : take(to_size(p));
    run_rows(kernels, p, threads, 0, p->rows, accumulate, to);
    return to;
}

/* Element (i, j) of the product and the sum of its absolute terms. */
static double expected_at(const product *p, int i, int j, bool accumulate, double *magnitude)
{
    const size_t n_in = (size_t)p->w.n_in, step = p->backward ? n_in : 1;
    const float *w = p->decoded + (p->backward ? (size_t)j : (size_t)j * n_in);
    double sum = accumulate ? (double)p->before[(size_t)i * p->ld_to + (size_t)j] : 0;
    *magnitude = fabs(sum);
    for (int l = 0; l < p->n_from; l++) {
        double term = (double)p->from[(size_t)i * p->ld_from + (size_t)l] * w[(size_t)l * step];
        sum += term;
        *magnitude += fabs(term);
    }
    return sum;
}

static void check_all(const product *p, const float *to, bool accumulate)
{
    for (int i = 0; i < p->rows; i++) {
        for (int j = 0; j < p->n_to; j++) {
            double magnitude, expected = expected_at(p, i, j, accumulate, &magnitude);
            near((size_t)i * p->ld_to + (size_t)j, (double)to[(size_t)i * p->ld_to + (size_t)j], expected,
                 (8 + sqrt(p->n_from)) * 0x1p-23 * magnitude);
        }
        for (size_t j = (size_t)p->n_to; j < p->ld_to && i + 1 < p->rows; j++)
            if (!is_poison(to[(size_t)i * p->ld_to + j])) fail_msg("%s: wrote behind row %d", case_name, i);
    }
}

static void name_case(const tr_kernels *kernels, const product *p, int threads, bool accumulate)
{
    CASE("linear %s %s %s (%d, %d) rows %d threads %d accumulate %d", p->backward ? "backward" : "forward",
         tr_cpu_name(kernels->level), tr_type_name((uint32_t)p->w.type), p->w.n_out, p->w.n_in, p->rows, threads,
         accumulate);
}

static void try_product(tr_type type, int n_out, int n_in, int rows, bool backward)
{
    product p;
    open_product(&p, type, n_out, n_in, rows, backward);
    FOR_EACH_LEVEL(kernels) {
        const bool accumulate = random_below(2);
        name_case(kernels, &p, 2, accumulate);
        check_all(&p, run_all(kernels, &p, 2, accumulate), accumulate);
    }
    close_product(&p);
}

/* ---- tests ---- */

/* Multiples of the block next to sizes that no panel, group or vector divides. */
static int blocks_of(tr_type type, int size)
{
    const int block = tr_type_lookup((uint32_t)type)->block_elements;
    return size < block ? block : size / block * block;
}

static void test_both_products_equal_sums_in_double_for_every_type(void **state)
{
    (void)state;
    static const int outs[] = {1, 2, 7, 31, 63, 64, 65, 130, 255, 256, 257, 300};
    static const int ins[] = {1, 3, 17, 33, 65, 96, 129, 255, 288, 300, 512, 520};
    static const int row_counts[] = {1, 2, 3, 5, 6, 7, 12, 13, 25, 47, 49};
    int turn = 0;
    for (int t = 0; t < N_TYPES; t++)
        for (int o = 0; o < COUNT(outs); o++, turn++) {
            const tr_type type = every_type[t];
            const int n_in = blocks_of(type, ins[turn * 5 % COUNT(ins)]);
            const int rows = row_counts[turn * 3 % COUNT(row_counts)];
            try_product(type, outs[o], n_in, rows, turn % 2);
            try_product(type, outs[o], n_in, rows, !(turn % 2));
        }
}

static void test_both_products_of_many_rows(void **state)
{
    (void)state;
    static const int row_counts[] = {48, 95, 96, 97, 144, 200};
    for (int r = 0; r < COUNT(row_counts); r++) {
        try_product(TR_TYPE_F32, 65, 37, row_counts[r], r % 2);
        try_product(TR_TYPE_Q8_0, 270, 96, row_counts[r], !(r % 2));
    }
}

/* The summed dimension is cut into blocks that fit the cache; it is n_in forward and n_out backward. */
static void test_deep_products_that_are_cut_into_blocks(void **state)
{
    (void)state;
    static const tr_type types[] = {TR_TYPE_F32, TR_TYPE_BF16, TR_TYPE_Q4_1, TR_TYPE_Q6_K};
    for (int t = 0; t < COUNT(types); t++) {
        try_product(types[t], 40, blocks_of(types[t], 3333), 7, false);
        try_product(types[t], 3333, blocks_of(types[t], 300), 7, true);
        try_product(types[t], 20, blocks_of(types[t], 11008), 3, false);
    }
    for (int depth = 256; depth <= 2560; depth += 256) try_product(TR_TYPE_Q4_K, 5, depth, 2, false);
    for (int depth = 250; depth <= 2560; depth += 231) try_product(TR_TYPE_F16, depth, 9, 2, true);
}

static void test_any_number_of_threads_gives_the_same_bits(void **state)
{
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        product p;
        open_product(&p, variant / 2 ? TR_TYPE_Q5_1 : TR_TYPE_F16, variant % 2 ? 1500 : 300, 288, 97, variant % 2);
        FOR_EACH_LEVEL(kernels)
            for (int accumulate = 0; accumulate < 2; accumulate++) {
                if (kernels->level == TR_CPU_ORACLE && variant % 2) continue; /* slow, and nothing new */
                float *one = run_all(kernels, &p, 1, accumulate);
                for (int threads = 2; threads <= MAX_THREADS; threads++) {
                    name_case(kernels, &p, threads, accumulate);
                    same_bits(run_all(kernels, &p, threads, accumulate), one, to_size(&p));
                }
            }
        close_product(&p);
    }
}

static void test_a_row_has_the_same_bits_alone_and_in_any_batch(void **state)
{
    (void)state;
    for (int backward = 0; backward < 2; backward++) {
        product p;
        open_product(&p, TR_TYPE_Q4_K, 300, 512, 60, backward);
        FOR_EACH_LEVEL(kernels) {
            float *whole = run_all(kernels, &p, 1, false), *pieces = take(to_size(&p));
            for (int first = 0, rows; first < p.rows; first += rows) {
                rows = 1 + first / 3;
                if (rows > p.rows - first) rows = p.rows - first;
                run_rows(kernels, &p, 2, first, rows, false, pieces);
            }
            name_case(kernels, &p, 2, false);
            same_bits(pieces, whole, to_size(&p));
        }
        close_product(&p);
    }
}

static void test_no_rows_are_no_work(void **state)
{
    (void)state;
    product p;
    open_product(&p, TR_TYPE_Q8_0, 33, 64, 1, false);
    FOR_EACH_LEVEL(kernels) {
        name_case(kernels, &p, 1, false);
        float *to = take(to_size(&p));
        run_rows(kernels, &p, 1, 0, 0, false, to);
        for (size_t i = 0; i < to_size(&p); i++)
            if (!is_poison(to[i])) fail_msg("%s: wrote an element of no row", case_name);
    }
    close_product(&p);
}

TR_TEST_MAIN(cmocka_unit_test(test_both_products_equal_sums_in_double_for_every_type),
             cmocka_unit_test(test_both_products_of_many_rows),
             cmocka_unit_test(test_deep_products_that_are_cut_into_blocks),
             cmocka_unit_test(test_any_number_of_threads_gives_the_same_bits),
             cmocka_unit_test(test_a_row_has_the_same_bits_alone_and_in_any_batch),
             cmocka_unit_test(test_no_rows_are_no_work))
