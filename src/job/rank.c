/* This file is the rank job: a user's history and a catalogue in, the unseen items in order out. Every candidate is one
 * row for the scorer; the rows begin with the same history, which the forest computes once. */
#include "job/engine.h"

#include "base/memory.h"
#include "base/progress.h"
#include "eval/calibration.h"
#include "eval/scorer.h"
#include "rec/rank_input.h"

#include <stdlib.h>
#include <string.h>

/* The history is computed once for so many tokens of candidates. */
#define RANK_MICRO_TOKENS 8192

/* What a ranking's strings point into, and what it takes to make one. */
typedef struct {
    tr_dataset dataset;
    const tr_interactions *catalogue;
    tr_history_item *history;  /* (n_history) oldest first, those of the prompt */
    size_t n_history;
    tr_user_history user;      /* of a user known by id; owns `history` then */
    tr_history_item *read;     /* (n_read) of a history file; owns `history` then */
    size_t n_read;
    tr_item *given;            /* (n_given) of a file of candidates */
    size_t n_given;
    const tr_item **candidate; /* (n) */
    size_t n;
    tr_examples questions;     /* (n) */
} ranking;

tr_rank_job tr_rank_job_defaults(void) { return (tr_rank_job){.k = 10}; }

static void release(ranking *r)
{
    tr_user_history_free(&r->user);
    tr_history_free(r->read, r->n_read);
    tr_candidates_free(r->given, r->n_given);
    free(r->candidate);
    tr_examples_free(&r->questions);
    tr_dataset_close(&r->dataset);
}

/* ---- history ---- */

static tr_status find_history(const tr_rank_job *job, ranking *r, tr_error *err)
{
    size_t window = r->dataset.card.history > 0 ? (size_t)r->dataset.card.history : SIZE_MAX;
    if (job->user) {
        TR_TRY(tr_dataset_user_history(&r->dataset, job->user, window, &r->user, err));
        r->history = r->user.item;
        r->n_history = r->user.n;
    } else {
        TR_TRY(tr_history_read(job->history, r->catalogue, &r->read, &r->n_read, err));
        r->n_history = r->n_read < window ? r->n_read : window;
        r->history = r->read + (r->n_read - r->n_history);
        if (r->n_history < r->n_read)
            tr_note("The latest %zu of %zu titles are used: as many as the examples of %s have.", r->n_history,
                    r->n_read, job->data);
    }
    if (r->n_history > 0) return TR_OK;
    return tr_fail(err, TR_ERR_VALUE, "the history is empty");
}

/* ---- candidates ---- */

/* Titles that are out: rated by the user, or in the history. A title that the catalogue lists under two ids is one item
 * to the reader of a prompt. */
static tr_status exclude_known(const ranking *r, tr_idmap *out, tr_error *err)
{
    for (size_t i = 0; r->user.seen && i < r->catalogue->n_items; i++)
        if (r->user.seen[i]) TR_TRY(tr_idmap_add(out, r->catalogue->item[i].title, i, err));
    for (size_t i = 0; i < r->n_read; i++) TR_TRY(tr_idmap_add(out, r->read[i].title, i, err));
    return TR_OK;
}

static tr_status choose_unseen(ranking *r, tr_error *err)
{
    tr_idmap titles = {0};
    tr_status status = tr_alloc(&r->candidate, r->catalogue->n_items, sizeof *r->candidate, "candidates", err);
    if (status == TR_OK) status = exclude_known(r, &titles, err);
    for (size_t i = 0; status == TR_OK && i < r->catalogue->n_items; i++) {
        const tr_item *item = &r->catalogue->item[i];
        if (tr_idmap_get(&titles, item->title) != TR_NOT_FOUND) continue;
        status = tr_idmap_add(&titles, item->title, i, err);
        r->candidate[r->n++] = item;
    }
    tr_idmap_free(&titles);
    return status;
}

static tr_status choose_candidates(const tr_rank_job *job, ranking *r, tr_error *err)
{
    if (job->candidates) {
        TR_TRY(tr_candidates_read(job->candidates, r->catalogue, &r->given, &r->n_given, err));
        TR_TRY(tr_alloc(&r->candidate, r->n_given, sizeof *r->candidate, "candidates", err));
        for (size_t i = 0; i < r->n_given; i++) r->candidate[i] = &r->given[i];
        r->n = r->n_given;
    } else {
        TR_TRY(choose_unseen(r, err));
    }
    if (r->n > 0) return TR_OK;
    tr_fail(err, TR_ERR_VALUE, "there is nothing to rank");
    return tr_hint(err, job->candidates ? "the file names no item" : "every item of the catalogue is in the history");
}

static tr_status make_questions(ranking *r, tr_error *err)
{
    for (size_t i = 0; i < r->n; i++) {
        tr_example question = {0};
        tr_status status = tr_example_make(r->dataset.card.noun, r->history, r->n_history, r->candidate[i]->id,
                                           r->candidate[i]->title, &question, err);
        if (status == TR_OK) status = tr_examples_append(&r->questions, &question, err);
        if (status != TR_OK) {
            tr_example_clear(&question);
            return status;
        }
    }
    return TR_OK;
}

/* ---- order ---- */

typedef struct {
    double score;
    size_t candidate;
} scored_candidate;

static int best_first(const void *pa, const void *pb)
{
    const scored_candidate *a = pa, *b = pb;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    return (a->candidate > b->candidate) - (a->candidate < b->candidate);
}

static tr_status fill_ranking(const ranking *r, scored_candidate *scored, size_t k, tr_ranking *out, tr_error *err)
{
    size_t n = k && k < r->n ? k : r->n;
    TR_TRY(tr_alloc(&out->item, n, sizeof *out->item, "a ranking", err));
    qsort(scored, r->n, sizeof *scored, best_first);
    out->n = n;
    out->n_candidates = r->n;
    out->n_history = r->n_history;
    for (size_t i = 0; i < r->n_history; i++) out->n_liked += r->history[i].liked;
    for (size_t i = 0; i < n; i++) {
        const tr_item *item = r->candidate[scored[i].candidate];
        out->item[i] = (tr_rank_item){.item = item->id, .title = item->title, .score = scored[i].score,
                                      .probability = tr_sigmoid(scored[i].score)};
    }
    return TR_OK;
}

static tr_status order_candidates(const tr_rank_job *job, const tr_loaded *loaded, ranking *r, tr_ranking *out,
                                  tr_error *err)
{
    int micro_tokens = job->engine.micro_tokens > 0 ? job->engine.micro_tokens : RANK_MICRO_TOKENS;
    tr_scorer_options options = {.cutoff = job->engine.cutoff, .micro_tokens = micro_tokens, .label = "ranking"};
    tr_scoring scoring = {0};
    tr_row_logp *logp = NULL;
    scored_candidate *scored = NULL;
    tr_status status;
    TR_TRY_CLEANUP(tr_alloc(&logp, r->n, sizeof *logp, "scores", err));
    TR_TRY_CLEANUP(tr_alloc(&scored, r->n, sizeof *scored, "scores", err));
    TR_TRY_CLEANUP(tr_score_rows(loaded->model, loaded->lora, &r->questions, NULL, r->n, &options, logp, &scoring,
                                 err));
    tr_scoring_warn(&scoring);
    for (size_t i = 0; i < r->n; i++)
        scored[i] = (scored_candidate){.score = logp[i].logp_yes - logp[i].logp_no, .candidate = i};
    status = fill_ranking(r, scored, job->k, out, err);
cleanup:
    free(logp);
    free(scored);
    return status;
}

tr_status tr_rank_run(const tr_rank_job *job, tr_ranking *out, tr_error *err)
{
    tr_loaded loaded = {0};
    ranking *r;
    tr_status status;
    *out = (tr_ranking){0};
    if (!job->data) return tr_fail(err, TR_ERR_USAGE, "no data folder was given");
    if (!job->user == !job->history)
        return tr_fail(err, TR_ERR_USAGE, "rank needs either the id of a user or a file with a history");
    TR_TRY(tr_alloc(&r, 1, sizeof *r, "a ranking", err));
    out->owned = r;
    TR_TRY_CLEANUP(tr_dataset_open(job->data, &r->dataset, err));
    TR_TRY_CLEANUP(tr_dataset_items(&r->dataset, &r->catalogue, err));
    TR_TRY_CLEANUP(find_history(job, r, err));
    TR_TRY_CLEANUP(choose_candidates(job, r, err));
    TR_TRY_CLEANUP(make_questions(r, err));
    TR_TRY_CLEANUP(tr_loaded_open(&job->engine, &loaded, err));
    status = order_candidates(job, &loaded, r, out, err);
cleanup:
    tr_loaded_close(&loaded);
    if (status != TR_OK) tr_ranking_free(out);
    return status;
}

void tr_ranking_free(tr_ranking *out)
{
    if (out->owned) release(out->owned);
    free(out->owned);
    free(out->item);
    *out = (tr_ranking){0};
}
