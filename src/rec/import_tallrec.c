/* This file imports examples that come split already: the published TALLRec rows (JSON arrays of instruction, input,
 * output), or JSON Lines with the same members and optionally user, item, title, time.
 *
 * The catalogue is what the rows name: each title is an item. Where a row tells no item id the title serves as one
 * (in items.jsonl only; the examples keep what the source says). */
#include "rec/importers.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

/* Catalogue --------------------------------------------------------------------------------------------- */

static tr_status add_item(tr_interactions *catalogue, const char *id, const char *title, tr_error *err)
{
    if (!title) return TR_OK;
    if (!id && tr_interactions_item_titled(catalogue, title) != TR_NOT_FOUND) return TR_OK;
    if (!id) id = title;
    if (tr_interactions_item(catalogue, id) != TR_NOT_FOUND) return TR_OK;
    return tr_interactions_add_item(catalogue, id, title, err);
}

/* Targets before histories: a target may tell the id of what a history only names. */
static tr_status collect_items(const tr_examples split[TR_N_SPLITS], tr_interactions *catalogue, tr_error *err)
{
    for (int s = 0; s < TR_N_SPLITS; s++)
        for (size_t i = 0; i < split[s].n; i++)
            TR_TRY(add_item(catalogue, split[s].row[i].item, split[s].row[i].title, err));
    for (int s = 0; s < TR_N_SPLITS; s++)
        for (size_t i = 0; i < split[s].n; i++) {
            const tr_example *example = &split[s].row[i];
            for (size_t h = 0; h < example->n_history; h++)
                TR_TRY(add_item(catalogue, example->history[h].item, example->history[h].title, err));
        }
    return TR_OK;
}

/* Which file is which split ----------------------------------------------------------------------------- */

/* The path in "test=FILE" for split "test"; NULL for anything else. */
static const char *explicit_path(const char *source, tr_split split)
{
    size_t size = strlen(tr_split_name(split));
    bool named = strncmp(source, tr_split_name(split), size) == 0 && source[size] == '=';
    return named ? source + size + 1 : NULL;
}

static tr_status split_of(const char *source, tr_split *split, const char **path, tr_error *err)
{
    const char *slash = strrchr(source, '/'), *name = slash ? slash + 1 : source;
    int n_named = 0;
    for (int s = 0; s < TR_N_SPLITS; s++) {
        *path = explicit_path(source, (tr_split)s);
        if (*path) {
            *split = (tr_split)s;
            return TR_OK;
        }
        if (strstr(name, tr_split_name((tr_split)s))) {
            *split = (tr_split)s;
            n_named++;
        }
    }
    *path = source;
    if (n_named == 1) return TR_OK;
    tr_fail(err, TR_ERR_USAGE, "which split is %s?", source);
    return tr_hint(err, "say train=FILE, valid=FILE or test=FILE, or name the file so");
}

/* Reading ----------------------------------------------------------------------------------------------- */

static tr_status read_split(tr_split split, const char *path, const tr_import_options *options, tr_import_data *out,
                            tr_error *err)
{
    tr_import_counts *counts = &out->card.counts;
    size_t n_bad;
    if (out->split[split].n > 0) {
        tr_fail(err, TR_ERR_USAGE, "two files for the split %s", tr_split_name(split));
        return tr_at(err, "%s", path);
    }
    TR_TRY(tr_card_add_source(&out->card, path, err));
    TR_TRY(tr_examples_read_tolerant(path, true, options->max_bad, &out->split[split], &n_bad, err));
    counts->bad_lines += n_bad;
    counts->lines += n_bad + out->split[split].n;
    counts->windows += out->split[split].n;
    return TR_OK;
}

/* A folder stands for the files train, valid and test in it, as .json or .jsonl. */
static tr_status read_folder(const char *folder, const tr_import_options *options, tr_import_data *out, tr_error *err)
{
    size_t n_found = 0;
    for (int s = 0; s < TR_N_SPLITS; s++)
        for (int form = 0; form < 2; form++) {
            char name[16], *path;
            snprintf(name, sizeof name, "%s%s", tr_split_name((tr_split)s), form ? ".jsonl" : ".json");
            path = tr_path_join(folder, name);
            if (!path) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a path");
            tr_status status = TR_OK;
            bool found = tr_file_exists(path);
            if (found) status = read_split((tr_split)s, path, options, out, err);
            free(path);
            TR_TRY(status);
            n_found += found;
        }
    if (n_found > 0) return TR_OK;
    tr_fail(err, TR_ERR_IO, "%s holds no examples", folder);
    return tr_hint(err, "expected train, valid or test, as .json or .jsonl");
}

static tr_status read_source(const char *source, const tr_import_options *options, tr_import_data *out, tr_error *err)
{
    tr_split split = TR_TRAIN;
    const char *path;
    if (tr_folder_exists(source)) return read_folder(source, options, out, err);
    TR_TRY(split_of(source, &split, &path, err));
    return read_split(split, path, options, out, err);
}

/* The kind of item that the first example asks about. */
static tr_status find_noun(tr_import_data *out, tr_error *err)
{
    for (int s = 0; s < TR_N_SPLITS; s++) {
        char *noun;
        if (out->split[s].n == 0) continue;
        if (tr_example_noun(&out->split[s].row[0], &noun, NULL) != TR_OK) break;
        tr_status status = tr_card_set(&out->card.noun, noun, err);
        free(noun);
        return status;
    }
    return tr_card_set(&out->card.noun, "item", err);
}

tr_status tr_import_tallrec(const char *const *sources, size_t n_sources, const tr_import_options *options,
                            tr_import_data *out, tr_error *err)
{
    if (n_sources == 0) return tr_fail(err, TR_ERR_USAGE, "import tallrec needs files of examples");
    TR_TRY(tr_card_set(&out->card.layout, "examples", err));
    for (size_t i = 0; i < n_sources; i++) TR_TRY(read_source(sources[i], options, out, err));
    out->is_split = true;
    TR_TRY(find_noun(out, err));
    return collect_items(out->split, &out->interactions, err);
}
