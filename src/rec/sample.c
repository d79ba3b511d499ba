/* This file implements few-shot selection: the beginning of one permutation of all rows, so that selections nest. */
#include "rec/sample.h"

#include "base/memory.h"
#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

/* Rearranges the permutation `order` into yes, no, yes, no, ...; each answer in the permutation's order. Both arrays
 * have room for n + 1: an odd count of shots can leave the last place of the last pair unfilled. */
static void alternate(const tr_examples *examples, uint32_t *order, uint32_t *spare, size_t n_pairs)
{
    size_t n_taken[2] = {0, 0};
    for (size_t i = 0; i < examples->n; i++) {
        int label = examples->row[order[i]].label;
        if (label < 0) continue;
        size_t place = 2 * n_taken[label]++ + (label == 0);
        if (place < 2 * n_pairs) spare[place] = order[i];
    }
    memcpy(order, spare, 2 * n_pairs * sizeof *order);
}

/* How many pairs a balanced selection of `shots` needs. */
static tr_status count_pairs(const tr_examples *examples, int64_t shots, size_t *n_pairs, tr_error *err)
{
    size_t n[2] = {0, 0};
    for (size_t i = 0; i < examples->n; i++)
        if (examples->row[i].label >= 0) n[examples->row[i].label]++;
    size_t rarer = n[0] < n[1] ? n[0] : n[1];
    if (rarer == 0)
        return tr_fail(err, TR_ERR_UNDEFINED, "all training rows have one answer; none can be balanced");
    *n_pairs = shots > 0 ? (size_t)(shots / 2 + shots % 2) : rarer;
    if (*n_pairs <= n[1] && *n_pairs - (size_t)(shots > 0 && shots % 2) <= n[0]) return TR_OK;
    tr_fail(err, TR_ERR_VALUE, "%lld balanced shots need %zu of each answer; there are %zu Yes and %zu No",
            (long long)shots, *n_pairs, n[1], n[0]);
    return tr_hint(err, "at most %zu balanced shots", 2 * rarer);
}

tr_status tr_sample_rows(const tr_examples *examples, int64_t shots, uint64_t seed, bool balanced, uint32_t **rows,
                         size_t *n_rows, tr_error *err)
{
    size_t n = examples->n, n_pairs = 0;
    bool all = shots <= 0 || (uint64_t)shots >= n;
    uint32_t *spare = NULL;
    *rows = NULL;
    if (n > UINT32_MAX) return tr_fail(err, TR_ERR_UNSUPPORTED, "more than 2^32 training rows");
    if (balanced) TR_TRY(count_pairs(examples, shots, &n_pairs, err));
    TR_TRY(tr_alloc(rows, n + 1, sizeof **rows, "a selection of rows", err));
    for (size_t i = 0; i < n; i++) (*rows)[i] = (uint32_t)i;
    *n_rows = all ? n : (size_t)shots;
    if (!all || balanced) tr_rng_permute(seed, TR_RNG_SAMPLE, 0, *rows, n);
    if (!balanced) return TR_OK;
    tr_status status = tr_alloc(&spare, n + 1, sizeof *spare, "a selection of rows", err);
    if (status == TR_OK) {
        alternate(examples, *rows, spare, n_pairs);
        *n_rows = shots > 0 ? (size_t)shots : 2 * n_pairs;
    } else {
        free(*rows);
        *rows = NULL;
    }
    free(spare);
    return status;
}
