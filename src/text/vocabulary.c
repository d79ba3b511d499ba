/* This file keeps the tokens of a model: one pool of bytes, one hash table, and the sorted special tokens. */
#include "text/vocabulary.h"

#include "base/memory.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a (Fowler, Noll, Vo), with its high half folded in because tables take the low bits. */
static uint32_t hash_bytes(const uint8_t *bytes, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++) hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return (uint32_t)(hash ^ hash >> 32);
}

static bool is_special(uint8_t type)
{
    return type == TR_TOKEN_CONTROL || type == TR_TOKEN_UNKNOWN || type == TR_TOKEN_USER_DEFINED;
}

static bool token_is(const tr_vocabulary *v, int32_t id, const uint8_t *bytes, size_t size)
{
    size_t token_size;
    const uint8_t *token = tr_vocabulary_bytes(v, id, &token_size);
    return token_size == size && !memcmp(token, bytes, size);
}

int32_t tr_vocabulary_find(const tr_vocabulary *v, const uint8_t *bytes, size_t size)
{
    uint32_t tag = hash_bytes(bytes, size);
    for (size_t i = tag & v->mask;; i = (i + 1) & v->mask) {
        const tr_vocabulary_slot *slot = &v->slot[i];
        if (slot->id < 0) return -1;
        if (slot->tag == tag && token_is(v, slot->id, bytes, size)) return slot->id;
    }
}

/* Enters a token; -1, or the token that already has its bytes. */
static int32_t enter(tr_vocabulary *v, int32_t id)
{
    size_t size;
    const uint8_t *bytes = tr_vocabulary_bytes(v, id, &size);
    uint32_t tag = hash_bytes(bytes, size);
    size_t i = tag & v->mask;
    for (; v->slot[i].id >= 0; i = (i + 1) & v->mask)
        if (v->slot[i].tag == tag && token_is(v, v->slot[i].id, bytes, size)) return v->slot[i].id;
    v->slot[i] = (tr_vocabulary_slot){.tag = tag, .id = id};
    return -1;
}

const char *tr_quote(const void *bytes, size_t size, char buffer[TR_QUOTE_SIZE])
{
    const uint8_t *p = bytes;
    size_t shown = size < 40 ? size : 40, used = 0;
    while (shown > 0 && shown < size && (p[shown] & 0xC0) == 0x80) shown--; /* not inside a character */
    bool text = tr_utf8_valid(bytes, shown);
    for (size_t i = 0; i < shown; i++) {
        bool plain = p[i] >= 0x20 && p[i] != 0x7F && (p[i] < 0x80 || text);
        used += (size_t)snprintf(buffer + used, TR_QUOTE_SIZE - used, plain ? "%c" : "\\x%02x", p[i]);
    }
    snprintf(buffer + used, TR_QUOTE_SIZE - used, "%s", shown < size ? "..." : "");
    return buffer;
}

/* Fills bytes, start and type. */
static tr_status copy_tokens(tr_vocabulary *v, const tr_gguf_string *tokens, const int32_t *types,
                             tr_token_unpack unpack, tr_error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < v->n; i++)
        if (__builtin_add_overflow(total, tokens[i].size, &total) || total > UINT32_MAX)
            return tr_fail(err, TR_ERR_FORMAT, "the texts of the tokens take more than 4 GiB");
    TR_TRY(tr_alloc(&v->bytes, total, 1, "token texts", err));
    TR_TRY(tr_alloc(&v->start, v->n + 1, sizeof *v->start, "token texts", err));
    TR_TRY(tr_alloc(&v->type, v->n, 1, "token types", err));
    uint32_t used = 0;
    for (size_t i = 0; i < v->n; i++) {
        int32_t type = types ? types[i] : TR_TOKEN_NORMAL;
        if (type < TR_TOKEN_NORMAL || type > TR_TOKEN_BYTE)
            return tr_fail(err, TR_ERR_FORMAT, "token %zu has type %d, but types are 1 to 6", i, (int)type);
        size_t size;
        v->start[i] = used;
        v->type[i] = (uint8_t)type;
        bool plain = is_special(v->type[i]);
        if (plain || !unpack(tokens[i].text, tokens[i].size, v->bytes + used, &size)) {
            size = tokens[i].size;
            if (size) memcpy(v->bytes + used, tokens[i].text, size);
            if (!plain) v->type[i] = TR_TOKEN_UNUSED; /* can be decoded, never encoded */
        }
        used += (uint32_t)size;
    }
    v->start[v->n] = used;
    return TR_OK;
}

static tr_status refuse_twins(const tr_vocabulary *v, int32_t a, int32_t b, tr_error *err)
{
    char quoted[TR_QUOTE_SIZE];
    size_t size;
    const uint8_t *bytes = tr_vocabulary_bytes(v, a, &size);
    return tr_fail(err, TR_ERR_FORMAT, "tokens %d and %d have the same text '%s'", a, b,
                   tr_quote(bytes, size, quoted));
}

/* Normal tokens first: a user-defined token may repeat the bytes of a normal one (its string differs in the
 * file, where normal strings are in the byte alphabet), and then merges mean the normal one. */
static tr_status enter_tokens(tr_vocabulary *v, tr_error *err)
{
    v->mask = 16;
    while (v->mask < 2 * v->n) v->mask *= 2;
    v->mask--;
    TR_TRY(tr_alloc(&v->slot, v->mask + 1, sizeof *v->slot, "token table", err));
    for (size_t i = 0; i <= v->mask; i++) v->slot[i].id = -1;
    for (size_t i = 0; i < v->n; i++) {
        bool normal = v->type[i] == TR_TOKEN_NORMAL || v->type[i] == TR_TOKEN_BYTE;
        int32_t twin = normal && v->start[i] < v->start[i + 1] ? enter(v, (int32_t)i) : -1;
        if (twin >= 0) return refuse_twins(v, twin, (int32_t)i, err);
    }
    for (size_t i = 0; i < v->n; i++)
        if (v->type[i] == TR_TOKEN_USER_DEFINED && v->start[i] < v->start[i + 1]) enter(v, (int32_t)i);
    return TR_OK;
}

static int compare_tokens(const void *a, const void *b, void *context)
{
    const tr_vocabulary *v = context;
    size_t size_a, size_b;
    const uint8_t *bytes_a = tr_vocabulary_bytes(v, *(const int32_t *)a, &size_a);
    const uint8_t *bytes_b = tr_vocabulary_bytes(v, *(const int32_t *)b, &size_b);
    int order = memcmp(bytes_a, bytes_b, size_a < size_b ? size_a : size_b);
    return order ? order : (size_a > size_b) - (size_a < size_b);
}

static tr_status list_specials(tr_vocabulary *v, tr_error *err)
{
    for (size_t i = 0; i < v->n; i++) v->n_special += is_special(v->type[i]) && v->start[i] < v->start[i + 1];
    TR_TRY(tr_alloc(&v->special, v->n_special, sizeof *v->special, "special tokens", err));
    size_t used = 0;
    for (size_t i = 0; i < v->n; i++)
        if (is_special(v->type[i]) && v->start[i] < v->start[i + 1]) {
            v->special[used++] = (int32_t)i;
            v->special_first[v->bytes[v->start[i]]] = true;
        }
    qsort_r(v->special, v->n_special, sizeof *v->special, compare_tokens, v);
    for (size_t i = 1; i < v->n_special; i++)
        if (!compare_tokens(&v->special[i - 1], &v->special[i], v))
            return refuse_twins(v, v->special[i - 1], v->special[i], err);
    return TR_OK;
}

tr_status tr_vocabulary_create(tr_vocabulary *v, const tr_gguf_string *tokens, size_t n, const int32_t *types,
                               size_t n_types, tr_token_unpack unpack, tr_error *err)
{
    *v = (tr_vocabulary){.n = n};
    if (n == 0 || n > INT32_MAX) return tr_fail(err, TR_ERR_FORMAT, "the vocabulary has %zu tokens", n);
    if (types && n_types != n) return tr_fail(err, TR_ERR_FORMAT, "%zu tokens but %zu token types", n, n_types);
    tr_status status;
    TR_TRY_CLEANUP(copy_tokens(v, tokens, types, unpack, err));
    TR_TRY_CLEANUP(enter_tokens(v, err));
    TR_TRY_CLEANUP(list_specials(v, err));
    return TR_OK;
cleanup:
    tr_vocabulary_destroy(v);
    return status;
}

void tr_vocabulary_destroy(tr_vocabulary *v)
{
    free(v->bytes);
    free(v->start);
    free(v->type);
    free(v->slot);
    free(v->special);
    *v = (tr_vocabulary){0};
}

/* Among special[low .. high), which agree in the bytes before `depth` and are longer than that: the first whose
 * byte at `depth` is not below `byte`. */
static size_t lower_bound(const tr_vocabulary *v, size_t low, size_t high, size_t depth, unsigned byte)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (v->bytes[v->start[v->special[middle]] + depth] < byte) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* In sorted order the tokens that share their first bytes are neighbours, the shortest first; so each byte of
 * the text narrows one range. */
int32_t tr_vocabulary_special_at(const tr_vocabulary *v, const char *text, size_t size)
{
    int32_t found = -1;
    if (size == 0 || !v->special_first[(uint8_t)text[0]]) return -1;
    size_t low = 0, high = v->n_special;
    for (size_t depth = 0; low < high; depth++) {
        size_t length;
        tr_vocabulary_bytes(v, v->special[low], &length);
        if (length == depth) found = v->special[low++];
        if (low == high || depth == size) break;
        unsigned byte = (uint8_t)text[depth];
        low = lower_bound(v, low, high, depth, byte);
        high = lower_bound(v, low, high, depth, byte + 1);
    }
    return found;
}
