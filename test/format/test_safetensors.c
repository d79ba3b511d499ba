/* Tests of src/format/safetensors.c: files of the Python package are read, what is written equals its bytes, and
 * every file that breaks a rule is refused. */
#include "testing.h"

#include "base/str.h"
#include "format/safetensors.h"
#include "scratch.h"

#include <math.h>

/* Reading what Python wrote (tools/make_golden_safetensors.py). */

static void test_every_float_type_is_decoded(void **state)
{
    (void)state;
    tr_safetensors file;
    tr_error err = {0};
    assert_ok(tr_safetensors_open(test_file("golden/format/mixed.safetensors"), &file, &err), err);
    assert_int_equal(file.n_tensors, 6);
    const struct { const char *name, *dtype; float last; } kinds[] = {
        {"half", "F16", 0x1p-23f}, {"brain", "BF16", 0x1.aep-24f}, {"single", "F32", 1e-7f},
    };
    for (int k = 0; k < 3; k++) {
        float y[5];
        const tr_safetensor *t = tr_safetensors_find(&file, kinds[k].name);
        assert_string_equal(t->dtype, kinds[k].dtype);
        assert_ok(tr_safetensor_floats(t, y, &err), err);
        assert_true(y[0] == 0 && y[1] == 1 && y[2] == -2.5f);
        if (y[4] != kinds[k].last)
            fail_msg("%s: %a, expected %a", kinds[k].name, (double)y[4], (double)kinds[k].last);
    }
    const tr_safetensor *t = tr_safetensors_find(&file, "single");
    assert_int_equal(t->n_dims, 3);
    assert_int_equal(t->dim[1], 5);
    tr_safetensors_close(&file);
}

static void test_scalars_and_empty_tensors_are_read_and_integers_refused(void **state)
{
    (void)state;
    tr_safetensors file;
    tr_error err = {0};
    float y[3];
    assert_ok(tr_safetensors_open(test_file("golden/format/mixed.safetensors"), &file, &err), err);
    const tr_safetensor *t = tr_safetensors_find(&file, "scalar");
    assert_int_equal(t->n_dims, 0);
    assert_ok(tr_safetensor_floats(t, y, &err), err);
    assert_true(y[0] == 7);
    t = tr_safetensors_find(&file, "empty");
    assert_int_equal(t->bytes, 0);
    assert_int_equal(t->dim[1], 4);
    assert_ok(tr_safetensor_floats(t, y, &err), err);
    assert_error(tr_safetensor_floats(tr_safetensors_find(&file, "whole"), y, &err), TR_ERR_UNSUPPORTED, "I64",
                 err);
    assert_null(tr_safetensors_find(&file, "absent"));
    for (size_t i = 1; i < file.n_tensors; i++) assert_true(file.tensors[i].data >= file.tensors[i - 1].data);
    tr_safetensors_close(&file);
}

/* Writing. */

static void test_written_bytes_equal_those_of_the_python_package(void **state)
{
    (void)state;
    const float a[] = {0.5f, -0.25f}, b[] = {1, 2, 3, 4}, scalar = 0.1f;
    const tr_safetensor_source tensors[] = {
        {"na\"me\xc3\xa9\n", 0, {0}, &scalar},
        {"base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight", 2, {4, 1}, b},
        {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", 2, {1, 2}, a},
    };
    tr_error err = {0};
    char *expected, *got;
    size_t expected_size, got_size;
    const char *path = scratch("adapter.safetensors");
    assert_ok(tr_safetensors_write(path, tensors, 3, &err), err);
    assert_ok(tr_file_read(path, 1 << 20, &got, &got_size, &err), err);
    assert_ok(tr_file_read(test_file("golden/format/adapter.safetensors"), 1 << 20, &expected, &expected_size,
                           &err), err);
    assert_int_equal(got_size, expected_size);
    assert_memory_equal(got, expected, got_size);
    free(got);
    free(expected);
}

static void test_what_is_written_is_read_back_the_same(void **state)
{
    (void)state;
    enum { N = 50 };
    float data[N * 7];
    char names[N][16];
    tr_safetensor_source tensors[N];
    for (int i = 0; i < N * 7; i++) data[i] = i % 13 == 0 ? NAN : (float)i * 0.37f - 3;
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "t%d", i);
        tensors[i] = (tr_safetensor_source){names[i], 2, {(uint64_t)(i % 8), 1}, data + i * 6};
    }
    tr_error err = {0};
    tr_safetensors file;
    const char *path = scratch("many.safetensors");
    assert_ok(tr_safetensors_write(path, tensors, N, &err), err);
    assert_ok(tr_safetensors_open(path, &file, &err), err);
    assert_int_equal(file.n_tensors, N);
    assert_int_equal((file.tensors[0].data - file.mapping.data) % 8, 0);
    for (int i = 0; i < N; i++) {
        const tr_safetensor *t = tr_safetensors_find(&file, names[i]);
        assert_int_equal(t->dim[0], i % 8);
        assert_memory_equal(t->data, data + i * 6, (size_t)(i % 8) * 4);
    }
    tr_safetensors_close(&file);
    assert_ok(tr_safetensors_write(path, NULL, 0, &err), err);
    assert_ok(tr_safetensors_open(path, &file, &err), err);
    assert_int_equal(file.n_tensors, 0);
    tr_safetensors_close(&file);
}

static void test_tensors_that_cannot_be_written_leave_no_file(void **state)
{
    (void)state;
    const float x = 0;
    tr_error err;
    const char *path = scratch("never.safetensors");
    const tr_safetensor_source twice[] = {{"a", 0, {0}, &x}, {"b", 0, {0}, &x}, {"a", 0, {0}, &x}};
    assert_error(tr_safetensors_write(path, twice, 3, &err), TR_ERR_VALUE, "two tensors are named a", err);
    const tr_safetensor_source reserved = {"__metadata__", 0, {0}, &x};
    assert_error(tr_safetensors_write(path, &reserved, 1, &err), TR_ERR_VALUE, "__metadata__", err);
    const tr_safetensor_source latin = {"caf\xe9", 0, {0}, &x};
    assert_error(tr_safetensors_write(path, &latin, 1, &err), TR_ERR_VALUE, "UTF-8", err);
    const tr_safetensor_source huge = {"a", 2, {1ull << 40, 1ull << 40}, &x};
    assert_error(tr_safetensors_write(path, &huge, 1, &err), TR_ERR_VALUE, "overflows", err);
    const tr_safetensor_source deep = {"a", 9, {1}, &x};
    assert_error(tr_safetensors_write(path, &deep, 1, &err), TR_ERR_VALUE, "9 dimensions", err);
    assert_false(tr_file_exists(path));
    assert_error(tr_safetensors_write("/nonexistent/a.safetensors", twice, 1, &err), TR_ERR_IO, "cannot create",
                 err);
}

/* Files that break a rule. `header` is JSON, followed by `n_data` bytes. */

static tr_status parse_parts(const char *header, size_t header_size, size_t n_data, tr_error *err)
{
    uint64_t size = header_size;
    uint8_t *bytes = calloc(8 + header_size + n_data, 1); /* exact, for AddressSanitizer */
    tr_safetensors file;
    memcpy(bytes, &size, 8);
    memcpy(bytes + 8, header, header_size);
    tr_status status = tr_safetensors_parse(bytes, 8 + header_size + n_data, &file, err);
    if (status == TR_OK) tr_safetensors_close(&file);
    free(bytes);
    return status;
}

static void test_headers_that_lie_are_refused(void **state)
{
    (void)state;
    const struct { const char *header; size_t n_data; tr_status status; const char *text; } cases[] = {
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12, TR_ERR_FORMAT, "a hole"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[12,20]}}", 20, TR_ERR_FORMAT, "a hole"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12, TR_ERR_FORMAT, "tensors overlap"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 9, TR_ERR_FORMAT,
         "1 bytes of data belong to no"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7, TR_ERR_FORMAT, "which has 7"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, TR_ERR_FORMAT, "need 12"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, TR_ERR_FORMAT, "span -8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, TR_ERR_FORMAT, "shape is not"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", 8, TR_ERR_FORMAT, "shape is not"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0, TR_ERR_FORMAT,
         "overflows"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807,2],\"data_offsets\":[0,8]}}", 8, TR_ERR_FORMAT,
         "overflows"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8, TR_ERR_FORMAT, "no shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8, TR_ERR_FORMAT, "no data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", 8, TR_ERR_FORMAT,
         "data_offsets is not"},
        {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, TR_ERR_FORMAT, "no dtype"},
        {"{\"a\":{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, TR_ERR_UNSUPPORTED, "F33"},
        {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, TR_ERR_FORMAT,
         "whole number of bytes"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1, TR_ERR_UNSUPPORTED,
         "9 dim"},
        {"{\"a\":7}", 0, TR_ERR_FORMAT, "not described"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},\"a\":{\"dtype\":\"U8\",\"shape\":[],"
         "\"data_offsets\":[1,2]}}", 2, TR_ERR_FORMAT, "duplicate"},
        {"{\"__metadata__\":{\"x\":1}}", 0, TR_ERR_FORMAT, "__metadata__"},
        {"{\"__metadata__\":[]}", 0, TR_ERR_FORMAT, "__metadata__"},
        {"{\"a\":", 0, TR_ERR_FORMAT, "not valid JSON"},
        {" {}", 0, TR_ERR_FORMAT, "begin with {"},
        {"[]", 0, TR_ERR_FORMAT, "begin with {"},
        {"", 0, TR_ERR_FORMAT, "begin with {"},
    };
    tr_error err;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_error(parse_parts(cases[i].header, strlen(cases[i].header), cases[i].n_data, &err), cases[i].status,
                     cases[i].text, err);
    assert_error(parse_parts("{}\0 ", 4, 0, &err), TR_ERR_FORMAT, "NUL", err);
}

static void test_unusual_but_valid_headers_are_read(void **state)
{
    (void)state;
    tr_error err = {0};
    const char *const valid[] = {
        "{}",
        "{}      ",
        "{\"__metadata__\":{}}",
        "{\"b\":{\"dtype\":\"F4\",\"shape\":[2,2],\"data_offsets\":[0,2],\"extra\":1},"
        "\"z\":{\"dtype\":\"F64\",\"shape\":[0],\"data_offsets\":[2,2]},"
        "\"a\":{\"dtype\":\"F64\",\"shape\":[9223372036854775807,0],\"data_offsets\":[0,0]}}",
    };
    for (int i = 0; i < 4; i++) assert_ok(parse_parts(valid[i], strlen(valid[i]), i == 3 ? 2 : 0, &err), err);
}

static void test_a_file_cut_at_any_byte_is_refused(void **state)
{
    (void)state;
    const char *const names[] = {"golden/format/adapter.safetensors", "golden/format/mixed.safetensors"};
    for (int k = 0; k < 2; k++) {
        char *data;
        size_t size;
        tr_error err = {0};
        assert_ok(tr_file_read(test_file(names[k]), 1 << 20, &data, &size, &err), err);
        for (size_t n = 0; n < size; n++) {
            uint8_t *copy = malloc(n + 1);
            tr_safetensors file;
            memcpy(copy, data, n);
            tr_status status = tr_safetensors_parse(copy, n, &file, &err);
            if (status != TR_ERR_FORMAT)
                fail_msg("%s cut at byte %zu of %zu: status %d", names[k], n, size, status);
            free(copy);
        }
        free(data);
    }
}

static void test_header_sizes_beyond_the_file_or_the_limit_are_refused(void **state)
{
    (void)state;
    const struct { uint64_t size; const char *text; } cases[] = {
        {UINT64_MAX, "claims a header"}, {100000001, "claims a header"}, {100000000, "ends inside its header"},
        {9, "ends inside its header"},
    };
    tr_safetensors file;
    tr_error err;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[16] = {0};
        memcpy(bytes, &cases[i].size, 8);
        bytes[8] = '{';
        assert_error(tr_safetensors_parse(bytes, sizeof bytes, &file, &err), TR_ERR_FORMAT, cases[i].text, err);
    }
    const char *path = scratch_with("broken.safetensors", "\x10\0\0\0\0\0\0\0{\"a\":", 12);
    assert_error(tr_safetensors_open(path, &file, &err), TR_ERR_FORMAT, "broken.safetensors", err);
    assert_error(tr_safetensors_open("/nonexistent/a.safetensors", &file, &err), TR_ERR_IO, "a.safetensors", err);
}

TR_TEST_MAIN(cmocka_unit_test(test_every_float_type_is_decoded),
             cmocka_unit_test(test_scalars_and_empty_tensors_are_read_and_integers_refused),
             cmocka_unit_test(test_written_bytes_equal_those_of_the_python_package),
             cmocka_unit_test(test_what_is_written_is_read_back_the_same),
             cmocka_unit_test(test_tensors_that_cannot_be_written_leave_no_file),
             cmocka_unit_test(test_headers_that_lie_are_refused),
             cmocka_unit_test(test_unusual_but_valid_headers_are_read),
             cmocka_unit_test(test_a_file_cut_at_any_byte_is_refused),
             cmocka_unit_test(test_header_sizes_beyond_the_file_or_the_limit_are_refused))
