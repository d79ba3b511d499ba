/* This file scores examples: sequences, grouped into forests, run through a session that is made once. */
#include "eval/scorer.h"

#include "base/memory.h"
#include "base/progress.h"

#include <math.h>
#include <stdlib.h>

/* Below this mean probability of Yes and No together, the model does not answer the question in this form. */
#define SMALL_ANSWER_MASS 1e-3

typedef struct {
    const tr_model *model;
    const tr_lora *lora;
    const tr_sequences *sequences;
    int32_t *order;      /* (n sequences) in groups */
    int32_t *group_end;  /* (n_groups) */
    int n_groups;
    int largest_group;   /* sequences */
    int n_common;        /* tokens that all sequences begin with, computed once for all groups */
    tr_session *session;
    tr_sequence *part;   /* (largest_group) the group at hand */
    float *logp;         /* (largest_group) its targets */
    tr_row_logp *out;
} scorer;

static void release(scorer *s)
{
    free(s->order);
    free(s->group_end);
    free(s->part);
    free(s->logp);
    tr_session_free(s->session);
}

static int group_start(const scorer *s, int group) { return group ? s->group_end[group - 1] : 0; }

static tr_status build_group(scorer *s, int group, tr_forest *forest, tr_error *err)
{
    int start = group_start(s, group), n = s->group_end[group] - start;
    for (int i = 0; i < n; i++) s->part[i] = s->sequences->sequence[s->order[start + i]];
    return tr_forest_build(s->part, n, forest, err);
}

/* Length of the beginning that all sequences share, before anything is asked. In lexicographic order the first and the
 * last share what all share. */
static int common_beginning(const scorer *s)
{
    const tr_sequence *sequence = s->sequences->sequence;
    const tr_sequence *first = &sequence[s->order[0]], *last = &sequence[s->order[s->sequences->n - 1]];
    int most = first->n_tokens, n = 0;
    for (size_t i = 0; i < s->sequences->n; i++)
        if (sequence[i].first_target - 1 < most) most = sequence[i].first_target - 1;
    while (n < most && first->token[n] == last->token[n]) n++;
    return n;
}

/* The session must hold the largest of the groups. */
static tr_status plan_session(scorer *s, const tr_lora_config *config, tr_session_plan *plan, tr_error *err)
{
    *plan = (tr_session_plan){.max_positions = s->sequences->longest, .max_held = s->n_common};
    if (config) {
        plan->rank = config->rank;
        plan->targets = config->targets;
    }
    for (int group = 0; group < s->n_groups; group++) {
        tr_forest forest;
        TR_TRY(build_group(s, group, &forest, err));
        if (forest.n_nodes > plan->max_nodes) plan->max_nodes = forest.n_nodes;
        if (forest.n_targets > plan->max_targets) plan->max_targets = forest.n_targets;
        tr_forest_free(&forest);
    }
    return TR_OK;
}

/* Groups the sequences; *plan is what a session for them must hold. */
static tr_status prepare(scorer *s, const tr_lora_config *config, int micro_tokens, tr_session_plan *plan,
                         int64_t *n_nodes, tr_error *err)
{
    int n = (int)s->sequences->n;
    if (micro_tokens <= 0) micro_tokens = TR_SCORER_MICRO_TOKENS;
    TR_TRY(tr_alloc(&s->order, (size_t)n, sizeof *s->order, "order of the rows", err));
    TR_TRY(tr_forest_group(s->sequences->sequence, n, micro_tokens, s->order, &s->group_end, &s->n_groups, n_nodes,
                           err));
    for (int group = 0; group < s->n_groups; group++) {
        int size = s->group_end[group] - group_start(s, group);
        if (size > s->largest_group) s->largest_group = size;
    }
    if (s->n_groups > 1) s->n_common = common_beginning(s);
    if (n_nodes) *n_nodes -= (int64_t)(s->n_groups - 1) * s->n_common;
    TR_TRY(tr_alloc(&s->part, (size_t)s->largest_group, sizeof *s->part, "a group of rows", err));
    TR_TRY(tr_alloc(&s->logp, (size_t)s->largest_group, sizeof *s->logp, "log-probabilities", err));
    return plan_session(s, config, plan, err);
}

/* Hands the log-probabilities of a forest to the rows: sequence 2 i asks for Yes, 2 i + 1 for No. */
static tr_status keep_group(scorer *s, int group, const tr_forest *forest, tr_error *err)
{
    int start = group_start(s, group);
    for (int i = 0; i < forest->n_sequences; i++) {
        int32_t sequence = s->order[start + i];
        float logp = s->logp[forest->sequence_target[forest->sequence_first[i]]];
        if (!isfinite(logp)) {
            tr_fail(err, TR_ERR_NUMERIC, "row %u: the model's log-probability is %f", s->sequences->row[sequence / 2],
                    (double)logp);
            return tr_hint(err, "the model file or the adapter holds values that overflow");
        }
        tr_row_logp *row = &s->out[sequence / 2];
        *(sequence % 2 ? &row->logp_no : &row->logp_yes) = (double)logp;
    }
    return TR_OK;
}

static tr_status run_group(scorer *s, int group, tr_error *err)
{
    tr_forest forest;
    TR_TRY(build_group(s, group, &forest, err));
    tr_status status = tr_session_logp(s->session, &forest, s->lora, s->logp, err);
    if (status == TR_OK) status = keep_group(s, group, &forest, err);
    tr_forest_free(&forest);
    return status;
}

static tr_status hold_common_beginning(scorer *s, tr_error *err)
{
    tr_forest forest;
    if (s->n_common == 0) return TR_OK;
    TR_TRY(build_group(s, 0, &forest, err));
    tr_status status = tr_session_hold(s->session, &forest, s->n_common, s->lora, err);
    tr_forest_free(&forest);
    return status;
}

static tr_status run(scorer *s, const char *label, tr_error *err)
{
    tr_progress progress = {0};
    tr_status status = hold_common_beginning(s, err);
    if (label) tr_progress_start(&progress, label, "rows", s->sequences->n / 2, 0);
    for (int group = 0; group < s->n_groups && status == TR_OK; group++) {
        status = tr_interrupted() ? tr_fail(err, TR_ERR_INTERRUPTED, "interrupted while scoring")
                                  : run_group(s, group, err);
        if (label) tr_progress_update(&progress, (size_t)s->group_end[group] / 2, NULL);
    }
    if (label) tr_progress_finish(&progress, NULL);
    return status;
}

static void summarize(const scorer *s, tr_scoring *out)
{
    const tr_sequences *sequences = s->sequences;
    double mass = 0;
    out->n_rows = sequences->n_rows;
    out->n_shortened = sequences->n_shortened;
    out->n_titles_lost = sequences->n_titles_lost;
    out->n_unaligned = sequences->n_unaligned;
    out->n_tokens = 0;
    for (size_t i = 0; i < sequences->n_rows; i++) {
        out->n_tokens += sequences->sequence[2 * i].n_tokens - 1;
        mass += exp(s->out[i].logp_yes) + exp(s->out[i].logp_no);
    }
    out->answer_mass = sequences->n_rows ? mass / (double)sequences->n_rows : 0;
}

static int limit_of(const tr_model *model, int cutoff)
{
    int context = model->config.n_context;
    return cutoff > 0 && cutoff < context ? cutoff : context;
}

static tr_status make_sequences(const tr_model *model, const tr_examples *examples, const uint32_t *rows,
                                size_t n_rows, const tr_scorer_options *options, tr_sequences *out, tr_error *err)
{
    tr_sequence_options limits = {.limit = limit_of(model, options->cutoff), .shuffle = options->shuffle,
                                  .seed = options->seed};
    if (n_rows == 0 || n_rows > INT32_MAX / 2)
        return tr_fail(err, TR_ERR_USAGE, "cannot score %zu rows at once", n_rows);
    return tr_sequences_for_scoring(model->tokenizer, examples, rows, n_rows, &limits, out, err);
}

tr_status tr_score_rows(const tr_model *model, const tr_lora *lora, const tr_examples *examples, const uint32_t *rows,
                        size_t n_rows, const tr_scorer_options *options, tr_row_logp *logp, tr_scoring *scoring,
                        tr_error *err)
{
    tr_sequences sequences = {0};
    tr_session_plan plan;
    scorer s = {.model = model, .lora = lora, .sequences = &sequences, .out = logp};
    tr_status status;
    TR_TRY_CLEANUP(make_sequences(model, examples, rows, n_rows, options, &sequences, err));
    TR_TRY_CLEANUP(prepare(&s, lora ? &lora->config : NULL, options->micro_tokens, &plan, &scoring->n_nodes, err));
    TR_TRY_CLEANUP(tr_session_create(model, &plan, &s.session, err));
    TR_TRY_CLEANUP(run(&s, options->label, err));
    summarize(&s, scoring);
cleanup:
    release(&s);
    tr_sequences_free(&sequences);
    return status;
}

tr_status tr_score_memory(const tr_model *model, const tr_lora_config *config, const tr_examples *examples,
                          size_t n_rows, const tr_scorer_options *options, size_t *bytes, tr_error *err)
{
    tr_sequences sequences = {0};
    tr_session_plan plan;
    scorer s = {.model = model, .sequences = &sequences};
    tr_status status = make_sequences(model, examples, NULL, n_rows, options, &sequences, err);
    if (status == TR_OK) status = prepare(&s, config, options->micro_tokens, &plan, NULL, err);
    if (status == TR_OK) *bytes = tr_session_bytes(model, &plan);
    release(&s);
    tr_sequences_free(&sequences);
    return status;
}

void tr_scoring_warn(const tr_scoring *scoring)
{
    if (scoring->n_shortened)
        tr_warn("%zu of %zu rows were too long and lost their oldest history, %zu titles together",
                scoring->n_shortened, scoring->n_rows, scoring->n_titles_lost);
    if (scoring->n_unaligned)
        tr_warn("in %zu of %zu rows the tokenizer merges the end of the prompt with the answer; such a row is scored "
                "at the first token in which the two answers differ", scoring->n_unaligned, scoring->n_rows);
    if (scoring->answer_mass < SMALL_ANSWER_MASS)
        tr_warn("the model gives Yes and No together a probability of only %.1e on average: it does not answer the "
                "question in this form, and the scores compare two unlikely words", scoring->answer_mass);
}
