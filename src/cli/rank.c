/* This file is the command `rank`. */
#include "cli/command.h"

#include "format/json.h"

#include <stdio.h>
#include <stdlib.h>

static tr_status print_json(const tr_rank_job *job, const tr_ranking *ranking, tr_error *err)
{
    tr_str text = {0};
    json_t *items = json_array();
    for (size_t i = 0; i < ranking->n; i++) {
        const tr_rank_item *item = &ranking->item[i];
        json_array_append_new(items, json_pack("{s:I, s:s?, s:s, s:f, s:f}", "rank", (json_int_t)i + 1,
                                               "item", item->item, "title", item->title,
                                               "probability", item->probability, "score", item->score));
    }
    bool complete = items && json_array_size(items) == ranking->n;
    json_t *whole = json_pack("{s:s?, s:I, s:I, s:I, s:o}", "user", job->user,
                              "history", (json_int_t)ranking->n_history, "liked", (json_int_t)ranking->n_liked,
                              "candidates", (json_int_t)ranking->n_candidates, "items", items);
    tr_status status = whole && complete ? tr_json_add(&text, whole, 2, false, err)
                                         : tr_fail(err, TR_ERR_MEMORY, "out of memory for a ranking");
    if (status == TR_OK) puts(text.data);
    json_decref(whole);
    tr_str_free(&text);
    return status;
}

static void print_table(const tr_rank_job *job, const tr_ranking *ranking)
{
    char count[32], last[32];
    if (job->user)
        printf("For user %s", job->user);
    else
        printf("For this history");
    printf(", who liked %zu of the last %s, the best of %s:\n\n", ranking->n_liked,
           tr_format_count(ranking->n_history, last, sizeof last),
           tr_format_count(ranking->n_candidates, count, sizeof count));
    printf("  rank  P(Yes)  title\n");
    for (size_t i = 0; i < ranking->n; i++)
        printf("  %4zu   %.3f  %s\n", i + 1, ranking->item[i].probability, ranking->item[i].title);
}

static tr_status check_user(const tr_rank_job *job, tr_error *err)
{
    if (!job->user != !job->history) return TR_OK;
    tr_fail(err, TR_ERR_USAGE,
            job->user ? "--user and --history exclude each other" : "rank needs --user ID or --history FILE");
    return tr_hint(err, "tallrec rank --help");
}

static tr_status run(const tr_command *self, int argc, const char **argv, tr_error *err)
{
    tr_rank_job job = tr_rank_job_defaults();
    tr_common common = {0};
    bool json = false;
    int compute = 0;
    tr_flag flags[] = {
        {TR_FLAG_GROUP, .help = "Model and data"},
        TR_ENGINE_FLAGS(&job.engine),
        {TR_FLAG_STRING, "data", 0, "FOLDER", &job.data, "data folder made by import: the catalogue and who rated what",
         .required = true},
        {TR_FLAG_GROUP, .help = "For whom, and what"},
        {TR_FLAG_STRING, "user", 0, "ID", &job.user, "a user of the data, by the id of the source"},
        {TR_FLAG_STRING, "history", 0, "FILE", &job.history,
         "instead: what somebody rated, oldest first; lines of TITLE<tab>yes or TITLE<tab>no, or JSON objects of "
         "title (or "
         "item) and liked"},
        {TR_FLAG_STRING, "candidates", 0, "FILE", &job.candidates, "what to order: a title or id a line",
         .none = "every item not yet rated"},
        {TR_FLAG_SIZE, NULL, 'k', "N", &job.k, "how many to show; 0: all", .min = 0, .max = 1e9},
        {TR_FLAG_ON, "json", 0, NULL, &json, "print JSON"},
        {TR_FLAG_GROUP, .help = "How"},
        TR_LIMIT_FLAGS(&job.engine, &compute, "8192"),
        TR_COMMON_FLAGS(&common),
    };
    tr_arguments arguments;
    bool done;
    TR_TRY(tr_command_begin(self, argc, argv, flags, &common, 0, false, &arguments, &done, err));
    if (done) return TR_OK;
    tr_ranking ranking = {0};
    tr_status status = check_user(&job, err);
    if (status == TR_OK) status = tr_rank_run(&job, &ranking, err);
    if (status == TR_OK && json) status = print_json(&job, &ranking, err);
    else if (status == TR_OK) print_table(&job, &ranking);
    tr_ranking_free(&ranking);
    tr_arguments_free(&arguments);
    return status;
}

const tr_command tr_command_rank = {
    .text = {
        .name = "rank",
        .summary = "order unseen items for one user",
        .arguments = "--model FILE --data FOLDER (--user ID | --history FILE) [flags]",
        .description =
            "Asks the model, for each candidate, whether the user will like it, and orders the candidates by the "
            "probability of Yes among Yes and No. Candidates share one computation of the history (one for every "
            "--micro-tokens). A title that the catalogue lists twice is ranked once.",
        .examples = "tallrec rank --model M.gguf --adapter run/adapter --data data --user 196\n"
                    "tallrec rank --model M.gguf --data data --history mine.tsv -k 20 --json",
    },
    .run = run,
};
