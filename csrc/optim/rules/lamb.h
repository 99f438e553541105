/* LAMB (You et al., ICLR 2020): m and v as Adam's, u = m / (1 - beta1^t) / (sqrt(v) / sqrt(1 - beta2^t) + eps) + decay p,
 * p -= factor u with factor = lr phi(||p||) / ||u||. The first pass makes m and v, the second needs no gradient. */
ALWAYS_INLINE void lamb_direction(const struct rule_arrays *r, const struct rule_constants *c, real *restrict u) {
    const real *restrict p = r->p, *restrict m = r->s0, *restrict v = r->s1;
    const real unbiased = (real)c->step_size, correction = (real)c->sqrt_correction;
    const real eps = (real)c->eps, decay = (real)c->decay;
    for (ptrdiff_t i = 0; i < r->n; i++) u[i] = unbiased * m[i] / (SQRT(v[i]) * correction + eps) + decay * p[i];
}

static void lamb_sums(const struct rule_arrays *r, const struct rule_constants *c, struct rule_sums *sums) {
    real *restrict m = r->s0, *restrict v = r->s1;
    const real *restrict g = r->g;
    const real fresh1 = (real)c->one_minus_beta1, beta2 = (real)c->beta2, fresh2 = (real)c->one_minus_beta2;
    real u[CHUNK];
    for (ptrdiff_t i = 0; i < r->n; i++) {
        m[i] = m[i] + fresh1 * (g[i] - m[i]);
        v[i] = beta2 * v[i] + fresh2 * (g[i] * g[i]);
    }
    lamb_direction(r, c, u);
    add_two_products(r->n, r->p, r->p, u, u, sums);
}

static void lamb(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p;
    const real factor = (real)c->factor;
    real u[CHUNK];
    lamb_direction(r, c, u);
    for (ptrdiff_t i = 0; i < r->n; i++) p[i] = p[i] - factor * u[i];
}
