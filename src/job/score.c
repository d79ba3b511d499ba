/* This file is the score job: rows in, log-odds of Yes out. */
#include "job/engine.h"

#include "base/file.h"
#include "base/memory.h"
#include "eval/scorer.h"
#include "format/json.h"

#include <stdlib.h>

tr_score_job tr_score_job_defaults(void)
{
    return (tr_score_job){.split = TR_TEST};
}

/* Rows as the caller sees them; their strings stay with the examples. */
static tr_status fill_rows(const tr_examples *examples, const tr_row_logp *logp, size_t n, tr_scores *out,
                           tr_error *err)
{
    TR_TRY(tr_alloc(&out->row, n, sizeof *out->row, "scores", err));
    out->n = n;
    for (size_t i = 0; i < n; i++) {
        const tr_example *example = &examples->row[i];
        out->row[i] = (tr_score_row){
            .row = i,
            .user = example->user,
            .item = example->item,
            .label = example->label,
            .score = logp[i].logp_yes - logp[i].logp_no,
            .logp_yes = logp[i].logp_yes,
            .logp_no = logp[i].logp_no,
        };
    }
    return TR_OK;
}

static tr_status score_rows(const tr_score_job *job, const tr_loaded *loaded, const tr_source *source, tr_scores *out,
                            tr_error *err)
{
    size_t n = tr_first_rows(source->examples->n, job->max_rows);
    tr_scorer_options options = {.cutoff = job->engine.cutoff, .micro_tokens = job->engine.micro_tokens,
                                 .label = "scoring"};
    tr_scoring scoring = {0};
    tr_row_logp *logp;
    TR_TRY(tr_alloc(&logp, n, sizeof *logp, "scores", err));
    tr_status status = tr_score_rows(loaded->model, loaded->lora, source->examples, NULL, n, &options, logp, &scoring,
                                     err);
    if (status == TR_OK) {
        tr_scoring_warn(&scoring);
        out->n_shortened = scoring.n_shortened;
        status = fill_rows(source->examples, logp, n, out, err);
    }
    free(logp);
    return status;
}

char *tr_score_row_json(const tr_score_row *row)
{
    tr_str line = {0};
    json_t *value = json_pack("{s:I, s:s?, s:s?, s:o, s:f, s:f, s:f}", "row", (json_int_t)row->row, "user", row->user,
                              "item", row->item, "label", row->label < 0 ? json_null() : json_integer(row->label),
                              "score", row->score, "logp_yes", row->logp_yes, "logp_no", row->logp_no);
    tr_status status = value ? tr_json_add(&line, value, 0, false, NULL) : TR_ERR_MEMORY;
    json_decref(value);
    if (status == TR_OK) return line.data;
    tr_str_free(&line);
    return NULL;
}

static tr_status write_scores(const char *path, const tr_scores *scores, tr_error *err)
{
    tr_writer writer;
    TR_TRY(tr_writer_open(&writer, path, err));
    for (size_t i = 0; i < scores->n; i++) {
        char *line = tr_score_row_json(&scores->row[i]);
        if (!line) {
            tr_writer_abandon(&writer);
            return tr_fail(err, TR_ERR_MEMORY, "out of memory for a line of scores");
        }
        fprintf(writer.stream, "%s\n", line);
        free(line);
    }
    return tr_writer_commit(&writer, err);
}

tr_status tr_score_run(const tr_score_job *job, tr_scores *out, tr_error *err)
{
    tr_loaded loaded = {0};
    tr_source *source;
    *out = (tr_scores){0};
    TR_TRY(tr_alloc(&source, 1, sizeof *source, "rows", err));
    out->owned = source;
    tr_status status = tr_output_check(job->output, err);
    if (status == TR_OK) status = tr_source_open(job->data, job->split, false, source, err);
    if (status == TR_OK) status = tr_loaded_open(&job->engine, &loaded, err);
    if (status == TR_OK) status = score_rows(job, &loaded, source, out, err);
    if (status == TR_OK && job->output) status = write_scores(job->output, out, err);
    tr_loaded_close(&loaded);
    if (status != TR_OK) tr_scores_free(out);
    return status;
}

void tr_scores_free(tr_scores *scores)
{
    if (scores->owned) tr_source_close(scores->owned);
    free(scores->owned);
    free(scores->row);
    *scores = (tr_scores){0};
}
