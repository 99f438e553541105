/* signSGD (Bernstein et al., ICML 2018): p -= lr sign(g). With momentum Signum: m = momentum m + (1 - momentum) g,
 * p -= lr sign(m). */

#ifdef RULE_LOOPS
static void signum(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict m = r->s0;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, lr = (real)c->step_size;
    const real momentum = (real)c->momentum, fresh = (real)c->one_minus_momentum;
    if (c->momentum != 0)
        for (ptrdiff_t i = 0; i < r->n; i++) {
            m[i] = momentum * m[i] + fresh * g[i];
            p[i] = keep * p[i] - lr * sign_of(m[i]);
        }
    else
        for (ptrdiff_t i = 0; i < r->n; i++) p[i] = keep * p[i] - lr * sign_of(g[i]);
}
#endif

#ifdef RULE_ROWS
static const struct rule signum_rule = {
    .settings = SETTINGS(NUMBER("momentum", momentum, "[0, 1)"), WEIGHT_DECAY, DECOUPLED_WEIGHT_DECAY),
    .state_names = {"momentum_buffer"},
    .states = momentum_states,
    .zeros_stay = ALWAYS,
};
#endif
