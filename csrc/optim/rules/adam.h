/* Adam (Kingma and Ba, ICLR 2015): m += (1 - beta1) (g - m), v = beta2 v + (1 - beta2) g^2,
 * p -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps). AMSGrad (Reddi, Kale, Kumar, ICLR 2018) puts the
 * largest v so far in v's place. AdamW (Loshchilov and Hutter, ICLR 2019) is this with decoupled decay. */

#ifdef RULE_LOOPS
static void adam(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict m = r->s0, *restrict v = r->s1, *restrict largest = r->s2;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, step_size = (real)c->step_size, eps = (real)c->eps;
    const real correction = (real)c->sqrt_correction;
    const real fresh1 = (real)c->one_minus_beta1, beta2 = (real)c->beta2, fresh2 = (real)c->one_minus_beta2;
    if (c->amsgrad) {
        APART
        for (ptrdiff_t i = 0; i < r->n; i++) {
            m[i] = m[i] + fresh1 * (g[i] - m[i]);
            v[i] = beta2 * v[i] + fresh2 * (g[i] * g[i]);
            largest[i] = v[i] > largest[i] ? v[i] : largest[i];
            p[i] = keep * p[i] - step_size * (m[i] / (SQRT(largest[i]) * correction + eps));
        }
    } else {
        for (ptrdiff_t i = 0; i < r->n; i++) {
            m[i] = m[i] + fresh1 * (g[i] - m[i]);
            v[i] = beta2 * v[i] + fresh2 * (g[i] * g[i]);
            p[i] = keep * p[i] - step_size * (m[i] / (SQRT(v[i]) * correction + eps));
        }
    }
}
#endif

#ifdef RULE_ROWS
/* What step_size and sqrt_correction are of Adam's means. */
static void adam_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    double power[SCHUSS_MAX_BETAS];
    optimizer_powers(g, t, power);
    c->step_size = g->lr / (1 - power[0]);
    c->sqrt_correction = 1 / sqrt(1 - power[1]);
    if (g->dialect == SCHUSS_TORCH) return;
    c->step_size *= sqrt(1 - power[1]); /* eps is added to a v that is not corrected */
    c->sqrt_correction = 1;
}

static int adam_states(const struct schuss_group *g) { return states_of(g->amsgrad ? 3 : 2); }

/* With eps of 0 what has never had a gradient becomes NaN. m / sqrt(v) fades as m does, or slower by as much as v fades. */
static int adam_coast(const struct rule_constants *c, struct coast *k) {
    const int closed = coast_without_l2(c, k);
    k->s_of_s = 1 - held(c->one_minus_beta1, c->dtype);
    k->others[0] = held(c->beta2, c->dtype);
    k->fade = c->beta1 / (c->beta2 > 0 ? sqrt(c->beta2) : 1);
    return closed && c->eps > 0 && k->fade < 1;
}

static const struct rule adam_rule = {
    .settings = SETTINGS(BETAS, EPS, WEIGHT_DECAY, FLAG("amsgrad", amsgrad), DECOUPLED_WEIGHT_DECAY,
                         FLAG("decoupled", decoupled), ANY_DIALECT, ROWS),
    .state_names = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"},
    .positive = 1 << 1 | 1 << 2,
    .states = adam_states,
    .constants = adam_constants,
    .zeros_stay = WITH_EPS,
    .coast = adam_coast,
};
#endif
