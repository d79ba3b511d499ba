/* This file implements the output layer: logits only for rows that somebody asked for, a chunk of rows at a time,
 * so that the whole (tokens, vocabulary) matrix never exists; and the cross-entropy on them. */
#include "model/pass.h"

#include <string.h>

/* logits (rows, V) of rows first .. first+rows of the normalised output h. */
static void compute_logits(tr_session *s, const float *h, int rows, float *logits)
{
    const tr_matrix *w = &s->model->output;
    const tr_linear engine = tr_session_linear(s);
    tr_linear_forward(&engine, w, h, (size_t)w->n_in, rows, logits, (size_t)w->n_out, false);
}

/* Turns one row of logits into the log-probabilities of its targets [from, to) and, when coefficients are given, into
 * the gradient of -sum coefficient * logp: (sum of coefficients) * softmax - coefficients at the targets. */
static void finish_row(const tr_session *s, float *logits, int from, int to, const float *coefficient, float *logp)
{
    const int n_vocab = s->model->config.n_vocab;
    const float lse = s->kernels->logsumexp(logits, n_vocab);
    float total = 0;
    for (int t = from; t < to; t++) {
        logp[t] = logits[s->forest->target_token[t]] - lse;
        if (coefficient) total += coefficient[t];
    }
    if (!coefficient) return;
    s->kernels->softmax_scale(logits, lse, total, n_vocab);
    for (int t = from; t < to; t++) logits[s->forest->target_token[t]] -= coefficient[t];
}

void tr_head(tr_session *s, const float *coefficient, float *logp, float *dx_out)
{
    const tr_matrix *w = &s->model->output;
    const size_t d = (size_t)s->model->config.n_embd, n_vocab = (size_t)s->model->config.n_vocab;
    const tr_linear engine = tr_session_linear(s);
    tr_norm_forward(s, s->x_out, s->model->output_norm, s->m, s->h);
    int32_t *first_target = s->head_target;
    for (int t = s->forest->n_targets - 1; t >= 0; t--) first_target[s->head_row[s->forest->target_node[t]]] = t;
    for (int row = 0; row < s->m; row += TR_HEAD_ROWS) {
        const int rows = s->m - row < TR_HEAD_ROWS ? s->m - row : TR_HEAD_ROWS;
        compute_logits(s, s->h + (size_t)row * d, rows, s->logits);
#pragma omp parallel for schedule(static)
        for (int i = 0; i < rows; i++)
            finish_row(s, s->logits + (size_t)i * n_vocab, first_target[row + i],
                       row + i + 1 < s->m ? first_target[row + i + 1] : s->forest->n_targets, coefficient, logp);
        if (coefficient)
            tr_linear_backward(&engine, w, s->logits, n_vocab, rows, s->dh + (size_t)row * d, d, false);
    }
    if (!coefficient) return;
    memset(dx_out, 0, (size_t)s->m * d * sizeof *dx_out);
    tr_norm_backward(s, s->x_out, s->model->output_norm, s->dh, s->m, dx_out);
}

void tr_head_logits(tr_session *s, const int32_t *node, int n_rows, float *logits)
{
    const size_t d = (size_t)s->model->config.n_embd, n_vocab = (size_t)s->model->config.n_vocab;
    tr_norm_forward(s, s->x_out, s->model->output_norm, s->m, s->h);
    for (int i = 0; i < n_rows; i++)
        compute_logits(s, s->h + (size_t)s->head_row[node[i]] * d, 1, logits + (size_t)i * n_vocab);
}
