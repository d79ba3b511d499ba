/* The training curve of a run folder, as the report draws it. */
#ifndef TR_EVAL_REPORT_RUN_H
#define TR_EVAL_REPORT_RUN_H

#include "base/error.h"

typedef struct {
    double *step, *loss;           /* (n_steps) */
    double *check_step, *check_auc;/* (n_checks) evaluations on validation rows */
    size_t n_steps, n_checks;
    size_t step_capacity, loss_capacity, check_step_capacity, check_auc_capacity;
} tr_curve;

/* Reads metrics.jsonl: a line with `step` and `loss` is a training step, one with `step` and `valid_auc` an
 * evaluation; one line may be both. Other lines and other keys are passed over, and so is a last line that an
 * interruption cut off. TR_ERR_IO when the file cannot be read. Release with tr_curve_free, whatever the status. */
tr_status tr_curve_read(tr_curve *out, const char *path, tr_error *err);
void tr_curve_free(tr_curve *curve);

/* Index of the highest validation AUC, the earliest of equals; SIZE_MAX without evaluations. */
size_t tr_curve_best(const tr_curve *curve);

#endif
