/* This file chooses the rows of a run: training rows by shots and seed, validation rows by seed. */
#include "job/run_folder.h"
#include "job/tune.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "rec/sample.h"

#include <stdlib.h>
#include <string.h>

static int ascending(const void *pa, const void *pb)
{
    uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
    return (a > b) - (a < b);
}

/* Copies of chosen rows that borrow all their content, in the order of the file. */
static tr_status view_rows(const tr_examples *source, uint32_t *rows, size_t n, tr_examples *out, tr_error *err)
{
    TR_TRY(tr_alloc(&out->row, n, sizeof *out->row, "rows", err));
    qsort(rows, n, sizeof *rows, ascending);
    for (size_t i = 0; i < n; i++) out->row[i] = source->row[rows[i]];
    out->n = out->capacity = n;
    return TR_OK;
}

static tr_status choose_training(tr_tune_state *state, const tr_examples *source, tr_error *err)
{
    uint32_t *rows = NULL;
    size_t n;
    const tr_recipe *recipe = &state->recipe;
    state->rows_available = source->n;
    if (state->shots < 0) return tr_fail(err, TR_ERR_USAGE, "the number of shots cannot be negative");
    if (state->shots > 0 && (size_t)state->shots > source->n) {
        tr_fail(err, TR_ERR_USAGE, "%lld shots are more than the %zu training rows", (long long)state->shots,
                source->n);
        return tr_hint(err, "leave --shots out to use all rows");
    }
    TR_TRY(tr_sample_rows(source, state->shots, recipe->seed, recipe->balanced, &rows, &n, err));
    tr_status status = view_rows(source, rows, n, &state->train, err);
    free(rows);
    return status;
}

/* The same rows in every validation of a run. */
static tr_status choose_validation(tr_tune_state *state, const tr_examples *source, tr_error *err)
{
    uint32_t *rows;
    size_t n = tr_first_rows(source->n, (size_t)state->recipe.valid_rows);
    TR_TRY(tr_alloc(&rows, source->n, sizeof *rows, "validation rows", err));
    for (size_t i = 0; i < source->n; i++) rows[i] = (uint32_t)i;
    tr_rng_permute(state->recipe.seed, TR_RNG_VALID, 0, rows, source->n);
    tr_status status = view_rows(source, rows, n, &state->valid, err);
    free(rows);
    return status;
}

/* An AUC needs both answers; better said now than after the first steps. */
static tr_status check_validation(const tr_tune_state *state, tr_error *err)
{
    size_t yes = 0;
    for (size_t i = 0; i < state->valid.n; i++) yes += state->valid.row[i].label == 1;
    if (state->valid.n == 0 || (yes > 0 && yes < state->valid.n)) return TR_OK;
    tr_fail(err, TR_ERR_UNDEFINED, "all %zu validation rows are %s: there is no AUC to choose the best adapter by",
            state->valid.n, yes ? "Yes" : "No");
    return tr_hint(err, "use more --valid-rows, or other validation rows");
}

static tr_status check_sources(const tr_tune_job *job, tr_error *err)
{
    if (!job->data == !job->train) {
        tr_fail(err, TR_ERR_USAGE, "tune needs either a data folder or a file of training rows");
        return tr_hint(err, "--data FOLDER, or --train FILE --valid FILE");
    }
    if (job->data && job->valid)
        return tr_fail(err, TR_ERR_USAGE, "--valid goes with --train, a data folder has its own");
    if (!job->data || tr_folder_exists(job->data) || !tr_file_exists(job->data)) return TR_OK;
    tr_fail(err, TR_ERR_USAGE, "%s is a file; to tune on a file of examples say --train %s", job->data, job->data);
    return tr_hint(err, "--train FILE --valid FILE");
}

tr_status tr_tune_choose_rows(tr_tune_state *state, tr_error *err)
{
    const tr_tune_job *job = state->job;
    const tr_examples *valid = NULL;
    TR_TRY(check_sources(job, err));
    state->rows_borrowed = true;
    TR_TRY(tr_source_open(job->data ? job->data : job->train, TR_TRAIN, state->recipe.balanced, &state->train_source,
                          err));
    if (job->data && state->train_source.dataset.card.split[TR_VALID].rows > 0)
        TR_TRY(tr_dataset_split(&state->train_source.dataset, TR_VALID, &valid, err));
    if (job->valid) {
        TR_TRY(tr_source_open(job->valid, TR_VALID, true, &state->valid_source, err));
        valid = state->valid_source.examples;
    }
    TR_TRY(choose_training(state, state->train_source.examples, err));
    if (valid) TR_TRY(choose_validation(state, valid, err));
    return check_validation(state, err);
}

char *tr_tune_path(const tr_tune_state *state, const char *name) { return tr_path_join(state->job->run, name); }

static tr_status read_rows(const tr_tune_state *state, const char *name, bool need_label, bool optional,
                           tr_examples *out, tr_error *err)
{
    char *path = tr_tune_path(state, name);
    if (!path) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a path");
    tr_status status = TR_OK;
    if (!optional || tr_file_exists(path)) status = tr_examples_read(path, need_label, out, NULL, err);
    free(path);
    return status;
}

tr_status tr_tune_read_rows(tr_tune_state *state, tr_error *err)
{
    TR_TRY(read_rows(state, TR_RUN_TRAIN_ROWS, false, false, &state->train, err));
    return read_rows(state, TR_RUN_VALID_ROWS, true, true, &state->valid, err);
}

static tr_status write_rows(const tr_tune_state *state, const char *name, const tr_examples *rows, tr_error *err)
{
    char *path = tr_tune_path(state, name);
    if (!path) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a path");
    tr_status status = tr_examples_write(path, rows, err);
    free(path);
    return status;
}

tr_status tr_tune_write_rows(const tr_tune_state *state, tr_error *err)
{
    TR_TRY(write_rows(state, TR_RUN_TRAIN_ROWS, &state->train, err));
    return state->valid.n ? write_rows(state, TR_RUN_VALID_ROWS, &state->valid, err) : TR_OK;
}

void tr_tune_release_rows(tr_tune_state *state)
{
    if (state->rows_borrowed) {
        free(state->train.row);
        free(state->valid.row);
    } else {
        tr_examples_free(&state->train);
        tr_examples_free(&state->valid);
    }
    tr_source_close(&state->train_source);
    tr_source_close(&state->valid_source);
}
