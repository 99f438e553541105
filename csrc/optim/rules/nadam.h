/* NAdam (Dozat, 2016): Adam's means m and v; p -= (a m + b g) / (sqrt(v) / sqrt(1 - beta2^t) + eps). The step sizes a
 * of the mean and b of the gradient follow from the schedule of momenta, see below. */

#ifdef RULE_LOOPS
static void nadam(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict m = r->s0, *restrict v = r->s1;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, of_mean = (real)c->step_size, of_gradient = (real)c->second_step;
    const real correction = (real)c->sqrt_correction, eps = (real)c->eps;
    const real fresh1 = (real)c->one_minus_beta1, beta2 = (real)c->beta2, fresh2 = (real)c->one_minus_beta2;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        m[i] = m[i] + fresh1 * (g[i] - m[i]);
        v[i] = beta2 * v[i] + fresh2 * (g[i] * g[i]);
        p[i] = keep * p[i] - (of_mean * m[i] + of_gradient * g[i]) / (SQRT(v[i]) * correction + eps);
    }
}
#endif

#ifdef RULE_ROWS
/* The momentum of step t, which grows from beta1 / 2 to beta1: to within a rounding from 0.96^1000 on. */
static double nadam_momentum(const struct schuss_group *g, double t) {
    const double exponent = g->dialect == SCHUSS_KERAS ? t : t * g->momentum_decay;
    return g->beta1 * (1 - 0.5 * (exponent < 1000 ? portable_power(0.96, exponent) : 0));
}

/* memory[0]: the product of the momenta so far. */
static void nadam_advance(const struct schuss_group *g, double *memory, int64_t t) {
    memory[0] = (t == 1 ? 1 : memory[0]) * nadam_momentum(g, (double)t);
}

static void nadam_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    const double next = nadam_momentum(g, (double)t + 1);
    double power[SCHUSS_MAX_BETAS];
    optimizer_powers(g, t, power);
    c->sqrt_correction = 1 / sqrt(1 - power[1]);
    c->step_size = g->lr * next / (1 - memory[0] * next);
    c->second_step = g->lr * (1 - nadam_momentum(g, (double)t)) / (1 - memory[0]);
}

static void nadam_begin(const struct schuss_group *g, double *memory) {
    (void)g;
    memory[0] = 1; /* a product of nothing */
}

static const struct rule nadam_rule = {
    .settings = SETTINGS(BETAS, EPS, WEIGHT_DECAY, NUMBER("momentum_decay", momentum_decay, "[0, inf)"),
                         DECOUPLED_WEIGHT_DECAY, TORCH_OR_KERAS),
    .state_names = {"exp_avg", "exp_avg_sq"},
    .positive = 1 << 1,
    .memory = {"mu_product"},
    .memory_of_params = 1,
    .begin = nadam_begin,
    .advance = nadam_advance,
    .constants = nadam_constants,
    .zeros_stay = WITH_EPS,
};
#endif
