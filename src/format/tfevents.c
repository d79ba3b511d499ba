/* This file appends TensorBoard scalars. A record is
 *   u64 length | u32 masked CRC-32C of these 8 bytes | data | u32 masked CRC-32C of data
 * and its data an Event message in protobuf's wire format, small enough to be written by hand:
 *   Event:   1 wall_time (double), 2 step (varint), 3 file_version (string), 5 summary (message)
 *   Summary: 1 value (message);  Value: 1 tag (string), 2 simple_value (float) */
#include "format/tfevents.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/str.h"
#include "base/system.h"
#include "format/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct tr_tfevents {
    int fd;
    char *path;
    off_t size; /* of the file: whole records only */
};

/* Tags of the fields above: number << 3 | wire type (0 varint, 1 eight bytes, 2 with length, 5 four bytes). */
enum { WALL_TIME = 0x09, STEP = 0x10, FILE_VERSION = 0x1a, SUMMARY = 0x2a };
enum { VALUE = 0x0a, TAG = 0x0a, SIMPLE_VALUE = 0x15 };

/* CRC-32C (Castagnoli), reflected. Records are tens of bytes: bit by bit is fast enough. */
static uint32_t crc32c(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

static void add_masked_crc(tr_str *out, const void *data, size_t size)
{
    uint8_t bytes[4];
    uint32_t crc = crc32c(data, size);
    tr_store_u32(bytes, (crc >> 15 | crc << 17) + 0xa282ead8u);
    tr_str_add_bytes(out, bytes, sizeof bytes);
}

static void add_byte(tr_str *out, int byte)
{
    tr_str_add_bytes(out, &(uint8_t){(uint8_t)byte}, 1);
}

static void add_varint(tr_str *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) add_byte(out, (int)(value & 0x7f) | 0x80);
    add_byte(out, (int)value);
}

static void add_field(tr_str *out, int tag, const void *data, size_t size)
{
    add_byte(out, tag);
    add_varint(out, size);
    tr_str_add_bytes(out, data, size);
}

static void add_wall_time(tr_str *out, double seconds)
{
    uint8_t bytes[8];
    tr_store_f64(bytes, seconds);
    add_byte(out, WALL_TIME);
    tr_str_add_bytes(out, bytes, sizeof bytes);
}

tr_status tr_tfevents_record(tr_str *out, const void *event, size_t size, tr_error *err)
{
    uint8_t length[8];
    tr_store_u64(length, size);
    tr_str_add_bytes(out, length, sizeof length);
    add_masked_crc(out, length, sizeof length);
    tr_str_add_bytes(out, event, size);
    add_masked_crc(out, event, size);
    return tr_str_check(out, err);
}

void tr_tfevents_version_event(tr_str *out, double wall_seconds)
{
    static const char version[] = "brain.Event:2";
    add_wall_time(out, wall_seconds);
    add_field(out, FILE_VERSION, version, sizeof version - 1);
}

void tr_tfevents_scalar_event(tr_str *out, double wall_seconds, int64_t step, const char *tag, float value)
{
    tr_str message = {0}, summary = {0};
    uint8_t bytes[4];
    tr_store_f32(bytes, value);
    add_field(&message, TAG, tag, strlen(tag));
    add_byte(&message, SIMPLE_VALUE);
    tr_str_add_bytes(&message, bytes, sizeof bytes);
    add_field(&summary, VALUE, message.data, message.size);
    add_wall_time(out, wall_seconds);
    add_byte(out, STEP);
    add_varint(out, (uint64_t)step); /* a negative step takes ten bytes, as protobuf's int64 does */
    add_field(out, SUMMARY, summary.data, summary.size);
    if (message.failed || summary.failed) out->failed = true;
    tr_str_free(&message);
    tr_str_free(&summary);
}

/* Usually one write call for the whole record. When the disk fills up in its middle the part is cut off again: a
 * reader would take what follows a broken record for damage. */
static tr_status append(tr_tfevents *events, const tr_str *event, tr_error *err)
{
    tr_str record = {0};
    tr_status status = tr_str_check(event, err);
    if (status == TR_OK) status = tr_tfevents_record(&record, event->data, event->size, err);
    size_t done = 0;
    while (status == TR_OK && done < record.size) {
        ssize_t n = write(events->fd, record.data + done, record.size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) status = tr_fail_errno(err, "cannot write %s", events->path);
        else done += (size_t)n;
    }
    if (status == TR_OK) events->size += (off_t)record.size;
    else if (done > 0 && ftruncate(events->fd, events->size) != 0) (void)tr_at(err, "%s", events->path);
    tr_str_free(&record);
    return status;
}

/* Creates the first file of the pattern that does not exist yet: an older run's events are never touched. */
static tr_status create_file(const char *folder, tr_tfevents *events, tr_error *err)
{
    char host[65] = "localhost", name[160];
    if (gethostname(host, sizeof host - 1) != 0 || !host[0]) snprintf(host, sizeof host, "localhost");
    for (char *p = host; *p; p++)
        if (*p == '/') *p = '_';
    for (int count = 0; count < 1000; count++) {
        snprintf(name, sizeof name, "events.out.tfevents.%010lld.%s.%d.%d", (long long)tr_wall_seconds(), host,
                 (int)getpid(), count);
        free(events->path);
        events->path = tr_path_join(folder, name);
        if (!events->path) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a path");
        events->fd = open(events->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
        if (events->fd >= 0) return TR_OK;
        if (errno != EEXIST) break;
    }
    return tr_fail_errno(err, "cannot create %s", events->path);
}

tr_status tr_tfevents_create(const char *folder, tr_tfevents **out, tr_error *err)
{
    tr_status status = TR_OK;
    tr_str event = {0};
    *out = NULL;
    TR_TRY(tr_alloc(out, 1, sizeof **out, "TensorBoard events", err));
    (*out)->fd = -1;
    TR_TRY_CLEANUP(create_file(folder, *out, err));
    tr_tfevents_version_event(&event, tr_wall_seconds());
    TR_TRY_CLEANUP(append(*out, &event, err));
cleanup:
    tr_str_free(&event);
    if (status != TR_OK) {
        tr_tfevents_close(*out);
        *out = NULL;
    }
    return status;
}

tr_status tr_tfevents_scalar(tr_tfevents *events, double wall_seconds, int64_t step, const char *tag, float value,
                             tr_error *err)
{
    tr_str event = {0};
    tr_tfevents_scalar_event(&event, wall_seconds, step, tag, value);
    tr_status status = append(events, &event, err);
    tr_str_free(&event);
    return status;
}

void tr_tfevents_close(tr_tfevents *events)
{
    if (!events) return;
    if (events->fd >= 0) close(events->fd);
    free(events->path);
    free(events);
}
