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
    vec positive = v_select(z < v_set1(0), v_set1(0), z);
    *value = (positive - z * t) + v_log1p(v_exp(-v_abs(z))); /* in this order: a sure, right answer keeps its digits */
    return sigmoid(z) - t;
}
ALWAYS_INLINE vec poisson_point(vec z, vec t, vec unused, vec *value) {
    (void)unused;
    vec rate = v_exp(z);
    *value = rate - t * z;
    return rate - t;
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
            sum[q] += v_first(a ? v_load_m(a + at, lanes) * term : term, n - at, v_set1(0));
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
            sum[q] += v_first(value, n - at, v_set1(0));
            if (gradient) v_store_m(gradient + at, slope * times, lanes);
        }
    return (double)v_tree(sum) / (double)n;
}

/* The largest of x[n], whatever NaN may be among them: what is computed from the row will be NaN all the same. */
static real row_max(ptrdiff_t n, const real *x) {
    vec most = v_first(v_load_m(x, v_mask(n)), n, v_set1(x[0]));
    for (ptrdiff_t j = LANES; j < n; j += LANES)
        most = v_max(v_first(v_load_m(x + j, v_mask(n - j)), n - j, v_set1(x[0])), most);
    return v_largest(most);
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
            sum[q] += v_first(e, n - at, v_set1(0));
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

/* Cross-entropy of a row of logits z[n] with the distribution q = (1 - s) t + s / n; t[n], or all on the label. Its
 * value is mass * log(*sum) - expected; the logarithms are left to the caller, who takes those of many rows at once. */
ALWAYS_INLINE void cross_entropy_row(ptrdiff_t n, const real *z, const real *t, int64_t label, real s, real scale,
                                     real *gradient, real *sum, real *mass, real *expected) {
    const real shift = row_max(n, z), even = s / (real)n;
    *sum = exponentials(n, z, shift, gradient);
    *mass = 1; /* sum of q; expected: sum of q (z - shift) */
    if (t) {
        *mass = (1 - s) * row_dot(n, NULL, t, 0) + s;
        *expected = (1 - s) * row_dot(n, t, z, shift);
    } else *expected = (1 - s) * (z[label] - shift);
    if (s != 0) *expected += even * row_dot(n, NULL, z, shift);
    if (!gradient) return;
    const real factor = scale * *mass / *sum, level = scale * even, rest = scale * (1 - s);
    for (ptrdiff_t j = 0; j < n; j++) gradient[j] = gradient[j] * factor - level;
    if (t)
        for (ptrdiff_t j = 0; j < n; j++) gradient[j] -= rest * t[j];
    else gradient[label] -= rest;
}

/* What a row counts, and where its parts lie. */
struct loss_row {
    const real *prediction, *target; /* target NULL: a label */
    real *gradient;
    double weight, share;            /* share: weight / total */
};

/* Row i of l. A row of weight 0 adds neither loss nor gradient, whatever its output and target hold. */
ALWAYS_INLINE struct loss_row row_of(const struct loss_rows *l, ptrdiff_t i) {
    const ptrdiff_t n = l->cols;
    struct loss_row row = {
        .prediction = (const real *)l->prediction + i * n,
        .target = l->loss->labels ? NULL : (const real *)l->target + i * n,
        .gradient = l->gradient ? (real *)l->gradient + i * n : NULL,
        .weight = l->weights ? l->weights[i] : 1,
    };
    row.share = row.weight / l->total;
    if (row.weight == 0 && row.gradient) memset(row.gradient, 0, (size_t)n * sizeof(real));
    return row;
}

static void cross_entropy(const struct loss_rows *l, ptrdiff_t row0, ptrdiff_t row1, double *values) {
    enum { BLOCK = 64 };
    for (ptrdiff_t i0 = row0; i0 < row1; i0 += BLOCK) {
        const ptrdiff_t rows = row1 - i0 < BLOCK ? row1 - i0 : BLOCK;
        real sum[BLOCK], mass[BLOCK], expected[BLOCK];
        for (ptrdiff_t i = 0; i < rows; i++) {
            const struct loss_row row = row_of(l, i0 + i);
            const int64_t label = row.target ? 0 : ((const int64_t *)l->target)[i0 + i];
            sum[i] = 1;
            mass[i] = expected[i] = 0;
            if (row.weight == 0) continue;
            if (!row.target && (uint64_t)label >= (uint64_t)l->cols) { /* y was written to since it was checked */
                expected[i] = (real)NAN;
                if (row.gradient) memset(row.gradient, 0, (size_t)l->cols * sizeof(real));
            } else
                cross_entropy_row(l->cols, row.prediction, row.target, label, (real)l->loss->parameter,
                                  (real)row.share, row.gradient, &sum[i], &mass[i], &expected[i]);
        }
        elementary(1, rows, sum, sum);
        for (ptrdiff_t i = 0; i < rows; i++)
            values[i0 + i] = (l->weights ? l->weights[i0 + i] : 1) * (double)(mass[i] * sum[i] - expected[i]);
    }
}

/* A loss that is the mean of a function of each output. */
ALWAYS_INLINE void pointwise(vec (*point)(vec, vec, vec, vec *), const struct loss_rows *l, ptrdiff_t row0,
                             ptrdiff_t row1, double *values) {
    const vec parameter = v_set1((real)l->loss->parameter);
    for (ptrdiff_t i = row0; i < row1; i++) {
        const struct loss_row row = row_of(l, i);
        values[i] = 0;
        if (row.weight == 0) continue;
        const real scale = (real)(row.share / (double)l->cols);
        values[i] = row.weight * mean_points(point, parameter, l->cols, row.prediction, row.target, scale, row.gradient);
    }
}

/* See struct kernels. */
static void loss(const struct loss_rows *l, ptrdiff_t row0, ptrdiff_t row1, double *values) {
    switch (l->loss->kind) {
    case SCHUSS_MSE: pointwise(mse_point, l, row0, row1, values); break;
    case SCHUSS_MAE: pointwise(mae_point, l, row0, row1, values); break;
    case SCHUSS_HUBER: pointwise(huber_point, l, row0, row1, values); break;
    case SCHUSS_CROSS_ENTROPY: cross_entropy(l, row0, row1, values); break;
    case SCHUSS_BINARY_CROSS_ENTROPY: pointwise(binary_cross_entropy_point, l, row0, row1, values); break;
    default: pointwise(poisson_point, l, row0, row1, values);
    }
}
