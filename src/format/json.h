/* JSON with jansson, plus what a data file needs: errors with line numbers, typed access that names the key,
 * JSONL line by line, atomic writing. Files are treated as hostile: sizes and depth are limited, and a repeated
 * key, a NUL inside a string, NaN, or bytes that are not UTF-8 are errors. A UTF-8 byte order mark is skipped. */
#ifndef TR_FORMAT_JSON_H
#define TR_FORMAT_JSON_H

#include "base/error.h"
#include "base/str.h"
#include <jansson.h>
#include <stdio.h>

/* Parses a whole file (at most 1 GiB), an object or an array. TR_ERR_FORMAT with `path:line:column` in where.
 * Caller json_decref's. */
tr_status tr_json_load(const char *path, json_t **out, tr_error *err);
/* The same from memory; `name` stands for the path in messages. */
tr_status tr_json_parse(const char *text, size_t size, const char *name, json_t **out, tr_error *err);
/* Writes with indent 2, keys in insertion order unless sort_keys, a final newline; atomic. */
tr_status tr_json_save(const char *path, const json_t *value, bool sort_keys, tr_error *err);

/* Appends a value as text: on one line when indent is 0, else with that many spaces a level. Numbers are the
 * shortest that read back the same. TR_ERR_VALUE when nested deeper than 2048; TR_ERR_MEMORY. */
tr_status tr_json_add(tr_str *out, const json_t *value, int indent, bool sort_keys, tr_error *err);

/* Typed members of an object; TR_ERR_FORMAT naming the key when missing or of another type. Strings are borrowed.
 * A number without a fraction counts as an integer (16.0); an integer counts as a number. */
tr_status tr_json_need_string(const json_t *object, const char *key, const char **out, tr_error *err);
tr_status tr_json_need_integer(const json_t *object, const char *key, int64_t *out, tr_error *err);
tr_status tr_json_need_number(const json_t *object, const char *key, double *out, tr_error *err);
/* Missing or null gives the fallback; another type is an error all the same. */
tr_status tr_json_get_string(const json_t *object, const char *key, const char *fallback, const char **out,
                             tr_error *err);
tr_status tr_json_get_integer(const json_t *object, const char *key, int64_t fallback, int64_t *out, tr_error *err);
tr_status tr_json_get_number(const json_t *object, const char *key, double fallback, double *out, tr_error *err);
tr_status tr_json_get_bool(const json_t *object, const char *key, bool fallback, bool *out, tr_error *err);

/* JSON Lines, or one JSON array of objects: calls `row` for each object with its 1-based line (in an array: the
 * 1-based element). A line that is not an object calls `row` with value NULL and `problem` set; returning other
 * than TR_OK stops the reading with that status (where is then filled if `row` left it empty). An empty line is
 * skipped. `value` and `problem` are borrowed for the call (json_incref to keep).
 *
 * JSON Lines are read one at a time, however large the file; a line longer than 64 MiB is a problem line. A file
 * whose first character is '[' is loaded whole, as tr_json_load does. A file without rows is not an error here. */
typedef tr_status (*tr_json_row)(void *user, size_t line, json_t *value, const char *problem, tr_error *err);
tr_status tr_json_rows(const char *path, tr_json_row row, void *user, tr_error *err);
/* The same from the start of a seekable stream, which stays open; `name` stands for the path in messages. */
tr_status tr_json_rows_stream(FILE *stream, const char *name, tr_json_row row, void *user, tr_error *err);

#endif
