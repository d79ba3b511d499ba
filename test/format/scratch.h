/* A folder for the files that a test of src/format writes; gone when the process ends. */
#ifndef TEST_FORMAT_SCRATCH_H
#define TEST_FORMAT_SCRATCH_H

#include "base/file.h"

#include <stdlib.h>
#include <unistd.h>

static char scratch_folder[512], scratch_names[8][600];
static int n_scratch_names;

static void scratch_remove(void)
{
    for (int i = 0; i < n_scratch_names; i++) unlink(scratch_names[i]);
    rmdir(scratch_folder);
}

/* The path of a scratch file. It stays valid; the file is removed at the end. At most eight names a test file. */
static const char *scratch(const char *name)
{
    if (!scratch_folder[0]) {
        const char *root = getenv("TMPDIR");
        snprintf(scratch_folder, sizeof scratch_folder, "%s/tallrec-test-XXXXXX", root && *root ? root : "/tmp");
        if (!mkdtemp(scratch_folder)) abort();
        atexit(scratch_remove);
    }
    char path[600];
    snprintf(path, sizeof path, "%s/%s", scratch_folder, name);
    for (int i = 0; i < n_scratch_names; i++)
        if (strcmp(scratch_names[i], path) == 0) return scratch_names[i];
    if (n_scratch_names == 8) abort();
    return memcpy(scratch_names[n_scratch_names++], path, sizeof path);
}

static const char *scratch_with(const char *name, const void *data, size_t size)
{
    const char *path = scratch(name);
    tr_error err;
    if (tr_file_write(path, data, size, &err) != TR_OK) abort();
    return path;
}

#endif
