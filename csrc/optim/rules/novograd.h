/* NovoGrad (Ginsburg et al., 2019): v = beta2 v + (1 - beta2) ||g||^2, one number an array, and with
 * factor = 1 / (sqrt(v) + eps) m = beta1 m + (factor g + decay p), p -= lr m. */

#ifdef RULE_LOOPS
static void novograd_sums(const struct rule_arrays *r, const struct rule_constants *c, struct rule_sums *sums) {
    (void)c;
    add_products(r->n, r->g, r->g, sums->lane[0]);
}

static void novograd(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict m = r->s0;
    const real *restrict g = r->g;
    const real lr = (real)c->step_size, beta1 = (real)c->beta1, fresh = (real)c->one_minus_beta1;
    const real factor = (real)c->factor, decay = (real)c->decay;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        m[i] = beta1 * m[i] + fresh * (factor * g[i] + decay * p[i]);
        p[i] = p[i] - lr * m[i];
    }
}
#endif

#ifdef RULE_ROWS
static void novograd_constants(const struct schuss_group *g, const double *memory, int64_t t,
                               struct rule_constants *c) {
    (void)memory;
    (void)t;
    if (!g->grad_averaging) c->one_minus_beta1 = 1;
    own_decay(g, c);
}

/* The state of one element, rounded before it is used: a step does not depend on whether it was saved in between. Zero
 * is what it holds while no gradient has come. */
static void novograd_finish(const struct schuss_group *g, const struct rule_constants *c, const double *sums,
                            struct schuss_segment *segment) {
    float *narrow = segment->s[1];
    double *wide = segment->s[1];
    const double old = c->dtype == SCHUSS_F32 ? (double)*narrow : *wide;
    double v = old == 0 ? sums[0] : c->beta2 * old + c->one_minus_beta2 * sums[0];
    if (c->dtype == SCHUSS_F32) v = (double)(*narrow = (float)v);
    else *wide = v;
    segment->factor = 1 / (sqrt(v) + g->eps);
}

/* exp_avg_sq is one number. */
static int novograd_shape(const struct schuss_group *g, const struct schuss_segment *s, int slot, ptrdiff_t *shape) {
    return slot == 1 ? 0 : shape_of_array(g, s, slot, shape);
}

static const struct rule novograd_rule = {
    .settings = SETTINGS(BETAS, EPS, WEIGHT_DECAY, FLAG("grad_averaging", grad_averaging)),
    .state_names = {"exp_avg", "exp_avg_sq"},
    .exact = 1 << 1,
    .shape = novograd_shape,
    .constants = novograd_constants,
    .n_sums = 1,
    .finish = novograd_finish,
};
#endif
