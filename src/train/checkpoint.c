/* This file writes and reads state.bin. */
#include "train/checkpoint.h"
#include "base/file.h"
#include "base/memory.h"
#include "format/bytes.h"

#include <stdlib.h>
#include <string.h>

enum { MAGIC_SIZE = 16, PREFIX = MAGIC_SIZE + 8, DIGEST = TR_SHA256_HEX - 1, MAX_HEADER = 1 << 20 };
static const char magic[MAGIC_SIZE] = "tallrec state\n\0\1";

/* ---- header ---- */

static json_t *position_to_json(const tr_run_position *p)
{
    return json_pack("{s:I s:I s:I s:I s:I s:f s:f s:f s:f s:s}",
                     "step", (json_int_t)p->step, "evaluated_step", (json_int_t)p->evaluated_step,
                     "best_step", (json_int_t)p->best_step, "stale", (json_int_t)p->stale,
                     "metrics_bytes", (json_int_t)p->metrics_bytes, "best_auc", p->best_auc,
                     "first_loss", p->first_loss, "last_loss", p->last_loss, "seconds", p->seconds, "cpu", p->cpu);
}

static tr_status need_count(const json_t *object, const char *key, int64_t *out, tr_error *err)
{
    TR_TRY(tr_json_need_integer(object, key, out, err));
    return *out >= 0 ? TR_OK : tr_fail(err, TR_ERR_FORMAT, "\"%s\" is negative", key);
}

static tr_status position_from_json(const json_t *object, tr_run_position *out, tr_error *err)
{
    const char *cpu;
    TR_TRY(need_count(object, "step", &out->step, err));
    TR_TRY(need_count(object, "evaluated_step", &out->evaluated_step, err));
    TR_TRY(need_count(object, "best_step", &out->best_step, err));
    TR_TRY(tr_json_need_number(object, "best_auc", &out->best_auc, err));
    TR_TRY(need_count(object, "stale", &out->stale, err));
    TR_TRY(tr_json_need_number(object, "first_loss", &out->first_loss, err));
    TR_TRY(tr_json_need_number(object, "last_loss", &out->last_loss, err));
    TR_TRY(tr_json_need_number(object, "seconds", &out->seconds, err));
    TR_TRY(need_count(object, "metrics_bytes", &out->metrics_bytes, err));
    TR_TRY(tr_json_need_string(object, "cpu", &cpu, err));
    snprintf(out->cpu, sizeof out->cpu, "%s", cpu);
    return TR_OK;
}

static tr_status header_text(const tr_checkpoint *c, tr_str *out, tr_error *err)
{
    json_t *recipe;
    TR_TRY(tr_recipe_to_json(&c->identity.recipe, &recipe, err));
    json_t *header = json_pack("{s:s s:s s:s s:s s:o s:o s:I}", "model", c->identity.model, "data", c->identity.data,
                               "valid", c->identity.valid, "start", c->identity.start, "recipe", recipe,
                               "position", position_to_json(&c->position), "n_params", (json_int_t)c->n_params);
    tr_status status = header ? tr_json_add(out, header, 0, false, err)
                              : tr_fail(err, TR_ERR_MEMORY, "out of memory for a state");
    json_decref(header);
    return status;
}

/* ---- whose state is it? ---- */

static tr_status other_input(tr_error *err, const char *what)
{
    tr_fail(err, TR_ERR_MISMATCH, "the run that is to be resumed was started with %s", what);
    return tr_hint(err, "resume with the same command, or start a new run in another folder");
}

static tr_status check_hash(const json_t *header, const char *key, const char *expected, const char *what,
                            tr_error *err)
{
    const char *hash;
    TR_TRY(tr_json_need_string(header, key, &hash, err));
    return strcmp(hash, expected) == 0 ? TR_OK : other_input(err, what);
}

static tr_status check_identity(const json_t *header, const tr_checkpoint *c, tr_error *err)
{
    tr_recipe then;
    tr_recipe_difference difference;
    int64_t n_params;
    TR_TRY(tr_recipe_from_json(json_object_get(header, "recipe"), &then, err));
    if (tr_recipe_differ(&then, &c->identity.recipe, &difference)) {
        char what[256];
        snprintf(what, sizeof what, "--%s %s, now it is %s", difference.flag, difference.a, difference.b);
        return other_input(err, what);
    }
    TR_TRY(check_hash(header, "model", c->identity.model, "another model", err));
    TR_TRY(check_hash(header, "data", c->identity.data, "other training rows", err));
    TR_TRY(check_hash(header, "valid", c->identity.valid, "other validation rows", err));
    TR_TRY(tr_json_need_integer(header, "n_params", &n_params, err));
    if (n_params < 0 || (uint64_t)n_params != c->n_params) return other_input(err, "an adapter of another size");
    return check_hash(header, "start", c->identity.start, "another initial adapter", err);
}

/* ---- writing ---- */

/* What goes to the file also goes into the digest. */
static void put(tr_writer *writer, tr_sha256 *hash, const void *data, size_t size)
{
    fwrite(data, 1, size, writer->stream);
    tr_sha256_add(hash, data, size);
}

tr_status tr_checkpoint_save(const char *path, const tr_checkpoint *c, tr_error *err)
{
    const float *const arrays[] = {c->params, c->m, c->v, c->best};
    char digest[TR_SHA256_HEX];
    uint8_t size[8];
    tr_status status;
    tr_sha256 hash;
    tr_str header = {0};
    tr_writer writer = {0};
    TR_TRY_CLEANUP(header_text(c, &header, err));
    TR_TRY_CLEANUP(tr_writer_open(&writer, path, err));
    tr_store_u64(size, header.size);
    tr_sha256_start(&hash);
    put(&writer, &hash, magic, MAGIC_SIZE);
    put(&writer, &hash, size, sizeof size);
    put(&writer, &hash, header.data, header.size);
    for (int i = 0; i < 4; i++) put(&writer, &hash, arrays[i], c->n_params * sizeof(float));
    tr_sha256_finish(&hash, digest);
    fwrite(digest, 1, DIGEST, writer.stream);
    status = tr_writer_commit(&writer, err);
cleanup:
    tr_writer_abandon(&writer);
    tr_str_free(&header);
    return status;
}

/* ---- reading ---- */

static tr_status damaged(tr_error *err, const char *how)
{
    tr_fail(err, TR_ERR_FORMAT, "the state of the run is damaged: %s", how);
    return tr_hint(err, "it cannot be resumed; adapter-last holds the last adapter; a new run needs another folder");
}

/* Checks everything that says whether the bytes are what was written; *header_size is then known to fit. */
static tr_status check_bytes(const tr_mapping *file, uint64_t *header_size, tr_error *err)
{
    char digest[TR_SHA256_HEX];
    if (file->size < PREFIX + DIGEST) return damaged(err, "it is too short");
    if (memcmp(file->data, magic, MAGIC_SIZE - 1) != 0) return damaged(err, "it does not begin like one");
    if (file->data[MAGIC_SIZE - 1] != (uint8_t)magic[MAGIC_SIZE - 1])
        return tr_fail(err, TR_ERR_UNSUPPORTED, "the state has version %d; this program reads version %d",
                       file->data[MAGIC_SIZE - 1], magic[MAGIC_SIZE - 1]);
    tr_sha256_hex(file->data, file->size - DIGEST, digest);
    if (memcmp(digest, file->data + file->size - DIGEST, DIGEST) != 0) return damaged(err, "its checksum is wrong");
    *header_size = tr_load_u64(file->data + MAGIC_SIZE);
    if (*header_size > MAX_HEADER || *header_size > file->size - PREFIX - DIGEST)
        return damaged(err, "its header is too long");
    return TR_OK;
}

static void read_arrays(const uint8_t *data, tr_checkpoint *c)
{
    float *const arrays[] = {c->params, c->m, c->v, c->best};
    for (int i = 0; i < 4; i++)
        memcpy(arrays[i], data + (size_t)i * c->n_params * sizeof(float), c->n_params * sizeof(float));
}

static tr_status read_state(const tr_mapping *file, const char *path, tr_checkpoint *c, tr_error *err)
{
    uint64_t header_size = 0;
    json_t *header = NULL;
    tr_run_position position;
    tr_status status;
    TR_TRY(check_bytes(file, &header_size, err));
    TR_TRY_CLEANUP(tr_json_parse((const char *)file->data + PREFIX, (size_t)header_size, path, &header, err));
    TR_TRY_CLEANUP(check_identity(header, c, err));
    TR_TRY_CLEANUP(position_from_json(json_object_get(header, "position"), &position, err));
    if (file->size - PREFIX - DIGEST - header_size != 4 * c->n_params * sizeof(float))
        TR_TRY_CLEANUP(damaged(err, "its size is not what its header says"));
    read_arrays(file->data + PREFIX + header_size, c);
    c->position = position;
cleanup:
    json_decref(header);
    return status;
}

tr_status tr_checkpoint_load(const char *path, tr_checkpoint *checkpoint, tr_error *err)
{
    tr_mapping file;
    TR_TRY(tr_file_map(path, &file, err));
    tr_status status = read_state(&file, path, checkpoint, err);
    tr_file_unmap(&file);
    if (status != TR_OK) tr_at(err, "%s", path);
    return status;
}
