/* The prefix forest: a batch of token sequences laid out so that shared beginnings are computed once.
 *
 * Nodes are the distinct (prefix, token) pairs of all sequences that something is predicted from, in depth-first
 * order: the last token of a sequence is a target only and has no node. A run is a maximal stretch of
 * consecutive nodes without a branch; its nodes see all nodes of its ancestor runs and themselves up to their own.
 * Linear layers work on the dense (n_nodes, d) matrix. Loss and gradients equal those of the padded batch:
 * a target that several sequences share carries the sum of their weights. */
#ifndef TR_MODEL_FOREST_H
#define TR_MODEL_FOREST_H

#include "base/error.h"
#include "kernel/table.h"

/* One token sequence. Tokens first_target .. n_tokens-1 are targets, each of this weight; first_target >= 1. */
typedef struct {
    const int32_t *token;
    int n_tokens;
    int first_target;
    float weight;
} tr_sequence;

typedef struct {
    /* nodes */
    int n_nodes;
    int32_t *token, *position, *run; /* (n_nodes) */
    /* runs, parents before children */
    int n_runs;
    int32_t *run_start, *run_length, *run_parent; /* (n_runs); parent -1 for a root */
    int max_depth;      /* runs on the longest chain of ancestors, itself included */
    int max_position;   /* largest position + 1 */
    /* targets, ordered by node, then token; distinct (node, token) pairs */
    int n_targets;
    int32_t *target_node, *target_token; /* (n_targets) */
    float *target_weight;                /* (n_targets), summed over the sequences that share it */
    /* each sequence's targets in order: sequence_target[sequence_first[s] .. sequence_first[s + 1]) */
    int n_sequences;
    int32_t *sequence_first;  /* (n_sequences + 1) */
    int32_t *sequence_target;
} tr_forest;

/* Builds the forest of n sequences, in the order given in results and independent of it in layout (nodes follow
 * the sequences' lexicographic order). TR_ERR_VALUE for an empty sequence or a first_target out of range.
 * O(total tokens * log n). */
tr_status tr_forest_build(const tr_sequence *sequences, int n, tr_forest *out, tr_error *err);
void tr_forest_free(tr_forest *forest);

/* Cuts sequences into groups whose forests have at most max_nodes nodes each (a single sequence may exceed it, and then
 * shares its group only with those that need no further node), neighbours in lexicographic order together. order (n)
 * becomes the permutation; group g holds order[group_end[g-1]] .. order[group_end[g] - 1] (group_end[-1] = 0);
 * *group_end is malloc'ed.
 * *total_nodes (may be NULL) is the sum of the groups' nodes. */
tr_status tr_forest_group(const tr_sequence *sequences, int n, int max_nodes, int32_t *order, int32_t **group_end,
                          int *n_groups, int64_t *total_nodes, tr_error *err);

/* The ranges that nodes of a run see, root first, the run itself last. Returns their number (<= max_depth). */
int tr_forest_ranges(const tr_forest *forest, int run, tr_range *out);

#endif
