/* This file implements the reading of histories and candidates written by hand. */
#include "rec/rank_input.h"

#include "base/memory.h"
#include "base/progress.h"
#include "format/json.h"
#include "rec/lines.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WARNINGS_SHOWN 5

/* An entry of either kind of file. */
typedef struct {
    const char *item, *title; /* as written; NULL when not given */
    const char *either;       /* an id or a title, not told which */
    int liked;                /* -1 not given */
} entry;

typedef struct {
    const char *path;
    const tr_interactions *catalogue;
    bool need_liked;
    tr_history_item *found; /* candidates use item and title of it */
    size_t n, capacity;
    tr_idmap titles;        /* of found */
    size_t n_unknown;
} reading;

static tr_status bad(const reading *state, size_t line, tr_status status, const char *problem, tr_error *err)
{
    tr_fail(err, status, "%s: %s", state->path, problem);
    tr_at(err, "%s:%zu", state->path, line);
    return state->need_liked
               ? tr_hint(err, "a history has {\"title\": \"...\", \"liked\": true} or TITLE<tab>yes on each line")
               : tr_hint(err, "candidates are an item id or a title on each line");
}

/* Looks an entry up: *item and *title are borrowed from the catalogue or the entry; *item may stay NULL. */
static bool resolve(const reading *state, const entry *given, const char **item, const char **title)
{
    const tr_interactions *catalogue = state->catalogue;
    const char *id = given->item ? given->item : given->either;
    const char *name = given->title ? given->title : given->either;
    size_t place = TR_NOT_FOUND;
    if (catalogue && id) place = tr_interactions_item(catalogue, id);
    if (catalogue && place == TR_NOT_FOUND && name) place = tr_interactions_item_titled(catalogue, name);
    *item = place != TR_NOT_FOUND ? catalogue->item[place].id : NULL;
    *title = place != TR_NOT_FOUND ? catalogue->item[place].title : name;
    return *title && **title;
}

static tr_status add(reading *state, const char *item, const char *title, bool liked, tr_error *err)
{
    TR_TRY(tr_reserve(&state->found, &state->capacity, state->n + 1, sizeof *state->found, "entries", err));
    tr_history_item *new_item = &state->found[state->n++];
    *new_item = (tr_history_item){.liked = liked};
    TR_TRY(tr_strdup(&new_item->title, title, err));
    if (item) TR_TRY(tr_strdup(&new_item->item, item, err));
    return tr_idmap_add(&state->titles, new_item->title, state->n - 1, err);
}

static tr_status take(reading *state, size_t line, const entry *given, tr_error *err)
{
    const char *item, *title;
    if (state->need_liked && given->liked < 0) return bad(state, line, TR_ERR_FORMAT, "liked is not given", err);
    if (!given->item && !given->title && !given->either)
        return bad(state, line, TR_ERR_FORMAT, "neither a title nor an item id", err);
    if (!resolve(state, given, &item, &title)) return bad(state, line, TR_ERR_VALUE, "no such item", err);
    if (state->n >= TR_RANK_INPUT_MAX) return bad(state, line, TR_ERR_VALUE, "too many entries", err);
    if (!state->need_liked && tr_idmap_get(&state->titles, title) != TR_NOT_FOUND) return TR_OK;
    if (!item && state->catalogue && ++state->n_unknown <= WARNINGS_SHOWN)
        tr_warn("%s:%zu: \"%s\" is not in the catalogue; taken as a title", state->path, line, title);
    return add(state, item, title, given->liked == 1, err);
}

/* "yes", "true", "1" -> 1; "no", "false", "0" -> 0; -1 otherwise. */
static int parse_liked(const char *text)
{
    static const char *const words[2][3] = {{"no", "false", "0"}, {"yes", "true", "1"}};
    for (int value = 0; value < 2; value++)
        for (int i = 0; i < 3; i++)
            if (strcasecmp(text, words[value][i]) == 0) return value;
    return -1;
}

static int json_liked(const json_t *value)
{
    if (json_is_boolean(value)) return json_is_true(value);
    if (json_is_integer(value) && (json_integer_value(value) == 0 || json_integer_value(value) == 1))
        return (int)json_integer_value(value);
    return json_is_string(value) ? parse_liked(json_string_value(value)) : -1;
}

/* Text as it is, a whole number as its digits (in `digits`), NULL for the rest. */
static const char *json_text(const json_t *value, char digits[32])
{
    if (!json_is_integer(value)) return json_string_value(value);
    snprintf(digits, 32, "%lld", (long long)json_integer_value(value));
    return digits;
}

static tr_status take_json(reading *state, size_t line, const json_t *value, tr_error *err)
{
    char digits[32];
    entry given = {.liked = -1};
    if (json_is_object(value)) {
        given.item = json_text(json_object_get(value, "item"), digits);
        given.title = json_string_value(json_object_get(value, "title"));
        given.liked = json_liked(json_object_get(value, "liked"));
    } else {
        given.either = json_text(value, digits);
    }
    return take(state, line, &given, err);
}

static tr_status take_row(void *user, size_t line, json_t *value, const char *problem, tr_error *err)
{
    reading *state = user;
    if (!value) return bad(state, line, TR_ERR_FORMAT, problem, err);
    return take_json(state, line, value, err);
}

static tr_status read_array(reading *state, tr_error *err)
{
    json_t *list;
    TR_TRY(tr_json_load(state->path, &list, err));
    tr_status status = json_is_array(list) ? TR_OK : bad(state, 1, TR_ERR_FORMAT, "not a JSON array", err);
    for (size_t i = 0; status == TR_OK && i < json_array_size(list); i++)
        status = take_json(state, i + 1, json_array_get(list, i), err);
    json_decref(list);
    return status;
}

static char *trimmed(char *text)
{
    while (isspace((unsigned char)*text)) text++;
    size_t size = strlen(text);
    while (size > 0 && isspace((unsigned char)text[size - 1])) text[--size] = '\0';
    return text;
}

static tr_status read_lines(reading *state, tr_error *err)
{
    tr_lines lines;
    bool more;
    tr_status status;
    TR_TRY_CLEANUP(tr_lines_open(&lines, state->path, err));
    for (;;) {
        TR_TRY_CLEANUP(tr_lines_next(&lines, '\t', &more, err));
        if (!more) break;
        entry given = {.either = trimmed(lines.field[0]), .liked = -1};
        if (state->need_liked && lines.n_fields > 1) given.liked = parse_liked(trimmed(lines.field[1]));
        if (lines.problem)
            status = bad(state, lines.number, TR_ERR_FORMAT, lines.problem, err);
        else if (*given.either || lines.n_fields > 1)
            status = take(state, lines.number, &given, err);
        if (status != TR_OK) break;
    }
cleanup:
    tr_lines_close(&lines);
    return status;
}

/* The first byte that is not white space; 0 in an empty file. */
static tr_status peek(const char *path, char *out, tr_error *err)
{
    tr_mapping file;
    size_t i = 0;
    TR_TRY(tr_file_map(path, &file, err));
    while (i < file.size && isspace(file.data[i])) i++;
    *out = i < file.size ? (char)file.data[i] : '\0';
    tr_file_unmap(&file);
    return TR_OK;
}

static tr_status read_any(reading *state, tr_error *err)
{
    char first;
    TR_TRY(peek(state->path, &first, err));
    if (first == '\0') return tr_fail(err, TR_ERR_VALUE, "%s is empty", state->path);
    tr_status status = first == '[' ? read_array(state, err)
                     : first == '{' ? tr_json_rows(state->path, take_row, state, err)
                                    : read_lines(state, err);
    if (status == TR_OK && state->n == 0) status = tr_fail(err, TR_ERR_VALUE, "%s names no item", state->path);
    if (status == TR_OK && state->n_unknown > WARNINGS_SHOWN)
        tr_warn("%s: %zu titles are not in the catalogue", state->path, state->n_unknown);
    if (status != TR_OK) tr_history_free(state->found, state->n);
    tr_idmap_free(&state->titles);
    return status;
}

tr_status tr_history_read(const char *path, const tr_interactions *catalogue, tr_history_item **out, size_t *n,
                          tr_error *err)
{
    reading state = {.path = path, .catalogue = catalogue, .need_liked = true};
    *out = NULL;
    *n = 0;
    TR_TRY(read_any(&state, err));
    *out = state.found;
    *n = state.n;
    return TR_OK;
}

tr_status tr_candidates_read(const char *path, const tr_interactions *catalogue, tr_item **out, size_t *n,
                             tr_error *err)
{
    reading state = {.path = path, .catalogue = catalogue};
    *out = NULL;
    *n = 0;
    TR_TRY(read_any(&state, err));
    tr_status status = tr_alloc(out, state.n, sizeof **out, "candidates", err);
    if (status != TR_OK) {
        tr_history_free(state.found, state.n);
        return status;
    }
    for (size_t i = 0; i < state.n; i++) (*out)[i] = (tr_item){state.found[i].item, state.found[i].title};
    *n = state.n;
    free(state.found); /* its strings live on in *out */
    return TR_OK;
}

void tr_candidates_free(tr_item *items, size_t n)
{
    for (size_t i = 0; items && i < n; i++) {
        free(items[i].id);
        free(items[i].title);
    }
    free(items);
}

/* An example of it ----------------------------------------------------------------------------------------- */

static tr_status copy_history(const tr_history_item *history, size_t n, tr_example *out, tr_error *err)
{
    TR_TRY(tr_alloc(&out->history, n, sizeof *out->history, "a history", err));
    for (size_t i = 0; i < n; i++) {
        out->n_history = i + 1;
        out->history[i].liked = history[i].liked;
        TR_TRY(tr_strdup(&out->history[i].title, history[i].title, err));
        if (history[i].item) TR_TRY(tr_strdup(&out->history[i].item, history[i].item, err));
    }
    return TR_OK;
}

tr_status tr_example_make(const char *noun, const tr_history_item *history, size_t n_history, const char *item,
                          const char *title, tr_example *out, tr_error *err)
{
    tr_status status;
    *out = (tr_example){.label = -1, .time = -1, .history_timed = true};
    TR_TRY_CLEANUP(copy_history(history, n_history, out, err));
    TR_TRY_CLEANUP(tr_strdup(&out->title, title, err));
    if (item) TR_TRY_CLEANUP(tr_strdup(&out->item, item, err));
    TR_TRY_CLEANUP(tr_strdup(&out->output, "", err));
    TR_TRY_CLEANUP(tr_example_instruction(noun, &out->instruction, err));
    TR_TRY_CLEANUP(tr_example_input(out, noun, 0, &out->input, err));
cleanup:
    if (status != TR_OK) tr_example_clear(out);
    return status;
}
