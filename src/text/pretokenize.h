/* Pre-tokenizers: the cutting of text into pieces that byte-pair encoding never joins. Private to src/text.
 * One row of a table in pretokenize.c for each family of models. */
#ifndef TR_TEXT_PRETOKENIZE_H
#define TR_TEXT_PRETOKENIZE_H

#include "base/error.h"

/* What a family of byte-level models does before merging. */
typedef struct {
    const char *names[4]; /* values of tokenizer.ggml.pre, up to the first NULL */
    bool nfc;             /* text is normalised first */
    bool whole_pieces;    /* a piece that is a token is that token, without merging ("ignore_merges") */
    bool adds_bos;        /* unless tokenizer.ggml.add_bos_token says otherwise */
    const char *pattern;  /* PCRE2: each match is a piece, so is what lies between matches */
} tr_pretokenizer_family;

/* The row of that name. TR_ERR_UNSUPPORTED naming those that exist; `name` may be NULL (the file says nothing). */
tr_status tr_pretokenizer_family_find(const char *name, const tr_pretokenizer_family **out, tr_error *err);

/* A family's pattern, compiled. */
typedef struct tr_pretokenizer tr_pretokenizer;
tr_status tr_pretokenizer_create(const tr_pretokenizer_family *family, tr_pretokenizer **out, tr_error *err);
void tr_pretokenizer_free(tr_pretokenizer *pretokenizer);

typedef tr_status (*tr_piece_function)(void *context, const char *piece, size_t size, tr_error *err);

/* Calls `each` for every piece of valid UTF-8, in order; together the pieces are the text. Does not normalise. A
 * failing call ends it. Thread-safe on one pretokenizer. O(size). */
tr_status tr_pretokenize(const tr_pretokenizer *pretokenizer, const char *text, size_t size,
                         tr_piece_function each, void *context, tr_error *err);

#endif
