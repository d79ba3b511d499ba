/* This file implements rotary position embedding. The backward pass is the inverse rotation. */
#include "kernel/operations.h"

void K(rope)(float *x, size_t ld, int n, int n_heads, int head_dim, const int32_t *position, const float *table,
             bool interleaved, bool inverse)
{
    const int half = head_dim / 2, stride = interleaved ? 1 : half, step = interleaved ? 2 : 1;
    for (int i = 0; i < n; i++) {
        const float *cosine = table + (size_t)position[i] * (size_t)head_dim, *sine = cosine + half;
        for (int h = 0; h < n_heads; h++) {
            float *p = x + (size_t)i * ld + (size_t)(h * head_dim);
            for (int j = 0; j < half; j++) {
                float a = p[j * step], b = p[j * step + stride], s = inverse ? -sine[j] : sine[j];
                p[j * step] = a * cosine[j] - b * s;
                p[j * step + stride] = a * s + b * cosine[j];
            }
        }
    }
}
