/* This file implements dropout with counter-based masks (Philox4x32-10, see base/rng.h): the mask of an element
 * is a function of its place, so backward and resumed runs draw the same one without storing it. */
#include "base/rng.h"
#include "kernel/operations.h"

/* Element i of a stream uses 16 bits: half-word i % 8 of Philox block i / 8. Dropped when below p * 65536. */
#ifdef TR_ORACLE

void K(dropout)(const float *x, float *y, size_t count, float p, uint64_t seed, uint32_t stream, uint64_t first_index)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t index = first_index + i;
        uint32_t word = tr_rng_u32(seed, TR_RNG_DROPOUT, stream, index / 2);
        uint32_t bits = index % 2 ? word >> 16 : word & 0xFFFF;
        y[i] = bits >= (uint32_t)lrint(p * 65536.0) ? x[i] / (1.f - p) : 0;
    }
}

#else

#define BLOCKS 16 /* Philox blocks computed side by side; the compiler makes vectors of these loops */

/* Words of blocks first .. first+BLOCKS: word[w][b] is word w of block first + b. */
static void philox_blocks(uint64_t first, uint32_t stream, uint64_t seed, uint32_t word[4][BLOCKS])
{
    uint32_t c0[BLOCKS], c1[BLOCKS], c2[BLOCKS], c3[BLOCKS];
    for (int b = 0; b < BLOCKS; b++) {
        c0[b] = (uint32_t)(first + (uint64_t)b);
        c1[b] = (uint32_t)((first + (uint64_t)b) >> 32);
        c2[b] = stream;
        c3[b] = TR_RNG_DROPOUT;
    }
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        for (int b = 0; b < BLOCKS; b++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c0[b], p1 = (uint64_t)0xCD9E8D57u * c2[b];
            uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1[b] ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3[b] ^ k1;
            c1[b] = (uint32_t)p1;
            c3[b] = (uint32_t)p0;
            c0[b] = n0;
            c2[b] = n2;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    memcpy(word[0], c0, sizeof c0);
    memcpy(word[1], c1, sizeof c1);
    memcpy(word[2], c2, sizeof c2);
    memcpy(word[3], c3, sizeof c3);
}

void K(dropout)(const float *x, float *y, size_t count, float p, uint64_t seed, uint32_t stream, uint64_t first_index)
{
    const float keep = 1.f / (1.f - p);
    const uint32_t bound = (uint32_t)lrint(p * 65536.0);
    uint32_t word[4][BLOCKS];
    uint16_t bits[8 * BLOCKS];
    for (size_t i = 0; i < count;) {
        uint64_t index = first_index + i, block = index / 8;
        philox_blocks(block, stream, seed, word);
        for (int b = 0; b < BLOCKS; b++)
            for (int w = 0; w < 4; w++) {
                bits[8 * b + 2 * w] = (uint16_t)word[w][b];
                bits[8 * b + 2 * w + 1] = (uint16_t)(word[w][b] >> 16);
            }
        size_t skip = index % 8, here = 8 * BLOCKS - skip < count - i ? 8 * BLOCKS - skip : count - i;
        for (size_t j = 0; j < here; j++) y[i + j] = bits[skip + j] >= bound ? x[i + j] * keep : 0;
        i += here;
    }
}

#endif
