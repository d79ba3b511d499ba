/* Tests of the prefix forest: its invariants and its targets against a naive trie, on hand-made and on random
 * batches; grouping; refusals. */
#include "testing.h"

#include "base/rng.h"
#include "model/forest.h"

enum { MAX_SEQUENCES = 40, MAX_LENGTH = 16, MAX_NODES = MAX_SEQUENCES * MAX_LENGTH, MAX_WISHES = MAX_NODES };

/* ---- the naive trie ---- */

typedef struct {
    int n, n_wishes;
    int parent[MAX_NODES], token[MAX_NODES];
    struct {
        int node, token;
        float weight;
    } wish[MAX_WISHES]; /* distinct targets */
} trie;

static int trie_child(trie *t, int parent, int token)
{
    for (int i = 0; i < t->n; i++)
        if (t->parent[i] == parent && t->token[i] == token) return i;
    t->parent[t->n] = parent;
    t->token[t->n] = token;
    return t->n++;
}

static void trie_wish(trie *t, int node, int token, float weight)
{
    int i = 0;
    while (i < t->n_wishes && (t->wish[i].node != node || t->wish[i].token != token)) i++;
    if (i == t->n_wishes) {
        t->wish[i].node = node;
        t->wish[i].token = token;
        t->wish[i].weight = 0;
        t->n_wishes++;
    }
    t->wish[i].weight += weight;
}

static void trie_add(trie *t, const tr_sequence *s)
{
    int node = -1;
    for (int d = 0; d + 1 < s->n_tokens; d++) {
        node = trie_child(t, node, s->token[d]);
        if (d + 1 >= s->first_target) trie_wish(t, node, s->token[d + 1], s->weight);
    }
}

/* ---- the forest, read by its contract ---- */

/* The node before this one in its prefix; -1 for a first token. */
static int parent_of(const tr_forest *f, int node)
{
    const int run = f->run[node], parent = f->run_parent[run];
    if (node > f->run_start[run]) return node - 1;
    return parent < 0 ? -1 : f->run_start[parent] + f->run_length[parent] - 1;
}

static void check_runs(const tr_forest *f)
{
    int next = 0, children[MAX_NODES] = {0};
    for (int i = 0; i < f->n_nodes; i++)
        if (parent_of(f, i) >= 0) children[parent_of(f, i)]++;
    for (int r = 0; r < f->n_runs; r++) {
        assert_int_equal(f->run_start[r], next); /* runs follow each other and cover all nodes */
        assert_true(f->run_length[r] >= 1);
        assert_true(f->run_parent[r] >= -1 && f->run_parent[r] < r);
        next += f->run_length[r];
        for (int i = f->run_start[r]; i < next; i++) {
            assert_int_equal(f->run[i], r);
            /* Maximal: only the last node of a run has no child or several. */
            if (i + 1 < next) assert_int_equal(children[i], 1);
            else assert_int_not_equal(children[i], 1);
        }
    }
    assert_int_equal(next, f->n_nodes);
}

static void check_ranges(const tr_forest *f)
{
    int depth = 0, positions = 0;
    for (int node = 0; node < f->n_nodes; node++) {
        tr_range range[MAX_NODES];
        int seen[MAX_NODES], n_seen = 0, n = tr_forest_ranges(f, f->run[node], range);
        for (int r = 0; r < n; r++)
            for (int i = 0; i < range[r].length; i++)
                if (r < n - 1 || range[r].start + i <= node) seen[n_seen++] = range[r].start + i;
        assert_int_equal(n_seen, f->position[node] + 1);
        for (int at = node; at >= 0; at = parent_of(f, at)) assert_int_equal(seen[--n_seen], at);
        assert_int_equal(n_seen, 0);
        depth = n > depth ? n : depth;
        positions = f->position[node] + 1 > positions ? f->position[node] + 1 : positions;
    }
    assert_int_equal(f->max_depth, depth);
    assert_int_equal(f->max_position, positions);
}

/* Each node of the forest is a node of the trie, and no two are the same one. */
static void match_trie(const tr_forest *f, trie *t, int *of_forest)
{
    const int n = t->n;
    bool taken[MAX_NODES] = {false};
    assert_int_equal(f->n_nodes, n);
    for (int i = 0; i < f->n_nodes; i++) {
        const int parent = parent_of(f, i);
        assert_true(parent < i);
        assert_int_equal(f->position[i], parent < 0 ? 0 : f->position[parent] + 1);
        of_forest[i] = trie_child(t, parent < 0 ? -1 : of_forest[parent], f->token[i]);
        assert_int_equal(t->n, n); /* it was there */
        assert_false(taken[of_forest[i]]);
        taken[of_forest[i]] = true;
    }
}

static void check_targets(const tr_forest *f, const trie *t, const int *of_forest)
{
    assert_int_equal(f->n_targets, t->n_wishes);
    for (int i = 0; i < f->n_targets; i++) {
        int w = 0;
        while (w < t->n_wishes &&
               (t->wish[w].node != of_forest[f->target_node[i]] || t->wish[w].token != f->target_token[i])) w++;
        assert_true(w < t->n_wishes);
        if (f->target_weight[i] != t->wish[w].weight)
            fail_msg("target %d weighs %g, expected %g", i, (double)f->target_weight[i], (double)t->wish[w].weight);
        if (i == 0) continue;
        assert_true(f->target_node[i - 1] < f->target_node[i] ||
                    (f->target_node[i - 1] == f->target_node[i] && f->target_token[i - 1] < f->target_token[i]));
    }
}

/* Target number i of sequence s predicts its token first_target + i from the prefix before it. */
static void check_sequences(const tr_forest *f, const tr_sequence *sequences, int n)
{
    assert_int_equal(f->n_sequences, n);
    assert_int_equal(f->sequence_first[0], 0);
    for (int s = 0; s < n; s++) {
        const tr_sequence *from = &sequences[s];
        assert_int_equal(f->sequence_first[s + 1] - f->sequence_first[s], from->n_tokens - from->first_target);
        for (int i = 0; i < from->n_tokens - from->first_target; i++) {
            const int target = f->sequence_target[f->sequence_first[s] + i], at = from->first_target + i;
            assert_true(target >= 0 && target < f->n_targets);
            assert_int_equal(f->target_token[target], from->token[at]);
            assert_int_equal(f->position[f->target_node[target]], at - 1);
            int node = f->target_node[target];
            for (int d = at - 1; d >= 0; d--, node = parent_of(f, node))
                assert_int_equal(f->token[node], from->token[d]);
        }
    }
}

/* Builds the forest of a batch and checks everything that the header promises. */
static tr_forest checked_forest(const tr_sequence *sequences, int n)
{
    static trie t;
    tr_error err = {0};
    tr_forest f;
    int of_forest[MAX_NODES];
    t.n = t.n_wishes = 0;
    for (int s = 0; s < n; s++) trie_add(&t, &sequences[s]);
    assert_ok(tr_forest_build(sequences, n, &f, &err), err);
    check_runs(&f);
    check_ranges(&f);
    match_trie(&f, &t, of_forest);
    check_targets(&f, &t, of_forest);
    check_sequences(&f, sequences, n);
    return f;
}

static void check_shape(tr_forest f, int n_nodes, int n_runs, int n_targets)
{
    assert_int_equal(f.n_nodes, n_nodes);
    assert_int_equal(f.n_runs, n_runs);
    assert_int_equal(f.n_targets, n_targets);
    tr_forest_free(&f);
    assert_null(f.token);
}

#define TOKENS(...) (const int32_t[]){__VA_ARGS__}, (int)(sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

/* ---- hand-made batches ---- */

static void test_one_sequence_is_one_run_without_its_last_token(void **state)
{
    (void)state;
    const tr_sequence one = {TOKENS(5, 6, 5, 7), 1, 1};
    check_shape(checked_forest(&one, 1), 3, 1, 3);
    const tr_sequence shortest = {TOKENS(5, 6), 1, 1};
    check_shape(checked_forest(&shortest, 1), 1, 1, 1);
    const tr_sequence nothing_asked = {TOKENS(5, 6, 7), 3, 1};
    check_shape(checked_forest(&nothing_asked, 1), 2, 1, 0);
}

static void test_no_sequences_are_an_empty_forest(void **state)
{
    (void)state;
    check_shape(checked_forest(NULL, 0), 0, 0, 0);
}

static void test_continuations_share_their_prefix(void **state)
{
    (void)state;
    const tr_sequence two[] = {{TOKENS(1, 2, 3, 4, 5), 3, 1}, {TOKENS(1, 2, 3, 6, 7), 3, 1}};
    tr_forest f = checked_forest(two, 2);
    assert_int_equal(f.max_depth, 2);
    check_shape(f, 5, 3, 4);
    /* Only the answers differ: two targets at one node. */
    const tr_sequence answers[] = {{TOKENS(1, 2, 3), 2, 1}, {TOKENS(1, 2, 4), 2, 1}};
    check_shape(checked_forest(answers, 2), 2, 1, 2);
    const tr_sequence strangers[] = {{TOKENS(1, 2, 3), 2, 1}, {TOKENS(2, 2, 3), 2, 1}};
    check_shape(checked_forest(strangers, 2), 4, 2, 2);
}

static void test_a_shared_target_carries_the_sum_of_the_weights(void **state)
{
    (void)state;
    const tr_sequence three[] = {{TOKENS(1, 2, 3, 4), 1, 0.5f}, {TOKENS(1, 2, 3, 5), 1, 0.25f},
                                 {TOKENS(1, 2, 9), 2, 2}};
    tr_forest f = checked_forest(three, 3);
    assert_int_equal(f.n_targets, 5); /* 2; 3 and 9; 4 and 5 */
    const float expected[] = {0.75f, 0.75f, 2, 0.5f, 0.25f};
    for (int i = 0; i < 5; i++) assert_true(f.target_weight[i] == expected[i]);
    assert_int_equal(f.sequence_target[f.sequence_first[0]], f.sequence_target[f.sequence_first[1]]);
    tr_forest_free(&f);
}

static void test_equal_sequences_are_computed_once(void **state)
{
    (void)state;
    static const int32_t tokens[] = {3, 1, 4, 1, 5};
    tr_sequence same[MAX_SEQUENCES];
    for (int i = 0; i < MAX_SEQUENCES; i++) same[i] = (tr_sequence){tokens, 5, 2, 0.5f};
    tr_forest f = checked_forest(same, MAX_SEQUENCES);
    assert_true(f.target_weight[0] == 0.5f * MAX_SEQUENCES);
    check_shape(f, 4, 1, 3);
}

static void test_a_sequence_may_be_the_beginning_of_another(void **state)
{
    (void)state;
    const tr_sequence nested[] = {{TOKENS(1, 2, 3, 4, 5, 6), 1, 1}, {TOKENS(1, 2), 1, 1}, {TOKENS(1, 2, 3, 4), 3, 1}};
    check_shape(checked_forest(nested, 3), 5, 1, 5);
    const tr_sequence forked[] = {{TOKENS(1, 2), 1, 1}, {TOKENS(1, 2, 3), 1, 1}, {TOKENS(1, 3, 3), 1, 1},
                                  {TOKENS(1, 3), 1, 1}};
    check_shape(checked_forest(forked, 4), 3, 3, 4);
}

/* ---- random batches ---- */

static int draw(uint32_t trial, uint64_t *index, int bound)
{
    return (int)tr_rng_below(1, TR_RNG_TEST, trial, (*index)++, (uint32_t)bound);
}

typedef struct {
    int32_t token[MAX_SEQUENCES][MAX_LENGTH];
    tr_sequence sequence[MAX_SEQUENCES];
    int n;
} batch;

/* Few different tokens, so that prefixes are shared; some sequences copy the beginning of an earlier one. */
static void draw_batch(batch *b, uint32_t trial)
{
    uint64_t index = 0;
    const int n_tokens = 1 + draw(trial, &index, 4);
    b->n = 1 + draw(trial, &index, MAX_SEQUENCES);
    for (int s = 0; s < b->n; s++) {
        const int length = 2 + draw(trial, &index, MAX_LENGTH - 1), copied = s ? draw(trial, &index, length + 1) : 0;
        const int32_t *from = b->token[s ? draw(trial, &index, s) : 0];
        for (int i = 0; i < MAX_LENGTH; i++)
            b->token[s][i] = s && i < copied ? from[i] : draw(trial, &index, n_tokens);
        b->sequence[s] = (tr_sequence){.token = b->token[s], .n_tokens = length,
                                       .first_target = 1 + draw(trial, &index, length),
                                       .weight = (float)(1 + draw(trial, &index, 8)) / 8}; /* sums are exact */
    }
}

static void test_random_batches_equal_a_naive_trie(void **state)
{
    (void)state;
    static batch b;
    for (uint32_t trial = 0; trial < 500; trial++) {
        draw_batch(&b, trial);
        tr_forest f = checked_forest(b.sequence, b.n);
        tr_forest_free(&f);
    }
}

static void test_the_order_of_sequences_does_not_change_the_layout(void **state)
{
    (void)state;
    static batch b;
    for (uint32_t trial = 1000; trial < 1100; trial++) {
        draw_batch(&b, trial);
        tr_sequence turned[MAX_SEQUENCES];
        for (int s = 0; s < b.n; s++) turned[s] = b.sequence[b.n - 1 - s];
        tr_forest f = checked_forest(b.sequence, b.n), g = checked_forest(turned, b.n);
        assert_int_equal(f.n_nodes, g.n_nodes);
        assert_int_equal(f.n_targets, g.n_targets);
        assert_memory_equal(f.token, g.token, (size_t)f.n_nodes * sizeof *f.token);
        assert_memory_equal(f.run, g.run, (size_t)f.n_nodes * sizeof *f.run);
        if (f.n_targets) {
            assert_memory_equal(f.target_node, g.target_node, (size_t)f.n_targets * sizeof *f.target_node);
            assert_memory_equal(f.target_token, g.target_token, (size_t)f.n_targets * sizeof *f.target_token);
            assert_memory_equal(f.target_weight, g.target_weight, (size_t)f.n_targets * sizeof *f.target_weight);
        }
        tr_forest_free(&f);
        tr_forest_free(&g);
    }
}

/* ---- groups ---- */

/* Each sequence is in one group; a group has at most max_nodes nodes, or those of its longest sequence alone, and could
 * not have taken the next. */
static void check_groups(const batch *b, int max_nodes)
{
    tr_error err = {0};
    int32_t order[MAX_SEQUENCES], *end;
    int n_groups, times[MAX_SEQUENCES] = {0};
    int64_t total, sum = 0;
    assert_ok(tr_forest_group(b->sequence, b->n, max_nodes, order, &end, &n_groups, &total, &err), err);
    assert_int_equal(end[n_groups - 1], b->n);
    for (int g = 0, from = 0; g < n_groups; from = end[g++]) {
        tr_sequence inside[MAX_SEQUENCES];
        int longest = 0;
        assert_true(end[g] > from);
        for (int i = from; i < end[g]; i++) {
            times[order[i]]++;
            inside[i - from] = b->sequence[order[i]];
            if (inside[i - from].n_tokens > longest) longest = inside[i - from].n_tokens;
        }
        tr_forest f = checked_forest(inside, end[g] - from);
        assert_true(f.n_nodes <= max_nodes || f.n_nodes == longest - 1);
        sum += f.n_nodes;
        tr_forest_free(&f);
        if (end[g] == b->n) continue;
        inside[end[g] - from] = b->sequence[order[end[g]]];
        f = checked_forest(inside, end[g] - from + 1);
        assert_true(f.n_nodes > max_nodes);
        tr_forest_free(&f);
    }
    for (int s = 0; s < b->n; s++) assert_int_equal(times[s], 1);
    assert_int_equal(total, sum);
    free(end);
}

static void test_groups_keep_every_sequence_and_respect_the_most_nodes(void **state)
{
    (void)state;
    static batch b;
    static const int limits[] = {1, 5, 15, 16, 40, 100, MAX_NODES};
    for (uint32_t trial = 2000; trial < 2100; trial++) {
        draw_batch(&b, trial);
        check_groups(&b, limits[trial % 7]);
    }
}

static void test_neighbours_of_one_prefix_share_a_group(void **state)
{
    (void)state;
    const tr_sequence four[] = {{TOKENS(1, 2, 3, 4), 3, 1}, {TOKENS(7, 8, 9, 1), 3, 1}, {TOKENS(1, 2, 3, 5), 3, 1},
                                {TOKENS(7, 8, 9, 2), 3, 1}};
    tr_error err = {0};
    int32_t order[4], *end;
    int n_groups;
    assert_ok(tr_forest_group(four, 4, 3, order, &end, &n_groups, NULL, &err), err);
    assert_int_equal(n_groups, 2);
    assert_int_equal(end[0], 2);
    assert_memory_equal(order, ((const int32_t[]){0, 2, 1, 3}), sizeof order);
    free(end);
}

static void test_no_sequences_are_no_groups(void **state)
{
    (void)state;
    tr_error err = {0};
    int32_t *end;
    int n_groups = -1;
    int64_t total = -1;
    assert_ok(tr_forest_group(NULL, 0, 10, NULL, &end, &n_groups, &total, &err), err);
    assert_int_equal(n_groups, 0);
    assert_int_equal(total, 0);
    free(end);
}

/* ---- refusals ---- */

static void test_sequences_with_nothing_to_predict_are_refused(void **state)
{
    (void)state;
    static const int32_t tokens[] = {1, 2, 3};
    static const struct {
        int n_tokens, first_target;
    } bad[] = {{0, 1}, {1, 1}, {-1, 1}, {3, 0}, {3, -2}, {3, 4}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const tr_sequence two[] = {{tokens, 3, 1, 1}, {tokens, bad[i].n_tokens, bad[i].first_target, 1}};
        tr_error err;
        tr_forest f;
        int32_t order[2], *end = NULL;
        int n_groups;
        assert_error(tr_forest_build(two, 2, &f, &err), TR_ERR_VALUE, "sequence 1", err);
        assert_null(f.token); /* nothing to release */
        assert_error(tr_forest_group(two, 2, 10, order, &end, &n_groups, NULL, &err), TR_ERR_VALUE, "sequence 1", err);
        assert_null(end);
    }
}

TR_TEST_MAIN(cmocka_unit_test(test_one_sequence_is_one_run_without_its_last_token),
             cmocka_unit_test(test_no_sequences_are_an_empty_forest),
             cmocka_unit_test(test_continuations_share_their_prefix),
             cmocka_unit_test(test_a_shared_target_carries_the_sum_of_the_weights),
             cmocka_unit_test(test_equal_sequences_are_computed_once),
             cmocka_unit_test(test_a_sequence_may_be_the_beginning_of_another),
             cmocka_unit_test(test_random_batches_equal_a_naive_trie),
             cmocka_unit_test(test_the_order_of_sequences_does_not_change_the_layout),
             cmocka_unit_test(test_groups_keep_every_sequence_and_respect_the_most_nodes),
             cmocka_unit_test(test_neighbours_of_one_prefix_share_a_group),
             cmocka_unit_test(test_no_sequences_are_no_groups),
             cmocka_unit_test(test_sequences_with_nothing_to_predict_are_refused))
