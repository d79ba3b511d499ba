/* The importers and protocols that the tables in import.c list: a file and a declaration each. */
#ifndef TR_REC_IMPORTERS_H
#define TR_REC_IMPORTERS_H

#include "rec/import.h"

tr_status tr_import_movielens(const char *const *sources, size_t n_sources, const tr_import_options *options,
                              tr_import_data *out, tr_error *err);
tr_status tr_import_tallrec(const char *const *sources, size_t n_sources, const tr_import_options *options,
                            tr_import_data *out, tr_error *err);

tr_status tr_protocol_tallrec(const tr_interactions *interactions, const tr_import_options *options, const char *noun,
                              tr_examples split[TR_N_SPLITS], size_t *n_windows, tr_error *err);

#endif
