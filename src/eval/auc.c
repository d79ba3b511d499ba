/* This file implements the area under the ROC curve, by ranks. */
#include "eval/auc.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    double score;
    uint32_t row;
} ranked;

static int compare_ranked(const void *left, const void *right)
{
    const ranked *a = left, *b = right;
    if (a->score != b->score) return a->score < b->score ? -1 : 1;
    return a->row < b->row ? -1 : 1;
}

tr_status tr_labels_check(const uint8_t *label, size_t n, tr_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (label[i] > 1) return tr_fail(err, TR_ERR_VALUE, "the label of row %zu is %d, not 0 or 1", i + 1, label[i]);
    return TR_OK;
}

tr_status tr_auc_order(const double *score, size_t n, uint32_t *order, tr_error *err)
{
    ranked *rows;
    TR_TRY(tr_alloc(&rows, n, sizeof *rows, "ranking scores", err));
    for (size_t i = 0; i < n; i++) {
        if (isnan(score[i])) {
            free(rows);
            return tr_fail(err, TR_ERR_VALUE, "the score of row %zu is not a number", i + 1);
        }
        rows[i] = (ranked){score[i], (uint32_t)i};
    }
    qsort(rows, n, sizeof *rows, compare_ranked);
    for (size_t i = 0; i < n; i++) order[i] = rows[i].row;
    free(rows);
    return TR_OK;
}

/* Walks up the scores, one tie at a time: each positive wins against every negative below and half of its tie.
 * The counts are whole numbers far below 2^53, so the sums are exact and any order of work gives the same bits. */
bool tr_auc_ordered(const double *score, const uint8_t *label, const uint32_t *order, size_t n_order,
                    const uint32_t *group, const uint32_t *weight, double *out)
{
    double wins = 0, positives = 0, negatives = 0;
    for (size_t i = 0; i < n_order;) {
        double tie = score[order[i]], tied[2] = {0, 0};
        for (; i < n_order && score[order[i]] == tie; i++) {
            uint32_t row = order[i];
            tied[label[row]] += weight ? weight[group[row]] : 1;
        }
        wins += tied[1] * (negatives + 0.5 * tied[0]);
        positives += tied[1];
        negatives += tied[0];
    }
    if (positives == 0 || negatives == 0) return false;
    *out = wins / (positives * negatives);
    return true;
}

tr_status tr_auc(const double *score, const uint8_t *label, size_t n, double *out, tr_error *err)
{
    uint32_t *order;
    TR_TRY(tr_labels_check(label, n, err));
    TR_TRY(tr_alloc(&order, n, sizeof *order, "ranking scores", err));
    tr_status status = tr_auc_order(score, n, order, err);
    if (status == TR_OK && !tr_auc_ordered(score, label, order, n, NULL, NULL, out)) {
        status = tr_fail(err, TR_ERR_UNDEFINED, "AUC is undefined: all %zu rows have the same label", n);
        tr_hint(err, "AUC compares rows of both labels");
    }
    free(order);
    return status;
}

size_t tr_roc(const double *score, const uint8_t *label, const uint32_t *order, size_t n, double *x, double *y)
{
    size_t total[2] = {0, 0}, seen[2] = {0, 0}, n_points = 0;
    for (size_t i = 0; i < n; i++) total[label[i]]++;
    if (!total[0] || !total[1]) return 0;
    x[n_points] = 0, y[n_points++] = 0;
    for (size_t i = n; i > 0;) {
        double tie = score[order[i - 1]];
        for (; i > 0 && score[order[i - 1]] == tie; i--) seen[label[order[i - 1]]]++;
        x[n_points] = (double)seen[0] / (double)total[0];
        y[n_points++] = (double)seen[1] / (double)total[1];
    }
    return n_points;
}
