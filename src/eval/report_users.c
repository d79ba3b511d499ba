/* This file draws AUC within users: a row of dots for each user when they are few, histograms when they are many. */
#include "base/memory.h"
#include "eval/report_figures.h"
#include "eval/report_plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DOTS = 24, BINS = 20, NAME_CHARACTERS = 11 };

typedef struct {
    double model, control;
    uint32_t rows;
    const char *name;
} user_auc;

static int by_model_auc(const void *left, const void *right)
{
    const user_auc *a = left, *b = right;
    if (a->model != b->model) return a->model > b->model ? -1 : 1;
    if (a->rows != b->rows) return a->rows > b->rows ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* Users with both labels, best first. Returns how many. */
static size_t collect(const tr_evaluation *e, const tr_scorer *control, user_auc *user)
{
    size_t n = 0;
    for (size_t g = 0; g < e->groups.n_groups; g++) {
        double auc = e->scorer[0].scored.user_auc[g];
        if (!isnan(auc)) user[n++] = (user_auc){auc, control->scored.user_auc[g], e->groups.size[g], e->groups.name[g]};
    }
    qsort(user, n, sizeof *user, by_model_auc);
    return n;
}

/* The first characters of a name, cut between UTF-8 characters. */
static void shorten(char *out, size_t size, const char *name)
{
    size_t at = 0, characters = 0;
    while (name[at] && at + 5 < size) {
        size_t next = at + 1;
        while ((name[next] & 0xC0) == 0x80 && next < at + 4) next++;
        if (++characters > NAME_CHARACTERS) break;
        at = next;
    }
    snprintf(out, size, "%.*s%s", (int)at, name, name[at] ? "…" : "");
}

static void add_dots(tr_str *out, const char *reading, const user_auc *user, size_t n)
{
    const double row_height = fmin(fmax(340.0 / (double)n, 14), 24);
    char text[160], name[64];
    double most_rows = 1;
    tr_plot p;
    tr_plot_open(&p, out, "users", "AUC of each user", reading, 60 + row_height * (double)n, 78);
    p.right -= 40;
    tr_plot_scale(&p, 0, 1, 0, (double)n);
    for (size_t u = 0; u < n; u++) most_rows = fmax(most_rows, user[u].rows);
    tr_plot_segment(&p, "reference", 0.5, 0, 0.5, (double)n);
    for (size_t u = 0; u < n; u++) {
        double y = (double)n - 0.5 - (double)u, at = tr_plot_y(&p, y) + 3.5;
        tr_plot_segment(&p, "grid", 0, y, 1, y);
        tr_plot_segment(&p, "span", user[u].control, y, user[u].model, y);
        shorten(name, sizeof name, user[u].name);
        tr_plot_text(&p, "tick", p.left - 8, at, "end", name);
        snprintf(text, sizeof text, "%u", user[u].rows);
        tr_plot_text(&p, "tick", TR_PLOT_WIDTH - 4, at, "end", text);
        tr_plot_dot(&p, "best hollow", user[u].control, y, 3.2, NULL);
        snprintf(text, sizeof text, "%s: model %.3f, control %.3f, %u rows", name, user[u].model, user[u].control,
                 user[u].rows);
        tr_plot_dot(&p, "model", user[u].model, y, 2.5 + 4 * sqrt(user[u].rows / most_rows), text);
    }
    tr_plot_text(&p, "label", p.left - 8, 11, "end", "user");
    tr_plot_text(&p, "label", TR_PLOT_WIDTH - 4, 11, "end", "rows");
    tr_plot_x_axis(&p, "AUC of the user's rows", 5);
    tr_plot_close(&p);
}

/* Shares of users by AUC: bars for the model, an outline for the control. */
static void add_histogram(tr_str *out, const char *reading, const user_auc *user, size_t n)
{
    double share[2][BINS] = {{0}}, most = 0, x[2 * BINS + 2], y[2 * BINS + 2];
    tr_plot p;
    for (size_t u = 0; u < n; u++)
        for (int k = 0; k < 2; k++) {
            int bin = (int)((k ? user[u].control : user[u].model) * BINS);
            share[k][bin < BINS ? bin : BINS - 1] += 1 / (double)n;
        }
    for (int b = 0; b < BINS; b++) most = fmax(most, fmax(share[0][b], share[1][b]));
    tr_plot_open(&p, out, "users", "Distribution of AUC over users", reading, 300, 40);
    tr_plot_scale(&p, 0, 1, 0, most * 1.05);
    tr_plot_y_axis(&p, "share of users", 4);
    for (int b = 0; b < BINS; b++) {
        double left = (double)b / BINS, right = (double)(b + 1) / BINS;
        if (share[0][b] > 0) tr_plot_rectangle(&p, "yes", left + 0.002, 0, right - 0.002, share[0][b]);
        x[2 * b + 1] = left, x[2 * b + 2] = right;
        y[2 * b + 1] = y[2 * b + 2] = share[1][b];
    }
    x[0] = 0, y[0] = 0, x[2 * BINS + 1] = 1, y[2 * BINS + 1] = 0;
    tr_plot_line(&p, "best", x, y, 2 * BINS + 2);
    tr_plot_segment(&p, "reference", 0.5, 0, 0.5, most * 1.05);
    tr_plot_x_axis(&p, "AUC of the user's rows", 5);
    tr_plot_close(&p);
}

tr_status tr_report_add_users(tr_str *out, const tr_evaluation *e, tr_error *err)
{
    const tr_scorer *control = &e->scorer[e->best_control_uauc];
    user_auc *user;
    char reading[320], model_mean[TR_FIGURE_SIZE], control_mean[TR_FIGURE_SIZE];
    TR_TRY(tr_alloc(&user, e->groups.n_groups, sizeof *user, "users", err));
    size_t n = collect(e, control, user);
    if (n) {
        tr_figure(model_mean, e->scorer[0].metric[TR_METRIC_UAUC].value, false);
        tr_figure(control_mean, control->metric[TR_METRIC_UAUC].value, false);
        bool dots = n <= MOST_DOTS;
        snprintf(reading, sizeof reading,
                 "Can it order one user's items? Mean over %zu users: model %s (%s), %s %s (%s).", n, model_mean,
                 dots ? "filled, larger for more rows" : "bars", tr_scorer_kinds[control->id].phrase, control_mean,
                 dots ? "ring" : "outline");
        tr_str_add(out, "<figure>\n<figcaption><h3>AUC within users</h3><p>");
        tr_str_add_html(out, reading);
        tr_str_add(out, "</p></figcaption>\n");
        (dots ? add_dots : add_histogram)(out, reading, user, n);
        tr_str_add(out, "</figure>\n");
    }
    free(user);
    return TR_OK;
}
