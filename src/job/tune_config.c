/* This file keeps the configuration of a run: the recipe, resolved from its name and the settings, and config.json,
 * which tells what the run was made of and lets it be resumed from its folder alone. */
#include "job/run_folder.h"
#include "job/tune.h"

#include "base/file.h"
#include "base/memory.h"
#include "format/json.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- recipe ---- */

tr_status tr_tune_resolve(tr_tune_state *state, tr_error *err)
{
    const tr_tune_job *job = state->job;
    TR_TRY(tr_recipe_named(job->recipe ? job->recipe : "paper", &state->recipe, err));
    for (size_t i = 0; i < job->n_settings; i++)
        TR_TRY(tr_recipe_set(&state->recipe, job->setting[i].flag, job->setting[i].value, err));
    return tr_recipe_check(&state->recipe, err);
}

static bool is_set(const tr_tune_job *job, const char *flag)
{
    for (size_t i = 0; i < job->n_settings; i++)
        if (strcmp(job->setting[i].flag, flag) == 0) return true;
    return false;
}

static tr_status contradiction(const tr_tune_state *state, const char *flag, tr_error *err)
{
    tr_fail(err, TR_ERR_USAGE, "--%s differs from the starting adapter's", flag);
    tr_at(err, "%s", state->job->init_adapter);
    return tr_hint(err, "leave --%s out: the starting adapter brings rank, alpha, targets and rslora", flag);
}

tr_status tr_tune_adopt(tr_tune_state *state, const tr_lora_config *start, tr_error *err)
{
    const tr_tune_job *job = state->job;
    tr_lora_config *lora = &state->recipe.lora;
    if (is_set(job, "rank") && lora->rank != start->rank) return contradiction(state, "rank", err);
    if (is_set(job, "alpha") && lora->alpha != start->alpha) return contradiction(state, "alpha", err);
    if (is_set(job, "targets") && lora->targets != start->targets) return contradiction(state, "targets", err);
    if (is_set(job, "rslora") && lora->rslora != start->rslora) return contradiction(state, "rslora", err);
    float dropout = lora->dropout; /* a matter of training, not of the adapter */
    *lora = *start;
    lora->dropout = dropout;
    return tr_recipe_check(&state->recipe, err);
}

/* ---- writing ---- */

/* Adds a part made by a function that may have failed. */
static tr_status add(json_t *config, const char *key, tr_status status, json_t *part, tr_error *err)
{
    return status == TR_OK ? tr_protocol_set(config, key, part, err) : status;
}

/* A path that holds wherever the run is resumed from. */
static json_t *absolute(const char *path)
{
    char resolved[PATH_MAX];
    json_t *text = realpath(path, resolved) ? json_string(resolved) : json_string(path);
    return text ? text : json_null();
}

static tr_status add_model(const tr_tune_state *state, json_t *config, tr_error *err)
{
    json_t *part = NULL;
    tr_status status = tr_protocol_file(state->model_path, &part, err);
    if (status == TR_OK) status = tr_protocol_set(part, "path", absolute(state->model_path), err);
    return add(config, "model", status, part, err);
}

static tr_status add_source(json_t *config, const char *key, const tr_source *source, const char *path, tr_error *err)
{
    json_t *part = NULL;
    if (!path) return TR_OK;
    tr_status status = tr_protocol_source(source, path, &part, err);
    if (status == TR_OK) status = tr_protocol_set(part, "path", absolute(path), err);
    return add(config, key, status, part, err);
}

static tr_status add_rows_file(const tr_tune_state *state, json_t *config, const char *key, const char *name,
                               tr_error *err)
{
    json_t *part = NULL;
    char *path = tr_tune_path(state, name);
    if (!path) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a path");
    tr_status status = tr_protocol_file(path, &part, err);
    free(path);
    return add(config, key, status, part, err);
}

static tr_status fill_config(const tr_tune_state *state, json_t *config, tr_error *err)
{
    const tr_tune_job *job = state->job;
    json_t *part = NULL;
    tr_status status = tr_recipe_to_json(&state->recipe, &part, err);
    TR_TRY(add(config, "recipe", status, part, err));
    TR_TRY(add_model(state, config, err));
    if (job->init_adapter) {
        status = tr_protocol_adapter(job->init_adapter, &part, err);
        TR_TRY(add(config, "init_adapter", status, part, err));
    }
    TR_TRY(add_source(config, "data", &state->train_source, job->data, err));
    TR_TRY(add_source(config, "train", &state->train_source, job->train, err));
    TR_TRY(add_source(config, "valid", &state->valid_source, job->valid, err));
    TR_TRY(add_rows_file(state, config, "train_rows", TR_RUN_TRAIN_ROWS, err));
    return state->valid.n ? add_rows_file(state, config, "valid_rows", TR_RUN_VALID_ROWS, err) : TR_OK;
}

tr_status tr_tune_write_config(const tr_tune_state *state, tr_error *err)
{
    const tr_tune_job *job = state->job;
    char *path = tr_tune_path(state, TR_RUN_CONFIG);
    json_t *config = json_pack("{s:s, s:s?, s:s, s:I, s:I}", "tallrec", TALLREC_VERSION, "command", job->command,
                               "recipe_name", job->recipe ? job->recipe : "paper", "shots", (json_int_t)state->shots,
                               "rows_available", (json_int_t)state->rows_available);
    tr_status status = path && config ? fill_config(state, config, err)
                                      : tr_fail(err, TR_ERR_MEMORY, "out of memory for a configuration");
    if (status == TR_OK) status = tr_json_save(path, config, false, err);
    json_decref(config);
    free(path);
    return status;
}

/* ---- reading ---- */

static tr_status copy_path(const json_t *config, const char *key, char **out, tr_error *err)
{
    const char *text;
    const json_t *part = json_object_get(config, key);
    if (!part) return TR_OK;
    TR_TRY(tr_json_need_string(part, "path", &text, err));
    return tr_strdup(out, text, err);
}

static tr_status parse_config(tr_tune_state *state, const json_t *config, tr_error *err)
{
    int64_t available;
    const json_t *recipe = json_object_get(config, "recipe");
    TR_TRY(tr_recipe_from_json(recipe, &state->recipe, err));
    TR_TRY(tr_json_need_integer(config, "shots", &state->shots, err));
    TR_TRY(tr_json_need_integer(config, "rows_available", &available, err));
    state->rows_available = available > 0 ? (size_t)available : 0;
    if (!state->model_path) TR_TRY(copy_path(config, "model", &state->model_path, err));
    if (!state->model_path) return tr_fail(err, TR_ERR_FORMAT, "the configuration names no model");
    state->has_start = json_object_get(config, "init_adapter") != NULL;
    return copy_path(config, "data", &state->data_path, err);
}

tr_status tr_tune_read_config(tr_tune_state *state, tr_error *err)
{
    if (!tr_run_present(state->job->run)) {
        tr_fail(err, TR_ERR_USAGE, "there is no run to resume");
        tr_at(err, "%s", state->job->run);
        return tr_hint(err, "leave --resume out to begin one");
    }
    char *path = tr_tune_path(state, TR_RUN_CONFIG);
    if (!path) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a path");
    json_t *config = NULL;
    tr_status status = tr_json_load(path, &config, err);
    if (status == TR_OK) {
        status = parse_config(state, config, err);
        if (status != TR_OK) tr_at(err, "%s", path);
    }
    json_decref(config);
    free(path);
    return status;
}
