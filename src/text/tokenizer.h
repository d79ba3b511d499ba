/* Tokenizers: text to token ids and back, exactly as Hugging Face tokenizers does it for the same model.
 * Kinds are rows of a table in tokenizer.c; byte-level BPE (GPT-2 family) is the first. */
#ifndef TR_TEXT_TOKENIZER_H
#define TR_TEXT_TOKENIZER_H

#include "base/error.h"
#include "format/gguf.h"

typedef struct tr_tokenizer tr_tokenizer;

/* From GGUF metadata (tokenizer.ggml.*), of which it keeps nothing: the file may be closed. TR_ERR_UNSUPPORTED
 * names the model or pre-tokenizer and what is supported, TR_ERR_FORMAT what in the metadata is wrong. */
tr_status tr_tokenizer_from_gguf(const tr_gguf *file, tr_tokenizer **out, tr_error *err);
void tr_tokenizer_free(tr_tokenizer *tokenizer);

/* Token ids, in order. Zero-initialise, reuse, free with tr_tokens_free. */
typedef struct {
    int32_t *id;
    size_t n, capacity;
} tr_tokens;
void tr_tokens_free(tr_tokens *tokens);

enum {
    TR_ENCODE_BOS = 1,     /* put the beginning-of-text token first if this model uses one (add_bos_token) */
    TR_ENCODE_SPECIAL = 2, /* text that spells a special/added token ("<|im_start|>") becomes that token, as
                              Hugging Face does by default; without it such text is ordinary text */
};

/* Appends the ids of `text` (size bytes of UTF-8, at most 2^31 - 1; an invalid byte is TR_ERR_VALUE with its
 * offset) to `out`, which is left as it was on failure. Where Hugging Face tokenizers loses something, so does
 * this: Qwen 2 normalises to NFC, and bytes that the vocabulary has no token for vanish (SmolLM2 lacks 21: six
 * control characters and bytes that UTF-8 never or hardly ever has). O(n log n) in the length, whatever the text.
 * Thread-safe on one tokenizer. */
tr_status tr_encode(const tr_tokenizer *tokenizer, const char *text, size_t size, int flags, tr_tokens *out,
                    tr_error *err);

/* The text of ids: exact bytes for byte-level models. Invalid UTF-8 sequences become U+FFFD when `clean`.
 * skip_special leaves out special tokens. *out is malloc'ed and NUL-terminated. TR_ERR_VALUE for an id out of
 * range. */
tr_status tr_decode(const tr_tokenizer *tokenizer, const int32_t *ids, size_t n, bool skip_special, bool clean,
                    char **out, size_t *size, tr_error *err);

size_t tr_tokenizer_vocab_size(const tr_tokenizer *tokenizer);
/* bos and eos are -1 when the model has none. */
int32_t tr_tokenizer_bos(const tr_tokenizer *tokenizer);
/* The end-of-text token that follows a training answer: the tokenizer's eos. */
int32_t tr_tokenizer_eos(const tr_tokenizer *tokenizer);
bool tr_tokenizer_adds_bos(const tr_tokenizer *tokenizer);

#endif
