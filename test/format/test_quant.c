/* Tests of src/format/quant.c: the type table, half and bfloat16 conversion, and every block decoder against what
 * the Python package gguf makes of random blocks (tools/make_golden_quant.py). */
#include "testing.h"

#include "format/quant.h"

#include <jansson.h>
#include <math.h>

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The definition of IEEE binary16, in double. */
static double half_oracle(uint16_t half)
{
    int exponent = half >> 10 & 31, fraction = half & 1023;
    double sign = half & 0x8000 ? -1 : 1;
    if (exponent == 31) return fraction ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexp(fraction, -24);
    return sign * ldexp(1024 + fraction, exponent - 25);
}

static void test_every_half_decodes_as_ieee_says_and_back(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float got = tr_half_to_float((uint16_t)h);
        double expected = half_oracle((uint16_t)h);
        if (isnan(expected)) {
            assert_true(isnan(got));
            assert_true(isnan(half_oracle(tr_float_to_half(got))));
            continue;
        }
        if ((double)got != expected || !signbit(got) != !signbit(expected))
            fail_msg("half %04x gave %g, expected %g", h, (double)got, expected);
        assert_int_equal(tr_float_to_half(got), h);
    }
}

/* The nearest half of a finite, positive value that is below the largest half; the even one of two. */
static uint16_t nearest_half_oracle(double value)
{
    uint16_t low = 0, high = 0x7c00; /* halves are ordered like their bits */
    while (high - low > 1) {
        uint16_t middle = (uint16_t)((low + high) / 2);
        if (half_oracle(middle) <= value) low = middle;
        else high = middle;
    }
    double above = high == 0x7c00 ? 65536 : half_oracle(high); /* infinity stands for 2^16 in rounding */
    double to_low = value - half_oracle(low), to_high = above - value;
    return to_low < to_high || (to_low == to_high && low % 2 == 0) ? low : high;
}

static void test_float_to_half_rounds_to_nearest_even(void **state)
{
    (void)state;
    /* Around every border between two halves, and the border itself. */
    for (uint32_t h = 0; h < 0x7c00; h++) {
        double above = h == 0x7bff ? 65536 : half_oracle((uint16_t)(h + 1));
        float border = (float)((half_oracle((uint16_t)h) + above) / 2);
        float tries[] = {nextafterf(border, 0), border, nextafterf(border, INFINITY)};
        for (int i = 0; i < 3; i++) {
            uint16_t expected = nearest_half_oracle((double)tries[i]);
            if (tr_float_to_half(tries[i]) != expected)
                fail_msg("%a gave %04x, expected %04x", (double)tries[i], tr_float_to_half(tries[i]), expected);
            assert_int_equal(tr_float_to_half(-tries[i]), expected | 0x8000);
        }
    }
    assert_int_equal(tr_float_to_half(INFINITY), 0x7c00);
    assert_int_equal(tr_float_to_half(-3e38f), 0xfc00);
    assert_int_equal(tr_float_to_half(1e-30f), 0);
}

static void test_bfloat16_is_the_upper_half_of_a_float(void **state)
{
    (void)state;
    assert_int_equal(bits_of(tr_bfloat16_to_float(0x3f80)), 0x3f800000);
    assert_int_equal(bits_of(tr_bfloat16_to_float(0xc2ab)), 0xc2ab0000);
    assert_true(isinf(tr_bfloat16_to_float(0x7f80)));
}

static size_t from_hex(const char *hex, uint8_t *out)
{
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return n;
}

/* Decodes at an odd address and compares bit for bit. */
static void check_golden(const char *name, const json_t *entry)
{
    uint8_t bytes[4096];
    float expected[1024], got[1024];
    size_t n_bytes = from_hex(json_string_value(json_object_get(entry, "bytes")), bytes + 1);
    size_t n = from_hex(json_string_value(json_object_get(entry, "floats")), (uint8_t *)expected) / 4;
    uint32_t id = (uint32_t)json_integer_value(json_object_get(entry, "id"));

    const tr_type_info *info = tr_type_lookup(id);
    assert_non_null(info);
    assert_string_equal(info->name, name);
    assert_true(info->supported);
    assert_int_equal(tr_type_row_bytes((tr_type)id, n), n_bytes);
    tr_dequantize((tr_type)id, bytes + 1, got, n);
    for (size_t i = 0; i < n; i++)
        if (bits_of(got[i]) != bits_of(expected[i]))
            fail_msg("%s element %zu is %.9g, expected %.9g", name, i, (double)got[i], (double)expected[i]);
}

static void test_each_type_decodes_as_the_reference_does(void **state)
{
    (void)state;
    json_error_t error;
    json_t *golden = json_load_file(test_file("golden/format/quant.json"), 0, &error);
    if (!golden) fail_msg("%s", error.text);
    const char *name;
    json_t *entry;
    assert_int_equal(json_object_size(golden), 11);
    json_object_foreach(golden, name, entry) check_golden(name, entry);
    json_decref(golden);
}

/* Blocks that the reference C quantisers make of x[i] = ((i*7919 + 13) % 257 - 128) / 64: decoding them must give x
 * back within half a step. */
static void test_blocks_of_the_reference_quantisers_decode_near_their_input(void **state)
{
    (void)state;
    const struct { tr_type type; const char *hex; float tolerance; } blocks[] = {
        {TR_TYPE_Q4_0, "00b4ff225588bbee114477aaddf0336699cc", 0.26f},
        {TR_TYPE_Q4_1, "3c34e0bf11ddaa875422eebb9865330fcca97644", 0.14f},
        {TR_TYPE_Q8_0, "08248e5d2efece9f6e3f0fdfb07f4f20f0c091603101d1a2714112e2b3835223f3c3", 0.01f},
    };
    for (size_t b = 0; b < sizeof blocks / sizeof blocks[0]; b++) {
        uint8_t bytes[64];
        float y[32];
        from_hex(blocks[b].hex, bytes);
        tr_dequantize(blocks[b].type, bytes, y, 32);
        for (int i = 0; i < 32; i++) {
            float x = (float)((i * 7919 + 13) % 257 - 128) / 64;
            if (fabsf(y[i] - x) > blocks[b].tolerance)
                fail_msg("%s element %d is %g, made from %g", tr_type_name(blocks[b].type), i, (double)y[i],
                         (double)x);
        }
    }
}

static void test_q4_k_subtracts_its_minimum(void **state)
{
    (void)state;
    uint8_t block[144] = {0};
    float y[256];
    block[2] = 0x00, block[3] = 0x3c; /* dmin = 1 */
    block[4 + 4] = 5;                 /* minimum of sub-block 0 */
    tr_dequantize(TR_TYPE_Q4_K, block, y, 256);
    assert_true(y[0] == -5 && y[31] == -5 && y[32] == 0);
}

static void test_type_table_knows_names_and_refuses_removed_ids(void **state)
{
    (void)state;
    const uint32_t never[] = {4, 5, 9, 15, 31, 32, 33, 36, 37, 38, 43, 1000, UINT32_MAX};
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) assert_null(tr_type_lookup(never[i]));
    assert_string_equal(tr_type_name(4), "Q4_2");
    assert_string_equal(tr_type_name(9), "Q8_1");
    assert_null(tr_type_name(43));
    const tr_type_info *q2 = tr_type_lookup(10);
    assert_string_equal(q2->name, "Q2_K");
    assert_false(q2->supported);
    assert_int_equal(q2->block_bytes, 84);
    int n_supported = 0;
    for (uint32_t id = 0; id < 64; id++) {
        const tr_type_info *info = tr_type_lookup(id);
        if (info) assert_true(info->block_bytes > 0 && info->name);
        if (info && info->supported) n_supported++;
    }
    assert_int_equal(n_supported, 11);
}

static void test_row_bytes_refuses_part_of_a_block_and_overflow(void **state)
{
    (void)state;
    assert_int_equal(tr_type_row_bytes(TR_TYPE_Q4_1, 576), 360);
    assert_int_equal(tr_type_row_bytes(TR_TYPE_Q6_K, 512), 420);
    assert_int_equal(tr_type_row_bytes(TR_TYPE_Q4_K, 576), 0);
    assert_int_equal(tr_type_row_bytes(TR_TYPE_F32, SIZE_MAX), 0);
    assert_int_equal(tr_type_row_bytes((tr_type)4, 32), 0);
}

TR_TEST_MAIN(cmocka_unit_test(test_every_half_decodes_as_ieee_says_and_back),
             cmocka_unit_test(test_float_to_half_rounds_to_nearest_even),
             cmocka_unit_test(test_bfloat16_is_the_upper_half_of_a_float),
             cmocka_unit_test(test_each_type_decodes_as_the_reference_does),
             cmocka_unit_test(test_blocks_of_the_reference_quantisers_decode_near_their_input),
             cmocka_unit_test(test_q4_k_subtracts_its_minimum),
             cmocka_unit_test(test_type_table_knows_names_and_refuses_removed_ids),
             cmocka_unit_test(test_row_bytes_refuses_part_of_a_block_and_overflow))
