/* Every loss once: value and gradient of a batch's rows in one pass. Means over the outputs but for cross-entropy,
 * which sums over classes. Docs and formulas: src/schuss/losses.py. */

/* One output: the gradient, and the value through *value. */
ALWAYS_INLINE vec mse_point(vec p, vec t, vec unused, vec *value) {
    (void)unused;
    vec d = p - t;
    *value = d * d;
    return d + d;
}
ALWAYS_INLINE vec mae_point(vec p, vec t, vec unused, vec *value) {
    (void)unused;
    vec d = p - t;
    *value = v_abs(d);
    vec sign = v_select(d > v_set1(0), v_set1(1), v_select(d < v_set1(0), v_set1(-1), v_set1(0)));
    return v_select(d == d, sign, d);
}
ALWAYS_INLINE vec huber_point(vec p, vec t, vec delta, vec *value) {
    vec d = p - t, a = v_abs(d);
    veci far = a > delta;
    *value = v_select(far, delta * (a - v_set1((real)0.5) * delta), v_set1((real)0.5) * d * d);
    return v_select(far, v_select(d < v_set1(0), -delta, delta), d);
}
ALWAYS_INLINE vec binary_cross_entropy_point(vec z, vec t, vec unused, vec *value) {
    (void)unused;
    *value = softplus(z) - z * t;
    return sigmoid(z) - t;
}
ALWAYS_INLINE vec poisson_point(vec z, vec t, vec unused, vec *value) {
    (void)unused;
    vec rate = v_exp(z);
    *value = rate - t * z;
    return rate - t;
}

/* v with 0 in the lanes from n on: what they hold was computed from beyond the row. */
ALWAYS_INLINE vec first_lanes(vec v, ptrdiff_t n) {
    if (n >= LANES) return v;
    real lane[LANES] = {0};
    v_store_m(lane, v, v_mask(n));
    return v_load(lane);
}

/* sum of a[n] (b[n] - shift); a NULL: ones. */
static real row_dot(ptrdiff_t n, const real *a, const real *b, real shift) {
    vec sum[SUM_VECS];
    for (int q = 0; q < SUM_VECS; q++) sum[q] = v_set1(0);
    for (ptrdiff_t i = 0; i < n; i += VIRTUAL_LANES)
        for (int q = 0; q < SUM_VECS && i + q * LANES < n; q++) {
            const ptrdiff_t at = i + q * LANES;
            const vmask lanes = v_mask(n - at);
            vec term = v_load_m(b + at, lanes) - v_set1(shift);
            sum[q] += first_lanes(a ? v_load_m(a + at, lanes) * term : term, n - at);
        }
    return v_tree(sum);
}

/* The mean of a point-wise loss over p[n], t[n]; gradient times scale unless NULL. */
ALWAYS_INLINE double mean_points(vec (*point)(vec, vec, vec, vec *), vec parameter, ptrdiff_t n, const real *p,
                                 const real *t, real scale, real *gradient) {
    vec sum[SUM_VECS];
    for (int q = 0; q < SUM_VECS; q++) sum[q] = v_set1(0);
    const vec times = v_set1(scale);
    for (ptrdiff_t i = 0; i < n; i += VIRTUAL_LANES)
        for (int q = 0; q < SUM_VECS && i + q * LANES < n; q++) {
            const ptrdiff_t at = i + q * LANES;
            const vmask lanes = v_mask(n - at);
            vec value, slope = point(v_load_m(p + at, lanes), v_load_m(t + at, lanes), parameter, &value);
            sum[q] += first_lanes(value, n - at);
            if (gradient) v_store_m(gradient + at, slope * times, lanes);
        }
    return (double)v_tree(sum) / (double)n;
}

/* The largest of x[n], whatever NaN may be among them: what is computed from the row will be NaN all the same. */
static real row_max(ptrdiff_t n, const real *x) {
    real best = x[0];
    ptrdiff_t j = 1;
    if (n >= LANES) {
        vec most = v_load(x);
        for (j = LANES; j + LANES <= n; j += LANES) most = v_max(v_load(x + j), most);
        real lane[LANES];
        v_store(lane, most);
        for (int l = 0; l < LANES; l++) best = lane[l] > best ? lane[l] : best;
    }
    for (; j < n; j++) best = x[j] > best ? x[j] : best;
    return best;
}

/* y[n] = exp(x[n] - shift) unless y is NULL; returns the sum. */
ALWAYS_INLINE real exponentials(ptrdiff_t n, const real *x, real shift, real *y) {
    vec sum[SUM_VECS];
    for (int q = 0; q < SUM_VECS; q++) sum[q] = v_set1(0);
    for (ptrdiff_t i = 0; i < n; i += VIRTUAL_LANES)
        for (int q = 0; q < SUM_VECS && i + q * LANES < n; q++) {
            const ptrdiff_t at = i + q * LANES;
            const vmask lanes = v_mask(n - at);
            vec e = v_exp(v_load_m(x + at, lanes) - v_set1(shift));
            if (y) v_store_m(y + at, e, lanes);
            sum[q] += first_lanes(e, n - at);
        }
    return v_tree(sum);
}

ALWAYS_INLINE void scale_row(ptrdiff_t n, real factor, real *x) {
    for (ptrdiff_t j = 0; j < n; j++) x[j] *= factor;
}

/* See struct kernels. */
static void softmax(ptrdiff_t rows, ptrdiff_t cols, void *x) {
    for (ptrdiff_t i = 0; i < rows; i++) {
        real *row = (real *)x + i * cols;
        real sum = exponentials(cols, row, row_max(cols, row), row);
        scale_row(cols, 1 / sum, row);
    }
}

/* See struct kernels. */
static void softmax_backward(ptrdiff_t rows, ptrdiff_t cols, const void *y, void *d) {
    for (ptrdiff_t i = 0; i < rows; i++) {
        const real *p = (const real *)y + i * cols;
        real *g = (real *)d + i * cols;
        const real dot = row_dot(cols, p, g, 0);
        for (ptrdiff_t j = 0; j < cols; j++) g[j] = p[j] * (g[j] - dot);
    }
}

static real log_of(real x) {
    real y[LANES];
    v_store(y, v_log(v_set1(x)));
    return y[0];
}

/* Cross-entropy of one row of logits z[n] with the distribution q = (1 - s) t + s / n; t[n], or all on the label. */
static double cross_entropy_row(ptrdiff_t n, const real *z, const real *t, int64_t label, real s, real scale,
                                real *gradient) {
    const real shift = row_max(n, z), sum = exponentials(n, z, shift, gradient), even = s / (real)n;
    real mass = 1, expected; /* sum of q, sum of q (z - shift) */
    if (t) {
        mass = (1 - s) * row_dot(n, NULL, t, 0) + s;
        expected = (1 - s) * row_dot(n, t, z, shift);
    } else expected = (1 - s) * (z[label] - shift);
    if (s != 0) expected += even * row_dot(n, NULL, z, shift);
    if (gradient) {
        const real factor = scale * mass / sum, level = scale * even, rest = scale * (1 - s);
        for (ptrdiff_t j = 0; j < n; j++) gradient[j] = gradient[j] * factor - level;
        if (t)
            for (ptrdiff_t j = 0; j < n; j++) gradient[j] -= rest * t[j];
        else gradient[label] -= rest;
    }
    return (double)(mass * log_of(sum) - expected);
}

/* See struct kernels. */
static double loss(const struct loss_rows *l, ptrdiff_t row0, ptrdiff_t row1) {
    const ptrdiff_t n = l->cols;
    const int kind = l->loss->kind;
    const real parameter = (real)l->loss->parameter;
    double sum = 0;
    for (ptrdiff_t i = row0; i < row1; i++) {
        const real *p = (const real *)l->prediction + i * n;
        const real *t = l->loss->labels ? NULL : (const real *)l->target + i * n;
        real *gradient = l->gradient ? (real *)l->gradient + i * n : NULL;
        const double weight = l->weights ? l->weights[i] : 1;
        if (weight == 0) { /* as if the row were not there, whatever it holds */
            if (gradient) memset(gradient, 0, (size_t)n * sizeof(real));
            continue;
        }
        const double share = weight / l->total;
        const real scale = (real)share, mean_scale = (real)(share / (double)n);
        const vec parameters = v_set1(parameter);
        double value;
        switch (kind) {
        case SCHUSS_MSE: value = mean_points(mse_point, parameters, n, p, t, mean_scale, gradient); break;
        case SCHUSS_MAE: value = mean_points(mae_point, parameters, n, p, t, mean_scale, gradient); break;
        case SCHUSS_HUBER: value = mean_points(huber_point, parameters, n, p, t, mean_scale, gradient); break;
        case SCHUSS_CROSS_ENTROPY:
            value = cross_entropy_row(n, p, t, t ? 0 : ((const int64_t *)l->target)[i], parameter, scale, gradient);
            break;
        case SCHUSS_BINARY_CROSS_ENTROPY:
            value = mean_points(binary_cross_entropy_point, parameters, n, p, t, mean_scale, gradient);
            break;
        default: value = mean_points(poisson_point, parameters, n, p, t, mean_scale, gradient); break;
        }
        sum += weight * value;
    }
    return sum;
}
