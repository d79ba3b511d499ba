/* This file implements what cross-entropy over the vocabulary needs of one row of logits. */
#include "kernel/operations.h"

#ifdef TR_ORACLE

float K(logsumexp)(const float *logits, int n)
{
    double max = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++) max = logits[i] > max ? logits[i] : max;
    for (int i = 0; i < n; i++) sum += exp(logits[i] - max);
    return (float)(max + log(sum));
}

void K(softmax_scale)(float *logits, float logsumexp, float weight, int n)
{
    for (int i = 0; i < n; i++) logits[i] = (float)(weight * exp((double)logits[i] - logsumexp));
}

#else

float K(logsumexp)(const float *logits, int n)
{
    vec high = splat(-INFINITY), sum = splat(0);
    float max = -INFINITY, tail = 0;
    int i = 0;
    for (; i + VL <= n; i += VL) high = vec_max(high, load(logits + i));
    for (int l = 0; l < VL; l++) max = high[l] > max ? high[l] : max;
    for (; i < n; i++) max = logits[i] > max ? logits[i] : max;
    for (i = 0; i + VL <= n; i += VL) sum += vec_exp(load(logits + i) - max);
    for (; i < n; i++) tail += expf(logits[i] - max);
    return max + logf(sum_lanes(sum) + tail);
}

void K(softmax_scale)(float *logits, float logsumexp, float weight, int n)
{
    int i = 0;
    for (; i + VL <= n; i += VL) store(logits + i, vec_exp(load(logits + i) - logsumexp) * weight);
    for (; i < n; i++) logits[i] = expf(logits[i] - logsumexp) * weight;
}

#endif
