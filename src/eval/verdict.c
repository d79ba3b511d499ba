/* This file puts an evaluation into words: the verdict, further findings, and what limits both. Every claim of
 * better or worse rests on an interval that excludes 0; all else is "not distinguishable". */
#include "eval/evaluation.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FEW_USERS 30 /* below this, percentile intervals over users are known to be too narrow */

const char *tr_figure(char *buffer, double value, bool sign)
{
    if (isnan(value)) {
        snprintf(buffer, TR_FIGURE_SIZE, "n/a");
        return buffer;
    }
    double size = fabs(value);
    char digits[TR_FIGURE_SIZE - 4];
    snprintf(digits, sizeof digits, "%.*f", size < 0.9995 ? 3 : size < 9.995 ? 2 : 1, fmin(size, 1e12));
    bool zero = strspn(digits, "0.") == strlen(digits);
    const char *before = value < 0 && !zero ? "−" : sign && !zero ? "+" : "";
    snprintf(buffer, TR_FIGURE_SIZE, "%s%s", before, size < 0.9995 ? digits + 1 : digits);
    return buffer;
}

/* "+.031 AUC [.012, .050]" */
static const char *describe(char *buffer, size_t size, const tr_interval *difference, const char *metric)
{
    char value[TR_FIGURE_SIZE], low[TR_FIGURE_SIZE], high[TR_FIGURE_SIZE];
    snprintf(buffer, size, "%s %s [%s, %s]", tr_figure(value, difference->value, true), metric,
             tr_figure(low, difference->low, false), tr_figure(high, difference->high, false));
    return buffer;
}

/* -1 below 0, +1 above 0, 0 when the interval contains 0 or does not exist. */
static int sign_of(const tr_interval *difference)
{
    return difference->low > 0 ? 1 : difference->high < 0 ? -1 : 0;
}

/* A control that the model is not shown to beat although it beats the best one, or NULL. A paired difference to a
 * weaker control can be the noisier one. */
static const tr_scorer *unbeaten(const tr_evaluation *e)
{
    for (size_t s = 0; s < e->n_scorers; s++)
        if (tr_scorer_kinds[e->scorer[s].id].is_control && sign_of(&e->scorer[s].model_minus[TR_METRIC_AUC]) <= 0)
            return &e->scorer[s];
    return NULL;
}

static void judge_auc(tr_evaluation *e)
{
    const tr_scorer *best = &e->scorer[e->best_control], *other = unbeaten(e);
    const tr_interval *lead = &best->model_minus[TR_METRIC_AUC];
    const char *phrase = tr_scorer_kinds[best->id].phrase;
    char by[128], value[TR_FIGURE_SIZE], control[TR_FIGURE_SIZE];
    describe(by, sizeof by, lead, "AUC");
    if (isnan(e->scorer[0].metric[TR_METRIC_AUC].value)) {
        e->verdict_kind = TR_VERDICT_UNDEFINED;
        snprintf(e->verdict, sizeof e->verdict, "AUC is undefined: all %zu rows have the label %s.", e->n,
                 e->n_yes ? "Yes" : "No");
    } else if (isnan(lead->low)) {
        e->verdict_kind = TR_VERDICT_NO_INTERVAL;
        snprintf(e->verdict, sizeof e->verdict, "No verdict, because there is no interval: AUC %s beside %s of %s, "
                 "on the rows of one user.", tr_figure(value, e->scorer[0].metric[TR_METRIC_AUC].value, false),
                 tr_figure(control, best->metric[TR_METRIC_AUC].value, false), phrase);
    } else if (sign_of(lead) < 0) {
        e->verdict_kind = TR_VERDICT_WORSE;
        snprintf(e->verdict, sizeof e->verdict, "Worse than %s: %s.", phrase, by);
    } else if (sign_of(lead) == 0) {
        e->verdict_kind = TR_VERDICT_INDISTINCT;
        snprintf(e->verdict, sizeof e->verdict, "Not distinguishable from %s: %s.", phrase, by);
    } else if (other) {
        e->verdict_kind = TR_VERDICT_BETTER_THAN_BEST;
        snprintf(e->verdict, sizeof e->verdict, "Better than the best control: %s over %s; but not distinguishable "
                 "from %s.", by, phrase, tr_scorer_kinds[other->id].phrase);
    } else {
        e->verdict_kind = TR_VERDICT_BETTER;
        snprintf(e->verdict, sizeof e->verdict, "Better than every control: %s over %s.", by, phrase);
    }
}

#define ADD_FINDING(e, ...) \
    snprintf((e)->finding[(e)->n_findings++], sizeof (e)->finding[0], __VA_ARGS__)
#define ADD_CAUTION(e, ...) \
    snprintf((e)->caution[(e)->n_cautions++], sizeof (e)->caution[0], __VA_ARGS__)

/* The same question within users, against the control that is best there. */
static void judge_uauc(tr_evaluation *e)
{
    const tr_scorer *best = &e->scorer[e->best_control_uauc];
    const tr_interval *lead = &best->model_minus[TR_METRIC_UAUC];
    char by[128];
    describe(by, sizeof by, lead, "UAUC");
    if (isnan(lead->low)) return;
    const char *how[] = {"worse than", "not distinguishable from", "better than"};
    ADD_FINDING(e, "Within users: %s %s, the best control there: %s.", how[sign_of(lead) + 1],
                tr_scorer_kinds[best->id].phrase, by);
}

static void judge_tuning(tr_evaluation *e)
{
    const tr_scorer *base = tr_evaluation_find(e, TR_SCORER_BASE);
    char by[128];
    if (!base || isnan(base->model_minus[TR_METRIC_AUC].low)) return;
    const tr_interval *lead = &base->model_minus[TR_METRIC_AUC];
    const char *how[] = {"made the model worse", "shows no effect", "helped"};
    ADD_FINDING(e, "Tuning %s: %s against the untuned model.", how[sign_of(lead) + 1],
                describe(by, sizeof by, lead, "AUC"));
}

static void judge_history(tr_evaluation *e)
{
    const tr_scorer *shuffled = tr_evaluation_find(e, TR_SCORER_SHUFFLED);
    char by[128];
    if (!shuffled || isnan(shuffled->model_minus[TR_METRIC_AUC].low)) return;
    const tr_interval *lead = &shuffled->model_minus[TR_METRIC_AUC];
    const char *how[] = {"The order of the history misleads the model", "The order of the history shows no effect",
                         "The order of the history helps"};
    ADD_FINDING(e, "%s: %s against shuffled history.", how[sign_of(lead) + 1], describe(by, sizeof by, lead, "AUC"));
}

static void add_cautions(tr_evaluation *e)
{
    const tr_groups *g = &e->groups;
    size_t unknown = g->n_groups - g->n_users;
    if (!g->n_users)
        ADD_CAUTION(e, "No user is known: the intervals resample rows, as if each came from another user, and are "
                    "too narrow if users repeat. UAUC does not exist.");
    else if (unknown)
        ADD_CAUTION(e, "%zu of %zu rows have no user; in the intervals each counts as a user of its own.", unknown,
                    e->n);
    if (g->n_groups > 1 && g->n_groups < FEW_USERS)
        ADD_CAUTION(e, "%zu users are few: an interval over them is rough, and rather too narrow than too wide.",
                    g->n_groups);
    if (!e->n_all)
        ADD_CAUTION(e, "No training rows were given, so the item means are missing and the best control may be a "
                    "weak one.");
    size_t defined = e->scorer[0].metric[TR_METRIC_AUC].n_defined;
    if (defined < e->n_replicates)
        ADD_CAUTION(e, "AUC was undefined in %zu of %zu resamples, which are left out.", e->n_replicates - defined,
                    e->n_replicates);
}

void tr_evaluation_judge(tr_evaluation *e)
{
    judge_auc(e);
    judge_uauc(e);
    judge_tuning(e);
    judge_history(e);
    add_cautions(e);
}
