/* This file parses the flags of a command with popt, from the table that declares them. */
#include "cli/flags.h"

#include "base/memory.h"

#include <errno.h>
#include <math.h>
#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool takes_value(const tr_flag *flag) { return flag->kind != TR_FLAG_ON && flag->kind != TR_FLAG_OFF; }

static size_t count_flags(const tr_flag *flags)
{
    size_t n = 0;
    while (flags[n].kind != TR_FLAG_END) n++;
    return n;
}

/* "--name", or "-o" for a flag without a long name. Returns `buffer`. */
static const char *flag_spelling(const tr_flag *flag, char buffer[64])
{
    if (flag->name)
        snprintf(buffer, 64, "--%s", flag->name);
    else
        snprintf(buffer, 64, "-%c", flag->letter);
    return buffer;
}

/* ---- values ---- */

static tr_status parse_choice(const tr_flag *flag, const char *text, tr_error *err)
{
    size_t length = strlen(text);
    int index = 0;
    for (const char *word = flag->value; word; index++) {
        const char *bar = strchr(word, '|');
        size_t size = bar ? (size_t)(bar - word) : strlen(word);
        if (size == length && memcmp(word, text, size) == 0) {
            *(int *)flag->target = index;
            return TR_OK;
        }
        word = bar ? bar + 1 : NULL;
    }
    char spelling[64];
    tr_fail(err, TR_ERR_USAGE, "%s cannot be \"%s\"", flag_spelling(flag, spelling), text);
    return tr_hint(err, "one of %s", flag->value);
}

static tr_status check_range(const tr_flag *flag, double value, const char *text, tr_error *err)
{
    if (flag->min == flag->max || (value >= flag->min && value <= flag->max)) return TR_OK;
    char spelling[64];
    tr_fail(err, TR_ERR_USAGE, "%s is out of range: %s", flag_spelling(flag, spelling), text);
    return isinf(flag->max) ? tr_hint(err, "%.15g or more", flag->min)
                            : tr_hint(err, "from %.15g to %.15g", flag->min, flag->max);
}

static tr_status parse_whole(const tr_flag *flag, const char *text, tr_error *err)
{
    char *end, spelling[64];
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end)
        return tr_fail(err, TR_ERR_USAGE, "%s wants a whole number, not \"%s\"", flag_spelling(flag, spelling), text);
    bool fits = errno == 0 && (flag->kind == TR_FLAG_INT ? value >= INT32_MIN && value <= INT32_MAX : value >= 0);
    if (!fits) return tr_fail(err, TR_ERR_USAGE, "%s is out of range: %s", flag_spelling(flag, spelling), text);
    TR_TRY(check_range(flag, (double)value, text, err));
    if (flag->kind == TR_FLAG_INT)
        *(int *)flag->target = (int)value;
    else
        *(size_t *)flag->target = (size_t)value;
    return TR_OK;
}

static tr_status parse_seed(const tr_flag *flag, const char *text, tr_error *err)
{
    char *end, spelling[64];
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end || errno || strchr(text, '-'))
        return tr_fail(err, TR_ERR_USAGE, "%s wants a whole number from 0 to 2^64 - 1, not \"%s\"",
                       flag_spelling(flag, spelling), text);
    *(uint64_t *)flag->target = value;
    return TR_OK;
}

static tr_status parse_number(const tr_flag *flag, const char *text, tr_error *err)
{
    char *end, spelling[64];
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value))
        return tr_fail(err, TR_ERR_USAGE, "%s wants a number, not \"%s\"", flag_spelling(flag, spelling), text);
    TR_TRY(check_range(flag, value, text, err));
    if (flag->kind == TR_FLAG_NUMBER)
        *(double *)flag->target = value;
    else
        *(float *)flag->target = (float)value;
    return TR_OK;
}

/* An empty variable in a script, "--model $MODEL --data D", makes a flag the value of another. */
static bool names_a_flag(const tr_flag *flags, const char *text)
{
    if (!text || strncmp(text, "--", 2) != 0) return false;
    for (; flags->kind != TR_FLAG_END; flags++)
        if (flags->name && strcmp(flags->name, text + 2) == 0) return true;
    return false;
}

static tr_status set_flag(const tr_flag *flags, tr_flag *flag, const char *text, tr_error *err)
{
    char spelling[64];
    if (names_a_flag(flags, text)) {
        tr_fail(err, TR_ERR_USAGE, "%s needs a value", flag_spelling(flag, spelling));
        return tr_hint(err, "what follows it is the flag %s", text);
    }
    if (flag->given)
        return tr_fail(err, TR_ERR_USAGE, "%s is given twice", flag_spelling(flag, spelling));
    flag->given = true;
    switch (flag->kind) {
    case TR_FLAG_STRING: *(const char **)flag->target = text; return TR_OK;
    case TR_FLAG_CHOICE: return parse_choice(flag, text, err);
    case TR_FLAG_INT:
    case TR_FLAG_SIZE: return parse_whole(flag, text, err);
    case TR_FLAG_SEED: return parse_seed(flag, text, err);
    case TR_FLAG_NUMBER:
    case TR_FLAG_FLOAT: return parse_number(flag, text, err);
    case TR_FLAG_ON: *(bool *)flag->target = true; return TR_OK;
    case TR_FLAG_OFF: *(bool *)flag->target = false; return TR_OK;
    case TR_FLAG_END:
    case TR_FLAG_GROUP: break;
    }
    return tr_fail(err, TR_ERR_USAGE, "%s is not a flag", flag_spelling(flag, spelling));
}

/* ---- nearest word ---- */

#define MAX_WORD 40

static int min_of(int a, int b) { return a < b ? a : b; }

/* Edits from a to b: insert, delete, replace, swap neighbours (Damerau 1964, optimal string alignment). */
static int edit_distance(const char *a, const char *b)
{
    int n = (int)strlen(a), m = (int)strlen(b), d[MAX_WORD + 1][MAX_WORD + 1];
    if (n > MAX_WORD || m > MAX_WORD) return MAX_WORD;
    for (int i = 0; i <= n; i++) d[i][0] = i;
    for (int j = 0; j <= m; j++) d[0][j] = j;
    for (int i = 1; i <= n; i++) {
        for (int j = 1; j <= m; j++) {
            d[i][j] = min_of(min_of(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = min_of(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[n][m];
}

const char *tr_nearest_word(const char *word, const char *const *candidates)
{
    const char *best = NULL;
    int best_distance = 1 + (int)strlen(word) / 3; /* a third of the word may be wrong */
    for (; *candidates; candidates++) {
        bool prefix = strlen(word) >= 2 && strncmp(word, *candidates, strlen(word)) == 0;
        int distance = prefix ? 1 : edit_distance(word, *candidates);
        if (distance < best_distance || (!best && distance == best_distance)) {
            best = *candidates;
            best_distance = distance;
        }
    }
    return best;
}

/* ---- parsing ---- */

static tr_status fail_unknown(const char *spelling, const tr_flag *flags, const char *command, tr_error *err)
{
    char word[MAX_WORD + 1];
    const char *start = spelling + strspn(spelling, "-");
    snprintf(word, sizeof word, "%.*s", (int)strcspn(start, "="), start);
    const char *names[128];
    size_t n = 0;
    for (const tr_flag *flag = flags; flag->kind != TR_FLAG_END && n < 127; flag++)
        if (flag->kind != TR_FLAG_GROUP && flag->name) names[n++] = flag->name;
    names[n] = NULL;
    const char *nearest = strlen(word) > 1 ? tr_nearest_word(word, names) : NULL;
    tr_fail(err, TR_ERR_USAGE, "%s has no flag %s", command, spelling);
    if (nearest) return tr_hint(err, "--%s, or tallrec %s --help", nearest, command);
    return tr_hint(err, "tallrec %s --help", command);
}

/* What popt said about a flag it could not take. */
static tr_status fail_popt(poptContext context, int code, const tr_flag *flags, const char *command, tr_error *err)
{
    const char *spelling = poptBadOption(context, POPT_BADOPTION_NOALIAS);
    if (code == POPT_ERROR_BADOPT) return fail_unknown(spelling, flags, command, err);
    if (code == POPT_ERROR_NOARG)
        tr_fail(err, TR_ERR_USAGE, "%s needs a value", spelling);
    else if (code == POPT_ERROR_UNWANTEDARG)
        tr_fail(err, TR_ERR_USAGE, "%s takes no value", spelling);
    else
        tr_fail(err, TR_ERR_USAGE, "%s: %s", spelling, poptStrerror(code));
    return tr_hint(err, "tallrec %s --help", command);
}

enum { FIRST_CODE = 1 };

static void fill_popt_table(const tr_flag *flags, size_t n, struct poptOption *table)
{
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (flags[i].kind == TR_FLAG_GROUP) continue;
        table[used++] = (struct poptOption){
            .longName = flags[i].name,
            .shortName = flags[i].letter,
            .argInfo = takes_value(&flags[i]) ? POPT_ARG_STRING : POPT_ARG_NONE,
            .val = FIRST_CODE + (int)i,
        };
    }
}

/* Takes over a word that popt allocated; it lives as long as the arguments. */
static tr_status keep_word(char ***words, size_t *n, char *word, tr_error *err)
{
    size_t capacity = *n;
    tr_status status = tr_reserve(words, &capacity, *n + 1, sizeof **words, "arguments", err);
    if (status != TR_OK) {
        free(word);
        return status;
    }
    (*words)[(*n)++] = word;
    return TR_OK;
}

static tr_status keep_positional(poptContext context, tr_arguments *out, tr_error *err)
{
    const char *word;
    while ((word = poptGetArg(context))) {
        char *copy;
        TR_TRY(tr_strdup(&copy, word, err));
        TR_TRY(keep_word(&out->positional, &out->n_positional, copy, err));
    }
    return TR_OK;
}

/* Whatever else the line holds: somebody who asks for help has trouble with it. */
static bool asks_for_help(int argc, const char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    return false;
}

tr_status tr_flags_parse(int argc, const char **argv, tr_flag *flags, const char *command, tr_arguments *out,
                         tr_error *err)
{
    *out = (tr_arguments){.help = asks_for_help(argc, argv)};
    if (out->help) return TR_OK;
    size_t n = count_flags(flags);
    for (size_t i = 0; i < n; i++) flags[i].given = false;
    struct poptOption *table;
    TR_TRY(tr_alloc(&table, n + 2, sizeof *table, "flags", err));
    fill_popt_table(flags, n, table);
    poptContext context = poptGetContext(NULL, argc, argv, table, 0);
    tr_status status = context ? TR_OK : tr_fail(err, TR_ERR_MEMORY, "out of memory for the command line");
    int code = -1;
    while (status == TR_OK && (code = poptGetNextOpt(context)) > 0) {
        char *value = poptGetOptArg(context);
        if (value) status = keep_word(&out->values, &out->n_values, value, err);
        if (status == TR_OK) status = set_flag(flags, &flags[code - FIRST_CODE], value, err);
    }
    if (status == TR_OK && code < -1) status = fail_popt(context, code, flags, command, err);
    if (status == TR_OK) status = keep_positional(context, out, err);
    if (context) poptFreeContext(context);
    free(table);
    if (status != TR_OK) tr_arguments_free(out);
    return status;
}

void tr_arguments_free(tr_arguments *arguments)
{
    for (size_t i = 0; i < arguments->n_values; i++) free(arguments->values[i]);
    for (size_t i = 0; i < arguments->n_positional; i++) free(arguments->positional[i]);
    free(arguments->values);
    free(arguments->positional);
    *arguments = (tr_arguments){0};
}

tr_status tr_flags_require(const tr_flag *flags, const char *command, tr_error *err)
{
    for (; flags->kind != TR_FLAG_END; flags++) {
        if (!flags->required || flags->given) continue;
        char spelling[64];
        tr_fail(err, TR_ERR_USAGE, "%s needs %s %s", command, flag_spelling(flags, spelling), flags->value);
        return tr_hint(err, "tallrec %s --help", command);
    }
    return TR_OK;
}

bool tr_flag_given(const tr_flag *flags, const char *name)
{
    for (; flags->kind != TR_FLAG_END; flags++)
        if (flags->name && strcmp(flags->name, name) == 0) return flags->given;
    return false;
}
