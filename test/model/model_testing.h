/* Helpers of the model's tests: golden files, the formula adapter, gradients of whole batches. */
#ifndef TR_TEST_MODEL_TESTING_H
#define TR_TEST_MODEL_TESTING_H

#include "testing.h"

#include "base/memory.h"
#include "format/json.h"
#include "format/safetensors.h"
#include "model/session.h"

#include <math.h>

static inline json_t *golden_json(const char *name)
{
    char path[256];
    tr_error err = {0};
    json_t *value = NULL;
    snprintf(path, sizeof path, "golden/%s", name);
    assert_ok(tr_json_load(test_file(path), &value, &err), err);
    return value;
}

/* Row i of a q or k matrix in the file's order is row hf_row(i) of Hugging Face's (FORMATS: the q/k permutation).
 */
static inline int hf_row(const tr_model *model, int module, int i)
{
    const int d = model->config.head_dim;
    if (!model->config.rope_interleaved || (module != TR_Q && module != TR_K)) return i;
    return i / d * d + i % 2 * (d / 2) + i % d / 2;
}

/* The adapter that tools/make_golden_*.py build: see `formula` in the golden files. */
static inline void fill_formula(const tr_model *model, tr_lora *lora, double b_scale)
{
    uint64_t t = 0;
    for (int l = 0; l < lora->n_layers; l++)
        for (int m = 0; m < TR_N_MODULES; m++) {
            const tr_lora_pair *pair = tr_lora_at(lora, l, (tr_module)m);
            if (!pair->present) continue;
            const int rank = lora->config.rank;
            for (int half = 0; half < 2; half++, t++) {
                int rows = half ? pair->n_out : rank, cols = half ? rank : pair->n_in;
                double factor = half ? b_scale : 2 / sqrt(pair->n_in);
                for (int r = 0; r < rows; r++)
                    for (int c = 0; c < cols; c++) {
                        uint64_t i = (uint64_t)(half ? hf_row(model, m, r) : r) * (uint64_t)cols + (uint64_t)c;
                        double u =
                            (double)(uint32_t)(i * 2654435761u + t * 40503 * 65537 + 12345) / 4294967296.0 - 0.5;
                        lora->params[(half ? pair->b : pair->a) + (size_t)r * (size_t)cols + (size_t)c] =
                            (float)(u * factor);
                    }
            }
        }
}

/* Loss (sum over targets / n_targets) and gradient, added, of sequences in one forest. */
static inline double forest_gradient(const tr_model *model, const tr_lora *lora, const tr_sequence *sequences,
                                     int n, int n_targets, const tr_pass *pass, float *grad)
{
    tr_error err = {0};
    tr_forest forest;
    tr_session *session;
    double loss = 0;
    assert_ok(tr_forest_build(sequences, n, &forest, &err), err);
    tr_session_plan plan = {.max_nodes = forest.n_nodes,
                            .max_targets = forest.n_targets,
                            .max_positions = forest.max_position,
                            .rank = lora->config.rank,
                            .targets = lora->config.targets,
                            .train = true};
    assert_ok(tr_session_create(model, &plan, &session, &err), err);
    float *coefficient = calloc((size_t)forest.n_targets, sizeof(float));
    float *logp = calloc((size_t)forest.n_targets, sizeof(float));
    for (int t = 0; t < forest.n_targets; t++) coefficient[t] = forest.target_weight[t] / (float)n_targets;
    assert_ok(tr_session_gradient(session, &forest, lora, coefficient, pass, logp, grad, &err), err);
    for (int t = 0; t < forest.n_targets; t++) loss -= (double)coefficient[t] * logp[t];
    free(coefficient);
    free(logp);
    tr_session_free(session);
    tr_forest_free(&forest);
    return loss;
}

/* Loss (mean over targets) and gradient of a batch, in one forest or in one for each sequence. */
static inline double batch_gradient(const tr_model *model, const tr_lora *lora, const tr_sequence *sequences, int n,
                                    bool together, const tr_pass *pass, float *grad)
{
    double loss = 0;
    int targets = 0;
    for (int i = 0; i < n; i++) targets += sequences[i].n_tokens - sequences[i].first_target;
    memset(grad, 0, lora->n_params * sizeof *grad);
    for (int i = 0; i < n; i += together ? n : 1)
        loss += forest_gradient(model, lora, sequences + i, together ? n : 1, targets, pass, grad);
    return loss;
}

static inline double norm_of(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return sqrt(sum);
}

static inline void assert_near(double value, double expected, double tolerance, const char *what)
{
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%s: %.9g, expected %.9g within %.3g", what, value, expected, tolerance);
}

/* The gradient of matrix `half` (0: A, 1: B) of a pair against `expected` in Hugging Face's order: sums for a
 * cosine. */
static inline void compare_matrix(const tr_model *model, const tr_lora *lora, const float *grad, int layer,
                                  int module, int half, const double *expected, double sums[3])
{
    const tr_lora_pair *pair = tr_lora_at(lora, layer, (tr_module)module);
    const int rank = lora->config.rank, rows = half ? pair->n_out : rank, cols = half ? rank : pair->n_in;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) {
            double ours = grad[(half ? pair->b : pair->a) + (size_t)r * (size_t)cols + (size_t)c];
            double theirs = expected[(size_t)(half ? hf_row(model, module, r) : r) * (size_t)cols + (size_t)c];
            sums[0] += ours * theirs;
            sums[1] += ours * ours;
            sums[2] += theirs * theirs;
        }
}

#endif
