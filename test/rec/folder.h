/* A folder for what a test of src/rec writes, with helpers for its files; gone when the process ends. */
#ifndef TEST_REC_FOLDER_H
#define TEST_REC_FOLDER_H

#include "testing.h"

#include "base/file.h"
#include "base/str.h"

#include <ftw.h>
#include <unistd.h>

static char folder_root[512];

static inline int folder_remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info, (void)type, (void)walk;
    return remove(path);
}

static inline void folder_remove(const char *path) { nftw(path, folder_remove_entry, 16, FTW_DEPTH | FTW_PHYS); }

static inline void folder_remove_root(void) { folder_remove(folder_root); }

/* A path in the test's own folder, in one of 64 static buffers. */
static inline const char *in_folder(const char *name)
{
    static char paths[64][1024];
    static int next;
    if (!folder_root[0]) {
        const char *root = getenv("TMPDIR");
        snprintf(folder_root, sizeof folder_root, "%s/tallrec-test-XXXXXX", root && *root ? root : "/tmp");
        if (!mkdtemp(folder_root)) abort();
        atexit(folder_remove_root);
    }
    char *path = paths[next++ % 64];
    snprintf(path, sizeof paths[0], "%s/%s", folder_root, name);
    return path;
}

/* Writes a file (its folders too) and returns its path. */
static inline const char *file_with_bytes(const char *name, const void *bytes, size_t size)
{
    const char *path = in_folder(name);
    char parent[1024];
    snprintf(parent, sizeof parent, "%s", path);
    *strrchr(parent, '/') = '\0';
    tr_error err = {0};
    assert_ok(tr_folder_create(parent, &err), err);
    assert_ok(tr_file_write(path, bytes, size, &err), err);
    return path;
}

static inline const char *file_with(const char *name, const char *text)
{
    return file_with_bytes(name, text, strlen(text));
}

/* The whole text of a file of the test's folder. Caller frees. */
static inline char *text_of(const char *path)
{
    char *text;
    size_t size;
    tr_error err = {0};
    assert_ok(tr_file_read(path, 1 << 28, &text, &size, &err), err);
    return text;
}

/* Runs `statement` with standard error going to a file, and gives what it wrote. Caller frees. */
#define CAPTURE_STDERR(text, statement)                                   \
    do {                                                                  \
        const char *capture_ = in_folder("stderr");                       \
        fflush(stderr);                                                   \
        int kept_ = dup(2);                                               \
        FILE *file_ = fopen(capture_, "w+");                              \
        dup2(fileno(file_), 2);                                           \
        statement;                                                        \
        fflush(stderr);                                                   \
        dup2(kept_, 2);                                                   \
        close(kept_);                                                     \
        fclose(file_);                                                    \
        (text) = text_of(capture_);                                       \
    } while (0)

#endif
