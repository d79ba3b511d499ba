/* This file implements the AdamW update, in torch.optim.AdamW's order of operations: decay, moments, bias
 * correction, step. */
#include "kernel/operations.h"

void K(adamw)(float *param, const float *grad, float *m, float *v, size_t count, float lr, float beta1, float beta2,
              float eps, float weight_decay, int64_t step, float grad_scale)
{
    const double correction1 = 1 - pow(beta1, (double)step), correction2 = 1 - pow(beta2, (double)step);
    const float step_size = (float)(lr / correction1), root = (float)sqrt(correction2);
    const float decay = 1.f - lr * weight_decay;
    for (size_t i = 0; i < count; i++) {
        float g = grad[i] * grad_scale;
        m[i] = beta1 * m[i] + (1.f - beta1) * g;
        v[i] = beta2 * v[i] + (1.f - beta2) * g * g;
        param[i] = param[i] * decay - step_size * (m[i] / (sqrtf(v[i]) / root + eps));
    }
}
