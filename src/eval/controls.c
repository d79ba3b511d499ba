/* This file implements the controls that need no language model. */
#include "eval/controls.h"

#include "base/memory.h"
#include "eval/calibration.h"
#include "eval/keys.h"

#include <stdlib.h>

const char *tr_control_item(const tr_example *example) { return example->title ? example->title : example->item; }

tr_status tr_control_like_share(const double *share, size_t n, double *score, tr_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!(share[i] > 0 && share[i] < 1))
            return tr_fail(err, TR_ERR_VALUE, "the like share of row %zu is %g, not between 0 and 1", i + 1, share[i]);
        score[i] = tr_logit(share[i]);
    }
    return TR_OK;
}

typedef struct {
    tr_keys items;
    double *rows, *yes; /* (at most training->n) */
    double yes_rate;
} item_counts;

static tr_status count_items(const tr_training_rows *training, item_counts *counts, tr_error *err)
{
    TR_TRY(tr_alloc(&counts->rows, training->n, sizeof *counts->rows, "item means", err));
    TR_TRY(tr_alloc(&counts->yes, training->n, sizeof *counts->yes, "item means", err));
    double yes = 0;
    for (size_t i = 0; i < training->n; i++) {
        yes += training->label[i];
        if (!training->item || !training->item[i]) continue;
        uint32_t item;
        TR_TRY(tr_keys_add(&counts->items, training->item[i], &item, err));
        counts->rows[item] += 1;
        counts->yes[item] += training->label[i];
    }
    counts->yes_rate = yes / (double)training->n;
    return TR_OK;
}

static double item_mean(const item_counts *counts, const char *item)
{
    uint32_t at = item ? tr_keys_find(&counts->items, item) : TR_KEY_NONE;
    if (at == TR_KEY_NONE) return counts->yes_rate;
    return (counts->yes[at] + TR_ITEM_MEAN_PRIOR * counts->yes_rate) / (counts->rows[at] + TR_ITEM_MEAN_PRIOR);
}

tr_status tr_control_item_mean(const tr_training_rows *training, const char *const *item, size_t n, double *score,
                               tr_error *err)
{
    if (!training->n) return tr_fail(err, TR_ERR_USAGE, "the item mean needs training rows");
    item_counts counts = {0};
    tr_status status = count_items(training, &counts, err);
    if (status == TR_OK)
        for (size_t i = 0; i < n; i++) score[i] = tr_logit(item_mean(&counts, item ? item[i] : NULL));
    tr_keys_free(&counts.items);
    free(counts.rows);
    free(counts.yes);
    return status;
}
