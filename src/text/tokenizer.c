/* This file is the entry to tokenizers: the table of kinds, making one from a GGUF file, cutting special tokens
 * out of text, and decoding. What a kind does with ordinary text is in its own file (byte_bpe.c). */
#include "text/tokenizer.h"

#include "base/memory.h"
#include "base/str.h"
#include "format/bytes.h"
#include "text/tokenizer_kind.h"
#include "text/vocabulary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* To add a kind: a file that defines it, and its line here. */
static const tr_tokenizer_kind *const kinds[] = {
    &tr_tokenizer_byte_bpe,
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

struct tr_tokenizer {
    const tr_tokenizer_kind *kind;
    void *state; /* the kind's */
    tr_vocabulary vocabulary;
    int32_t bos, eos;
    bool adds_bos;
};

static tr_status find_kind(const char *model, const tr_tokenizer_kind **out, tr_error *err)
{
    char known[256] = "";
    for (int k = 0; k < N_KINDS; k++) {
        if (!strcmp(kinds[k]->model, model)) {
            *out = kinds[k];
            return TR_OK;
        }
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", k ? ", " : "", kinds[k]->model);
    }
    tr_fail(err, TR_ERR_UNSUPPORTED, "the tokenizer model '%s' is not supported", model);
    tr_hint(err, "supported are %s", known);
    return TR_ERR_UNSUPPORTED;
}

/* bos, eos and whether bos is added. */
static tr_status set_ends(tr_tokenizer *tokenizer, const tr_tokenizer_spec *spec, bool default_adds_bos,
                          tr_error *err)
{
    int64_t n = (int64_t)tokenizer->vocabulary.n;
    if (spec->bos >= n || spec->eos >= n)
        return tr_fail(err, TR_ERR_FORMAT, "%s_token_id is %lld, but there are %lld tokens",
                       spec->bos >= n ? "bos" : "eos", (long long)(spec->bos >= n ? spec->bos : spec->eos),
                       (long long)n);
    tokenizer->bos = (int32_t)spec->bos;
    tokenizer->eos = (int32_t)spec->eos;
    if (spec->add_bos > 0 && tokenizer->bos < 0)
        return tr_fail(err, TR_ERR_FORMAT, "add_bos_token is true, but there is no bos_token_id");
    tokenizer->adds_bos = spec->add_bos < 0 ? default_adds_bos && tokenizer->bos >= 0 : spec->add_bos > 0;
    return TR_OK;
}

tr_status tr_tokenizer_create(const tr_tokenizer_spec *spec, tr_tokenizer **out, tr_error *err)
{
    const tr_tokenizer_kind *kind;
    tr_tokenizer *tokenizer;
    bool default_adds_bos = false;
    tr_status status;
    *out = NULL;
    TR_TRY(find_kind(spec->model, &kind, err));
    TR_TRY(tr_alloc(&tokenizer, 1, sizeof *tokenizer, "tokenizer", err));
    tokenizer->kind = kind;
    TR_TRY_CLEANUP(tr_vocabulary_create(&tokenizer->vocabulary, spec->tokens, spec->n_tokens, spec->types,
                                        spec->n_types, kind->unpack, err));
    TR_TRY_CLEANUP(kind->create(spec, &tokenizer->vocabulary, &tokenizer->state, &default_adds_bos, err));
    TR_TRY_CLEANUP(set_ends(tokenizer, spec, default_adds_bos, err));
    *out = tokenizer;
    return TR_OK;
cleanup:
    tr_tokenizer_free(tokenizer);
    return status;
}

void tr_tokenizer_free(tr_tokenizer *tokenizer)
{
    if (!tokenizer) return;
    if (tokenizer->state) tokenizer->kind->free(tokenizer->state);
    tr_vocabulary_destroy(&tokenizer->vocabulary);
    free(tokenizer);
}

/* The token types of a file as an array of its own; *out stays NULL when the file has none. */
static tr_status read_types(const tr_gguf *file, int32_t **out, size_t *n, tr_error *err)
{
    const tr_gguf_value *value = tr_gguf_find(file, "tokenizer.ggml.token_type");
    if (!value) return TR_OK;
    bool fits = value->kind == TR_GGUF_ARRAY && (value->element == TR_GGUF_I32 || value->element == TR_GGUF_U32);
    if (!fits) return tr_fail(err, TR_ERR_FORMAT, "tokenizer.ggml.token_type is not an array of 32-bit integers");
    *n = value->count;
    TR_TRY(tr_alloc(out, *n, sizeof **out, "token types", err));
    for (size_t i = 0; i < *n; i++) (*out)[i] = (int32_t)tr_load_u32(value->data + 4 * i);
    return TR_OK;
}

/* A token id, or -1 when the file has none (an id of all ones means the same in files of llama.cpp). */
static tr_status read_id(const tr_gguf *file, const char *key, int64_t *out, tr_error *err)
{
    uint32_t id;
    TR_TRY(tr_gguf_get_u32(file, key, UINT32_MAX, &id, err));
    *out = id == UINT32_MAX ? -1 : (int64_t)id;
    return TR_OK;
}

tr_status tr_tokenizer_from_gguf(const tr_gguf *file, tr_tokenizer **out, tr_error *err)
{
    tr_tokenizer_spec spec = {.add_bos = -1};
    char *model = NULL, *pre = NULL;
    tr_gguf_string *tokens = NULL, *merges = NULL;
    int32_t *types = NULL;
    tr_status status;
    *out = NULL;
    TR_TRY_CLEANUP(tr_gguf_get_string(file, "tokenizer.ggml.model", &model, err));
    if (!model) {
        status = tr_fail(err, TR_ERR_FORMAT, "the file has no tokenizer (tokenizer.ggml.model is missing)");
        goto cleanup;
    }
    const tr_tokenizer_kind *kind;
    TR_TRY_CLEANUP(find_kind(model, &kind, err)); /* before complaining about what other kinds do without */
    TR_TRY_CLEANUP(tr_gguf_get_string(file, "tokenizer.ggml.pre", &pre, err));
    TR_TRY_CLEANUP(tr_gguf_need_strings(file, "tokenizer.ggml.tokens", &tokens, &spec.n_tokens, err));
    if (tr_gguf_find(file, "tokenizer.ggml.merges"))
        TR_TRY_CLEANUP(tr_gguf_need_strings(file, "tokenizer.ggml.merges", &merges, &spec.n_merges, err));
    TR_TRY_CLEANUP(read_types(file, &types, &spec.n_types, err));
    TR_TRY_CLEANUP(read_id(file, "tokenizer.ggml.bos_token_id", &spec.bos, err));
    TR_TRY_CLEANUP(read_id(file, "tokenizer.ggml.eos_token_id", &spec.eos, err));
    if (tr_gguf_find(file, "tokenizer.ggml.add_bos_token")) {
        bool add_bos;
        TR_TRY_CLEANUP(tr_gguf_get_bool(file, "tokenizer.ggml.add_bos_token", false, &add_bos, err));
        spec.add_bos = add_bos;
    }
    spec.model = model, spec.pre = pre, spec.tokens = tokens, spec.types = types, spec.merges = merges;
    status = tr_tokenizer_create(&spec, out, err);
cleanup:
    if (status != TR_OK && file->path) tr_at(err, "%s", file->path);
    free(model), free(pre), free(tokens), free(merges), free(types);
    return status;
}

void tr_tokens_free(tr_tokens *tokens)
{
    free(tokens->id);
    *tokens = (tr_tokens){0};
}

tr_status tr_tokens_add(tr_tokens *tokens, int32_t id, tr_error *err)
{
    TR_TRY(tr_reserve(&tokens->id, &tokens->capacity, tokens->n + 1, sizeof *tokens->id, "tokens", err));
    tokens->id[tokens->n++] = id;
    return TR_OK;
}

static tr_status check_text(const char *text, size_t size, tr_error *err)
{
    if (size > INT32_MAX) return tr_fail(err, TR_ERR_VALUE, "a text of %zu bytes is too long to tokenize", size);
    for (size_t at = 0; at < size;) {
        if ((uint8_t)text[at] < 0x80) {
            at++;
            continue;
        }
        int32_t code;
        utf8proc_ssize_t n = utf8proc_iterate((const uint8_t *)text + at, (utf8proc_ssize_t)(size - at), &code);
        if (n <= 0)
            return tr_fail(err, TR_ERR_VALUE, "the text is not UTF-8: byte %zu is 0x%02x", at, (uint8_t)text[at]);
        at += (size_t)n;
    }
    return TR_OK;
}

/* Cuts text at its special tokens, the leftmost first and of those that begin there the longest. */
static tr_status encode_with_specials(const tr_tokenizer *tokenizer, const char *text, size_t size, tr_tokens *out,
                                      tr_error *err)
{
    const tr_vocabulary *vocabulary = &tokenizer->vocabulary;
    size_t start = 0, at = 0;
    while (at < size) {
        int32_t special = tr_vocabulary_special_at(vocabulary, text + at, size - at);
        if (special < 0) {
            at++;
            continue;
        }
        if (at > start)
            TR_TRY(tokenizer->kind->encode(tokenizer->state, vocabulary, text + start, at - start, out, err));
        TR_TRY(tr_tokens_add(out, special, err));
        size_t length;
        tr_vocabulary_bytes(vocabulary, special, &length);
        start = at += length;
    }
    return start < size
               ? tokenizer->kind->encode(tokenizer->state, vocabulary, text + start, size - start, out, err)
               : TR_OK;
}

tr_status tr_encode(const tr_tokenizer *tokenizer, const char *text, size_t size, int flags, tr_tokens *out,
                    tr_error *err)
{
    size_t before = out->n;
    tr_status status;
    TR_TRY(check_text(text, size, err));
    if ((flags & TR_ENCODE_BOS) && tokenizer->adds_bos) TR_TRY_CLEANUP(tr_tokens_add(out, tokenizer->bos, err));
    status = (flags & TR_ENCODE_SPECIAL)
                 ? encode_with_specials(tokenizer, text, size, out, err)
                 : tokenizer->kind->encode(tokenizer->state, &tokenizer->vocabulary, text, size, out, err);
cleanup:
    if (status != TR_OK) out->n = before;
    return status;
}

/* Bytes at the start of `p` that begin a character but do not complete it: what one U+FFFD replaces (Unicode,
 * section 3.9, "substitution of maximal subparts"). At least 1. */
static size_t broken_length(const uint8_t *p, size_t size)
{
    bool begins = p[0] >= 0xC2 && p[0] <= 0xF4;
    size_t expected = !begins ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    uint8_t low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;  /* no overlong forms, */
    uint8_t high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF; /* surrogates, or codes past U+10FFFF */
    size_t n = 1;
    while (n < expected && n < size && p[n] >= low && p[n] <= high) {
        n++;
        low = 0x80, high = 0xBF;
    }
    return n;
}

static void add_clean(tr_str *out, const uint8_t *p, size_t size)
{
    for (size_t at = 0, start = 0; at < size || start < at;) {
        int32_t code;
        utf8proc_ssize_t n = at < size ? utf8proc_iterate(p + at, (utf8proc_ssize_t)(size - at), &code) : 0;
        if (n > 0) {
            at += (size_t)n;
            continue;
        }
        tr_str_add_bytes(out, p + start, at - start);
        if (at < size) {
            tr_str_add(out, "\xEF\xBF\xBD");
            at += broken_length(p + at, size - at);
        }
        start = at;
    }
}

tr_status tr_decode(const tr_tokenizer *tokenizer, const int32_t *ids, size_t n, bool skip_special, bool clean,
                    char **out, size_t *size, tr_error *err)
{
    const tr_vocabulary *vocabulary = &tokenizer->vocabulary;
    tr_str text = {0}, cleaned = {0};
    *out = NULL;
    tr_str_add_bytes(&text, "", 0);
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= vocabulary->n) {
            tr_str_free(&text);
            return tr_fail(err, TR_ERR_VALUE, "token id %d (number %zu) is not in the vocabulary of %zu",
                           (int)ids[i], i, vocabulary->n);
        }
        uint8_t type = vocabulary->type[ids[i]];
        if (skip_special && (type == TR_TOKEN_CONTROL || type == TR_TOKEN_UNKNOWN)) continue;
        size_t length;
        const uint8_t *bytes = tr_vocabulary_bytes(vocabulary, ids[i], &length);
        tr_str_add_bytes(&text, bytes, length);
    }
    if (clean && !text.failed && !tr_utf8_valid(text.data, text.size)) {
        add_clean(&cleaned, (const uint8_t *)text.data, text.size);
        tr_str_free(&text);
        text = cleaned;
    }
    tr_status status = tr_str_check(&text, err);
    if (status != TR_OK) {
        tr_str_free(&text);
        return status;
    }
    *out = text.data;
    *size = text.size;
    return TR_OK;
}

size_t tr_tokenizer_vocab_size(const tr_tokenizer *tokenizer) { return tokenizer->vocabulary.n; }
int32_t tr_tokenizer_bos(const tr_tokenizer *tokenizer) { return tokenizer->bos; }
int32_t tr_tokenizer_eos(const tr_tokenizer *tokenizer) { return tokenizer->eos; }
bool tr_tokenizer_adds_bos(const tr_tokenizer *tokenizer) { return tokenizer->adds_bos; }
