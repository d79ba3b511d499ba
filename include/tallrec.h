/* tallrec: turn a language model into a recommender from a few dozen ratings.
 *
 * The one public header. Status and errors come first, then the process, then the jobs: import, tune, eval, score,
 * rank, tokenize. Each job is what the command of the same name calls, so a C program can do all that the command
 * line does (doc/example.c does it).
 *
 * Conventions. Every function that can fail returns a tr_status and, when it is not TR_OK, fills the caller's
 * tr_error (which may be NULL). Strings are UTF-8. A job has a struct of options: start from the defaults that its
 * function gives, set what differs; the options are only read, and their strings must live as long as the call. What
 * a job hands back is released with the function beside it, which is safe on a zeroed struct and whatever the status
 * was. Nothing exits the process or writes to standard output; progress, notes and warnings go to standard error
 * (tr_log_set). Jobs may not run at the same time in two threads: they use all processors themselves. */
#ifndef TALLREC_H
#define TALLREC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TALLREC_VERSION "0.1.0"

typedef enum {
    TR_OK = 0,
    TR_ERR_USAGE,       /* the caller asked for something that makes no sense */
    TR_ERR_IO,          /* open, read, write, disk full */
    TR_ERR_FORMAT,      /* a file's bytes break its format */
    TR_ERR_UNSUPPORTED, /* well-formed, but of a kind this program does not know */
    TR_ERR_VALUE,       /* a value out of range, NaN, a bad rating */
    TR_ERR_MISMATCH,    /* two things that do not belong together (adapter and base, run and data) */
    TR_ERR_UNDEFINED,   /* the quantity does not exist for this input (AUC of one class) */
    TR_ERR_MEMORY,      /* allocation failed or the plan does not fit */
    TR_ERR_NUMERIC,     /* NaN or infinity during training */
    TR_ERR_INTERRUPTED, /* stopped on request; state was saved */
} tr_status;

/* What went wrong. `message` says what, `where` the file with line or byte offset (may be empty),
 * `hint` what to do (may be empty). Each is NUL-terminated, cut when too long. */
typedef struct {
    tr_status status;
    char message[512];
    char where[512];
    char hint[384];
} tr_error;

/* ---- the process ---- */

typedef enum { TR_LOG_QUIET = 0, TR_LOG_NORMAL = 1 } tr_log_level;

/* How much standard error gets to see; warnings are always shown. TR_LOG_NORMAL at start. */
void tr_log_set(tr_log_level level);

/* Number of threads that the jobs use; n <= 0 means one per physical processor available to the process, which is
 * also what holds at start. Results never depend on it. */
void tr_threads_set(int n);

/* From now on the first SIGINT or SIGTERM lets a tuning run finish its step and save; the second ends the process. */
void tr_interrupt_catch(void);

/* ---- import: a data set in its published layout becomes a data folder ---- */

typedef enum { TR_TRAIN = 0, TR_VALID, TR_TEST, TR_N_SPLITS } tr_split;

typedef struct {
    const char *importer;        /* "movielens": a folder in GroupLens' layout or of RecBole's atomic files;
                                    "tallrec": published JSON arrays, or JSON Lines, of instruction, input, output */
    const char *const *sources;  /* (n_sources) the folder; or the files, as "train=FILE", "valid=FILE", "test=FILE",
                                    or as FILE with one of these words in its name */
    size_t n_sources;
    const char *folder;          /* to be written: new, empty, or a data folder of ours, which is replaced */
    const char *protocol;        /* the rule that makes examples of ratings: "tallrec" */
    int history;                 /* titles before the question */
    double threshold;            /* liked: a rating above this */
    size_t max_examples;         /* at most; the last ones are taken */
    const char *noun;            /* what the questions call an item; NULL: the importer's own word ("movie") */
    double max_bad;              /* share of unusable lines accepted, in [0, 1] */
} tr_import_job;

typedef struct {
    size_t rows[TR_N_SPLITS], yes[TR_N_SPLITS], known_users[TR_N_SPLITS]; /* of each split */
    size_t users, items, ratings;                     /* kept of the source; 0 where it does not tell */
    size_t lines, bad_lines, duplicates, missing_items, latin1_lines;
} tr_import_outcome;

tr_import_job tr_import_job_defaults(void);

/* Writes the data folder: train, valid and test.jsonl, items.jsonl, interactions.jsonl and the protocol card,
 * card.json, as far as the source has their content. TR_ERR_FORMAT beyond max_bad, TR_ERR_USAGE for a folder that is
 * not ours. */
tr_status tr_import_run(const tr_import_job *job, tr_import_outcome *out, tr_error *err);

/* ---- tune: training rows and a base model become a run folder with an adapter ---- */

/* One choice of the recipe by the name of its flag, as on the command line: {"rank", "8"}, {"balanced", "true"}. */
typedef struct {
    const char *flag, *value;
} tr_setting;

typedef struct {
    const char *run;          /* folder to write, or with `resume` to continue */
    const char *model;        /* GGUF file; with `resume` NULL: where it was */
    const char *data;         /* data folder: train and valid split. Or ... */
    const char *train;        /* ... a file of examples to train on, and ... */
    const char *valid;        /* ... one to validate on; NULL: no validation */
    const char *recipe;       /* "paper": the published one; "quick": the demo's */
    const tr_setting *setting; /* (n_settings) what differs from the recipe */
    size_t n_settings;
    int64_t shots;            /* training rows drawn by seed; 0: all */
    const char *init_adapter; /* adapter to start from; it brings its rank, alpha, targets and rslora */
    bool resume;              /* go on where the run in the folder stands; everything but run and model is read there */
    bool force;               /* replace a run that is in the folder */
    bool dry_run;             /* only plan: nothing is written */
    const char *command;      /* the command line, for the record; NULL: none */
} tr_tune_job;

typedef struct {
    /* what was done */
    int64_t steps, best_step;         /* best_step 0: nothing was validated */
    double best_auc, first_loss, last_loss, seconds;
    bool stopped_early;
    /* what there is to do */
    int64_t planned_steps, epochs;
    size_t rows, yes, rows_available; /* training rows used; of these labelled yes; rows they were drawn from */
    size_t valid_rows;
    size_t n_shortened, n_left_out;   /* training rows that lost history, or did not fit at all */
    int64_t tokens, nodes;            /* of all steps: tokens of the rows; positions computed, shared ones once */
    int longest;                      /* tokens of the longest row */
    size_t n_params;                  /* of the adapter */
    size_t memory_bytes, available_bytes;
    double estimated_seconds;         /* dry_run: from timing one micro-batch; 0: unknown */
    char *recipe;                     /* the resolved recipe, JSON */
    char *model, *data;               /* paths that the run was made from; data NULL when it was not a folder */
} tr_tune_outcome;

tr_tune_job tr_tune_job_defaults(void);

/* Writes RUN/: config.json, train_rows.jsonl and valid_rows.jsonl (the rows used), metrics.jsonl, tensorboard/,
 * adapter/ (the best by validation AUC, or the last without validation), adapter-last/, state.bin. The outcome is
 * filled as far as it got, also on failure. TR_ERR_USAGE for a folder that holds a run (unless resume or force) or
 * something else, and for a recipe out of range; TR_ERR_MEMORY with numbers; TR_ERR_UNDEFINED for validation rows of
 * one class; TR_ERR_NUMERIC when the loss is no number; TR_ERR_INTERRUPTED after Ctrl-C with everything saved. */
tr_status tr_tune_run(const tr_tune_job *job, tr_tune_outcome *out, tr_error *err);
void tr_tune_outcome_free(tr_tune_outcome *outcome);

/* ---- the model at work, common to eval, score and rank ---- */

typedef struct {
    const char *model;    /* GGUF file */
    const char *adapter;  /* folder in PEFT's layout; NULL: the model as it is */
    int cutoff;           /* most tokens of a prompt with its answer, beyond which the oldest history is left out;
                             0: the model's context */
    int micro_tokens;     /* most tokens computed at a time: bounds memory, changes results by rounding only;
                             0: 4096, for rank 8192 */
} tr_engine;

/* ---- score: log-odds of Yes for each row ---- */

typedef struct {
    tr_engine engine;
    const char *data;     /* a data folder, or a file of examples (JSON Lines, or the published JSON array) */
    tr_split split;       /* of a data folder */
    size_t max_rows;      /* the first rows only; 0: all */
    const char *output;   /* file for the rows as lines of JSON, which appears whole or not at all; NULL: none */
} tr_score_job;

typedef struct {
    size_t row;             /* from 0, in the order of the input */
    const char *user, *item; /* NULL where unknown */
    int label;              /* 1 yes, 0 no, -1 unknown */
    double score;           /* logp_yes - logp_no */
    double logp_yes, logp_no; /* of the first token of "Yes." and of "No.", after the prompt */
} tr_score_row;

typedef struct {
    tr_score_row *row;    /* (n) */
    size_t n;
    size_t n_shortened;   /* rows that lost their oldest history to fit */
    void *owned;          /* what the strings point into */
} tr_scores;

tr_score_job tr_score_job_defaults(void);
tr_status tr_score_run(const tr_score_job *job, tr_scores *out, tr_error *err);
void tr_scores_free(tr_scores *scores);

/* One row as a line of JSON without a newline: {"row", "user", "item", "label", "score", "logp_yes", "logp_no"},
 * numbers with as many digits as it takes to read them back; null where unknown. The caller frees; NULL when out of
 * memory. */
char *tr_score_row_json(const tr_score_row *row);

/* ---- eval: metrics with intervals, beside their controls ---- */

typedef struct {
    tr_engine engine;
    const char *data;      /* as for tr_score_job; labels are needed */
    tr_split split;
    size_t max_rows;       /* the first rows only; 0: all */
    bool with_base;        /* also the model without its adapter */
    bool shuffled;         /* also the model on shuffled histories */
    size_t bootstrap;      /* resamples behind the intervals */
    uint64_t seed;         /* of the resamples and the shuffling */
    const char *seen;      /* file with the training rows that the model saw; NULL: that of the adapter's run */
    const char *report;    /* HTML file to write; NULL: none */
} tr_eval_job;

typedef struct {
    char *text;            /* tables and verdict for a terminal of 80 columns */
    char *json;            /* all figures; doc/evaluation.md */
    double auc, uauc;      /* of the model; NaN where undefined */
    const char *verdict;   /* one sentence; part of the above */
    void *owned;
} tr_eval_outcome;

tr_eval_job tr_eval_job_defaults(void);
tr_status tr_eval_run(const tr_eval_job *job, tr_eval_outcome *out, tr_error *err);
void tr_eval_outcome_free(tr_eval_outcome *outcome);

/* ---- rank: items in the order in which a user is expected to like them ---- */

typedef struct {
    tr_engine engine;
    const char *data;       /* data folder: the catalogue, and the ratings where the user is known by id */
    const char *user;       /* id; or ... */
    const char *history;    /* ... a file: JSON of {title or item, liked}, or lines of TITLE<tab>LIKED; oldest first */
    const char *candidates; /* file with ids or titles; NULL: every item of the catalogue that the user has not rated */
    size_t k;               /* how many to give back; 0: all */
} tr_rank_job;

typedef struct {
    const char *item;       /* id; NULL for a title that the catalogue lacks */
    const char *title;
    double score;           /* log-odds of Yes */
    double probability;     /* of Yes among Yes and No */
} tr_rank_item;

typedef struct {
    tr_rank_item *item;     /* (n) best first; equal scores in catalogue order */
    size_t n;
    size_t n_candidates;    /* that were ranked */
    size_t n_history, n_liked; /* titles in the prompt */
    void *owned;
} tr_ranking;

tr_rank_job tr_rank_job_defaults(void);

/* TR_ERR_VALUE for an unknown user or an empty history. */
tr_status tr_rank_run(const tr_rank_job *job, tr_ranking *out, tr_error *err);
void tr_ranking_free(tr_ranking *ranking);

/* ---- tokenize: text to ids and back ---- */

typedef struct {
    int32_t *id;   /* (n) */
    char **piece;  /* (n) the text of each token alone, U+FFFD where it is part of a character */
    size_t n;
} tr_tokenization;

/* Text of `size` bytes. `special`: spelled special tokens ("<|im_end|>") become those tokens, as Hugging Face does it;
 * otherwise they are ordinary text. `bos`: put the beginning-of-text token first if the model uses one. */
tr_status tr_tokenize_run(const char *model, const char *text, size_t size, bool special, bool bos,
                          tr_tokenization *out, tr_error *err);
void tr_tokenization_free(tr_tokenization *tokenization);

/* The text of ids (n), special tokens included. *text is NUL-terminated and the caller's to free. */
tr_status tr_detokenize_run(const char *model, const int32_t *ids, size_t n, char **text, size_t *size, tr_error *err);

#ifdef __cplusplus
}
#endif

#endif
