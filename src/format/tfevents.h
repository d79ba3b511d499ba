/* TensorBoard event files: scalars only. A resumed run opens a new file beside the old one.
 * Format: TFRecord framing with masked CRC-32C (tensorflow record_writer), Event and Summary protobufs. */
#ifndef TR_FORMAT_TFEVENTS_H
#define TR_FORMAT_TFEVENTS_H

#include "base/error.h"

typedef struct tr_tfevents tr_tfevents;

/* Creates FOLDER/events.out.tfevents.TIME.HOST.PID.N and writes the version record. */
tr_status tr_tfevents_create(const char *folder, tr_tfevents **out, tr_error *err);
/* Appends one scalar and flushes it. wall_seconds since 1970. */
tr_status tr_tfevents_scalar(tr_tfevents *events, double wall_seconds, int64_t step, const char *tag, float value,
                             tr_error *err);
void tr_tfevents_close(tr_tfevents *events);

#endif
