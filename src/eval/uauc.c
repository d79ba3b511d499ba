/* This file implements AUC within users. */
#include "eval/uauc.h"

#include "base/memory.h"
#include "eval/auc.h"

#include <math.h>
#include <stdlib.h>

/* Deals the ranked rows out to their groups: `by_group` holds each group's rows together, still ascending, from
 * start[g] to start[g + 1]. */
static void deal_rows(const uint32_t *order, const tr_groups *groups, size_t *start, uint32_t *by_group)
{
    start[0] = 0;
    for (size_t g = 0; g < groups->n_groups; g++) start[g + 1] = start[g] + groups->size[g];
    for (size_t i = 0; i < groups->n; i++) by_group[start[groups->of_row[order[i]]]++] = order[i];
    for (size_t g = groups->n_groups; g > 0; g--) start[g] = start[g - 1];
    start[0] = 0;
}

tr_status tr_user_auc(const double *score, const uint8_t *label, const uint32_t *order, const tr_groups *groups,
                      double *auc, tr_error *err)
{
    tr_status status;
    size_t *start = NULL;
    uint32_t *by_group = NULL;
    TR_TRY_CLEANUP(tr_alloc(&start, groups->n_groups + 1, sizeof *start, "AUC of users", err));
    TR_TRY_CLEANUP(tr_alloc(&by_group, groups->n, sizeof *by_group, "AUC of users", err));
    deal_rows(order, groups, start, by_group);
    for (size_t g = 0; g < groups->n_groups; g++) {
        auc[g] = NAN;
        if (groups->name[g])
            tr_auc_ordered(score, label, by_group + start[g], groups->size[g], NULL, NULL, &auc[g]);
    }
cleanup:
    free(start);
    free(by_group);
    return status;
}

bool tr_uauc_of(const double *auc, const tr_groups *groups, const uint32_t *weight, tr_uauc_values *out)
{
    double users = 0, rows = 0, sum = 0, sum_by_rows = 0;
    for (size_t g = 0; g < groups->n_groups; g++) {
        if (isnan(auc[g])) continue;
        double times = weight ? weight[g] : 1;
        users += times;
        rows += times * groups->size[g];
        sum += times * auc[g];
        sum_by_rows += times * groups->size[g] * auc[g];
    }
    out->users = users;
    if (users == 0) return false;
    out->mean = sum / users;
    out->weighted = sum_by_rows / rows;
    return true;
}

tr_status tr_uauc(const double *score, const uint8_t *label, const char *const *user, size_t n, tr_uauc_values *out,
                  tr_error *err)
{
    tr_status status;
    uint32_t *order = NULL;
    double *auc = NULL;
    tr_groups groups = {0};
    TR_TRY_CLEANUP(tr_labels_check(label, n, err));
    TR_TRY_CLEANUP(tr_groups_create(&groups, user, n, err));
    TR_TRY_CLEANUP(tr_alloc(&order, n, sizeof *order, "ranking scores", err));
    TR_TRY_CLEANUP(tr_alloc(&auc, groups.n_groups, sizeof *auc, "AUC of users", err));
    TR_TRY_CLEANUP(tr_auc_order(score, n, order, err));
    TR_TRY_CLEANUP(tr_user_auc(score, label, order, &groups, auc, err));
    if (!tr_uauc_of(auc, &groups, NULL, out))
        status = tr_fail(err, TR_ERR_UNDEFINED, "UAUC is undefined: no user has rows of both labels");
cleanup:
    free(order);
    free(auc);
    tr_groups_free(&groups);
    return status;
}
