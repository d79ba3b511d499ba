/* Tests of src/format/json.c: where an error is, rows in both forms, hostile text, and what is written. */
#include "testing.h"

#include "format/json.h"
#include "scratch.h"

#include <math.h>

static const char *file_of(const char *text)
{
    return scratch_with("file.json", text, strlen(text));
}

/* Rows. */

typedef struct {
    tr_str log; /* "line=value" or "line!" for each row */
    char problem[256];
    size_t stop_at;
} seen_rows;

static tr_status note_row(void *user, size_t line, json_t *value, const char *problem, tr_error *err)
{
    seen_rows *seen = user;
    int64_t id = -1;
    if (!value) {
        tr_str_addf(&seen->log, "%zu! ", line);
        snprintf(seen->problem, sizeof seen->problem, "%s", problem);
    } else {
        tr_str_addf(&seen->log, "%zu=", line);
        TR_TRY(tr_json_get_integer(value, "a", -1, &id, err));
        tr_str_addf(&seen->log, "%lld ", (long long)id);
    }
    return seen->stop_at == line ? tr_fail(err, TR_ERR_VALUE, "enough") : TR_OK;
}

static void expect_rows(const char *text, size_t size, const char *log, const char *problem)
{
    seen_rows seen = {0};
    tr_error err = {0};
    assert_ok(tr_json_rows(scratch_with("rows.jsonl", text, size), note_row, &seen, &err), err);
    assert_string_equal(seen.log.data ? seen.log.data : "", log);
    if (!strstr(seen.problem, problem)) fail_msg("'%s' does not mention '%s'", seen.problem, problem);
    tr_str_free(&seen.log);
}

#define EXPECT_ROWS(text, log, problem) expect_rows(text, sizeof(text) - 1, log, problem)

static void test_lines_and_array_elements_are_numbered_from_one(void **state)
{
    (void)state;
    EXPECT_ROWS("{\"a\":1}\n{\"a\":2}\n", "1=1 2=2 ", "");
    EXPECT_ROWS("{\"a\":1}\r\n\n   \n{\"a\":2}", "1=1 4=2 ", "");
    EXPECT_ROWS("[{\"a\":1},\n\n {\"a\":2}]\n", "1=1 2=2 ", "");
    EXPECT_ROWS(" \n [ {\"a\":7} ]", "1=7 ", "");
    EXPECT_ROWS("", "", "");
    EXPECT_ROWS("[]", "", "");
}

static void test_byte_order_mark_is_skipped_in_every_form(void **state)
{
    (void)state;
    EXPECT_ROWS("\xef\xbb\xbf{\"a\":1}\n{\"a\":2}\n", "1=1 2=2 ", "");
    EXPECT_ROWS("\xef\xbb\xbf[{\"a\":3}]", "1=3 ", "");
    json_t *value;
    tr_error err = {0};
    assert_ok(tr_json_load(file_of("\xef\xbb\xbf{\"a\": 1}"), &value, &err), err);
    json_decref(value);
}

static void test_a_bad_line_is_reported_and_the_next_is_read(void **state)
{
    (void)state;
    EXPECT_ROWS("{\"a\":1}\nrubbish\n{\"a\":3}\n", "1=1 2! 3=3 ", "not valid JSON at column");
    EXPECT_ROWS("{\"a\":1}\n{\"a\":2\n{\"a\":3}\n", "1=1 2! 3=3 ", "not valid JSON");
    EXPECT_ROWS("{\"a\":1}\n[1]\n7\n\"x\"\nnull\n", "1=1 2! 3! 4! 5! ", "not a JSON object");
    EXPECT_ROWS("[{\"a\":1}, 5, {\"a\":3}]", "1=1 2! 3=3 ", "not a JSON object");
    EXPECT_ROWS("{\"a\":1} {\"a\":2}\n", "1! ", "end of file");
}

static void test_hostile_lines_are_problems_not_crashes(void **state)
{
    (void)state;
    EXPECT_ROWS("{\"a\":1\0}\n{\"a\":2}\n", "1! 2=2 ", "");
    EXPECT_ROWS("{\"a\\u0000\":1}\n{\"a\":2}\n", "1! 2=2 ", "u0000");
    EXPECT_ROWS("{\"a\":\"\\u0000\"}\n", "1! ", "u0000");
    EXPECT_ROWS("{\"a\":NaN}\n{\"a\":Infinity}\n{\"a\":1e999}\n", "1! 2! 3! ", "overflow");
    EXPECT_ROWS("{\"a\":99999999999999999999}\n", "1! ", "big integer");
    EXPECT_ROWS("{\"a\":\"\xff\xfe\"}\n", "1! ", "decode byte");
    EXPECT_ROWS("{\"a\":\"\\ud800\"}\n", "1! ", "");
    EXPECT_ROWS("{\"a\":1,\"a\":2}\n", "1! ", "duplicate");
    EXPECT_ROWS("\0\0\0\n", "1! ", "");
}

static void test_a_depth_bomb_is_refused(void **state)
{
    (void)state;
    enum { DEPTH = 1000000 };
    char *bomb = malloc(DEPTH);
    memset(bomb, '[', DEPTH);
    json_t *value;
    tr_error err;
    assert_error(tr_json_load(scratch_with("bomb.json", bomb, DEPTH), &value, &err), TR_ERR_FORMAT, "depth", err);
    bomb[0] = '{', bomb[1] = '"', bomb[2] = 'a', bomb[3] = '"', bomb[4] = ':';
    expect_rows(bomb, DEPTH, "1! ", "depth");
    free(bomb);
}

static void test_a_line_over_the_limit_is_skipped_whole(void **state)
{
    (void)state;
    size_t size = (65 << 20) + 8;
    char *text = malloc(size);
    memset(text, ' ', size);
    memcpy(text + (65 << 20), "\n{\"a\":2}", 8);
    expect_rows(text, size, "1! 2=2 ", "longer than 64 MiB");
    free(text);
}

static void test_a_line_across_buffer_borders_is_read_whole(void **state)
{
    (void)state;
    for (size_t pad = 65530; pad < 65545; pad++) {
        char *text = malloc(pad + 32);
        memset(text, ' ', pad);
        snprintf(text + pad, 32, "{\"a\":1}\n{\"a\":2}");
        expect_rows(text, strlen(text), "1=1 2=2 ", "");
        free(text);
    }
}

static void test_the_reader_of_rows_may_stop(void **state)
{
    (void)state;
    seen_rows seen = {.stop_at = 2};
    tr_error err;
    const char *path = file_of("{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
    assert_error(tr_json_rows(path, note_row, &seen, &err), TR_ERR_VALUE, "file.json:2", err);
    assert_string_equal(seen.log.data, "1=1 2=2 ");
    tr_str_free(&seen.log);
    path = file_of("[{\"a\":1},{\"a\":2.5}]");
    assert_error(tr_json_rows(path, note_row, &seen, &err), TR_ERR_FORMAT, "element 2", err);
    tr_str_free(&seen.log);
}

static void test_a_missing_file_or_a_folder_is_an_io_error(void **state)
{
    (void)state;
    tr_error err;
    seen_rows seen = {0};
    json_t *value;
    assert_error(tr_json_rows("/nonexistent/x.jsonl", note_row, &seen, &err), TR_ERR_IO, "x.jsonl", err);
    assert_error(tr_json_rows("/", note_row, &seen, &err), TR_ERR_IO, "folder", err);
    assert_error(tr_json_load("/nonexistent/x.json", &value, &err), TR_ERR_IO, "x.json", err);
    assert_null(value);
}

/* Whole files. */

static void test_an_error_names_line_and_column(void **state)
{
    (void)state;
    json_t *value;
    tr_error err;
    assert_error(tr_json_load(file_of("{\n  \"a\": 1,\n  \"b\": oops\n}"), &value, &err), TR_ERR_FORMAT,
                 "file.json:3:", err);
    assert_error(tr_json_load(file_of("[{\"a\":1},\n{\"a\":}]"), &value, &err), TR_ERR_FORMAT, "file.json:2:6", err);
    assert_error(tr_json_load(file_of("{} trailing"), &value, &err), TR_ERR_FORMAT, "file.json:1:", err);
    assert_error(tr_json_load(file_of("{\"a\": NaN}"), &value, &err), TR_ERR_FORMAT, "file.json:1:", err);
    assert_error(tr_json_parse("{\"a\":\n 1\0}", 9, "text", &value, &err), TR_ERR_FORMAT, "text:2:3", err);
    assert_error(tr_json_load(file_of(""), &value, &err), TR_ERR_FORMAT, "file.json:1:", err);
    assert_error(tr_json_load(file_of("7"), &value, &err), TR_ERR_FORMAT, "'[' or '{'", err);
    seen_rows seen = {0};
    assert_error(tr_json_rows(file_of("[{\"a\":1},\n{\"a\":}]"), note_row, &seen, &err), TR_ERR_FORMAT,
                 "file.json:2:6", err);
}

/* Typed members. */

static void test_typed_members_name_the_key_and_both_types(void **state)
{
    (void)state;
    json_t *object;
    tr_error err = {0};
    const char *text = "{\"s\":\"x\",\"i\":3,\"r\":2.5,\"w\":16.0,\"t\":true,\"n\":null,\"big\":1e300}", *s;
    int64_t i;
    double d;
    bool b;
    assert_ok(tr_json_parse(text, strlen(text), "text", &object, &err), err);
    assert_ok(tr_json_need_string(object, "s", &s, &err), err);
    assert_string_equal(s, "x");
    assert_ok(tr_json_need_integer(object, "w", &i, &err), err);
    assert_int_equal(i, 16);
    assert_ok(tr_json_need_number(object, "i", &d, &err), err);
    assert_true(d == 3);
    assert_ok(tr_json_get_bool(object, "t", false, &b, &err), err);
    assert_true(b);
    assert_ok(tr_json_get_integer(object, "absent", 7, &i, &err), err);
    assert_int_equal(i, 7);
    assert_ok(tr_json_get_string(object, "n", "fallback", &s, &err), err);
    assert_string_equal(s, "fallback");
    assert_ok(tr_json_get_number(object, "r", 0, &d, &err), err);
    assert_true(d == 2.5);

    assert_error(tr_json_need_string(object, "absent", &s, &err), TR_ERR_FORMAT, "\"absent\" is missing", err);
    assert_error(tr_json_need_string(object, "n", &s, &err), TR_ERR_FORMAT, "missing", err);
    assert_error(tr_json_need_string(object, "i", &s, &err), TR_ERR_FORMAT, "\"i\" is an integer, not a string",
                 err);
    assert_error(tr_json_need_integer(object, "r", &i, &err), TR_ERR_FORMAT, "\"r\" is a number, not an integer",
                 err);
    assert_error(tr_json_need_integer(object, "big", &i, &err), TR_ERR_FORMAT, "not an integer", err);
    assert_error(tr_json_need_number(object, "t", &d, &err), TR_ERR_FORMAT, "\"t\" is true, not a number", err);
    assert_error(tr_json_get_bool(object, "i", true, &b, &err), TR_ERR_FORMAT, "true or false", err);
    assert_error(tr_json_get_string(object, "r", NULL, &s, &err), TR_ERR_FORMAT, "not a string", err);
    json_decref(object);
}

/* Writing. */

static void expect_text(const json_t *value, int indent, bool sort, const char *expected)
{
    tr_str text = {0};
    tr_error err = {0};
    assert_ok(tr_json_add(&text, value, indent, sort, &err), err);
    assert_string_equal(text.data, expected);
    tr_str_free(&text);
}

static void test_written_text_is_what_a_person_expects(void **state)
{
    (void)state;
    json_t *value = json_pack("{s:i, s:f, s:[b, n, s], s:{}, s:[]}", "z", 1, "lr", 0.1, "list", 1,
                              "a\"\\\n\x01\xc3\xa9", "empty", "none");
    expect_text(value, 0, false,
                "{\"z\": 1, \"lr\": 0.1, \"list\": [true, null, \"a\\\"\\\\\\n\\u0001\xc3\xa9\"], \"empty\": {}, "
                "\"none\": []}");
    expect_text(value, 2, true,
                "{\n  \"empty\": {},\n  \"list\": [\n    true,\n    null,\n    \"a\\\"\\\\\\n\\u0001\xc3\xa9\"\n  ],\n"
                "  \"lr\": 0.1,\n  \"none\": [],\n  \"z\": 1\n}");
    json_decref(value);
}

static void test_reals_are_short_and_read_back_the_same(void **state)
{
    (void)state;
    const struct { double value; const char *text; } cases[] = {
        {0.1, "0.1"}, {16, "16.0"}, {1e-4, "0.0001"}, {1e22, "1e+22"}, {-0.0, "-0.0"},
        {1.0 / 3, "0.3333333333333333"},
        {5e-324, "4.94065645841247e-324"}, {0.1 + 0.2, "0.30000000000000004"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *real = json_real(cases[i].value);
        expect_text(real, 0, false, cases[i].text);
        json_decref(real);
        double back = strtod(cases[i].text, NULL);
        assert_memory_equal(&back, &cases[i].value, sizeof back);
    }
}

static void test_saved_files_load_again(void **state)
{
    (void)state;
    json_t *value = json_pack("{s:i, s:s}", "b", 1, "a", "\xe6\x97\xa5"), *back;
    tr_error err = {0};
    const char *path = scratch("saved.json");
    assert_ok(tr_json_save(path, value, true, &err), err);
    char *text;
    size_t size;
    assert_ok(tr_file_read(path, 1000, &text, &size, &err), err);
    assert_string_equal(text, "{\n  \"a\": \"\xe6\x97\xa5\",\n  \"b\": 1\n}\n");
    assert_ok(tr_json_load(path, &back, &err), err);
    assert_true(json_equal(value, back));
    free(text);
    json_decref(back);
    json_decref(value);
}

static void test_saving_a_missing_value_is_an_error_and_leaves_no_file(void **state)
{
    (void)state;
    tr_error err;
    const char *path = scratch("never.json");
    assert_error(tr_json_save(path, NULL, false, &err), TR_ERR_VALUE, "never.json", err);
    assert_false(tr_file_exists(path));
}

TR_TEST_MAIN(cmocka_unit_test(test_lines_and_array_elements_are_numbered_from_one),
             cmocka_unit_test(test_byte_order_mark_is_skipped_in_every_form),
             cmocka_unit_test(test_a_bad_line_is_reported_and_the_next_is_read),
             cmocka_unit_test(test_hostile_lines_are_problems_not_crashes),
             cmocka_unit_test(test_a_depth_bomb_is_refused),
             cmocka_unit_test(test_a_line_over_the_limit_is_skipped_whole),
             cmocka_unit_test(test_a_line_across_buffer_borders_is_read_whole),
             cmocka_unit_test(test_the_reader_of_rows_may_stop),
             cmocka_unit_test(test_a_missing_file_or_a_folder_is_an_io_error),
             cmocka_unit_test(test_an_error_names_line_and_column),
             cmocka_unit_test(test_typed_members_name_the_key_and_both_types),
             cmocka_unit_test(test_written_text_is_what_a_person_expects),
             cmocka_unit_test(test_reals_are_short_and_read_back_the_same),
             cmocka_unit_test(test_saved_files_load_again),
             cmocka_unit_test(test_saving_a_missing_value_is_an_error_and_leaves_no_file))
