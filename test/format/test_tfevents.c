/* Tests of src/format/tfevents.c against records that TensorBoard's own writer makes. tools/check_tfevents.py reads
 * a written folder with TensorBoard's reader. */
#include "testing.h"

#include "base/file.h"
#include "base/str.h"
#include "format/tfevents.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

static void expect_record(const tr_str *event, const char *hex)
{
    tr_str record = {0}, text = {0};
    tr_error err = {0};
    assert_ok(tr_tfevents_record(&record, event->data, event->size, &err), err);
    for (size_t i = 0; i < record.size; i++) tr_str_addf(&text, "%02x", (uint8_t)record.data[i]);
    assert_string_equal(text.data, hex);
    tr_str_free(&record);
    tr_str_free(&text);
}

static void test_records_equal_those_of_tensorboard(void **state)
{
    (void)state;
    tr_str event = {0};
    tr_tfevents_version_event(&event, 1);
    expect_record(&event, "1800000000000000a37f4b2209000000000000f03f1a0d627261696e2e4576656e743a3286bf577a");
    tr_str_free(&event);
    tr_tfevents_scalar_event(&event, 2, 300, "loss", 0.5f);
    expect_record(&event,
                  "1b000000000000001a0d9e1309000000000000004010ac022a0d0a0b0a046c6f7373150000003fdfc52b60");
    tr_str_free(&event);
}

static void test_the_checksum_is_masked_castagnoli(void **state)
{
    (void)state;
    tr_str event = {0}, record = {0};
    tr_error err = {0};
    tr_str_add(&event, "123456789"); /* crc32c e3069283, masked c78ab0e5 */
    assert_ok(tr_tfevents_record(&record, event.data, event.size, &err), err);
    assert_memory_equal(record.data + record.size - 4, "\xe5\xb0\x8a\xc7", 4);
    tr_str_free(&event);
    tr_str_free(&record);
}

static void test_a_negative_step_takes_ten_bytes(void **state)
{
    (void)state;
    tr_str event = {0};
    tr_tfevents_scalar_event(&event, 0, -1, "x", 0);
    assert_memory_equal(event.data + 9, "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
    tr_str_free(&event);
}

/* A scratch folder and the event files in it. */
static char folder[512];

static int make_folder(void **state)
{
    (void)state;
    const char *root = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/tallrec-test-XXXXXX", root && *root ? root : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

/* Adds up the sizes of the files, and removes them when asked. */
static size_t visit_files(int *n_files, bool remove)
{
    size_t bytes = 0;
    struct dirent *entry;
    DIR *dir = opendir(folder);
    for (*n_files = 0; (entry = readdir(dir));) {
        char *path = tr_path_join(folder, entry->d_name), *data;
        size_t size;
        tr_error err = {0};
        if (entry->d_name[0] != '.') {
            assert_int_equal(strncmp(entry->d_name, "events.out.tfevents.", 20), 0);
            assert_ok(tr_file_read(path, 1 << 20, &data, &size, &err), err);
            free(data);
            bytes += size;
            ++*n_files;
            if (remove) unlink(path);
        }
        free(path);
    }
    closedir(dir);
    return bytes;
}

static int remove_folder(void **state)
{
    (void)state;
    int n_files;
    visit_files(&n_files, true);
    return rmdir(folder);
}

static void test_each_scalar_is_in_the_file_at_once_and_a_second_run_opens_another(void **state)
{
    (void)state;
    tr_tfevents *first, *second;
    tr_error err = {0};
    int n_files;
    assert_ok(tr_tfevents_create(folder, &first, &err), err);
    assert_int_equal(visit_files(&n_files, false), 40);
    assert_int_equal(n_files, 1);
    assert_ok(tr_tfevents_scalar(first, 2, 300, "loss", 0.5f, &err), err);
    assert_int_equal(visit_files(&n_files, false), 40 + 43);
    assert_ok(tr_tfevents_create(folder, &second, &err), err);
    assert_int_equal(visit_files(&n_files, false), 40 + 43 + 40);
    assert_int_equal(n_files, 2);
    tr_tfevents_close(first);
    tr_tfevents_close(second);
    tr_tfevents_close(NULL);
}

/* A file-size limit stands in for a full disk. */
static void test_a_full_disk_is_an_error_and_leaves_whole_records(void **state)
{
    (void)state;
    tr_tfevents *events;
    tr_error err = {0};
    int n_files;
    struct rlimit old, small;
    assert_ok(tr_tfevents_create(folder, &events, &err), err);
    size_t before = visit_files(&n_files, false);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){.rlim_cur = 60, .rlim_max = old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    tr_status status = tr_tfevents_scalar(events, 2, 300, "loss", 0.5f, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(status, TR_ERR_IO);
    assert_int_equal(visit_files(&n_files, false), before);
    assert_ok(tr_tfevents_scalar(events, 2, 300, "loss", 0.5f, &err), err);
    assert_int_equal(visit_files(&n_files, false), before + 43);
    tr_tfevents_close(events);
}

static void test_a_missing_folder_is_an_io_error(void **state)
{
    (void)state;
    tr_tfevents *events;
    tr_error err;
    assert_error(tr_tfevents_create("/nonexistent", &events, &err), TR_ERR_IO, "/nonexistent/events.out", err);
    assert_null(events);
}

TR_TEST_MAIN(cmocka_unit_test(test_records_equal_those_of_tensorboard),
             cmocka_unit_test(test_the_checksum_is_masked_castagnoli),
             cmocka_unit_test(test_a_negative_step_takes_ten_bytes),
             cmocka_unit_test_setup_teardown(test_each_scalar_is_in_the_file_at_once_and_a_second_run_opens_another,
                                             make_folder, remove_folder),
             cmocka_unit_test_setup_teardown(test_a_full_disk_is_an_error_and_leaves_whole_records, make_folder,
                                             remove_folder),
             cmocka_unit_test(test_a_missing_folder_is_an_io_error))
