/* Momentum (Polyak, 1964): b = momentum b + (1 - dampening) g, p -= lr b; Nesterov's (1983) as in Sutskever et al.,
 * ICML 2013: p -= lr (g + momentum b). The first b is g. Where b holds lr g in g's place, so does the update. */

#ifdef RULE_LOOPS
ALWAYS_INLINE void sgd_momentum(const struct rule_arrays *r, const struct rule_constants *c, const int first,
                                const int nesterov) {
    real *restrict p = r->p, *restrict buffer = r->s0;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, lr = (real)c->step_size;
    const real momentum = (real)c->momentum, fresh = (real)c->one_minus_dampening, ahead = (real)c->velocity;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        const real b = first ? g[i] : momentum * buffer[i] + fresh * g[i];
        buffer[i] = b;
        p[i] = keep * p[i] - lr * (nesterov ? ahead * g[i] + momentum * b : b);
    }
}

/* Gradient descent: p -= lr g, or with momentum. */
static void sgd(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, lr = (real)c->step_size;
    if (c->momentum == 0)
        for (ptrdiff_t i = 0; i < r->n; i++) p[i] = keep * p[i] - lr * g[i];
    else if (c->nesterov) c->first ? sgd_momentum(r, c, 1, 1) : sgd_momentum(r, c, 0, 1);
    else c->first ? sgd_momentum(r, c, 1, 0) : sgd_momentum(r, c, 0, 0);
}
#endif

#ifdef RULE_ROWS
static int momentum_states(const struct schuss_group *g) { return states_of(g->momentum != 0); }

static const char *nesterov_fault(const struct schuss_group *g, const char **expected) {
    *expected = "False unless momentum > 0 and dampening is 0";
    return g->nesterov && !(g->momentum > 0 && g->dampening == 0) ? "nesterov" : NULL;
}

/* The velocity holds updates rather than gradients: the learning rate of each gradient stays its own. */
static void lr_in_velocity(const struct schuss_group *g, struct rule_constants *c) {
    c->velocity = g->lr;
    c->step_size = 1;
}

static void sgd_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    (void)t;
    if (g->dialect == SCHUSS_TORCH || g->momentum == 0) return;
    lr_in_velocity(g, c);
    c->one_minus_dampening *= g->lr;
    c->first = 0;
}

/* With l2 the gradient is l2 p. */
static int sgd_coast(const struct rule_constants *c, struct coast *k) {
    const double lr = held(c->step_size, c->dtype), l2 = held(c->l2, c->dtype), momentum = held(c->momentum, c->dtype);
    coast_without_l2(c, k);
    if (c->momentum == 0) k->p_of_p -= lr * l2;
    else {
        k->s_of_p = c->first ? l2 : held(c->one_minus_dampening, c->dtype) * l2;
        k->s_of_s = c->first ? 0 : momentum;
        k->p_of_p -= lr * (c->nesterov ? held(c->velocity, c->dtype) * l2 + momentum * k->s_of_p : k->s_of_p);
        k->p_of_s = -lr * (c->nesterov ? momentum * k->s_of_s : k->s_of_s);
    }
    return c->l1 == 0;
}

static const struct rule sgd_rule = {
    .settings = SETTINGS(MOMENTUM, NUMBER("dampening", dampening, "(-inf, inf)"), WEIGHT_DECAY, NESTEROV, ANY_DIALECT, ROWS),
    .fault = nesterov_fault,
    .state_names = {"momentum_buffer"},
    .states = momentum_states,
    .first_fills_states = 1,
    .constants = sgd_constants,
    .zeros_stay = ALWAYS,
    .coast = sgd_coast,
};
#endif
