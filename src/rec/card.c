/* This file implements the protocol card: its parts, its JSON form, and the comparison of two. */
#include "rec/card.h"

#include "base/file.h"
#include "base/memory.h"
#include "format/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CARD_NAME "card.json"
#define CARD_FORMAT "tallrec-data"
#define CARD_VERSION 1

static const char *const split_names[TR_N_SPLITS] = {"train", "valid", "test"};

const char *tr_split_name(tr_split split) { return split_names[split]; }

tr_status tr_split_parse(const char *name, tr_split *out, tr_error *err)
{
    for (int i = 0; i < TR_N_SPLITS; i++)
        if (strcmp(name, split_names[i]) == 0) {
            *out = (tr_split)i;
            return TR_OK;
        }
    return tr_fail(err, TR_ERR_USAGE, "no split is called %s; there are train, valid and test", name);
}

void tr_card_clear(tr_card *card)
{
    free(card->tallrec);
    free(card->importer);
    free(card->layout);
    free(card->protocol);
    free(card->rule);
    free(card->noun);
    for (size_t i = 0; i < card->n_sources; i++) free(card->source[i].name);
    free(card->source);
    *card = (tr_card){0};
}

tr_status tr_card_set(char **member, const char *text, tr_error *err)
{
    char *copy;
    TR_TRY(tr_strdup(&copy, text, err));
    free(*member);
    *member = copy;
    return TR_OK;
}

/* Appends an empty source called `name`. */
static tr_status add_source(tr_card *card, const char *name, tr_card_source **out, tr_error *err)
{
    TR_TRY(tr_reserve(&card->source, &card->sources_capacity, card->n_sources + 1, sizeof *card->source,
                      "source files", err));
    *out = &card->source[card->n_sources];
    **out = (tr_card_source){0};
    TR_TRY(tr_strdup(&(*out)->name, name, err));
    card->n_sources++;
    return TR_OK;
}

tr_status tr_card_add_source(tr_card *card, const char *path, tr_error *err)
{
    struct stat info;
    tr_card_source *source;
    const char *slash = strrchr(path, '/');
    if (stat(path, &info) != 0) return tr_fail_errno(err, "cannot read %s", path);
    TR_TRY(add_source(card, slash ? slash + 1 : path, &source, err));
    source->bytes = (uint64_t)info.st_size;
    return tr_sha256_file(path, source->sha256, err);
}

/* To JSON ----------------------------------------------------------------------------------------------- */

static json_t *file_json(const tr_card_file *file, bool labelled)
{
    if (!file->sha256[0]) return json_null();
    if (!labelled) return json_pack("{s:I, s:s}", "rows", (json_int_t)file->rows, "sha256", file->sha256);
    return json_pack("{s:I, s:I, s:I, s:I, s:s}", "rows", (json_int_t)file->rows, "yes", (json_int_t)file->yes, "no",
                     (json_int_t)(file->rows - file->yes), "users", (json_int_t)file->users, "sha256", file->sha256);
}

static json_t *sources_json(const tr_card *card)
{
    json_t *list = json_array();
    for (size_t i = 0; i < card->n_sources; i++) {
        const tr_card_source *source = &card->source[i];
        if (json_array_append_new(list, json_pack("{s:s, s:I, s:s}", "name", source->name, "bytes",
                                                  (json_int_t)source->bytes, "sha256", source->sha256))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *counts_json(const tr_import_counts *counts)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "lines", (json_int_t)counts->lines, "bad_lines",
                     (json_int_t)counts->bad_lines, "duplicates", (json_int_t)counts->duplicates, "missing_items",
                     (json_int_t)counts->missing_items, "latin1_lines", (json_int_t)counts->latin1_lines, "users",
                     (json_int_t)counts->users, "items", (json_int_t)counts->items, "ratings",
                     (json_int_t)counts->ratings, "windows", (json_int_t)counts->windows);
}

tr_status tr_card_to_json(const tr_card *card, json_t **out, tr_error *err)
{
    /* "o" steals, also when packing fails; a NULL among them makes it fail. */
    *out = json_pack(
        "{s:s, s:i, s:s, s:s, s:s, s:o, s:{s:s, s:s, s:s, s:i, s:f, s:I}, s:o, s:{s:o, s:o, s:o}, s:o, s:o}",
        "format", CARD_FORMAT, "format_version", CARD_VERSION, "tallrec", card->tallrec, "importer", card->importer,
        "layout", card->layout, "sources", sources_json(card), "protocol", "name", card->protocol, "rule",
        card->rule, "noun", card->noun, "history", card->history, "threshold", card->threshold, "max_windows",
        (json_int_t)card->max_windows, "counts", counts_json(&card->counts), "splits", "train",
        file_json(&card->split[TR_TRAIN], true), "valid", file_json(&card->split[TR_VALID], true), "test",
        file_json(&card->split[TR_TEST], true), "items", file_json(&card->items, false), "interactions",
        file_json(&card->interactions, false));
    return *out ? TR_OK : tr_fail(err, TR_ERR_VALUE, "the card cannot be written as JSON: a file name that is not "
                                                     "UTF-8, or out of memory");
}

/* From JSON --------------------------------------------------------------------------------------------- */

static tr_status need_size(const json_t *object, const char *key, size_t *out, tr_error *err)
{
    int64_t value;
    TR_TRY(tr_json_need_integer(object, key, &value, err));
    if (value < 0) return tr_fail(err, TR_ERR_FORMAT, "%s is negative", key);
    *out = (size_t)value;
    return TR_OK;
}

static tr_status need_text(const json_t *object, const char *key, char **out, tr_error *err)
{
    const char *text;
    TR_TRY(tr_json_need_string(object, key, &text, err));
    return tr_card_set(out, text, err);
}

static tr_status need_hash(const json_t *object, char out[TR_SHA256_HEX], tr_error *err)
{
    const char *text;
    TR_TRY(tr_json_need_string(object, "sha256", &text, err));
    if (strlen(text) != TR_SHA256_HEX - 1) return tr_fail(err, TR_ERR_FORMAT, "sha256 is not 64 digits");
    memcpy(out, text, TR_SHA256_HEX);
    return TR_OK;
}

static tr_status read_file_entry(const json_t *parent, const char *key, bool labelled, tr_card_file *out, tr_error *err)
{
    const json_t *value = json_object_get(parent, key);
    if (!value || json_is_null(value)) return TR_OK;
    TR_TRY(need_size(value, "rows", &out->rows, err));
    if (labelled) {
        TR_TRY(need_size(value, "yes", &out->yes, err));
        TR_TRY(need_size(value, "users", &out->users, err));
        if (out->yes > out->rows) return tr_fail(err, TR_ERR_FORMAT, "%s has more yes than rows", key);
    }
    return need_hash(value, out->sha256, err);
}

static tr_status read_sources(const json_t *list, tr_card *out, tr_error *err)
{
    if (!json_is_array(list)) return tr_fail(err, TR_ERR_FORMAT, "sources is not a list");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        tr_card_source *source;
        const char *name;
        size_t bytes = 0;
        TR_TRY(tr_json_need_string(value, "name", &name, err));
        TR_TRY(add_source(out, name, &source, err));
        TR_TRY(need_size(value, "bytes", &bytes, err));
        source->bytes = bytes;
        TR_TRY(need_hash(value, source->sha256, err));
    }
    return TR_OK;
}

static tr_status read_protocol(const json_t *value, tr_card *out, tr_error *err)
{
    size_t history = 0;
    TR_TRY(need_text(value, "name", &out->protocol, err));
    TR_TRY(need_text(value, "rule", &out->rule, err));
    TR_TRY(need_text(value, "noun", &out->noun, err));
    TR_TRY(need_size(value, "history", &history, err));
    if (history > 100000) return tr_fail(err, TR_ERR_FORMAT, "history is %zu titles", history);
    out->history = (int)history;
    TR_TRY(tr_json_need_number(value, "threshold", &out->threshold, err));
    return need_size(value, "max_windows", &out->max_windows, err);
}

static tr_status read_counts(const json_t *value, tr_import_counts *out, tr_error *err)
{
    TR_TRY(need_size(value, "lines", &out->lines, err));
    TR_TRY(need_size(value, "bad_lines", &out->bad_lines, err));
    TR_TRY(need_size(value, "duplicates", &out->duplicates, err));
    TR_TRY(need_size(value, "missing_items", &out->missing_items, err));
    TR_TRY(need_size(value, "latin1_lines", &out->latin1_lines, err));
    TR_TRY(need_size(value, "users", &out->users, err));
    TR_TRY(need_size(value, "items", &out->items, err));
    TR_TRY(need_size(value, "ratings", &out->ratings, err));
    return need_size(value, "windows", &out->windows, err);
}

static tr_status check_header(const json_t *value, tr_error *err)
{
    const char *format;
    int64_t version;
    bool unfinished;
    TR_TRY(tr_json_need_string(value, "format", &format, err));
    if (strcmp(format, CARD_FORMAT) != 0) return tr_fail(err, TR_ERR_FORMAT, "its format is \"%s\"", format);
    TR_TRY(tr_json_need_integer(value, "format_version", &version, err));
    if (version != CARD_VERSION) {
        tr_fail(err, TR_ERR_UNSUPPORTED, "a data folder of format version %lld", (long long)version);
        return tr_hint(err, "this program knows version %d: import again", CARD_VERSION);
    }
    TR_TRY(tr_json_get_bool(value, "unfinished", false, &unfinished, err));
    if (!unfinished) return TR_OK;
    tr_fail(err, TR_ERR_MISMATCH, "the import into this folder did not finish");
    return tr_hint(err, "run the same `tallrec import` again");
}

static tr_status read_card(const json_t *value, tr_card *out, tr_error *err)
{
    const json_t *splits = json_object_get(value, "splits");
    TR_TRY(check_header(value, err));
    TR_TRY(need_text(value, "tallrec", &out->tallrec, err));
    TR_TRY(need_text(value, "importer", &out->importer, err));
    TR_TRY(need_text(value, "layout", &out->layout, err));
    TR_TRY(read_sources(json_object_get(value, "sources"), out, err));
    TR_TRY(read_protocol(json_object_get(value, "protocol"), out, err));
    TR_TRY(read_counts(json_object_get(value, "counts"), &out->counts, err));
    for (int i = 0; i < TR_N_SPLITS; i++)
        TR_TRY(read_file_entry(splits, split_names[i], true, &out->split[i], err));
    TR_TRY(read_file_entry(value, "items", false, &out->items, err));
    return read_file_entry(value, "interactions", false, &out->interactions, err);
}

tr_status tr_card_from_json(const json_t *value, tr_card *out, tr_error *err)
{
    *out = (tr_card){0};
    tr_status status = read_card(value, out, err);
    if (status != TR_OK) tr_card_clear(out);
    return status;
}

/* In the folder ----------------------------------------------------------------------------------------- */

static tr_status card_path(const char *folder, char **out, tr_error *err)
{
    *out = tr_path_join(folder, CARD_NAME);
    return *out ? TR_OK : tr_fail(err, TR_ERR_MEMORY, "out of memory for a path");
}

static tr_status save_json(const char *folder, json_t *value, tr_error *err)
{
    char *path;
    TR_TRY(card_path(folder, &path, err));
    tr_status status = tr_json_save(path, value, false, err);
    free(path);
    return status;
}

tr_status tr_card_save(const char *folder, const tr_card *card, tr_error *err)
{
    json_t *value;
    TR_TRY(tr_card_to_json(card, &value, err));
    tr_status status = save_json(folder, value, err);
    json_decref(value);
    return status;
}

tr_status tr_card_save_unfinished(const char *folder, tr_error *err)
{
    json_t *value =
        json_pack("{s:s, s:i, s:b}", "format", CARD_FORMAT, "format_version", CARD_VERSION, "unfinished", 1);
    if (!value) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a card");
    tr_status status = save_json(folder, value, err);
    json_decref(value);
    return status;
}

tr_status tr_card_load(const char *folder, tr_card *out, tr_error *err)
{
    char *path;
    json_t *value = NULL;
    *out = (tr_card){0};
    TR_TRY(card_path(folder, &path, err));
    tr_status status;
    if (!tr_file_exists(path)) {
        tr_fail(err, TR_ERR_IO, "%s is not a data folder: it has no %s", folder, CARD_NAME);
        status = tr_hint(err, "make one with `tallrec import`");
        goto cleanup;
    }
    TR_TRY_CLEANUP(tr_json_load(path, &value, err));
    status = tr_card_from_json(value, out, err);
    if (status != TR_OK) tr_at(err, "%s", path);
cleanup:
    json_decref(value);
    free(path);
    return status;
}

bool tr_card_present(const char *folder)
{
    char *path;
    json_t *value = NULL;
    if (card_path(folder, &path, NULL) != TR_OK) return false;
    bool present = tr_file_exists(path) && tr_json_load(path, &value, NULL) == TR_OK;
    const char *format = present ? json_string_value(json_object_get(value, "format")) : NULL;
    present = format && strcmp(format, CARD_FORMAT) == 0;
    json_decref(value);
    free(path);
    return present;
}

/* Comparison -------------------------------------------------------------------------------------------- */

static bool differ(char *out, size_t size, const char *what, const char *a, const char *b)
{
    if (out) snprintf(out, size, "%s: %s and %s", what, *a ? a : "(none)", *b ? b : "(none)");
    return false;
}

static bool same_number(double a, double b, const char *what, char *out, size_t size)
{
    char x[32], y[32];
    if (a == b) return true;
    snprintf(x, sizeof x, "%.15g", a);
    snprintf(y, sizeof y, "%.15g", b);
    return differ(out, size, what, x, y);
}

static bool same_sources(const tr_card *a, const tr_card *b, char *out, size_t size)
{
    if (!same_number((double)a->n_sources, (double)b->n_sources, "number of source files", out, size)) return false;
    for (size_t i = 0; i < a->n_sources; i++) {
        const tr_card_source *x = &a->source[i], *y = &b->source[i];
        char what[128];
        if (strcmp(x->name, y->name) != 0) return differ(out, size, "source file", x->name, y->name);
        snprintf(what, sizeof what, "SHA-256 of %s", x->name);
        if (strcmp(x->sha256, y->sha256) != 0) return differ(out, size, what, x->sha256, y->sha256);
    }
    return true;
}

bool tr_card_same(const tr_card *a, const tr_card *b, char *difference, size_t size)
{
    if (strcmp(a->importer, b->importer) != 0) return differ(difference, size, "importer", a->importer, b->importer);
    if (strcmp(a->layout, b->layout) != 0) return differ(difference, size, "layout", a->layout, b->layout);
    if (!same_sources(a, b, difference, size)) return false;
    if (strcmp(a->protocol, b->protocol) != 0) return differ(difference, size, "protocol", a->protocol, b->protocol);
    if (!same_number(a->history, b->history, "history", difference, size)) return false;
    if (!same_number(a->threshold, b->threshold, "threshold", difference, size)) return false;
    if (!same_number((double)a->max_windows, (double)b->max_windows, "windows", difference, size)) return false;
    if (strcmp(a->rule, b->rule) != 0) return differ(difference, size, "rule", a->rule, b->rule);
    for (int i = 0; i < TR_N_SPLITS; i++) {
        char what[32];
        snprintf(what, sizeof what, "SHA-256 of %s.jsonl", split_names[i]);
        if (strcmp(a->split[i].sha256, b->split[i].sha256) != 0)
            return differ(difference, size, what, a->split[i].sha256, b->split[i].sha256);
    }
    return true;
}
