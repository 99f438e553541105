/* RAdam (Liu et al., ICLR 2020): Adam's means m and v; p -= a m / (sqrt(v) + eps), where a holds both corrections and
 * the rectification, or p -= a m as long as v is of too few gradients to have a variance, see below. */

#ifdef RULE_LOOPS
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
#endif

#ifdef RULE_ROWS
/* From step_size as Adam has it to that of a denominator without correction, rectified for how few gradients beta2^t
 * says that the mean square is of; not adaptive if they are too few. */
static void rectify(const struct schuss_group *g, double power, int64_t t, struct rule_constants *c) {
    const double most = 2 / (1 - g->beta2) - 1, now = most - 2 * (double)t * power / (1 - power);
    c->sqrt_correction = 1;
    c->adaptive = now > 5;
    if (c->adaptive)
        c->step_size *= sqrt((1 - power) * (now - 4) * (now - 2) * most / ((most - 4) * (most - 2) * now));
}

static void radam_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    double power[SCHUSS_MAX_BETAS];
    adam_constants(g, memory, t, c);
    optimizer_powers(g, t, power);
    rectify(g, power[1], t, c);
}

static const struct rule radam_rule = {
    .settings = SETTINGS(BETAS, EPS, WEIGHT_DECAY, DECOUPLED_WEIGHT_DECAY),
    .state_names = {"exp_avg", "exp_avg_sq"},
    .positive = 1 << 1,
    .constants = radam_constants,
    .zeros_stay = WITH_EPS,
};
#endif
