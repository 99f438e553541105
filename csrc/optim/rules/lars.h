/* LARS (You, Gitman, Ginsburg, 2017): d = factor (g + decay p) with factor = lr ||p|| trust / (||g|| + decay ||p||),
 * b = momentum b + d, p -= b; Nesterov's momentum: p -= d + momentum b. */

#ifdef RULE_LOOPS
static void lars_sums(const struct rule_arrays *r, const struct rule_constants *c, struct rule_sums *sums) {
    (void)c;
    add_two_products(r->n, r->p, r->p, r->g, r->g, sums);
}

static void lars(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict buffer = r->s0;
    const real *restrict g = r->g;
    const real factor = (real)c->factor, decay = (real)c->decay, momentum = (real)c->momentum;
    if (c->momentum == 0)
        for (ptrdiff_t i = 0; i < r->n; i++) p[i] = p[i] - factor * (g[i] + decay * p[i]);
    else if (c->nesterov)
        for (ptrdiff_t i = 0; i < r->n; i++) {
            const real d = factor * (g[i] + decay * p[i]);
            buffer[i] = momentum * buffer[i] + d;
            p[i] = p[i] - (d + momentum * buffer[i]);
        }
    else
        for (ptrdiff_t i = 0; i < r->n; i++) {
            buffer[i] = momentum * buffer[i] + factor * (g[i] + decay * p[i]);
            p[i] = p[i] - buffer[i];
        }
}
#endif

#ifdef RULE_ROWS
static void lars_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    (void)t;
    own_decay(g, c);
}

/* Parameters that are all zero get the learning rate itself, or they would stay so. What is NaN or infinite goes into the
 * factor: an array that has lost a number is seen to be lost. */
static void lars_finish(const struct schuss_group *g, const struct rule_constants *c, const double *sums,
                        struct schuss_segment *segment) {
    const double p = sqrt(sums[0]), all = sqrt(sums[1]) + c->decay * p + c->eps;
    segment->factor = !g->adapt || p == 0 || all == 0 ? g->lr : g->lr * (g->trust_coefficient * p / all);
}

static const struct rule lars_rule = {
    .settings = SETTINGS(MOMENTUM, WEIGHT_DECAY, NUMBER("trust_coefficient", trust_coefficient, "[0, inf)"), EPS,
                         NESTEROV, ADAPT),
    .fault = nesterov_fault,
    .state_names = {"momentum_buffer"},
    .states = momentum_states,
    .constants = lars_constants,
    .n_sums = 2,
    .finish = lars_finish,
};
#endif
