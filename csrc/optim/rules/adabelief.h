/* AdaBelief (Zhuang et al., NeurIPS 2020): m += (1 - beta1) (g - m), s = beta2 s + (1 - beta2) (g - m)^2 + eps,
 * p -= lr / (1 - beta1^t) m / (sqrt(s) / sqrt(1 - beta2^t) + eps); rectified as RAdam is, then without the correction
 * of s, or p -= lr / (1 - beta1^t) m. AMSGrad puts the largest s so far in s's place. */

#ifdef RULE_LOOPS
ALWAYS_INLINE void adabelief_step(const struct rule_arrays *r, const struct rule_constants *c, const int amsgrad,
                                  const int adaptive) {
    real *restrict p = r->p, *restrict m = r->s0, *restrict s = r->s1, *restrict largest = r->s2;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, step_size = (real)c->step_size, eps = (real)c->eps;
    const real correction = (real)c->sqrt_correction;
    const real fresh1 = (real)c->one_minus_beta1, beta2 = (real)c->beta2, fresh2 = (real)c->one_minus_beta2;
    APART
    for (ptrdiff_t i = 0; i < r->n; i++) {
        m[i] = m[i] + fresh1 * (g[i] - m[i]);
        const real surprise = g[i] - m[i];
        s[i] = beta2 * s[i] + fresh2 * (surprise * surprise) + eps;
        real under = s[i];
        if (amsgrad) under = largest[i] = under > largest[i] ? under : largest[i];
        p[i] = keep * p[i] - step_size * (adaptive ? m[i] / (SQRT(under) * correction + eps) : m[i]);
    }
}

static void adabelief(const struct rule_arrays *r, const struct rule_constants *c) {
    if (c->amsgrad) c->adaptive ? adabelief_step(r, c, 1, 1) : adabelief_step(r, c, 1, 0);
    else c->adaptive ? adabelief_step(r, c, 0, 1) : adabelief_step(r, c, 0, 0);
}
#endif

#ifdef RULE_ROWS
static void adabelief_constants(const struct schuss_group *g, const double *memory, int64_t t,
                                struct rule_constants *c) {
    c->adaptive = 1;
    (g->rectify ? radam_constants : adam_constants)(g, memory, t, c);
}

/* Zeros do not stay: the states grow even where gradients are zero. */
static const struct rule adabelief_rule = {
    .settings = SETTINGS(BETAS, EPS, WEIGHT_DECAY, FLAG("amsgrad", amsgrad), DECOUPLED_WEIGHT_DECAY,
                         FLAG("rectify", rectify)),
    .state_names = {"exp_avg", "exp_avg_var", "max_exp_avg_var"},
    .positive = 1 << 1 | 1 << 2,
    .states = adam_states,
    .constants = adabelief_constants,
};
#endif
