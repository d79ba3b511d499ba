/* What a person gives `rank` by hand: a history, and the candidates to order. */
#ifndef TR_REC_RANK_INPUT_H
#define TR_REC_RANK_INPUT_H

#include "rec/example.h"
#include "rec/interactions.h"

#define TR_RANK_INPUT_MAX 1000000 /* entries of a file */

/* Reads a history, oldest first. Accepted: a JSON array, or JSON Lines, of {title or item, liked}; or lines of
 * "TITLE<tab>LIKED". LIKED is true/false, yes/no, 1/0. An item id is looked up in the catalogue (may be NULL), and a
 * title gets its id from there; a title that it lacks is taken as it is. TR_ERR_FORMAT with the line for anything
 * else, TR_ERR_VALUE for an unknown id or an empty history. Caller: tr_history_free. */
tr_status tr_history_read(const char *path, const tr_interactions *catalogue, tr_history_item **out, size_t *n,
                          tr_error *err);

/* Reads candidates: lines with an item id or a title each; or a JSON array of those; or an array or JSON Lines of
 * {item} or {title}. Ids are tried first. A title that the catalogue (may be NULL) lacks is taken as it is, with
 * id NULL and a warning; a title or id given twice counts once. Errors as above. Caller: tr_candidates_free. */
tr_status tr_candidates_read(const char *path, const tr_interactions *catalogue, tr_item **out, size_t *n,
                             tr_error *err);
void tr_candidates_free(tr_item *items, size_t n);

/* The question whether somebody with this history will like `title`: a whole example, label -1 and output "".
 * All text is copied. Caller: tr_example_clear. */
tr_status tr_example_make(const char *noun, const tr_history_item *history, size_t n_history, const char *item,
                          const char *title, tr_example *out, tr_error *err);

#endif
