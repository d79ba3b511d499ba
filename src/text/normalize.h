/* Unicode normalisation form C. Private to src/text. */
#ifndef TR_TEXT_NORMALIZE_H
#define TR_TEXT_NORMALIZE_H

#include "base/str.h"

/* Appends to `out` the NFC of valid UTF-8 (Unicode Standard Annex 15). Linear time, however many combining marks
 * follow each other. TR_ERR_MEMORY. */
tr_status tr_normalize_nfc(const char *text, size_t size, tr_str *out, tr_error *err);

#endif
