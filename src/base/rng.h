/* Random numbers as a function of (seed, purpose, stream, index), never of what was drawn before: so a
 * resumed run, another thread count or another order of work draws the same numbers.
 * Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). */
#ifndef TR_BASE_RNG_H
#define TR_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/* What a number is for. Each purpose has its own independent sequence. Values are part of the
 * reproducibility contract: append, never renumber. */
typedef enum {
    TR_RNG_INIT = 1,     /* adapter initialisation; stream = tensor number */
    TR_RNG_DROPOUT = 2,  /* dropout masks; stream = step, index packs module and element */
    TR_RNG_SHUFFLE = 3,  /* order of training rows; stream = epoch */
    TR_RNG_SAMPLE = 4,   /* few-shot selection */
    TR_RNG_BOOTSTRAP = 5,/* stream = replicate */
    TR_RNG_HISTORY = 6,  /* shuffled-history control; stream = row */
    TR_RNG_TEST = 7,
    TR_RNG_VALID = 8,    /* which validation rows are evaluated while tuning */
} tr_rng_purpose;

/* The raw block function: counter (4), key (2) -> out (4). */
void tr_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* 32 uniform random bits: number `index` of the sequence (seed, purpose, stream). */
uint32_t tr_rng_u32(uint64_t seed, tr_rng_purpose purpose, uint32_t stream, uint64_t index);

/* Uniform in [0, 1), a multiple of 2^-24. */
float tr_rng_uniform(uint64_t seed, tr_rng_purpose purpose, uint32_t stream, uint64_t index);

/* Uniform in [0, bound), unbiased to 2^-32 (Lemire's multiplication). bound >= 1. */
uint32_t tr_rng_below(uint64_t seed, tr_rng_purpose purpose, uint32_t stream, uint64_t index, uint32_t bound);

/* Fisher-Yates: permutes `order` (n) in place with numbers 0 .. n-2 of the sequence. */
void tr_rng_permute(uint64_t seed, tr_rng_purpose purpose, uint32_t stream, uint32_t *order, size_t n);

#endif
