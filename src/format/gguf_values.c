/* This file looks up metadata and tensors of a GGUF file that gguf.c has validated. */
#include "format/gguf.h"
#include "base/memory.h"
#include "format/bytes.h"

#include <stdlib.h>

static const char *kind_name(tr_gguf_kind kind)
{
    static const char *const names[] = {"u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array",
                                        "u64",
                                        "i64", "f64"};
    return names[kind];
}

static tr_status fail_in(const tr_gguf *file, tr_status status, tr_error *err)
{
    if (file->path) tr_at(err, "%s", file->path);
    return status;
}

static tr_status fail_kind(const tr_gguf *file, const tr_gguf_value *value, const char *key, const char *wanted,
                           tr_error *err)
{
    tr_fail(err, TR_ERR_FORMAT, "the metadata value %s is of kind %s, not %s", key, kind_name(value->kind),
            wanted);
    return fail_in(file, TR_ERR_FORMAT, err);
}

static tr_status fail_missing(const tr_gguf *file, const char *key, tr_error *err)
{
    tr_fail(err, TR_ERR_FORMAT, "the metadata value %s is missing", key);
    return fail_in(file, TR_ERR_FORMAT, err);
}

const tr_gguf_value *tr_gguf_find(const tr_gguf *file, const char *key)
{
    size_t size = strlen(key);
    for (size_t i = 0; i < file->n_values; i++) {
        const tr_gguf_string *have = &file->values[i].key;
        if (have->size == size && memcmp(have->text, key, size) == 0) return &file->values[i];
    }
    return NULL;
}

/* The value as an integer when it is of an integer kind. */
static bool as_integer(const tr_gguf_value *value, bool *negative, uint64_t *magnitude)
{
    int64_t number;
    *negative = false;
    switch (value->kind) {
    case TR_GGUF_U8: *magnitude = value->data[0]; return true;
    case TR_GGUF_U16: *magnitude = tr_load_u16(value->data); return true;
    case TR_GGUF_U32: *magnitude = tr_load_u32(value->data); return true;
    case TR_GGUF_U64: *magnitude = tr_load_u64(value->data); return true;
    case TR_GGUF_I8: number = (int8_t)value->data[0]; break;
    case TR_GGUF_I16: number = (int16_t)tr_load_u16(value->data); break;
    case TR_GGUF_I32: number = (int32_t)tr_load_u32(value->data); break;
    case TR_GGUF_I64: number = (int64_t)tr_load_u64(value->data); break;
    default: return false;
    }
    *negative = number < 0;
    *magnitude = *negative ? 0 - (uint64_t)number : (uint64_t)number;
    return true;
}

static tr_status to_u32(const tr_gguf *file, const tr_gguf_value *value, const char *key, uint32_t *out,
                        tr_error *err)
{
    bool negative;
    uint64_t magnitude;
    if (!as_integer(value, &negative, &magnitude)) return fail_kind(file, value, key, "an integer", err);
    if (negative || magnitude > UINT32_MAX) {
        tr_fail(err, TR_ERR_FORMAT, "the metadata value %s is %s%llu, not within 0 and 2^32 - 1", key,
                negative ? "-" : "", (unsigned long long)magnitude);
        return fail_in(file, TR_ERR_FORMAT, err);
    }
    *out = (uint32_t)magnitude;
    return TR_OK;
}

static tr_status to_f32(const tr_gguf *file, const tr_gguf_value *value, const char *key, float *out,
                        tr_error *err)
{
    if (value->kind == TR_GGUF_F32) *out = tr_load_f32(value->data);
    else if (value->kind == TR_GGUF_F64) *out = (float)tr_load_f64(value->data);
    else return fail_kind(file, value, key, "a real number", err);
    return TR_OK;
}

tr_status tr_gguf_get_u32(const tr_gguf *file, const char *key, uint32_t fallback, uint32_t *out, tr_error *err)
{
    const tr_gguf_value *value = tr_gguf_find(file, key);
    *out = fallback;
    return value ? to_u32(file, value, key, out, err) : TR_OK;
}

tr_status tr_gguf_get_f32(const tr_gguf *file, const char *key, float fallback, float *out, tr_error *err)
{
    const tr_gguf_value *value = tr_gguf_find(file, key);
    *out = fallback;
    return value ? to_f32(file, value, key, out, err) : TR_OK;
}

tr_status tr_gguf_get_bool(const tr_gguf *file, const char *key, bool fallback, bool *out, tr_error *err)
{
    const tr_gguf_value *value = tr_gguf_find(file, key);
    *out = fallback;
    if (!value) return TR_OK;
    if (value->kind != TR_GGUF_BOOL) return fail_kind(file, value, key, "a bool", err);
    *out = value->data[0] != 0;
    return TR_OK;
}

tr_status tr_gguf_need_u32(const tr_gguf *file, const char *key, uint32_t *out, tr_error *err)
{
    const tr_gguf_value *value = tr_gguf_find(file, key);
    *out = 0;
    return value ? to_u32(file, value, key, out, err) : fail_missing(file, key, err);
}

tr_status tr_gguf_need_f32(const tr_gguf *file, const char *key, float *out, tr_error *err)
{
    const tr_gguf_value *value = tr_gguf_find(file, key);
    *out = 0;
    return value ? to_f32(file, value, key, out, err) : fail_missing(file, key, err);
}

/* The string whose length field is at *at; moves *at behind it. gguf.c has walked it before. */
static tr_gguf_string next_string(const uint8_t **at)
{
    tr_gguf_string string = {.text = (const char *)*at + 8, .size = (size_t)tr_load_u64(*at)};
    *at += 8 + string.size;
    return string;
}

tr_status tr_gguf_get_string(const tr_gguf *file, const char *key, char **out, tr_error *err)
{
    const tr_gguf_value *value = tr_gguf_find(file, key);
    *out = NULL;
    if (!value) return TR_OK;
    if (value->kind != TR_GGUF_STRING) return fail_kind(file, value, key, "a string", err);
    const uint8_t *at = value->data;
    tr_gguf_string string = next_string(&at);
    if (memchr(string.text, '\0', string.size)) {
        tr_fail(err, TR_ERR_FORMAT, "the metadata string %s holds a NUL byte", key);
        return fail_in(file, TR_ERR_FORMAT, err);
    }
    TR_TRY(tr_alloc(out, string.size + 1, 1, key, err));
    memcpy(*out, string.text, string.size);
    return TR_OK;
}

tr_status tr_gguf_need_strings(const tr_gguf *file, const char *key, tr_gguf_string **out, size_t *count,
                               tr_error *err)
{
    const tr_gguf_value *value = tr_gguf_find(file, key);
    *out = NULL;
    *count = 0;
    if (!value) return fail_missing(file, key, err);
    if (value->kind != TR_GGUF_ARRAY || value->element != TR_GGUF_STRING)
        return fail_kind(file, value, key, "an array of strings", err);
    TR_TRY(tr_alloc(out, (size_t)value->count, sizeof **out, key, err));
    const uint8_t *at = value->data;
    for (; *count < value->count; ++*count) (*out)[*count] = next_string(&at);
    return TR_OK;
}

static const tr_gguf_tensor *find_tensor(const tr_gguf *file, const char *name)
{
    for (size_t i = 0; i < file->n_tensors; i++)
        if (strcmp(file->tensors[i].name, name) == 0) return &file->tensors[i];
    return NULL;
}

tr_status tr_gguf_find_tensor(const tr_gguf *file, const char *name, const tr_gguf_tensor **out, tr_error *err)
{
    *out = find_tensor(file, name);
    if (!*out) {
        tr_fail(err, TR_ERR_FORMAT, "the tensor %s is missing", name);
        return fail_in(file, TR_ERR_FORMAT, err);
    }
    if (!tr_type_lookup((uint32_t)(*out)->type)->supported) {
        tr_fail(err, TR_ERR_UNSUPPORTED, "the tensor %s has the type %s, which cannot be decoded", name,
                tr_type_name((uint32_t)(*out)->type));
        fail_in(file, TR_ERR_UNSUPPORTED, err);
        tr_hint(err, "use a file in F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K or Q6_K");
        *out = NULL;
        return TR_ERR_UNSUPPORTED;
    }
    return TR_OK;
}

bool tr_gguf_has_tensor(const tr_gguf *file, const char *name)
{
    return find_tensor(file, name) != NULL;
}
