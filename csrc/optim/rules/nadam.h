/* NAdam (Dozat, 2016): Adam's means m and v; p -= (a m + b g) / (sqrt(v) / sqrt(1 - beta2^t) + eps). The step sizes a
 * of the mean and b of the gradient follow from the schedule of momenta, see catalogue.c. */
static void nadam(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict m = r->s0, *restrict v = r->s1;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, of_mean = (real)c->step_size, of_gradient = (real)c->second_step;
    const real correction = (real)c->sqrt_correction, eps = (real)c->eps;
    const real fresh1 = (real)c->one_minus_beta1, beta2 = (real)c->beta2, fresh2 = (real)c->one_minus_beta2;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        m[i] = m[i] + fresh1 * (g[i] - m[i]);
        v[i] = beta2 * v[i] + fresh2 * (g[i] * g[i]);
        p[i] = keep * p[i] - (of_mean * m[i] + of_gradient * g[i]) / (SQRT(v[i]) * correction + eps);
    }
}
