/* Confidence intervals from resampled users.
 *
 * Rows of one user resemble each other, so rows are not independent draws and resampling them gives intervals that
 * are too narrow. Whole users (groups) are resampled instead: the cluster bootstrap, percentile interval
 * (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, sections 8.3 and 13.3). */
#ifndef TR_EVAL_BOOTSTRAP_H
#define TR_EVAL_BOOTSTRAP_H

#include "eval/metric.h"

#define TR_BOOTSTRAP_REPLICATES 1000
#define TR_BOOTSTRAP_COVERAGE 0.95

/* A value with its interval. Any of the three is NaN when it does not exist. */
typedef struct {
    double value, low, high;
    size_t n_defined; /* replicates in which the quantity existed; the others are left out */
} tr_interval;

/* All metrics of all scorers on the same replicates. */
typedef struct {
    size_t n_scorers, n_replicates;
    double *point; /* (n_scorers, TR_N_METRICS) on the rows themselves */
    double *value; /* (n_scorers, TR_N_METRICS, n_replicates); NaN where undefined */
} tr_bootstrap;

/* Draws n_groups groups with replacement, n_replicates times; replicate r is a function of (seed, r) alone, so the
 * result does not depend on the number of threads. All scorers must share one tr_groups. With fewer than two
 * groups there is nothing to resample: n_replicates becomes 0 and no interval exists, instead of one of width 0. */
tr_status tr_bootstrap_create(tr_bootstrap *out, const tr_scored *scored, size_t n_scorers, size_t n_replicates,
                              uint64_t seed, tr_error *err);
void tr_bootstrap_free(tr_bootstrap *bootstrap);

/* A metric's value with its interval: the 2.5 % and 97.5 % quantiles of the defined replicates, linearly
 * interpolated between order statistics. NaN ends when fewer than two replicates are defined. */
tr_status tr_bootstrap_interval(const tr_bootstrap *bootstrap, size_t scorer, tr_metric_id metric, tr_interval *out,
                                tr_error *err);

/* The paired difference `scorer` - `other` of a metric, replicate by replicate. */
tr_status tr_bootstrap_difference(const tr_bootstrap *bootstrap, size_t scorer, size_t other, tr_metric_id metric,
                                  tr_interval *out, tr_error *err);

#endif
