/* The figures of the report. Each appends one <figure> with a heading, a sentence that says what is to be seen, and
 * a plot (report_plot.h). Where there is nothing to draw, nothing is appended. */
#ifndef TR_EVAL_REPORT_FIGURES_H
#define TR_EVAL_REPORT_FIGURES_H

#include "eval/evaluation.h"
#include "eval/report_run.h"

void tr_report_add_loss(tr_str *out, const tr_curve *curve);
void tr_report_add_validation(tr_str *out, const tr_curve *curve);
tr_status tr_report_add_roc(tr_str *out, const tr_evaluation *evaluation, tr_error *err);
tr_status tr_report_add_users(tr_str *out, const tr_evaluation *evaluation, tr_error *err);
void tr_report_add_calibration(tr_str *out, const tr_evaluation *evaluation);
void tr_report_add_scores(tr_str *out, const tr_evaluation *evaluation);

#endif
