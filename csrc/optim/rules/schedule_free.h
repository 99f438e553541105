/* Schedule-free learning (Defazio et al., NeurIPS 2024). Gradients are taken at y = (1 - beta) z + beta x, z makes the
 * steps and x is the mean of the z so far. Parameters hold y, so x need not be stored: with the newest point's weight
 * `mix` in the mean, x += mix (z - x) after z -= lr d is y += mix (z - y) - lr (1 - beta (1 - mix)) d. */
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
