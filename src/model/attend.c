/* This file implements attention over the forest: which queries go together, and who computes what. */
#include "model/pass.h"

#include <omp.h>
#include <string.h>

size_t tr_attend_scratch(const tr_attention_shape *shape, int max_nodes)
{
    return tr_attention_scratch(shape) * sizeof(float) + (size_t)max_nodes * sizeof(tr_range) + 128;
}

/* Cuts a list of nodes (ascending) into blocks of queries of one run. */
static int cut_blocks(const tr_forest *forest, const int32_t *node, int n, tr_query_block *block)
{
    int n_blocks = 0;
    for (int i = 0; i < n;) {
        int run = forest->run[node[i]], count = 1;
        while (count < TR_ATTENTION_LANES && i + count < n && forest->run[node[i + count]] == run) count++;
        block[n_blocks++] = (tr_query_block){.run = run, .first = i, .count = count};
        i += count;
    }
    return n_blocks;
}

void tr_attend_plan(tr_session *s)
{
    for (int i = s->first; i < s->n; i++) s->all_nodes[i - s->first] = i;
    s->n_blocks = cut_blocks(s->forest, s->all_nodes, s->n - s->first, s->block);
    s->n_head_blocks = cut_blocks(s->forest, s->head_nodes, s->m, s->block + s->plan.max_nodes);
}

/* The kernel's view of a block. `range` holds the ranges of *run and is refilled when the run changes. */
static tr_attention_block open_block(const tr_session *s, bool head, int index, tr_range *range, int *run,
                                     int *n_ranges)
{
    const tr_query_block *from = s->block + (head ? s->plan.max_nodes : 0) + index;
    const int32_t *node = head ? s->head_nodes : s->all_nodes;
    tr_attention_block block = {.n_queries = from->count, .range = range};
    if (from->run != *run) {
        *run = from->run;
        *n_ranges = tr_forest_ranges(s->forest, *run, range);
    }
    block.n_ranges = *n_ranges;
    for (int i = 0; i < from->count; i++) {
        block.node[i] = node[from->first + i];
        block.row[i] = from->first + i;
    }
    return block;
}

static float *kernel_scratch(const tr_session *s, tr_range **range)
{
    uint8_t *scratch = tr_session_scratch(s, omp_get_thread_num());
    *range = (tr_range *)scratch;
    return (float *)(scratch + ((size_t)s->plan.max_nodes * sizeof(tr_range) + 63) / 64 * 64);
}

void tr_attend_forward(tr_session *s, bool head, const tr_kept *kept)
{
    const int n_blocks = head ? s->n_head_blocks : s->n_blocks;
#pragma omp parallel
    {
        tr_range *range;
        float *scratch = kernel_scratch(s, &range);
        int run = -1, n_ranges = 0;
#pragma omp for schedule(dynamic, 4)
        for (int b = 0; b < n_blocks; b++) {
            tr_attention_block block = open_block(s, head, b, range, &run, &n_ranges);
            for (int kv = 0; kv < s->shape.n_kv_heads; kv++)
                s->kernels->attention_forward(&s->shape, &block, kv, kept->q, kept->k, kept->v, kept->o, kept->lse,
                                              scratch);
        }
    }
}

/* Gradients of keys and values collect contributions from all later queries: each of a fixed number of parts of
 * the blocks sums into its own array, which are then added in order, so the bits do not depend on the threads. */
void tr_attend_backward(tr_session *s, bool head, const tr_kept *kept)
{
    const int n_blocks = head ? s->n_head_blocks : s->n_blocks, n_kv = s->shape.n_kv_heads;
    const size_t size = (size_t)s->n * (size_t)(n_kv * s->shape.head_dim);
#pragma omp parallel
    {
        tr_range *range;
        float *scratch = kernel_scratch(s, &range);
#pragma omp for schedule(static)
        for (int part = 0; part < 2 * TR_ATTEND_PARTS; part++)
            memset(s->dkv_part + (size_t)part * size, 0, size * sizeof(float));
#pragma omp for schedule(dynamic, 1)
        for (int unit = 0; unit < TR_ATTEND_PARTS * n_kv; unit++) {
            const int part = unit / n_kv, kv = unit % n_kv;
            float *dk = s->dkv_part + (size_t)(2 * part) * size, *dv = dk + size;
            int run = -1, n_ranges = 0;
            for (int b = n_blocks * part / TR_ATTEND_PARTS; b < n_blocks * (part + 1) / TR_ATTEND_PARTS; b++) {
                tr_attention_block block = open_block(s, head, b, range, &run, &n_ranges);
                s->kernels->attention_backward(&s->shape, &block, kv, kept->q, kept->k, kept->v, kept->o, kept->lse,
                                               s->dout, s->dq, dk, dv, scratch);
            }
        }
#pragma omp for schedule(static)
        for (size_t i = 0; i < size; i++) {
            float dk = 0, dv = 0;
            for (int part = 0; part < TR_ATTEND_PARTS; part++) {
                dk += s->dkv_part[(size_t)(2 * part) * size + i];
                dv += s->dkv_part[(size_t)(2 * part + 1) * size + i];
            }
            s->dk[i] = dk;
            s->dv[i] = dv;
        }
    }
}
