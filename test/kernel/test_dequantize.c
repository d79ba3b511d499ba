/* Tests of the fast decoders of weight rows: bit-identical to tr_dequantize at every level. (tr_dequantize itself is
 * held against the Python package gguf in test/format/test_quant.c.) */
#include "kernel_testing.h"

/* Two NaNs are equal here: which payload survives a product of NaNs is up to the processor. */
static void same_values(const float *got, const float *expected, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bits_of(got[i]) != bits_of(expected[i]) && !(isnan(got[i]) && isnan(expected[i])))
            fail_msg("%s: element %zu is %a, expected %a", case_name, i, (double)got[i], (double)expected[i]);
}

/* `source` lies at an odd address and ends where its memory ends. */
static void try_row(tr_type type, size_t n, bool plausible)
{
    const size_t bytes = tr_type_row_bytes(type, n);
    uint8_t *memory = malloc(bytes + 1), *source = memory + 1;
    assert_non_null(memory);
    for (size_t i = 0; i < bytes; i++) source[i] = (uint8_t)random_bits(&random_state);
    if (plausible) random_weights(type, source, bytes, &random_state);
    float *expected = take(n);
    tr_dequantize(type, source, expected, n);
    FOR_EACH_LEVEL(kernels) {
        CASE("dequantize %s %s n %zu plausible %d", tr_cpu_name(kernels->level), tr_type_name((uint32_t)type), n,
             plausible);
        float *got = take(n);
        kernels->dequantize(type, source, got, n);
        same_values(got, expected, n);
    }
    release_arrays();
    free(memory);
}

static void test_rows_of_every_type_decode_bit_for_bit(void **state)
{
    (void)state;
    for (int t = 0; t < N_TYPES; t++) {
        const size_t block = (size_t)tr_type_lookup((uint32_t)every_type[t])->block_elements;
        for (int s = 0; s < COUNT(odd_sizes); s++)
            for (int round = 0; round < 4; round++) try_row(every_type[t], block * (size_t)odd_sizes[s], round % 2);
    }
}

static void test_every_half_and_bfloat16_decodes_bit_for_bit(void **state)
{
    (void)state;
    static uint16_t source[65536];
    for (int i = 0; i < 65536; i++) source[i] = (uint16_t)i;
    FOR_EACH_LEVEL(kernels)
        for (int t = 0; t < 2; t++) {
            const tr_type type = t ? TR_TYPE_BF16 : TR_TYPE_F16;
            CASE("dequantize %s %s", tr_cpu_name(kernels->level), tr_type_name((uint32_t)type));
            float *got = take(65536), *expected = take(65536);
            kernels->dequantize(type, source, got, 65536);
            tr_dequantize(type, source, expected, 65536);
            same_bits(got, expected, 65536);
            release_arrays();
        }
}

static void test_nothing_is_decoded_from_nothing(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
        for (int t = 0; t < N_TYPES; t++) {
            uint8_t none = 0;
            float *got = take(1);
            CASE("dequantize %s %s n 0", tr_cpu_name(kernels->level), tr_type_name((uint32_t)every_type[t]));
            kernels->dequantize(every_type[t], &none, got, 0);
            if (!is_poison(got[0])) fail_msg("%s: wrote an element", case_name);
            release_arrays();
        }
}

TR_TEST_MAIN(cmocka_unit_test(test_rows_of_every_type_decode_bit_for_bit),
             cmocka_unit_test(test_every_half_and_bfloat16_decodes_bit_for_bit),
             cmocka_unit_test(test_nothing_is_decoded_from_nothing))
