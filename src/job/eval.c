/* This file is the eval job: it scores the rows (with the adapter, without, with shuffled histories), collects the
 * training rows that the controls need, and hands all to the evaluation. */
#include "job/protocol.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/system.h"
#include "eval/report.h"
#include "eval/scorer.h"
#include "format/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The training rows behind a control, as plain arrays. */
typedef struct {
    const char **item;
    uint8_t *label;
    size_t n;
} training_arrays;

typedef struct {
    const tr_eval_job *job;
    tr_loaded loaded;
    tr_source rows;
    size_t n;                        /* rows evaluated */
    uint8_t *label;                  /* (n) and so the next five */
    const char **user, **item;
    double *share;
    double *score, *base, *shuffled; /* base and shuffled NULL when not wanted */
    char *run;                       /* folder that the adapter lies in; NULL without adapter */
    char *seen_path;                 /* NULL when unknown */
    tr_examples seen;
    training_arrays seen_arrays, all_arrays;
    json_t *protocol;
    tr_evaluation evaluation;
} evaluating;

tr_eval_job tr_eval_job_defaults(void)
{
    return (tr_eval_job){.split = TR_TEST, .shuffled = true, .bootstrap = TR_BOOTSTRAP_REPLICATES};
}

static void release_training(training_arrays *arrays)
{
    free(arrays->item);
    free(arrays->label);
}

static void release(evaluating *e)
{
    tr_evaluation_free(&e->evaluation);
    json_decref(e->protocol);
    release_training(&e->seen_arrays);
    release_training(&e->all_arrays);
    tr_examples_free(&e->seen);
    free(e->seen_path);
    free(e->run);
    free(e->label);
    free(e->user);
    free(e->item);
    free(e->share);
    free(e->score);
    free(e->base);
    free(e->shuffled);
    tr_source_close(&e->rows);
    tr_loaded_close(&e->loaded);
}

/* ---- the rows and what is known about them ---- */

static tr_status describe_rows(evaluating *e, tr_error *err)
{
    TR_TRY(tr_alloc(&e->label, e->n, sizeof *e->label, "labels", err));
    TR_TRY(tr_alloc(&e->user, e->n, sizeof *e->user, "users", err));
    TR_TRY(tr_alloc(&e->item, e->n, sizeof *e->item, "items", err));
    TR_TRY(tr_alloc(&e->share, e->n, sizeof *e->share, "like shares", err));
    for (size_t i = 0; i < e->n; i++) {
        const tr_example *example = &e->rows.examples->row[i];
        e->label[i] = (uint8_t)(example->label == 1);
        e->user[i] = example->user;
        e->item[i] = tr_control_item(example);
        e->share[i] = tr_example_like_share(example);
    }
    return TR_OK;
}

/* ---- training rows ---- */

static tr_status collect_training(const tr_examples *examples, training_arrays *out, tr_error *err)
{
    TR_TRY(tr_alloc(&out->item, examples->n, sizeof *out->item, "items of training rows", err));
    TR_TRY(tr_alloc(&out->label, examples->n, sizeof *out->label, "labels of training rows", err));
    for (size_t i = 0; i < examples->n; i++) {
        if (examples->row[i].label < 0) continue;
        out->item[out->n] = tr_control_item(&examples->row[i]);
        out->label[out->n++] = (uint8_t)examples->row[i].label;
    }
    return TR_OK;
}

/* RUN/adapter lies beside RUN/train_rows.jsonl, the rows that the run saw. */
static tr_status find_run(evaluating *e, tr_error *err)
{
    const char *adapter = e->job->engine.adapter;
    if (adapter) {
        e->run = tr_path_join(adapter, "..");
        if (!e->run) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a path");
    }
    if (e->job->seen) return tr_strdup(&e->seen_path, e->job->seen, err);
    if (!e->run) return TR_OK;
    e->seen_path = tr_path_join(e->run, "train_rows.jsonl");
    if (!e->seen_path) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a path");
    if (tr_file_exists(e->seen_path)) return TR_OK;
    free(e->seen_path);
    e->seen_path = NULL;
    return TR_OK;
}

/* A row that was trained on says nothing about other rows. */
static tr_status warn_of_overlap(const evaluating *e, tr_error *err)
{
    tr_idmap inputs = {0};
    tr_status status = TR_OK;
    size_t n = 0;
    for (size_t i = 0; status == TR_OK && i < e->seen.n; i++)
        status = tr_idmap_add(&inputs, e->seen.row[i].input, i, err);
    for (size_t i = 0; status == TR_OK && i < e->n; i++)
        n += tr_idmap_get(&inputs, e->rows.examples->row[i].input) != TR_NOT_FOUND;
    tr_idmap_free(&inputs);
    if (n) tr_warn("%zu of the %zu rows are among the rows that the model was tuned on", n, e->n);
    return status;
}

static tr_status read_training(evaluating *e, tr_error *err)
{
    TR_TRY(find_run(e, err));
    if (e->seen_path) {
        TR_TRY(tr_examples_read(e->seen_path, false, &e->seen, NULL, err));
        TR_TRY(collect_training(&e->seen, &e->seen_arrays, err));
        TR_TRY(warn_of_overlap(e, err));
    }
    if (!e->rows.is_folder || e->rows.dataset.card.split[TR_TRAIN].rows == 0) return TR_OK;
    const tr_examples *all;
    TR_TRY(tr_dataset_split(&e->rows.dataset, TR_TRAIN, &all, err));
    return collect_training(all, &e->all_arrays, err);
}

/* ---- scores ---- */

static tr_status score_into(evaluating *e, const tr_lora *lora, bool shuffle, const char *label, double **out,
                            tr_error *err)
{
    const tr_engine *engine = &e->job->engine;
    tr_scorer_options options = {.cutoff = engine->cutoff, .micro_tokens = engine->micro_tokens, .shuffle = shuffle,
                                 .seed = e->job->seed, .label = label};
    tr_scoring scoring = {0};
    tr_row_logp *logp;
    TR_TRY(tr_alloc(&logp, e->n, sizeof *logp, "scores", err));
    tr_status status = tr_score_rows(e->loaded.model, lora, e->rows.examples, NULL, e->n, &options, logp, &scoring,
                                     err);
    if (status == TR_OK) status = tr_alloc(out, e->n, sizeof **out, "scores", err);
    if (status == TR_OK) {
        if (out == &e->score) tr_scoring_warn(&scoring);
        for (size_t i = 0; i < e->n; i++) (*out)[i] = logp[i].logp_yes - logp[i].logp_no;
    }
    free(logp);
    return status;
}

static tr_status score_all(evaluating *e, tr_error *err)
{
    TR_TRY(score_into(e, e->loaded.lora, false, "scoring", &e->score, err));
    if (e->job->with_base && e->loaded.lora)
        TR_TRY(score_into(e, NULL, false, "scoring without adapter", &e->base, err));
    if (!e->job->shuffled) return TR_OK;
    tr_status status = score_into(e, e->loaded.lora, true, "scoring shuffled histories", &e->shuffled, err);
    if (status != TR_ERR_UNSUPPORTED) return status;
    tr_note("Histories were not shuffled: the rows do not have the published form.");
    return TR_OK;
}

/* ---- protocol ---- */

static tr_status add_part(json_t *protocol, const char *key, tr_status status, json_t *part, tr_error *err)
{
    return status == TR_OK ? tr_protocol_set(protocol, key, part, err) : status;
}

static tr_status write_protocol(evaluating *e, tr_error *err)
{
    const tr_eval_job *job = e->job;
    json_t *part = NULL;
    tr_status status;
    e->protocol = json_pack("{s:s, s:I, s:s, s:i, s:I, s:I}", "tallrec", TALLREC_VERSION, "rows", (json_int_t)e->n,
                            "template", "alpaca", "cutoff", job->engine.cutoff, "bootstrap", (json_int_t)job->bootstrap,
                            "seed", (json_int_t)job->seed);
    if (!e->protocol) return tr_fail(err, TR_ERR_MEMORY, "out of memory for a protocol");
    if (e->rows.is_folder)
        TR_TRY(tr_protocol_set(e->protocol, "split", json_string(tr_split_name(job->split)), err));
    status = tr_protocol_source(&e->rows, job->data, &part, err);
    TR_TRY(add_part(e->protocol, "data", status, part, err));
    status = tr_protocol_file(job->engine.model, &part, err);
    TR_TRY(add_part(e->protocol, "model", status, part, err));
    if (job->engine.adapter) {
        status = tr_protocol_adapter(job->engine.adapter, &part, err);
        TR_TRY(add_part(e->protocol, "adapter", status, part, err));
    }
    if (!e->seen_path) return TR_OK;
    status = tr_protocol_file(e->seen_path, &part, err);
    return add_part(e->protocol, "training_rows", status, part, err);
}

static tr_status evaluate(evaluating *e, tr_error *err)
{
    TR_TRY(write_protocol(e, err));
    tr_evaluation_input input = {
        .n = e->n, .label = e->label, .user = e->user, .item = e->item, .like_share = e->share, .score = e->score,
        .score_base = e->base, .score_shuffled = e->shuffled,
        .seen = {e->seen_arrays.item, e->seen_arrays.label, e->seen_arrays.n},
        .all = {e->all_arrays.item, e->all_arrays.label, e->all_arrays.n},
        .n_replicates = e->job->bootstrap, .seed = e->job->seed, .protocol = e->protocol,
    };
    return tr_evaluation_create(&e->evaluation, &input, err);
}

/* ---- report ---- */

/* A file of the run that the adapter belongs to; NULL when there is none. Caller frees. */
static char *run_file(const evaluating *e, const char *name)
{
    char *path = e->run ? tr_path_join(e->run, name) : NULL;
    if (path && tr_file_exists(path)) return path;
    free(path);
    return NULL;
}

/* "SmolLM2.gguf on demo/data, 64 ratings" */
static tr_status make_title(const evaluating *e, tr_str *out, tr_error *err)
{
    const char *model = json_string_value(json_object_get(json_object_get(e->protocol, "model"), "file"));
    size_t size = model ? strlen(model) : 0;
    if (size > 5 && strcmp(model + size - 5, ".gguf") == 0) size -= 5;
    tr_str_addf(out, "%.*s on %s", (int)size, model ? model : "", e->job->data);
    if (e->seen.n) tr_str_addf(out, ", tuned on %zu rows", e->seen.n);
    return tr_str_check(out, err);
}

static tr_status write_report(const evaluating *e, tr_error *err)
{
    char made[64];
    time_t now = time(NULL);
    struct tm local;
    strftime(made, sizeof made, "%Y-%m-%d %H:%M", localtime_r(&now, &local));
    tr_report report = {.made = made, .evaluation = &e->evaluation};
    tr_str title = {0};
    tr_curve curve = {0};
    json_t *config = NULL;
    char *curve_path = run_file(e, "metrics.jsonl"), *config_path = run_file(e, "config.json");
    tr_status status;
    TR_TRY_CLEANUP(make_title(e, &title, err));
    report.title = title.data;
    if (curve_path) TR_TRY_CLEANUP(tr_curve_read(&curve, curve_path, err));
    if (curve_path) report.curve = &curve;
    if (config_path) TR_TRY_CLEANUP(tr_json_load(config_path, &config, err));
    report.config = config;
    report.command = json_string_value(json_object_get(config, "command"));
    status = tr_report_write(&report, e->job->report, err);
cleanup:
    free(curve_path);
    free(config_path);
    tr_curve_free(&curve);
    json_decref(config);
    tr_str_free(&title);
    return status;
}

static tr_status fill_outcome(const evaluating *e, tr_eval_outcome *out, tr_error *err)
{
    tr_str text = {0}, json = {0};
    json_t *value = NULL;
    const tr_interval *metric = e->evaluation.scorer[0].metric;
    tr_status status = tr_evaluation_text(&e->evaluation, &text, err);
    out->text = text.data;
    if (status == TR_OK) status = tr_evaluation_json(&e->evaluation, &value, err);
    if (status == TR_OK) status = tr_json_add(&json, value, 2, false, err);
    out->json = json.data;
    json_decref(value);
    out->auc = metric[TR_METRIC_AUC].value;
    out->uauc = metric[TR_METRIC_UAUC].value;
    out->verdict = e->evaluation.verdict;
    return status;
}

tr_status tr_eval_run(const tr_eval_job *job, tr_eval_outcome *out, tr_error *err)
{
    evaluating *e;
    tr_status status;
    *out = (tr_eval_outcome){0};
    TR_TRY(tr_alloc(&e, 1, sizeof *e, "an evaluation", err));
    out->owned = e;
    e->job = job;
    TR_TRY_CLEANUP(tr_output_check(job->report, err));
    TR_TRY_CLEANUP(tr_source_open(job->data, job->split, true, &e->rows, err));
    e->n = tr_first_rows(e->rows.examples->n, job->max_rows);
    TR_TRY_CLEANUP(describe_rows(e, err));
    TR_TRY_CLEANUP(read_training(e, err));
    TR_TRY_CLEANUP(tr_loaded_open(&job->engine, &e->loaded, err));
    TR_TRY_CLEANUP(score_all(e, err));
    TR_TRY_CLEANUP(evaluate(e, err));
    TR_TRY_CLEANUP(fill_outcome(e, out, err));
    if (job->report) status = write_report(e, err);
cleanup:
    if (status != TR_OK) tr_eval_outcome_free(out);
    return status;
}

void tr_eval_outcome_free(tr_eval_outcome *outcome)
{
    if (outcome->owned) release(outcome->owned);
    free(outcome->owned);
    free(outcome->text);
    free(outcome->json);
    *outcome = (tr_eval_outcome){0};
}
