/* Scores as probabilities: log loss, calibration, accuracy. A score is a log-odds, log P(Yes) - log P(No), so the
 * probability of Yes is its sigmoid. */
#ifndef TR_EVAL_CALIBRATION_H
#define TR_EVAL_CALIBRATION_H

#include "base/error.h"

/* 1 / (1 + exp(-log_odds)), without overflow. */
double tr_sigmoid(double log_odds);

/* log(p / (1 - p)) with p first held within [1e-6, 1 - 1e-6], so that certainty stays finite. */
double tr_logit(double probability);

/* -log P(label), from the log-odds directly: log(1 + exp(-z)) for label 1, log(1 + exp(z)) for 0. Exact where
 * the probability itself would round to 0 or 1. */
double tr_log_loss(double log_odds, int label);

/* Right when a positive score meets label 1, or any other score label 0. A score of exactly 0 says No. */
bool tr_correct(double log_odds, int label);

/* The reliability diagram's bins: TR_CALIBRATION_BINS of equal width over the probability of Yes. Bin b holds
 * b/10 <= p < (b+1)/10, the last one p = 1 too. */
#define TR_CALIBRATION_BINS 10

typedef struct {
    double rows;        /* weight of the bin */
    double probability; /* sum of predicted probabilities */
    double yes;         /* sum of labels */
} tr_calibration_bin;

int tr_calibration_bin_of(double probability);

/* Fills bin (TR_CALIBRATION_BINS). probability (n), label (n); row i counts weight[group[i]] times, or once when
 * weight is NULL. */
void tr_calibration_bins(const double *probability, const uint8_t *label, size_t n, const uint32_t *group,
                         const uint32_t *weight, tr_calibration_bin *bin);

/* Expected calibration error: sum over bins of rows/total * |mean probability - share of Yes|
 * (Guo, Pleiss, Sun, Weinberger, ICML 2017, eq. 3, for the probability of Yes). False when all bins are empty. */
bool tr_ece(const tr_calibration_bin *bin, double *out);

#endif
