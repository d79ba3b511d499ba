/* What the commands have in common. A command is a file NAME.c with a tr_command, its declaration here, and its line in
 * the table in main.c. It parses its flags, calls its job (tallrec.h), and prints; nothing in it is worth testing
 * without the command line. */
#ifndef TR_CLI_COMMAND_H
#define TR_CLI_COMMAND_H

#include "cli/flags.h"

typedef struct tr_command {
    tr_command_text text;
    /* argv[0] is the command's name. TR_ERR_USAGE means that the command line was wrong. */
    tr_status (*run)(const struct tr_command *self, int argc, const char **argv, tr_error *err);
} tr_command;

extern const tr_command tr_command_import, tr_command_tune, tr_command_eval, tr_command_score, tr_command_rank,
    tr_command_tokenize;

/* The flags that every command has; put TR_COMMON_FLAGS(&common) at the end of the table. */
typedef struct {
    int threads;
    bool quiet;
} tr_common;

#define TR_COMMON_FLAGS(common)                                                                                     \
    {TR_FLAG_GROUP, .help = "General"},                                                                             \
    {TR_FLAG_INT, "threads", 0, "N", &(common)->threads, "processors to use; changes no result", .min = 0,          \
     .max = 1024, .none = "all"},                                                                                   \
    {TR_FLAG_ON, "quiet", 'q', NULL, &(common)->quiet, "no progress on standard error, only warnings and errors"},  \
    {TR_FLAG_END}

/* The flags of commands that run a model: entries for the table. */
#define TR_ENGINE_FLAGS(engine)                                                                                     \
    {TR_FLAG_STRING, "model", 0, "FILE", &(engine)->model, "the base model, a GGUF file", .required = true},        \
    {TR_FLAG_STRING, "adapter", 0, "DIR", &(engine)->adapter, "LoRA adapter in PEFT's layout, such as RUN/adapter", \
     .none = "the base model as it is"}

#define TR_LIMIT_FLAGS(engine, compute, usual_micro_tokens)                                                         \
    {TR_FLAG_INT, "cutoff", 0, "N", &(engine)->cutoff,                                                              \
     "most tokens of a prompt with its answer; a longer one loses its oldest history", .min = 0, .max = 1 << 20,    \
     .none = "the model's context"},                                                                                \
    {TR_FLAG_INT, "micro-tokens", 0, "N", &(engine)->micro_tokens,                                                  \
     "most tokens computed at a time: bounds memory; changes results by rounding only", .min = 0, .max = 1 << 20,   \
     .none = usual_micro_tokens},                                                                                   \
    {TR_FLAG_CHOICE, "compute", 0, "f32", compute, "arithmetic: float32 on the weights as stored"}

/* Parses the flags, or shows the help (then *done is true and there is nothing more to do). Sets threads and quiet from
 * `common`. Checks required flags unless `lenient`, and that at most max_positional words are no flags. */
tr_status tr_command_begin(const tr_command *self, int argc, const char **argv, tr_flag *flags, tr_common *common,
                           size_t max_positional, bool lenient, tr_arguments *arguments, bool *done, tr_error *err);

/* "1,682". Returns `buffer`. */
const char *tr_format_count(size_t n, char *buffer, size_t size);

#endif
