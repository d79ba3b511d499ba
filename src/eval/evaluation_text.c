/* This file renders an evaluation as text for a terminal of 80 columns. */
#include "eval/evaluation.h"

#include <math.h>
#include <string.h>

#define COLUMNS 80
#define NAME_COLUMNS 25

static void add_padded(tr_str *out, const char *text, int columns)
{
    tr_str_add(out, text);
    for (int at = tr_utf8_width(text); at < columns; at++) tr_str_add(out, " ");
}

/* A paragraph broken at spaces, later lines indented like the first. */
static void add_wrapped(tr_str *out, const char *indent, const char *text)
{
    int room = COLUMNS - (int)strlen(indent), used = 0;
    char word[320];
    tr_str_add(out, indent);
    for (const char *p = text; *p;) {
        size_t length = strcspn(p, " ");
        size_t kept = length < sizeof word ? length : sizeof word - 1;
        memcpy(word, p, kept);
        word[kept] = '\0';
        int width = tr_utf8_width(word);
        if (used && used + 1 + width > room) {
            tr_str_add(out, "\n");
            tr_str_add(out, indent);
            used = 0;
        } else if (used) {
            tr_str_add(out, " ");
            used++;
        }
        tr_str_add(out, word);
        used += width;
        p += length;
        while (*p == ' ') p++;
    }
    tr_str_add(out, "\n");
}

static void add_cell(tr_str *out, const tr_interval *x, bool sign, int columns)
{
    char value[TR_FIGURE_SIZE], low[TR_FIGURE_SIZE], high[TR_FIGURE_SIZE], cell[3 * TR_FIGURE_SIZE + 8];
    if (isnan(x->low))
        snprintf(cell, sizeof cell, "%s", tr_figure(value, x->value, sign));
    else
        snprintf(cell, sizeof cell, "%s [%s, %s]", tr_figure(value, x->value, sign), tr_figure(low, x->low, false),
                 tr_figure(high, x->high, false));
    add_padded(out, cell, columns);
}

/* Trailing spaces would show up in every diff of a saved table. */
static void end_line(tr_str *out)
{
    while (out->data && out->size && out->data[out->size - 1] == ' ') out->data[--out->size] = '\0';
    tr_str_add(out, "\n");
}

/* Says which training rows the item means below come from, where a new kind begins. */
static void add_heading(tr_str *out, const tr_evaluation *e, tr_scorer_id id)
{
    if (id == TR_SCORER_LIKE_SHARE) tr_str_add(out, "control from the prompt alone\n");
    if (id == TR_SCORER_ITEM_MEAN_SEEN)
        tr_str_addf(out, "controls from the %zu training rows that the model saw\n", e->n_seen);
    if (id == TR_SCORER_ITEM_MEAN_ALL)
        tr_str_addf(out, "controls from all %zu training rows\n", e->n_all);
}

typedef struct {
    const char *heading;
    tr_metric_id metric[3];
    int n_metrics, columns;
    bool difference;
} table;

static void add_table(tr_str *out, const tr_evaluation *e, const table *t)
{
    add_padded(out, t->heading, NAME_COLUMNS);
    for (int m = 0; m < t->n_metrics; m++) add_padded(out, tr_metrics[t->metric[m]].title, t->columns);
    end_line(out);
    for (size_t s = t->difference ? 1 : 0; s < e->n_scorers; s++) {
        const tr_scorer *scorer = &e->scorer[s];
        const tr_scorer_kind *kind = &tr_scorer_kinds[scorer->id];
        char name[64];
        add_heading(out, e, scorer->id);
        snprintf(name, sizeof name, "%s%s", kind->is_control ? "  " : "", kind->title);
        add_padded(out, name, NAME_COLUMNS);
        for (int m = 0; m < t->n_metrics; m++)
            add_cell(out, t->difference ? &scorer->model_minus[t->metric[m]] : &scorer->metric[t->metric[m]],
                     t->difference, t->columns);
        end_line(out);
    }
    tr_str_add(out, "\n");
}

static void add_rows_line(tr_str *out, const tr_evaluation *e)
{
    char line[320], rate[TR_FIGURE_SIZE];
    const tr_interval *model = e->scorer[0].metric;
    snprintf(line, sizeof line, "%zu rows, base rate %s (%zu Yes); %zu users, %.0f of them with both labels.", e->n,
             tr_figure(rate, model[TR_METRIC_BASE_RATE].value, false), e->n_yes, e->groups.n_users,
             model[TR_METRIC_USERS].value);
    add_wrapped(out, "", line);
    if (e->n_replicates) {
        snprintf(line, sizeof line, "In brackets: 95 %% interval from %zu resamples of %s.", e->n_replicates,
                 e->groups.n_users ? "users" : "rows (no user is known)");
        add_wrapped(out, "", line);
    }
}

tr_status tr_evaluation_text(const tr_evaluation *e, tr_str *out, tr_error *err)
{
    const table tables[] = {
        {"", {TR_METRIC_AUC, TR_METRIC_UAUC, TR_METRIC_UAUC_WEIGHTED}, 3, 18, false},
        {"", {TR_METRIC_ACCURACY, TR_METRIC_LOG_LOSS, TR_METRIC_ECE}, 3, 18, false},
        {"model minus", {TR_METRIC_AUC, TR_METRIC_UAUC}, 2, 24, true},
    };
    add_wrapped(out, "", e->verdict);
    for (size_t i = 0; i < e->n_findings; i++) add_wrapped(out, "", e->finding[i]);
    tr_str_add(out, "\n");
    add_rows_line(out, e);
    tr_str_add(out, "\n");
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) add_table(out, e, &tables[t]);
    add_wrapped(out, "", "The best control is the one with the highest AUC on these rows.");
    for (size_t i = 0; i < e->n_cautions; i++) add_wrapped(out, "", e->caution[i]);
    return tr_str_check(out, err);
}
