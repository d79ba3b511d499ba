/* Interactions: who rated what, when and how high, with the catalogue of items. What importers make, what a
 * protocol turns into examples, and what `rank` looks a user up in.
 *
 * Users and items are numbered from 0 in order of first appearance; their ids are the source's own text. */
#ifndef TR_REC_INTERACTIONS_H
#define TR_REC_INTERACTIONS_H

#include "base/error.h"
#include "rec/idmap.h"

typedef struct {
    char *id;
    char *title;
} tr_item;

typedef struct {
    uint32_t user, item;
    double rating;
    int64_t time;  /* seconds since 1970; -1 unknown */
    size_t line;   /* 1-based in the source; 0 unknown */
} tr_rating;

typedef struct {
    tr_item *item;
    size_t n_items, items_capacity;
    char **user;
    size_t n_users, users_capacity;
    tr_rating *rating;          /* in the order of the source */
    size_t n_ratings, ratings_capacity;
    tr_idmap item_by_id, item_by_title, user_by_id;

    /* Made by tr_interactions_group: ratings of user u in time order are numbers
     * by_user[user_start[u]] .. by_user[user_start[u + 1] - 1] of `rating`. NULL before. */
    size_t *by_user;            /* (n_ratings) */
    size_t *user_start;         /* (n_users + 1) */
} tr_interactions;

void tr_interactions_free(tr_interactions *interactions);

/* Adds an item. TR_ERR_VALUE when the id is there already. */
tr_status tr_interactions_add_item(tr_interactions *interactions, const char *id, const char *title, tr_error *err);

/* Adds a rating, and its user when new. TR_ERR_VALUE when the item is not in the catalogue or the rating is not
 * finite. Undoes a grouping. */
tr_status tr_interactions_add_rating(tr_interactions *interactions, const char *user, const char *item, double rating,
                                     int64_t time, size_t line, tr_error *err);

/* Places by id (or the first item of a title); TR_NOT_FOUND when unknown. */
size_t tr_interactions_item(const tr_interactions *interactions, const char *id);
size_t tr_interactions_item_titled(const tr_interactions *interactions, const char *title);
size_t tr_interactions_user(const tr_interactions *interactions, const char *id);

/* Removes every rating of an item by a user who rated it earlier in the file: with both, an item would stand in
 * its own history. Calls `dropped` (may be NULL) for each. *n_dropped (may be NULL) counts. */
typedef void (*tr_rating_dropped)(void *user, const tr_rating *kept, const tr_rating *dropped);
tr_status tr_interactions_drop_repeats(tr_interactions *interactions, tr_rating_dropped dropped, void *user,
                                       size_t *n_dropped, tr_error *err);

/* Groups the ratings by user. "In time order" is the published rule: ascending by the time's decimal digits
 * compared as text, equal times in the order of the source. (The same as by number for times with the same
 * count of digits, as all of MovieLens 100K; not across the tenth digit of September 2001.) */
tr_status tr_interactions_group(tr_interactions *interactions, tr_error *err);

/* `items.jsonl` ({id, title}, a line an item) and `interactions.jsonl` ({user, item, rating, time}, a line a
 * rating). Writing is atomic, each file by itself. */
tr_status tr_items_write(const char *path, const tr_interactions *interactions, tr_error *err);
tr_status tr_ratings_write(const char *path, const tr_interactions *interactions, tr_error *err);

/* Reading adds to `interactions`, the items first. Any bad row is TR_ERR_FORMAT with its line: these are our own
 * files. */
tr_status tr_items_read(const char *path, tr_interactions *interactions, tr_error *err);
tr_status tr_ratings_read(const char *path, tr_interactions *interactions, tr_error *err);

#endif
