/* This file tests that adapter folders come and go unchanged, and that none which does not fit is accepted. */
#include "testing.h"
#include "scratch_folder.h"
#include "base/file.h"
#include "format/json.h"
#include "format/safetensors.h"
#include "model/adapter.h"

#include <math.h>

static tr_model *open_tiny(const char *name)
{
    tr_model *model;
    tr_error err;
    char path[64];
    snprintf(path, sizeof path, "golden/%s.gguf", name);
    assert_ok(tr_model_open(test_file(path), &model, &err), err);
    return model;
}

static tr_lora *load_golden(const tr_model *model, const char *name)
{
    tr_lora *lora;
    tr_error err;
    char path[64];
    snprintf(path, sizeof path, "golden/%s", name);
    assert_ok(tr_adapter_load(test_file(path), model, &lora, &err), err);
    return lora;
}

static void copy_file(const char *from, const char *to)
{
    char *data;
    size_t size;
    tr_error err;
    assert_ok(tr_file_read(from, 1 << 24, &data, &size, &err), err);
    assert_ok(tr_file_write(to, data, size, &err), err);
    free(data);
}

/* A copy of the golden adapter that a test may damage. */
static const char *copy_adapter(const char *name)
{
    static const char *const files[] = {"adapter_config.json", "adapter_model.safetensors"};
    const char *folder = scratch(name);
    tr_error err;
    scratch_clear(folder);
    assert_ok(tr_folder_create(folder, &err), err);
    for (int i = 0; i < 2; i++) {
        char from[128], to[1200];
        snprintf(from, sizeof from, "golden/tiny_adapter/%s", files[i]);
        snprintf(to, sizeof to, "%s/%s", folder, files[i]);
        copy_file(test_file(from), to);
    }
    return folder;
}

static void set_config(const char *folder, const char *key, json_t *value)
{
    char path[1200];
    json_t *config;
    tr_error err;
    snprintf(path, sizeof path, "%s/adapter_config.json", folder);
    assert_ok(tr_json_load(path, &config, &err), err);
    if (value) json_object_set_new(config, key, value);
    else json_object_del(config, key);
    assert_ok(tr_json_save(path, config, true, &err), err);
    json_decref(config);
}

/* Rewrites the tensors with one changed by `change`, which returns false to drop it. */
typedef bool (*edit)(tr_safetensor_source *tensor, float *data);

static void edit_tensors(const char *folder, const char *name, edit change)
{
    char path[1200];
    tr_safetensors file;
    tr_safetensor_source sources[64];
    float *data[64];
    size_t n = 0;
    tr_error err;
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", folder);
    assert_ok(tr_safetensors_open(path, &file, &err), err);
    for (size_t i = 0; i < file.n_tensors; i++) {
        const tr_safetensor *t = &file.tensors[i];
        data[i] = calloc(t->bytes / 4 + 64, sizeof(float));
        memcpy(data[i], t->data, t->bytes);
        sources[n] = (tr_safetensor_source){.name = t->name, .n_dims = t->n_dims, .data = data[i]};
        memcpy(sources[n].dim, t->dim, sizeof t->dim);
        if (strcmp(t->name, name) != 0 || change(&sources[n], data[i])) n++;
    }
    size_t all = file.n_tensors;
    char *copy = strdup(path); /* the mapping stays valid while the file is replaced */
    assert_ok(tr_safetensors_write(copy, sources, n, &err), err);
    free(copy);
    tr_safetensors_close(&file);
    for (size_t i = 0; i < all; i++) free(data[i]);
}

#define FIRST "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"

static void test_saved_tensors_equal_the_bytes_that_peft_wrote(void **state)
{
    (void)state;
    static const char *const adapters[] = {"tiny_adapter", "tiny_adapter_rslora", "tiny_adapter_llama3"};
    for (int i = 0; i < 3; i++) {
        tr_model *model = open_tiny(i == 2 ? "tiny_llama3" : "tiny_llama");
        tr_lora *lora = load_golden(model, adapters[i]);
        char *expected, *got, path[64];
        size_t n_expected, n_got;
        tr_error err;
        assert_ok(tr_adapter_save(scratch("saved/adapter"), model, lora, NULL, &err), err);
        snprintf(path, sizeof path, "golden/%s/adapter_model.safetensors", adapters[i]);
        assert_ok(tr_file_read(test_file(path), 1 << 24, &expected, &n_expected, &err), err);
        assert_ok(tr_file_read(scratch("saved/adapter/adapter_model.safetensors"), 1 << 24, &got, &n_got, &err), err);
        assert_int_equal(n_got, n_expected);
        assert_memory_equal(got, expected, n_expected);
        free(expected);
        free(got);
        tr_lora_free(lora);
        tr_model_close(model);
    }
}

static void test_saved_config_means_what_peft_wrote(void **state)
{
    (void)state;
    tr_model *model = open_tiny("tiny_llama");
    tr_lora *lora = load_golden(model, "tiny_adapter_rslora"), *again;
    json_t *ours, *theirs, *value;
    const char *key;
    tr_error err;
    assert_ok(tr_adapter_save(scratch("config"), model, lora, "base/name", &err), err);
    assert_ok(tr_json_load(scratch("config/adapter_config.json"), &ours, &err), err);
    assert_ok(tr_json_load(test_file("golden/tiny_adapter/adapter_config.json"), &theirs, &err), err);
    assert_string_equal(json_string_value(json_object_get(ours, "base_model_name_or_path")), "base/name");
    assert_true(json_is_true(json_object_get(ours, "use_rslora")));
    json_object_set(ours, "base_model_name_or_path", json_null());
    json_object_set(ours, "use_rslora", json_false());
    json_object_foreach(ours, key, value) {
        if (strcmp(key, "target_modules") == 0) continue; /* a set: in any order */
        const json_t *other = json_object_get(theirs, key);
        if (json_is_number(value) ? json_number_value(value) != json_number_value(other) : !json_equal(value, other))
            fail_msg("%s differs from what PEFT writes", key);
    }
    assert_int_equal(json_array_size(json_object_get(ours, "target_modules")), 7);
    assert_ok(tr_adapter_load(scratch("config"), model, &again, &err), err);
    assert_true(again->config.rslora && again->config.rank == 3 && again->config.alpha == 6);
    assert_true(again->scale == lora->scale);
    assert_memory_equal(again->params, lora->params, lora->n_params * sizeof(float));
    json_decref(ours);
    json_decref(theirs);
    tr_lora_free(lora);
    tr_lora_free(again);
    tr_model_close(model);
}

/* The oracle permutes as the converter does: reshape (heads, 2, d/2) and swap the last two. */
static void test_rows_of_q_and_k_are_permuted_and_others_are_not(void **state)
{
    (void)state;
    tr_model *model = open_tiny("tiny_llama");
    tr_lora *lora = load_golden(model, "tiny_adapter");
    tr_safetensors file;
    tr_error err;
    assert_true(model->config.rope_interleaved);
    assert_ok(tr_safetensors_open(test_file("golden/tiny_adapter/adapter_model.safetensors"), &file, &err), err);
    for (int m = TR_Q; m <= TR_V; m++) {
        char name[128];
        snprintf(name, sizeof name, "base_model.model.model.layers.1.self_attn.%s.lora_B.weight",
                 tr_module_name((tr_module)m));
        const float *hf = (const float *)tr_safetensors_find(&file, name)->data;
        const tr_lora_pair *pair = tr_lora_at(lora, 1, (tr_module)m);
        const int d = model->config.head_dim, rank = lora->config.rank;
        for (int row = 0, head = 0; head < pair->n_out / d; head++)
            for (int j = 0; j < d / 2; j++)
                for (int s = 0; s < 2; s++, row++) {
                    int source = m == TR_V ? row : head * d + s * (d / 2) + j;
                    assert_memory_equal(lora->params + pair->b + row * rank, hf + source * rank,
                                        (size_t)rank * sizeof(float));
                }
    }
    tr_safetensors_close(&file);
    tr_lora_free(lora);
    tr_model_close(model);
}

static void expect_refusal(const tr_model *model, const char *folder, tr_status status, const char *text)
{
    tr_lora *lora;
    tr_error err;
    assert_error(tr_adapter_load(folder, model, &lora, &err), status, text, err);
    assert_null(lora);
}

static void test_options_that_change_the_result_are_refused_by_name(void **state)
{
    (void)state;
    tr_model *model = open_tiny("tiny_llama");
    static const struct {
        const char *key, *value, *named;
        tr_status status;
    } cases[] = {
        {"peft_type", "\"IA3\"", "IA3", TR_ERR_UNSUPPORTED},
        {"task_type", "\"SEQ_CLS\"", "SEQ_CLS", TR_ERR_UNSUPPORTED},
        {"use_dora", "true", "use_dora", TR_ERR_UNSUPPORTED},
        {"bias", "\"all\"", "bias", TR_ERR_UNSUPPORTED},
        {"lora_bias", "true", "lora_bias", TR_ERR_UNSUPPORTED},
        {"fan_in_fan_out", "true", "fan_in_fan_out", TR_ERR_UNSUPPORTED},
        {"modules_to_save", "[\"lm_head\"]", "modules_to_save", TR_ERR_UNSUPPORTED},
        {"rank_pattern", "{\"q_proj\": 4}", "rank_pattern", TR_ERR_UNSUPPORTED},
        {"alpha_pattern", "{\"q_proj\": 4}", "alpha_pattern", TR_ERR_UNSUPPORTED},
        {"layers_to_transform", "[0]", "layers_to_transform", TR_ERR_UNSUPPORTED},
        {"exclude_modules", "[\"q_proj\"]", "exclude_modules", TR_ERR_UNSUPPORTED},
        {"an_option_of_the_future", "1", "an_option_of_the_future", TR_ERR_UNSUPPORTED},
        {"init_lora_weights", "\"pissa_niter_4\"", "pissa_niter_4", TR_ERR_UNSUPPORTED},
        {"target_modules", "[\"q_proj\", \"lm_head\"]", "lm_head", TR_ERR_UNSUPPORTED},
        {"target_modules", "[\"0.self_attn.q_proj\"]", "1 of 2 layers", TR_ERR_UNSUPPORTED},
        {"target_modules", "\"(q_proj\"", "(q_proj", TR_ERR_UNSUPPORTED},
        {"target_modules", "[]", "target_modules", TR_ERR_FORMAT},
        {"target_modules", "[1]", "target_modules", TR_ERR_FORMAT},
        {"r", "0", "r 0", TR_ERR_UNSUPPORTED},
        {"r", "\"8\"", "r", TR_ERR_FORMAT},
        {"lora_alpha", "-1", "lora_alpha", TR_ERR_VALUE},
        {"lora_dropout", "1", "lora_dropout", TR_ERR_VALUE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *folder = copy_adapter("option");
        set_config(folder, cases[i].key, json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        expect_refusal(model, folder, cases[i].status, cases[i].named);
    }
    set_config(copy_adapter("option"), "peft_type", NULL);
    expect_refusal(model, scratch("option"), TR_ERR_FORMAT, "peft_type");
    tr_model_close(model);
}

static void test_target_modules_are_read_in_every_form_that_peft_has(void **state)
{
    (void)state;
    tr_model *model = open_tiny("tiny_llama");
    static const char *const forms[] = {
        "\"all-linear\"",
        "\".*_proj\"",
        "\"model\\\\.layers\\\\.\\\\d+\\\\.(self_attn\\\\.(q|k|v|o)|mlp\\\\.(gate|up|down))_proj\"",
        "[\"self_attn.q_proj\", \"k_proj\", \"v_proj\", \"o_proj\", \"mlp.gate_proj\", \"up_proj\", \"down_proj\"]",
    };
    for (int i = 0; i < 4; i++) {
        const char *folder = copy_adapter("forms");
        tr_lora *lora;
        tr_error err;
        set_config(folder, "target_modules", json_loads(forms[i], JSON_DECODE_ANY, NULL));
        assert_ok(tr_adapter_load(folder, model, &lora, &err), err);
        assert_int_equal(lora->config.targets, 0x7f);
        tr_lora_free(lora);
    }
    tr_model_close(model);
}

static bool drop(tr_safetensor_source *t, float *data)
{
    (void)t, (void)data;
    return false;
}

static bool rename_it(tr_safetensor_source *t, float *data)
{
    (void)data;
    t->name = "base_model.model.lm_head.lora_A.weight";
    return true;
}

static bool widen(tr_safetensor_source *t, float *data)
{
    (void)data;
    t->dim[1] += 8;
    return true;
}

static bool flatten(tr_safetensor_source *t, float *data)
{
    (void)data;
    t->dim[0] *= t->dim[1];
    t->n_dims = 1;
    return true;
}

static bool put_nan(tr_safetensor_source *t, float *data)
{
    (void)t;
    data[5] = NAN;
    return true;
}

static void test_tensors_that_do_not_fit_are_refused_by_name(void **state)
{
    (void)state;
    tr_model *model = open_tiny("tiny_llama");
    edit_tensors(copy_adapter("tensors"), FIRST, drop);
    expect_refusal(model, scratch("tensors"), TR_ERR_MISMATCH, "1 of the 28 tensors");
    expect_refusal(model, scratch("tensors"), TR_ERR_MISMATCH, FIRST);
    edit_tensors(copy_adapter("tensors"), FIRST, rename_it);
    expect_refusal(model, scratch("tensors"), TR_ERR_MISMATCH, FIRST);
    edit_tensors(copy_adapter("tensors"), FIRST, widen);
    expect_refusal(model, scratch("tensors"), TR_ERR_MISMATCH, "(3, 72), this model needs (3, 64)");
    edit_tensors(copy_adapter("tensors"), FIRST, flatten);
    expect_refusal(model, scratch("tensors"), TR_ERR_MISMATCH, "(192), this model needs (3, 64)");
    edit_tensors(copy_adapter("tensors"), FIRST, put_nan);
    expect_refusal(model, scratch("tensors"), TR_ERR_VALUE, "NaN");
    set_config(copy_adapter("tensors"), "target_modules", json_pack("[s]", "q_proj"));
    expect_refusal(model, scratch("tensors"), TR_ERR_MISMATCH, "24 of its 28 tensors have no place");
    tr_model_close(model);
}

static void test_an_adapter_of_another_base_is_refused(void **state)
{
    (void)state;
    tr_model *model = open_tiny("tiny_llama3");
    tr_lora *lora;
    tr_error err;
    assert_error(tr_adapter_load(test_file("golden/tiny_adapter"), model, &lora, &err), TR_ERR_MISMATCH, "shape",
                 err);
    assert_non_null(strstr(err.hint, "another base model"));
    assert_non_null(strstr(err.where, "adapter_model.safetensors"));
    tr_model_close(model);
}

static void test_a_truncated_or_missing_file_is_refused(void **state)
{
    (void)state;
    tr_model *model = open_tiny("tiny_llama");
    const char *folder = copy_adapter("cut");
    char path[1200];
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", folder);
    for (long size = 30000; size >= 0; size = size > 100 ? size / 3 : size - 25) {
        if (truncate(path, size) != 0) fail();
        expect_refusal(model, folder, TR_ERR_FORMAT, "adapter_model.safetensors");
    }
    unlink(path);
    expect_refusal(model, folder, TR_ERR_FORMAT, "has no adapter_model.safetensors");
    snprintf(path, sizeof path, "%s/adapter_config.json", folder);
    if (truncate(path, 40) != 0) fail();
    copy_file(test_file("golden/tiny_adapter/adapter_model.safetensors"), scratch("cut/adapter_model.safetensors"));
    expect_refusal(model, folder, TR_ERR_FORMAT, "adapter_config.json");
    unlink(path);
    expect_refusal(model, folder, TR_ERR_FORMAT, "no adapter_config.json");
    expect_refusal(model, scratch("nowhere"), TR_ERR_IO, "no folder");
    tr_model_close(model);
}

static void test_norms_reveal_an_adapter_that_does_nothing(void **state)
{
    (void)state;
    tr_model *model = open_tiny("tiny_llama");
    tr_lora_config config = {.rank = 4, .alpha = 8, .targets = 1u << TR_Q | 1u << TR_DOWN};
    tr_lora *fresh, *again, *golden = load_golden(model, "tiny_adapter");
    double a, b;
    tr_error err;
    assert_ok(tr_lora_create(model, &config, 1, &fresh, &err), err);
    assert_ok(tr_adapter_save(scratch("fresh"), model, fresh, "tiny", &err), err);
    assert_ok(tr_adapter_load(scratch("fresh"), model, &again, &err), err);
    assert_memory_equal(fresh->params, again->params, fresh->n_params * sizeof(float));
    tr_adapter_norms(again, &a, &b);
    assert_true(a > 1 && b == 0);
    tr_adapter_norms(golden, &a, &b);
    double squares = 0;
    for (size_t i = 0; i < golden->n_params; i++) squares += (double)golden->params[i] * golden->params[i];
    assert_true(fabs(a * a + b * b - squares) < 1e-9 * squares && b > 1);
    tr_lora_free(fresh);
    tr_lora_free(again);
    tr_lora_free(golden);
    tr_model_close(model);
}

TR_TEST_MAIN(cmocka_unit_test(test_saved_tensors_equal_the_bytes_that_peft_wrote),
             cmocka_unit_test(test_saved_config_means_what_peft_wrote),
             cmocka_unit_test(test_rows_of_q_and_k_are_permuted_and_others_are_not),
             cmocka_unit_test(test_options_that_change_the_result_are_refused_by_name),
             cmocka_unit_test(test_target_modules_are_read_in_every_form_that_peft_has),
             cmocka_unit_test(test_tensors_that_do_not_fit_are_refused_by_name),
             cmocka_unit_test(test_an_adapter_of_another_base_is_refused),
             cmocka_unit_test(test_a_truncated_or_missing_file_is_refused),
             cmocka_unit_test(test_norms_reveal_an_adapter_that_does_nothing))
