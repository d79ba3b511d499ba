/* This file reads the training curve from a run's metrics. */
#include "eval/report_run.h"

#include "base/memory.h"
#include "format/json.h"

#include <math.h>
#include <stdlib.h>

static tr_status push(double **x, size_t *x_capacity, double **y, size_t *y_capacity, size_t *n, double new_x,
                      double new_y, tr_error *err)
{
    TR_TRY(tr_reserve(x, x_capacity, *n + 1, sizeof **x, "the training curve", err));
    TR_TRY(tr_reserve(y, y_capacity, *n + 1, sizeof **y, "the training curve", err));
    (*x)[*n] = new_x;
    (*y)[(*n)++] = new_y;
    return TR_OK;
}

/* A member that is a finite number. */
static bool number(const json_t *object, const char *key, double *out)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value)) return false;
    *out = json_number_value(value);
    return isfinite(*out);
}

static tr_status read_line(void *user, size_t line, json_t *value, const char *problem, tr_error *err)
{
    tr_curve *c = user;
    double step, loss, auc;
    (void)line;
    if (problem || !number(value, "step", &step)) return TR_OK;
    if (number(value, "loss", &loss))
        TR_TRY(push(&c->step, &c->step_capacity, &c->loss, &c->loss_capacity, &c->n_steps, step, loss, err));
    if (number(value, "valid_auc", &auc))
        TR_TRY(push(&c->check_step, &c->check_step_capacity, &c->check_auc, &c->check_auc_capacity, &c->n_checks, step,
                    auc, err));
    return TR_OK;
}

tr_status tr_curve_read(tr_curve *out, const char *path, tr_error *err)
{
    *out = (tr_curve){0};
    return tr_json_rows(path, read_line, out, err);
}

void tr_curve_free(tr_curve *c)
{
    free(c->step);
    free(c->loss);
    free(c->check_step);
    free(c->check_auc);
    *c = (tr_curve){0};
}

size_t tr_curve_best(const tr_curve *c)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < c->n_checks; i++)
        if (best == SIZE_MAX || c->check_auc[i] > c->check_auc[best]) best = i;
    return best;
}
