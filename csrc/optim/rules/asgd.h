/* Averaged SGD (Polyak and Juditsky, 1992) as torch has it: p -= eta (g + lambd p), a += mix (p - a). */
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
