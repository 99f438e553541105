/* AdEMAMix (Pagliardini, Ablin, Grangier, 2024): Adam's means m and v, and a slow mean l += (1 - beta3) (g - l);
 * p -= lr (m / (1 - beta1^t) + alpha l) / (sqrt(v) / sqrt(1 - beta2^t) + eps). With beta1 = 0, m is g and no state. */

#ifdef RULE_LOOPS
ALWAYS_INLINE void ademamix_step(const struct rule_arrays *r, const struct rule_constants *c, const int averages) {
    real *restrict p = r->p, *restrict v = r->s0, *restrict slow = r->s1, *restrict fast = r->s2;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, of_fast = (real)c->step_size, of_slow = (real)c->second_step;
    const real correction = (real)c->sqrt_correction, eps = (real)c->eps;
    const real fresh1 = (real)c->one_minus_beta1, fresh3 = (real)c->one_minus_beta3;
    const real beta2 = (real)c->beta2, fresh2 = (real)c->one_minus_beta2;
    APART
    for (ptrdiff_t i = 0; i < r->n; i++) {
        real m = g[i];
        if (averages) m = fast[i] = fast[i] + fresh1 * (g[i] - fast[i]);
        slow[i] = slow[i] + fresh3 * (g[i] - slow[i]);
        v[i] = beta2 * v[i] + fresh2 * (g[i] * g[i]);
        p[i] = keep * p[i] - (of_fast * m + of_slow * slow[i]) / (SQRT(v[i]) * correction + eps);
    }
}

static void ademamix(const struct rule_arrays *r, const struct rule_constants *c) {
    c->beta1 != 0 ? ademamix_step(r, c, 1) : ademamix_step(r, c, 0);
}
#endif

#ifdef RULE_ROWS
/* How far a warm-up of so many steps has come at step t. */
static double warmed_up(double steps, int64_t t) { return (double)t < steps ? (double)t / steps : 1; }

static int ademamix_states(const struct schuss_group *g) { return states_of(g->beta1 != 0 ? 3 : 2); }

static void ademamix_constants(const struct schuss_group *g, const double *memory, int64_t t,
                               struct rule_constants *c) {
    const double come = warmed_up(g->beta3_warmup, t);
    adam_constants(g, memory, t, c);
    c->second_step = g->lr * (g->alpha * warmed_up(g->alpha_warmup, t));
    if (come < 1 && g->beta3 > 0) { /* the mean's inverse logarithm grows evenly; that of 0 is 0 */
        const double from = g->beta1 > 0 ? 1 / portable_log(g->beta1) : 0, to = 1 / portable_log(g->beta3);
        const double logarithm = 1 / ((1 - come) * from + come * to);
        const double beta3 = logarithm > -700 ? portable_exp(logarithm) : 0;
        c->one_minus_beta3 = 1 - (beta3 < g->beta3 ? beta3 : g->beta3);
    }
}

static const struct rule ademamix_rule = {
    .settings = SETTINGS(THREE_BETAS, NUMBER("alpha", alpha, "[0, inf)"), EPS, WEIGHT_DECAY,
                         NUMBER("alpha_warmup", alpha_warmup, "[0, inf)"),
                         NUMBER("beta3_warmup", beta3_warmup, "[0, inf)")),
    .decouples = 1,
    .state_names = {"exp_avg_sq", "exp_avg_slow", "exp_avg_fast"},
    .positive = 1,
    .states = ademamix_states,
    .constants = ademamix_constants,
    .zeros_stay = WITH_EPS,
};
#endif
