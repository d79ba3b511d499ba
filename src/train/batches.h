/* Which rows an optimiser step sees. An epoch visits every row once, in an order that is a function of (seed, epoch) or
 * the file's; its last batch may be smaller. */
#ifndef TR_TRAIN_BATCHES_H
#define TR_TRAIN_BATCHES_H

#include "base/error.h"
#include "train/recipe.h"

typedef struct {
    int n_rows, batch;
    int64_t steps_per_epoch; /* ceil(n_rows / batch) */
    int64_t steps;           /* of the run: epochs * steps_per_epoch, or fewer */
    bool shuffle;
    uint64_t seed;
    uint32_t *order;         /* (n_rows) of `epoch` */
    int64_t epoch;           /* whose order it is; -1: none yet */
} tr_batches;

/* TR_ERR_VALUE without rows. */
tr_status tr_batches_create(const tr_recipe *recipe, int n_rows, tr_batches *out, tr_error *err);
void tr_batches_free(tr_batches *batches);

/* The rows of step `step` (from 0): returns them, *n their number, *epoch (may be NULL) the epoch from 0. The pointer
 * is valid until the next call. */
const uint32_t *tr_batches_rows(tr_batches *batches, int64_t step, int *n, int64_t *epoch);

#endif
