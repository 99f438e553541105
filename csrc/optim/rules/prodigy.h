/* Prodigy (Mishchenko and Defazio, ICML 2024): Adam in gradients times d, the distance to the solution as it is known so
 * far. The first pass is what d grows by, sums of g (p0 - p) and |s| over all arrays, with s = beta3 s + weight g and p0
 * the first parameters. Then m = beta1 m + d (1 - beta1) g, v = beta2 v + d^2 (1 - beta2) g^2,
 * p -= d lr m / (sqrt(v) + eps), where eps alone has the new d. */
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
