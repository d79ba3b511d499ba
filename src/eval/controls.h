/* The controls: scores that need no language model. A model that does not beat them has not shown that it reads
 * anything. All scores are log-odds, so that they share the metrics of the model (log loss, calibration). */
#ifndef TR_EVAL_CONTROLS_H
#define TR_EVAL_CONTROLS_H

#include "rec/example.h"

/* Training rows as the item mean sees them. n = 0 means that they are not known. */
typedef struct {
    const char *const *item; /* (n) entries may be NULL: such a row counts only for the yes rate */
    const uint8_t *label;    /* (n) 0 or 1 */
    size_t n;
} tr_training_rows;

/* What names an item for the item mean: its title, because that is what the prompt shows (ML-100K lists 18 titles
 * under two ids), or its id where the title is unknown; NULL when neither is known. Borrowed. */
const char *tr_control_item(const tr_example *example);

/* Log-odds of the like share of each row's prompt (tr_example_like_share): share (n) in (0, 1) -> score (n).
 * TR_ERR_VALUE naming the row when a share is outside. */
tr_status tr_control_like_share(const double *share, size_t n, double *score, tr_error *err);

/* The number of training rows that the rate of all rows counts for in an item mean. */
#define TR_ITEM_MEAN_PRIOR 5

/* Log-odds of the item mean (yes + 5 p) / (n + 5): yes and n are counted over the training rows of the same item,
 * p is the share of Yes among all of them. An item that was never seen, or NULL, scores p.
 * item (n), entries may be NULL, or NULL; score (n). TR_ERR_USAGE without training rows. */
tr_status tr_control_item_mean(const tr_training_rows *training, const char *const *item, size_t n, double *score,
                               tr_error *err);

#endif
