/* This file is the command `import`. */
#include "cli/command.h"

#include "base/memory.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_splits(const tr_import_outcome *counts)
{
    static const char *const names[TR_N_SPLITS] = {"train", "valid", "test"};
    char rows[32], yes[32], users[32];
    printf("  split    rows     yes   users\n");
    for (int s = 0; s < TR_N_SPLITS; s++) {
        tr_format_count(counts->known_users[s], users, sizeof users);
        printf("  %-5s %7s %7s %7s\n", names[s], tr_format_count(counts->rows[s], rows, sizeof rows),
               tr_format_count(counts->yes[s], yes, sizeof yes), counts->known_users[s] ? users : "?");
    }
}

static void print_problem(size_t n, const char *what)
{
    char count[32];
    if (n) printf("  %s %s\n", tr_format_count(n, count, sizeof count), what);
}

static void print_outcome(const char *folder, const tr_import_outcome *counts)
{
    char items[32], users[32], ratings[32];
    printf("%s", folder);
    if (counts->ratings)
        printf(": %s ratings of %s items by %s users", tr_format_count(counts->ratings, ratings, sizeof ratings),
               tr_format_count(counts->items, items, sizeof items),
               tr_format_count(counts->users, users, sizeof users));
    putchar('\n');
    print_splits(counts);
    print_problem(counts->bad_lines, "bad lines left out");
    print_problem(counts->duplicates, "repeated ratings or items left out");
    print_problem(counts->missing_items, "ratings of unknown items left out");
    print_problem(counts->latin1_lines, "lines were not UTF-8 and read as Latin-1");
}

/* --train FILE is the source "train=FILE", and so on. */
static tr_status add_split_sources(const char *const path[TR_N_SPLITS], tr_str text[TR_N_SPLITS], const char **sources,
                                   size_t *n, tr_error *err)
{
    static const char *const names[TR_N_SPLITS] = {"train", "valid", "test"};
    for (int s = 0; s < TR_N_SPLITS; s++) {
        if (!path[s]) continue;
        tr_str_addf(&text[s], "%s=%s", names[s], path[s]);
        TR_TRY(tr_str_check(&text[s], err));
        sources[(*n)++] = text[s].data;
    }
    return TR_OK;
}

static tr_status import_sources(tr_import_job *job, const tr_arguments *arguments, const char *const path[TR_N_SPLITS],
                                tr_import_outcome *counts, tr_error *err)
{
    tr_str text[TR_N_SPLITS] = {0};
    const char **sources;
    size_t n = arguments->n_positional ? arguments->n_positional - 1 : 0;
    TR_TRY(tr_alloc(&sources, n + TR_N_SPLITS, sizeof *sources, "sources", err));
    for (size_t i = 0; i < n; i++) sources[i] = arguments->positional[i + 1];
    tr_status status = add_split_sources(path, text, sources, &n, err);
    job->sources = sources;
    job->n_sources = n;
    if (status == TR_OK && n == 0) {
        tr_fail(err, TR_ERR_USAGE, arguments->n_positional ? "import %s needs something to read" : "import what?",
                job->importer);
        status = tr_hint(err, "tallrec import movielens DIR -o OUT, or tallrec import --help");
    }
    if (status == TR_OK) status = tr_import_run(job, counts, err);
    for (int s = 0; s < TR_N_SPLITS; s++) tr_str_free(&text[s]);
    free(sources);
    return status;
}

static tr_status run(const tr_command *self, int argc, const char **argv, tr_error *err)
{
    tr_import_job job = tr_import_job_defaults();
    tr_common common = {0};
    const char *path[TR_N_SPLITS] = {0};
    tr_flag flags[] = {
        {TR_FLAG_GROUP, .help = "What to import"},
        {TR_FLAG_STRING, "train", 0, "FILE", &path[TR_TRAIN], "tallrec: the file with the training rows"},
        {TR_FLAG_STRING, "valid", 0, "FILE", &path[TR_VALID], "tallrec: the file with the validation rows"},
        {TR_FLAG_STRING, "test", 0, "FILE", &path[TR_TEST], "tallrec: the file with the test rows"},
        {TR_FLAG_GROUP, .help = "What becomes of it"},
        {TR_FLAG_STRING, "out", 'o', "FOLDER", &job.folder, "data folder to write; one made earlier is replaced",
         .required = true},
        {TR_FLAG_STRING, "protocol", 0, "NAME", &job.protocol, "the rule that makes examples of ratings"},
        {TR_FLAG_INT, "history", 0, "N", &job.history, "rated titles before the question", .min = 1, .max = 1000},
        {TR_FLAG_NUMBER, "threshold", 0, "X", &job.threshold, "liked means a rating above this", .min = -1e6,
         .max = 1e6},
        {TR_FLAG_SIZE, "max-examples", 0, "N", &job.max_examples, "at most so many, the last ones", .min = 10,
         .max = 1e9},
        {TR_FLAG_STRING, "noun", 0, "WORD", &job.noun, "what the questions call an item", .none = "movie"},
        {TR_FLAG_NUMBER, "max-bad", 0, "SHARE", &job.max_bad, "share of unusable lines accepted", .min = 0, .max = 1},
        TR_COMMON_FLAGS(&common),
    };
    tr_arguments arguments;
    bool done;
    TR_TRY(tr_command_begin(self, argc, argv, flags, &common, SIZE_MAX, false, &arguments, &done, err));
    if (done) return TR_OK;
    tr_import_outcome counts;
    job.importer = arguments.n_positional ? arguments.positional[0] : NULL;
    tr_status status = import_sources(&job, &arguments, path, &counts, err);
    if (status == TR_OK) print_outcome(job.folder, &counts);
    tr_arguments_free(&arguments);
    return status;
}

const tr_command tr_command_import = {
    .text = {
        .name = "import",
        .summary = "ratings or published examples to a data folder",
        .arguments = "(movielens DIR | tallrec FILE...) -o FOLDER [flags]",
        .description =
            "movielens DIR reads GroupLens' layout (u.data, u.item) or RecBole's atomic files (.inter, .item), and "
            "makes "
            "examples by the rule of the TALLRec paper: ten rated titles, then the question whether the user will like "
            "the next one; the last 10,000 of them, split 8 : 1 : 1.\n\n"
            "tallrec FILE... reads rows that are examples already: JSON arrays, or JSON Lines, of instruction, input "
            "and "
            "output, optionally with user, item and time. Which split a file is, its name tells (train, valid, "
            "test), or "
            "the flag.\n\n"
            "The folder holds train.jsonl, valid.jsonl, test.jsonl, items.jsonl, interactions.jsonl, and card.json, "
            "the "
            "protocol card: where the data come from, by hash, and the rule. Bad lines, repeated ratings and unknown "
            "items are reported with their line, left out, and refused beyond --max-bad.",
        .examples = "tallrec import movielens ml-100k -o data\n"
                    "tallrec import tallrec movie/valid.json movie/test.json -o data",
    },
    .run = run,
};
