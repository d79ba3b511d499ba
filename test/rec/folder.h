/* A folder for what a test of src/rec writes, with helpers for its files; gone when the process ends. */
#ifndef TEST_REC_FOLDER_H
#define TEST_REC_FOLDER_H

#include "testing.h"

#include "base/file.h"
#include "base/str.h"
#include "scratch_folder.h"

/* Writes a file (its folders too) and returns its path. */
static inline const char *file_with_bytes(const char *name, const void *bytes, size_t size)
{
    const char *path = scratch(name);
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
        const char *capture_ = scratch("stderr");                       \
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
