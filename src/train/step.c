/* This file implements the arithmetic of an optimiser step above the model. */
#include "train/step.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- buffers ---- */

size_t tr_stepper_bytes(const tr_model *model, size_t n_params, const tr_step_limits *limits)
{
    return tr_session_bytes(model, &limits->session) + 3 * n_params * sizeof(float) +
           2 * (size_t)limits->max_targets * sizeof(float) +
           (size_t)limits->max_rows * (2 * sizeof(tr_sequence) + sizeof(int32_t));
}

tr_status tr_stepper_create(const tr_model *model, size_t n_params, const tr_step_limits *limits, tr_stepper *out,
                            tr_error *err)
{
    const size_t targets = (size_t)limits->max_targets, rows = (size_t)limits->max_rows;
    tr_status status;
    *out = (tr_stepper){.model = model, .n_params = n_params};
    TR_TRY_CLEANUP(tr_kernels_select(&out->kernels, err));
    TR_TRY_CLEANUP(tr_session_create(model, &limits->session, &out->session, err));
    TR_TRY_CLEANUP(tr_alloc(&out->grad, n_params, sizeof(float), "gradients", err));
    TR_TRY_CLEANUP(tr_alloc(&out->m, n_params, sizeof(float), "AdamW's moments", err));
    TR_TRY_CLEANUP(tr_alloc(&out->v, n_params, sizeof(float), "AdamW's moments", err));
    TR_TRY_CLEANUP(tr_alloc(&out->coefficient, targets, sizeof(float), "targets", err));
    TR_TRY_CLEANUP(tr_alloc(&out->logp, targets, sizeof(float), "targets", err));
    TR_TRY_CLEANUP(tr_alloc(&out->batch, rows, sizeof *out->batch, "a batch", err));
    TR_TRY_CLEANUP(tr_alloc(&out->group, rows, sizeof *out->group, "a batch", err));
    TR_TRY_CLEANUP(tr_alloc(&out->order, rows, sizeof *out->order, "a batch", err));
    return TR_OK;
cleanup:
    tr_stepper_free(out);
    return status;
}

void tr_stepper_free(tr_stepper *s)
{
    tr_session_free(s->session);
    free(s->grad);
    free(s->m);
    free(s->v);
    free(s->coefficient);
    free(s->logp);
    free(s->batch);
    free(s->group);
    free(s->order);
    *s = (tr_stepper){0};
}

/* ---- gradient ---- */

/* Adds the gradient of stepper->group (n). */
static tr_status add_group(tr_stepper *s, const tr_lora *lora, int n, const tr_pass *pass, tr_batch_sums *sums,
                           tr_error *err)
{
    tr_forest forest;
    TR_TRY(tr_forest_build(s->group, n, &forest, err));
    for (int t = 0; t < forest.n_targets; t++)
        s->coefficient[t] = (float)(forest.target_weight[t] / (double)sums->targets);
    tr_status status = tr_session_gradient(s->session, &forest, lora, s->coefficient, pass, s->logp, s->grad, err);
    for (int t = 0; status == TR_OK && t < forest.n_targets; t++)
        sums->loss -= (double)forest.target_weight[t] * s->logp[t] / (double)sums->targets;
    sums->nodes += forest.n_nodes;
    tr_forest_free(&forest);
    return status;
}

tr_status tr_batch_gradient(tr_stepper *s, const tr_lora *lora, int n, int micro_tokens, tr_pass pass,
                            tr_batch_sums *out, tr_error *err)
{
    int32_t *group_end;
    tr_status status = TR_OK;
    *out = (tr_batch_sums){0};
    for (int i = 0; i < n; i++) {
        out->tokens += s->batch[i].n_tokens;
        out->targets += s->batch[i].n_tokens - s->batch[i].first_target;
    }
    memset(s->grad, 0, s->n_params * sizeof *s->grad);
    TR_TRY(tr_forest_group(s->batch, n, micro_tokens, s->order, &group_end, &out->micro_batches, NULL, err));
    for (int g = 0, first = 0; g < out->micro_batches; first = group_end[g++]) {
        const int rows = group_end[g] - first;
        for (int i = 0; i < rows; i++) s->group[i] = s->batch[s->order[first + i]];
        pass.micro = (uint32_t)g;
        TR_TRY_CLEANUP(add_group(s, lora, rows, &pass, out, err));
    }
cleanup:
    free(group_end);
    return status;
}

/* ---- norm, clipping, update ---- */

double tr_l2_norm(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return sqrt(sum);
}

double tr_clip_factor(double norm, double clip)
{
    if (clip <= 0) return 1;
    const double factor = clip / (norm + 1e-6);
    return factor < 1 ? factor : 1;
}

void tr_adamw(tr_stepper *s, float *params, double lr, double weight_decay, int64_t step, double grad_scale)
{
    /* Pieces of one size whatever the number of threads: a vector loop rounds its tail differently. */
    const size_t piece = 16384, pieces = (s->n_params + piece - 1) / piece;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < pieces; i++) {
        const size_t at = i * piece, left = s->n_params - at;
        s->kernels->adamw(params + at, s->grad + at, s->m + at, s->v + at, left < piece ? left : piece, (float)lr,
                          TR_ADAM_BETA1, TR_ADAM_BETA2, TR_ADAM_EPS, (float)weight_decay, step, (float)grad_scale);
    }
}
