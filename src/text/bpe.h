/* Byte-pair encoding of one piece of text: merges by rank. Private to src/text.
 * Sennrich, Haddow, Birch, "Neural machine translation of rare words with subword units" (ACL 2016), as Hugging
 * Face tokenizers applies it: the adjacent pair of lowest rank first, the leftmost of equal ones. */
#ifndef TR_TEXT_BPE_H
#define TR_TEXT_BPE_H

#include "text/tokenizer_kind.h"
#include "text/vocabulary.h"

typedef struct {
    int32_t left, right; /* left -1: free slot */
    uint32_t rank;
    int32_t merged;
} tr_bpe_merge;

typedef struct {
    tr_bpe_merge *slot; /* (mask + 1) open addressing, by (left, right) */
    size_t mask;
    int32_t byte_id[256]; /* the token of each single byte; -1 when the vocabulary lacks it */
} tr_bpe;

/* `merges` are strings "a b" of token strings, in order of rank. TR_ERR_FORMAT naming the merge that is not such a
 * string, or whose parts or result are not in the vocabulary. A repeated merge takes its last rank, as in
 * Hugging Face tokenizers. */
tr_status tr_bpe_create(tr_bpe *bpe, const tr_vocabulary *vocabulary, const tr_gguf_string *merges, size_t n,
                        tr_token_unpack unpack, tr_error *err);
void tr_bpe_destroy(tr_bpe *bpe);

/* Room for one call at a time: zero-initialise, reuse for any number of pieces. */
typedef struct {
    struct tr_bpe_symbol *symbol;
    size_t symbol_capacity;
    struct tr_bpe_candidate *heap;
    size_t n_heap, heap_capacity;
} tr_bpe_work;
void tr_bpe_work_free(tr_bpe_work *work);

/* Appends the ids of a piece (size < 2^31 bytes). Bytes that the vocabulary lacks vanish, as in Hugging Face
 * tokenizers when the model names no unknown token. O(size log size). */
tr_status tr_bpe_encode(const tr_bpe *bpe, tr_bpe_work *work, const uint8_t *piece, size_t size, tr_tokens *out,
                        tr_error *err);

#endif
