/* Tests of the row-wise layers (RMSNorm, RoPE, SwiGLU, softmax) at every level: forward against the formula in double,
 * backward against central differences of that formula and, at sizes where these are slow, the formula's gradient. */
#include "kernel_testing.h"

#define EPS 1e-5f

/* ---- RMSNorm ---- */

static double mean_square(const double *x, int d)
{
    double sum = 0;
    for (int c = 0; c < d; c++) sum += x[c] * x[c];
    return sum / d;
}

/* sum of dy * rmsnorm(x) over one row */
static double rmsnorm_loss(const double *x, const float *w, const float *dy, int d)
{
    double r = 1 / sqrt(mean_square(x, d) + (double)EPS), loss = 0;
    for (int c = 0; c < d; c++) loss += (double)dy[c] * x[c] * r * (double)w[c];
    return loss;
}

static void widen(const float *x, int d, double *out)
{
    for (int c = 0; c < d; c++) out[c] = (double)x[c];
}

static void try_rmsnorm_forward(const tr_kernels *kernels, int n, int d, float scale)
{
    CASE("rmsnorm_forward %s n %d d %d scale %g", tr_cpu_name(kernels->level), n, d, (double)scale);
    float *x = take_random((size_t)(n * d), scale), *w = take_random((size_t)d, 2), *y = take((size_t)(n * d));
    double row[2048];
    kernels->rmsnorm_forward(x, w, EPS, n, d, y);
    for (int i = 0; i < n; i++) {
        widen(x + i * d, d, row);
        double r = 1 / sqrt(mean_square(row, d) + (double)EPS);
        for (int c = 0; c < d; c++) {
            double expected = row[c] * r * (double)w[c];
            near((size_t)(i * d + c), (double)y[i * d + c], expected, 3e-6 * fabs(expected) + 1e-37);
        }
        float *alone = take((size_t)d);
        kernels->rmsnorm_forward(x + i * d, w, EPS, 1, d, alone);
        same_bits(alone, y + i * d, (size_t)d);
    }
    kernels->rmsnorm_forward(x, w, EPS, n, d, x);
    same_bits(x, y, (size_t)(n * d));
    release_arrays();
}

static void test_rmsnorm_equals_the_formula_also_in_place(void **state)
{
    (void)state;
    static const float scales[] = {1, 0, 1e-20f, 1e-3f, 1e3f, 1e15f};
    FOR_EACH_LEVEL(kernels) {
        for (int s = 0; s < COUNT(odd_sizes); s++)
            for (int k = 0; k < COUNT(scales); k++) try_rmsnorm_forward(kernels, 1 + s % 3, odd_sizes[s], scales[k]);
        try_rmsnorm_forward(kernels, 2, 576, 1);
        try_rmsnorm_forward(kernels, 1, 2048, 1);
    }
}

static void try_rmsnorm_backward(const tr_kernels *kernels, int n, int d)
{
    CASE("rmsnorm_backward %s n %d d %d", tr_cpu_name(kernels->level), n, d);
    const size_t size = (size_t)(n * d);
    float *x = take_random(size, 1), *w = take_random((size_t)d, 2), *dy = take_random(size, 1);
    float *dx = take_random(size, 1), *before = take_copy(dx, size);
    double row[2048];
    kernels->rmsnorm_backward(x, w, EPS, dy, n, d, dx);
    for (int i = 0; i < n; i++) {
        widen(x + i * d, d, row);
        double r = 1 / sqrt(mean_square(row, d) + (double)EPS);
        for (int c = 0; c < d; c++) {
            double at = row[c], step = 1e-5;
            row[c] = at + step;
            double above = rmsnorm_loss(row, w, dy + i * d, d);
            row[c] = at - step;
            double below = rmsnorm_loss(row, w, dy + i * d, d);
            row[c] = at;
            /* Of one number with eps near 0 the gradient is nothing but cancellation: the scale is r w dy. */
            double tolerance = 1e-5 * r * (1 + r * r) + 1e-6;
            near((size_t)(i * d + c), (double)dx[i * d + c], (double)before[i * d + c] + (above - below) / (2 * step),
                 tolerance);
        }
    }
    release_arrays();
}

static void test_rmsnorm_gradient_equals_finite_differences_and_is_added(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
        for (int s = 0; s < COUNT(odd_sizes); s++) try_rmsnorm_backward(kernels, 1 + s % 3, odd_sizes[s]);
}

/* ---- RoPE ---- */

enum { POSITIONS = 600 };

static float *take_angles(int head_dim)
{
    float *table = take((size_t)(POSITIONS * head_dim));
    for (int p = 0; p < POSITIONS; p++)
        for (int j = 0; j < head_dim / 2; j++) {
            double angle = p * pow(10000, -2.0 * j / head_dim);
            table[p * head_dim + j] = (float)cos(angle);
            table[p * head_dim + head_dim / 2 + j] = (float)sin(angle);
        }
    return table;
}

static void try_rope(const tr_kernels *kernels, int n_heads, int head_dim, bool interleaved)
{
    enum { ROWS = 5 };
    static const int32_t position[ROWS] = {0, 599, 3, 3, 127};
    const size_t width = (size_t)(n_heads * head_dim), ld = width + 3, size = (ROWS - 1) * ld + width;
    CASE("rope %s heads %d head_dim %d interleaved %d", tr_cpu_name(kernels->level), n_heads, head_dim, interleaved);
    float *table = take_angles(head_dim), *x = take_random(size, 1);
    for (int i = 0; i + 1 < ROWS; i++)
        for (size_t j = width; j < ld; j++) x[(size_t)i * ld + j] = poison();
    float *before = take_copy(x, size);
    kernels->rope(x, ld, ROWS, n_heads, head_dim, position, table, interleaved, false);
    for (int i = 0; i < ROWS; i++) {
        for (int h = 0; h < n_heads; h++)
            for (int j = 0; j < head_dim / 2; j++) {
                const size_t head = (size_t)i * ld + (size_t)(h * head_dim);
                const size_t a = head + (size_t)(interleaved ? 2 * j : j);
                const size_t b = head + (size_t)(interleaved ? 2 * j + 1 : j + head_dim / 2);
                const double angle = position[i] * pow(10000, -2.0 * j / head_dim);
                near(a, (double)x[a], (double)before[a] * cos(angle) - (double)before[b] * sin(angle), 4e-7);
                near(b, (double)x[b], (double)before[a] * sin(angle) + (double)before[b] * cos(angle), 4e-7);
            }
        for (size_t j = width; j < ld && i + 1 < ROWS; j++)
            if (!is_poison(x[(size_t)i * ld + j])) fail_msg("%s: wrote between rows", case_name);
        float *alone = take_copy(before + (size_t)i * ld, width);
        kernels->rope(alone, ld, 1, n_heads, head_dim, position + i, table, interleaved, false);
        same_bits(alone, x + (size_t)i * ld, width);
    }
    kernels->rope(x, ld, ROWS, n_heads, head_dim, position, table, interleaved, true);
    for (int i = 0; i < ROWS; i++) all_near(x + (size_t)i * ld, before + (size_t)i * ld, width, 4e-7);
    release_arrays();
}

static const int head_dims[] = {2, 6, 16, 32, 64, 80, 128};

static void test_rope_rotates_each_pair_by_its_angle_and_the_inverse_rotates_back(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
        for (int d = 0; d < COUNT(head_dims); d++)
            for (int variant = 0; variant < 4; variant++)
                try_rope(kernels, variant / 2 ? 3 : 1, head_dims[d], variant % 2);
}

/* RoPE is linear in x, so the gradient is right when <dy, rope(x)> = <gradient(dy), x> for all x and dy. */
static void test_inverse_rope_is_the_gradient(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
        for (int d = 0; d < COUNT(head_dims); d++)
            for (int interleaved = 0; interleaved < 2; interleaved++) {
                const int size = 2 * head_dims[d], position = 77;
                CASE("rope %s head_dim %d interleaved %d", tr_cpu_name(kernels->level), head_dims[d], interleaved);
                float *table = take_angles(head_dims[d]), *x = take_random((size_t)size, 1);
                float *dy = take_random((size_t)size, 1);
                float *y = take_copy(x, (size_t)size), *dx = take_copy(dy, (size_t)size);
                kernels->rope(y, 0, 1, 2, head_dims[d], &position, table, interleaved, false);
                kernels->rope(dx, 0, 1, 2, head_dims[d], &position, table, interleaved, true);
                double forward = 0, backward = 0;
                for (int i = 0; i < size; i++) {
                    forward += (double)dy[i] * y[i];
                    backward += (double)dx[i] * x[i];
                }
                near(0, forward, backward, 1e-5);
                release_arrays();
            }
}

/* ---- SwiGLU ---- */

static double swiglu(double g, double u) { return g / (1 + exp(-g)) * u; }

/* Values around which exp leaves the range of float, and ordinary ones. */
static const float hard_values[] = {0,     -0.f,   1e-30f, -1e-30f, 1,     -1,     5.5f, -7.25f, 20,
                                    -20,   80,     -80,    87.2f,   -87.2f, 87.4f, -87.4f, 88.3f, -88.3f,
                                    88.5f, -88.5f, 104,    -104,    1e4f,  -1e4f,  1e20f, -1e20f};

static float *take_hard(size_t n, int turn)
{
    float *x = take_random(n, 10);
    for (size_t i = 0; i < n; i += 2) x[i] = hard_values[(i / 2 + (size_t)turn) % COUNT(hard_values)];
    return x;
}

static void try_swiglu(const tr_kernels *kernels, size_t n, int turn)
{
    CASE("swiglu_forward %s n %zu turn %d", tr_cpu_name(kernels->level), n, turn);
    float *gate = take_hard(n, turn), *old_gate = take_copy(gate, n);
    float *up = take_random(n, turn % 2 ? 1 : 1e6f), *out = take(n);
    kernels->swiglu_forward(gate, up, out, n);
    for (size_t i = 0; i < n; i++) {
        double expected = swiglu((double)gate[i], (double)up[i]);
        near(i, (double)out[i], expected, 1e-6 * fabs(expected) + 1e-37 * (1 + fabs((double)gate[i] * up[i])));
    }
    kernels->swiglu_forward(gate, up, gate, n);
    same_bits(gate, out, n);

    CASE("swiglu_backward %s n %zu turn %d", tr_cpu_name(kernels->level), n, turn);
    float *dout = take_random(n, 3), *dgate = take(n), *dup = take(n), *again = take(n);
    kernels->swiglu_backward(old_gate, up, dout, dgate, dup, n);
    for (size_t i = 0; i < n; i++) {
        const double g = (double)old_gate[i], u = (double)up[i], dy = (double)dout[i], s = 1 / (1 + exp(-g));
        const double scale = fabs(dy * u) * s * (1 + fabs(g)), floor = 1e-37 * (1 + fabs(g)) * (1 + fabs(dy * u));
        const double slope = s > 0 ? s * (1 + g * (1 - s)) : 0;
        near(i, (double)dup[i], s > 0 ? dy * g * s : 0, 1e-6 * fabs(dy * g * s) + floor);
        near(i, (double)dgate[i], dy * u * slope, 2e-6 * scale + floor);
    }
    kernels->swiglu_backward(old_gate, up, dout, dout, again, n);
    same_bits(dout, dgate, n);
    same_bits(again, dup, n);
    release_arrays();
}

static void test_swiglu_and_its_gradient_equal_the_formula_also_in_place(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
        for (int s = 0; s < COUNT(odd_sizes); s++)
            for (int turn = 0; turn < COUNT(hard_values); turn++) try_swiglu(kernels, (size_t)odd_sizes[s], turn);
}

static void test_swiglu_gradient_equals_finite_differences(void **state)
{
    (void)state;
    enum { N = 67 };
    FOR_EACH_LEVEL(kernels) {
        CASE("swiglu_backward %s", tr_cpu_name(kernels->level));
        float *gate = take_random(N, 8), *up = take_random(N, 2), *dout = take_random(N, 1);
        float *dgate = take(N), *dup = take(N);
        kernels->swiglu_backward(gate, up, dout, dgate, dup, N);
        for (size_t i = 0; i < N; i++) {
            const double g = (double)gate[i], u = (double)up[i], dy = (double)dout[i], step = 1e-5;
            near(i, (double)dgate[i], dy * (swiglu(g + step, u) - swiglu(g - step, u)) / (2 * step), 2e-6);
            near(i, (double)dup[i], dy * (swiglu(g, u + step) - swiglu(g, u - step)) / (2 * step), 2e-6);
        }
        release_arrays();
    }
}

/* Rows are split among threads at multiples of 16 elements (widths of models are such multiples). */
static void test_swiglu_in_pieces_has_the_same_bits(void **state)
{
    (void)state;
    enum { N = 16 * 9, CUT = 16 * 4 };
    FOR_EACH_LEVEL(kernels) {
        CASE("swiglu %s in pieces", tr_cpu_name(kernels->level));
        float *gate = take_random(N, 8), *up = take_random(N, 2), *whole = take(N), *pieces = take(N);
        kernels->swiglu_forward(gate, up, whole, N);
        kernels->swiglu_forward(gate, up, pieces, CUT);
        kernels->swiglu_forward(gate + CUT, up + CUT, pieces + CUT, N - CUT);
        same_bits(pieces, whole, N);
        release_arrays();
    }
}

/* ---- softmax ---- */

static double logsumexp(const double *x, int n)
{
    double max = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++) max = x[i] > max ? x[i] : max;
    for (int i = 0; i < n; i++) sum += exp(x[i] - max);
    return max + log(sum);
}

/* Logits that are ordinary, far apart, far from 0, or mostly ruled out. */
static float *take_logits(int n, int kind)
{
    static const float scale[] = {5, 60, 500, 1};
    float *x = take_random((size_t)n, scale[kind % 4]);
    for (int i = 0; i < n; i++) {
        if (kind == 4) x[i] += 3e4f;
        if (kind == 5) x[i] -= 3e4f;
        if (kind == 6 && i != n / 2) x[i] = -INFINITY;
        if (kind == 7 && i != n - 1) x[i] = -1e30f;
    }
    return x;
}
enum { LOGIT_KINDS = 8 };

static void try_softmax(const tr_kernels *kernels, int n, int kind, float weight)
{
    CASE("softmax %s n %d kind %d weight %g", tr_cpu_name(kernels->level), n, kind, (double)weight);
    float *x = take_logits(n, kind), *y = take_copy(x, (size_t)n);
    double *wide = malloc((size_t)n * sizeof *wide), total = 0, largest = 0;
    assert_non_null(wide);
    widen(x, n, wide);
    const double expected = logsumexp(wide, n);
    const float lse = kernels->logsumexp(x, n);
    near(0, (double)lse, expected, 1e-6 + 2e-7 * fabs(expected));
    same_bits(x, y, (size_t)n); /* only read */
    kernels->softmax_scale(y, lse, weight, n);
    for (int i = 0; i < n; i++) {
        const double away = wide[i] - (double)lse, p = (double)weight * exp(away);
        near((size_t)i, (double)y[i], p,
             fabs(p) * (5e-7 + 1.2e-7 * fmin(fabs(away), 200)) + 2e-38 * fabs((double)weight));
        total += (double)y[i];
        largest = fmax(largest, fabs((double)x[i]));
    }
    if (kind < 4) near(0, total, (double)weight, 2e-6 * fabs((double)weight) * (1 + largest / 8));
    free(wide);
    release_arrays();
}

static void test_logsumexp_and_softmax_equal_the_formula(void **state)
{
    (void)state;
    static const float weights[] = {1, 0, -0.25f, 3e4f};
    FOR_EACH_LEVEL(kernels)
        for (int kind = 0; kind < LOGIT_KINDS; kind++) {
            for (int s = 0; s < COUNT(odd_sizes); s++) try_softmax(kernels, odd_sizes[s], kind, weights[s % 4]);
            try_softmax(kernels, 49152, kind, 1);
        }
}

/* Given a logsumexp of 0 the kernel gives exp itself, whose precision level.h states. */
static void test_exp_is_precise_to_two_parts_in_ten_million(void **state)
{
    (void)state;
    enum { N = 1 << 16 };
    FOR_EACH_LEVEL(kernels) {
        CASE("softmax_scale %s as exp", tr_cpu_name(kernels->level));
        float *x = take(N), *y = take(N);
        for (int i = 0; i < N; i++) x[i] = y[i] = -87.3f + 175.3f * (float)i / N;
        kernels->softmax_scale(y, 0, 1, N);
        for (int i = 0; i < N; i++) near((size_t)i, (double)y[i], exp((double)x[i]), 2e-7 * exp((double)x[i]));
        release_arrays();
    }
}

/* Of cross-entropy, weight * (logsumexp - logit of the target), the gradient is weight * (softmax - one-hot). */
static void test_softmax_is_the_gradient_of_logsumexp_by_finite_differences(void **state)
{
    (void)state;
    enum { N = 35 };
    const float weight = 0.7f;
    FOR_EACH_LEVEL(kernels) {
        CASE("softmax_scale %s against differences", tr_cpu_name(kernels->level));
        float *x = take_random(N, 4), *gradient = take_copy(x, N);
        double wide[N];
        widen(x, N, wide);
        kernels->softmax_scale(gradient, kernels->logsumexp(x, N), weight, N);
        for (int i = 0; i < N; i++) {
            const double at = wide[i], step = 1e-5;
            wide[i] = at + step;
            double above = logsumexp(wide, N);
            wide[i] = at - step;
            double below = logsumexp(wide, N);
            wide[i] = at;
            near((size_t)i, (double)gradient[i], (double)weight * (above - below) / (2 * step), 1e-6);
        }
        release_arrays();
    }
}

static void test_a_nan_among_logits_is_not_lost(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
        for (int at = 0; at < 37; at++) {
            CASE("logsumexp %s NaN at %d", tr_cpu_name(kernels->level), at);
            float *x = take_random(37, 1);
            x[at] = NAN;
            if (!isnan(kernels->logsumexp(x, 37))) fail_msg("%s: the result is a number", case_name);
            release_arrays();
        }
}

TR_TEST_MAIN(cmocka_unit_test(test_rmsnorm_equals_the_formula_also_in_place),
             cmocka_unit_test(test_rmsnorm_gradient_equals_finite_differences_and_is_added),
             cmocka_unit_test(test_rope_rotates_each_pair_by_its_angle_and_the_inverse_rotates_back),
             cmocka_unit_test(test_inverse_rope_is_the_gradient),
             cmocka_unit_test(test_swiglu_and_its_gradient_equal_the_formula_also_in_place),
             cmocka_unit_test(test_swiglu_gradient_equals_finite_differences),
             cmocka_unit_test(test_swiglu_in_pieces_has_the_same_bits),
             cmocka_unit_test(test_logsumexp_and_softmax_equal_the_formula),
             cmocka_unit_test(test_exp_is_precise_to_two_parts_in_ten_million),
             cmocka_unit_test(test_softmax_is_the_gradient_of_logsumexp_by_finite_differences),
             cmocka_unit_test(test_a_nan_among_logits_is_not_lost))
