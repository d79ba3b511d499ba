/* Rebuilds the known figures of the controls on the published rows and on those made from the ratings. */
#include "testing.h"

#include "base/memory.h"
#include "base/str.h"
#include "eval/auc.h"
#include "eval/controls.h"
#include "eval/uauc.h"
#include "near.h"
#include "rec/dataset.h"

#include <unistd.h>

#define FOURTH_DECIMAL 5e-5

static const char *shared_path(const char *name)
{
    static char path[4096];
    const char *shared = test_path("TALLREC_TEST_SHARED");
    if (shared) snprintf(path, sizeof path, "%s/%s", shared, name);
    return shared ? path : NULL;
}

/* Examples as the plain arrays that controls and metrics take. */
typedef struct {
    size_t n;
    uint8_t *label;
    double *share, *score;
    const char **item, **user;
} columns;

static columns columns_of(const tr_examples *examples)
{
    tr_error err = {0};
    columns c = {.n = examples->n};
    assert_ok(tr_alloc(&c.label, c.n, 1, "test", &err), err);
    assert_ok(tr_alloc(&c.share, c.n, sizeof *c.share, "test", &err), err);
    assert_ok(tr_alloc(&c.score, c.n, sizeof *c.score, "test", &err), err);
    assert_ok(tr_alloc(&c.item, c.n, sizeof *c.item, "test", &err), err);
    assert_ok(tr_alloc(&c.user, c.n, sizeof *c.user, "test", &err), err);
    for (size_t i = 0; i < c.n; i++) {
        const tr_example *example = &examples->row[i];
        c.label[i] = (uint8_t)example->label;
        c.share[i] = tr_example_like_share(example);
        c.item[i] = tr_control_item(example);
        c.user[i] = example->user;
    }
    return c;
}

static void free_columns(columns *c)
{
    free(c->label);
    free(c->share);
    free(c->score);
    free(c->item);
    free(c->user);
}

static double auc_of(const columns *c, const double *score)
{
    tr_error err = {0};
    double auc = 0;
    assert_ok(tr_auc(score, c->label, c->n, &auc, &err), err);
    return auc;
}

static void check_published_like_share(const char *name, double expected)
{
    const char *path = shared_path(name);
    if (!path) skip_because("TALLREC_TEST_SHARED is not set");
    tr_examples examples = {0};
    tr_error err = {0};
    assert_ok(tr_examples_read(path, true, &examples, NULL, &err), err);
    columns c = columns_of(&examples);
    assert_ok(tr_control_like_share(c.share, c.n, c.score, &err), err);
    assert_near(auc_of(&c, c.score), expected, FOURTH_DECIMAL);
    free_columns(&c);
    tr_examples_free(&examples);
}

static void test_like_share_of_published_movie_rows_scores_7260(void **state)
{
    (void)state;
    check_published_like_share("data/tallrec/movie/test.json", 0.7260);
}

static void test_like_share_of_published_book_rows_scores_6989(void **state)
{
    (void)state;
    check_published_like_share("data/tallrec/book/test.json", 0.6989);
}

static void remove_folder(const char *folder)
{
    const char *names[] = {"card.json", "train.jsonl", "valid.jsonl", "test.jsonl", "items.jsonl",
                           "interactions.jsonl"};
    char path[4096];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(folder), 0);
}

static void check_movie_controls(columns *test, const columns *train)
{
    tr_error err = {0};
    tr_uauc_values users;
    assert_ok(tr_control_like_share(test->share, test->n, test->score, &err), err);
    assert_ok(tr_uauc(test->score, test->label, test->user, test->n, &users, &err), err);
    assert_near(auc_of(test, test->score), 0.7260, FOURTH_DECIMAL);
    assert_near(users.mean, 0.5406, FOURTH_DECIMAL);
    assert_near(users.users, 16, 0);

    double *mean;
    tr_training_rows training = {train->item, train->label, train->n};
    assert_ok(tr_alloc(&mean, test->n, sizeof *mean, "test", &err), err);
    assert_ok(tr_control_item_mean(&training, test->item, test->n, mean, &err), err);
    assert_ok(tr_uauc(mean, test->label, test->user, test->n, &users, &err), err);
    assert_near(auc_of(test, mean), 0.6716, FOURTH_DECIMAL);
    assert_near(users.mean, 0.7211, FOURTH_DECIMAL);

    for (size_t i = 0; i < test->n; i++) mean[i] += test->score[i];
    assert_ok(tr_uauc(mean, test->label, test->user, test->n, &users, &err), err);
    assert_near(auc_of(test, mean), 0.7630, FOURTH_DECIMAL);
    assert_near(users.mean, 0.6867, FOURTH_DECIMAL);
    free(mean);
}

static void test_controls_of_imported_movie_rows_score_the_known_figures(void **state)
{
    (void)state;
    const char *source = shared_path("data/ml-100k");
    if (!source) skip_because("TALLREC_TEST_SHARED is not set");
    char folder[] = "/tmp/tallrec-test-XXXXXX";
    tr_error err = {0};
    tr_dataset dataset = {0};
    const tr_examples *train, *test;
    tr_import_options options = tr_import_defaults();
    assert_non_null(mkdtemp(folder));
    assert_ok(tr_import("movielens", &source, 1, folder, &options, NULL, &err), err);
    assert_ok(tr_dataset_open(folder, &dataset, &err), err);
    assert_ok(tr_dataset_split(&dataset, TR_TRAIN, &train, &err), err);
    assert_ok(tr_dataset_split(&dataset, TR_TEST, &test, &err), err);
    assert_int_equal(train->n, 8000);
    columns test_columns = columns_of(test), train_columns = columns_of(train);
    check_movie_controls(&test_columns, &train_columns);
    free_columns(&test_columns);
    free_columns(&train_columns);
    tr_dataset_close(&dataset);
    remove_folder(folder);
}

TR_TEST_MAIN(cmocka_unit_test(test_like_share_of_published_movie_rows_scores_7260),
             cmocka_unit_test(test_like_share_of_published_book_rows_scores_6989),
             cmocka_unit_test(test_controls_of_imported_movie_rows_score_the_known_figures))
