/* The folder of a run: what lies in it, and when it may be written to. */
#ifndef TR_JOB_RUN_FOLDER_H
#define TR_JOB_RUN_FOLDER_H

#include "base/error.h"

#define TR_RUN_CONFIG "config.json"          /* written when everything below it in this list is there */
#define TR_RUN_TRAIN_ROWS "train_rows.jsonl" /* the rows that the model sees, in order */
#define TR_RUN_VALID_ROWS "valid_rows.jsonl" /* the rows that choose the best adapter */
#define TR_RUN_START "adapter-start"         /* a copy of --init-adapter */

/* True when the folder holds a run that can be resumed. */
bool tr_run_present(const char *folder);

/* Makes the folder ready for a new run: creates it, or clears out what an unfinished start left, or with `force` an
 * earlier run (files that are not a run's stay). TR_ERR_USAGE when it holds a run and `force` is false, or holds
 * other things and no run. */
tr_status tr_run_prepare(const char *folder, bool force, tr_error *err);

/* The checks of tr_run_prepare, without changing anything. */
tr_status tr_run_check(const char *folder, bool force, tr_error *err);

#endif
