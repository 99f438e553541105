/* FTRL-Proximal (McMahan et al., KDD 2013), as in TensorFlow: s = n^-lr_power of the old n and S of n += g^2,
 * z += g + shrink p - (S - s) / lr p, p = (z limited to +-l1 - z) / (S / lr + offset), which is 0 where |z| <= l1. A
 * step with a learning rate of 0 is none. */

#ifdef RULE_LOOPS
ALWAYS_INLINE double from_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* x^y for x >= 0 and 0 < y <= 1, x = 0 being 0: as in power.h, but in operations that vectorise. */
ALWAYS_INLINE real real_power(real x, double y) {
    const double shift = 0x1.8p52; /* added to a small number: its nearest whole one is in the last bits */
    const double wide = x;
    uint64_t bits;
    memcpy(&bits, &wide, sizeof bits);
    /* x = 2^e m, m from the root of 1/2 to that of 2 */
    const uint64_t e = (bits - 0x3FE6A09E667F3BCD + ((uint64_t)1024 << 52)) >> 52;
    const double m = from_bits(bits - ((e - 1024) << 52));
    const double exponent = from_bits(e | 0x4330000000000000) - (0x1p52 + 1024);
    const double z = (m - 1) / (m + 1), square = z * z;
    double sum = 0;
    for (int k = 23; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
    const double power = y * (exponent * 0.69314718055994531 + 2 * z * sum);
    /* e^power = 2^n e^r */
    const double shifted = power * 1.4426950408889634 + shift, n = shifted - shift;
    const double r = (power - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
    sum = 1;
    for (int k = 14; k >= 1; k--) sum = 1 + sum * r * (1.0 / k);
    uint64_t last, result;
    memcpy(&last, &shifted, sizeof last);
    memcpy(&result, &sum, sizeof result);
    return (real)from_bits((result + (last << 52)) & -(uint64_t)(wide > 0));
}

/* How S is had from n. */
enum ftrl_kind { FTRL_ONE, FTRL_ROOT, FTRL_POWER };

ALWAYS_INLINE real ftrl_power(real x, double exponent, const enum ftrl_kind kind) {
    return kind == FTRL_ROOT ? SQRT(x) : kind == FTRL_ONE ? 1 : real_power(x, exponent);
}

ALWAYS_INLINE void ftrl_step(const struct rule_arrays *r, const struct rule_constants *c, const enum ftrl_kind kind) {
    real *restrict p = r->p, *restrict n = r->s0, *restrict z = r->s1;
    const real *restrict g = r->g;
    const real inverse = (real)(1 / c->step_size), l1 = (real)c->limit;
    const real shrink = (real)c->shrink, offset = (real)c->offset;
    const double exponent = c->exponent;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        const real before = ftrl_power(n[i], exponent, kind);
        n[i] = n[i] + g[i] * g[i];
        const real now = ftrl_power(n[i], exponent, kind);
        z[i] = z[i] + ((g[i] + shrink * p[i]) - (now - before) * inverse * p[i]);
        const real above = z[i] > l1 ? l1 : z[i], inside = above < -l1 ? -l1 : above, below = now * inverse + offset;
        p[i] = below == 0 ? 0 : (inside - z[i]) / below; /* 0: no gradient so far */
    }
}

static void ftrl(const struct rule_arrays *r, const struct rule_constants *c) {
    if (c->step_size == 0) return;
    if (c->exponent == 0.5) ftrl_step(r, c, FTRL_ROOT);
    else c->exponent == 0 ? ftrl_step(r, c, FTRL_ONE) : ftrl_step(r, c, FTRL_POWER);
}
#endif

#ifdef RULE_ROWS
static void ftrl_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    (void)t;
    c->exponent = -g->lr_power;
    c->limit = g->l1;
    c->shrink = 2 * g->l2_shrinkage;
    c->offset = 2 * g->l2 + g->beta / g->lr;
}

static double ftrl_start(const struct schuss_group *g, int slot) {
    return slot == 0 ? g->initial_accumulator_value : 0;
}

/* Without a gradient n and z stay, and p follows from them and the learning rate. */
static int ftrl_coast(const struct rule_constants *c, struct coast *k) {
    k->latest = coast_without_l2(c, k);
    return k->latest && c->shrink == 0;
}

static const struct rule ftrl_rule = {
    .settings = SETTINGS(NUMBER("lr_power", lr_power, "[-1, 0]"), INITIAL_ACCUMULATOR_VALUE,
                         NUMBER("l1", l1, "[0, inf)"), NUMBER("l2", l2, "[0, inf)"),
                         NUMBER("l2_shrinkage", l2_shrinkage, "[0, inf)"), NUMBER("beta", beta, "[0, inf)"), ROWS),
    .state_names = {"accumulator", "linear"},
    .positive = 1,
    .exact = 1 << 1,
    .start = ftrl_start,
    .start_setting = "initial_accumulator_value",
    .constants = ftrl_constants,
    .zeros_stay = WITH_EPS,
    .coast = ftrl_coast,
};
#endif
