/* This file implements SwiGLU, out = silu(gate) * up with silu(g) = g / (1 + exp(-g)), and its gradients:
 *   dup = dout silu(g),   dgate = dout up s (1 + g (1 - s)) with s = 1 / (1 + exp(-g)). */
#include "kernel/operations.h"

static inline void forward_one(float g, float u, float *out)
{
    double s = 1 / (1 + exp(-(double)g));
    *out = (float)(g * s * u);
}

static inline void backward_one(float g, float u, float dy, float *dg, float *du)
{
    double s = 1 / (1 + exp(-(double)g));
    *du = (float)(dy * g * s);
    *dg = (float)(dy * (double)u * s * (1 + g * (1 - s)));
}

void K(swiglu_forward)(const float *gate, const float *up, float *out, size_t count)
{
    size_t i = 0;
#ifndef TR_ORACLE
    for (; i + VL <= count; i += VL) {
        vec g = load(gate + i);
        store(out + i, g / (1.f + vec_exp(-g)) * load(up + i));
    }
#endif
    for (; i < count; i++) forward_one(gate[i], up[i], out + i);
}

void K(swiglu_backward)(const float *gate, const float *up, const float *dout, float *dgate, float *dup, size_t count)
{
    size_t i = 0;
#ifndef TR_ORACLE
    for (; i + VL <= count; i += VL) {
        vec g = load(gate + i), u = load(up + i), dy = load(dout + i);
        vec s = 1.f / (1.f + vec_exp(-g));
        store(dup + i, dy * g * s);
        store(dgate + i, dy * u * s * (1.f + g * (1.f - s)));
    }
#endif
    for (; i < count; i++) {
        float dg, du;
        backward_one(gate[i], up[i], dout[i], &dg, &du);
        dgate[i] = dg;
        dup[i] = du;
    }
}
