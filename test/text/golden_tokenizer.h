/* Tokenizers for tests: the tiny vocabulary that is stored whole in test/golden/text/tokenizer.json, and that of
 * the model file when there is one. */
#ifndef TR_TEST_GOLDEN_TOKENIZER_H
#define TR_TEST_GOLDEN_TOKENIZER_H

#include "testing.h"
#include "text/tokenizer_kind.h"

#include <jansson.h>

enum { SMOLLM, GPT2, LLAMA3, QWEN2, N_FAMILIES };
static const char *const family_names[N_FAMILIES] = {"smollm", "gpt-2", "llama-bpe", "qwen2"};

static inline json_t *load_json(const char *path)
{
    json_error_t error;
    json_t *value = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (!value) fail_msg("%s:%d: %s", path, error.line, error.text);
    return value;
}

static inline json_t *load_golden(void) { return load_json(test_file("golden/text/tokenizer.json")); }

/* Caller frees. The strings belong to the JSON. */
static inline tr_gguf_string *strings_of(const json_t *array)
{
    tr_gguf_string *out = calloc(json_array_size(array) + 1, sizeof *out);
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *item = json_array_get(array, i);
        out[i] = (tr_gguf_string){json_string_value(item), json_string_length(item)};
    }
    return out;
}

static inline tr_tokenizer *tiny_tokenizer(const json_t *golden, const char *family)
{
    tr_error err;
    tr_tokenizer *tokenizer;
    const json_t *tiny = json_object_get(golden, "tiny"), *types = json_object_get(tiny, "types");
    tr_gguf_string *tokens = strings_of(json_object_get(tiny, "tokens"));
    tr_gguf_string *merges = strings_of(json_object_get(tiny, "merges"));
    int32_t *type = calloc(json_array_size(types), sizeof *type);
    for (size_t i = 0; i < json_array_size(types); i++)
        type[i] = (int32_t)json_integer_value(json_array_get(types, i));
    tr_tokenizer_spec spec = {.model = "gpt2", .pre = family, .tokens = tokens, .types = type, .merges = merges,
                              .n_tokens = json_array_size(json_object_get(tiny, "tokens")),
                              .n_types = json_array_size(types),
                              .n_merges = json_array_size(json_object_get(tiny, "merges")), .bos = -1, .eos = -1,
                              .add_bos = -1};
    assert_ok(tr_tokenizer_create(&spec, &tokenizer, &err), err);
    free(tokens), free(merges), free(type);
    return tokenizer;
}

#endif
