/* One optimiser step: the gradient of a batch, its norm, clipping, AdamW. What a step is given and gives back, and the
 * buffers that all steps share; when steps happen is tuner.c's job. */
#ifndef TR_TRAIN_STEP_H
#define TR_TRAIN_STEP_H

#include "model/session.h"

/* AdamW's constants, torch's defaults and the published run's. */
#define TR_ADAM_BETA1 0.9f
#define TR_ADAM_BETA2 0.999f
#define TR_ADAM_EPS 1e-8f

/* What the steps of a run may ask for at most. */
typedef struct {
    int max_rows;      /* of a batch */
    int max_targets;   /* of a forest */
    tr_session_plan session;
} tr_step_limits;

/* The buffers of a run's steps; allocated once. */
typedef struct {
    const tr_model *model;
    const tr_kernels *kernels;
    tr_session *session;
    size_t n_params;
    float *grad, *m, *v;         /* (n_params) gradient and AdamW's moments */
    float *coefficient, *logp;   /* (max_targets) */
    tr_sequence *batch, *group;  /* (max_rows) */
    int32_t *order;              /* (max_rows) */
} tr_stepper;

/* Moments start at zero. TR_ERR_MEMORY. */
tr_status tr_stepper_create(const tr_model *model, size_t n_params, const tr_step_limits *limits, tr_stepper *out,
                            tr_error *err);
void tr_stepper_free(tr_stepper *stepper);
/* Bytes that tr_stepper_create would reserve, the session's included. */
size_t tr_stepper_bytes(const tr_model *model, size_t n_params, const tr_step_limits *limits);

typedef struct {
    double loss;        /* mean over the targets of the batch of -log p (weighted) */
    int64_t tokens;     /* of the batch's sequences */
    int64_t nodes;      /* computed: tokens that prompts share count once in a micro-batch */
    int64_t targets;
    int micro_batches;
} tr_batch_sums;

/* Sets stepper->grad to the gradient of the batch's loss: sum of weight * -log p over all targets, divided by the
 * number of targets of the whole batch, however it is cut into micro-batches of at most micro_tokens nodes.
 * stepper->batch (n) holds the rows. pass->micro is set here. */
tr_status tr_batch_gradient(tr_stepper *stepper, const tr_lora *lora, int n, int micro_tokens, tr_pass pass,
                            tr_batch_sums *out, tr_error *err);

/* L2 norm, in double and in a fixed order of addition. */
double tr_l2_norm(const float *x, size_t n);

/* The factor that torch's clip_grad_norm_ applies: min(1, clip / (norm + 1e-6)); 1 when clip is 0. */
double tr_clip_factor(double norm, double clip);

/* AdamW with the stepper's gradient and moments; step counts from 1. */
void tr_adamw(tr_stepper *stepper, float *params, double lr, double weight_decay, int64_t step, double grad_scale);

#endif
