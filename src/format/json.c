/* This file reads JSON: whole files, files of rows, and typed members. Writing is in json_write.c. */
#include "format/json.h"
#include "base/file.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 1 << 30, MAX_LINE = 64 << 20 };
static const size_t parse_flags = JSON_REJECT_DUPLICATES;
static const char byte_order_mark[] = "\xef\xbb\xbf";

static void skip_mark(const char **text, size_t *size)
{
    if (*size >= 3 && memcmp(*text, byte_order_mark, 3) == 0) {
        *text += 3;
        *size -= 3;
    }
}

/* jansson drops a NUL byte that follows a number, so these are looked for here. */
static tr_status fail_nul(const char *text, const char *nul, const char *name, tr_error *err)
{
    int line = 1;
    const char *start = text;
    for (const char *p = text; (p = memchr(p, '\n', (size_t)(nul - p))); start = ++p) line++;
    tr_fail(err, TR_ERR_FORMAT, "not valid JSON: a NUL byte");
    tr_at(err, "%s:%d:%td", name, line, nul - start + 1);
    return TR_ERR_FORMAT;
}

tr_status tr_json_parse(const char *text, size_t size, const char *name, json_t **out, tr_error *err)
{
    json_error_t error;
    *out = NULL;
    skip_mark(&text, &size);
    const char *nul = memchr(text, '\0', size);
    if (nul) return fail_nul(text, nul, name, err);
    *out = json_loadb(text, size, parse_flags, &error);
    if (*out) return TR_OK;
    if (json_error_code(&error) == json_error_out_of_memory)
        return tr_fail(err, TR_ERR_MEMORY, "out of memory while reading %s", name);
    tr_fail(err, TR_ERR_FORMAT, "not valid JSON: %s", error.text);
    tr_at(err, "%s:%d:%d", name, error.line, error.column);
    return TR_ERR_FORMAT;
}

tr_status tr_json_load(const char *path, json_t **out, tr_error *err)
{
    char *text;
    size_t size;
    *out = NULL;
    TR_TRY(tr_file_read(path, MAX_FILE, &text, &size, err));
    tr_status status = tr_json_parse(text, size, path, out, err);
    free(text);
    return status;
}

/* Typed members. */

/* The member, or NULL when it is missing or null. */
static const json_t *find_member(const json_t *object, const char *key)
{
    const json_t *member = json_object_get(object, key);
    return json_is_null(member) ? NULL : member;
}

static tr_status fail_member(const json_t *member, const char *key, const char *wanted, tr_error *err)
{
    static const char *const names[] = {"an object", "an array", "a string", "an integer", "a number",
                                        "true",      "false",    "null"};
    if (!member) return tr_fail(err, TR_ERR_FORMAT, "\"%s\" is missing (%s)", key, wanted);
    return tr_fail(err, TR_ERR_FORMAT, "\"%s\" is %s, not %s", key, names[json_typeof(member)], wanted);
}

static tr_status to_string(const json_t *member, const char *key, const char **out, tr_error *err)
{
    if (!json_is_string(member)) return fail_member(member, key, "a string", err);
    *out = json_string_value(member);
    return TR_OK;
}

static tr_status to_integer(const json_t *member, const char *key, int64_t *out, tr_error *err)
{
    double real = json_real_value(member); /* 0 when it is no real */
    if (json_is_integer(member)) *out = json_integer_value(member);
    else if (json_is_real(member) && floor(real) == real && fabs(real) <= 0x1p53) *out = (int64_t)real;
    else return fail_member(member, key, "an integer", err);
    return TR_OK;
}

static tr_status to_number(const json_t *member, const char *key, double *out, tr_error *err)
{
    if (!json_is_number(member)) return fail_member(member, key, "a number", err);
    *out = json_number_value(member);
    return TR_OK;
}

tr_status tr_json_need_string(const json_t *object, const char *key, const char **out, tr_error *err)
{
    return to_string(find_member(object, key), key, out, err);
}

tr_status tr_json_need_integer(const json_t *object, const char *key, int64_t *out, tr_error *err)
{
    return to_integer(find_member(object, key), key, out, err);
}

tr_status tr_json_need_number(const json_t *object, const char *key, double *out, tr_error *err)
{
    return to_number(find_member(object, key), key, out, err);
}

tr_status tr_json_get_string(const json_t *object, const char *key, const char *fallback, const char **out,
                             tr_error *err)
{
    const json_t *member = find_member(object, key);
    *out = fallback;
    return member ? to_string(member, key, out, err) : TR_OK;
}

tr_status tr_json_get_integer(const json_t *object, const char *key, int64_t fallback, int64_t *out, tr_error *err)
{
    const json_t *member = find_member(object, key);
    *out = fallback;
    return member ? to_integer(member, key, out, err) : TR_OK;
}

tr_status tr_json_get_number(const json_t *object, const char *key, double fallback, double *out, tr_error *err)
{
    const json_t *member = find_member(object, key);
    *out = fallback;
    return member ? to_number(member, key, out, err) : TR_OK;
}

tr_status tr_json_get_bool(const json_t *object, const char *key, bool fallback, bool *out, tr_error *err)
{
    const json_t *member = find_member(object, key);
    *out = fallback;
    if (!member) return TR_OK;
    if (!json_is_boolean(member)) return fail_member(member, key, "true or false", err);
    *out = json_is_true(member);
    return TR_OK;
}

/* Rows. */

static bool is_blank(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!strchr(" \t\r\n", text[i]) || text[i] == '\0') return false;
    return true;
}

/* Lines of a stream, found in a buffer that is refilled: so that memory stays bounded whatever the file. */
typedef struct {
    FILE *stream;
    char buffer[1 << 16];
    size_t at, end;
    tr_str line;    /* without the newline */
    bool too_long;  /* the line was cut at MAX_LINE; the rest is skipped */
} line_reader;

/* False at the end of the stream; ferror tells why. */
static bool refill(line_reader *r)
{
    r->at = 0;
    r->end = fread(r->buffer, 1, sizeof r->buffer, r->stream);
    return r->end > 0;
}

/* Reads the next line; false when there is none. */
static bool next_line(line_reader *r)
{
    bool any = false;
    r->line.size = 0;
    r->too_long = false;
    while (r->at < r->end || refill(r)) {
        const char *start = r->buffer + r->at;
        const char *newline = memchr(start, '\n', r->end - r->at);
        size_t n = newline ? (size_t)(newline - start) : r->end - r->at;
        if (r->line.size + n > MAX_LINE) r->too_long = true;
        else tr_str_add_bytes(&r->line, start, n);
        r->at += n + (newline ? 1 : 0);
        any = true;
        if (newline) break;
    }
    return any;
}

/* Parses one line and hands it to `row`. */
static tr_status line_row(const char *text, size_t size, bool too_long, size_t number, tr_json_row row, void *user,
                          tr_error *err)
{
    json_error_t error;
    char problem[sizeof error.text + 64];
    if (too_long) return row(user, number, NULL, "the line is longer than 64 MiB", err);
    if (memchr(text, '\0', size)) return row(user, number, NULL, "not valid JSON: a NUL byte", err);
    json_t *value = json_loadb(text, size, parse_flags | JSON_DECODE_ANY, &error);
    if (!value && json_error_code(&error) == json_error_out_of_memory)
        return tr_fail(err, TR_ERR_MEMORY, "out of memory for a line of %zu bytes", size);
    if (value && json_is_object(value)) {
        tr_status status = row(user, number, value, NULL, err);
        json_decref(value);
        return status;
    }
    if (value) snprintf(problem, sizeof problem, "not a JSON object");
    else snprintf(problem, sizeof problem, "not valid JSON at column %d: %s", error.column, error.text);
    json_decref(value);
    return row(user, number, NULL, problem, err);
}

static tr_status read_lines(line_reader *r, const char *path, tr_json_row row, void *user, tr_error *err)
{
    for (size_t number = 1; next_line(r); number++) {
        const char *text = r->line.data;
        size_t size = r->line.size;
        TR_TRY(tr_str_check(&r->line, err));
        if (number == 1) skip_mark(&text, &size);
        if (!r->too_long && is_blank(text, size)) continue;
        tr_status status = line_row(text, size, r->too_long, number, row, user, err);
        if (status != TR_OK) {
            tr_at(err, "%s:%zu", path, number);
            return status;
        }
    }
    return ferror(r->stream) ? tr_fail_errno(err, "cannot read %s", path) : TR_OK;
}

/* The rest of a stream as one text. */
static tr_status read_whole(line_reader *r, const char *path, tr_error *err)
{
    while (refill(r)) {
        if (r->end > MAX_FILE - r->line.size)
            return tr_fail(err, TR_ERR_FORMAT, "%s is a JSON array of more than 1 GiB: write it as JSON Lines",
                           path);
        tr_str_add_bytes(&r->line, r->buffer, r->end);
        TR_TRY(tr_str_check(&r->line, err));
    }
    return ferror(r->stream) ? tr_fail_errno(err, "cannot read %s", path) : TR_OK;
}

static tr_status read_array(line_reader *r, const char *path, tr_json_row row, void *user, tr_error *err)
{
    json_t *array;
    tr_status status = TR_OK;
    TR_TRY(read_whole(r, path, err));
    TR_TRY(tr_json_parse(r->line.data, r->line.size, path, &array, err));
    tr_str_free(&r->line);
    for (size_t i = 0; i < json_array_size(array) && status == TR_OK; i++) {
        json_t *value = json_array_get(array, i);
        bool fine = json_is_object(value);
        status = row(user, i + 1, fine ? value : NULL, fine ? NULL : "not a JSON object", err);
        if (status != TR_OK) tr_at(err, "%s, element %zu", path, i + 1);
    }
    json_decref(array);
    return status;
}

/* Whether the first character, after a byte order mark and white space, opens an array. */
static bool opens_array(FILE *stream)
{
    int c = getc(stream);
    for (int i = 0; i < 3 && c == (unsigned char)byte_order_mark[i]; i++) c = getc(stream);
    while (c == ' ' || c == '\t' || c == '\r' || c == '\n') c = getc(stream);
    return c == '[';
}

tr_status tr_json_rows_stream(FILE *stream, const char *name, tr_json_row row, void *user, tr_error *err)
{
    tr_status status;
    line_reader *reader = calloc(1, sizeof *reader);
    if (!reader) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a read buffer");
    reader->stream = stream;
    bool array = opens_array(stream);
    if (fseek(stream, 0, SEEK_SET) != 0) status = tr_fail_errno(err, "cannot read %s", name);
    else if (array) status = read_array(reader, name, row, user, err);
    else status = read_lines(reader, name, row, user, err);
    tr_str_free(&reader->line);
    free(reader);
    return status;
}

tr_status tr_json_rows(const char *path, tr_json_row row, void *user, tr_error *err)
{
    if (tr_folder_exists(path)) return tr_fail(err, TR_ERR_IO, "%s is a folder, not a file", path);
    FILE *stream = fopen(path, "rb");
    if (!stream) return tr_fail_errno(err, "cannot open %s", path);
    tr_status status = tr_json_rows_stream(stream, path, row, user, err);
    fclose(stream);
    return status;
}
