/* This file is the program's entry: it finds the command, runs it, and turns its status into words and an exit status:
 * 0 done, 1 failed, 2 the command line was wrong. */
#include "cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const tr_command *const commands[] = {
    &tr_command_import, &tr_command_tune, &tr_command_eval, &tr_command_score, &tr_command_rank, &tr_command_tokenize,
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void print_overview(FILE *stream)
{
    fputs("tallrec turns a language model into a recommender from a few dozen ratings.\n\n"
          "Usage: tallrec COMMAND [flags]\n\n", stream);
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(stream, "  %-10s %s\n", commands[i]->text.name, commands[i]->text.summary);
    fputs("\n"
          "tallrec COMMAND --help tells all about a command, tallrec --version the version.\n"
          "Exit status: 0 done, 1 failed, 2 wrong command line.\n\n"
          "From ratings to recommendations:\n"
          "  tallrec import movielens ml-100k -o data\n"
          "  tallrec tune --model M.gguf --data data --shots 64 --recipe quick -o run\n"
          "  tallrec eval --model M.gguf --adapter run/adapter --data data --split test\n"
          "  tallrec rank --model M.gguf --adapter run/adapter --data data --user 196\n", stream);
}

static const tr_command *find_command(const char *name)
{
    for (int i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i]->text.name, name) == 0) return commands[i];
    return NULL;
}

static tr_status fail_no_command(const char *name, tr_error *err)
{
    const char *names[N_COMMANDS + 1] = {0};
    for (int i = 0; i < N_COMMANDS; i++) names[i] = commands[i]->text.name;
    const char *nearest = tr_nearest_word(name, names);
    if (name[0] == '-') {
        tr_fail(err, TR_ERR_USAGE, "%s comes before any command", name);
        return tr_hint(err, "tallrec COMMAND %s ..., or tallrec --help", name);
    }
    tr_fail(err, TR_ERR_USAGE, "there is no command \"%s\"", name);
    return nearest ? tr_hint(err, "tallrec %s, or tallrec --help", nearest) : tr_hint(err, "tallrec --help");
}

static tr_status run(int argc, const char **argv, tr_error *err)
{
    const char *name = argc > 1 ? argv[1] : "";
    bool asks = strcmp(name, "help") == 0;
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        puts("tallrec " TALLREC_VERSION);
        return TR_OK;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || (asks && argc == 2)) {
        print_overview(stdout);
        return TR_OK;
    }
    if (argc < 2) {
        print_overview(stderr);
        return tr_fail(err, TR_ERR_USAGE, "no command was given");
    }
    if (asks) name = argv[2];
    const tr_command *command = find_command(name);
    if (!command) return fail_no_command(name, err);
    const char *help[] = {name, "--help", NULL};
    return asks ? command->run(command, 2, help, err) : command->run(command, argc - 1, argv + 1, err);
}

/* Gives closed standard descriptors something to point to, so that no data file becomes standard output: a place that
 * refuses writing for output, so that its loss is noticed. */
static void keep_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", fd == 1 ? O_RDONLY : O_RDWR) != fd) _exit(1);
}

/* What was printed must have arrived: a full disk behind `> file` is a failure. */
static tr_status flush_output(tr_error *err)
{
    errno = 0;
    bool failed = fflush(stdout) != 0 || ferror(stdout);
    if (!failed) return TR_OK;
    if (errno == 0) errno = EIO;
    tr_fail_errno(err, "cannot write the result");
    return tr_at(err, "standard output");
}

static void print_error(const tr_error *err)
{
    fprintf(stderr, "tallrec: error: %s\n", err->message);
    if (err->where[0]) fprintf(stderr, "  at: %s\n", err->where);
    if (err->hint[0]) fprintf(stderr, "  try: %s\n", err->hint);
}

int main(int argc, char **argv)
{
    tr_error err = {0};
    keep_descriptors();
    tr_status status = run(argc, (const char **)argv, &err);
    tr_error output_err = {0};
    tr_status output_status = flush_output(&output_err);
    if (status == TR_OK && output_status != TR_OK) {
        status = output_status;
        err = output_err;
    }
    if (status == TR_OK) return 0;
    print_error(&err);
    return status == TR_ERR_USAGE ? 2 : 1;
}
