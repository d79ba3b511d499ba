/* Whole training runs on the tiny model, for test_tuner.c and test_resume.c: a run, ways to stop it, and comparison of
 * what two runs left behind. */
#ifndef TR_TEST_RUN_TESTING_H
#define TR_TEST_RUN_TESTING_H

#include "train_testing.h"
#include "base/progress.h"
#include "base/system.h"

#include <signal.h>
#include <unistd.h>

typedef struct {
    tr_recipe recipe;
    test_rows rows;
    const char *folder;
    double (*auc)(int64_t call, const tr_lora *lora); /* of validation number `call`; NULL: no validation */
    int64_t calls;
    int64_t stop_at;        /* step after which the hook stops the run; 0: never */
    int64_t kill_at;        /* ... kills the process */
    int64_t poison_at;      /* ... spoils the parameters */
    double save_seconds;
    tr_lora *lora;          /* the run's */
} run;

static inline tr_status validate(void *user, const tr_lora *lora, tr_validation *out, tr_error *err)
{
    run *r = user;
    (void)err;
    *out = (tr_validation){.auc = r->auc(r->calls++, lora), .log_loss = 0.7, .rows = 11};
    return TR_OK;
}

static inline tr_status after_step(void *user, const tr_step_record *record, tr_error *err)
{
    run *r = user;
    if (record->step == r->kill_at) kill(getpid(), SIGKILL);
    if (record->step == r->poison_at) r->lora->params[3] = NAN;
    if (record->step == r->stop_at) return tr_fail(err, TR_ERR_INTERRUPTED, "stopped by the test");
    return TR_OK;
}

static inline tr_tuning job_of(run *r)
{
    return (tr_tuning){.model = tiny_model(), .lora = r->lora, .recipe = &r->recipe, .rows = r->rows.row,
                       .n_rows = r->rows.n, .folder = r->folder, .model_hash = "model", .valid_hash = "valid",
                       .base_name = "tiny", .validate = r->auc ? validate : NULL, .validate_user = r,
                       .on_step = after_step, .on_step_user = r, .save_seconds = r->save_seconds};
}

static inline tr_status go(run *r, bool resume, tr_tuning_result *result, tr_error *err)
{
    tr_tuning_result unused;
    tr_lora_free(r->lora);
    r->lora = fresh_lora(&r->recipe);
    tr_tuning job = job_of(r);
    job.resume = resume;
    *err = (tr_error){0};
    return tr_tune(&job, result ? result : &unused, err);
}

static inline run new_run(const char *name, int n_rows)
{
    run r = {.recipe = small_recipe(), .rows = made_rows(n_rows), .folder = scratch(name)};
    r.folder = strdup(r.folder);
    scratch_clear(r.folder);
    tr_log_set(TR_LOG_QUIET);
    tr_threads_set(1); /* the least trouble with fork */
    return r;
}

static inline void free_run(run *r)
{
    free_rows(&r->rows);
    tr_lora_free(r->lora);
    free((void *)(uintptr_t)r->folder);
}

static inline char *slurp(const char *folder, const char *name, size_t *size)
{
    char path[2800], *data;
    tr_error err;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_ok(tr_file_read(path, 1 << 26, &data, size, &err), err);
    return data;
}

static inline bool exists(const char *folder, const char *name)
{
    char path[1400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return tr_file_exists(path);
}

/* metrics.jsonl with the only thing that may differ between equal runs taken out. */
static inline char *metrics_without_seconds(const char *folder)
{
    size_t size, out = 0;
    char *text = slurp(folder, "metrics.jsonl", &size);
    for (char *p = text; *p;) {
        char *seconds = strstr(p, ", \"seconds\": "), *line_end = strchr(p, '\n');
        if (!seconds || !line_end) break;
        memmove(text + out, p, (size_t)(seconds - p));
        out += (size_t)(seconds - p);
        text[out++] = '\n';
        p = line_end + 1;
    }
    text[out] = '\0';
    return text;
}

static inline int count_lines(const char *folder)
{
    char *text = metrics_without_seconds(folder);
    int n = 0;
    for (char *p = text; *p; p++) n += *p == '\n';
    free(text);
    return n;
}

static inline void assert_same_file(const char *a, const char *b, const char *name)
{
    size_t n_a, n_b;
    char *data_a = slurp(a, name, &n_a), *data_b = slurp(b, name, &n_b);
    if (n_a != n_b || memcmp(data_a, data_b, n_a) != 0) fail_msg("%s differs", name);
    free(data_a);
    free(data_b);
}

static inline void assert_same_run(const char *a, const char *b)
{
    char *lines_a = metrics_without_seconds(a), *lines_b = metrics_without_seconds(b);
    assert_string_equal(lines_a, lines_b);
    free(lines_a);
    free(lines_b);
    assert_same_file(a, b, "adapter/adapter_model.safetensors");
    assert_same_file(a, b, "adapter/adapter_config.json");
    assert_same_file(a, b, "adapter-last/adapter_model.safetensors");
}

/* An AUC that depends on every bit of the adapter and has its best in the middle of a run. */
static inline double wavy_auc(int64_t call, const tr_lora *lora)
{
    uint32_t sum = 0;
    (void)call;
    for (size_t i = 0; i < lora->n_params; i++) {
        uint32_t bits;
        memcpy(&bits, &lora->params[i], 4);
        sum = sum * 31 + bits;
    }
    return (double)(sum % 1000) / 1000;
}

static inline double falling_auc(int64_t call, const tr_lora *lora) { return (void)lora, 0.9 - 0.01 * (double)call; }
static inline double rising_auc(int64_t call, const tr_lora *lora) { return (void)lora, 0.5 + 0.01 * (double)call; }
static inline double level_auc(int64_t call, const tr_lora *lora) { return (void)lora, (void)call, 0.5; }
static inline double no_auc(int64_t call, const tr_lora *lora) { return (void)lora, (void)call, NAN; }

/* A run with everything that a resumed one could get wrong. */
static inline run resumable(const char *name)
{
    run r = new_run(name, 13);
    r.auc = wavy_auc;
    r.recipe.eval_every = 2;
    r.recipe.lora.dropout = 0.1f;
    r.recipe.schedule = TR_SCHEDULE_COSINE;
    r.recipe.warmup = 3;
    return r;
}

#endif
