/* This file implements the training loop. The rule that makes resuming exact: the loop does one unit of work at a time
 * (a step or a validation), what comes next is a function of the position alone, and the position is saved together
 * with everything that the work changes. So a run that was killed anywhere repeats what its last state did not see. */
#include "train/tuner.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/system.h"
#include "train/batches.h"
#include "train/checkpoint.h"
#include "train/rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const tr_tuning *job;
    tr_tuning_plan plan;
    tr_sequence *rows;      /* with their targets chosen */
    tr_batches batches;
    tr_stepper stepper;
    tr_metrics metrics;
    tr_checkpoint state;    /* its arrays are job->lora->params, the stepper's moments, and `best` */
    float *best;
    char *state_path, *best_folder, *last_folder;
    tr_progress progress;
    double saved_at, save_took;
} run;

/* ---- saving ---- */

static tr_status save_adapter(const run *r, const char *folder, float *params, tr_error *err)
{
    tr_lora lora = *r->job->lora;
    lora.params = params;
    return tr_adapter_save(folder, r->job->model, &lora, r->job->base_name, err);
}

/* State first, then the adapters, which a resumed run writes again from the state. */
static tr_status save(run *r, tr_error *err)
{
    const double started = tr_seconds();
    TR_TRY(tr_metrics_sync(&r->metrics, err));
    r->state.position.metrics_bytes = r->metrics.bytes;
    TR_TRY(tr_checkpoint_save(r->state_path, &r->state, err));
    if (r->state.position.best_step > 0) TR_TRY(save_adapter(r, r->best_folder, r->best, err));
    if (r->state.position.step > 0) TR_TRY(save_adapter(r, r->last_folder, r->job->lora->params, err));
    r->saved_at = tr_seconds();
    r->save_took = r->saved_at - started;
    return TR_OK;
}

/* Not more than a tenth of the time goes into saving, however large the adapter. */
static tr_status save_when_due(run *r, tr_error *err)
{
    double interval = r->job->save_seconds > 0 ? r->job->save_seconds : fmax(10, 10 * r->save_took);
    return tr_seconds() - r->saved_at >= interval ? save(r, err) : TR_OK;
}

/* Where nothing was validated, the last adapter is the best there is. */
static tr_status save_at_the_end(run *r, tr_error *err)
{
    TR_TRY(save(r, err));
    if (r->state.position.best_step > 0 || r->state.position.step == 0) return TR_OK;
    return save_adapter(r, r->best_folder, r->job->lora->params, err);
}

/* Stops with a reason that was already given in err. After Ctrl-C a failure to save is the worse news. */
static tr_status stop(run *r, tr_status reason, tr_error *err)
{
    tr_error problem = {0};
    tr_status saved = save_at_the_end(r, &problem);
    if (saved == TR_OK || reason != TR_ERR_INTERRUPTED) return reason;
    if (err) *err = problem;
    return saved;
}

static tr_status interrupted(const run *r, tr_error *err)
{
    tr_fail(err, TR_ERR_INTERRUPTED, "stopped after step %lld of %lld; everything is saved in %s",
            (long long)r->state.position.step, (long long)r->plan.steps, r->job->folder);
    return tr_hint(err, "the same command with --resume goes on as if it had not stopped");
}

/* ---- progress ---- */

static void show(run *r, const tr_step_record *record)
{
    const tr_run_position *p = &r->state.position;
    char detail[160], auc[32] = "", memory[32];
    if (p->best_step > 0) snprintf(auc, sizeof auc, "  AUC %.3f", p->best_auc);
    snprintf(detail, sizeof detail, "loss %.3f%s  %.0f tok/s  %s", p->last_loss, auc,
             record->seconds > 0 ? (double)record->sums.tokens / record->seconds : 0,
             tr_format_bytes((double)tr_memory_resident(), memory, sizeof memory));
    tr_progress_update(&r->progress, (size_t)p->step, detail);
}

/* ---- a step ---- */

static tr_status not_finite(const run *r, const tr_step_record *record, tr_error *err)
{
    tr_fail(err, TR_ERR_NUMERIC, "step %lld: the %s is %g", (long long)record->step,
            isfinite(record->loss) ? "norm of the gradient" : "loss",
            isfinite(record->loss) ? record->grad_norm : record->loss);
    return tr_hint(err, "%s holds the adapter after step %lld; try a lower --lr or a longer --warmup", r->last_folder,
                   (long long)record->step - 1);
}

/* Everything up to the change of the parameters. */
static tr_status prepare_step(run *r, tr_step_record *record, tr_error *err)
{
    const tr_recipe *recipe = r->job->recipe;
    const int64_t step = r->state.position.step;
    int n;
    const uint32_t *chosen = tr_batches_rows(&r->batches, step, &n, &record->epoch);
    for (int i = 0; i < n; i++) r->stepper.batch[i] = r->rows[chosen[i]];
    tr_pass pass = {.seed = recipe->seed, .step = (uint32_t)step};
    TR_TRY(tr_batch_gradient(&r->stepper, r->job->lora, n, recipe->micro_tokens, pass, &record->sums, err));
    record->step = step + 1;
    record->epoch++;
    record->loss = record->sums.loss;
    record->grad_norm = tr_l2_norm(r->stepper.grad, r->stepper.n_params);
    record->lr = tr_schedule_lr(recipe->schedule, recipe->lr, recipe->warmup, r->plan.steps, step);
    /* AdamW squares the gradient in float32: 1e18 is where that would overflow for one parameter. */
    if (!isfinite(record->loss) || !(record->grad_norm < 1e18)) return not_finite(r, record, err);
    return TR_OK;
}

static tr_status take_step(run *r, tr_error *err)
{
    const tr_recipe *recipe = r->job->recipe;
    tr_run_position *position = &r->state.position;
    const double started = tr_seconds();
    tr_step_record record = {0};
    TR_TRY(prepare_step(r, &record, err));
    tr_adamw(&r->stepper, r->job->lora->params, record.lr, recipe->weight_decay, record.step,
             tr_clip_factor(record.grad_norm, recipe->clip));
    record.seconds = tr_seconds() - started;
    position->step = record.step;
    position->last_loss = record.loss;
    position->seconds += record.seconds;
    if (record.step == 1) position->first_loss = record.loss;
    TR_TRY(tr_metrics_step(&r->metrics, &record, err));
    show(r, &record);
    return r->job->on_step ? r->job->on_step(r->job->on_step_user, &record, err) : TR_OK;
}

/* ---- a validation ---- */

static bool validation_due(const run *r)
{
    const tr_run_position *p = &r->state.position;
    const int every = r->job->recipe->eval_every;
    if (!r->job->validate || p->step == 0 || p->evaluated_step == p->step) return false;
    return p->step == r->plan.steps || (every > 0 && p->step % every == 0);
}

static tr_status take_validation(run *r, tr_error *err)
{
    tr_run_position *p = &r->state.position;
    const double started = tr_seconds();
    tr_validation valid = {.log_loss = NAN};
    TR_TRY(r->job->validate(r->job->validate_user, r->job->lora, &valid, err));
    if (!isfinite(valid.auc))
        return tr_fail(err, TR_ERR_NUMERIC, "step %lld: the validation AUC is %g", (long long)p->step, valid.auc);
    tr_valid_record record = {.step = p->step, .rows = valid.rows, .auc = valid.auc, .log_loss = valid.log_loss,
                              .best = p->best_step == 0 || valid.auc > p->best_auc,
                              .seconds = tr_seconds() - started};
    TR_TRY(tr_metrics_valid(&r->metrics, &record, err));
    p->evaluated_step = p->step;
    p->seconds += record.seconds;
    p->stale = record.best ? 0 : p->stale + 1;
    if (record.best) {
        p->best_step = p->step;
        p->best_auc = valid.auc;
        memcpy(r->best, r->job->lora->params, r->state.n_params * sizeof(float));
    }
    return save(r, err);
}

/* ---- the loop ---- */

static bool patience_used_up(const run *r)
{
    return r->job->recipe->patience > 0 && r->state.position.stale >= r->job->recipe->patience;
}

static bool finished(const run *r)
{
    return !validation_due(r) && (r->state.position.step >= r->plan.steps || patience_used_up(r));
}

/* After these a line may be missing from metrics.jsonl: the state before is the one to go on from. */
static bool worth_saving(tr_status status) { return status != TR_ERR_IO && status != TR_ERR_MEMORY; }

static tr_status work(run *r, tr_error *err)
{
    while (!finished(r)) {
        tr_status status = TR_OK;
        if (tr_interrupted()) status = interrupted(r, err);
        else if (validation_due(r)) status = take_validation(r, err);
        else status = take_step(r, err);
        if (status == TR_OK) status = save_when_due(r, err);
        if (status != TR_OK) return worth_saving(status) ? stop(r, status, err) : status;
    }
    return save_at_the_end(r, err);
}

/* ---- beginning ---- */

static tr_status check_job(const tr_tuning *job, tr_error *err)
{
    const tr_lora_config *a = &job->lora->config, *b = &job->recipe->lora;
    if (a->rank != b->rank || a->alpha != b->alpha || a->dropout != b->dropout || a->rslora != b->rslora ||
        a->targets != b->targets)
        return tr_fail(err, TR_ERR_USAGE, "the recipe and the starting adapter differ in rank, alpha or targets");
    return TR_OK;
}

static tr_status name_run(run *r, tr_error *err)
{
    const tr_tuning *job = r->job;
    tr_run_identity *id = &r->state.identity;
    id->recipe = *job->recipe;
    snprintf(id->model, sizeof id->model, "%s", job->model_hash ? job->model_hash : "");
    snprintf(id->valid, sizeof id->valid, "%s", job->valid_hash ? job->valid_hash : "");
    tr_rows_hash(r->rows, job->n_rows, id->data);
    tr_sha256_hex(job->lora->params, job->lora->n_params * sizeof(float), id->start);
    r->state_path = tr_path_join(job->folder, "state.bin");
    r->best_folder = tr_path_join(job->folder, "adapter");
    r->last_folder = tr_path_join(job->folder, "adapter-last");
    if (!r->state_path || !r->best_folder || !r->last_folder)
        return tr_fail(err, TR_ERR_MEMORY, "out of memory for a path");
    return TR_OK;
}

static tr_status reserve(run *r, tr_error *err)
{
    const tr_lora *lora = r->job->lora;
    TR_TRY(tr_batches_create(r->job->recipe, r->job->n_rows, &r->batches, err));
    TR_TRY(tr_stepper_create(r->job->model, lora->n_params, &r->plan.limits, &r->stepper, err));
    TR_TRY(tr_alloc(&r->best, lora->n_params, sizeof *r->best, "the best adapter", err));
    r->state.n_params = lora->n_params;
    r->state.params = lora->params;
    r->state.m = r->stepper.m;
    r->state.v = r->stepper.v;
    r->state.best = r->best;
    return TR_OK;
}

/* Continues from a state or begins; either way a state exists afterwards. */
static tr_status find_place(run *r, tr_error *err)
{
    tr_run_position *p = &r->state.position;
    const char *cpu = tr_cpu_name(r->stepper.kernels->level);
    bool exists = tr_file_exists(r->state_path);
    if (exists && !r->job->resume) {
        tr_fail(err, TR_ERR_USAGE, "%s already holds a run", r->job->folder);
        return tr_hint(err, "add --resume to continue it, or choose another folder");
    }
    TR_TRY(tr_folder_create(r->job->folder, err));
    if (exists) TR_TRY(tr_checkpoint_load(r->state_path, &r->state, err));
    TR_TRY(tr_metrics_open(r->job->folder, p->metrics_bytes, &r->metrics, err));
    tr_folder_clear_temporaries(r->job->folder); /* metrics.jsonl is locked: the run is ours */
    tr_folder_clear_temporaries(r->best_folder);
    tr_folder_clear_temporaries(r->last_folder);
    if (exists && strcmp(p->cpu, cpu) != 0)
        tr_warn("the run was started with %s instructions and goes on with %s: the last digits will differ", p->cpu,
                cpu);
    snprintf(p->cpu, sizeof p->cpu, "%s", cpu);
    return save(r, err);
}

static tr_status begin(run *r, tr_error *err)
{
    int longest;
    TR_TRY(check_job(r->job, err));
    TR_TRY(tr_tune_plan(r->job, &r->plan, err));
    TR_TRY(tr_tune_check_memory(&r->plan, err));
    TR_TRY(tr_rows_prepare(r->job, &r->rows, &longest, err));
    TR_TRY(name_run(r, err));
    TR_TRY(reserve(r, err));
    TR_TRY(find_place(r, err));
    tr_progress_start(&r->progress, "tuning", "steps", (size_t)r->plan.steps, (size_t)r->state.position.step);
    return TR_OK;
}

static void end(run *r)
{
    tr_progress_finish(&r->progress, NULL);
    tr_metrics_close(&r->metrics);
    tr_stepper_free(&r->stepper);
    tr_batches_free(&r->batches);
    free(r->rows);
    free(r->best);
    free(r->state_path);
    free(r->best_folder);
    free(r->last_folder);
}

tr_status tr_tune(const tr_tuning *tuning, tr_tuning_result *out, tr_error *err)
{
    run r = {.job = tuning, .metrics = {.fd = -1}};
    tr_status status = begin(&r, err);
    if (status == TR_OK) status = work(&r, err);
    const tr_run_position *p = &r.state.position;
    if (out)
        *out = (tr_tuning_result){.steps = p->step, .stopped_early = patience_used_up(&r), .best_step = p->best_step,
                                  .best_auc = p->best_auc, .first_loss = p->first_loss, .last_loss = p->last_loss,
                                  .seconds = p->seconds};
    end(&r);
    return status;
}
