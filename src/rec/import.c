/* This file implements importing: the tables of importers and protocols, the steps between them, and what is common
 * to all. The folder that comes out is written by dataset_write.c. */
#include "rec/import.h"

#include "base/progress.h"
#include "base/str.h"
#include "rec/dataset.h"
#include "rec/importers.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PROBLEMS_SHOWN 5

const tr_importer tr_importers[] = {
    {"movielens", "a folder with GroupLens' u.data and u.item, or RecBole's NAME.inter and NAME.item", "DIR",
     tr_import_movielens},
    {"tallrec", "published examples: JSON arrays or JSON Lines, named (or marked) train, valid, test",
     "FILE... | SPLIT=FILE... | DIR", tr_import_tallrec},
    {NULL},
};

const tr_protocol tr_protocols[] = {
    {"tallrec",
     "liked = rating above threshold; users in order of first appearance in the ratings; a user's ratings ascending "
     "by the decimal digits of their time as text, ties in file order; every run of `history` ratings and the one "
     "after it is an example; the last `max_windows` examples (all, when there are fewer) are cut 8 : 1 : 1 into "
     "train, valid, test, in that order",
     tr_protocol_tallrec},
    {NULL},
};

tr_import_options tr_import_defaults(void)
{
    return (tr_import_options){
        .protocol = "tallrec", .history = 10, .threshold = 3, .max_windows = 10000, .max_bad = 0.01};
}

/* For importers ----------------------------------------------------------------------------------------- */

void tr_import_problem(size_t *counter, const char *path, size_t line, const char *format, ...)
{
    char text[256];
    va_list args;
    if (++*counter > PROBLEMS_SHOWN) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tr_warn("%s:%zu: %s%s", path, line, text,
            *counter == PROBLEMS_SHOWN ? " (more of this kind are only counted)" : "");
}

tr_status tr_import_judge(const char *path, size_t n_lines, size_t n_unusable, double max_bad, tr_error *err)
{
    if (n_lines == 0) return tr_fail(err, TR_ERR_FORMAT, "%s has no rows", path);
    if (n_unusable < n_lines && (double)n_unusable <= max_bad * (double)n_lines) return TR_OK;
    tr_fail(err, TR_ERR_FORMAT, "%zu of %zu rows of %s cannot be used (%.1f %%); at most %g %% are let pass",
            n_unusable, n_lines, path, 100 * (double)n_unusable / (double)n_lines, 100 * max_bad);
    return tr_hint(err, "the first ones are shown above; --max-bad FRACTION lets more pass");
}

/* Steps ------------------------------------------------------------------------------------------------- */

static tr_status find_importer(const char *name, const tr_importer **out, tr_error *err)
{
    tr_str known = {0};
    for (*out = tr_importers; (*out)->name; ++*out) {
        if (strcmp((*out)->name, name) == 0) {
            tr_str_free(&known);
            return TR_OK;
        }
        tr_str_addf(&known, "%s%s", *out == tr_importers ? "" : ", ", (*out)->name);
    }
    tr_fail(err, TR_ERR_USAGE, "no importer is called %s", name);
    tr_hint(err, "there are: %s", known.data ? known.data : "");
    tr_str_free(&known);
    return TR_ERR_USAGE;
}

static tr_status find_protocol(const char *name, const tr_protocol **out, tr_error *err)
{
    for (*out = tr_protocols; (*out)->name; ++*out)
        if (strcmp((*out)->name, name) == 0) return TR_OK;
    tr_fail(err, TR_ERR_USAGE, "no protocol is called %s", name);
    return tr_hint(err, "there is: %s", tr_protocols[0].name);
}

static tr_status check_options(const tr_import_options *options, tr_error *err)
{
    if (options->history < 1 || options->history > 1000)
        return tr_fail(err, TR_ERR_USAGE, "history must be from 1 to 1000 titles, not %d", options->history);
    if (!(options->max_bad >= 0 && options->max_bad <= 1))
        return tr_fail(err, TR_ERR_USAGE, "max-bad is a share from 0 to 1, not %g", options->max_bad);
    if (!(options->threshold > -1e9 && options->threshold < 1e9))
        return tr_fail(err, TR_ERR_USAGE, "the threshold %g is not a rating", options->threshold);
    return TR_OK;
}

/* Labels: a data set where all answers are the same teaches and tests nothing. */
static tr_status check_labels(const tr_import_data *data, tr_error *err)
{
    size_t rows = 0, yes = 0;
    for (int s = 0; s < TR_N_SPLITS; s++) {
        size_t split_yes = 0, n = data->split[s].n;
        for (size_t i = 0; i < n; i++) split_yes += data->split[s].row[i].label == 1;
        if (n > 0 && (split_yes == 0 || split_yes == n))
            tr_warn("all %zu rows of %s are %s", n, tr_split_name((tr_split)s), split_yes ? "Yes" : "No");
        rows += n;
        yes += split_yes;
    }
    if (yes > 0 && yes < rows) return TR_OK;
    tr_fail(err, TR_ERR_VALUE, "all %zu examples are %s: there is nothing to tell apart", rows, yes ? "Yes" : "No");
    if (data->is_split) return tr_hint(err, "at least one row of each answer is needed");
    return tr_hint(err, "liked means a rating above --threshold %g", data->card.threshold);
}

/* Ratings to examples by the protocol that the options name. */
static tr_status split_ratings(const tr_import_options *options, tr_import_data *data, tr_error *err)
{
    const tr_protocol *protocol;
    tr_card *card = &data->card;
    TR_TRY(find_protocol(options->protocol, &protocol, err));
    TR_TRY(tr_interactions_group(&data->interactions, err));
    TR_TRY(protocol->split(&data->interactions, options, card->noun, data->split, &card->counts.windows, err));
    if (card->counts.windows < options->max_windows)
        tr_note("the ratings give %zu examples, fewer than the %zu asked for: all are used, cut 8 : 1 : 1",
                card->counts.windows, options->max_windows);
    card->history = options->history;
    card->threshold = options->threshold;
    card->max_windows = options->max_windows;
    TR_TRY(tr_card_set(&card->protocol, protocol->name, err));
    return tr_card_set(&card->rule, protocol->rule, err);
}

static tr_status name_published(tr_card *card, tr_error *err)
{
    TR_TRY(tr_card_set(&card->protocol, "published", err));
    return tr_card_set(&card->rule, "rows and splits as the source has them", err);
}

static tr_status make_data(const tr_importer *importer, const char *const *sources, size_t n_sources,
                           const tr_import_options *options, tr_import_data *data, tr_error *err)
{
    tr_import_counts *counts = &data->card.counts;
    TR_TRY(tr_card_set(&data->card.tallrec, TALLREC_VERSION, err));
    TR_TRY(tr_card_set(&data->card.importer, importer->name, err));
    TR_TRY(importer->read(sources, n_sources, options, data, err));
    if (options->noun) TR_TRY(tr_card_set(&data->card.noun, options->noun, err));
    counts->users = data->interactions.n_users;
    counts->items = data->interactions.n_items;
    counts->ratings = data->interactions.n_ratings;
    TR_TRY(data->is_split ? name_published(&data->card, err) : split_ratings(options, data, err));
    return check_labels(data, err);
}

tr_status tr_import(const char *importer_name, const char *const *sources, size_t n_sources, const char *folder,
                    const tr_import_options *options, tr_card *card, tr_error *err)
{
    const tr_importer *importer;
    const tr_protocol *protocol;
    tr_import_data data = {0};
    tr_status status;
    if (card) *card = (tr_card){0};
    TR_TRY(find_importer(importer_name, &importer, err));
    TR_TRY(find_protocol(options->protocol, &protocol, err));
    TR_TRY(check_options(options, err));
    TR_TRY(tr_dataset_check_target(folder, err));
    TR_TRY_CLEANUP(make_data(importer, sources, n_sources, options, &data, err));
    TR_TRY_CLEANUP(tr_dataset_write(folder, &data, err));
    if (card) {
        *card = data.card;
        data.card = (tr_card){0};
    }
cleanup:
    tr_interactions_free(&data.interactions);
    for (int s = 0; s < TR_N_SPLITS; s++) tr_examples_free(&data.split[s]);
    tr_card_clear(&data.card);
    return status;
}
