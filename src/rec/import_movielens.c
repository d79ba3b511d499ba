/* This file imports MovieLens. By what the folder holds it tells GroupLens' own layout of ML-100K (u.data, u.item)
 * from RecBole's atomic files (NAME.inter, NAME.item).
 *
 * GroupLens' README: u.data is tab-separated user, item, rating, timestamp; u.item has fields parted by '|', id and
 * title first, and is Latin-1. RecBole's documentation of atomic files: tab-separated, UTF-8, read as CSV, the first
 * line NAME:TYPE for each column.
 *
 * Titles. GroupLens writes "Name (1995)"; RecBole's copy of ML-100K has what stood in the last parentheses (mostly
 * the year; "V" for item 1412) in a column of its own, and it is put back here. 13 of the 1,682 titles still differ,
 * because that copy was edited: nine have their accents back (items 543, 1005, 1104, 1233, 1252, 1322, 1366, 1623,
 * 1633), three lost a blank at the end (1128, 1201, 1635), and item 267, whose title is unknown, is spelt differently.
 * Ratings and their order are the same in both, and so are the examples but for the spelling of these titles. */
#include "rec/importers.h"

#include "base/file.h"
#include "base/memory.h"
#include "rec/lines.h"
#include "rec/table.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static tr_status join(const char *folder, const char *name, char **out, tr_error *err)
{
    *out = tr_path_join(folder, name);
    return *out ? TR_OK : tr_fail(err, TR_ERR_MEMORY, "out of memory for a path");
}

/* GroupLens --------------------------------------------------------------------------------------------- */

static tr_status read_grouplens(const char *folder, const tr_import_options *options, tr_import_data *out,
                                tr_error *err)
{
    static const tr_table_columns items = {
        .separator = '|', .n_columns = 2, .id = 0, .title = 1, .year = TR_NO_COLUMN};
    static const tr_table_columns ratings = {
        .separator = '\t', .n_columns = 4, .user = 0, .item = 1, .rating = 2, .time = 3};
    char *items_path = NULL, *ratings_path = NULL;
    tr_status status;
    TR_TRY_CLEANUP(tr_card_set(&out->card.layout, "grouplens", err));
    TR_TRY_CLEANUP(join(folder, "u.item", &items_path, err));
    TR_TRY_CLEANUP(join(folder, "u.data", &ratings_path, err));
    TR_TRY_CLEANUP(tr_table_read_items(items_path, &items, options->max_bad, out, err));
    TR_TRY_CLEANUP(tr_table_read_ratings(ratings_path, &ratings, options->max_bad, out, err));
cleanup:
    free(items_path);
    free(ratings_path);
    return status;
}

/* RecBole ----------------------------------------------------------------------------------------------- */

/* The column whose name (without its type) is one of `names`, earlier names first; TR_NO_COLUMN when none is. */
static size_t find_column(const tr_lines *header, const char *const *names)
{
    for (; *names; names++)
        for (size_t i = 0; i < header->n_fields; i++) {
            size_t size = strcspn(header->field[i], ":");
            if (size == strlen(*names) && memcmp(header->field[i], *names, size) == 0) return i;
        }
    return TR_NO_COLUMN;
}

typedef struct {
    size_t *column;
    const char *const *names; /* NULL-terminated */
    bool needed;
} wanted;

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Finds each wanted column in the first line of `path`. */
static tr_status find_columns(const char *path, const wanted *want, size_t n, tr_table_columns *columns, tr_error *err)
{
    tr_lines lines;
    bool more;
    tr_status status;
    TR_TRY_CLEANUP(tr_lines_open(&lines, path, err));
    TR_TRY_CLEANUP(tr_lines_next(&lines, columns->separator, &more, err));
    for (size_t i = 0; i < n; i++) {
        *want[i].column = more ? find_column(&lines, want[i].names) : TR_NO_COLUMN;
        if (*want[i].column == TR_NO_COLUMN && want[i].needed) {
            tr_fail(err, TR_ERR_FORMAT, "%s has no column %s", path, want[i].names[0]);
            tr_at(err, "%s:1", path);
            status = tr_hint(err, "RecBole's atomic files begin with a line of NAME:TYPE, parted by tabs");
            goto cleanup;
        }
        if (*want[i].column != TR_NO_COLUMN && *want[i].column >= columns->n_columns)
            columns->n_columns = *want[i].column + 1;
    }
cleanup:
    tr_lines_close(&lines);
    return status;
}

static tr_status read_recbole(const char *items_path, const char *ratings_path, const tr_import_options *options,
                              tr_import_data *out, tr_error *err)
{
    tr_table_columns items = {.separator = '\t', .header = true, .quoted = true}, ratings = items;
    const wanted in_items[] = {
        {&items.id, NAMES("item_id"), true},
        {&items.title, NAMES("movie_title", "title", "item_title", "name", "item_name"), true},
        {&items.year, NAMES("release_year", "year"), false},
    };
    const wanted in_ratings[] = {
        {&ratings.user, NAMES("user_id"), true},
        {&ratings.item, NAMES("item_id"), true},
        {&ratings.rating, NAMES("rating"), true},
        {&ratings.time, NAMES("timestamp"), true},
    };
    TR_TRY(tr_card_set(&out->card.layout, "recbole", err));
    TR_TRY(find_columns(items_path, in_items, 3, &items, err));
    TR_TRY(find_columns(ratings_path, in_ratings, 4, &ratings, err));
    TR_TRY(tr_table_read_items(items_path, &items, options->max_bad, out, err));
    return tr_table_read_ratings(ratings_path, &ratings, options->max_bad, out, err);
}

/* The one file of the folder whose name ends in .inter, without that ending; NULL when there is none. */
static tr_status find_inter(const char *folder, char **out, tr_error *err)
{
    DIR *stream = opendir(folder);
    *out = NULL;
    if (!stream) return tr_fail_errno(err, "cannot open the folder %s", folder);
    tr_status status = TR_OK;
    for (struct dirent *entry; status == TR_OK && (entry = readdir(stream)) != NULL;) {
        size_t size = strlen(entry->d_name);
        if (size <= 6 || strcmp(entry->d_name + size - 6, ".inter") != 0) continue;
        if (*out) {
            tr_fail(err, TR_ERR_USAGE, "%s holds more than one .inter file", folder);
            status = tr_hint(err, "files split beforehand (NAME.part1.inter) are not read; give the whole NAME.inter");
        } else {
            *out = strndup(entry->d_name, size - 6);
            if (!*out) status = tr_fail(err, TR_ERR_MEMORY, "out of memory for a name");
        }
    }
    closedir(stream);
    if (status != TR_OK) {
        free(*out);
        *out = NULL;
    }
    return status;
}

static tr_status with_ending(const char *folder, const char *name, const char *ending, char **out, tr_error *err)
{
    char *stem;
    TR_TRY(join(folder, name, &stem, err));
    if (asprintf(out, "%s%s", stem, ending) < 0) *out = NULL;
    free(stem);
    return *out ? TR_OK : tr_fail(err, TR_ERR_MEMORY, "out of memory for a path");
}

/* Detection --------------------------------------------------------------------------------------------- */

static tr_status unknown_layout(const char *folder, tr_error *err)
{
    tr_fail(err, TR_ERR_UNSUPPORTED, "%s holds no MovieLens data that this importer knows", folder);
    return tr_hint(err, "expected GroupLens' u.data and u.item, or RecBole's NAME.inter and NAME.item");
}

static tr_status is_grouplens(const char *folder, bool *out, tr_error *err)
{
    char *path;
    TR_TRY(join(folder, "u.data", &path, err));
    *out = tr_file_exists(path);
    free(path);
    return TR_OK;
}

tr_status tr_import_movielens(const char *const *sources, size_t n_sources, const tr_import_options *options,
                              tr_import_data *out, tr_error *err)
{
    char *name = NULL, *items = NULL, *ratings = NULL;
    bool grouplens;
    tr_status status;
    if (n_sources != 1) return tr_fail(err, TR_ERR_USAGE, "import movielens takes one folder, not %zu", n_sources);
    if (!tr_folder_exists(sources[0])) return tr_fail(err, TR_ERR_IO, "there is no folder %s", sources[0]);
    TR_TRY_CLEANUP(tr_card_set(&out->card.noun, "movie", err));
    TR_TRY_CLEANUP(is_grouplens(sources[0], &grouplens, err));
    if (grouplens) {
        status = read_grouplens(sources[0], options, out, err);
        goto cleanup;
    }
    TR_TRY_CLEANUP(find_inter(sources[0], &name, err));
    if (!name) {
        status = unknown_layout(sources[0], err);
        goto cleanup;
    }
    TR_TRY_CLEANUP(with_ending(sources[0], name, ".item", &items, err));
    TR_TRY_CLEANUP(with_ending(sources[0], name, ".inter", &ratings, err));
    status = read_recbole(items, ratings, options, out, err);
cleanup:
    free(name);
    free(items);
    free(ratings);
    return status;
}
