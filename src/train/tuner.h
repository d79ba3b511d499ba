/* The training loop: batches, steps, validations, early stop, and a run folder from which a run can be continued as if
 * it had never stopped.
 *
 * RUN/metrics.jsonl   a line a step and a line a validation (metrics.h)
 * RUN/tensorboard/    the same as events
 * RUN/adapter/        the best adapter by validation AUC; the last when there was no validation
 * RUN/adapter-last/   the last one
 * RUN/state.bin       everything to resume (checkpoint.h) */
#ifndef TR_TRAIN_TUNER_H
#define TR_TRAIN_TUNER_H

#include "model/adapter.h"
#include "train/metrics.h"
#include "train/recipe.h"

typedef struct {
    double auc;       /* in [0, 1] */
    double log_loss;  /* NaN: not computed */
    int64_t rows;
} tr_validation;

/* Measures an adapter on validation rows. May take long: TR_ERR_INTERRUPTED is a good answer to Ctrl-C. Must be a
 * function of the adapter alone, or resuming cannot equal a straight run. */
typedef tr_status (*tr_validate)(void *user, const tr_lora *lora, tr_validation *out, tr_error *err);

/* Called after each step, once it is in metrics.jsonl. Other than TR_OK stops the run after saving its state, with
 * that status. */
typedef tr_status (*tr_step_hook)(void *user, const tr_step_record *record, tr_error *err);

/* A training job. Everything is the caller's and must outlive the call. */
typedef struct {
    const tr_model *model;
    tr_lora *lora;              /* where training starts; ends as the last adapter. Its config is recipe->lora's */
    const tr_recipe *recipe;
    const tr_sequence *rows;    /* (n_rows) first_target is the answer's first token; recipe->loss_on decides whether
                                   the tokens before it are targets too */
    int n_rows;
    const char *folder;
    const char *model_hash;     /* SHA-256 of the model file */
    const char *valid_hash;     /* of the validation rows; NULL without */
    const char *base_name;      /* for the adapters' configuration */
    tr_validate validate;       /* NULL: no validation */
    void *validate_user;
    tr_step_hook on_step;       /* NULL: none */
    void *on_step_user;
    size_t other_bytes;         /* memory that the caller needs beside: validation's session, data */
    double save_seconds;        /* between saved states, apart from validations and stops; 0: ten */
    bool resume;                /* go on from RUN/state.bin if there is one, else begin */
} tr_tuning;

/* What a run will do and need. */
typedef struct {
    int64_t steps, epochs;      /* epochs begun */
    int64_t rows;               /* rows processed, over all epochs */
    int64_t tokens;             /* of those rows */
    int64_t nodes;              /* computed: prefixes that a micro-batch shares count once */
    int longest;                /* tokens of the longest row */
    int max_micro_nodes;        /* of a micro-batch, at most */
    size_t n_params;
    size_t session_bytes, optimizer_bytes, model_bytes, other_bytes, total_bytes;
    size_t available_bytes;     /* now; 0 when the system does not tell */
    tr_step_limits limits;
} tr_tuning_plan;

/* Checks the job and computes its plan without running or writing anything: `--dry-run`. TR_ERR_VALUE names a row that
 * has no target or exceeds the model's context. */
tr_status tr_tune_plan(const tr_tuning *tuning, tr_tuning_plan *out, tr_error *err);

/* TR_ERR_MEMORY with the numbers when the plan needs more than is available. */
tr_status tr_tune_check_memory(const tr_tuning_plan *plan, tr_error *err);

typedef struct {
    int64_t steps;              /* done */
    bool stopped_early;         /* patience was used up */
    int64_t best_step;          /* 0: no validation */
    double best_auc;
    double first_loss, last_loss;
    double seconds;             /* of work, over all resumptions */
} tr_tuning_result;

/* Trains. Prints progress. Refusals: the plan's; a folder that holds a run when resume is false (TR_ERR_USAGE); a state
 * of another run (TR_ERR_MISMATCH, named). TR_ERR_NUMERIC names the step whose loss or gradient is not finite: state
 * and adapters are those before it. TR_ERR_INTERRUPTED after Ctrl-C: the step was finished, everything saved.
 * *out (may be NULL) is filled in all cases with what was done. */
tr_status tr_tune(const tr_tuning *tuning, tr_tuning_result *out, tr_error *err);

#endif
