/* What the files of a forward and backward pass share: the buffers of a session and the steps on them.
 * Reading order: session.c (memory, entry points), forward.c, head.c (output layer and loss), backward.c,
 * adapt.c (the LoRA products), attend.c (attention over the forest).
 *
 * Letters used for sizes: n nodes, m rows of the last layer's query side (nodes that predict something), D n_embd,
 * Q n_heads * head_dim, KV n_kv_heads * head_dim, F n_ff, V n_vocab, r rank padded to 16. All arrays are
 * row-major float32; gradients are d + name. */
#ifndef TR_MODEL_PASS_H
#define TR_MODEL_PASS_H

#include "base/memory.h"
#include "model/session.h"

#define TR_HEAD_ROWS 256      /* rows of logits computed together */
#define TR_ADAPT_ROWS 32      /* rows of a LoRA product computed together */
#define TR_ADAPT_PARTS 8      /* fixed parts of the rows whose LoRA gradients are summed apart, then in order */
#define TR_ATTEND_PARTS 4     /* the same for the gradients of keys and values */

/* An elementwise operation over rows, shared among threads: the loop variable `row` starts a stretch of
 * tr_rows_here(row, count) rows. */
#define TR_ROWS 64
#define TR_FOR_ROWS(count)                       \
    _Pragma("omp parallel for schedule(static)") \
    for (int row = 0; row < (count); row += TR_ROWS)

static inline int tr_rows_here(int row, int rows) { return rows - row < TR_ROWS ? rows - row : TR_ROWS; }

/* What one layer keeps from forward to backward (inference: one set, reused by every layer). Rows: n for the layer's
 * input, keys and values; on the query side n, or m in the last layer. */
typedef struct {
    float *x;               /* (n, D) input of the block */
    float *k, *v;           /* (n, KV), keys rotated */
    float *q, *o;           /* (rows, Q), queries rotated; o the attention's output */
    float *lse;             /* (rows, n_heads) logsumexp of the attention scores */
    float *x_mid;           /* (rows, D) after attention */
    float *gate, *up;       /* (rows, F) */
    float *u[TR_N_MODULES]; /* (rows, r) A x of each adapted module */
} tr_kept;

/* Queries of one run that are attended together. */
typedef struct {
    int32_t run, first, count; /* query_node[first .. first + count) */
} tr_query_block;

struct tr_session {
    const tr_model *model;
    tr_session_plan plan;
    const tr_kernels *kernels;
    tr_attention_shape shape;
    int n_threads, padded_rank;
    tr_arena arena;

    uint8_t *thread_scratch; /* (n_threads) of thread_bytes */
    size_t thread_bytes;
    float *rope;             /* (max_positions, head_dim): cos, sin */
    tr_kept *kept;           /* (n_layers), or (1) for inference */
    float *held_k, *held_v;  /* (n_layers, max_held, KV) of held nodes, see tr_session_hold */
    int32_t *held_token;     /* (max_held) */
    const tr_lora *held_lora;
    int n_held;
    float *x_out;            /* (m, D) output of the last block */
    float *h, *x_rows;       /* (n, D) normalised input; the last layer's rows of it */
    float *wide;             /* (n, F or Q): output of SwiGLU and such */
    float *logits;           /* (TR_HEAD_ROWS, V) */
    float *at, *bt, *b_pad;  /* packed LoRA matrices: (n_in, r), (rank, n_out), (n_out, r) */
    int32_t *all_nodes, *head_nodes, *head_position; /* (n) */
    int32_t *head_row, *head_target; /* (n) node -> row or -1; row -> its first target */
    tr_query_block *block;   /* blocks of all nodes, then of the head's nodes */

    /* training */
    float *dx, *dh, *dh_rows;      /* (n, D) */
    float *dq, *dk, *dv, *dout;    /* (n, Q), (n, KV), (n, KV), (n, Q) */
    float *dkv_part;               /* (TR_ATTEND_PARTS, 2, n, KV) */
    float *dgate, *dup;            /* (n, F) */
    float *da_part, *db_part;      /* (TR_ADAPT_PARTS, rank, max n_in / n_out) */

    /* the forest at hand */
    const tr_forest *forest;
    const tr_lora *lora;
    const tr_pass *pass;           /* NULL: no dropout */
    int n, m, n_blocks, n_head_blocks;
    int first;                     /* nodes before it are held: row i of every array but keys and values is node
                                      first + i; 0 in training */
    bool holding;                  /* this pass computes what will be held */
};

static inline tr_linear tr_session_linear(const tr_session *s)
{
    return (tr_linear){.kernels = s->kernels, .scratch = s->thread_scratch, .scratch_stride = s->thread_bytes};
}

static inline uint8_t *tr_session_scratch(const tr_session *s, int thread)
{
    return s->thread_scratch + (size_t)thread * s->thread_bytes;
}

/* forward.c: runs all blocks; leaves s->x_out (m, D). */
void tr_forward(tr_session *s);
/* y (rows, D) = rmsnorm(x), rows shared among threads; and dx += its gradient. */
void tr_norm_forward(const tr_session *s, const float *x, const float *w, int rows, float *y);
void tr_norm_backward(const tr_session *s, const float *x, const float *w, const float *dy, int rows, float *dx);
/* RoPE in place on x (rows, n_heads * head_dim); inverse: its gradient. */
void tr_rotate(const tr_session *s, float *x, int rows, int n_heads, const int32_t *position, bool inverse);
/* rows[i] = source[head_nodes[i]], i < m, of width D; and its gradient, target[head_nodes[i]] += rows[i]. */
void tr_gather_rows(const tr_session *s, const float *source, float *rows);
void tr_scatter_rows(const tr_session *s, const float *rows, float *target);

/* head.c: logp of all targets from x_out; with coefficient also dx_out (m, D) of the loss. */
void tr_head(tr_session *s, const float *coefficient, float *logp, float *dx_out);
void tr_head_logits(tr_session *s, const int32_t *node, int n_rows, float *logits);

/* backward.c: from s->dx = gradient of x_out (m, D) to grad += gradients of the adapter. */
void tr_backward(tr_session *s, float *grad);

/* adapt.c: y (rows, n_out) += the adapter's share for x (rows, n_in); keeps A x in kept->u. Nothing when the module
 * is not adapted. */
void tr_adapt_forward(tr_session *s, int layer, tr_module module, const float *x, int rows, float *y, tr_kept *kept);
/* dx (rows, n_in) += and grad += from dy (rows, n_out). dx may be NULL when nobody needs it. */
void tr_adapt_backward(tr_session *s, int layer, tr_module module, const float *x, const float *dy, int rows, float *dx,
                       const tr_kept *kept, float *grad);
/* Bytes of scratch a thread needs for these. */
size_t tr_adapt_scratch(const tr_model *model);

/* attend.c */
void tr_attend_plan(tr_session *s);
void tr_attend_forward(tr_session *s, bool head, const tr_kept *kept);
/* Assigns s->dq, s->dk, s->dv from s->dout. */
void tr_attend_backward(tr_session *s, bool head, const tr_kept *kept);
size_t tr_attend_scratch(const tr_attention_shape *shape, int max_nodes);

#endif
