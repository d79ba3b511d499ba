/* SHA-256 (FIPS 180-4), for naming models and data in run folders and protocol cards. */
#ifndef TR_BASE_SHA256_H
#define TR_BASE_SHA256_H

#include "base/error.h"

#define TR_SHA256_HEX 65 /* 64 hexadecimal digits and a NUL */

typedef struct {
    uint32_t state[8];
    uint64_t bytes;
    uint8_t block[64];
} tr_sha256;

void tr_sha256_start(tr_sha256 *hash);
void tr_sha256_add(tr_sha256 *hash, const void *data, size_t size);
void tr_sha256_finish(tr_sha256 *hash, char hex[TR_SHA256_HEX]);

/* The digest of a buffer, and of a whole file. */
void tr_sha256_hex(const void *data, size_t size, char hex[TR_SHA256_HEX]);
tr_status tr_sha256_file(const char *path, char hex[TR_SHA256_HEX], tr_error *err);

#endif
