/* What a run tells about itself while it goes: metrics.jsonl, a line a step and a line a validation, and the same
 * numbers as TensorBoard events. */
#ifndef TR_TRAIN_METRICS_H
#define TR_TRAIN_METRICS_H

#include "format/tfevents.h"
#include "train/step.h"

typedef struct {
    int fd;
    char *path;
    int64_t bytes;        /* of metrics.jsonl */
    tr_tfevents *events;
} tr_metrics;

/* Opens FOLDER/metrics.jsonl, cut to its first keep_bytes bytes (0: a new run), and a new event file in
 * FOLDER/tensorboard. TR_ERR_MISMATCH when metrics.jsonl is shorter than that; TR_ERR_USAGE when another process is
 * tuning in the folder (it holds a lock until it ends, however it ends). */
tr_status tr_metrics_open(const char *folder, int64_t keep_bytes, tr_metrics *out, tr_error *err);
void tr_metrics_close(tr_metrics *metrics);

/* {"step", "epoch", "loss", "lr", "grad_norm", "tokens", "nodes", "targets", "seconds"}. step counts from 1, epoch is
 * the one that the step belongs to, from 1; tokens are those of the batch's rows, nodes those computed. */
typedef struct {
    int64_t step, epoch;
    double loss, lr, grad_norm, seconds;
    tr_batch_sums sums;
} tr_step_record;
tr_status tr_metrics_step(tr_metrics *metrics, const tr_step_record *record, tr_error *err);

/* {"step", "valid_auc", "valid_rows", "valid_log_loss", "best", "seconds"}; valid_log_loss only when not NaN. */
typedef struct {
    int64_t step, rows;
    double auc, log_loss, seconds;
    bool best;
} tr_valid_record;
tr_status tr_metrics_valid(tr_metrics *metrics, const tr_valid_record *record, tr_error *err);

/* Brings metrics.jsonl to the disk, before a state that counts on its length is written. */
tr_status tr_metrics_sync(tr_metrics *metrics, tr_error *err);

#endif
