/* The model and adapter that a job works with, and the rows it works on: what several jobs open in the same way. */
#ifndef TR_JOB_ENGINE_H
#define TR_JOB_ENGINE_H

#include "model/adapter.h"
#include "rec/dataset.h"

typedef struct {
    tr_model *model;
    tr_lora *lora;  /* NULL without an adapter */
} tr_loaded;

/* Opens model and adapter. Warns when the adapter changes nothing. tr_loaded_close is safe whatever the status. */
tr_status tr_loaded_open(const tr_engine *engine, tr_loaded *out, tr_error *err);
void tr_loaded_close(tr_loaded *loaded);

/* Examples from a data folder or from a file. */
typedef struct {
    bool is_folder;
    tr_dataset dataset;          /* of a folder */
    tr_examples file;            /* of a file */
    const tr_examples *examples; /* the rows, of either */
} tr_source;

/* `data` is a data folder, of which the split is read, or a file of examples (the split does not matter).
 * TR_ERR_USAGE when it is NULL, TR_ERR_IO when there is no such thing, and the errors of reading. */
tr_status tr_source_open(const char *data, tr_split split, bool need_label, tr_source *out, tr_error *err);
void tr_source_close(tr_source *source);

/* Whether a file can be written at `path` (NULL is fine): asked before an hour of work, not after. */
tr_status tr_output_check(const char *path, tr_error *err);

/* The first `max_rows` of n rows; all when it is 0. */
static inline size_t tr_first_rows(size_t n, size_t max_rows) { return max_rows && max_rows < n ? max_rows : n; }

#endif
