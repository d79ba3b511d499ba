/* This file is the command `eval`. */
#include "cli/command.h"

#include <stdio.h>

static tr_status run(const tr_command *self, int argc, const char **argv, tr_error *err)
{
    tr_eval_job job = tr_eval_job_defaults();
    tr_common common = {0};
    bool json = false;
    int split = (int)job.split, compute = 0;
    tr_flag flags[] = {
        {TR_FLAG_GROUP, .help = "What to evaluate"},
        TR_ENGINE_FLAGS(&job.engine),
        {TR_FLAG_STRING, "data", 0, "PATH", &job.data,
         "data folder made by import, or a file of examples: JSON Lines, or a JSON array, of instruction, input and "
         "output", .required = true},
        {TR_FLAG_CHOICE, "split", 0, "train|valid|test", &split, "which rows of a data folder"},
        {TR_FLAG_SIZE, "rows", 0, "N", &job.max_rows, "only the first N rows", .min = 1, .max = 1e9, .none = "all"},
        {TR_FLAG_GROUP, .help = "Beside what"},
        {TR_FLAG_ON, "with-base", 0, NULL, &job.with_base, "also the model without its adapter"},
        {TR_FLAG_OFF, "no-shuffled", 0, NULL, &job.shuffled, "without the model on shuffled histories: half the time"},
        {TR_FLAG_STRING, "seen", 0, "FILE", &job.seen, "the training rows that the model saw, for the item mean",
         .none = "train_rows.jsonl of the adapter's run"},
        {TR_FLAG_SIZE, "bootstrap", 0, "N", &job.bootstrap, "resamples of users behind the 95 % intervals", .min = 10,
         .max = 1e6},
        {TR_FLAG_SEED, "seed", 0, "N", &job.seed, "of the resamples and of the shuffling"},
        {TR_FLAG_GROUP, .help = "What to get"},
        {TR_FLAG_ON, "json", 0, NULL, &json, "print JSON: all figures and the protocol they were made by"},
        {TR_FLAG_STRING, "report", 0, "FILE", &job.report, "also write a page with figures, self-contained HTML"},
        {TR_FLAG_GROUP, .help = "How"},
        TR_LIMIT_FLAGS(&job.engine, &compute, "4096"),
        TR_COMMON_FLAGS(&common),
    };
    tr_arguments arguments;
    bool done;
    TR_TRY(tr_command_begin(self, argc, argv, flags, &common, 0, false, &arguments, &done, err));
    if (done) return TR_OK;
    tr_eval_outcome outcome;
    job.split = (tr_split)split;
    tr_status status = tr_eval_run(&job, &outcome, err);
    if (status == TR_OK && json)
        puts(outcome.json);
    else if (status == TR_OK)
        fputs(outcome.text, stdout);
    tr_eval_outcome_free(&outcome);
    tr_arguments_free(&arguments);
    return status;
}

const tr_command tr_command_eval = {
    .text = {
        .name = "eval",
        .summary = "metrics with intervals, beside what needs no model",
        .arguments = "--model FILE --data PATH [--adapter DIR] [flags]",
        .description =
            "Scores the rows and prints AUC, AUC within users, accuracy, log loss, calibration and base rate, each "
            "with a "
            "95 % interval from resampled users, beside the controls on the same rows: the share of liked items in the "
            "prompt, the mean of the item, both together, and the model on shuffled histories. The verdict says in one "
            "sentence whether the model does better than the best of them.",
        .examples = "tallrec eval --model M.gguf --adapter run/adapter --data data --split test\n"
                    "tallrec eval --model M.gguf --adapter run/adapter --data data --report r.html",
    },
    .run = run,
};
