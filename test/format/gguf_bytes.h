/* Builds the bytes of a GGUF file by hand, so that tests can break one rule at a time. */
#ifndef TEST_FORMAT_GGUF_BYTES_H
#define TEST_FORMAT_GGUF_BYTES_H

#include "base/str.h"

#include <string.h>

static inline void put_u32(tr_str *s, uint32_t v) { tr_str_add_bytes(s, &v, 4); }
static inline void put_u64(tr_str *s, uint64_t v) { tr_str_add_bytes(s, &v, 8); }

static inline void put_text(tr_str *s, const char *text)
{
    put_u64(s, strlen(text));
    tr_str_add(s, text);
}

static inline void put_header(tr_str *s, uint32_t version, uint64_t n_tensors, uint64_t n_values)
{
    tr_str_add(s, "GGUF");
    put_u32(s, version);
    put_u64(s, n_tensors);
    put_u64(s, n_values);
}

static inline void put_u32_value(tr_str *s, const char *key, uint32_t v)
{
    put_text(s, key);
    put_u32(s, 4);
    put_u32(s, v);
}

/* A tensor info of two dimensions. */
static inline void put_tensor(tr_str *s, const char *name, uint64_t dim0, uint64_t dim1, uint32_t type,
                              uint64_t offset)
{
    put_text(s, name);
    put_u32(s, 2);
    put_u64(s, dim0);
    put_u64(s, dim1);
    put_u32(s, type);
    put_u64(s, offset);
}

/* Zeros up to a multiple of `alignment`, then `bytes` more. */
static inline void put_data(tr_str *s, size_t alignment, size_t bytes)
{
    while (s->size % alignment != 0 && !s->failed) tr_str_add_bytes(s, "", 1);
    for (size_t i = 0; i < bytes; i++) tr_str_add_bytes(s, "", 1);
}

#endif
