/* This file implements sessions: planning and reserving memory, checking a forest against the plan, and the entry
 * points of forward and backward passes. The arithmetic is in forward.c, head.c, backward.c, adapt.c, attend.c. */
#include "model/pass.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int larger(int a, int b) { return a > b ? a : b; }

/* ---- memory: one function draws every buffer, from a real arena or from one that only counts ---- */

static float *take(tr_arena *arena, size_t rows, int cols)
{
    return tr_arena_take(arena, rows * (size_t)cols, sizeof(float));
}

static void take_kept(tr_session *s, tr_arena *arena, tr_kept *kept)
{
    const tr_model_config *c = &s->model->config;
    const size_t n = (size_t)s->plan.max_nodes;
    const int q = c->n_heads * c->head_dim, kv = c->n_kv_heads * c->head_dim;
    kept->x = take(arena, n, c->n_embd);
    kept->k = take(arena, n, kv);
    kept->v = take(arena, n, kv);
    kept->q = take(arena, n, q);
    kept->o = take(arena, n, q);
    kept->lse = take(arena, n, c->n_heads);
    kept->x_mid = take(arena, n, c->n_embd);
    kept->gate = take(arena, n, c->n_ff);
    kept->up = take(arena, n, c->n_ff);
    for (int m = 0; m < TR_N_MODULES; m++)
        kept->u[m] = s->plan.targets >> m & 1 ? take(arena, n, s->padded_rank) : NULL;
}

static void take_training(tr_session *s, tr_arena *arena)
{
    const tr_model_config *c = &s->model->config;
    const size_t n = (size_t)s->plan.max_nodes;
    const int q = c->n_heads * c->head_dim, kv = c->n_kv_heads * c->head_dim;
    const int widest = larger(larger(q, c->n_ff), c->n_embd);
    s->dx = take(arena, n, c->n_embd);
    s->dh = take(arena, n, c->n_embd);
    s->dh_rows = take(arena, n, c->n_embd);
    s->dq = take(arena, n, q);
    s->dk = take(arena, n, kv);
    s->dv = take(arena, n, kv);
    s->dout = take(arena, n, q);
    s->dkv_part = take(arena, n * 2 * TR_ATTEND_PARTS, kv);
    s->dgate = take(arena, n, c->n_ff);
    s->dup = take(arena, n, c->n_ff);
    s->da_part = take(arena, (size_t)TR_ADAPT_PARTS * (size_t)s->plan.rank, widest);
    s->db_part = take(arena, (size_t)TR_ADAPT_PARTS * (size_t)s->plan.rank, widest);
}

static void take_all(tr_session *s, tr_arena *arena)
{
    const tr_model_config *c = &s->model->config;
    const size_t n = (size_t)s->plan.max_nodes;
    const int q = c->n_heads * c->head_dim, widest = larger(larger(q, c->n_ff), c->n_embd);
    const int n_kept = s->plan.train ? c->n_layers : 1;
    const size_t head_rows = n < TR_HEAD_ROWS ? n : TR_HEAD_ROWS;
    s->thread_scratch = tr_arena_take(arena, (size_t)s->n_threads, s->thread_bytes);
    s->rope = take(arena, (size_t)s->plan.max_positions, c->head_dim);
    s->kept = tr_arena_take(arena, (size_t)n_kept, sizeof *s->kept);
    tr_kept counted;
    for (int l = 0; l < n_kept; l++) take_kept(s, arena, arena->base ? &s->kept[l] : &counted);
    const size_t held = (size_t)s->plan.max_held * (size_t)c->n_layers;
    s->held_k = take(arena, held, c->n_kv_heads * c->head_dim);
    s->held_v = take(arena, held, c->n_kv_heads * c->head_dim);
    s->held_token = tr_arena_take(arena, (size_t)s->plan.max_held, sizeof *s->held_token);
    s->x_out = take(arena, n, c->n_embd);
    s->h = take(arena, n, c->n_embd);
    s->x_rows = take(arena, n, c->n_embd);
    s->wide = take(arena, n, widest);
    s->logits = take(arena, head_rows, c->n_vocab);
    s->at = take(arena, (size_t)widest, s->padded_rank);
    s->bt = take(arena, (size_t)widest, s->padded_rank);
    s->b_pad = take(arena, (size_t)widest, s->padded_rank);
    s->all_nodes = tr_arena_take(arena, n, sizeof *s->all_nodes);
    s->head_nodes = tr_arena_take(arena, n, sizeof *s->head_nodes);
    s->head_position = tr_arena_take(arena, n, sizeof *s->head_position);
    s->head_row = tr_arena_take(arena, n, sizeof *s->head_row);
    s->head_target = tr_arena_take(arena, n, sizeof *s->head_target);
    s->block = tr_arena_take(arena, 2 * n, sizeof *s->block);
    if (s->plan.train) take_training(s, arena);
}

static void set_up(tr_session *s, const tr_model *model, const tr_session_plan *plan, const tr_kernels *kernels)
{
    const tr_model_config *c = &model->config;
    *s = (tr_session){.model = model, .plan = *plan, .kernels = kernels, .n_threads = tr_threads()};
    s->shape = (tr_attention_shape){.n_heads = c->n_heads, .n_kv_heads = c->n_kv_heads, .head_dim = c->head_dim,
                                    .scale = 1.f / sqrtf((float)c->head_dim)};
    s->padded_rank = (plan->rank + 15) / 16 * 16;
    size_t bytes[] = {tr_linear_scratch(kernels), tr_adapt_scratch(model),
                      tr_attend_scratch(&s->shape, plan->max_nodes)};
    for (int i = 0; i < 3; i++)
        if (bytes[i] > s->thread_bytes) s->thread_bytes = bytes[i];
    s->thread_bytes = (s->thread_bytes + 4095) / 4096 * 4096;
}

size_t tr_session_bytes(const tr_model *model, const tr_session_plan *plan)
{
    const tr_kernels *kernels;
    tr_session counted;
    tr_arena arena = {0};
    if (tr_kernels_select(&kernels, NULL) != TR_OK) return 0;
    set_up(&counted, model, plan, kernels);
    take_all(&counted, &arena);
    return arena.used + sizeof counted;
}

/* As float32, like the reference: angle = position * (1 / base^(2j/d) / factor). */
static void fill_rope(tr_session *s)
{
    const tr_model_config *c = &s->model->config;
    const int half = c->head_dim / 2;
    for (int p = 0; p < s->plan.max_positions; p++)
        for (int j = 0; j < half; j++) {
            float frequency = 1.f / powf(c->rope_base, (float)(2 * j) / (float)c->head_dim);
            float angle = (float)p * (frequency / s->model->rope_factor[j]);
            s->rope[(size_t)p * (size_t)c->head_dim + (size_t)j] = cosf(angle);
            s->rope[(size_t)p * (size_t)c->head_dim + (size_t)(half + j)] = sinf(angle);
        }
}

static tr_status check_plan(const tr_model *model, const tr_session_plan *plan, tr_error *err)
{
    if (plan->max_nodes < 1 || plan->max_positions < 1)
        return tr_fail(err, TR_ERR_VALUE, "a session needs room for at least one token");
    if (plan->max_positions > model->config.n_context) {
        tr_fail(err, TR_ERR_VALUE, "a prompt of %d tokens exceeds the model's context of %d", plan->max_positions,
                model->config.n_context);
        return tr_hint(err, "use a smaller --cutoff");
    }
    return TR_OK;
}

tr_status tr_session_create(const tr_model *model, const tr_session_plan *plan, tr_session **out, tr_error *err)
{
    const tr_kernels *kernels;
    tr_session *s = NULL;
    tr_status status;
    *out = NULL;
    TR_TRY(check_plan(model, plan, err));
    TR_TRY(tr_kernels_select(&kernels, err));
    size_t bytes = tr_session_bytes(model, plan), available = tr_memory_available();
    if (available && bytes > available) {
        tr_fail(err, TR_ERR_MEMORY, "%d tokens at once need %.2f GB; %.2f GB are available", plan->max_nodes,
                (double)bytes / 1e9, (double)available / 1e9);
        return tr_hint(err, "use a smaller --micro-tokens");
    }
    TR_TRY(tr_alloc(&s, 1, sizeof *s, "a session", err));
    set_up(s, model, plan, kernels);
    TR_TRY_CLEANUP(tr_arena_create(&s->arena, bytes, "a session", err));
    take_all(s, &s->arena);
    fill_rope(s);
    *out = s;
    return TR_OK;
cleanup:
    tr_session_free(s);
    return status;
}

void tr_session_free(tr_session *session)
{
    if (!session) return;
    tr_arena_destroy(&session->arena);
    free(session);
}

/* ---- a forest on the bench ---- */

static tr_status check_forest(const tr_session *s, const tr_forest *forest, const tr_lora *lora, tr_error *err)
{
    const tr_session_plan *plan = &s->plan;
    if (forest->n_nodes > plan->max_nodes || forest->n_targets > plan->max_targets ||
        forest->max_position > plan->max_positions)
        return tr_fail(err, TR_ERR_VALUE,
                       "a forest of %d nodes, %d targets, %d positions exceeds the plan (%d, %d, %d)",
                       forest->n_nodes, forest->n_targets, forest->max_position, plan->max_nodes, plan->max_targets,
                       plan->max_positions);
    if (lora && (lora->config.rank != plan->rank || (lora->config.targets & ~plan->targets)))
        return tr_fail(err, TR_ERR_VALUE, "the session was planned for another adapter");
    for (int i = 0; i < forest->n_nodes; i++)
        if (forest->token[i] < 0 || forest->token[i] >= s->model->config.n_vocab)
            return tr_fail(err, TR_ERR_VALUE, "token %d is outside the vocabulary of %d", (int)forest->token[i],
                           s->model->config.n_vocab);
    for (int t = 0; t < forest->n_targets; t++)
        if (forest->target_token[t] < 0 || forest->target_token[t] >= s->model->config.n_vocab)
            return tr_fail(err, TR_ERR_VALUE, "token %d is outside the vocabulary of %d", (int)forest->target_token[t],
                           s->model->config.n_vocab);
    return TR_OK;
}

/* Nodes whose output is wanted become the head's rows, in order. */
static void choose_head(tr_session *s, const int32_t *node, int n_rows)
{
    for (int i = 0; i < s->n; i++) s->head_row[i] = -1;
    for (int i = 0; i < n_rows; i++) s->head_row[node[i]] = 0;
    s->m = 0;
    for (int i = 0; i < s->n; i++)
        if (s->head_row[i] == 0) {
            s->head_nodes[s->m] = i;
            s->head_position[s->m] = s->forest->position[i];
            s->head_row[i] = s->m++;
        }
}

/* Are the first n nodes one chain? Then node i is at position i. */
static bool begins_with_chain(const tr_forest *forest, int n)
{
    return n <= forest->n_nodes && (n == 0 || forest->position[n - 1] == n - 1);
}

/* Number of nodes that this forest need not compute. */
static int held_nodes(const tr_session *s, const tr_forest *forest, const tr_lora *lora, const int32_t *wanted,
                      int n_wanted)
{
    if (s->n_held == 0 || lora != s->held_lora || !begins_with_chain(forest, s->n_held) ||
        memcmp(forest->token, s->held_token, (size_t)s->n_held * sizeof *s->held_token) != 0)
        return 0;
    for (int i = 0; i < n_wanted; i++)
        if (wanted[i] < s->n_held) return 0;
    return s->n_held;
}

static tr_status begin(tr_session *s, const tr_forest *forest, const tr_lora *lora, const tr_pass *pass,
                       const int32_t *wanted, int n_wanted, tr_error *err)
{
    TR_TRY(check_forest(s, forest, lora, err));
    s->first = held_nodes(s, forest, lora, wanted, n_wanted);
    s->forest = forest;
    s->lora = lora;
    s->pass = pass && lora && lora->config.dropout > 0 ? pass : NULL;
    s->n = forest->n_nodes;
    choose_head(s, wanted, n_wanted);
    tr_attend_plan(s);
    return TR_OK;
}

tr_status tr_session_logp(tr_session *s, const tr_forest *forest, const tr_lora *lora, float *logp, tr_error *err)
{
    TR_TRY(begin(s, forest, lora, NULL, forest->target_node, forest->n_targets, err));
    if (forest->n_targets == 0) return TR_OK;
    tr_forward(s);
    tr_head(s, NULL, logp, NULL);
    return TR_OK;
}

tr_status tr_session_hold(tr_session *s, const tr_forest *forest, int n, const tr_lora *lora, tr_error *err)
{
    s->n_held = 0;
    if (n < 0 || n > s->plan.max_held || s->plan.train || !begins_with_chain(forest, n))
        return tr_fail(err, TR_ERR_VALUE, "a session cannot hold %d nodes: planned for %d, and they must be a chain", n,
                       s->plan.max_held);
    if (n == 0) return TR_OK;
    TR_TRY(begin(s, forest, lora, NULL, NULL, 0, err));
    s->n = n;
    tr_attend_plan(s);
    s->holding = true;
    tr_forward(s);
    s->holding = false;
    memcpy(s->held_token, forest->token, (size_t)n * sizeof *s->held_token);
    s->held_lora = lora;
    s->n_held = n;
    return TR_OK;
}

tr_status tr_session_gradient(tr_session *s, const tr_forest *forest, const tr_lora *lora, const float *coefficient,
                              const tr_pass *pass, float *logp, float *grad, tr_error *err)
{
    if (!s->plan.train || !lora) return tr_fail(err, TR_ERR_VALUE, "the session was not planned for training");
    TR_TRY(begin(s, forest, lora, pass, forest->target_node, forest->n_targets, err));
    if (forest->n_targets == 0) return TR_OK;
    tr_forward(s);
    tr_head(s, coefficient, logp, s->dx);
    tr_backward(s, grad);
    return TR_OK;
}

tr_status tr_session_logits(tr_session *s, const tr_forest *forest, const tr_lora *lora, const int32_t *node,
                            int n_rows, float *logits, tr_error *err)
{
    TR_TRY(begin(s, forest, lora, NULL, node, n_rows, err));
    tr_forward(s);
    tr_head_logits(s, node, n_rows, logits);
    return TR_OK;
}
