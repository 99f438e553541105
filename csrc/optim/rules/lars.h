/* LARS (You, Gitman, Ginsburg, 2017): d = factor (g + decay p) with factor = lr ||p|| trust / (||g|| + decay ||p||),
 * b = momentum b + d, p -= b; Nesterov's momentum: p -= d + momentum b. */
static void lars_sums(const struct rule_arrays *r, const struct rule_constants *c, struct rule_sums *sums) {
    (void)c;
    add_two_products(r->n, r->p, r->p, r->g, r->g, sums);
}

static void lars(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict buffer = r->s0;
    const real *restrict g = r->g;
    const real factor = (real)c->factor, decay = (real)c->decay, momentum = (real)c->momentum;
    if (c->momentum == 0)
        for (ptrdiff_t i = 0; i < r->n; i++) p[i] = p[i] - factor * (g[i] + decay * p[i]);
    else if (c->nesterov)
        for (ptrdiff_t i = 0; i < r->n; i++) {
            const real d = factor * (g[i] + decay * p[i]);
            buffer[i] = momentum * buffer[i] + d;
            p[i] = p[i] - (d + momentum * buffer[i]);
        }
    else
        for (ptrdiff_t i = 0; i < r->n; i++) {
            buffer[i] = momentum * buffer[i] + factor * (g[i] + decay * p[i]);
            p[i] = p[i] - buffer[i];
        }
}
