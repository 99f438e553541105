/* The update rules as the core has them, for -ffast-math: what arithmetic without exact division, root and order could
 * reach. Compiled by fast.py when the benchmarks run; no part of the package. a: p, g and the states; c: constants. */
#include <math.h>

void sgd(float *const *a, long n, const float *c) {
    float *restrict p = a[0], *restrict b = a[2];
    const float *restrict g = a[1];
    const float lr = c[0], momentum = c[1];
    for (long i = 0; i < n; i++) {
        b[i] = momentum * b[i] + g[i];
        p[i] = p[i] - lr * b[i];
    }
}

void adagrad(float *const *a, long n, const float *c) {
    float *restrict p = a[0], *restrict sum = a[2];
    const float *restrict g = a[1];
    const float lr = c[0], eps = c[1];
    for (long i = 0; i < n; i++) {
        sum[i] = sum[i] + g[i] * g[i];
        p[i] = p[i] - lr * (g[i] / (sqrtf(sum[i]) + eps));
    }
}

void rmsprop(float *const *a, long n, const float *c) {
    float *restrict p = a[0], *restrict square = a[2];
    const float *restrict g = a[1];
    const float lr = c[0], eps = c[1], alpha = c[2], fresh = c[3];
    for (long i = 0; i < n; i++) {
        square[i] = alpha * square[i] + fresh * (g[i] * g[i]);
        p[i] = p[i] - lr * (g[i] / (sqrtf(square[i]) + eps));
    }
}

void adam(float *const *a, long n, const float *c) {
    float *restrict p = a[0], *restrict m = a[2], *restrict v = a[3];
    const float *restrict g = a[1];
    const float lr = c[0], eps = c[1], fresh1 = c[2], beta2 = c[3], fresh2 = c[4], correction = c[5], keep = c[6];
    for (long i = 0; i < n; i++) {
        m[i] = m[i] + fresh1 * (g[i] - m[i]);
        v[i] = beta2 * v[i] + fresh2 * (g[i] * g[i]);
        p[i] = keep * p[i] - lr * (m[i] / (sqrtf(v[i]) * correction + eps));
    }
}

void adamw(float *const *a, long n, const float *c) { adam(a, n, c); }
