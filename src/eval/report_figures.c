/* This file draws the report's figures: training, ROC, calibration, scores. The users are in report_users.c. */
#include "eval/report_figures.h"

#include "base/memory.h"
#include "eval/auc.h"
#include "eval/calibration.h"
#include "eval/report_plot.h"

#include <math.h>
#include <stdlib.h>

static void open_figure(tr_str *out, const char *heading, const char *reading)
{
    tr_str_add(out, "<figure>\n<figcaption><h3>");
    tr_str_add_html(out, heading);
    tr_str_add(out, "</h3><p>");
    tr_str_add_html(out, reading);
    tr_str_add(out, "</p></figcaption>\n");
}

static void close_figure(tr_plot *plot)
{
    tr_plot_close(plot);
    tr_str_add(plot->out, "</figure>\n");
}

static void range_of(const double *value, size_t n, double *low, double *high)
{
    *low = INFINITY, *high = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        *low = fmin(*low, value[i]);
        *high = fmax(*high, value[i]);
    }
}

void tr_report_add_loss(tr_str *out, const tr_curve *c)
{
    if (!c->n_steps) return;
    char reading[160], first[TR_FIGURE_SIZE], last[TR_FIGURE_SIZE];
    double low, high, last_step = c->step[c->n_steps - 1];
    tr_plot p;
    range_of(c->loss, c->n_steps, &low, &high);
    snprintf(reading, sizeof reading,
             "Mean cross-entropy of the target tokens in each step: from %s to %s in %.0f steps.",
             tr_figure(first, c->loss[0], false), tr_figure(last, c->loss[c->n_steps - 1], false), last_step);
    open_figure(out, "Training loss", reading);
    tr_plot_open(&p, out, "loss", "Training loss by step", reading, 240, 40);
    double step = tr_plot_step(high - low, 4);
    tr_plot_scale(&p, 0, last_step, floor(low / step) * step, ceil(high / step) * step);
    tr_plot_y_axis(&p, "loss", 5);
    tr_plot_x_axis(&p, "step", 6);
    tr_plot_line(&p, "model", c->step, c->loss, c->n_steps);
    close_figure(&p);
}

void tr_report_add_validation(tr_str *out, const tr_curve *c)
{
    size_t best = tr_curve_best(c);
    if (best == SIZE_MAX) return;
    char reading[160], auc[TR_FIGURE_SIZE];
    double low, high;
    tr_plot p;
    range_of(c->check_auc, c->n_checks, &low, &high);
    tr_figure(auc, high, false);
    snprintf(reading, sizeof reading,
             "AUC on the validation rows: best %s after %.0f steps, and that adapter was kept.", auc,
             c->check_step[best]);
    open_figure(out, "Validation AUC", reading);
    tr_plot_open(&p, out, "validation", "Validation AUC by step", reading, 240, 40);
    double last_step = fmax(c->check_step[c->n_checks - 1], c->n_steps ? c->step[c->n_steps - 1] : 0);
    tr_plot_scale(&p, 0, last_step, floor(fmin(low, 0.5) * 20) / 20, fmin(1, ceil((high + 0.005) * 20) / 20));
    tr_plot_y_axis(&p, "AUC", 5);
    tr_plot_x_axis(&p, "step", 6);
    tr_plot_line(&p, "model", c->check_step, c->check_auc, c->n_checks);
    for (size_t i = 0; i < c->n_checks; i++)
        tr_plot_dot(&p, i == best ? "model" : "model hollow", c->check_step[i], c->check_auc[i],
                    i == best ? 4.5 : 2.6, NULL);
    double at = tr_plot_x(&p, c->check_step[best]);
    const char *anchor = at > 340 ? "end" : at < 60 ? "start" : "middle";
    tr_plot_text(&p, "value model", at, tr_plot_y(&p, high) - 9, anchor, auc);
    close_figure(&p);
}

/* One curve and its name, in the empty corner below the diagonal. */
static tr_status add_roc_curve(tr_plot *p, const tr_scorer *scorer, const char *class_name, int line, tr_error *err)
{
    size_t n = scorer->scored.n;
    double *x = NULL, *y = NULL;
    char value[TR_FIGURE_SIZE], name[96];
    tr_status status;
    TR_TRY_CLEANUP(tr_alloc(&x, n + 1, sizeof *x, "the ROC curve", err));
    TR_TRY_CLEANUP(tr_alloc(&y, n + 1, sizeof *y, "the ROC curve", err));
    tr_plot_line(p, class_name, x, y, tr_roc(scorer->score, scorer->scored.label, scorer->scored.order, n, x, y));
    snprintf(name, sizeof name, "%s %s", tr_scorer_kinds[scorer->id].phrase,
             tr_figure(value, scorer->metric[TR_METRIC_AUC].value, false));
    snprintf(value, sizeof value, "value %s", class_name);
    tr_plot_text(p, value, p->right - 6, p->bottom - 14 - 17 * line, "end", name);
cleanup:
    free(x);
    free(y);
    return status;
}

tr_status tr_report_add_roc(tr_str *out, const tr_evaluation *e, tr_error *err)
{
    if (isnan(e->scorer[0].metric[TR_METRIC_AUC].value)) return TR_OK;
    const tr_scorer *best = &e->scorer[e->best_control], *base = tr_evaluation_find(e, TR_SCORER_BASE);
    const char *reading = "At every threshold: the share of liked items that are found against the share of disliked "
                          "items let through. The diagonal is chance.";
    tr_plot p;
    open_figure(out, "ROC", reading);
    tr_plot_open(&p, out, "roc", "ROC curves of the model and the best control", reading, 400, 40);
    tr_plot_scale(&p, 0, 1, 0, 1);
    tr_plot_y_axis(&p, "liked items found", 5);
    tr_plot_x_axis(&p, "disliked items let through", 5);
    tr_plot_segment(&p, "reference", 0, 0, 1, 1);
    if (base) TR_TRY(add_roc_curve(&p, base, "base", 0, err));
    TR_TRY(add_roc_curve(&p, best, "best", base ? 1 : 0, err));
    TR_TRY(add_roc_curve(&p, &e->scorer[0], "model", base ? 2 : 1, err));
    close_figure(&p);
    return TR_OK;
}

/* The lower panel of the calibration figure: how many rows each bin holds. */
static void add_bin_counts(tr_plot *p, const tr_calibration_bin *bin, double most)
{
    char count[32];
    tr_plot_scale(p, 0, 1, 0, most);
    for (int b = 0; b < TR_CALIBRATION_BINS; b++) {
        double left = (double)b / TR_CALIBRATION_BINS, width = 1.0 / TR_CALIBRATION_BINS;
        if (bin[b].rows > 0) tr_plot_rectangle(p, "bar", left + 0.004, 0, left + width - 0.004, bin[b].rows);
        snprintf(count, sizeof count, "%.0f", bin[b].rows);
        tr_plot_text(p, "tick", tr_plot_x(p, left + width / 2), tr_plot_y(p, bin[b].rows) - 4, "middle", count);
    }
    tr_plot_x_axis(p, "predicted probability of Yes; bars: rows in each bin", 5);
}

void tr_report_add_calibration(tr_str *out, const tr_evaluation *e)
{
    tr_calibration_bin bin[TR_CALIBRATION_BINS];
    double most = 0, x[TR_CALIBRATION_BINS], y[TR_CALIBRATION_BINS];
    char reading[200], ece[TR_FIGURE_SIZE], tooltip[96];
    size_t n = 0;
    tr_plot p;
    tr_calibration_bins(e->scorer[0].scored.probability, e->label, e->n, NULL, NULL, bin);
    for (int b = 0; b < TR_CALIBRATION_BINS; b++) most = fmax(most, bin[b].rows);
    snprintf(reading, sizeof reading, "Of the rows given probability p, a share of p should be liked: dots on the "
             "diagonal. Expected calibration error %s.",
             tr_figure(ece, e->scorer[0].metric[TR_METRIC_ECE].value, false));
    open_figure(out, "Calibration", reading);
    tr_plot_open(&p, out, "calibration", "Reliability diagram of the model", reading, 400, 40);
    tr_plot counts = p;
    p.bottom = 286;
    counts.top = 316;
    tr_plot_scale(&p, 0, 1, 0, 1);
    tr_plot_y_axis(&p, "share of Yes", 5);
    tr_plot_segment(&p, "reference", 0, 0, 1, 1);
    for (int b = 0; b < TR_CALIBRATION_BINS; b++)
        if (bin[b].rows > 0) x[n] = bin[b].probability / bin[b].rows, y[n++] = bin[b].yes / bin[b].rows;
    tr_plot_line(&p, "model", x, y, n);
    for (int b = 0, k = 0; b < TR_CALIBRATION_BINS; b++) {
        if (!(bin[b].rows > 0)) continue;
        snprintf(tooltip, sizeof tooltip, "predicted %.3f, observed %.3f, %.0f rows", x[k], y[k], bin[b].rows);
        tr_plot_dot(&p, "model", x[k], y[k], 2.5 + 5 * sqrt(bin[b].rows / most), tooltip);
        k++;
    }
    add_bin_counts(&counts, bin, most);
    close_figure(&counts);
}

enum { SCORE_BINS = 32 };

/* Shares of each label's rows by score: share[label][bin]. Scores beyond the range count in the outer bins. */
static double score_shares(const tr_evaluation *e, double low, double high, double share[2][SCORE_BINS])
{
    double rows[2] = {(double)(e->n - e->n_yes), (double)e->n_yes}, most = 0;
    for (int b = 0; b < SCORE_BINS; b++) share[0][b] = share[1][b] = 0;
    for (size_t i = 0; i < e->n; i++) {
        int bin = (int)((e->scorer[0].score[i] - low) / (high - low) * SCORE_BINS);
        bin = bin < 0 ? 0 : bin >= SCORE_BINS ? SCORE_BINS - 1 : bin;
        share[e->label[i]][bin] += 1 / rows[e->label[i]];
    }
    for (int b = 0; b < SCORE_BINS; b++) most = fmax(most, fmax(share[0][b], share[1][b]));
    return most;
}

void tr_report_add_scores(tr_str *out, const tr_evaluation *e)
{
    double low, high, share[2][SCORE_BINS];
    char reading[200], name[64];
    tr_plot p;
    range_of(e->scorer[0].score, e->n, &low, &high);
    double step = tr_plot_step(high - low, 8);
    low = floor(low / step) * step, high = fmax(ceil(high / step) * step, low + step);
    double most = score_shares(e, low, high, share), width = (high - low) / SCORE_BINS;
    snprintf(reading, sizeof reading, "The model's log-odds of Yes over the %zu liked items (up) and the %zu disliked "
             "(down), each as shares of its own.", e->n_yes, e->n - e->n_yes);
    open_figure(out, "Scores by label", reading);
    tr_plot_open(&p, out, "scores", "Distribution of the model's scores by label", reading, 400, 12);
    tr_plot_scale(&p, low, high, -most, most);
    for (int b = 0; b < SCORE_BINS; b++) {
        double left = low + b * width + 0.06 * width, right = low + (b + 1) * width - 0.06 * width;
        if (share[1][b] > 0) tr_plot_rectangle(&p, "yes", left, 0, right, share[1][b]);
        if (share[0][b] > 0) tr_plot_rectangle(&p, "no", left, 0, right, -share[0][b]);
    }
    tr_plot_segment(&p, "axis", low, 0, high, 0);
    if (low < 0 && high > 0) tr_plot_segment(&p, "reference", 0, -most, 0, most);
    tr_plot_x_axis(&p, "score: log-odds of Yes (above 0 the model says Yes)", 8);
    snprintf(name, sizeof name, "liked, %zu rows", e->n_yes);
    tr_plot_text(&p, "value yes-text", p.left, p.top - 8, "start", name);
    snprintf(name, sizeof name, "disliked, %zu rows", e->n - e->n_yes);
    tr_plot_text(&p, "value no-text", p.left, p.bottom - 8, "start", name);
    close_figure(&p);
}
