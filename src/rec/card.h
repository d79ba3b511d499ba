/* The protocol card of a data folder: what the data are, by hash, and the rule that made the splits. It travels
 * with every result, so that numbers made on other data or by another rule are never put in one table.
 * Its file form is `card.json` in the data folder. */
#ifndef TR_REC_CARD_H
#define TR_REC_CARD_H

#include "base/error.h"
#include "base/sha256.h"
#include <jansson.h>

/* "train", "valid", "test". */
const char *tr_split_name(tr_split split);
/* TR_ERR_USAGE for another word. */
tr_status tr_split_parse(const char *name, tr_split *out, tr_error *err);

/* A file that the data came from. */
typedef struct {
    char *name; /* without its folder: the same data elsewhere are the same data */
    uint64_t bytes;
    char sha256[TR_SHA256_HEX];
} tr_card_source;

/* A file of the data folder. A file that is not there has sha256 "" and zero counts. */
typedef struct {
    size_t rows;
    size_t yes;   /* rows labelled yes; splits only */
    size_t users; /* distinct known users; 0 where the source does not tell */
    char sha256[TR_SHA256_HEX];
} tr_card_file;

/* What the importer met. */
typedef struct {
    size_t lines;          /* data lines read, over all source files */
    size_t bad_lines;      /* not of the layout; left out */
    size_t duplicates;     /* rating of an item by a user who rated it before, or an item listed twice; left out */
    size_t missing_items;  /* ratings of items that the catalogue lacks; left out */
    size_t latin1_lines;   /* not UTF-8; read as Latin-1 */
    size_t users, items, ratings; /* kept */
    size_t windows;        /* examples that the ratings would give; of these the protocol's last ones are used */
} tr_import_counts;

typedef struct {
    char *tallrec;         /* version that wrote the card; not compared */
    char *importer, *layout;
    char *protocol;        /* name of the rule; "published" where the source came split */
    char *rule;            /* in words */
    char *noun;            /* kind of item in the questions: "movie" */
    int history;           /* titles before the target; 0 unknown */
    double threshold;      /* liked: rating above this */
    size_t max_windows;    /* examples wanted at most; 0 no limit */
    tr_card_source *source;
    size_t n_sources, sources_capacity;
    tr_import_counts counts;
    tr_card_file split[TR_N_SPLITS];
    tr_card_file items, interactions;
} tr_card;

void tr_card_clear(tr_card *card);

/* Sets a text member (a copy of `text`), freeing what it held. */
tr_status tr_card_set(char **member, const char *text, tr_error *err);

/* Adds a source file: its name without folder, size and hash. */
tr_status tr_card_add_source(tr_card *card, const char *path, tr_error *err);

/* The card as JSON (new reference, for embedding in a report or a run's configuration), and back. */
tr_status tr_card_to_json(const tr_card *card, json_t **out, tr_error *err);
tr_status tr_card_from_json(const json_t *value, tr_card *out, tr_error *err);

/* Saves as FOLDER/card.json; atomic. */
tr_status tr_card_save(const char *folder, const tr_card *card, tr_error *err);

/* Puts in its place a card that says "import not finished": what a killed import leaves is known for ours, and
 * never taken for data. */
tr_status tr_card_save_unfinished(const char *folder, tr_error *err);

/* TR_ERR_IO when there is none, TR_ERR_FORMAT when it is not a card, TR_ERR_MISMATCH when the import did not
 * finish; each with a hint. */
tr_status tr_card_load(const char *folder, tr_card *out, tr_error *err);

/* True when FOLDER/card.json is a card, finished or not. */
bool tr_card_present(const char *folder);

/* True when results on the two cards may stand in one table: the same sources, rule, parameters and split files.
 * Otherwise `difference` (may be NULL) tells the first difference. The version of the program does not count. */
bool tr_card_same(const tr_card *a, const tr_card *b, char *difference, size_t size);

#endif
