/* Files: mapped reading, whole-file reading, and writing that is never half-done. */
#ifndef TR_BASE_FILE_H
#define TR_BASE_FILE_H

#include "base/error.h"
#include <stdio.h>

/* A file mapped read-only. Empty files are valid (size 0). */
typedef struct {
    const uint8_t *data;
    size_t size;
} tr_mapping;

tr_status tr_file_map(const char *path, tr_mapping *out, tr_error *err);
void tr_file_unmap(tr_mapping *mapping);

/* Reads a whole file of at most `max_bytes` into memory, NUL-terminated after *size bytes. Caller frees. */
tr_status tr_file_read(const char *path, size_t max_bytes, char **out, size_t *size, tr_error *err);

/* An atomic writer: bytes go to `path.tmp.PID`; commit flushes, fsyncs and renames over `path`; abandon
 * removes the temporary. A reader sees the old file or the new one, never a part. Write through `stream`
 * and check nothing: commit reports any write error (disk full) and removes the temporary. */
typedef struct {
    FILE *stream;
    char *path, *temporary;
} tr_writer;

tr_status tr_writer_open(tr_writer *writer, const char *path, tr_error *err);
tr_status tr_writer_commit(tr_writer *writer, tr_error *err);
void tr_writer_abandon(tr_writer *writer); /* safe after commit and on a zeroed writer */

/* Opens and commits in one go. */
tr_status tr_file_write(const char *path, const void *data, size_t size, tr_error *err);

/* Creates a folder and its parents; an existing folder is fine. */
tr_status tr_folder_create(const char *path, tr_error *err);
/* Removes the temporaries (NAME.tmp.DIGITS) that killed writers left in a folder. Only where nobody else writes. */
void tr_folder_clear_temporaries(const char *path);
bool tr_file_exists(const char *path);
bool tr_folder_exists(const char *path);

/* Joins two path parts with one slash. Caller frees; NULL when out of memory. */
char *tr_path_join(const char *folder, const char *name);

#endif
