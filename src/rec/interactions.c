/* This file implements interactions: the arrays, their lookup, grouping by user. Files are in
 * interactions_file.c. */
#include "rec/interactions.h"

#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void ungroup(tr_interactions *interactions)
{
    free(interactions->by_user);
    free(interactions->user_start);
    interactions->by_user = NULL;
    interactions->user_start = NULL;
}

void tr_interactions_free(tr_interactions *interactions)
{
    for (size_t i = 0; i < interactions->n_items; i++) {
        free(interactions->item[i].id);
        free(interactions->item[i].title);
    }
    for (size_t i = 0; i < interactions->n_users; i++) free(interactions->user[i]);
    free(interactions->item);
    free(interactions->user);
    free(interactions->rating);
    tr_idmap_free(&interactions->item_by_id);
    tr_idmap_free(&interactions->item_by_title);
    tr_idmap_free(&interactions->user_by_id);
    ungroup(interactions);
    *interactions = (tr_interactions){0};
}

tr_status tr_interactions_add_item(tr_interactions *interactions, const char *id, const char *title, tr_error *err)
{
    if (tr_interactions_item(interactions, id) != TR_NOT_FOUND)
        return tr_fail(err, TR_ERR_VALUE, "item %s is listed twice", id);
    TR_TRY(tr_reserve(&interactions->item, &interactions->items_capacity, interactions->n_items + 1,
                      sizeof *interactions->item, "items", err));
    tr_item *item = &interactions->item[interactions->n_items];
    *item = (tr_item){0};
    tr_status status = tr_strdup(&item->id, id, err);
    if (status == TR_OK) status = tr_strdup(&item->title, title, err);
    if (status != TR_OK) {
        free(item->id);
        return status;
    }
    interactions->n_items++; /* owned from here on, whatever becomes of the index */
    TR_TRY(tr_idmap_add(&interactions->item_by_id, item->id, interactions->n_items - 1, err));
    return tr_idmap_add(&interactions->item_by_title, item->title, interactions->n_items - 1, err);
}

static tr_status find_or_add_user(tr_interactions *interactions, const char *id, size_t *out, tr_error *err)
{
    *out = tr_interactions_user(interactions, id);
    if (*out != TR_NOT_FOUND) return TR_OK;
    TR_TRY(tr_reserve(&interactions->user, &interactions->users_capacity, interactions->n_users + 1,
                      sizeof *interactions->user, "users", err));
    char *copy;
    TR_TRY(tr_strdup(&copy, id, err));
    *out = interactions->n_users++;
    interactions->user[*out] = copy;
    return tr_idmap_add(&interactions->user_by_id, copy, *out, err);
}

tr_status tr_interactions_add_rating(tr_interactions *interactions, const char *user, const char *item, double rating,
                                     int64_t time, size_t line, tr_error *err)
{
    size_t item_number = tr_interactions_item(interactions, item), user_number;
    if (item_number == TR_NOT_FOUND) return tr_fail(err, TR_ERR_VALUE, "item %s is not in the catalogue", item);
    if (!isfinite(rating)) return tr_fail(err, TR_ERR_VALUE, "a rating is not a finite number");
    TR_TRY(tr_reserve(&interactions->rating, &interactions->ratings_capacity, interactions->n_ratings + 1,
                      sizeof *interactions->rating, "ratings", err));
    TR_TRY(find_or_add_user(interactions, user, &user_number, err));
    if (item_number > UINT32_MAX || user_number > UINT32_MAX)
        return tr_fail(err, TR_ERR_UNSUPPORTED, "more than 2^32 users or items");
    ungroup(interactions);
    interactions->rating[interactions->n_ratings++] = (tr_rating){
        .user = (uint32_t)user_number, .item = (uint32_t)item_number, .rating = rating, .time = time, .line = line};
    return TR_OK;
}

size_t tr_interactions_item(const tr_interactions *interactions, const char *id)
{
    return tr_idmap_get(&interactions->item_by_id, id);
}

size_t tr_interactions_item_titled(const tr_interactions *interactions, const char *title)
{
    return tr_idmap_get(&interactions->item_by_title, title);
}

size_t tr_interactions_user(const tr_interactions *interactions, const char *id)
{
    return tr_idmap_get(&interactions->user_by_id, id);
}

/* Repeats ----------------------------------------------------------------------------------------------- */

typedef struct {
    uint32_t user, item;
    size_t place;
} pair;

static int by_pair_then_place(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    if (x->user != y->user) return x->user < y->user ? -1 : 1;
    if (x->item != y->item) return x->item < y->item ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

static bool same_pair(const pair *a, const pair *b) { return a->user == b->user && a->item == b->item; }

/* first[i] = the place of the earliest rating with the user and item of rating i. */
static void find_first(const tr_interactions *interactions, pair *pairs, size_t *first)
{
    size_t n = interactions->n_ratings, start = 0;
    for (size_t i = 0; i < n; i++)
        pairs[i] = (pair){interactions->rating[i].user, interactions->rating[i].item, i};
    qsort(pairs, n, sizeof *pairs, by_pair_then_place);
    for (size_t i = 0; i < n; i++) {
        if (!same_pair(&pairs[i], &pairs[start])) start = i;
        first[pairs[i].place] = pairs[start].place;
    }
}

tr_status tr_interactions_drop_repeats(tr_interactions *interactions, tr_rating_dropped dropped, void *user,
                                       size_t *n_dropped, tr_error *err)
{
    size_t n = interactions->n_ratings, kept = 0;
    pair *pairs = NULL;
    size_t *first = NULL;
    tr_status status;
    TR_TRY_CLEANUP(tr_alloc(&pairs, n, sizeof *pairs, "finding repeats", err));
    TR_TRY_CLEANUP(tr_alloc(&first, n, sizeof *first, "finding repeats", err));
    find_first(interactions, pairs, first);
    for (size_t i = 0; dropped && i < n; i++) /* before anything moves */
        if (first[i] != i) dropped(user, &interactions->rating[first[i]], &interactions->rating[i]);
    for (size_t i = 0; i < n; i++)
        if (first[i] == i) interactions->rating[kept++] = interactions->rating[i];
    interactions->n_ratings = kept;
    if (n_dropped) *n_dropped = n - kept;
    ungroup(interactions);
cleanup:
    free(pairs);
    free(first);
    return status;
}

/* Grouping ---------------------------------------------------------------------------------------------- */

typedef struct {
    uint32_t user;
    char time[24]; /* decimal digits */
    size_t place;
} timed;

static int by_user_then_time(const void *a, const void *b)
{
    const timed *x = a, *y = b;
    if (x->user != y->user) return x->user < y->user ? -1 : 1;
    int order = strcmp(x->time, y->time);
    return order ? order : (x->place > y->place) - (x->place < y->place);
}

tr_status tr_interactions_group(tr_interactions *interactions, tr_error *err)
{
    size_t n = interactions->n_ratings;
    timed *sorted = NULL;
    tr_status status = TR_OK;
    if (interactions->by_user) return TR_OK;
    TR_TRY_CLEANUP(tr_alloc(&sorted, n, sizeof *sorted, "sorting ratings", err));
    TR_TRY_CLEANUP(tr_alloc(&interactions->by_user, n, sizeof *interactions->by_user, "sorting ratings", err));
    TR_TRY_CLEANUP(tr_alloc(&interactions->user_start, interactions->n_users + 1, sizeof *interactions->user_start,
                            "sorting ratings", err));
    for (size_t i = 0; i < n; i++) {
        sorted[i].user = interactions->rating[i].user;
        sorted[i].place = i;
        snprintf(sorted[i].time, sizeof sorted[i].time, "%" PRId64, interactions->rating[i].time);
        interactions->user_start[sorted[i].user + 1]++;
    }
    for (size_t u = 0; u < interactions->n_users; u++) interactions->user_start[u + 1] += interactions->user_start[u];
    qsort(sorted, n, sizeof *sorted, by_user_then_time);
    for (size_t i = 0; i < n; i++) interactions->by_user[i] = sorted[i].place;
cleanup:
    free(sorted);
    if (status != TR_OK) ungroup(interactions);
    return status;
}
