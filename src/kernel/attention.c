/* This file implements attention over a prefix forest, forward and backward, for one block of queries and one key
 * head. Queries are vector lanes: the query heads that share a key head stand side by side, TR_ATTENTION_LANES each,
 * so softmax needs no work across lanes and every product is a gemm_small with keys or channels as rows. Keys
 * are visited in tiles of 64 with the running maximum and sum of online softmax (Milakov, Gimelshein 2018), so
 * memory does not grow with the length of the prompt. Backward follows FlashAttention (Dao et al. 2022, algorithm 4):
 * P is recomputed from the saved logsumexp. */
#include "kernel/operations.h"



#define KEY_TILE 64

#ifdef TR_ORACLE

/* Plain double-precision softmax(q k^T) v, one query and one head at a time. */
static int visible_keys(const tr_attention_block *block, int query, int r)
{
    if (r < block->n_ranges - 1) return block->range[r].length;
    return block->node[query] - block->range[r].start + 1;
}

static double score(const tr_attention_shape *s, const float *q, const float *k)
{
    double sum = 0;
    for (int c = 0; c < s->head_dim; c++) sum += (double)q[c] * k[c];
    return sum * s->scale;
}

void K(attention_forward)(const tr_attention_shape *s, const tr_attention_block *block, int kv_head, const float *q,
                          const float *k, const float *v, float *out, float *lse, float *scratch)
{
    (void)scratch;
    int group = s->n_heads / s->n_kv_heads, d = s->head_dim;
    size_t ldq = (size_t)(s->n_heads * d), ldk = (size_t)(s->n_kv_heads * d);
    for (int i = 0; i < block->n_queries; i++)
        for (int h = kv_head * group; h < (kv_head + 1) * group; h++) {
            const float *qi = q + (size_t)block->row[i] * ldq + h * d;
            float *oi = out + (size_t)block->row[i] * ldq + h * d;
            double max = -INFINITY, total = 0;
            for (int pass = 0; pass < 2; pass++)
                for (int r = 0; r < block->n_ranges; r++)
                    for (int j = 0; j < visible_keys(block, i, r); j++) {
                        double x = score(s, qi, k + (size_t)(block->range[r].start + j) * ldk + kv_head * d);
                        if (pass == 0)
                            max = x > max ? x : max;
                        else
                            total += exp(x - max);
                    }
            for (int c = 0; c < d; c++) {
                double sum = 0;
                for (int r = 0; r < block->n_ranges; r++)
                    for (int j = 0; j < visible_keys(block, i, r); j++) {
                        size_t at = (size_t)(block->range[r].start + j) * ldk + (size_t)(kv_head * d);
                        sum += exp(score(s, qi, k + at) - max) / total * v[at + (size_t)c];
                    }
                oi[c] = (float)sum;
            }
            lse[(size_t)block->row[i] * (size_t)s->n_heads + (size_t)h] = (float)(max + log(total));
        }
}

void K(attention_backward)(const tr_attention_shape *s, const tr_attention_block *block, int kv_head, const float *q,
                           const float *k, const float *v, const float *out, const float *lse, const float *dout,
                           float *dq, float *dk, float *dv, float *scratch)
{
    (void)scratch;
    int group = s->n_heads / s->n_kv_heads, d = s->head_dim;
    size_t ldq = (size_t)(s->n_heads * d), ldk = (size_t)(s->n_kv_heads * d);
    for (int i = 0; i < block->n_queries; i++)
        for (int h = kv_head * group; h < (kv_head + 1) * group; h++) {
            size_t at_q = (size_t)block->row[i] * ldq + (size_t)(h * d);
            double delta = 0;
            for (int c = 0; c < d; c++) {
                delta += (double)dout[at_q + (size_t)c] * out[at_q + (size_t)c];
                dq[at_q + (size_t)c] = 0;
            }
            for (int r = 0; r < block->n_ranges; r++)
                for (int j = 0; j < visible_keys(block, i, r); j++) {
                    size_t at = (size_t)(block->range[r].start + j) * ldk + (size_t)(kv_head * d);
                    double p = exp(score(s, q + at_q, k + at) -
                                   lse[(size_t)block->row[i] * (size_t)s->n_heads + (size_t)h]);
                    double dp = 0;
                    for (int c = 0; c < d; c++) dp += (double)dout[at_q + (size_t)c] * v[at + (size_t)c];
                    double ds = p * (dp - delta) * s->scale;
                    for (int c = 0; c < d; c++) {
                        dv[at + (size_t)c] += (float)(p * dout[at_q + (size_t)c]);
                        dq[at_q + (size_t)c] += (float)(ds * k[at + (size_t)c]);
                        dk[at + (size_t)c] += (float)(ds * q[at_q + (size_t)c]);
                    }
                }
        }
}

#else

/* Where the scratch of one block is cut; lanes = query heads of the key head x TR_ATTENTION_LANES. */
typedef struct {
    int lanes;
    float *qt, *dot, *ot; /* (head_dim, lanes): queries, gradient of the output, and output or gradient of queries */
    float *q, *dout;      /* (lanes, head_dim): the same rows, for products over lanes */
    float *p, *ds;        /* (KEY_TILE, lanes) */
    float *a, *b, *c;     /* (lanes): maximum or logsumexp, sum or delta, rescaling */
} workspace;

static workspace cut_scratch(const tr_attention_shape *s, float *scratch)
{
    size_t lanes = (size_t)(s->n_heads / s->n_kv_heads) * TR_ATTENTION_LANES, wide = lanes * (size_t)s->head_dim;
    workspace w = {.lanes = (int)lanes};
    w.qt = scratch;
    w.dot = w.qt + wide;
    w.ot = w.dot + wide;
    w.q = w.ot + wide;
    w.dout = w.q + wide;
    w.p = w.dout + wide;
    w.ds = w.p + KEY_TILE * lanes;
    w.a = w.ds + KEY_TILE * lanes;
    w.b = w.a + lanes;
    w.c = w.b + lanes;
    return w;
}

/* Gathers the block's rows of x (rows, n_heads * head_dim), times factor, as `across` (head_dim, lanes) and, when
 * asked for, as `along` (lanes, head_dim). Lanes without a query repeat the first. */
static void gather(const tr_attention_shape *s, const tr_attention_block *block, int kv_head, const float *x,
                   float factor, float *across, float *along)
{
    int group = s->n_heads / s->n_kv_heads, d = s->head_dim, lanes = group * TR_ATTENTION_LANES;
    for (int h = 0; h < group; h++)
        for (int i = 0; i < TR_ATTENTION_LANES; i++) {
            int lane = h * TR_ATTENTION_LANES + i, row = block->row[i < block->n_queries ? i : 0];
            const float *source = x + (size_t)row * (size_t)(s->n_heads * d) + (size_t)((kv_head * group + h) * d);
            for (int c = 0; c < d; c++) across[(size_t)c * (size_t)lanes + (size_t)lane] = source[c] * factor;
            if (along) memcpy(along + (size_t)lane * (size_t)d, source, (size_t)d * sizeof *along);
        }
}

/* In the last range a query sees nodes up to its own: entries of keys beyond it become `value`. */
static void mask_tile(const tr_attention_block *block, int first_node, int n_keys, int lanes, float value, float *tile)
{
    for (int j = 0; j < n_keys; j++) {
        int node = first_node + j;
        if (node <= block->node[0]) continue;
        for (int lane = 0; lane < lanes; lane++) {
            int i = lane % TR_ATTENTION_LANES;
            if (node > block->node[i < block->n_queries ? i : 0])
                tile[(size_t)j * (size_t)lanes + (size_t)lane] = value;
        }
    }
}

/* Keys of the last range beyond the last query are seen by none. */
static int range_length(const tr_attention_block *block, int r)
{
    if (r < block->n_ranges - 1) return block->range[r].length;
    return block->node[block->n_queries - 1] - block->range[r].start + 1;
}

/* One tile of the online softmax: scores in w->p become probabilities relative to the running maximum w->a; the
 * running sum w->b and output w->ot are rescaled. */
static void softmax_tile(const workspace *w, int n_keys, int head_dim)
{
    for (int lane = 0; lane < w->lanes; lane += VL) {
        vec before = load(w->a + lane), max = before, sum = splat(0);
        for (int j = 0; j < n_keys; j++) max = vec_max(max, load(w->p + (size_t)(j * w->lanes + lane)));
        for (int j = 0; j < n_keys; j++) {
            float *at = w->p + (size_t)(j * w->lanes + lane);
            vec p = vec_exp(load(at) - max);
            store(at, p);
            sum += p;
        }
        vec rescale = vec_exp(before - max);
        store(w->a + lane, max);
        store(w->b + lane, load(w->b + lane) * rescale + sum);
        for (int c = 0; c < head_dim; c++) {
            float *at = w->ot + (size_t)(c * w->lanes + lane);
            store(at, load(at) * rescale);
        }
    }
}

void K(attention_forward)(const tr_attention_shape *s, const tr_attention_block *block, int kv_head, const float *q,
                          const float *k, const float *v, float *out, float *lse, float *scratch)
{
    int group = s->n_heads / s->n_kv_heads, d = s->head_dim;
    size_t ldk = (size_t)(s->n_kv_heads * d);
    workspace w = cut_scratch(s, scratch);
    size_t ldw = (size_t)w.lanes;
    gather(s, block, kv_head, q, s->scale, w.qt, NULL);
    memset(w.ot, 0, (size_t)d * ldw * sizeof *w.ot);
    for (int lane = 0; lane < w.lanes; lane++) w.a[lane] = -1e30f, w.b[lane] = 0;

    for (int r = 0; r < block->n_ranges; r++) {
        int length = range_length(block, r);
        for (int j = 0; j < length; j += KEY_TILE) {
            int n_keys = length - j < KEY_TILE ? length - j : KEY_TILE, node = block->range[r].start + j;
            const float *keys = k + (size_t)node * ldk + (size_t)(kv_head * d);
            const float *values = v + (size_t)node * ldk + (size_t)(kv_head * d);
            K(gemm_small)(n_keys, w.lanes, d, keys, ldk, 1, w.qt, ldw, w.p, ldw, false);
            if (r == block->n_ranges - 1) mask_tile(block, node, n_keys, w.lanes, -1e30f, w.p);
            softmax_tile(&w, n_keys, d);
            K(gemm_small)(d, w.lanes, n_keys, values, 1, ldk, w.p, ldw, w.ot, ldw, true);
        }
    }
    for (int h = 0; h < group; h++)
        for (int i = 0; i < block->n_queries; i++) {
            size_t lane = (size_t)(h * TR_ATTENTION_LANES + i), head = (size_t)(kv_head * group + h);
            size_t row = (size_t)block->row[i];
            float *o = out + row * (size_t)(s->n_heads * d) + head * (size_t)d, scale = 1.f / w.b[lane];
            for (int c = 0; c < d; c++) o[c] = w.ot[(size_t)c * ldw + lane] * scale;
            lse[row * (size_t)s->n_heads + head] = w.a[lane] + logf(w.b[lane]);
        }
}

/* delta = sum over channels of dout * out, and the logsumexp, both by lane. */
static void load_row_sums(const tr_attention_shape *s, const tr_attention_block *block, int kv_head, const float *out,
                          const float *lse, const float *dout, workspace *w)
{
    int group = s->n_heads / s->n_kv_heads, d = s->head_dim;
    for (int lane = 0; lane < w->lanes; lane++) {
        int i = lane % TR_ATTENTION_LANES, h = kv_head * group + lane / TR_ATTENTION_LANES;
        size_t row = (size_t)block->row[i < block->n_queries ? i : 0];
        size_t at = row * (size_t)(s->n_heads * d) + (size_t)(h * d);
        float sum = 0;
        for (int c = 0; c < d; c++) sum += dout[at + (size_t)c] * out[at + (size_t)c];
        w->a[lane] = lse[row * (size_t)s->n_heads + (size_t)h];
        w->b[lane] = sum;
    }
}

/* From scores in w->p and dP in w->ds: probabilities in w->p and scale * P * (dP - delta) in w->ds. Lanes without
 * a query give nothing. */
static void gradient_tile(const tr_attention_block *block, const workspace *w, int n_keys, float scale)
{
    for (int lane = 0; lane < w->lanes; lane += VL) {
        vec lse = load(w->a + lane), delta = load(w->b + lane);
        ivec live;
        for (int i = 0; i < VL; i++) live[i] = (lane + i) % TR_ATTENTION_LANES < block->n_queries ? -1 : 0;
        for (int j = 0; j < n_keys; j++) {
            size_t at = (size_t)(j * w->lanes + lane);
            vec p = vec_exp(load(w->p + at) - lse);
            p = (vec)((ivec)p & live);
            store(w->p + at, p);
            store(w->ds + at, p * (load(w->ds + at) - delta) * scale);
        }
    }
}

void K(attention_backward)(const tr_attention_shape *s, const tr_attention_block *block, int kv_head, const float *q,
                           const float *k, const float *v, const float *out, const float *lse, const float *dout,
                           float *dq, float *dk, float *dv, float *scratch)
{
    int group = s->n_heads / s->n_kv_heads, d = s->head_dim;
    size_t ldk = (size_t)(s->n_kv_heads * d), wide = (size_t)d;
    workspace w = cut_scratch(s, scratch);
    size_t ldw = (size_t)w.lanes;
    gather(s, block, kv_head, q, s->scale, w.qt, w.q);
    gather(s, block, kv_head, dout, 1.f, w.dot, w.dout);
    load_row_sums(s, block, kv_head, out, lse, dout, &w);
    memset(w.ot, 0, wide * ldw * sizeof *w.ot);

    for (int r = 0; r < block->n_ranges; r++) {
        int length = range_length(block, r);
        for (int j = 0; j < length; j += KEY_TILE) {
            int n_keys = length - j < KEY_TILE ? length - j : KEY_TILE, node = block->range[r].start + j;
            size_t at = (size_t)node * ldk + (size_t)(kv_head * d);
            K(gemm_small)(n_keys, w.lanes, d, k + at, ldk, 1, w.qt, ldw, w.p, ldw, false);
            if (r == block->n_ranges - 1) mask_tile(block, node, n_keys, w.lanes, -1e30f, w.p);
            K(gemm_small)(n_keys, w.lanes, d, v + at, ldk, 1, w.dot, ldw, w.ds, ldw, false);
            gradient_tile(block, &w, n_keys, s->scale);
            K(gemm_small)(n_keys, d, w.lanes, w.p, ldw, 1, w.dout, wide, dv + at, ldk, true);
            K(gemm_small)(n_keys, d, w.lanes, w.ds, ldw, 1, w.q, wide, dk + at, ldk, true);
            K(gemm_small)(d, w.lanes, n_keys, k + at, 1, ldk, w.ds, ldw, w.ot, ldw, true);
        }
    }
    for (int h = 0; h < group; h++)
        for (int i = 0; i < block->n_queries; i++) {
            size_t lane = (size_t)(h * TR_ATTENTION_LANES + i), head = (size_t)(kv_head * group + h);
            float *target = dq + (size_t)block->row[i] * (size_t)(s->n_heads * d) + head * wide;
            for (int c = 0; c < d; c++) target[c] = w.ot[(size_t)c * ldw + lane];
        }
}

#endif
