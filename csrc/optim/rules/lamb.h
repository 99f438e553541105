/* LAMB (You et al., ICLR 2020): m and v as Adam's, u = m / (1 - beta1^t) / (sqrt(v) / sqrt(1 - beta2^t) + eps) + decay p,
 * p -= factor u with factor = lr phi(||p||) / ||u||. The first pass makes m and v, the second needs no gradient. */

#ifdef RULE_LOOPS
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
#endif

#ifdef RULE_ROWS
static void lamb_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    double power[SCHUSS_MAX_BETAS];
    optimizer_powers(g, t, power);
    c->step_size = g->bias_correction ? 1 / (1 - power[0]) : 1;
    if (g->bias_correction) c->sqrt_correction = 1 / sqrt(1 - power[1]);
    own_decay(g, c);
}

static void lamb_finish(const struct schuss_group *g, const struct rule_constants *c, const double *sums,
                        struct schuss_segment *segment) {
    (void)c;
    const double norm = sqrt(sums[0]), u = sqrt(sums[1]);
    const double raised = norm < g->clamp_low ? g->clamp_low : norm;
    const double p = raised > g->clamp_high ? g->clamp_high : raised;
    segment->factor = !g->adapt || p == 0 || u == 0 ? g->lr : g->lr * (p / u);
}

static const char *lamb_fault(const struct schuss_group *g, const char **expected) {
    *expected = "two numbers in increasing order";
    return g->clamp_low > g->clamp_high ? "clamp" : NULL;
}

static const struct rule lamb_rule = {
    .settings = SETTINGS(BETAS, EPS, WEIGHT_DECAY, PAIR("clamp", clamp_low, "[0, inf]", clamp_high, "[0, inf]"),
                         FLAG("bias_correction", bias_correction), ADAPT),
    .fault = lamb_fault,
    .state_names = {"exp_avg", "exp_avg_sq"},
    .positive = 1 << 1,
    .fine = 1 << 1, /* The update is made of what was kept: a divisor rounded to 0 would leave eps alone. */
    .constants = lamb_constants,
    .n_sums = 2,
    .sums_write = 1 | 1 << 1,
    .finish = lamb_finish,
    .spends_gradient = 1,
};
#endif
