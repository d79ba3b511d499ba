/* This file implements text keys: an open-addressing table of indices, hashed with FNV-1a. */
#include "eval/keys.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash(const char *text)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *text; text++) h = (h ^ (uint8_t)*text) * 0x100000001b3u;
    return h ^ h >> 32;
}

/* The slot that holds `text`, or the empty one where it belongs. n_slots > n, so the walk ends. */
static size_t find_slot(const tr_keys *keys, const char *text)
{
    size_t mask = keys->n_slots - 1, at = hash(text) & mask;
    while (keys->slot[at] && strcmp(keys->name[keys->slot[at] - 1], text) != 0) at = (at + 1) & mask;
    return at;
}

static tr_status grow(tr_keys *keys, tr_error *err)
{
    size_t n_slots = keys->n_slots ? 2 * keys->n_slots : 64;
    uint32_t *slot;
    TR_TRY(tr_alloc(&slot, n_slots, sizeof *slot, "a table of keys", err));
    free(keys->slot);
    keys->slot = slot;
    keys->n_slots = n_slots;
    for (size_t i = 0; i < keys->n; i++) keys->slot[find_slot(keys, keys->name[i])] = (uint32_t)i + 1;
    return TR_OK;
}

tr_status tr_keys_add(tr_keys *keys, const char *text, uint32_t *index, tr_error *err)
{
    if (2 * (keys->n + 1) > keys->n_slots) TR_TRY(grow(keys, err));
    size_t at = find_slot(keys, text);
    if (!keys->slot[at]) {
        if (keys->n >= TR_KEY_NONE - 1) return tr_fail(err, TR_ERR_UNSUPPORTED, "more than 2^32 - 2 keys");
        TR_TRY(tr_reserve(&keys->name, &keys->capacity, keys->n + 1, sizeof *keys->name, "keys", err));
        keys->name[keys->n++] = text;
        keys->slot[at] = (uint32_t)keys->n;
    }
    *index = keys->slot[at] - 1;
    return TR_OK;
}

uint32_t tr_keys_find(const tr_keys *keys, const char *text)
{
    if (!keys->n_slots) return TR_KEY_NONE;
    uint32_t found = keys->slot[find_slot(keys, text)];
    return found ? found - 1 : TR_KEY_NONE;
}

void tr_keys_free(tr_keys *keys)
{
    free(keys->name);
    free(keys->slot);
    *keys = (tr_keys){0};
}
