/* This file assembles report.html: it fills the skeleton's {{places}} with the parts that exist. */
#include "eval/report.h"

#include "base/file.h"
#include "eval/report_figures.h"
#include "eval/report_table.h"

#include <math.h>
#include <string.h>

extern const char tr_report_skeleton[]; /* data/report.html */

/* The verdict up to its figures is the headline, the figures follow below it. */
static void add_headline(tr_str *out, const tr_report *r)
{
    const char *text = r->evaluation ? r->evaluation->verdict : "Tuned, not yet evaluated.";
    const char *colon = strstr(text, ": ");
    tr_str head = {0};
    tr_str_add_bytes(&head, text, colon ? (size_t)(colon - text) : strlen(text));
    tr_str_add(out, "<h1>");
    tr_str_add_html(out, head.data ? head.data : "");
    tr_str_add(out, colon ? ".</h1>\n" : "</h1>\n");
    if (colon) {
        tr_str_add(out, "<p class=\"lead\">");
        tr_str_add_html(out, colon + 2);
        tr_str_add(out, "</p>\n");
    }
    out->failed |= head.failed;
    tr_str_free(&head);
}

static void add_paragraphs(tr_str *out, const char (*text)[320], size_t n, const char *class_name)
{
    if (!n) return;
    tr_str_addf(out, "<ul class=\"%s\">\n", class_name);
    for (size_t i = 0; i < n; i++) {
        tr_str_add(out, "<li>");
        tr_str_add_html(out, text[i]);
        tr_str_add(out, "</li>\n");
    }
    tr_str_add(out, "</ul>\n");
}

static void add_tile(tr_str *out, const char *name, const char *class_name, const tr_interval *x, bool sign)
{
    char value[TR_FIGURE_SIZE], low[TR_FIGURE_SIZE], high[TR_FIGURE_SIZE];
    tr_str_add(out, "<div><dt>");
    tr_str_add_html(out, name);
    tr_str_addf(out, "</dt><dd class=\"%s\">%s", class_name, tr_figure(value, x->value, sign));
    if (!isnan(x->low))
        tr_str_addf(out, "<span>[%s, %s]</span>", tr_figure(low, x->low, false), tr_figure(high, x->high, false));
    tr_str_add(out, "</dd></div>\n");
}

static void add_tiles(tr_str *out, const tr_evaluation *e)
{
    const tr_scorer *best = &e->scorer[e->best_control];
    char name[96];
    tr_str_add(out, "<dl class=\"tiles\">\n");
    add_tile(out, "AUC of the model", "model", &e->scorer[0].metric[TR_METRIC_AUC], false);
    snprintf(name, sizeof name, "AUC of %s", tr_scorer_kinds[best->id].phrase);
    add_tile(out, name, "best", &best->metric[TR_METRIC_AUC], false);
    add_tile(out, "Model minus best control", "", &best->model_minus[TR_METRIC_AUC], true);
    add_tile(out, "AUC within users", "model", &e->scorer[0].metric[TR_METRIC_UAUC], false);
    tr_str_add(out, "</dl>\n");
}

static void add_basis(tr_str *out, const tr_evaluation *e)
{
    char rate[TR_FIGURE_SIZE];
    const tr_interval *model = e->scorer[0].metric;
    tr_str_addf(out, "<p class=\"note\">%zu rows, base rate %s (%zu Yes), %zu users, %.0f of them with both labels. ",
                e->n, tr_figure(rate, model[TR_METRIC_BASE_RATE].value, false), e->n_yes, e->groups.n_users,
                model[TR_METRIC_USERS].value);
    if (e->n_replicates)
        tr_str_addf(out, "Whiskers and brackets: 95&#8239;%% interval from %zu resamples of %s, the same for every "
                    "scorer. ", e->n_replicates, e->groups.n_users ? "users" : "rows, because no user is known");
    tr_str_add(out, "Dashed: the best control, chosen by its AUC on these rows. Dotted: chance.</p>\n");
}

static void add_summary(tr_str *out, const tr_evaluation *e)
{
    add_tiles(out, e);
    add_paragraphs(out, e->finding, e->n_findings, "findings");
    tr_str_add(out, "<section>\n<h2>Against the controls</h2>\n");
    tr_report_add_comparison(out, e);
    add_basis(out, e);
    add_paragraphs(out, e->caution, e->n_cautions, "cautions");
    tr_str_add(out, "</section>\n");
}

static tr_status add_figures(tr_str *out, const tr_report *r, tr_error *err)
{
    tr_str_add(out, "<section>\n<h2>In pictures</h2>\n<div class=\"figures\">\n");
    if (r->evaluation) {
        TR_TRY(tr_report_add_roc(out, r->evaluation, err));
        TR_TRY(tr_report_add_users(out, r->evaluation, err));
        tr_report_add_calibration(out, r->evaluation);
        tr_report_add_scores(out, r->evaluation);
    }
    if (r->curve) {
        tr_report_add_loss(out, r->curve);
        tr_report_add_validation(out, r->curve);
    }
    tr_str_add(out, "</div>\n</section>\n");
    return TR_OK;
}

static void add_details(tr_str *out, const tr_report *r)
{
    if (r->evaluation) {
        tr_str_add(out, "<section>\n<h2>Every figure</h2>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" "
                   "aria-label=\"Every metric of every scorer\">\n");
        tr_report_add_metrics(out, r->evaluation);
        tr_str_add(out, "</div>\n</section>\n<section>\n<h2>What is compared</h2>\n");
        tr_report_add_explanations(out, r->evaluation);
        tr_str_add(out, "</section>\n");
        if (json_is_object(r->evaluation->protocol)) {
            tr_str_add(out, "<section>\n<h2>Protocol card</h2>\n");
            tr_report_add_json(out, r->evaluation->protocol);
            tr_str_add(out, "</section>\n");
        }
    }
    if (r->command) {
        tr_str_add(out, "<section>\n<h2>The command</h2>\n<pre tabindex=\"0\"><code>");
        tr_str_add_html(out, r->command);
        tr_str_add(out, "</code></pre>\n</section>\n");
    }
    if (json_is_object(r->config)) {
        tr_str_add(out, "<section>\n<h2>Configuration, as resolved</h2>\n");
        tr_report_add_json(out, r->config);
        tr_str_add(out, "</section>\n");
    }
}

static tr_status add_place(tr_str *out, const tr_report *r, const char *name, size_t length, tr_error *err)
{
    tr_status status = TR_OK;
    if (strncmp(name, "title", length) == 0) {
        tr_str_add_html(out, r->title);
    } else if (strncmp(name, "headline", length) == 0) {
        add_headline(out, r);
    } else if (strncmp(name, "summary", length) == 0) {
        if (r->evaluation) add_summary(out, r->evaluation);
    } else if (strncmp(name, "figures", length) == 0) {
        status = add_figures(out, r, err);
    } else if (strncmp(name, "details", length) == 0) {
        add_details(out, r);
    } else if (strncmp(name, "foot", length) == 0) {
        tr_str_add(out, "tallrec " TALLREC_VERSION);
        if (r->made) tr_str_add(out, " · "), tr_str_add_html(out, r->made);
    }
    return status;
}

tr_status tr_report_html(const tr_report *r, tr_str *out, tr_error *err)
{
    if (!r->evaluation && !r->curve) return tr_fail(err, TR_ERR_USAGE, "there is nothing to report");
    const char *at = tr_report_skeleton, *open;
    while ((open = strstr(at, "{{"))) {
        const char *close = strstr(open, "}}");
        tr_str_add_bytes(out, at, (size_t)(open - at));
        TR_TRY(add_place(out, r, open + 2, (size_t)(close - open - 2), err));
        at = close + 2;
    }
    tr_str_add(out, at);
    return tr_str_check(out, err);
}

tr_status tr_report_write(const tr_report *r, const char *path, tr_error *err)
{
    tr_str page = {0};
    tr_status status = tr_report_html(r, &page, err);
    if (status == TR_OK) status = tr_file_write(path, page.data, page.size, err);
    tr_str_free(&page);
    return status;
}
