/* LaProp (Ziyin, Wang, Ueda, 2020): v = beta2 v + (1 - beta2) g^2, d = g / (sqrt(v) / sqrt(1 - beta2^t) + eps),
 * m += (1 - beta1) (d - m), p -= lr / (1 - beta1^t) m. */

#ifdef RULE_LOOPS
static void laprop(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict m = r->s0, *restrict v = r->s1;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, step_size = (real)c->step_size, eps = (real)c->eps;
    const real correction = (real)c->sqrt_correction;
    const real fresh1 = (real)c->one_minus_beta1, beta2 = (real)c->beta2, fresh2 = (real)c->one_minus_beta2;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        v[i] = beta2 * v[i] + fresh2 * (g[i] * g[i]);
        m[i] = m[i] + fresh1 * (g[i] / (SQRT(v[i]) * correction + eps) - m[i]);
        p[i] = keep * p[i] - step_size * m[i];
    }
}
#endif

#ifdef RULE_ROWS
static const struct rule laprop_rule = {
    .settings = SETTINGS(BETAS, EPS, WEIGHT_DECAY, DECOUPLED_WEIGHT_DECAY),
    .state_names = {"exp_avg", "exp_avg_sq"},
    .positive = 1 << 1,
    .constants = adam_constants,
    .zeros_stay = WITH_EPS,
};
#endif
