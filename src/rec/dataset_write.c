/* This file implements writing a data folder. The card goes first as "unfinished" and last as it is, so that
 * whatever stops the work in between leaves a folder that is known for ours and never taken for data. */
#include "rec/dataset.h"

#include "base/file.h"
#include "rec/idmap.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const our_files[] = {"card.json",   "train.jsonl", "valid.jsonl",
                                        "test.jsonl", "items.jsonl", "interactions.jsonl"};

/* What a killed import can leave beside its files: the temporary of one of them (see base/file.h). */
static bool is_leftover(const char *name)
{
    for (size_t i = 0; i < sizeof our_files / sizeof *our_files; i++) {
        size_t size = strlen(our_files[i]);
        if (strncmp(name, our_files[i], size) == 0 && strncmp(name + size, ".tmp.", 5) == 0) return true;
    }
    return false;
}

/* Empty but for leftovers: an import that died on its first file has no card yet. */
static bool is_empty_folder(const char *folder)
{
    DIR *stream = opendir(folder);
    bool empty = stream != NULL;
    if (!stream) return false;
    for (struct dirent *entry; empty && (entry = readdir(stream)) != NULL;)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || is_leftover(entry->d_name);
    closedir(stream);
    return empty;
}

static void remove_leftovers(const char *folder)
{
    DIR *stream = opendir(folder);
    if (!stream) return;
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
        if (is_leftover(entry->d_name)) unlinkat(dirfd(stream), entry->d_name, 0);
    closedir(stream);
}

tr_status tr_dataset_check_target(const char *folder, tr_error *err)
{
    if (!tr_folder_exists(folder)) {
        if (access(folder, F_OK) != 0) return TR_OK;
        return tr_fail(err, TR_ERR_USAGE, "%s is a file, not a folder", folder);
    }
    if (tr_card_present(folder) || is_empty_folder(folder)) return TR_OK;
    tr_fail(err, TR_ERR_USAGE, "%s exists and is not a data folder of tallrec; nothing was written", folder);
    return tr_hint(err, "give an empty or new folder with -o");
}

/* Writes one file of the folder and notes its hash; without rows removes what an earlier import left. */
typedef tr_status (*write_file)(const char *path, const void *content, tr_error *err);

static tr_status put_file(const char *folder, const char *name, size_t rows, write_file write, const void *content,
                          tr_card_file *entry, tr_error *err)
{
    char *path = tr_path_join(folder, name);
    tr_status status = TR_OK;
    if (!path) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a path");
    *entry = (tr_card_file){.rows = rows};
    if (rows == 0) {
        if (unlink(path) != 0 && tr_file_exists(path)) status = tr_fail_errno(err, "cannot remove the old %s", path);
    } else {
        status = write(path, content, err);
        if (status == TR_OK) status = tr_sha256_file(path, entry->sha256, err);
    }
    free(path);
    return status;
}

static tr_status write_examples(const char *path, const void *content, tr_error *err)
{
    return tr_examples_write(path, content, err);
}

static tr_status write_items(const char *path, const void *content, tr_error *err)
{
    return tr_items_write(path, content, err);
}

static tr_status write_ratings(const char *path, const void *content, tr_error *err)
{
    return tr_ratings_write(path, content, err);
}

static tr_status count_split(const tr_examples *examples, tr_card_file *entry, tr_error *err)
{
    tr_idmap users = {0};
    tr_status status = TR_OK;
    for (size_t i = 0; i < examples->n && status == TR_OK; i++) {
        entry->yes += examples->row[i].label == 1;
        if (examples->row[i].user) status = tr_idmap_add(&users, examples->row[i].user, i, err);
    }
    entry->users = users.n;
    tr_idmap_free(&users);
    return status;
}

tr_status tr_dataset_write(const char *folder, tr_import_data *data, tr_error *err)
{
    const tr_interactions *interactions = &data->interactions;
    tr_card *card = &data->card;
    TR_TRY(tr_dataset_check_target(folder, err));
    TR_TRY(tr_folder_create(folder, err));
    remove_leftovers(folder);
    TR_TRY(tr_card_save_unfinished(folder, err));
    for (int s = 0; s < TR_N_SPLITS; s++) {
        char name[16];
        snprintf(name, sizeof name, "%s.jsonl", tr_split_name((tr_split)s));
        TR_TRY(put_file(folder, name, data->split[s].n, write_examples, &data->split[s], &card->split[s], err));
        TR_TRY(count_split(&data->split[s], &card->split[s], err));
    }
    TR_TRY(put_file(folder, "items.jsonl", interactions->n_items, write_items, interactions, &card->items, err));
    TR_TRY(put_file(folder, "interactions.jsonl", interactions->n_ratings, write_ratings, interactions,
                    &card->interactions, err));
    return tr_card_save(folder, card, err);
}
