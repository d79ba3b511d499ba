/* Tests of importing with small data sets: what is counted, what is refused and where, what is left in the folder. */
#include "folder.h"

#include "base/progress.h"
#include "rec/dataset.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Small data sets --------------------------------------------------------------------------------------- */

/* GroupLens' layout: `n_users` users rate all `n_items` items, user u the items from u on round about, one second
 * after the other; ratings 1 .. 5 in turn. `extra_*` is appended. */
static const char *write_grouplens(const char *folder, int n_users, int n_items, const char *extra_items,
                                   const char *extra_ratings)
{
    tr_str items = {0}, ratings = {0};
    char name[64];
    for (int i = 1; i <= n_items; i++) tr_str_addf(&items, "%d|Film %d (19%02d)|01-Jan-1995||url|0|1\n", i, i, i % 100);
    for (int u = 1; u <= n_users; u++)
        for (int i = 0; i < n_items; i++)
            tr_str_addf(&ratings, "u%d\t%d\t%d\t%d\n", u, (u + i) % n_items + 1, (u + i * i) % 5 + 1, 880000000 + i);
    tr_str_add(&items, extra_items);
    tr_str_add(&ratings, extra_ratings);
    snprintf(name, sizeof name, "%s/u.item", folder);
    file_with_bytes(name, items.data, items.size);
    snprintf(name, sizeof name, "%s/u.data", folder);
    file_with_bytes(name, ratings.data, ratings.size);
    tr_str_free(&items);
    tr_str_free(&ratings);
    return scratch(folder);
}

static tr_status import(const char *importer, const char *source, const char *out, const tr_import_options *options,
                        tr_card *card, tr_error *err)
{
    tr_import_options defaults = tr_import_defaults();
    return tr_import(importer, &source, 1, scratch(out), options ? options : &defaults, card, err);
}

/* Imports with standard error captured; the caller frees *shown. */
static tr_status import_shown(const char *source, const char *out, double max_bad, tr_card *card, char **shown,
                              tr_error *err)
{
    tr_import_options options = tr_import_defaults();
    tr_status status;
    options.max_bad = max_bad;
    CAPTURE_STDERR(*shown, status = import("movielens", source, out, &options, card, err));
    return status;
}

/* Counting and refusing --------------------------------------------------------------------------------- */

static void test_problems_are_counted_and_shown_with_their_line(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_card card;
    char *shown;
    const char *source = write_grouplens("source", 10, 40,
        "41|Caf\xe9 (1990)|x\n7|Twice|x\n\n|no id|x\n42\n43| |x\n",
        "u1\t99\t3\t880000000\nu2\t1\tgood\t880000001\nu2\t1\nu3\t1\t4\t880000099\nu3\t2\t5\tnoon\nu3\t\t5\t1\n"
        "u1\t41\t5\t880001000\r\n");
    assert_ok(import_shown(source, "out", 0.15, &card, &shown, &err), err);
    assert_int_equal(card.counts.lines, 45 + 407);
    assert_int_equal(card.counts.items, 41);
    assert_int_equal(card.counts.ratings, 401);
    assert_int_equal(card.counts.users, 10);
    assert_int_equal(card.counts.latin1_lines, 1);
    assert_int_equal(card.counts.bad_lines, 7);
    assert_int_equal(card.counts.duplicates, 2);
    assert_int_equal(card.counts.missing_items, 1);
    static const char *const mentions[] = {
        "u.item:42: item 7 is listed twice", "u.item:44: an item without id", "u.item:45: too few fields",
        "u.item:46: an item without title", "u.data:401: item 99 is not in the catalogue",
        "u.data:402: the rating is not a number", "u.data:403: too few fields", "u.data:404: a second rating",
    };
    for (size_t i = 0; i < sizeof mentions / sizeof *mentions; i++)
        if (!strstr(shown, mentions[i])) fail_msg("not shown: %s in\n%s", mentions[i], shown);
    assert_non_null(strstr(shown, "u.data:403: too few fields (more of this kind are only counted)"));
    assert_null(strstr(shown, "u.data:405"));
    free(shown);
    tr_card_clear(&card);

    assert_error(import_shown(source, "out2", 0.01, NULL, &shown, &err), TR_ERR_FORMAT, "--max-bad", err);
    assert_non_null(strstr(err.message, "4 of 45 rows"));
    assert_false(tr_folder_exists(scratch("out2")));
    free(shown);
}

static void test_latin1_titles_become_utf8_and_utf8_stays(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_dataset dataset;
    const tr_interactions *items;
    const char *source = write_grouplens("source", 10, 40, "l1|Caf\xe9|x\nu8|Caf\xc3\xa9|x\n", "");
    assert_ok(import("movielens", source, "out", NULL, NULL, &err), err);
    assert_ok(tr_dataset_open(scratch("out"), &dataset, &err), err);
    assert_ok(tr_dataset_items(&dataset, &items, &err), err);
    assert_string_equal(items->item[tr_interactions_item(items, "l1")].title, "Caf\xc3\xa9");
    assert_string_equal(items->item[tr_interactions_item(items, "u8")].title, "Caf\xc3\xa9");
    tr_dataset_close(&dataset);
}

static void test_hostile_lines_are_bad_lines(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_card card;
    char *shown, *longest = malloc(70001);
    static const char zero[] = "u1\t1\t3\0\t1\n";
    memset(longest, 'x', 70000);
    longest[70000] = '\0';
    const char *source = write_grouplens("source", 10, 40, longest, "");
    char *ratings = text_of(scratch("source/u.data"));
    tr_str with_zero = {0};
    tr_str_add(&with_zero, ratings);
    tr_str_add_bytes(&with_zero, zero, sizeof zero - 1);
    tr_str_add(&with_zero,
               "u1\t1\tnan\t1\nu1\t1\tinf\t1\nu1\t1\t1e999\t1\nu1\t1\t3\t1e99\nu1\t1\t3\t-4\nu1\t1\t3\t880000000.5");
    file_with_bytes("source/u.data", with_zero.data, with_zero.size);
    assert_ok(import_shown(source, "out", 0.05, &card, &shown, &err), err);
    assert_int_equal(card.counts.bad_lines, 8);
    assert_non_null(strstr(shown, "u.item:41: a line of more than 64 KiB"));
    assert_non_null(strstr(shown, "u.data:401: a NUL byte"));
    free(shown);
    free(ratings);
    free(longest);
    tr_str_free(&with_zero);
    tr_card_clear(&card);
}

static void test_unusable_sources_are_refused_by_name(void **state)
{
    (void)state;
    tr_error err;
    char *shown;
    assert_error(import("movielens", scratch("nowhere"), "out9", NULL, NULL, &err), TR_ERR_IO, "nowhere", err);
    assert_ok(tr_folder_create(scratch("nothing"), &err), err);
    assert_error(import("movielens", scratch("nothing"), "out9", NULL, NULL, &err), TR_ERR_UNSUPPORTED, "u.data",
                 err);

    write_grouplens("source9", 10, 40, "", "");
    file_with("source9/u.data", "");
    assert_error(import("movielens", scratch("source9"), "out9", NULL, NULL, &err), TR_ERR_FORMAT,
                 "u.data is empty", err);
    file_with("source9/u.data", "\n\n");
    assert_error(import("movielens", scratch("source9"), "out9", NULL, NULL, &err), TR_ERR_FORMAT, "no rows", err);
    file_with("source9/u.data", "all bad\n");
    assert_error(import_shown(scratch("source9"), "out9", 1, NULL, &shown, &err), TR_ERR_FORMAT, "1 of 1 rows", err);
    free(shown);
    unlink(scratch("source9/u.item"));
    assert_error(import("movielens", scratch("source9"), "out9", NULL, NULL, &err), TR_ERR_IO, "u.item", err);
    assert_error(import("netflix", scratch("source9"), "out9", NULL, NULL, &err), TR_ERR_USAGE,
                 "movielens, tallrec", err);
    assert_false(tr_folder_exists(scratch("out9")));
}

static void test_data_without_two_answers_or_windows_are_refused(void **state)
{
    (void)state;
    tr_error err;
    char *shown;
    tr_import_options options = tr_import_defaults();
    options.threshold = 5;
    const char *source = write_grouplens("source", 5, 20, "", "");
    CAPTURE_STDERR(shown, assert_error(import("movielens", source, "out9", &options, NULL, &err), TR_ERR_VALUE,
                                       "all 50 examples are No", err));
    assert_non_null(strstr(shown, "all 40 rows of train are No"));
    free(shown);
    options = tr_import_defaults();
    options.history = 20;
    assert_error(import("movielens", source, "out9", &options, NULL, &err), TR_ERR_VALUE, "more than 20 ratings", err);
    options.history = 0;
    assert_error(import("movielens", source, "out9", &options, NULL, &err), TR_ERR_USAGE, "history", err);
    options = tr_import_defaults();
    options.protocol = "leave-one-out";
    assert_error(import("movielens", source, "out9", &options, NULL, &err), TR_ERR_USAGE, "leave-one-out", err);
    options = tr_import_defaults();
    options.max_bad = 2;
    assert_error(import("movielens", source, "out9", &options, NULL, &err), TR_ERR_USAGE, "max-bad", err);
}

/* RecBole ----------------------------------------------------------------------------------------------- */

static void write_recbole(const char *items, const char *header)
{
    tr_str ratings = {0};
    tr_str_addf(&ratings, "%s\n", header);
    for (int u = 1; u <= 5; u++)
        for (int i = 1; i <= 15; i++) tr_str_addf(&ratings, "u%d\t%d\t%d.0\t%d.0\n", u, i, (u * i) % 5 + 1,
                                                  900000000 + i);
    file_with("recbole/x.inter", ratings.data);
    file_with("recbole/x.item", items);
    tr_str_free(&ratings);
}

static void test_recbole_columns_are_found_by_name(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_dataset dataset;
    const tr_interactions *items;
    tr_str text = {0};
    char *shown;
    tr_str_add(&text, "\xef\xbb\xbfitem_id:token\trelease_year:token\tclass:token_seq\tmovie_title:token_seq\n"
                      "1\t1995\tA B\tOne\n2\tV\tA B\tTwo\n3\t\tA\tThree\n4\tnone\tA\tnone\n"
                      "5\t2000\tA\t\"Say \"\"Five\"\"\"\n");
    for (int i = 6; i <= 15; i++) tr_str_addf(&text, "%d\t2000\tA\tFilm\n", i);
    write_recbole(text.data, "user_id:token\titem_id:token\trating:float\ttimestamp:float");
    CAPTURE_STDERR(shown, assert_ok(import("movielens", scratch("recbole"), "out", NULL, NULL, &err), err));
    assert_non_null(strstr(shown, "give 25 examples, fewer than the 10000"));
    free(shown);
    assert_ok(tr_dataset_open(scratch("out"), &dataset, &err), err);
    assert_string_equal(dataset.card.layout, "recbole");
    assert_ok(tr_dataset_items(&dataset, &items, &err), err);
    static const char *const titles[] = {"One (1995)", "Two (V)", "Three", "none", "Say \"Five\" (2000)",
                                         "Film (2000)"};
    for (size_t i = 0; i < 6; i++) assert_string_equal(items->item[i].title, titles[i]);
    tr_dataset_close(&dataset);

    write_recbole(text.data, "user_id:token\titem_id:token\trating:float\tmoment:float");
    assert_error(import("movielens", scratch("recbole"), "out", NULL, NULL, &err), TR_ERR_FORMAT,
                 "no column timestamp", err);
    write_recbole("item_id:token\n1\n", "user_id:token\titem_id:token\trating:float\ttimestamp:float");
    assert_error(import("movielens", scratch("recbole"), "out", NULL, NULL, &err), TR_ERR_FORMAT,
                 "no column movie_title", err);
    file_with("recbole/x.part1.inter", "x");
    assert_error(import("movielens", scratch("recbole"), "out", NULL, NULL, &err), TR_ERR_USAGE,
                 "more than one .inter", err);
    tr_str_free(&text);
}

/* The protocol ------------------------------------------------------------------------------------------ */

static void test_protocol_sorts_by_the_text_of_the_time_and_keeps_ties(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_dataset dataset;
    const tr_examples *train;
    tr_import_options options = tr_import_defaults();
    options.history = 2;
    options.max_windows = 3;
    /* As text "1000" < "20" < "999"; items 3 and 4 tie. User b came first. Windows of b: 6|4 3 -> 5; of a: two. */
    file_with("source/u.item", "1|A\n2|B\n3|C\n4|D\n5|E\n6|F\n");
    file_with("source/u.data", "b\t5\t4\t999\na\t1\t5\t999\nb\t4\t1\t20\nb\t3\t5\t20\na\t2\t3\t1000\nb\t6\t4\t1000\n"
                               "a\t3\t4\t20\na\t4\t1\t9990\n");
    assert_ok(import("movielens", scratch("source"), "out", &options, NULL, &err), err);
    assert_ok(tr_dataset_open(scratch("out"), &dataset, &err), err);
    assert_int_equal(dataset.card.counts.windows, 4);
    assert_int_equal(dataset.card.max_windows, 3);
    assert_ok(tr_dataset_split(&dataset, TR_TRAIN, &train, &err), err);
    assert_int_equal(train->n, 3);
    assert_string_equal(train->row[0].user, "b");
    assert_string_equal(train->row[0].item, "5");
    assert_string_equal(train->row[0].history[0].item, "4");
    assert_string_equal(train->row[0].history[1].item, "3");
    assert_string_equal(train->row[0].input, "User Preference: \"C\"\nUser Unpreference: \"D\"\n"
                                             "Whether the user will like the target movie \"E\"?");
    assert_string_equal(train->row[0].output, "Yes.");
    assert_string_equal(train->row[1].user, "a");
    assert_string_equal(train->row[1].item, "1");
    assert_string_equal(train->row[1].history[0].item, "2");
    assert_string_equal(train->row[2].item, "4");
    assert_string_equal(train->row[2].output, "No.");
    tr_user_history history;
    assert_ok(tr_dataset_user_history(&dataset, "b", 3, &history, &err), err);
    assert_int_equal(history.n, 3);
    assert_int_equal(history.n_seen, 4);
    assert_string_equal(history.item[0].title, "D");
    assert_string_equal(history.item[2].title, "E");
    assert_true(history.item[2].liked);
    assert_false(history.item[0].liked);
    tr_user_history_free(&history);
    tr_dataset_close(&dataset);
}

static void test_splits_are_eight_one_one_in_order(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_card card;
    const char *source = write_grouplens("source", 10, 40, "", "");
    assert_ok(import("movielens", source, "out", NULL, &card, &err), err);
    assert_int_equal(card.counts.windows, 300);
    assert_int_equal(card.split[TR_TRAIN].rows, 240);
    assert_int_equal(card.split[TR_VALID].rows, 30);
    assert_int_equal(card.split[TR_TEST].rows, 30);
    assert_int_equal(card.split[TR_TRAIN].users, 8);
    assert_int_equal(card.split[TR_TEST].users, 1);
    tr_card_clear(&card);
}

/* The folder -------------------------------------------------------------------------------------------- */

static void test_the_same_source_gives_the_same_bytes(void **state)
{
    (void)state;
    tr_error err = {0};
    static const char *const names[] = {"card.json", "train.jsonl", "valid.jsonl", "test.jsonl", "items.jsonl",
                                        "interactions.jsonl"};
    const char *source = write_grouplens("source", 10, 40, "", "");
    assert_ok(import("movielens", source, "same1", NULL, NULL, &err), err);
    assert_ok(import("movielens", source, "same2", NULL, NULL, &err), err);
    assert_ok(import("movielens", source, "same2", NULL, NULL, &err), err); /* over itself */
    for (size_t i = 0; i < 6; i++) {
        char a[64], b[64];
        snprintf(a, sizeof a, "same1/%s", names[i]);
        snprintf(b, sizeof b, "same2/%s", names[i]);
        char *x = text_of(scratch(a)), *y = text_of(scratch(b));
        assert_string_equal(x, y);
        free(x);
        free(y);
    }
}

static void test_a_folder_of_something_else_is_not_touched(void **state)
{
    (void)state;
    tr_error err = {0};
    const char *source = write_grouplens("source", 10, 40, "", "");
    file_with("precious/letter.txt", "dear");
    assert_error(import("movielens", source, "precious", NULL, NULL, &err), TR_ERR_USAGE, "not a data folder", err);
    file_with("precious/card.json", "{\"format\": \"playing cards\"}");
    assert_error(import("movielens", source, "precious", NULL, NULL, &err), TR_ERR_USAGE, "not a data folder", err);
    assert_false(tr_file_exists(scratch("precious/train.jsonl")));
    assert_error(import("movielens", source, "precious/letter.txt", NULL, NULL, &err), TR_ERR_USAGE, "is a file", err);
}

static void test_an_import_that_died_leaves_no_data_and_can_be_repeated(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_dataset dataset;
    const char *source = write_grouplens("source", 10, 40, "", "");
    assert_ok(import("movielens", source, "died", NULL, NULL, &err), err);
    assert_ok(tr_folder_create(scratch("died/valid.jsonl.d"), &err), err);
    unlink(scratch("died/valid.jsonl"));
    assert_int_equal(rename(scratch("died/valid.jsonl.d"), scratch("died/valid.jsonl")), 0); /* in the way */
    assert_error(import("movielens", source, "died", NULL, NULL, &err), TR_ERR_IO, "valid.jsonl", err);
    assert_error(tr_dataset_open(scratch("died"), &dataset, &err), TR_ERR_MISMATCH, "did not finish", err);
    rmdir(scratch("died/valid.jsonl"));
    assert_ok(import("movielens", source, "died", NULL, NULL, &err), err);
    assert_ok(tr_dataset_open(scratch("died"), &dataset, &err), err);
    tr_dataset_close(&dataset);
}

static void test_a_full_disk_is_reported_and_leaves_no_data(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_dataset dataset;
    struct rlimit before, small;
    const char *source = write_grouplens("source", 10, 40, "", "");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){20000, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    tr_status status = import("movielens", source, "full", NULL, NULL, &err);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, TR_ERR_IO);
    assert_non_null(strstr(err.message, "train.jsonl"));
    assert_error(tr_dataset_open(scratch("full"), &dataset, &err), TR_ERR_MISMATCH, "did not finish", err);
    assert_false(tr_file_exists(scratch("full/train.jsonl")));
    assert_ok(import("movielens", source, "full", NULL, NULL, &err), err);
}

/* Everything that the card of `folder` names, read and checked against its hash. */
static tr_status read_whole(const char *folder, tr_error *err)
{
    tr_dataset dataset;
    const tr_examples *rows;
    const tr_interactions *ratings;
    TR_TRY(tr_dataset_open(folder, &dataset, err));
    for (int s = 0; s < TR_N_SPLITS; s++) assert_ok(tr_dataset_split(&dataset, (tr_split)s, &rows, err), *err);
    assert_ok(tr_dataset_ratings(&dataset, &ratings, err), *err);
    tr_dataset_close(&dataset);
    return TR_OK;
}

static void test_an_import_killed_at_any_moment_leaves_whole_data_or_none(void **state)
{
    (void)state;
    tr_error err = {0};
    const char *source = write_grouplens("source", 10, 40, "", ""), *folder = scratch("killed");
    for (int i = 0; i < 25; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            tr_log_set(TR_LOG_QUIET);
            for (;;) (void)import("movielens", source, "killed", NULL, NULL, &err);
        }
        usleep((useconds_t)(1000 * (5 + 3 * i)));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        if (!tr_card_present(folder)) continue; /* killed before it began */
        if (read_whole(folder, &err) != TR_OK) assert_int_equal(err.status, TR_ERR_MISMATCH); /* did not finish */
    }
    file_with("killed/test.jsonl.tmp.1", "a leftover");
    assert_ok(import("movielens", source, "killed", NULL, NULL, &err), err);
    assert_ok(read_whole(folder, &err), err);
    assert_false(tr_file_exists(scratch("killed/test.jsonl.tmp.1")));
    file_with("first/card.json.tmp.1", "killed on its first file");
    assert_ok(import("movielens", source, "first", NULL, NULL, &err), err);
}

static void test_files_of_an_earlier_import_do_not_survive(void **state)
{
    (void)state;
    tr_error err = {0};
    const char *source = write_grouplens("source", 10, 40, "", "");
    assert_ok(import("movielens", source, "again", NULL, NULL, &err), err);
    const char *rows = file_with("test.json", "[{\"instruction\":\"i\",\"input\":\"\",\"output\":\"Yes.\"},"
                                              "{\"instruction\":\"i\",\"input\":\"\",\"output\":\"No.\"}]");
    assert_ok(import("tallrec", rows, "again", NULL, NULL, &err), err);
    assert_false(tr_file_exists(scratch("again/train.jsonl")));
    assert_false(tr_file_exists(scratch("again/interactions.jsonl")));
    assert_true(tr_file_exists(scratch("again/test.jsonl")));
}

/* Published rows ---------------------------------------------------------------------------------------- */

#define ROW(item, output)                                                                                 \
    "{\"instruction\":\"i\",\"input\":\"User Preference: \\\"A\\\"\\nUser Unpreference: \\nWhether the user will " \
    "like the target song \\\"" item "\\\"?\",\"output\":\"" output "\"}"

static void test_published_files_are_told_apart_by_name_or_mark(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_card card;
    tr_dataset dataset;
    const tr_interactions *items;
    char marked[1100];
    tr_import_options options = tr_import_defaults();
    snprintf(marked, sizeof marked, "test=%s", file_with("p/rows.json", "[" ROW("B", "Yes.") "," ROW("C", "No.") "]"));
    const char *sources[] = {marked, file_with("p/my-train.jsonl", ROW("B", "No.") "\n" ROW("D", "Yes.") "\n")};
    assert_ok(tr_import("tallrec", sources, 2, scratch("song"), &options, &card, &err), err);
    assert_int_equal(card.split[TR_TRAIN].rows, 2);
    assert_int_equal(card.split[TR_TEST].rows, 2);
    assert_string_equal(card.noun, "song");
    tr_card_clear(&card);
    assert_ok(tr_dataset_open(scratch("song"), &dataset, &err), err);
    assert_ok(tr_dataset_items(&dataset, &items, &err), err);
    assert_int_equal(items->n_items, 4);
    assert_string_equal(items->item[tr_interactions_item_titled(items, "C")].id, "C");
    tr_dataset_close(&dataset);

    sources[0] = scratch("p/rows.json");
    assert_error(tr_import("tallrec", sources, 2, scratch("song"), &options, NULL, &err), TR_ERR_USAGE,
                 "which split", err);
    sources[0] = sources[1];
    assert_error(tr_import("tallrec", sources, 2, scratch("song"), &options, NULL, &err), TR_ERR_USAGE,
                 "two files", err);
    sources[0] = file_with("p/train-or-test.json", "[]");
    assert_error(tr_import("tallrec", sources, 1, scratch("song"), &options, NULL, &err), TR_ERR_USAGE,
                 "which split", err);
    sources[0] = file_with("p/test.json", "[" ROW("B", "Yes."));
    assert_error(tr_import("tallrec", sources, 1, scratch("song"), &options, NULL, &err), TR_ERR_FORMAT,
                 "test.json", err);
    assert_error(tr_import("tallrec", sources, 0, scratch("song"), &options, NULL, &err), TR_ERR_USAGE,
                 "needs files", err);
}

TR_TEST_MAIN(cmocka_unit_test(test_problems_are_counted_and_shown_with_their_line),
             cmocka_unit_test(test_latin1_titles_become_utf8_and_utf8_stays),
             cmocka_unit_test(test_hostile_lines_are_bad_lines),
             cmocka_unit_test(test_unusable_sources_are_refused_by_name),
             cmocka_unit_test(test_data_without_two_answers_or_windows_are_refused),
             cmocka_unit_test(test_recbole_columns_are_found_by_name),
             cmocka_unit_test(test_protocol_sorts_by_the_text_of_the_time_and_keeps_ties),
             cmocka_unit_test(test_splits_are_eight_one_one_in_order),
             cmocka_unit_test(test_the_same_source_gives_the_same_bytes),
             cmocka_unit_test(test_a_folder_of_something_else_is_not_touched),
             cmocka_unit_test(test_an_import_that_died_leaves_no_data_and_can_be_repeated),
             cmocka_unit_test(test_a_full_disk_is_reported_and_leaves_no_data),
             cmocka_unit_test(test_an_import_killed_at_any_moment_leaves_whole_data_or_none),
             cmocka_unit_test(test_files_of_an_earlier_import_do_not_survive),
             cmocka_unit_test(test_published_files_are_told_apart_by_name_or_mark))
