/* Helpers of the kernels' tests: the levels this processor has, arrays that notice writes beyond their ends, random
 * values, comparisons that name the case. The tests visit the levels themselves and ignore TALLREC_CPU. */
#ifndef TR_TEST_KERNEL_TESTING_H
#define TR_TEST_KERNEL_TESTING_H

#include "testing.h"

#include "kernel/table.h"
#include "random_weights.h"

#include <math.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static inline const tr_kernels *kernels_if_present(int level)
{
    return tr_cpu_has((tr_cpu_level)level) ? tr_kernels_at((tr_cpu_level)level) : NULL;
}

/* The body runs with `kernels` set to the table of each level, the oracle's included. */
#define FOR_EACH_LEVEL(kernels)                                         \
    for (int level_ = TR_CPU_ORACLE; level_ <= TR_CPU_AVX512; level_++) \
        for (const tr_kernels *kernels = kernels_if_present(level_); kernels; kernels = NULL)

/* Vector lengths and their neighbours. */
static const int odd_sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 129};

/* ---- what is being tested, for messages ---- */

static char case_name[200];
#define CASE(...) snprintf(case_name, sizeof case_name, __VA_ARGS__)

static inline void near(size_t i, double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance))
        fail_msg("%s: element %zu is %.9g, expected %.9g within %.3g", case_name, i, got, expected, tolerance);
}

static inline void all_near(const float *got, const float *expected, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++) near(i, (double)got[i], (double)expected[i], tolerance);
}

static inline uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline void same_bits(const float *got, const float *expected, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bits_of(got[i]) != bits_of(expected[i]))
            fail_msg("%s: element %zu is %a, expected %a", case_name, i, (double)got[i], (double)expected[i]);
}

/* ---- arrays ---- */

/* Around each array lie guards, or, under AddressSanitizer, nothing that may be touched. Arrays begin at an odd
 * multiple of four bytes: no kernel may count on more. Guards are NaN, so that a value read there shows. */
#if defined(__SANITIZE_ADDRESS__)
enum { GUARD_BEFORE = 1, GUARD_AFTER = 0 };
#else
enum { GUARD_BEFORE = 17, GUARD_AFTER = 17 };
#endif
#define POISON_BITS 0x7fc0beefu

static struct {
    float *block;
    size_t n;
} arrays[128];
static int n_arrays;

static inline float poison(void)
{
    const uint32_t bits = POISON_BITS;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* n floats, all poison; released by `release_arrays`. */
static inline float *take(size_t n)
{
    float *block = malloc((GUARD_BEFORE + n + GUARD_AFTER) * sizeof *block);
    if (!block || n_arrays == COUNT(arrays)) fail_msg("no memory for the test");
    for (size_t i = 0; i < GUARD_BEFORE + n + GUARD_AFTER; i++) block[i] = poison();
    arrays[n_arrays].block = block;
    arrays[n_arrays++].n = n;
    return block + GUARD_BEFORE;
}

static inline bool is_poison(float value) { return bits_of(value) == POISON_BITS; }

/* Checks all guards and frees all arrays. */
static inline void release_arrays(void)
{
    for (int a = 0; a < n_arrays; a++) {
        for (size_t i = 0; i < GUARD_BEFORE + arrays[a].n + GUARD_AFTER; i++) {
            bool guard = i < GUARD_BEFORE || i >= GUARD_BEFORE + arrays[a].n;
            if (guard && !is_poison(arrays[a].block[i]))
                fail_msg("%s: wrote outside array %d of %zu floats, at %td", case_name, a, arrays[a].n,
                         (ptrdiff_t)i - GUARD_BEFORE);
        }
        free(arrays[a].block);
    }
    n_arrays = 0;
}

static uint64_t random_state = 1;

static inline int random_below(int bound) { return (int)(random_bits(&random_state) % (uint64_t)bound); }

/* n floats, uniform in [-scale, scale). */
static inline float *take_random(size_t n, float scale)
{
    float *x = take(n);
    for (size_t i = 0; i < n; i++) x[i] = random_value(&random_state) * scale;
    return x;
}

static inline float *take_copy(const float *from, size_t n)
{
    float *x = take(n);
    if (n) memcpy(x, from, n * sizeof *x);
    return x;
}

#endif
