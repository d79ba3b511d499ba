/* This file implements the order of rows. */
#include "train/batches.h"
#include "base/memory.h"
#include "base/rng.h"

#include <stdlib.h>

tr_status tr_batches_create(const tr_recipe *recipe, int n_rows, tr_batches *out, tr_error *err)
{
    *out = (tr_batches){.n_rows = n_rows, .batch = recipe->batch, .shuffle = recipe->shuffle == TR_SHUFFLE_EPOCH,
                        .seed = recipe->seed, .epoch = -1};
    if (n_rows < 1) return tr_fail(err, TR_ERR_VALUE, "there are no rows to train on");
    out->steps_per_epoch = (n_rows + (int64_t)recipe->batch - 1) / recipe->batch;
    out->steps = out->steps_per_epoch * recipe->epochs;
    if (recipe->steps > 0 && recipe->steps < out->steps) out->steps = recipe->steps;
    return tr_alloc(&out->order, (size_t)n_rows, sizeof *out->order, "the order of rows", err);
}

void tr_batches_free(tr_batches *batches)
{
    free(batches->order);
    *batches = (tr_batches){0};
}

static void order_epoch(tr_batches *b, int64_t epoch)
{
    for (int i = 0; i < b->n_rows; i++) b->order[i] = (uint32_t)i;
    if (b->shuffle) tr_rng_permute(b->seed, TR_RNG_SHUFFLE, (uint32_t)epoch, b->order, (size_t)b->n_rows);
    b->epoch = epoch;
}

const uint32_t *tr_batches_rows(tr_batches *batches, int64_t step, int *n, int64_t *epoch)
{
    const int64_t in_epoch = step % batches->steps_per_epoch, first = in_epoch * batches->batch;
    if (batches->epoch != step / batches->steps_per_epoch) order_epoch(batches, step / batches->steps_per_epoch);
    const int64_t left = batches->n_rows - first;
    *n = (int)(left < batches->batch ? left : batches->batch);
    if (epoch) *epoch = batches->epoch;
    return batches->order + first;
}
