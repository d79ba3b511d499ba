/* tallrec: turn a language model into a recommender from a few dozen ratings.
 *
 * The one public header. Part 1: status and errors. The jobs (import, tune, eval, score, rank)
 * are declared below them; each is what the command of the same name calls.
 *
 * Conventions. Every function that can fail returns a tr_status and, when it is not TR_OK, fills
 * the caller's tr_error (which may be NULL). Strings are UTF-8. Nothing here prints or exits. */
#ifndef TALLREC_H
#define TALLREC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TALLREC_VERSION "0.1.0"

typedef enum {
    TR_OK = 0,
    TR_ERR_USAGE,       /* the caller asked for something that makes no sense */
    TR_ERR_IO,          /* open, read, write, disk full */
    TR_ERR_FORMAT,      /* a file's bytes break its format */
    TR_ERR_UNSUPPORTED, /* well-formed, but of a kind this program does not know */
    TR_ERR_VALUE,       /* a value out of range, NaN, a bad rating */
    TR_ERR_MISMATCH,    /* two things that do not belong together (adapter and base, run and data) */
    TR_ERR_UNDEFINED,   /* the quantity does not exist for this input (AUC of one class) */
    TR_ERR_MEMORY,      /* allocation failed or the plan does not fit */
    TR_ERR_NUMERIC,     /* NaN or infinity during training */
    TR_ERR_INTERRUPTED, /* stopped on request; state was saved */
} tr_status;

/* What went wrong. `message` says what, `where` the file with line or byte offset (may be empty),
 * `hint` what to do (may be empty). Each is NUL-terminated, cut when too long. */
typedef struct {
    tr_status status;
    char message[512];
    char where[512];
    char hint[384];
} tr_error;

#endif
