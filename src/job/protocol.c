/* This file writes down what a result is of. */
#include "job/protocol.h"

#include "base/file.h"
#include "base/sha256.h"

#include <stdlib.h>
#include <string.h>

static tr_status no_memory(tr_error *err) { return tr_fail(err, TR_ERR_MEMORY, "out of memory for a protocol"); }

tr_status tr_protocol_set(json_t *object, const char *key, json_t *value, tr_error *err)
{
    return json_object_set_new(object, key, value) == 0 ? TR_OK : no_memory(err);
}

/* The last part of a path; slashes at its end do not count. A name that is not UTF-8 is left out (NULL). */
static json_t *base_name(const char *path)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/') end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/') start--;
    json_t *name = json_stringn(path + start, end - start);
    return name ? name : json_null();
}

tr_status tr_protocol_file(const char *path, json_t **out, tr_error *err)
{
    tr_mapping mapping;
    char hash[TR_SHA256_HEX];
    *out = NULL;
    TR_TRY(tr_file_map(path, &mapping, err));
    tr_sha256_hex(mapping.data, mapping.size, hash);
    *out = json_pack("{s:o, s:I, s:s}", "file", base_name(path), "bytes", (json_int_t)mapping.size, "sha256", hash);
    tr_file_unmap(&mapping);
    return *out ? TR_OK : no_memory(err);
}

static tr_status add_file(json_t *object, const char *key, const char *folder, const char *name, tr_error *err)
{
    json_t *file = NULL;
    char *path = tr_path_join(folder, name);
    if (!path) return no_memory(err);
    tr_status status = tr_protocol_file(path, &file, err);
    free(path);
    return status == TR_OK ? tr_protocol_set(object, key, file, err) : status;
}

tr_status tr_protocol_adapter(const char *folder, json_t **out, tr_error *err)
{
    *out = json_pack("{s:o}", "folder", base_name(folder));
    if (!*out) return no_memory(err);
    tr_status status = add_file(*out, "model", folder, "adapter_model.safetensors", err);
    if (status == TR_OK) status = add_file(*out, "config", folder, "adapter_config.json", err);
    if (status != TR_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}

tr_status tr_protocol_source(const tr_source *source, const char *path, json_t **out, tr_error *err)
{
    if (source->is_folder) return tr_card_to_json(&source->dataset.card, out, err);
    return tr_protocol_file(path, out, err);
}
