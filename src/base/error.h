/* Errors as values: how every fallible function reports. See include/tallrec.h for the codes. */
#ifndef TR_BASE_ERROR_H
#define TR_BASE_ERROR_H

#include "tallrec.h"

/* Fills `err` (may be NULL) with a status and a formatted message, clearing where and hint.
 * Returns `status`, so that a failing function can `return tr_fail(err, TR_ERR_..., "...", ...)`. */
tr_status tr_fail(tr_error *err, tr_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Like tr_fail for a failed system call: appends strerror(errno). TR_ERR_IO, or TR_ERR_MEMORY for ENOMEM. */
tr_status tr_fail_errno(tr_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds the place or the remedy to an error already made by tr_fail. Each returns err->status (TR_ERR_VALUE
 * when err is NULL), so that calls can be chained in a return statement. tr_at keeps an earlier, more
 * precise place if there is one. */
tr_status tr_at(tr_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
tr_status tr_hint(tr_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Forwards a failure to the caller. Only where nothing needs releasing. */
#define TR_TRY(expression)                                 \
    do {                                                   \
        tr_status try_status_ = (expression);              \
        if (try_status_ != TR_OK) return try_status_;      \
    } while (0)

/* Forwards a failure to the label `cleanup` of a function that has a variable `tr_status status`. */
#define TR_TRY_CLEANUP(expression)                         \
    do {                                                   \
        status = (expression);                             \
        if (status != TR_OK) goto cleanup;                 \
    } while (0)

#endif
