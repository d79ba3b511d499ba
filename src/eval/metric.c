/* This file implements the table of metrics on prepared scores. */
#include "eval/metric.h"

#include "base/memory.h"
#include "eval/auc.h"
#include "eval/calibration.h"
#include "eval/uauc.h"

#include <math.h>
#include <stdlib.h>

const tr_metric tr_metrics[TR_N_METRICS] = {
    [TR_METRIC_AUC] = {"auc", "AUC", true, true},
    [TR_METRIC_UAUC] = {"uauc", "UAUC", true, true},
    [TR_METRIC_UAUC_WEIGHTED] = {"uauc_weighted", "UAUC by rows", true, true},
    [TR_METRIC_USERS] = {"users", "users", true, false},
    [TR_METRIC_ACCURACY] = {"accuracy", "accuracy", true, true},
    [TR_METRIC_LOG_LOSS] = {"log_loss", "log loss", false, true},
    [TR_METRIC_ECE] = {"ece", "ECE", false, true},
    [TR_METRIC_BASE_RATE] = {"base_rate", "base rate", true, false},
};

static tr_status check(const double *score, const uint8_t *label, size_t n, tr_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(score[i])) return tr_fail(err, TR_ERR_VALUE, "the score of row %zu is %g", i + 1, score[i]);
    return tr_labels_check(label, n, err);
}

tr_status tr_scored_create(tr_scored *out, const double *score, const uint8_t *label, const tr_groups *groups,
                           tr_error *err)
{
    size_t n = groups->n;
    *out = (tr_scored){.n = n, .score = score, .label = label, .groups = groups};
    tr_status status;
    TR_TRY_CLEANUP(check(score, label, n, err));
    TR_TRY_CLEANUP(tr_alloc(&out->order, n, sizeof *out->order, "scores", err));
    TR_TRY_CLEANUP(tr_alloc(&out->probability, n, sizeof *out->probability, "scores", err));
    TR_TRY_CLEANUP(tr_alloc(&out->loss, n, sizeof *out->loss, "scores", err));
    TR_TRY_CLEANUP(tr_alloc(&out->user_auc, groups->n_groups, sizeof *out->user_auc, "AUC of users", err));
    TR_TRY_CLEANUP(tr_auc_order(score, n, out->order, err));
    TR_TRY_CLEANUP(tr_user_auc(score, label, out->order, groups, out->user_auc, err));
    for (size_t i = 0; i < n; i++) {
        out->probability[i] = tr_sigmoid(score[i]);
        out->loss[i] = tr_log_loss(score[i], label[i]);
    }
    return TR_OK;
cleanup:
    tr_scored_free(out);
    return status;
}

void tr_scored_free(tr_scored *scored)
{
    free(scored->order);
    free(scored->probability);
    free(scored->loss);
    free(scored->user_auc);
    *scored = (tr_scored){0};
}

/* The metrics that are means over rows. */
static void row_means(const tr_scored *s, const uint32_t *weight, double *out)
{
    double rows = 0, correct = 0, loss = 0, yes = 0;
    for (size_t i = 0; i < s->n; i++) {
        double times = weight ? weight[s->groups->of_row[i]] : 1;
        rows += times;
        correct += times * tr_correct(s->score[i], s->label[i]);
        loss += times * s->loss[i];
        yes += times * s->label[i];
    }
    out[TR_METRIC_ACCURACY] = correct / rows;
    out[TR_METRIC_LOG_LOSS] = loss / rows;
    out[TR_METRIC_BASE_RATE] = yes / rows;
}

void tr_metrics_compute(const tr_scored *s, const uint32_t *weight, double *out)
{
    for (int m = 0; m < TR_N_METRICS; m++) out[m] = NAN;
    tr_auc_ordered(s->score, s->label, s->order, s->n, s->groups->of_row, weight, &out[TR_METRIC_AUC]);

    tr_uauc_values users = {.mean = NAN, .weighted = NAN};
    tr_uauc_of(s->user_auc, s->groups, weight, &users);
    out[TR_METRIC_UAUC] = users.mean;
    out[TR_METRIC_UAUC_WEIGHTED] = users.weighted;
    out[TR_METRIC_USERS] = users.users;

    row_means(s, weight, out);

    tr_calibration_bin bin[TR_CALIBRATION_BINS];
    tr_calibration_bins(s->probability, s->label, s->n, s->groups->of_row, weight, bin);
    tr_ece(bin, &out[TR_METRIC_ECE]);
}
