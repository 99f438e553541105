/* Rprop (Riedmiller and Braun, 1993), without going back: where g has the sign it had before, the parameter's step size
 * grows; where it has the other, it shrinks and the parameter stays for once. p -= size sign(g). */
static void rprop(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict before = r->s0, *restrict size = r->s1;
    const real *restrict g = r->g;
    const real shrink = (real)c->eta_minus, grow = (real)c->eta_plus;
    const real smallest = (real)c->smallest_step, largest = (real)c->largest_step;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        const real sign = sign_of(g[i]), agree = sign * before[i]; /* the gradients' product could underflow */
        const real sized = size[i] * (agree > 0 ? grow : agree < 0 ? shrink : 1);
        const real least = sized < smallest ? smallest : sized;
        size[i] = least > largest ? largest : least;
        before[i] = agree < 0 ? 0 : g[i];
        p[i] = p[i] - (agree < 0 ? 0 : sign) * size[i];
    }
}
