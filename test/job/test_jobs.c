/* This file tests the jobs where the command line cannot reach: options that make no sense, results that are released
 * twice, and what is left in them after a failure. */
#include "tallrec.h"
#include "testing.h"

static void test_jobs_refuse_missing_options(void **state)
{
    (void)state;
    tr_error err;
    tr_import_job import = tr_import_job_defaults();
    tr_import_outcome counts;
    assert_error(tr_import_run(&import, &counts, &err), TR_ERR_USAGE, "importer", err);
    tr_tune_job tune = tr_tune_job_defaults();
    tr_tune_outcome tuned;
    assert_error(tr_tune_run(&tune, &tuned, &err), TR_ERR_USAGE, "folder", err);
    tune.run = "never";
    assert_error(tr_tune_run(&tune, &tuned, &err), TR_ERR_USAGE, "model", err);
    tr_score_job score = tr_score_job_defaults();
    tr_scores scores;
    assert_error(tr_score_run(&score, &scores, &err), TR_ERR_USAGE, "data", err);
    tr_eval_job eval = tr_eval_job_defaults();
    tr_eval_outcome outcome;
    assert_error(tr_eval_run(&eval, &outcome, &err), TR_ERR_USAGE, "data", err);
    tr_rank_job rank = tr_rank_job_defaults();
    tr_ranking ranking;
    assert_error(tr_rank_run(&rank, &ranking, &err), TR_ERR_USAGE, "data", err);
    rank.data = "data";
    assert_error(tr_rank_run(&rank, &ranking, &err), TR_ERR_USAGE, "user", err);
}

static void test_results_can_be_released_after_failure_and_twice(void **state)
{
    (void)state;
    tr_error err;
    tr_score_job score = {.data = "nowhere", .engine.model = "nowhere"};
    tr_scores scores;
    assert_error(tr_score_run(&score, &scores, &err), TR_ERR_IO, "nowhere", err);
    assert_null(scores.row);
    tr_scores_free(&scores);
    tr_scores_free(&scores);
    tr_rank_job rank = {.data = "nowhere", .user = "1"};
    tr_ranking ranking;
    assert_int_not_equal(tr_rank_run(&rank, &ranking, NULL), TR_OK);
    tr_ranking_free(&ranking);
    tr_ranking_free(&ranking);
    tr_tune_job tune = {.run = "never", .recipe = "none"};
    tr_tune_outcome tuned;
    assert_error(tr_tune_run(&tune, &tuned, &err), TR_ERR_USAGE, "none", err);
    tr_tune_outcome_free(&tuned);
    tr_tune_outcome_free(&tuned);
}

static void test_senseless_options_are_usage_errors(void **state)
{
    (void)state;
    tr_error err;
    const char *source = "x";
    tr_import_outcome counts;
    tr_import_job import = tr_import_job_defaults();
    import.importer = "movielens";
    import.sources = &source;
    import.n_sources = 1;
    import.folder = "never";
    import.max_bad = 2;
    assert_error(tr_import_run(&import, &counts, &err), TR_ERR_USAGE, "bad", err);
    tr_scores scores;
    tr_score_job score = {.data = "x", .split = (tr_split)7};
    assert_error(tr_score_run(&score, &scores, &err), TR_ERR_USAGE, "split", err);
    tr_tune_job tune = tr_tune_job_defaults();
    tr_tune_outcome tuned;
    tr_setting setting = {"colour", "red"};
    tune.run = "never";
    tune.setting = &setting;
    tune.n_settings = 1;
    assert_error(tr_tune_run(&tune, &tuned, &err), TR_ERR_USAGE, "colour", err);
    tune.n_settings = 0;
    tune.resume = true;
    tune.shots = 3;
    assert_error(tr_tune_run(&tune, &tuned, &err), TR_ERR_USAGE, "resumed", err);
}

static void test_a_row_as_json_keeps_every_digit_and_says_null(void **state)
{
    (void)state;
    tr_score_row row = {.row = 3, .user = "a\"b", .label = -1, .score = 0.1, .logp_yes = -1.0 / 3, .logp_no = -2};
    char *line = tr_score_row_json(&row);
    assert_non_null(line);
    assert_string_equal(line, "{\"row\": 3, \"user\": \"a\\\"b\", \"item\": null, \"label\": null, \"score\": 0.1, "
                              "\"logp_yes\": -0.3333333333333333, \"logp_no\": -2.0}");
    free(line);
}

static void test_tokens_come_back_as_text(void **state)
{
    (void)state;
    tr_error err;
    tr_tokenization tokens;
    char model[4096], *text;
    size_t size;
    snprintf(model, sizeof model, "%s", test_file("golden/tiny_llama.gguf"));
    assert_ok(tr_tokenize_run(model, "Yes.\n", 5, true, false, &tokens, &err), err);
    assert_int_equal(tokens.n, 3);
    assert_string_equal(tokens.piece[0], "Yes");
    assert_ok(tr_detokenize_run(model, tokens.id, tokens.n, &text, &size, &err), err);
    assert_string_equal(text, "Yes.\n");
    free(text);
    tr_tokenization_free(&tokens);
    tr_tokenization_free(&tokens);
    const int32_t outside[] = {1 << 30};
    assert_error(tr_detokenize_run(model, outside, 1, &text, &size, &err), TR_ERR_VALUE, "", err);
    assert_error(tr_tokenize_run(model, "\xff", 1, true, false, &tokens, &err), TR_ERR_VALUE, "", err);
}

TR_TEST_MAIN(cmocka_unit_test(test_jobs_refuse_missing_options),
             cmocka_unit_test(test_results_can_be_released_after_failure_and_twice),
             cmocka_unit_test(test_senseless_options_are_usage_errors),
             cmocka_unit_test(test_a_row_as_json_keeps_every_digit_and_says_null),
             cmocka_unit_test(test_tokens_come_back_as_text))
