/* This file tests the scorer against the obvious way: each row by itself, its log-probabilities from whole logits. */
#include "base/progress.h"
#include "base/str.h"
#include "eval/scorer.h"
#include "model/adapter.h"
#include "testing.h"

#include <math.h>

typedef struct {
    tr_model *model;
    tr_lora *lora;
    tr_examples examples;
} fixture;

enum { N_ROWS = 9 };

static void add_row(tr_examples *examples, int i)
{
    tr_error err = {0};
    tr_str input = {0};
    tr_example example = {.instruction = strdup("Say Yes or No."), .output = strdup("Yes."), .label = 1, .time = -1};
    tr_str_add(&input, "User Preference: \"Start\"");
    for (int k = 0; k < i % 4; k++) tr_str_addf(&input, ", \"Film %d\"", i / 4 * 7 + k);
    tr_str_addf(&input, "\nUser Unpreference: \"Other\"\nWhether the user will like the target movie \"T%d\"?", i);
    example.input = input.data;
    assert_ok(tr_example_parse_input(&example, &err), err);
    assert_ok(tr_examples_append(examples, &example, &err), err);
}

static int set_up(void **state)
{
    tr_error err = {0};
    fixture *f = calloc(1, sizeof *f);
    assert_ok(tr_model_open(test_file("golden/tiny_llama.gguf"), &f->model, &err), err);
    assert_ok(tr_adapter_load(test_file("golden/tiny_adapter"), f->model, &f->lora, &err), err);
    for (int i = 0; i < N_ROWS; i++) add_row(&f->examples, i);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    tr_examples_free(&f->examples);
    tr_lora_free(f->lora);
    tr_model_close(f->model);
    free(f);
    return 0;
}

/* log softmax of the last node's logits at `token`. */
static double slow_logp(const fixture *f, const tr_lora *lora, const tr_sequence *sequence)
{
    tr_error err = {0};
    tr_forest forest;
    tr_session *session;
    int n_vocab = f->model->config.n_vocab;
    float *logits = calloc((size_t)n_vocab, sizeof *logits);
    assert_ok(tr_forest_build(sequence, 1, &forest, &err), err);
    tr_session_plan plan = {.max_nodes = forest.n_nodes, .max_targets = 1, .max_positions = sequence->n_tokens,
                            .rank = lora ? lora->config.rank : 0, .targets = lora ? lora->config.targets : 0};
    assert_ok(tr_session_create(f->model, &plan, &session, &err), err);
    int32_t last = forest.n_nodes - 1;
    assert_ok(tr_session_logits(session, &forest, lora, &last, 1, logits, &err), err);
    double most = -INFINITY, sum = 0;
    for (int i = 0; i < n_vocab; i++) most = fmax(most, (double)logits[i]);
    for (int i = 0; i < n_vocab; i++) sum += exp((double)logits[i] - most);
    double logp = (double)logits[sequence->token[sequence->n_tokens - 1]] - most - log(sum);
    tr_session_free(session);
    tr_forest_free(&forest);
    free(logits);
    return logp;
}

static void test_scores_equal_each_row_by_itself(void **state)
{
    const fixture *f = *state;
    tr_error err = {0};
    tr_sequences sequences;
    tr_sequence_options limits = {.limit = 1024};
    const tr_tokenizer *tokenizer = f->model->tokenizer;
    assert_ok(tr_sequences_for_scoring(tokenizer, &f->examples, NULL, N_ROWS, &limits, &sequences, &err), err);
    const int micro_tokens[] = {1, 100, 333, 0};
    for (int adapted = 0; adapted < 2; adapted++) {
        const tr_lora *lora = adapted ? f->lora : NULL;
        double expected[2 * N_ROWS];
        for (int i = 0; i < 2 * N_ROWS; i++) expected[i] = slow_logp(f, lora, &sequences.sequence[i]);
        for (int m = 0; m < 4; m++) {
            tr_scorer_options options = {.micro_tokens = micro_tokens[m]};
            tr_row_logp logp[N_ROWS];
            tr_scoring scoring;
            assert_ok(tr_score_rows(f->model, lora, &f->examples, NULL, N_ROWS, &options, logp, &scoring, &err), err);
            for (int i = 0; i < N_ROWS; i++) {
                const double yes = expected[2 * i], no = expected[2 * i + 1];
                if (fabs(logp[i].logp_yes - yes) > 1e-4 || fabs(logp[i].logp_no - no) > 1e-4)
                    fail_msg("row %d, micro_tokens %d: %f %f, expected %f %f", i, micro_tokens[m], logp[i].logp_yes,
                             logp[i].logp_no, yes, no);
            }
            assert_int_equal(scoring.n_rows, N_ROWS);
            assert_true(scoring.n_nodes <= scoring.n_tokens);
            if (micro_tokens[m] == 0) assert_true(scoring.n_nodes < scoring.n_tokens / 2);
        }
    }
    tr_sequences_free(&sequences);
}

static void test_chosen_rows_are_scored_in_the_order_asked(void **state)
{
    const fixture *f = *state;
    tr_error err = {0};
    const uint32_t rows[] = {7, 0, 3};
    tr_scorer_options options = {.micro_tokens = 200};
    tr_row_logp all[N_ROWS], chosen[3];
    tr_scoring scoring;
    assert_ok(tr_score_rows(f->model, NULL, &f->examples, NULL, N_ROWS, &options, all, &scoring, &err), err);
    assert_ok(tr_score_rows(f->model, NULL, &f->examples, rows, 3, &options, chosen, &scoring, &err), err);
    for (int i = 0; i < 3; i++) {
        assert_true(fabs(chosen[i].logp_yes - all[rows[i]].logp_yes) < 1e-4);
        assert_true(fabs(chosen[i].logp_no - all[rows[i]].logp_no) < 1e-4);
    }
}

static void test_the_mass_of_the_answers_is_their_mean_probability(void **state)
{
    const fixture *f = *state;
    tr_error err = {0};
    tr_scorer_options options = {0};
    tr_row_logp logp[N_ROWS];
    tr_scoring scoring;
    double mass = 0;
    assert_ok(tr_score_rows(f->model, f->lora, &f->examples, NULL, N_ROWS, &options, logp, &scoring, &err), err);
    for (int i = 0; i < N_ROWS; i++) mass += (exp(logp[i].logp_yes) + exp(logp[i].logp_no)) / N_ROWS;
    assert_true(fabs(mass - scoring.answer_mass) < 1e-12);
}

static void test_an_adapter_that_overflows_is_named_with_its_row(void **state)
{
    fixture *f = *state;
    tr_error err = {0};
    tr_scorer_options options = {0};
    tr_row_logp logp[N_ROWS];
    tr_scoring scoring;
    for (size_t i = 0; i < f->lora->n_params; i++) f->lora->params[i] = 1e30f;
    assert_error(tr_score_rows(f->model, f->lora, &f->examples, NULL, N_ROWS, &options, logp, &scoring, &err),
                 TR_ERR_NUMERIC, "row ", err);
}

static void test_a_plan_knows_the_memory_and_no_rows_are_bad_usage(void **state)
{
    const fixture *f = *state;
    tr_error err = {0};
    tr_scorer_options small = {.micro_tokens = 1}, large = {0};
    size_t few, many;
    assert_ok(tr_score_memory(f->model, &f->lora->config, &f->examples, N_ROWS, &small, &few, &err), err);
    assert_ok(tr_score_memory(f->model, &f->lora->config, &f->examples, N_ROWS, &large, &many, &err), err);
    assert_true(few > 0 && few < many);
    assert_error(tr_score_memory(f->model, NULL, &f->examples, 0, &small, &few, &err), TR_ERR_USAGE, "0 rows", err);
}

#define WITH_MODEL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

TR_TEST_MAIN(WITH_MODEL(test_scores_equal_each_row_by_itself),
             WITH_MODEL(test_chosen_rows_are_scored_in_the_order_asked),
             WITH_MODEL(test_the_mass_of_the_answers_is_their_mean_probability),
             WITH_MODEL(test_an_adapter_that_overflows_is_named_with_its_row),
             WITH_MODEL(test_a_plan_knows_the_memory_and_no_rows_are_bad_usage))
