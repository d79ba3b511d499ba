/* Tests on real data: the published rows and ML-100K, where the machine has them. No text of theirs is kept here. */
#include "folder.h"

#include "rec/dataset.h"

static const char *shared(const char *name)
{
    static char paths[4][1024];
    static int next;
    char *path = paths[next++ % 4];
    if (!test_path("TALLREC_TEST_SHARED")) return NULL;
    snprintf(path, sizeof paths[0], "%s/data/%s", test_path("TALLREC_TEST_SHARED"), name);
    return path;
}

#define NEED_SHARED() \
    if (!test_path("TALLREC_TEST_SHARED")) skip_because("TALLREC_TEST_SHARED is not set: no published rows")

static void import_movies(const char *source, const char *folder, tr_card *card)
{
    tr_error err = {0};
    tr_import_options options = tr_import_defaults();
    assert_ok(tr_import("movielens", &source, 1, folder, &options, card, &err), err);
}

/* Rows of a split that equal the published ones in instruction, input and output. */
static size_t count_equal(tr_dataset *dataset, tr_split split, const char *published)
{
    const tr_examples *ours;
    tr_examples theirs;
    size_t equal = 0;
    tr_error err = {0};
    assert_ok(tr_dataset_split(dataset, split, &ours, &err), err);
    assert_ok(tr_examples_read(published, true, &theirs, NULL, &err), err);
    assert_int_equal(ours->n, theirs.n);
    for (size_t i = 0; i < theirs.n; i++)
        equal += strcmp(ours->row[i].instruction, theirs.row[i].instruction) == 0 &&
                 strcmp(ours->row[i].input, theirs.row[i].input) == 0 &&
                 strcmp(ours->row[i].output, theirs.row[i].output) == 0;
    tr_examples_free(&theirs);
    return equal;
}

static void expect_counts(const tr_card *card)
{
    assert_int_equal(card->counts.ratings, 100000);
    assert_int_equal(card->counts.users, 943);
    assert_int_equal(card->counts.items, 1682);
    assert_int_equal(card->counts.windows, 90570);
    assert_int_equal(card->counts.bad_lines + card->counts.duplicates + card->counts.missing_items, 0);
    assert_int_equal(card->split[TR_TRAIN].rows, 8000);
    assert_int_equal(card->split[TR_TRAIN].yes, 4457);
    assert_int_equal(card->split[TR_VALID].rows, 1000);
    assert_int_equal(card->split[TR_VALID].users, 14);
    assert_int_equal(card->split[TR_TEST].rows, 1000);
    assert_int_equal(card->split[TR_TEST].users, 16);
}

static void test_pristine_movielens_gives_the_published_rows(void **state)
{
    (void)state;
    NEED_SHARED();
    tr_card card;
    tr_dataset dataset;
    tr_error err = {0};
    import_movies(shared("ml-100k"), scratch("pristine"), &card);
    expect_counts(&card);
    tr_card_clear(&card);
    assert_ok(tr_dataset_open(scratch("pristine"), &dataset, &err), err);
    assert_int_equal(count_equal(&dataset, TR_VALID, shared("tallrec/movie/valid.json")), 1000);
    assert_int_equal(count_equal(&dataset, TR_TEST, shared("tallrec/movie/test.json")), 1000);
    tr_dataset_close(&dataset);
}

static void test_recbole_copy_gives_the_same_examples_but_for_13_titles(void **state)
{
    (void)state;
    NEED_SHARED();
    const char *recbole = test_path("TALLREC_TEST_ML100K");
    if (!recbole) skip_because("TALLREC_TEST_ML100K is not set: no RecBole files");
    tr_card pristine_card, card;
    tr_dataset pristine, copy;
    tr_error err = {0};
    import_movies(shared("ml-100k"), scratch("pristine"), &pristine_card);
    import_movies(recbole, scratch("recbole"), &card);
    expect_counts(&card);
    assert_false(tr_card_same(&pristine_card, &card, NULL, 0));
    tr_card_clear(&card);
    tr_card_clear(&pristine_card);
    assert_ok(tr_dataset_open(scratch("pristine"), &pristine, &err), err);
    assert_ok(tr_dataset_open(scratch("recbole"), &copy, &err), err);

    const tr_interactions *theirs, *ours;
    size_t n_differ = 0;
    assert_ok(tr_dataset_items(&pristine, &theirs, &err), err);
    assert_ok(tr_dataset_items(&copy, &ours, &err), err);
    for (size_t i = 0; i < theirs->n_items; i++) {
        size_t place = tr_interactions_item(ours, theirs->item[i].id);
        assert_true(place != TR_NOT_FOUND);
        n_differ += strcmp(theirs->item[i].title, ours->item[place].title) != 0;
    }
    assert_int_equal(n_differ, 13);
    for (int s = 0; s < TR_N_SPLITS; s++) {
        const tr_examples *a, *b;
        assert_ok(tr_dataset_split(&pristine, (tr_split)s, &a, &err), err);
        assert_ok(tr_dataset_split(&copy, (tr_split)s, &b, &err), err);
        for (size_t i = 0; i < a->n; i++) {
            assert_string_equal(a->row[i].user, b->row[i].user);
            assert_string_equal(a->row[i].item, b->row[i].item);
            assert_int_equal(a->row[i].time, b->row[i].time);
            assert_int_equal(a->row[i].label, b->row[i].label);
        }
    }
    tr_dataset_close(&pristine);
    tr_dataset_close(&copy);
}

static void test_a_user_of_movielens_has_a_history_and_unseen_items(void **state)
{
    (void)state;
    NEED_SHARED();
    tr_card card;
    tr_dataset dataset;
    tr_user_history history;
    tr_error err = {0};
    import_movies(shared("ml-100k"), scratch("pristine"), &card);
    tr_card_clear(&card);
    assert_ok(tr_dataset_open(scratch("pristine"), &dataset, &err), err);
    assert_ok(tr_dataset_user_history(&dataset, "196", 10, &history, &err), err);
    assert_int_equal(history.n, 10);
    assert_int_equal(history.n_seen, 39);
    tr_user_history_free(&history);
    assert_error(tr_dataset_user_history(&dataset, "nobody", 10, &history, &err), TR_ERR_VALUE, "nobody", err);
    tr_dataset_close(&dataset);
}

/* Every published input is taken apart into entries whose number is known, and put together again exactly. */
static void check_published_file(const char *path, const char *noun, size_t n_rows, size_t n_fixed)
{
    tr_examples rows;
    tr_error err = {0};
    assert_ok(tr_examples_read(path, true, &rows, NULL, &err), err);
    assert_int_equal(rows.n, n_rows);
    for (size_t i = 0; i < rows.n; i++) {
        const tr_example *example = &rows.row[i];
        char *again, *built;
        assert_true(example->n_history >= 3 && example->n_history <= 10);
        if (n_fixed) assert_int_equal(example->n_history, n_fixed);
        assert_ok(tr_example_shortened_input(example, 0, &again, &err), err);
        assert_string_equal(again, example->input);
        assert_ok(tr_example_input(example, noun, 0, &built, &err), err);
        assert_string_equal(built, example->input);
        free(again);
        free(built);
        assert_ok(tr_example_instruction(noun, &built, &err), err);
        assert_string_equal(built, example->instruction);
        free(built);
    }
    tr_examples_free(&rows);
}

static void test_published_inputs_are_rebuilt_exactly(void **state)
{
    (void)state;
    NEED_SHARED();
    check_published_file(shared("tallrec/movie/valid.json"), "movie", 1000, 10);
    check_published_file(shared("tallrec/movie/test.json"), "movie", 1000, 10);
    check_published_file(shared("tallrec/book/valid.json"), "book", 2427, 0);
    check_published_file(shared("tallrec/book/test.json"), "book", 2427, 0);
}

static void test_published_books_import_from_their_folder(void **state)
{
    (void)state;
    NEED_SHARED();
    tr_card card;
    tr_dataset dataset;
    tr_error err = {0};
    const tr_interactions *items;
    tr_user_history history;
    const char *source = shared("tallrec/book");
    tr_import_options options = tr_import_defaults();
    assert_ok(tr_import("tallrec", &source, 1, scratch("book"), &options, &card, &err), err);
    assert_string_equal(card.noun, "book");
    assert_string_equal(card.protocol, "published");
    assert_int_equal(card.split[TR_TRAIN].rows, 0);
    assert_int_equal(card.split[TR_VALID].rows, 2427);
    assert_int_equal(card.split[TR_TEST].users, 0);
    tr_card_clear(&card);
    assert_ok(tr_dataset_open(scratch("book"), &dataset, &err), err);
    assert_int_equal(count_equal(&dataset, TR_TEST, shared("tallrec/book/test.json")), 2427);
    assert_ok(tr_dataset_items(&dataset, &items, &err), err);
    assert_true(items->n_items > 5000);
    assert_error(tr_dataset_user_history(&dataset, "1", 10, &history, &err), TR_ERR_UNSUPPORTED, "--history", err);
    tr_dataset_close(&dataset);
}

TR_TEST_MAIN(cmocka_unit_test(test_pristine_movielens_gives_the_published_rows),
             cmocka_unit_test(test_recbole_copy_gives_the_same_examples_but_for_13_titles),
             cmocka_unit_test(test_a_user_of_movielens_has_a_history_and_unseen_items),
             cmocka_unit_test(test_published_inputs_are_rebuilt_exactly),
             cmocka_unit_test(test_published_books_import_from_their_folder))
