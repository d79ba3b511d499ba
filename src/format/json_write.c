/* This file writes JSON. jansson's own writer prints 0.1 as 0.10000000000000001; files that people read deserve
 * the shortest number that reads back the same. */
#include "format/json.h"
#include "base/file.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 2048 }; /* what jansson's parser accepts */

typedef struct {
    tr_str *out;
    int indent;
    bool sort_keys;
} writer;

static tr_status add_value(const writer *w, const json_t *value, int depth, tr_error *err);

static void add_string(tr_str *out, const char *text, size_t size)
{
    size_t start = 0;
    tr_str_add(out, "\"");
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) continue;
        tr_str_add_bytes(out, text + start, i - start);
        start = i + 1;
        switch (c) {
        case '"': tr_str_add(out, "\\\""); break;
        case '\\': tr_str_add(out, "\\\\"); break;
        case '\n': tr_str_add(out, "\\n"); break;
        case '\r': tr_str_add(out, "\\r"); break;
        case '\t': tr_str_add(out, "\\t"); break;
        default: tr_str_addf(out, "\\u%04x", c); break;
        }
    }
    tr_str_add_bytes(out, text + start, size - start);
    tr_str_add(out, "\"");
}

/* Fifteen digits are enough for most numbers that people write, seventeen for every double. */
static void add_real(tr_str *out, double value)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text - 2, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    const char *local_point = localeconv()->decimal_point; /* printf's, which a host program may have changed */
    char *point = strstr(text, local_point);
    if (point) {
        size_t n = strlen(local_point);
        *point = '.';
        memmove(point + 1, point + n, strlen(point + n) + 1);
    }
    /* A real stays a real for whoever reads it: 16.0, not 16. */
    tr_str_add(out, text);
    if (!strpbrk(text, ".e")) tr_str_add(out, ".0");
}

static void add_break(const writer *w, int depth)
{
    if (w->indent > 0) tr_str_addf(w->out, "\n%*s", depth * w->indent, "");
}

static tr_status add_array(const writer *w, const json_t *array, int depth, tr_error *err)
{
    size_t n = json_array_size(array);
    tr_str_add(w->out, "[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0) tr_str_add(w->out, w->indent > 0 ? "," : ", ");
        add_break(w, depth + 1);
        TR_TRY(add_value(w, json_array_get(array, i), depth + 1, err));
    }
    if (n > 0) add_break(w, depth);
    tr_str_add(w->out, "]");
    return TR_OK;
}

static int compare_keys(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

static tr_status add_object(const writer *w, const json_t *object, int depth, tr_error *err)
{
    size_t n = json_object_size(object), filled = 0;
    tr_status status = TR_OK;
    const char *key, **keys = calloc(n + 1, sizeof *keys);
    json_t *member;
    if (!keys) return tr_fail(err, TR_ERR_MEMORY, "out of memory for %zu keys", n);
    json_object_foreach((json_t *)object, key, member) keys[filled++] = key;
    if (w->sort_keys) qsort(keys, n, sizeof *keys, compare_keys);

    tr_str_add(w->out, "{");
    for (size_t i = 0; i < n; i++) {
        if (i > 0) tr_str_add(w->out, w->indent > 0 ? "," : ", ");
        add_break(w, depth + 1);
        add_string(w->out, keys[i], strlen(keys[i]));
        tr_str_add(w->out, ": ");
        TR_TRY_CLEANUP(add_value(w, json_object_get(object, keys[i]), depth + 1, err));
    }
    if (n > 0) add_break(w, depth);
    tr_str_add(w->out, "}");
cleanup:
    free(keys);
    return status;
}

static tr_status add_value(const writer *w, const json_t *value, int depth, tr_error *err)
{
    if (depth > MAX_DEPTH) return tr_fail(err, TR_ERR_VALUE, "JSON nested deeper than %d", MAX_DEPTH);
    if (!value) return tr_fail(err, TR_ERR_VALUE, "a JSON value is missing");
    switch (json_typeof(value)) {
    case JSON_OBJECT: return add_object(w, value, depth, err);
    case JSON_ARRAY: return add_array(w, value, depth, err);
    case JSON_STRING: add_string(w->out, json_string_value(value), json_string_length(value)); break;
    case JSON_INTEGER: tr_str_addf(w->out, "%" JSON_INTEGER_FORMAT, json_integer_value(value)); break;
    case JSON_REAL: add_real(w->out, json_real_value(value)); break;
    case JSON_TRUE: tr_str_add(w->out, "true"); break;
    case JSON_FALSE: tr_str_add(w->out, "false"); break;
    case JSON_NULL: tr_str_add(w->out, "null"); break;
    }
    return TR_OK;
}

tr_status tr_json_add(tr_str *out, const json_t *value, int indent, bool sort_keys, tr_error *err)
{
    writer w = {.out = out, .indent = indent, .sort_keys = sort_keys};
    TR_TRY(add_value(&w, value, 0, err));
    return tr_str_check(out, err);
}

tr_status tr_json_save(const char *path, const json_t *value, bool sort_keys, tr_error *err)
{
    tr_str text = {0};
    tr_status status = tr_json_add(&text, value, 2, sort_keys, err);
    if (status == TR_OK) {
        tr_str_add(&text, "\n");
        status = tr_str_check(&text, err);
    }
    if (status == TR_OK) status = tr_file_write(path, text.data, text.size, err);
    else tr_at(err, "%s", path);
    tr_str_free(&text);
    return status;
}
