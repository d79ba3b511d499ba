/* The area under the ROC curve. */
#ifndef TR_EVAL_AUC_H
#define TR_EVAL_AUC_H

#include "base/error.h"

/* Area under the ROC curve of scores against binary labels, ties counted one half
 * (Mann-Whitney U / (n_pos * n_neg)).
 *
 * score   (n)  any real numbers, infinities included; NaN is TR_ERR_VALUE
 * label   (n)  0 or 1; anything else is TR_ERR_VALUE
 * out          in [0, 1]
 *
 * TR_ERR_UNDEFINED when one class is missing: an AUC of nothing is not 0.5. O(n log n). */
tr_status tr_auc(const double *score, const uint8_t *label, size_t n, double *out, tr_error *err);

/* TR_ERR_VALUE naming the first row whose label is neither 0 nor 1. The functions below take labels as checked. */
tr_status tr_labels_check(const uint8_t *label, size_t n, tr_error *err);

/* Rows by ascending score, equal scores by row. order (n) is written. NaN is TR_ERR_VALUE, naming the row. */
tr_status tr_auc_order(const double *score, size_t n, uint32_t *order, tr_error *err);

/* The same area over the rows order[0 .. n_order) (ascending score), where row i counts weight[group[i]] times:
 * a resample without a sort. weight NULL counts each row once. False when a class has no weight; *out is then
 * left alone. O(n_order). */
bool tr_auc_ordered(const double *score, const uint8_t *label, const uint32_t *order, size_t n_order,
                    const uint32_t *group, const uint32_t *weight, double *out);

/* The ROC curve: points (false positive rate, true positive rate) from (0, 0) to (1, 1), one a distinct score, from
 * the highest score down. x, y (n + 1). Returns the number of points, 0 when a class is missing. */
size_t tr_roc(const double *score, const uint8_t *label, const uint32_t *order, size_t n, double *x, double *y);

#endif
