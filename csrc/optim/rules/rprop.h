/* Rprop (Riedmiller and Braun, 1993), without going back: where g has the sign it had before, the parameter's step size
 * grows; where it has the other, it shrinks and the parameter stays for once. p -= size sign(g). */

#ifdef RULE_LOOPS
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
#endif

#ifdef RULE_ROWS
static void rprop_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    (void)t;
    c->eta_minus = g->eta_minus;
    c->eta_plus = g->eta_plus;
    c->smallest_step = g->smallest_step;
    c->largest_step = g->largest_step;
}

static double rprop_start(const struct schuss_group *g, int slot) { return slot == 1 ? g->lr : 0; }

static const char *rprop_fault(const struct schuss_group *g, const char **expected) {
    *expected = "a smallest and a largest";
    return g->smallest_step > g->largest_step ? "step_sizes" : NULL;
}

static const struct rule rprop_rule = {
    .settings = SETTINGS(PAIR("etas", eta_minus, "(0, 1)", eta_plus, "(1, inf)"),
                         PAIR("step_sizes", smallest_step, "[0, inf)", largest_step, "[0, inf)")),
    .fault = rprop_fault,
    .state_names = {"prev", "step_size"},
    .exact = 1 << 1,
    .start = rprop_start,
    .start_setting = "lr",
    .constants = rprop_constants,
};
#endif
