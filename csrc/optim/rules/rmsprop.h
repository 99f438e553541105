/* RMSProp (Hinton, lecture 6e, 2012): s = alpha s + (1 - alpha) g^2, p -= lr g / (sqrt(s) + eps), or sqrt(s + eps).
 * Centered (Graves, 2013) subtracts the square of the mean gradient under the root. */

#ifdef RULE_LOOPS
ALWAYS_INLINE void rmsprop_of(const struct rule_arrays *r, const struct rule_constants *c, int centered, int heavy) {
    real *restrict p = r->p, *restrict square = r->s0, *restrict mean = r->s1, *restrict buffer = r->s2;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, lr = (real)c->step_size, momentum = (real)c->momentum;
    const real eps = (real)c->eps, inner = (real)c->inner_eps, velocity = (real)c->velocity;
    const real alpha = (real)c->beta2, fresh = (real)c->one_minus_beta2;
    APART
    for (ptrdiff_t i = 0; i < r->n; i++) {
        square[i] = alpha * square[i] + fresh * (g[i] * g[i]);
        real under = square[i];
        if (centered) {
            mean[i] = mean[i] + fresh * (g[i] - mean[i]);
            under = under - mean[i] * mean[i];
            under = under < 0 ? 0 : under; /* rounding can make it negative */
        }
        real step = g[i] / (SQRT(under + inner) + eps);
        if (heavy) step = buffer[i] = momentum * buffer[i] + velocity * step;
        p[i] = keep * p[i] - lr * step;
    }
}

static void rmsprop(const struct rule_arrays *r, const struct rule_constants *c) {
    if (c->centered && c->momentum != 0) rmsprop_of(r, c, 1, 1);
    else if (c->centered) rmsprop_of(r, c, 1, 0);
    else if (c->momentum != 0) rmsprop_of(r, c, 0, 1);
    else rmsprop_of(r, c, 0, 0);
}
#endif

#ifdef RULE_ROWS
static int rmsprop_states(const struct schuss_group *g) {
    return 1 | (g->centered ? 2 : 0) | (g->momentum != 0 ? 4 : 0);
}

static void rmsprop_constants(const struct schuss_group *g, const double *memory, int64_t t,
                              struct rule_constants *c) {
    (void)memory;
    (void)t;
    c->beta2 = g->alpha;
    c->one_minus_beta2 = 1 - g->alpha;
    place_eps(g, c);
    if (g->dialect == SCHUSS_KERAS && g->momentum != 0) lr_in_velocity(g, c);
}

static int rmsprop_coast(const struct rule_constants *c, struct coast *k) {
    const int closed = coast_without_l2(c, k);
    k->s_of_s = held(c->beta2, c->dtype);
    k->others[0] = 1 - held(c->one_minus_beta2, c->dtype);
    k->others[1] = held(c->momentum, c->dtype);
    k->fade = c->momentum;
    return closed && c->eps + c->inner_eps > 0 && k->fade < 1;
}

static const struct rule rmsprop_rule = {
    .settings = SETTINGS(NUMBER("alpha", alpha, "[0, 1]"), EPS, WEIGHT_DECAY, MOMENTUM, FLAG("centered", centered),
                         TORCH_OR_KERAS, ROWS),
    .state_names = {"square_avg", "grad_avg", "momentum_buffer"},
    .positive = 1,
    .states = rmsprop_states,
    .constants = rmsprop_constants,
    .zeros_stay = WITH_EPS,
    .coast = rmsprop_coast,
};
#endif
