/* This file looks after run folders: whether one is ours, and clearing it. */
#include "job/run_folder.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Everything that a run writes. */
static const char *const ours[] = {
    TR_RUN_CONFIG, TR_RUN_TRAIN_ROWS, TR_RUN_VALID_ROWS, TR_RUN_START, "state.bin", "metrics.jsonl", "tensorboard",
    "adapter", "adapter-last",
};
enum { N_OURS = sizeof ours / sizeof *ours };

/* Also "config.json.tmp.123", which a killed process leaves. */
static bool is_ours(const char *name)
{
    for (int i = 0; i < N_OURS; i++) {
        size_t size = strlen(ours[i]);
        if (strncmp(name, ours[i], size) != 0) continue;
        if (name[size] == '\0' || strncmp(name + size, ".tmp.", 5) == 0) return true;
    }
    return false;
}

bool tr_run_present(const char *folder)
{
    char *path = tr_path_join(folder, TR_RUN_CONFIG);
    bool present = path && tr_file_exists(path);
    free(path);
    return present;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info, (void)kind, (void)place;
    return remove(path);
}

static tr_status remove_tree(const char *folder, const char *name, tr_error *err)
{
    char *path = tr_path_join(folder, name);
    if (!path) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a path");
    tr_status status = TR_OK;
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT) {
        tr_fail_errno(err, "cannot remove what an earlier run left");
        status = tr_at(err, "%s", path);
    }
    free(path);
    return status;
}

/* Calls for each entry that is ours (or that is not) until it gives other than TR_OK. */
typedef tr_status (*entry_action)(const char *folder, const char *name, tr_error *err);

static tr_status for_entries(const char *folder, bool of_ours, entry_action action, tr_error *err)
{
    DIR *directory = opendir(folder);
    if (!directory && errno == ENOENT) return TR_OK;
    if (!directory) {
        tr_fail_errno(err, "cannot read the run folder");
        return tr_at(err, "%s", folder);
    }
    tr_status status = TR_OK;
    for (struct dirent *entry; status == TR_OK && (entry = readdir(directory));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (is_ours(entry->d_name) == of_ours) status = action(folder, entry->d_name, err);
    }
    closedir(directory);
    return status;
}

static tr_status refuse(const char *folder, const char *name, tr_error *err)
{
    tr_fail(err, TR_ERR_USAGE, "the folder holds something that is not a run's: %s", name);
    tr_at(err, "%s", folder);
    return tr_hint(err, "name a new folder with -o");
}

tr_status tr_run_check(const char *folder, bool force, tr_error *err)
{
    if (!tr_run_present(folder)) return for_entries(folder, false, refuse, err);
    if (force) return TR_OK;
    tr_fail(err, TR_ERR_USAGE, "the folder holds a run already");
    tr_at(err, "%s", folder);
    return tr_hint(err, "--resume continues it, --force replaces it, -o names another");
}

/* The configuration goes first: from then on there is no run to resume. */
tr_status tr_run_prepare(const char *folder, bool force, tr_error *err)
{
    TR_TRY(tr_run_check(folder, force, err));
    TR_TRY(tr_folder_create(folder, err));
    TR_TRY(remove_tree(folder, TR_RUN_CONFIG, err));
    return for_entries(folder, true, remove_tree, err);
}
