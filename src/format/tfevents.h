/* TensorBoard event files: scalars only. A resumed run opens a new file beside the old one.
 * Format: TFRecord framing with masked CRC-32C (tensorflow record_writer), Event and Summary protobufs. */
#ifndef TR_FORMAT_TFEVENTS_H
#define TR_FORMAT_TFEVENTS_H

#include "base/error.h"
#include "base/str.h"

typedef struct tr_tfevents tr_tfevents;

/* Creates FOLDER/events.out.tfevents.TIME.HOST.PID.N, which must be a new file, and writes the version record.
 * The folder must exist. TR_ERR_IO, TR_ERR_MEMORY. */
tr_status tr_tfevents_create(const char *folder, tr_tfevents **out, tr_error *err);
/* Appends one scalar, at once visible to a TensorBoard that follows the file. wall_seconds since 1970. */
tr_status tr_tfevents_scalar(tr_tfevents *events, double wall_seconds, int64_t step, const char *tag, float value,
                             tr_error *err);
void tr_tfevents_close(tr_tfevents *events); /* NULL is fine */

/* The bytes behind them, each appended to `out`: the message that opens a file, the message of one scalar, and the
 * record that frames a message. Out of memory shows in `out`. */
void tr_tfevents_version_event(tr_str *out, double wall_seconds);
void tr_tfevents_scalar_event(tr_str *out, double wall_seconds, int64_t step, const char *tag, float value);
tr_status tr_tfevents_record(tr_str *out, const void *event, size_t size, tr_error *err);

#endif
