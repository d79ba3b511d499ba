/* Growing strings and UTF-8 helpers. */
#ifndef TR_BASE_STR_H
#define TR_BASE_STR_H

#include "base/error.h"

/* A byte string that grows. Zero-initialise; `data` is NUL-terminated once anything was added (NULL before).
 * Out of memory sets `failed` and later additions do nothing, so that a caller checks once, at the end. */
typedef struct {
    char *data;
    size_t size, capacity;
    bool failed;
} tr_str;

void tr_str_add(tr_str *s, const char *text);
void tr_str_add_bytes(tr_str *s, const void *data, size_t size);
void tr_str_addf(tr_str *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Text made safe for HTML element content and double-quoted attributes. */
void tr_str_add_html(tr_str *s, const char *text);
/* TR_ERR_MEMORY when an addition failed. */
tr_status tr_str_check(const tr_str *s, tr_error *err);
void tr_str_free(tr_str *s);

/* True when the bytes are well-formed UTF-8 (no overlong forms, no surrogates). */
bool tr_utf8_valid(const char *text, size_t size);

/* Latin-1 bytes to UTF-8; the caller frees. NULL when out of memory. */
char *tr_latin1_to_utf8(const char *text, size_t size);

/* Columns that UTF-8 text takes on a terminal (wide characters count two). */
int tr_utf8_width(const char *text);

#endif
