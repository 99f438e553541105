/* AdaMax (Kingma and Ba, ICLR 2015, section 7.1): m += (1 - beta1) (g - m), u = max(beta2 u, |g| + eps),
 * p -= lr / (1 - beta1^t) m / u, or without that eps m / (u + eps). */

#ifdef RULE_LOOPS
static void adamax(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict m = r->s0, *restrict u = r->s1;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, step_size = (real)c->step_size;
    const real eps = (real)c->eps, inner = (real)c->inner_eps;
    const real fresh1 = (real)c->one_minus_beta1, beta2 = (real)c->beta2;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        m[i] = m[i] + fresh1 * (g[i] - m[i]);
        const real old = beta2 * u[i], size = (g[i] < 0 ? -g[i] : g[i]) + inner;
        u[i] = old > size ? old : size;
        p[i] = keep * p[i] - step_size * (m[i] / (u[i] + eps));
    }
}
#endif

#ifdef RULE_ROWS
/* torch adds eps to each absolute gradient, Keras to the largest. */
static void adamax_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    double power[SCHUSS_MAX_BETAS];
    (void)memory;
    optimizer_powers(g, t, power);
    c->step_size = g->lr / (1 - power[0]);
    c->inner_eps = g->dialect == SCHUSS_KERAS ? 0 : g->eps;
    c->eps = g->dialect == SCHUSS_KERAS ? g->eps : 0;
}

static const struct rule adamax_rule = {
    .settings = SETTINGS(BETAS, EPS, WEIGHT_DECAY, TORCH_OR_KERAS),
    .state_names = {"exp_avg", "exp_inf"},
    .positive = 1 << 1,
    .constants = adamax_constants,
};
#endif
