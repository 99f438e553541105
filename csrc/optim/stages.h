/* A step over one piece of an array, chunk by chunk: the stages before the rule, the rule, the stages after it, each a
 * loop of its own over data in L1. */

/* See struct kernels. Zero times NaN or an infinity is NaN, and so is a sum with it. Vectors begin where a vector of
 * memory does, since a load that crosses two lines of cache costs two. */
static int any_nonfinite(ptrdiff_t n, const void *array) {
    enum { WAYS = 4 }; /* an addition waits for the one before it in its sum */
    const real *x = (const real *)array;
    const ptrdiff_t until_whole = (ptrdiff_t)(-(uintptr_t)x % VECTOR_BYTES / sizeof(real));
    ptrdiff_t i = until_whole < n ? until_whole : n;
    const vec zero = v_set1(0);
    vec sum[WAYS] = {v_fma(v_load_m(x, v_mask(i)), zero, zero), zero, zero, zero};
    for (; i + WAYS * LANES <= n; i += WAYS * LANES)
        for (int q = 0; q < WAYS; q++) sum[q] = v_fma(v_load(x + i + q * LANES), zero, sum[q]);
    for (; i < n; i += LANES) sum[0] = v_fma(v_load_m(x + i, v_mask(n - i)), zero, sum[0]);
    const vec all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    const veci bad = (veci)(all != all);
    real_int lane[LANES], any = 0;
    memcpy(lane, &bad, sizeof lane);
    for (int q = 0; q < LANES; q++) any |= lane[q];
    return any != 0;
}

/* The stages compute to[n] from from[n], each element by itself, so `to` may be `from`. */
static void clip(ptrdiff_t n, real limit, const real *from, real *to) {
    APART
    for (ptrdiff_t i = 0; i < n; i++) to[i] = from[i] > limit ? limit : from[i];
    for (ptrdiff_t i = 0; i < n; i++) to[i] = to[i] < -limit ? -limit : to[i];
}

static void scale(ptrdiff_t n, real factor, const real *from, real *to) {
    APART
    for (ptrdiff_t i = 0; i < n; i++) to[i] = from[i] * factor;
}

static void add_multiple(ptrdiff_t n, real factor, const real *restrict x, const real *from, real *to) {
    APART
    for (ptrdiff_t i = 0; i < n; i++) to[i] = from[i] + factor * x[i];
}

/* to = from + factor sign(x). */
static void add_signs(ptrdiff_t n, real factor, const real *restrict x, const real *from, real *to) {
    APART
    for (ptrdiff_t i = 0; i < n; i++) to[i] = from[i] + (x[i] > 0 ? factor : x[i] < 0 ? -factor : 0);
}

/* a += weight (p - a), exactly p if weight is 1; then, if pull, p = a. */
static void average(ptrdiff_t n, real weight, int pull, real *restrict p, real *restrict a) {
    if (weight == 1) memcpy(a, p, (size_t)n * sizeof(real));
    else
        for (ptrdiff_t i = 0; i < n; i++) a[i] = a[i] + weight * (p[i] - a[i]);
    if (pull) memcpy(p, a, (size_t)n * sizeof(real));
}

/* Elements [i, end) of the piece, with its gradient unscaled, clipped and decayed into staged[CHUNK], if need be. */
ALWAYS_INLINE struct rule_arrays chunk_of(const struct schuss_segment *piece, ptrdiff_t i, ptrdiff_t end,
                                          const struct rule_constants *c, real *staged) {
#define STATE(k) .s##k = piece->s[k] ? (real *)piece->s[k] + i : NULL
    struct rule_arrays r = {
        .n = end - i,
        .p = (real *)piece->p + i,
        .g = (const real *)piece->g + i,
        STATE(0), STATE(1), STATE(2), STATE(3), STATE(4), STATE(5),
    };
#undef STATE
    if (c->grad_scale != 1) scale(r.n, (real)c->grad_scale, r.g, staged), r.g = staged;
    if (c->clip_value > 0) clip(r.n, (real)c->clip_value, r.g, staged), r.g = staged;
    if (c->scale != 1) scale(r.n, (real)c->scale, r.g, staged), r.g = staged;
    if (c->l2 != 0) add_multiple(r.n, (real)c->l2, r.p, r.g, staged), r.g = staged;
    if (c->l1 != 0) add_signs(r.n, (real)c->l1, r.p, r.g, staged), r.g = staged;
    return r;
}

/* Where the chunk from element i ends. */
static ptrdiff_t chunk_end(const struct schuss_segment *piece, ptrdiff_t i) {
    return piece->n - i < CHUNK ? piece->n : i + CHUNK;
}

/* The first chunk of several may be shorter: it ends where a line of the parameters does. States lie within their
 * lines as the parameters do, and gradients mostly, so from there on no vector crosses into a second line. */
static ptrdiff_t first_chunk_end(const struct schuss_segment *piece) {
    enum { LINE = 64 };
    return piece->n <= CHUNK ? piece->n : CHUNK - (ptrdiff_t)((uintptr_t)piece->p % LINE / sizeof(real));
}

/* See struct kernels. */
static void step(const struct schuss_segment *piece, const struct rule_constants *c, int *nonfinite) {
    if (piece->stored) {
        step_stored(piece, c, nonfinite);
        return;
    }
    ptrdiff_t end = first_chunk_end(piece);
    for (ptrdiff_t i = 0; i < piece->n; i = end, end = chunk_end(piece, i)) {
        real staged[CHUNK];
        real *g = (real *)piece->g + i;
        /* This comes first, since meanwhile the other arrays come from memory. */
        if (!c->seen) *nonfinite |= any_nonfinite(end - i, g);
        const struct rule_arrays r = chunk_of(piece, i, end, c, staged);
        switch (c->rule) {
#define PLAIN(NAME, function) \
    case SCHUSS_##NAME: function(&r, c); break;
#define BY_ROW(NAME, function)
            SCHUSS_RULES(PLAIN, PLAIN, PLAIN, BY_ROW)
#undef PLAIN
#undef BY_ROW
        }
        for (int k = 0; k < SCHUSS_MAX_AVERAGES; k++)
            if (c->average_weight[k] != 0)
                average(r.n, (real)c->average_weight[k], c->pull[k], r.p, (real *)piece->average[k] + i);
        if (c->zero_grad) memset(g, 0, (size_t)r.n * sizeof(real));
    }
}

/* Adds what measure() finds to the lanes of `found`; pieces before the last have multiples of 16 elements. */
static void measure_into(const struct schuss_segment *piece, const struct rule_constants *c, struct rule_sums *found,
                         int *nonfinite) {
    if (piece->stored) {
        measure_stored(piece, c, found, nonfinite);
        return;
    }
    for (ptrdiff_t i = 0; i < piece->n; i += CHUNK) {
        real staged[CHUNK];
        const struct rule_arrays r = chunk_of(piece, i, chunk_end(piece, i), c, staged);
        switch (c->rule) {
#define PLAIN(NAME, function)
#define MEASURED(NAME, function) \
    case SCHUSS_##NAME: function##_sums(&r, c, found); break;
            SCHUSS_RULES(PLAIN, MEASURED, MEASURED, PLAIN)
#undef PLAIN
#undef MEASURED
        default: (void)r; break;
        }
        real *g = (real *)piece->g + i;
        if (!c->seen) *nonfinite |= any_nonfinite(r.n, g);
        if (c->zero_grad) memset(g, 0, (size_t)r.n * sizeof(real));
    }
}

/* See struct kernels. */
static void measure(const struct schuss_segment *piece, const struct rule_constants *c, double *sums, int *nonfinite) {
    struct rule_sums found = {0};
    measure_into(piece, c, &found, nonfinite);
    for (int k = 0; k < SCHUSS_MAX_SUMS; k++) sums[k] = lanes_total(found.lane[k]);
}

/* See struct kernels. */
static double sum_squares(ptrdiff_t n, const void *x, double factor, double limit) {
    const real *from = (const real *)x;
    double lane[VIRTUAL_LANES] = {0};
    for (ptrdiff_t i = 0; i < n; i += CHUNK) {
        const ptrdiff_t width = n - i < CHUNK ? n - i : CHUNK;
        real staged[CHUNK];
        const real *g = from + i;
        if (factor != 1) scale(width, (real)factor, g, staged), g = staged;
        if (limit > 0) clip(width, (real)limit, g, staged), g = staged;
        add_products(width, g, g, lane);
    }
    return lanes_total(lane);
}

/* See struct kernels. */
static double sum_absolute(ptrdiff_t n, const void *x) {
    const real *from = (const real *)x;
    double lane[VIRTUAL_LANES] = {0};
    for (ptrdiff_t i = 0; i < n; i++) lane[i % VIRTUAL_LANES] += from[i] < 0 ? -(double)from[i] : (double)from[i];
    return lanes_total(lane);
}
