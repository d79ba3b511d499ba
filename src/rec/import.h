/* Importing: a data set in its published layout becomes a data folder (see dataset.h).
 *
 * An importer reads one kind of source. It delivers ratings with a catalogue, which a protocol then turns into
 * examples, or examples that come split already. To add one: a file import_NAME.c, its line in the table in
 * import.c. A protocol likewise: protocol_NAME.c and its line. */
#ifndef TR_REC_IMPORT_H
#define TR_REC_IMPORT_H

#include "base/error.h"
#include "rec/card.h"
#include "rec/example.h"
#include "rec/interactions.h"

typedef struct {
    const char *protocol;  /* name of the rule that makes examples from ratings */
    const char *noun;      /* kind of item in the questions; NULL: the importer's own ("movie") */
    int history;           /* titles before the target */
    double threshold;      /* liked: rating above this */
    size_t max_windows;    /* examples at most, the last ones; split 8 : 1 : 1 */
    double max_bad;        /* share of unusable lines accepted, in [0, 1] */
} tr_import_options;

/* tallrec, history 10, threshold 3, 10,000 windows, 1 % bad. */
tr_import_options tr_import_defaults(void);

/* What an importer fills. */
typedef struct {
    tr_interactions interactions;     /* the items always; the ratings where the source has them */
    tr_examples split[TR_N_SPLITS];   /* where the source came split */
    bool is_split;
    tr_card card;                     /* layout, noun, sources, counts */
} tr_import_data;

typedef struct {
    const char *name;     /* as in `tallrec import NAME` */
    const char *reads;    /* one line for people: what the sources are */
    const char *usage;    /* the arguments: "DIR" */
    tr_status (*read)(const char *const *sources, size_t n_sources, const tr_import_options *options,
                      tr_import_data *out, tr_error *err);
} tr_importer;

typedef struct {
    const char *name;
    const char *rule;     /* in words, for the card */
    /* From grouped interactions to the three splits; *n_windows is the count before max_windows. */
    tr_status (*split)(const tr_interactions *interactions, const tr_import_options *options, const char *noun,
                       tr_examples split[TR_N_SPLITS], size_t *n_windows, tr_error *err);
} tr_protocol;

/* The tables; each ends with a NULL name. */
extern const tr_importer tr_importers[];
extern const tr_protocol tr_protocols[];

/* Imports into `folder`: train.jsonl, valid.jsonl, test.jsonl, items.jsonl, interactions.jsonl and, last, card.json
 * (those for which the source has the content). `card` (may be NULL) receives the card with all counts; caller
 * clears. The same sources and options give the same bytes.
 *
 * A folder that holds something else than a data folder of ours is TR_ERR_USAGE. An existing data folder is
 * replaced; an import that dies leaves one that says so. Bad lines, repeated ratings, ratings of unknown items:
 * counted, the first five of each shown with their line by tr_warn, and TR_ERR_FORMAT beyond options->max_bad. */
tr_status tr_import(const char *importer, const char *const *sources, size_t n_sources, const char *folder,
                    const tr_import_options *options, tr_card *card, tr_error *err);

/* For importers -------------------------------------------------------------------------------------------- */

/* Counts a problem in *counter (a member of data->card.counts) and shows the first five of that counter. */
void tr_import_problem(size_t *counter, const char *path, size_t line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* TR_ERR_FORMAT when more than max_bad of the n_lines of `path` were unusable (or all of them were). */
tr_status tr_import_judge(const char *path, size_t n_lines, size_t n_unusable, double max_bad, tr_error *err);

#endif
