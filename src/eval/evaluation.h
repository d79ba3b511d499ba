/* An evaluation: a model's scores beside the controls that it has to beat, with intervals over users and a verdict
 * in words. What makes the figures is in metric.h, bootstrap.h and controls.h; how to read them in
 * doc/evaluation.md. */
#ifndef TR_EVAL_EVALUATION_H
#define TR_EVAL_EVALUATION_H

#include "base/str.h"
#include "eval/bootstrap.h"
#include "eval/controls.h"

#include <jansson.h>

/* What is evaluated: n rows as plain arrays. Everything is borrowed until tr_evaluation_free. */
typedef struct {
    size_t n;
    const uint8_t *label;          /* (n) 0 or 1 */
    const char *const *user;       /* (n) entries may be NULL; or NULL: no user is known */
    const char *const *item;       /* (n) tr_control_item of each row; entries may be NULL; or NULL */
    const double *like_share;      /* (n) tr_example_like_share of each row */
    const double *score;           /* (n) the model's log-odds */
    const double *score_base;      /* (n) the untuned model's, or NULL */
    const double *score_shuffled;  /* (n) the model's on prompts with shuffled history, or NULL */
    tr_training_rows seen;         /* the training rows that the model saw; n = 0 when unknown */
    tr_training_rows all;          /* all training rows; n = 0 when unknown */
    size_t n_replicates;           /* 0: TR_BOOTSTRAP_REPLICATES */
    uint64_t seed;
    json_t *protocol;              /* the protocol card, or NULL; a reference is kept */
} tr_evaluation_input;

typedef enum {
    TR_SCORER_MODEL,
    TR_SCORER_BASE,                /* the untuned model */
    TR_SCORER_SHUFFLED,            /* the model on shuffled history */
    TR_SCORER_LIKE_SHARE,
    TR_SCORER_ITEM_MEAN_SEEN,
    TR_SCORER_BOTH_SEEN,           /* item mean + like share: the sum of their log-odds */
    TR_SCORER_ITEM_MEAN_ALL,
    TR_SCORER_BOTH_ALL,
    TR_N_SCORERS
} tr_scorer_id;

/* Names of a scorer. The key is its name in JSON; the phrase is how a sentence calls it. */
typedef struct {
    const char *key, *title, *phrase;
    const char *explanation;       /* one sentence for the reader */
    bool is_control;               /* needs no language model: the verdict compares with these */
} tr_scorer_kind;

extern const tr_scorer_kind tr_scorer_kinds[TR_N_SCORERS];

typedef struct {
    tr_scorer_id id;
    double *score;                             /* (n) owned */
    tr_scored scored;
    tr_interval metric[TR_N_METRICS];
    tr_interval model_minus[TR_N_METRICS];     /* paired difference model - this; all NaN for the model itself */
} tr_scorer;

typedef enum {
    TR_VERDICT_UNDEFINED,       /* one class only: there is no AUC */
    TR_VERDICT_NO_INTERVAL,     /* one user only: nothing to resample */
    TR_VERDICT_WORSE,           /* the interval of model - best control lies below 0 */
    TR_VERDICT_INDISTINCT,      /* it contains 0 */
    TR_VERDICT_BETTER_THAN_BEST,/* it lies above 0, but that of another control does not */
    TR_VERDICT_BETTER,          /* the intervals of all differences lie above 0 */
} tr_verdict_kind;

typedef struct {
    size_t n, n_yes;
    uint8_t *label;             /* (n) owned copy */
    tr_groups groups;           /* names borrowed from the input */
    size_t n_replicates;        /* 0 when there was nothing to resample */
    uint64_t seed;
    size_t n_seen, n_all;       /* training rows behind the controls; 0 unknown */
    tr_scorer scorer[TR_N_SCORERS]; /* in the order of tr_scorer_id; those that exist come first, n_scorers of them */
    size_t n_scorers;
    size_t best_control;        /* scorer of the control with the highest AUC on these rows (ties: the earlier) */
    size_t best_control_uauc;   /* the same by UAUC */
    tr_verdict_kind verdict_kind;
    char verdict[320];          /* one plain sentence about AUC against the controls */
    char finding[4][320];       /* further sentences: within users, tuning, history */
    size_t n_findings;
    char caution[4][320];       /* what limits the figures: few users, unknown users, missing training rows */
    size_t n_cautions;
    json_t *protocol;           /* owned reference, or NULL */
} tr_evaluation;

/* TR_ERR_VALUE for a score that is not finite, a label that is not 0 or 1, or a like share outside (0, 1), naming the
 * row; TR_ERR_USAGE for no rows. One class is no error: the metrics that exist are given and the verdict says so.
 * Whatever the status, tr_evaluation_free(out) is safe afterwards. */
tr_status tr_evaluation_create(tr_evaluation *out, const tr_evaluation_input *input, tr_error *err);
void tr_evaluation_free(tr_evaluation *evaluation);

/* The scorer with that id, or NULL. */
const tr_scorer *tr_evaluation_find(const tr_evaluation *evaluation, tr_scorer_id id);

/* Text for a terminal of 80 columns (UTF-8): verdict, tables, findings, cautions. */
tr_status tr_evaluation_text(const tr_evaluation *evaluation, tr_str *out, tr_error *err);

/* JSON as doc/evaluation.md describes it. The caller json_decref's. */
tr_status tr_evaluation_json(const tr_evaluation *evaluation, json_t **out, tr_error *err);

/* A number in four characters or a few more: ".712", "1.00", "12.3", "−.004"; with a plus too when `sign`: "+.031".
 * "n/a" for NaN. buffer holds at least TR_FIGURE_SIZE bytes and is returned. */
#define TR_FIGURE_SIZE 24
const char *tr_figure(char *buffer, double value, bool sign);

/* Writes verdict, findings and cautions into an evaluation whose figures are complete (verdict.c). */
void tr_evaluation_judge(tr_evaluation *evaluation);

#endif
