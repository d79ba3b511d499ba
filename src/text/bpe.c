/* This file implements byte-pair encoding: the table of merges, and the merging of one piece. */
#include "text/bpe.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

static size_t hash_pair(int32_t left, int32_t right)
{
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    key *= 0x9E3779B97F4A7C15u; /* Fibonacci hashing: the high bits depend on all bits of the key */
    return (size_t)(key >> 32);
}

/* The slot of a pair, or the free slot where it belongs. */
static tr_bpe_merge *find_merge(const tr_bpe *bpe, int32_t left, int32_t right)
{
    size_t i = hash_pair(left, right) & bpe->mask;
    while (bpe->slot[i].left >= 0 && (bpe->slot[i].left != left || bpe->slot[i].right != right))
        i = (i + 1) & bpe->mask;
    return &bpe->slot[i];
}

/* Enters merge number `rank`. `bytes` has room for merge.size bytes. */
static tr_status add_merge(tr_bpe *bpe, const tr_vocabulary *vocabulary, tr_gguf_string merge, uint32_t rank,
                           tr_token_unpack unpack, uint8_t *bytes, tr_error *err)
{
    char quoted[TR_QUOTE_SIZE];
    const char *space = merge.size ? memchr(merge.text, ' ', merge.size) : NULL;
    size_t left_size = 0, right_size = 0, split = space ? (size_t)(space - merge.text) : 0;
    if (!space || !unpack(merge.text, split, bytes, &left_size) ||
        !unpack(space + 1, merge.size - split - 1, bytes + left_size, &right_size) || !left_size || !right_size)
        return tr_fail(err, TR_ERR_FORMAT, "merge %u is '%s', not two token texts with a space between", rank,
                       tr_quote(merge.text, merge.size, quoted));
    int32_t left = tr_vocabulary_find(vocabulary, bytes, left_size);
    int32_t right = tr_vocabulary_find(vocabulary, bytes + left_size, right_size);
    int32_t merged = tr_vocabulary_find(vocabulary, bytes, left_size + right_size);
    if (left < 0 || right < 0 || merged < 0)
        return tr_fail(err, TR_ERR_FORMAT, "merge %u, '%s': its %s is not a token", rank,
                       tr_quote(merge.text, merge.size, quoted),
                       left < 0 ? "left part" : right < 0 ? "right part" : "result");
    *find_merge(bpe, left, right) = (tr_bpe_merge){.left = left, .right = right, .rank = rank, .merged = merged};
    return TR_OK;
}

tr_status tr_bpe_create(tr_bpe *bpe, const tr_vocabulary *vocabulary, const tr_gguf_string *merges, size_t n,
                        tr_token_unpack unpack, tr_error *err)
{
    *bpe = (tr_bpe){0};
    if (n > INT32_MAX) return tr_fail(err, TR_ERR_FORMAT, "the tokenizer has %zu merges", n);
    tr_status status;
    uint8_t *bytes = NULL;
    size_t longest = 0;
    for (size_t i = 0; i < n; i++)
        if (merges[i].size > longest) longest = merges[i].size;
    TR_TRY_CLEANUP(tr_alloc(&bytes, longest, 1, "merges", err));
    size_t slots = 16;
    while (slots < n + n / 2 + 1) slots *= 2;
    TR_TRY_CLEANUP(tr_alloc(&bpe->slot, slots, sizeof *bpe->slot, "merges", err));
    bpe->mask = slots - 1;
    for (size_t i = 0; i < slots; i++) bpe->slot[i].left = -1;
    for (size_t i = 0; i < n; i++)
        TR_TRY_CLEANUP(add_merge(bpe, vocabulary, merges[i], (uint32_t)i, unpack, bytes, err));
    for (int b = 0; b < 256; b++) bpe->byte_id[b] = tr_vocabulary_find(vocabulary, &(uint8_t){(uint8_t)b}, 1);
cleanup:
    free(bytes);
    if (status != TR_OK) tr_bpe_destroy(bpe);
    return status;
}

void tr_bpe_destroy(tr_bpe *bpe)
{
    free(bpe->slot);
    *bpe = (tr_bpe){0};
}

/* A piece being merged is a doubly linked list of symbols laid out in an array. A merge writes the left symbol
 * and marks the right one dead (id -1). */
struct tr_bpe_symbol {
    int32_t id;
    uint32_t previous, next;
};

/* A pair that could be merged. It is stale, and skipped, when the symbols at its place have changed since. */
struct tr_bpe_candidate {
    uint32_t rank, position;
    int32_t left, right;
};

void tr_bpe_work_free(tr_bpe_work *work)
{
    free(work->symbol);
    free(work->heap);
    *work = (tr_bpe_work){0};
}

static bool comes_before(const struct tr_bpe_candidate *a, const struct tr_bpe_candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->position < b->position;
}

static void heap_push(tr_bpe_work *work, struct tr_bpe_candidate candidate)
{
    size_t i = work->n_heap++;
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (!comes_before(&candidate, &work->heap[parent])) break;
        work->heap[i] = work->heap[parent];
        i = parent;
    }
    work->heap[i] = candidate;
}

static struct tr_bpe_candidate heap_pop(tr_bpe_work *work)
{
    struct tr_bpe_candidate first = work->heap[0], last = work->heap[--work->n_heap];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < work->n_heap) {
        if (child + 1 < work->n_heap && comes_before(&work->heap[child + 1], &work->heap[child])) child++;
        if (!comes_before(&work->heap[child], &last)) break;
        work->heap[i] = work->heap[child];
        i = child;
    }
    work->heap[i] = last;
    return first;
}

static void consider(const tr_bpe *bpe, tr_bpe_work *work, uint32_t position)
{
    if (position == NONE || work->symbol[position].next == NONE) return;
    int32_t left = work->symbol[position].id, right = work->symbol[work->symbol[position].next].id;
    const tr_bpe_merge *merge = find_merge(bpe, left, right);
    if (merge->left < 0) return;
    heap_push(work, (struct tr_bpe_candidate){merge->rank, position, left, right});
}

/* Replaces the pair at the candidate's place by its merged token, unless that place has changed. */
static void apply(const tr_bpe *bpe, tr_bpe_work *work, struct tr_bpe_candidate candidate)
{
    struct tr_bpe_symbol *symbol = work->symbol, *left = &symbol[candidate.position];
    if (left->id != candidate.left || left->next == NONE || symbol[left->next].id != candidate.right) return;
    struct tr_bpe_symbol *right = &symbol[left->next];
    left->id = find_merge(bpe, candidate.left, candidate.right)->merged;
    left->next = right->next;
    if (right->next != NONE) symbol[right->next].previous = candidate.position;
    right->id = -1;
    consider(bpe, work, left->previous);
    consider(bpe, work, candidate.position);
}

tr_status tr_bpe_encode(const tr_bpe *bpe, tr_bpe_work *work, const uint8_t *piece, size_t size, tr_tokens *out,
                        tr_error *err)
{
    TR_TRY(tr_reserve(&work->symbol, &work->symbol_capacity, size, sizeof *work->symbol, "text", err));
    /* n - 1 pairs at first, and each of at most n - 1 merges makes two new ones. */
    TR_TRY(tr_reserve(&work->heap, &work->heap_capacity, 3 * size, sizeof *work->heap, "text", err));
    uint32_t n = 0;
    for (size_t i = 0; i < size; i++) {
        int32_t id = bpe->byte_id[piece[i]];
        if (id < 0) continue;
        work->symbol[n] = (struct tr_bpe_symbol){.id = id, .previous = n ? n - 1 : NONE, .next = n + 1};
        n++;
    }
    if (n == 0) return TR_OK;
    work->symbol[n - 1].next = NONE;
    work->n_heap = 0;
    for (uint32_t i = 0; i < n; i++) consider(bpe, work, i);
    while (work->n_heap) apply(bpe, work, heap_pop(work));
    TR_TRY(tr_reserve(&out->id, &out->capacity, out->n + n, sizeof *out->id, "tokens", err));
    for (uint32_t i = 0; i != NONE; i = work->symbol[i].next) out->id[out->n++] = work->symbol[i].id;
    return TR_OK;
}
