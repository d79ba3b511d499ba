/* Writing JSON Lines: a row a line, the file complete or not there at all. */
#ifndef TR_REC_JSONL_H
#define TR_REC_JSONL_H

#include "base/error.h"
#include <jansson.h>

/* Row `i` as a new reference; NULL when it cannot be made (no memory, or text that is not UTF-8). */
typedef json_t *(*tr_jsonl_row)(const void *user, size_t i);

/* Writes rows 0 .. n-1, compact, each followed by a newline; atomic. TR_ERR_IO, TR_ERR_VALUE (with the row). */
tr_status tr_jsonl_write(const char *path, size_t n, tr_jsonl_row row, const void *user, tr_error *err);

#endif
