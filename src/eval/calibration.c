/* This file implements the measures that read a score as a probability. */
#include "eval/calibration.h"

#include <math.h>

double tr_sigmoid(double log_odds)
{
    if (log_odds >= 0) return 1 / (1 + exp(-log_odds));
    double e = exp(log_odds);
    return e / (1 + e);
}

double tr_logit(double probability)
{
    const double least = 1e-6;
    double p = fmin(fmax(probability, least), 1 - least);
    return log(p / (1 - p));
}

double tr_log_loss(double log_odds, int label)
{
    double against = label ? -log_odds : log_odds;
    return against > 0 ? against + log1p(exp(-against)) : log1p(exp(against));
}

bool tr_correct(double log_odds, int label) { return (log_odds > 0) == (label == 1); }

int tr_calibration_bin_of(double probability)
{
    int bin = (int)(probability * TR_CALIBRATION_BINS);
    return bin < 0 ? 0 : bin >= TR_CALIBRATION_BINS ? TR_CALIBRATION_BINS - 1 : bin;
}

void tr_calibration_bins(const double *probability, const uint8_t *label, size_t n, const uint32_t *group,
                         const uint32_t *weight, tr_calibration_bin *bin)
{
    for (int b = 0; b < TR_CALIBRATION_BINS; b++) bin[b] = (tr_calibration_bin){0};
    for (size_t i = 0; i < n; i++) {
        tr_calibration_bin *into = &bin[tr_calibration_bin_of(probability[i])];
        double times = weight ? weight[group[i]] : 1;
        into->rows += times;
        into->probability += times * probability[i];
        into->yes += times * label[i];
    }
}

bool tr_ece(const tr_calibration_bin *bin, double *out)
{
    double rows = 0, error = 0;
    for (int b = 0; b < TR_CALIBRATION_BINS; b++) {
        rows += bin[b].rows;
        error += fabs(bin[b].probability - bin[b].yes);
    }
    if (rows == 0) return false;
    *out = error / rows;
    return true;
}
