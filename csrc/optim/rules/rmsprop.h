/* RMSProp (Hinton, lecture 6e, 2012): s = alpha s + (1 - alpha) g^2, p -= lr g / (sqrt(s) + eps), or sqrt(s + eps).
 * Centered (Graves, 2013) subtracts the square of the mean gradient under the root. */
static void rmsprop(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict square = r->s0, *restrict mean = r->s1, *restrict buffer = r->s2;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, lr = (real)c->step_size, momentum = (real)c->momentum;
    const real eps = (real)c->eps, inner = (real)c->inner_eps, velocity = (real)c->velocity;
    const real alpha = (real)c->beta2, fresh = (real)c->one_minus_beta2;
    enum { PART = 64 };
    real step[PART];
    for (ptrdiff_t i0 = 0; i0 < r->n; i0 += PART) {
        const ptrdiff_t i1 = i0 + PART < r->n ? i0 + PART : r->n;
        for (ptrdiff_t i = i0; i < i1; i++) square[i] = alpha * square[i] + fresh * (g[i] * g[i]);
        if (c->centered)
            for (ptrdiff_t i = i0; i < i1; i++) {
                mean[i] = mean[i] + fresh * (g[i] - mean[i]);
                real variance = square[i] - mean[i] * mean[i]; /* rounding can make it negative */
                step[i - i0] = g[i] / (SQRT((variance < 0 ? 0 : variance) + inner) + eps);
            }
        else
            for (ptrdiff_t i = i0; i < i1; i++) step[i - i0] = g[i] / (SQRT(square[i] + inner) + eps);
        if (c->momentum != 0)
            for (ptrdiff_t i = i0; i < i1; i++) {
                buffer[i] = momentum * buffer[i] + velocity * step[i - i0];
                p[i] = keep * p[i] - lr * buffer[i];
            }
        else
            for (ptrdiff_t i = i0; i < i1; i++) p[i] = keep * p[i] - lr * step[i - i0];
    }
}
