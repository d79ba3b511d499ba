/* This file implements the forward pass through the blocks. In the last block only the rows that somebody asked
 * for continue past the keys and values. */
#include "model/pass.h"

#include <string.h>

void tr_norm_forward(const tr_session *s, const float *x, const float *w, int rows, float *y)
{
    const size_t d = (size_t)s->model->config.n_embd;
    TR_FOR_ROWS(rows)
        s->kernels->rmsnorm_forward(x + (size_t)row * d, w, s->model->config.norm_eps, tr_rows_here(row, rows), (int)d,
                                    y + (size_t)row * d);
}

void tr_norm_backward(const tr_session *s, const float *x, const float *w, const float *dy, int rows, float *dx)
{
    const size_t d = (size_t)s->model->config.n_embd;
    TR_FOR_ROWS(rows)
        s->kernels->rmsnorm_backward(x + (size_t)row * d, w, s->model->config.norm_eps, dy + (size_t)row * d,
                                     tr_rows_here(row, rows), (int)d, dx + (size_t)row * d);
}

void tr_gather_rows(const tr_session *s, const float *source, float *rows)
{
    const size_t d = (size_t)s->model->config.n_embd;
    for (int i = 0; i < s->m; i++)
        memcpy(rows + (size_t)i * d, source + (size_t)(s->head_nodes[i] - s->first) * d, d * sizeof *rows);
}

void tr_scatter_rows(const tr_session *s, const float *rows, float *target)
{
    const size_t d = (size_t)s->model->config.n_embd;
    for (int i = 0; i < s->m; i++) {
        float *to = target + (size_t)s->head_nodes[i] * d;
        for (size_t c = 0; c < d; c++) to[c] += rows[(size_t)i * d + c];
    }
}

void tr_rotate(const tr_session *s, float *x, int rows, int n_heads, const int32_t *position, bool inverse)
{
    const size_t ld = (size_t)(n_heads * s->shape.head_dim);
    TR_FOR_ROWS(rows)
        s->kernels->rope(x + (size_t)row * ld, ld, tr_rows_here(row, rows), n_heads, s->shape.head_dim, position + row,
                         s->rope, s->model->config.rope_interleaved, inverse);
}

static void embed(tr_session *s, float *x)
{
    const tr_matrix *w = &s->model->embedding;
    const size_t d = (size_t)w->n_in;
    const int rows = s->n - s->first;
    const int32_t *token = s->forest->token + s->first;
    TR_FOR_ROWS(rows)
        for (int i = row; i < row + tr_rows_here(row, rows); i++)
            s->kernels->dequantize(w->type, w->data + (size_t)token[i] * w->row_bytes, x + (size_t)i * d, d);
}

/* y (rows, n_out) (+)= x W^T + the adapter's share. */
static void linear(tr_session *s, int layer, tr_module module, const float *x, int rows, float *y, bool accumulate,
                   tr_kept *kept)
{
    const tr_matrix *w = &s->model->layer[layer].linear[module];
    const tr_linear engine = tr_session_linear(s);
    tr_linear_forward(&engine, w, x, (size_t)w->n_in, rows, y, (size_t)w->n_out, accumulate);
    tr_adapt_forward(s, layer, module, x, rows, y, kept);
}

/* Keys and values of held nodes come before those just computed; or those just computed are to be held. */
static void hold_or_recall(const tr_session *s, int layer, const tr_kept *kept)
{
    const size_t kv = (size_t)(s->shape.n_kv_heads * s->shape.head_dim);
    const size_t at = (size_t)layer * (size_t)s->plan.max_held * kv;
    if (s->holding) {
        memcpy(s->held_k + at, kept->k, (size_t)s->n * kv * sizeof(float));
        memcpy(s->held_v + at, kept->v, (size_t)s->n * kv * sizeof(float));
    } else if (s->first) {
        memcpy(kept->k, s->held_k + at, (size_t)s->first * kv * sizeof(float));
        memcpy(kept->v, s->held_v + at, (size_t)s->first * kv * sizeof(float));
    }
}

static void attention(tr_session *s, int layer, bool last, tr_kept *kept)
{
    const int new_rows = s->n - s->first, rows = last ? s->m : new_rows;
    const size_t kv = (size_t)(s->shape.n_kv_heads * s->shape.head_dim);
    const int32_t *position = s->forest->position + s->first;
    float *new_k = kept->k + (size_t)s->first * kv, *new_v = kept->v + (size_t)s->first * kv;
    const float *h_rows = s->h;
    tr_norm_forward(s, kept->x, s->model->layer[layer].attention_norm, new_rows, s->h);
    linear(s, layer, TR_K, s->h, new_rows, new_k, false, kept);
    linear(s, layer, TR_V, s->h, new_rows, new_v, false, kept);
    if (last) {
        tr_gather_rows(s, s->h, s->x_rows);
        h_rows = s->x_rows;
    }
    linear(s, layer, TR_Q, h_rows, rows, kept->q, false, kept);
    tr_rotate(s, new_k, new_rows, s->shape.n_kv_heads, position, false);
    tr_rotate(s, kept->q, rows, s->shape.n_heads, last ? s->head_position : position, false);
    hold_or_recall(s, layer, kept);
    tr_attend_forward(s, last, kept);
    if (last)
        tr_gather_rows(s, kept->x, kept->x_mid);
    else
        memcpy(kept->x_mid, kept->x, (size_t)rows * (size_t)s->model->config.n_embd * sizeof(float));
    linear(s, layer, TR_O, kept->o, rows, kept->x_mid, true, kept);
}

static void mlp(tr_session *s, int layer, int rows, tr_kept *kept, float *x_next)
{
    const size_t f = (size_t)s->model->config.n_ff;
    tr_norm_forward(s, kept->x_mid, s->model->layer[layer].ffn_norm, rows, s->h);
    linear(s, layer, TR_GATE, s->h, rows, kept->gate, false, kept);
    linear(s, layer, TR_UP, s->h, rows, kept->up, false, kept);
    TR_FOR_ROWS(rows)
        s->kernels->swiglu_forward(kept->gate + (size_t)row * f, kept->up + (size_t)row * f, s->wide + (size_t)row * f,
                                   (size_t)tr_rows_here(row, rows) * f);
    memcpy(x_next, kept->x_mid, (size_t)rows * (size_t)s->model->config.n_embd * sizeof(float));
    linear(s, layer, TR_DOWN, s->wide, rows, x_next, true, kept);
}

void tr_forward(tr_session *s)
{
    const int n_layers = s->model->config.n_layers;
    embed(s, s->kept[0].x);
    for (int l = 0; l < n_layers; l++) {
        const bool last = l == n_layers - 1;
        tr_kept *kept = s->plan.train ? &s->kept[l] : s->kept;
        float *x_next = last ? s->x_out : s->plan.train ? s->kept[l + 1].x : kept->x;
        attention(s, l, last, kept);
        mlp(s, l, last ? s->m : s->n - s->first, kept, x_next);
    }
}
