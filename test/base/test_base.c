/* Tests of src/base: random numbers, hashes, files, strings. */
#include "testing.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "base/str.h"
#include "base/system.h"

#include <sys/stat.h>
#include <unistd.h>

/* Known-answer vectors of the Random123 distribution. */
static void test_philox_known_answers(void **state)
{
    (void)state;
    uint32_t out[4];
    tr_philox4x32((uint32_t[4]){0}, (uint32_t[2]){0}, out);
    assert_int_equal(out[0], 0x6627e8d5);
    assert_int_equal(out[1], 0xe169c58d);
    assert_int_equal(out[2], 0xbc57ac4c);
    assert_int_equal(out[3], 0x9b00dbd8);
    tr_philox4x32((uint32_t[4]){0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                  (uint32_t[2]){0xa4093822, 0x299f31d0}, out);
    assert_int_equal(out[0], 0xd16cfe09);
    assert_int_equal(out[1], 0x94fdcceb);
    assert_int_equal(out[2], 0x5001e420);
    assert_int_equal(out[3], 0x24126ea1);
}

static void test_permutation_is_a_permutation_and_repeats(void **state)
{
    (void)state;
    uint32_t a[100], b[100];
    bool seen[100] = {false};
    for (uint32_t i = 0; i < 100; i++) a[i] = b[i] = i;
    tr_rng_permute(7, TR_RNG_TEST, 3, a, 100);
    tr_rng_permute(7, TR_RNG_TEST, 3, b, 100);
    assert_memory_equal(a, b, sizeof a);
    for (int i = 0; i < 100; i++) seen[a[i]] = true;
    for (int i = 0; i < 100; i++) assert_true(seen[i]);
    tr_rng_permute(8, TR_RNG_TEST, 3, b, 100);
    assert_memory_not_equal(a, b, sizeof a);
}

static void test_sha256_known_answers(void **state)
{
    (void)state;
    char hex[TR_SHA256_HEX];
    tr_sha256_hex("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    tr_sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    tr_sha256 hash;
    tr_sha256_start(&hash);
    for (int i = 0; i < 1000000; i++) tr_sha256_add(&hash, "a", 1);
    tr_sha256_finish(&hash, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void test_atomic_write_leaves_old_file_on_abandon(void **state)
{
    (void)state;
    tr_error err = {0};
    char folder[] = "/tmp/tallrec-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = tr_path_join(folder, "file");
    assert_ok(tr_file_write(path, "old", 3, &err), err);
    tr_writer writer;
    assert_ok(tr_writer_open(&writer, path, &err), err);
    fputs("new but unfinished", writer.stream);
    tr_writer_abandon(&writer);
    char *text;
    size_t size;
    assert_ok(tr_file_read(path, 100, &text, &size, &err), err);
    assert_string_equal(text, "old");
    free(text);
    unlink(path);
    free(path);
    assert_int_equal(rmdir(folder), 0); /* no temporary left behind */
}

static void test_full_disk_is_reported(void **state)
{
    (void)state;
    if (access("/dev/full", W_OK) != 0) skip_because("no /dev/full on this system");
    tr_error err = {0};
    tr_writer writer = {0};
    char path[] = "/tmp/tallrec-test-full-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_ok(tr_writer_open(&writer, path, &err), err);
    fclose(writer.stream);
    writer.stream = fopen("/dev/full", "wb");
    fputs("x", writer.stream);
    assert_error(tr_writer_commit(&writer, &err), TR_ERR_IO, "No space left", err);
    unlink(path);
}

static void test_missing_file_and_folder_are_named(void **state)
{
    (void)state;
    tr_error err;
    tr_mapping mapping;
    assert_error(tr_file_map("/nonexistent/file", &mapping, &err), TR_ERR_IO, "/nonexistent/file", err);
    assert_error(tr_file_map("/tmp", &mapping, &err), TR_ERR_IO, "a folder, not a file", err);
}

static void test_utf8_and_latin1(void **state)
{
    (void)state;
    assert_true(tr_utf8_valid("caf\xc3\xa9", 5));
    assert_false(tr_utf8_valid("caf\xe9", 4));
    assert_false(tr_utf8_valid("\xc0\xaf", 2));
    assert_false(tr_utf8_valid("\xed\xa0\x80", 3));
    char *text = tr_latin1_to_utf8("caf\xe9", 4);
    assert_string_equal(text, "caf\xc3\xa9");
    free(text);
    assert_int_equal(tr_utf8_width("日本"), 4);
}

static void test_string_escapes_html(void **state)
{
    (void)state;
    tr_str s = {0};
    tr_str_add_html(&s, "<a href=\"x\">'&'</a>");
    assert_string_equal(s.data, "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
    tr_str_free(&s);
}

static void test_allocation_overflow_is_an_error(void **state)
{
    (void)state;
    tr_error err;
    void *p = NULL;
    assert_error(tr_alloc(&p, SIZE_MAX, 8, "a test", &err), TR_ERR_MEMORY, "a test", err);
    assert_null(p);
}

static void test_unknown_cpu_level_is_refused(void **state)
{
    (void)state;
    tr_error err;
    tr_cpu_level level;
    const char *before = getenv("TALLREC_CPU");
    char *saved = before ? strdup(before) : NULL;
    setenv("TALLREC_CPU", "quantum", 1);
    assert_error(tr_cpu_detect(&level, &err), TR_ERR_USAGE, "quantum", err);
    if (saved)
        setenv("TALLREC_CPU", saved, 1);
    else
        unsetenv("TALLREC_CPU");
    free(saved);
}

TR_TEST_MAIN(cmocka_unit_test(test_philox_known_answers),
             cmocka_unit_test(test_permutation_is_a_permutation_and_repeats),
             cmocka_unit_test(test_sha256_known_answers),
             cmocka_unit_test(test_atomic_write_leaves_old_file_on_abandon),
             cmocka_unit_test(test_full_disk_is_reported),
             cmocka_unit_test(test_missing_file_and_folder_are_named),
             cmocka_unit_test(test_utf8_and_latin1),
             cmocka_unit_test(test_string_escapes_html),
             cmocka_unit_test(test_allocation_overflow_is_an_error),
             cmocka_unit_test(test_unknown_cpu_level_is_refused))
