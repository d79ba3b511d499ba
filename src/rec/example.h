/* An example: one decision to be made (will this user like this item?), with what is known before it.
 * Examples are what every command reads; their file form is JSON Lines (or the published JSON array).
 *
 * An item is named in prompts by its *title*. Two written forms exist: a plain title T is quoted in the prompt
 * ("T"), and a title that brings its own quotes, as the published book rows have it ("T" written by A), stands in
 * the lists as it is. Both are what tr_example.title and tr_history_item.title hold; only the prompt quotes. */
#ifndef TR_REC_EXAMPLE_H
#define TR_REC_EXAMPLE_H

#include "base/error.h"

/* One earlier rating of the user, oldest first in tr_example.history. */
typedef struct {
    char *item;   /* id; NULL when the source does not tell */
    char *title;
    bool liked;
} tr_history_item;

typedef struct {
    char *instruction, *input;  /* prompt fields as published; always present */
    char *output;               /* "Yes." or "No.", or any text for instruction tuning */
    int label;                  /* 1 yes, 0 no, -1 the output is not an answer */
    char *user, *item;          /* ids; NULL when unknown */
    char *title;                /* of the target; NULL when unknown */
    int64_t time;               /* seconds since 1970; -1 unknown */
    tr_history_item *history;   /* in time order where the source has it; parsed from `input` otherwise */
    size_t n_history;
    bool history_timed;         /* true: history is in time order; false: liked first, then disliked */
    size_t line;                /* 1-based line or element in the source file */
} tr_example;

typedef struct {
    tr_example *row;
    size_t n, capacity;
} tr_examples;

void tr_example_clear(tr_example *example);
void tr_examples_free(tr_examples *examples);

/* Frees an array of `n` history items and their strings. */
void tr_history_free(tr_history_item *items, size_t n);

/* Moves `example` to the end of `examples` (the original is left empty). On failure the caller still owns it. */
tr_status tr_examples_append(tr_examples *examples, tr_example *example, tr_error *err);

/* 1 for an answer "Yes", 0 for "No" (any case, surrounding white space and a final dot allowed), -1 otherwise. */
int tr_answer_label(const char *output);

/* Reads JSON Lines or a JSON array. Bad rows (not an object, no instruction/output, label unreadable where
 * `need_label`) are counted in *n_bad (may be NULL) and reported with their line by tr_warn (at most five); more
 * than 1 % of them (or no good row) is TR_ERR_FORMAT. A missing `input` is an empty one; `user` and `item` may be
 * numbers. Without a `history` member the history is parsed from `input` where that has the published shape. */
tr_status tr_examples_read(const char *path, bool need_label, tr_examples *out, size_t *n_bad, tr_error *err);

/* The same with another share of bad rows accepted: max_bad in [0, 1]. */
tr_status tr_examples_read_tolerant(const char *path, bool need_label, double max_bad, tr_examples *out,
                                    size_t *n_bad, tr_error *err);

/* Writes JSON Lines: instruction, input, output, user, item, title, time, history [{item, title, liked}]; unknown
 * members and an untimed history (it can be parsed again) are left out. Atomic. */
tr_status tr_examples_write(const char *path, const tr_examples *examples, tr_error *err);

/* The published instruction for a kind of item ("movie", "book", ...). Caller frees. */
tr_status tr_example_instruction(const char *noun, char **out, tr_error *err);

/* Builds `input` in the published form from history and target title; noun says what the item is ("movie"):
 *   User Preference: "A", "B"\nUser Unpreference: "C"\nWhether the user will like the target movie "T"?
 * skip_oldest leaves out that many of the oldest history entries (used to fit a cutoff). Caller frees. */
tr_status tr_example_input(const tr_example *example, const char *noun, size_t skip_oldest, char **out, tr_error *err);

/* The same input with the `skip_oldest` oldest history entries left out (all of them when there are fewer),
 * whatever the domain: rebuilt by removing the titles from the published text. Nothing skipped gives the input
 * back byte for byte. Where only the order within likes and within dislikes is known (history_timed false), the
 * two lists count as spread evenly over the window, so that likes and dislikes leave in proportion.
 * TR_ERR_UNSUPPORTED when the input does not have the published shape. Caller frees. */
tr_status tr_example_shortened_input(const tr_example *example, size_t skip_oldest, char **out, tr_error *err);

/* A copy of the input with the history order permuted within likes and within dislikes (the control that asks
 * whether order matters to the model); a function of (seed, row). Errors as above. Caller frees. */
tr_status tr_example_shuffled_input(const tr_example *example, uint64_t seed, uint32_t row, char **out, tr_error *err);

/* Fills history, n_history and (where missing) title from `input`; history_timed becomes false. An input of
 * another shape leaves the example as it is. Needs history == NULL. */
tr_status tr_example_parse_input(tr_example *example, tr_error *err);

/* The kind of item that the input asks about ("movie", "book"): TR_ERR_UNSUPPORTED for another shape of input.
 * Caller frees. */
tr_status tr_example_noun(const tr_example *example, char **out, tr_error *err);

/* (likes + 1) / (likes + dislikes + 2) of the prompt's history: the strongest trivial control. */
double tr_example_like_share(const tr_example *example);

#endif
