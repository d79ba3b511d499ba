/* The scorer: examples in, log-probabilities of the two answers out. A row's score is
 *   log P(first token of "Yes." | prompt) - log P(first token of "No." | prompt)
 * in the tokenizer at hand, as in TALLRec (Bao et al. 2023, section 3.3); see rec/sequence.h for the tokens.
 *
 * Rows are scored in prefix forests of a limited size, so that rows with a common beginning share its computation
 * and memory stays bounded; what all rows begin with (a user's history before many candidates) is computed once for
 * all forests. The grouping depends on the rows alone: scores do not depend on the number of threads. */
#ifndef TR_EVAL_SCORER_H
#define TR_EVAL_SCORER_H

#include "model/session.h"
#include "rec/sequence.h"

#define TR_SCORER_MICRO_TOKENS 4096

typedef struct {
    int cutoff;        /* most tokens of a row, its answer included; 0: the model's context */
    int micro_tokens;  /* most nodes of one forest (a longer row is a forest by itself); 0: TR_SCORER_MICRO_TOKENS */
    bool shuffle;      /* score prompts with shuffled history, a function of ... */
    uint64_t seed;     /* ... this seed and the row's place */
    const char *label; /* of the progress line; NULL: no progress is shown */
} tr_scorer_options;

typedef struct {
    double logp_yes, logp_no;
} tr_row_logp;

typedef struct {
    size_t n_rows;
    size_t n_shortened, n_titles_lost, n_unaligned; /* as in tr_sequences */
    int64_t n_tokens;   /* of the prompts as a padded batch would compute them, without padding */
    int64_t n_nodes;    /* computed */
    double answer_mass; /* mean of P(Yes) + P(No) over the rows */
} tr_scoring;

/* Scores rows (n_rows; NULL: the first n_rows examples) into logp (n_rows). `lora` may be NULL: the base model.
 * TR_ERR_NUMERIC naming the row when a probability is not a number, TR_ERR_MEMORY with numbers when a forest does not
 * fit, TR_ERR_INTERRUPTED after Ctrl-C (where it is caught); and the errors of tr_sequences_for_scoring. */
tr_status tr_score_rows(const tr_model *model, const tr_lora *lora, const tr_examples *examples, const uint32_t *rows,
                        size_t n_rows, const tr_scorer_options *options, tr_row_logp *logp, tr_scoring *scoring,
                        tr_error *err);

/* Bytes of the session that scoring these rows would reserve, for a plan; `config` (may be NULL) is the adapter's. */
tr_status tr_score_memory(const tr_model *model, const tr_lora_config *config, const tr_examples *examples,
                          size_t n_rows, const tr_scorer_options *options, size_t *bytes, tr_error *err);

/* Tells, by tr_warn, what a reader of the scores must know: rows that lost history, prompts that do not end where
 * the answer begins, answers that the model hardly ever gives. */
void tr_scoring_warn(const tr_scoring *scoring);

#endif
