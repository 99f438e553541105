/* Schedule-free learning (Defazio et al., NeurIPS 2024). Gradients are taken at y = (1 - beta) z + beta x, z makes the
 * steps and x is the mean of the z so far. Parameters hold y, so x need not be stored: with the newest point's weight
 * `mix` in the mean, x += mix (z - x) after z -= lr d is y += mix (z - y) - lr (1 - beta (1 - mix)) d. */

#ifdef RULE_LOOPS
ALWAYS_INLINE void schedule_free_step(real *y, real *z, real d, const struct rule_constants *c, const int first) {
    const real mix = (real)c->mix, lr = (real)c->step_size, y_step = (real)c->y_step;
    const real from = first ? *y : *z; /* all three begin at one point */
    *y = *y + mix * (from - *y) - y_step * d;
    *z = from - lr * d;
}

ALWAYS_INLINE void schedule_free_descent(const struct rule_arrays *r, const struct rule_constants *c, const int first) {
    real *restrict y = r->p, *restrict z = r->s0;
    const real *restrict g = r->g;
    for (ptrdiff_t i = 0; i < r->n; i++) schedule_free_step(&y[i], &z[i], g[i], c, first);
}

/* d is the gradient. */
static void schedule_free_sgd(const struct rule_arrays *r, const struct rule_constants *c) {
    c->first ? schedule_free_descent(r, c, 1) : schedule_free_descent(r, c, 0);
}

ALWAYS_INLINE void schedule_free_adam(const struct rule_arrays *r, const struct rule_constants *c, const int first) {
    real *restrict y = r->p, *restrict z = r->s0, *restrict v = r->s1;
    const real *restrict g = r->g;
    const real beta2 = (real)c->beta2, fresh2 = (real)c->one_minus_beta2, correction = (real)c->sqrt_correction;
    const real eps = (real)c->eps, decay = (real)c->decay;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        v[i] = beta2 * v[i] + fresh2 * (g[i] * g[i]);
        const real d = g[i] / (SQRT(v[i]) * correction + eps) + decay * y[i];
        schedule_free_step(&y[i], &z[i], d, c, first);
    }
}

/* v = beta2 v + (1 - beta2) g^2, d = g / (sqrt(v) / sqrt(1 - beta2^t) + eps) + weight_decay y. */
static void schedule_free_adamw(const struct rule_arrays *r, const struct rule_constants *c) {
    c->first ? schedule_free_adam(r, c, 1) : schedule_free_adam(r, c, 0);
}

/* See struct kernels. */
static void move_towards(ptrdiff_t n, double weight, const void *target, void *array) {
    const real *restrict to = (const real *)target;
    real *restrict p = (real *)array;
    const real w = (real)weight;
    for (ptrdiff_t i = 0; i < n; i++) p[i] = p[i] + w * (to[i] - p[i]);
}
#endif

#ifdef RULE_ROWS
static double warmed_up_lr(const struct schuss_group *g, int64_t t) {
    return (double)t < g->warmup_steps ? g->lr * ((double)t / g->warmup_steps) : g->lr;
}

/* Memory: the largest lr so far, the sum of all weights, and the newest point's share of it. A point's weight is
 * t^weight_power lr_max^weight_lr_power. */
static void schedule_free_advance(const struct schuss_group *g, double *memory, int64_t t) {
    memory[0] = fmax(warmed_up_lr(g, t), memory[0]);
    const double weight = portable_power((double)t, g->weight_power) * portable_power(memory[0], g->weight_lr_power);
    memory[1] += weight;
    memory[2] = weight < memory[1] ? weight / memory[1] : memory[1] > 0;
}

static void schedule_free_constants(double beta, const struct schuss_group *g, const double *memory, int64_t t,
                                    struct rule_constants *c) {
    c->mix = memory[2];
    c->step_size = warmed_up_lr(g, t);
    c->y_step = c->step_size * (1 - beta * (1 - c->mix));
}

static void schedule_free_sgd_constants(const struct schuss_group *g, const double *memory, int64_t t,
                                        struct rule_constants *c) {
    schedule_free_constants(g->momentum, g, memory, t, c);
}

static void schedule_free_adamw_constants(const struct schuss_group *g, const double *memory, int64_t t,
                                          struct rule_constants *c) {
    double power[SCHUSS_MAX_BETAS];
    optimizer_powers(g, t, power);
    schedule_free_constants(g->beta1, g, memory, t, c);
    c->sqrt_correction = 1 / sqrt(1 - power[1]);
    own_decay(g, c); /* beside the scaled gradient */
}

#define WARMUP_AND_WEIGHTS \
    WHOLE("warmup_steps", warmup_steps, "[0, inf)"), NUMBER("r", weight_power, "[0, 100]"), \
        NUMBER("weight_lr_power", weight_lr_power, "[0, 100]")

static const struct rule schedule_free_sgd_rule = {
    .settings = SETTINGS(NUMBER("momentum", momentum, "(0, 1)"), WEIGHT_DECAY, WARMUP_AND_WEIGHTS),
    .state_names = {"z"},
    .exact = 1,
    .memory = {"lr_max", "weight_sum"},
    .advance = schedule_free_advance,
    .constants = schedule_free_sgd_constants,
    .zeros_stay = ALWAYS,
    .every_step = 1,
};

static const struct rule schedule_free_adamw_rule = {
    .settings = SETTINGS(PAIR("betas", beta1, "(0, 1)", beta2, "[0, 1)"), EPS, WEIGHT_DECAY, WARMUP_AND_WEIGHTS),
    .state_names = {"z", "exp_avg_sq"},
    .positive = 1 << 1,
    .exact = 1,
    .memory = {"lr_max", "weight_sum"},
    .advance = schedule_free_advance,
    .constants = schedule_free_adamw_constants,
    .zeros_stay = WITH_EPS,
    .every_step = 1,
};
#undef WARMUP_AND_WEIGHTS
#endif
