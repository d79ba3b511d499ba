/* Tests of merging and pre-tokenizing on their own: against a merger that is slow and obvious, and against the
 * pieces and ids of an independent implementation where the shared vectors are at hand. */
#include "golden_tokenizer.h"

#include "base/rng.h"
#include "base/str.h"
#include "text/pretokenize.h"

enum { MAX_TOKENS = 64, MAX_TEXT = 400 };

/* A random vocabulary over "abcd": every merge joins two tokens that exist already. */
typedef struct {
    char text[MAX_TOKENS][MAX_TEXT];
    int left[MAX_TOKENS], right[MAX_TOKENS]; /* of token t >= 4, which is the result of merge t - 4 */
    int n;
} random_merges;

static uint32_t pick(uint32_t stream, uint64_t *index, uint32_t bound)
{
    return tr_rng_below(1, TR_RNG_TEST, stream, (*index)++, bound);
}

static void invent(random_merges *r, uint32_t stream, uint64_t *index)
{
    r->n = 4;
    for (int t = 0; t < 4; t++) r->text[t][0] = (char)('a' + t), r->text[t][1] = '\0';
    for (int tries = 0; tries < 200 && r->n < MAX_TOKENS; tries++) {
        int left = (int)pick(stream, index, (uint32_t)r->n), right = (int)pick(stream, index, (uint32_t)r->n);
        char text[2 * MAX_TEXT];
        snprintf(text, sizeof text, "%s%s", r->text[left], r->text[right]);
        bool known = strlen(text) > 12;
        for (int t = 0; t < r->n; t++) known |= !strcmp(text, r->text[t]);
        if (known) continue;
        snprintf(r->text[r->n], MAX_TEXT, "%.12s", text);
        r->left[r->n] = left, r->right[r->n] = right;
        r->n++;
    }
}

static tr_tokenizer *tokenizer_of(const random_merges *r)
{
    tr_error err;
    tr_tokenizer *tokenizer;
    tr_gguf_string tokens[MAX_TOKENS], merges[MAX_TOKENS];
    char merge[MAX_TOKENS][64];
    for (int t = 0; t < r->n; t++) {
        tokens[t] = (tr_gguf_string){r->text[t], strlen(r->text[t])};
        if (t < 4) continue;
        int size = snprintf(merge[t], sizeof merge[t], "%s %s", r->text[r->left[t]], r->text[r->right[t]]);
        merges[t - 4] = (tr_gguf_string){merge[t], (size_t)size};
    }
    tr_tokenizer_spec spec = {.model = "gpt2", .pre = "gpt-2", .tokens = tokens, .n_tokens = (size_t)r->n,
                              .merges = merges, .n_merges = (size_t)r->n - 4, .bos = -1, .eos = -1,
                              .add_bos = -1};
    assert_ok(tr_tokenizer_create(&spec, &tokenizer, &err), err);
    return tokenizer;
}

/* The definition: while some adjacent pair is a merge, apply the merge of lowest rank at its leftmost place. */
static size_t merge_slowly(const random_merges *r, int32_t *ids, size_t n)
{
    for (int t = 4; t < r->n; t++)
        for (size_t i = 0; i + 1 < n; i++)
            if (ids[i] == r->left[t] && ids[i + 1] == r->right[t]) {
                ids[i] = t;
                memmove(ids + i + 1, ids + i + 2, (n - i - 2) * sizeof *ids);
                n--;
                t = 3; /* start again from the lowest rank */
                break;
            }
    return n;
}

static void test_merging_equals_the_definition(void **state)
{
    (void)state;
    tr_error err;
    static random_merges r;
    tr_tokens tokens = {0};
    for (uint32_t stream = 0; stream < 200; stream++) {
        uint64_t index = 0;
        invent(&r, stream, &index);
        tr_tokenizer *tokenizer = tokenizer_of(&r);
        for (int repeat = 0; repeat < 20; repeat++) {
            char text[MAX_TEXT + 1];
            int32_t ids[MAX_TEXT];
            size_t size = 1 + pick(stream, &index, 120);
            uint32_t letters = 1 + pick(stream, &index, 4); /* few letters: long runs of equal pairs */
            for (size_t i = 0; i < size; i++)
                ids[i] = (int32_t)pick(stream, &index, letters), text[i] = (char)('a' + ids[i]);
            size_t n = merge_slowly(&r, ids, size);
            tokens.n = 0;
            assert_ok(tr_encode(tokenizer, text, size, 0, &tokens, &err), err);
            assert_int_equal(tokens.n, n);
            assert_memory_equal(tokens.id, ids, n * sizeof *ids);
        }
        tr_tokenizer_free(tokenizer);
    }
    tr_tokens_free(&tokens);
}

static tr_status join_pieces(void *context, const char *piece, size_t size, tr_error *err)
{
    tr_str_add_bytes(context, piece, size);
    tr_str_add(context, "|");
    return tr_str_check(context, err);
}

static void check_pieces(const char *family, const char *text, const char *expected)
{
    tr_error err;
    const tr_pretokenizer_family *row;
    tr_pretokenizer *pretokenizer;
    tr_str pieces = {0};
    assert_ok(tr_pretokenizer_family_find(family, &row, &err), err);
    assert_ok(tr_pretokenizer_create(row, &pretokenizer, &err), err);
    assert_ok(tr_pretokenize(pretokenizer, text, strlen(text), join_pieces, &pieces, &err), err);
    if (strcmp(pieces.data ? pieces.data : "", expected))
        fail_msg("%s: '%s' gave '%s', expected '%s'", family, text, pieces.data, expected);
    tr_str_free(&pieces);
    tr_pretokenizer_free(pretokenizer);
}

static void test_families_cut_digits_and_spaces_each_in_its_way(void **state)
{
    (void)state;
    check_pieces("smollm", "Dust (1995), 8.5/10!!", "Dust| (|1|9|9|5|),| |8|.|5|/|1|0|!!|");
    check_pieces("gpt-2", "Dust (1995), 8.5/10!!", "Dust| (|1995|),| 8|.|5|/|10|!!|");
    check_pieces("llama-bpe", "Dust (1995), 8.5/10!!", "Dust| (|199|5|),| |8|.|5|/|10|!!|");
    check_pieces("qwen2", "Dust (1995), 8.5/10!!", "Dust| (|1|9|9|5|),| |8|.|5|/|1|0|!!|");
    check_pieces("smollm", "a   1  b", "a|   |1| | b|");
    check_pieces("gpt-2", "a   1  b", "a|  | 1| | b|");
    check_pieces("llama3", "end.\n\nNew foo_bar", "end|.\n\n|New| foo|_bar|");
    check_pieces("gpt-2", "end.\n\nNew foo_bar", "end|.|\n|\n|New| foo|_|bar|");
    check_pieces("llama-v3", "'S x's", "'S| x|'s|");
    check_pieces("smollm", "'S x's", "'|S| x|'s|");
    check_pieces("qwen2", "", "");
}

/* The tests below need the vectors of the shared folder. */
static json_t *shared_vectors(void)
{
    const char *shared = test_path("TALLREC_TEST_SHARED");
    char path[4096];
    if (!shared) return NULL;
    snprintf(path, sizeof path, "%s/golden_formats.json", shared);
    return load_json(path);
}

static void test_pieces_equal_the_shared_vectors(void **state)
{
    (void)state;
    json_t *vectors = shared_vectors();
    if (!vectors) skip_because("TALLREC_TEST_SHARED is not set");
    static const char *const names[][2] = {{"smollm", "smollm2"}, {"gpt-2", "gpt2"}, {"llama-bpe", "llama3"}};
    for (int f = 0; f < 3; f++) { /* not Qwen 2, whose vectors are normalised; see test_tokenizer.c */
        const char *text;
        json_t *pieces, *piece;
        json_object_foreach(json_object_get(json_object_get(vectors, "pretok"), names[f][1]), text, pieces)
        {
            tr_str expected = {0};
            size_t i;
            json_array_foreach(pieces, i, piece) tr_str_addf(&expected, "%s|", json_string_value(piece));
            check_pieces(names[f][0], text, expected.data);
            tr_str_free(&expected);
        }
    }
    json_decref(vectors);
}

/* A tokenizer.json of the vectors as GGUF metadata: tokens by id, added ones behind them. */
static tr_tokenizer *vector_tokenizer(const json_t *json)
{
    tr_error err;
    tr_tokenizer *tokenizer;
    const json_t *bpe = json_object_get(json, "model"), *added = json_object_get(json, "added_tokens"), *item;
    json_t *vocab = json_object_get(bpe, "vocab"), *id;
    tr_gguf_string tokens[64] = {0}, merges[64];
    int32_t types[64];
    char merge[64][64];
    const char *text;
    size_t n = json_object_size(vocab), n_merges = 0, i;
    json_object_foreach(vocab, text, id) tokens[json_integer_value(id)] = (tr_gguf_string){text, strlen(text)};
    for (i = 0; i < n; i++) types[i] = TR_TOKEN_NORMAL;
    json_array_foreach(added, i, item)
    {
        const json_t *content = json_object_get(item, "content");
        types[n] = json_is_true(json_object_get(item, "special")) ? TR_TOKEN_CONTROL : TR_TOKEN_USER_DEFINED;
        tokens[n++] = (tr_gguf_string){json_string_value(content), json_string_length(content)};
    }
    json_array_foreach(json_object_get(bpe, "merges"), i, item)
    {
        int size = snprintf(merge[i], sizeof merge[i], "%s %s", json_string_value(json_array_get(item, 0)),
                            json_string_value(json_array_get(item, 1)));
        merges[n_merges++] = (tr_gguf_string){merge[i], (size_t)size};
    }
    /* The vectors' pre-tokenizer is GPT-2's; on their texts Llama 3's cuts the same pieces, and ignores merges. */
    bool whole = json_is_true(json_object_get(bpe, "ignore_merges"));
    tr_tokenizer_spec spec = {.model = "gpt2", .pre = whole ? "llama-bpe" : "gpt-2", .tokens = tokens,
                              .n_tokens = n, .types = types, .n_types = n, .merges = merges,
                              .n_merges = n_merges, .bos = -1, .eos = -1, .add_bos = -1};
    assert_ok(tr_tokenizer_create(&spec, &tokenizer, &err), err);
    return tokenizer;
}

static void test_ids_equal_the_shared_vectors(void **state)
{
    (void)state;
    json_t *vectors = shared_vectors();
    if (!vectors) skip_because("TALLREC_TEST_SHARED is not set");
    tr_error err;
    tr_tokens tokens = {0};
    for (size_t v = 0; v < 2; v++) { /* the third is SentencePiece */
        const json_t *vector = json_array_get(json_object_get(vectors, "bpe"), v);
        tr_tokenizer *tokenizer = vector_tokenizer(json_object_get(vector, "tokenizer_json"));
        const char *text;
        json_t *expected;
        json_object_foreach(json_object_get(vector, "cases"), text, expected)
        {
            const json_t *ids = json_object_get(expected, "ids");
            tokens.n = 0;
            assert_ok(tr_encode(tokenizer, text, strlen(text), TR_ENCODE_SPECIAL, &tokens, &err), err);
            assert_int_equal(tokens.n, json_array_size(ids));
            for (size_t i = 0; i < tokens.n; i++)
                assert_int_equal(tokens.id[i], json_integer_value(json_array_get(ids, i)));
        }
        tr_tokenizer_free(tokenizer);
    }
    tr_tokens_free(&tokens);
    json_decref(vectors);
}

TR_TEST_MAIN(cmocka_unit_test(test_merging_equals_the_definition),
             cmocka_unit_test(test_families_cut_digits_and_spaces_each_in_its_way),
             cmocka_unit_test(test_pieces_equal_the_shared_vectors),
             cmocka_unit_test(test_ids_equal_the_shared_vectors))
