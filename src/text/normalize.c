/* This file normalises text to NFC: decompose, put combining marks in canonical order, compose. The tables and
 * the composition are utf8proc's; the ordering is done here because utf8proc's own takes quadratic time for
 * long runs of marks. */
#include "text/normalize.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

typedef struct {
    int32_t *code;
    size_t n, capacity;
} code_points;

static bool is_ascii(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((uint8_t)text[i] >= 0x80) return false;
    return true;
}

static tr_status decompose(const char *text, size_t size, code_points *out, tr_error *err)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + size;
    while (p < end) {
        int32_t code, parts[32]; /* the longest canonical decomposition has 4 */
        int boundary = 0;
        p += utf8proc_iterate(p, end - p, &code);
        utf8proc_ssize_t n = utf8proc_decompose_char(code, parts, 32, UTF8PROC_DECOMPOSE, &boundary);
        TR_TRY(tr_reserve(&out->code, &out->capacity, out->n + (size_t)n, sizeof *out->code, "text", err));
        memcpy(out->code + out->n, parts, (size_t)n * sizeof *parts);
        out->n += (size_t)n;
    }
    return TR_OK;
}

static uint8_t combining_class(int32_t code) { return (uint8_t)utf8proc_get_property(code)->combining_class; }

/* Counting sort, stable, of a run of marks by combining class. `sorted` has room for n. */
static void order_run(int32_t *code, size_t n, int32_t *sorted)
{
    size_t start[257] = {0};
    for (size_t i = 0; i < n; i++) start[combining_class(code[i]) + 1]++;
    for (int c = 0; c < 256; c++) start[c + 1] += start[c];
    for (size_t i = 0; i < n; i++) sorted[start[combining_class(code[i])]++] = code[i];
    memcpy(code, sorted, n * sizeof *code);
}

static tr_status order_marks(code_points *text, tr_error *err)
{
    int32_t *sorted;
    TR_TRY(tr_alloc(&sorted, text->n, sizeof *sorted, "text", err));
    for (size_t i = 0, end; i < text->n; i = end) {
        for (end = i; end < text->n && combining_class(text->code[end]); end++) continue;
        if (end - i > 1) order_run(text->code + i, end - i, sorted);
        if (end == i) end++;
    }
    free(sorted);
    return TR_OK;
}

tr_status tr_normalize_nfc(const char *text, size_t size, tr_str *out, tr_error *err)
{
    if (is_ascii(text, size)) {
        tr_str_add_bytes(out, text, size);
        return tr_str_check(out, err);
    }
    code_points points = {0};
    tr_status status;
    TR_TRY_CLEANUP(decompose(text, size, &points, err));
    TR_TRY_CLEANUP(order_marks(&points, err));
    utf8proc_ssize_t n =
        utf8proc_normalize_utf32(points.code, (utf8proc_ssize_t)points.n, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        uint8_t encoded[4];
        tr_str_add_bytes(out, encoded, (size_t)utf8proc_encode_char(points.code[i], encoded));
    }
    status = tr_str_check(out, err);
cleanup:
    free(points.code);
    return status;
}
