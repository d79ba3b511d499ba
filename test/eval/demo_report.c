/* This program writes a report of synthetic scores, for looking at the page: demo_report FILE [USERS [SKILL]].
 * It is no test; test_report.c has those. */
#include "eval/report.h"
#include "synthetic.h"

#include <stdlib.h>

/* A loss that falls and a validation AUC that rises, then overfits. */
static void fill_curve(tr_curve *c, double *memory)
{
    *c = (tr_curve){memory, memory + 60, memory + 120, memory + 140, 60, 12, 0, 0, 0, 0};
    for (uint32_t i = 0; i < 60; i++) {
        c->step[i] = i + 1;
        c->loss[i] = 0.52 + 0.5 * exp(-(double)i / 9) + 0.025 * synthetic_normal(20, i);
    }
    for (uint32_t i = 0; i < 12; i++) {
        c->check_step[i] = 5 * (i + 1);
        c->check_auc[i] = 0.73 - 0.19 * exp(-(double)i / 2.5) - 0.0012 * i * i + 0.008 * synthetic_normal(21, i);
    }
}

int main(int argc, char **argv)
{
    static synthetic data;
    double memory[160];
    tr_evaluation evaluation;
    tr_curve curve;
    tr_error err = {0};
    if (argc < 2) {
        fprintf(stderr, "usage: demo_report FILE [USERS [SKILL]]\n");
        return 2;
    }
    size_t n_users = argc > 2 ? strtoul(argv[2], NULL, 10) : 16;
    synthetic_fill(&data, n_users < SYNTHETIC_ROWS ? n_users : SYNTHETIC_ROWS, argc > 3 ? strtod(argv[3], NULL) : 0.33);
    fill_curve(&curve, memory);
    tr_evaluation_input input = synthetic_input(&data);
    input.protocol = json_pack(
        "{s:s, s:s, s:i, s:s, s:{s:s, s:s}, s:i}", "protocol", "tallrec", "data_sha256",
        "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490", "history", 10, "rule",
        "liked = rating > 3; users by first appearance; the last 10,000 windows, 8,000/1,000/1,000", "model", "name",
        "synthetic", "sha256", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "seed", 1);
    json_t *config = json_pack("{s:i, s:i, s:f, s:s, s:f, s:i, s:i, s:s}", "rank", 8, "alpha", 16, "dropout", 0.05,
                               "targets", "q_proj,v_proj", "lr", 1e-3, "batch", 16, "steps", 60, "loss_on", "answer");
    tr_report report = {
        .title = "a synthetic model on synthetic ratings, 64 shots", .made = "an example with made-up scores",
        .evaluation = &evaluation, .curve = &curve, .config = config,
        .command = "tallrec tune --model model.gguf --data movielens --shots 64 --seed 1 --lr 1e-3 --steps 60 -o run",
    };
    tr_status status = tr_evaluation_create(&evaluation, &input, &err);
    if (status == TR_OK) status = tr_report_write(&report, argv[1], &err);
    if (status != TR_OK) fprintf(stderr, "%s\n", err.message);
    tr_evaluation_free(&evaluation);
    json_decref(input.protocol);
    json_decref(config);
    return status == TR_OK ? 0 : 1;
}
