/* The table of metrics, and scores prepared so that each metric of a resample costs one pass.
 *
 * To add a metric: a file with its formula on plain arrays, a line in the enumeration below, and a line in the table
 * of metric.c. The bootstrap, the tables, the JSON and the report follow. */
#ifndef TR_EVAL_METRIC_H
#define TR_EVAL_METRIC_H

#include "eval/groups.h"

typedef enum {
    TR_METRIC_AUC,
    TR_METRIC_UAUC,
    TR_METRIC_UAUC_WEIGHTED,
    TR_METRIC_USERS,
    TR_METRIC_ACCURACY,
    TR_METRIC_LOG_LOSS,
    TR_METRIC_ECE,
    TR_METRIC_BASE_RATE,
    TR_N_METRICS
} tr_metric_id;

/* One scorer's scores on the evaluated rows. score, label and groups are borrowed, the rest is owned. */
typedef struct {
    size_t n;
    const double *score;       /* (n) log-odds, finite */
    const uint8_t *label;      /* (n) 0 or 1 */
    const tr_groups *groups;
    uint32_t *order;           /* (n) rows by ascending score */
    double *probability;       /* (n) of Yes */
    double *loss;              /* (n) -log P(label) */
    double *user_auc;          /* (n_groups) NaN where undefined */
} tr_scored;

/* TR_ERR_VALUE naming the row for a score that is not finite or a label that is not 0 or 1. tr_scored_free releases
 * what is owned. */
tr_status tr_scored_create(tr_scored *out, const double *score, const uint8_t *label, const tr_groups *groups,
                           tr_error *err);
void tr_scored_free(tr_scored *scored);

typedef struct {
    const char *key;   /* in JSON; never changes */
    const char *title; /* in tables */
    bool higher_is_better;
    bool compares;     /* a difference between two scorers means something */
} tr_metric;

extern const tr_metric tr_metrics[TR_N_METRICS];

/* All metrics of the rows, or of a resample in which group g occurs weight[g] times (weight NULL: once).
 * out (TR_N_METRICS): NaN where a metric is undefined. */
void tr_metrics_compute(const tr_scored *scored, const uint32_t *weight, double *out);

#endif
