/* Text keys to small numbers: users and items of an evaluation, in order of first appearance. */
#ifndef TR_EVAL_KEYS_H
#define TR_EVAL_KEYS_H

#include "base/error.h"

#define TR_KEY_NONE UINT32_MAX

/* Zero-initialise. `name` (n) borrows the texts that were added: they must outlive the table. */
typedef struct {
    const char **name;
    size_t n, capacity;
    uint32_t *slot; /* (n_slots) index + 1, 0 empty; n_slots is a power of two */
    size_t n_slots;
} tr_keys;

/* The number of `text`, adding it when it is new. At most 2^32 - 2 keys. TR_ERR_MEMORY. */
tr_status tr_keys_add(tr_keys *keys, const char *text, uint32_t *index, tr_error *err);

/* The number of `text`, or TR_KEY_NONE. */
uint32_t tr_keys_find(const tr_keys *keys, const char *text);

void tr_keys_free(tr_keys *keys);

#endif
