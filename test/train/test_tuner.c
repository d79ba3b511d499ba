/* This file tests whole runs: against PEFT, what they leave behind, how they stop, and their plan. */
#include "run_testing.h"

/* ---- against PEFT ---- */

typedef struct {
    const json_t *steps;
    int64_t seen;
} peft_steps;

static tr_status compare_step(void *user, const tr_step_record *record, tr_error *err)
{
    peft_steps *p = user;
    const json_t *expected = json_array_get(p->steps, (size_t)p->seen++);
    (void)err;
    assert_non_null(expected);
    assert_close(record->loss, json_number_value(json_object_get(expected, "loss")), 1e-4, "loss");
    assert_close(record->lr, json_number_value(json_object_get(expected, "lr")), 1e-12, "lr");
    double norm = json_number_value(json_object_get(expected, "grad_norm"));
    assert_close(record->grad_norm, norm, 1e-3 * norm, "grad_norm");
    return TR_OK;
}

static void test_losses_rates_and_norms_of_each_step_equal_peft(void **state)
{
    (void)state;
    json_t *golden = golden_json("tiny_tuning.json"), *entry;
    size_t i;
    tr_log_set(TR_LOG_QUIET);
    json_array_foreach(json_object_get(golden, "cases"), i, entry) {
        run r = new_run("peft", 0);
        r.rows = golden_rows();
        r.lora = tiny_adapter();
        r.recipe.lora = r.lora->config;
        r.recipe.shuffle = TR_SHUFFLE_NONE;
        r.recipe.micro_tokens = 300;
        static const char *const same[] = {"schedule", "loss_on"}, *const numbers[] = {"warmup", "lr", "weight_decay",
                                                                                    "clip", "batch", "epochs"};
        tr_error err;
        char text[32];
        for (int k = 0; k < 2; k++)
            assert_ok(tr_recipe_set(&r.recipe, same[k], json_string_value(json_object_get(entry, same[k])), &err), err);
        for (int k = 0; k < 6; k++) {
            snprintf(text, sizeof text, "%.12g", json_number_value(json_object_get(entry, numbers[k])));
            assert_ok(tr_recipe_set(&r.recipe, numbers[k], text, &err), err);
        }
        float *start = malloc(r.lora->n_params * sizeof *start);
        memcpy(start, r.lora->params, r.lora->n_params * sizeof *start);
        peft_steps steps = {.steps = json_object_get(entry, "steps")};
        tr_tuning job = job_of(&r);
        job.on_step = compare_step;
        job.on_step_user = &steps;
        assert_ok(tr_tune(&job, NULL, &err), err);
        assert_int_equal(steps.seen, json_array_size(steps.steps));
        double final = json_number_value(json_object_get(entry, "final_norm"));
        double moved = json_number_value(json_object_get(entry, "moved_norm"));
        assert_close(tr_l2_norm(r.lora->params, r.lora->n_params), final, 1e-4 * final, "final norm");
        for (size_t p = 0; p < r.lora->n_params; p++) start[p] -= r.lora->params[p];
        assert_close(tr_l2_norm(start, r.lora->n_params), moved, 1e-3 * moved, "moved norm");
        free(start);
        free_run(&r);
    }
    json_decref(golden);
}

/* ---- what a run leaves behind ---- */

static void test_a_run_learns_and_leaves_its_folder_complete(void **state)
{
    (void)state;
    run r = new_run("complete", 12);
    tr_tuning_result result;
    tr_lora *saved;
    tr_error err;
    char path[1400];
    r.auc = falling_auc;
    r.recipe.eval_every = 2;
    r.recipe.lora.dropout = 0.05f;
    assert_ok(go(&r, false, &result, &err), err);
    assert_int_equal(result.steps, 9);
    assert_true(result.last_loss < 0.8 * result.first_loss && result.seconds > 0);
    assert_true(result.best_step == 2 && result.best_auc == 0.9 && !result.stopped_early);
    assert_int_equal(r.calls, 5);
    assert_int_equal(count_lines(r.folder), 9 + 5);
    assert_true(exists(r.folder, "state.bin"));
    snprintf(path, sizeof path, "%s/tensorboard", r.folder);
    assert_true(tr_folder_exists(path));
    snprintf(path, sizeof path, "%s/adapter-last", r.folder);
    assert_ok(tr_adapter_load(path, tiny_model(), &saved, &err), err);
    assert_memory_equal(saved->params, r.lora->params, saved->n_params * sizeof(float));
    tr_lora_free(saved);
    snprintf(path, sizeof path, "%s/adapter", r.folder);
    assert_ok(tr_adapter_load(path, tiny_model(), &saved, &err), err);
    assert_memory_not_equal(saved->params, r.lora->params, saved->n_params * sizeof(float));
    tr_lora_free(saved);
    free_run(&r);
}

static void test_metrics_lines_hold_the_documented_fields(void **state)
{
    (void)state;
    run r = new_run("fields", 7);
    tr_error err;
    size_t size;
    r.auc = level_auc;
    r.recipe.epochs = 1;
    assert_ok(go(&r, false, NULL, &err), err);
    char *text = slurp(r.folder, "metrics.jsonl", &size), *rest;
    static const char *const step_keys[] = {"step", "epoch", "loss", "lr", "grad_norm", "tokens", "nodes", "targets",
                                            "seconds"};
    static const char *const valid_keys[] = {"step", "valid_auc", "valid_rows", "valid_log_loss", "seconds"};
    int line_number = 0;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), line_number++) {
        json_t *object = json_loads(line, 0, NULL);
        assert_non_null(object);
        if (line_number < 2)
            for (int i = 0; i < 9; i++) assert_true(json_is_number(json_object_get(object, step_keys[i])));
        else
            for (int i = 0; i < 5; i++) assert_true(json_is_number(json_object_get(object, valid_keys[i])));
        if (line_number == 1) assert_int_equal(json_integer_value(json_object_get(object, "epoch")), 1);
        if (line_number == 2) assert_true(json_is_true(json_object_get(object, "best")));
        json_decref(object);
    }
    assert_int_equal(line_number, 3);
    free(text);
    free_run(&r);
}

static void test_without_validation_the_best_adapter_is_the_last(void **state)
{
    (void)state;
    run r = new_run("unvalidated", 6);
    tr_error err;
    char last[1400], best[1400];
    assert_ok(go(&r, false, NULL, &err), err);
    snprintf(last, sizeof last, "%s/adapter-last", r.folder);
    snprintf(best, sizeof best, "%s/adapter", r.folder);
    assert_same_file(last, best, "adapter_model.safetensors");
    free_run(&r);
}

static void test_patience_stops_a_run_early(void **state)
{
    (void)state;
    static double (*const aucs[])(int64_t, const tr_lora *) = {falling_auc, level_auc, rising_auc};
    for (int i = 0; i < 3; i++) {
        run r = new_run("patience", 20);
        tr_tuning_result result;
        tr_error err;
        r.auc = aucs[i];
        r.recipe.eval_every = 1;
        r.recipe.patience = 3;
        assert_ok(go(&r, false, &result, &err), err);
        bool rising = aucs[i] == rising_auc;
        assert_int_equal(result.stopped_early, !rising);
        assert_int_equal(result.steps, rising ? 12 : 4); /* an equal AUC is not a better one */
        assert_int_equal(result.best_step, rising ? 12 : 1);
        assert_ok(go(&r, true, &result, &err), err); /* resuming a finished run does nothing */
        assert_int_equal(result.steps, rising ? 12 : 4);
        assert_int_equal(count_lines(r.folder), rising ? 24 : 8);
        free_run(&r);
    }
}

static void test_results_do_not_depend_on_threads(void **state)
{
    (void)state;
    run one = resumable("one-thread"), two = resumable("two-threads");
    tr_error err;
    tr_threads_set(1);
    assert_ok(go(&one, false, NULL, &err), err);
    tr_threads_set(2);
    assert_ok(go(&two, false, NULL, &err), err);
    tr_threads_set(0);
    assert_same_run(one.folder, two.folder);
    free_run(&one);
    free_run(&two);
}

/* ---- stopping ---- */

static void test_nan_stops_and_keeps_the_last_good_state(void **state)
{
    (void)state;
    tr_tuning_result result;
    tr_error err;
    run huge = resumable("nan-huge");
    huge.auc = NULL;
    huge.rows.row[7].weight = 1e30f;
    huge.recipe.shuffle = TR_SHUFFLE_NONE;
    assert_error(go(&huge, false, &result, &err), TR_ERR_NUMERIC, "step 2", err);
    assert_non_null(strstr(err.hint, "adapter-last"));
    assert_int_equal(result.steps, 1);
    for (size_t i = 0; i < huge.lora->n_params; i++) assert_true(isfinite(huge.lora->params[i]));
    assert_int_equal(count_lines(huge.folder), 1);
    char last[1400];
    tr_lora *saved;
    snprintf(last, sizeof last, "%s/adapter-last", huge.folder);
    assert_ok(tr_adapter_load(last, tiny_model(), &saved, &err), err);
    assert_memory_equal(saved->params, huge.lora->params, saved->n_params * sizeof(float));
    tr_lora_free(saved);
    free_run(&huge);
}

static void test_a_poisoned_parameter_is_noticed_at_the_next_step(void **state)
{
    (void)state;
    run r = new_run("poisoned", 10);
    tr_error err;
    r.poison_at = 2;
    assert_error(go(&r, false, NULL, &err), TR_ERR_NUMERIC, "step 3: the loss is nan", err);
    free_run(&r);
    r = new_run("undefined", 10);
    r.auc = no_auc;
    assert_error(go(&r, false, NULL, &err), TR_ERR_NUMERIC, "validation AUC", err);
    free_run(&r);
}

static tr_status collect_loss(void *user, const tr_step_record *record, tr_error *err)
{
    double *loss = user;
    (void)err;
    loss[record->step - 1] = record->loss;
    return TR_OK;
}

static void test_dropout_draws_new_masks_each_step(void **state)
{
    (void)state;
    for (int with = 0; with < 2; with++) {
        run r = new_run("dropout", 5); /* all rows in every batch, and a rate too small to change a float */
        double loss[3];
        tr_error err;
        r.lora = tiny_adapter();
        r.lora->config.dropout = with ? 0.3f : 0;
        r.recipe.lora = r.lora->config;
        r.recipe.lr = 1e-30;
        tr_tuning job = job_of(&r);
        job.on_step = collect_loss;
        job.on_step_user = loss;
        assert_ok(tr_tune(&job, NULL, &err), err);
        assert_true(with ? loss[0] != loss[1] && loss[1] != loss[2] : loss[0] == loss[1] && loss[1] == loss[2]);
        free_run(&r);
    }
}

static void test_clipping_bounds_the_first_update(void **state)
{
    (void)state;
    for (int clip = 0; clip < 2; clip++) {
        run r = new_run("clip", 5);
        tr_error err;
        json_t *line;
        size_t size;
        r.recipe.steps = 1;
        r.recipe.clip = clip ? 1e-12 : 0; /* far below AdamW's eps, so that it shows in the update */
        tr_lora *start = fresh_lora(&r.recipe);
        assert_ok(go(&r, false, NULL, &err), err);
        char *text = slurp(r.folder, "metrics.jsonl", &size);
        line = json_loads(text, 0, NULL);
        assert_true(json_number_value(json_object_get(line, "grad_norm")) > 0.01); /* as it was before clipping */
        for (size_t i = 0; i < start->n_params; i++) start->params[i] -= r.lora->params[i];
        double moved = tr_l2_norm(start->params, start->n_params);
        assert_true(clip ? moved < 1e-5 : moved > 1e-2);
        json_decref(line);
        free(text);
        tr_lora_free(start);
        free_run(&r);
    }
}

/* ---- the plan ---- */

static void test_the_plan_says_what_the_run_then_does(void **state)
{
    (void)state;
    for (int micro = 30; micro < 300; micro *= 3) {
        run r = new_run("plan", 23);
        tr_tuning_plan plan;
        tr_error err;
        size_t size;
        int64_t tokens = 0, nodes = 0, steps = 0;
        r.recipe.micro_tokens = micro;
        r.lora = fresh_lora(&r.recipe);
        tr_tuning job = job_of(&r);
        assert_ok(tr_tune_plan(&job, &plan, &err), err);
        assert_false(tr_folder_exists(r.folder));
        assert_ok(go(&r, false, NULL, &err), err);
        char *text = slurp(r.folder, "metrics.jsonl", &size), *rest;
        for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), steps++) {
            json_t *object = json_loads(line, 0, NULL);
            tokens += json_integer_value(json_object_get(object, "tokens"));
            nodes += json_integer_value(json_object_get(object, "nodes"));
            json_decref(object);
        }
        free(text);
        assert_true(plan.steps == steps && plan.tokens == tokens && plan.nodes == nodes);
        assert_true(plan.epochs == 3 && plan.rows == 69 && plan.n_params == r.lora->n_params);
        assert_true(plan.session_bytes == tr_session_bytes(tiny_model(), &plan.limits.session));
        assert_true(plan.total_bytes > plan.session_bytes + 20 * plan.n_params);
        free_run(&r);
    }
}

static void test_a_plan_beyond_memory_is_refused_with_numbers(void **state)
{
    (void)state;
    run r = new_run("memory", 6);
    tr_error err;
    r.lora = fresh_lora(&r.recipe);
    tr_tuning job = job_of(&r);
    job.other_bytes = (size_t)1 << 50;
    assert_error(tr_tune(&job, NULL, &err), TR_ERR_MEMORY, "1125899.91 GB", err);
    assert_non_null(strstr(err.hint, "--micro-tokens"));
    assert_false(tr_folder_exists(r.folder));
    free_run(&r);
}

static void expect_refused_job(run *r, tr_status status, const char *text)
{
    tr_error err;
    assert_error(go(r, false, NULL, &err), status, text, err);
    assert_false(tr_folder_exists(r->folder));
}

/* The reference schedule starts at 0: one step of warm-up tells loss and gradient, and leaves the adapter alone. */
static void test_a_step_of_warm_up_changes_nothing(void **state)
{
    (void)state;
    tr_error err = {0};
    run r = new_run("warming", 6);
    r.recipe.steps = 1;
    r.recipe.warmup = 5;
    tr_lora *start = fresh_lora(&r.recipe);
    assert_ok(go(&r, false, NULL, &err), err);
    assert_memory_equal(start->params, r.lora->params, start->n_params * sizeof *start->params);
    tr_lora_free(start);
    free_run(&r);
}

static void test_jobs_that_cannot_work_are_refused_before_starting(void **state)
{
    (void)state;
    run r = new_run("hopeless", 6);
    const tr_sequence row = r.rows.row[2];
    r.rows.row[2].first_target = row.n_tokens;
    expect_refused_job(&r, TR_ERR_VALUE, "row 3 has no answer");
    r.rows.row[2] = row;
    r.rows.row[2].weight = NAN;
    expect_refused_job(&r, TR_ERR_VALUE, "row 3 has the weight");
    r.rows.row[2] = row;
    int32_t *token = (int32_t *)(uintptr_t)row.token, kept = token[1];
    token[1] = 1 << 20;
    expect_refused_job(&r, TR_ERR_VALUE, "row 3 has token 1048576");
    token[1] = kept;
    int n_context = tiny_model()->config.n_context;
    tiny_model()->config.n_context = row.n_tokens - 2;
    expect_refused_job(&r, TR_ERR_VALUE, "--cutoff");
    tiny_model()->config.n_context = n_context;
    r.rows.n = 0;
    expect_refused_job(&r, TR_ERR_VALUE, "no rows");
    r.rows.n = 6;
    r.recipe.batch = 0;
    expect_refused_job(&r, TR_ERR_USAGE, "--batch 0");
    free_run(&r);
}

TR_TEST_MAIN(cmocka_unit_test(test_losses_rates_and_norms_of_each_step_equal_peft),
             cmocka_unit_test(test_a_run_learns_and_leaves_its_folder_complete),
             cmocka_unit_test(test_metrics_lines_hold_the_documented_fields),
             cmocka_unit_test(test_without_validation_the_best_adapter_is_the_last),
             cmocka_unit_test(test_patience_stops_a_run_early),
             cmocka_unit_test(test_results_do_not_depend_on_threads),
             cmocka_unit_test(test_nan_stops_and_keeps_the_last_good_state),
             cmocka_unit_test(test_a_poisoned_parameter_is_noticed_at_the_next_step),
             cmocka_unit_test(test_dropout_draws_new_masks_each_step),
             cmocka_unit_test(test_clipping_bounds_the_first_update),
             cmocka_unit_test(test_the_plan_says_what_the_run_then_does),
             cmocka_unit_test(test_a_plan_beyond_memory_is_refused_with_numbers),
             cmocka_unit_test(test_a_step_of_warm_up_changes_nothing),
             cmocka_unit_test(test_jobs_that_cannot_work_are_refused_before_starting))
