/* safetensors files, read mapped and hostile-safe, written atomically.
 * Specification: huggingface/safetensors README and tensor.rs (no holes, no overlaps, sizes exact). */
#ifndef TR_FORMAT_SAFETENSORS_H
#define TR_FORMAT_SAFETENSORS_H

#include "base/error.h"
#include "base/file.h"

typedef struct {
    char *name;
    char dtype[12];       /* "F32", "BF16", ... */
    int n_dims;           /* 0..8 */
    uint64_t dim[8];      /* row-major, slowest first, as torch prints it */
    const uint8_t *data;  /* in the mapping */
    uint64_t bytes;
} tr_safetensor;

typedef struct {
    char *path;
    tr_mapping mapping;
    tr_safetensor *tensors;   /* in file order */
    size_t n_tensors;
} tr_safetensors;

/* Opens and validates: TR_ERR_IO; TR_ERR_FORMAT for holes, overlaps, sizes that disagree, repeated names, bad JSON;
 * TR_ERR_UNSUPPORTED for an unknown dtype or more than 8 dimensions. On failure *out is empty and needs no close.
 * tr_safetensors_parse: the same on bytes in memory (kept by the caller), for tests and fuzzing. */
tr_status tr_safetensors_open(const char *path, tr_safetensors *out, tr_error *err);
tr_status tr_safetensors_parse(const uint8_t *data, size_t size, tr_safetensors *out, tr_error *err);
void tr_safetensors_close(tr_safetensors *file);
/* NULL when absent. */
const tr_safetensor *tr_safetensors_find(const tr_safetensors *file, const char *name);

/* Decodes a tensor of dtype F32, F16 or BF16 into floats; `out` holds the product of the dims.
 * TR_ERR_UNSUPPORTED for other dtypes. */
tr_status tr_safetensor_floats(const tr_safetensor *tensor, float *out, tr_error *err);

/* A float32 tensor to be written. */
typedef struct {
    const char *name;
    int n_dims;
    uint64_t dim[8];
    const float *data;
} tr_safetensor_source;

/* Writes F32 tensors sorted by name with "__metadata__": {"format": "pt"}, data 8-byte aligned; atomic. The bytes
 * are those of the Python package. TR_ERR_VALUE for a repeated or non-UTF-8 name or a shape that overflows. */
tr_status tr_safetensors_write(const char *path, const tr_safetensor_source *tensors, size_t n, tr_error *err);

#endif
