/* ADOPT (Taniguchi et al., NeurIPS 2024): the first step only sets v = g^2. Then u = g / max(sqrt(v), eps), limited to
 * +-(t - 1)^(1/4), m += (1 - beta1) (u - m), p -= lr m, and only now v = beta2 v + (1 - beta2) g^2. */

#ifdef RULE_LOOPS
static void adopt(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict m = r->s0, *restrict v = r->s1;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, lr = (real)c->step_size, eps = (real)c->eps, limit = (real)c->limit;
    const real fresh1 = (real)c->one_minus_beta1, beta2 = (real)c->beta2, fresh2 = (real)c->one_minus_beta2;
    if (c->first) {
        for (ptrdiff_t i = 0; i < r->n; i++) v[i] = g[i] * g[i];
        return;
    }
    for (ptrdiff_t i = 0; i < r->n; i++) {
        const real root = SQRT(v[i]);
        real u = g[i] / (root < eps ? eps : root);
        u = u > limit ? limit : u;
        u = u < -limit ? -limit : u;
        m[i] = m[i] + fresh1 * (u - m[i]);
        p[i] = keep * p[i] - lr * m[i];
        v[i] = beta2 * v[i] + fresh2 * (g[i] * g[i]);
    }
}
#endif

#ifdef RULE_ROWS
static void adopt_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    c->limit = g->clip ? sqrt(sqrt((double)(t - 1))) : INFINITY;
}

static const struct rule adopt_rule = {
    .settings = SETTINGS(BETAS, EPS, WEIGHT_DECAY, FLAG("clip", clip), DECOUPLED_WEIGHT_DECAY),
    .state_names = {"exp_avg", "exp_avg_sq"},
    .positive = 1 << 1,
    .constants = adopt_constants,
    .zeros_stay = WITH_EPS,
    .every_step = 1,
};
#endif
