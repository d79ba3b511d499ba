/* Memory: checked allocation, and an arena for the big numeric buffers. Out of memory is a normal path. */
#ifndef TR_BASE_MEMORY_H
#define TR_BASE_MEMORY_H

#include "base/error.h"

/* `count` zeroed elements of `size` bytes. On overflow or exhaustion TR_ERR_MEMORY naming `what`
 * and *out stays NULL. The caller frees with free(). count 0 gives a valid pointer. */
tr_status tr_alloc(void *out_pointer, size_t count, size_t size, const char *what, tr_error *err);

/* Grows a dynamic array so that it can hold `needed` elements (doubling). `items` is the address of
 * the array pointer, `capacity` its element capacity. The new part is not zeroed. */
tr_status tr_reserve(void *items_pointer, size_t *capacity, size_t needed, size_t size, const char *what,
                     tr_error *err);

/* strdup that reports. The caller frees. */
tr_status tr_strdup(char **out, const char *text, tr_error *err);

/* An arena: one reservation, handed out in 64-byte aligned pieces, all released together. Its memory comes
 * straight from the kernel, so only touched pages count as resident. */
typedef struct {
    uint8_t *base;
    size_t size, used;
} tr_arena;

tr_status tr_arena_create(tr_arena *arena, size_t bytes, const char *what, tr_error *err);
void tr_arena_destroy(tr_arena *arena);

/* The next `count * size` bytes, 64-byte aligned, zero when the arena is fresh. The plan that sized the
 * arena and the code that draws from it are the same function (see model/session.c), so running out is a
 * bug: NULL and an assertion in debug builds. With arena->base == NULL only counts, and returns NULL. */
void *tr_arena_take(tr_arena *arena, size_t count, size_t size);

#endif
