/* FTRL-Proximal (McMahan et al., KDD 2013), as in TensorFlow: s = n^-lr_power of the old n and S of n += g^2,
 * z += g + shrink p - (S - s) / lr p, p = (z limited to +-l1 - z) / (S / lr + offset), which is 0 where |z| <= l1. A
 * step with a learning rate of 0 is none. */
ALWAYS_INLINE real ftrl_power(real x, double exponent, const int root) {
    return root ? SQRT(x) : (real)portable_power((double)x, exponent);
}

ALWAYS_INLINE void ftrl_step(const struct rule_arrays *r, const struct rule_constants *c, const int root) {
    real *restrict p = r->p, *restrict n = r->s0, *restrict z = r->s1;
    const real *restrict g = r->g;
    const real inverse = (real)(1 / c->step_size), l1 = (real)c->limit;
    const real shrink = (real)c->shrink, offset = (real)c->offset;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        const real before = ftrl_power(n[i], c->exponent, root);
        n[i] = n[i] + g[i] * g[i];
        const real now = ftrl_power(n[i], c->exponent, root);
        z[i] = z[i] + ((g[i] + shrink * p[i]) - (now - before) * inverse * p[i]);
        const real above = z[i] > l1 ? l1 : z[i], inside = above < -l1 ? -l1 : above, below = now * inverse + offset;
        p[i] = below == 0 ? 0 : (inside - z[i]) / below; /* 0: no gradient so far */
    }
}

static void ftrl(const struct rule_arrays *r, const struct rule_constants *c) {
    if (c->step_size == 0) return;
    c->exponent == 0.5 ? ftrl_step(r, c, 1) : ftrl_step(r, c, 0);
}
