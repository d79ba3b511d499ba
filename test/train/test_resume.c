/* This file tests that a run which was stopped, killed or starved of disk goes on as if nothing had happened, and that
 * only the run to which a state belongs goes on from it. */
#include "run_testing.h"
#include "base/rng.h"

#include <sys/resource.h>
#include <sys/wait.h>

static void test_stopped_and_resumed_equals_straight_bit_for_bit(void **state)
{
    (void)state;
    run straight = resumable("straight");
    tr_error err;
    assert_ok(go(&straight, false, NULL, &err), err);
    for (int64_t stop_at = 1; stop_at <= 9; stop_at += 3) {
        run r = resumable("stopped");
        r.stop_at = stop_at;
        assert_error(go(&r, false, NULL, &err), TR_ERR_INTERRUPTED, "stopped by the test", err);
        assert_true(exists(r.folder, "adapter/adapter_config.json"));
        assert_true(exists(r.folder, "adapter-last/adapter_config.json"));
        r.stop_at = stop_at + 2;
        tr_status status = go(&r, true, NULL, &err);
        assert_int_equal(status, stop_at + 2 <= 9 ? TR_ERR_INTERRUPTED : TR_OK);
        r.stop_at = 0;
        assert_ok(go(&r, true, NULL, &err), err);
        assert_same_run(straight.folder, r.folder);
        assert_memory_equal(straight.lora->params, r.lora->params, r.lora->n_params * sizeof(float));
        free_run(&r);
    }
    free_run(&straight);
}

/* Runs in a child that is killed at a step, or after some microseconds; true when it got to its end. */
static bool go_until_killed(run *r, bool resume, useconds_t microseconds)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        tr_error err;
        _exit(go(r, resume, NULL, &err) == TR_OK ? 0 : 1);
    }
    if (microseconds) {
        usleep(microseconds);
        kill(child, SIGKILL);
    }
    int status;
    assert_true(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status)) assert_int_equal(WEXITSTATUS(status), 0);
    return WIFEXITED(status);
}

static void test_killed_and_resumed_equals_straight_bit_for_bit(void **state)
{
    (void)state;
    run straight = resumable("straight-again");
    assert_true(go_until_killed(&straight, false, 0));
    for (int64_t kill_at = 1; kill_at <= 9; kill_at += 3)
        for (int often = 0; often < 2; often++) {
            run r = resumable("killed");
            r.kill_at = kill_at;
            r.save_seconds = often ? 1e-9 : 0;
            assert_false(go_until_killed(&r, false, 0));
            r.kill_at = 0;
            assert_true(go_until_killed(&r, true, 0));
            assert_same_run(straight.folder, r.folder);
            free_run(&r);
        }
    free_run(&straight);
}

static int refuse_temporary(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info, (void)type, (void)ftw;
    return strstr(path, ".tmp.") != NULL;
}

static void test_killed_at_any_moment_and_resumed_equals_straight(void **state)
{
    (void)state;
    run straight = resumable("straight-third"), r = resumable("hunted");
    assert_true(go_until_killed(&straight, false, 0));
    r.save_seconds = 1e-9;
    bool done = false;
    unsigned kills = 0;
    for (double limit = 4000; !done && kills < 200; kills++, limit *= 1.07) /* longer each time, so that it ends */
        done = go_until_killed(&r, true, (useconds_t)(limit * (0.5 + tr_rng_uniform(5, TR_RNG_TEST, 0, kills))));
    assert_int_equal(nftw(r.folder, refuse_temporary, 8, FTW_PHYS), 0);
    print_message("# killed %u times\n", kills - 1);
    assert_true(done && kills > 1);
    assert_same_run(straight.folder, r.folder);
    free_run(&straight);
    free_run(&r);
}

static void expect_refused_resume(run *r, tr_status status, const char *text)
{
    tr_error err;
    assert_error(go(r, true, NULL, &err), status, text, err);
}

static void test_a_state_of_another_run_is_refused_by_name(void **state)
{
    (void)state;
    run r = resumable("refused");
    tr_error err;
    r.stop_at = 3;
    assert_error(go(&r, false, NULL, &err), TR_ERR_INTERRUPTED, "stopped", err);
    assert_error(go(&r, false, NULL, &err), TR_ERR_USAGE, "already holds a run", err);
    r.stop_at = 0;
    tr_recipe recipe = r.recipe;
    r.recipe.lr = 0.01;
    expect_refused_resume(&r, TR_ERR_MISMATCH, "--lr 0.005, now it is 0.01");
    r.recipe = recipe;
    r.recipe.lora.targets = 1u << TR_Q;
    expect_refused_resume(&r, TR_ERR_MISMATCH, "--targets");
    r.recipe = recipe;
    r.rows.n--;
    expect_refused_resume(&r, TR_ERR_MISMATCH, "other training rows");
    r.rows.n++;
    r.rows.row[4].weight = 2;
    expect_refused_resume(&r, TR_ERR_MISMATCH, "other training rows");
    r.rows.row[4].weight = 1;

    tr_tuning job = job_of(&r);
    job.resume = true;
    tr_lora *lora = fresh_lora(&recipe);
    job.lora = lora;
    job.model_hash = "another";
    assert_error(tr_tune(&job, NULL, &err), TR_ERR_MISMATCH, "another model", err);
    job.model_hash = "model";
    job.valid_hash = "another";
    assert_error(tr_tune(&job, NULL, &err), TR_ERR_MISMATCH, "other validation rows", err);
    job.valid_hash = "valid";
    lora->params[0] += 1;
    assert_error(tr_tune(&job, NULL, &err), TR_ERR_MISMATCH, "another initial adapter", err);
    tr_lora_free(lora);
    assert_ok(go(&r, true, NULL, &err), err);
    free_run(&r);
}

static void test_a_damaged_state_is_refused(void **state)
{
    (void)state;
    run r = resumable("damaged");
    tr_error err;
    size_t size;
    char path[1400];
    r.stop_at = 3;
    assert_error(go(&r, false, NULL, &err), TR_ERR_INTERRUPTED, "stopped", err);
    snprintf(path, sizeof path, "%s/state.bin", r.folder);
    char *good = slurp(r.folder, "state.bin", &size), *bad = malloc(size);
    static const size_t at[] = {3, 15, 16, 30, 900, 5000};
    for (size_t i = 0; i < 6; i++) {
        memcpy(bad, good, size);
        bad[at[i]] ^= 8;
        assert_ok(tr_file_write(path, bad, size, &err), err);
        expect_refused_resume(&r, i == 1 ? TR_ERR_UNSUPPORTED : TR_ERR_FORMAT, "state.bin");
    }
    for (size_t cut = 0; cut < size; cut += size / 7 + 1) {
        assert_ok(tr_file_write(path, good, cut, &err), err);
        expect_refused_resume(&r, TR_ERR_FORMAT, "damaged");
    }
    assert_ok(tr_file_write(path, good, size, &err), err);
    free(bad);
    free(good);
    snprintf(path, sizeof path, "%s/metrics.jsonl", r.folder);
    assert_int_equal(truncate(path, 10), 0);
    expect_refused_resume(&r, TR_ERR_MISMATCH, "metrics.jsonl");
    free_run(&r);
}

static void test_two_processes_cannot_tune_in_one_folder(void **state)
{
    (void)state;
    run r = resumable("locked");
    tr_metrics other;
    tr_error err;
    assert_ok(tr_folder_create(r.folder, &err), err);
    assert_ok(tr_metrics_open(r.folder, 0, &other, &err), err);
    assert_error(go(&r, true, NULL, &err), TR_ERR_USAGE, "another process", err);
    tr_metrics_close(&other);
    assert_ok(go(&r, true, NULL, &err), err);
    free_run(&r);
}

static void test_interrupt_finishes_the_step_and_says_how_to_go_on(void **state)
{
    (void)state;
    run r = resumable("interrupted");
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) { /* the flag stays set: not in this process */
        tr_error err;
        tr_interrupt_catch();
        raise(SIGINT);
        tr_status status = go(&r, false, NULL, &err);
        _exit(status == TR_ERR_INTERRUPTED && strstr(err.hint, "--resume") ? 7 : 1);
    }
    int status;
    assert_true(waitpid(child, &status, 0) == child && WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_true(exists(r.folder, "state.bin"));
    free_run(&r);
}

static void test_a_full_disk_leaves_the_earlier_state_whole(void **state)
{
    (void)state;
    run r = resumable("full"), straight = resumable("full-straight");
    assert_true(go_until_killed(&straight, false, 0));
    r.stop_at = 4;
    tr_error err;
    assert_error(go(&r, false, NULL, &err), TR_ERR_INTERRUPTED, "stopped", err);
    r.stop_at = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {.rlim_cur = 1500, .rlim_max = 1500}; /* a few lines of metrics, not a state */
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        _exit(go(&r, true, NULL, &err) == TR_ERR_IO ? 7 : 1);
    }
    int status;
    assert_true(waitpid(child, &status, 0) == child && WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_true(go_until_killed(&r, true, 0));
    assert_same_run(straight.folder, r.folder);
    free_run(&r);
    free_run(&straight);
}

TR_TEST_MAIN(cmocka_unit_test(test_stopped_and_resumed_equals_straight_bit_for_bit),
             cmocka_unit_test(test_killed_and_resumed_equals_straight_bit_for_bit),
             cmocka_unit_test(test_killed_at_any_moment_and_resumed_equals_straight),
             cmocka_unit_test(test_a_state_of_another_run_is_refused_by_name),
             cmocka_unit_test(test_a_damaged_state_is_refused),
             cmocka_unit_test(test_two_processes_cannot_tune_in_one_folder),
             cmocka_unit_test(test_interrupt_finishes_the_step_and_says_how_to_go_on),
             cmocka_unit_test(test_a_full_disk_leaves_the_earlier_state_whole))
