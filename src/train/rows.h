/* The rows of a training job: checked, their targets chosen, and named by a hash. For plan.c and tuner.c. */
#ifndef TR_TRAIN_ROWS_H
#define TR_TRAIN_ROWS_H

#include "base/sha256.h"
#include "train/tuner.h"

/* Copies tuning->rows into *out (n_rows, malloc'ed), first_target set to 1 where the loss is on all tokens. *longest:
 * tokens of the longest. TR_ERR_VALUE names a row without an answer, with tokens that the model lacks, or longer than
 * its context. */
tr_status tr_rows_prepare(const tr_tuning *tuning, tr_sequence **out, int *longest, tr_error *err);

/* SHA-256 over lengths, first targets, weights and tokens, in order. */
void tr_rows_hash(const tr_sequence *rows, int n, char hex[TR_SHA256_HEX]);

#endif
