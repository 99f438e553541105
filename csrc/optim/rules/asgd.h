/* Averaged SGD (Polyak and Juditsky, 1992) as torch has it: p -= eta (g + lambd p), a += mix (p - a). */

#ifdef RULE_LOOPS
static void asgd(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict average = r->s0;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, eta = (real)c->step_size, mix = (real)c->mix;
    if (mix == 1) /* which may be for very many steps */
        for (ptrdiff_t i = 0; i < r->n; i++) average[i] = p[i] = keep * p[i] - eta * g[i];
    else
        for (ptrdiff_t i = 0; i < r->n; i++) {
            p[i] = keep * p[i] - eta * g[i];
            average[i] = average[i] + mix * (p[i] - average[i]);
        }
}
#endif

#ifdef RULE_ROWS
/* The rate of the step after so many. */
static double asgd_rate(const struct schuss_group *g, double made) {
    const double slowed = 1 + g->lambd * g->lr * made;
    return slowed < INFINITY ? g->lr / portable_power(slowed, g->alpha) : 0;
}

/* How much of the parameters after that step goes into the average. */
static double asgd_mix(const struct schuss_group *g, double made) { return 1 / fmax(1, made - g->t0); }

static void asgd_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    const double made = (double)(t - 1);
    c->step_size = asgd_rate(g, made);
    c->keep = 1 - g->lambd * c->step_size;
    c->mix = asgd_mix(g, made);
}

static void asgd_derive(const struct schuss_group *g, int64_t steps, double *out) {
    out[0] = asgd_rate(g, (double)steps);
    out[1] = asgd_mix(g, (double)steps);
}

static const struct rule asgd_rule = {
    .settings = SETTINGS(NUMBER("lambd", lambd, "[0, inf)"), NUMBER("alpha", alpha, "[0, 1]"),
                         NUMBER("t0", t0, "[0, inf)"), WEIGHT_DECAY),
    .state_names = {"ax"},
    .exact = 1,
    .derived = {"eta", "mu"},
    .derive = asgd_derive,
    .constants = asgd_constants,
    .zeros_stay = ALWAYS,
    .every_step = 1,
};
#endif
