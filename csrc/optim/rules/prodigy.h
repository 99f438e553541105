/* Prodigy (Mishchenko and Defazio, ICML 2024): Adam in gradients times d, the distance to the solution as it is known so
 * far. The first pass is what d grows by, sums of g (p0 - p) and |s| over all arrays, with s = beta3 s + weight g and p0
 * the first parameters. Then m = beta1 m + d (1 - beta1) g, v = beta2 v + d^2 (1 - beta2) g^2,
 * p -= d lr m / (sqrt(v) + eps), where eps alone has the new d. */

#ifdef RULE_LOOPS
static void prodigy_sums(const struct rule_arrays *r, const struct rule_constants *c, struct rule_sums *sums) {
    const real *restrict p = r->p, *restrict g = r->g;
    real *restrict s = r->s2, *restrict p0 = r->s3;
    const real beta3 = (real)c->beta3, weight = (real)c->second_step;
    real way[CHUNK], size[CHUNK];
    if (c->first) memcpy(p0, p, (size_t)r->n * sizeof(real));
    for (ptrdiff_t i = 0; i < r->n; i++) {
        s[i] = beta3 * s[i] + weight * g[i];
        size[i] = s[i] < 0 ? -s[i] : s[i];
        way[i] = p0[i] - p[i];
    }
    add_two_products(r->n, g, way, size, NULL, sums);
}

static void prodigy(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict m = r->s0, *restrict v = r->s1;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, step_size = (real)c->step_size, eps = (real)c->eps;
    const real beta1 = (real)c->beta1, fresh1 = (real)c->one_minus_beta1;
    const real beta2 = (real)c->beta2, fresh2 = (real)c->one_minus_beta2;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        m[i] = beta1 * m[i] + fresh1 * g[i];
        v[i] = beta2 * v[i] + fresh2 * (g[i] * g[i]);
        p[i] = keep * p[i] - step_size * (m[i] / (SQRT(v[i]) + eps));
    }
}
#endif

#ifdef RULE_ROWS
enum { D, D_MAX, D_NUMERATOR, D_USED }; /* what each clock remembers, all the same but what they used last */

static void prodigy_begin(const struct schuss_group *g, double *memory) { memory[D] = memory[D_MAX] = g->d0; }

static void prodigy_advance(const struct schuss_group *g, double *memory, int64_t t) {
    (void)t;
    if (!(memory[D] > 0)) prodigy_begin(g, memory);
    memory[D_USED] = memory[D];
}

static double prodigy_beta3(const struct schuss_group *g) { return g->beta3 > 0 ? g->beta3 : sqrt(g->beta2); }

static double prodigy_rate(const struct schuss_group *g, const double *memory, int64_t t) {
    double power[SCHUSS_MAX_BETAS];
    optimizer_powers(g, t, power);
    return memory[D_USED] * g->lr * (g->bias_correction ? sqrt(1 - power[1]) / (1 - power[0]) : 1);
}

static void prodigy_constants(const struct schuss_group *g, const double *memory, int64_t t,
                              struct rule_constants *c) {
    const double d = memory[D_USED], rate = prodigy_rate(g, memory, t);
    c->step_size = rate;
    c->second_step = d / g->d0 * (g->safeguard_warmup ? d : rate);
    c->one_minus_beta1 *= d;
    c->one_minus_beta2 *= d * d;
    c->beta3 = prodigy_beta3(g);
    c->eps = memory[D] * g->eps;
    if (g->decoupled) c->keep = 1 - rate * g->weight_decay;
}

/* How far d_coef, growth_rate and beta3 of the first group let d grow; without a gradient so far, not at all. */
static void prodigy_finish(const struct schuss_step *step, const double (*sums)[SCHUSS_MAX_SUMS]) {
    const struct schuss_group *first = NULL;
    double d = 0, d_max = 0, numerator = 0, denominator = 0;
    for (int i = 0; i < clocks_of(step); i++) {
        const struct schuss_group *g = &step->groups[clock_group(step, i)];
        const double *memory = step->memories[i].now;
        if (g->rule != SCHUSS_PRODIGY) continue;
        if (!first) {
            first = g;
            d = memory[D];
            d_max = memory[D_MAX];
            numerator = prodigy_beta3(g) * memory[D_NUMERATOR];
        }
        numerator += d / g->d0 * prodigy_rate(g, memory, clock_time(step, i, step->t)) * sums[i][0];
        denominator += sums[i][1];
    }
    if (!first || denominator == 0) return;
    const double found = first->d_coef * numerator / denominator;
    if (d == first->d0 && found > d) d = found;
    if (found > d_max) d_max = found;
    d *= first->growth_rate;
    if (d > d_max) d = d_max;
    for (int i = 0; i < clocks_of(step); i++) {
        double *memory = step->memories[i].now;
        if (step->groups[clock_group(step, i)].rule != SCHUSS_PRODIGY) continue;
        memory[D] = d;
        memory[D_MAX] = d_max;
        memory[D_NUMERATOR] = numerator;
    }
}

/* Without beta3 it is the root of beta2. */
static const struct rule prodigy_rule = {
    .settings = SETTINGS(BETAS, NUMBER_OR_NONE("beta3", beta3, "(0, 1)", 0), EPS, WEIGHT_DECAY,
                         FLAG("decouple", decoupled), FLAG("use_bias_correction", bias_correction),
                         FLAG("safeguard_warmup", safeguard_warmup), NUMBER("d0", d0, "(0, inf)"),
                         NUMBER("d_coef", d_coef, "(0, inf)"), NUMBER("growth_rate", growth_rate, "[1, inf]")),
    .state_names = {"exp_avg", "exp_avg_sq", "s", "p0"},
    .positive = 1 << 1,
    .exact = 1 << 3,
    .memory = {"d", "d_max", "d_numerator"},
    .begin = prodigy_begin,
    .advance = prodigy_advance,
    .constants = prodigy_constants,
    .n_sums = 2,
    .sums_write = 1 << 2 | 1 << 3,
    .finish_all = prodigy_finish,
};
#endif
