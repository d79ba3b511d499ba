/* Tests of the AdamW update at every level against the paper's algorithm in double (Loshchilov, Hutter 2019,
 * algorithm 2, with the learning rate on the decay as in torch.optim.AdamW). */
#include "kernel_testing.h"

typedef struct {
    float lr, beta1, beta2, eps, decay, grad_scale;
} settings;

/* One parameter; m and v are the moments. */
static void update(double *param, double grad, double *m, double *v, const settings *s, int step)
{
    const double b1 = (double)s->beta1, b2 = (double)s->beta2, g = grad * (double)s->grad_scale;
    *param -= (double)s->lr * (double)s->decay * *param;
    *m = b1 * *m + (1 - b1) * g;
    *v = b2 * *v + (1 - b2) * g * g;
    const double m_hat = *m / (1 - pow(b1, step)), v_hat = *v / (1 - pow(b2, step));
    *param -= (double)s->lr * m_hat / (sqrt(v_hat) + (double)s->eps);
}

static void try_adamw(const tr_kernels *kernels, size_t n, const settings *s)
{
    enum { STEPS = 12 };
    float *param = take_random(n, 1), *grad = take(n), *m = take(n), *v = take(n);
    double *wide = calloc(4 * n, sizeof *wide); /* parameter, moments, largest gradient so far */
    assert_non_null(wide);
    for (size_t i = 0; i < n; i++) m[i] = v[i] = 0, wide[4 * i] = (double)param[i];
    for (int step = 1; step <= STEPS; step++) {
        CASE("adamw %s n %zu lr %g step %d", tr_cpu_name(kernels->level), n, (double)s->lr, step);
        for (size_t i = 0; i < n; i++)
            grad[i] = i % 5 == 4 ? 0 : random_value(&random_state) * powf(10, (float)(i % 7) - 5);
        kernels->adamw(param, grad, m, v, n, s->lr, s->beta1, s->beta2, s->eps, s->decay, step, s->grad_scale);
        for (size_t i = 0; i < n; i++) {
            double *w = wide + 4 * i;
            w[3] = fmax(w[3], fabs((double)grad[i] * (double)s->grad_scale));
            update(&w[0], (double)grad[i], &w[1], &w[2], s, step);
            /* A step is at most a few lr; what rounding leaves of it adds up over the steps. */
            near(i, (double)param[i], w[0], step * (2e-7 * fabs(w[0]) + 1e-5 * (double)s->lr));
            near(i, (double)m[i], w[1], 3e-7 * w[3]);
            near(i, (double)v[i], w[2], 3e-6 * fabs(w[2]) + 1e-30);
        }
    }
    free(wide);
    release_arrays();
}

static void test_steps_equal_the_algorithm(void **state)
{
    (void)state;
    static const settings all[] = {{1e-4f, 0.9f, 0.999f, 1e-8f, 0, 1},
                                   {1e-2f, 0.9f, 0.999f, 1e-8f, 0.01f, 0.125f},
                                   {1e-3f, 0.8f, 0.95f, 1e-6f, 0.5f, 0.3f}};
    FOR_EACH_LEVEL(kernels)
        for (int s = 0; s < COUNT(all); s++)
            for (int i = 0; i < COUNT(odd_sizes); i++) try_adamw(kernels, (size_t)odd_sizes[i], &all[s]);
}

static void test_the_first_step_moves_by_the_learning_rate_whatever_the_gradient(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
        for (int e = -6; e <= 6; e++) {
            CASE("adamw %s gradient 1e%d", tr_cpu_name(kernels->level), e);
            float param[2] = {0, 0}, grad[2] = {powf(10, (float)e), -powf(10, (float)e)}, m[2] = {0}, v[2] = {0};
            kernels->adamw(param, grad, m, v, 2, 1e-3f, 0.9f, 0.999f, 1e-12f, 0, 1, 1);
            near(0, (double)param[0], -1e-3, 1e-8);
            near(1, (double)param[1], 1e-3, 1e-8);
        }
}

static void test_without_gradient_only_the_decay_acts(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels) {
        CASE("adamw %s gradient 0", tr_cpu_name(kernels->level));
        float *param = take_random(33, 1), *before = take_copy(param, 33), zeros[33] = {0}, m[33] = {0}, v[33] = {0};
        kernels->adamw(param, zeros, m, v, 33, 0.1f, 0.9f, 0.999f, 1e-8f, 0.2f, 1, 1);
        for (size_t i = 0; i < 33; i++) near(i, (double)param[i], (double)before[i] * 0.98, 2e-7);
        kernels->adamw(param, zeros, m, v, 33, 0.1f, 0.9f, 0.999f, 1e-8f, 0, 2, 1);
        for (size_t i = 0; i < 33; i++) near(i, (double)param[i], (double)before[i] * 0.98, 2e-7);
        release_arrays();
    }
}

/* x: parameters and both moments. */
static void step_five(const tr_kernels *kernels, float *const x[3], const float *grad, size_t from, size_t n)
{
    kernels->adamw(x[0] + from, grad + from, x[1] + from, x[2] + from, n, 1e-3f, 0.9f, 0.999f, 1e-8f, 0.1f, 5, 0.7f);
}

static void test_pieces_have_the_bits_of_the_whole(void **state)
{
    (void)state;
    enum { N = 333 };
    FOR_EACH_LEVEL(kernels)
        for (size_t cut = 0; cut <= N; cut += 37) {
            CASE("adamw %s cut at %zu", tr_cpu_name(kernels->level), cut);
            float *grad = take_random(N, 1), *a[3], *b[3];
            for (int i = 0; i < 3; i++) {
                a[i] = take_random(N, 1);
                for (size_t j = 0; i == 2 && j < N; j++) a[i][j] = fabsf(a[i][j]);
                b[i] = take_copy(a[i], N);
            }
            step_five(kernels, a, grad, 0, N);
            step_five(kernels, b, grad, 0, cut);
            step_five(kernels, b, grad, cut, N - cut);
            for (int i = 0; i < 3; i++) same_bits(b[i], a[i], N);
            release_arrays();
        }
}

TR_TEST_MAIN(cmocka_unit_test(test_steps_equal_the_algorithm),
             cmocka_unit_test(test_the_first_step_moves_by_the_learning_rate_whatever_the_gradient),
             cmocka_unit_test(test_without_gradient_only_the_decay_acts),
             cmocka_unit_test(test_pieces_have_the_bits_of_the_whole))
