/* This file is the command `tune`. */
#include "cli/command.h"

#include "base/memory.h"
#include "base/progress.h"
#include "base/str.h"
#include "train/recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Flags that set one field of the recipe each. They are kept as text and handed to the job, whose recipe knows the
 * ranges. */
typedef struct {
    const char *flag;
    const char *text;   /* NULL: not given */
    char paper[96];     /* the published recipe's value, for the help */
} choice;

enum { RANK, ALPHA, DROPOUT, TARGETS, LR, SCHEDULE, WARMUP, BATCH, MICRO_TOKENS, EPOCHS, STEPS, LOSS_ON, WEIGHT_DECAY,
       CLIP, EVAL_EVERY, PATIENCE, VALID_ROWS, CUTOFF, SEED, SHUFFLE, N_CHOICES };

static const char *const choice_flags[N_CHOICES] = {
    "rank", "alpha", "dropout", "targets", "lr", "schedule", "warmup", "batch", "micro-tokens", "epochs", "steps",
    "loss-on", "weight-decay", "clip", "eval-every", "patience", "valid-rows", "cutoff", "seed", "shuffle",
};

/* The values of the published recipe, as its JSON has them. */
static tr_status fill_choices(choice choices[N_CHOICES], tr_error *err)
{
    tr_recipe recipe;
    json_t *json;
    TR_TRY(tr_recipe_named("paper", &recipe, err));
    TR_TRY(tr_recipe_to_json(&recipe, &json, err));
    for (int i = 0; i < N_CHOICES; i++) {
        char key[32];
        snprintf(key, sizeof key, "%s", choice_flags[i]);
        for (char *p = key; *p; p++)
            if (*p == '-') *p = '_';
        const json_t *value = json_object_get(json, key);
        choices[i].flag = choice_flags[i];
        if (json_is_string(value))
            snprintf(choices[i].paper, sizeof choices[i].paper, "%s", json_string_value(value));
        else
            snprintf(choices[i].paper, sizeof choices[i].paper, "%g", json_number_value(value));
    }
    json_decref(json);
    return TR_OK;
}

typedef struct {
    tr_tune_job job;
    tr_common common;
    choice choices[N_CHOICES];
    bool balanced, unbalanced, rslora, eos;
    int compute;
    int64_t shots;
    tr_setting settings[N_CHOICES + 3];
} tuning;

/* ---- results ---- */

static void print_plan(const tr_tune_outcome *o)
{
    char a[32], b[32], c[32];
    printf("recipe       %s\n", o->recipe);
    printf("rows         %s", tr_format_count(o->rows, a, sizeof a));
    if (o->rows_available) printf(" of %s", tr_format_count(o->rows_available, b, sizeof b));
    printf(", %s of them yes\n", tr_format_count(o->yes, c, sizeof c));
    if (o->n_shortened) printf("shortened    %s rows\n", tr_format_count(o->n_shortened, a, sizeof a));
    if (o->n_left_out) printf("left out     %s rows\n", tr_format_count(o->n_left_out, a, sizeof a));
    printf("validation   %s rows\n", tr_format_count(o->valid_rows, a, sizeof a));
    printf("steps        %s in %s epochs\n", tr_format_count((size_t)o->planned_steps, a, sizeof a),
           tr_format_count((size_t)o->epochs, b, sizeof b));
    printf("tokens       %s, the longest row %d\n", tr_format_count((size_t)o->tokens, a, sizeof a), o->longest);
    printf("computed     %s after sharing beginnings (%.0f %%)\n", tr_format_count((size_t)o->nodes, a, sizeof a),
           o->tokens ? 100.0 * (double)o->nodes / (double)o->tokens : 100);
    printf("parameters   %s in the adapter\n", tr_format_count(o->n_params, a, sizeof a));
    printf("memory       %s", tr_format_bytes((double)o->memory_bytes, a, sizeof a));
    if (o->available_bytes) printf(" of %s available", tr_format_bytes((double)o->available_bytes, b, sizeof b));
    printf("\ntime         about %s\n", tr_format_seconds(o->estimated_seconds, a, sizeof a));
}

/* A word of a command line as a shell wants it. */
static void add_quoted(tr_str *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=,:+@%";
    if (*word && strspn(word, plain) == strlen(word)) {
        tr_str_add(out, word);
        return;
    }
    tr_str_add(out, "'");
    for (; *word; word++) {
        if (*word == '\'')
            tr_str_add(out, "'\\''");
        else
            tr_str_add_bytes(out, word, 1);
    }
    tr_str_add(out, "'");
}

static tr_status print_summary(const tr_tune_job *job, const tr_tune_outcome *o, tr_error *err)
{
    char seconds[32];
    tr_str next = {0};
    printf("%lld steps on %zu rows in %s, loss %.4f to %.4f%s\n", (long long)o->steps, o->rows,
           tr_format_seconds(o->seconds, seconds, sizeof seconds), o->first_loss, o->last_loss,
           o->stopped_early ? ", stopped early" : "");
    if (o->best_step)
        printf("best validation AUC %.4f after step %lld (%zu rows)\n", o->best_auc, (long long)o->best_step,
               o->valid_rows);
    printf("adapter: %s/adapter\n", job->run);
    tr_str_add(&next, "next: tallrec eval --model ");
    add_quoted(&next, o->model);
    tr_str_add(&next, " --adapter ");
    add_quoted(&next, job->run);
    tr_str_add(&next, "/adapter --data ");
    if (o->data)
        add_quoted(&next, o->data);
    else
        tr_str_add(&next, "FILE");
    tr_status status = tr_str_check(&next, err);
    if (status == TR_OK) puts(next.data);
    tr_str_free(&next);
    return status;
}

/* ---- from flags to job ---- */

/* For the record; good enough to paste into a shell. */
static tr_status record_command(int argc, const char **argv, tr_str *out, tr_error *err)
{
    tr_str_add(out, "tallrec");
    for (int i = 0; i < argc; i++) {
        tr_str_add(out, " ");
        add_quoted(out, argv[i]);
    }
    return tr_str_check(out, err);
}

static void add_setting(tuning *t, const char *flag, const char *value)
{
    t->settings[t->job.n_settings++] = (tr_setting){flag, value};
}

static void collect_settings(tuning *t)
{
    for (int i = 0; i < N_CHOICES; i++)
        if (t->choices[i].text) add_setting(t, t->choices[i].flag, t->choices[i].text);
    if (t->balanced || t->unbalanced) add_setting(t, "balanced", t->balanced ? "true" : "false");
    if (t->rslora) add_setting(t, "rslora", "true");
    if (!t->eos) add_setting(t, "eos", "false");
    t->job.setting = t->settings;
    t->job.shots = t->shots;
}

/* With --resume the run's folder tells everything else. */
static tr_status check_resume(const tr_flag *flags, tr_error *err)
{
    static const char *const allowed[] = {"resume", "run", "model", "threads", "quiet", "dry-run", NULL};
    for (; flags->kind != TR_FLAG_END; flags++) {
        bool fine = !flags->given || !flags->name;
        for (int i = 0; !fine && allowed[i]; i++) fine = strcmp(flags->name, allowed[i]) == 0;
        if (fine) continue;
        tr_fail(err, TR_ERR_USAGE, "--%s cannot be changed with --resume: a run goes on as it was begun", flags->name);
        return tr_hint(err, "tallrec tune --resume -o RUN");
    }
    return TR_OK;
}

static tr_status check_flags(const tr_flag *flags, const tuning *t, tr_error *err)
{
    const tr_tune_job *job = &t->job;
    const char *missing = !job->run && !job->dry_run ? "-o RUN" : !job->run && job->resume ? "-o RUN" : NULL;
    if (!missing && !job->resume && !job->model) missing = "--model FILE";
    if (!missing && !job->resume && !job->data && !job->train) missing = "--data FOLDER, or --train FILE";
    if (missing) {
        tr_fail(err, TR_ERR_USAGE, "tune needs %s", missing);
        return tr_hint(err, "tallrec tune --help");
    }
    if (t->balanced && t->unbalanced)
        return tr_fail(err, TR_ERR_USAGE, "--balanced and --no-balanced exclude each other");
    return job->resume ? check_resume(flags, err) : TR_OK;
}

static tr_status tune(tuning *t, int argc, const char **argv, tr_error *err)
{
    tr_tune_outcome outcome = {0};
    tr_str command = {0};
    collect_settings(t);
    tr_status status = record_command(argc, argv, &command, err);
    t->job.command = command.data;
    tr_interrupt_catch();
    if (status == TR_OK) status = tr_tune_run(&t->job, &outcome, err);
    if (outcome.recipe && t->job.dry_run) print_plan(&outcome);
    else if (status == TR_OK) status = print_summary(&t->job, &outcome, err);
    tr_tune_outcome_free(&outcome);
    tr_str_free(&command);
    return status;
}

#define CHOICE(number, word, words) \
    {TR_FLAG_STRING, choice_flags[number], 0, word, &t->choices[number].text, words, .none = t->choices[number].paper}

static tr_status run(const tr_command *self, int argc, const char **argv, tr_error *err)
{
    tuning whole = {.job = tr_tune_job_defaults(), .eos = true}, *t = &whole;
    TR_TRY(fill_choices(t->choices, err));
    tr_flag flags[] = {
        {TR_FLAG_GROUP, .help = "Model, data, result"},
        {TR_FLAG_STRING, "model", 0, "FILE", &t->job.model, "the base model, a GGUF file"},
        {TR_FLAG_STRING, "data", 0, "FOLDER", &t->job.data, "data folder made by import: its train and valid split"},
        {TR_FLAG_STRING, "train", 0, "FILE", &t->job.train,
         "instead of --data: training rows, JSON Lines or a JSON array of instruction, input, output"},
        {TR_FLAG_STRING, "valid", 0, "FILE", &t->job.valid, "with --train: validation rows",
         .none = "none: the last adapter is kept"},
        {TR_FLAG_STRING, "run", 'o', "RUN", &t->job.run, "folder of the run"},
        {TR_FLAG_ON, "resume", 0, NULL, &t->job.resume,
         "go on with the run in -o RUN exactly as if it had not stopped"},
        {TR_FLAG_ON, "force", 0, NULL, &t->job.force, "replace the run in -o RUN"},
        {TR_FLAG_ON, "dry-run", 0, NULL, &t->job.dry_run, "print steps, tokens, memory and time, and write nothing"},
        {TR_FLAG_STRING, "recipe", 0, "paper|quick", &t->job.recipe,
         "where the choices below start: paper, as published, or quick: 32 steps, loss on the answer, all modules, a "
         "higher learning rate"},
        {TR_FLAG_GROUP, .help = "Which rows"},
        {TR_FLAG_SEED, "shots", 0, "K", &t->shots, "so many training rows, drawn by seed", .none = "all"},
        {TR_FLAG_ON, "balanced", 0, NULL, &t->balanced, "of the shots as many liked as not"},
        {TR_FLAG_ON, "no-balanced", 0, NULL, &t->unbalanced, "as they come, where the recipe says balanced"},
        CHOICE(VALID_ROWS, "N", "validation rows used, drawn by seed; 0: all"),
        CHOICE(SEED, "N", "of the rows drawn, their order, the adapter's start and dropout"),
        CHOICE(SHUFFLE, "epoch|none", "a new order in every epoch, or the file's"),
        CHOICE(CUTOFF, "N", "most tokens of a row; a longer one loses its oldest history"),
        {TR_FLAG_GROUP, .help = "The adapter"},
        CHOICE(RANK, "R", "rank of the LoRA matrices"),
        CHOICE(ALPHA, "A", "scale: alpha / rank"),
        {TR_FLAG_ON, "rslora", 0, NULL, &t->rslora, "scale alpha / sqrt(rank) instead"},
        CHOICE(DROPOUT, "P", "dropout before the LoRA matrices"),
        CHOICE(TARGETS, "LIST", "adapted modules, of q_proj k_proj v_proj o_proj gate_proj up_proj down_proj with "
               "commas between, or all-linear"),
        {TR_FLAG_STRING, "init-adapter", 0, "DIR", &t->job.init_adapter,
         "start from this adapter; it brings its rank, alpha and targets", .none = "A random, B zero"},
        {TR_FLAG_GROUP, .help = "The optimiser"},
        CHOICE(LR, "X", "learning rate of AdamW"),
        CHOICE(SCHEDULE, "linear|cosine|constant", "what becomes of it"),
        CHOICE(WARMUP, "N", "steps in which it rises from 0"),
        CHOICE(BATCH, "N", "rows of a step"),
        CHOICE(EPOCHS, "N", "times that every row is seen"),
        CHOICE(STEPS, "N", "stop after so many steps; 0: after the epochs"),
        CHOICE(LOSS_ON, "all|answer", "which tokens are targets"),
        {TR_FLAG_OFF, "no-eos", 0, NULL, &t->eos, "without the end-of-text token after the answer"},
        CHOICE(WEIGHT_DECAY, "X", "of AdamW"),
        CHOICE(CLIP, "X", "largest norm of the gradient; 0: any"),
        {TR_FLAG_GROUP, .help = "Choosing the best adapter"},
        CHOICE(EVAL_EVERY, "N", "steps between validations; 0: only at the end"),
        CHOICE(PATIENCE, "N", "validations without a better AUC before stopping; 0: never stop early"),
        {TR_FLAG_GROUP, .help = "How"},
        CHOICE(MICRO_TOKENS, "N", "most tokens computed at a time: bounds memory, the loss stays the same"),
        {TR_FLAG_CHOICE, "compute", 0, "f32", &t->compute, "arithmetic: float32 on the weights as stored"},
        TR_COMMON_FLAGS(&t->common),
    };
    tr_arguments arguments;
    bool done;
    TR_TRY(tr_command_begin(self, argc, argv, flags, &t->common, 0, true, &arguments, &done, err));
    if (done) return TR_OK;
    tr_status status = check_flags(flags, t, err);
    if (status == TR_OK) status = tune(t, argc, argv, err);
    tr_arguments_free(&arguments);
    return status;
}

const tr_command tr_command_tune = {
    .text = {
        .name = "tune",
        .summary = "training rows and a base model to a LoRA adapter",
        .arguments = "--model FILE (--data FOLDER | --train FILE) -o RUN [flags]",
        .description =
            "Tunes a LoRA adapter on the training rows; the base model stays as it is. The defaults are the published "
            "TALLRec recipe. RUN/adapter is the best by validation AUC, in PEFT's layout, RUN/adapter-last the last; "
            "beside them lie config.json, metrics.jsonl, TensorBoard events, the rows used, and the state.\n\n"
            "Ctrl-C finishes the step and saves; --resume goes on bit for bit as if nothing had happened, also after a "
            "kill or a power cut. The same inputs, seed and flags give the same adapter, whatever the number of "
            "threads.",
        .examples = "tallrec tune --model M.gguf --data data --shots 64 --recipe quick -o run\n"
                    "tallrec tune --model M.gguf --data data --shots 256 --seed 2 -o run2\n"
                    "tallrec tune --resume -o run2",
    },
    .run = run,
};
