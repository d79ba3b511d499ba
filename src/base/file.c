/* This file implements mapped reading and atomic writing. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static tr_status open_regular(const char *path, int *out_fd, size_t *out_size, tr_error *err)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return tr_fail_errno(err, "cannot open %s", path);
    if (fstat(fd, &info) != 0) {
        tr_status status = tr_fail_errno(err, "cannot read %s", path);
        close(fd);
        return status;
    }
    if (!S_ISREG(info.st_mode)) {
        close(fd);
        return tr_fail(err, TR_ERR_IO, "%s is %s, not a file", path,
                       S_ISDIR(info.st_mode) ? "a folder" : "a pipe or device");
    }
    *out_fd = fd;
    *out_size = (size_t)info.st_size;
    return TR_OK;
}

tr_status tr_file_map(const char *path, tr_mapping *out, tr_error *err)
{
    int fd;
    size_t size;
    *out = (tr_mapping){0};
    TR_TRY(open_regular(path, &fd, &size, err));
    if (size > 0) {
        void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            tr_status status = tr_fail_errno(err, "cannot map %s", path);
            close(fd);
            return status;
        }
        *out = (tr_mapping){.data = data, .size = size};
    }
    close(fd);
    return TR_OK;
}

void tr_file_unmap(tr_mapping *mapping)
{
    if (mapping->data) munmap((void *)mapping->data, mapping->size);
    *mapping = (tr_mapping){0};
}

tr_status tr_file_read(const char *path, size_t max_bytes, char **out, size_t *size, tr_error *err)
{
    int fd;
    size_t bytes;
    *out = NULL;
    TR_TRY(open_regular(path, &fd, &bytes, err));
    close(fd);
    if (bytes > max_bytes)
        return tr_fail(err, TR_ERR_FORMAT, "%s has %zu bytes; at most %zu are read", path, bytes, max_bytes);
    FILE *stream = fopen(path, "rb");
    if (!stream) return tr_fail_errno(err, "cannot open %s", path);
    char *text = malloc(bytes + 1);
    if (!text) {
        fclose(stream);
        return tr_fail(err, TR_ERR_MEMORY, "out of memory: %zu bytes for %s", bytes, path);
    }
    size_t got = fread(text, 1, bytes, stream);
    bool failed = ferror(stream) != 0;
    fclose(stream);
    if (failed || got != bytes) {
        free(text);
        return tr_fail(err, TR_ERR_IO, "%s: read %zu of %zu bytes", path, got, bytes);
    }
    text[bytes] = '\0';
    *out = text;
    *size = bytes;
    return TR_OK;
}

tr_status tr_writer_open(tr_writer *writer, const char *path, tr_error *err)
{
    *writer = (tr_writer){0};
    if (asprintf(&writer->temporary, "%s.tmp.%d", path, (int)getpid()) < 0) writer->temporary = NULL;
    writer->path = strdup(path);
    if (!writer->path || !writer->temporary) {
        tr_writer_abandon(writer);
        return tr_fail(err, TR_ERR_MEMORY, "out of memory for a path");
    }
    writer->stream = fopen(writer->temporary, "wb");
    if (!writer->stream) {
        tr_status status = tr_fail_errno(err, "cannot create %s", path);
        free(writer->temporary);
        writer->temporary = NULL;
        tr_writer_abandon(writer);
        return status;
    }
    return TR_OK;
}

/* The rename itself must survive a power cut: fsync the folder. Best effort, some file systems refuse. */
static void sync_folder(const char *path)
{
    char *copy = strdup(path);
    if (!copy) return;
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(copy);
}

tr_status tr_writer_commit(tr_writer *writer, tr_error *err)
{
    tr_status status = TR_OK;
    errno = 0;
    bool failed = fflush(writer->stream) != 0 || ferror(writer->stream);
    if (!failed && fsync(fileno(writer->stream)) != 0 && errno != EINVAL) failed = true;
    if (failed) {
        if (errno == 0) errno = EIO;
        status = tr_fail_errno(err, "cannot write %s", writer->path);
    }
    if (fclose(writer->stream) != 0 && status == TR_OK) status = tr_fail_errno(err, "cannot write %s", writer->path);
    writer->stream = NULL;
    if (status == TR_OK && rename(writer->temporary, writer->path) != 0)
        status = tr_fail_errno(err, "cannot rename to %s", writer->path);
    if (status == TR_OK) {
        free(writer->temporary);
        writer->temporary = NULL;
        sync_folder(writer->path);
    }
    tr_writer_abandon(writer);
    return status;
}

void tr_writer_abandon(tr_writer *writer)
{
    if (writer->stream) fclose(writer->stream);
    if (writer->temporary) unlink(writer->temporary);
    free(writer->temporary);
    free(writer->path);
    *writer = (tr_writer){0};
}

tr_status tr_file_write(const char *path, const void *data, size_t size, tr_error *err)
{
    tr_writer writer;
    TR_TRY(tr_writer_open(&writer, path, err));
    if (size) fwrite(data, 1, size, writer.stream);
    return tr_writer_commit(&writer, err);
}

tr_status tr_folder_create(const char *path, tr_error *err)
{
    char *copy = strdup(path);
    if (!copy) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a path");
    tr_status status = TR_OK;
    for (char *p = copy + (copy[0] == '/'); status == TR_OK; p++) {
        if (*p != '/' && *p != '\0') continue;
        char saved = *p;
        *p = '\0';
        if (copy[0] && mkdir(copy, 0777) != 0 && errno != EEXIST)
            status = tr_fail_errno(err, "cannot create the folder %s", path);
        *p = saved;
        if (saved == '\0') break;
    }
    free(copy);
    if (status == TR_OK && !tr_folder_exists(path))
        status = tr_fail(err, TR_ERR_IO, "cannot create the folder %s: a file of that name is in the way", path);
    return status;
}

static bool is_temporary(const char *name)
{
    const char *suffix = strstr(name, ".tmp.");
    if (!suffix || suffix == name) return false;
    suffix += strlen(".tmp.");
    return *suffix && strspn(suffix, "0123456789") == strlen(suffix);
}

void tr_folder_clear_temporaries(const char *path)
{
    DIR *stream = opendir(path);
    if (!stream) return;
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
        if (is_temporary(entry->d_name)) unlinkat(dirfd(stream), entry->d_name, 0);
    closedir(stream);
}

bool tr_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bool tr_folder_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

char *tr_path_join(const char *folder, const char *name)
{
    char *path = NULL;
    size_t n = strlen(folder);
    if (asprintf(&path, "%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", name) < 0) return NULL;
    return path;
}
