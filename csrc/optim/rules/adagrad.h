/* AdaGrad (Duchi, Hazan, Singer, JMLR 12, 2011): s += g^2, p -= lr g / (sqrt(s) + eps), or sqrt(s + eps). */

#ifdef RULE_LOOPS
static void adagrad(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict sum = r->s0;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, lr = (real)c->step_size;
    const real eps = (real)c->eps, inner = (real)c->inner_eps;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        sum[i] = sum[i] + g[i] * g[i];
        p[i] = keep * p[i] - lr * (g[i] / (SQRT(sum[i] + inner) + eps));
    }
}
#endif

#ifdef RULE_ROWS
/* Keras adds eps under the root. */
static void place_eps(const struct schuss_group *g, struct rule_constants *c) {
    if (g->dialect != SCHUSS_KERAS) return;
    c->inner_eps = g->eps;
    c->eps = 0;
}

static void adagrad_constants(const struct schuss_group *g, const double *memory, int64_t t,
                              struct rule_constants *c) {
    (void)memory;
    c->step_size = g->lr / (1 + (double)(t - 1) * g->lr_decay);
    place_eps(g, c);
}

static double adagrad_start(const struct schuss_group *g, int slot) {
    (void)slot;
    return g->initial_accumulator_value;
}

static int adagrad_coast(const struct rule_constants *c, struct coast *k) {
    return coast_without_l2(c, k) && c->eps + c->inner_eps > 0;
}

static const struct rule adagrad_rule = {
    .settings = SETTINGS(NUMBER("lr_decay", lr_decay, "[0, inf)"), WEIGHT_DECAY, INITIAL_ACCUMULATOR_VALUE, EPS,
                         TORCH_OR_KERAS, ROWS),
    .state_names = {"sum"},
    .positive = 1,
    .start = adagrad_start,
    .start_setting = "initial_accumulator_value",
    .constants = adagrad_constants,
    .zeros_stay = WITH_EPS,
    .coast = adagrad_coast,
};
#endif
