/* This file implements examples as rows of a file: reading JSON Lines or the published arrays, writing JSON
 * Lines. What the text of `input` means is in example_input.c. */
#include "rec/example.h"

#include "base/memory.h"
#include "base/progress.h"
#include "base/str.h"
#include "format/json.h"
#include "rec/jsonl.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WARNINGS_SHOWN 5
#define HISTORY_MAX 100000 /* entries of one row; more is not a history */

void tr_history_free(tr_history_item *items, size_t n)
{
    for (size_t i = 0; items && i < n; i++) {
        free(items[i].item);
        free(items[i].title);
    }
    free(items);
}

void tr_example_clear(tr_example *example)
{
    free(example->instruction);
    free(example->input);
    free(example->output);
    free(example->user);
    free(example->item);
    free(example->title);
    tr_history_free(example->history, example->n_history);
    *example = (tr_example){0};
}

void tr_examples_free(tr_examples *examples)
{
    for (size_t i = 0; i < examples->n; i++) tr_example_clear(&examples->row[i]);
    free(examples->row);
    *examples = (tr_examples){0};
}

tr_status tr_examples_append(tr_examples *examples, tr_example *example, tr_error *err)
{
    TR_TRY(tr_reserve(&examples->row, &examples->capacity, examples->n + 1, sizeof *examples->row, "examples", err));
    examples->row[examples->n++] = *example;
    *example = (tr_example){0};
    return TR_OK;
}

int tr_answer_label(const char *output)
{
    while (isspace((unsigned char)*output)) output++;
    size_t size = strlen(output);
    while (size > 0 && isspace((unsigned char)output[size - 1])) size--;
    if (size > 0 && output[size - 1] == '.') size--;
    if (size == 3 && strncasecmp(output, "yes", 3) == 0) return 1;
    if (size == 2 && strncasecmp(output, "no", 2) == 0) return 0;
    return -1;
}

/* Reading ----------------------------------------------------------------------------------------------- */

/* A copy of an optional text member. Ids are often numbers in other people's files: those become decimal text.
 * *problem is set, and the copy left NULL, for any other type. */
static tr_status copy_text(const json_t *row, const char *key, char **out, const char **problem, tr_error *err)
{
    const json_t *value = json_object_get(row, key);
    *out = NULL;
    if (!value || json_is_null(value)) return TR_OK;
    if (json_is_string(value)) return tr_strdup(out, json_string_value(value), err);
    if (json_is_integer(value)) {
        char digits[32];
        snprintf(digits, sizeof digits, "%lld", (long long)json_integer_value(value));
        return tr_strdup(out, digits, err);
    }
    *problem = "a member that should be text is neither text nor a whole number";
    return TR_OK;
}

static tr_status read_history_item(const json_t *value, tr_history_item *out, const char **problem, tr_error *err)
{
    const json_t *liked = json_object_get(value, "liked");
    if (!json_is_object(value) || !json_is_string(json_object_get(value, "title")) || !json_is_boolean(liked)) {
        *problem = "a history entry is not an object with a title and liked true or false";
        return TR_OK;
    }
    out->liked = json_is_true(liked);
    TR_TRY(copy_text(value, "item", &out->item, problem, err));
    return copy_text(value, "title", &out->title, problem, err);
}

static tr_status read_history(const json_t *row, tr_example *example, const char **problem, tr_error *err)
{
    const json_t *list = json_object_get(row, "history");
    if (!list || json_is_null(list)) return tr_example_parse_input(example, err);
    if (!json_is_array(list) || json_array_size(list) > HISTORY_MAX) {
        *problem = "history is not an array of a sensible size";
        return TR_OK;
    }
    TR_TRY(tr_alloc(&example->history, json_array_size(list), sizeof *example->history, "a history", err));
    example->history_timed = true;
    for (size_t i = 0; i < json_array_size(list) && !*problem; i++) {
        example->n_history = i + 1; /* so that clearing frees what a failure leaves behind */
        TR_TRY(read_history_item(json_array_get(list, i), &example->history[i], problem, err));
    }
    return TR_OK;
}

/* Fills `example` from an object, or sets *problem (text that lives as long as the program). */
static tr_status read_row(const json_t *row, bool need_label, tr_example *example, const char **problem, tr_error *err)
{
    const json_t *time = json_object_get(row, "time");
    if (!json_is_string(json_object_get(row, "instruction")) || !json_is_string(json_object_get(row, "output"))) {
        *problem = "no text in instruction or output";
        return TR_OK;
    }
    TR_TRY(copy_text(row, "instruction", &example->instruction, problem, err));
    TR_TRY(copy_text(row, "output", &example->output, problem, err));
    TR_TRY(copy_text(row, "input", &example->input, problem, err));
    TR_TRY(copy_text(row, "user", &example->user, problem, err));
    TR_TRY(copy_text(row, "item", &example->item, problem, err));
    TR_TRY(copy_text(row, "title", &example->title, problem, err));
    if (!example->input && !*problem) TR_TRY(tr_strdup(&example->input, "", err));
    example->label = tr_answer_label(example->output);
    if (need_label && example->label < 0) *problem = "the output is neither Yes nor No";
    example->time = json_is_integer(time) ? json_integer_value(time) : -1;
    if (time && !json_is_integer(time) && !json_is_null(time)) *problem = "time is not a whole number of seconds";
    return *problem ? TR_OK : read_history(row, example, problem, err);
}

typedef struct {
    const char *path;
    tr_examples *out;
    bool need_label;
    size_t n_rows, n_bad, first_bad;
    const char *first_problem;
    char problem_text[160]; /* the JSON reader's words for the first bad row live only as long as its call */
} reading;

static void count_bad(reading *state, size_t line, const char *problem)
{
    if (state->n_bad++ == 0) {
        state->first_bad = line;
        snprintf(state->problem_text, sizeof state->problem_text, "%s", problem);
        state->first_problem = state->problem_text;
    }
    if (state->n_bad <= WARNINGS_SHOWN) tr_warn("%s:%zu: %s", state->path, line, problem);
}

static tr_status take_row(void *user, size_t line, json_t *value, const char *problem, tr_error *err)
{
    reading *state = user;
    tr_example example = {.line = line};
    tr_status status = TR_OK;
    state->n_rows++;
    if (value) status = read_row(value, state->need_label, &example, &problem, err);
    if (status == TR_OK && problem) count_bad(state, line, problem);
    if (status == TR_OK && !problem) status = tr_examples_append(state->out, &example, err);
    tr_example_clear(&example);
    return status;
}

static tr_status judge(const reading *state, double max_bad, tr_error *err)
{
    if (state->n_rows == 0) {
        tr_fail(err, TR_ERR_FORMAT, "%s holds no examples", state->path);
        return tr_hint(err, "expected JSON Lines or a JSON array of {instruction, input, output}");
    }
    if (state->out->n > 0 && (double)state->n_bad <= max_bad * (double)state->n_rows) return TR_OK;
    tr_fail(err, TR_ERR_FORMAT, "%zu of %zu rows of %s cannot be used; the first: %s", state->n_bad, state->n_rows,
            state->path, state->first_problem);
    tr_at(err, "%s:%zu", state->path, state->first_bad);
    return tr_hint(err, "each row needs instruction and output as text%s; at most %g %% may be bad",
                   state->need_label ? ", the output Yes. or No." : "", 100 * max_bad);
}

tr_status tr_examples_read_tolerant(const char *path, bool need_label, double max_bad, tr_examples *out,
                                    size_t *n_bad, tr_error *err)
{
    reading state = {.path = path, .out = out, .need_label = need_label};
    *out = (tr_examples){0};
    tr_status status = tr_json_rows(path, take_row, &state, err);
    if (state.n_bad > WARNINGS_SHOWN) tr_warn("%s: %zu bad rows in all", path, state.n_bad);
    if (status == TR_OK) status = judge(&state, max_bad, err);
    if (status != TR_OK) tr_examples_free(out);
    if (n_bad) *n_bad = state.n_bad;
    return status;
}

tr_status tr_examples_read(const char *path, bool need_label, tr_examples *out, size_t *n_bad, tr_error *err)
{
    return tr_examples_read_tolerant(path, need_label, 0.01, out, n_bad, err);
}

/* Writing ----------------------------------------------------------------------------------------------- */

static int set_text(json_t *object, const char *key, const char *text)
{
    return text ? json_object_set_new(object, key, json_string(text)) : 0;
}

/* New reference; NULL when out of memory or some text is not UTF-8. */
static json_t *history_json(const tr_example *example)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < example->n_history; i++) {
        const tr_history_item *entry = &example->history[i];
        json_t *object = json_object();
        if (set_text(object, "item", entry->item) || set_text(object, "title", entry->title) ||
            json_object_set_new(object, "liked", json_boolean(entry->liked)) || json_array_append(list, object)) {
            json_decref(list);
            list = NULL;
        }
        json_decref(object);
    }
    return list;
}

static json_t *example_json(const tr_example *example)
{
    json_t *row = json_object();
    int failed = set_text(row, "instruction", example->instruction) | set_text(row, "input", example->input) |
                 set_text(row, "output", example->output) | set_text(row, "user", example->user) |
                 set_text(row, "item", example->item) | set_text(row, "title", example->title);
    if (example->time != -1) failed |= json_object_set_new(row, "time", json_integer(example->time));
    if (example->history_timed) failed |= json_object_set_new(row, "history", history_json(example));
    if (!failed) return row;
    json_decref(row);
    return NULL;
}

static json_t *example_at(const void *user, size_t i) { return example_json(&((const tr_examples *)user)->row[i]); }

tr_status tr_examples_write(const char *path, const tr_examples *examples, tr_error *err)
{
    return tr_jsonl_write(path, examples->n, example_at, examples, err);
}
