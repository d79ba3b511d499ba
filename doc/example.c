/* This file shows tallrec from a C program, through nothing but tallrec.h: import, tune, evaluate, recommend.
 *
 *     cc example.c $(pkg-config --cflags --libs --static tallrec) -o example
 *     ./example MODEL.gguf ML-100K USER OUT */
#include <stdio.h>
#include <tallrec.h>

static tr_status import_ratings(const char *ratings, const char *data, tr_error *err)
{
    tr_import_job job = tr_import_job_defaults();
    tr_import_outcome counts;
    job.importer = "movielens";
    job.sources = &ratings;
    job.n_sources = 1;
    job.folder = data;
    tr_status status = tr_import_run(&job, &counts, err);
    if (status == TR_OK) printf("%zu training rows from %zu ratings\n", counts.rows[TR_TRAIN], counts.ratings);
    return status;
}

static tr_status tune_adapter(const char *model, const char *data, const char *run, tr_error *err)
{
    const tr_setting settings[] = {{"steps", "8"}, {"seed", "1"}};
    tr_tune_job job = tr_tune_job_defaults();
    tr_tune_outcome outcome;
    job.model = model;
    job.data = data;
    job.run = run;
    job.recipe = "quick";
    job.setting = settings;
    job.n_settings = 2;
    job.shots = 64;
    job.force = true;
    tr_status status = tr_tune_run(&job, &outcome, err);
    if (status == TR_OK) printf("%lld steps, loss %.3f\n", (long long)outcome.steps, outcome.last_loss);
    tr_tune_outcome_free(&outcome);
    return status;
}

static tr_status evaluate(const tr_engine *engine, const char *data, tr_error *err)
{
    tr_eval_job job = tr_eval_job_defaults();
    tr_eval_outcome outcome;
    job.engine = *engine;
    job.data = data;
    job.shuffled = false;
    tr_status status = tr_eval_run(&job, &outcome, err);
    if (status == TR_OK) printf("AUC %.3f. %s\n", outcome.auc, outcome.verdict);
    tr_eval_outcome_free(&outcome);
    return status;
}

static tr_status recommend(const tr_engine *engine, const char *data, const char *user, tr_error *err)
{
    tr_rank_job job = tr_rank_job_defaults();
    tr_ranking ranking;
    job.engine = *engine;
    job.data = data;
    job.user = user;
    job.k = 5;
    tr_status status = tr_rank_run(&job, &ranking, err);
    for (size_t i = 0; status == TR_OK && i < ranking.n; i++)
        printf("%zu. %s (%.0f %%)\n", i + 1, ranking.item[i].title, 100 * ranking.item[i].probability);
    tr_ranking_free(&ranking);
    return status;
}

int main(int argc, char **argv)
{
    tr_error err = {0};
    if (argc != 5) {
        fprintf(stderr, "usage: %s MODEL.gguf ML-100K USER OUT\n", argv[0]);
        return 2;
    }
    char data[4096], run[4096], adapter[4096];
    snprintf(data, sizeof data, "%s-data", argv[4]);
    snprintf(run, sizeof run, "%s-run", argv[4]);
    snprintf(adapter, sizeof adapter, "%s-run/adapter", argv[4]);
    const tr_engine engine = {.model = argv[1], .adapter = adapter};

    tr_log_set(TR_LOG_QUIET);
    tr_status status = import_ratings(argv[2], data, &err);
    if (status == TR_OK) status = tune_adapter(argv[1], data, run, &err);
    if (status == TR_OK) status = evaluate(&engine, data, &err);
    if (status == TR_OK) status = recommend(&engine, data, argv[3], &err);
    if (status != TR_OK) fprintf(stderr, "%s\n%s\n%s\n", err.message, err.where, err.hint);
    return status != TR_OK;
}
