/* Tests of the bootstrap over users. */
#include "testing.h"

#include "base/rng.h"
#include "base/system.h"
#include "eval/auc.h"
#include "eval/bootstrap.h"
#include "near.h"
#include "synthetic.h"

#include <math.h>

enum { REPLICATES = 200 };

typedef struct {
    synthetic data;
    tr_groups groups;
    tr_scored scored[2]; /* the model, the untuned model */
} fixture;

static void set_up(fixture *f, size_t n_users)
{
    tr_error err = {0};
    synthetic_fill(&f->data, n_users, 0.7);
    assert_ok(tr_groups_create(&f->groups, f->data.user, f->data.n, &err), err);
    assert_ok(tr_scored_create(&f->scored[0], f->data.score, f->data.label, &f->groups, &err), err);
    assert_ok(tr_scored_create(&f->scored[1], f->data.base, f->data.label, &f->groups, &err), err);
}

static void tear_down(fixture *f)
{
    tr_scored_free(&f->scored[0]);
    tr_scored_free(&f->scored[1]);
    tr_groups_free(&f->groups);
    free(f);
}

/* Draws users by hand, writes their rows out, measures with the plain function. */
static double replicate_by_hand(const fixture *f, const double *score, uint32_t replicate, uint64_t seed)
{
    size_t n_groups = f->groups.n_groups, n = 0, capacity = n_groups * f->data.n;
    double *scores = malloc(capacity * sizeof *scores), auc;
    uint8_t *labels = malloc(capacity);
    tr_error err = {0};
    assert_true(scores && labels);
    for (size_t draw = 0; draw < n_groups; draw++) {
        uint32_t user = tr_rng_below(seed, TR_RNG_BOOTSTRAP, replicate, draw, (uint32_t)n_groups);
        for (size_t i = 0; i < f->data.n; i++)
            if (f->groups.of_row[i] == user) scores[n] = score[i], labels[n++] = f->data.label[i];
    }
    assert_ok(tr_auc(scores, labels, n, &auc, &err), err);
    free(scores);
    free(labels);
    return auc;
}

static void test_replicates_equal_rows_of_drawn_users_written_out(void **state)
{
    (void)state;
    fixture *f = calloc(1, sizeof *f);
    tr_bootstrap b;
    tr_error err = {0};
    set_up(f, 12);
    assert_ok(tr_bootstrap_create(&b, f->scored, 2, 5, 42, &err), err);
    for (uint32_t r = 0; r < 5; r++) {
        assert_near(b.value[(0 * TR_N_METRICS + TR_METRIC_AUC) * 5 + r],
                           replicate_by_hand(f, f->data.score, r, 42), 1e-13);
        assert_near(b.value[(1 * TR_N_METRICS + TR_METRIC_AUC) * 5 + r],
                           replicate_by_hand(f, f->data.base, r, 42), 1e-13);
    }
    tr_bootstrap_free(&b);
    tear_down(f);
}

static void test_intervals_do_not_depend_on_threads(void **state)
{
    (void)state;
    fixture *f = calloc(1, sizeof *f);
    tr_bootstrap one, four, other;
    tr_error err = {0};
    set_up(f, 40);
    size_t bytes = 2 * TR_N_METRICS * REPLICATES * sizeof(double);
    tr_threads_set(1);
    assert_ok(tr_bootstrap_create(&one, f->scored, 2, REPLICATES, 7, &err), err);
    tr_threads_set(4);
    assert_ok(tr_bootstrap_create(&four, f->scored, 2, REPLICATES, 7, &err), err);
    assert_ok(tr_bootstrap_create(&other, f->scored, 2, REPLICATES, 8, &err), err);
    tr_threads_set(0);
    assert_memory_equal(one.value, four.value, bytes);
    assert_memory_not_equal(one.value, other.value, bytes);
    tr_bootstrap_free(&one);
    tr_bootstrap_free(&four);
    tr_bootstrap_free(&other);
    tear_down(f);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void test_difference_is_paired_and_its_ends_are_quantiles(void **state)
{
    (void)state;
    fixture *f = calloc(1, sizeof *f);
    tr_bootstrap b;
    tr_interval difference, model;
    tr_error err = {0};
    double paired[201];
    set_up(f, 40);
    assert_ok(tr_bootstrap_create(&b, f->scored, 2, 201, 7, &err), err);
    assert_ok(tr_bootstrap_difference(&b, 0, 1, TR_METRIC_AUC, &difference, &err), err);
    assert_ok(tr_bootstrap_interval(&b, 0, TR_METRIC_AUC, &model, &err), err);
    for (int r = 0; r < 201; r++)
        paired[r] = b.value[TR_METRIC_AUC * 201 + r] - b.value[(TR_N_METRICS + TR_METRIC_AUC) * 201 + r];
    qsort(paired, 201, sizeof *paired, ascending);
    assert_near(difference.low, paired[5], 1e-12);    /* .025 * 200 = 5 */
    assert_near(difference.high, paired[195], 1e-12); /* .975 * 200 = 195 */
    assert_near(difference.value, b.point[TR_METRIC_AUC] - b.point[TR_N_METRICS + TR_METRIC_AUC], 0);
    assert_true(model.low < model.value && model.value < model.high);
    tr_bootstrap_free(&b);
    tear_down(f);
}

/* One user has all the positive rows: every resample without that user has no AUC. */
static void test_undefined_replicates_are_left_out_and_counted(void **state)
{
    (void)state;
    const char *user[] = {"a", "a", "a", "b", "c"};
    double score[] = {3, 1, 2, 1, 0};
    uint8_t label[] = {1, 1, 0, 0, 0};
    tr_groups groups;
    tr_scored scored;
    tr_bootstrap b;
    tr_interval auc, rate;
    tr_error err = {0};
    assert_ok(tr_groups_create(&groups, user, 5, &err), err);
    assert_ok(tr_scored_create(&scored, score, label, &groups, &err), err);
    assert_ok(tr_bootstrap_create(&b, &scored, 1, 1000, 1, &err), err);
    size_t without_a = 0;
    for (uint32_t r = 0; r < 1000; r++) {
        size_t drawn = 0;
        for (uint64_t i = 0; i < 3; i++) drawn += tr_rng_below(1, TR_RNG_BOOTSTRAP, r, i, 3) == 0;
        without_a += drawn == 0;
    }
    assert_ok(tr_bootstrap_interval(&b, 0, TR_METRIC_AUC, &auc, &err), err);
    assert_ok(tr_bootstrap_interval(&b, 0, TR_METRIC_BASE_RATE, &rate, &err), err);
    assert_int_equal(auc.n_defined, 1000 - without_a);
    assert_true(without_a > 200 && without_a < 400); /* (2/3)^3 = .296 */
    assert_int_equal(rate.n_defined, 1000);
    assert_false(isnan(auc.low));
    tr_bootstrap_free(&b);
    tr_scored_free(&scored);
    tr_groups_free(&groups);
}

static void test_one_user_gives_no_interval_instead_of_a_certain_one(void **state)
{
    (void)state;
    fixture *f = calloc(1, sizeof *f);
    tr_bootstrap b;
    tr_interval auc;
    tr_error err = {0};
    set_up(f, 1);
    assert_ok(tr_bootstrap_create(&b, f->scored, 2, REPLICATES, 7, &err), err);
    assert_ok(tr_bootstrap_interval(&b, 0, TR_METRIC_AUC, &auc, &err), err);
    assert_int_equal(b.n_replicates, 0);
    assert_true(isnan(auc.low) && isnan(auc.high) && !isnan(auc.value));
    tr_bootstrap_free(&b);
    tear_down(f);
}

/* Rows of one user agree with each other; resampling users must show the wider spread that this causes. */
static void test_interval_over_users_is_wider_than_over_rows(void **state)
{
    (void)state;
    fixture *f = calloc(1, sizeof *f);
    tr_groups rows;
    tr_scored by_row;
    tr_bootstrap users, single;
    tr_interval wide, narrow;
    tr_error err = {0};
    set_up(f, 16);
    assert_ok(tr_groups_create(&rows, NULL, f->data.n, &err), err);
    assert_ok(tr_scored_create(&by_row, f->data.score, f->data.label, &rows, &err), err);
    assert_ok(tr_bootstrap_create(&users, f->scored, 1, REPLICATES, 3, &err), err);
    assert_ok(tr_bootstrap_create(&single, &by_row, 1, REPLICATES, 3, &err), err);
    assert_ok(tr_bootstrap_interval(&users, 0, TR_METRIC_BASE_RATE, &wide, &err), err);
    assert_ok(tr_bootstrap_interval(&single, 0, TR_METRIC_BASE_RATE, &narrow, &err), err);
    assert_true(wide.high - wide.low > 2 * (narrow.high - narrow.low));
    tr_bootstrap_free(&users);
    tr_bootstrap_free(&single);
    tr_scored_free(&by_row);
    tr_groups_free(&rows);
    tear_down(f);
}

TR_TEST_MAIN(cmocka_unit_test(test_replicates_equal_rows_of_drawn_users_written_out),
             cmocka_unit_test(test_intervals_do_not_depend_on_threads),
             cmocka_unit_test(test_difference_is_paired_and_its_ends_are_quantiles),
             cmocka_unit_test(test_undefined_replicates_are_left_out_and_counted),
             cmocka_unit_test(test_one_user_gives_no_interval_instead_of_a_certain_one),
             cmocka_unit_test(test_interval_over_users_is_wider_than_over_rows))
