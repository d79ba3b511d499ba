/* Random weight rows of every element type, with values of the size that a model's have: for tests and benchmarks
 * of the kernels. */
#ifndef TR_TEST_RANDOM_WEIGHTS_H
#define TR_TEST_RANDOM_WEIGHTS_H

#include "format/quant.h"

#include <stdint.h>
#include <string.h>

static const tr_type every_type[] = {TR_TYPE_F32,  TR_TYPE_F16,  TR_TYPE_BF16, TR_TYPE_Q4_0, TR_TYPE_Q4_1, TR_TYPE_Q5_0,
                                     TR_TYPE_Q5_1, TR_TYPE_Q8_0, TR_TYPE_Q4_K, TR_TYPE_Q5_K, TR_TYPE_Q6_K};
enum { N_TYPES = sizeof every_type / sizeof every_type[0] };

/* SplitMix64 (Steele, Lea, Flood 2014). */
static inline uint64_t random_bits(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Uniform in [-1, 1). */
static inline float random_value(uint64_t *state) { return (float)(random_bits(state) >> 40) * 0x1p-23f - 1.f; }

static inline void put_half(uint8_t *at, float value)
{
    uint16_t half = tr_float_to_half(value);
    memcpy(at, &half, sizeof half);
}

/* One element of a type without blocks, in [-1, 1). */
static inline void random_element(tr_type type, uint8_t *at, uint64_t *state)
{
    float value = random_value(state);
    if (type == TR_TYPE_F16) {
        put_half(at, value);
    } else if (type == TR_TYPE_BF16) {
        memcpy(at, (uint8_t *)&value + 2, 2); /* the upper half of a little-endian float */
    } else {
        memcpy(at, &value, sizeof value);
    }
}

/* Fills `bytes` (whole blocks) with random numbers; scales and offsets are such that the elements lie around
 * [-1, 1]. */
static inline void random_weights(tr_type type, uint8_t *data, size_t bytes, uint64_t *state)
{
    const tr_type_info *info = tr_type_lookup((uint32_t)type);
    for (size_t block = 0; block + (size_t)info->block_bytes <= bytes; block += (size_t)info->block_bytes) {
        uint8_t *at = data + block;
        if (info->block_elements == 1) {
            random_element(type, at, state);
            continue;
        }
        for (int i = 0; i < info->block_bytes; i++) at[i] = (uint8_t)random_bits(state);
        float unit = random_value(state);
        switch (type) {
        case TR_TYPE_Q4_0: put_half(at, unit / 8); break;
        case TR_TYPE_Q5_0: put_half(at, unit / 16); break;
        case TR_TYPE_Q8_0: put_half(at, unit / 128); break;
        case TR_TYPE_Q4_1: put_half(at, unit / 8), put_half(at + 2, -unit); break;
        case TR_TYPE_Q5_1: put_half(at, unit / 16), put_half(at + 2, -unit); break;
        case TR_TYPE_Q4_K: put_half(at, unit / 512), put_half(at + 2, unit / 64); break;
        case TR_TYPE_Q5_K: put_half(at, unit / 1024), put_half(at + 2, unit / 64); break;
        case TR_TYPE_Q6_K: put_half(at + 208, unit / 4096); break;
        default: break;
        }
    }
}

#endif
