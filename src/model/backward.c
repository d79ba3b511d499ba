/* This file implements the backward pass through the blocks, down to the lowest layer with an adapter. Only what
 * reaches an adapter is computed: there is no gradient of the frozen weights. */
#include "model/pass.h"

#include <string.h>

/* dx (rows, n_in) (+)= dy W + the adapter's share; grad += the adapter's gradients. */
static void linear(tr_session *s, int layer, tr_module module, const float *x, const float *dy, int rows, float *dx,
                   bool accumulate, const tr_kept *kept, float *grad)
{
    const tr_matrix *w = &s->model->layer[layer].linear[module];
    const tr_linear engine = tr_session_linear(s);
    tr_linear_backward(&engine, w, dy, (size_t)w->n_out, rows, dx, (size_t)w->n_in, accumulate);
    tr_adapt_backward(s, layer, module, x, dy, rows, dx, kept, grad);
}

/* s->dx (rows, D): gradient of the block's output; becomes that of x_mid. */
static void mlp(tr_session *s, int layer, int rows, const tr_kept *kept, float *grad)
{
    const size_t f = (size_t)s->model->config.n_ff;
    const float *norm = s->model->layer[layer].ffn_norm;
    TR_FOR_ROWS(rows)
        s->kernels->swiglu_forward(kept->gate + (size_t)row * f, kept->up + (size_t)row * f, s->wide + (size_t)row * f,
                                   (size_t)tr_rows_here(row, rows) * f);
    linear(s, layer, TR_DOWN, s->wide, s->dx, rows, s->dgate, false, kept, grad);
    TR_FOR_ROWS(rows)
        s->kernels->swiglu_backward(kept->gate + (size_t)row * f, kept->up + (size_t)row * f,
                                    s->dgate + (size_t)row * f, s->dgate + (size_t)row * f, s->dup + (size_t)row * f,
                                    (size_t)tr_rows_here(row, rows) * f);
    tr_norm_forward(s, kept->x_mid, norm, rows, s->h);
    linear(s, layer, TR_GATE, s->h, s->dgate, rows, s->dh, false, kept, grad);
    linear(s, layer, TR_UP, s->h, s->dup, rows, s->dh, true, kept, grad);
    tr_norm_backward(s, kept->x_mid, norm, s->dh, rows, s->dx);
}

/* s->dx (rows, D): gradient of x_mid; becomes (n, D), that of the block's input (when `lowest`, it is not needed
 * and only the adapters' gradients are computed). */
static void attention(tr_session *s, int layer, bool last, bool lowest, const tr_kept *kept, float *grad)
{
    const int rows = last ? s->m : s->n;
    const size_t d = (size_t)s->model->config.n_embd;
    const float *norm = s->model->layer[layer].attention_norm, *h_rows = s->h;
    linear(s, layer, TR_O, kept->o, s->dx, rows, s->dout, false, kept, grad);
    tr_attend_backward(s, last, kept);
    tr_rotate(s, s->dq, rows, s->shape.n_heads, last ? s->head_position : s->forest->position, true);
    tr_rotate(s, s->dk, s->n, s->shape.n_kv_heads, s->forest->position, true);

    tr_norm_forward(s, kept->x, norm, s->n, s->h);
    if (last) {
        tr_gather_rows(s, s->h, s->x_rows);
        h_rows = s->x_rows;
    }
    if (lowest) {
        tr_adapt_backward(s, layer, TR_Q, h_rows, s->dq, rows, NULL, kept, grad);
        tr_adapt_backward(s, layer, TR_K, s->h, s->dk, s->n, NULL, kept, grad);
        tr_adapt_backward(s, layer, TR_V, s->h, s->dv, s->n, NULL, kept, grad);
        return;
    }
    linear(s, layer, TR_K, s->h, s->dk, s->n, s->dh, false, kept, grad);
    linear(s, layer, TR_V, s->h, s->dv, s->n, s->dh, true, kept, grad);
    if (last) {
        linear(s, layer, TR_Q, h_rows, s->dq, rows, s->dh_rows, false, kept, grad);
        tr_scatter_rows(s, s->dh_rows, s->dh);
        memcpy(s->dh_rows, s->dx, (size_t)rows * d * sizeof(float)); /* the residual path, too, starts at m rows */
        memset(s->dx, 0, (size_t)s->n * d * sizeof(float));
        tr_scatter_rows(s, s->dh_rows, s->dx);
    } else {
        linear(s, layer, TR_Q, h_rows, s->dq, rows, s->dh, true, kept, grad);
    }
    tr_norm_backward(s, kept->x, norm, s->dh, s->n, s->dx);
}

void tr_backward(tr_session *s, float *grad)
{
    const int n_layers = s->model->config.n_layers, lowest = tr_lora_lowest_layer(s->lora);
    for (int l = n_layers - 1; l >= lowest; l--) {
        const bool last = l == n_layers - 1;
        mlp(s, l, last ? s->m : s->n, &s->kept[l], grad);
        if (l == lowest && !(s->lora->config.targets & (1u << TR_Q | 1u << TR_K | 1u << TR_V | 1u << TR_O))) break;
        attention(s, l, last, l == lowest, &s->kept[l], grad);
    }
}
