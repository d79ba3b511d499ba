/* Tests of controls, verdicts and the renderings of an evaluation. */
#include "testing.h"

#include "base/memory.h"
#include "eval/evaluation.h"
#include "near.h"
#include "synthetic.h"

#include <math.h>

/* An evaluation of synthetic rows. The caller frees with drop. */
typedef struct {
    synthetic data;
    tr_evaluation evaluation;
} fixture;

static fixture *evaluate(size_t n_users, double skill)
{
    fixture *f = calloc(1, sizeof *f);
    tr_error err = {0};
    assert_non_null(f);
    synthetic_fill(&f->data, n_users, skill);
    tr_evaluation_input input = synthetic_input(&f->data);
    input.n_replicates = 300;
    assert_ok(tr_evaluation_create(&f->evaluation, &input, &err), err);
    return f;
}

static void drop(fixture *f)
{
    tr_evaluation_free(&f->evaluation);
    free(f);
}

static void test_item_mean_by_hand(void **state)
{
    (void)state;
    const char *item[] = {"a", "a", "b", NULL}, *asked[] = {"a", "b", "new", NULL};
    uint8_t label[] = {1, 1, 0, 1};
    tr_training_rows training = {item, label, 4};
    double score[4], p = 0.75;
    tr_error err = {0};
    assert_ok(tr_control_item_mean(&training, asked, 4, score, &err), err);
    assert_near(score[0], tr_logit((2 + 5 * p) / 7), 1e-15);
    assert_near(score[1], tr_logit((0 + 5 * p) / 6), 1e-15);
    assert_near(score[2], tr_logit(p), 1e-15);
    assert_near(score[3], tr_logit(p), 1e-15);
    training.n = 0;
    assert_error(tr_control_item_mean(&training, asked, 4, score, &err), TR_ERR_USAGE, "training rows", err);
}

static void test_item_mean_of_rows_with_one_label_stays_finite(void **state)
{
    (void)state;
    const char *item[] = {"a"};
    uint8_t label[] = {1};
    tr_training_rows training = {item, label, 1};
    double score[1];
    tr_error err = {0};
    assert_ok(tr_control_item_mean(&training, item, 1, score, &err), err);
    assert_true(isfinite(score[0]));
}

static void test_controls_are_named_by_title_where_there_is_one(void **state)
{
    (void)state;
    assert_string_equal(tr_control_item(&(tr_example){.title = "T", .item = "7"}), "T");
    assert_string_equal(tr_control_item(&(tr_example){.item = "7"}), "7");
    assert_null(tr_control_item(&(tr_example){0}));
}

static void test_both_controls_are_the_sum_of_two_log_odds(void **state)
{
    (void)state;
    fixture *f = evaluate(30, 0.5);
    const double *share = tr_evaluation_find(&f->evaluation, TR_SCORER_LIKE_SHARE)->score;
    const double *mean = tr_evaluation_find(&f->evaluation, TR_SCORER_ITEM_MEAN_ALL)->score;
    const double *both = tr_evaluation_find(&f->evaluation, TR_SCORER_BOTH_ALL)->score;
    for (size_t i = 0; i < f->evaluation.n; i++) assert_near(both[i], share[i] + mean[i], 0);
    drop(f);
}

static void test_a_model_that_knows_taste_beats_every_control(void **state)
{
    (void)state;
    fixture *f = evaluate(60, 1.0);
    assert_int_equal(f->evaluation.verdict_kind, TR_VERDICT_BETTER);
    assert_non_null(strstr(f->evaluation.verdict, "Better than every control: +."));
    assert_int_equal(f->evaluation.scorer[f->evaluation.best_control].id, TR_SCORER_BOTH_ALL);
    drop(f);
}

static void test_a_model_of_noise_is_worse_than_the_best_control(void **state)
{
    (void)state;
    fixture *f = evaluate(60, 0.0);
    assert_int_equal(f->evaluation.verdict_kind, TR_VERDICT_WORSE);
    assert_non_null(strstr(f->evaluation.verdict, "Worse than item mean + like share (all rows): −."));
    drop(f);
}

/* A model that copies the like share can win only what chance gives. */
static void test_a_model_that_copies_the_like_share_is_not_distinguishable_from_it(void **state)
{
    (void)state;
    fixture *f = calloc(1, sizeof *f);
    tr_error err = {0};
    synthetic_fill(&f->data, 40, 0.5);
    tr_evaluation_input input = synthetic_input(&f->data);
    input.seen.n = input.all.n = 0;
    input.n_replicates = 300;
    for (size_t i = 0; i < f->data.n; i++)
        f->data.score[i] = 3 * tr_logit(f->data.like_share[i]) + 0.3 * synthetic_normal(77, i);
    assert_ok(tr_evaluation_create(&f->evaluation, &input, &err), err);
    assert_int_equal(f->evaluation.verdict_kind, TR_VERDICT_INDISTINCT);
    assert_non_null(strstr(f->evaluation.verdict, "Not distinguishable from the share of liked items: "));
    assert_non_null(strstr(f->evaluation.caution[0], "item means are missing"));
    drop(f);
}

static void test_one_class_has_a_verdict_and_the_metrics_that_exist(void **state)
{
    (void)state;
    fixture *f = calloc(1, sizeof *f);
    tr_error err = {0};
    json_t *json;
    synthetic_fill(&f->data, 40, 0.5);
    for (size_t i = 0; i < f->data.n; i++) f->data.label[i] = 0;
    tr_evaluation_input input = synthetic_input(&f->data);
    input.n_replicates = 50;
    assert_ok(tr_evaluation_create(&f->evaluation, &input, &err), err);
    assert_int_equal(f->evaluation.verdict_kind, TR_VERDICT_UNDEFINED);
    assert_string_equal(f->evaluation.verdict, "AUC is undefined: all 1000 rows have the label No.");
    assert_ok(tr_evaluation_json(&f->evaluation, &json, &err), err);
    assert_true(json_is_null(json_object_get(json_object_get(json, "auc"), "value")));
    assert_true(json_is_real(json_object_get(json_object_get(json, "log_loss"), "value")));
    json_decref(json);
    drop(f);
}

static void test_rows_without_users_are_resampled_and_it_says_so(void **state)
{
    (void)state;
    fixture *f = calloc(1, sizeof *f);
    tr_error err = {0};
    tr_str text = {0};
    synthetic_fill(&f->data, 40, 0.5);
    tr_evaluation_input input = synthetic_input(&f->data);
    input.user = NULL;
    input.n_replicates = 50;
    assert_ok(tr_evaluation_create(&f->evaluation, &input, &err), err);
    assert_ok(tr_evaluation_text(&f->evaluation, &text, &err), err);
    assert_non_null(strstr(text.data, "50 resamples of rows (no user is known)"));
    assert_non_null(strstr(text.data, "No user is known"));
    tr_str_free(&text);
    drop(f);
}

static void test_training_rows_seen_in_full_give_each_control_once(void **state)
{
    (void)state;
    fixture *f = calloc(1, sizeof *f);
    tr_error err = {0};
    synthetic_fill(&f->data, 40, 0.5);
    tr_evaluation_input input = synthetic_input(&f->data);
    input.seen = input.all;
    input.n_replicates = 50;
    assert_ok(tr_evaluation_create(&f->evaluation, &input, &err), err);
    assert_null(tr_evaluation_find(&f->evaluation, TR_SCORER_ITEM_MEAN_SEEN));
    assert_non_null(tr_evaluation_find(&f->evaluation, TR_SCORER_ITEM_MEAN_ALL));
    drop(f);
}

static void test_bad_input_is_refused_by_row(void **state)
{
    (void)state;
    fixture *f = calloc(1, sizeof *f);
    tr_error err;
    synthetic_fill(&f->data, 40, 0.5);
    tr_evaluation_input input = synthetic_input(&f->data);
    f->data.score[41] = NAN;
    assert_error(tr_evaluation_create(&f->evaluation, &input, &err), TR_ERR_VALUE, "row 42", err);
    f->data.score[41] = 0;
    f->data.like_share[7] = 1;
    assert_error(tr_evaluation_create(&f->evaluation, &input, &err), TR_ERR_VALUE, "row 8", err);
    f->data.like_share[7] = 0.5;
    f->data.label[0] = 2;
    assert_error(tr_evaluation_create(&f->evaluation, &input, &err), TR_ERR_VALUE, "row 1", err);
    input.n = 0;
    assert_error(tr_evaluation_create(&f->evaluation, &input, &err), TR_ERR_USAGE, "no rows", err);
    drop(f);
}

static void test_text_fits_eighty_columns(void **state)
{
    (void)state;
    const double skill[] = {0, 0.35, 0.5, 1};
    for (int k = 0; k < 4; k++) {
        fixture *f = evaluate(16, skill[k]);
        tr_str text = {0};
        tr_error err = {0};
        assert_ok(tr_evaluation_text(&f->evaluation, &text, &err), err);
        for (char *line = text.data, *end; (end = strchr(line, '\n')); line = end + 1) {
            *end = '\0';
            if (tr_utf8_width(line) > 80) fail_msg("%d columns: %s", tr_utf8_width(line), line);
        }
        tr_str_free(&text);
        drop(f);
    }
}

static void test_json_has_the_documented_keys(void **state)
{
    (void)state;
    fixture *f = evaluate(16, 0.5);
    json_t *json;
    tr_error err = {0};
    assert_ok(tr_evaluation_json(&f->evaluation, &json, &err), err);
    const char *metrics[] = {"auc", "uauc", "uauc_weighted", "users", "accuracy", "log_loss", "ece", "base_rate"};
    const char *controls[] = {"like_share", "item_mean_seen", "item_mean_like_share_seen", "item_mean_all",
                              "item_mean_like_share_all"};
    for (size_t m = 0; m < sizeof metrics / sizeof *metrics; m++) {
        json_t *of_model = json_object_get(json, metrics[m]);
        assert_true(json_is_real(json_object_get(of_model, "value")));
        assert_true(json_is_real(json_object_get(of_model, "low")));
        assert_true(json_is_real(json_object_get(of_model, "high")));
        for (size_t c = 0; c < sizeof controls / sizeof *controls; c++) {
            json_t *control = json_object_get(json_object_get(json, "controls"), controls[c]);
            assert_non_null(json_object_get(control, metrics[m]));
            assert_true(m == 3 || m == 7 || json_object_get(json_object_get(control, "model_minus"), metrics[m]));
        }
    }
    json_t *difference = json_object_get(json, "difference");
    assert_true(json_is_real(json_object_get(json_object_get(difference, "auc"), "low")));
    assert_true(json_is_real(json_object_get(json_object_get(difference, "uauc"), "low")));
    assert_non_null(json_object_get(json, "shuffled_history"));
    assert_non_null(json_object_get(json, "base_model"));
    assert_string_equal(json_string_value(json_object_get(json_object_get(json, "bootstrap"), "over")), "users");
    json_decref(json);
    drop(f);
}

static void test_figures_have_no_leading_zero_and_no_negative_zero(void **state)
{
    (void)state;
    char b[TR_FIGURE_SIZE];
    assert_string_equal(tr_figure(b, 0.7124, false), ".712");
    assert_string_equal(tr_figure(b, 0.031, true), "+.031");
    assert_string_equal(tr_figure(b, -0.031, false), "−.031");
    assert_string_equal(tr_figure(b, -0.0001, true), ".000");
    assert_string_equal(tr_figure(b, 0.9996, false), "1.00");
    assert_string_equal(tr_figure(b, 1.234, false), "1.23");
    assert_string_equal(tr_figure(b, 9.996, false), "10.0");
    assert_string_equal(tr_figure(b, 1e300, false), "1000000000000.0");
    assert_string_equal(tr_figure(b, NAN, false), "n/a");
}

TR_TEST_MAIN(cmocka_unit_test(test_item_mean_by_hand),
             cmocka_unit_test(test_item_mean_of_rows_with_one_label_stays_finite),
             cmocka_unit_test(test_controls_are_named_by_title_where_there_is_one),
             cmocka_unit_test(test_both_controls_are_the_sum_of_two_log_odds),
             cmocka_unit_test(test_a_model_that_knows_taste_beats_every_control),
             cmocka_unit_test(test_a_model_of_noise_is_worse_than_the_best_control),
             cmocka_unit_test(test_a_model_that_copies_the_like_share_is_not_distinguishable_from_it),
             cmocka_unit_test(test_one_class_has_a_verdict_and_the_metrics_that_exist),
             cmocka_unit_test(test_rows_without_users_are_resampled_and_it_says_so),
             cmocka_unit_test(test_training_rows_seen_in_full_give_each_control_once),
             cmocka_unit_test(test_bad_input_is_refused_by_row),
             cmocka_unit_test(test_text_fits_eighty_columns),
             cmocka_unit_test(test_json_has_the_documented_keys),
             cmocka_unit_test(test_figures_have_no_leading_zero_and_no_negative_zero))
