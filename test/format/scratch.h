/* Files that a test of src/format writes. */
#ifndef TEST_FORMAT_SCRATCH_H
#define TEST_FORMAT_SCRATCH_H

#include "base/file.h"
#include "scratch_folder.h"

static const char *scratch_with(const char *name, const void *data, size_t size)
{
    const char *path = scratch(name);
    tr_error err;
    if (tr_file_write(path, data, size, &err) != TR_OK) abort();
    return path;
}

#endif
