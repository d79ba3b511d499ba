/* A temporary folder of a test, removed with all it holds when the process ends. */
#ifndef TR_TEST_SCRATCH_FOLDER_H
#define TR_TEST_SCRATCH_FOLDER_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char scratch_root[512];
static pid_t scratch_owner;

static int scratch_remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info, (void)type, (void)ftw;
    return remove(path);
}

static inline void scratch_clear(const char *path) { nftw(path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS); }

static void scratch_remove(void)
{
    if (getpid() == scratch_owner) scratch_clear(scratch_root);
}

/* Path of a file or folder below the temporary folder. Each of the last 64 results stays valid. */
static inline const char *scratch(const char *name)
{
    static char path[64][1024];
    static unsigned at;
    if (!scratch_root[0]) {
        const char *base = getenv("TMPDIR");
        snprintf(scratch_root, sizeof scratch_root, "%s/tallrec-test-XXXXXX", base && *base ? base : "/tmp");
        if (!mkdtemp(scratch_root)) abort();
        scratch_owner = getpid();
        atexit(scratch_remove);
    }
    char *out = path[at++ % 64];
    snprintf(out, sizeof path[0], "%s/%s", scratch_root, name);
    return out;
}

#endif
