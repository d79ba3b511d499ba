/* This file reads the header of a GGUF file: every count, length and offset is checked before it is used.
 * The typed access to metadata and tensors is in gguf_values.c.
 *
 * Layout: magic, version, n_tensors, n_kv | key-value pairs | tensor infos | padding | tensor data. Nothing before
 * the data is aligned. */
#include "format/gguf.h"
#include "base/memory.h"
#include "format/bytes.h"

#include <stdlib.h>

enum {
    MAX_LENGTH = 1 << 30,            /* of a string in bytes and an array in elements, as ggml limits them */
    DEFAULT_ALIGNMENT = 32,
    SMALLEST_VALUE = 8 + 4 + 1,      /* bytes of a key-value pair with an empty key and one byte */
    SMALLEST_TENSOR = 8 + 4 + 4 + 8, /* bytes of a tensor info with an empty name and no dimension */
};

/* Where the reading is. Invariant: at <= size. */
typedef struct {
    const uint8_t *data;
    size_t size, at;
    const char *path; /* for messages; NULL when the bytes came from memory */
    tr_error *err;
} cursor;

static tr_status fail_at(const cursor *c, size_t offset, tr_status status)
{
    if (c->path) tr_at(c->err, "%s, byte %zu", c->path, offset);
    else tr_at(c->err, "byte %zu", offset);
    return status;
}

/* Fails with a message and the place. */
#define FAIL(c, offset, status, ...) (tr_fail((c)->err, status, __VA_ARGS__), fail_at(c, offset, status))

/* Advances over `bytes` bytes and gives their start. */
static tr_status take(cursor *c, uint64_t bytes, const char *what, const uint8_t **out)
{
    if (bytes > c->size - c->at) {
        FAIL(c, c->at, TR_ERR_FORMAT, "the GGUF file ends inside %s (%llu bytes wanted, %zu left)", what,
             (unsigned long long)bytes, c->size - c->at);
        tr_hint(c->err, "the file is cut short or damaged: fetch it again");
        return TR_ERR_FORMAT;
    }
    *out = c->data + c->at;
    c->at += (size_t)bytes;
    return TR_OK;
}

static tr_status take_u32(cursor *c, const char *what, uint32_t *out)
{
    const uint8_t *at;
    TR_TRY(take(c, 4, what, &at));
    *out = tr_load_u32(at);
    return TR_OK;
}

static tr_status take_u64(cursor *c, const char *what, uint64_t *out)
{
    const uint8_t *at;
    TR_TRY(take(c, 8, what, &at));
    *out = tr_load_u64(at);
    return TR_OK;
}

static tr_status take_string(cursor *c, const char *what, tr_gguf_string *out)
{
    uint64_t size;
    const uint8_t *text;
    size_t start = c->at;
    TR_TRY(take_u64(c, what, &size));
    if (size > MAX_LENGTH)
        return FAIL(c, start, TR_ERR_FORMAT, "%s claims %llu bytes", what, (unsigned long long)size);
    TR_TRY(take(c, size, what, &text));
    *out = (tr_gguf_string){.text = (const char *)text, .size = (size_t)size};
    return TR_OK;
}

/* Bytes of one element; 0 for strings, arrays and unknown kinds. */
static size_t kind_bytes(uint32_t kind)
{
    switch (kind) {
    case TR_GGUF_U8: case TR_GGUF_I8: case TR_GGUF_BOOL: return 1;
    case TR_GGUF_U16: case TR_GGUF_I16: return 2;
    case TR_GGUF_U32: case TR_GGUF_I32: case TR_GGUF_F32: return 4;
    case TR_GGUF_U64: case TR_GGUF_I64: case TR_GGUF_F64: return 8;
    default: return 0;
    }
}

/* Takes value->count elements, whose kind is value->element. */
static tr_status take_elements(cursor *c, tr_gguf_value *value)
{
    size_t bytes = kind_bytes(value->element);
    value->data = c->data + c->at;
    if (value->element != TR_GGUF_STRING) return take(c, value->count * bytes, "a metadata value", &value->data);
    for (uint64_t i = 0; i < value->count; i++) {
        tr_gguf_string unused;
        TR_TRY(take_string(c, "a metadata string", &unused));
    }
    return TR_OK;
}

static tr_status take_value(cursor *c, tr_gguf_value *value)
{
    uint32_t kind, element;
    TR_TRY(take_string(c, "a metadata key", &value->key));
    size_t start = c->at;
    TR_TRY(take_u32(c, "a metadata kind", &kind));
    element = kind;
    value->count = 1;
    if (kind == TR_GGUF_ARRAY) {
        TR_TRY(take_u32(c, "an array's kind", &element));
        TR_TRY(take_u64(c, "an array's length", &value->count));
        if (value->count > MAX_LENGTH)
            return FAIL(c, start, TR_ERR_FORMAT, "an array claims %llu elements",
                        (unsigned long long)value->count);
        if (element == TR_GGUF_ARRAY) return FAIL(c, start, TR_ERR_UNSUPPORTED, "an array holds arrays");
    }
    if (element != TR_GGUF_STRING && kind_bytes(element) == 0)
        return FAIL(c, start, TR_ERR_FORMAT, "unknown metadata kind %u", element);
    value->kind = (tr_gguf_kind)kind;
    value->element = (tr_gguf_kind)element;
    return take_elements(c, value);
}

/* Fills everything but data, bytes; `relative` is the offset from the start of the data section. */
static tr_status take_tensor(cursor *c, tr_gguf_tensor *tensor, uint64_t *relative)
{
    tr_gguf_string name;
    uint32_t n_dims, type;
    uint64_t elements = 1;
    size_t start = c->at;
    TR_TRY(take_string(c, "a tensor's name", &name));
    if (name.size >= sizeof tensor->name)
        return FAIL(c, start, TR_ERR_FORMAT, "a tensor's name has %zu bytes; at most %zu are allowed", name.size,
                    sizeof tensor->name - 1);
    if (memchr(name.text, '\0', name.size))
        return FAIL(c, start, TR_ERR_FORMAT, "a tensor's name holds a NUL byte");
    memcpy(tensor->name, name.text, name.size);
    tensor->name[name.size] = '\0';

    TR_TRY(take_u32(c, "a tensor's dimensions", &n_dims));
    if (n_dims > 4)
        return FAIL(c, start, TR_ERR_FORMAT, "tensor %s has %u dimensions; at most 4 are allowed",
                    tensor->name, n_dims);
    for (uint32_t i = 0; i < 4; i++) tensor->dim[i] = 1;
    for (uint32_t i = 0; i < n_dims; i++) {
        TR_TRY(take_u64(c, "a tensor's dimensions", &tensor->dim[i]));
        if (__builtin_mul_overflow(elements, tensor->dim[i], &elements) || tensor->dim[i] > INT64_MAX ||
            elements > INT64_MAX)
            return FAIL(c, start, TR_ERR_FORMAT, "the dimensions of tensor %s overflow", tensor->name);
    }
    tensor->n_dims = n_dims ? (int)n_dims : 1; /* a scalar is a vector of one */
    TR_TRY(take_u32(c, "a tensor's type", &type));
    TR_TRY(take_u64(c, "a tensor's offset", relative));

    const tr_type_info *info = tr_type_lookup(type);
    if (!info) {
        const char *known = tr_type_name(type);
        return FAIL(c, start, TR_ERR_UNSUPPORTED, "tensor %s has type %u (%s), which no GGUF file may hold now",
                    tensor->name, type, known ? known : "unknown");
    }
    tensor->type = (tr_type)type;
    if (tensor->dim[0] % (uint64_t)info->block_elements != 0)
        return FAIL(c, start, TR_ERR_FORMAT,
                    "tensor %s: a row of %llu elements is not a whole number of %s blocks of %d",
                    tensor->name, (unsigned long long)tensor->dim[0], info->name, info->block_elements);
    tensor->bytes = tr_type_row_bytes(tensor->type, (size_t)elements);
    if (elements > 0 && tensor->bytes == 0)
        return FAIL(c, start, TR_ERR_FORMAT, "the size of tensor %s overflows", tensor->name);
    return TR_OK;
}

static int compare_strings(const tr_gguf_string *a, const tr_gguf_string *b)
{
    size_t common = a->size < b->size ? a->size : b->size;
    int order = common ? memcmp(a->text, b->text, common) : 0;
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

static int compare_for_sort(const void *a, const void *b)
{
    return compare_strings(a, b);
}

/* Sorts `names` (scratch) and refuses two that are equal. */
static tr_status refuse_duplicates(const cursor *c, tr_gguf_string *names, size_t n, const char *what)
{
    qsort(names, n, sizeof *names, compare_for_sort);
    for (size_t i = 1; i < n; i++)
        if (compare_strings(&names[i - 1], &names[i]) == 0)
            return FAIL(c, (size_t)((const uint8_t *)names[i].text - c->data), TR_ERR_FORMAT,
                        "the %s %.*s occurs twice", what,
                        (int)(names[i].size < 80 ? names[i].size : 80), names[i].text);
    return TR_OK;
}

static tr_status read_values(cursor *c, uint64_t count, tr_gguf *file)
{
    if (count > (c->size - c->at) / SMALLEST_VALUE)
        return FAIL(c, 16, TR_ERR_FORMAT, "the file claims %llu metadata values and is too short for them",
                    (unsigned long long)count);
    TR_TRY(tr_alloc(&file->values, (size_t)count, sizeof *file->values, "GGUF metadata", c->err));
    for (; file->n_values < count; file->n_values++) TR_TRY(take_value(c, &file->values[file->n_values]));

    tr_gguf_string *keys;
    TR_TRY(tr_alloc(&keys, file->n_values, sizeof *keys, "GGUF keys", c->err));
    for (size_t i = 0; i < file->n_values; i++) keys[i] = file->values[i].key;
    tr_status status = refuse_duplicates(c, keys, file->n_values, "metadata key");
    free(keys);
    return status;
}

/* general.alignment, a power of two. */
static tr_status read_alignment(const cursor *c, const tr_gguf *file, uint32_t *out)
{
    const tr_gguf_value *value = tr_gguf_find(file, "general.alignment");
    *out = DEFAULT_ALIGNMENT;
    if (!value) return TR_OK;
    size_t offset = (size_t)(value->data - c->data);
    if (value->kind != TR_GGUF_U32) return FAIL(c, offset, TR_ERR_FORMAT, "general.alignment is not a u32");
    *out = tr_load_u32(value->data);
    if (*out == 0 || (*out & (*out - 1)) != 0)
        return FAIL(c, offset, TR_ERR_FORMAT, "general.alignment is %u, not a power of two", *out);
    return TR_OK;
}

/* Rounds up to the alignment; false on overflow. */
static bool align_up(uint64_t *offset, uint32_t alignment)
{
    uint64_t sum;
    if (__builtin_add_overflow(*offset, alignment - 1, &sum)) return false;
    *offset = sum & ~(uint64_t)(alignment - 1);
    return true;
}

/* Gives each tensor its place: offsets must follow one another without holes but for padding, and end inside the
 * file. The padding after the last tensor may be missing. */
static tr_status place_tensors(cursor *c, const uint64_t *relative, tr_gguf *file)
{
    uint32_t alignment;
    uint64_t data_start = c->at, expected = 0;
    TR_TRY(read_alignment(c, file, &alignment));
    if (!align_up(&data_start, alignment)) return FAIL(c, c->at, TR_ERR_FORMAT, "the alignment overflows");
    if (file->n_tensors == 0) return TR_OK;
    if (data_start > c->size) return FAIL(c, c->at, TR_ERR_FORMAT, "the GGUF file ends before the tensors' data");

    for (size_t i = 0; i < file->n_tensors; i++) {
        tr_gguf_tensor *tensor = &file->tensors[i];
        if (relative[i] != expected)
            return FAIL(c, c->at, TR_ERR_FORMAT, "tensor %s is at offset %llu of the data, expected at %llu",
                        tensor->name, (unsigned long long)relative[i], (unsigned long long)expected);
        uint64_t end;
        if (__builtin_add_overflow(expected, tensor->bytes, &end) || end > c->size - data_start) {
            FAIL(c, (size_t)data_start, TR_ERR_FORMAT, "the GGUF file ends inside the data of tensor %s",
                 tensor->name);
            tr_hint(c->err, "the file is cut short or damaged: fetch it again");
            return TR_ERR_FORMAT;
        }
        tensor->offset = data_start + expected;
        tensor->data = c->data + tensor->offset;
        expected = end;
        if (!align_up(&expected, alignment)) return FAIL(c, c->at, TR_ERR_FORMAT, "the tensors' offsets overflow");
    }
    return TR_OK;
}

static tr_status read_tensors(cursor *c, uint64_t count, tr_gguf *file)
{
    tr_status status = TR_OK;
    uint64_t *relative = NULL;
    tr_gguf_string *names = NULL;
    if (count > (c->size - c->at) / SMALLEST_TENSOR)
        return FAIL(c, 8, TR_ERR_FORMAT, "the file claims %llu tensors and is too short for them",
                    (unsigned long long)count);
    TR_TRY_CLEANUP(tr_alloc(&file->tensors, (size_t)count, sizeof *file->tensors, "GGUF tensors", c->err));
    TR_TRY_CLEANUP(tr_alloc(&relative, (size_t)count, sizeof *relative, "GGUF offsets", c->err));
    TR_TRY_CLEANUP(tr_alloc(&names, (size_t)count, sizeof *names, "GGUF names", c->err));
    for (size_t i = 0; i < count; i++) {
        size_t start = c->at;
        TR_TRY_CLEANUP(take_tensor(c, &file->tensors[i], &relative[i]));
        names[i] = (tr_gguf_string){.text = (const char *)c->data + start + 8,
                                    .size = strlen(file->tensors[i].name)};
        file->n_tensors++;
    }
    TR_TRY_CLEANUP(refuse_duplicates(c, names, file->n_tensors, "tensor name"));
    TR_TRY_CLEANUP(place_tensors(c, relative, file));
cleanup:
    free(relative);
    free(names);
    return status;
}

static tr_status check_version(const cursor *c, uint32_t version)
{
    if ((version & 0xffff) == 0)
        return FAIL(c, 4, TR_ERR_UNSUPPORTED, "the GGUF file is big-endian (version field %08x)", version);
    if (version < 2 || version > 3) {
        FAIL(c, 4, TR_ERR_UNSUPPORTED, "GGUF version %u is not supported; 2 and 3 are", version);
        tr_hint(c->err, "convert the model again with a current llama.cpp");
        return TR_ERR_UNSUPPORTED;
    }
    return TR_OK;
}

static tr_status parse(cursor *c, tr_gguf *file)
{
    const uint8_t *magic;
    uint64_t n_tensors, n_values;
    TR_TRY(take(c, 4, "its first bytes", &magic));
    if (memcmp(magic, "GGUF", 4) != 0)
        return FAIL(c, 0, TR_ERR_FORMAT, "not a GGUF file: it does not begin with GGUF");
    TR_TRY(take_u32(c, "the version", &file->version));
    TR_TRY(check_version(c, file->version));
    TR_TRY(take_u64(c, "the number of tensors", &n_tensors));
    TR_TRY(take_u64(c, "the number of metadata values", &n_values));
    TR_TRY(read_values(c, n_values, file));
    return read_tensors(c, n_tensors, file);
}

tr_status tr_gguf_parse(const uint8_t *data, size_t size, tr_gguf *out, tr_error *err)
{
    cursor c = {.data = data, .size = size, .err = err};
    *out = (tr_gguf){0};
    tr_status status = parse(&c, out);
    if (status != TR_OK) tr_gguf_close(out);
    return status;
}

tr_status tr_gguf_open(const char *path, tr_gguf *out, tr_error *err)
{
    tr_status status = TR_OK;
    *out = (tr_gguf){0};
    TR_TRY_CLEANUP(tr_strdup(&out->path, path, err));
    TR_TRY_CLEANUP(tr_file_map(path, &out->mapping, err));
    cursor c = {.data = out->mapping.data, .size = out->mapping.size, .path = path, .err = err};
    TR_TRY_CLEANUP(parse(&c, out));
cleanup:
    if (status != TR_OK) tr_gguf_close(out);
    return status;
}

void tr_gguf_close(tr_gguf *file)
{
    free(file->values);
    free(file->tensors);
    free(file->path);
    tr_file_unmap(&file->mapping);
    *file = (tr_gguf){0};
}
