/* This file implements the reading of items and ratings from text tables. */
#include "rec/table.h"

#include "base/str.h"
#include "rec/lines.h"

#include <string.h>

/* What a table's lines are added with. */
typedef struct {
    const char *path;
    const tr_table_columns *columns;
    tr_import_data *out;
    tr_import_counts *counts; /* of out */
} reader;

/* In place. Quotes that do not stand at both ends are part of the text. */
static char *unquoted(char *field)
{
    size_t size = strlen(field), used = 0;
    if (size < 2 || field[0] != '"' || field[size - 1] != '"') return field;
    for (size_t i = 1; i < size - 1; i++) {
        field[used++] = field[i];
        if (field[i] == '"' && i + 1 < size - 1 && field[i + 1] == '"') i++;
    }
    field[used] = '\0';
    return field;
}

static void unquote_fields(tr_lines *lines)
{
    for (size_t i = 0; i < lines->n_fields; i++) lines->field[i] = unquoted(lines->field[i]);
}

/* The reason why a line cannot be an item, or NULL. */
static const char *item_problem(const tr_table_columns *at, const tr_lines *lines)
{
    if (lines->problem) return lines->problem;
    if (lines->n_fields < at->n_columns) return "too few fields";
    if (!lines->field[at->id][0]) return "an item without id";
    if (!lines->field[at->title][strspn(lines->field[at->title], " ")]) return "an item without title";
    return NULL;
}

static tr_status add_item(const reader *table, tr_lines *lines, tr_error *err)
{
    const tr_table_columns *at = table->columns;
    const char *problem = item_problem(at, lines);
    if (problem) {
        tr_import_problem(&table->counts->bad_lines, table->path, lines->number, "%s", problem);
        return TR_OK;
    }
    const char *id = lines->field[at->id];
    if (tr_interactions_item(&table->out->interactions, id) != TR_NOT_FOUND) {
        tr_import_problem(&table->counts->duplicates, table->path, lines->number,
                          "item %s is listed twice; the first is kept", id);
        return TR_OK;
    }
    tr_str title = {0};
    const char *name = lines->field[at->title], *year = at->year != TR_NO_COLUMN ? lines->field[at->year] : "";
    tr_str_add(&title, name);
    if (*year && strcmp(year, name) != 0) tr_str_addf(&title, " (%s)", year);
    tr_status status = tr_str_check(&title, err);
    if (status == TR_OK) status = tr_interactions_add_item(&table->out->interactions, id, title.data, err);
    tr_str_free(&title);
    return status;
}

/* The reason why a line cannot be a rating, or NULL and the numbers. */
static const char *rating_problem(const tr_table_columns *at, const tr_lines *lines, double *rating, int64_t *time)
{
    if (lines->problem) return lines->problem;
    if (lines->n_fields < at->n_columns) return "too few fields";
    if (!lines->field[at->user][0] || !lines->field[at->item][0]) return "no user or no item";
    if (!tr_parse_number(lines->field[at->rating], rating)) return "the rating is not a number";
    if (!tr_parse_integer(lines->field[at->time], time)) return "the time is not a whole number";
    if (*time < 0) return "the time is negative";
    return NULL;
}

static tr_status add_rating(const reader *table, tr_lines *lines, tr_error *err)
{
    const tr_table_columns *at = table->columns;
    double rating;
    int64_t time;
    const char *problem = rating_problem(at, lines, &rating, &time);
    if (problem) {
        tr_import_problem(&table->counts->bad_lines, table->path, lines->number, "%s", problem);
        return TR_OK;
    }
    const char *user = lines->field[at->user], *item = lines->field[at->item];
    if (tr_interactions_item(&table->out->interactions, item) == TR_NOT_FOUND) {
        tr_import_problem(&table->counts->missing_items, table->path, lines->number,
                          "item %s is not in the catalogue", item);
        return TR_OK;
    }
    return tr_interactions_add_rating(&table->out->interactions, user, item, rating, time, lines->number, err);
}

typedef tr_status (*add_line)(const reader *table, tr_lines *lines, tr_error *err);

/* Calls `add` for each line after the header. */
static tr_status add_lines(const reader *table, add_line add, size_t *n_lines, tr_error *err)
{
    tr_lines lines;
    bool more;
    tr_status status;
    TR_TRY_CLEANUP(tr_lines_open(&lines, table->path, err));
    if (table->columns->header) TR_TRY_CLEANUP(tr_lines_next(&lines, table->columns->separator, &more, err));
    for (;;) {
        TR_TRY_CLEANUP(tr_lines_next(&lines, table->columns->separator, &more, err));
        if (!more) break;
        ++*n_lines;
        table->counts->latin1_lines += lines.latin1;
        if (table->columns->quoted) unquote_fields(&lines);
        TR_TRY_CLEANUP(add(table, &lines, err));
    }
    table->counts->lines += *n_lines;
cleanup:
    tr_lines_close(&lines);
    return status;
}

static size_t n_unusable(const tr_import_counts *counts)
{
    return counts->bad_lines + counts->duplicates + counts->missing_items;
}

tr_status tr_table_read_items(const char *path, const tr_table_columns *columns, double max_bad, tr_import_data *out,
                              tr_error *err)
{
    reader items = {path, columns, out, &out->card.counts};
    size_t before = n_unusable(items.counts), n_lines = 0;
    TR_TRY(tr_card_add_source(&out->card, path, err));
    TR_TRY(add_lines(&items, add_item, &n_lines, err));
    return tr_import_judge(path, n_lines, n_unusable(items.counts) - before, max_bad, err);
}

static void report_repeat(void *user, const tr_rating *kept, const tr_rating *dropped)
{
    const reader *table = user;
    tr_import_problem(&table->counts->duplicates, table->path, dropped->line,
                      "a second rating of an item by the same user, after line %zu; the first is kept", kept->line);
}

tr_status tr_table_read_ratings(const char *path, const tr_table_columns *columns, double max_bad,
                                tr_import_data *out, tr_error *err)
{
    reader ratings = {path, columns, out, &out->card.counts};
    size_t before = n_unusable(ratings.counts), n_lines = 0;
    TR_TRY(tr_card_add_source(&out->card, path, err));
    TR_TRY(add_lines(&ratings, add_rating, &n_lines, err));
    TR_TRY(tr_interactions_drop_repeats(&out->interactions, report_repeat, &ratings, NULL, err));
    return tr_import_judge(path, n_lines, n_unusable(ratings.counts) - before, max_bad, err);
}
