/* A data folder: what `import` makes and every other command opens.
 *
 *   card.json            the protocol card; written last, so a folder with a finished card is whole
 *   train.jsonl valid.jsonl test.jsonl   examples (those splits that have rows)
 *   items.jsonl          the catalogue
 *   interactions.jsonl   all ratings, where the source had them */
#ifndef TR_REC_DATASET_H
#define TR_REC_DATASET_H

#include "rec/card.h"
#include "rec/example.h"
#include "rec/import.h"
#include "rec/interactions.h"

typedef struct {
    char *folder;
    tr_card card;
    tr_examples split[TR_N_SPLITS];
    bool split_read[TR_N_SPLITS];
    tr_interactions interactions;
    bool items_read, ratings_read;
} tr_dataset;

/* Reads the card only; see tr_card_load for the errors. */
tr_status tr_dataset_open(const char *folder, tr_dataset *out, tr_error *err);
void tr_dataset_close(tr_dataset *dataset);

/* The examples of a split, read when first asked for; the data set owns them. TR_ERR_VALUE when the split has no
 * rows, TR_ERR_MISMATCH when the file is not the one that the card names by hash. */
tr_status tr_dataset_split(tr_dataset *dataset, tr_split split, const tr_examples **out, tr_error *err);

/* The catalogue (interactions with items only) and the ratings with it, read when first asked for; the data set
 * owns them. TR_ERR_UNSUPPORTED when the source had no ratings, TR_ERR_MISMATCH as above. */
tr_status tr_dataset_items(tr_dataset *dataset, const tr_interactions **out, tr_error *err);
tr_status tr_dataset_ratings(tr_dataset *dataset, const tr_interactions **out, tr_error *err);

/* What a user did: the last `window` ratings in time order as a history, and which items were ever rated. */
typedef struct {
    tr_history_item *item; /* (n) oldest first; owned */
    size_t n;
    uint8_t *seen;         /* (n_items of the catalogue) 1 rated by this user; owned */
    size_t n_seen;
} tr_user_history;

/* TR_ERR_VALUE for an unknown user, TR_ERR_UNSUPPORTED without ratings. The caller frees with the function below. */
tr_status tr_dataset_user_history(tr_dataset *dataset, const char *user, size_t window, tr_user_history *out,
                                  tr_error *err);
void tr_user_history_free(tr_user_history *history);

/* Whether `folder` may be written to: TR_OK when it does not exist, is empty, or is a data folder of ours (also one
 * of an import that did not finish); TR_ERR_USAGE otherwise. */
tr_status tr_dataset_check_target(const char *folder, tr_error *err);

/* Writes all files of the folder, replacing those of an earlier import, and completes data->card with their counts
 * and hashes. */
tr_status tr_dataset_write(const char *folder, tr_import_data *data, tr_error *err);

#endif
