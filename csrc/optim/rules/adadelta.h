/* AdaDelta (Zeiler, 2012): s = rho s + (1 - rho) g^2, d = sqrt((a + eps) / (s + eps)) g, a = rho a + (1 - rho) d^2,
 * p -= lr d. */
static void adadelta(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict square = r->s0, *restrict delta = r->s1;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, lr = (real)c->step_size, eps = (real)c->eps;
    const real rho = (real)c->beta2, fresh = (real)c->one_minus_beta2;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        square[i] = rho * square[i] + fresh * (g[i] * g[i]);
        const real d = SQRT((delta[i] + eps) / (square[i] + eps)) * g[i];
        delta[i] = rho * delta[i] + fresh * (d * d);
        p[i] = keep * p[i] - lr * d;
    }
}
