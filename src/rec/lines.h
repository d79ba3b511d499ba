/* Text files of lines with fields, as data sets come: mapped, lines numbered, fields parted by one character,
 * Latin-1 turned into UTF-8, numbers read strictly. */
#ifndef TR_REC_LINES_H
#define TR_REC_LINES_H

#include "base/error.h"
#include "base/file.h"

#define TR_LINE_MAX 65536 /* bytes; a longer line is not one of ours */
#define TR_FIELDS_MAX 64  /* fields looked at; further ones stay together in the last */

typedef struct {
    tr_mapping file;
    size_t offset;
    size_t number;      /* of the current line, from 1 */
    bool latin1;        /* the current line was not UTF-8 */
    const char *problem;/* why the current line cannot be used: too long, a NUL byte; NULL when it can */
    char *text;         /* the current line, UTF-8, without its end; valid until the next; "" with a problem */
    char *field[TR_FIELDS_MAX];
    size_t n_fields;
} tr_lines;

/* An empty file is TR_ERR_FORMAT. A byte-order mark is skipped. */
tr_status tr_lines_open(tr_lines *lines, const char *path, tr_error *err);
void tr_lines_close(tr_lines *lines);

/* Goes to the next line that is not empty and parts it at `separator` ('\n': not at all). *more is false at the
 * end. CR LF and LF both end a line. TR_ERR_MEMORY. */
tr_status tr_lines_next(tr_lines *lines, char separator, bool *more, tr_error *err);

/* The whole field as a number; false when it is anything else, or not finite. The second also takes a number
 * with a fraction of zero ("881250949.0"). */
bool tr_parse_number(const char *text, double *out);
bool tr_parse_integer(const char *text, int64_t *out);

#endif
