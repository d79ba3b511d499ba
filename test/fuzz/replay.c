/* This file is the short fuzz run of the suite, for builds without libFuzzer: it feeds a target its seeds and some
 * thousands of damaged copies of them. The copies are the same on every run, so what crashed crashes again. */
#include "testing.h"

#include "base/file.h"
#include "base/rng.h"
#include "fuzz.h"

#include <dirent.h>

enum { N_COPIES = 4000, MAX_EDITS = 6, MAX_SEEDS = 64, MAX_BYTES = 1 << 16 };

typedef struct {
    uint8_t *data;
    size_t size;
} bytes;

static bytes seed[MAX_SEEDS];
static size_t n_seeds;

static int load_seeds(void **state)
{
    (void)state;
    const char *folder = test_file("fuzz/seeds/" FUZZ_TARGET);
    DIR *listing = opendir(folder);
    if (!listing) return -1;
    for (struct dirent *entry; (entry = readdir(listing)) && n_seeds < MAX_SEEDS;) {
        if (entry->d_name[0] == '.') continue;
        char *path = tr_path_join(folder, entry->d_name);
        tr_error err = {0};
        if (!path || tr_file_read(path, MAX_BYTES, (char **)&seed[n_seeds].data, &seed[n_seeds].size, &err)) return -1;
        n_seeds++;
        free(path);
    }
    closedir(listing);
    return 0;
}

static int free_seeds(void **state)
{
    (void)state;
    while (n_seeds > 0) free(seed[--n_seeds].data);
    return 0;
}

/* The target sees a block of exactly `size` bytes, so that a sanitizer catches one byte too far. */
static void feed(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    assert_non_null(exact);
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static uint32_t draw(uint32_t copy, uint64_t *index, uint32_t bound)
{
    return tr_rng_below(1, TR_RNG_TEST, copy, (*index)++, bound);
}

/* Changes one thing in data[0, size) and returns the new size: lengths and counts are what readers trust, so whole
 * integers are put in as often as single bits. */
static size_t damage(uint8_t *data, size_t size, uint32_t copy, uint64_t *index)
{
    static const uint64_t integer[] = {0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
                                       0x100000000, 0x3fffffffffffffff, 0x7fffffffffffffff, UINT64_MAX};
    static const char text[] = "\"\\{}[],:;|\t\r\n0-9eE.\x80\xc3\xff";
    if (size == 0) return 0;
    size_t at = draw(copy, index, (uint32_t)size);
    switch (draw(copy, index, 6)) {
    case 0: data[at] ^= (uint8_t)(1u << draw(copy, index, 8)); return size;
    case 1: data[at] = (uint8_t)draw(copy, index, 256); return size;
    case 2: data[at] = (uint8_t)text[draw(copy, index, sizeof text)]; return size;
    case 3: {
        size_t width = (size_t)1 << (1 + draw(copy, index, 3));
        uint64_t value = integer[draw(copy, index, sizeof integer / sizeof *integer)];
        for (size_t i = 0; i < width && at + i < size; i++) data[at + i] = (uint8_t)(value >> 8 * i);
        return size;
    }
    case 4: return at;
    default: { /* take out a piece */
        size_t n = 1 + draw(copy, index, (uint32_t)(size - at));
        memmove(data + at, data + at + n, size - at - n);
        return size - n;
    }
    }
}

static void test_seeds_are_read_without_harm(void **state)
{
    (void)state;
    assert_true(n_seeds > 0);
    feed((const uint8_t *)"", 0);
    for (size_t i = 0; i < n_seeds; i++) feed(seed[i].data, seed[i].size);
}

static void test_damaged_copies_are_read_without_harm(void **state)
{
    (void)state;
    assert_true(n_seeds > 0);
    static uint8_t copy[MAX_BYTES];
    for (uint32_t c = 0; c < N_COPIES; c++) {
        uint64_t index = 0;
        const bytes *from = &seed[c % n_seeds];
        size_t size = from->size;
        memcpy(copy, from->data, size);
        for (uint32_t edits = 1 + draw(c, &index, MAX_EDITS); edits > 0; edits--) size = damage(copy, size, c, &index);
        feed(copy, size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeds_are_read_without_harm),
        cmocka_unit_test(test_damaged_copies_are_read_without_harm),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, load_seeds, free_seeds);
}
