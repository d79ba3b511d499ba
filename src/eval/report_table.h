/* The tables of the report. */
#ifndef TR_EVAL_REPORT_TABLE_H
#define TR_EVAL_REPORT_TABLE_H

#include "eval/evaluation.h"

/* AUC and UAUC of every scorer, as numbers and as dots with whiskers on a common scale. */
void tr_report_add_comparison(tr_str *out, const tr_evaluation *evaluation);

/* Every metric of every scorer with its interval. */
void tr_report_add_metrics(tr_str *out, const tr_evaluation *evaluation);

/* What each scorer is, a sentence each. */
void tr_report_add_explanations(tr_str *out, const tr_evaluation *evaluation);

/* An object as rows of key and value; members of objects within are named "outer.inner". */
void tr_report_add_json(tr_str *out, const json_t *object);

#endif
