/* Helpers of the training tests: the tiny model, its golden rows, and made-up rows that share prefixes. */
#ifndef TR_TEST_TRAIN_TESTING_H
#define TR_TEST_TRAIN_TESTING_H

#include "testing.h"
#include "scratch_folder.h"
#include "base/file.h"
#include "format/json.h"
#include "model/adapter.h"
#include "train/tuner.h"

#include <math.h>

static inline tr_model *tiny_model(void)
{
    static tr_model *model; /* for the life of the test */
    tr_error err;
    if (!model) assert_ok(tr_model_open(test_file("golden/tiny_llama.gguf"), &model, &err), err);
    return model;
}

static inline tr_lora *tiny_adapter(void)
{
    tr_lora *lora;
    tr_error err;
    assert_ok(tr_adapter_load(test_file("golden/tiny_adapter"), tiny_model(), &lora, &err), err);
    return lora;
}

static inline json_t *golden_json(const char *name)
{
    char path[256];
    json_t *value;
    tr_error err;
    snprintf(path, sizeof path, "golden/%s", name);
    assert_ok(tr_json_load(test_file(path), &value, &err), err);
    return value;
}

typedef struct {
    tr_sequence row[64];
    int n;
} test_rows;

static inline void free_rows(test_rows *rows)
{
    for (int i = 0; i < rows->n; i++) free((void *)(uintptr_t)rows->row[i].token);
    rows->n = 0;
}

/* The four rows of tiny_gradients.json. */
static inline test_rows golden_rows(void)
{
    test_rows rows = {0};
    json_t *golden = golden_json("tiny_gradients.json"), *row;
    size_t i;
    json_array_foreach(json_object_get(golden, "sequences"), i, row) {
        json_t *ids = json_object_get(row, "ids");
        int n = (int)json_array_size(ids);
        int32_t *token = calloc((size_t)n, sizeof *token);
        for (int t = 0; t < n; t++) token[t] = (int32_t)json_integer_value(json_array_get(ids, (size_t)t));
        rows.row[rows.n++] = (tr_sequence){.token = token, .n_tokens = n, .weight = 1,
                                           .first_target = (int)json_integer_value(json_object_get(row, "answer"))};
    }
    json_decref(golden);
    return rows;
}

/* n short rows: twelve common tokens, some of one of three users, some of the row, an answer of two tokens. */
static inline test_rows made_rows(int n)
{
    test_rows rows = {.n = n};
    for (int i = 0; i < n; i++) {
        int32_t token[64];
        int size = 0;
        for (int t = 0; t < 12; t++) token[size++] = 20 + t * 7;
        for (int t = 0; t < 8; t++) token[size++] = 30 + (i % 3) * 50 + t * 3;
        for (int t = 0; t < 3 + i % 5; t++) token[size++] = 40 + (i * 31 + t * 17) % 300;
        token[size++] = i % 2 ? 101 : 102;
        token[size++] = 0;
        int32_t *copy = malloc((size_t)size * sizeof *copy);
        memcpy(copy, token, (size_t)size * sizeof *copy);
        rows.row[i] = (tr_sequence){.token = copy, .n_tokens = size, .first_target = size - 2, .weight = 1};
    }
    return rows;
}

/* A small recipe on all modules, without warm-up. */
static inline tr_recipe small_recipe(void)
{
    tr_recipe recipe;
    tr_error err;
    assert_ok(tr_recipe_named("quick", &recipe, &err), err);
    recipe.lora.rank = 4;
    recipe.lora.alpha = 8;
    recipe.lr = 5e-3;
    recipe.warmup = 0;
    recipe.batch = 5;
    recipe.micro_tokens = 60;
    recipe.epochs = 3;
    recipe.steps = 0;
    recipe.eval_every = 0;
    recipe.seed = 7;
    return recipe;
}

static inline tr_lora *fresh_lora(const tr_recipe *recipe)
{
    tr_lora *lora;
    tr_error err;
    assert_ok(tr_lora_create(tiny_model(), &recipe->lora, recipe->seed, &lora, &err), err);
    return lora;
}

static inline void assert_close(double value, double expected, double tolerance, const char *what)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%s: %.9g, expected %.9g within %.3g", what, value, expected, tolerance);
}

#endif
