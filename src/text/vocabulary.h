/* A tokenizer's vocabulary: the bytes that each token stands for, its type, and the search for tokens by their
 * bytes. Private to src/text. Knows nothing of merges or models: how a stored string becomes bytes is the
 * business of the kind (tokenizer_kind.h), which passes a function for it. */
#ifndef TR_TEXT_VOCABULARY_H
#define TR_TEXT_VOCABULARY_H

#include "base/error.h"
#include "format/gguf.h"

/* tokenizer.ggml.token_type */
typedef enum {
    TR_TOKEN_NORMAL = 1,
    TR_TOKEN_UNKNOWN = 2,
    TR_TOKEN_CONTROL = 3,      /* special: <|im_end|>; its string is plain text */
    TR_TOKEN_USER_DEFINED = 4, /* added, not special; its string is plain text */
    TR_TOKEN_UNUSED = 5,
    TR_TOKEN_BYTE = 6,
} tr_token_type;

/* Turns the stored string of a token into the bytes it stands for: at most `size` bytes are written to `out`,
 * their number is *n. False when the string has no such meaning (the token can then never come out of text). */
typedef bool (*tr_token_unpack)(const char *text, size_t size, uint8_t *out, size_t *n);

typedef struct {
    uint32_t tag; /* hash of the token's bytes */
    int32_t id;   /* -1: free */
} tr_vocabulary_slot;

typedef struct {
    size_t n;
    uint8_t *bytes;           /* all tokens' bytes, one after another */
    uint32_t *start;          /* (n + 1) token i is bytes[start[i]] up to bytes[start[i + 1]] */
    uint8_t *type;            /* (n) tr_token_type */
    tr_vocabulary_slot *slot; /* (mask + 1) open addressing, by bytes; control and unused tokens are not in it */
    size_t mask;
    int32_t *special; /* (n_special) control, unknown and user-defined tokens, sorted by bytes */
    size_t n_special;
    bool special_first[256]; /* bytes that such a token begins with */
} tr_vocabulary;

/* `types` has n_types elements; NULL means that all tokens are normal. TR_ERR_FORMAT for no tokens or more than
 * 2^31 - 1, n_types different from n, an unknown type, and two tokens of one text (except a user-defined
 * one beside a normal one). Copies everything. On failure nothing stays allocated. */
tr_status tr_vocabulary_create(tr_vocabulary *vocabulary, const tr_gguf_string *tokens, size_t n,
                               const int32_t *types, size_t n_types, tr_token_unpack unpack, tr_error *err);
void tr_vocabulary_destroy(tr_vocabulary *vocabulary);

static inline const uint8_t *tr_vocabulary_bytes(const tr_vocabulary *vocabulary, int32_t id, size_t *size)
{
    *size = vocabulary->start[id + 1] - vocabulary->start[id];
    return vocabulary->bytes + vocabulary->start[id];
}

/* The token of exactly these bytes, or -1. Never a control or unused token. */
int32_t tr_vocabulary_find(const tr_vocabulary *vocabulary, const uint8_t *bytes, size_t size);

/* The longest special token (control, unknown, user-defined) that `text` begins with, or -1. */
int32_t tr_vocabulary_special_at(const tr_vocabulary *vocabulary, const char *text, size_t size);

/* Bytes from a file made fit for a message: cut at 40, everything but printable UTF-8 as \xNN. Returns buffer. */
#define TR_QUOTE_SIZE 176
const char *tr_quote(const void *bytes, size_t size, char buffer[TR_QUOTE_SIZE]);

#endif
