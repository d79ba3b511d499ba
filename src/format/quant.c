/* This file implements the table of element types and the reference decoding of each block format.
 * It is built with -ffp-contract=off (see meson.build) so that q*d + m means two roundings on every processor. For
 * the types so far it could not differ: q*d has at most 22 significant bits, so the product is exact and a fused
 * multiply-add gives the same sum. The flag keeps that from mattering to the next type.
 *
 * In the formats of 32 elements the low nibble of byte j is element j and the high nibble element j + 16;
 * they are not adjacent pairs. */
#include "format/quant.h"
#include "format/bytes.h"

enum { SMALL = 32, LARGE = 256 }; /* elements of a block */

/* Indexed by id. block_elements 0: the id was removed from the format, or its type lives only in memory
 * (Q8_1, Q8_K), so that no file may hold it; the name serves messages. */
static const tr_type_info types[] = {
    [0] = {"F32", 1, 4, true},
    [1] = {"F16", 1, 2, true},
    [2] = {"Q4_0", SMALL, 18, true},
    [3] = {"Q4_1", SMALL, 20, true},
    [4] = {"Q4_2"},
    [5] = {"Q4_3"},
    [6] = {"Q5_0", SMALL, 22, true},
    [7] = {"Q5_1", SMALL, 24, true},
    [8] = {"Q8_0", SMALL, 34, true},
    [9] = {"Q8_1"},
    [10] = {"Q2_K", LARGE, 84, false},
    [11] = {"Q3_K", LARGE, 110, false},
    [12] = {"Q4_K", LARGE, 144, true},
    [13] = {"Q5_K", LARGE, 176, true},
    [14] = {"Q6_K", LARGE, 210, true},
    [15] = {"Q8_K"},
    [16] = {"IQ2_XXS", LARGE, 66, false},
    [17] = {"IQ2_XS", LARGE, 74, false},
    [18] = {"IQ3_XXS", LARGE, 98, false},
    [19] = {"IQ1_S", LARGE, 50, false},
    [20] = {"IQ4_NL", SMALL, 18, false},
    [21] = {"IQ3_S", LARGE, 110, false},
    [22] = {"IQ2_S", LARGE, 82, false},
    [23] = {"IQ4_XS", LARGE, 136, false},
    [24] = {"I8", 1, 1, false},
    [25] = {"I16", 1, 2, false},
    [26] = {"I32", 1, 4, false},
    [27] = {"I64", 1, 8, false},
    [28] = {"F64", 1, 8, false},
    [29] = {"IQ1_M", LARGE, 56, false},
    [30] = {"BF16", 1, 2, true},
    [31] = {"Q4_0_4_4"},
    [32] = {"Q4_0_4_8"},
    [33] = {"Q4_0_8_8"},
    [34] = {"TQ1_0", LARGE, 54, false},
    [35] = {"TQ2_0", LARGE, 66, false},
    [36] = {"IQ4_NL_4_4"},
    [37] = {"IQ4_NL_4_8"},
    [38] = {"IQ4_NL_8_8"},
    [39] = {"MXFP4", 32, 17, false},
    [40] = {"NVFP4", 64, 36, false},
    [41] = {"Q1_0", 128, 18, false},
    [42] = {"Q2_0", 64, 18, false},
};
static const size_t n_types = sizeof types / sizeof types[0];

const tr_type_info *tr_type_lookup(uint32_t id)
{
    return id < n_types && types[id].block_elements > 0 ? &types[id] : NULL;
}

const char *tr_type_name(uint32_t id)
{
    return id < n_types ? types[id].name : NULL;
}

size_t tr_type_row_bytes(tr_type type, size_t n)
{
    const tr_type_info *info = tr_type_lookup((uint32_t)type);
    size_t bytes;
    if (!info || n % (size_t)info->block_elements != 0) return 0;
    if (__builtin_mul_overflow(n / (size_t)info->block_elements, (size_t)info->block_bytes, &bytes)) return 0;
    return bytes;
}

static float bits_to_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float tr_half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = (half >> 10) & 31, fraction = half & 0x3ff;
    if (exponent == 31) /* infinity, or a NaN made quiet as the processors do */
        return bits_to_float(sign | 0x7f800000 | (fraction ? 0x400000 | fraction << 13 : 0));
    if (exponent > 0) return bits_to_float(sign | (exponent + 112) << 23 | fraction << 13);
    float magnitude = (float)fraction * 0x1p-24f; /* zero or subnormal: exact in float32 */
    return sign ? -magnitude : magnitude;
}

uint16_t tr_float_to_half(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (bits >> 13 & 0x3ff));
    if (bits >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* 65520 and above round to infinity */
    if (bits >= 0x38800000) {
        /* Normal: drop 13 bits to nearest, ties to even; a carry into the exponent is the right answer. */
        bits += 0xfff + (bits >> 13 & 1);
        return (uint16_t)(sign | ((bits >> 13) - (112u << 10)));
    }
    /* Subnormal: adding one half makes the unit in the last place 2^-24, so the addition itself rounds. */
    float sum = bits_to_float(bits) + 0.5f;
    memcpy(&bits, &sum, sizeof bits);
    return (uint16_t)(sign | (bits - 0x3f000000));
}

float tr_bfloat16_to_float(uint16_t value)
{
    return bits_to_float((uint32_t)value << 16);
}

static float load_half(const uint8_t *at)
{
    return tr_half_to_float(tr_load_u16(at));
}

/* Each decoder below takes one block and writes its elements. */

static void decode_q4_0(const uint8_t *block, float *y)
{
    float d = load_half(block);
    const uint8_t *qs = block + 2;
    for (int j = 0; j < 16; j++) {
        y[j] = (float)((qs[j] & 15) - 8) * d;
        y[j + 16] = (float)((qs[j] >> 4) - 8) * d;
    }
}

static void decode_q4_1(const uint8_t *block, float *y)
{
    float d = load_half(block), m = load_half(block + 2);
    const uint8_t *qs = block + 4;
    for (int j = 0; j < 16; j++) {
        y[j] = (float)(qs[j] & 15) * d + m;
        y[j + 16] = (float)(qs[j] >> 4) * d + m;
    }
}

/* The five-bit number of element i: its nibble below, bit i of `high` above. */
static int five_bits(const uint8_t *qs, uint32_t high, int i)
{
    int low = i < 16 ? qs[i] & 15 : qs[i - 16] >> 4;
    return low | (int)(high >> i & 1) << 4;
}

static void decode_q5_0(const uint8_t *block, float *y)
{
    float d = load_half(block);
    uint32_t high = tr_load_u32(block + 2);
    for (int i = 0; i < SMALL; i++) y[i] = (float)(five_bits(block + 6, high, i) - 16) * d;
}

static void decode_q5_1(const uint8_t *block, float *y)
{
    float d = load_half(block), m = load_half(block + 2);
    uint32_t high = tr_load_u32(block + 4);
    for (int i = 0; i < SMALL; i++) y[i] = (float)five_bits(block + 8, high, i) * d + m;
}

static void decode_q8_0(const uint8_t *block, float *y)
{
    float d = load_half(block);
    for (int i = 0; i < SMALL; i++) y[i] = (float)(int8_t)block[2 + i] * d;
}

/* Six-bit scale and minimum of sub-block j (0..7) of 32 elements, packed in 12 bytes. */
static void unpack_scale_min(const uint8_t *s, int j, int *scale, int *min)
{
    if (j < 4) {
        *scale = s[j] & 63;
        *min = s[j + 4] & 63;
    } else {
        *scale = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
        *min = (s[j + 4] >> 4) | (s[j] >> 6) << 4;
    }
}

/* Q4_K and Q5_K differ by one more bit an element: bit j of high[l] for element l of sub-block j.
 * `high` is NULL for Q4_K. The minimum is stored positive and subtracted. */
static void decode_q45_k(const uint8_t *block, const uint8_t *high, const uint8_t *qs, float *y)
{
    float d = load_half(block), d_min = load_half(block + 2);
    for (int j = 0; j < 8; j++) {
        int scale, min;
        unpack_scale_min(block + 4, j, &scale, &min);
        float step = d * (float)scale, offset = d_min * (float)min;
        for (int l = 0; l < 32; l++) {
            uint8_t byte = qs[j / 2 * 32 + l];
            int q = j % 2 == 0 ? byte & 15 : byte >> 4;
            if (high) q |= (high[l] >> j & 1) << 4;
            y[j * 32 + l] = step * (float)q - offset;
        }
    }
}

static void decode_q4_k(const uint8_t *block, float *y)
{
    decode_q45_k(block, NULL, block + 16, y);
}

static void decode_q5_k(const uint8_t *block, float *y)
{
    decode_q45_k(block, block + 16, block + 48, y);
}

static void decode_q6_k(const uint8_t *block, float *y)
{
    const uint8_t *low = block, *high = block + 128, *scales = block + 192;
    float d = load_half(block + 208); /* at the end, unlike in every other format */
    for (int i = 0; i < LARGE; i++) {
        int half = i / 128, group = i % 128 / 32, l = i % 32;
        uint8_t byte = low[half * 64 + group % 2 * 32 + l];
        int q = group < 2 ? byte & 15 : byte >> 4;
        q |= (high[half * 32 + l] >> 2 * group & 3) << 4;
        y[i] = d * (float)(int8_t)scales[i / 16] * (float)(q - 32);
    }
}

static void decode_f16(const uint8_t *block, float *y)
{
    *y = load_half(block);
}

static void decode_bf16(const uint8_t *block, float *y)
{
    *y = tr_bfloat16_to_float(tr_load_u16(block));
}

void tr_dequantize(tr_type type, const void *source, float *out, size_t n)
{
    void (*decode)(const uint8_t *block, float *y) = NULL;
    switch (type) {
    case TR_TYPE_F32: memcpy(out, source, n * sizeof *out); return;
    case TR_TYPE_F16: decode = decode_f16; break;
    case TR_TYPE_BF16: decode = decode_bf16; break;
    case TR_TYPE_Q4_0: decode = decode_q4_0; break;
    case TR_TYPE_Q4_1: decode = decode_q4_1; break;
    case TR_TYPE_Q5_0: decode = decode_q5_0; break;
    case TR_TYPE_Q5_1: decode = decode_q5_1; break;
    case TR_TYPE_Q8_0: decode = decode_q8_0; break;
    case TR_TYPE_Q4_K: decode = decode_q4_k; break;
    case TR_TYPE_Q5_K: decode = decode_q5_k; break;
    case TR_TYPE_Q6_K: decode = decode_q6_k; break;
    }
    const tr_type_info *info = tr_type_lookup((uint32_t)type);
    if (!decode || !info) return; /* a caller's bug; the readers refuse such tensors by name */
    const uint8_t *block = source;
    for (size_t i = 0; i < n; i += (size_t)info->block_elements, block += info->block_bytes)
        decode(block, out + i);
}
