/* Tests of what surrounds the merging: metadata that contradict themselves, special tokens, decoding, NFC. */
#include "golden_tokenizer.h"

#include "base/str.h"
#include "text/normalize.h"

#define STRING(literal) {literal, sizeof literal - 1}

/* Nine tokens that are in order, for tests to spoil. */
static tr_gguf_string tokens[] = {STRING("a"),       STRING("b"),      STRING("ab"),        STRING("\xC4\xA0"),
                                  STRING("<|x|>"),   STRING("<|x|>>"), STRING("\xC3\xA9!"), STRING("\xE2\x82\xAC"),
                                  STRING("\xC3\x83")};
static const int32_t types[] = {1, 1, 1, 1, 3, 3, 4, 1, 1};
static const tr_gguf_string merges[] = {STRING("a b")};
enum { A, B, AB, SPACE, X, XX, E, EURO, C3, N_TOKENS };

static tr_tokenizer_spec good(void)
{
    return (tr_tokenizer_spec){.model = "gpt2", .pre = "gpt-2", .tokens = tokens, .n_tokens = N_TOKENS,
                               .types = types, .n_types = N_TOKENS, .merges = merges, .n_merges = 1,
                               .bos = X, .eos = XX, .add_bos = -1};
}

static tr_tokenizer *create(tr_tokenizer_spec spec)
{
    tr_error err;
    tr_tokenizer *tokenizer;
    assert_ok(tr_tokenizer_create(&spec, &tokenizer, &err), err);
    return tokenizer;
}

/* Encodes and compares with n expected ids. */
static void check_encoding(const tr_tokenizer *tokenizer, const char *text, int flags, size_t n,
                           const int32_t *expected)
{
    tr_error err;
    tr_tokens got = {0};
    assert_ok(tr_encode(tokenizer, text, strlen(text), flags, &got, &err), err);
    assert_int_equal(got.n, n);
    for (size_t i = 0; i < n; i++) assert_int_equal(got.id[i], expected[i]);
    tr_tokens_free(&got);
}
#define encodes(tokenizer, text, flags, ...)                                                   \
    check_encoding(tokenizer, text, flags, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t), \
                   (int32_t[]){__VA_ARGS__})

static void refuses(tr_tokenizer_spec spec, tr_status status, const char *mention)
{
    tr_error err;
    tr_tokenizer *tokenizer;
    assert_error(tr_tokenizer_create(&spec, &tokenizer, &err), status, mention, err);
    assert_null(tokenizer);
}

static void test_unknown_models_and_pretokenizers_are_refused_by_name(void **state)
{
    (void)state;
    tr_tokenizer_spec spec = good();
    spec.model = "llama";
    refuses(spec, TR_ERR_UNSUPPORTED, "'llama'");
    spec = good(), spec.pre = "falcon";
    refuses(spec, TR_ERR_UNSUPPORTED, "'falcon'");
    refuses(spec, TR_ERR_UNSUPPORTED, "smollm, gpt-2, llama-bpe, qwen2");
    spec.pre = NULL;
    refuses(spec, TR_ERR_UNSUPPORTED, "tokenizer.ggml.pre");
}

static void test_vocabularies_that_contradict_themselves_are_refused(void **state)
{
    (void)state;
    tr_gguf_string spoiled[N_TOKENS];
    int32_t bad_types[N_TOKENS];
    tr_tokenizer_spec spec = good();
    spec.n_tokens = 0;
    refuses(spec, TR_ERR_FORMAT, "0 tokens");
    spec = good(), spec.n_types = 8;
    refuses(spec, TR_ERR_FORMAT, "9 tokens but 8 token types");

    memcpy(bad_types, types, sizeof types);
    spec = good(), spec.types = bad_types, bad_types[2] = 7;
    refuses(spec, TR_ERR_FORMAT, "token 2 has type 7");
    bad_types[2] = -1;
    refuses(spec, TR_ERR_FORMAT, "token 2 has type -1");

    memcpy(spoiled, tokens, sizeof tokens);
    spec = good(), spec.tokens = spoiled, spoiled[B] = tokens[A];
    refuses(spec, TR_ERR_FORMAT, "tokens 0 and 1 have the same text 'a'");
    memcpy(spoiled, tokens, sizeof tokens);
    spoiled[XX] = tokens[X];
    refuses(spec, TR_ERR_FORMAT, "have the same text '<|x|>'");
}

static void test_merges_of_unknown_tokens_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        tr_gguf_string merge;
        const char *mention;
    } cases[] = {
        {STRING("c b"), "left part"},      {STRING("a c"), "right part"}, {STRING("b a"), "result"},
        {STRING("ab"), "merge 0 is 'ab'"}, {STRING("a "), "merge 0"},     {STRING(" b"), "merge 0"},
        {STRING(""), "merge 0"},           {STRING("a b a"), "merge 0"},  {STRING("a \xFF"), "\\xff"},
        {STRING("<| x|>"), "left part"},   {{NULL, 0}, "merge 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tr_tokenizer_spec spec = good();
        spec.merges = &cases[i].merge;
        refuses(spec, TR_ERR_FORMAT, cases[i].mention);
    }
}

static void test_token_ids_out_of_range_are_refused(void **state)
{
    (void)state;
    tr_tokenizer_spec spec = good();
    spec.bos = N_TOKENS;
    refuses(spec, TR_ERR_FORMAT, "bos_token_id is 9");
    spec = good(), spec.eos = UINT32_MAX - 1;
    refuses(spec, TR_ERR_FORMAT, "eos_token_id is 4294967294");
    spec = good(), spec.bos = -1, spec.add_bos = 1;
    refuses(spec, TR_ERR_FORMAT, "add_bos_token");
}

static void test_bos_is_added_when_the_model_and_the_caller_want_it(void **state)
{
    (void)state;
    static const struct {
        const char *pre;
        int add_bos;
        int64_t bos;
        bool adds;
    } cases[] = {{"gpt-2", -1, X, false},
                 {"gpt-2", 1, X, true},
                 {"llama-bpe", -1, X, true},
                 {"llama3", 0, X, false},
                 {"llama3", -1, -1, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tr_tokenizer_spec spec = good();
        spec.pre = cases[i].pre, spec.add_bos = cases[i].add_bos, spec.bos = cases[i].bos;
        tr_tokenizer *tokenizer = create(spec);
        assert_int_equal(tr_tokenizer_adds_bos(tokenizer), cases[i].adds);
        assert_int_equal(tr_tokenizer_bos(tokenizer), cases[i].bos);
        assert_int_equal(tr_tokenizer_eos(tokenizer), XX);
        encodes(tokenizer, "ab", 0, AB);
        if (cases[i].adds) encodes(tokenizer, "ab", TR_ENCODE_BOS, X, AB);
        else encodes(tokenizer, "ab", TR_ENCODE_BOS, AB);
        tr_tokenizer_free(tokenizer);
    }
}

static void test_special_tokens_are_cut_only_when_asked_and_the_longest_wins(void **state)
{
    (void)state;
    tr_tokenizer *tokenizer = create(good());
    encodes(tokenizer, "ab<|x|>ab", TR_ENCODE_SPECIAL, AB, X, AB);
    encodes(tokenizer, "<|x|>>", TR_ENCODE_SPECIAL, XX);
    encodes(tokenizer, "<|x|>b<|x|>>a", TR_ENCODE_SPECIAL, X, B, XX, A);
    encodes(tokenizer, "a<|x|>b", 0, A, B); /* ordinary text, of whose bytes this vocabulary has but two */
    encodes(tokenizer, "a\xC3\xA9!b", TR_ENCODE_SPECIAL, A, E, B);
    encodes(tokenizer, "<|x|<|x|>", TR_ENCODE_SPECIAL, X);
    tr_tokenizer_free(tokenizer);
}

/* What comes out of text: no token whose string is outside the byte alphabet, and no unused one. */
static void test_unreachable_tokens_are_never_encoded_but_decode(void **state)
{
    (void)state;
    tr_error err;
    tr_tokenizer_spec spec = good();
    spec.pre = "llama-bpe";
    tr_tokenizer *tokenizer = create(spec);
    tr_tokens none = {0};
    /* The euro sign, whose bytes this vocabulary lacks. */
    assert_ok(tr_encode(tokenizer, "\xE2\x82\xAC", 3, 0, &none, &err), err);
    assert_int_equal(none.n, 0);
    char *text;
    size_t size;
    assert_ok(tr_decode(tokenizer, (int32_t[]){EURO, SPACE, E, A}, 4, false, false, &text, &size, &err), err);
    assert_string_equal(text, "\xE2\x82\xAC \xC3\xA9!a");
    free(text);
    tr_tokenizer_free(tokenizer);
}

static void test_text_that_is_not_utf8_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *mention;
    } cases[] = {{"ab\xFF", "byte 2 is 0xff"},   {"\x80", "byte 0"},
                 {"a\xC0\x80", "byte 1"},        {"\xED\xA0\x80", "byte 0"},
                 {"\xF4\x90\x80\x80", "byte 0"}, {"ab\xE2\x82", "byte 2"},
                 {"\xC3\xA9\xC3", "byte 2"}};
    tr_error err;
    tr_tokenizer *tokenizer = create(good());
    tr_tokens got = {0};
    assert_ok(tr_encode(tokenizer, "ab", 2, 0, &got, &err), err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_error(tr_encode(tokenizer, cases[i].text, strlen(cases[i].text), 0, &got, &err), TR_ERR_VALUE,
                     cases[i].mention, err);
    assert_int_equal(got.n, 1); /* what was there before stays, nothing is added */
    tr_tokens_free(&got);
    tr_tokenizer_free(tokenizer);
}

static void test_decoding_refuses_ids_out_of_range(void **state)
{
    (void)state;
    tr_error err;
    char *text;
    size_t size;
    tr_tokenizer *tokenizer = create(good());
    assert_error(tr_decode(tokenizer, (int32_t[]){A, N_TOKENS}, 2, false, false, &text, &size, &err), TR_ERR_VALUE,
                 "token id 9 (number 1)", err);
    assert_error(tr_decode(tokenizer, (int32_t[]){-1}, 1, false, false, &text, &size, &err), TR_ERR_VALUE,
                 "token id -1", err);
    assert_null(text);
    assert_ok(tr_decode(tokenizer, NULL, 0, false, true, &text, &size, &err), err);
    assert_string_equal(text, "");
    free(text);
    tr_tokenizer_free(tokenizer);
}

static void test_decoding_skips_special_tokens_and_cleans_on_request(void **state)
{
    (void)state;
    tr_error err;
    char *text;
    size_t size;
    tr_tokenizer *tokenizer = create(good());
    static const int32_t ids[] = {X, A, C3, B, E, C3};
    assert_ok(tr_decode(tokenizer, ids, 6, false, false, &text, &size, &err), err);
    assert_string_equal(text, "<|x|>a\xC3" "b\xC3\xA9!\xC3");
    free(text);
    assert_ok(tr_decode(tokenizer, ids, 6, true, true, &text, &size, &err), err);
    assert_string_equal(text, "a\xEF\xBF\xBD" "b\xC3\xA9!\xEF\xBF\xBD");
    assert_int_equal(size, strlen(text));
    free(text);
    tr_tokenizer_free(tokenizer);
}

/* The examples of the Unicode Standard, tables 3-8 to 3-11: one U+FFFD for each maximal part of a character. */
static void test_broken_utf8_is_replaced_part_by_part(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *expected; /* expected: R stands for U+FFFD */
    } cases[] = {
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", "RRRRRRRRA"},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", "RRRRRRRRA"},
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", "RRRRRARRB"},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", "RRRRA"},
    };
    json_t *golden = load_golden();
    tr_tokenizer *tokenizer = tiny_tokenizer(golden, "gpt-2");
    const json_t *tokens_of_golden = json_object_get(json_object_get(golden, "tiny"), "tokens");
    int32_t id_of[256];
    for (int32_t id = 0; id < (int32_t)json_array_size(tokens_of_golden); id++) { /* which token is which byte */
        char *text;
        size_t size;
        tr_error err;
        assert_ok(tr_decode(tokenizer, &id, 1, false, false, &text, &size, &err), err);
        if (size == 1) id_of[(uint8_t)text[0]] = id;
        free(text);
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t ids[16];
        size_t n = strlen(cases[i].bytes), size;
        char *text;
        tr_error err;
        tr_str expected = {0};
        for (size_t b = 0; b < n; b++) ids[b] = id_of[(uint8_t)cases[i].bytes[b]];
        for (const char *p = cases[i].expected; *p; p++)
            tr_str_add_bytes(&expected, *p == 'R' ? "\xEF\xBF\xBD" : p, *p == 'R' ? 3 : 1);
        assert_ok(tr_decode(tokenizer, ids, n, false, true, &text, &size, &err), err);
        assert_string_equal(text, expected.data);
        tr_str_free(&expected);
        free(text);
    }
    tr_tokenizer_free(tokenizer);
    json_decref(golden);
}

static void test_nfc_composes_reorders_and_leaves_the_rest(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"plain", "plain"},
        {"e\xCC\x81", "\xC3\xA9"},
        {"q\xCC\x87\xCC\xA3", "q\xCC\xA3\xCC\x87"},
        {"\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8", "\xEA\xB0\x81"},
        {"\xE2\x84\xAB", "\xC3\x85"},
        {"\xEF\xAC\x81", "\xEF\xAC\x81"},
        {"s\xCC\xA3\xCC\x87", "\xE1\xB9\xA9"},
        {"\xE0\xA5\x98", "\xE0\xA4\x95\xE0\xA4\xBC"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tr_error err;
        tr_str out = {0};
        assert_ok(tr_normalize_nfc(cases[i][0], strlen(cases[i][0]), &out, &err), err);
        assert_string_equal(out.data, cases[i][1]);
        tr_str_free(&out);
    }
}

/* GGUF files in memory: a header, then what is put. */
static void put(tr_str *s, uint64_t value, size_t bytes) { tr_str_add_bytes(s, &value, bytes); }
static void put_string(tr_str *s, const char *text, size_t size)
{
    put(s, size, 8), tr_str_add_bytes(s, text, size);
}
static void put_key(tr_str *s, const char *key, tr_gguf_kind kind)
{
    put_string(s, key, strlen(key)), put(s, kind, 4);
}

static void put_strings(tr_str *s, const char *key, const tr_gguf_string *items, size_t n)
{
    put_key(s, key, TR_GGUF_ARRAY), put(s, TR_GGUF_STRING, 4), put(s, n, 8);
    for (size_t i = 0; i < n; i++) put_string(s, items[i].text, items[i].size);
}

static void put_types(tr_str *s, tr_gguf_kind kind, const int32_t *items, size_t n)
{
    put_key(s, "tokenizer.ggml.token_type", TR_GGUF_ARRAY), put(s, kind, 4), put(s, n, 8);
    for (size_t i = 0; i < n; i++) put(s, (uint32_t)items[i], 4);
}

/* The good tokenizer as a file; `skip` leaves out the metadata value of that number (-1: none). */
static void put_tokenizer(tr_str *s, int skip, tr_gguf_kind type_kind, uint32_t eos)
{
    tr_str_add_bytes(s, "GGUF", 4), put(s, 3, 4), put(s, 0, 8), put(s, skip < 0 ? 8 : 7, 8);
    if (skip != 0) put_key(s, "tokenizer.ggml.model", TR_GGUF_STRING), put_string(s, "gpt2", 4);
    if (skip != 1) put_key(s, "tokenizer.ggml.pre", TR_GGUF_STRING), put_string(s, "llama-bpe", 9);
    if (skip != 2) put_strings(s, "tokenizer.ggml.tokens", tokens, N_TOKENS);
    if (skip != 3) put_types(s, type_kind, types, N_TOKENS);
    if (skip != 4) put_strings(s, "tokenizer.ggml.merges", merges, 1);
    if (skip != 5) put_key(s, "tokenizer.ggml.bos_token_id", TR_GGUF_U32), put(s, X, 4);
    if (skip != 6) put_key(s, "tokenizer.ggml.eos_token_id", TR_GGUF_U32), put(s, eos, 4);
    if (skip != 7) put_key(s, "tokenizer.ggml.add_bos_token", TR_GGUF_BOOL), put(s, 1, 1);
}

static tr_status from_file(int skip, tr_gguf_kind type_kind, uint32_t eos, tr_tokenizer **out, tr_error *err)
{
    tr_str bytes = {0};
    tr_gguf file;
    put_tokenizer(&bytes, skip, type_kind, eos);
    assert_ok(tr_gguf_parse((const uint8_t *)bytes.data, bytes.size, &file, err), *err);
    tr_status status = tr_tokenizer_from_gguf(&file, out, err);
    tr_gguf_close(&file);
    tr_str_free(&bytes); /* the tokenizer must not need it any more */
    return status;
}

static void test_metadata_of_a_file_make_a_tokenizer(void **state)
{
    (void)state;
    tr_error err;
    tr_tokenizer *tokenizer;
    assert_ok(from_file(-1, TR_GGUF_I32, XX, &tokenizer, &err), err);
    encodes(tokenizer, "ab<|x|>>", TR_ENCODE_BOS | TR_ENCODE_SPECIAL, X, AB, XX);
    assert_int_equal(tr_tokenizer_eos(tokenizer), XX);
    tr_tokenizer_free(tokenizer);
    assert_ok(from_file(6, TR_GGUF_I32, XX, &tokenizer, &err), err); /* without eos */
    assert_int_equal(tr_tokenizer_eos(tokenizer), -1);
    tr_tokenizer_free(tokenizer);
    assert_ok(from_file(-1, TR_GGUF_I32, UINT32_MAX, &tokenizer, &err), err); /* eos "none" */
    assert_int_equal(tr_tokenizer_eos(tokenizer), -1);
    tr_tokenizer_free(tokenizer);
    assert_ok(from_file(3, TR_GGUF_I32, XX, &tokenizer, &err), err); /* without types all tokens are normal */
    encodes(tokenizer, "ab<|x|>", TR_ENCODE_SPECIAL, AB);
    tr_tokenizer_free(tokenizer);
}

static void test_metadata_that_are_missing_or_of_another_kind_are_named(void **state)
{
    (void)state;
    tr_error err;
    tr_tokenizer *tokenizer;
    assert_error(from_file(0, TR_GGUF_I32, XX, &tokenizer, &err), TR_ERR_FORMAT, "tokenizer.ggml.model", err);
    assert_error(from_file(1, TR_GGUF_I32, XX, &tokenizer, &err), TR_ERR_UNSUPPORTED, "tokenizer.ggml.pre", err);
    assert_error(from_file(2, TR_GGUF_I32, XX, &tokenizer, &err), TR_ERR_FORMAT, "tokenizer.ggml.tokens", err);
    assert_error(from_file(5, TR_GGUF_I32, XX, &tokenizer, &err), TR_ERR_FORMAT, "bos_token_id", err);
    assert_error(from_file(-1, TR_GGUF_F32, XX, &tokenizer, &err), TR_ERR_FORMAT, "tokenizer.ggml.token_type",
                 err);
    assert_error(from_file(-1, TR_GGUF_I32, N_TOKENS, &tokenizer, &err), TR_ERR_FORMAT, "eos_token_id is 9", err);
    assert_null(tokenizer);
}

TR_TEST_MAIN(cmocka_unit_test(test_unknown_models_and_pretokenizers_are_refused_by_name),
             cmocka_unit_test(test_vocabularies_that_contradict_themselves_are_refused),
             cmocka_unit_test(test_merges_of_unknown_tokens_are_refused_by_name),
             cmocka_unit_test(test_token_ids_out_of_range_are_refused),
             cmocka_unit_test(test_bos_is_added_when_the_model_and_the_caller_want_it),
             cmocka_unit_test(test_special_tokens_are_cut_only_when_asked_and_the_longest_wins),
             cmocka_unit_test(test_unreachable_tokens_are_never_encoded_but_decode),
             cmocka_unit_test(test_text_that_is_not_utf8_is_refused_with_its_place),
             cmocka_unit_test(test_decoding_refuses_ids_out_of_range),
             cmocka_unit_test(test_decoding_skips_special_tokens_and_cleans_on_request),
             cmocka_unit_test(test_broken_utf8_is_replaced_part_by_part),
             cmocka_unit_test(test_nfc_composes_reorders_and_leaves_the_rest),
             cmocka_unit_test(test_metadata_of_a_file_make_a_tokenizer),
             cmocka_unit_test(test_metadata_that_are_missing_or_of_another_kind_are_named))
