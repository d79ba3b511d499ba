/* Few-shot selection: which training examples a run sees. */
#ifndef TR_REC_SAMPLE_H
#define TR_REC_SAMPLE_H

#include "rec/example.h"

/* Chooses `shots` different rows of `examples` by seed; *rows (owned by the caller) holds their numbers in the order
 * of choice, *n_rows how many. Selections of one seed are nested: the first 16 of the 64-shot selection are the
 * 16-shot selection, balanced or not. `shots` <= 0, or (unbalanced) >= n, takes all rows in file order.
 *
 * `balanced` takes as many yes as no, in turn, a yes first (and so one more yes when shots is odd); all means as many
 * as the rarer answer allows.
 *
 * TR_ERR_VALUE when a balanced selection asks for more of one answer than there are; TR_ERR_UNDEFINED when it is
 * balanced and an answer is missing. */
tr_status tr_sample_rows(const tr_examples *examples, int64_t shots, uint64_t seed, bool balanced, uint32_t **rows,
                         size_t *n_rows, tr_error *err);

#endif
