/* AdEMAMix (Pagliardini, Ablin, Grangier, 2024): Adam's means m and v, and a slow mean l += (1 - beta3) (g - l);
 * p -= lr (m / (1 - beta1^t) + alpha l) / (sqrt(v) / sqrt(1 - beta2^t) + eps). With beta1 = 0, m is g and no state. */
ALWAYS_INLINE void ademamix_step(const struct rule_arrays *r, const struct rule_constants *c, const int averages) {
    real *restrict p = r->p, *restrict v = r->s0, *restrict slow = r->s1, *restrict fast = r->s2;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, of_fast = (real)c->step_size, of_slow = (real)c->second_step;
    const real correction = (real)c->sqrt_correction, eps = (real)c->eps;
    const real fresh1 = (real)c->one_minus_beta1, fresh3 = (real)c->one_minus_beta3;
    const real beta2 = (real)c->beta2, fresh2 = (real)c->one_minus_beta2;
    APART
    for (ptrdiff_t i = 0; i < r->n; i++) {
        real m = g[i];
        if (averages) m = fast[i] = fast[i] + fresh1 * (g[i] - fast[i]);
        slow[i] = slow[i] + fresh3 * (g[i] - slow[i]);
        v[i] = beta2 * v[i] + fresh2 * (g[i] * g[i]);
        p[i] = keep * p[i] - (of_fast * m + of_slow * slow[i]) / (SQRT(v[i]) * correction + eps);
    }
}

static void ademamix(const struct rule_arrays *r, const struct rule_constants *c) {
    c->beta1 != 0 ? ademamix_step(r, c, 1) : ademamix_step(r, c, 0);
}
