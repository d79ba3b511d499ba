/* AUC within users: does the order of one user's items follow what that user likes? The pooled AUC also rewards
 * knowing who is generous; this one does not. */
#ifndef TR_EVAL_UAUC_H
#define TR_EVAL_UAUC_H

#include "eval/groups.h"

/* The AUC of each user's rows. auc (n_groups): NaN where the user has one label only, or the group is not a user.
 * order: rows by ascending score (tr_auc_order). */
tr_status tr_user_auc(const double *score, const uint8_t *label, const uint32_t *order, const tr_groups *groups,
                      double *auc, tr_error *err);

typedef struct {
    double mean;     /* of the AUCs of users with both labels, each user counted once */
    double weighted; /* the same, each user counted by the number of rows */
    double users;    /* how many users had both labels (with their multiplicity in a resample) */
} tr_uauc_values;

/* Means over users; group g counts weight[g] times, or once when weight is NULL. False when no user has both
 * labels (users is then 0, the means are left alone). */
bool tr_uauc_of(const double *auc, const tr_groups *groups, const uint32_t *weight, tr_uauc_values *out);

/* Both steps from plain arrays. TR_ERR_UNDEFINED when no user has both labels; TR_ERR_VALUE for a NaN score. */
tr_status tr_uauc(const double *score, const uint8_t *label, const char *const *user, size_t n, tr_uauc_values *out,
                  tr_error *err);

#endif
