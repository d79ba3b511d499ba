/* This file implements the counter-based random numbers (Philox4x32-10). */
#include "base/rng.h"

void tr_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

uint32_t tr_rng_u32(uint64_t seed, tr_rng_purpose purpose, uint32_t stream, uint64_t index)
{
    uint64_t block = index >> 2;
    uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), stream, (uint32_t)purpose};
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, out[4];
    tr_philox4x32(counter, key, out);
    return out[index & 3];
}

float tr_rng_uniform(uint64_t seed, tr_rng_purpose purpose, uint32_t stream, uint64_t index)
{
    return (float)(tr_rng_u32(seed, purpose, stream, index) >> 8) * 0x1p-24f;
}

uint32_t tr_rng_below(uint64_t seed, tr_rng_purpose purpose, uint32_t stream, uint64_t index, uint32_t bound)
{
    return (uint32_t)(((uint64_t)tr_rng_u32(seed, purpose, stream, index) * bound) >> 32);
}

void tr_rng_permute(uint64_t seed, tr_rng_purpose purpose, uint32_t stream, uint32_t *order, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++) {
        size_t j = i + tr_rng_below(seed, purpose, stream, i, (uint32_t)(n - i));
        uint32_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}
