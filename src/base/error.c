/* This file implements errors as values. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

tr_status tr_fail(tr_error *err, tr_status status, const char *format, ...)
{
    if (!err) return status;
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    err->status = status;
    err->where[0] = err->hint[0] = '\0';
    return status;
}

tr_status tr_fail_errno(tr_error *err, const char *format, ...)
{
    int code = errno;
    tr_status status = code == ENOMEM ? TR_ERR_MEMORY : TR_ERR_IO;
    if (!err) return status;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    err->status = status;
    err->where[0] = err->hint[0] = '\0';
    if (n >= 0 && (size_t)n < sizeof err->message)
        snprintf(err->message + n, sizeof err->message - (size_t)n, ": %s", strerror(code));
    if (code == ENOSPC) tr_hint(err, "free disk space, then run the command again");
    return status;
}

tr_status tr_at(tr_error *err, const char *format, ...)
{
    if (!err) return TR_ERR_VALUE;
    if (!err->where[0]) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->where, sizeof err->where, format, args);
        va_end(args);
    }
    return err->status;
}

tr_status tr_hint(tr_error *err, const char *format, ...)
{
    if (!err) return TR_ERR_VALUE;
    va_list args;
    va_start(args, format);
    vsnprintf(err->hint, sizeof err->hint, format, args);
    va_end(args);
    return err->status;
}
