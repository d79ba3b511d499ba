/* This file implements the decoding of weight rows, vectorised by the compiler; bit-identical to the reference
 * decoders of src/format/quant.c (compiled, like them, without fused multiply-add). Layouts: see there. */
#include "kernel/operations.h"

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#else
#pragma GCC optimize("fp-contract=off")
#endif

#ifdef TR_ORACLE

void K(dequantize)(tr_type type, const void *source, float *out, size_t n) { tr_dequantize(type, source, out, n); }

#else

#ifdef __F16C__
#include <immintrin.h>
#endif

static inline float half(const uint8_t *p)
{
    uint16_t bits;
    memcpy(&bits, p, sizeof bits);
#if defined(__F16C__)
    return _cvtsh_ss(bits); /* _Float16 needs GCC 12, clang 15 */
#elif defined(__aarch64__)
    _Float16 value;
    memcpy(&value, &bits, sizeof value);
    return (float)value;
#else
    return tr_half_to_float(bits);
#endif
}

static void decode_q4_0(const uint8_t *b, float *restrict y, size_t n)
{
    for (; n; n -= 32, b += 18, y += 32) {
        const float d = half(b);
        for (int j = 0; j < 16; j++) {
            y[j] = (float)((b[2 + j] & 15) - 8) * d;
            y[j + 16] = (float)((b[2 + j] >> 4) - 8) * d;
        }
    }
}

static void decode_q4_1(const uint8_t *b, float *restrict y, size_t n)
{
    for (; n; n -= 32, b += 20, y += 32) {
        const float d = half(b), m = half(b + 2);
        for (int j = 0; j < 16; j++) {
            y[j] = (float)(b[4 + j] & 15) * d + m;
            y[j + 16] = (float)(b[4 + j] >> 4) * d + m;
        }
    }
}

static void decode_q5_0(const uint8_t *b, float *restrict y, size_t n)
{
    for (; n; n -= 32, b += 22, y += 32) {
        const float d = half(b);
        uint32_t high;
        memcpy(&high, b + 2, 4);
        for (int j = 0; j < 16; j++) {
            y[j] = (float)((int)((b[6 + j] & 15) | ((high >> j) & 1) << 4) - 16) * d;
            y[j + 16] = (float)((int)((b[6 + j] >> 4) | ((high >> (j + 16)) & 1) << 4) - 16) * d;
        }
    }
}

static void decode_q5_1(const uint8_t *b, float *restrict y, size_t n)
{
    for (; n; n -= 32, b += 24, y += 32) {
        const float d = half(b), m = half(b + 2);
        uint32_t high;
        memcpy(&high, b + 4, 4);
        for (int j = 0; j < 16; j++) {
            y[j] = (float)(int)((b[8 + j] & 15) | ((high >> j) & 1) << 4) * d + m;
            y[j + 16] = (float)(int)((b[8 + j] >> 4) | ((high >> (j + 16)) & 1) << 4) * d + m;
        }
    }
}

static void decode_q8_0(const uint8_t *b, float *restrict y, size_t n)
{
    for (; n; n -= 32, b += 34, y += 32) {
        const float d = half(b);
        for (int j = 0; j < 32; j++) y[j] = (float)(int8_t)b[2 + j] * d;
    }
}

/* Scale and minimum of sub-block j (0..7) of Q4_K and Q5_K, six bits each. */
static inline void scale_min(const uint8_t *s, int j, int *scale, int *min)
{
    if (j < 4) {
        *scale = s[j] & 63;
        *min = s[j + 4] & 63;
    } else {
        *scale = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
        *min = (s[j + 4] >> 4) | (s[j] >> 6) << 4;
    }
}

static void decode_q4_k(const uint8_t *b, float *restrict y, size_t n)
{
    for (; n; n -= 256, b += 144, y += 256)
        for (int j = 0; j < 8; j++) {
            int scale, min;
            scale_min(b + 4, j, &scale, &min);
            const float d = half(b) * (float)scale, m = half(b + 2) * (float)min;
            const uint8_t *q = b + 16 + (j / 2) * 32;
            const int shift = (j & 1) * 4;
            for (int i = 0; i < 32; i++) y[j * 32 + i] = d * (float)((q[i] >> shift) & 15) - m;
        }
}

static void decode_q5_k(const uint8_t *b, float *restrict y, size_t n)
{
    for (; n; n -= 256, b += 176, y += 256)
        for (int j = 0; j < 8; j++) {
            int scale, min;
            scale_min(b + 4, j, &scale, &min);
            const float d = half(b) * (float)scale, m = half(b + 2) * (float)min;
            const uint8_t *high = b + 16, *q = b + 48 + (j / 2) * 32;
            const int shift = (j & 1) * 4;
            for (int i = 0; i < 32; i++)
                y[j * 32 + i] = d * (float)(((q[i] >> shift) & 15) | ((high[i] >> j) & 1) << 4) - m;
        }
}

static void decode_q6_k(const uint8_t *b, float *restrict y, size_t n)
{
    for (; n; n -= 256, b += 210, y += 256) {
        const float d = half(b + 208);
        const int8_t *scales = (const int8_t *)b + 192;
        for (int g = 0; g < 8; g++) { /* 32 elements: half g / 4, quarter g % 4 */
            const uint8_t *low = b + (g / 4) * 64 + (g & 1) * 32, *high = b + 128 + (g / 4) * 32;
            const int low_shift = (g & 2) * 2, high_shift = (g & 3) * 2;
            for (int s = 0; s < 2; s++) {
                const float scale = d * (float)scales[g * 2 + s];
                for (int i = s * 16; i < s * 16 + 16; i++)
                    y[g * 32 + i] =
                        scale * (float)((((low[i] >> low_shift) & 15) | ((high[i] >> high_shift) & 3) << 4) - 32);
            }
        }
    }
}

/* The compiler does not vectorise the conversion by itself. */
static void decode_f16(const uint8_t *b, float *restrict y, size_t n)
{
    size_t i = 0;
#if VL == 16
    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(y + i, _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(b + 2 * i))));
#elif VL == 8 && defined(__F16C__)
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128((const void *)(b + 2 * i))));
#endif
    for (; i < n; i++) y[i] = half(b + 2 * i);
}

static void decode_bf16(const uint8_t *b, float *restrict y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, b + 2 * i, 2);
        uint32_t wide = (uint32_t)bits << 16;
        memcpy(y + i, &wide, 4);
    }
}

void K(dequantize)(tr_type type, const void *source, float *out, size_t n)
{
    switch (type) {
    case TR_TYPE_F32: memcpy(out, source, n * sizeof *out); break;
    case TR_TYPE_F16: decode_f16(source, out, n); break;
    case TR_TYPE_BF16: decode_bf16(source, out, n); break;
    case TR_TYPE_Q4_0: decode_q4_0(source, out, n); break;
    case TR_TYPE_Q4_1: decode_q4_1(source, out, n); break;
    case TR_TYPE_Q5_0: decode_q5_0(source, out, n); break;
    case TR_TYPE_Q5_1: decode_q5_1(source, out, n); break;
    case TR_TYPE_Q8_0: decode_q8_0(source, out, n); break;
    case TR_TYPE_Q4_K: decode_q4_k(source, out, n); break;
    case TR_TYPE_Q5_K: decode_q5_k(source, out, n); break;
    case TR_TYPE_Q6_K: decode_q6_k(source, out, n); break;
    }
}

#endif
