/* Items and ratings from text tables, for the importers: which column holds what is theirs to say. */
#ifndef TR_REC_TABLE_H
#define TR_REC_TABLE_H

#include "rec/import.h"

#define TR_NO_COLUMN SIZE_MAX

typedef struct {
    char separator;
    bool header;       /* the first line names the columns */
    bool quoted;       /* a field may stand in double quotes, quotes inside doubled (CSV) */
    size_t n_columns;  /* a line with fewer is bad */
    size_t id, title;  /* of an items table */
    size_t year;       /* what stood in parentheses behind the title, and is put back there: " (1995)" (left out
                        * where empty, or the same as the title); or TR_NO_COLUMN */
    size_t user, item, rating, time; /* of a ratings table */
} tr_table_columns;

/* Adds the items of a table to out->interactions, counting into out->card.counts and adding the file to the card's
 * sources. TR_ERR_FORMAT when more than max_bad of its lines are of no use. */
tr_status tr_table_read_items(const char *path, const tr_table_columns *columns, double max_bad, tr_import_data *out,
                              tr_error *err);

/* The same for ratings; the items first. A user's second rating of an item is left out. */
tr_status tr_table_read_ratings(const char *path, const tr_table_columns *columns, double max_bad,
                                tr_import_data *out, tr_error *err);

#endif
