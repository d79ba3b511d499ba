/* This file implements the prefix forest: sorting sequences, merging their common beginnings, cutting them into
 * groups. */
#include "model/forest.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* ---- lexicographic order ---- */

static int common_prefix(const tr_sequence *a, const tr_sequence *b)
{
    int most = (a->n_tokens < b->n_tokens ? a->n_tokens : b->n_tokens), i = 0;
    while (i < most && a->token[i] == b->token[i]) i++;
    return i;
}

static int compare(const tr_sequence *a, const tr_sequence *b)
{
    int i = common_prefix(a, b);
    if (i < a->n_tokens && i < b->n_tokens) return a->token[i] < b->token[i] ? -1 : 1;
    return a->n_tokens - b->n_tokens;
}

static int compare_indexed(const void *pa, const void *pb, void *user)
{
    const tr_sequence *sequences = user;
    int32_t a = *(const int32_t *)pa, b = *(const int32_t *)pb;
    int order = compare(&sequences[a], &sequences[b]);
    return order ? order : (a > b) - (a < b);
}

static void sort_sequences(const tr_sequence *sequences, int n, int32_t *order)
{
    for (int i = 0; i < n; i++) order[i] = i;
    if (n > 1) qsort_r(order, (size_t)n, sizeof *order, compare_indexed, (void *)(uintptr_t)sequences);
}

/* Nodes that `next` adds after `previous` in sorted order: its input tokens beyond their common inputs. */
static int new_nodes(const tr_sequence *previous, const tr_sequence *next)
{
    int inputs = next->n_tokens - 1;
    if (!previous) return inputs;
    int shared = common_prefix(previous, next);
    if (shared > previous->n_tokens - 1) shared = previous->n_tokens - 1;
    return shared < inputs ? inputs - shared : 0;
}

static tr_status check_sequences(const tr_sequence *sequences, int n, tr_error *err)
{
    for (int s = 0; s < n; s++)
        if (sequences[s].n_tokens < 2 || sequences[s].first_target < 1 ||
            sequences[s].first_target > sequences[s].n_tokens)
            return tr_fail(err, TR_ERR_VALUE,
                           "sequence %d has %d tokens and its first target at %d: nothing to predict", s,
                           sequences[s].n_tokens, sequences[s].first_target);
    return TR_OK;
}

tr_status tr_forest_group(const tr_sequence *sequences, int n, int max_nodes, int32_t *order, int32_t **group_end,
                          int *n_groups, int64_t *total_nodes, tr_error *err)
{
    int32_t *end = NULL;
    int groups = 0, nodes = 0;
    int64_t total = 0;
    TR_TRY(check_sequences(sequences, n, err));
    TR_TRY(tr_alloc(&end, (size_t)n + 1, sizeof *end, "groups of sequences", err));
    sort_sequences(sequences, n, order);
    for (int i = 0; i < n; i++) {
        const tr_sequence *next = &sequences[order[i]];
        int added = new_nodes(nodes ? &sequences[order[i - 1]] : NULL, next);
        if (nodes && added && nodes + added > max_nodes) {
            end[groups++] = i;
            total += nodes;
            nodes = 0;
            added = new_nodes(NULL, next);
        }
        nodes += added;
    }
    if (n > 0) {
        end[groups++] = n;
        total += nodes;
    }
    *group_end = end;
    *n_groups = groups;
    if (total_nodes) *total_nodes = total;
    return TR_OK;
}

/* ---- building ---- */

/* One wish of one sequence before equal ones are merged. */
typedef struct {
    int32_t node, token, slot; /* slot: index in sequence_target */
    float weight;
} wish;

static int compare_wishes(const void *pa, const void *pb)
{
    const wish *a = pa, *b = pb;
    if (a->node != b->node) return a->node < b->node ? -1 : 1;
    if (a->token != b->token) return a->token < b->token ? -1 : 1;
    return (a->slot > b->slot) - (a->slot < b->slot);
}

typedef struct {
    const tr_sequence *sequences;
    int n;
    int32_t *order, *path, *parent, *children;
    wish *wishes;
    size_t n_wishes;
} builder;

static tr_status allocate(builder *b, tr_forest *f, tr_error *err)
{
    size_t nodes = 0, wishes = 0;
    int longest = 0;
    for (int i = 0; i < b->n; i++) {
        const tr_sequence *s = &b->sequences[b->order[i]];
        nodes += (size_t)new_nodes(i ? &b->sequences[b->order[i - 1]] : NULL, s);
        wishes += (size_t)(s->n_tokens - s->first_target);
        longest = s->n_tokens > longest ? s->n_tokens : longest;
    }
    if (nodes > INT32_MAX / 2 || wishes > INT32_MAX / 2)
        return tr_fail(err, TR_ERR_VALUE, "a forest of %zu nodes is too large; use smaller batches", nodes);
    const char *what = "a prefix forest";
    TR_TRY(tr_alloc(&f->token, nodes, sizeof *f->token, what, err));
    TR_TRY(tr_alloc(&f->position, nodes, sizeof *f->position, what, err));
    TR_TRY(tr_alloc(&f->run, nodes, sizeof *f->run, what, err));
    TR_TRY(tr_alloc(&f->run_start, nodes, sizeof *f->run_start, what, err));
    TR_TRY(tr_alloc(&f->run_length, nodes, sizeof *f->run_length, what, err));
    TR_TRY(tr_alloc(&f->run_parent, nodes, sizeof *f->run_parent, what, err));
    TR_TRY(tr_alloc(&f->target_node, wishes, sizeof *f->target_node, what, err));
    TR_TRY(tr_alloc(&f->target_token, wishes, sizeof *f->target_token, what, err));
    TR_TRY(tr_alloc(&f->target_weight, wishes, sizeof *f->target_weight, what, err));
    TR_TRY(tr_alloc(&f->sequence_first, (size_t)b->n + 1, sizeof *f->sequence_first, what, err));
    TR_TRY(tr_alloc(&f->sequence_target, wishes, sizeof *f->sequence_target, what, err));
    TR_TRY(tr_alloc(&b->path, (size_t)longest, sizeof *b->path, what, err));
    TR_TRY(tr_alloc(&b->parent, nodes, sizeof *b->parent, what, err));
    TR_TRY(tr_alloc(&b->children, nodes, sizeof *b->children, what, err));
    return tr_alloc(&b->wishes, wishes, sizeof *b->wishes, what, err);
}

/* Walks the sorted sequences; path[d] is the node at depth d of the one before. */
static void add_nodes(builder *b, tr_forest *f)
{
    f->n_sequences = b->n;
    for (int s = 0; s < b->n; s++)
        f->sequence_first[s + 1] = f->sequence_first[s] + b->sequences[s].n_tokens - b->sequences[s].first_target;
    for (int i = 0; i < b->n; i++) {
        const tr_sequence *s = &b->sequences[b->order[i]];
        int added = new_nodes(i ? &b->sequences[b->order[i - 1]] : NULL, s);
        for (int d = s->n_tokens - 1 - added; d < s->n_tokens - 1; d++) {
            int node = f->n_nodes++;
            f->token[node] = s->token[d];
            f->position[node] = d;
            b->parent[node] = d ? b->path[d - 1] : -1;
            if (d) b->children[b->path[d - 1]]++;
            b->path[d] = node;
            if (d + 1 > f->max_position) f->max_position = d + 1;
        }
        for (int t = s->first_target; t < s->n_tokens; t++)
            b->wishes[b->n_wishes++] = (wish){.node = b->path[t - 1], .token = s->token[t], .weight = s->weight,
                                              .slot = f->sequence_first[b->order[i]] + t - s->first_target};
    }
}

static void add_runs(const builder *b, tr_forest *f)
{
    for (int node = 0; node < f->n_nodes; node++) {
        int parent = b->parent[node];
        if (parent >= 0 && parent == node - 1 && b->children[parent] == 1) {
            f->run[node] = f->run[parent];
            f->run_length[f->run[node]]++;
            continue;
        }
        int run = f->n_runs++;
        f->run[node] = run;
        f->run_start[run] = node;
        f->run_length[run] = 1;
        f->run_parent[run] = parent < 0 ? -1 : f->run[parent];
    }
}

static void measure_depth(tr_forest *f, int32_t *depth)
{
    for (int run = 0; run < f->n_runs; run++) {
        depth[run] = f->run_parent[run] < 0 ? 1 : depth[f->run_parent[run]] + 1;
        if (depth[run] > f->max_depth) f->max_depth = depth[run];
    }
}

/* Equal (node, token) pairs become one target; every wish remembers which. Weights are added in slot order, so the
 * sum does not depend on how sorting breaks ties. */
static void merge_targets(builder *b, tr_forest *f)
{
    if (b->n_wishes > 1) qsort(b->wishes, b->n_wishes, sizeof *b->wishes, compare_wishes);
    for (size_t i = 0; i < b->n_wishes; i++) {
        const wish *w = &b->wishes[i];
        bool same = i && b->wishes[i - 1].node == w->node && b->wishes[i - 1].token == w->token;
        if (!same) {
            f->target_node[f->n_targets] = w->node;
            f->target_token[f->n_targets++] = w->token;
        }
        f->target_weight[f->n_targets - 1] += w->weight;
        f->sequence_target[w->slot] = f->n_targets - 1;
    }
}

tr_status tr_forest_build(const tr_sequence *sequences, int n, tr_forest *out, tr_error *err)
{
    builder b = {.sequences = sequences, .n = n};
    tr_status status;
    *out = (tr_forest){0};
    TR_TRY_CLEANUP(check_sequences(sequences, n, err));
    TR_TRY_CLEANUP(tr_alloc(&b.order, (size_t)n, sizeof *b.order, "a prefix forest", err));
    sort_sequences(sequences, n, b.order);
    TR_TRY_CLEANUP(allocate(&b, out, err));
    add_nodes(&b, out);
    add_runs(&b, out);
    measure_depth(out, b.children); /* children are counted no more */
    merge_targets(&b, out);
cleanup:
    free(b.order);
    free(b.path);
    free(b.parent);
    free(b.children);
    free(b.wishes);
    if (status != TR_OK) tr_forest_free(out);
    return status;
}

void tr_forest_free(tr_forest *f)
{
    free(f->token);
    free(f->position);
    free(f->run);
    free(f->run_start);
    free(f->run_length);
    free(f->run_parent);
    free(f->target_node);
    free(f->target_token);
    free(f->target_weight);
    free(f->sequence_first);
    free(f->sequence_target);
    *f = (tr_forest){0};
}

int tr_forest_ranges(const tr_forest *forest, int run, tr_range *out)
{
    int n = 0;
    for (int r = run; r >= 0; r = forest->run_parent[r]) n++;
    int i = n;
    for (int r = run; r >= 0; r = forest->run_parent[r])
        out[--i] = (tr_range){.start = forest->run_start[r], .length = forest->run_length[r]};
    return n;
}
