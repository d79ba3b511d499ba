/* This file computes what a run will do and need, before it begins. */
#include "base/memory.h"
#include "base/progress.h"
#include "base/system.h"
#include "train/batches.h"
#include "train/rows.h"
#include "train/tuner.h"

#include <stdlib.h>

/* Largest sums over the batches of a run. */
typedef struct {
    int rows;
    int64_t nodes, targets; /* of a whole batch */
} largest;

static tr_status count_batch(const tr_tuning *t, const tr_sequence *batch, int n, int32_t *order,
                             tr_tuning_plan *plan, largest *most, tr_error *err)
{
    int32_t *group_end;
    int n_groups;
    int64_t nodes, targets = 0;
    TR_TRY(tr_forest_group(batch, n, t->recipe->micro_tokens, order, &group_end, &n_groups, &nodes, err));
    free(group_end);
    for (int i = 0; i < n; i++) {
        plan->tokens += batch[i].n_tokens;
        targets += batch[i].n_tokens - batch[i].first_target;
    }
    plan->rows += n;
    plan->nodes += nodes;
    if (n > most->rows) most->rows = n;
    if (nodes > most->nodes) most->nodes = nodes;
    if (targets > most->targets) most->targets = targets;
    return TR_OK;
}

/* Walks all steps of the run. A sequential order repeats its first epoch. */
static tr_status count_steps(const tr_tuning *t, tr_batches *batches, const tr_sequence *rows, tr_sequence *batch,
                             int32_t *order, tr_tuning_plan *plan, largest *most, tr_error *err)
{
    for (int64_t step = 0; step < batches->steps; step++) {
        int n;
        const uint32_t *chosen = tr_batches_rows(batches, step, &n, NULL);
        for (int i = 0; i < n; i++) batch[i] = rows[chosen[i]];
        TR_TRY(count_batch(t, batch, n, order, plan, most, err));
    }
    plan->steps = batches->steps;
    plan->epochs = (batches->steps + batches->steps_per_epoch - 1) / batches->steps_per_epoch;
    return TR_OK;
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* A micro-batch holds at most micro_tokens nodes, or one row that is longer. Its targets are distinct (node, token)
 * pairs: each is the way to another node or the end of a row. */
static void set_limits(const tr_tuning *t, const largest *most, tr_tuning_plan *plan)
{
    const tr_lora_config *lora = &t->lora->config;
    plan->max_micro_nodes = (int)smaller(larger(t->recipe->micro_tokens, plan->longest - 1), most->nodes);
    plan->limits = (tr_step_limits){
        .max_rows = most->rows,
        .max_targets = (int)smaller(plan->max_micro_nodes + most->rows, most->targets),
        .session = {.max_nodes = plan->max_micro_nodes, .max_positions = plan->longest - 1, .rank = lora->rank,
                    .targets = lora->targets, .train = true}};
    plan->limits.session.max_targets = plan->limits.max_targets;
}

static void count_bytes(const tr_tuning *t, tr_tuning_plan *plan)
{
    uint64_t weights, bytes;
    tr_model_size(t->model, &weights, &bytes);
    plan->n_params = t->lora->n_params;
    plan->session_bytes = tr_session_bytes(t->model, &plan->limits.session);
    /* the stepper's gradient and moments, the parameters themselves and the best ones */
    plan->optimizer_bytes = tr_stepper_bytes(t->model, plan->n_params, &plan->limits) - plan->session_bytes +
                            2 * plan->n_params * sizeof(float);
    plan->model_bytes = bytes;
    plan->other_bytes = t->other_bytes;
    plan->total_bytes = plan->session_bytes + plan->optimizer_bytes + plan->model_bytes;
    if (__builtin_add_overflow(plan->total_bytes, t->other_bytes, &plan->total_bytes)) plan->total_bytes = SIZE_MAX;
    plan->available_bytes = tr_memory_available();
}

/* The reference schedule starts at 0, so a run that ends within its first step of warm-up changes nothing. That is a
 * sensible thing to ask for (what is the loss, the gradient?), but must not pass unseen. */
static void warn_without_rate(const tr_recipe *recipe, int64_t steps)
{
    for (int64_t s = 0; s < steps; s++)
        if (tr_schedule_lr(recipe->schedule, recipe->lr, recipe->warmup, steps, s) > 0) return;
    tr_warn("the learning rate is 0 in all %lld steps (--warmup %d starts at 0): the adapter will not change",
            (long long)steps, recipe->warmup);
}

tr_status tr_tune_plan(const tr_tuning *tuning, tr_tuning_plan *out, tr_error *err)
{
    tr_status status;
    tr_batches batches = {0};
    tr_sequence *rows = NULL, *batch = NULL;
    int32_t *order = NULL;
    largest most = {0};
    *out = (tr_tuning_plan){0};
    TR_TRY_CLEANUP(tr_recipe_check(tuning->recipe, err));
    TR_TRY_CLEANUP(tr_batches_create(tuning->recipe, tuning->n_rows, &batches, err));
    warn_without_rate(tuning->recipe, batches.steps);
    TR_TRY_CLEANUP(tr_rows_prepare(tuning, &rows, &out->longest, err));
    TR_TRY_CLEANUP(tr_alloc(&batch, (size_t)tuning->n_rows, sizeof *batch, "a batch", err));
    TR_TRY_CLEANUP(tr_alloc(&order, (size_t)tuning->n_rows, sizeof *order, "a batch", err));
    TR_TRY_CLEANUP(count_steps(tuning, &batches, rows, batch, order, out, &most, err));
    set_limits(tuning, &most, out);
    count_bytes(tuning, out);
cleanup:
    tr_batches_free(&batches);
    free(rows);
    free(batch);
    free(order);
    return status;
}

tr_status tr_tune_check_memory(const tr_tuning_plan *plan, tr_error *err)
{
    char total[32], session[32], available[32];
    if (!plan->available_bytes || plan->total_bytes <= plan->available_bytes) return TR_OK;
    tr_fail(err, TR_ERR_MEMORY, "tuning needs %s of memory (%s of it for %d tokens at once), %s is available",
            tr_format_bytes((double)plan->total_bytes, total, sizeof total),
            tr_format_bytes((double)plan->session_bytes, session, sizeof session), plan->max_micro_nodes,
            tr_format_bytes((double)plan->available_bytes, available, sizeof available));
    return tr_hint(err, "use a smaller --micro-tokens: batches are cut into smaller pieces, the loss stays the same");
}
