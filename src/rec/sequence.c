/* This file turns examples into token sequences, for training and for scoring. */
#include "rec/sequence.h"

#include "base/memory.h"
#include "base/str.h"
#include "text/prompt.h"

#include <stdlib.h>
#include <string.h>

void tr_sequences_free(tr_sequences *sequences)
{
    free(sequences->sequence);
    free(sequences->token);
    free(sequences->row);
    *sequences = (tr_sequences){0};
}

/* What is being built. Tokens move while they grow: sequences get their pointers at the end. */
typedef struct {
    const tr_tokenizer *tokenizer;
    const tr_sequence_options *options;
    tr_sequences *out;
    size_t sequence_capacity, token_capacity;
    tr_tokens prompt, whole, other; /* encodings of the row at hand */
} builder;

static void release(builder *b)
{
    tr_tokens_free(&b->prompt);
    tr_tokens_free(&b->whole);
    tr_tokens_free(&b->other);
}

static tr_status start(builder *b, size_t n_rows, tr_error *err)
{
    *b->out = (tr_sequences){0};
    return tr_alloc(&b->out->row, n_rows, sizeof *b->out->row, "rows of sequences", err);
}

/* Appends tokens (n) and, when last >= 0, one more. */
static tr_status append(builder *b, const int32_t *tokens, size_t n, int32_t last, int first_target, tr_error *err)
{
    tr_sequences *out = b->out;
    size_t length = n + (last >= 0);
    TR_TRY(tr_reserve(&out->token, &b->token_capacity, out->n_tokens + length, sizeof *out->token, "tokens", err));
    TR_TRY(tr_reserve(&out->sequence, &b->sequence_capacity, out->n + 1, sizeof *out->sequence, "sequences", err));
    memcpy(out->token + out->n_tokens, tokens, n * sizeof *tokens);
    if (last >= 0) out->token[out->n_tokens + n] = last;
    out->sequence[out->n++] = (tr_sequence){.n_tokens = (int)length, .first_target = first_target, .weight = 1};
    out->n_tokens += length;
    if ((int)length > out->longest) out->longest = (int)length;
    return TR_OK;
}

static void point_to_tokens(tr_sequences *out)
{
    const int32_t *token = out->token;
    for (size_t i = 0; i < out->n; i++) {
        out->sequence[i].token = token;
        token += out->sequence[i].n_tokens;
    }
}

static tr_status encode(const builder *b, const char *prompt, const char *answer, tr_tokens *out, tr_error *err)
{
    tr_str text = {0};
    out->n = 0;
    tr_str_add(&text, prompt);
    tr_str_add(&text, answer);
    tr_status status = tr_str_check(&text, err);
    if (status == TR_OK) status = tr_encode(b->tokenizer, text.data, text.size, TR_ENCODE_BOS, out, err);
    tr_str_free(&text);
    return status;
}

static size_t common_prefix(const tr_tokens *a, const tr_tokens *b)
{
    size_t i = 0;
    while (i < a->n && i < b->n && a->id[i] == b->id[i]) i++;
    return i;
}

/* ---- fitting a row into the limit ---- */

/* Encodes an example with this input instead of its own; *length is the number of tokens of its longest sequence. */
typedef tr_status (*encode_row)(builder *b, const tr_example *example, uint32_t row, const char *input, size_t *length,
                                tr_error *err);

static tr_status encode_shortened(builder *b, const tr_example *example, uint32_t row, size_t skip,
                                  encode_row encode_input, size_t *length, tr_error *err)
{
    char *shortened = NULL;
    TR_TRY(tr_example_shortened_input(example, skip, &shortened, err));
    tr_status status = encode_input(b, example, row, shortened, length, err);
    free(shortened);
    return status;
}

/* Encodes the row with as much of its history as fits; *fits is false when even without history it is too long. The
 * fewest titles to leave out are found by halving: leaving out more does not make the text longer. */
static tr_status encode_fitting(builder *b, const tr_example *example, uint32_t row, encode_row encode_input,
                                bool *fits, tr_error *err)
{
    size_t limit = (size_t)b->options->limit, length, all = example->n_history;
    TR_TRY(encode_input(b, example, row, example->input, &length, err));
    *fits = length <= limit;
    if (*fits || all == 0) return TR_OK;
    tr_status status = encode_shortened(b, example, row, all, encode_input, &length, err);
    if (status == TR_ERR_UNSUPPORTED) return TR_OK; /* an input of another shape cannot be shortened */
    TR_TRY(status);
    *fits = length <= limit;
    if (!*fits) return TR_OK;
    size_t too_few = 0, enough = all;
    while (enough - too_few > 1) {
        size_t skip = too_few + (enough - too_few) / 2;
        TR_TRY(encode_shortened(b, example, row, skip, encode_input, &length, err));
        if (length <= limit)
            enough = skip;
        else
            too_few = skip;
    }
    b->out->n_shortened++;
    b->out->n_titles_lost += enough;
    return encode_shortened(b, example, row, enough, encode_input, &length, err);
}

/* ---- training ---- */

static tr_status encode_for_training(builder *b, const tr_example *example, uint32_t row, const char *input,
                                     size_t *length, tr_error *err)
{
    (void)row;
    char *prompt;
    TR_TRY(tr_prompt_alpaca(example->instruction, input, &prompt, err));
    tr_status status = encode(b, prompt, "", &b->prompt, err);
    if (status == TR_OK) status = encode(b, prompt, example->output, &b->whole, err);
    free(prompt);
    *length = b->whole.n + b->options->end_of_text;
    return status;
}

static tr_status add_training_row(builder *b, const tr_example *example, uint32_t row, tr_error *err)
{
    tr_sequences *out = b->out;
    bool fits;
    TR_TRY(encode_fitting(b, example, row, encode_for_training, &fits, err));
    size_t length = b->whole.n + b->options->end_of_text;
    size_t answer = common_prefix(&b->prompt, &b->whole);
    if (!fits || answer < 1 || answer >= length) {
        out->n_left_out++;
        return TR_OK;
    }
    if (answer < b->prompt.n) out->n_unaligned++;
    int32_t last = b->options->end_of_text ? tr_tokenizer_eos(b->tokenizer) : -1;
    TR_TRY(append(b, b->whole.id, b->whole.n, last, (int)answer, err));
    out->row[out->n_rows++] = row;
    return TR_OK;
}

tr_status tr_sequences_for_training(const tr_tokenizer *tokenizer, const tr_examples *examples, const uint32_t *rows,
                                    size_t n_rows, const tr_sequence_options *options, tr_sequences *out,
                                    tr_error *err)
{
    builder b = {.tokenizer = tokenizer, .options = options, .out = out};
    tr_status status;
    TR_TRY_CLEANUP(start(&b, n_rows, err));
    if (options->end_of_text && tr_tokenizer_eos(tokenizer) < 0) {
        tr_fail(err, TR_ERR_UNSUPPORTED, "the model's tokenizer has no end-of-text token");
        status = tr_hint(err, "--no-eos trains without it");
        goto cleanup;
    }
    for (size_t i = 0; i < n_rows; i++) {
        uint32_t row = rows ? rows[i] : (uint32_t)i;
        TR_TRY_CLEANUP(add_training_row(&b, &examples->row[row], row, err));
    }
    if (out->n == 0) {
        tr_fail(err, TR_ERR_VALUE, "none of the %zu training rows fits into %d tokens", n_rows, options->limit);
        status = tr_hint(err, "--cutoff sets the limit; the model's context is the most it can be");
        goto cleanup;
    }
    point_to_tokens(out);
cleanup:
    release(&b);
    if (status != TR_OK) tr_sequences_free(out);
    return status;
}

/* ---- scoring ---- */

/* The prompt that asks about an example with this input, its history shuffled where the options say so. */
static tr_status make_question(const builder *b, const tr_example *example, uint32_t row, const char *input,
                               char **out, tr_error *err)
{
    if (!b->options->shuffle) return tr_prompt_alpaca(example->instruction, input, out, err);
    tr_example stand_in = *example; /* borrows everything */
    char *shuffled;
    stand_in.input = (char *)(uintptr_t)input; /* only read */
    TR_TRY(tr_example_shuffled_input(&stand_in, b->options->seed, row, &shuffled, err));
    tr_status status = tr_prompt_alpaca(example->instruction, shuffled, out, err);
    free(shuffled);
    return status;
}

static tr_status encode_for_scoring(builder *b, const tr_example *example, uint32_t row, const char *input,
                                    size_t *length, tr_error *err)
{
    char *prompt;
    TR_TRY(make_question(b, example, row, input, &prompt, err));
    tr_status status = encode(b, prompt, "", &b->prompt, err);
    if (status == TR_OK) status = encode(b, prompt, "Yes.", &b->whole, err);
    if (status == TR_OK) status = encode(b, prompt, "No.", &b->other, err);
    free(prompt);
    *length = common_prefix(&b->whole, &b->other) + 1;
    return status;
}

static tr_status add_scoring_row(builder *b, const tr_example *example, uint32_t row, tr_error *err)
{
    tr_sequences *out = b->out;
    bool fits;
    TR_TRY(encode_fitting(b, example, row, encode_for_scoring, &fits, err));
    size_t n = common_prefix(&b->whole, &b->other);
    if (!fits) {
        tr_fail(err, TR_ERR_VALUE, "row %u has %zu tokens, the limit is %d, and leaving out history does not help",
                row, n + 1, b->options->limit);
        return tr_hint(err, "--cutoff sets the limit; the model's context is the most it can be");
    }
    if (n < 1 || n >= b->whole.n || n >= b->other.n)
        return tr_fail(err, TR_ERR_UNSUPPORTED, "the tokenizer does not tell \"Yes.\" from \"No.\" after a prompt");
    if (n != b->prompt.n || common_prefix(&b->prompt, &b->whole) < n) out->n_unaligned++;
    TR_TRY(append(b, b->whole.id, n + 1, -1, (int)n, err));
    TR_TRY(append(b, b->other.id, n + 1, -1, (int)n, err));
    out->row[out->n_rows++] = row;
    return TR_OK;
}

tr_status tr_sequences_for_scoring(const tr_tokenizer *tokenizer, const tr_examples *examples, const uint32_t *rows,
                                   size_t n_rows, const tr_sequence_options *options, tr_sequences *out,
                                   tr_error *err)
{
    builder b = {.tokenizer = tokenizer, .options = options, .out = out};
    tr_status status;
    TR_TRY_CLEANUP(start(&b, n_rows, err));
    for (size_t i = 0; i < n_rows; i++) {
        uint32_t row = rows ? rows[i] : (uint32_t)i;
        TR_TRY_CLEANUP(add_scoring_row(&b, &examples->row[row], row, err));
    }
    point_to_tokens(out);
cleanup:
    release(&b);
    if (status != TR_OK) tr_sequences_free(out);
    return status;
}
