/* Every loss once: value and gradient of a batch's rows in one pass. Means over the outputs but for cross-entropy,
 * which sums over classes. Docs and formulas: src/schuss/losses.py. */

/* The losses of one output. p or z is the prediction, t the target; what follows is the loss's parameter, if it has
 * one. Each returns the gradient by the prediction and puts the loss into *value. */
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
ALWAYS_INLINE vec quantile_point(vec p, vec t, vec q, vec *value) {
    vec d = p - t;
    veci above = d > v_set1(0); /* the target is below the prediction */
    *value = d * v_select(above, v_set1(1) - q, -q);
    vec slope = v_select(above, v_set1(1) - q, v_select(d < v_set1(0), -q, v_set1(0)));
    return v_select(d == d, slope, d);
}
ALWAYS_INLINE vec binary_cross_entropy_point(vec z, vec t, vec unused, vec *value) {
    (void)unused;
    vec positive = v_select(z < v_set1(0), v_set1(0), z);
    *value = (positive - z * t) + v_log1p(v_exp(-v_abs(z))); /* in this order: a sure, right answer keeps its digits */
    return sigmoid(z) - t;
}
/* The same as scikit-learn has it: from p between eps and 1 - eps, and 1 - p with the digits that are left. */
ALWAYS_INLINE vec clipped_cross_entropy_point(vec z, vec t, vec eps, vec *value) {
    vec one = v_set1(1), p = sigmoid(z), bounded = v_max(eps, v_min(one - eps, p));
    *value = -(t * v_log(bounded) + (one - t) * v_log(one - bounded));
    return p - t;
}
/* Returns (1 - p)^gamma, by which a focal loss multiplies the cross-entropy v = -log p of a label. *of_slope gets what
 * it multiplies the gradient of that cross-entropy by. */
ALWAYS_INLINE vec focus(vec v, vec gamma, vec *of_slope) {
    vec rest = -v_expm1(-v), share = v_select(rest > v_set1(0), v_exp(gamma * v_log(rest)), v_set1(0));
    vec ratio = v_select(rest > v_set1(0), v / rest, v_set1(1));
    *of_slope = share * (v_set1(1) + gamma * (v_exp(-v) * ratio));
    return v_select(v == v, share, v);
}
ALWAYS_INLINE vec binary_focal_point(vec z, vec t, vec gamma, vec *value) {
    vec of_slope, slope = binary_cross_entropy_point(z, t, gamma, value);
    *value = *value * focus(*value, gamma, &of_slope);
    return slope * of_slope;
}
/* deviance: 1 adds the terms that depend on t alone, 0 leaves them out. */
ALWAYS_INLINE vec poisson_point(vec z, vec t, vec deviance, vec *value) {
    vec rate = v_exp(z);
    vec constant = v_select(t > v_set1(0), t * v_log(t) - t, v_set1(0));
    *value = (rate - t * z) + v_select(deviance > v_set1(0), constant, v_set1(0));
    return rate - t;
}
ALWAYS_INLINE vec gamma_point(vec z, vec t, vec unused, vec *value) {
    (void)unused;
    vec ratio = t * v_exp(-z);
    *value = ratio + z;
    return v_set1(1) - ratio;
}
ALWAYS_INLINE vec tweedie_point(vec z, vec t, vec power, vec *value) {
    vec one = v_set1(1) - power, two = v_set1(2) - power;
    vec expected = v_exp(two * z), seen = t * v_exp(one * z);
    *value = expected / two - seen / one;
    return expected - seen;
}

/* sum of a[n] b[n] */
static real row_dot(ptrdiff_t n, const real *a, const real *b) {
    vec sum[SUM_VECS];
    for (int q = 0; q < SUM_VECS; q++) sum[q] = v_set1(0);
    for (ptrdiff_t i = 0; i < n; i += VIRTUAL_LANES)
        for (int q = 0; q < SUM_VECS && i + q * LANES < n; q++) {
            const ptrdiff_t at = i + q * LANES;
            const vmask lanes = v_mask(n - at);
            sum[q] += v_first(v_load_m(a + at, lanes) * v_load_m(b + at, lanes), n - at, v_set1(0));
        }
    return v_tree(sum);
}

/* The mean of a point-wise loss over p[n], t[n]; gradient times scale unless NULL. parameters: one each, or NULL. */
ALWAYS_INLINE double mean_points(vec (*point)(vec, vec, vec, vec *), vec parameter, const real *parameters,
                                 ptrdiff_t n, const real *p, const real *t, real scale, real *gradient) {
    vec sum[SUM_VECS];
    for (int q = 0; q < SUM_VECS; q++) sum[q] = v_set1(0);
    const vec times = v_set1(scale);
    for (ptrdiff_t i = 0; i < n; i += VIRTUAL_LANES)
        for (int q = 0; q < SUM_VECS && i + q * LANES < n; q++) {
            const ptrdiff_t at = i + q * LANES;
            const vmask lanes = v_mask(n - at);
            const vec own = parameters ? v_load_m(parameters + at, lanes) : parameter;
            vec value, slope = point(v_load_m(p + at, lanes), v_load_m(t + at, lanes), own, &value);
            sum[q] += v_first(value, n - at, v_set1(0));
            if (gradient) v_store_m(gradient + at, slope * times, lanes);
        }
    return (double)v_tree(sum) / (double)n;
}

/* Softmax and cross-entropy go through LANES rows at once, a row a lane: few classes would leave most lanes empty, and
 * each row would wait for its own sums. Columns that are not there are never looked at, which GCC does not see. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

/* Columns [j, j + LANES) of `rows` <= LANES rows of x[. x n]: lane r of z[c] is column j + c of row r; 0 where there
 * is none. */
ALWAYS_INLINE void load_lanes(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t j, const real *x, vec *z) {
    if (rows == 1) { /* in all lanes, which costs less */
        for (int c = 0; c < LANES && (LANES <= 4 || c < n - j); c++) z[c] = v_set1(c < n - j ? x[j + c] : 0);
        return;
    }
    const vmask columns = v_mask(n - j);
#pragma GCC unroll 16
    for (int r = 0; r < LANES; r++) z[r] = r < rows ? v_load_m(x + r * n + j, columns) : v_set1(0);
    v_transpose(z);
}

/* Puts z[LANES] back to where load_lanes() has it from. What z holds is lost. */
ALWAYS_INLINE void store_lanes(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t j, vec *z, real *x) {
    if (rows == 1) {
        for (int c = 0; c < LANES && c < n - j; c++) x[j + c] = z[c][0];
        return;
    }
    const vmask columns = v_mask(n - j);
    v_transpose(z);
#pragma GCC unroll 16
    for (int r = 0; r < LANES; r++)
        if (r < rows) v_store_m(x + r * n + j, z[r], columns);
}

/* Each row's largest element, whatever NaN may be among them: what is computed from the row will be NaN all the same.
 * z gets the last LANES columns: all, where there are no more. */
ALWAYS_INLINE vec row_maxima(ptrdiff_t rows, ptrdiff_t n, const real *x, vec *z) {
    vec most = v_set1(-(real)INFINITY);
    ptrdiff_t j = 0;
    do { /* n >= 1 */
        load_lanes(rows, n, j, x, z);
        for (int c = 0; c < LANES && c < n - j; c++) most = v_max(z[c], most);
        j += LANES;
    } while (j < n);
    return most;
}

/* Sums over each row, a term a column: column j belongs to virtual lane j % 16, as in v_tree. */
struct row_sums {
    vec lane[VIRTUAL_LANES];
};
ALWAYS_INLINE void no_sums(struct row_sums *sums) {
    for (int i = 0; i < VIRTUAL_LANES; i++) sums->lane[i] = v_set1(0);
}
ALWAYS_INLINE vec row_totals(struct row_sums *sums) {
#pragma GCC unroll 4
    for (int half = VIRTUAL_LANES / 2; half; half /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < half; i++) sums->lane[i] += sums->lane[i + half];
    return sums->lane[0];
}

/* e = exp(x - shift) of each row, into y unless that is NULL; returns each row's sum. Where LANES columns are all, z
 * holds them, gets e, and y is left to the caller. */
ALWAYS_INLINE vec row_exponentials(ptrdiff_t rows, ptrdiff_t n, const real *x, vec shift, vec *z, real *y) {
    struct row_sums sums;
    no_sums(&sums);
    for (ptrdiff_t j = 0; j < n; j += LANES) {
        if (n > LANES) load_lanes(rows, n, j, x, z);
        vec *lane = sums.lane + j % VIRTUAL_LANES;
        for (int c = 0; c < LANES && c < n - j; c++) {
            z[c] = v_exp(z[c] - shift);
            lane[c] += z[c];
        }
        if (n > LANES && y) store_lanes(rows, n, j, z, y);
    }
    return row_totals(&sums);
}

/* Returns the sums of t (x - shift) over each row, and puts the sums of t into *mass. t NULL: ones, and *mass stays. */
ALWAYS_INLINE vec row_products(ptrdiff_t rows, ptrdiff_t n, const real *t, const real *x, vec shift, vec *mass) {
    struct row_sums products, masses;
    vec z[LANES], q[LANES];
    no_sums(&products);
    no_sums(&masses);
    for (ptrdiff_t j = 0; j < n; j += LANES) {
        load_lanes(rows, n, j, x, z);
        if (t) load_lanes(rows, n, j, t, q);
        vec *product = products.lane + j % VIRTUAL_LANES, *m = masses.lane + j % VIRTUAL_LANES;
        for (int c = 0; c < LANES && c < n - j; c++) {
            const vec term = z[c] - shift;
            product[c] += t ? q[c] * term : term;
            if (t) m[c] += q[c];
        }
    }
    if (t) *mass = row_totals(&masses);
    return row_totals(&products);
}

/* x[n] = x[n] * factor - level. */
ALWAYS_INLINE void scale_row(ptrdiff_t n, real factor, real level, real *x) {
    for (ptrdiff_t j = 0; j < n; j += LANES) {
        const vmask lanes = v_mask(n - j);
        v_store_m(x + j, v_load_m(x + j, lanes) * v_set1(factor) - v_set1(level), lanes);
    }
}

/* See struct kernels. */
static void softmax(ptrdiff_t rows, ptrdiff_t cols, void *x) {
    for (ptrdiff_t i = 0; i < rows; i += LANES) {
        const ptrdiff_t some = rows - i < LANES ? rows - i : LANES;
        real *block = (real *)x + i * cols, factor[LANES];
        vec z[LANES];
        const vec shift = row_maxima(some, cols, block, z);
        const vec inverse = v_set1(1) / row_exponentials(some, cols, block, shift, z, block);
        if (cols <= LANES) {
            for (int c = 0; c < LANES && c < cols; c++) z[c] = z[c] * inverse;
            store_lanes(some, cols, 0, z, block);
            continue;
        }
        v_store(factor, inverse);
        for (ptrdiff_t r = 0; r < some; r++) scale_row(cols, factor[r], 0, block + r * cols);
    }
}

/* See struct kernels. */
static void softmax_backward(ptrdiff_t rows, ptrdiff_t cols, const void *y, void *d) {
    for (ptrdiff_t i = 0; i < rows; i++) {
        const real *p = (const real *)y + i * cols;
        real *g = (real *)d + i * cols;
        const real dot = row_dot(cols, p, g);
        for (ptrdiff_t j = 0; j < cols; j++) g[j] = p[j] * (g[j] - dot);
    }
}

/* Where the parts of a row lie, and what it counts. */
struct loss_row {
    const real *prediction, *target;
    real *gradient;
    double weight, share;            /* share: weight / total */
};

/* Row i of l. A row of weight 0 adds neither loss nor gradient, whatever its output and target hold. */
ALWAYS_INLINE struct loss_row row_of(const struct loss_rows *l, ptrdiff_t i) {
    const ptrdiff_t n = l->cols, targets = l->loss->kind == SCHUSS_GAUSSIAN ? n / 2 : n;
    struct loss_row row = {
        .prediction = (const real *)l->prediction + i * n,
        .target = (const real *)l->target + i * targets,
        .gradient = l->gradient ? (real *)l->gradient + i * n : NULL,
        .weight = l->weights ? l->weights[i] : 1,
    };
    row.share = row.weight / l->total;
    if (row.weight == 0 && row.gradient) memset(row.gradient, 0, (size_t)n * sizeof(real));
    return row;
}

/* Whether probabilities are limited to [EPS, 1 - EPS], as in scikit-learn's losses. With label smoothing none are. */
#define EPS ((real)1 / (real)((int64_t)1 << MANTISSA_BITS))
ALWAYS_INLINE int clips(const struct loss_rows *l) {
    return l->loss->dialect == SCHUSS_SKLEARN && (l->loss->parameter == 0 || l->loss->kind == SCHUSS_FOCAL);
}
/* The most that the cross-entropy of a row may be: -log(EPS) where probabilities are limited. */
ALWAYS_INLINE real most_entropy(const struct loss_rows *l) {
    if (!clips(l)) return (real)INFINITY;
    return (real)(REAL_BITS == 32 ? 15.942385152878742 : 36.04365338911715);
}

/* Cross-entropy of logits z[n] with the distribution q = (1 - s) t + s / n; t[n], or all on a label: with shift the
 * largest logit, the sum of q times log(sum of exp(z - shift)), less the sum of q (z - shift). Or the focal loss of
 * labels. */
static void cross_entropy(const struct loss_rows *l, ptrdiff_t row0, ptrdiff_t row1, double *values) {
    const ptrdiff_t n = l->cols;
    const int focal = l->loss->kind == SCHUSS_FOCAL;
    const real s = focal ? 0 : (real)l->loss->parameter, even = s / (real)n, unweighted = (real)(1 / l->total);
    const vec gamma = v_set1((real)l->loss->parameter), most = v_set1(most_entropy(l));
    const vec sharp = v_set1(1 - s);
    for (ptrdiff_t i0 = row0; i0 < row1; i0 += LANES) {
        const ptrdiff_t rows = row1 - i0 < LANES ? row1 - i0 : LANES;
        const real *x = (const real *)l->prediction + i0 * n;
        const real *t = l->loss->labels ? NULL : (const real *)l->target + i0 * n;
        const int64_t *label = l->loss->labels ? (const int64_t *)l->target + i0 : NULL;
        const double *weight = l->weights ? l->weights + i0 : NULL;
        real *gradient = l->gradient ? (real *)l->gradient + i0 * n : NULL;
        real chosen[LANES] = {0}, share[LANES], column[LANES] = {0}, value[LANES];
        vec z[LANES], q[LANES];
        v_store(share, v_set1(unweighted));
        if (weight)
            for (ptrdiff_t r = 0; r < rows; r++) share[r] = weight[r] == 0 ? 0 : (real)(weight[r] / l->total);
        if (label)
            for (ptrdiff_t r = 0; r < rows; r++) { /* one out of range: y was written to since it was checked */
                chosen[r] = (uint64_t)label[r] < (uint64_t)n ? x[r * n + label[r]] : (real)NAN;
                column[r] = (real)label[r];
            }
        const vec shift = row_maxima(rows, n, x, z);
        vec mass = v_set1(1), expected;
        if (t) {
            expected = sharp * row_products(rows, n, t, x, shift, &mass);
            mass = sharp * mass + v_set1(s);
        } else expected = sharp * (v_load(chosen) - shift);
        if (s != 0) expected += v_set1(even) * row_products(rows, n, NULL, x, shift, NULL);
        const vec sum = row_exponentials(rows, n, x, shift, z, gradient);
        vec entropy = v_min(most, mass * v_log(sum) - expected);
        if (focal) {
            vec of_slope;
            entropy = entropy * focus(entropy, gamma, &of_slope);
            v_store(share, v_load(share) * of_slope);
        }
        v_store(value, entropy);
        for (ptrdiff_t r = 0; r < rows; r++) values[i0 + r] = weight ? weight[r] * (double)value[r] : (double)value[r];
        if (weight)
            for (ptrdiff_t r = 0; r < rows; r++)
                if (weight[r] == 0) values[i0 + r] = 0;
        if (!gradient) continue;
        /* A row of weight 0 adds neither loss nor gradient, whatever its output and target hold. */
        const vec shares = v_load(share), factor = shares * mass / sum;
        const vec level = shares * v_set1(even), rest = shares * sharp;
        const veci counts = (shares != v_set1(0)) & (v_load(chosen) == v_load(chosen));
        for (ptrdiff_t j = 0; j < n; j += LANES) {
            if (n > LANES) load_lanes(rows, n, j, gradient, z);
            if (t) load_lanes(rows, n, j, t, q);
            for (int c = 0; c < LANES && c < n - j; c++) {
                z[c] = z[c] * factor - level;
                if (t) z[c] = z[c] - rest * q[c];
                else z[c] = v_select(v_load(column) == v_set1((real)(j + c)), z[c] - rest, z[c]);
                z[c] = v_select(counts, z[c], v_set1(0));
            }
            store_lanes(rows, n, j, z, gradient);
        }
    }
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

/* A loss that is a function of each output: means over them, or sums. */
ALWAYS_INLINE void pointwise(vec (*point)(vec, vec, vec, vec *), real parameter, const struct loss_rows *l,
                             ptrdiff_t row0, ptrdiff_t row1, double *values) {
    const int sums = l->loss->dialect == SCHUSS_SKLEARN, squares = l->loss->kind == SCHUSS_MSE;
    const double each = squares ? 0.5 : (double)l->cols;
    for (ptrdiff_t i = row0; i < row1; i++) {
        const struct loss_row row = row_of(l, i);
        values[i] = 0;
        if (row.weight == 0) continue;
        const double slope = sums ? (squares ? row.share / 2 : row.share) : row.share / (double)l->cols;
        const double mean = mean_points(point, v_set1(parameter), (const real *)l->loss->parameters, l->cols,
                                        row.prediction, row.target, (real)slope, row.gradient);
        values[i] = row.weight * (sums ? each * mean : mean);
    }
}

/* The loss of cols / 2 normal distributions, of each ((t - m) / e^s)^2 / 2 + s. The first half of the outputs are the
 * means m, the second half the logarithms s of the scales. */
static void gaussian(const struct loss_rows *l, ptrdiff_t row0, ptrdiff_t row1, double *values) {
    const ptrdiff_t n = l->cols / 2;
    const int sums = l->loss->dialect == SCHUSS_SKLEARN;
    for (ptrdiff_t i = row0; i < row1; i++) {
        const struct loss_row row = row_of(l, i);
        const vec times = v_set1((real)(sums ? row.share : row.share / (double)n));
        vec sum[SUM_VECS];
        values[i] = 0;
        if (row.weight == 0) continue;
        for (int q = 0; q < SUM_VECS; q++) sum[q] = v_set1(0);
        for (ptrdiff_t j = 0; j < n; j += VIRTUAL_LANES)
            for (int q = 0; q < SUM_VECS && j + q * LANES < n; q++) {
                const ptrdiff_t at = j + q * LANES;
                const vmask lanes = v_mask(n - at);
                const vec s = v_load_m(row.prediction + n + at, lanes), inverse = v_exp(-s);
                const vec d = v_load_m(row.prediction + at, lanes) - v_load_m(row.target + at, lanes);
                const vec r = d * inverse;
                sum[q] += v_first(v_set1((real)0.5) * (r * r) + s, n - at, v_set1(0));
                if (!row.gradient) continue;
                v_store_m(row.gradient + at, r * inverse * times, lanes);
                v_store_m(row.gradient + n + at, (v_set1(1) - r * r) * times, lanes);
            }
        values[i] = row.weight * ((double)v_tree(sum) / (double)(sums ? 1 : n));
    }
}

/* See struct kernels. */
static void loss(const struct loss_rows *l, ptrdiff_t row0, ptrdiff_t row1, double *values) {
    const real parameter = (real)l->loss->parameter;
    switch (l->loss->kind) {
    case SCHUSS_MSE: pointwise(mse_point, 0, l, row0, row1, values); break;
    case SCHUSS_MAE: pointwise(mae_point, 0, l, row0, row1, values); break;
    case SCHUSS_HUBER: pointwise(huber_point, parameter, l, row0, row1, values); break;
    case SCHUSS_QUANTILE: pointwise(quantile_point, parameter, l, row0, row1, values); break;
    case SCHUSS_CROSS_ENTROPY:
    case SCHUSS_FOCAL: cross_entropy(l, row0, row1, values); break;
    case SCHUSS_BINARY_CROSS_ENTROPY:
        if (clips(l)) pointwise(clipped_cross_entropy_point, EPS, l, row0, row1, values);
        else pointwise(binary_cross_entropy_point, 0, l, row0, row1, values);
        break;
    case SCHUSS_BINARY_FOCAL: pointwise(binary_focal_point, parameter, l, row0, row1, values); break;
    case SCHUSS_GAMMA: pointwise(gamma_point, 0, l, row0, row1, values); break;
    case SCHUSS_TWEEDIE: pointwise(tweedie_point, parameter, l, row0, row1, values); break;
    case SCHUSS_GAUSSIAN: gaussian(l, row0, row1, values); break;
    default: pointwise(poisson_point, l->loss->dialect == SCHUSS_SKLEARN, l, row0, row1, values);
    }
}
