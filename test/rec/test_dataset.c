/* Tests of cards, data folders that were changed, few-shot selection, and the files that `rank` takes. */
#include "folder.h"

#include "rec/dataset.h"
#include "rec/rank_input.h"
#include "rec/sample.h"

/* Cards ------------------------------------------------------------------------------------------------- */

static tr_card make_card(void)
{
    tr_card card = {.history = 10, .threshold = 3.5, .max_windows = 100, .counts = {.lines = 12, .windows = 7}};
    tr_error err = {0};
    assert_ok(tr_card_set(&card.tallrec, "0.1", &err), err);
    assert_ok(tr_card_set(&card.importer, "movielens", &err), err);
    assert_ok(tr_card_set(&card.layout, "grouplens", &err), err);
    assert_ok(tr_card_set(&card.protocol, "tallrec", &err), err);
    assert_ok(tr_card_set(&card.rule, "in words", &err), err);
    assert_ok(tr_card_set(&card.noun, "movie", &err), err);
    assert_ok(tr_card_add_source(&card, file_with("u.data", "abc"), &err), err);
    card.split[TR_TEST] = (tr_card_file){.rows = 5, .yes = 2, .users = 3};
    tr_sha256_hex("test", 4, card.split[TR_TEST].sha256);
    return card;
}

static void test_a_card_survives_its_file(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_card card = make_card(), read;
    char difference[200] = "";
    assert_ok(tr_folder_create(scratch("d"), &err), err);
    assert_false(tr_card_present(scratch("d")));
    assert_ok(tr_card_save(scratch("d"), &card, &err), err);
    assert_true(tr_card_present(scratch("d")));
    assert_ok(tr_card_load(scratch("d"), &read, &err), err);
    assert_true(tr_card_same(&card, &read, difference, sizeof difference));
    assert_string_equal(difference, "");
    assert_string_equal(read.source[0].name, "u.data");
    assert_string_equal(read.source[0].sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(read.source[0].bytes, 3);
    assert_float_equal(read.threshold, 3.5, 0);
    assert_int_equal(read.counts.lines, 12);
    assert_int_equal(read.counts.windows, 7);
    assert_int_equal(read.split[TR_TEST].yes, 2);
    assert_int_equal(read.split[TR_TEST].users, 3);
    assert_string_equal(read.split[TR_TRAIN].sha256, "");
    tr_card_clear(&card);
    tr_card_clear(&read);
}

static void expect_difference(tr_card *changed, const char *mention)
{
    char difference[200] = "";
    tr_card card = make_card();
    assert_false(tr_card_same(&card, changed, difference, sizeof difference));
    if (!strstr(difference, mention)) fail_msg("'%s' does not mention '%s'", difference, mention);
    tr_card_clear(&card);
    tr_card_clear(changed);
}

static void test_cards_that_differ_say_in_what(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_card card = make_card();
    card.threshold = 4;
    expect_difference(&card, "threshold: 3.5 and 4");
    card = make_card();
    card.history = 5;
    expect_difference(&card, "history: 10 and 5");
    card = make_card();
    card.source[0].sha256[0] = 'f';
    expect_difference(&card, "SHA-256 of u.data");
    card = make_card();
    memset(&card.split[TR_TEST], 0, sizeof card.split[0]);
    expect_difference(&card, "SHA-256 of test.jsonl");
    card = make_card();
    assert_ok(tr_card_set(&card.protocol, "other", &err), err);
    expect_difference(&card, "protocol: tallrec and other");
    card = make_card();
    assert_ok(tr_card_set(&card.tallrec, "9.9", &err), err);
    tr_card same = make_card();
    assert_true(tr_card_same(&card, &same, NULL, 0));
    tr_card_clear(&card);
    tr_card_clear(&same);
}

static void test_what_is_not_a_card_is_refused(void **state)
{
    (void)state;
    tr_error err;
    tr_card card;
    static const struct { const char *text, *mention; tr_status status; } cases[] = {
        {"", "card.json", TR_ERR_FORMAT},
        {"[]", "format", TR_ERR_FORMAT},
        {"{\"format\":\"tallrec-data\"}", "format_version", TR_ERR_FORMAT},
        {"{\"format\":\"tallrec-data\",\"format_version\":99}", "version 99", TR_ERR_UNSUPPORTED},
        {"{\"format\":\"tallrec-data\",\"format_version\":1,\"unfinished\":true}", "did not finish", TR_ERR_MISMATCH},
        {"{\"format\":\"tallrec-data\",\"format_version\":1,\"tallrec\":\"1\",\"importer\":\"a\",\"layout\":\"b\","
         "\"sources\":[{\"name\":\"x\",\"bytes\":-1,\"sha256\":\"\"}]}", "bytes is negative", TR_ERR_FORMAT},
        {"{\"format\":\"tallrec-data\",\"format_version\":1,\"tallrec\":\"1\",\"importer\":\"a\",\"layout\":\"b\","
         "\"sources\":[{\"name\":\"x\",\"bytes\":1,\"sha256\":\"12\"}]}", "64 digits", TR_ERR_FORMAT},
        {"{\"format\":\"tallrec-data\",\"format_version\":1,\"tallrec\":\"1\",\"importer\":\"a\",\"layout\":\"b\","
         "\"sources\":[],\"protocol\":5}", "name", TR_ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        file_with("bad/card.json", cases[i].text);
        assert_error(tr_card_load(scratch("bad"), &card, &err), cases[i].status, cases[i].mention, err);
    }
    assert_error(tr_card_load(scratch("absent"), &card, &err), TR_ERR_IO, "tallrec import", err);
}

static void test_split_names(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_split split;
    assert_ok(tr_split_parse("valid", &split, &err), err);
    assert_int_equal(split, TR_VALID);
    assert_error(tr_split_parse("dev", &split, &err), TR_ERR_USAGE, "dev", err);
}

/* Data folders ------------------------------------------------------------------------------------------ */

static void make_folder(const char *name)
{
    tr_error err = {0};
    tr_str ratings = {0};
    char *shown;
    for (int u = 1; u <= 4; u++)
        for (int i = 1; i <= 14; i++) tr_str_addf(&ratings, "%d\t%d\t%d\t%d\n", u, i, (u * i) % 5 + 1,
                                                  800000000 + 60 * i);
    file_with("g/u.item",
              "1|A|\n2|B|\n3|C|\n4|D|\n5|E|\n6|F|\n7|G|\n8|H|\n9|I|\n10|J|\n11|K|\n12|L|\n13|M|\n14|N|\n15|O|\n");
    file_with("g/u.data", ratings.data);
    tr_str_free(&ratings);
    const char *source = scratch("g");
    tr_import_options options = tr_import_defaults();
    CAPTURE_STDERR(shown, assert_ok(tr_import("movielens", &source, 1, scratch(name), &options, NULL, &err), err));
    free(shown);
}

static void test_a_changed_file_is_noticed(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_dataset dataset;
    const tr_examples *rows;
    const tr_interactions *interactions;
    make_folder("data");
    char *text = text_of(scratch("data/train.jsonl"));
    text[5] = 'X';
    file_with("data/train.jsonl", text);
    free(text);
    file_with("data/items.jsonl", "{\"id\":\"1\",\"title\":\"A\"}\n");
    unlink(scratch("data/test.jsonl"));
    assert_ok(tr_dataset_open(scratch("data"), &dataset, &err), err);
    assert_ok(tr_dataset_split(&dataset, TR_VALID, &rows, &err) == TR_ERR_VALUE || rows->n ? TR_OK : TR_ERR_IO, err);
    assert_error(tr_dataset_split(&dataset, TR_TRAIN, &rows, &err), TR_ERR_MISMATCH, "train.jsonl", err);
    assert_error(tr_dataset_split(&dataset, TR_TEST, &rows, &err), TR_ERR_IO, "test.jsonl", err);
    assert_error(tr_dataset_ratings(&dataset, &interactions, &err), TR_ERR_MISMATCH, "items.jsonl", err);
    tr_dataset_close(&dataset);
}

static void test_a_user_history_is_the_last_ratings_in_time_order(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_dataset dataset;
    tr_user_history history;
    make_folder("data");
    assert_ok(tr_dataset_open(scratch("data"), &dataset, &err), err);
    assert_ok(tr_dataset_user_history(&dataset, "2", 3, &history, &err), err);
    assert_int_equal(history.n, 3);
    assert_string_equal(history.item[0].title, "L");
    assert_string_equal(history.item[2].item, "14");
    assert_true(history.item[0].liked); /* 2 * 12 % 5 + 1 = 5 */
    assert_false(history.item[1].liked);
    assert_int_equal(history.n_seen, 14);
    assert_int_equal(history.seen[0], 1);
    assert_int_equal(history.seen[14], 0);
    tr_user_history_free(&history);
    assert_ok(tr_dataset_user_history(&dataset, "2", 100, &history, &err), err);
    assert_int_equal(history.n, 14);
    tr_user_history_free(&history);
    assert_error(tr_dataset_user_history(&dataset, "77", 3, &history, &err), TR_ERR_VALUE, "77", err);
    tr_dataset_close(&dataset);
}

static void test_broken_interaction_files_are_format_errors_at_their_line(void **state)
{
    (void)state;
    tr_error err;
    tr_interactions interactions = {0};
    assert_error(tr_items_read(file_with("i", "{\"id\":\"1\",\"title\":\"A\"}\n{\"id\":\"1\",\"title\":\"B\"}\n"),
                               &interactions, &err),
                 TR_ERR_FORMAT, "i:2", err);
    assert_error(tr_items_read(file_with("i", "{\"id\":\"2\"}\n"), &interactions, &err), TR_ERR_FORMAT, "title", err);
    assert_error(tr_items_read(file_with("i", "nonsense\n"), &interactions, &err), TR_ERR_FORMAT, "i:1", err);
    assert_error(tr_ratings_read(file_with("r",
            "{\"user\":\"1\",\"item\":\"1\",\"rating\":1}\n{\"user\":\"1\",\"item\":\"9\",\"rating\":1}\n"),
                                 &interactions, &err), TR_ERR_FORMAT, "r:2", err);
    assert_error(tr_ratings_read(file_with("r", "{\"user\":\"1\",\"item\":\"1\",\"rating\":\"x\"}\n"),
                                 &interactions, &err),
                 TR_ERR_FORMAT, "rating", err);
    tr_interactions_free(&interactions);
}

static void test_ids_are_found_among_many(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_idmap map = {0};
    static char keys[5000][12];
    assert_true(tr_idmap_get(&map, "0") == TR_NOT_FOUND);
    for (size_t i = 0; i < 5000; i++) {
        snprintf(keys[i], sizeof keys[i], "%zu", i * 7);
        assert_ok(tr_idmap_add(&map, keys[i], i, &err), err);
    }
    assert_ok(tr_idmap_add(&map, "7", 99, &err), err); /* the first value stays */
    assert_int_equal(map.n, 5000);
    for (size_t i = 0; i < 5000; i++) assert_int_equal(tr_idmap_get(&map, keys[i]), i);
    assert_true(tr_idmap_get(&map, "8") == TR_NOT_FOUND);
    tr_idmap_free(&map);
}

/* Few-shot selection ------------------------------------------------------------------------------------ */

/* n rows of which every third is a yes. */
static tr_examples make_rows(size_t n)
{
    tr_examples rows = {.row = calloc(n, sizeof *rows.row), .n = n, .capacity = n};
    for (size_t i = 0; i < n; i++) rows.row[i].label = i % 3 == 0;
    return rows;
}

static void test_selections_are_distinct_repeatable_and_nested(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_examples rows = make_rows(300);
    for (int balanced = 0; balanced < 2; balanced++) {
        uint32_t *large, *small, *again, *other;
        size_t n_large, n_small, n;
        bool seen[300] = {false};
        assert_ok(tr_sample_rows(&rows, 64, 5, balanced, &large, &n_large, &err), err);
        assert_ok(tr_sample_rows(&rows, 15, 5, balanced, &small, &n_small, &err), err);
        assert_ok(tr_sample_rows(&rows, 64, 5, balanced, &again, &n, &err), err);
        assert_int_equal(n_large, 64);
        assert_int_equal(n_small, 15);
        assert_memory_equal(large, small, 15 * sizeof *small);
        assert_memory_equal(large, again, 64 * sizeof *small);
        assert_ok(tr_sample_rows(&rows, 64, 6, balanced, &other, &n, &err), err);
        assert_memory_not_equal(large, other, 64 * sizeof *small);
        size_t yes = 0;
        for (size_t i = 0; i < 64; i++) {
            assert_true(large[i] < 300 && !seen[large[i]]);
            seen[large[i]] = true;
            yes += rows.row[large[i]].label == 1;
            if (balanced) assert_int_equal(rows.row[large[i]].label, i % 2 == 0);
        }
        if (balanced) assert_int_equal(yes, 32);
        free(large);
        free(small);
        free(again);
        free(other);
    }
    tr_examples_free(&rows);
}

static void test_every_row_is_equally_likely_to_be_chosen(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_examples rows = make_rows(20);
    int times[20] = {0};
    for (uint64_t seed = 0; seed < 4000; seed++) {
        uint32_t *chosen;
        size_t n;
        assert_ok(tr_sample_rows(&rows, 5, seed, false, &chosen, &n, &err), err);
        for (size_t i = 0; i < n; i++) times[chosen[i]]++;
        free(chosen);
    }
    for (int i = 0; i < 20; i++) assert_in_range(times[i], 860, 1140); /* 1000 expected, sd 27 */
    tr_examples_free(&rows);
}

static void test_all_rows_come_in_file_order(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_examples rows = make_rows(9);
    static const int64_t all[] = {0, -1, 9, 1000};
    for (size_t k = 0; k < 4; k++) {
        uint32_t *chosen;
        size_t n;
        assert_ok(tr_sample_rows(&rows, all[k], 1, false, &chosen, &n, &err), err);
        assert_int_equal(n, 9);
        for (uint32_t i = 0; i < 9; i++) assert_int_equal(chosen[i], i);
        free(chosen);
    }
    tr_examples_free(&rows);
}

static void test_balance_takes_what_the_rarer_answer_allows_and_no_more(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_examples rows = make_rows(10); /* 4 yes, 6 no */
    uint32_t *chosen;
    size_t n;
    assert_ok(tr_sample_rows(&rows, 0, 1, true, &chosen, &n, &err), err);
    assert_int_equal(n, 8);
    free(chosen);
    assert_ok(tr_sample_rows(&rows, 7, 1, true, &chosen, &n, &err), err);
    assert_int_equal(n, 7);
    free(chosen);
    assert_error(tr_sample_rows(&rows, 9, 1, true, &chosen, &n, &err), TR_ERR_VALUE, "4 Yes and 6 No", err);
    for (size_t i = 0; i < 10; i++) rows.row[i].label = 1;
    assert_error(tr_sample_rows(&rows, 4, 1, true, &chosen, &n, &err), TR_ERR_UNDEFINED, "one answer", err);
    rows.row[3].label = rows.row[4].label = rows.row[5].label = rows.row[6].label = rows.row[7].label = 0;
    assert_ok(tr_sample_rows(&rows, 10, 1, true, &chosen, &n, &err), err);
    assert_int_equal(n, 10);
    free(chosen);
    rows.n = 9; /* 4 yes, 5 no: an odd count of all would take one yes too many */
    assert_error(tr_sample_rows(&rows, 9, 1, true, &chosen, &n, &err), TR_ERR_VALUE, "balanced", err);
    rows.row[3].label = 1; /* 5 yes, 4 no */
    assert_ok(tr_sample_rows(&rows, 9, 1, true, &chosen, &n, &err), err);
    assert_int_equal(n, 9);
    free(chosen);
    rows.n = 10;
    tr_examples_free(&rows);
}

/* What `rank` takes ------------------------------------------------------------------------------------- */

static tr_interactions make_catalogue(void)
{
    tr_interactions catalogue = {0};
    tr_error err = {0};
    assert_ok(tr_interactions_add_item(&catalogue, "1", "Alpha", &err), err);
    assert_ok(tr_interactions_add_item(&catalogue, "2", "Beta, \"B\"", &err), err);
    assert_ok(tr_interactions_add_item(&catalogue, "300", "1", &err), err); /* a title that is another's id */
    return catalogue;
}

static void test_histories_are_read_from_json_jsonl_and_tsv(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[{\"title\":\"Alpha\",\"liked\":true},{\"item\":2,\"liked\":0},{\"title\":\"New\",\"liked\":\"yes\"}]",
        "{\"title\":\"Alpha\",\"liked\":1}\n\n{\"item\":\"2\",\"liked\":false}\n{\"title\":\"New\",\"liked\":true}",
        "Alpha\tyes\r\n2\tNo\n\nNew \t 1\n",
    };
    tr_interactions catalogue = make_catalogue();
    tr_error err = {0};
    for (size_t i = 0; i < 3; i++) {
        tr_history_item *history;
        size_t n;
        char *shown;
        CAPTURE_STDERR(shown, assert_ok(tr_history_read(file_with("h", texts[i]), &catalogue, &history, &n, &err),
                                        err));
        assert_non_null(strstr(shown, "\"New\" is not in the catalogue"));
        free(shown);
        assert_int_equal(n, 3);
        assert_string_equal(history[0].item, "1");
        assert_true(history[0].liked);
        assert_string_equal(history[1].title, "Beta, \"B\"");
        assert_false(history[1].liked);
        assert_string_equal(history[2].title, "New");
        assert_null(history[2].item);
        assert_true(history[2].liked);
        tr_history_free(history, n);
    }
    tr_interactions_free(&catalogue);
}

static void test_bad_histories_are_refused_at_their_line(void **state)
{
    (void)state;
    static const struct { const char *text, *mention; tr_status status; } cases[] = {
        {"", "empty", TR_ERR_VALUE},
        {" \n", "empty", TR_ERR_VALUE},
        {"[]", "names no item", TR_ERR_VALUE},
        {"Alpha\n", "h:1", TR_ERR_FORMAT},
        {"Alpha\tyes\nBeta\tperhaps\n", "h:2", TR_ERR_FORMAT},
        {"\tyes\n", "h:1", TR_ERR_VALUE},
        {"[{\"title\":\"A\",\"liked\":true},{\"title\":\"A\",\"liked\":2}]", "h:2", TR_ERR_FORMAT},
        {"[{\"liked\":true}]", "h:1", TR_ERR_FORMAT},
        {"[{\"item\":\"99\",\"liked\":true}]", "no such item", TR_ERR_VALUE},
        {"[1.5]", "h:1", TR_ERR_FORMAT},
        {"[1, 2", "h", TR_ERR_FORMAT},
        {"{\"title\": 5, \"liked\": true}", "neither a title", TR_ERR_FORMAT},
    };
    tr_interactions catalogue = make_catalogue();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tr_history_item *history;
        size_t n;
        tr_error err;
        char *shown;
        const char *path = file_with("h", cases[i].text);
        CAPTURE_STDERR(shown, assert_error(tr_history_read(path, &catalogue, &history, &n, &err), cases[i].status,
                                           cases[i].mention, err));
        free(shown);
        assert_null(history);
    }
    tr_interactions_free(&catalogue);
}

static void test_candidates_are_ids_or_titles_and_count_once(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "Beta, \"B\"\n1\nAlpha\n300\nBeta, \"B\"\n",
        "[2, \"1\", \"Alpha\", 300]",
        "[{\"item\": 2}, {\"title\": \"Alpha\"}, {\"title\": \"1\"}]",
        "{\"item\": \"2\"}\n{\"title\": \"Alpha\"}\n{\"item\": 300}\n",
    };
    tr_interactions catalogue = make_catalogue();
    tr_error err = {0};
    for (size_t i = 0; i < 4; i++) {
        tr_item *items;
        size_t n;
        assert_ok(tr_candidates_read(file_with("c", texts[i]), &catalogue, &items, &n, &err), err);
        assert_int_equal(n, 3);
        assert_string_equal(items[0].id, "2");
        assert_string_equal(items[1].title, "Alpha");
        assert_string_equal(items[2].id, "300");
        tr_candidates_free(items, n);
        assert_ok(tr_candidates_read(file_with("c", "Any title\n"), NULL, &items, &n, &err), err);
        assert_null(items[0].id);
        tr_candidates_free(items, n);
    }
    tr_interactions_free(&catalogue);
}

static void test_a_question_is_made_of_history_and_candidate(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_example example;
    tr_history_item history[] = {{.title = "A", .liked = true}, {.item = "7", .title = "B"}};
    assert_ok(tr_example_make("movie", history, 2, "9", "T", &example, &err), err);
    assert_string_equal(example.input, "User Preference: \"A\"\nUser Unpreference: \"B\"\n"
                                       "Whether the user will like the target movie \"T\"?");
    assert_non_null(strstr(example.instruction, "target movie"));
    assert_int_equal(example.label, -1);
    assert_string_equal(example.history[1].item, "7");
    assert_true(example.history_timed);
    tr_example_clear(&example);
    assert_ok(tr_example_make("movie", NULL, 0, NULL, "T", &example, &err), err);
    assert_int_equal(example.n_history, 0);
    tr_example_clear(&example);
}

TR_TEST_MAIN(cmocka_unit_test(test_a_card_survives_its_file),
             cmocka_unit_test(test_cards_that_differ_say_in_what),
             cmocka_unit_test(test_what_is_not_a_card_is_refused),
             cmocka_unit_test(test_split_names),
             cmocka_unit_test(test_a_changed_file_is_noticed),
             cmocka_unit_test(test_a_user_history_is_the_last_ratings_in_time_order),
             cmocka_unit_test(test_broken_interaction_files_are_format_errors_at_their_line),
             cmocka_unit_test(test_ids_are_found_among_many),
             cmocka_unit_test(test_selections_are_distinct_repeatable_and_nested),
             cmocka_unit_test(test_every_row_is_equally_likely_to_be_chosen),
             cmocka_unit_test(test_all_rows_come_in_file_order),
             cmocka_unit_test(test_balance_takes_what_the_rarer_answer_allows_and_no_more),
             cmocka_unit_test(test_histories_are_read_from_json_jsonl_and_tsv),
             cmocka_unit_test(test_bad_histories_are_refused_at_their_line),
             cmocka_unit_test(test_candidates_are_ids_or_titles_and_count_once),
             cmocka_unit_test(test_a_question_is_made_of_history_and_candidate))
