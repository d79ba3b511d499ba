/* This file is the tune job: it gathers recipe, model, starting adapter and rows, of a new run from what the caller
 * says and of a resumed one from its folder; plans; and hands over to the training loop. */
#include "job/tune.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/system.h"
#include "eval/auc.h"
#include "eval/calibration.h"
#include "eval/scorer.h"
#include "job/run_folder.h"
#include "train/tuner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

tr_tune_job tr_tune_job_defaults(void) { return (tr_tune_job){.recipe = "paper"}; }

static void release(tr_tune_state *state)
{
    tr_sequences_free(&state->sequences);
    tr_tune_release_rows(state);
    if (state->lora) tr_lora_free(state->lora);
    if (state->model) tr_model_close(state->model);
    free(state->model_path);
    free(state->data_path);
}

/* ---- validation ---- */

typedef struct {
    const tr_tune_state *state;
    tr_scorer_options options;
    tr_row_logp *logp; /* (n validation rows) and so the next two */
    double *score;
    uint8_t *label;
} validator;

static tr_status validator_create(const tr_tune_state *state, validator *out, tr_error *err)
{
    size_t n = state->valid.n;
    *out = (validator){.state = state, .options = {.cutoff = state->recipe.cutoff,
                                                   .micro_tokens = state->recipe.micro_tokens}};
    TR_TRY(tr_alloc(&out->logp, n, sizeof *out->logp, "validation scores", err));
    TR_TRY(tr_alloc(&out->score, n, sizeof *out->score, "validation scores", err));
    TR_TRY(tr_alloc(&out->label, n, sizeof *out->label, "validation labels", err));
    for (size_t i = 0; i < n; i++) out->label[i] = state->valid.row[i].label == 1;
    return TR_OK;
}

static void validator_free(validator *v)
{
    free(v->logp);
    free(v->score);
    free(v->label);
}

static tr_status validate(void *user, const tr_lora *lora, tr_validation *out, tr_error *err)
{
    validator *v = user;
    size_t n = v->state->valid.n;
    tr_scoring scoring;
    double loss = 0;
    tr_status status = tr_score_rows(v->state->model, lora, &v->state->valid, NULL, n, &v->options, v->logp, &scoring,
                                     err);
    if (status == TR_ERR_INTERRUPTED)
        tr_fail(err, status, "stopped in a validation; everything is saved in %s", v->state->job->run);
    TR_TRY(status);
    for (size_t i = 0; i < n; i++) {
        v->score[i] = v->logp[i].logp_yes - v->logp[i].logp_no;
        loss += tr_log_loss(v->score[i], v->label[i]);
    }
    out->rows = (int64_t)n;
    out->log_loss = loss / (double)n;
    return tr_auc(v->score, v->label, n, &out->auc, err);
}

/* ---- gathering ---- */

static tr_status open_model(tr_tune_state *state, tr_error *err)
{
    TR_TRY(tr_model_open(state->model_path, &state->model, err));
    if (!state->job->dry_run) tr_model_hash(state->model, state->model_hash);
    return TR_OK;
}

/* The adapter as training starts. `start` is the folder of another one, or NULL. */
static tr_status make_adapter(tr_tune_state *state, const char *start, tr_error *err)
{
    const tr_recipe *recipe = &state->recipe;
    if (!start) return tr_lora_create(state->model, &recipe->lora, recipe->seed, &state->lora, err);
    TR_TRY(tr_adapter_load(start, state->model, &state->lora, err));
    TR_TRY(tr_tune_adopt(state, &state->lora->config, err));
    state->lora->config.dropout = recipe->lora.dropout;
    state->has_start = true;
    return TR_OK;
}

static tr_status begin_new(tr_tune_state *state, tr_error *err)
{
    const tr_tune_job *job = state->job;
    state->shots = job->shots;
    TR_TRY(tr_tune_resolve(state, err));
    if (!job->model) return tr_fail(err, TR_ERR_USAGE, "no model file was given");
    if (!job->dry_run) TR_TRY(tr_run_check(job->run, job->force, err));
    TR_TRY(tr_tune_choose_rows(state, err));
    if (job->data) TR_TRY(tr_strdup(&state->data_path, job->data, err));
    TR_TRY(tr_strdup(&state->model_path, job->model, err));
    TR_TRY(open_model(state, err));
    return make_adapter(state, job->init_adapter, err);
}

static tr_status begin_resumed(tr_tune_state *state, tr_error *err)
{
    const tr_tune_job *job = state->job;
    char *start = NULL;
    if (job->data || job->train || job->valid || job->init_adapter || job->shots || job->n_settings || job->force)
        return tr_fail(err, TR_ERR_USAGE, "a run is resumed as it was begun: its choices cannot be changed");
    if (job->model) TR_TRY(tr_strdup(&state->model_path, job->model, err));
    TR_TRY(tr_tune_read_config(state, err));
    TR_TRY(tr_tune_read_rows(state, err));
    TR_TRY(open_model(state, err));
    if (state->has_start) {
        start = tr_tune_path(state, TR_RUN_START);
        if (!start) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a path");
    }
    tr_status status = make_adapter(state, start, err);
    free(start);
    return status;
}

static void hash_text(tr_sha256 *hash, const char *text)
{
    if (!text) text = "";
    tr_sha256_add(hash, text, strlen(text) + 1);
}

/* Names the validation rows by what is asked and answered in them. */
static void hash_validation(tr_tune_state *state)
{
    tr_sha256 hash;
    if (state->valid.n == 0) return;
    tr_sha256_start(&hash);
    for (size_t i = 0; i < state->valid.n; i++) {
        hash_text(&hash, state->valid.row[i].instruction);
        hash_text(&hash, state->valid.row[i].input);
        hash_text(&hash, state->valid.row[i].output);
    }
    tr_sha256_finish(&hash, state->valid_hash);
}

/* What is saved as the rows that the model saw are those that it will see. */
static void drop_left_out(tr_tune_state *state)
{
    if (!state->rows_borrowed) return;
    for (size_t i = 0; i < state->sequences.n_rows; i++) /* ascending: nothing is overwritten too early */
        state->train.row[i] = state->train.row[state->sequences.row[i]];
    state->train.n = state->sequences.n_rows;
}

static tr_status make_sequences(tr_tune_state *state, tr_error *err)
{
    int context = state->model->config.n_context, cutoff = state->recipe.cutoff;
    tr_sequence_options options = {.limit = cutoff < context ? cutoff : context, .end_of_text = state->recipe.eos};
    const tr_sequences *s = &state->sequences;
    if (cutoff > context)
        tr_warn("--cutoff %d is beyond the model's context: the limit is %d tokens", cutoff, context);
    TR_TRY(tr_sequences_for_training(state->model->tokenizer, &state->train, NULL, state->train.n, &options,
                                     &state->sequences, err));
    if (s->n_shortened)
        tr_warn("%zu of %zu training rows were too long and lost their oldest history, %zu titles together",
                s->n_shortened, state->train.n, s->n_titles_lost);
    if (s->n_left_out)
        tr_warn("%zu of %zu training rows do not fit into %d tokens even without history and are left out",
                s->n_left_out, state->train.n, options.limit);
    if (s->n_unaligned)
        tr_warn("in %zu of %zu training rows the tokenizer merges the end of the prompt with the answer",
                s->n_unaligned, state->train.n);
    drop_left_out(state);
    return TR_OK;
}

/* ---- the plan ---- */

static tr_status fill_tuning(tr_tune_state *state, validator *v, tr_tuning *out, tr_error *err)
{
    if (state->sequences.n > INT32_MAX) return tr_fail(err, TR_ERR_UNSUPPORTED, "more than 2^31 - 1 training rows");
    const char *slash = strrchr(state->model_path, '/');
    *out = (tr_tuning){
        .model = state->model, .lora = state->lora, .recipe = &state->recipe, .rows = state->sequences.sequence,
        .n_rows = (int)state->sequences.n, .folder = state->job->run, .model_hash = state->model_hash,
        .base_name = slash ? slash + 1 : state->model_path, .resume = state->job->resume,
    };
    if (state->valid.n == 0) {
        tr_note("There are no validation rows: the last adapter is kept as the best.");
        return TR_OK;
    }
    TR_TRY(validator_create(state, v, err));
    out->validate = validate;
    out->validate_user = v;
    out->valid_hash = state->valid_hash;
    return tr_score_memory(state->model, &state->recipe.lora, &state->valid, state->valid.n, &v->options,
                           &out->other_bytes, err);
}

/* Times one micro-batch, so that a plan can say how long it takes. */
static tr_status time_micro_batch(const tr_tuning *tuning, const tr_tuning_plan *plan, double *seconds_per_node,
                                  tr_error *err)
{
    tr_session *session = NULL;
    tr_forest forest = {0};
    float *coefficient = NULL, *logp = NULL, *grad = NULL;
    int n = 0, nodes = 0;
    tr_pass pass = {.seed = tuning->recipe->seed};
    tr_status status;
    while (n < tuning->n_rows && (n == 0 || nodes + tuning->rows[n].n_tokens <= plan->max_micro_nodes))
        nodes += tuning->rows[n++].n_tokens;
    TR_TRY_CLEANUP(tr_forest_build(tuning->rows, n, &forest, err));
    TR_TRY_CLEANUP(tr_session_create(tuning->model, &plan->limits.session, &session, err));
    TR_TRY_CLEANUP(tr_alloc(&coefficient, (size_t)forest.n_targets, sizeof *coefficient, "a trial step", err));
    TR_TRY_CLEANUP(tr_alloc(&logp, (size_t)forest.n_targets, sizeof *logp, "a trial step", err));
    TR_TRY_CLEANUP(tr_alloc(&grad, tuning->lora->n_params, sizeof *grad, "a trial step", err));
    for (int t = 0; t < forest.n_targets; t++) coefficient[t] = 1;
    double started = tr_seconds();
    TR_TRY_CLEANUP(tr_session_gradient(session, &forest, tuning->lora, coefficient, &pass, logp, grad, err));
    *seconds_per_node = (tr_seconds() - started) / forest.n_nodes;
cleanup:
    free(coefficient);
    free(logp);
    free(grad);
    tr_forest_free(&forest);
    tr_session_free(session);
    return status;
}

/* A forward pass alone takes about a third of forward and backward. */
static tr_status estimate(const tr_tune_state *state, const tr_tuning *tuning, const tr_tuning_plan *plan,
                          double *seconds, tr_error *err)
{
    double per_node = 0;
    TR_TRY(time_micro_batch(tuning, plan, &per_node, err));
    double validations = 1, valid_nodes = (double)state->valid.n * (double)plan->tokens / (double)plan->rows;
    if (state->recipe.eval_every > 0) validations = ceil((double)plan->steps / state->recipe.eval_every);
    *seconds = per_node * ((double)plan->nodes + validations * valid_nodes / 3);
    return TR_OK;
}

static tr_status report_plan(const tr_tune_state *state, const tr_tuning_plan *plan, tr_tune_outcome *out,
                             tr_error *err)
{
    json_t *recipe = NULL;
    tr_str text = {0};
    out->planned_steps = plan->steps;
    out->epochs = plan->epochs;
    out->rows = state->sequences.n;
    for (size_t i = 0; i < state->train.n; i++) out->yes += state->train.row[i].label == 1;
    out->rows_available = state->rows_available;
    out->valid_rows = state->valid.n;
    out->n_shortened = state->sequences.n_shortened;
    out->n_left_out = state->sequences.n_left_out;
    out->tokens = plan->tokens;
    out->nodes = plan->nodes;
    out->longest = plan->longest;
    out->n_params = plan->n_params;
    out->memory_bytes = plan->total_bytes;
    out->available_bytes = plan->available_bytes;
    TR_TRY(tr_strdup(&out->model, state->model_path, err));
    if (state->data_path) TR_TRY(tr_strdup(&out->data, state->data_path, err));
    TR_TRY(tr_recipe_to_json(&state->recipe, &recipe, err));
    tr_status status = tr_json_add(&text, recipe, 0, false, err);
    json_decref(recipe);
    out->recipe = text.data;
    return status;
}

/* ---- running ---- */

/* The folder of a new run: rows, starting adapter, and last the configuration, which makes it a run. */
static tr_status write_folder(const tr_tune_state *state, tr_error *err)
{
    const tr_tune_job *job = state->job;
    TR_TRY(tr_run_prepare(job->run, job->force, err));
    TR_TRY(tr_tune_write_rows(state, err));
    if (state->has_start) {
        char *start = tr_tune_path(state, TR_RUN_START);
        if (!start) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a path");
        tr_status status = tr_adapter_save(start, state->model, state->lora, state->model_path, err);
        free(start);
        TR_TRY(status);
    }
    return tr_tune_write_config(state, err);
}

static tr_status train(tr_tune_state *state, const tr_tuning *tuning, tr_tune_outcome *out, tr_error *err)
{
    tr_tuning_result result = {0};
    if (!state->job->resume) TR_TRY(write_folder(state, err));
    tr_status status = tr_tune(tuning, &result, err);
    if (status == TR_ERR_INTERRUPTED) tr_hint(err, "tallrec tune --resume -o %s", state->job->run);
    out->steps = result.steps;
    out->best_step = result.best_step;
    out->best_auc = result.best_auc;
    out->first_loss = result.first_loss;
    out->last_loss = result.last_loss;
    out->seconds = result.seconds;
    out->stopped_early = result.stopped_early;
    return status;
}

static tr_status plan_and_train(tr_tune_state *state, validator *v, tr_tune_outcome *out, tr_error *err)
{
    tr_tuning tuning;
    tr_tuning_plan plan;
    TR_TRY(fill_tuning(state, v, &tuning, err));
    TR_TRY(tr_tune_plan(&tuning, &plan, err));
    TR_TRY(report_plan(state, &plan, out, err));
    TR_TRY(tr_tune_check_memory(&plan, err));
    if (state->job->dry_run) return estimate(state, &tuning, &plan, &out->estimated_seconds, err);
    return train(state, &tuning, out, err);
}

tr_status tr_tune_run(const tr_tune_job *job, tr_tune_outcome *out, tr_error *err)
{
    tr_tune_state state = {.job = job};
    validator v = {0};
    tr_status status;
    *out = (tr_tune_outcome){0};
    if (!job->run && !job->dry_run) return tr_fail(err, TR_ERR_USAGE, "no folder for the run was given");
    TR_TRY_CLEANUP(job->resume ? begin_resumed(&state, err) : begin_new(&state, err));
    hash_validation(&state);
    TR_TRY_CLEANUP(make_sequences(&state, err));
    status = plan_and_train(&state, &v, out, err);
cleanup:
    validator_free(&v);
    release(&state);
    return status;
}

void tr_tune_outcome_free(tr_tune_outcome *outcome)
{
    free(outcome->recipe);
    free(outcome->model);
    free(outcome->data);
    *outcome = (tr_tune_outcome){0};
}
