/* This file implements the learning-rate schedules. */
#include "train/schedule.h"

#include <math.h>

static double at_least_one(int64_t x) { return x > 1 ? (double)x : 1; }

double tr_schedule_lr(tr_schedule schedule, double base, int64_t warmup, int64_t total, int64_t step)
{
    if (step < warmup) return base * (double)step / at_least_one(warmup);
    if (schedule == TR_SCHEDULE_CONSTANT) return base;
    double left;
    if (schedule == TR_SCHEDULE_LINEAR)
        left = (double)(total - step) / at_least_one(total - warmup);
    else
        left = 0.5 * (1 + cos(M_PI * (double)(step - warmup) / at_least_one(total - warmup)));
    return base * (left > 0 ? left : 0);
}
