<<<<<<< HEAD
/* What a fuzz target is: a file fuzz_NAME.c that defines LLVMFuzzerTestOneInput and its seeds, and a line in
 * meson.build. libFuzzer drives it in a clang build with -Dfuzz=true; driver.c, with plain mutations, in the
 * ordinary test suite. A target must not depend on earlier inputs, and calls abort() when a promise is broken. */
#ifndef TEST_FUZZ_FUZZ_H
#define TEST_FUZZ_FUZZ_H
=======
/* What fuzz targets share: the entry that libFuzzer and replay.c call, and bytes that pass for a file. */
#ifndef TR_FUZZ_FUZZ_H
#define TR_FUZZ_FUZZ_H
>>>>>>> build

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
<<<<<<< HEAD
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Inputs from which mutations start; short ones double as words to splice in. */
typedef struct {
    const char *text; /* the bytes, or the path of a file below test/ */
    size_t size;      /* of the bytes; SIZE_MAX for a file */
} fuzz_seed;

#define FUZZ_TEXT(literal) {literal, sizeof(literal) - 1}
#define FUZZ_FILE(path) {path, SIZE_MAX}
#define FUZZ_SEEDS(...)                                       \
    const fuzz_seed fuzz_seeds[] = {__VA_ARGS__};             \
    const size_t n_fuzz_seeds = sizeof fuzz_seeds / sizeof fuzz_seeds[0];

extern const fuzz_seed fuzz_seeds[];
extern const size_t n_fuzz_seeds;

static char fuzz_path[512];

static inline void fuzz_remove_file(void)
{
    unlink(fuzz_path);
}

/* Puts the input into a file, for readers that take a path: the same file each time, removed at exit. */
static inline const char *fuzz_file(const uint8_t *data, size_t size)
{
    static int fd = -1;
    if (fd < 0) {
        const char *root = getenv("TMPDIR");
        snprintf(fuzz_path, sizeof fuzz_path, "%s/tallrec-fuzz-XXXXXX", root && *root ? root : "/tmp");
        fd = mkstemp(fuzz_path);
        if (fd < 0) abort();
        atexit(fuzz_remove_file);
    }
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size) abort();
    return fuzz_path;
}

=======
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

>>>>>>> build
#endif
