/* Adan (Xie et al., 2022): d is the gradient's change since the last step, 0 at the first. m += (1 - beta1) (g - m),
 * w += (1 - beta2) (d - w), n = beta3 n + (1 - beta3) (g + beta2 d)^2, p -= lr (m / (1 - beta1^t) + beta2 w /
 * (1 - beta2^t)) / (sqrt(n) / sqrt(1 - beta3^t) + eps); then p /= 1 + lr decay, which is in all three factors. */

#ifdef RULE_LOOPS
ALWAYS_INLINE void adan_step(const struct rule_arrays *r, const struct rule_constants *c, const int first) {
    real *restrict p = r->p, *restrict m = r->s0, *restrict n = r->s1, *restrict w = r->s2;
    real *restrict negative_last = r->s3;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, of_mean = (real)c->step_size, of_change = (real)c->second_step;
    const real correction = (real)c->sqrt_correction, eps = (real)c->eps;
    const real fresh1 = (real)c->one_minus_beta1, fresh2 = (real)c->one_minus_beta2;
    const real beta2 = (real)c->beta2, beta3 = (real)c->beta3, fresh3 = (real)c->one_minus_beta3;
    APART
    for (ptrdiff_t i = 0; i < r->n; i++) {
        const real d = first ? 0 : g[i] + negative_last[i], ahead = g[i] + beta2 * d;
        negative_last[i] = -g[i];
        m[i] = m[i] + fresh1 * (g[i] - m[i]);
        w[i] = w[i] + fresh2 * (d - w[i]);
        n[i] = beta3 * n[i] + fresh3 * (ahead * ahead);
        p[i] = keep * p[i] - (of_mean * m[i] + of_change * w[i]) / (SQRT(n[i]) * correction + eps);
    }
}

static void adan(const struct rule_arrays *r, const struct rule_constants *c) {
    c->first ? adan_step(r, c, 1) : adan_step(r, c, 0);
}
#endif

#ifdef RULE_ROWS
static void adan_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    double power[SCHUSS_MAX_BETAS];
    optimizer_powers(g, t, power);
    const double prox = g->no_prox ? 1 : 1 / (1 + g->lr * g->weight_decay);
    if (!g->no_prox) c->keep = prox;
    c->step_size = g->lr / (1 - power[0]) * prox;
    c->second_step = g->lr * g->beta2 / (1 - power[1]) * prox;
    c->sqrt_correction = 1 / sqrt(1 - power[2]);
}

static const struct rule adan_rule = {
    .settings = SETTINGS(THREE_BETAS, EPS, WEIGHT_DECAY, FLAG("no_prox", no_prox)),
    .decouples = 1,
    .state_names = {"exp_avg", "exp_avg_sq", "exp_avg_diff", "neg_pre_grad"},
    .positive = 1 << 1,
    .constants = adan_constants,
    .zeros_stay = WITH_EPS,
    .every_step = 1,
};
#endif
