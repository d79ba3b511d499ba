/* What a fuzz target is: a file fuzz_NAME.c that defines LLVMFuzzerTestOneInput and its seeds, and a line in
 * meson.build. libFuzzer drives it in a clang build with -Dfuzz=true; driver.c, with plain mutations, in the
 * ordinary test suite. A target must not depend on earlier inputs, and calls abort() when a promise is broken. */
#ifndef TEST_FUZZ_FUZZ_H
#define TEST_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

/* Puts the input into a file, for readers that take a path: in memory, the same one each time. */
static inline const char *fuzz_file(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[32];
    if (fd < 0) {
        fd = memfd_create("fuzz", 0);
        if (fd < 0) abort();
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size) abort();
    return path;
}

#endif
