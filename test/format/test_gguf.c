/* Tests of the GGUF reader: a file of the reference writer (tools/make_golden_gguf.py) is read in full, and every
 * way to break the rules is refused with the place named. */
#include "testing.h"

#include "format/bytes.h"
#include "format/gguf.h"
#include "gguf_bytes.h"

/* A copy of exactly `size` bytes, so that AddressSanitizer sees one read too far; closed and freed. */
static tr_status parse_copy(const void *data, size_t size, tr_error *err)
{
    uint8_t *copy = malloc(size ? size : 1);
    tr_gguf file;
    memcpy(copy, data, size);
    tr_status status = tr_gguf_parse(copy, size, &file, err);
    if (status == TR_OK) tr_gguf_close(&file);
    free(copy);
    return status;
}

/* Parses and frees the bytes, which must be refused. */
static void expect_refusal(tr_str *bytes, tr_status expected, const char *text)
{
    tr_error err;
    assert_error(parse_copy(bytes->data, bytes->size, &err), expected, text, err);
    assert_non_null(strstr(err.where, "byte "));
    tr_str_free(bytes);
}

static void expect_accepted(tr_str *bytes)
{
    tr_error err = {0};
    assert_ok(parse_copy(bytes->data, bytes->size, &err), err);
    tr_str_free(bytes);
}

/* The file of the reference writer. */

static tr_gguf open_golden(void)
{
    tr_gguf file;
    tr_error err = {0};
    assert_ok(tr_gguf_open(test_file("golden/format/small.gguf"), &file, &err), err);
    return file;
}

static void test_integers_of_every_kind_are_read_as_u32_when_they_fit(void **state)
{
    (void)state;
    tr_gguf file = open_golden();
    tr_error err = {0};
    uint32_t v;
    assert_ok(tr_gguf_need_u32(&file, "kind.u8", &v, &err), err);
    assert_int_equal(v, 200);
    assert_ok(tr_gguf_need_u32(&file, "kind.u16", &v, &err), err);
    assert_int_equal(v, 60000);
    assert_ok(tr_gguf_need_u32(&file, "kind.u32", &v, &err), err);
    assert_int_equal(v, 4000000000u);
    assert_ok(tr_gguf_get_u32(&file, "kind.i64", 5, &v, &err), err);
    assert_int_equal(v, 77);
    assert_ok(tr_gguf_get_u32(&file, "kind.absent", 5, &v, &err), err);
    assert_int_equal(v, 5);
    assert_error(tr_gguf_need_u32(&file, "kind.u64", &v, &err), TR_ERR_FORMAT, "kind.u64 is 1099511627776", err);
    assert_error(tr_gguf_need_u32(&file, "kind.i8", &v, &err), TR_ERR_FORMAT, "is -3", err);
    assert_error(tr_gguf_need_u32(&file, "kind.i16", &v, &err), TR_ERR_FORMAT, "is -30000", err);
    assert_error(tr_gguf_get_u32(&file, "kind.i32", 5, &v, &err), TR_ERR_FORMAT, "is -2000000000", err);
    assert_error(tr_gguf_get_u32(&file, "kind.f32", 5, &v, &err), TR_ERR_FORMAT, "kind.f32 is of kind f32", err);
    assert_error(tr_gguf_need_u32(&file, "list.u32", &v, &err), TR_ERR_FORMAT, "array", err);
    assert_error(tr_gguf_need_u32(&file, "kind.absent", &v, &err), TR_ERR_FORMAT, "kind.absent is missing", err);
    assert_non_null(strstr(err.where, "small.gguf"));
    tr_gguf_close(&file);
}

static void test_reals_bools_and_strings_are_read(void **state)
{
    (void)state;
    tr_gguf file = open_golden();
    tr_error err = {0};
    float f;
    bool b;
    char *text;
    assert_ok(tr_gguf_need_f32(&file, "kind.f32", &f, &err), err);
    assert_true(f == 0.1f);
    assert_ok(tr_gguf_get_f32(&file, "kind.f64", 1, &f, &err), err);
    assert_true(f == 1e-5f);
    assert_ok(tr_gguf_get_f32(&file, "kind.absent", 7, &f, &err), err);
    assert_true(f == 7);
    assert_error(tr_gguf_need_f32(&file, "kind.u8", &f, &err), TR_ERR_FORMAT, "not a real", err);
    assert_error(tr_gguf_need_f32(&file, "kind.absent", &f, &err), TR_ERR_FORMAT, "missing", err);
    assert_ok(tr_gguf_get_bool(&file, "kind.yes", false, &b, &err), err);
    assert_true(b);
    assert_ok(tr_gguf_get_bool(&file, "kind.no", true, &b, &err), err);
    assert_false(b);
    assert_ok(tr_gguf_get_bool(&file, "kind.absent", true, &b, &err), err);
    assert_true(b);
    assert_error(tr_gguf_get_bool(&file, "kind.u8", true, &b, &err), TR_ERR_FORMAT, "not a bool", err);
    assert_ok(tr_gguf_get_string(&file, "kind.string", &text, &err), err);
    assert_string_equal(text, "Am\xc3\xa9lie \xf0\x9f\x8e\xac");
    free(text);
    assert_ok(tr_gguf_get_string(&file, "kind.empty", &text, &err), err);
    assert_string_equal(text, "");
    free(text);
    assert_ok(tr_gguf_get_string(&file, "kind.absent", &text, &err), err);
    assert_null(text);
    assert_error(tr_gguf_get_string(&file, "kind.u8", &text, &err), TR_ERR_FORMAT, "not a string", err);
    tr_gguf_close(&file);
}

static void test_arrays_are_read(void **state)
{
    (void)state;
    tr_gguf file = open_golden();
    tr_error err = {0};
    tr_gguf_string *strings;
    size_t n;
    assert_ok(tr_gguf_need_strings(&file, "list.strings", &strings, &n, &err), err);
    assert_int_equal(n, 3);
    assert_int_equal(strings[1].size, 0);
    assert_int_equal(strings[2].size, 6);
    assert_memory_equal(strings[2].text, "\xe6\x97\xa5\xe6\x9c\xac", 6);
    free(strings);
    assert_error(tr_gguf_need_strings(&file, "list.u32", &strings, &n, &err), TR_ERR_FORMAT, "array of strings",
                 err);
    assert_error(tr_gguf_need_strings(&file, "kind.absent", &strings, &n, &err), TR_ERR_FORMAT, "missing", err);
    const tr_gguf_value *value = tr_gguf_find(&file, "list.u32");
    assert_int_equal(value->kind, TR_GGUF_ARRAY);
    assert_int_equal(value->element, TR_GGUF_U32);
    assert_int_equal(value->count, 3);
    assert_int_equal(tr_load_u32(value->data + 8), 3);
    tr_gguf_close(&file);
}

static void test_tensors_have_reversed_dims_and_their_bytes(void **state)
{
    (void)state;
    tr_gguf file = open_golden();
    tr_error err = {0};
    const tr_gguf_tensor *t;
    float y[64];
    assert_int_equal(file.version, 3);
    assert_int_equal(file.n_tensors, 5);
    assert_ok(tr_gguf_find_tensor(&file, "matrix", &t, &err), err);
    assert_int_equal(t->n_dims, 2);
    assert_int_equal(t->dim[0], 3); /* torch shape (2, 3) */
    assert_int_equal(t->dim[1], 2);
    assert_int_equal(t->dim[2], 1);
    assert_int_equal(t->bytes, 24);
    assert_true(tr_load_f32(t->data + 20) == 5);
    assert_ptr_equal(t->data, file.mapping.data + t->offset);
    assert_ok(tr_gguf_find_tensor(&file, "quantised", &t, &err), err);
    tr_dequantize(t->type, t->data, y, 64);
    assert_true(y[0] == 0 && y[63] == 31.5f);
    assert_error(tr_gguf_find_tensor(&file, "unsupported", &t, &err), TR_ERR_UNSUPPORTED, "IQ4_NL", err);
    assert_null(t);
    assert_error(tr_gguf_find_tensor(&file, "absent", &t, &err), TR_ERR_FORMAT, "tensor absent is missing", err);
    assert_true(tr_gguf_has_tensor(&file, "unsupported"));
    assert_false(tr_gguf_has_tensor(&file, "matri"));
    tr_gguf_close(&file);
}

static void test_a_file_cut_at_any_byte_is_refused(void **state)
{
    (void)state;
    char *data;
    size_t size;
    tr_error err = {0};
    assert_ok(tr_file_read(test_file("golden/format/small.gguf"), 1 << 20, &data, &size, &err), err);
    for (size_t n = 0; n < size; n++) {
        tr_status status = parse_copy(data, n, &err);
        if (status != TR_ERR_FORMAT) fail_msg("cut at byte %zu of %zu: status %d", n, size, status);
    }
    assert_ok(parse_copy(data, size, &err), err);
    free(data);
}

static void test_any_changed_byte_never_crashes(void **state)
{
    (void)state;
    char *data;
    size_t size;
    tr_error err = {0};
    assert_ok(tr_file_read(test_file("golden/format/small.gguf"), 1 << 20, &data, &size, &err), err);
    for (size_t i = 0; i < size; i++) {
        char saved = data[i];
        for (int bit = 0; bit < 8; bit++) {
            data[i] = (char)(saved ^ 1 << bit);
            (void)parse_copy(data, size, &err);
        }
        data[i] = saved;
    }
    free(data);
}

/* One rule broken at a time. */

static void test_version_2_is_read_and_others_refused(void **state)
{
    (void)state;
    tr_str s = {0};
    put_header(&s, 2, 0, 0);
    expect_accepted(&s);
    put_header(&s, 1, 0, 0);
    expect_refusal(&s, TR_ERR_UNSUPPORTED, "version 1");
    put_header(&s, 4, 0, 0);
    expect_refusal(&s, TR_ERR_UNSUPPORTED, "version 4");
    put_header(&s, 0x03000000, 0, 0);
    expect_refusal(&s, TR_ERR_UNSUPPORTED, "big-endian");
    put_header(&s, 3, 0, 0);
    s.data[0] = 'X';
    expect_refusal(&s, TR_ERR_FORMAT, "not a GGUF file");
}

static void test_impossible_counts_are_refused_before_memory_is_taken(void **state)
{
    (void)state;
    tr_str s = {0};
    put_header(&s, 3, 0, UINT64_MAX);
    expect_refusal(&s, TR_ERR_FORMAT, "18446744073709551615 metadata values");
    put_header(&s, 3, UINT64_MAX / 2, 0);
    expect_refusal(&s, TR_ERR_FORMAT, "tensors and is too short");
    put_header(&s, 3, 0, 1);
    put_u64(&s, UINT64_MAX - 7);
    put_data(&s, 1, 64);
    expect_refusal(&s, TR_ERR_FORMAT, "claims 18446744073709551608 bytes");
    put_header(&s, 3, 0, 1);
    put_text(&s, "list");
    put_u32(&s, 9);
    put_u32(&s, 10);
    put_u64(&s, UINT64_MAX / 8 + 2); /* times 8 wraps around to 8 */
    put_data(&s, 1, 64);
    expect_refusal(&s, TR_ERR_FORMAT, "elements");
}

static void test_unknown_kinds_and_nested_arrays_are_refused(void **state)
{
    (void)state;
    tr_str s = {0};
    for (uint32_t kind = 13; kind < 20; kind++) {
        put_header(&s, 3, 0, 1);
        put_text(&s, "key");
        put_u32(&s, kind);
        put_data(&s, 1, 64);
        expect_refusal(&s, TR_ERR_FORMAT, "unknown metadata kind");
    }
    put_header(&s, 3, 0, 1);
    put_text(&s, "key");
    put_u32(&s, 9);
    put_u32(&s, 9);
    put_data(&s, 1, 64);
    expect_refusal(&s, TR_ERR_UNSUPPORTED, "array holds arrays");
}

static void test_a_repeated_key_or_tensor_is_refused(void **state)
{
    (void)state;
    tr_str s = {0};
    put_header(&s, 3, 0, 3);
    put_u32_value(&s, "b", 1);
    put_u32_value(&s, "a", 1);
    put_u32_value(&s, "b", 1);
    expect_refusal(&s, TR_ERR_FORMAT, "key b occurs twice");
    put_header(&s, 3, 2, 0);
    put_tensor(&s, "w", 8, 1, 0, 0);
    put_tensor(&s, "w", 8, 1, 0, 32);
    put_data(&s, 32, 64);
    expect_refusal(&s, TR_ERR_FORMAT, "name w occurs twice");
}

static void test_alignment_must_be_a_power_of_two(void **state)
{
    (void)state;
    const uint32_t bad[] = {0, 3, 33, UINT32_MAX};
    tr_str s = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put_header(&s, 3, 1, 1);
        put_u32_value(&s, "general.alignment", bad[i]);
        put_tensor(&s, "w", 8, 1, 0, 0);
        put_data(&s, 64, 256);
        expect_refusal(&s, TR_ERR_FORMAT, "power of two");
    }
    put_header(&s, 3, 1, 1);
    put_text(&s, "general.alignment");
    put_u32(&s, 10);
    put_u64(&s, 32);
    put_tensor(&s, "w", 8, 1, 0, 0);
    put_data(&s, 64, 256);
    expect_refusal(&s, TR_ERR_FORMAT, "not a u32");
    put_header(&s, 3, 1, 1);
    put_u32_value(&s, "general.alignment", 1u << 31);
    put_tensor(&s, "w", 8, 1, 0, 0);
    put_data(&s, 64, 256);
    expect_refusal(&s, TR_ERR_FORMAT, "ends before");
}

static void test_another_alignment_places_the_tensors(void **state)
{
    (void)state;
    tr_str s = {0};
    put_header(&s, 3, 2, 1);
    put_u32_value(&s, "general.alignment", 128);
    put_tensor(&s, "v", 1, 1, 0, 0);
    put_tensor(&s, "w", 1, 1, 0, 128);
    put_data(&s, 128, 128 + 4);
    tr_gguf file;
    tr_error err = {0};
    assert_ok(tr_gguf_parse((const uint8_t *)s.data, s.size, &file, &err), err);
    assert_int_equal(file.tensors[1].offset, s.size - 4); /* the last tensor's padding may be missing */
    tr_gguf_close(&file);
    tr_str_free(&s);
}

static void test_offsets_that_leave_holes_or_overlap_are_refused(void **state)
{
    (void)state;
    const uint64_t bad[] = {0, 4, 31, 33, 64, UINT64_MAX, UINT64_MAX - 31};
    tr_str s = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put_header(&s, 3, 2, 0);
        put_tensor(&s, "v", 8, 1, 0, 0);
        put_tensor(&s, "w", 8, 1, 0, bad[i]);
        put_data(&s, 32, 256);
        expect_refusal(&s, TR_ERR_FORMAT, "tensor w is at offset");
    }
}

static void test_dimensions_that_overflow_or_split_a_block_are_refused(void **state)
{
    (void)state;
    const struct { uint64_t dim0, dim1; uint32_t type; const char *text; } cases[] = {
        {UINT64_MAX, 1, 0, "overflow"},
        {1ull << 32, 1ull << 32, 0, "overflow"},
        {1ull << 62, 1, 0, "size of tensor w overflows"},
        {1ull << 63, 2, 0, "overflow"},
        {0, UINT64_MAX, 0, "overflow"},
        {576, 4, 12, "not a whole number of Q4_K blocks of 256"},
        {33, 1, 8, "not a whole number of Q8_0"},
        {1ull << 40, 1, 0, "ends inside the data of tensor w"},
    };
    tr_str s = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_header(&s, 3, 1, 0);
        put_tensor(&s, "w", cases[i].dim0, cases[i].dim1, cases[i].type, 0);
        put_data(&s, 32, 4096);
        expect_refusal(&s, TR_ERR_FORMAT, cases[i].text);
    }
    put_header(&s, 3, 1, 0);
    put_text(&s, "w");
    put_u32(&s, 5);
    put_data(&s, 32, 256);
    expect_refusal(&s, TR_ERR_FORMAT, "5 dimensions");
}

static void test_types_that_no_file_may_hold_are_refused_by_name(void **state)
{
    (void)state;
    const struct { uint32_t type; const char *text; } cases[] = {
        {4, "Q4_2"}, {9, "Q8_1"}, {33, "Q4_0_8_8"}, {43, "type 43 (unknown)"}, {UINT32_MAX, "unknown"},
    };
    tr_str s = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_header(&s, 3, 1, 0);
        put_tensor(&s, "w", 256, 1, cases[i].type, 0);
        put_data(&s, 32, 4096);
        expect_refusal(&s, TR_ERR_UNSUPPORTED, cases[i].text);
    }
}

static void test_tensor_names_are_short_and_without_nul(void **state)
{
    (void)state;
    char name[65];
    memset(name, 'n', 64);
    name[64] = '\0';
    tr_str s = {0};
    put_header(&s, 3, 1, 0);
    put_tensor(&s, name, 8, 1, 0, 0);
    put_data(&s, 32, 32);
    expect_refusal(&s, TR_ERR_FORMAT, "64 bytes");
    put_header(&s, 3, 1, 0);
    put_tensor(&s, name + 1, 8, 1, 0, 0);
    put_data(&s, 32, 32);
    expect_accepted(&s);
    put_header(&s, 3, 1, 0);
    put_tensor(&s, "a.b", 8, 1, 0, 0);
    s.data[24 + 8 + 1] = '\0';
    put_data(&s, 32, 32);
    expect_refusal(&s, TR_ERR_FORMAT, "NUL");
}

static void test_a_string_with_a_nul_is_refused_when_asked_for(void **state)
{
    (void)state;
    tr_str s = {0};
    put_header(&s, 3, 0, 1);
    put_text(&s, "key");
    put_u32(&s, 8);
    put_text(&s, "a.b");
    s.data[s.size - 2] = '\0';
    tr_gguf file;
    tr_error err = {0};
    char *text;
    assert_ok(tr_gguf_parse((const uint8_t *)s.data, s.size, &file, &err), err);
    assert_error(tr_gguf_get_string(&file, "key", &text, &err), TR_ERR_FORMAT, "NUL", err);
    assert_null(text);
    tr_gguf_close(&file);
    tr_str_free(&s);
}

static void test_empty_tensors_and_scalars_are_read(void **state)
{
    (void)state;
    tr_str s = {0};
    put_header(&s, 3, 2, 0);
    put_tensor(&s, "empty", 0, 5, 0, 0);
    put_text(&s, "scalar");
    put_u32(&s, 0);
    put_u32(&s, 0);
    put_u64(&s, 0);
    put_data(&s, 32, 4);
    expect_accepted(&s);
}

static void test_missing_file_and_folder_are_io_errors(void **state)
{
    (void)state;
    tr_gguf file;
    tr_error err;
    assert_error(tr_gguf_open("/nonexistent/model.gguf", &file, &err), TR_ERR_IO, "model.gguf", err);
    assert_error(tr_gguf_open("/", &file, &err), TR_ERR_IO, "folder", err);
    assert_error(tr_gguf_open("/dev/null", &file, &err), TR_ERR_IO, "/dev/null", err);
}

static void test_the_real_model_opens(void **state)
{
    (void)state;
    const char *path = test_path("TALLREC_TEST_MODEL");
    if (!path) skip_because("TALLREC_TEST_MODEL is not set");
    tr_gguf file;
    tr_error err = {0};
    const tr_gguf_tensor *t;
    tr_gguf_string *tokens;
    size_t n;
    assert_ok(tr_gguf_open(path, &file, &err), err);
    assert_int_equal(file.n_tensors, 272);
    assert_ok(tr_gguf_find_tensor(&file, "token_embd.weight", &t, &err), err);
    assert_int_equal(t->dim[0], 576);
    assert_int_equal(t->dim[1], 49152);
    assert_ok(tr_gguf_need_strings(&file, "tokenizer.ggml.tokens", &tokens, &n, &err), err);
    assert_int_equal(n, 49152);
    assert_memory_equal(tokens[2].text, "<|im_end|>", tokens[2].size);
    free(tokens);
    tr_gguf_close(&file);
}

TR_TEST_MAIN(cmocka_unit_test(test_integers_of_every_kind_are_read_as_u32_when_they_fit),
             cmocka_unit_test(test_reals_bools_and_strings_are_read),
             cmocka_unit_test(test_arrays_are_read),
             cmocka_unit_test(test_tensors_have_reversed_dims_and_their_bytes),
             cmocka_unit_test(test_a_file_cut_at_any_byte_is_refused),
             cmocka_unit_test(test_any_changed_byte_never_crashes),
             cmocka_unit_test(test_version_2_is_read_and_others_refused),
             cmocka_unit_test(test_impossible_counts_are_refused_before_memory_is_taken),
             cmocka_unit_test(test_unknown_kinds_and_nested_arrays_are_refused),
             cmocka_unit_test(test_a_repeated_key_or_tensor_is_refused),
             cmocka_unit_test(test_alignment_must_be_a_power_of_two),
             cmocka_unit_test(test_another_alignment_places_the_tensors),
             cmocka_unit_test(test_offsets_that_leave_holes_or_overlap_are_refused),
             cmocka_unit_test(test_dimensions_that_overflow_or_split_a_block_are_refused),
             cmocka_unit_test(test_types_that_no_file_may_hold_are_refused_by_name),
             cmocka_unit_test(test_tensor_names_are_short_and_without_nul),
             cmocka_unit_test(test_a_string_with_a_nul_is_refused_when_asked_for),
             cmocka_unit_test(test_empty_tensors_and_scalars_are_read),
             cmocka_unit_test(test_missing_file_and_folder_are_io_errors),
             cmocka_unit_test(test_the_real_model_opens))
