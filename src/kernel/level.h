/* Compiling one source at several instruction-set levels.
 *
 * Every operation's file is compiled once a level (see meson.build) with TR_LEVEL set to oracle, generic, avx2 or
 * avx512. Within it K(name) is the symbol of this level, and `vec` the level's vector of VL floats in GCC's vector
 * extension, so that one text serves SSE2, NEON, AVX2 and AVX-512. At level `oracle` TR_ORACLE is defined and
 * the file's slow, obvious version is compiled instead of the fast one: what the fast ones are tested against. */
#ifndef TR_KERNEL_LEVEL_H
#define TR_KERNEL_LEVEL_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TR_PASTE2(a, b) tr_##a##_##b
#define TR_PASTE(a, b) TR_PASTE2(a, b)
#define K(name) TR_PASTE(name, TR_LEVEL)

#if defined(TR_ORACLE)
#define VL 1
#elif defined(__AVX512F__)
#define VL 16
#elif defined(__AVX2__)
#define VL 8
#else
#define VL 4
#endif

/* Register tiles of the matrix kernels, in rows and vectors: what fits the register file with the operands. */
#if VL == 16
#define TILE_ROWS 6 /* 24 accumulators of 32 registers */
#define TILE_VECS 4
#define SMALL_ROWS 8
#define SMALL_VECS 3
#elif VL > 1
#define TILE_ROWS 6 /* 12 accumulators of 16 registers */
#define TILE_VECS 2
#define SMALL_ROWS 6
#define SMALL_VECS 2
#else
#define TILE_ROWS 4
#define TILE_VECS 8
#endif

#if VL > 1
typedef float vec __attribute__((vector_size(VL * 4)));
typedef float vec_loose __attribute__((vector_size(VL * 4), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(VL * 4)));

static inline vec load(const float *p) { return *(const vec_loose *)p; }
static inline void store(float *p, vec v) { *(vec_loose *)p = v; }
static inline vec splat(float x) { return x - (vec){0}; }

static inline float sum_lanes(vec v)
{
    float total = 0;
    for (int i = 0; i < VL; i++) total += v[i];
    return total;
}

/* Lanes of a where the mask is set, of b elsewhere. */
static inline vec vec_select(ivec mask, vec a, vec b) { return (vec)((mask & (ivec)a) | (~mask & (ivec)b)); }
static inline vec vec_max(vec a, vec b) { return vec_select(a > b, a, b); }

/* exp with a relative error below 2e-7 (Cephes' polynomial after splitting off the power of two); results
 * underflow to 0 below -87.3 and saturate above 88. */
static inline vec vec_exp(vec x)
{
    const vec low = splat(-87.33f), high = splat(88.37f);
    ivec tiny = x < low;
    x = vec_select(x > high, high, x);
    x = vec_select(x < low, low, x);
    vec shifted = x * 1.44269504088896341f + 12582912.f; /* rounds to the nearest integer in the low mantissa bits */
    vec n = shifted - 12582912.f;
    vec r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.f;
    ivec exponent = (ivec)shifted << 23; /* integer n + 0x4B400000: the constant's bits leave by the shift */
    vec result = (vec)((ivec)p + exponent);
    ivec nan = x != x; /* a NaN stays one whatever its bits */
    return vec_select(nan, x, (vec)((ivec)result & ~tiny));
}
#endif

#endif
