/* This file is the import job: an importer's name and sources in, a data folder and its counts out. */
#include "rec/import.h"

tr_import_job tr_import_job_defaults(void)
{
    tr_import_options options = tr_import_defaults();
    return (tr_import_job){.protocol = options.protocol, .history = options.history, .threshold = options.threshold,
                           .max_examples = options.max_windows, .max_bad = options.max_bad};
}

static void read_counts(const tr_card *card, tr_import_outcome *out)
{
    for (int s = 0; s < TR_N_SPLITS; s++) {
        out->rows[s] = card->split[s].rows;
        out->yes[s] = card->split[s].yes;
        out->known_users[s] = card->split[s].users;
    }
    out->users = card->counts.users;
    out->items = card->counts.items;
    out->ratings = card->counts.ratings;
    out->lines = card->counts.lines;
    out->bad_lines = card->counts.bad_lines;
    out->duplicates = card->counts.duplicates;
    out->missing_items = card->counts.missing_items;
    out->latin1_lines = card->counts.latin1_lines;
}

tr_status tr_import_run(const tr_import_job *job, tr_import_outcome *out, tr_error *err)
{
    tr_import_options options = tr_import_defaults();
    tr_card card = {0};
    *out = (tr_import_outcome){0};
    if (!job->importer || !job->folder || job->n_sources == 0)
        return tr_fail(err, TR_ERR_USAGE, "import needs the name of an importer, its sources, and a folder to write");
    if (!(job->max_bad >= 0 && job->max_bad <= 1))
        return tr_fail(err, TR_ERR_USAGE, "the share of bad lines must lie within 0 and 1, not %g", job->max_bad);
    options.protocol = job->protocol;
    options.history = job->history;
    options.threshold = job->threshold;
    options.max_windows = job->max_examples;
    options.noun = job->noun;
    options.max_bad = job->max_bad;
    tr_status status = tr_import(job->importer, job->sources, job->n_sources, job->folder, &options, &card, err);
    if (status == TR_OK) read_counts(&card, out);
    tr_card_clear(&card);
    return status;
}
