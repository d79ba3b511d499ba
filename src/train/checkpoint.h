/* state.bin: everything that continues a run as if it had never stopped.
 *
 * Layout: "tallrec state\n\0\1" (16 bytes, the last is the version) | u64 size of the header | header, JSON | floats
 * (n_params each): parameters, AdamW's m and v, the best parameters so far | SHA-256 of all before, as 64
 * hexadecimal digits. Little-endian. Written atomically. */
#ifndef TR_TRAIN_CHECKPOINT_H
#define TR_TRAIN_CHECKPOINT_H

#include "base/sha256.h"
#include "train/recipe.h"

/* What a run is made of: a state continues only the run that it belongs to. */
typedef struct {
    tr_recipe recipe;
    char model[TR_SHA256_HEX];  /* of the model file */
    char data[TR_SHA256_HEX];   /* of the training rows' tokens, targets and weights, in order */
    char valid[TR_SHA256_HEX];  /* of the validation rows; empty without */
    char start[TR_SHA256_HEX];  /* of the starting adapter's parameters */
} tr_run_identity;

/* Where a run stands. */
typedef struct {
    int64_t step;           /* steps done */
    int64_t evaluated_step; /* after which the last validation was done; 0: none */
    int64_t best_step;      /* of the best validation; 0: none yet */
    double best_auc;        /* meaningless when best_step is 0 */
    int64_t stale;          /* validations since the best one */
    double first_loss, last_loss;
    double seconds;         /* of work so far, over all resumptions */
    int64_t metrics_bytes;  /* size of metrics.jsonl */
    char cpu[16];           /* level of the kernels */
} tr_run_position;

typedef struct {
    tr_run_identity identity;
    tr_run_position position;
    size_t n_params;
    float *params, *m, *v, *best; /* (n_params), the caller's */
} tr_checkpoint;

/* Disk full and the like: TR_ERR_IO, and an earlier file stays whole. */
tr_status tr_checkpoint_save(const char *path, const tr_checkpoint *checkpoint, tr_error *err);

/* Fills position and the four arrays. checkpoint->identity and n_params must be set: another recipe, model, data or
 * starting adapter is TR_ERR_MISMATCH naming what differs; damaged bytes are TR_ERR_FORMAT. On failure the arrays are
 * unchanged. */
tr_status tr_checkpoint_load(const char *path, tr_checkpoint *checkpoint, tr_error *err);

#endif
