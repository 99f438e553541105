/* RAdam (Liu et al., ICLR 2020): Adam's means m and v; p -= a m / (sqrt(v) + eps), where a holds both corrections and
 * the rectification, or p -= a m as long as v is of too few gradients to have a variance, see catalogue.c. */
ALWAYS_INLINE void radam_step(const struct rule_arrays *r, const struct rule_constants *c, const int adaptive) {
    real *restrict p = r->p, *restrict m = r->s0, *restrict v = r->s1;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, step_size = (real)c->step_size, eps = (real)c->eps;
    const real fresh1 = (real)c->one_minus_beta1, beta2 = (real)c->beta2, fresh2 = (real)c->one_minus_beta2;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        m[i] = m[i] + fresh1 * (g[i] - m[i]);
        v[i] = beta2 * v[i] + fresh2 * (g[i] * g[i]);
        p[i] = keep * p[i] - step_size * (adaptive ? m[i] / (SQRT(v[i]) + eps) : m[i]);
    }
}

static void radam(const struct rule_arrays *r, const struct rule_constants *c) {
    c->adaptive ? radam_step(r, c, 1) : radam_step(r, c, 0);
}
