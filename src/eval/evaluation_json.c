/* This file renders an evaluation as JSON. The key names are a contract: doc/evaluation.md lists them. */
#include "eval/evaluation.h"

#include <math.h>

/* jansson has no NaN: what does not exist is null. */
static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *interval(const tr_interval *x)
{
    return json_pack("{s:o, s:o, s:o, s:I}", "value", number(x->value), "low", number(x->low), "high",
                     number(x->high), "replicates", (json_int_t)x->n_defined);
}

static int add_metrics(json_t *object, const tr_interval *metric, bool differences)
{
    int failed = 0;
    for (int m = 0; m < TR_N_METRICS; m++)
        if (!differences || tr_metrics[m].compares)
            failed |= json_object_set_new(object, tr_metrics[m].key, interval(&metric[m]));
    return failed;
}

static json_t *scorer_object(const tr_scorer *scorer)
{
    const tr_scorer_kind *kind = &tr_scorer_kinds[scorer->id];
    json_t *object = json_pack("{s:s, s:s}", "title", kind->phrase, "explanation", kind->explanation);
    json_t *minus = json_object();
    int failed = add_metrics(object, scorer->metric, false) | add_metrics(minus, scorer->model_minus, true);
    failed |= json_object_set_new(object, "model_minus", minus);
    if (!failed) return object;
    json_decref(object);
    return NULL;
}

static json_t *text_array(const char (*text)[320], size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(array, json_string(text[i]));
    return array;
}

static json_t *controls_object(const tr_evaluation *e)
{
    json_t *controls = json_object();
    for (size_t s = 0; s < e->n_scorers; s++) {
        const tr_scorer_kind *kind = &tr_scorer_kinds[e->scorer[s].id];
        if (kind->is_control && json_object_set_new(controls, kind->key, scorer_object(&e->scorer[s]))) {
            json_decref(controls);
            return NULL;
        }
    }
    return controls;
}

/* Paired differences model - best control. */
static json_t *difference_object(const tr_scorer *control)
{
    json_t *object = json_pack("{s:s}", "control", tr_scorer_kinds[control->id].key);
    if (object && add_metrics(object, control->model_minus, true) == 0) return object;
    json_decref(object);
    return NULL;
}

static json_t *key_of(const tr_scorer *scorer) { return json_string(tr_scorer_kinds[scorer->id].key); }

static json_t *rows_object(const tr_evaluation *e)
{
    size_t without_user = e->groups.n_groups - e->groups.n_users;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "rows", (json_int_t)e->n, "yes", (json_int_t)e->n_yes,
                     "users", (json_int_t)e->groups.n_users, "rows_without_user", (json_int_t)without_user,
                     "training_rows_seen", (json_int_t)e->n_seen, "training_rows_all", (json_int_t)e->n_all);
}

static json_t *bootstrap_object(const tr_evaluation *e)
{
    return json_pack("{s:s, s:f, s:I, s:I, s:I}", "over", e->groups.n_users ? "users" : "rows", "coverage",
                     TR_BOOTSTRAP_COVERAGE, "groups", (json_int_t)e->groups.n_groups, "replicates",
                     (json_int_t)e->n_replicates, "seed", (json_int_t)e->seed);
}

static const char *verdict_key(tr_verdict_kind kind)
{
    static const char *const key[] = {
        [TR_VERDICT_UNDEFINED] = "undefined", [TR_VERDICT_NO_INTERVAL] = "no_interval", [TR_VERDICT_WORSE] = "worse",
        [TR_VERDICT_INDISTINCT] = "not_distinguishable", [TR_VERDICT_BETTER_THAN_BEST] = "better_than_best",
        [TR_VERDICT_BETTER] = "better",
    };
    return key[kind];
}

tr_status tr_evaluation_json(const tr_evaluation *e, json_t **out, tr_error *err)
{
    json_t *root = json_object();
    int failed = json_object_set_new(root, "verdict", json_string(e->verdict));
    failed |= json_object_set_new(root, "verdict_kind", json_string(verdict_key(e->verdict_kind)));
    failed |= json_object_set_new(root, "findings", text_array(e->finding, e->n_findings));
    failed |= json_object_set_new(root, "cautions", text_array(e->caution, e->n_cautions));
    failed |= add_metrics(root, e->scorer[0].metric, false);
    failed |= json_object_set_new(root, "best_control", key_of(&e->scorer[e->best_control]));
    failed |= json_object_set_new(root, "difference", difference_object(&e->scorer[e->best_control]));
    failed |= json_object_set_new(root, "best_control_uauc", key_of(&e->scorer[e->best_control_uauc]));
    failed |= json_object_set_new(root, "controls", controls_object(e));
    for (size_t s = 1; s < e->n_scorers; s++)
        if (!tr_scorer_kinds[e->scorer[s].id].is_control)
            failed |= json_object_set_new(root, tr_scorer_kinds[e->scorer[s].id].key, scorer_object(&e->scorer[s]));
    failed |= json_object_set_new(root, "data", rows_object(e));
    failed |= json_object_set_new(root, "bootstrap", bootstrap_object(e));
    if (e->protocol) failed |= json_object_set(root, "protocol", e->protocol);
    if (failed) {
        json_decref(root);
        return tr_fail(err, TR_ERR_MEMORY, "out of memory for the result as JSON");
    }
    *out = root;
    return TR_OK;
}
