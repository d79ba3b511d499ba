/* Tests that text becomes the ids that Hugging Face tokenizers gives, and comes back whole. What it gives is in
 * test/golden/text/tokenizer.json, made by tools/make_golden_tokenizer.py: for the tiny vocabulary stored there
 * (needs no files) and for SmolLM2's, each with the pre-tokenizers of all families. */
#include "golden_tokenizer.h"

#include "base/file.h"
#include "base/str.h"
#include "base/system.h"
#include "text/normalize.h"
#include "text/prompt.h"

/* One vocabulary with the pre-tokenizers of all families. */
typedef struct {
    const char *name; /* key in the golden file */
    tr_tokenizer *of[N_FAMILIES];
    bool lacks[256]; /* bytes without a token */
} family_set;

static json_t *golden;
static family_set tiny = {.name = "tiny"}, model = {.name = "model"};

/* SmolLM2's metadata with another family's name. */
static tr_tokenizer *model_tokenizer(const tr_gguf *file, const char *family)
{
    tr_error err;
    tr_tokenizer *tokenizer;
    tr_tokenizer_spec spec = {.model = "gpt2", .pre = family, .bos = 1, .eos = 2, .add_bos = 0};
    tr_gguf_string *tokens, *merges;
    assert_ok(tr_gguf_need_strings(file, "tokenizer.ggml.tokens", &tokens, &spec.n_tokens, &err), err);
    assert_ok(tr_gguf_need_strings(file, "tokenizer.ggml.merges", &merges, &spec.n_merges, &err), err);
    int32_t *types = calloc(spec.n_tokens, sizeof *types);
    for (size_t i = 0; i < spec.n_tokens; i++) types[i] = i < 17 ? TR_TOKEN_CONTROL : TR_TOKEN_NORMAL;
    spec.tokens = tokens, spec.merges = merges, spec.types = types, spec.n_types = spec.n_tokens;
    assert_ok(tr_tokenizer_create(&spec, &tokenizer, &err), err);
    free(tokens), free(merges), free(types);
    return tokenizer;
}

static int set_up(void **state)
{
    (void)state;
    golden = load_golden();
    for (int f = 0; f < N_FAMILIES; f++) tiny.of[f] = tiny_tokenizer(golden, family_names[f]);
    if (!test_path("TALLREC_TEST_MODEL")) return 0;
    tr_gguf file;
    tr_error err;
    assert_ok(tr_gguf_open(test_path("TALLREC_TEST_MODEL"), &file, &err), err);
    assert_ok(tr_tokenizer_from_gguf(&file, &model.of[SMOLLM], &err), err);
    for (int f = GPT2; f < N_FAMILIES; f++) model.of[f] = model_tokenizer(&file, family_names[f]);
    tr_gguf_close(&file);
    /* SmolLM2 has 235 of the 256 bytes: never seen in its training were these controls and first bytes. */
    for (const char *p = "\x04\x06\x13\x14\x16\x1d\xc0\xc1\xf1\xf2"; *p; p++) model.lacks[(uint8_t)*p] = true;
    for (int b = 0xf5; b < 256; b++) model.lacks[b] = true;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int f = 0; f < N_FAMILIES; f++) tr_tokenizer_free(tiny.of[f]), tr_tokenizer_free(model.of[f]);
    json_decref(golden);
    return 0;
}

/* decode(encode(text)) is text, except what the tokenizer is known to change: Qwen 2 normalises, and bytes
 * without a token vanish. */
static void check_round_trip(const family_set *set, int family, const char *text, size_t size,
                             const tr_tokens *tokens)
{
    tr_error err;
    tr_str expected = {0}, plain = {0};
    char *decoded;
    size_t decoded_size;
    if (family == QWEN2) assert_ok(tr_normalize_nfc(text, size, &plain, &err), err);
    else tr_str_add_bytes(&plain, text, size);
    for (size_t i = 0; i < plain.size; i++)
        if (!set->lacks[(uint8_t)plain.data[i]]) tr_str_add_bytes(&expected, plain.data + i, 1);
    assert_ok(tr_decode(set->of[family], tokens->id, tokens->n, false, false, &decoded, &decoded_size, &err), err);
    if (decoded_size != expected.size || (decoded_size && memcmp(decoded, expected.data, decoded_size)))
        fail_msg("%s %s: '%.60s' came back as '%.60s'", set->name, family_names[family], text, decoded);
    free(decoded);
    tr_str_free(&plain);
    tr_str_free(&expected);
}

/* Ids of a text, checked to come back as the text. */
static void encode(const family_set *set, int family, const char *text, size_t size, tr_tokens *tokens)
{
    tr_error err;
    tokens->n = 0;
    assert_ok(tr_encode(set->of[family], text, size, TR_ENCODE_SPECIAL | TR_ENCODE_BOS, tokens, &err), err);
    /* Qwen 2 normalises what lies between special tokens, not the whole. */
    bool cut = memmem(text, size, "<|", 2) || memmem(text, size, "two words", 9);
    if (family != QWEN2 || !cut) check_round_trip(set, family, text, size, tokens);
}

static uint32_t fnv(uint32_t state, const tr_tokens *tokens)
{
    for (size_t i = 0; i < tokens->n; i++)
        for (int b = 0; b < 32; b += 8) state = (state ^ ((uint32_t)tokens->id[i] >> b & 0xFF)) * 0x01000193;
    return state;
}

/* One hash over the ids of all families, each closed by -1. */
static uint32_t row_hash(const family_set *set, const char *text, size_t size)
{
    uint32_t state = 0x811C9DC5;
    tr_tokens tokens = {0};
    tr_error err;
    for (int f = 0; f < N_FAMILIES; f++) {
        encode(set, f, text, size, &tokens);
        assert_ok(tr_tokens_add(&tokens, -1, &err), err);
        state = fnv(state, &tokens);
    }
    tr_tokens_free(&tokens);
    return state;
}

/* Row `row` of a string of hashes, 8 hexadecimal digits each. */
static void check_row(const family_set *set, const char *source, const json_t *hashes, size_t row,
                      const char *text, size_t size)
{
    unsigned expected;
    if (!hashes || json_string_length(hashes) < 8 * (row + 1)) fail_msg("%s: no hash for row %zu", source, row);
    sscanf(json_string_value(hashes) + 8 * row, "%8x", &expected);
    uint32_t got = row_hash(set, text, size);
    if (got != expected)
        fail_msg("%s row %zu: ids hash to %08x, not %08x: '%.200s'", source, row, got, expected, text);
}

static void check_ids(const char *what, const char *text, const json_t *expected, const tr_tokens *tokens)
{
    bool same = json_array_size(expected) == tokens->n;
    for (size_t i = 0; same && i < tokens->n; i++)
        same = json_integer_value(json_array_get(expected, i)) == tokens->id[i];
    if (same) return;
    tr_str message = {0};
    tr_str_addf(&message, "%s: '%s' gave", what, text);
    for (size_t i = 0; i < tokens->n; i++) tr_str_addf(&message, " %d", tokens->id[i]);
    char *wanted = json_dumps(expected, JSON_COMPACT);
    fail_msg("%s, expected %s", message.data, wanted);
}

static void check_hard_strings(const family_set *set)
{
    tr_error err;
    tr_tokens tokens = {0};
    size_t i;
    const json_t *entry;
    char plain_key[32];
    snprintf(plain_key, sizeof plain_key, "plain_%s", set->name);
    json_array_foreach(json_object_get(golden, "strings"), i, entry)
    {
        const json_t *text = json_object_get(entry, "text"), *families = json_object_get(entry, set->name);
        const json_t *plain = json_object_get(entry, plain_key);
        for (int f = 0; f < N_FAMILIES; f++) {
            const json_t *expected = json_array_get(families, (size_t)f);
            if (json_is_integer(expected))
                expected = json_array_get(families, (size_t)json_integer_value(expected));
            encode(set, f, json_string_value(text), json_string_length(text), &tokens);
            check_ids(family_names[f], json_string_value(text), expected, &tokens);
        }
        if (!plain) continue;
        tokens.n = 0;
        assert_ok(tr_encode(set->of[SMOLLM], json_string_value(text), json_string_length(text), 0, &tokens, &err),
                  err);
        check_ids(plain_key, json_string_value(text), plain, &tokens);
    }
    tr_tokens_free(&tokens);
}

static void check_repeated(const family_set *set)
{
    tr_tokens tokens = {0};
    size_t i;
    const json_t *entry;
    json_array_foreach(json_object_get(golden, "repeated"), i, entry)
    {
        tr_str text = {0};
        const json_t *unit = json_object_get(entry, "unit");
        tr_str_add(&text, json_string_value(json_object_get(entry, "before")));
        for (json_int_t k = json_integer_value(json_object_get(entry, "count")); k > 0; k--)
            tr_str_add_bytes(&text, json_string_value(unit), json_string_length(unit));
        tr_str_add(&text, json_string_value(json_object_get(entry, "after")));
        for (int f = 0; f < N_FAMILIES; f++) {
            const json_t *expected = json_array_get(json_object_get(entry, set->name), (size_t)f);
            encode(set, f, text.data, text.size, &tokens);
            assert_int_equal(tokens.n, json_integer_value(json_array_get(expected, 0)));
            if (fnv(0x811C9DC5, &tokens) != json_integer_value(json_array_get(expected, 1)))
                fail_msg("%s %s: repeated '%s' (number %zu) has other ids", set->name, family_names[f],
                         json_string_value(unit), i);
        }
        tr_str_free(&text);
    }
    tr_tokens_free(&tokens);
}

/* Knuth's MMIX generator, as in the script. */
static size_t draw(uint64_t *state, size_t bound)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)((*state >> 33) % bound);
}

static void check_mixed(const family_set *set)
{
    const json_t *pool = json_object_get(golden, "pool"),
                 *hashes = json_object_get(json_object_get(golden, "mixed"), set->name);
    uint64_t state = 1;
    for (size_t row = 0; row < json_string_length(hashes) / 8; row++) {
        tr_str text = {0};
        for (size_t n = 1 + draw(&state, 24); n > 0; n--) {
            const json_t *part = json_array_get(pool, draw(&state, json_array_size(pool)));
            tr_str_add_bytes(&text, json_string_value(part), json_string_length(part));
        }
        check_row(set, "mixed", hashes, row, text.data, text.size);
        tr_str_free(&text);
    }
}

static void test_tiny_vocabulary_gives_hugging_face_ids_on_hard_strings(void **state)
{
    (void)state, check_hard_strings(&tiny);
}
static void test_tiny_vocabulary_gives_hugging_face_ids_on_repeated_characters(void **state)
{
    (void)state, check_repeated(&tiny);
}
static void test_tiny_vocabulary_gives_hugging_face_ids_on_mixed_strings(void **state)
{
    (void)state, check_mixed(&tiny);
}

static void need_model(void)
{
    if (!model.of[SMOLLM]) skip_because("TALLREC_TEST_MODEL is not set");
}

static void test_smollm2_gives_hugging_face_ids_on_hard_strings(void **state)
{
    (void)state;
    need_model();
    check_hard_strings(&model);
}

static void test_smollm2_gives_hugging_face_ids_on_repeated_characters(void **state)
{
    (void)state;
    need_model();
    check_repeated(&model);
}

static void test_smollm2_gives_hugging_face_ids_on_mixed_strings(void **state)
{
    (void)state;
    need_model();
    check_mixed(&model);
}

/* Field `field` (from 0) of every line of a file, as rows `source` of the golden file. */
static void check_titles(const char *source, const char *path, char separator, int field, bool header, bool latin1)
{
    tr_error err;
    char *file, *line;
    size_t size, row = 0;
    assert_ok(tr_file_read(path, 1 << 24, &file, &size, &err), err);
    const json_t *hashes = json_object_get(json_object_get(golden, "rows"), source);
    for (char *rest = file; (line = strsep(&rest, "\n"));) {
        if (header || !*line) {
            header = false;
            continue;
        }
        char *title = line;
        for (int f = 0; f < field; f++) title = strchr(title, separator) + 1;
        *strchrnul(title, separator) = '\0';
        char *text = latin1 ? tr_latin1_to_utf8(title, strlen(title)) : strdup(title);
        check_row(&model, source, hashes, row++, text, strlen(text));
        free(text);
    }
    assert_int_equal(row, 1682);
    free(file);
}

static void test_smollm2_gives_hugging_face_ids_on_every_title(void **state)
{
    (void)state;
    need_model();
    const char *recbole = test_path("TALLREC_TEST_ML100K"), *shared = test_path("TALLREC_TEST_SHARED");
    char path[4096];
    if (recbole) {
        snprintf(path, sizeof path, "%s/ml-100k.item", recbole);
        check_titles("recbole", path, '\t', 1, true, false);
    }
    if (shared) {
        snprintf(path, sizeof path, "%s/data/ml-100k/u.item", shared);
        check_titles("grouplens", path, '|', 1, false, true);
    }
    if (!recbole || !shared) skip_because("TALLREC_TEST_ML100K or TALLREC_TEST_SHARED is not set");
}

static void check_prompts(const char *source, const char *path)
{
    tr_error err;
    json_t *rows = load_json(path);
    const json_t *row, *hashes = json_object_get(json_object_get(golden, "rows"), source);
    size_t i;
    json_array_foreach(rows, i, row)
    {
        char *prompt;
        tr_str text = {0};
        assert_ok(tr_prompt_alpaca(json_string_value(json_object_get(row, "instruction")),
                                   json_string_value(json_object_get(row, "input")), &prompt, &err),
                  err);
        tr_str_add(&text, prompt);
        tr_str_add(&text, json_string_value(json_object_get(row, "output")));
        check_row(&model, source, hashes, i, text.data, text.size);
        tr_str_free(&text);
        free(prompt);
    }
    assert_int_equal(8 * i, json_string_length(hashes));
    json_decref(rows);
}

static void test_smollm2_gives_hugging_face_ids_on_every_published_prompt(void **state)
{
    (void)state;
    need_model();
    const char *shared = test_path("TALLREC_TEST_SHARED");
    static const char *const sources[] = {"movie/valid", "movie/test", "book/valid", "book/test"};
    for (int s = 0; shared && s < 4; s++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/data/tallrec/%s.json", shared, sources[s]);
        check_prompts(sources[s], path);
    }
    if (!shared) skip_because("TALLREC_TEST_SHARED is not set");
}

static void test_smollm2_ends_with_im_end_and_adds_no_bos(void **state)
{
    (void)state;
    need_model();
    tr_error err;
    tr_tokens tokens = {0};
    assert_int_equal(tr_tokenizer_vocab_size(model.of[SMOLLM]), 49152);
    assert_int_equal(tr_tokenizer_bos(model.of[SMOLLM]), 1);
    assert_int_equal(tr_tokenizer_eos(model.of[SMOLLM]), 2);
    assert_false(tr_tokenizer_adds_bos(model.of[SMOLLM]));
    assert_ok(tr_encode(model.of[SMOLLM], "<|im_end|>", 10, TR_ENCODE_SPECIAL | TR_ENCODE_BOS, &tokens, &err),
              err);
    assert_int_equal(tokens.n, 1);
    assert_int_equal(tokens.id[0], 2);
    tr_tokens_free(&tokens);
}

/* Start-up time counts: with 49,152 tokens and 48,900 merges it is 10 ms or so. The bound is loose enough for
 * sanitizers on a busy machine, and tight enough that a quadratic search would not pass. */
static void test_smollm2_loads_quickly(void **state)
{
    (void)state;
    need_model();
    tr_gguf file;
    tr_error err;
    tr_tokenizer *tokenizer;
    assert_ok(tr_gguf_open(test_path("TALLREC_TEST_MODEL"), &file, &err), err);
    double before = tr_seconds();
    assert_ok(tr_tokenizer_from_gguf(&file, &tokenizer, &err), err);
    double seconds = tr_seconds() - before;
    fprintf(stderr, "# tokenizer made in %.1f ms\n", 1e3 * seconds);
    assert_true(seconds < 1.0);
    tr_tokenizer_free(tokenizer);
    tr_gguf_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny_vocabulary_gives_hugging_face_ids_on_hard_strings),
        cmocka_unit_test(test_tiny_vocabulary_gives_hugging_face_ids_on_repeated_characters),
        cmocka_unit_test(test_tiny_vocabulary_gives_hugging_face_ids_on_mixed_strings),
        cmocka_unit_test(test_smollm2_gives_hugging_face_ids_on_hard_strings),
        cmocka_unit_test(test_smollm2_gives_hugging_face_ids_on_repeated_characters),
        cmocka_unit_test(test_smollm2_gives_hugging_face_ids_on_mixed_strings),
        cmocka_unit_test(test_smollm2_gives_hugging_face_ids_on_every_title),
        cmocka_unit_test(test_smollm2_gives_hugging_face_ids_on_every_published_prompt),
        cmocka_unit_test(test_smollm2_ends_with_im_end_and_adds_no_bos),
        cmocka_unit_test(test_smollm2_loads_quickly),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
