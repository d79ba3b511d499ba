/* Tests of dropout at every level: the mask is the documented function of (seed, stream, index), drops the right
 * share, and does not depend on how the elements are cut into calls. */
#include "kernel_testing.h"

#include "base/rng.h"

/* The contract, word for word: 16 bits of Philox block index / 8, low half of each word first. */
static uint32_t random_number(uint64_t seed, uint32_t stream, uint64_t index)
{
    const uint64_t block = index / 8;
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), stream, TR_RNG_DROPOUT};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t out[4];
    tr_philox4x32(counter, key, out);
    const uint32_t half = index % 8;
    return out[half / 2] >> (half % 2 * 16) & 0xFFFF;
}

static void test_mask_is_the_documented_function_of_seed_stream_and_index(void **state)
{
    (void)state;
    static const uint64_t firsts[] = {0, 1, 7, 8, 127, 128, 0xFFFFFFFFu - 3, (1ull << 35) - 5, (1ull << 40) + 3};
    static const float shares[] = {0.05f, 0.5f, 0.9f, 0};
    FOR_EACH_LEVEL(kernels)
        for (int s = 0; s < COUNT(odd_sizes); s++)
            for (int f = 0; f < COUNT(firsts); f++) {
                const size_t n = (size_t)odd_sizes[s];
                const float p = shares[(s + f) % 4];
                const uint64_t seed = 0x123456789ABCDEFull * (uint64_t)(f + 1);
                CASE("dropout %s n %zu first %llu p %g", tr_cpu_name(kernels->level), n,
                     (unsigned long long)firsts[f], (double)p);
                float *x = take_random(n, 3), *y = take(n);
                kernels->dropout(x, y, n, p, seed, (uint32_t)s, firsts[f]);
                for (size_t i = 0; i < n; i++) {
                    const bool kept = random_number(seed, (uint32_t)s, firsts[f] + i) >= rint((double)p * 65536);
                    const double expected = kept ? (double)x[i] / (1 - (double)p) : 0;
                    near(i, (double)y[i], expected, 3e-7 * fabs(expected));
                }
                kernels->dropout(x, x, n, p, seed, (uint32_t)s, firsts[f]);
                same_bits(x, y, n);
                release_arrays();
            }
}

/* The numbers next to the bound are rare, one in 65536: they are looked for. */
static void test_an_element_is_dropped_below_the_bound_and_kept_at_it(void **state)
{
    (void)state;
    const uint32_t bound = 65536 / 4;
    int kept = 0, dropped = 0;
    for (uint64_t index = 0; index < 500000; index++) {
        const uint32_t number = random_number(5, 6, index);
        if (number != bound && number != bound - 1) continue;
        *(number == bound ? &kept : &dropped) += 1;
        FOR_EACH_LEVEL(kernels) {
            CASE("dropout %s number %u bound %u", tr_cpu_name(kernels->level), number, bound);
            float x = 3, y = poison();
            kernels->dropout(&x, &y, 1, 0.25f, 5, 6, index);
            near(0, (double)y, number == bound ? 4 : 0, 1e-6);
        }
    }
    assert_true(kept > 0 && dropped > 0);
}

static void test_pieces_have_the_mask_of_the_whole(void **state)
{
    (void)state;
    enum { N = 3000 };
    FOR_EACH_LEVEL(kernels)
        for (int round = 0; round < 20; round++) {
            CASE("dropout %s in pieces, round %d", tr_cpu_name(kernels->level), round);
            float *x = take_random(N, 1), *whole = take(N), *pieces = take(N);
            kernels->dropout(x, whole, N, 0.3f, 7, 9, 1000);
            for (size_t at = 0, size; at < N; at += size) {
                size = (size_t)random_below(round < 10 ? 40 : 700) + 1;
                if (size > N - at) size = N - at;
                kernels->dropout(x + at, pieces + at, size, 0.3f, 7, 9, 1000 + at);
            }
            same_bits(pieces, whole, N);
            release_arrays();
        }
}

static void test_without_dropout_nothing_changes(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels) {
        CASE("dropout %s p 0", tr_cpu_name(kernels->level));
        float *x = take_random(1001, 1e3f), *y = take(1001);
        kernels->dropout(x, y, 1001, 0, 1, 2, 3);
        same_bits(y, x, 1001);
        release_arrays();
    }
}

/* The share count / n may be off from p by five standard deviations of that many independent trials. */
static void near_share(double count, double n, double p, double independent)
{
    near(0, count / n, p, 5 * sqrt(p * (1 - p) / independent));
}

static void test_the_share_dropped_is_p_and_neighbours_are_independent(void **state)
{
    (void)state;
    enum { N = 1 << 17 };
    static const float shares[] = {0.01f, 0.05f, 0.1f, 0.5f, 0.95f};
    FOR_EACH_LEVEL(kernels)
        for (int s = 0; s < COUNT(shares); s++) {
            const double p = (double)shares[s];
            CASE("dropout %s p %g", tr_cpu_name(kernels->level), p);
            float *x = take(N), *y = take(N), *other = take(N);
            for (size_t i = 0; i < N; i++) x[i] = 1;
            kernels->dropout(x, y, N, shares[s], 42, 1, 0);
            kernels->dropout(x, other, N, shares[s], 42, 2, 0); /* the next step */
            double dropped = 0, pairs = 0, eighths = 0, both = 0;
            for (size_t i = 0; i < N; i++) {
                dropped += y[i] == 0;
                pairs += y[i] == 0 && y[(i + 1) % N] == 0;
                eighths += y[i] == 0 && y[(i + 8) % N] == 0;
                both += y[i] == 0 && other[i] == 0;
            }
            near_share(dropped, N, p, N);
            near_share(pairs, N, p * p, N / 3.); /* overlapping pairs vary more, by a factor below 3 */
            near_share(eighths, N, p * p, N / 3.);
            near_share(both, N, p * p, N);
            release_arrays();
        }
}

TR_TEST_MAIN(cmocka_unit_test(test_mask_is_the_documented_function_of_seed_stream_and_index),
             cmocka_unit_test(test_an_element_is_dropped_below_the_bound_and_kept_at_it),
             cmocka_unit_test(test_pieces_have_the_mask_of_the_whole),
             cmocka_unit_test(test_without_dropout_nothing_changes),
             cmocka_unit_test(test_the_share_dropped_is_p_and_neighbours_are_independent))
