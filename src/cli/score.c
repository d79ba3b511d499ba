/* This file is the command `score`. */
#include "cli/command.h"

#include <stdio.h>
#include <stdlib.h>

static tr_status print_scores(const tr_scores *scores, tr_error *err)
{
    for (size_t i = 0; i < scores->n && !ferror(stdout); i++) {
        char *line = tr_score_row_json(&scores->row[i]);
        if (!line) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a line of scores");
        puts(line);
        free(line);
    }
    return TR_OK;
}

static tr_status run(const tr_command *self, int argc, const char **argv, tr_error *err)
{
    tr_score_job job = tr_score_job_defaults();
    tr_common common = {0};
    int split = (int)job.split, compute = 0;
    tr_flag flags[] = {
        {TR_FLAG_GROUP, .help = "What to score"},
        TR_ENGINE_FLAGS(&job.engine),
        {TR_FLAG_STRING, "data", 0, "PATH", &job.data,
         "data folder made by import, or a file of examples: JSON Lines, or a JSON array, of instruction, input and "
         "output", .required = true},
        {TR_FLAG_CHOICE, "split", 0, "train|valid|test", &split, "which rows of a data folder"},
        {TR_FLAG_SIZE, "rows", 0, "N", &job.max_rows, "only the first N rows", .min = 1, .max = 1e9, .none = "all"},
        {TR_FLAG_STRING, "out", 'o', "FILE", &job.output, "where the lines go", .none = "standard output"},
        {TR_FLAG_GROUP, .help = "How"},
        TR_LIMIT_FLAGS(&job.engine, &compute, "4096"),
        TR_COMMON_FLAGS(&common),
    };
    tr_arguments arguments;
    bool done;
    TR_TRY(tr_command_begin(self, argc, argv, flags, &common, 0, false, &arguments, &done, err));
    if (done) return TR_OK;
    tr_scores scores;
    job.split = (tr_split)split;
    tr_status status = tr_score_run(&job, &scores, err);
    if (status == TR_OK && !job.output) status = print_scores(&scores, err);
    tr_scores_free(&scores);
    tr_arguments_free(&arguments);
    return status;
}

const tr_command tr_command_score = {
    .text = {
        .name = "score",
        .summary = "examples to log-odds of Yes, a line of JSON a row",
        .arguments = "--model FILE --data PATH [flags]",
        .description =
            "Asks the model about each row and prints a line of JSON a row, in the order of the input: row (from 0), "
            "user, item, label (1 yes, 0 no), score, logp_yes, logp_no. What is unknown is null.\n\n"
            "The score is logp_yes - logp_no, the log-probabilities of the first token of \"Yes.\" and of \"No.\" "
            "right after the prompt: above 0 the model says Yes. A row too long for the model loses its oldest "
            "history, "
            "never its question, and is reported.",
        .examples = "tallrec score --model M.gguf --adapter run/adapter --data data -o scores.jsonl\n"
                    "tallrec score --model M.gguf --data rows.json --rows 100 | head",
    },
    .run = run,
};
