/* report.html: one self-contained page that shows what an evaluation found, how sure that is, and how to repeat it.
 * No script, no network, no fonts of its own. The page's skeleton and look are data/report.html. */
#ifndef TR_EVAL_REPORT_H
#define TR_EVAL_REPORT_H

#include "eval/evaluation.h"
#include "eval/report_run.h"

/* Everything is borrowed; each part but the title may be NULL and is then left out. At least one of evaluation and
 * curve must be there (TR_ERR_USAGE). */
typedef struct {
    const char *title;                 /* what was tuned on what: "SmolLM2-135M-Instruct on MovieLens, 64 ratings" */
    const char *made;                  /* when, as text for the foot of the page */
    const tr_evaluation *evaluation;   /* its protocol card is shown too */
    const tr_curve *curve;
    const json_t *config;              /* the run's resolved configuration: an object */
    const char *command;               /* the command that made the run */
} tr_report;

/* The page as text; the same input gives the same bytes. */
tr_status tr_report_html(const tr_report *report, tr_str *out, tr_error *err);

/* The page as a file, written atomically. */
tr_status tr_report_write(const tr_report *report, const char *path, tr_error *err);

#endif
