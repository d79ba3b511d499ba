/* This file implements opening a data folder and reading its parts on demand. Writing is in dataset_write.c. */
#include "rec/dataset.h"

#include "base/file.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

tr_status tr_dataset_open(const char *folder, tr_dataset *out, tr_error *err)
{
    *out = (tr_dataset){0};
    TR_TRY(tr_card_load(folder, &out->card, err));
    tr_status status = tr_strdup(&out->folder, folder, err);
    if (status != TR_OK) tr_dataset_close(out);
    return status;
}

void tr_dataset_close(tr_dataset *dataset)
{
    free(dataset->folder);
    tr_card_clear(&dataset->card);
    for (int s = 0; s < TR_N_SPLITS; s++) tr_examples_free(&dataset->split[s]);
    tr_interactions_free(&dataset->interactions);
    *dataset = (tr_dataset){0};
}

/* The path of a file of the folder, after making sure that it is the one on the card. Caller frees. */
static tr_status checked_path(const tr_dataset *dataset, const char *name, const tr_card_file *file, char **out,
                              tr_error *err)
{
    char hash[TR_SHA256_HEX];
    *out = tr_path_join(dataset->folder, name);
    if (!*out) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a path");
    tr_status status = tr_sha256_file(*out, hash, err);
    if (status == TR_OK && strcmp(hash, file->sha256) != 0) {
        tr_fail(err, TR_ERR_MISMATCH, "%s was changed after the import: its SHA-256 is not the card's", *out);
        status = tr_hint(err, "import again; for rows of your own give the file itself (--train FILE, score FILE)");
    }
    if (status != TR_OK) {
        free(*out);
        *out = NULL;
    }
    return status;
}

tr_status tr_dataset_split(tr_dataset *dataset, tr_split split, const tr_examples **out, tr_error *err)
{
    const tr_card_file *file = &dataset->card.split[split];
    char name[16], *path;
    *out = &dataset->split[split];
    if (dataset->split_read[split]) return TR_OK;
    if (file->rows == 0) {
        tr_fail(err, TR_ERR_VALUE, "the data folder has no %s rows", tr_split_name(split));
        return tr_at(err, "%s", dataset->folder);
    }
    snprintf(name, sizeof name, "%s.jsonl", tr_split_name(split));
    TR_TRY(checked_path(dataset, name, file, &path, err));
    tr_status status = tr_examples_read(path, true, &dataset->split[split], NULL, err);
    free(path);
    dataset->split_read[split] = status == TR_OK;
    return status;
}

tr_status tr_dataset_items(tr_dataset *dataset, const tr_interactions **out, tr_error *err)
{
    char *path;
    *out = &dataset->interactions;
    if (dataset->items_read) return TR_OK;
    if (dataset->card.items.rows == 0) {
        tr_fail(err, TR_ERR_UNSUPPORTED, "the data folder has no catalogue of items");
        return tr_at(err, "%s", dataset->folder);
    }
    TR_TRY(checked_path(dataset, "items.jsonl", &dataset->card.items, &path, err));
    tr_status status = tr_items_read(path, &dataset->interactions, err);
    free(path);
    dataset->items_read = status == TR_OK;
    if (status != TR_OK) tr_interactions_free(&dataset->interactions);
    return status;
}

tr_status tr_dataset_ratings(tr_dataset *dataset, const tr_interactions **out, tr_error *err)
{
    char *path;
    *out = &dataset->interactions;
    if (dataset->ratings_read) return TR_OK;
    if (dataset->card.interactions.rows == 0) {
        tr_fail(err, TR_ERR_UNSUPPORTED, "the data folder knows no users: its source had examples only");
        tr_at(err, "%s", dataset->folder);
        return tr_hint(err, "give the history itself: --history FILE");
    }
    TR_TRY(tr_dataset_items(dataset, out, err));
    TR_TRY(checked_path(dataset, "interactions.jsonl", &dataset->card.interactions, &path, err));
    tr_status status = tr_ratings_read(path, &dataset->interactions, err);
    if (status == TR_OK) status = tr_interactions_group(&dataset->interactions, err);
    free(path);
    dataset->ratings_read = status == TR_OK;
    if (status != TR_OK) {
        tr_interactions_free(&dataset->interactions);
        dataset->items_read = false;
    }
    return status;
}

static tr_status copy_entry(const tr_interactions *interactions, const tr_rating *rating, double threshold,
                            tr_history_item *out, tr_error *err)
{
    out->liked = rating->rating > threshold;
    TR_TRY(tr_strdup(&out->item, interactions->item[rating->item].id, err));
    return tr_strdup(&out->title, interactions->item[rating->item].title, err);
}

static tr_status fill_history(const tr_interactions *interactions, const size_t *numbers, size_t n_rated,
                              size_t window, double threshold, tr_user_history *out, tr_error *err)
{
    size_t n = n_rated < window ? n_rated : window;
    TR_TRY(tr_alloc(&out->seen, interactions->n_items, 1, "seen items", err));
    TR_TRY(tr_alloc(&out->item, n, sizeof *out->item, "a history", err));
    for (size_t i = 0; i < n_rated; i++) {
        uint8_t *seen = &out->seen[interactions->rating[numbers[i]].item];
        out->n_seen += !*seen;
        *seen = 1;
    }
    for (size_t i = 0; i < n; i++) {
        out->n = i + 1; /* so that freeing takes what a failure leaves behind */
        TR_TRY(copy_entry(interactions, &interactions->rating[numbers[n_rated - n + i]], threshold, &out->item[i],
                          err));
    }
    return TR_OK;
}

tr_status tr_dataset_user_history(tr_dataset *dataset, const char *user, size_t window, tr_user_history *out,
                                  tr_error *err)
{
    const tr_interactions *interactions;
    *out = (tr_user_history){0};
    TR_TRY(tr_dataset_ratings(dataset, &interactions, err));
    size_t u = tr_interactions_user(interactions, user);
    if (u == TR_NOT_FOUND) {
        tr_fail(err, TR_ERR_VALUE, "no user has the id %s", user);
        return tr_hint(err, "ids are the source's own; the data have %zu users, such as %s", interactions->n_users,
                       interactions->n_users ? interactions->user[0] : "nobody");
    }
    const size_t *start = interactions->user_start + u;
    tr_status status = fill_history(interactions, interactions->by_user + start[0], start[1] - start[0], window,
                                    dataset->card.threshold, out, err);
    if (status != TR_OK) tr_user_history_free(out);
    return status;
}

void tr_user_history_free(tr_user_history *history)
{
    tr_history_free(history->item, history->n);
    free(history->seen);
    *history = (tr_user_history){0};
}
