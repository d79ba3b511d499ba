/* This file implements evaluations: it assembles the scorers, computes the metrics of all of them on the same
 * replicates, and hands the figures to verdict.c. */
#include "eval/evaluation.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ITEM_MEAN "(yes + 5p)/(n + 5), how often this item was liked in the training rows, pulled towards the " \
    "overall rate p"

const tr_scorer_kind tr_scorer_kinds[TR_N_SCORERS] = {
    [TR_SCORER_MODEL] = {"model", "model", "the model",
        "The language model with its adapter: log P(Yes) − log P(No) for the first token of the answer.", false},
    [TR_SCORER_BASE] = {"base_model", "untuned model", "the untuned model",
        "The same language model without the adapter: what it knew before it saw a rating.", false},
    [TR_SCORER_SHUFFLED] = {"shuffled_history", "history shuffled", "the model on shuffled history",
        "The model on prompts whose liked and disliked titles are in random order: what it loses here, it had "
        "gained from their order.", false},
    [TR_SCORER_LIKE_SHARE] = {"like_share", "like share", "the share of liked items",
        "(likes + 1)/(likes + dislikes + 2) in the prompt: how generous this user is, whatever the item.", true},
    [TR_SCORER_ITEM_MEAN_SEEN] = {"item_mean_seen", "item mean", "item mean (rows seen)",
        ITEM_MEAN "; counted over the rows that the model was tuned on.", true},
    [TR_SCORER_BOTH_SEEN] = {"item_mean_like_share_seen", "item mean + like share",
        "item mean + like share (rows seen)",
        "The sum of the two log-odds: a generous user and a popular item, nothing else.", true},
    [TR_SCORER_ITEM_MEAN_ALL] = {"item_mean_all", "item mean", "item mean (all rows)",
        ITEM_MEAN "; counted over all training rows.", true},
    [TR_SCORER_BOTH_ALL] = {"item_mean_like_share_all", "item mean + like share",
        "item mean + like share (all rows)",
        "The sum of the two log-odds, the item mean over all training rows: the bar for a model worth its cost.", true},
};

/* A new scorer with room for n scores. It is counted at once, so that freeing finds it. */
static tr_status add_scorer(tr_evaluation *e, tr_scorer_id id, double **score, tr_error *err)
{
    tr_scorer *scorer = &e->scorer[e->n_scorers];
    TR_TRY(tr_alloc(&scorer->score, e->n, sizeof *scorer->score, "scores", err));
    scorer->id = id;
    e->n_scorers++;
    *score = scorer->score;
    return TR_OK;
}

static tr_status add_given(tr_evaluation *e, tr_scorer_id id, const double *given, tr_error *err)
{
    double *score;
    if (!given) return TR_OK;
    TR_TRY(add_scorer(e, id, &score, err));
    memcpy(score, given, e->n * sizeof *score);
    return TR_OK;
}

/* Item mean and item mean + like share from one set of training rows. */
static tr_status add_item_means(tr_evaluation *e, const tr_evaluation_input *in, const tr_training_rows *training,
                                tr_scorer_id item_mean_id, tr_scorer_id both_id, tr_error *err)
{
    double *mean, *both;
    if (!training->n) return TR_OK;
    const double *share = tr_evaluation_find(e, TR_SCORER_LIKE_SHARE)->score;
    TR_TRY(add_scorer(e, item_mean_id, &mean, err));
    TR_TRY(tr_control_item_mean(training, in->item, e->n, mean, err));
    TR_TRY(add_scorer(e, both_id, &both, err));
    for (size_t i = 0; i < e->n; i++) both[i] = mean[i] + share[i];
    return TR_OK;
}

static bool same_text(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

/* A model that saw every training row needs each control once. */
static bool same_rows(const tr_training_rows *a, const tr_training_rows *b)
{
    if (a->n != b->n || !a->item != !b->item) return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->label[i] != b->label[i] || (a->item && !same_text(a->item[i], b->item[i]))) return false;
    return true;
}

static tr_status add_scorers(tr_evaluation *e, const tr_evaluation_input *in, tr_error *err)
{
    double *share;
    TR_TRY(add_given(e, TR_SCORER_MODEL, in->score, err));
    TR_TRY(add_given(e, TR_SCORER_BASE, in->score_base, err));
    TR_TRY(add_given(e, TR_SCORER_SHUFFLED, in->score_shuffled, err));
    TR_TRY(add_scorer(e, TR_SCORER_LIKE_SHARE, &share, err));
    TR_TRY(tr_control_like_share(in->like_share, e->n, share, err));
    if (!same_rows(&in->seen, &in->all))
        TR_TRY(add_item_means(e, in, &in->seen, TR_SCORER_ITEM_MEAN_SEEN, TR_SCORER_BOTH_SEEN, err));
    TR_TRY(add_item_means(e, in, &in->all, TR_SCORER_ITEM_MEAN_ALL, TR_SCORER_BOTH_ALL, err));
    for (size_t s = 0; s < e->n_scorers; s++) {
        tr_status status = tr_scored_create(&e->scorer[s].scored, e->scorer[s].score, e->label, &e->groups, err);
        if (status != TR_OK) return tr_at(err, "scores of %s", tr_scorer_kinds[e->scorer[s].id].phrase);
    }
    return TR_OK;
}

/* Index of the control with the highest value of a metric; where none is defined, the first control. */
static size_t best_control(const tr_evaluation *e, tr_metric_id metric)
{
    size_t best = SIZE_MAX;
    for (size_t s = 0; s < e->n_scorers; s++) {
        if (!tr_scorer_kinds[e->scorer[s].id].is_control) continue;
        if (best == SIZE_MAX || e->scorer[s].metric[metric].value > e->scorer[best].metric[metric].value) best = s;
    }
    return best;
}

static tr_status compute_intervals(tr_evaluation *e, size_t n_replicates, tr_error *err)
{
    tr_scored scored[TR_N_SCORERS];
    for (size_t s = 0; s < e->n_scorers; s++) scored[s] = e->scorer[s].scored;
    tr_bootstrap b;
    TR_TRY(tr_bootstrap_create(&b, scored, e->n_scorers, n_replicates, e->seed, err));
    tr_status status = TR_OK;
    e->n_replicates = b.n_replicates;
    for (size_t s = 0; s < e->n_scorers; s++)
        for (int m = 0; m < TR_N_METRICS; m++) {
            tr_metric_id metric = (tr_metric_id)m;
            tr_interval *minus = &e->scorer[s].model_minus[m];
            *minus = (tr_interval){NAN, NAN, NAN, 0};
            TR_TRY_CLEANUP(tr_bootstrap_interval(&b, s, metric, &e->scorer[s].metric[m], err));
            if (s > 0 && tr_metrics[m].compares)
                TR_TRY_CLEANUP(tr_bootstrap_difference(&b, 0, s, metric, minus, err));
        }
cleanup:
    tr_bootstrap_free(&b);
    return status;
}

tr_status tr_evaluation_create(tr_evaluation *out, const tr_evaluation_input *in, tr_error *err)
{
    *out = (tr_evaluation){.n = in->n, .seed = in->seed, .n_seen = in->seen.n, .n_all = in->all.n};
    tr_status status;
    TR_TRY_CLEANUP(tr_groups_create(&out->groups, in->user, in->n, err));
    TR_TRY_CLEANUP(tr_alloc(&out->label, in->n, sizeof *out->label, "labels", err));
    memcpy(out->label, in->label, in->n * sizeof *out->label);
    TR_TRY_CLEANUP(add_scorers(out, in, err));
    for (size_t i = 0; i < in->n; i++) out->n_yes += out->label[i];
    TR_TRY_CLEANUP(compute_intervals(out, in->n_replicates ? in->n_replicates : TR_BOOTSTRAP_REPLICATES, err));
    out->best_control = best_control(out, TR_METRIC_AUC);
    out->best_control_uauc = best_control(out, TR_METRIC_UAUC);
    out->protocol = json_incref(in->protocol);
    tr_evaluation_judge(out);
    return TR_OK;
cleanup:
    tr_evaluation_free(out);
    return status;
}

void tr_evaluation_free(tr_evaluation *e)
{
    for (size_t s = 0; s < e->n_scorers; s++) {
        tr_scored_free(&e->scorer[s].scored);
        free(e->scorer[s].score);
    }
    tr_groups_free(&e->groups);
    free(e->label);
    json_decref(e->protocol);
    *e = (tr_evaluation){0};
}

const tr_scorer *tr_evaluation_find(const tr_evaluation *e, tr_scorer_id id)
{
    for (size_t s = 0; s < e->n_scorers; s++)
        if (e->scorer[s].id == id) return &e->scorer[s];
    return NULL;
}
