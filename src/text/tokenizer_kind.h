/* What a kind of tokenizer provides, and how tokenizers are made without a file. Private to src/text, its tests
 * and its fuzz target. A new kind (SentencePiece) is one file that defines a tr_tokenizer_kind and one line in the
 * table of tokenizer.c. */
#ifndef TR_TEXT_TOKENIZER_KIND_H
#define TR_TEXT_TOKENIZER_KIND_H

#include "text/tokenizer.h"
#include "text/vocabulary.h"

/* A tokenizer's data, as the metadata of a GGUF file has it (tokenizer.ggml.*). Only read while creating. */
typedef struct {
    const char *model; /* kind: "gpt2" */
    const char *pre;   /* pre-tokenizer; NULL when the file says nothing */
    const tr_gguf_string *tokens;
    size_t n_tokens;
    const int32_t *types; /* NULL: all normal */
    size_t n_types;
    const tr_gguf_string *merges;
    size_t n_merges;
    int64_t bos, eos; /* -1: none */
    int add_bos;      /* 0, 1, or -1: as the kind's default is */
} tr_tokenizer_spec;

/* TR_ERR_UNSUPPORTED for an unknown model or pre-tokenizer, TR_ERR_FORMAT for data that contradict themselves (see
 * vocabulary.h, bpe.h), for bos or eos out of range, and for add_bos 1 without a bos. */
tr_status tr_tokenizer_create(const tr_tokenizer_spec *spec, tr_tokenizer **out, tr_error *err);

typedef struct {
    const char *model;      /* value of tokenizer.ggml.model */
    tr_token_unpack unpack; /* stored string of a normal token to the bytes it stands for */

    /* Makes the kind's own data. `adds_bos` is set to the kind's default. On failure *state stays NULL. */
    tr_status (*create)(const tr_tokenizer_spec *spec, const tr_vocabulary *vocabulary, void **state,
                        bool *adds_bos, tr_error *err);
    void (*free)(void *state);

    /* Appends the ids of text (valid UTF-8, at most 2^31 - 1 bytes) that holds no special tokens any more. */
    tr_status (*encode)(const void *state, const tr_vocabulary *vocabulary, const char *text, size_t size,
                        tr_tokens *out, tr_error *err);
} tr_tokenizer_kind;

extern const tr_tokenizer_kind tr_tokenizer_byte_bpe;

/* Appends one id. */
tr_status tr_tokens_add(tr_tokens *tokens, int32_t id, tr_error *err);

#endif
