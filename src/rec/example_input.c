/* This file implements the text of the published prompts: building `input` from a history, and taking a published
 * one apart into the entries of its two lists so that entries can be dropped or reordered.
 *
 *   User Preference: <entry>, <entry>\nUser Unpreference: <entry>\nWhether the user will like the target NOUN "T"?
 *
 * An entry keeps its quotes: "Title", or "Title" written by Author. Taking apart only marks where entries begin
 * and end, so putting together what was taken apart gives the same bytes wherever the marks are; titles with quotes
 * and commas can at worst move a mark. */
#include "rec/example.h"

#include "base/memory.h"
#include "base/rng.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

#define LIKES "User Preference: "
#define DISLIKES "\nUser Unpreference: "
#define TARGET "\nWhether the user will like the target "
#define WRITTEN_BY "\" written by "

/* Part of a longer text. */
typedef struct {
    const char *start;
    size_t size;
} span;

typedef struct {
    span *entry;         /* likes first, then dislikes; each without the ", " around it */
    size_t n, capacity;
    size_t n_likes;
    span noun, title;    /* of the target */
    span tail;           /* from TARGET to the end */
} layout;

/* A title that brings its own quotes (the book form) stands in the lists as it is. */
static bool has_own_quotes(const char *title) { return title[0] == '"' && strstr(title, WRITTEN_BY) != NULL; }

static void add_entry(tr_str *s, const char *title)
{
    if (has_own_quotes(title))
        tr_str_add(s, title);
    else
        tr_str_addf(s, "\"%s\"", title);
}

/* Building ---------------------------------------------------------------------------------------------- */

static void add_list(tr_str *s, const tr_example *example, size_t first, bool liked)
{
    const char *separator = "";
    for (size_t i = first; i < example->n_history; i++) {
        if (example->history[i].liked != liked) continue;
        tr_str_add(s, separator);
        add_entry(s, example->history[i].title);
        separator = ", ";
    }
}

static tr_status finish(tr_str *s, char **out, tr_error *err)
{
    tr_status status = tr_str_check(s, err);
    if (status == TR_OK)
        *out = s->data;
    else
        tr_str_free(s);
    return status;
}

tr_status tr_example_input(const tr_example *example, const char *noun, size_t skip_oldest, char **out, tr_error *err)
{
    tr_str s = {0};
    *out = NULL;
    if (!example->title) return tr_fail(err, TR_ERR_VALUE, "an example without a target title has no question");
    tr_str_add(&s, LIKES);
    add_list(&s, example, skip_oldest, true);
    tr_str_add(&s, DISLIKES);
    add_list(&s, example, skip_oldest, false);
    tr_str_addf(&s, TARGET "%s \"%s\"?", noun, example->title);
    return finish(&s, out, err);
}

tr_status tr_example_instruction(const char *noun, char **out, tr_error *err)
{
    tr_str s = {0};
    *out = NULL;
    tr_str_addf(&s, "Given the user's preference and unpreference, identify whether the user will like the target %s "
                    "by answering \"Yes.\" or \"No.\".", noun);
    return finish(&s, out, err);
}

/* Taking apart ------------------------------------------------------------------------------------------ */

static const char *find(span text, const char *needle)
{
    return text.size ? memmem(text.start, text.size, needle, strlen(needle)) : NULL;
}

static const char *find_last(span text, const char *needle)
{
    const char *last = NULL;
    for (const char *at; (at = find(text, needle)) != NULL;) {
        text.size -= (size_t)(at + 1 - text.start);
        text.start = at + 1;
        last = at;
    }
    return last;
}

static bool starts_with(span text, const char *prefix)
{
    return text.size >= strlen(prefix) && memcmp(text.start, prefix, strlen(prefix)) == 0;
}

static span from(span text, const char *start)
{
    return (span){start, text.size - (size_t)(start - text.start)};
}

static tr_status mark(layout *out, const char *start, size_t size, tr_error *err)
{
    TR_TRY(tr_reserve(&out->entry, &out->capacity, out->n + 1, sizeof *out->entry, "history entries", err));
    out->entry[out->n++] = (span){start, size};
    return TR_OK;
}

/* Marks the entries of a list whose titles the example's history tells: the only sure way with titles that hold
 * quotes and commas. *known is false, and nothing marked, when the list is not exactly these titles. */
static tr_status mark_known(span list, const tr_example *example, bool liked, layout *out, bool *known, tr_error *err)
{
    size_t before = out->n, used = 0;
    tr_str entry = {0};
    tr_status status = TR_OK;
    *known = true;
    for (size_t i = 0; i < example->n_history && *known; i++) {
        if (example->history[i].liked != liked) continue;
        entry.size = 0;
        if (used > 0) tr_str_add(&entry, ", ");
        add_entry(&entry, example->history[i].title);
        TR_TRY_CLEANUP(tr_str_check(&entry, err));
        size_t comma = used > 0 ? 2 : 0;
        *known = entry.size <= list.size - used && memcmp(list.start + used, entry.data, entry.size) == 0;
        if (*known) TR_TRY_CLEANUP(mark(out, list.start + used + comma, entry.size - comma, err));
        used += entry.size;
    }
    if (*known && used != list.size) *known = false;
    if (!*known) out->n = before;
cleanup:
    tr_str_free(&entry);
    return status;
}

/* Where the entry that `rest` begins with ends, or NULL when it is the last.
 * Plain titles part at `", "`. With authors an entry goes on at least to its own "written by", and parts at the
 * next `, "` after that, provided that another author follows. */
static const char *entry_end(span rest, bool authors)
{
    if (!authors) {
        const char *at = find(from(rest, rest.start + 1), "\", \"");
        bool whole = at && from(rest, at + 3).size >= 2; /* what follows needs both its quotes */
        return whole ? at + 1 : NULL;
    }
    const char *own = find(rest, WRITTEN_BY);
    if (!own) return NULL;
    const char *comma = find(from(rest, own + 1), ", \"");
    return comma && find(from(rest, comma), WRITTEN_BY) ? comma : NULL;
}

static tr_status mark_guessed(span list, layout *out, bool *ok, tr_error *err)
{
    bool authors = find(list, WRITTEN_BY) != NULL;
    *ok = list.size == 0 || (list.size >= 2 && list.start[0] == '"' && (authors || list.start[list.size - 1] == '"'));
    if (!*ok || list.size == 0) return TR_OK;
    for (const char *end; (end = entry_end(list, authors)) != NULL; list = from(list, end + 2))
        TR_TRY(mark(out, list.start, (size_t)(end - list.start), err));
    return mark(out, list.start, list.size, err);
}

static tr_status mark_list(span list, const tr_example *example, bool liked, layout *out, bool *ok, tr_error *err)
{
    *ok = false;
    if (example->history) TR_TRY(mark_known(list, example, liked, out, ok, err));
    return *ok ? TR_OK : mark_guessed(list, out, ok, err);
}

/* NOUN "T"? into its parts. */
static bool split_question(span question, layout *out)
{
    const char *quote = find(question, " \"");
    if (!quote || question.size < 5 || quote == question.start) return false;
    out->noun = (span){question.start, (size_t)(quote - question.start)};
    span title = from(question, quote + 2);
    if (title.size < 2 || memcmp(title.start + title.size - 2, "\"?", 2) != 0) return false;
    out->title = (span){title.start, title.size - 2};
    return true;
}

/* *ok tells whether the input has the published shape; only then is `out` filled. Free out->entry. */
static tr_status take_apart(const tr_example *example, layout *out, bool *ok, tr_error *err)
{
    span all = {example->input, strlen(example->input)};
    *out = (layout){0};
    *ok = false;
    if (!starts_with(all, LIKES)) return TR_OK;
    const char *tail = find_last(all, TARGET);
    if (!tail || !split_question(from(all, tail + strlen(TARGET)), out)) return TR_OK;
    out->tail = from(all, tail);
    /* The first newline of LIKES' line: DISLIKES may follow at once when the list is empty. */
    span lists = {all.start + strlen(LIKES), 0};
    if (tail < lists.start) return TR_OK;
    lists.size = (size_t)(tail - lists.start);
    const char *middle = find(lists, DISLIKES);
    if (!middle) return TR_OK;
    TR_TRY(mark_list((span){lists.start, (size_t)(middle - lists.start)}, example, true, out, ok, err));
    out->n_likes = out->n;
    if (*ok) TR_TRY(mark_list(from(lists, middle + strlen(DISLIKES)), example, false, out, ok, err));
    return TR_OK;
}

/* take_apart for those who cannot go on without. */
static tr_status need_layout(const tr_example *example, layout *out, tr_error *err)
{
    bool ok;
    tr_status status = take_apart(example, out, &ok, err);
    if (status == TR_OK && !ok) {
        tr_fail(err, TR_ERR_UNSUPPORTED, "the input does not have the published form");
        status = tr_hint(
            err, "expected \"User Preference: ...\", \"User Unpreference: ...\" and a question on three lines");
    }
    if (status != TR_OK) free(out->entry);
    return status;
}

tr_status tr_example_parse_input(tr_example *example, tr_error *err)
{
    layout parts;
    bool ok;
    tr_status status = take_apart(example, &parts, &ok, err);
    if (status != TR_OK || !ok) goto cleanup;
    example->history_timed = false;
    TR_TRY_CLEANUP(tr_alloc(&example->history, parts.n, sizeof *example->history, "a history", err));
    for (size_t i = 0; i < parts.n; i++) {
        span title = parts.entry[i];
        if (!find(title, WRITTEN_BY)) title = (span){title.start + 1, title.size - 2};
        example->history[i].liked = i < parts.n_likes;
        example->history[i].title = strndup(title.start, title.size);
        example->n_history = i + 1;
        if (!example->history[i].title) status = tr_fail(err, TR_ERR_MEMORY, "out of memory for a history");
        if (status != TR_OK) goto cleanup;
    }
    if (!example->title) example->title = strndup(parts.title.start, parts.title.size);
    if (!example->title) status = tr_fail(err, TR_ERR_MEMORY, "out of memory for a title");
cleanup:
    free(parts.entry);
    return status;
}

tr_status tr_example_noun(const tr_example *example, char **out, tr_error *err)
{
    layout parts;
    *out = NULL;
    TR_TRY(need_layout(example, &parts, err));
    *out = strndup(parts.noun.start, parts.noun.size);
    free(parts.entry);
    return *out ? TR_OK : tr_fail(err, TR_ERR_MEMORY, "out of memory for a word");
}

/* Putting together -------------------------------------------------------------------------------------- */

/* The input with the entries `order` (n of them, numbers of parts->entry) in that order within each list. */
static tr_status put_together(const layout *parts, const uint32_t *order, size_t n, char **out, tr_error *err)
{
    tr_str s = {0};
    tr_str_add(&s, LIKES);
    for (int list = 0; list < 2; list++) {
        const char *separator = "";
        if (list == 1) tr_str_add(&s, DISLIKES);
        for (size_t i = 0; i < n; i++) {
            if ((order[i] >= parts->n_likes) != (list == 1)) continue;
            tr_str_add(&s, separator);
            tr_str_add_bytes(&s, parts->entry[order[i]].start, parts->entry[order[i]].size);
            separator = ", ";
        }
    }
    tr_str_add_bytes(&s, parts->tail.start, parts->tail.size);
    return finish(&s, out, err);
}

static bool history_matches(const tr_example *example, const layout *parts)
{
    size_t likes = 0;
    for (size_t i = 0; i < example->n_history; i++) likes += example->history[i].liked;
    return example->history_timed && example->n_history == parts->n && likes == parts->n_likes;
}

/* Numbers of the entries, oldest first. */
static void oldest_first(const tr_example *example, const layout *parts, uint32_t *order)
{
    size_t like = 0, dislike = parts->n_likes, n_likes = parts->n_likes, n_dislikes = parts->n - parts->n_likes;
    bool timed = history_matches(example, parts);
    for (size_t i = 0; i < parts->n; i++) {
        bool take_like;
        if (timed)
            take_like = example->history[i].liked;
        else if (like == n_likes || dislike == parts->n)
            take_like = like < n_likes;
        else /* spread evenly: like i stands at (i + 1/2) / n_likes of the window */
            take_like = (2 * like + 1) * n_dislikes <= (2 * (dislike - n_likes) + 1) * n_likes;
        order[i] = (uint32_t)(take_like ? like++ : dislike++);
    }
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

tr_status tr_example_shortened_input(const tr_example *example, size_t skip_oldest, char **out, tr_error *err)
{
    layout parts;
    uint32_t *order = NULL;
    *out = NULL;
    TR_TRY(need_layout(example, &parts, err));
    tr_status status = tr_alloc(&order, parts.n, sizeof *order, "history entries", err);
    if (status == TR_OK) {
        size_t skip = skip_oldest < parts.n ? skip_oldest : parts.n;
        oldest_first(example, &parts, order);
        qsort(order + skip, parts.n - skip, sizeof *order, ascending); /* the text's own order for what stays */
        status = put_together(&parts, order + skip, parts.n - skip, out, err);
    }
    free(order);
    free(parts.entry);
    return status;
}

tr_status tr_example_shuffled_input(const tr_example *example, uint64_t seed, uint32_t row, char **out, tr_error *err)
{
    layout parts;
    uint32_t *order = NULL;
    *out = NULL;
    TR_TRY(need_layout(example, &parts, err));
    tr_status status = tr_alloc(&order, parts.n, sizeof *order, "history entries", err);
    if (status == TR_OK) {
        /* One permutation of all: what it does to the likes is uniform, and independent of the dislikes. */
        for (size_t i = 0; i < parts.n; i++) order[i] = (uint32_t)i;
        tr_rng_permute(seed, TR_RNG_HISTORY, row, order, parts.n);
        status = put_together(&parts, order, parts.n, out, err);
    }
    free(order);
    free(parts.entry);
    return status;
}

double tr_example_like_share(const tr_example *example)
{
    size_t likes = 0;
    for (size_t i = 0; i < example->n_history; i++) likes += example->history[i].liked;
    return ((double)likes + 1) / ((double)example->n_history + 2);
}
