/* This file implements the protocol of the TALLRec paper's released preprocessing (Bao et al., RecSys 2023): from
 * ML-100K it gives the published validation and test rows.
 *
 * Users in order of first appearance; a user's ratings by time compared as text; every run of `history` ratings and
 * the next one is an example; the last `max_windows` of that list are split 8 : 1 : 1. A user's examples overlap,
 * and so a user may stand in two splits: that is the published protocol, and why results are reported by user too. */
#include "rec/importers.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static size_t ratings_of(const tr_interactions *interactions, size_t user)
{
    return interactions->user_start[user + 1] - interactions->user_start[user];
}

static size_t count_windows(const tr_interactions *interactions, size_t history)
{
    size_t n = 0;
    for (size_t u = 0; u < interactions->n_users; u++)
        if (ratings_of(interactions, u) > history) n += ratings_of(interactions, u) - history;
    return n;
}

static tr_status make_history(const tr_interactions *interactions, const size_t *numbers, size_t n, double threshold,
                              tr_example *out, tr_error *err)
{
    TR_TRY(tr_alloc(&out->history, n, sizeof *out->history, "a history", err));
    out->history_timed = true;
    for (size_t i = 0; i < n; i++) {
        const tr_rating *rating = &interactions->rating[numbers[i]];
        tr_history_item *entry = &out->history[i];
        out->n_history = i + 1;
        entry->liked = rating->rating > threshold;
        TR_TRY(tr_strdup(&entry->item, interactions->item[rating->item].id, err));
        TR_TRY(tr_strdup(&entry->title, interactions->item[rating->item].title, err));
    }
    return TR_OK;
}

/* `numbers` are those of the history's ratings, the target's follows. */
static tr_status make_example(const tr_interactions *interactions, const size_t *numbers,
                              const tr_import_options *options, const char *noun, tr_example *out, tr_error *err)
{
    size_t n = (size_t)options->history;
    const tr_rating *target = &interactions->rating[numbers[n]];
    out->label = target->rating > options->threshold;
    out->time = target->time;
    TR_TRY(tr_strdup(&out->user, interactions->user[target->user], err));
    TR_TRY(tr_strdup(&out->item, interactions->item[target->item].id, err));
    TR_TRY(tr_strdup(&out->title, interactions->item[target->item].title, err));
    TR_TRY(make_history(interactions, numbers, n, options->threshold, out, err));
    TR_TRY(tr_example_instruction(noun, &out->instruction, err));
    TR_TRY(tr_example_input(out, noun, 0, &out->input, err));
    return tr_strdup(&out->output, out->label ? "Yes." : "No.", err);
}

/* The split of example i of n: 8 : 1 : 1 in order, what does not divide goes to train. */
static tr_split split_of(size_t i, size_t n)
{
    size_t tenth = n / 10;
    if (i >= n - tenth) return TR_TEST;
    return i >= n - 2 * tenth ? TR_VALID : TR_TRAIN;
}

tr_status tr_protocol_tallrec(const tr_interactions *interactions, const tr_import_options *options, const char *noun,
                              tr_examples split[TR_N_SPLITS], size_t *n_windows, tr_error *err)
{
    size_t history = (size_t)options->history, window = 0;
    *n_windows = count_windows(interactions, history);
    if (*n_windows == 0) {
        tr_fail(err, TR_ERR_VALUE, "no user has more than %zu ratings, so there is no example", history);
        return tr_hint(err, "--history takes a shorter one");
    }
    size_t n = options->max_windows && *n_windows > options->max_windows ? options->max_windows : *n_windows;
    for (size_t u = 0; u < interactions->n_users; u++)
        for (size_t i = 0; i + history < ratings_of(interactions, u); i++, window++) {
            if (window < *n_windows - n) continue;
            tr_example example = {0};
            const size_t *numbers = interactions->by_user + interactions->user_start[u] + i;
            tr_status status = make_example(interactions, numbers, options, noun, &example, err);
            tr_examples *rows = &split[split_of(window - (*n_windows - n), n)];
            example.line = rows->n + 1;
            if (status == TR_OK) status = tr_examples_append(rows, &example, err);
            tr_example_clear(&example);
            TR_TRY(status);
        }
    return TR_OK;
}
