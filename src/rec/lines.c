/* This file implements the reading of lines and fields. */
#include "rec/lines.h"

#include "base/str.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

tr_status tr_lines_open(tr_lines *lines, const char *path, tr_error *err)
{
    *lines = (tr_lines){0};
    TR_TRY(tr_file_map(path, &lines->file, err));
    if (lines->file.size == 0) return tr_fail(err, TR_ERR_FORMAT, "%s is empty", path);
    if (lines->file.size >= 3 && memcmp(lines->file.data, "\xef\xbb\xbf", 3) == 0) lines->offset = 3;
    return TR_OK;
}

void tr_lines_close(tr_lines *lines)
{
    free(lines->text);
    tr_file_unmap(&lines->file);
    *lines = (tr_lines){0};
}

static void part(tr_lines *lines, char separator)
{
    char *at = lines->text;
    lines->n_fields = 0;
    while (lines->n_fields < TR_FIELDS_MAX) {
        lines->field[lines->n_fields++] = at;
        char *end = lines->n_fields < TR_FIELDS_MAX ? strchr(at, separator) : NULL;
        if (!end) break;
        *end = '\0';
        at = end + 1;
    }
}

/* The bytes of the next line, without its end; moves on behind it. */
static const char *take_bytes(tr_lines *lines, size_t *size)
{
    const char *start = (const char *)lines->file.data + lines->offset;
    size_t left = lines->file.size - lines->offset;
    const char *end = memchr(start, '\n', left);
    *size = end ? (size_t)(end - start) : left;
    lines->offset += end ? *size + 1 : left;
    lines->number++;
    if (*size > 0 && start[*size - 1] == '\r') --*size;
    return start;
}

static const char *problem_of(const char *bytes, size_t size)
{
    if (size > TR_LINE_MAX) return "a line of more than 64 KiB";
    if (memchr(bytes, '\0', size)) return "a NUL byte";
    return NULL;
}

tr_status tr_lines_next(tr_lines *lines, char separator, bool *more, tr_error *err)
{
    const char *bytes = "";
    size_t size = 0;
    while (size == 0 && lines->offset < lines->file.size) bytes = take_bytes(lines, &size);
    free(lines->text);
    lines->text = NULL;
    *more = size > 0;
    if (!*more) return TR_OK;
    lines->problem = problem_of(bytes, size);
    if (lines->problem) size = 0;
    lines->latin1 = !tr_utf8_valid(bytes, size);
    lines->text = lines->latin1 ? tr_latin1_to_utf8(bytes, size) : strndup(bytes, size);
    if (!lines->text) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a line");
    part(lines, separator);
    return TR_OK;
}

bool tr_parse_number(const char *text, double *out)
{
    char *end;
    if (!isdigit((unsigned char)text[0]) && text[0] != '-' && text[0] != '.') return false;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*out);
}

bool tr_parse_integer(const char *text, int64_t *out)
{
    double value;
    if (!tr_parse_number(text, &value) || value != floor(value) || fabs(value) > 9e15) return false;
    *out = (int64_t)value;
    return true;
}
