/* A recipe: every choice that shapes a training run, apart from its model and its data. One table in recipe.c lists
 * the fields (flag, JSON key, range), one the named recipes. */
#ifndef TR_TRAIN_RECIPE_H
#define TR_TRAIN_RECIPE_H

#include "format/json.h"
#include "model/lora.h"
#include "train/schedule.h"

typedef enum { TR_LOSS_ALL, TR_LOSS_ANSWER } tr_loss_on;
typedef enum { TR_SHUFFLE_EPOCH, TR_SHUFFLE_NONE } tr_shuffle;

typedef struct {
    tr_lora_config lora;   /* rank, alpha, dropout, rslora, targets */
    double lr;
    tr_schedule schedule;
    int warmup;            /* steps */
    int batch;             /* rows an optimiser step */
    int micro_tokens;      /* nodes of a forest that are computed together; bounds memory, changes no result
                              but dropout's masks and the order of rounding */
    int epochs;
    int steps;             /* stop after so many; 0: after the epochs */
    tr_loss_on loss_on;    /* all tokens after the first, or the answer's */
    double weight_decay;
    double clip;           /* largest L2 norm of the gradient; 0: no limit */
    int eval_every;        /* steps between validations; 0: only at the end */
    int patience;          /* validations without a better AUC before stopping; 0: never stop early */
    int valid_rows;        /* rows used in a validation; 0: all */
    bool balanced;         /* few-shot rows: as many liked as not */
    int cutoff;            /* tokens of a row, oldest history cut first */
    bool eos;              /* the end-of-text token follows the answer and is a target */
    uint64_t seed;
    tr_shuffle shuffle;
} tr_recipe;

/* "paper": the published one (TALLRec, arXiv 2305.00447, and its code); "quick": the demo's. TR_ERR_USAGE lists the
 * names for another. */
tr_status tr_recipe_named(const char *name, tr_recipe *out, tr_error *err);
/* Name number i, NULL after the last. */
const char *tr_recipe_name(size_t i);

/* Sets one field from text, as a command line has it: tr_recipe_set(&r, "micro-tokens", "512", &err). TR_ERR_USAGE
 * names the flag and what it takes. Whether the value is in range is tr_recipe_check's to say. */
tr_status tr_recipe_set(tr_recipe *recipe, const char *flag, const char *value, tr_error *err);

/* TR_ERR_USAGE naming the first flag that is out of its range, with the range. */
tr_status tr_recipe_check(const tr_recipe *recipe, tr_error *err);

/* An object with a member for each field, named as the flag with '_' for '-'. Caller json_decref's. */
tr_status tr_recipe_to_json(const tr_recipe *recipe, json_t **out, tr_error *err);
/* The inverse, then checked. TR_ERR_FORMAT names a member that is missing, unknown or of the wrong type. */
tr_status tr_recipe_from_json(const json_t *object, tr_recipe *out, tr_error *err);

/* The first field in which the recipes differ, with both values as text ("lr", "0.0001", "0.001"); false when
 * equal. */
typedef struct {
    char flag[32], a[96], b[96];
} tr_recipe_difference;
bool tr_recipe_differ(const tr_recipe *a, const tr_recipe *b, tr_recipe_difference *out);

#endif
