/* Every update rule once: a plain loop that reads like its formula, which the compiler vectorises. All operations are
 * single IEEE roundings (no contraction), so a NumPy expression in the same order gives the same bits, and neither
 * tails nor alignment, chunks or threads can matter. tests/reference/optim.py is that expression. */

/* p, and the states s0 to s2, of n elements; g is the gradient after the stages. Decoupled weight decay is the factor
 * `keep` on p (1 without: exact), since a pass of its own would be one more way to memory. */
struct rule_arrays {
    ptrdiff_t n;
    real *p;
    const real *g;
    real *s0, *s1, *s2;
};

/* Momentum (Polyak, 1964): b = momentum b + (1 - dampening) g, p -= lr b; Nesterov's (1983) as in Sutskever et al.,
 * ICML 2013: p -= lr (g + momentum b). The first b is g. */
ALWAYS_INLINE void sgd_momentum(const struct rule_arrays *r, const struct rule_constants *c, const int first,
                                const int nesterov) {
    real *restrict p = r->p, *restrict buffer = r->s0;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, lr = (real)c->step_size;
    const real momentum = (real)c->momentum, fresh = (real)c->one_minus_dampening;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        const real b = first ? g[i] : momentum * buffer[i] + fresh * g[i];
        buffer[i] = b;
        p[i] = keep * p[i] - lr * (nesterov ? g[i] + momentum * b : b);
    }
}

/* Gradient descent: p -= lr g, or with momentum. */
static void sgd(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, lr = (real)c->step_size;
    if (c->momentum == 0)
        for (ptrdiff_t i = 0; i < r->n; i++) p[i] = keep * p[i] - lr * g[i];
    else if (c->nesterov) c->first ? sgd_momentum(r, c, 1, 1) : sgd_momentum(r, c, 0, 1);
    else c->first ? sgd_momentum(r, c, 1, 0) : sgd_momentum(r, c, 0, 0);
}

/* AdaGrad (Duchi, Hazan, Singer, JMLR 12, 2011): s += g^2, p -= lr g / (sqrt(s) + eps). */
static void adagrad(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict sum = r->s0;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, lr = (real)c->step_size, eps = (real)c->eps;
    for (ptrdiff_t i = 0; i < r->n; i++) {
        sum[i] = sum[i] + g[i] * g[i];
        p[i] = keep * p[i] - lr * (g[i] / (SQRT(sum[i]) + eps));
    }
}

/* RMSProp (Hinton, lecture 6e, 2012): s = alpha s + (1 - alpha) g^2, p -= lr g / (sqrt(s) + eps). Centered (Graves,
 * 2013) subtracts the square of the mean gradient under the root. */
static void rmsprop(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict square = r->s0, *restrict mean = r->s1, *restrict buffer = r->s2;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, lr = (real)c->step_size, eps = (real)c->eps, momentum = (real)c->momentum;
    const real alpha = (real)c->beta2, fresh = (real)c->one_minus_beta2;
    enum { PART = 64 };
    real step[PART];
    for (ptrdiff_t i0 = 0; i0 < r->n; i0 += PART) {
        const ptrdiff_t i1 = i0 + PART < r->n ? i0 + PART : r->n;
        for (ptrdiff_t i = i0; i < i1; i++) square[i] = alpha * square[i] + fresh * (g[i] * g[i]);
        if (c->centered)
            for (ptrdiff_t i = i0; i < i1; i++) {
                mean[i] = mean[i] + fresh * (g[i] - mean[i]);
                real variance = square[i] - mean[i] * mean[i]; /* rounding can make it negative */
                step[i - i0] = g[i] / (SQRT(variance < 0 ? 0 : variance) + eps);
            }
        else
            for (ptrdiff_t i = i0; i < i1; i++) step[i - i0] = g[i] / (SQRT(square[i]) + eps);
        if (c->momentum != 0)
            for (ptrdiff_t i = i0; i < i1; i++) {
                buffer[i] = momentum * buffer[i] + step[i - i0];
                p[i] = keep * p[i] - lr * buffer[i];
            }
        else
            for (ptrdiff_t i = i0; i < i1; i++) p[i] = keep * p[i] - lr * step[i - i0];
    }
}

/* Adam (Kingma and Ba, ICLR 2015): m += (1 - beta1) (g - m), v = beta2 v + (1 - beta2) g^2,
 * p -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps). AMSGrad (Reddi, Kale, Kumar, ICLR 2018) puts the
 * largest v so far in v's place. AdamW (Loshchilov and Hutter, ICLR 2019) is this with decoupled decay. */
static void adam(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p, *restrict m = r->s0, *restrict v = r->s1, *restrict largest = r->s2;
    const real *restrict g = r->g;
    const real keep = (real)c->keep, step_size = (real)c->step_size, eps = (real)c->eps;
    const real correction = (real)c->sqrt_correction;
    const real fresh1 = (real)c->one_minus_beta1, beta2 = (real)c->beta2, fresh2 = (real)c->one_minus_beta2;
    if (c->amsgrad)
        for (ptrdiff_t i = 0; i < r->n; i++) {
            m[i] = m[i] + fresh1 * (g[i] - m[i]);
            v[i] = beta2 * v[i] + fresh2 * (g[i] * g[i]);
            largest[i] = v[i] > largest[i] ? v[i] : largest[i];
            p[i] = keep * p[i] - step_size * (m[i] / (SQRT(largest[i]) * correction + eps));
        }
    else
        for (ptrdiff_t i = 0; i < r->n; i++) {
            m[i] = m[i] + fresh1 * (g[i] - m[i]);
            v[i] = beta2 * v[i] + fresh2 * (g[i] * g[i]);
            p[i] = keep * p[i] - step_size * (m[i] / (SQRT(v[i]) * correction + eps));
        }
}

/* ---- the stages before a rule, each a loop over a chunk that is in L1 ---------------------------------------- */

/* See struct kernels. NaN and infinities have exponent bits of all ones. */
static int any_nonfinite(ptrdiff_t n, const void *array) {
    const real *x = (const real *)array;
    const real_int exponent = (real_int)((real_uint)(2 * EXPONENT_BIAS + 1) << MANTISSA_BITS);
    veci bad = v_seti(0);
    for (ptrdiff_t i = 0; i < n; i += LANES) {
        const vec v = n - i < LANES ? v_load_m(x + i, v_mask(n - i)) : v_load(x + i);
        bad |= (veci)(((veci)v & v_seti(exponent)) == v_seti(exponent));
    }
    real_int lane[LANES], any = 0;
    memcpy(lane, &bad, sizeof lane);
    for (int q = 0; q < LANES; q++) any |= lane[q];
    return any != 0;
}

static void clip(ptrdiff_t n, real limit, real *restrict g) {
    for (ptrdiff_t i = 0; i < n; i++) g[i] = g[i] > limit ? limit : g[i];
    for (ptrdiff_t i = 0; i < n; i++) g[i] = g[i] < -limit ? -limit : g[i];
}

static void scale(ptrdiff_t n, real factor, const real *from, real *to) {
    for (ptrdiff_t i = 0; i < n; i++) to[i] = from[i] * factor;
}

static void add_multiple(ptrdiff_t n, real factor, const real *restrict x, real *restrict g) {
    for (ptrdiff_t i = 0; i < n; i++) g[i] = g[i] + factor * x[i];
}

enum { CHUNK = 4096 / sizeof(real) };

/* See struct kernels. */
static void step(ptrdiff_t n, void *p, const void *g, void *const *s, const struct rule_constants *c,
                 int *nonfinite) {
    const int scales = c->grad_scale != 1, clips = c->clip_value > 0, rescales = c->scale != 1, decays = c->l2 != 0;
    for (ptrdiff_t i = 0; i < n; i += CHUNK) {
        real staged[CHUNK];
        struct rule_arrays r = {
            .n = n - i < CHUNK ? n - i : CHUNK,
            .p = (real *)p + i,
            .g = (const real *)g + i,
            .s0 = s[0] ? (real *)s[0] + i : NULL,
            .s1 = s[1] ? (real *)s[1] + i : NULL,
            .s2 = s[2] ? (real *)s[2] + i : NULL,
        };
        if (scales || clips || rescales || decays) {
            if (scales) scale(r.n, (real)c->grad_scale, r.g, staged);
            else memcpy(staged, r.g, (size_t)r.n * sizeof(real));
            if (clips) clip(r.n, (real)c->clip_value, staged);
            if (rescales) scale(r.n, (real)c->scale, staged, staged);
            if (decays) add_multiple(r.n, (real)c->l2, r.p, staged);
            r.g = staged;
        }
        switch (c->rule) {
        case SCHUSS_SGD: sgd(&r, c); break;
        case SCHUSS_ADAGRAD: adagrad(&r, c); break;
        case SCHUSS_RMSPROP: rmsprop(&r, c); break;
        default: adam(&r, c); break;
        }
        *nonfinite |= any_nonfinite(r.n, (const real *)g + i); /* last: by now it is in L1 */
    }
}

/* See struct kernels. */
static double sum_squares(ptrdiff_t n, const void *x, double factor, double limit) {
    const real *from = (const real *)x;
    double lane[VIRTUAL_LANES] = {0};
    real part[VIRTUAL_LANES * 16];
    for (ptrdiff_t i = 0; i < n; i += VIRTUAL_LANES * 16) {
        const ptrdiff_t width = n - i < VIRTUAL_LANES * 16 ? n - i : VIRTUAL_LANES * 16;
        if (width < VIRTUAL_LANES * 16) memset(part, 0, sizeof part);
        scale(width, (real)factor, from + i, part);
        if (limit > 0) clip(width, (real)limit, part);
        for (int q = 0; q < VIRTUAL_LANES * 16; q += VIRTUAL_LANES)
            for (int l = 0; l < VIRTUAL_LANES; l++) lane[l] += (double)part[q + l] * (double)part[q + l];
    }
    for (int half = VIRTUAL_LANES / 2; half; half /= 2)
        for (int l = 0; l < half; l++) lane[l] += lane[l + half];
    return lane[0];
}
