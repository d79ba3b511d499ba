/* What the files of the tune job share: tune.c runs it, tune_rows.c chooses rows, tune_config.c keeps the run's
 * configuration. */
#ifndef TR_JOB_TUNE_H
#define TR_JOB_TUNE_H

#include "job/protocol.h"
#include "rec/sequence.h"
#include "train/recipe.h"

/* A run in the making, or one that is resumed. */
typedef struct {
    const tr_tune_job *job;
    tr_recipe recipe;
    char *model_path, *data_path;  /* data_path NULL when the data were not a folder */
    int64_t shots;
    tr_model *model;
    char model_hash[TR_SHA256_HEX];
    tr_lora *lora;
    bool has_start;                /* the adapter began as another one */
    /* The rows used. Of a new run they are borrowed from the sources, of a resumed one read from its folder. */
    tr_source train_source, valid_source;
    tr_examples train, valid;
    bool rows_borrowed;
    size_t rows_available;
    char valid_hash[TR_SHA256_HEX]; /* of the validation rows; empty without */
    tr_sequences sequences;         /* of the training rows */
} tr_tune_state;

/* Opens the sources that the job names and draws the rows: `shots` for training, recipe.valid_rows for validation. */
tr_status tr_tune_choose_rows(tr_tune_state *state, tr_error *err);
/* Reads the rows that a run saved. */
tr_status tr_tune_read_rows(tr_tune_state *state, tr_error *err);
/* Saves them. */
tr_status tr_tune_write_rows(const tr_tune_state *state, tr_error *err);
void tr_tune_release_rows(tr_tune_state *state);

/* Resolves recipe and settings of a new run. */
tr_status tr_tune_resolve(tr_tune_state *state, tr_error *err);
/* Makes recipe and starting adapter agree: TR_ERR_USAGE when a setting contradicts the adapter. */
tr_status tr_tune_adopt(tr_tune_state *state, const tr_lora_config *start, tr_error *err);
/* Writes RUN/config.json; reads it back into recipe, paths and counts. */
tr_status tr_tune_write_config(const tr_tune_state *state, tr_error *err);
tr_status tr_tune_read_config(tr_tune_state *state, tr_error *err);

/* A path in the run's folder. Caller frees; NULL when out of memory. */
char *tr_tune_path(const tr_tune_state *state, const char *name);

#endif
