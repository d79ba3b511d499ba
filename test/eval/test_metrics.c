/* Tests of the metrics of src/eval against slow, obvious oracles. */
#include "testing.h"

#include "base/rng.h"
#include "eval/auc.h"
#include "eval/calibration.h"
#include "eval/metric.h"
#include "eval/uauc.h"
#include "near.h"

#include <math.h>

enum { N = 300, USERS = 17 };

typedef struct {
    double score[N];
    uint8_t label[N];
    const char *user[N];
    char name[USERS][8];
} rows;

/* Random rows; scores are rounded so that there are many ties. */
static void fill(rows *r, uint32_t stream)
{
    for (int u = 0; u < USERS; u++) snprintf(r->name[u], sizeof r->name[u], "u%d", u);
    for (uint32_t i = 0; i < N; i++) {
        r->score[i] = (double)tr_rng_below(3, TR_RNG_TEST, stream, 3 * i, 25) / 4 - 3;
        r->label[i] = tr_rng_below(3, TR_RNG_TEST, stream, 3 * i + 1, 3) == 0;
        r->user[i] = r->name[tr_rng_below(3, TR_RNG_TEST, stream, 3 * i + 2, USERS)];
    }
}

/* Every pair of a positive and a negative row, one by one; row i counts times[i]. NaN without pairs. */
static double slow_auc(const rows *r, const uint32_t *times, const char *user)
{
    double wins = 0, pairs = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            if (!r->label[i] || r->label[j]) continue;
            if (user && (strcmp(r->user[i], user) != 0 || strcmp(r->user[j], user) != 0)) continue;
            double pair = times ? (double)times[i] * times[j] : 1;
            pairs += pair;
            wins += pair * (r->score[i] > r->score[j] ? 1 : r->score[i] == r->score[j] ? 0.5 : 0);
        }
    return pairs > 0 ? wins / pairs : NAN;
}

static void test_auc_equals_counting_every_pair(void **state)
{
    (void)state;
    for (uint32_t stream = 0; stream < 5; stream++) {
        rows r;
        tr_error err = {0};
        double got;
        fill(&r, stream);
        assert_ok(tr_auc(r.score, r.label, N, &got, &err), err);
        assert_near(got, slow_auc(&r, NULL, NULL), 1e-14);
    }
}

static void test_auc_of_infinite_scores_is_that_of_their_order(void **state)
{
    (void)state;
    tr_error err = {0};
    double got;
    assert_ok(tr_auc((double[]){-INFINITY, 0, INFINITY, INFINITY}, (uint8_t[]){0, 1, 0, 1}, 4, &got, &err), err);
    assert_near(got, (1 + 0 + 1 + 0.5) / 4, 0);
}

static void test_auc_refuses_one_class_and_bad_values(void **state)
{
    (void)state;
    tr_error err;
    double got = 7;
    assert_error(tr_auc((double[]){1, 2}, (uint8_t[]){1, 1}, 2, &got, &err), TR_ERR_UNDEFINED, "same label", err);
    assert_error(tr_auc(NULL, NULL, 0, &got, &err), TR_ERR_UNDEFINED, "undefined", err);
    assert_error(tr_auc((double[]){1, NAN}, (uint8_t[]){1, 0}, 2, &got, &err), TR_ERR_VALUE, "row 2", err);
    assert_error(tr_auc((double[]){1, 2}, (uint8_t[]){1, 9}, 2, &got, &err), TR_ERR_VALUE, "row 2", err);
    assert_near(got, 7, 0);
}

static void test_roc_encloses_the_auc(void **state)
{
    (void)state;
    rows r;
    tr_error err = {0};
    double x[N + 1], y[N + 1], area = 0, auc;
    uint32_t order[N];
    fill(&r, 1);
    assert_ok(tr_auc_order(r.score, N, order, &err), err);
    size_t n = tr_roc(r.score, r.label, order, N, x, y);
    assert_int_equal(n, 26); /* 25 distinct scores */
    for (size_t i = 1; i < n; i++) area += (x[i] - x[i - 1]) * (y[i] + y[i - 1]) / 2;
    assert_ok(tr_auc(r.score, r.label, N, &auc, &err), err);
    assert_near(area, auc, 1e-12);
    assert_near(x[n - 1] + y[n - 1], 2, 0);
}

static void test_uauc_is_the_mean_of_each_users_auc(void **state)
{
    (void)state;
    rows r;
    tr_error err = {0};
    tr_uauc_values got;
    fill(&r, 2);
    for (int i = 0; i < N; i++)
        if (r.user[i] == r.name[0]) r.label[i] = 1; /* a user with one label does not count */
    double sum = 0, sum_by_rows = 0, n_rows = 0;
    for (int u = 1; u < USERS; u++) {
        double auc = slow_auc(&r, NULL, r.name[u]), size = 0;
        assert_false(isnan(auc));
        for (int i = 0; i < N; i++) size += r.user[i] == r.name[u];
        sum += auc, sum_by_rows += size * auc, n_rows += size;
    }
    assert_ok(tr_uauc(r.score, r.label, r.user, N, &got, &err), err);
    assert_near(got.mean, sum / (USERS - 1), 1e-14);
    assert_near(got.weighted, sum_by_rows / n_rows, 1e-14);
    assert_near(got.users, USERS - 1, 0);
}

static void test_rows_without_user_are_no_user(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_uauc_values got;
    const char *user[] = {NULL, NULL, "a", "a", NULL, "b"};
    double score[] = {1, 2, 2, 1, 3, 3};
    uint8_t label[] = {0, 1, 1, 0, 1, 0};
    assert_ok(tr_uauc(score, label, user, 6, &got, &err), err);
    assert_near(got.users, 1, 0);
    assert_near(got.mean, 1, 0);
    assert_error(tr_uauc(score, label, NULL, 6, &got, &err), TR_ERR_UNDEFINED, "no user", err);
    tr_groups groups;
    assert_ok(tr_groups_create(&groups, user, 6, &err), err);
    assert_int_equal(groups.n_groups, 5);
    assert_int_equal(groups.n_users, 2);
    tr_groups_free(&groups);
}

static void test_log_loss_is_exact_where_probabilities_round(void **state)
{
    (void)state;
    for (double z = -20; z <= 20; z += 0.37) {
        assert_near(tr_log_loss(z, 1), -log(tr_sigmoid(z)), 1e-8);
        assert_near(tr_log_loss(z, 0), -log(1 - tr_sigmoid(z)), 1e-6);
        assert_near(tr_logit(tr_sigmoid(z)), fmax(fmin(z, log(999999)), -log(999999)), 1e-4);
    }
    assert_near(tr_log_loss(-800, 1), 800, 0);
    assert_near(tr_log_loss(800, 1), 0, 0);
    assert_true(tr_log_loss(40, 1) > 4e-18 && tr_log_loss(40, 1) < 5e-18);
    assert_near(tr_sigmoid(-800) + (1 - tr_sigmoid(800)), 0, 0);
}

static void test_accuracy_reads_a_score_of_zero_as_no(void **state)
{
    (void)state;
    assert_true(tr_correct(0.1, 1) && tr_correct(-0.1, 0) && tr_correct(0, 0));
    assert_false(tr_correct(0, 1) || tr_correct(0.1, 0) || tr_correct(-0.1, 1));
}

static void test_ece_of_a_small_case_by_hand(void **state)
{
    (void)state;
    /* bins: [.0,.1) has .05 (No); [.6,.7) has .62 and .68 (one Yes); the last has 1.0 (Yes) */
    double probability[] = {0.05, 0.62, 0.68, 1.0}, ece;
    uint8_t label[] = {0, 1, 0, 1};
    tr_calibration_bin bin[TR_CALIBRATION_BINS];
    tr_calibration_bins(probability, label, 4, NULL, NULL, bin);
    assert_near(bin[0].rows, 1, 0);
    assert_near(bin[6].rows, 2, 0);
    assert_near(bin[9].yes, 1, 0);
    assert_true(tr_ece(bin, &ece));
    assert_near(ece, (1 * 0.05 + 2 * fabs(0.65 - 0.5) + 1 * 0.0) / 4, 1e-15);
}

/* The rows of a resample written out, each as often as its user was drawn, measured by the plain functions. */
static void test_weighted_metrics_equal_those_of_the_rows_written_out(void **state)
{
    (void)state;
    rows r;
    tr_error err = {0};
    tr_groups groups;
    tr_scored scored;
    uint32_t weight[USERS], times[N];
    double got[TR_N_METRICS], loss = 0, correct = 0, yes = 0, total = 0;
    fill(&r, 4);
    assert_ok(tr_groups_create(&groups, r.user, N, &err), err);
    assert_ok(tr_scored_create(&scored, r.score, r.label, &groups, &err), err);
    for (uint32_t g = 0; g < groups.n_groups; g++) weight[g] = tr_rng_below(5, TR_RNG_TEST, 0, g, 4);
    for (int i = 0; i < N; i++) {
        times[i] = weight[groups.of_row[i]];
        total += times[i];
        loss += times[i] * tr_log_loss(r.score[i], r.label[i]);
        correct += times[i] * tr_correct(r.score[i], r.label[i]);
        yes += times[i] * r.label[i];
    }
    double sum = 0, users = 0;
    for (size_t g = 0; g < groups.n_groups; g++) {
        double auc = slow_auc(&r, NULL, groups.name[g]);
        if (isnan(auc)) continue;
        sum += weight[g] * auc;
        users += weight[g];
    }
    tr_metrics_compute(&scored, weight, got);
    assert_near(got[TR_METRIC_AUC], slow_auc(&r, times, NULL), 1e-14);
    assert_near(got[TR_METRIC_UAUC], sum / users, 1e-14);
    assert_near(got[TR_METRIC_USERS], users, 0);
    assert_near(got[TR_METRIC_LOG_LOSS], loss / total, 1e-14);
    assert_near(got[TR_METRIC_ACCURACY], correct / total, 1e-14);
    assert_near(got[TR_METRIC_BASE_RATE], yes / total, 1e-14);
    tr_scored_free(&scored);
    tr_groups_free(&groups);
}

TR_TEST_MAIN(cmocka_unit_test(test_auc_equals_counting_every_pair),
             cmocka_unit_test(test_auc_of_infinite_scores_is_that_of_their_order),
             cmocka_unit_test(test_auc_refuses_one_class_and_bad_values),
             cmocka_unit_test(test_roc_encloses_the_auc),
             cmocka_unit_test(test_uauc_is_the_mean_of_each_users_auc),
             cmocka_unit_test(test_rows_without_user_are_no_user),
             cmocka_unit_test(test_log_loss_is_exact_where_probabilities_round),
             cmocka_unit_test(test_accuracy_reads_a_score_of_zero_as_no),
             cmocka_unit_test(test_ece_of_a_small_case_by_hand),
             cmocka_unit_test(test_weighted_metrics_equal_those_of_the_rows_written_out))
