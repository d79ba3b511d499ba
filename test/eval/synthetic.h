/* Synthetic evaluations for tests: users of differing generosity, items of differing appeal, and scores that know
 * as much of either as asked. */
#ifndef TR_TEST_EVAL_SYNTHETIC_H
#define TR_TEST_EVAL_SYNTHETIC_H

#include "base/rng.h"
#include "eval/calibration.h"
#include "eval/evaluation.h"

#include <math.h>
#include <stdio.h>

#define SYNTHETIC_ROWS 1000
#define SYNTHETIC_TRAINING 2000
#define SYNTHETIC_ITEMS 120
#define SYNTHETIC_HISTORY 10

typedef struct {
    size_t n;
    uint8_t label[SYNTHETIC_ROWS];
    const char *user[SYNTHETIC_ROWS], *item[SYNTHETIC_ROWS];
    double like_share[SYNTHETIC_ROWS], score[SYNTHETIC_ROWS], base[SYNTHETIC_ROWS], shuffled[SYNTHETIC_ROWS];
    const char *training_item[SYNTHETIC_TRAINING];
    uint8_t training_label[SYNTHETIC_TRAINING];
    char user_name[SYNTHETIC_ROWS][32], item_name[SYNTHETIC_ITEMS][16];
} synthetic;

/* About normal: the sum of four uniforms, variance 1. */
static inline double synthetic_normal(uint32_t stream, uint64_t index)
{
    double sum = 0;
    for (int k = 0; k < 4; k++) sum += tr_rng_uniform(11, TR_RNG_TEST, stream, 4 * index + (uint64_t)k) - 0.5;
    return sum * 1.7320508;
}

/* Taste of a user for an item: generosity + appeal + what is between the two. */
static inline double synthetic_taste(size_t user, size_t item)
{
    return 0.3 + 0.9 * synthetic_normal(1, user) + 0.7 * synthetic_normal(2, item) +
           0.8 * synthetic_normal(3, user * SYNTHETIC_ITEMS + item);
}

/* skill in [0, 1]: how much of the taste the model's scores know; the rest is noise. */
static inline void synthetic_fill(synthetic *d, size_t n_users, double skill)
{
    d->n = SYNTHETIC_ROWS;
    for (size_t i = 0; i < SYNTHETIC_ITEMS; i++) snprintf(d->item_name[i], sizeof d->item_name[i], "item %zu", i);
    for (size_t u = 0; u < n_users; u++) snprintf(d->user_name[u], sizeof d->user_name[u], "user %zu", u + 101);
    for (size_t i = 0; i < d->n; i++) {
        double place = (double)i / (double)d->n;
        size_t user = (size_t)(place * place * (double)n_users);
        size_t item = tr_rng_below(11, TR_RNG_TEST, 4, i, SYNTHETIC_ITEMS);
        double taste = synthetic_taste(user, item), likes = 0;
        for (uint64_t h = 0; h < SYNTHETIC_HISTORY; h++) {
            size_t past = tr_rng_below(11, TR_RNG_TEST, 5, i * SYNTHETIC_HISTORY + h, SYNTHETIC_ITEMS);
            likes += tr_rng_uniform(11, TR_RNG_TEST, 6, i * SYNTHETIC_HISTORY + h) <
                     tr_sigmoid(synthetic_taste(user, past));
        }
        d->user[i] = d->user_name[user];
        d->item[i] = d->item_name[item];
        d->label[i] = tr_rng_uniform(11, TR_RNG_TEST, 7, i) < tr_sigmoid(2 * taste);
        d->like_share[i] = (likes + 1) / (SYNTHETIC_HISTORY + 2);
        d->score[i] = 1.6 * skill * taste + 0.8 * (1 - skill) * synthetic_normal(8, i) + 0.4;
        d->shuffled[i] = d->score[i] + 0.15 * synthetic_normal(9, i);
        d->base[i] = 0.15 * taste + 0.5 * synthetic_normal(10, i) - 0.6;
    }
    for (size_t i = 0; i < SYNTHETIC_TRAINING; i++) {
        size_t item = tr_rng_below(11, TR_RNG_TEST, 12, i, SYNTHETIC_ITEMS);
        d->training_item[i] = d->item_name[item];
        d->training_label[i] = tr_rng_uniform(11, TR_RNG_TEST, 13, i) < tr_sigmoid(2 * synthetic_taste(5000 + i, item));
    }
}

static inline tr_evaluation_input synthetic_input(const synthetic *d)
{
    return (tr_evaluation_input){
        .n = d->n, .label = d->label, .user = d->user, .item = d->item, .like_share = d->like_share,
        .score = d->score, .score_base = d->base, .score_shuffled = d->shuffled,
        .seen = {d->training_item, d->training_label, 64},
        .all = {d->training_item, d->training_label, SYNTHETIC_TRAINING},
        .seed = 1,
    };
}

#endif
