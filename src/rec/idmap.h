/* A map from text ids to numbers: users, items and titles to their place in an array. */
#ifndef TR_REC_IDMAP_H
#define TR_REC_IDMAP_H

#include "base/error.h"

#define TR_NOT_FOUND SIZE_MAX

typedef struct {
    const char *key; /* borrowed; NULL marks a free slot */
    size_t value;
} tr_idmap_slot;

typedef struct {
    tr_idmap_slot *slot;
    size_t n_slots, n; /* n_slots is 0 or a power of two */
} tr_idmap;

/* Adds key -> value; a key that is there already keeps its first value. The key is borrowed: it must outlive
 * the map. */
tr_status tr_idmap_add(tr_idmap *map, const char *key, size_t value, tr_error *err);

/* The value of a key, or TR_NOT_FOUND. */
size_t tr_idmap_get(const tr_idmap *map, const char *key);

void tr_idmap_free(tr_idmap *map);

#endif
