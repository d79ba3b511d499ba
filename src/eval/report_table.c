/* This file writes the report's tables. The comparison draws its whiskers into the cells, in percent of their width,
 * so that the plot is a table and the table a plot, on a phone as on a wide screen. */
#include "eval/report_table.h"

#include "eval/report_plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The scale of one metric's column of whiskers. */
typedef struct {
    tr_metric_id metric;
    double low, high, step;
    double reference; /* the best control's value */
} scale;

static scale scale_of(const tr_evaluation *e, tr_metric_id metric)
{
    scale s = {.metric = metric, .low = 0.5, .high = 0.55,
               .reference = e->scorer[e->best_control].metric[metric].value};
    for (size_t i = 0; i < e->n_scorers; i++) {
        const tr_interval *x = &e->scorer[i].metric[metric];
        if (isnan(x->value)) continue;
        s.low = fmin(s.low, fmin(x->value, isnan(x->low) ? x->value : x->low));
        s.high = fmax(s.high, fmax(x->value, isnan(x->high) ? x->value : x->high));
    }
    s.low = floor(s.low * 20 + 0.1) / 20;
    s.high = ceil(s.high * 20 - 0.1) / 20;
    s.step = s.high - s.low > 0.47 ? 0.2 : 0.1;
    return s;
}

static double percent(const scale *s, double value)
{
    double share = (value - s->low) / (s->high - s->low);
    return 2 + 96 * fmin(fmax(share, 0), 1);
}

static const char *class_of(const tr_evaluation *e, size_t scorer)
{
    tr_scorer_id id = e->scorer[scorer].id;
    if (id == TR_SCORER_MODEL) return "model";
    if (!tr_scorer_kinds[id].is_control) return "base";
    return scorer == e->best_control ? "best" : "control";
}

static void add_whisker(tr_str *out, const tr_evaluation *e, const scale *s, size_t scorer)
{
    const tr_interval *x = &e->scorer[scorer].metric[s->metric];
    const char *class_name = class_of(e, scorer);
    tr_str_add(out, "<td class=\"strip\" role=\"presentation\"><svg aria-hidden=\"true\">");
    tr_str_addf(out, "<line class=\"chance\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"0\" y2=\"100%%\"/>", percent(s, 0.5),
                percent(s, 0.5));
    if (!isnan(s->reference))
        tr_str_addf(out, "<line class=\"bar-to-beat\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"0\" y2=\"100%%\"/>",
                    percent(s, s->reference), percent(s, s->reference));
    if (!isnan(x->low))
        tr_str_addf(out, "<line class=\"whisker %s\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"50%%\" y2=\"50%%\"/>", class_name,
                    percent(s, x->low), percent(s, x->high));
    if (!isnan(x->value))
        tr_str_addf(out, "<circle class=\"dot %s\" cx=\"%.2f%%\" cy=\"50%%\" r=\"%s\"/>", class_name,
                    percent(s, x->value), scorer == 0 ? "5.5" : "4.2");
    tr_str_add(out, "</svg></td>");
}

static void add_numbers(tr_str *out, const tr_interval *x, const char *name, bool sign)
{
    char value[TR_FIGURE_SIZE], low[TR_FIGURE_SIZE], high[TR_FIGURE_SIZE];
    tr_str_addf(out, "<td role=\"cell\" class=\"num\" data-name=\"%s\"><b>%s</b>", name,
                tr_figure(value, x->value, sign));
    if (!isnan(x->low))
        tr_str_addf(out, " <span>[%s, %s]</span>", tr_figure(low, x->low, false), tr_figure(high, x->high, false));
    tr_str_add(out, "</td>");
}

/* A row that says where the controls below it come from. */
static void add_group_row(tr_str *out, const tr_evaluation *e, tr_scorer_id id, int columns)
{
    char text[96];
    if (id == TR_SCORER_LIKE_SHARE)
        snprintf(text, sizeof text, "Control from the prompt alone");
    else if (id == TR_SCORER_ITEM_MEAN_SEEN)
        snprintf(text, sizeof text, "Controls from the %zu training rows that the model saw", e->n_seen);
    else if (id == TR_SCORER_ITEM_MEAN_ALL)
        snprintf(text, sizeof text, "Controls from all %zu training rows", e->n_all);
    else
        return;
    tr_str_addf(out, "<tr class=\"group\"><th colspan=\"%d\" scope=\"colgroup\">%s</th></tr>\n", columns, text);
}

static void add_axis_cell(tr_str *out, const scale *s)
{
    char tick[TR_FIGURE_SIZE];
    tr_str_add(out, "<td class=\"strip\"><svg aria-hidden=\"true\">");
    for (double k = ceil(s->low / s->step - 1e-6); k * s->step <= s->high + 1e-6; k++) {
        snprintf(tick, sizeof tick, "%.1f", k * s->step);
        tr_str_addf(out, "<text class=\"tick\" x=\"%.2f%%\" y=\"14\" text-anchor=\"middle\">%s</text>",
                    percent(s, k * s->step), tick[0] == '0' ? tick + 1 : tick);
    }
    tr_str_add(out, "</svg></td>");
}

static void add_scorer_name(tr_str *out, const tr_evaluation *e, size_t scorer)
{
    const char *mark = scorer == e->best_control ? " <i>best control</i>" : "";
    tr_str_addf(out, "<tr role=\"row\" class=\"%s\"><th role=\"rowheader\" scope=\"row\">%s%s</th>",
                class_of(e, scorer), tr_scorer_kinds[e->scorer[scorer].id].title, mark);
}

/* On a narrow screen the style sheet lays the rows out as blocks, which makes some browsers forget that they are a
 * table: hence the roles. */
void tr_report_add_comparison(tr_str *out, const tr_evaluation *e)
{
    scale scales[2] = {scale_of(e, TR_METRIC_AUC), scale_of(e, TR_METRIC_UAUC)};
    int n_scales = e->groups.n_users ? 2 : 1, columns = 1 + 2 * n_scales + 1;
    tr_str_add(out, "<table class=\"forest\" role=\"table\">\n<thead><tr><th scope=\"col\">Scorer</th>");
    for (int k = 0; k < n_scales; k++)
        tr_str_addf(out, "<th scope=\"col\" colspan=\"2\">%s</th>", k ? "UAUC, within users" : "AUC, all rows");
    tr_str_add(out, "<th scope=\"col\" class=\"num\">Model − scorer, AUC</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < e->n_scorers; i++) {
        add_group_row(out, e, e->scorer[i].id, columns);
        add_scorer_name(out, e, i);
        for (int k = 0; k < n_scales; k++) {
            add_whisker(out, e, &scales[k], i);
            add_numbers(out, &e->scorer[i].metric[scales[k].metric], k ? "UAUC" : "AUC", false);
        }
        if (i)
            add_numbers(out, &e->scorer[i].model_minus[TR_METRIC_AUC], "model minus", true);
        else
            tr_str_add(out, "<td class=\"num none\"></td>");
        tr_str_add(out, "</tr>\n");
    }
    tr_str_add(out, "</tbody>\n<tfoot aria-hidden=\"true\"><tr><td></td>");
    for (int k = 0; k < n_scales; k++) {
        add_axis_cell(out, &scales[k]);
        tr_str_add(out, "<td class=\"none\"></td>");
    }
    tr_str_add(out, "<td class=\"none\"></td></tr></tfoot>\n</table>\n");
}

void tr_report_add_metrics(tr_str *out, const tr_evaluation *e)
{
    const tr_metric_id shown[] = {TR_METRIC_AUC, TR_METRIC_UAUC, TR_METRIC_UAUC_WEIGHTED, TR_METRIC_ACCURACY,
                                  TR_METRIC_LOG_LOSS, TR_METRIC_ECE};
    const int n_shown = sizeof shown / sizeof *shown;
    tr_str_add(out, "<table class=\"metrics\">\n<thead><tr><th scope=\"col\">Scorer</th>");
    for (int m = 0; m < n_shown; m++)
        tr_str_addf(out, "<th scope=\"col\" class=\"num\">%s</th>", tr_metrics[shown[m]].title);
    tr_str_add(out, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < e->n_scorers; i++) {
        add_group_row(out, e, e->scorer[i].id, n_shown + 1);
        add_scorer_name(out, e, i);
        for (int m = 0; m < n_shown; m++)
            add_numbers(out, &e->scorer[i].metric[shown[m]], tr_metrics[shown[m]].title, false);
        tr_str_add(out, "</tr>\n");
    }
    tr_str_add(out, "</tbody>\n</table>\n");
}

void tr_report_add_explanations(tr_str *out, const tr_evaluation *e)
{
    tr_str_add(out, "<dl class=\"scorers\">\n");
    for (size_t i = 0; i < e->n_scorers; i++) {
        const tr_scorer_kind *kind = &tr_scorer_kinds[e->scorer[i].id];
        tr_str_addf(out, "<div><dt class=\"%s\">", class_of(e, i));
        tr_str_add_html(out, kind->phrase);
        tr_str_add(out, "</dt><dd>");
        tr_str_add_html(out, kind->explanation);
        tr_str_add(out, "</dd></div>\n");
    }
    tr_str_add(out, "</dl>\n");
}

static void add_value(tr_str *out, const json_t *value)
{
    if (json_is_string(value)) {
        tr_str_add_html(out, json_string_value(value));
        return;
    }
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
    if (!text) {
        out->failed = true;
        return;
    }
    tr_str_add_html(out, text);
    free(text);
}

enum { MOST_DEPTH = 4 };

static void add_members(tr_str *out, const json_t *object, const char *prefix, int depth)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        tr_str name = {0};
        tr_str_addf(&name, "%s%s%s", prefix, *prefix ? "." : "", key);
        if (name.failed) {
            out->failed = true;
        } else if (json_is_object(value) && json_object_size(value) && depth < MOST_DEPTH) {
            add_members(out, value, name.data, depth + 1);
        } else {
            tr_str_add(out, "<div><dt>");
            tr_str_add_html(out, name.data);
            tr_str_add(out, "</dt><dd>");
            add_value(out, value);
            tr_str_add(out, "</dd></div>\n");
        }
        tr_str_free(&name);
    }
}

void tr_report_add_json(tr_str *out, const json_t *object)
{
    tr_str_add(out, "<dl class=\"facts\">\n");
    add_members(out, object, "", 0);
    tr_str_add(out, "</dl>\n");
}
