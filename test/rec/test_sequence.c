/* This file tests the token sequences of examples, with the tokenizer of a tiny model. */
#include "base/str.h"
#include "format/gguf.h"
#include "rec/sequence.h"
#include "testing.h"
#include "text/prompt.h"

#define LIMIT 100000

typedef struct {
    tr_gguf file;
    tr_tokenizer *tokenizer;
} fixture;

static int open_tokenizer(void **state)
{
    tr_error err = {0};
    fixture *f = calloc(1, sizeof *f);
    assert_ok(tr_gguf_open(test_file("golden/tiny_llama.gguf"), &f->file, &err), err);
    assert_ok(tr_tokenizer_from_gguf(&f->file, &f->tokenizer, &err), err);
    *state = f;
    return 0;
}

static int close_tokenizer(void **state)
{
    fixture *f = *state;
    tr_tokenizer_free(f->tokenizer);
    tr_gguf_close(&f->file);
    free(f);
    return 0;
}

/* An example of the published shape with n titles, liked and not in turn, in time order. */
static tr_example make_example(int n, const char *output)
{
    tr_error err = {0};
    tr_example example = {.instruction = strdup("Will they like it?"), .output = strdup(output), .label = 1, .time = -1,
                          .title = strdup("The End"), .history_timed = true};
    example.history = calloc((size_t)n + 1, sizeof *example.history);
    example.n_history = (size_t)n;
    for (int i = 0; i < n; i++) {
        char title[32];
        snprintf(title, sizeof title, "Film %c%d", 'A' + i % 26, i);
        example.history[i].title = strdup(title);
        example.history[i].liked = i % 2 == 0;
    }
    assert_ok(tr_example_input(&example, "movie", 0, &example.input, &err), err);
    return example;
}

static tr_examples make_examples(int n_rows, const int *n_titles)
{
    tr_error err = {0};
    tr_examples examples = {0};
    for (int i = 0; i < n_rows; i++) {
        tr_example example = make_example(n_titles[i], i % 2 ? "No." : "Yes.");
        assert_ok(tr_examples_append(&examples, &example, &err), err);
    }
    return examples;
}

/* The tokens of prompt + more, the slow way. */
static tr_tokens encode(const fixture *f, const tr_example *example, const char *input, const char *more)
{
    tr_error err = {0};
    tr_tokens tokens = {0};
    char *prompt;
    tr_str text = {0};
    assert_ok(tr_prompt_alpaca(example->instruction, input, &prompt, &err), err);
    tr_str_addf(&text, "%s%s", prompt, more);
    assert_ok(tr_encode(f->tokenizer, text.data, text.size, TR_ENCODE_BOS, &tokens, &err), err);
    free(prompt);
    tr_str_free(&text);
    return tokens;
}

static void assert_starts_with(const tr_sequence *sequence, const tr_tokens *tokens)
{
    assert_true(sequence->n_tokens >= (int)tokens->n);
    assert_memory_equal(sequence->token, tokens->id, tokens->n * sizeof *tokens->id);
}

static void test_a_training_sequence_is_prompt_answer_and_end(void **state)
{
    const fixture *f = *state;
    tr_error err = {0};
    const int titles[] = {3, 0};
    tr_examples examples = make_examples(2, titles);
    for (int end = 0; end < 2; end++) {
        tr_sequences sequences;
        tr_sequence_options options = {.limit = LIMIT, .end_of_text = end};
        assert_ok(tr_sequences_for_training(f->tokenizer, &examples, NULL, 2, &options, &sequences, &err), err);
        assert_int_equal(sequences.n, 2);
        for (int i = 0; i < 2; i++) {
            const tr_sequence *s = &sequences.sequence[i];
            tr_tokens prompt = encode(f, &examples.row[i], examples.row[i].input, "");
            tr_tokens whole = encode(f, &examples.row[i], examples.row[i].input, examples.row[i].output);
            assert_starts_with(s, &whole);
            assert_int_equal(s->n_tokens, whole.n + (size_t)end);
            assert_int_equal(s->first_target, prompt.n);
            assert_true(s->weight == 1);
            if (end) assert_int_equal(s->token[s->n_tokens - 1], tr_tokenizer_eos(f->tokenizer));
            tr_tokens_free(&prompt);
            tr_tokens_free(&whole);
        }
        tr_sequences_free(&sequences);
    }
    tr_examples_free(&examples);
}

static void test_a_scored_row_is_its_prompt_with_the_first_token_of_each_answer(void **state)
{
    const fixture *f = *state;
    tr_error err = {0};
    const int titles[] = {2, 5, 1};
    const uint32_t rows[] = {2, 1};
    tr_examples examples = make_examples(3, titles);
    tr_sequences sequences;
    tr_sequence_options options = {.limit = LIMIT};
    assert_ok(tr_sequences_for_scoring(f->tokenizer, &examples, rows, 2, &options, &sequences, &err), err);
    assert_int_equal(sequences.n, 4);
    for (int i = 0; i < 4; i++) {
        const tr_example *example = &examples.row[rows[i / 2]];
        tr_tokens prompt = encode(f, example, example->input, "");
        tr_tokens whole = encode(f, example, example->input, i % 2 ? "No." : "Yes.");
        assert_starts_with(&sequences.sequence[i], &prompt);
        assert_int_equal(sequences.sequence[i].n_tokens, prompt.n + 1);
        assert_int_equal(sequences.sequence[i].first_target, prompt.n);
        assert_int_equal(sequences.sequence[i].token[prompt.n], whole.id[prompt.n]);
        tr_tokens_free(&prompt);
        tr_tokens_free(&whole);
    }
    assert_int_equal(sequences.n_unaligned, 0);
    tr_sequences_free(&sequences);
    tr_examples_free(&examples);
}

/* Oracle: leave out one title after the other until the row fits. */
static void test_a_long_row_loses_as_few_of_its_oldest_titles_as_it_can(void **state)
{
    const fixture *f = *state;
    tr_error err = {0};
    const int titles[] = {17, 0};
    tr_examples examples = make_examples(2, titles);
    const tr_example *example = &examples.row[0];
    tr_tokens longest = encode(f, example, example->input, "Yes.");
    tr_tokens shortest = encode(f, &examples.row[1], examples.row[1].input, "Yes.");
    for (int limit = (int)shortest.n; limit <= (int)longest.n + 1; limit += 3) {
        tr_sequences sequences;
        tr_sequence_options options = {.limit = limit};
        assert_ok(tr_sequences_for_training(f->tokenizer, &examples, NULL, 1, &options, &sequences, &err), err);
        for (size_t skip = 0;; skip++) {
            char *input;
            assert_ok(tr_example_shortened_input(example, skip, &input, &err), err);
            tr_tokens tokens = encode(f, example, input, "Yes.");
            bool fits = (int)tokens.n <= limit;
            if (fits) {
                assert_int_equal(sequences.sequence[0].n_tokens, tokens.n);
                assert_starts_with(&sequences.sequence[0], &tokens);
                assert_int_equal(sequences.n_titles_lost, skip);
                assert_int_equal(sequences.n_shortened, skip > 0);
            }
            free(input);
            tr_tokens_free(&tokens);
            if (fits) break;
        }
        tr_sequences_free(&sequences);
    }
    tr_tokens_free(&longest);
    tr_tokens_free(&shortest);
    tr_examples_free(&examples);
}

static void test_a_row_that_never_fits_is_left_out_of_training_and_refused_for_scoring(void **state)
{
    const fixture *f = *state;
    tr_error err = {0};
    const int titles[] = {1, 1, 1};
    tr_examples examples = make_examples(3, titles);
    free(examples.row[1].instruction);
    examples.row[1].instruction = calloc(1, 5001);
    memset(examples.row[1].instruction, 'a', 5000);
    tr_sequences sequences;
    tr_sequence_options options = {.limit = 400};
    assert_ok(tr_sequences_for_training(f->tokenizer, &examples, NULL, 3, &options, &sequences, &err), err);
    assert_int_equal(sequences.n, 2);
    assert_int_equal(sequences.n_left_out, 1);
    assert_int_equal(sequences.row[0], 0);
    assert_int_equal(sequences.row[1], 2);
    tr_sequences_free(&sequences);
    assert_error(tr_sequences_for_scoring(f->tokenizer, &examples, NULL, 3, &options, &sequences, &err), TR_ERR_VALUE,
                 "row 1", err);
    const uint32_t only[] = {1};
    assert_error(tr_sequences_for_training(f->tokenizer, &examples, only, 1, &options, &sequences, &err), TR_ERR_VALUE,
                 "none of the 1", err);
    tr_examples_free(&examples);
}

static void test_a_shuffled_row_keeps_its_titles_and_depends_on_seed_and_place(void **state)
{
    const fixture *f = *state;
    tr_error err = {0};
    const int titles[] = {12, 12};
    tr_examples examples = make_examples(2, titles);
    tr_sequences plain, shuffled, again;
    tr_sequence_options options = {.limit = LIMIT};
    assert_ok(tr_sequences_for_scoring(f->tokenizer, &examples, NULL, 2, &options, &plain, &err), err);
    options.shuffle = true;
    options.seed = 5;
    assert_ok(tr_sequences_for_scoring(f->tokenizer, &examples, NULL, 2, &options, &shuffled, &err), err);
    assert_ok(tr_sequences_for_scoring(f->tokenizer, &examples, NULL, 2, &options, &again, &err), err);
    assert_int_equal(shuffled.n_tokens, again.n_tokens);
    assert_memory_equal(shuffled.token, again.token, again.n_tokens * sizeof *again.token);
    for (uint32_t row = 0; row < 2; row++) {
        char *input;
        assert_ok(tr_example_shuffled_input(&examples.row[row], 5, row, &input, &err), err);
        tr_tokens expected = encode(f, &examples.row[row], input, "");
        assert_starts_with(&shuffled.sequence[2 * row], &expected);
        free(input);
        tr_tokens_free(&expected);
    }
    assert_true(plain.n_tokens != shuffled.n_tokens ||
                memcmp(plain.token, shuffled.token, plain.n_tokens * sizeof *plain.token) != 0);
    tr_sequences_free(&again);
    free(examples.row[0].input);
    examples.row[0].input = strdup("of another shape");
    assert_error(tr_sequences_for_scoring(f->tokenizer, &examples, NULL, 2, &options, &again, &err), TR_ERR_UNSUPPORTED,
                 "", err);
    tr_sequences_free(&plain);
    tr_sequences_free(&shuffled);
    tr_examples_free(&examples);
}

#define WITH_TOKENIZER(test) cmocka_unit_test_setup_teardown(test, open_tokenizer, close_tokenizer)

TR_TEST_MAIN(WITH_TOKENIZER(test_a_training_sequence_is_prompt_answer_and_end),
             WITH_TOKENIZER(test_a_scored_row_is_its_prompt_with_the_first_token_of_each_answer),
             WITH_TOKENIZER(test_a_long_row_loses_as_few_of_its_oldest_titles_as_it_can),
             WITH_TOKENIZER(test_a_row_that_never_fits_is_left_out_of_training_and_refused_for_scoring),
             WITH_TOKENIZER(test_a_shuffled_row_keeps_its_titles_and_depends_on_seed_and_place))
