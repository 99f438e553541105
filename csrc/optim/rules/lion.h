/* Lion (Chen et al., NeurIPS 2023): p -= lr sign(beta1 m + (1 - beta1) g), then m = beta2 m + (1 - beta2) g. */

#ifdef RULE_LOOPS
static void lion(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict m = r->s0;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, lr = (real)c->step_size;
    const real beta1 = (real)c->beta1, fresh1 = (real)c->one_minus_beta1;
    const real beta2 = (real)c->beta2, fresh2 = (real)c->one_minus_beta2;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        p[i] = keep * p[i] - lr * sign_of(beta1 * m[i] + fresh1 * g[i]);
        m[i] = beta2 * m[i] + fresh2 * g[i];
    }
}
#endif

#ifdef RULE_ROWS
/* A step is as long however small m is, until m is 0: that takes as long as the largest number takes to become a
 * denormal. */
static int lion_coast(const struct rule_constants *c, struct coast *k) {
    const int closed = coast_without_l2(c, k);
    k->s_of_s = held(c->beta2, c->dtype);
    k->fade = c->beta2;
    k->nothing = c->dtype == SCHUSS_F32 ? log(FLT_MIN) - log(FLT_MAX) : log(DBL_MIN) - log(DBL_MAX);
    return closed;
}

static const struct rule lion_rule = {
    .settings = SETTINGS(BETAS, WEIGHT_DECAY, ROWS),
    .decouples = 1,
    .state_names = {"exp_avg"},
    .zeros_stay = ALWAYS,
    .coast = lion_coast,
};
#endif
