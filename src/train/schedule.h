/* Learning-rate schedules, as transformers' optimization.py: get_constant_schedule_with_warmup,
 * get_linear_schedule_with_warmup, get_cosine_schedule_with_warmup (half a cosine). */
#ifndef TR_TRAIN_SCHEDULE_H
#define TR_TRAIN_SCHEDULE_H

#include <stdint.h>

typedef enum { TR_SCHEDULE_LINEAR, TR_SCHEDULE_COSINE, TR_SCHEDULE_CONSTANT } tr_schedule;

/* The learning rate of optimiser step `step` (from 0) of `total`: base * step / max(1, warmup) while step < warmup, so
 * the first step of a warm-up has rate 0; then the schedule's decay, which would reach 0 at step `total`. */
double tr_schedule_lr(tr_schedule schedule, double base, int64_t warmup, int64_t total, int64_t step);

#endif
