/* AdaDelta (Zeiler, 2012): s = rho s + (1 - rho) g^2, d = sqrt((a + eps) / (s + eps)) g, a = rho a + (1 - rho) d^2,
 * p -= lr d. */

#ifdef RULE_LOOPS
static void adadelta(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict square = r->s0, *restrict delta = r->s1;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, lr = (real)c->step_size, eps = (real)c->eps;
    const real rho = (real)c->beta2, fresh = (real)c->one_minus_beta2;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        square[i] = rho * square[i] + fresh * (g[i] * g[i]);
        const real d = SQRT((delta[i] + eps) / (square[i] + eps)) * g[i];
        delta[i] = rho * delta[i] + fresh * (d * d);
        p[i] = keep * p[i] - lr * d;
    }
}
#endif

#ifdef RULE_ROWS
static void adadelta_constants(const struct schuss_group *g, const double *memory, int64_t t,
                               struct rule_constants *c) {
    (void)memory;
    (void)t;
    c->beta2 = g->alpha;
    c->one_minus_beta2 = 1 - g->alpha;
}

static const struct rule adadelta_rule = {
    .settings = SETTINGS(NUMBER("rho", alpha, "[0, 1]"), EPS, WEIGHT_DECAY, TORCH_OR_KERAS),
    .state_names = {"square_avg", "acc_delta"},
    .positive = 1 | 1 << 1,
    .constants = adadelta_constants,
    .zeros_stay = WITH_EPS,
};
#endif
