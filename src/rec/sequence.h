/* Token sequences of examples: what a model is trained on, and what it is asked. Both put the Alpaca prompt of an
 * example (text/prompt.h) before its answer and tokenize the two together.
 *
 * A sequence that would be longer than the limit loses the oldest titles of its history, never the question or the
 * answer (tr_example_shortened_input); how many did is counted, so that it can be told. */
#ifndef TR_REC_SEQUENCE_H
#define TR_REC_SEQUENCE_H

#include "model/forest.h"
#include "rec/example.h"
#include "text/tokenizer.h"

typedef struct {
    int limit;         /* most tokens of a sequence, end-of-text included; >= 2 */
    bool end_of_text;  /* training: the tokenizer's end-of-text token follows the answer and is a target */
    bool shuffle;      /* scoring: the history that is left is shuffled (tr_example_shuffled_input) ... */
    uint64_t seed;     /* ... as a function of this and the row's place in its examples */
} tr_sequence_options;

typedef struct {
    tr_sequence *sequence;  /* (n) weight 1; tokens lie in `token` */
    size_t n;
    int32_t *token;
    size_t n_tokens;        /* of all sequences */
    int longest;            /* tokens of the longest sequence */
    uint32_t *row;          /* (n_rows) which of the given examples it is, ascending */
    size_t n_rows;
    size_t n_shortened;     /* rows that lost history */
    size_t n_titles_lost;   /* titles that they lost, together */
    size_t n_left_out;      /* training: rows too long although no history is left; they have no sequence */
    size_t n_unaligned;     /* rows whose prompt does not end where the answer's tokens begin: the tokenizer merges
                               across; see the functions for what is done */
} tr_sequences;

void tr_sequences_free(tr_sequences *sequences);

/* For training: one sequence an example, tokens of prompt + output (with the beginning-of-text token if the tokenizer
 * adds one), then end-of-text. first_target is the first token after the prompt's (for an unaligned row: the first
 * token that differs from the prompt's own): the answer's, which a loss on all tokens may move to 1.
 *
 * rows (n_rows) are places in `examples`, NULL for all of them in order. TR_ERR_VALUE when no row is left,
 * TR_ERR_UNSUPPORTED when end-of-text is wanted and the tokenizer has none. */
tr_status tr_sequences_for_training(const tr_tokenizer *tokenizer, const tr_examples *examples, const uint32_t *rows,
                                    size_t n_rows, const tr_sequence_options *options, tr_sequences *out,
                                    tr_error *err);

/* For scoring: two sequences a row, at 2 i the prompt with the first token of "Yes.", at 2 i + 1 with that of "No.",
 * each with this one token as target. The first token of an answer is the first that follows the prompt's tokens in
 * the encoding of prompt + answer (for an unaligned row: the first in which the two differ). The two share every node
 * of a forest.
 *
 * A row that does not fit although no history is left is TR_ERR_VALUE naming it: a score is never left out.
 * TR_ERR_UNSUPPORTED when a history is to be shuffled and the input does not have the published shape. */
tr_status tr_sequences_for_scoring(const tr_tokenizer *tokenizer, const tr_examples *examples, const uint32_t *rows,
                                   size_t n_rows, const tr_sequence_options *options, tr_sequences *out,
                                   tr_error *err);

#endif
