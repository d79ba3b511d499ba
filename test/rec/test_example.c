/* Tests of examples: reading and writing rows, the text of prompts taken apart and put together. */
#include "folder.h"

#include "rec/example.h"

#define PROMPT(likes, dislikes, noun, title)                                                                  \
    "User Preference: " likes "\nUser Unpreference: " dislikes "\nWhether the user will like the target " noun \
    " \"" title "\"?"

/* Reading ----------------------------------------------------------------------------------------------- */

static const char good_row[] = "{\"instruction\": \"i\", \"input\": \"\", \"output\": \"Yes.\"}\n";

static void test_answers_are_read_as_people_write_them(void **state)
{
    (void)state;
    assert_int_equal(tr_answer_label("Yes."), 1);
    assert_int_equal(tr_answer_label(" no\n"), 0);
    assert_int_equal(tr_answer_label("NO."), 0);
    assert_int_equal(tr_answer_label("Yes.."), -1);
    assert_int_equal(tr_answer_label("Not"), -1);
    assert_int_equal(tr_answer_label(""), -1);
    assert_int_equal(tr_answer_label("."), -1);
}

static void test_jsonl_and_array_give_the_same_rows(void **state)
{
    (void)state;
    const char *row = "{\"instruction\":\"i\",\"input\":\"x\",\"output\":\"No.\",\"user\":7,\"item\":\"a\",\"time\":12,"
                      "\"history\":[{\"title\":\"B\",\"liked\":false},{\"item\":3,\"title\":\"A\",\"liked\":true}]}";
    char text[1024];
    tr_error err = {0};
    for (int form = 0; form < 2; form++) {
        tr_examples rows;
        size_t n_bad;
        snprintf(text, sizeof text, form ? "[%s,\n%s]" : "%s\n\n%s\n", row, row);
        assert_ok(tr_examples_read(file_with("rows", text), true, &rows, &n_bad, &err), err);
        assert_int_equal(n_bad, 0);
        assert_int_equal(rows.n, 2);
        const tr_example *second = &rows.row[1];
        assert_int_equal(second->line, form ? 2 : 3);
        assert_string_equal(second->user, "7");
        assert_string_equal(second->item, "a");
        assert_null(second->title);
        assert_int_equal(second->time, 12);
        assert_int_equal(second->label, 0);
        assert_true(second->history_timed);
        assert_int_equal(second->n_history, 2);
        assert_null(second->history[0].item);
        assert_string_equal(second->history[1].item, "3");
        assert_true(second->history[1].liked);
        assert_float_equal(tr_example_like_share(second), 0.5, 0);
        tr_examples_free(&rows);
    }
}

static void test_what_is_written_reads_back_the_same(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_examples first, second;
    const char *path = file_with("rows",
        "{\"instruction\":\"quoted \\\" and \\\\ and \xc3\xa9\",\"input\":\"a\\tb\\u0001\",\"output\":\"Yes.\","
        "\"user\":\"u\",\"title\":\"T\",\"time\":-5,\"history\":[{\"item\":\"1\",\"title\":\"A\",\"liked\":true}]}\n"
        "{\"instruction\":\"i\",\"output\":\"No.\"}\n");
    assert_ok(tr_examples_read(path, true, &first, NULL, &err), err);
    assert_ok(tr_examples_write(scratch("copy"), &first, &err), err);
    assert_ok(tr_examples_read(scratch("copy"), true, &second, NULL, &err), err);
    assert_int_equal(second.n, 2);
    assert_string_equal(second.row[0].instruction, "quoted \" and \\ and \xc3\xa9");
    assert_string_equal(second.row[0].input, "a\tb\001");
    assert_int_equal(second.row[0].time, -5);
    assert_int_equal(second.row[0].n_history, 1);
    assert_true(second.row[0].history_timed);
    assert_string_equal(second.row[1].input, "");
    assert_null(second.row[1].user);
    assert_int_equal(second.row[1].time, -1);
    assert_ok(tr_examples_write(scratch("again"), &second, &err), err);
    char *a = text_of(scratch("copy")), *b = text_of(scratch("again"));
    assert_string_equal(a, b);
    free(a);
    free(b);
    tr_examples_free(&first);
    tr_examples_free(&second);
}

static void test_one_bad_row_in_a_hundred_is_let_pass_and_shown_with_its_line(void **state)
{
    (void)state;
    tr_str text = {0};
    tr_error err = {0};
    tr_examples rows;
    size_t n_bad;
    char *shown;
    for (int i = 0; i < 99; i++) tr_str_add(&text, good_row);
    tr_str_add(&text, "{\"instruction\": 5, \"output\": \"Yes.\"}\n");
    CAPTURE_STDERR(shown, assert_ok(tr_examples_read(file_with("rows", text.data), true, &rows, &n_bad, &err), err));
    assert_int_equal(rows.n, 99);
    assert_int_equal(n_bad, 1);
    assert_non_null(strstr(shown, "rows:100: no text in instruction or output"));
    free(shown);
    tr_examples_free(&rows);
    tr_str_add(&text, "{\"instruction\": \"i\", \"output\": \"Perhaps.\"}\n");
    const char *path = file_with("rows", text.data);
    CAPTURE_STDERR(shown, assert_error(tr_examples_read(path, true, &rows, &n_bad, &err), TR_ERR_FORMAT,
                                       "rows:100", err));
    assert_int_equal(n_bad, 2);
    assert_non_null(strstr(shown, "rows:101: the output is neither Yes nor No"));
    free(shown);
    /* Rows for instruction tuning have any output. */
    CAPTURE_STDERR(shown, assert_ok(tr_examples_read(path, false, &rows, &n_bad, &err), err));
    assert_int_equal(rows.row[99].label, -1);
    free(shown);
    tr_examples_free(&rows);
    tr_str_free(&text);
}

static void test_only_five_bad_rows_are_shown(void **state)
{
    (void)state;
    tr_str text = {0};
    tr_error err = {0};
    tr_examples rows;
    size_t n_bad;
    char *shown;
    tr_str_add(&text, good_row);
    for (int i = 0; i < 9; i++) tr_str_add(&text, "{}\n");
    CAPTURE_STDERR(shown, assert_error(tr_examples_read(file_with("rows", text.data), true, &rows, &n_bad, &err),
                                       TR_ERR_FORMAT, "9 of 10 rows", err));
    assert_non_null(strstr(shown, "rows:6:"));
    assert_null(strstr(shown, "rows:7:"));
    assert_non_null(strstr(shown, "9 bad rows in all"));
    free(shown);
    tr_str_free(&text);
}

static void test_hostile_rows_are_refused_by_name(void **state)
{
    (void)state;
    tr_error err;
    tr_examples rows;
    char *shown;
    static const struct { const char *text, *mention; } cases[] = {
        {"", "holds no examples"},
        {"\n\n", "holds no examples"},
        {"[]", "holds no examples"},
        {"[{\"instruction\": \"i\", \"output\": \"Yes.\"", "rows"},
        {"{\"instruction\": \"i\", \"output\": \"Yes.\"", "rows:1"},
        {"not json at all\n", "rows:1"},
        {"{\"instruction\":\"i\",\"output\":\"No.\",\"history\":[1]}", "history entry"},
        {"{\"instruction\":\"i\",\"output\":\"No.\",\"history\":[{\"title\":\"a\"}]}", "history entry"},
        {"{\"instruction\":\"i\",\"output\":\"No.\",\"history\":{}}", "history is not an array"},
        {"{\"instruction\":\"i\",\"output\":\"No.\",\"user\":[]}", "neither text nor a whole number"},
        {"{\"instruction\":\"i\",\"output\":\"No.\",\"input\":1.5}", "neither text nor a whole number"},
        {"{\"instruction\":\"i\",\"output\":\"No.\",\"time\":\"now\"}", "time is not"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = file_with("rows", cases[i].text);
        CAPTURE_STDERR(shown, assert_error(tr_examples_read(path, true, &rows, NULL, &err), TR_ERR_FORMAT,
                                           cases[i].mention, err));
        free(shown);
        assert_int_equal(rows.n, 0);
    }
    assert_error(tr_examples_read(scratch("none"), true, &rows, NULL, &err), TR_ERR_IO, "none", err);
}

/* Prompts ----------------------------------------------------------------------------------------------- */

/* An example whose history is parsed from `input`. */
static tr_example parsed(const char *input)
{
    tr_example example = {.input = strdup(input)};
    tr_error err = {0};
    assert_ok(tr_example_parse_input(&example, &err), err);
    return example;
}

static void expect_shortened(const tr_example *example, size_t skip, const char *expected)
{
    char *text;
    tr_error err = {0};
    assert_ok(tr_example_shortened_input(example, skip, &text, &err), err);
    assert_string_equal(text, expected);
    free(text);
}

static tr_example with_history(const tr_history_item *history, size_t n, const char *title)
{
    tr_example example = {.title = strdup(title), .n_history = n, .history_timed = true};
    example.history = calloc(n, sizeof *example.history);
    for (size_t i = 0; i < n; i++)
        example.history[i] = (tr_history_item){.title = strdup(history[i].title), .liked = history[i].liked};
    return example;
}

static void test_movie_input_lists_likes_then_dislikes_in_window_order(void **state)
{
    (void)state;
    tr_error err = {0};
    char *text;
    tr_example example = with_history((tr_history_item[]){{.title = "A", .liked = true}, {.title = "B"},
                                                          {.title = "C", .liked = true}}, 3, "T");
    assert_ok(tr_example_input(&example, "movie", 0, &text, &err), err);
    assert_string_equal(text, PROMPT("\"A\", \"C\"", "\"B\"", "movie", "T"));
    free(text);
    assert_ok(tr_example_input(&example, "movie", 1, &text, &err), err);
    assert_string_equal(text, PROMPT("\"C\"", "\"B\"", "movie", "T"));
    free(text);
    assert_ok(tr_example_input(&example, "book", 99, &text, &err), err);
    assert_string_equal(text, PROMPT("", "", "book", "T"));
    free(text);
    tr_example_clear(&example);
}

static void test_parsing_finds_the_entries_of_movie_and_book_prompts(void **state)
{
    (void)state;
    tr_error err = {0};
    char *noun;
    tr_example movie = parsed(PROMPT("\"A, The (1990)\", \"Say \"B\"\"", "", "movie", "T"));
    assert_int_equal(movie.n_history, 2);
    assert_false(movie.history_timed);
    assert_string_equal(movie.history[0].title, "A, The (1990)");
    assert_string_equal(movie.history[1].title, "Say \"B\"");
    assert_true(movie.history[1].liked);
    assert_string_equal(movie.title, "T");
    assert_ok(tr_example_noun(&movie, &noun, &err), err);
    assert_string_equal(noun, "movie");
    free(noun);
    tr_example_clear(&movie);

    tr_example book = parsed(PROMPT("", "\"X, \"and\" Y\" written by P, Q, \"Z\" written by R", "book",
                                    "\"W\" written by S"));
    assert_int_equal(book.n_history, 2);
    assert_string_equal(book.history[0].title, "\"X, \"and\" Y\" written by P, Q");
    assert_string_equal(book.history[1].title, "\"Z\" written by R");
    assert_false(book.history[0].liked);
    assert_string_equal(book.title, "\"W\" written by S");
    assert_float_equal(tr_example_like_share(&book), 0.25, 0);
    tr_example_clear(&book);
}

static void test_taking_apart_and_putting_together_gives_the_same_bytes(void **state)
{
    (void)state;
    static const char *const inputs[] = {
        PROMPT("", "", "movie", "T"),
        PROMPT("\"\"", "\"\", \"\"", "movie", ""),
        PROMPT("\"a\"\", \"", "\"\", \"", "movie", "a last quote that opens nothing"),
        PROMPT("\"a\", \"b, \"c\", \"d\"", "\"e\"\"", "movie", "\"?"),
        PROMPT("\"User Unpreference: \"", "\"x\nUser Unpreference: y\"", "movie", "T"),
        PROMPT("\"A\" written by B, \"C\" written by D \"E\", F", "\"\" written by ", "book", "\"G\" written by \"H\""),
        PROMPT("\"A\" written by B, \"no author\", \"C\" written by D", "\"plain\"", "book", "G"),
        PROMPT("\"x\nWhether the user will like the target movie \"", "", "movie", "T"),
    };
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        tr_example example = parsed(inputs[i]);
        char *again;
        tr_error err = {0};
        assert_non_null(example.title);
        expect_shortened(&example, 0, inputs[i]);
        assert_ok(tr_example_input(&example, strstr(inputs[i], "book") ? "book" : "movie", 0, &again, &err), err);
        assert_string_equal(again, inputs[i]);
        free(again);
        tr_example_clear(&example);
    }
}

static void test_inputs_of_another_shape_are_left_alone(void **state)
{
    (void)state;
    static const char *const inputs[] = {
        "", "hello", "User Preference: ", "User Preference: \"A\"\nUser Unpreference: ",
        "User Preference: A\nUser Unpreference: \nWhether the user will like the target movie \"T\"?",
        "User Preference: \"\nUser Unpreference: \nWhether the user will like the target movie \"T\"?",
        "User Preference: \nWhether the user will like the target movie \"T\"?",
        "User Preference: \nUser Unpreference: \nWhether the user will like the target movie \"?",
        "User Preference: \nUser Unpreference: \nWhether the user will like the target \"T\"?",
        "User Preference: \nUser Unpreference: \nWhether the user will like the target movie \"T\"",
    };
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        tr_example example = parsed(inputs[i]);
        char *text;
        tr_error err;
        assert_null(example.history);
        assert_null(example.title);
        assert_error(tr_example_shortened_input(&example, 1, &text, &err), TR_ERR_UNSUPPORTED, "published form", err);
        assert_error(tr_example_shuffled_input(&example, 1, 0, &text, &err), TR_ERR_UNSUPPORTED, "published form", err);
        assert_error(tr_example_noun(&example, &text, &err), TR_ERR_UNSUPPORTED, "published form", err);
        tr_example_clear(&example);
    }
}

static void test_shortening_drops_the_oldest_by_time(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_example example = with_history((tr_history_item[]){{.title = "A"}, {.title = "B, \"C\", \"D\"", .liked = true},
                                                          {.title = "E"}, {.title = "F", .liked = true}}, 4, "T");
    assert_ok(tr_example_input(&example, "movie", 0, &example.input, &err), err);
    for (size_t skip = 0; skip <= 5; skip++) {
        char *built;
        assert_ok(tr_example_input(&example, "movie", skip, &built, &err), err);
        expect_shortened(&example, skip, built);
        free(built);
    }
    tr_example_clear(&example);
}

static void test_shortening_keeps_the_proportion_when_time_is_unknown(void **state)
{
    (void)state;
    tr_example example = parsed(PROMPT("\"a\", \"b\", \"c\", \"d\"", "\"x\", \"y\"", "movie", "T"));
    expect_shortened(&example, 1, PROMPT("\"b\", \"c\", \"d\"", "\"x\", \"y\"", "movie", "T"));
    expect_shortened(&example, 3, PROMPT("\"c\", \"d\"", "\"y\"", "movie", "T"));
    expect_shortened(&example, 6, PROMPT("", "", "movie", "T"));
    expect_shortened(&example, 60, PROMPT("", "", "movie", "T"));
    tr_example_clear(&example);
}

static void test_a_history_that_contradicts_the_text_does_not_change_its_marks(void **state)
{
    (void)state;
    tr_example example = with_history((tr_history_item[]){{.title = "other", .liked = true}}, 1, "T");
    example.input = strdup(PROMPT("\"a\"", "\"x\"", "movie", "T"));
    expect_shortened(&example, 0, PROMPT("\"a\"", "\"x\"", "movie", "T"));
    expect_shortened(&example, 1, PROMPT("", "\"x\"", "movie", "T"));
    tr_example_clear(&example);
}

static void test_shuffling_permutes_within_each_list_and_repeats(void **state)
{
    (void)state;
    tr_error err = {0};
    tr_example example = parsed(PROMPT("\"a\", \"b\", \"c\", \"d\", \"e\"", "\"v\", \"w\", \"x\", \"y\", \"z\"",
                                       "movie", "T"));
    size_t changed = 0;
    for (uint32_t row = 0; row < 50; row++) {
        char *once, *twice;
        assert_ok(tr_example_shuffled_input(&example, 3, row, &once, &err), err);
        assert_ok(tr_example_shuffled_input(&example, 3, row, &twice, &err), err);
        assert_string_equal(once, twice);
        changed += strcmp(once, example.input) != 0;
        tr_example shuffled = parsed(once);
        assert_int_equal(shuffled.n_history, 10);
        bool present[256] = {false};
        for (size_t i = 0; i < 10; i++) {
            unsigned char letter = (unsigned char)shuffled.history[i].title[0];
            assert_int_equal(letter < 'v', i < 5);
            assert_false(present[letter]);
            present[letter] = true;
        }
        tr_example_clear(&shuffled);
        free(once);
        free(twice);
    }
    assert_true(changed > 45);
    tr_example_clear(&example);
}

TR_TEST_MAIN(cmocka_unit_test(test_answers_are_read_as_people_write_them),
             cmocka_unit_test(test_jsonl_and_array_give_the_same_rows),
             cmocka_unit_test(test_what_is_written_reads_back_the_same),
             cmocka_unit_test(test_one_bad_row_in_a_hundred_is_let_pass_and_shown_with_its_line),
             cmocka_unit_test(test_only_five_bad_rows_are_shown),
             cmocka_unit_test(test_hostile_rows_are_refused_by_name),
             cmocka_unit_test(test_movie_input_lists_likes_then_dislikes_in_window_order),
             cmocka_unit_test(test_parsing_finds_the_entries_of_movie_and_book_prompts),
             cmocka_unit_test(test_taking_apart_and_putting_together_gives_the_same_bytes),
             cmocka_unit_test(test_inputs_of_another_shape_are_left_alone),
             cmocka_unit_test(test_shortening_drops_the_oldest_by_time),
             cmocka_unit_test(test_shortening_keeps_the_proportion_when_time_is_unknown),
             cmocka_unit_test(test_a_history_that_contradicts_the_text_does_not_change_its_marks),
             cmocka_unit_test(test_shuffling_permutes_within_each_list_and_repeats))
