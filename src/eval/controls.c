/* This file implements the controls that need no language model. */
#include "eval/controls.h"

#include "base/memory.h"
#include "eval/calibration.h"
#include "rec/idmap.h"

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
    tr_idmap index;     /* of an item in the arrays */
    double *rows, *yes; /* (at most training->n) */
    double yes_rate;
} item_counts;

static tr_status count_items(const tr_training_rows *training, item_counts *counts, tr_error *err)
{
    TR_TRY(tr_alloc(&counts->rows, training->n, sizeof *counts->rows, "item means", err));
    TR_TRY(tr_alloc(&counts->yes, training->n, sizeof *counts->yes, "item means", err));
    double yes = 0;
    for (size_t i = 0; i < training->n; i++) {
        const char *name = training->item ? training->item[i] : NULL;
        yes += training->label[i];
        if (!name) continue;
        size_t item = tr_idmap_get(&counts->index, name);
        if (item == TR_NOT_FOUND) {
            item = counts->index.n;
            TR_TRY(tr_idmap_add(&counts->index, name, item, err));
        }
        counts->rows[item] += 1;
        counts->yes[item] += training->label[i];
    }
    counts->yes_rate = yes / (double)training->n;
    return TR_OK;
}

static double item_mean(const item_counts *counts, const char *name)
{
    size_t item = name ? tr_idmap_get(&counts->index, name) : TR_NOT_FOUND;
    if (item == TR_NOT_FOUND) return counts->yes_rate;
    return (counts->yes[item] + TR_ITEM_MEAN_PRIOR * counts->yes_rate) / (counts->rows[item] + TR_ITEM_MEAN_PRIOR);
}

tr_status tr_control_item_mean(const tr_training_rows *training, const char *const *item, size_t n, double *score,
                               tr_error *err)
{
    if (!training->n) return tr_fail(err, TR_ERR_USAGE, "the item mean needs training rows");
    item_counts counts = {0};
    tr_status status = count_items(training, &counts, err);
    if (status == TR_OK)
        for (size_t i = 0; i < n; i++) score[i] = tr_logit(item_mean(&counts, item ? item[i] : NULL));
    tr_idmap_free(&counts.index);
    free(counts.rows);
    free(counts.yes);
    return status;
}
