/* NovoGrad (Ginsburg et al., 2019): v = beta2 v + (1 - beta2) ||g||^2, one number an array, and with
 * factor = 1 / (sqrt(v) + eps) m = beta1 m + (factor g + decay p), p -= lr m. */
static void novograd_sums(const struct rule_arrays *r, const struct rule_constants *c, struct rule_sums *sums) {
    (void)c;
    add_products(r->n, r->g, r->g, sums->lane[0]);
}

static void novograd(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict m = r->s0;
    const real *restrict g = r->g;
    const real lr = (real)c->step_size, beta1 = (real)c->beta1, fresh = (real)c->one_minus_beta1;
    const real factor = (real)c->factor, decay = (real)c->decay;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        m[i] = beta1 * m[i] + fresh * (factor * g[i] + decay * p[i]);
        p[i] = p[i] - lr * m[i];
    }
}
