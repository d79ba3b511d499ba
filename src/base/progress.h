/* Progress for people: one line redrawn on a terminal, plain lines now and then when piped. All of it goes
 * to standard error; standard output is for results. */
#ifndef TR_BASE_PROGRESS_H
#define TR_BASE_PROGRESS_H

#include "base/error.h"

/* How much is shown is set by tr_log_set (tallrec.h). */

/* A plain line on standard error (a newline is added); first clears a progress line being shown. */
void tr_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same with "warning: " before it, shown even when quiet. */
void tr_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A job of `total` units (0: unknown). Zero-initialise, start, update as often as you like (it limits itself
 * to ten redraws a second, or a line every ten seconds when piped), finish. */
typedef struct {
    const char *label;  /* "scoring" */
    const char *unit;   /* "rows" */
    double started, drawn;
    size_t total, done, first_done;
    bool active;
} tr_progress;

void tr_progress_start(tr_progress *progress, const char *label, const char *unit, size_t total, size_t done);
/* `detail` (may be NULL) is appended after the bar: "loss 0.412  AUC 0.66". */
void tr_progress_update(tr_progress *progress, size_t done, const char *detail);
void tr_progress_finish(tr_progress *progress, const char *detail);

/* "1 h 04 min", "3 min 20 s", "4.2 s". Returns `buffer`. */
const char *tr_format_seconds(double seconds, char *buffer, size_t size);
/* "1.2 GB", "340 MB". */
const char *tr_format_bytes(double bytes, char *buffer, size_t size);

#endif
