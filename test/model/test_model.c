/* Tests of the model on tiny fixtures: logits and LoRA gradients against transformers and PEFT (golden files made
 * by tools/make_golden_tiny.py), the forest against separate sequences, finite differences, threads. */
#include "model_testing.h"

#include "base/system.h"

/* ---- logits ---- */

static void check_logits(const char *model_name, const char *golden)
{
    tr_error err = {0};
    tr_model *model;
    char path[256];
    snprintf(path, sizeof path, "golden/%s", model_name);
    assert_ok(tr_model_open(test_file(path), &model, &err), err);
    json_t *root = golden_json(golden);
    size_t c;
    json_t *item;
    json_array_foreach (json_object_get(root, "cases"), c, item) {
        int32_t ids[512], nodes[512];
        int n = (int)json_array_size(json_object_get(item, "ids")),
            n_rows = (int)json_array_size(json_object_get(item, "positions"));
        for (int i = 0; i < n; i++)
            ids[i] = (int32_t)json_integer_value(json_array_get(json_object_get(item, "ids"), (size_t)i));
        for (int i = 0; i < n_rows; i++)
            nodes[i] = (int32_t)json_integer_value(json_array_get(json_object_get(item, "positions"), (size_t)i));
        ids[n] = 0; /* the last token of a sequence is a target only */
        tr_sequence sequence = {.token = ids, .n_tokens = n + 1, .first_target = n, .weight = 1};
        tr_forest forest;
        assert_ok(tr_forest_build(&sequence, 1, &forest, &err), err);
        tr_session_plan plan = {.max_nodes = n, .max_targets = 1, .max_positions = n};
        tr_session *session;
        assert_ok(tr_session_create(model, &plan, &session, &err), err);
        float *logits = calloc((size_t)(n_rows * model->config.n_vocab), sizeof *logits);
        assert_ok(tr_session_logits(session, &forest, NULL, nodes, n_rows, logits, &err), err);
        for (int i = 0; i < n_rows; i++)
            for (int v = 0; v < model->config.n_vocab; v++) {
                double expected = json_number_value(
                    json_array_get(json_array_get(json_object_get(item, "logits"), (size_t)i), (size_t)v));
                assert_near(logits[i * model->config.n_vocab + v], expected, 1e-4, model_name);
            }
        free(logits);
        tr_session_free(session);
        tr_forest_free(&forest);
    }
    json_decref(root);
    tr_model_close(model);
}

static void test_logits_equal_transformers(void **state)
{
    (void)state;
    check_logits("tiny_llama.gguf", "tiny_llama_logits.json");
}

static void test_logits_with_llama3_rope_and_separate_output_equal_transformers(void **state)
{
    (void)state;
    check_logits("tiny_llama3.gguf", "tiny_llama3_logits.json");
}

/* ---- gradients ---- */

typedef struct {
    tr_model *model;
    tr_lora *lora;
    tr_sequence sequence[8];
    int32_t ids[8][512];
    int n;
    float *grad;
} batch;

static void open_batch(batch *b, const char *model_name, bool rslora, bool on_answer)
{
    tr_error err = {0};
    char path[256];
    memset(b, 0, sizeof *b);
    snprintf(path, sizeof path, "golden/%s", model_name);
    assert_ok(tr_model_open(test_file(path), &b->model, &err), err);
    json_t *root = golden_json("tiny_gradients.json"), *item;
    tr_lora_config config = {.rank = 3, .alpha = 6, .rslora = rslora, .targets = (1u << TR_N_MODULES) - 1};
    assert_ok(tr_lora_create(b->model, &config, 1, &b->lora, &err), err);
    fill_formula(b->model, b->lora, json_number_value(json_object_get(root, "b_scale")));
    size_t s;
    json_array_foreach (json_object_get(root, "sequences"), s, item) {
        json_t *ids = json_object_get(item, "ids");
        for (size_t i = 0; i < json_array_size(ids); i++)
            b->ids[s][i] = (int32_t)json_integer_value(json_array_get(ids, i));
        b->sequence[s] =
            (tr_sequence){.token = b->ids[s],
                          .n_tokens = (int)json_array_size(ids),
                          .weight = 1,
                          .first_target = on_answer ? (int)json_integer_value(json_object_get(item, "answer")) : 1};
        b->n++;
    }
    b->grad = calloc(b->lora->n_params, sizeof *b->grad);
    json_decref(root);
}

static void close_batch(batch *b)
{
    free(b->grad);
    tr_lora_free(b->lora);
    tr_model_close(b->model);
}

static void check_gradient(const char *name)
{
    json_t *root = golden_json("tiny_gradients.json"), *item;
    tr_safetensors file;
    tr_error err = {0};
    assert_ok(tr_safetensors_open(test_file("golden/tiny_gradients.safetensors"), &file, &err), err);
    size_t c;
    bool found = false;
    json_array_foreach (json_object_get(root, "cases"), c, item) {
        if (strcmp(json_string_value(json_object_get(item, "name")), name) != 0) continue;
        found = true;
        batch b;
        open_batch(&b, json_string_value(json_object_get(item, "model")),
                   json_is_true(json_object_get(item, "rslora")),
                   strcmp(json_string_value(json_object_get(item, "loss_on")), "answer") == 0);
        double loss = batch_gradient(b.model, b.lora, b.sequence, b.n, true, NULL, b.grad), sums[3] = {0};
        assert_near(loss, json_number_value(json_object_get(item, "loss")), 2e-5, name);
        double norm = json_number_value(json_object_get(item, "grad_norm"));
        assert_near(norm_of(b.grad, b.lora->n_params), norm, 1e-4 * norm, name);
        for (int l = 0; l < b.lora->n_layers; l++)
            for (int m = 0; m < TR_N_MODULES; m++)
                for (int half = 0; half < 2; half++) {
                    char key[256];
                    snprintf(key, sizeof key, "%s.base_model.model.model.layers.%d.%s.%s.lora_%s.weight", name, l,
                             tr_module_parent((tr_module)m), tr_module_name((tr_module)m), half ? "B" : "A");
                    const tr_safetensor *t = tr_safetensors_find(&file, key);
                    assert_non_null(t);
                    float *values = calloc(t->bytes / 4, sizeof(float));
                    double *expected = calloc(t->bytes / 4, sizeof(double));
                    assert_ok(tr_safetensor_floats(t, values, &err), err);
                    for (size_t i = 0; i < t->bytes / 4; i++) expected[i] = values[i];
                    compare_matrix(b.model, b.lora, b.grad, l, m, half, expected, sums);
                    free(values);
                    free(expected);
                }
        assert_near(sums[0] / sqrt(sums[1] * sums[2]), 1, 1e-7, name);
        close_batch(&b);
    }
    assert_true(found);
    tr_safetensors_close(&file);
    json_decref(root);
}

static void test_gradient_on_all_tokens_equals_peft(void **state)
{
    (void)state;
    check_gradient("plain_all");
}
static void test_gradient_on_answer_equals_peft(void **state)
{
    (void)state;
    check_gradient("plain_answer");
}
static void test_rslora_gradient_equals_peft(void **state)
{
    (void)state;
    check_gradient("rslora_answer");
}
static void test_gradient_of_llama3_rope_equals_peft(void **state)
{
    (void)state;
    check_gradient("llama3_all");
}

static void compare_vectors(const float *a, const float *b, size_t n, double tolerance, const char *what)
{
    double worst = 0, scale = norm_of(b, n) / sqrt((double)n);
    for (size_t i = 0; i < n; i++) worst = fmax(worst, fabs((double)a[i] - b[i]));
    if (!(worst <= tolerance * scale)) fail_msg("%s: differ by %.3g, rms %.3g", what, worst, scale);
}

static void test_forest_loss_and_gradient_equal_separate_sequences(void **state)
{
    (void)state;
    for (int on_answer = 0; on_answer < 2; on_answer++) {
        batch b;
        open_batch(&b, "tiny_llama.gguf", false, on_answer);
        b.sequence[b.n] = b.sequence[0]; /* a sequence twice: its targets weigh double */
        b.n++;
        float *apart = calloc(b.lora->n_params, sizeof *apart);
        double together_loss = batch_gradient(b.model, b.lora, b.sequence, b.n, true, NULL, b.grad);
        double apart_loss = batch_gradient(b.model, b.lora, b.sequence, b.n, false, NULL, apart);
        assert_near(together_loss, apart_loss, 1e-5, "loss");
        compare_vectors(b.grad, apart, b.lora->n_params, 1e-3, "gradient");
        free(apart);
        close_batch(&b);
    }
}

static double loss_at(const batch *b, const tr_pass *pass)
{
    float *unused = calloc(b->lora->n_params, sizeof *unused);
    double loss = batch_gradient(b->model, b->lora, b->sequence, b->n, true, pass, unused);
    free(unused);
    return loss;
}

/* Along the gradient of each single module, d loss / d step is the norm of that gradient. */
static void check_finite_difference(float dropout)
{
    batch b;
    open_batch(&b, "tiny_llama.gguf", false, false);
    b.lora->config.dropout = dropout;
    const tr_pass pass = {.seed = 5, .step = 3};
    batch_gradient(b.model, b.lora, b.sequence, b.n, true, &pass, b.grad);
    for (int i = 0; i < b.lora->n_layers * TR_N_MODULES; i++) {
        const tr_lora_pair *pair = &b.lora->pair[i];
        const size_t sizes[2] = {3 * (size_t)pair->n_in, 3 * (size_t)pair->n_out}, at[2] = {pair->a, pair->b};
        for (int half = 0; half < 2; half++) {
            double norm = norm_of(b.grad + at[half], sizes[half]), step = 0.02;
            double loss[2];
            float *saved = malloc(sizes[half] * sizeof *saved);
            memcpy(saved, b.lora->params + at[half], sizes[half] * sizeof *saved);
            for (int side = 0; side < 2; side++) {
                for (size_t j = 0; j < sizes[half]; j++)
                    b.lora->params[at[half] + j] =
                        (float)(saved[j] + (side ? -step : step) * b.grad[at[half] + j] / norm);
                loss[side] = loss_at(&b, &pass);
            }
            memcpy(b.lora->params + at[half], saved, sizes[half] * sizeof *saved);
            free(saved);
            assert_near((loss[0] - loss[1]) / (2 * step), norm, 0.02 * norm + 2e-4,
                        tr_module_name((tr_module)(i % TR_N_MODULES)));
        }
    }
    close_batch(&b);
}

static void test_gradient_equals_finite_differences(void **state)
{
    (void)state;
    check_finite_difference(0);
}
static void test_gradient_with_dropout_equals_finite_differences(void **state)
{
    (void)state;
    check_finite_difference(0.3f);
}

static void test_dropout_changes_with_step_and_vanishes_at_zero(void **state)
{
    (void)state;
    batch b;
    open_batch(&b, "tiny_llama.gguf", false, false);
    double plain = loss_at(&b, NULL);
    b.lora->config.dropout = 0.3f;
    double first = loss_at(&b, &(tr_pass){.seed = 5, .step = 1}),
           again = loss_at(&b, &(tr_pass){.seed = 5, .step = 1});
    double second = loss_at(&b, &(tr_pass){.seed = 5, .step = 2}),
           micro = loss_at(&b, &(tr_pass){.seed = 5, .step = 1, .micro = 1});
    assert_true(first == again);
    assert_true(first != second && first != micro && first != plain);
    close_batch(&b);
}

static void test_gradient_bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    batch b;
    int before = tr_threads();
    open_batch(&b, "tiny_llama.gguf", false, false);
    b.lora->config.dropout = 0.1f;
    float *other = calloc(b.lora->n_params, sizeof *other);
    const tr_pass pass = {.seed = 1, .step = 1};
    tr_threads_set(1);
    double loss = batch_gradient(b.model, b.lora, b.sequence, b.n, true, &pass, b.grad);
    for (int threads = 2; threads <= 5; threads++) {
        tr_threads_set(threads);
        assert_true(batch_gradient(b.model, b.lora, b.sequence, b.n, true, &pass, other) == loss);
        assert_memory_equal(b.grad, other, b.lora->n_params * sizeof *other);
    }
    tr_threads_set(before);
    free(other);
    close_batch(&b);
}

static void test_any_subset_of_targets_gives_its_part_of_the_gradient(void **state)
{
    (void)state;
    batch b;
    tr_error err = {0};
    open_batch(&b, "tiny_llama.gguf", false, true);
    /* With B = 0 everywhere the adapter changes nothing, so each module's dB is the same whoever else is adapted.
     */
    for (int i = 0; i < b.lora->n_layers * TR_N_MODULES; i++)
        memset(b.lora->params + b.lora->pair[i].b, 0, 3 * (size_t)b.lora->pair[i].n_out * sizeof(float));
    batch_gradient(b.model, b.lora, b.sequence, b.n, true, NULL, b.grad);
    for (uint32_t targets = 1; targets < 1u << TR_N_MODULES; targets = targets * 2 + (targets & 1 ? 0 : 3)) {
        tr_lora_config config = b.lora->config;
        tr_lora *part;
        config.targets = targets & ((1u << TR_N_MODULES) - 1);
        assert_ok(tr_lora_create(b.model, &config, 1, &part, &err), err);
        for (int i = 0; i < part->n_layers * TR_N_MODULES; i++)
            if (part->pair[i].present)
                memcpy(part->params + part->pair[i].a, b.lora->params + b.lora->pair[i].a,
                       3 * (size_t)part->pair[i].n_in * sizeof(float));
        float *grad = calloc(part->n_params, sizeof *grad);
        batch_gradient(b.model, part, b.sequence, b.n, true, NULL, grad);
        for (int i = 0; i < part->n_layers * TR_N_MODULES; i++)
            if (part->pair[i].present)
                compare_vectors(grad + part->pair[i].b, b.grad + b.lora->pair[i].b, 3 * (size_t)part->pair[i].n_out,
                                1e-3, tr_module_name((tr_module)(i % TR_N_MODULES)));
        free(grad);
        tr_lora_free(part);
    }
    close_batch(&b);
}

/* ---- held beginnings ---- */

static void test_held_beginning_changes_no_log_probability(void **state)
{
    (void)state;
    batch b;
    tr_error err = {0};
    tr_forest forest, other;
    tr_session *session;
    open_batch(&b, "tiny_llama.gguf", false, true);
    int common = 0; /* of the first three sequences */
    while (b.ids[0][common] == b.ids[1][common] && b.ids[0][common] == b.ids[2][common]) common++;
    assert_true(common > 20);
    assert_ok(tr_forest_build(b.sequence, 3, &forest, &err), err);
    assert_ok(tr_forest_build(b.sequence + 3, 1, &other, &err), err);
    tr_session_plan plan = {.max_nodes = forest.n_nodes + other.n_nodes, .max_targets = 100, .max_positions = 512,
                            .rank = 3, .targets = b.lora->config.targets, .max_held = common};
    assert_ok(tr_session_create(b.model, &plan, &session, &err), err);
    const tr_lora *adapters[] = {NULL, b.lora};
    for (int a = 0; a < 2; a++) {
        float whole[100], held[100], apart[2][100];
        assert_ok(tr_session_hold(session, &forest, 0, NULL, &err), err);
        assert_ok(tr_session_logp(session, &forest, adapters[a], whole, &err), err);
        assert_ok(tr_session_logp(session, &other, adapters[a], apart[0], &err), err);
        tr_session_free(session); /* a fresh one has nothing left over that could pass for a result */
        assert_ok(tr_session_create(b.model, &plan, &session, &err), err);
        assert_ok(tr_session_hold(session, &forest, common, adapters[a], &err), err);
        for (int again = 0; again < 2; again++) {
            assert_ok(tr_session_logp(session, &forest, adapters[a], held, &err), err);
            for (int t = 0; t < forest.n_targets; t++) assert_near(held[t], whole[t], 2e-5, "log-probability");
            /* one that begins differently is computed whole */
            assert_ok(tr_session_logp(session, &other, adapters[a], apart[1], &err), err);
            assert_memory_equal(apart[0], apart[1], (size_t)other.n_targets * sizeof(float));
        }
        assert_ok(tr_session_logp(session, &forest, adapters[1 - a], held, &err), err); /* not of the other adapter */
        assert_true(fabsf(held[0] - whole[0]) > 1e-3f);
    }
    assert_error(tr_session_hold(session, &forest, common + 1, NULL, &err), TR_ERR_VALUE, "cannot hold", err);
    tr_session_free(session);
    tr_forest_free(&forest);
    tr_forest_free(&other);
    close_batch(&b);
}

/* ---- refusals ---- */

static void test_session_refuses_what_exceeds_its_plan(void **state)
{
    (void)state;
    batch b;
    tr_error err = {0};
    open_batch(&b, "tiny_llama.gguf", false, true);
    tr_session_plan plan = {.max_nodes = 10, .max_targets = 10, .max_positions = 10};
    tr_session *session;
    tr_forest forest;
    float logp[64];
    assert_ok(tr_session_create(b.model, &plan, &session, &err), err);
    assert_ok(tr_forest_build(b.sequence, 1, &forest, &err), err);
    assert_error(tr_session_logp(session, &forest, NULL, logp, &err), TR_ERR_VALUE, "exceeds the plan", err);
    tr_forest_free(&forest);
    int32_t ids[3] = {1, 1000000, 2};
    tr_sequence bad = {.token = ids, .n_tokens = 3, .first_target = 1, .weight = 1};
    assert_ok(tr_forest_build(&bad, 1, &forest, &err), err);
    assert_error(tr_session_logp(session, &forest, NULL, logp, &err), TR_ERR_VALUE, "1000000", err);
    tr_forest_free(&forest);
    tr_session_free(session);
    plan.max_positions = 1 << 20;
    assert_error(tr_session_create(b.model, &plan, &session, &err), TR_ERR_VALUE, "context", err);
    plan = (tr_session_plan){.max_nodes = 1 << 28, .max_targets = 1, .max_positions = 10, .train = true};
    assert_error(tr_session_create(b.model, &plan, &session, &err), TR_ERR_MEMORY, "GB are available", err);
    close_batch(&b);
}

static void test_targets_are_parsed_and_unknown_ones_named(void **state)
{
    (void)state;
    tr_error err = {0};
    uint32_t targets;
    char text[128];
    assert_ok(tr_lora_parse_targets("q_proj,v_proj", &targets, &err), err);
    assert_int_equal(targets, 1u << TR_Q | 1u << TR_V);
    assert_string_equal(tr_lora_format_targets(targets, text, sizeof text), "q_proj,v_proj");
    assert_ok(tr_lora_parse_targets("all-linear", &targets, &err), err);
    assert_int_equal(targets, (1u << TR_N_MODULES) - 1);
    assert_ok(tr_lora_parse_targets("q, down", &targets, &err), err);
    assert_int_equal(targets, 1u << TR_Q | 1u << TR_DOWN);
    assert_error(tr_lora_parse_targets("q_proj,w_proj", &targets, &err), TR_ERR_USAGE, "w_proj", err);
    assert_error(tr_lora_parse_targets("", &targets, &err), TR_ERR_USAGE, "no LoRA targets", err);
}

TR_TEST_MAIN(cmocka_unit_test(test_logits_equal_transformers),
             cmocka_unit_test(test_logits_with_llama3_rope_and_separate_output_equal_transformers),
             cmocka_unit_test(test_gradient_on_all_tokens_equals_peft),
             cmocka_unit_test(test_gradient_on_answer_equals_peft),
             cmocka_unit_test(test_rslora_gradient_equals_peft),
             cmocka_unit_test(test_gradient_of_llama3_rope_equals_peft),
             cmocka_unit_test(test_forest_loss_and_gradient_equal_separate_sequences),
             cmocka_unit_test(test_gradient_equals_finite_differences),
             cmocka_unit_test(test_gradient_with_dropout_equals_finite_differences),
             cmocka_unit_test(test_dropout_changes_with_step_and_vanishes_at_zero),
             cmocka_unit_test(test_gradient_bits_do_not_depend_on_threads),
             cmocka_unit_test(test_any_subset_of_targets_gives_its_part_of_the_gradient),
             cmocka_unit_test(test_held_beginning_changes_no_log_probability),
             cmocka_unit_test(test_session_refuses_what_exceeds_its_plan),
             cmocka_unit_test(test_targets_are_parsed_and_unknown_ones_named))
