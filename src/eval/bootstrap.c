/* This file implements the cluster bootstrap. */
#include "eval/bootstrap.h"

#include "base/memory.h"
#include "base/rng.h"
#include "base/system.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>

static double *values(const tr_bootstrap *b, size_t scorer, tr_metric_id metric)
{
    return b->value + (scorer * TR_N_METRICS + metric) * b->n_replicates;
}

/* How often each group occurs in replicate r: weight (n_groups). */
static void resample(uint32_t *weight, size_t n_groups, uint64_t seed, size_t r)
{
    for (size_t g = 0; g < n_groups; g++) weight[g] = 0;
    for (size_t i = 0; i < n_groups; i++)
        weight[tr_rng_below(seed, TR_RNG_BOOTSTRAP, (uint32_t)r, i, (uint32_t)n_groups)]++;
}

static void compute_replicate(tr_bootstrap *b, const tr_scored *scored, const uint32_t *weight, size_t r)
{
    for (size_t s = 0; s < b->n_scorers; s++) {
        double metrics[TR_N_METRICS];
        tr_metrics_compute(&scored[s], weight, metrics);
        for (int m = 0; m < TR_N_METRICS; m++) values(b, s, (tr_metric_id)m)[r] = metrics[m];
    }
}

tr_status tr_bootstrap_create(tr_bootstrap *out, const tr_scored *scored, size_t n_scorers, size_t n_replicates,
                              uint64_t seed, tr_error *err)
{
    *out = (tr_bootstrap){.n_scorers = n_scorers, .n_replicates = n_replicates};
    if (n_replicates > UINT32_MAX) return tr_fail(err, TR_ERR_USAGE, "%zu replicates are too many", n_replicates);
    size_t n_groups = scored[0].groups->n_groups, n_threads = (size_t)tr_threads();
    if (n_groups < 2) out->n_replicates = 0;
    uint32_t *weights = NULL; /* (n_threads, n_groups) */
    tr_status status;
    TR_TRY_CLEANUP(tr_alloc(&weights, n_threads * n_groups, sizeof *weights, "resampling", err));
    TR_TRY_CLEANUP(tr_alloc(&out->point, n_scorers * TR_N_METRICS, sizeof *out->point, "metrics", err));
    TR_TRY_CLEANUP(tr_alloc(&out->value, n_scorers * TR_N_METRICS * out->n_replicates, sizeof *out->value,
                            "bootstrap replicates", err));
    for (size_t s = 0; s < n_scorers; s++) tr_metrics_compute(&scored[s], NULL, out->point + s * TR_N_METRICS);

#pragma omp parallel for schedule(static) num_threads((int)n_threads)
    for (size_t r = 0; r < out->n_replicates; r++) {
        uint32_t *weight = weights + (size_t)omp_get_thread_num() * n_groups;
        resample(weight, n_groups, seed, r);
        compute_replicate(out, scored, weight, r);
    }
    free(weights);
    return TR_OK;
cleanup:
    free(weights);
    tr_bootstrap_free(out);
    return status;
}

void tr_bootstrap_free(tr_bootstrap *bootstrap)
{
    free(bootstrap->point);
    free(bootstrap->value);
    *bootstrap = (tr_bootstrap){0};
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double quantile(const double *sorted, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t below = (size_t)at, above = below + 1 < n ? below + 1 : below;
    return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

/* The interval of `replicate` (n), which is compacted and sorted in place. */
static void percentile_interval(double *replicate, size_t n, double point, tr_interval *out)
{
    size_t n_defined = 0;
    for (size_t r = 0; r < n; r++)
        if (!isnan(replicate[r])) replicate[n_defined++] = replicate[r];
    *out = (tr_interval){.value = point, .low = NAN, .high = NAN, .n_defined = n_defined};
    if (n_defined < 2 || isnan(point)) return;
    qsort(replicate, n_defined, sizeof *replicate, compare_doubles);
    double tail = (1 - TR_BOOTSTRAP_COVERAGE) / 2;
    out->low = quantile(replicate, n_defined, tail);
    out->high = quantile(replicate, n_defined, 1 - tail);
}

tr_status tr_bootstrap_interval(const tr_bootstrap *b, size_t scorer, tr_metric_id metric, tr_interval *out,
                                tr_error *err)
{
    double *replicate;
    TR_TRY(tr_alloc(&replicate, b->n_replicates, sizeof *replicate, "an interval", err));
    for (size_t r = 0; r < b->n_replicates; r++) replicate[r] = values(b, scorer, metric)[r];
    percentile_interval(replicate, b->n_replicates, b->point[scorer * TR_N_METRICS + metric], out);
    free(replicate);
    return TR_OK;
}

tr_status tr_bootstrap_difference(const tr_bootstrap *b, size_t scorer, size_t other, tr_metric_id metric,
                                  tr_interval *out, tr_error *err)
{
    double *replicate;
    TR_TRY(tr_alloc(&replicate, b->n_replicates, sizeof *replicate, "an interval", err));
    for (size_t r = 0; r < b->n_replicates; r++)
        replicate[r] = values(b, scorer, metric)[r] - values(b, other, metric)[r];
    double point = b->point[scorer * TR_N_METRICS + metric] - b->point[other * TR_N_METRICS + metric];
    percentile_interval(replicate, b->n_replicates, point, out);
    free(replicate);
    return TR_OK;
}
