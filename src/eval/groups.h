/* Which rows belong together: the users of an evaluation, who are what the bootstrap resamples. */
#ifndef TR_EVAL_GROUPS_H
#define TR_EVAL_GROUPS_H

#include "base/error.h"

/* A row whose user is unknown is a group of its own. Groups are numbered by first appearance. */
typedef struct {
    size_t n;           /* rows */
    size_t n_groups;
    size_t n_users;     /* groups that are users; the others hold one row of unknown user each */
    uint32_t *of_row;   /* (n) group of each row */
    uint32_t *size;     /* (n_groups) rows of each group */
    const char **name;  /* (n_groups) the user, borrowed; NULL where unknown */
} tr_groups;

/* user (n): ids, entries may be NULL; or NULL when no user is known. The texts are borrowed. n >= 1 (TR_ERR_USAGE),
 * n < 2^32 - 1. Release with tr_groups_free. */
tr_status tr_groups_create(tr_groups *out, const char *const *user, size_t n, tr_error *err);
void tr_groups_free(tr_groups *groups);

#endif
