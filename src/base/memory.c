/* This file implements checked allocation and arenas. */
#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

tr_status tr_alloc(void *out_pointer, size_t count, size_t size, const char *what, tr_error *err)
{
    void *memory = NULL;
    size_t bytes;
    if (!__builtin_mul_overflow(count, size, &bytes)) memory = calloc(bytes ? bytes : 1, 1);
    memcpy(out_pointer, &memory, sizeof memory);
    if (!memory) return tr_fail(err, TR_ERR_MEMORY, "out of memory: %zu x %zu bytes for %s", count, size, what);
    return TR_OK;
}

tr_status tr_reserve(void *items_pointer, size_t *capacity, size_t needed, size_t size, const char *what,
                     tr_error *err)
{
    if (needed <= *capacity) return TR_OK;
    size_t wanted = *capacity ? *capacity : 16;
    while (wanted < needed)
        if (__builtin_mul_overflow(wanted, (size_t)2, &wanted)) {
            wanted = needed;
            break;
        }
    size_t bytes;
    void *items;
    memcpy(&items, items_pointer, sizeof items);
    void *grown = __builtin_mul_overflow(wanted, size, &bytes) ? NULL : realloc(items, bytes);
    if (!grown) return tr_fail(err, TR_ERR_MEMORY, "out of memory: %zu x %zu bytes for %s", wanted, size, what);
    memcpy(items_pointer, &grown, sizeof grown);
    *capacity = wanted;
    return TR_OK;
}

tr_status tr_strdup(char **out, const char *text, tr_error *err)
{
    *out = strdup(text);
    return *out ? TR_OK : tr_fail(err, TR_ERR_MEMORY, "out of memory for a string of %zu bytes", strlen(text));
}

tr_status tr_arena_create(tr_arena *arena, size_t bytes, const char *what, tr_error *err)
{
    *arena = (tr_arena){0};
    void *base = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                      -1, 0);
    if (base == MAP_FAILED)
        return tr_fail(err, TR_ERR_MEMORY, "out of memory: %.1f MB for %s", (double)bytes / 1e6, what);
    madvise(base, bytes, MADV_HUGEPAGE);
    *arena = (tr_arena){.base = base, .size = bytes ? bytes : 1};
    return TR_OK;
}

void tr_arena_destroy(tr_arena *arena)
{
    if (arena->base) munmap(arena->base, arena->size);
    *arena = (tr_arena){0};
}

void *tr_arena_take(tr_arena *arena, size_t count, size_t size)
{
    size_t bytes = (count * size + 63) & ~(size_t)63;
    size_t start = arena->used;
    arena->used += bytes;
    if (!arena->base) return NULL;
    assert(arena->used <= arena->size);
    return arena->used <= arena->size ? arena->base + start : NULL;
}
