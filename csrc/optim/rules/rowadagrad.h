/* AdaGrad with one number a row (rows of embeddings, as torchrec has it): s += mean(g^2) over the row,
 * p -= (lr / (sqrt(s) + eps)) g. The mean is taken in double and added in double, and the sum rounded. */

#ifdef RULE_LOOPS
/* From the mean of the squares of a row's gradient, with its sum so far, what multiplies its elements. */
static real rowadagrad_row(const struct rule_constants *c, double mean, real *sum) {
    *sum = (real)((double)*sum + mean);
    return (real)c->step_size / (SQRT(*sum) + (real)c->eps);
}

static void rowadagrad(const struct rule_arrays *r, const struct rule_constants *c, real factor) {
    real *restrict p = r->p;
    const real *restrict g = r->g;
    const real keep = (real)c->keep;
    for (ptrdiff_t i = 0; i < r->n; i++) p[i] = keep * p[i] - factor * g[i];
}
#endif

#ifdef RULE_ROWS
static int one_a_row(const struct schuss_group *g, const struct schuss_segment *s, int slot, ptrdiff_t *shape) {
    (void)g;
    (void)slot;
    if (s->ndim) shape[0] = s->shape[0];
    return s->ndim ? 1 : 0;
}

static const struct rule rowadagrad_rule = {
    .settings = SETTINGS(NUMBER("lr_decay", lr_decay, "[0, inf)"), WEIGHT_DECAY, INITIAL_ACCUMULATOR_VALUE, EPS, ROWS),
    .state_names = {"sum"},
    .exact = 1,
    .shape = one_a_row,
    .start = adagrad_start,
    .start_setting = "initial_accumulator_value",
    .constants = adagrad_constants,
    .coast = adagrad_coast,
    .by_row = 1,
};
#endif
