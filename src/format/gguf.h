/* GGUF v2 and v3 model files, mapped and treated as hostile: every offset, count and length is checked
 * before it is used. Specification: ggml/docs/gguf.md. Nothing is copied; strings and tensors point into
 * the mapping. */
#ifndef TR_FORMAT_GGUF_H
#define TR_FORMAT_GGUF_H

#include "base/error.h"
#include "base/file.h"
#include "format/quant.h"

typedef enum {
    TR_GGUF_U8 = 0, TR_GGUF_I8, TR_GGUF_U16, TR_GGUF_I16, TR_GGUF_U32, TR_GGUF_I32, TR_GGUF_F32, TR_GGUF_BOOL,
    TR_GGUF_STRING, TR_GGUF_ARRAY, TR_GGUF_U64, TR_GGUF_I64, TR_GGUF_F64,
} tr_gguf_kind;

typedef struct {
    const char *text; /* not NUL-terminated */
    size_t size;
} tr_gguf_string;

typedef struct {
    tr_gguf_string key;
    tr_gguf_kind kind;       /* TR_GGUF_ARRAY: see element and count */
    tr_gguf_kind element;    /* kind of an array's elements (never ARRAY) */
    uint64_t count;          /* elements of an array; 1 otherwise */
    const uint8_t *data;     /* first element's bytes (little-endian, unaligned) */
} tr_gguf_value;

typedef struct {
    char name[64];
    tr_type type;
    int n_dims;              /* 1..4; a scalar is a vector of one */
    uint64_t dim[4];         /* dim[0] varies fastest: a torch weight [out, in] has dim = {in, out, 1, 1} */
    const uint8_t *data;     /* in the mapping */
    uint64_t bytes;
    uint64_t offset;         /* of data, from the start of the file */
} tr_gguf_tensor;

typedef struct {
    char *path;
    tr_mapping mapping;
    uint32_t version;
    tr_gguf_value *values;
    size_t n_values;
    tr_gguf_tensor *tensors;
    size_t n_tensors;
} tr_gguf;

/* Opens and validates the whole header: no repeated key or name, whole blocks, offsets without holes, all data
 * inside the file (only the padding after the last tensor may be missing). TR_ERR_IO, TR_ERR_FORMAT (with byte
 * offset in `where`), TR_ERR_UNSUPPORTED (version 1, big-endian, arrays of arrays, a tensor type of unknown size;
 * a tensor type that is known but not supported is an error only when that tensor is asked for through
 * tr_gguf_find_tensor). On failure *out is empty and needs no close. */
tr_status tr_gguf_open(const char *path, tr_gguf *out, tr_error *err);
/* The same on bytes in memory (kept by the caller), for tests and fuzzing. */
tr_status tr_gguf_parse(const uint8_t *data, size_t size, tr_gguf *out, tr_error *err);
void tr_gguf_close(tr_gguf *file);

/* NULL when absent. */
const tr_gguf_value *tr_gguf_find(const tr_gguf *file, const char *key);

/* Typed metadata. A missing key gives `fallback`... */
tr_status tr_gguf_get_u32(const tr_gguf *file, const char *key, uint32_t fallback, uint32_t *out, tr_error *err);
tr_status tr_gguf_get_f32(const tr_gguf *file, const char *key, float fallback, float *out, tr_error *err);
tr_status tr_gguf_get_bool(const tr_gguf *file, const char *key, bool fallback, bool *out, tr_error *err);
/* ...and the _need_ forms TR_ERR_FORMAT naming the key. Any integer kind that fits is accepted as u32. */
tr_status tr_gguf_need_u32(const tr_gguf *file, const char *key, uint32_t *out, tr_error *err);
tr_status tr_gguf_need_f32(const tr_gguf *file, const char *key, float *out, tr_error *err);
/* A string as a fresh NUL-terminated copy (caller frees); NULL when the key is missing. A NUL byte inside
 * is TR_ERR_FORMAT. */
tr_status tr_gguf_get_string(const tr_gguf *file, const char *key, char **out, tr_error *err);
/* All strings of an array of strings: *out is malloc'ed (caller frees the array only). TR_ERR_FORMAT when
 * missing or of another kind. */
tr_status tr_gguf_need_strings(const tr_gguf *file, const char *key, tr_gguf_string **out, size_t *count,
                               tr_error *err);

/* The tensor of that name; TR_ERR_FORMAT naming it when missing, TR_ERR_UNSUPPORTED when its type cannot be
 * decoded. tr_gguf_has_tensor for optional ones. */
tr_status tr_gguf_find_tensor(const tr_gguf *file, const char *name, const tr_gguf_tensor **out, tr_error *err);
bool tr_gguf_has_tensor(const tr_gguf *file, const char *name);

#endif
