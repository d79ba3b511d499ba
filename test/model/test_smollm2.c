/* Tests of the real model against transformers and PEFT (float32, dequantised weights), on published prompts that
 * golden files name by row: log-probabilities, whole logit rows, gradients, four AdamW steps. */
#include "model_testing.h"

#include "base/sha256.h"
#include "base/system.h"
#include "rec/example.h"
#include "text/prompt.h"

typedef struct {
    tr_model *model;
    tr_examples rows;
} fixture;

/* Opens the model and the published movie test rows, or skips. */
static bool open_fixture(fixture *f, const char *golden)
{
    tr_error err = {0};
    const char *model = test_path("TALLREC_TEST_MODEL"), *shared = test_path("TALLREC_TEST_SHARED");
    if (!model || !shared) return false;
    char path[4096], hex[TR_SHA256_HEX];
    snprintf(path, sizeof path, "%s/data/tallrec/movie/test.json", shared);
    size_t bad;
    assert_ok(tr_examples_read(path, true, &f->rows, &bad, &err), err);
    assert_ok(tr_model_open(model, &f->model, &err), err);
    json_t *root = golden_json(golden);
    tr_model_hash(f->model, hex);
    assert_string_equal(hex, json_string_value(json_object_get(root, "model_sha256")));
    assert_ok(tr_sha256_file(path, hex, &err), err);
    assert_string_equal(hex, json_string_value(json_object_get(root, "rows_sha256")));
    json_decref(root);
    return true;
}

static void close_fixture(fixture *f)
{
    tr_examples_free(&f->rows);
    tr_model_close(f->model);
}

/* Under sanitizers, and at CPU levels below the best, a part of each test: the same code, many times slower. */
static bool in_short(void)
{
    tr_cpu_level level;
    tr_error err = {0};
    assert_ok(tr_cpu_detect(&level, &err), err);
    return getenv("TALLREC_TEST_SANITIZED") || (level < TR_CPU_AVX512 && tr_cpu_has(level + 1));
}

#define OPEN(f, golden) \
    if (!open_fixture(&(f), golden)) skip_because("TALLREC_TEST_MODEL or TALLREC_TEST_SHARED is not set")

/* Ids of row i's prompt, with its answer and the end-of-text token when asked for; *answer_at: first answer token.
 */
static void encode_row(const fixture *f, int i, bool with_answer, tr_tokens *out, int *answer_at)
{
    tr_error err = {0};
    const tr_example *row = &f->rows.row[i];
    char *prompt, *text;
    tr_tokens alone = {0};
    assert_ok(tr_prompt_alpaca(row->instruction, row->input, &prompt, &err), err);
    assert_true(asprintf(&text, "%s%s", prompt, with_answer ? row->output : "") >= 0);
    assert_ok(tr_encode(f->model->tokenizer, prompt, strlen(prompt), TR_ENCODE_SPECIAL, &alone, &err), err);
    assert_ok(tr_encode(f->model->tokenizer, text, strlen(text), TR_ENCODE_SPECIAL, out, &err), err);
    *answer_at = (int)alone.n;
    if (with_answer) {
        assert_ok(tr_reserve(&out->id, &out->capacity, out->n + 1, sizeof *out->id, "ids", &err), err);
        out->id[out->n++] = tr_tokenizer_eos(f->model->tokenizer);
    }
    tr_tokens_free(&alone);
    free(prompt);
    free(text);
}

/* ---- scores ---- */

static void test_yes_no_log_probabilities_equal_transformers(void **state)
{
    (void)state;
    fixture f = {0};
    tr_error err = {0};
    OPEN(f, "smollm2_scores.json");
    json_t *root = golden_json("smollm2_scores.json"), *rows = json_object_get(root, "rows");
    enum { STEP = 25 };
    const int n = in_short() ? STEP : (int)json_array_size(rows);
    const int32_t answer[2] = {(int32_t)json_integer_value(json_object_get(root, "yes_id")),
                               (int32_t)json_integer_value(json_object_get(root, "no_id"))};
    tr_session_plan plan = {.max_nodes = STEP * 300, .max_targets = 2 * STEP, .max_positions = 512};
    tr_session *session;
    assert_ok(tr_session_create(f.model, &plan, &session, &err), err);
    double worst = 0;
    for (int first = 0; first + STEP <= n; first += STEP) {
        tr_sequence sequence[2 * STEP];
        tr_tokens ids[2 * STEP] = {0};
        for (int i = 0; i < 2 * STEP; i++) {
            int at;
            encode_row(&f, first + i / 2, false, &ids[i], &at);
            assert_int_equal(
                at, json_integer_value(json_object_get(json_array_get(rows, (size_t)(first + i / 2)), "n_tokens")));
            assert_ok(tr_reserve(&ids[i].id, &ids[i].capacity, ids[i].n + 1, sizeof(int32_t), "ids", &err), err);
            ids[i].id[ids[i].n++] = answer[i % 2];
            sequence[i] =
                (tr_sequence){.token = ids[i].id, .n_tokens = (int)ids[i].n, .first_target = at, .weight = 1};
        }
        tr_forest forest;
        float logp[2 * STEP];
        assert_ok(tr_forest_build(sequence, 2 * STEP, &forest, &err), err);
        assert_ok(tr_session_logp(session, &forest, NULL, logp, &err), err);
        for (int i = 0; i < 2 * STEP; i++) {
            json_t *row = json_array_get(rows, (size_t)(first + i / 2));
            double expected = json_number_value(json_object_get(row, i % 2 ? "logp_no" : "logp_yes"));
            worst = fmax(worst, fabs(logp[forest.sequence_target[forest.sequence_first[i]]] - expected));
            tr_tokens_free(&ids[i]);
        }
        tr_forest_free(&forest);
    }
    fprintf(stderr, "# largest difference of log-probabilities: %.2g\n", worst);
    assert_near(worst, 0, 1e-3, "largest difference of log-probabilities");
    tr_session_free(session);
    json_decref(root);
    close_fixture(&f);
}

static void test_whole_vocabulary_logits_equal_transformers(void **state)
{
    (void)state;
    fixture f = {0};
    tr_error err = {0};
    OPEN(f, "smollm2_logits.json");
    json_t *root = golden_json("smollm2_logits.json");
    const double step = json_number_value(json_object_get(root, "step"));
    char *bytes;
    size_t size;
    assert_ok(tr_file_read(test_file("golden/smollm2_logits.bin"), 1 << 24, &bytes, &size, &err), err);
    const int n_vocab = f.model->config.n_vocab;
    float *logits = calloc((size_t)n_vocab, sizeof *logits);
    double worst = 0;
    for (int i = 0; i < 3; i++) {
        tr_tokens ids = {0};
        int at;
        encode_row(&f, i, true, &ids, &at);
        tr_sequence sequence = {.token = ids.id, .n_tokens = at + 1, .first_target = at, .weight = 1};
        tr_session_plan plan = {.max_nodes = at, .max_targets = 1, .max_positions = at};
        tr_session *session;
        tr_forest forest;
        assert_ok(tr_session_create(f.model, &plan, &session, &err), err);
        assert_ok(tr_forest_build(&sequence, 1, &forest, &err), err);
        assert_ok(tr_session_logits(session, &forest, NULL, &(int32_t){at - 1}, 1, logits, &err), err);
        for (int v = 0; v < n_vocab; v++) {
            int16_t value;
            memcpy(&value, bytes + 2 * ((size_t)i * (size_t)n_vocab + (size_t)v), 2);
            worst = fmax(worst, fabs(logits[v] - value * step));
        }
        tr_forest_free(&forest);
        tr_session_free(session);
        tr_tokens_free(&ids);
    }
    fprintf(stderr, "# largest difference of logits: %.2g (golden values are rounded to %.0e)\n", worst, step);
    assert_near(worst, 0, 2e-3, "largest difference of logits");
    free(logits);
    free(bytes);
    json_decref(root);
    close_fixture(&f);
}

/* ---- training ---- */

typedef struct {
    tr_tokens ids[16];
    tr_sequence sequence[16];
} rows16;

static void open_rows(const fixture *f, int n, bool on_answer, rows16 *r)
{
    memset(r, 0, sizeof *r);
    for (int i = 0; i < n; i++) {
        int at;
        encode_row(f, i, true, &r->ids[i], &at);
        r->sequence[i] = (tr_sequence){
            .token = r->ids[i].id, .n_tokens = (int)r->ids[i].n, .weight = 1, .first_target = on_answer ? at : 1};
    }
}

static void close_rows(rows16 *r)
{
    for (int i = 0; i < 16; i++) tr_tokens_free(&r->ids[i]);
}

static tr_lora *open_adapter(const fixture *f, const json_t *of, double b_scale)
{
    tr_error err = {0};
    tr_lora_config config = {.rank = (int)json_integer_value(json_object_get(of, "rank")),
                             .rslora = json_is_true(json_object_get(of, "rslora")),
                             .alpha = (float)json_number_value(json_object_get(of, "alpha"))};
    size_t i;
    json_t *name;
    json_array_foreach (json_object_get(of, "targets"), i, name) {
        uint32_t one;
        assert_ok(tr_lora_parse_targets(json_string_value(name), &one, &err), err);
        config.targets |= one;
    }
    tr_lora *lora;
    assert_ok(tr_lora_create(f->model, &config, 1, &lora, &err), err);
    fill_formula(f->model, lora, b_scale);
    return lora;
}

static void check_tensors(const fixture *f, const tr_lora *lora, const float *grad, const json_t *tensors,
                          const char *bytes)
{
    double sums[3] = {0};
    size_t i;
    json_t *t;
    json_array_foreach (tensors, i, t) {
        char parent[16], module[16], half;
        int layer;
        assert_int_equal(sscanf(json_string_value(json_object_get(t, "key")),
                                "base_model.model.model.layers.%d.%15[a-z_].%15[a-z_].lora_%c", &layer, parent,
                                module, &half),
                         4);
        uint32_t bit;
        assert_ok(tr_lora_parse_targets(module, &bit, NULL), (tr_error){0});
        int m = __builtin_ctz(bit);
        size_t n = (size_t)(json_integer_value(json_array_get(json_object_get(t, "shape"), 0)) *
                            json_integer_value(json_array_get(json_object_get(t, "shape"), 1)));
        double *expected = calloc(n, sizeof *expected), step = json_number_value(json_object_get(t, "step"));
        for (size_t j = 0; j < n; j++) {
            int16_t value;
            memcpy(&value, bytes + json_integer_value(json_object_get(t, "offset")) + 2 * j, 2);
            expected[j] = value * step;
        }
        compare_matrix(f->model, lora, grad, layer, m, half == 'B', expected, sums);
        free(expected);
    }
    if (sums[2] > 0) assert_near(sums[0] / sqrt(sums[1] * sums[2]), 1, 1e-6, "cosine of gradients");
}

static void test_gradients_equal_peft(void **state)
{
    (void)state;
    fixture f = {0};
    tr_error err = {0};
    OPEN(f, "smollm2_gradients.json");
    json_t *root = golden_json("smollm2_gradients.json"), *c;
    char *bytes;
    size_t size, k;
    assert_ok(tr_file_read(test_file("golden/smollm2_gradients.bin"), 1 << 24, &bytes, &size, &err), err);
    json_array_foreach (json_object_get(root, "cases"), k, c) {
        const char *name = json_string_value(json_object_get(c, "name"));
        if (in_short() && strcmp(name, "qv_all") != 0) continue;
        tr_lora *lora = open_adapter(&f, c, json_number_value(json_object_get(root, "b_scale")));
        rows16 r;
        open_rows(&f, 4, strcmp(json_string_value(json_object_get(c, "loss_on")), "answer") == 0, &r);
        float *grad = calloc(lora->n_params, sizeof *grad);
        double loss = batch_gradient(f.model, lora, r.sequence, 4, true, NULL, grad);
        double norm = json_number_value(json_object_get(c, "grad_norm"));
        assert_near(loss, json_number_value(json_object_get(c, "loss")), 5e-5, name); /* 12 targets, float32 */
        assert_near(norm_of(grad, lora->n_params), norm, 1e-4 * norm, name);
        size_t t = 0;
        for (int i = 0; i < lora->n_layers * TR_N_MODULES; i++)
            for (int half = 0; lora->pair[i].present && half < 2; half++, t++) {
                double expected = json_number_value(json_array_get(json_object_get(c, "norms"), t));
                size_t rank = (size_t)lora->config.rank;
                double got = half ? norm_of(grad + lora->pair[i].b, rank * (size_t)lora->pair[i].n_out)
                                  : norm_of(grad + lora->pair[i].a, rank * (size_t)lora->pair[i].n_in);
                assert_near(got, expected, 1e-3 * expected, name);
            }
        check_tensors(&f, lora, grad, json_object_get(c, "tensors"), bytes);
        free(grad);
        close_rows(&r);
        tr_lora_free(lora);
    }
    free(bytes);
    json_decref(root);
    close_fixture(&f);
}

static void test_four_adamw_steps_give_pefts_losses(void **state)
{
    (void)state;
    fixture f = {0};
    tr_error err = {0};
    OPEN(f, "smollm2_steps.json");
    const tr_kernels *kernels;
    assert_ok(tr_kernels_select(&kernels, &err), err);
    json_t *root = golden_json("smollm2_steps.json"), *run;
    size_t k;
    json_array_foreach (json_object_get(root, "runs"), k, run) {
        const bool on_answer = strcmp(json_string_value(json_object_get(run, "loss_on")), "answer") == 0;
        const double clip = json_number_value(json_object_get(run, "clip"));
        if (on_answer == (clip > 0)) continue; /* two of the four runs have all there is to see */
        tr_lora *lora = open_adapter(&f, root, json_number_value(json_object_get(root, "b_scale")));
        float *grad = calloc(3 * lora->n_params, sizeof *grad), *m = grad + lora->n_params, *v = m + lora->n_params;
        rows16 r;
        open_rows(&f, 16, on_answer, &r);
        size_t s;
        json_t *step;
        json_array_foreach (json_object_get(run, "steps"), s, step) {
            double loss = batch_gradient(f.model, lora, r.sequence, 16, true, NULL, grad);
            double norm = norm_of(grad, lora->n_params),
                   expected = json_number_value(json_object_get(step, "grad_norm"));
            assert_near(loss, json_number_value(json_object_get(step, "loss")), 1e-4, "loss");
            assert_near(norm, expected, 1e-3 * expected, "gradient norm");
            if (in_short()) break;
            float scale = clip > 0 && norm > clip ? (float)(clip / (norm + 1e-6)) : 1;
            kernels->adamw(lora->params, grad, m, v, lora->n_params,
                           (float)json_number_value(json_object_get(step, "lr")), 0.9f, 0.999f, 1e-8f, 0,
                           (int64_t)s + 1, scale);
        }
        close_rows(&r);
        free(grad);
        tr_lora_free(lora);
    }
    json_decref(root);
    close_fixture(&f);
}

TR_TEST_MAIN(cmocka_unit_test(test_yes_no_log_probabilities_equal_transformers),
             cmocka_unit_test(test_whole_vocabulary_logits_equal_transformers),
             cmocka_unit_test(test_gradients_equal_peft), cmocka_unit_test(test_four_adamw_steps_give_pefts_losses))
