/* AdaGrad (Duchi, Hazan, Singer, JMLR 12, 2011): s += g^2, p -= lr g / (sqrt(s) + eps), or sqrt(s + eps). */
static void adagrad(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict sum = r->s0;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, lr = (real)c->step_size;
    const real eps = (real)c->eps, inner = (real)c->inner_eps;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        sum[i] = sum[i] + g[i] * g[i];
        p[i] = keep * p[i] - lr * (g[i] / (SQRT(sum[i] + inner) + eps));
    }
}
