/* This file implements growing strings and UTF-8 helpers. */
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static bool make_room(tr_str *s, size_t extra)
{
    if (s->failed) return false;
    size_t needed = s->size + extra + 1;
    if (needed < extra) return s->failed = true, false;
    if (needed <= s->capacity) return true;
    size_t capacity = s->capacity ? s->capacity : 64;
    while (capacity < needed) capacity *= 2;
    char *grown = realloc(s->data, capacity);
    if (!grown) return s->failed = true, false;
    s->data = grown;
    s->capacity = capacity;
    return true;
}

void tr_str_add_bytes(tr_str *s, const void *data, size_t size)
{
    if (!make_room(s, size)) return;
    if (size) memcpy(s->data + s->size, data, size);
    s->size += size;
    s->data[s->size] = '\0';
}

void tr_str_add(tr_str *s, const char *text) { tr_str_add_bytes(s, text, strlen(text)); }

void tr_str_addf(tr_str *s, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n >= 0 && make_room(s, (size_t)n)) {
        vsnprintf(s->data + s->size, (size_t)n + 1, format, again);
        s->size += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void tr_str_add_html(tr_str *s, const char *text)
{
    for (const char *p = text; *p; p++) {
        switch (*p) {
        case '&': tr_str_add(s, "&amp;"); break;
        case '<': tr_str_add(s, "&lt;"); break;
        case '>': tr_str_add(s, "&gt;"); break;
        case '"': tr_str_add(s, "&quot;"); break;
        case '\'': tr_str_add(s, "&#39;"); break;
        default: tr_str_add_bytes(s, p, 1);
        }
    }
}

tr_status tr_str_check(const tr_str *s, tr_error *err)
{
    return s->failed ? tr_fail(err, TR_ERR_MEMORY, "out of memory for a text of %zu bytes", s->size) : TR_OK;
}

void tr_str_free(tr_str *s)
{
    free(s->data);
    *s = (tr_str){0};
}

bool tr_utf8_valid(const char *text, size_t size)
{
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)text;
    utf8proc_ssize_t left = (utf8proc_ssize_t)size;
    while (left > 0) {
        utf8proc_int32_t code;
        utf8proc_ssize_t n = utf8proc_iterate(p, left, &code);
        if (n <= 0) return false;
        p += n, left -= n;
    }
    return true;
}

char *tr_latin1_to_utf8(const char *text, size_t size)
{
    char *out = malloc(2 * size + 1), *p = out;
    if (!out) return NULL;
    for (size_t i = 0; i < size; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c < 0x80) {
            *p++ = (char)c;
        } else {
            *p++ = (char)(0xC0 | c >> 6);
            *p++ = (char)(0x80 | (c & 0x3F));
        }
    }
    *p = '\0';
    return out;
}

int tr_utf8_width(const char *text)
{
    int width = 0;
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)text;
    while (*p) {
        utf8proc_int32_t code;
        utf8proc_ssize_t n = utf8proc_iterate(p, -1, &code);
        if (n <= 0) {
            p++, width++;
            continue;
        }
        width += utf8proc_charwidth(code);
        p += n;
    }
    return width;
}
