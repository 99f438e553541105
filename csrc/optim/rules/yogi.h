/* Yogi (Zaheer et al., NeurIPS 2018): m += (1 - beta1) (g - m), v -= (1 - beta2) sign(v - g^2) g^2,
 * p -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps). */

#ifdef RULE_LOOPS
static void yogi(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict m = r->s0, *restrict v = r->s1;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, step_size = (real)c->step_size, eps = (real)c->eps;
    const real correction = (real)c->sqrt_correction;
    const real fresh1 = (real)c->one_minus_beta1, fresh2 = (real)c->one_minus_beta2;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        m[i] = m[i] + fresh1 * (g[i] - m[i]);
        const real square = g[i] * g[i], change = fresh2 * square;
        v[i] = v[i] - (v[i] > square ? change : v[i] < square ? -change : 0);
        p[i] = keep * p[i] - step_size * (m[i] / (SQRT(v[i]) * correction + eps));
    }
}
#endif

#ifdef RULE_ROWS
static double yogi_start(const struct schuss_group *g, int slot) {
    return slot == 1 ? g->initial_accumulator_value : 0;
}

static const struct rule yogi_rule = {
    .settings = SETTINGS(BETAS, EPS, WEIGHT_DECAY, INITIAL_ACCUMULATOR_VALUE, DECOUPLED_WEIGHT_DECAY),
    .state_names = {"exp_avg", "exp_avg_sq"},
    .positive = 1 << 1,
    .start = yogi_start,
    .start_setting = "initial_accumulator_value",
    .constants = adam_constants,
    .zeros_stay = WITH_EPS,
};
#endif
