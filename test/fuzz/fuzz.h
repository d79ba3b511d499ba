/* What fuzz targets share: the entry that libFuzzer and replay.c call, and bytes that pass for a file. */
#ifndef TR_FUZZ_FUZZ_H
#define TR_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Reads the bytes as the reader under test would. Never fails: whatever the bytes, it returns 0, or has crashed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* For readers that take a path: a file in memory that holds the bytes. Its path is written to `path` and good until
 * fuzz_file_close of the returned descriptor. Ends the process when the system has no memory file. */
static inline int fuzz_file(const uint8_t *data, size_t size, char path[32])
{
    int file = memfd_create("fuzz", 0);
    if (file < 0 || (size && write(file, data, size) != (ssize_t)size)) {
        perror("fuzz: memory file");
        exit(1);
    }
    snprintf(path, 32, "/proc/self/fd/%d", file);
    return file;
}

static inline void fuzz_file_close(int file) { close(file); }

#endif
