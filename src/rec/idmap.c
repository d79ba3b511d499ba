/* This file implements the id map: open addressing with linear probing, at most half full. */
#include "rec/idmap.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a, 64 bits (Fowler, Noll, Vo), folded because the low bits choose the slot. */
static uint64_t hash_text(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash ^ (hash >> 32);
}

/* The slot that holds `key`, or the free one where it would go. */
static tr_idmap_slot *slot_of(const tr_idmap *map, const char *key)
{
    size_t mask = map->n_slots - 1, i = (size_t)hash_text(key) & mask;
    while (map->slot[i].key && strcmp(map->slot[i].key, key) != 0) i = (i + 1) & mask;
    return &map->slot[i];
}

static tr_status grow(tr_idmap *map, tr_error *err)
{
    tr_idmap bigger = {.n_slots = map->n_slots ? 2 * map->n_slots : 64, .n = map->n};
    TR_TRY(tr_alloc(&bigger.slot, bigger.n_slots, sizeof *bigger.slot, "an index of ids", err));
    for (size_t i = 0; i < map->n_slots; i++)
        if (map->slot[i].key) *slot_of(&bigger, map->slot[i].key) = map->slot[i];
    free(map->slot);
    *map = bigger;
    return TR_OK;
}

tr_status tr_idmap_add(tr_idmap *map, const char *key, size_t value, tr_error *err)
{
    if (2 * (map->n + 1) > map->n_slots) TR_TRY(grow(map, err));
    tr_idmap_slot *slot = slot_of(map, key);
    if (slot->key) return TR_OK;
    *slot = (tr_idmap_slot){key, value};
    map->n++;
    return TR_OK;
}

size_t tr_idmap_get(const tr_idmap *map, const char *key)
{
    if (map->n == 0) return TR_NOT_FOUND;
    const tr_idmap_slot *slot = slot_of(map, key);
    return slot->key ? slot->value : TR_NOT_FOUND;
}

void tr_idmap_free(tr_idmap *map)
{
    free(map->slot);
    *map = (tr_idmap){0};
}
