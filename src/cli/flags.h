/* Flags of a command: declared once in a table, which parses the command line (with popt), checks the values and
 * prints the help. A flag's default is what its target holds before parsing. */
#ifndef TR_CLI_FLAGS_H
#define TR_CLI_FLAGS_H

#include "base/error.h"

typedef enum {
    TR_FLAG_END = 0,
    TR_FLAG_GROUP,   /* only a heading of the help: `help` is its text */
    TR_FLAG_STRING,  /* target: const char * */
    TR_FLAG_CHOICE,  /* target: int, the index in the words of `value`, "linear|cosine|constant" */
    TR_FLAG_INT,     /* target: int, from min to max */
    TR_FLAG_SIZE,    /* target: size_t, from min to max */
    TR_FLAG_SEED,    /* target: uint64_t */
    TR_FLAG_NUMBER,  /* target: double, from min to max */
    TR_FLAG_FLOAT,   /* target: float, from min to max */
    TR_FLAG_ON,      /* target: bool, becomes true; takes no value */
    TR_FLAG_OFF,     /* target: bool, becomes false; takes no value */
} tr_flag_kind;

typedef struct {
    tr_flag_kind kind;
    const char *name;     /* "micro-tokens"; NULL: only a letter */
    char letter;          /* 'o' or 0 */
    const char *value;    /* what the help calls the value ("FILE"), or the words of a choice */
    void *target;
    const char *help;
    double min, max;      /* checked where they differ */
    bool required;
    const char *none;     /* what the help shows as default where the value itself says nothing ("all rows") */
    bool given;           /* filled by parsing */
} tr_flag;

/* A command of the program. */
typedef struct {
    const char *name;
    const char *summary;      /* one line in the list of commands */
    const char *arguments;    /* after the name in the first line of its help: "--model FILE -o RUN [flags]" */
    const char *description;  /* paragraphs, separated by "\n\n" */
    const char *examples;     /* command lines, separated by '\n' */
} tr_command_text;

typedef struct {
    char **positional;           /* words that are no flags */
    size_t n_positional;
    char **values;               /* what string targets point to */
    size_t n_values;
    bool help;                   /* --help or -h was given: nothing else was looked at */
} tr_arguments;

/* Parses argv[1..argc-1]. Targets of flags that are not given keep their value. TR_ERR_USAGE names the flag that is
 * unknown (with the nearest one as hint), lacks its value, is given twice, or has a value of the wrong kind or range.
 * Required flags are checked by tr_flags_require, so that --resume can do without them. Release with
 * tr_arguments_free. */
tr_status tr_flags_parse(int argc, const char **argv, tr_flag *flags, const char *command, tr_arguments *out,
                         tr_error *err);
void tr_arguments_free(tr_arguments *arguments);

/* TR_ERR_USAGE naming the first required flag that was not given. */
tr_status tr_flags_require(const tr_flag *flags, const char *command, tr_error *err);

/* True when the flag of that name was given. The name must exist. */
bool tr_flag_given(const tr_flag *flags, const char *name);

/* Prints the help of a command, at most 80 columns wide, to standard output. The targets must hold the defaults. */
void tr_flags_help(const tr_command_text *command, const tr_flag *flags);

/* The word nearest to `word` by edits (optimal string alignment) among `candidates` (NULL-terminated), or NULL when
 * none is near. */
const char *tr_nearest_word(const char *word, const char *const *candidates);

/* Prints `text` wrapped at 80 columns, each line after `indent` spaces; the first line continues at column `at`.
 * A newline in the text is kept. */
void tr_print_wrapped(const char *text, int indent, int at);

#endif
