/* This file checks and names training rows. */
#include "train/rows.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

static tr_status check_row(const tr_model *model, const tr_sequence *row, int index, tr_error *err)
{
    if (row->n_tokens < 2 || row->first_target < 1 || row->first_target >= row->n_tokens)
        return tr_fail(err, TR_ERR_VALUE, "training row %d has no answer to learn (%d tokens, answer from token %d)",
                       index + 1, row->n_tokens, row->first_target + 1);
    if (row->n_tokens - 1 > model->config.n_context) {
        tr_fail(err, TR_ERR_VALUE, "training row %d has %d tokens, more than the model's context of %d", index + 1,
                row->n_tokens, model->config.n_context);
        return tr_hint(err, "use a smaller --cutoff");
    }
    if (!isfinite(row->weight) || row->weight < 0)
        return tr_fail(err, TR_ERR_VALUE, "training row %d has the weight %g", index + 1, (double)row->weight);
    for (int i = 0; i < row->n_tokens; i++)
        if (row->token[i] < 0 || row->token[i] >= model->config.n_vocab)
            return tr_fail(err, TR_ERR_VALUE, "training row %d has token %d, the model's vocabulary ends at %d",
                           index + 1, (int)row->token[i], model->config.n_vocab - 1);
    return TR_OK;
}

tr_status tr_rows_prepare(const tr_tuning *tuning, tr_sequence **out, int *longest, tr_error *err)
{
    tr_sequence *rows;
    *out = NULL;
    *longest = 0;
    for (int i = 0; i < tuning->n_rows; i++) TR_TRY(check_row(tuning->model, &tuning->rows[i], i, err));
    TR_TRY(tr_alloc(&rows, (size_t)tuning->n_rows, sizeof *rows, "training rows", err));
    for (int i = 0; i < tuning->n_rows; i++) {
        rows[i] = tuning->rows[i];
        if (tuning->recipe->loss_on == TR_LOSS_ALL) rows[i].first_target = 1;
        if (rows[i].n_tokens > *longest) *longest = rows[i].n_tokens;
    }
    *out = rows;
    return TR_OK;
}

void tr_rows_hash(const tr_sequence *rows, int n, char hex[TR_SHA256_HEX])
{
    tr_sha256 hash;
    tr_sha256_start(&hash);
    for (int i = 0; i < n; i++) {
        tr_sha256_add(&hash, &rows[i].n_tokens, sizeof rows[i].n_tokens);
        tr_sha256_add(&hash, &rows[i].first_target, sizeof rows[i].first_target);
        tr_sha256_add(&hash, &rows[i].weight, sizeof rows[i].weight);
        tr_sha256_add(&hash, rows[i].token, (size_t)rows[i].n_tokens * sizeof *rows[i].token);
    }
    tr_sha256_finish(&hash, hex);
}
