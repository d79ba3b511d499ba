/* This file fuzzes JSON: what was parsed and written must parse to the same value, and files of rows of any shape
 * are read to their end. */
#include "fuzz.h"

#include "format/json.h"

FUZZ_SEEDS(
    FUZZ_TEXT("{\"user\": 1, \"item\": \"x\", \"label\": true, \"time\": 8.5e8, \"none\": null}\n{\"user\": 2}\n"),
    FUZZ_TEXT("[{\"instruction\": \"a\\u00e9\\ud83d\\ude00\", \"input\": \"\\\"\\n\", \"output\": \"Yes.\"}, {}]"),
    FUZZ_TEXT("\xef\xbb\xbf{\"a\": [1, -2.5e-3, {\"b\": []}]}\r\n\r\n7\n"), FUZZ_TEXT("NaN"), FUZZ_TEXT("1e999"),
    FUZZ_TEXT("99999999999999999999"), FUZZ_TEXT("\\u0000"), FUZZ_TEXT("\\ud800"), FUZZ_TEXT("[[[[[[[["),
    FUZZ_TEXT("\xff"), FUZZ_TEXT("-0.0"), FUZZ_TEXT("4.9e-324"), FUZZ_TEXT("\n"), FUZZ_TEXT("\0"))

static void check_round_trip(const json_t *value)
{
    tr_str text = {0}, again = {0};
    json_t *back;
    tr_error err;
    if (tr_json_add(&text, value, 0, false, &err) != TR_OK) abort();
    if (tr_json_parse(text.data, text.size, "written", &back, &err) != TR_OK) abort();
    if (tr_json_add(&again, back, 0, false, &err) != TR_OK) abort();
    if (!json_equal((json_t *)value, back) || text.size != again.size || memcmp(text.data, again.data, text.size))
        abort();
    json_decref(back);
    tr_str_free(&text);
    tr_str_free(&again);
}

static tr_status read_row(void *user, size_t line, json_t *value, const char *problem, tr_error *err)
{
    size_t *last = user;
    const char *text;
    int64_t integer;
    double number;
    tr_error ignored;
    (void)err;
    if (line <= *last || !value != (problem != NULL)) abort();
    *last = line;
    if (!value) return TR_OK;
    (void)tr_json_need_string(value, "item", &text, &ignored);
    (void)tr_json_need_integer(value, "user", &integer, &ignored);
    (void)tr_json_get_number(value, "time", 0, &number, &ignored);
    return TR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *value;
    tr_error err = {0};
    size_t last = 0;
    if (tr_json_parse((const char *)data, size, "input", &value, &err) == TR_OK) {
        check_round_trip(value);
        json_decref(value);
    } else if (!err.where[0]) {
        abort();
    }
    FILE *stream = fmemopen((void *)data, size, "rb");
    if (!stream) return 0; /* an empty input, on some systems */
    (void)tr_json_rows_stream(stream, "input", read_row, &last, &err);
    fclose(stream);
    return 0;
}
