/* This file tests an optimiser step: the gradient of a batch, its norm, clipping, AdamW. */
#include "train_testing.h"
#include "base/rng.h"
#include "base/system.h"

static tr_step_limits generous(const tr_lora *lora)
{
    return (tr_step_limits){.max_rows = 64, .max_targets = 2000,
                            .session = {.max_nodes = 2000, .max_targets = 2000, .max_positions = 300, .train = true,
                                        .rank = lora->config.rank, .targets = lora->config.targets}};
}

static tr_stepper stepper_for(const tr_lora *lora)
{
    tr_stepper stepper;
    tr_error err;
    tr_step_limits limits = generous(lora);
    assert_ok(tr_stepper_create(tiny_model(), lora->n_params, &limits, &stepper, &err), err);
    assert_true(tr_stepper_bytes(tiny_model(), lora->n_params, &limits) >
                tr_session_bytes(tiny_model(), &limits.session) + 12 * lora->n_params);
    return stepper;
}

static tr_batch_sums gradient(tr_stepper *s, const tr_lora *lora, const test_rows *rows, int micro_tokens)
{
    tr_batch_sums sums;
    tr_error err;
    memcpy(s->batch, rows->row, (size_t)rows->n * sizeof *s->batch);
    assert_ok(tr_batch_gradient(s, lora, rows->n, micro_tokens, (tr_pass){.seed = 3, .step = 5}, &sums, &err), err);
    return sums;
}

static void test_micro_batches_leave_loss_and_gradient_unchanged(void **state)
{
    (void)state;
    tr_lora *lora = tiny_adapter();
    tr_stepper s = stepper_for(lora);
    test_rows rows = made_rows(40);
    for (int all = 0; all < 2; all++) {
        if (all)
            for (int i = 0; i < rows.n; i++) rows.row[i].first_target = 1;
        tr_batch_sums whole = gradient(&s, lora, &rows, 2000);
        float *expected = malloc(s.n_params * sizeof *expected);
        memcpy(expected, s.grad, s.n_params * sizeof *expected);
        const double norm = tr_l2_norm(expected, s.n_params);
        assert_int_equal(whole.micro_batches, 1);
        static const int sizes[] = {1, 40, 77, 200};
        for (int i = 0; i < 4; i++) {
            tr_batch_sums parts = gradient(&s, lora, &rows, sizes[i]);
            assert_true(parts.micro_batches > 1 && parts.nodes > whole.nodes);
            assert_int_equal(parts.targets, whole.targets);
            assert_int_equal(parts.tokens, whole.tokens);
            assert_close(parts.loss, whole.loss, 1e-6, "loss");
            for (size_t p = 0; p < s.n_params; p++) s.grad[p] -= expected[p];
            assert_close(tr_l2_norm(s.grad, s.n_params) / norm, 0, 1e-5, "difference of gradients");
        }
        free(expected);
    }
    free_rows(&rows);
    tr_stepper_free(&s);
    tr_lora_free(lora);
}

static void test_loss_is_the_mean_over_the_targets_of_the_whole_batch(void **state)
{
    (void)state;
    tr_lora *lora = tiny_adapter();
    tr_stepper s = stepper_for(lora);
    test_rows rows = golden_rows(), one = {.n = 1};
    double sum = 0;
    int64_t targets = 0;
    rows.row[0].first_target = 1; /* rows with very unlike numbers of targets */
    for (int i = 0; i < rows.n; i++) {
        one.row[0] = rows.row[i];
        tr_batch_sums alone = gradient(&s, lora, &one, 2000);
        sum += alone.loss * (double)alone.targets;
        targets += alone.targets;
    }
    assert_close(gradient(&s, lora, &rows, 300).loss, sum / (double)targets, 1e-6, "loss");
    free_rows(&rows);
    tr_stepper_free(&s);
    tr_lora_free(lora);
}

static void test_weights_scale_the_loss_of_their_rows(void **state)
{
    (void)state;
    tr_lora *lora = tiny_adapter();
    tr_stepper s = stepper_for(lora);
    test_rows rows = golden_rows(), one = {.n = 1};
    double expected = 0;
    int64_t targets = 0;
    for (int i = 0; i < rows.n; i++) {
        rows.row[i].weight = (float)i * 0.5f;
        one.row[0] = rows.row[i];
        one.row[0].weight = 1;
        tr_batch_sums alone = gradient(&s, lora, &one, 2000);
        expected += alone.loss * (double)alone.targets * i * 0.5;
        targets += alone.targets;
    }
    assert_close(gradient(&s, lora, &rows, 2000).loss, expected / (double)targets, 1e-6, "weighted loss");
    free_rows(&rows);
    tr_stepper_free(&s);
    tr_lora_free(lora);
}

static void test_gradient_does_not_depend_on_threads(void **state)
{
    (void)state;
    tr_lora *lora = tiny_adapter();
    lora->config.dropout = 0.1f;
    test_rows rows = made_rows(30);
    float *one_thread = NULL;
    for (int threads = 1; threads <= 3; threads++) {
        tr_threads_set(threads);
        tr_stepper s = stepper_for(lora);
        gradient(&s, lora, &rows, 100);
        tr_adamw(&s, s.grad, 1e-3, 0.1, 4, 0.5); /* any array will do as parameters */
        if (threads == 1) {
            one_thread = malloc(s.n_params * sizeof *one_thread);
            memcpy(one_thread, s.grad, s.n_params * sizeof *one_thread);
        }
        assert_memory_equal(s.grad, one_thread, s.n_params * sizeof *one_thread);
        tr_stepper_free(&s);
    }
    tr_threads_set(0);
    free(one_thread);
    free_rows(&rows);
    tr_lora_free(lora);
}

/* torch.optim.AdamW's documentation, in double. */
static void oracle_adamw(double *p, double *m, double *v, double g, double lr, double decay, int step)
{
    *p -= lr * decay * *p;
    *m = 0.9 * *m + 0.1 * g;
    *v = 0.999 * *v + 0.001 * g * g;
    *p -= lr * (*m / (1 - pow(0.9, step))) / (sqrt(*v / (1 - pow(0.999, step))) + 1e-8);
}

static void test_adamw_equals_the_oracle_in_double(void **state)
{
    (void)state;
    enum { N = 40000 };
    float *params = calloc(N, sizeof *params);
    double *p = calloc(N, sizeof *p), *m = calloc(N, sizeof *m), *v = calloc(N, sizeof *v);
    tr_stepper s = {.n_params = N, .grad = calloc(N, sizeof(float)), .m = calloc(N, sizeof(float)),
                    .v = calloc(N, sizeof(float))};
    tr_error err;
    assert_ok(tr_kernels_select(&s.kernels, &err), err);
    for (int i = 0; i < N; i++) p[i] = params[i] = 2 * tr_rng_uniform(1, TR_RNG_TEST, 0, (uint64_t)i) - 1;
    for (int step = 1; step <= 12; step++) {
        const double lr = 1e-3 * step, scale = step % 2 ? 1 : 0.25;
        for (int i = 0; i < N; i++) {
            const float size = (float)pow(10, i % 7 - 4);
            s.grad[i] = (2 * tr_rng_uniform(1, TR_RNG_TEST, (uint32_t)step, (uint64_t)i) - 1) * size;
            oracle_adamw(&p[i], &m[i], &v[i], (double)s.grad[i] * scale, lr, 0.01, step);
        }
        tr_adamw(&s, params, lr, 0.01, step, scale);
    }
    double worst = 0;
    for (int i = 0; i < N; i++) worst = fmax(worst, fabs(params[i] - p[i]));
    assert_close(worst, 0, 2e-6, "largest difference of a parameter");
    free(params), free(p), free(m), free(v);
    tr_stepper_free(&s);
}

static void test_norm_and_clipping_follow_torch(void **state)
{
    (void)state;
    const float x[] = {3, -4, 0, 12};
    assert_close(tr_l2_norm(x, 4), 13, 1e-15, "norm");
    assert_close(tr_l2_norm((const float[]){3e30f, 4e30f}, 2), 5e30, 1e24, "norm beyond float");
    assert_true(tr_clip_factor(13, 0) == 1);
    assert_true(tr_clip_factor(0.5, 1) == 1);
    assert_close(tr_clip_factor(4, 1), 1 / (4 + 1e-6), 1e-15, "factor");
    assert_true(tr_clip_factor(0, 1) == 1);
}

TR_TEST_MAIN(cmocka_unit_test(test_micro_batches_leave_loss_and_gradient_unchanged),
             cmocka_unit_test(test_loss_is_the_mean_over_the_targets_of_the_whole_batch),
             cmocka_unit_test(test_weights_scale_the_loss_of_their_rows),
             cmocka_unit_test(test_gradient_does_not_depend_on_threads),
             cmocka_unit_test(test_adamw_equals_the_oracle_in_double),
             cmocka_unit_test(test_norm_and_clipping_follow_torch))
