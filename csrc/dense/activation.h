/* Every activation once: its value, and its derivative from what the forward pass keeps: the value y where that is
 * enough, else (gelu, silu, mish, hard_swish) the pre-activation z.
 *
 * identity y = z                     relu y = max(z, 0)          leaky_relu y = z < 0 ? alpha z : z
 * elu y = z < 0 ? alpha (e^z - 1) : z    sigmoid y = 1 / (1 + e^-z)    tanh    softplus y = log(1 + e^z)    exp
 * gelu y = z Phi(z), Phi the normal distribution (Hendrycks and Gimpel, 2016)    silu y = z sigmoid(z)
 * selu y = scale (z < 0 ? alpha (e^z - 1) : z), with constants for scale and alpha (Klambauer et al., 2017)
 * mish y = z tanh(log(1 + e^z)) (Misra, 2019)
 * hard_swish y = z g / 6, g = z + 3 limited to [0, 6] (Howard et al., 2019) */

static const real SELU_SCALE = (real)1.0507009873554804934193349852946;
static const real SELU_SCALE_ALPHA = (real)1.7580993408473768599402175208123; /* times 1.67326324235437728... */

ALWAYS_INLINE vec identity_value(vec z, vec alpha) { return (void)alpha, z; }
ALWAYS_INLINE vec relu_value(vec z, vec alpha) { return (void)alpha, v_select(z < v_set1(0), v_set1(0), z); }
ALWAYS_INLINE vec leaky_relu_value(vec z, vec alpha) { return v_select(z < v_set1(0), alpha * z, z); }
ALWAYS_INLINE vec elu_value(vec z, vec alpha) { return v_select(z < v_set1(0), alpha * v_expm1(z), z); }
ALWAYS_INLINE vec selu_value(vec z, vec alpha) {
    (void)alpha;
    return v_select(z < v_set1(0), v_set1(SELU_SCALE_ALPHA) * v_expm1(z), v_set1(SELU_SCALE) * z);
}
ALWAYS_INLINE vec sigmoid(vec z) {
    vec e = v_exp(-v_abs(z));
    return v_select(z < v_set1(0), e, v_set1(1)) / (v_set1(1) + e);
}
ALWAYS_INLINE vec sigmoid_value(vec z, vec alpha) { return (void)alpha, sigmoid(z); }
ALWAYS_INLINE vec tanh_value(vec z, vec alpha) { return (void)alpha, v_tanh(z); }
ALWAYS_INLINE vec normal_cdf(vec z) { return v_set1((real)0.5) * v_erfc(z * v_set1(-SQRT_HALF)); }
ALWAYS_INLINE vec gelu_value(vec z, vec alpha) { return (void)alpha, z * normal_cdf(z); }
ALWAYS_INLINE vec silu_value(vec z, vec alpha) { return (void)alpha, z * sigmoid(z); }
/* tanh(log(1 + e^z)) is n / d. With e = e^-|z| nothing overflows, and a small n keeps its digits:
 * z < 0: n = e^2 + 2 e, d = n + 2; else, both divided by e^2z, n = 1 + 2 e, d = n + 2 e^2. Returns n. */
ALWAYS_INLINE vec mish_fraction(vec z, vec e, vec *d) {
    vec n = v_select(z < v_set1(0), e * (e + v_set1(2)), v_set1(1) + v_set1(2) * e);
    *d = n + v_set1(2) * v_select(z < v_set1(0), v_set1(1), e * e);
    return n;
}
ALWAYS_INLINE vec mish_value(vec z, vec alpha) {
    (void)alpha;
    vec d, n = mish_fraction(z, v_exp(-v_abs(z)), &d);
    return z * (n / d);
}
/* g / 6 first: then a large z stays itself, and does not overflow. */
ALWAYS_INLINE vec hard_swish_value(vec z, vec alpha) {
    (void)alpha;
    vec gate = v_min(v_set1(6), v_max(v_set1(0), z + v_set1(3))); /* in this order NaN stays */
    return z * (gate / v_set1(6));
}
ALWAYS_INLINE vec softplus(vec z) {
    vec positive = v_select(z < v_set1(0), v_set1(0), z);
    return positive + v_log1p(v_exp(-v_abs(z)));
}
ALWAYS_INLINE vec softplus_value(vec z, vec alpha) { return (void)alpha, softplus(z); }
ALWAYS_INLINE vec exp_value(vec z, vec alpha) { return (void)alpha, v_exp(z); }

/* The derivatives: from y, or from z for gelu, silu, mish and hard_swish. alpha >= 0, so y and z have the same sign. */
ALWAYS_INLINE vec relu_slope(vec y, vec alpha) { return (void)alpha, v_select(y > v_set1(0), v_set1(1), v_set1(0)); }
/* Of relu and dropout behind it, from what they give: `kept` is the factor of what stays. */
ALWAYS_INLINE vec dropped_relu_slope(vec y, vec kept) { return v_select(y > v_set1(0), kept, v_set1(0)); }
ALWAYS_INLINE vec leaky_relu_slope(vec y, vec alpha) { return v_select(y > v_set1(0), v_set1(1), alpha); }
ALWAYS_INLINE vec elu_slope(vec y, vec alpha) { return v_select(y > v_set1(0), v_set1(1), y + alpha); }
ALWAYS_INLINE vec selu_slope(vec y, vec alpha) {
    return (void)alpha, v_select(y > v_set1(0), v_set1(SELU_SCALE), y + v_set1(SELU_SCALE_ALPHA));
}
ALWAYS_INLINE vec sigmoid_slope(vec y, vec alpha) { return (void)alpha, y * (v_set1(1) - y); }
ALWAYS_INLINE vec tanh_slope(vec y, vec alpha) { return (void)alpha, v_set1(1) - y * y; }
ALWAYS_INLINE vec gelu_slope(vec z, vec alpha) {
    (void)alpha;
    vec density = v_set1((real)0.39894228040143267794) * v_exp(z * z * v_set1((real)-0.5));
    return normal_cdf(z) + z * density;
}
ALWAYS_INLINE vec silu_slope(vec z, vec alpha) {
    (void)alpha;
    vec s = sigmoid(z);
    return s * (v_set1(1) + z * (v_set1(1) - s));
}
/* n / d + z (1 - (n / d)^2) sigmoid(z): over d^2, the second term is z times 4 e (1 + e), for z >= 0 4 e^2 (1 + e). */
ALWAYS_INLINE vec mish_slope(vec z, vec alpha) {
    (void)alpha;
    vec e = v_exp(-v_abs(z)), d, n = mish_fraction(z, e, &d);
    vec rise = v_set1(4) * v_select(z < v_set1(0), e, e * e) * (v_set1(1) + e);
    return (n * d + z * rise) / (d * d);
}
/* At -3 and 3, the slope of the straight sides. */
ALWAYS_INLINE vec hard_swish_slope(vec z, vec alpha) {
    (void)alpha;
    vec inside = (z + v_set1((real)1.5)) / v_set1(3);
    return v_select(z >= v_set1(3), v_set1(1), v_select(z <= v_set1(-3), v_set1(0), inside));
}
ALWAYS_INLINE vec softplus_slope(vec y, vec alpha) { return (void)alpha, -v_expm1(-y); }
ALWAYS_INLINE vec exp_slope(vec y, vec alpha) { return (void)alpha, y; }

/* See struct kernels. */
static void activate(int activation, double alpha, ptrdiff_t n, const void *x, void *y) {
    vec a = v_set1((real)alpha);
    switch (activation) {
    case SCHUSS_RELU: map(relu_value, a, n, x, y); break;
    case SCHUSS_LEAKY_RELU: map(leaky_relu_value, a, n, x, y); break;
    case SCHUSS_ELU: map(elu_value, a, n, x, y); break;
    case SCHUSS_SELU: map(selu_value, a, n, x, y); break;
    case SCHUSS_SIGMOID: map(sigmoid_value, a, n, x, y); break;
    case SCHUSS_TANH: map(tanh_value, a, n, x, y); break;
    case SCHUSS_GELU: map(gelu_value, a, n, x, y); break;
    case SCHUSS_SILU: map(silu_value, a, n, x, y); break;
    case SCHUSS_MISH: map(mish_value, a, n, x, y); break;
    case SCHUSS_HARD_SWISH: map(hard_swish_value, a, n, x, y); break;
    case SCHUSS_SOFTPLUS: map(softplus_value, a, n, x, y); break;
    case SCHUSS_EXP: map(exp_value, a, n, x, y); break;
    default:
        if (x != y) map(identity_value, a, n, x, y);
    }
}

/* d[n] *= slope(values[n]). */
ALWAYS_INLINE void multiply_slope(vec (*slope)(vec, vec), vec alpha, ptrdiff_t n, const real *values, real *d) {
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES) v_store(d + i, v_load(d + i) * slope(v_load(values + i), alpha));
    if (i < n) {
        vmask rest = v_mask(n - i);
        v_store_m(d + i, v_load_m(d + i, rest) * slope(v_load_m(values + i, rest), alpha), rest);
    }
}

/* See struct kernels. */
static void differentiate(int activation, double alpha, ptrdiff_t n, const void *values, void *d) {
    vec a = v_set1((real)alpha);
    switch (activation) {
    case SCHUSS_RELU: multiply_slope(relu_slope, a, n, values, d); break;
    case SCHUSS_LEAKY_RELU: multiply_slope(leaky_relu_slope, a, n, values, d); break;
    case SCHUSS_ELU: multiply_slope(elu_slope, a, n, values, d); break;
    case SCHUSS_SELU: multiply_slope(selu_slope, a, n, values, d); break;
    case SCHUSS_SIGMOID: multiply_slope(sigmoid_slope, a, n, values, d); break;
    case SCHUSS_TANH: multiply_slope(tanh_slope, a, n, values, d); break;
    case SCHUSS_GELU: multiply_slope(gelu_slope, a, n, values, d); break;
    case SCHUSS_SILU: multiply_slope(silu_slope, a, n, values, d); break;
    case SCHUSS_MISH: multiply_slope(mish_slope, a, n, values, d); break;
    case SCHUSS_HARD_SWISH: multiply_slope(hard_swish_slope, a, n, values, d); break;
    case SCHUSS_SOFTPLUS: multiply_slope(softplus_slope, a, n, values, d); break;
    case SCHUSS_EXP: multiply_slope(exp_slope, a, n, values, d); break;
    default: break;
    }
}

/* What a mask makes of x[lanes]: factors of 0, or of `kept` where its bit is 1. Bits are those from number j on. */
ALWAYS_INLINE vec mask_factors(const unsigned char *mask, ptrdiff_t j, vec kept) {
    static const real_int one_each[16] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
    veci bits;
    uint32_t found;
    memcpy(&found, mask + j / 8, sizeof found);
    memcpy(&bits, one_each, sizeof bits);
    return v_select((v_seti((real_int)(found >> j % 8)) & bits) != 0, kept, v_set1(0));
}

/* The factor of what stays. */
ALWAYS_INLINE real kept_factor(double dropout) { return dropout > 0 ? (real)(1 / (1 - dropout)) : 1; }

/* The probability of dropout in the end of a tile. */
ALWAYS_INLINE double dropout_of(const struct tile_end *end) { return end->dropout ? *end->dropout : 0; }

/* See struct kernels; the first bit is number `first`. */
ALWAYS_INLINE void mask_row(ptrdiff_t n, double dropout, const void *mask, ptrdiff_t first, const real *x, real *y) {
    const vec kept = v_set1(kept_factor(dropout));
    ptrdiff_t j = 0;
    for (; j + LANES <= n; j += LANES) v_store(y + j, v_load(x + j) * mask_factors(mask, first + j, kept));
    if (j < n) v_store_m(y + j, v_load_m(x + j, v_mask(n - j)) * mask_factors(mask, first + j, kept), v_mask(n - j));
}
static void apply_mask(ptrdiff_t n, double dropout, const void *mask, const void *x, void *y) {
    mask_row(n, dropout, mask, 0, x, y);
}

/* See struct kernels. */
static void add(ptrdiff_t n, const void *x, void *d) {
    const real *more = (const real *)x;
    real *to = (real *)d;
    for (ptrdiff_t i = 0; i < n; i++) to[i] += more[i];
}
