/* This file implements groups of rows by user. */
#include "eval/groups.h"

#include "base/memory.h"
#include "rec/idmap.h"

#include <stdlib.h>

static tr_status assign(tr_groups *g, const char *const *user, tr_error *err)
{
    tr_status status = TR_OK;
    tr_idmap known = {0};
    for (size_t i = 0; i < g->n; i++) {
        const char *name = user ? user[i] : NULL;
        size_t group = name ? tr_idmap_get(&known, name) : TR_NOT_FOUND;
        if (group == TR_NOT_FOUND) {
            group = g->n_groups++;
            g->name[group] = name;
            if (name) TR_TRY_CLEANUP(tr_idmap_add(&known, name, group, err));
        }
        g->of_row[i] = (uint32_t)group;
        g->size[group]++;
    }
    g->n_users = known.n;
cleanup:
    tr_idmap_free(&known);
    return status;
}

tr_status tr_groups_create(tr_groups *out, const char *const *user, size_t n, tr_error *err)
{
    *out = (tr_groups){.n = n};
    if (!n) return tr_fail(err, TR_ERR_USAGE, "there are no rows to evaluate");
    if (n >= UINT32_MAX) return tr_fail(err, TR_ERR_UNSUPPORTED, "%zu rows are more than 2^32 - 2", n);
    tr_status status;
    TR_TRY_CLEANUP(tr_alloc(&out->of_row, n, sizeof *out->of_row, "groups of rows", err));
    TR_TRY_CLEANUP(tr_alloc(&out->size, n, sizeof *out->size, "groups of rows", err));
    TR_TRY_CLEANUP(tr_alloc(&out->name, n, sizeof *out->name, "groups of rows", err));
    TR_TRY_CLEANUP(assign(out, user, err));
    return TR_OK;
cleanup:
    tr_groups_free(out);
    return status;
}

void tr_groups_free(tr_groups *groups)
{
    free(groups->of_row);
    free(groups->size);
    free(groups->name);
    *groups = (tr_groups){0};
}
