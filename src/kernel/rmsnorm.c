/* This file implements RMSNorm, forward and backward. With r = 1/sqrt(mean(x^2) + eps):
 *   y = x r w,   dx = r (w dy - x r^2 mean(w dy x)). */
#include "kernel/operations.h"

#ifdef TR_ORACLE

void K(rmsnorm_forward)(const float *x, const float *w, float eps, int n, int d, float *y)
{
    for (int i = 0; i < n; i++, x += d, y += d) {
        double sum = 0;
        for (int c = 0; c < d; c++) sum += (double)x[c] * x[c];
        double r = 1 / sqrt(sum / d + eps);
        for (int c = 0; c < d; c++) y[c] = (float)(x[c] * r * w[c]);
    }
}

void K(rmsnorm_backward)(const float *x, const float *w, float eps, const float *dy, int n, int d, float *dx)
{
    for (int i = 0; i < n; i++, x += d, dy += d, dx += d) {
        double squares = 0, products = 0;
        for (int c = 0; c < d; c++) {
            squares += (double)x[c] * x[c];
            products += (double)w[c] * dy[c] * x[c];
        }
        double r = 1 / sqrt(squares / d + eps);
        for (int c = 0; c < d; c++) dx[c] += (float)(r * (w[c] * (double)dy[c] - x[c] * r * r * products / d));
    }
}

#else

/* sum of x[c] * a[c] * b[c] (b NULL: of x[c] * a[c]) */
static float dot(const float *x, const float *a, const float *b, int d)
{
    vec sum = splat(0);
    int c = 0;
    for (; c + VL <= d; c += VL) sum += load(x + c) * (b ? load(a + c) * load(b + c) : load(a + c));
    float total = sum_lanes(sum);
    for (; c < d; c++) total += x[c] * (b ? a[c] * b[c] : a[c]);
    return total;
}

void K(rmsnorm_forward)(const float *x, const float *w, float eps, int n, int d, float *y)
{
    for (int i = 0; i < n; i++, x += d, y += d) {
        float r = 1.f / sqrtf(dot(x, x, NULL, d) / (float)d + eps);
        int c = 0;
        for (; c + VL <= d; c += VL) store(y + c, load(x + c) * r * load(w + c));
        for (; c < d; c++) y[c] = x[c] * r * w[c];
    }
}

void K(rmsnorm_backward)(const float *x, const float *w, float eps, const float *dy, int n, int d, float *dx)
{
    for (int i = 0; i < n; i++, x += d, dy += d, dx += d) {
        float r = 1.f / sqrtf(dot(x, x, NULL, d) / (float)d + eps);
        float pull = r * r * dot(x, w, dy, d) / (float)d;
        int c = 0;
        for (; c + VL <= d; c += VL)
            store(dx + c, load(dx + c) + r * (load(w + c) * load(dy + c) - load(x + c) * pull));
        for (; c < d; c++) dx[c] += r * (w[c] * dy[c] - x[c] * pull);
    }
}

#endif
