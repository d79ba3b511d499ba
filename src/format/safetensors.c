/* This file reads and writes safetensors: u64 N | N bytes of JSON | the tensors' bytes, without holes.
 * What the JSON says is believed only after every size and offset agrees with the file's. */
#include "format/safetensors.h"
#include "base/memory.h"
#include "base/str.h"
#include "format/bytes.h"
#include "format/json.h"
#include "format/quant.h"

#include <stdlib.h>

enum { PREFIX = 8, MAX_HEADER = 100000000, MAX_DIMS = 8 };

static const struct {
    const char *name;
    int bits;
} dtypes[] = {
    {"BOOL", 8}, {"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8}, {"I8", 8}, {"F8_E5M2", 8}, {"F8_E4M3", 8},
    {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16}, {"U16", 16}, {"F16", 16}, {"BF16", 16},
    {"I32", 32}, {"U32", 32}, {"F32", 32}, {"C64", 64}, {"F64", 64}, {"I64", 64}, {"U64", 64},
};

/* 0 for an unknown one. */
static int dtype_bits(const char *name)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++)
        if (strcmp(dtypes[i].name, name) == 0) return dtypes[i].bits;
    return 0;
}

/* Reading. Until the offsets are checked, a tensor's data is NULL and its range is kept beside it. */

typedef struct {
    tr_safetensor tensor;
    uint64_t begin, end;
} entry;

static tr_status to_size(const json_t *value, const char *tensor, const char *what, uint64_t *out, tr_error *err)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return tr_fail(err, TR_ERR_FORMAT, "tensor %s: %s is not a list of sizes", tensor, what);
    *out = (uint64_t)json_integer_value(value);
    return TR_OK;
}

static tr_status read_dtype(const json_t *info, tr_safetensor *t, int *bits, tr_error *err)
{
    const char *dtype = json_string_value(json_object_get(info, "dtype"));
    if (!dtype) return tr_fail(err, TR_ERR_FORMAT, "tensor %s has no dtype", t->name);
    *bits = dtype_bits(dtype);
    if (!*bits) return tr_fail(err, TR_ERR_UNSUPPORTED, "tensor %s has the unknown dtype %.40s", t->name, dtype);
    snprintf(t->dtype, sizeof t->dtype, "%s", dtype);
    return TR_OK;
}

/* Reads the shape and computes t->bytes from it. */
static tr_status read_shape(const json_t *info, int bits, tr_safetensor *t, tr_error *err)
{
    const json_t *shape = json_object_get(info, "shape");
    uint64_t total = 1;
    size_t n = json_array_size(shape);
    if (!json_is_array(shape)) return tr_fail(err, TR_ERR_FORMAT, "tensor %s has no shape", t->name);
    if (n > MAX_DIMS)
        return tr_fail(err, TR_ERR_UNSUPPORTED, "tensor %s has %zu dimensions; at most %d are read", t->name, n,
                       MAX_DIMS);
    t->n_dims = (int)n;
    for (size_t i = 0; i < n; i++) {
        TR_TRY(to_size(json_array_get(shape, i), t->name, "shape", &t->dim[i], err));
        if (__builtin_mul_overflow(total, t->dim[i], &total))
            return tr_fail(err, TR_ERR_FORMAT, "the shape of tensor %s overflows", t->name);
    }
    if (__builtin_mul_overflow(total, (uint64_t)bits, &total))
        return tr_fail(err, TR_ERR_FORMAT, "the size of tensor %s overflows", t->name);
    if (total % 8 != 0) return tr_fail(err, TR_ERR_FORMAT, "tensor %s is not a whole number of bytes", t->name);
    t->bytes = total / 8;
    return TR_OK;
}

static tr_status read_entry(const char *name, const json_t *info, entry *e, tr_error *err)
{
    tr_safetensor *t = &e->tensor;
    int bits;
    TR_TRY(tr_strdup(&t->name, name, err));
    if (!json_is_object(info)) return tr_fail(err, TR_ERR_FORMAT, "tensor %s is not described by an object", name);
    TR_TRY(read_dtype(info, t, &bits, err));
    TR_TRY(read_shape(info, bits, t, err));
    const json_t *range = json_object_get(info, "data_offsets");
    if (json_array_size(range) != 2) return tr_fail(err, TR_ERR_FORMAT, "tensor %s has no data_offsets", name);
    TR_TRY(to_size(json_array_get(range, 0), name, "data_offsets", &e->begin, err));
    TR_TRY(to_size(json_array_get(range, 1), name, "data_offsets", &e->end, err));
    if (e->end < e->begin || e->end - e->begin != t->bytes)
        return tr_fail(err, TR_ERR_FORMAT, "tensor %s: data_offsets span %lld bytes, its shape and dtype need %llu",
                       name, (long long)(e->end - e->begin), (unsigned long long)t->bytes);
    return TR_OK;
}

static tr_status check_metadata(const json_t *metadata, tr_error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata)) return tr_fail(err, TR_ERR_FORMAT, "__metadata__ is not an object");
    json_object_foreach((json_t *)metadata, key, value)
        if (!json_is_string(value))
            return tr_fail(err, TR_ERR_FORMAT, "__metadata__: \"%s\" is not a string", key);
    return TR_OK;
}

static int compare_entries(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end); /* an empty tensor comes before the one at its place */
}

/* Sorted by offset, the tensors must fill the buffer exactly. */
static tr_status place_entries(entry *entries, size_t n, const uint8_t *buffer, uint64_t size, tr_error *err)
{
    uint64_t expected = 0;
    qsort(entries, n, sizeof *entries, compare_entries);
    for (size_t i = 0; i < n; i++) {
        entry *e = &entries[i];
        if (e->begin != expected)
            return tr_fail(err, TR_ERR_FORMAT,
                           "tensor %s begins at byte %llu of the data, where %llu was expected: %s",
                           e->tensor.name, (unsigned long long)e->begin, (unsigned long long)expected,
                           e->begin > expected ? "a hole" : "tensors overlap");
        if (e->end > size)
            return tr_fail(err, TR_ERR_FORMAT, "tensor %s ends at byte %llu of the data, which has %llu",
                           e->tensor.name, (unsigned long long)e->end, (unsigned long long)size);
        e->tensor.data = buffer + e->begin;
        expected = e->end;
    }
    if (expected != size)
        return tr_fail(err, TR_ERR_FORMAT, "%llu bytes of data belong to no tensor",
                       (unsigned long long)(size - expected));
    return TR_OK;
}

/* Takes the names over from `entries`. */
static tr_status move_tensors(entry *entries, size_t n, tr_safetensors *file, tr_error *err)
{
    TR_TRY(tr_alloc(&file->tensors, n, sizeof *file->tensors, "safetensors", err));
    for (size_t i = 0; i < n; i++) {
        file->tensors[i] = entries[i].tensor;
        entries[i].tensor.name = NULL;
    }
    file->n_tensors = n;
    return TR_OK;
}

static tr_status read_header(json_t *header, const uint8_t *buffer, uint64_t size, tr_safetensors *file,
                             tr_error *err)
{
    tr_status status = TR_OK;
    entry *entries = NULL;
    size_t n = 0;
    const char *name;
    json_t *info;
    TR_TRY(tr_alloc(&entries, json_object_size(header), sizeof *entries, "safetensors", err));
    json_object_foreach(header, name, info) {
        if (strcmp(name, "__metadata__") == 0) TR_TRY_CLEANUP(check_metadata(info, err));
        else TR_TRY_CLEANUP(read_entry(name, info, &entries[n++], err));
    }
    TR_TRY_CLEANUP(place_entries(entries, n, buffer, size, err));
    TR_TRY_CLEANUP(move_tensors(entries, n, file, err));
cleanup:
    for (size_t i = 0; i < n; i++) free(entries[i].tensor.name);
    free(entries);
    return status;
}

static tr_status parse(const uint8_t *data, size_t size, const char *name, tr_safetensors *file, tr_error *err)
{
    json_t *header;
    if (size < PREFIX) return tr_fail(err, TR_ERR_FORMAT, "not a safetensors file: it has %zu bytes", size);
    uint64_t header_size = tr_load_u64(data);
    if (header_size > MAX_HEADER)
        return tr_fail(err, TR_ERR_FORMAT, "not a safetensors file: it claims a header of %llu bytes",
                       (unsigned long long)header_size);
    if (header_size > size - PREFIX) {
        tr_fail(err, TR_ERR_FORMAT, "the safetensors file ends inside its header (%llu bytes wanted, %zu left)",
                (unsigned long long)header_size, size - PREFIX);
        tr_hint(err, "the file is cut short: copy or fetch it again");
        return TR_ERR_FORMAT;
    }
    if (header_size == 0 || data[PREFIX] != '{')
        return tr_fail(err, TR_ERR_FORMAT, "not a safetensors file: its header does not begin with {");
    TR_TRY(tr_json_parse((const char *)data + PREFIX, (size_t)header_size, name, &header, err));
    tr_status status = read_header(header, data + PREFIX + header_size, size - PREFIX - header_size, file, err);
    json_decref(header);
    return status;
}

tr_status tr_safetensors_parse(const uint8_t *data, size_t size, tr_safetensors *out, tr_error *err)
{
    *out = (tr_safetensors){0};
    return parse(data, size, "header", out, err);
}

tr_status tr_safetensors_open(const char *path, tr_safetensors *out, tr_error *err)
{
    tr_status status = TR_OK;
    *out = (tr_safetensors){0};
    TR_TRY_CLEANUP(tr_strdup(&out->path, path, err));
    TR_TRY_CLEANUP(tr_file_map(path, &out->mapping, err));
    status = parse(out->mapping.data, out->mapping.size, path, out, err);
    if (status != TR_OK) tr_at(err, "%s", path);
cleanup:
    if (status != TR_OK) tr_safetensors_close(out);
    return status;
}

void tr_safetensors_close(tr_safetensors *file)
{
    for (size_t i = 0; i < file->n_tensors; i++) free(file->tensors[i].name);
    free(file->tensors);
    free(file->path);
    tr_file_unmap(&file->mapping);
    *file = (tr_safetensors){0};
}

const tr_safetensor *tr_safetensors_find(const tr_safetensors *file, const char *name)
{
    for (size_t i = 0; i < file->n_tensors; i++)
        if (strcmp(file->tensors[i].name, name) == 0) return &file->tensors[i];
    return NULL;
}

tr_status tr_safetensor_floats(const tr_safetensor *tensor, float *out, tr_error *err)
{
    if (strcmp(tensor->dtype, "F32") == 0) tr_dequantize(TR_TYPE_F32, tensor->data, out, tensor->bytes / 4);
    else if (strcmp(tensor->dtype, "F16") == 0) tr_dequantize(TR_TYPE_F16, tensor->data, out, tensor->bytes / 2);
    else if (strcmp(tensor->dtype, "BF16") == 0) tr_dequantize(TR_TYPE_BF16, tensor->data, out, tensor->bytes / 2);
    else return tr_fail(err, TR_ERR_UNSUPPORTED, "tensor %s has the dtype %s; F32, F16 and BF16 are read",
                        tensor->name,
                        tensor->dtype);
    return TR_OK;
}

/* Writing. The bytes equal those of the Python package, whose order is dtype, then name. */

static int compare_sources(const void *a, const void *b)
{
    const tr_safetensor_source *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static tr_status source_bytes(const tr_safetensor_source *t, uint64_t *bytes, tr_error *err)
{
    *bytes = sizeof(float);
    if (t->n_dims < 0 || t->n_dims > MAX_DIMS)
        return tr_fail(err, TR_ERR_VALUE, "tensor %s has %d dimensions; 0 to %d can be written", t->name, t->n_dims,
                       MAX_DIMS);
    for (int i = 0; i < t->n_dims; i++)
        if (__builtin_mul_overflow(*bytes, t->dim[i], bytes))
            return tr_fail(err, TR_ERR_VALUE, "the shape of tensor %s overflows", t->name);
    return TR_OK;
}

static tr_status add_name(tr_str *header, const char *name, tr_error *err)
{
    json_t *string = json_string(name);
    if (!string) return tr_fail(err, TR_ERR_VALUE, "a tensor's name is not UTF-8 text");
    tr_status status = tr_json_add(header, string, 0, false, err);
    json_decref(string);
    return status;
}

static tr_status add_entry(tr_str *header, const tr_safetensor_source *t, uint64_t begin, uint64_t end,
                           tr_error *err)
{
    tr_str_add(header, ",");
    TR_TRY(add_name(header, t->name, err));
    tr_str_add(header, ":{\"dtype\":\"F32\",\"shape\":[");
    for (int i = 0; i < t->n_dims; i++) tr_str_addf(header, "%s%llu", i ? "," : "", (unsigned long long)t->dim[i]);
    tr_str_addf(header, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)begin, (unsigned long long)end);
    return TR_OK;
}

/* The JSON of the sorted tensors, padded with spaces so that the data begins at a multiple of 8. */
static tr_status make_header(tr_str *header, const tr_safetensor_source *const *sorted, size_t n, tr_error *err)
{
    uint64_t offset = 0;
    tr_str_add(header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < n; i++) {
        const tr_safetensor_source *t = sorted[i];
        uint64_t bytes, end;
        if (strcmp(t->name, "__metadata__") == 0)
            return tr_fail(err, TR_ERR_VALUE, "a tensor cannot be named __metadata__");
        if (i > 0 && strcmp(t->name, sorted[i - 1]->name) == 0)
            return tr_fail(err, TR_ERR_VALUE, "two tensors are named %s", t->name);
        TR_TRY(source_bytes(t, &bytes, err));
        if (__builtin_add_overflow(offset, bytes, &end))
            return tr_fail(err, TR_ERR_VALUE, "the tensors' sizes overflow");
        TR_TRY(add_entry(header, t, offset, end, err));
        offset = end;
    }
    tr_str_add(header, "}");
    while (header->size % 8 != 0 && !header->failed) tr_str_add(header, " ");
    return tr_str_check(header, err);
}

static tr_status write_file(const char *path, const tr_str *header, const tr_safetensor_source *const *sorted,
                            size_t n,
                            tr_error *err)
{
    tr_writer writer;
    uint8_t prefix[PREFIX];
    TR_TRY(tr_writer_open(&writer, path, err));
    tr_store_u64(prefix, header->size);
    fwrite(prefix, 1, sizeof prefix, writer.stream);
    fwrite(header->data, 1, header->size, writer.stream);
    for (size_t i = 0; i < n; i++) {
        size_t floats = 1; /* make_header has checked that this fits */
        for (int d = 0; d < sorted[i]->n_dims; d++) floats *= (size_t)sorted[i]->dim[d];
        if (floats > 0) fwrite(sorted[i]->data, sizeof(float), floats, writer.stream);
    }
    return tr_writer_commit(&writer, err);
}

tr_status tr_safetensors_write(const char *path, const tr_safetensor_source *tensors, size_t n, tr_error *err)
{
    tr_status status = TR_OK;
    tr_str header = {0};
    const tr_safetensor_source **sorted;
    TR_TRY(tr_alloc(&sorted, n, sizeof *sorted, "safetensors", err));
    for (size_t i = 0; i < n; i++) sorted[i] = &tensors[i];
    qsort(sorted, n, sizeof *sorted, compare_sources);
    TR_TRY_CLEANUP(make_header(&header, sorted, n, err));
    TR_TRY_CLEANUP(write_file(path, &header, sorted, n, err));
cleanup:
    tr_str_free(&header);
    free(sorted);
    return status;
}
