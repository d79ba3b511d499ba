/* Tests of attention over a forest at every level: forward and backward against the textbook in double, the textbook's
 * gradient against finite differences; that only the block's rows and the key head's columns are written, and that a
 * query's result does not depend on the company it is computed in. */
#include "kernel_testing.h"

enum { MAX_RANGES = 6 };

/* A block with everything it works on. Arrays are drawn with take(). */
typedef struct {
    tr_attention_shape shape;
    tr_attention_block block;
    tr_range range[MAX_RANGES];
    int kv_head, n_nodes, n_rows;
    size_t q_size, kv_size, lse_size; /* of (rows, heads * dim), (nodes, kv heads * dim), (rows, heads) */
    float *q, *k, *v, *dout;
} problem;

static int group_of(const problem *p) { return p->shape.n_heads / p->shape.n_kv_heads; }

static size_t q_at(const problem *p, int query, int head)
{
    return ((size_t)p->block.row[query] * (size_t)p->shape.n_heads + (size_t)head) * (size_t)p->shape.head_dim;
}

static size_t kv_at(const problem *p, int node)
{
    return ((size_t)node * (size_t)p->shape.n_kv_heads + (size_t)p->kv_head) * (size_t)p->shape.head_dim;
}

/* The nodes a query sees, in order; their number. */
static int visible(const problem *p, int query, int *node)
{
    int n = 0;
    for (int r = 0; r < p->block.n_ranges; r++)
        for (int j = 0; j < p->range[r].length; j++) {
            int here = p->range[r].start + j;
            if (r < p->block.n_ranges - 1 || here <= p->block.node[query]) node[n++] = here;
        }
    return n;
}

/* ---- the textbook ---- */

/* Everything in double; `magnitude` arrays hold the sums of absolute values behind each gradient, the scale of its
 * rounding errors. */
typedef struct {
    double *q, *k, *v, *out, *lse, *dq, *dk, *dv, *dq_magnitude, *dk_magnitude, *dv_magnitude;
} textbook;

static double *widened(const float *x, size_t n)
{
    double *wide = calloc(n, sizeof *wide);
    assert_non_null(wide);
    for (size_t i = 0; x && i < n; i++) wide[i] = (double)x[i];
    return wide;
}

static textbook open_textbook(const problem *p)
{
    return (textbook){widened(p->q, p->q_size), widened(p->k, p->kv_size), widened(p->v, p->kv_size),
                      widened(NULL, p->q_size), widened(NULL, p->lse_size), widened(NULL, p->q_size),
                      widened(NULL, p->kv_size), widened(NULL, p->kv_size), widened(NULL, p->q_size),
                      widened(NULL, p->kv_size), widened(NULL, p->kv_size)};
}

static void close_textbook(textbook *t)
{
    double *all[] = {t->q,  t->k,  t->v,  t->out, t->lse, t->dq, t->dk, t->dv,
                     t->dq_magnitude, t->dk_magnitude, t->dv_magnitude};
    for (int i = 0; i < COUNT(all); i++) free(all[i]);
}

/* Softmax probabilities of one query and head over its nodes; returns the logsumexp. */
static double probabilities(const problem *p, const textbook *t, int query, int head, const int *node, int n,
                            double *out)
{
    const double *q = t->q + q_at(p, query, head);
    double max = -INFINITY, sum = 0;
    for (int j = 0; j < n; j++) {
        const double *k = t->k + kv_at(p, node[j]);
        out[j] = 0;
        for (int c = 0; c < p->shape.head_dim; c++) out[j] += q[c] * k[c];
        out[j] *= (double)p->shape.scale;
        max = fmax(max, out[j]);
    }
    for (int j = 0; j < n; j++) sum += exp(out[j] - max);
    for (int j = 0; j < n; j++) out[j] = exp(out[j] - max) / sum;
    return max + log(sum);
}

static void textbook_forward(const problem *p, textbook *t)
{
    const int d = p->shape.head_dim, group = group_of(p);
    int node[1024];
    double weight[1024];
    for (int i = 0; i < p->block.n_queries; i++)
        for (int h = p->kv_head * group; h < (p->kv_head + 1) * group; h++) {
            const int n = visible(p, i, node);
            t->lse[p->block.row[i] * p->shape.n_heads + h] = probabilities(p, t, i, h, node, n, weight);
            for (int c = 0; c < d; c++) {
                double sum = 0;
                for (int j = 0; j < n; j++) sum += weight[j] * t->v[kv_at(p, node[j]) + (size_t)c];
                t->out[q_at(p, i, h) + (size_t)c] = sum;
            }
        }
}

static void add(double *sum, double *magnitude, size_t at, double value, double scale)
{
    sum[at] += value;
    magnitude[at] += fabs(scale);
}

/* After textbook_forward. */
static void textbook_backward(const problem *p, textbook *t)
{
    const int d = p->shape.head_dim, group = group_of(p);
    const double scale = (double)p->shape.scale;
    int node[1024];
    double weight[1024];
    for (int i = 0; i < p->block.n_queries; i++)
        for (int h = p->kv_head * group; h < (p->kv_head + 1) * group; h++) {
            const int n = visible(p, i, node);
            const size_t q = q_at(p, i, h);
            double delta = 0, delta_scale = 0;
            probabilities(p, t, i, h, node, n, weight);
            for (int c = 0; c < d; c++) {
                double term = (double)p->dout[q + (size_t)c] * t->out[q + (size_t)c];
                delta += term;
                delta_scale += fabs(term);
            }
            for (int j = 0; j < n; j++) {
                const size_t kv = kv_at(p, node[j]);
                double dp = 0, dp_scale = delta_scale;
                for (int c = 0; c < d; c++) {
                    double term = (double)p->dout[q + (size_t)c] * t->v[kv + (size_t)c];
                    dp += term;
                    dp_scale += fabs(term);
                }
                const double ds = weight[j] * (dp - delta) * scale, ds_scale = weight[j] * dp_scale * scale;
                for (int c = 0; c < d; c++) {
                    const size_t qc = q + (size_t)c, kc = kv + (size_t)c;
                    const double dv = weight[j] * (double)p->dout[qc];
                    add(t->dv, t->dv_magnitude, kc, dv, dv);
                    add(t->dq, t->dq_magnitude, qc, ds * t->k[kc], ds_scale * t->k[kc]);
                    add(t->dk, t->dk_magnitude, kc, ds * t->q[qc], ds_scale * t->q[qc]);
                }
            }
        }
}

/* ---- problems ---- */

/* Puts the queries of a block on nodes of the last range, spread with gaps or packed at its end, and on rows in
 * falling order; rows 0 and n_rows - 1 are nobody's. */
static void place_queries(problem *p, int n_queries, bool gaps)
{
    const tr_range last = p->range[p->block.n_ranges - 1];
    const int n = n_queries < last.length ? n_queries : last.length;
    p->block.n_queries = n;
    p->n_rows = n + 2;
    for (int i = 0; i < n; i++) {
        p->block.node[i] = last.start + (gaps ? i * last.length / n : last.length - n + i);
        p->block.row[i] = n - i;
    }
}

/* lengths end with 0. Between the ranges lie nodes that nobody here sees. */
static void make_problem(problem *p, const int *lengths, int n_queries, bool gaps, int n_kv_heads, int group,
                         int head_dim, float q_scale)
{
    *p = (problem){.shape = {.n_heads = n_kv_heads * group, .n_kv_heads = n_kv_heads, .head_dim = head_dim,
                             .scale = 1 / sqrtf((float)head_dim)}};
    int at = 1;
    for (; lengths[p->block.n_ranges]; p->block.n_ranges++) {
        p->range[p->block.n_ranges] = (tr_range){.start = at, .length = lengths[p->block.n_ranges]};
        at += lengths[p->block.n_ranges] + 2;
    }
    p->block.range = p->range;
    p->n_nodes = at;
    p->kv_head = random_below(n_kv_heads);
    place_queries(p, n_queries, gaps);
    p->q_size = (size_t)(p->n_rows * p->shape.n_heads * head_dim);
    p->kv_size = (size_t)(p->n_nodes * n_kv_heads * head_dim);
    p->lse_size = (size_t)(p->n_rows * p->shape.n_heads);
    p->q = take_random(p->q_size, q_scale);
    p->k = take_random(p->kv_size, 1);
    p->v = take_random(p->kv_size, 1);
    p->dout = take_random(p->q_size, 1);
}

/* Whether element i of an array like q (or lse, with head_dim 1) belongs to the block and its key head. */
static bool in_block(const problem *p, size_t i, int head_dim)
{
    const int row = (int)(i / (size_t)(p->shape.n_heads * head_dim));
    const int head = (int)(i / (size_t)head_dim) % p->shape.n_heads;
    if (head / group_of(p) != p->kv_head) return false;
    for (int q = 0; q < p->block.n_queries; q++)
        if (p->block.row[q] == row) return true;
    return false;
}

static void untouched(const problem *p, const float *x, size_t n, int head_dim, const char *what)
{
    for (size_t i = 0; i < n; i++)
        if (!in_block(p, i, head_dim) && !is_poison(x[i]))
            fail_msg("%s: wrote %s %zu of another row or head", case_name, what, i);
}

/* ---- comparisons ---- */

static void compare_forward(const tr_kernels *kernels, const problem *p, const textbook *t, float *out, float *lse)
{
    float *scratch = take(tr_attention_scratch(&p->shape));
    kernels->attention_forward(&p->shape, &p->block, p->kv_head, p->q, p->k, p->v, out, lse, scratch);
    for (size_t i = 0; i < p->q_size; i++)
        if (in_block(p, i, p->shape.head_dim)) near(i, (double)out[i], t->out[i], 1e-5);
    for (size_t i = 0; i < p->lse_size; i++)
        if (in_block(p, i, 1)) near(i, (double)lse[i], t->lse[i], 1e-5 + 2e-7 * fabs(t->lse[i]));
    untouched(p, out, p->q_size, p->shape.head_dim, "out");
    untouched(p, lse, p->lse_size, 1, "lse");
}

/* The gradient takes the probabilities from the logsumexp as float32, so a large one costs them precision. */
static double precision_of(const problem *p, const textbook *t)
{
    double largest = 0;
    for (size_t i = 0; i < p->lse_size; i++) largest = fmax(largest, fabs(t->lse[i]));
    return 1e-5 + 1.2e-7 * largest;
}

static void compare_backward(const tr_kernels *kernels, const problem *p, const textbook *t, const float *out,
                             const float *lse)
{
    const double tolerance = precision_of(p, t);
    float *scratch = take(tr_attention_scratch(&p->shape)), *dq = take(p->q_size);
    float *dk = take_random(p->kv_size, 1), *dv = take_random(p->kv_size, 1);
    float *old_dk = take_copy(dk, p->kv_size), *old_dv = take_copy(dv, p->kv_size);
    kernels->attention_backward(&p->shape, &p->block, p->kv_head, p->q, p->k, p->v, out, lse, p->dout, dq, dk, dv,
                                scratch);
    for (size_t i = 0; i < p->q_size; i++)
        if (in_block(p, i, p->shape.head_dim))
            near(i, (double)dq[i], t->dq[i], tolerance * (t->dq_magnitude[i] + 0.01));
    untouched(p, dq, p->q_size, p->shape.head_dim, "dq");
    for (size_t i = 0; i < p->kv_size; i++) {
        if (t->dv_magnitude[i] == 0 && t->dk_magnitude[i] == 0) { /* not visible, or of another key head */
            near(i, (double)dk[i], (double)old_dk[i], 0);
            near(i, (double)dv[i], (double)old_dv[i], 0);
        }
        near(i, (double)dk[i], (double)old_dk[i] + t->dk[i], tolerance * (t->dk_magnitude[i] + 0.1));
        near(i, (double)dv[i], (double)old_dv[i] + t->dv[i], tolerance * (t->dv_magnitude[i] + 0.1));
    }
}

static void try_problem(const problem *p, const char *what)
{
    textbook t = open_textbook(p);
    textbook_forward(p, &t);
    textbook_backward(p, &t);
    FOR_EACH_LEVEL(kernels) {
        CASE("attention %s %s: ranges %d last %d queries %d heads %d/%d dim %d", tr_cpu_name(kernels->level), what,
             p->block.n_ranges, p->range[p->block.n_ranges - 1].length, p->block.n_queries, p->shape.n_heads,
             p->shape.n_kv_heads, p->shape.head_dim);
        float *out = take(p->q_size), *lse = take(p->lse_size);
        compare_forward(kernels, p, &t, out, lse);
        compare_backward(kernels, p, &t, out, lse);
    }
    close_textbook(&t);
    release_arrays();
}

/* ---- tests ---- */

static const int runs[][MAX_RANGES + 1] = {
    {1},   {5},    {16},     {63},        {64},         {65},
    {129}, {7, 1}, {64, 16}, {65, 1, 17}, {130, 3, 70}, {3, 64, 2, 40}, {1, 1, 1, 1, 1, 90},
};
static const int head_dims[] = {2, 6, 16, 32, 64, 80, 128};
static const int groups[] = {1, 2, 3, 4, 8};

/* Small enough for the oracle, which sums every score again for each channel. */
static bool is_quick(const int *lengths, int n_queries, int heads, int head_dim)
{
    int nodes = 0;
    for (int i = 0; lengths[i]; i++) nodes += lengths[i];
    return (double)nodes * n_queries * heads * head_dim * head_dim < 2e7;
}

static void test_attention_equals_the_textbook_for_all_shapes(void **state)
{
    (void)state;
    for (int r = 0; r < COUNT(runs); r++)
        for (int d = 0; d < COUNT(head_dims); d++)
            for (int round = 0; round < 3; round++) {
                const int turn = r * COUNT(head_dims) * 3 + d * 3 + round;
                const int group = groups[turn % COUNT(groups)], n_queries = 1 + turn * 5 % TR_ATTENTION_LANES;
                if (!is_quick(runs[r], n_queries, group, head_dims[d])) continue;
                problem p;
                make_problem(&p, runs[r], n_queries, turn % 2, 1 + turn / 2 % 2, group, head_dims[d], 1);
                try_problem(&p, "shapes");
            }
}

static void test_attention_equals_the_textbook_for_every_number_of_queries(void **state)
{
    (void)state;
    static const int lengths[] = {70, 80, 0};
    for (int n = 1; n <= TR_ATTENTION_LANES; n++)
        for (int gaps = 0; gaps < 2; gaps++)
            for (int g = 0; g < COUNT(groups); g++) {
                problem p;
                make_problem(&p, lengths, n, gaps, 2, groups[g], 16, 1);
                try_problem(&p, "queries");
            }
}

/* A key far above the others takes everything: scores are whole numbers up to thousands, so that they are exact. */
static void test_attention_survives_scores_beyond_the_range_of_exp(void **state)
{
    (void)state;
    static const int lengths[] = {70, 75, 0};
    static const float scales[] = {1, 16, 1024};
    for (int s = 0; s < COUNT(scales); s++)
        for (int round = 0; round < 4; round++) {
            problem p;
            make_problem(&p, lengths, 1 + 5 * round, round % 2, 1, 2, 4, 1);
            p.shape.scale = scales[s];
            for (size_t i = 0; i < p.q_size; i++) p.q[i] = (float)(random_below(17) - 8);
            for (size_t i = 0; i < p.kv_size; i++) p.k[i] = (float)(random_below(17) - 8);
            try_problem(&p, "large scores");
        }
}

static double loss_of(const problem *p, textbook *t)
{
    double loss = 0;
    textbook_forward(p, t);
    for (size_t i = 0; i < p->q_size; i++)
        if (in_block(p, i, p->shape.head_dim)) loss += (double)p->dout[i] * t->out[i];
    return loss;
}

/* x is one of t's inputs. */
static void check_differences(const problem *p, textbook *t, double *x, size_t n, const double *gradient,
                              const char *of)
{
    for (size_t i = 0; i < n; i++) {
        const double at = x[i], step = 1e-5;
        x[i] = at + step;
        double above = loss_of(p, t);
        x[i] = at - step;
        double below = loss_of(p, t);
        x[i] = at;
        CASE("textbook gradient of %s", of);
        near(i, gradient[i], (above - below) / (2 * step), 1e-8);
    }
}

static void test_the_textbook_gradient_equals_finite_differences(void **state)
{
    (void)state;
    static const int lengths[] = {4, 2, 6, 0};
    for (int round = 0; round < 4; round++) {
        problem p;
        make_problem(&p, lengths, 1 + 2 * round, round % 2, 2, 1 + round, 3, 2);
        textbook t = open_textbook(&p);
        textbook_forward(&p, &t);
        textbook_backward(&p, &t);
        check_differences(&p, &t, t.q, p.q_size, t.dq, "queries");
        check_differences(&p, &t, t.k, p.kv_size, t.dk, "keys");
        check_differences(&p, &t, t.v, p.kv_size, t.dv, "values");
        close_textbook(&t);
        release_arrays();
    }
}

/* The bits of out, lse and dq of a query alone and among others. */
static void test_a_query_does_not_depend_on_its_company(void **state)
{
    (void)state;
    static const int lengths[] = {40, 30, 100, 0};
    FOR_EACH_LEVEL(kernels)
        for (int gaps = 0; gaps < 2; gaps++) {
            problem p;
            make_problem(&p, lengths, 13, gaps, 2, 3, 16, 1);
            CASE("attention %s one by one, gaps %d", tr_cpu_name(kernels->level), gaps);
            float *scratch = take(tr_attention_scratch(&p.shape));
            float *dk = take_random(p.kv_size, 1), *dv = take_random(p.kv_size, 1);
            float *out[2], *lse[2], *dq[2];
            for (int i = 0; i < 2; i++) out[i] = take(p.q_size), lse[i] = take(p.lse_size), dq[i] = take(p.q_size);
            for (int i = -1; i < p.block.n_queries; i++) { /* -1: all together */
                tr_attention_block block = p.block;
                const int into = i >= 0;
                if (into) block.n_queries = 1, block.node[0] = p.block.node[i], block.row[0] = p.block.row[i];
                kernels->attention_forward(&p.shape, &block, p.kv_head, p.q, p.k, p.v, out[into], lse[into], scratch);
                kernels->attention_backward(&p.shape, &block, p.kv_head, p.q, p.k, p.v, out[into], lse[into], p.dout,
                                            dq[into], dk, dv, scratch);
            }
            same_bits(out[1], out[0], p.q_size);
            same_bits(lse[1], lse[0], p.lse_size);
            same_bits(dq[1], dq[0], p.q_size);
            release_arrays();
        }
}

/* 90 keys as one run, or as the runs of a forest. */
static void test_how_the_prefix_is_cut_into_runs_does_not_matter(void **state)
{
    (void)state;
    static const tr_range cuts[][4] = {{{0, 90}},
                                       {{0, 64}, {64, 26}},
                                       {{0, 1}, {1, 70}, {71, 19}},
                                       {{0, 20}, {20, 20}, {40, 20}, {60, 30}}};
    FOR_EACH_LEVEL(kernels) {
        tr_attention_shape shape = {.n_heads = 4, .n_kv_heads = 1, .head_dim = 32, .scale = 0.25f};
        tr_attention_block block = {.n_queries = 3, .node = {80, 84, 89}, .row = {0, 1, 2}};
        float *q = take_random(3 * 128, 1), *k = take_random(90 * 32, 1), *v = take_random(90 * 32, 1);
        float *scratch = take(tr_attention_scratch(&shape)), *first = take(3 * 128), *lse = take(3 * 4);
        for (int c = 0; c < COUNT(cuts); c++) {
            CASE("attention %s cut %d", tr_cpu_name(kernels->level), c);
            block.range = cuts[c];
            for (block.n_ranges = 0; block.n_ranges < 4 && cuts[c][block.n_ranges].length; block.n_ranges++) continue;
            float *out = c ? take(3 * 128) : first;
            kernels->attention_forward(&shape, &block, 0, q, k, v, out, lse, scratch);
            all_near(out, first, 3 * 128, 1e-6);
        }
        release_arrays();
    }
}

TR_TEST_MAIN(cmocka_unit_test(test_the_textbook_gradient_equals_finite_differences),
             cmocka_unit_test(test_attention_equals_the_textbook_for_all_shapes),
             cmocka_unit_test(test_attention_equals_the_textbook_for_every_number_of_queries),
             cmocka_unit_test(test_attention_survives_scores_beyond_the_range_of_exp),
             cmocka_unit_test(test_a_query_does_not_depend_on_its_company),
             cmocka_unit_test(test_how_the_prefix_is_cut_into_runs_does_not_matter))
