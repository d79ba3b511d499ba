/* This file tests recipes, schedules and the order of rows. */
#include "train_testing.h"
#include "train/batches.h"

static void test_paper_is_the_published_recipe(void **state)
{
    (void)state;
    tr_recipe r;
    tr_error err;
    assert_ok(tr_recipe_named("paper", &r, &err), err);
    assert_true(r.lora.rank == 8 && r.lora.alpha == 16 && r.lora.dropout == 0.05f && !r.lora.rslora);
    assert_int_equal(r.lora.targets, 1u << TR_Q | 1u << TR_V);
    assert_true(r.lr == 1e-4 && r.schedule == TR_SCHEDULE_LINEAR && r.warmup == 20 && r.batch == 128 &&
                r.epochs == 200);
    assert_true(r.cutoff == 512 && r.loss_on == TR_LOSS_ALL && r.eval_every == 10 && r.patience == 10 && r.clip == 1);
    assert_true(r.weight_decay == 0 && r.steps == 0 && r.eos && r.shuffle == TR_SHUFFLE_EPOCH);
}

static void test_every_named_recipe_is_in_range_and_survives_json(void **state)
{
    (void)state;
    for (size_t i = 0; tr_recipe_name(i); i++) {
        tr_recipe r, again;
        tr_recipe_difference difference;
        json_t *json;
        tr_error err;
        assert_ok(tr_recipe_named(tr_recipe_name(i), &r, &err), err);
        r.seed = 9007199254740993; /* 2^53 + 1: no double */
        assert_ok(tr_recipe_check(&r, &err), err);
        assert_ok(tr_recipe_to_json(&r, &json, &err), err);
        assert_ok(tr_recipe_from_json(json, &again, &err), err);
        assert_false(tr_recipe_differ(&r, &again, &difference));
        assert_true(again.seed == r.seed && again.lora.dropout == r.lora.dropout && again.lr == r.lr);
        json_decref(json);
    }
    tr_recipe r;
    tr_error err;
    assert_error(tr_recipe_named("secret", &r, &err), TR_ERR_USAGE, "quick", err);
}

static void test_json_that_is_no_recipe_is_refused_by_name(void **state)
{
    (void)state;
    tr_recipe r;
    json_t *json;
    tr_error err;
    assert_ok(tr_recipe_named("paper", &r, &err), err);
    assert_ok(tr_recipe_to_json(&r, &json, &err), err);
    assert_float_equal(json_real_value(json_object_get(json, "dropout")), 0.05, 0); /* not 0.05000000074505806 */
    json_object_set_new(json, "momentum", json_real(0.9));
    assert_error(tr_recipe_from_json(json, &r, &err), TR_ERR_FORMAT, "momentum", err);
    json_object_del(json, "momentum");
    json_object_set_new(json, "schedule", json_string("zigzag"));
    assert_error(tr_recipe_from_json(json, &r, &err), TR_ERR_USAGE, "zigzag", err);
    json_object_set_new(json, "schedule", json_string("cosine"));
    json_object_set_new(json, "batch", json_real(2.5));
    assert_error(tr_recipe_from_json(json, &r, &err), TR_ERR_FORMAT, "batch", err);
    json_object_set_new(json, "batch", json_integer(0));
    assert_error(tr_recipe_from_json(json, &r, &err), TR_ERR_USAGE, "--batch 0", err);
    json_object_set_new(json, "batch", json_integer(1));
    json_object_del(json, "eos");
    assert_error(tr_recipe_from_json(json, &r, &err), TR_ERR_FORMAT, "eos", err);
    json_object_set_new(json, "eos", json_true());
    json_object_del(json, "lr");
    assert_error(tr_recipe_from_json(json, &r, &err), TR_ERR_FORMAT, "lr", err);
    json_decref(json);
}

static void test_flags_set_fields_and_errors_name_the_flag(void **state)
{
    (void)state;
    tr_recipe r;
    tr_error err;
    static const char *const good[][2] = {{"rank", "16"}, {"alpha", "32"}, {"dropout", "0.1"}, {"rslora", "true"},
        {"targets", "q,k,down"}, {"lr", "3e-4"}, {"schedule", "cosine"}, {"warmup", "0"}, {"micro-tokens", "512"},
        {"micro_tokens", "512"}, {"loss-on", "answer"}, {"shuffle", "none"}, {"seed", "9223372036854775807"}};
    assert_ok(tr_recipe_named("paper", &r, &err), err);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_ok(tr_recipe_set(&r, good[i][0], good[i][1], &err), err);
    assert_true(r.lora.rank == 16 && r.lora.alpha == 32 && r.lora.dropout == 0.1f && r.lora.rslora && r.lr == 3e-4);
    assert_true(r.lora.targets == (1u << TR_Q | 1u << TR_K | 1u << TR_DOWN) && r.schedule == TR_SCHEDULE_COSINE);
    assert_true(r.warmup == 0 && r.micro_tokens == 512 && r.loss_on == TR_LOSS_ANSWER && r.seed == INT64_MAX);
    assert_ok(tr_recipe_check(&r, &err), err);

    static const char *const bad[][2] = {{"rank", "8.5"}, {"rank", "eight"}, {"rank", ""}, {"rank", "1e12"},
        {"lr", "nan"},
        {"lr", "1e999"}, {"lr", "0.1x"}, {"schedule", "step"}, {"rslora", "yes"}, {"seed", "-1"}, {"seed", "1.5"},
        {"seed", "9223372036854775808"}, {"targets", "q_proj,embed"}, {"momentum", "1"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *named = strcmp(bad[i][0], "targets") == 0 ? "embed" : bad[i][0];
        assert_error(tr_recipe_set(&r, bad[i][0], bad[i][1], &err), TR_ERR_USAGE, named, err);
    }
}

static void test_values_out_of_range_are_refused_with_the_range(void **state)
{
    (void)state;
    static const char *const bad[][2] = {{"rank", "0"}, {"rank", "1025"}, {"alpha", "0"}, {"dropout", "1"},
        {"dropout", "-0.1"}, {"lr", "0"}, {"lr", "2"}, {"warmup", "-1"}, {"batch", "0"}, {"micro-tokens", "0"},
        {"epochs", "0"}, {"steps", "-5"}, {"weight-decay", "-1"}, {"clip", "-1"}, {"eval-every", "-1"},
        {"patience", "-1"}, {"valid-rows", "-1"}, {"cutoff", "4"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tr_recipe r;
        tr_error err;
        char named[64];
        snprintf(named, sizeof named, "--%s %s", bad[i][0], bad[i][1]);
        assert_ok(tr_recipe_named("paper", &r, &err), err);
        assert_ok(tr_recipe_set(&r, bad[i][0], bad[i][1], &err), err);
        assert_error(tr_recipe_check(&r, &err), TR_ERR_USAGE, named, err);
    }
}

static void test_differences_are_named_with_both_values(void **state)
{
    (void)state;
    tr_recipe a, b;
    tr_recipe_difference difference;
    tr_error err;
    assert_ok(tr_recipe_named("paper", &a, &err), err);
    b = a;
    b.loss_on = TR_LOSS_ANSWER;
    assert_true(tr_recipe_differ(&a, &b, &difference));
    assert_string_equal(difference.flag, "loss-on");
    assert_string_equal(difference.a, "all");
    assert_string_equal(difference.b, "answer");
    b = a;
    b.lora.targets |= 1u << TR_O;
    assert_true(tr_recipe_differ(&a, &b, &difference));
    assert_string_equal(difference.b, "q_proj,v_proj,o_proj");
}

/* The formulas of transformers' optimization.py, as Python evaluates them. */
static double lambda_of(tr_schedule schedule, double warmup, double total, double step)
{
    if (step < warmup) return step / fmax(1, warmup);
    if (schedule == TR_SCHEDULE_CONSTANT) return 1;
    if (schedule == TR_SCHEDULE_LINEAR) return fmax(0, (total - step) / fmax(1, total - warmup));
    double progress = (step - warmup) / fmax(1, total - warmup);
    return fmax(0, 0.5 * (1 + cos(M_PI * 0.5 * 2 * progress)));
}

static void test_schedules_follow_their_closed_forms(void **state)
{
    (void)state;
    for (int schedule = TR_SCHEDULE_LINEAR; schedule <= TR_SCHEDULE_CONSTANT; schedule++)
        for (int warmup = 0; warmup <= 24; warmup += 4)
            for (int total = 1; total <= 40; total += 13)
                for (int step = 0; step < total + 3; step++)
                    assert_close(tr_schedule_lr((tr_schedule)schedule, 3e-4, warmup, total, step),
                                 3e-4 * lambda_of((tr_schedule)schedule, warmup, total, step), 1e-19, "lr");
    assert_true(tr_schedule_lr(TR_SCHEDULE_LINEAR, 1e-4, 20, 200, 0) == 0);
    assert_true(tr_schedule_lr(TR_SCHEDULE_LINEAR, 1e-4, 20, 200, 20) == 1e-4);
    assert_true(tr_schedule_lr(TR_SCHEDULE_LINEAR, 1e-4, 0, 200, 0) == 1e-4);
}

static void test_an_epoch_visits_every_row_once(void **state)
{
    (void)state;
    for (int shuffle = 0; shuffle < 2; shuffle++)
        for (int n_rows = 1; n_rows < 40; n_rows += 6) {
            tr_recipe r = small_recipe();
            tr_batches b;
            tr_error err;
            r.shuffle = shuffle ? TR_SHUFFLE_EPOCH : TR_SHUFFLE_NONE;
            assert_ok(tr_batches_create(&r, n_rows, &b, &err), err);
            assert_int_equal(b.steps_per_epoch, (n_rows + 4) / 5);
            assert_int_equal(b.steps, 3 * b.steps_per_epoch);
            int seen[40] = {0};
            for (int64_t step = 0; step < b.steps; step++) {
                int n;
                int64_t epoch;
                const uint32_t *rows = tr_batches_rows(&b, step, &n, &epoch);
                assert_int_equal(epoch, step / b.steps_per_epoch);
                assert_true(n == 5 || (step % b.steps_per_epoch == b.steps_per_epoch - 1 && n == n_rows % 5));
                for (int i = 0; i < n; i++) {
                    seen[rows[i]]++;
                    if (!shuffle) assert_int_equal(rows[i], step % b.steps_per_epoch * 5 + i);
                }
            }
            for (int i = 0; i < n_rows; i++) assert_int_equal(seen[i], 3);
            tr_batches_free(&b);
        }
}

static void test_order_is_a_function_of_seed_and_epoch_alone(void **state)
{
    (void)state;
    tr_recipe r = small_recipe();
    tr_batches there, back;
    tr_error err;
    uint32_t order[3][5];
    int n, different = 0;
    assert_ok(tr_batches_create(&r, 25, &there, &err), err);
    assert_ok(tr_batches_create(&r, 25, &back, &err), err);
    for (int e = 0; e < 3; e++) memcpy(order[e], tr_batches_rows(&there, e * 5 + 2, &n, NULL), sizeof order[e]);
    for (int e = 2; e >= 0; e--)
        assert_memory_equal(tr_batches_rows(&back, e * 5 + 2, &n, NULL), order[e], sizeof order[e]);
    for (int e = 1; e < 3; e++) different += memcmp(order[0], order[e], sizeof order[0]) != 0;
    assert_int_equal(different, 2);
    tr_batches_free(&there);
    tr_batches_free(&back);
    assert_error(tr_batches_create(&r, 0, &there, &err), TR_ERR_VALUE, "no rows", err);
}

static void test_steps_end_a_run_before_its_epochs(void **state)
{
    (void)state;
    tr_recipe r = small_recipe();
    tr_batches b;
    tr_error err;
    r.steps = 4;
    assert_ok(tr_batches_create(&r, 12, &b, &err), err);
    assert_int_equal(b.steps, 4);
    tr_batches_free(&b);
    r.steps = 1000;
    assert_ok(tr_batches_create(&r, 12, &b, &err), err);
    assert_int_equal(b.steps, 9);
    tr_batches_free(&b);
}

TR_TEST_MAIN(cmocka_unit_test(test_paper_is_the_published_recipe),
             cmocka_unit_test(test_every_named_recipe_is_in_range_and_survives_json),
             cmocka_unit_test(test_json_that_is_no_recipe_is_refused_by_name),
             cmocka_unit_test(test_flags_set_fields_and_errors_name_the_flag),
             cmocka_unit_test(test_values_out_of_range_are_refused_with_the_range),
             cmocka_unit_test(test_differences_are_named_with_both_values),
             cmocka_unit_test(test_schedules_follow_their_closed_forms),
             cmocka_unit_test(test_an_epoch_visits_every_row_once),
             cmocka_unit_test(test_order_is_a_function_of_seed_and_epoch_alone),
             cmocka_unit_test(test_steps_end_a_run_before_its_epochs))
