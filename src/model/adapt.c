/* This file implements the LoRA products around a frozen linear layer, y += s B A dropout(x), and their gradients:
 *   u = A dropout(x)      du = s B^T dy      dA += du dropout(x)^T      dB += s dy u^T      dx += mask A^T du
 * Rows go in chunks that stay in cache. The dropout mask is recomputed from its place wherever it is needed. */
#include "model/pass.h"

#include <omp.h>
#include <string.h>

/* A thread's scratch: two chunks of rows of the widest layer, and a chunk of du. */
size_t tr_adapt_scratch(const tr_model *model)
{
    int widest = 0;
    for (int m = 0; m < TR_N_MODULES; m++) {
        const tr_matrix *w = &model->layer[0].linear[m];
        widest = w->n_in > widest ? w->n_in : widest;
        widest = w->n_out > widest ? w->n_out : widest;
    }
    return (size_t)TR_ADAPT_ROWS * (2 * (size_t)widest + 1024 + 16) * sizeof(float) + 192;
}

typedef struct {
    const tr_session *s;
    const tr_lora_pair *pair;
    int rank, padded;
    float scale;
    uint64_t first_index; /* of the module's dropout sequence */
} adapted;

static adapted open_module(const tr_session *s, int layer, tr_module module)
{
    adapted a = {.s = s, .pair = tr_lora_at(s->lora, layer, module), .rank = s->lora->config.rank,
                 .padded = s->padded_rank, .scale = s->lora->scale};
    if (s->pass)
        a.first_index = ((uint64_t)s->pass->micro * (uint64_t)s->lora->n_layers * TR_N_MODULES +
                         (uint64_t)(layer * TR_N_MODULES + (int)module)) << 40;
    return a;
}

/* y = mask * x / (1 - p) for rows of width n_in starting at `row`. */
static void drop(const adapted *a, const float *x, int row, int rows, float *y)
{
    const size_t n_in = (size_t)a->pair->n_in;
    a->s->kernels->dropout(x, y, (size_t)rows * n_in, a->s->lora->config.dropout, a->s->pass->seed, a->s->pass->step,
                           a->first_index + (uint64_t)row * n_in);
}

/* out (cols, padded) = matrix (rows, cols) transposed, zero beyond its rows. */
static void pack_transposed(const float *matrix, int rows, int cols, int padded, float *out)
{
    for (int c = 0; c < cols; c++)
        for (int i = 0; i < padded; i++)
            out[(size_t)c * (size_t)padded + (size_t)i] = i < rows ? matrix[(size_t)i * (size_t)cols + (size_t)c] : 0;
}

void tr_adapt_forward(tr_session *s, int layer, tr_module module, const float *x, int rows, float *y, tr_kept *kept)
{
    if (!s->lora || !tr_lora_at(s->lora, layer, module)->present) return;
    const adapted a = open_module(s, layer, module);
    const size_t n_in = (size_t)a.pair->n_in, n_out = (size_t)a.pair->n_out, padded = (size_t)a.padded;
    float *u = kept->u[module];
    pack_transposed(s->lora->params + a.pair->a, a.rank, a.pair->n_in, a.padded, s->at);
    for (int i = 0; i < a.rank; i++) /* bt (rank, n_out) = s B^T */
        for (size_t j = 0; j < n_out; j++)
            s->bt[(size_t)i * n_out + j] = a.scale * s->lora->params[a.pair->b + j * (size_t)a.rank + (size_t)i];
#pragma omp parallel for schedule(static)
    for (int row = 0; row < rows; row += TR_ADAPT_ROWS) {
        const int here = rows - row < TR_ADAPT_ROWS ? rows - row : TR_ADAPT_ROWS;
        const float *input = x + (size_t)row * n_in;
        float *u_rows = u + (size_t)row * padded;
        if (s->pass) {
            float *dropped = (float *)tr_session_scratch(s, omp_get_thread_num());
            drop(&a, input, row, here, dropped);
            input = dropped;
        }
        s->kernels->gemm_small(here, a.padded, a.pair->n_in, input, n_in, 1, s->at, padded, u_rows, padded, false);
        s->kernels->gemm_small(here, a.pair->n_out, a.rank, u_rows, padded, 1, s->bt, n_out, y + (size_t)row * n_out,
                               n_out, true);
    }
}

/* One chunk of rows: adds to the part's dA (rank, n_in) and dB^T (rank, n_out), and to dx. */
static void backward_chunk(const adapted *a, const float *x, const float *dy, const float *u, int row, int rows,
                           float *dx, float *da, float *dbt)
{
    const tr_session *s = a->s;
    const size_t n_in = (size_t)a->pair->n_in, n_out = (size_t)a->pair->n_out, padded = (size_t)a->padded;
    float *du = (float *)tr_session_scratch(s, omp_get_thread_num());
    float *dropped = du + (size_t)TR_ADAPT_ROWS * padded, *back = dropped + (size_t)TR_ADAPT_ROWS * n_in;
    const float *dy_rows = dy + (size_t)row * n_out, *input = x + (size_t)row * n_in;
    s->kernels->gemm_small(rows, a->padded, a->pair->n_out, dy_rows, n_out, 1, s->b_pad, padded, du, padded, false);
    if (s->pass) {
        drop(a, input, row, rows, dropped);
        input = dropped;
    }
    s->kernels->gemm_small(a->rank, a->pair->n_in, rows, du, 1, padded, input, n_in, da, n_in, true);
    s->kernels->gemm_small(a->rank, a->pair->n_out, rows, u + (size_t)row * padded, 1, padded, dy_rows, n_out, dbt,
                           n_out, true);
    if (!dx) return;
    const float *matrix_a = s->lora->params + a->pair->a;
    float *dx_rows = dx + (size_t)row * n_in;
    if (!s->pass) {
        s->kernels->gemm_small(rows, a->pair->n_in, a->rank, du, padded, 1, matrix_a, n_in, dx_rows, n_in, true);
        return;
    }
    s->kernels->gemm_small(rows, a->pair->n_in, a->rank, du, padded, 1, matrix_a, n_in, back, n_in, false);
    drop(a, back, row, rows, back);
    for (size_t i = 0; i < (size_t)rows * n_in; i++) dx_rows[i] += back[i];
}

/* grad_a += sum of parts; grad_b (n_out, rank) += s * sum of parts of dB^T (rank, n_out). */
static void add_parts(const adapted *a, float *grad)
{
    const tr_session *s = a->s;
    const size_t n_in = (size_t)a->pair->n_in, n_out = (size_t)a->pair->n_out, rank = (size_t)a->rank;
    for (size_t i = 0; i < rank * n_in; i++) {
        float sum = 0;
        for (size_t part = 0; part < TR_ADAPT_PARTS; part++) sum += s->da_part[part * rank * n_in + i];
        grad[a->pair->a + i] += sum;
    }
    for (size_t i = 0; i < rank; i++)
        for (size_t j = 0; j < n_out; j++) {
            float sum = 0;
            for (size_t part = 0; part < TR_ADAPT_PARTS; part++) sum += s->db_part[(part * rank + i) * n_out + j];
            grad[a->pair->b + j * rank + i] += a->scale * sum;
        }
}

void tr_adapt_backward(tr_session *s, int layer, tr_module module, const float *x, const float *dy, int rows, float *dx,
                       const tr_kept *kept, float *grad)
{
    if (!tr_lora_at(s->lora, layer, module)->present) return;
    const adapted a = open_module(s, layer, module);
    const size_t n_in = (size_t)a.pair->n_in, n_out = (size_t)a.pair->n_out, rank = (size_t)a.rank;
    for (size_t j = 0; j < n_out; j++) /* b_pad (n_out, padded) = s B */
        for (int i = 0; i < a.padded; i++)
            s->b_pad[j * (size_t)a.padded + (size_t)i] =
                i < a.rank ? a.scale * s->lora->params[a.pair->b + j * rank + (size_t)i] : 0;
#pragma omp parallel for schedule(dynamic, 1)
    for (int part = 0; part < TR_ADAPT_PARTS; part++) {
        float *da = s->da_part + (size_t)part * rank * n_in, *dbt = s->db_part + (size_t)part * rank * n_out;
        memset(da, 0, rank * n_in * sizeof *da);
        memset(dbt, 0, rank * n_out * sizeof *dbt);
        const int from = (int)((int64_t)rows * part / TR_ADAPT_PARTS),
                  to = (int)((int64_t)rows * (part + 1) / TR_ADAPT_PARTS);
        for (int row = from; row < to; row += TR_ADAPT_ROWS)
            backward_chunk(&a, x, dy, kept->u[module], row, to - row < TR_ADAPT_ROWS ? to - row : TR_ADAPT_ROWS, dx, da,
                           dbt);
    }
    add_parts(&a, grad);
}
