/* This file implements items.jsonl and interactions.jsonl. */
#include "rec/interactions.h"

#include "format/json.h"
#include "rec/jsonl.h"

#include <math.h>

static json_t *item_json(const void *user, size_t i)
{
    const tr_item *item = &((const tr_interactions *)user)->item[i];
    return json_pack("{s:s, s:s}", "id", item->id, "title", item->title);
}

static json_t *rating_json(const void *user, size_t i)
{
    const tr_interactions *interactions = user;
    const tr_rating *rating = &interactions->rating[i];
    bool whole = fabs(rating->rating) < 1e15 && rating->rating == floor(rating->rating);
    json_t *value = whole ? json_integer((json_int_t)rating->rating) : json_real(rating->rating);
    return json_pack("{s:s, s:s, s:o, s:I}", "user", interactions->user[rating->user], "item",
                     interactions->item[rating->item].id, "rating", value, "time", (json_int_t)rating->time);
}

tr_status tr_items_write(const char *path, const tr_interactions *interactions, tr_error *err)
{
    return tr_jsonl_write(path, interactions->n_items, item_json, interactions, err);
}

tr_status tr_ratings_write(const char *path, const tr_interactions *interactions, tr_error *err)
{
    return tr_jsonl_write(path, interactions->n_ratings, rating_json, interactions, err);
}

typedef struct {
    const char *path;
    tr_interactions *out;
} reading;

static tr_status not_an_object(const reading *state, size_t line, const char *problem, tr_error *err)
{
    tr_fail(err, TR_ERR_FORMAT, "%s: %s", state->path, problem);
    return tr_at(err, "%s:%zu", state->path, line);
}

/* Our own files have no excuse: whatever is wrong with a row is a format error, at its line. */
static tr_status located(const reading *state, size_t line, tr_status status, tr_error *err)
{
    if (status == TR_OK || status == TR_ERR_MEMORY) return status;
    tr_at(err, "%s:%zu", state->path, line);
    if (err) err->status = TR_ERR_FORMAT;
    return TR_ERR_FORMAT;
}

static tr_status take_item(void *user, size_t line, json_t *value, const char *problem, tr_error *err)
{
    reading *state = user;
    const char *id, *title;
    if (!value) return not_an_object(state, line, problem, err);
    tr_status status = tr_json_need_string(value, "id", &id, err);
    if (status == TR_OK) status = tr_json_need_string(value, "title", &title, err);
    if (status == TR_OK) status = tr_interactions_add_item(state->out, id, title, err);
    return located(state, line, status, err);
}

static tr_status take_rating(void *user, size_t line, json_t *value, const char *problem, tr_error *err)
{
    reading *state = user;
    const char *who, *what;
    double rating;
    int64_t time;
    if (!value) return not_an_object(state, line, problem, err);
    tr_status status = tr_json_need_string(value, "user", &who, err);
    if (status == TR_OK) status = tr_json_need_string(value, "item", &what, err);
    if (status == TR_OK) status = tr_json_need_number(value, "rating", &rating, err);
    if (status == TR_OK) status = tr_json_get_integer(value, "time", -1, &time, err);
    if (status == TR_OK) status = tr_interactions_add_rating(state->out, who, what, rating, time, line, err);
    return located(state, line, status, err);
}

tr_status tr_items_read(const char *path, tr_interactions *interactions, tr_error *err)
{
    reading state = {path, interactions};
    return tr_json_rows(path, take_item, &state, err);
}

tr_status tr_ratings_read(const char *path, tr_interactions *interactions, tr_error *err)
{
    reading state = {path, interactions};
    return tr_json_rows(path, take_rating, &state, err);
}
