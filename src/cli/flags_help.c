/* This file prints the help of a command from its table of flags. */
#include "cli/flags.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS = 79, HELP_COLUMN = 25 };

void tr_print_wrapped(const char *text, int indent, int at)
{
    while (*text) {
        size_t size = strcspn(text, " \n");
        if (at > indent && at + 1 + (int)size > COLUMNS) {
            putchar('\n');
            at = 0;
        }
        if (at < indent) {
            printf("%*s", indent - at, "");
            at = indent;
        } else if (at > indent) {
            putchar(' ');
            at++;
        }
        fwrite(text, 1, size, stdout);
        at += (int)size;
        text += size;
        if (*text == '\n') {
            putchar('\n');
            at = 0;
            text++;
        }
        text += strspn(text, " ");
    }
    putchar('\n');
}

/* The word of a choice by its index. */
static void choice_word(const tr_flag *flag, char *out, size_t size)
{
    const char *word = flag->value;
    for (int i = *(const int *)flag->target; i > 0 && strchr(word, '|'); i--) word = strchr(word, '|') + 1;
    snprintf(out, size, "%.*s", (int)strcspn(word, "|"), word);
}

/* The default as the help shows it; empty when there is nothing to show. */
static void format_default(const tr_flag *flag, char *out, size_t size)
{
    out[0] = '\0';
    if (flag->none) {
        snprintf(out, size, "%s", flag->none);
        return;
    }
    switch (flag->kind) {
    case TR_FLAG_STRING:
        if (*(const char **)flag->target) snprintf(out, size, "%s", *(const char **)flag->target);
        break;
    case TR_FLAG_CHOICE: choice_word(flag, out, size); break;
    case TR_FLAG_INT: snprintf(out, size, "%d", *(const int *)flag->target); break;
    case TR_FLAG_SIZE: snprintf(out, size, "%zu", *(const size_t *)flag->target); break;
    case TR_FLAG_SEED: snprintf(out, size, "%llu", (unsigned long long)*(const uint64_t *)flag->target); break;
    case TR_FLAG_NUMBER: snprintf(out, size, "%.6g", *(const double *)flag->target); break;
    case TR_FLAG_FLOAT: snprintf(out, size, "%.6g", (double)*(const float *)flag->target); break;
    default: break;
    }
}

static void print_flag(const tr_flag *flag)
{
    int at = printf("  ");
    if (flag->letter) at += printf("-%c", flag->letter);
    if (flag->letter && flag->name) at += printf(", ");
    if (flag->name) at += printf("--%s", flag->name);
    if (flag->value) at += printf(" %s", flag->value);
    if (at >= HELP_COLUMN - 1) {
        putchar('\n');
        at = 0;
    }
    char help[640], value[128];
    format_default(flag, value, sizeof value);
    if (flag->required)
        snprintf(help, sizeof help, "%s (required)", flag->help);
    else if (value[0])
        snprintf(help, sizeof help, "%s (default %s)", flag->help, value);
    else
        snprintf(help, sizeof help, "%s", flag->help);
    tr_print_wrapped(help, HELP_COLUMN, at);
}

static void print_usage(const tr_command_text *command)
{
    int at = printf("Usage: tallrec %s ", command->name);
    tr_print_wrapped(command->arguments, at, at);
}

static void print_examples(const char *examples)
{
    puts("\nExamples:");
    while (*examples) {
        size_t size = strcspn(examples, "\n");
        printf("  %.*s\n", (int)size, examples);
        examples += size + (examples[size] == '\n');
    }
}

void tr_flags_help(const tr_command_text *command, const tr_flag *flags)
{
    print_usage(command);
    putchar('\n');
    tr_print_wrapped(command->description, 0, 0);
    for (; flags->kind != TR_FLAG_END; flags++) {
        if (flags->kind == TR_FLAG_GROUP)
            printf("\n%s:\n", flags->help);
        else
            print_flag(flags);
    }
    printf("  -h, --help");
    tr_print_wrapped("show this", HELP_COLUMN, 12);
    print_examples(command->examples);
}
