/* A session: the memory and the arithmetic of running a model over prefix forests, forward and, for training,
 * backward into the gradient of a LoRA adapter. Sized once by a plan, no allocation afterwards. */
#ifndef TR_MODEL_SESSION_H
#define TR_MODEL_SESSION_H

#include "model/forest.h"
#include "model/lora.h"

/* What a session must be able to hold. */
typedef struct {
    int max_nodes;     /* of one forest */
    int max_targets;   /* of one forest */
    int max_positions; /* longest sequence */
    int rank;          /* of the adapter; 0 without */
    uint32_t targets;  /* adapted modules */
    bool train;        /* keep activations for backward */
    int max_held;      /* nodes that tr_session_hold may hold; not for training */
} tr_session_plan;

/* Bytes that tr_session_create would reserve, for --dry-run and for refusing before starting. */
size_t tr_session_bytes(const tr_model *model, const tr_session_plan *plan);

typedef struct tr_session tr_session;

/* The kernel table is the process's (tr_kernels_select). TR_ERR_MEMORY with numbers when it does not fit. */
tr_status tr_session_create(const tr_model *model, const tr_session_plan *plan, tr_session **out, tr_error *err);
void tr_session_free(tr_session *session);

/* Log-probabilities of all targets of a forest, logp (n_targets), with the adapter (NULL: the base model), without
 * dropout. TR_ERR_VALUE when the forest exceeds the plan or a token is out of range. */
tr_status tr_session_logp(tr_session *session, const tr_forest *forest, const tr_lora *lora, float *logp,
                          tr_error *err);

/* Computes the first n nodes of a forest, which must be a chain (the common beginning of all its sequences), with the
 * adapter, and holds their keys and values: from now on tr_session_logp leaves them out of its work for every forest
 * that begins with the same n tokens and asks nothing of them. The adapter must stay as it is until the next hold;
 * n = 0 lets go. TR_ERR_VALUE when the nodes are no chain or exceed the plan. */
tr_status tr_session_hold(tr_session *session, const tr_forest *forest, int n, const tr_lora *lora, tr_error *err);

/* Where a training pass stands; makes dropout masks a function of place. */
typedef struct {
    uint64_t seed;
    uint32_t step;   /* optimiser step */
    uint32_t micro;  /* micro-batch within the step */
} tr_pass;

/* Forward and backward: logp (n_targets) as above but with dropout, and grad (n_params of lora) += the gradient of
 * - sum over targets of coefficient[t] * logp[t], coefficient (n_targets) e.g. weight / targets of the whole batch. */
tr_status tr_session_gradient(tr_session *session, const tr_forest *forest, const tr_lora *lora,
                              const float *coefficient, const tr_pass *pass, float *logp, float *grad, tr_error *err);

/* Whole logit rows (n_rows, n_vocab) at chosen nodes, for tests and inspection. */
tr_status tr_session_logits(tr_session *session, const tr_forest *forest, const tr_lora *lora, const int32_t *node,
                            int n_rows, float *logits, tr_error *err);

#endif
