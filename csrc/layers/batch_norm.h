/* Y = (X - mean) / sqrt(var + eps) w + b: X[rows x n], w[n], b[n]; mean and variance of each column over the batch in
 * training, else the running ones. Ioffe, Szegedy, "Batch normalization", 2015. Members share columns. */

enum {
    RUNNING_MEAN = NORM_BIAS + 1,
    RUNNING_VARIANCE,
    ROWS_TOGETHER = 16, /* rows that are finished while they are in L1 */
    STRIP = 4           /* vectors of columns that go through the rows together */
};

static const char *batch_norm_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,
                                    struct schuss_array *arrays, int *n_arrays) {
    const char *wrong = layer_norm_shape(node, in, out, arrays, n_arrays);
    if (wrong) return wrong;
    arrays[(*n_arrays)++] = vector_array("running_mean", in->channels, 0);
    arrays[(*n_arrays)++] = vector_array("running_var", in->channels, 0);
    return NULL;
}

/* Kept of each column: its mean, the inverse of its deviation, and the sums of the backward pass. Prepared: whether
 * down() has computed these sums, which gradients() needs too. */
static struct needs batch_norm_needs(const struct schuss_node *node, const struct shape *in, ptrdiff_t rows,
                                     int passes) {
    (void)node, (void)rows, (void)passes;
    return (struct needs){
        .kept = 4 * in->channels * (ptrdiff_t)sizeof(real),
        .scratch = (3 + ROWS_TOGETHER) * in->channels * (ptrdiff_t)sizeof(real),
        .prepared = sizeof(int),
        .nanoseconds = 4 * (double)in->channels * OUTPUT_NS,
    };
}

ALWAYS_INLINE void squares_term(vec x, vec unused, vec mean, vec q, vec *terms) {
    (void)unused, (void)q;
    terms[0] = (x - mean) * (x - mean);
}

/* Mean and inverse deviation of columns [first, end) of the batch, and what the running ones become. One row says
 * nothing of a variance: they stay. */
static void batch_statistics(struct here *h, ptrdiff_t rows, ptrdiff_t first, ptrdiff_t end) {
    real *mean = (real *)h->kept, *inverse = mean + h->channels;
    real *running_mean = h->arrays[RUNNING_MEAN], *running_variance = h->arrays[RUNNING_VARIANCE];
    const real eps = (real)h->node->numbers[0], momentum = (real)h->node->numbers[1];
    const struct column_operands x = {.rows = rows, .a = h->x.at, .ld_a = h->x.ld, .p = mean};
    sum_columns(1, element_term, &x, first, end, mean, NULL);
    for (ptrdiff_t j = first; j < end; j++) mean[j] = mean[j] / (real)rows;
    sum_columns(1, squares_term, &x, first, end, inverse, NULL);
    for (ptrdiff_t j = first; j < end; j++) {
        if (rows > 1) {
            running_mean[j] += momentum * (mean[j] - running_mean[j]);
            running_variance[j] += momentum * (inverse[j] / (real)(rows - 1) - running_variance[j]);
        }
        inverse[j] = (real)1 / SQRT(inverse[j] / (real)rows + eps);
    }
}

/* Numbers of some columns: [n] each. */
struct column_numbers {
    const real *mean, *factor, *level, *slope;
};

/* to[nv] = numbers[(nv - 1) * LANES + cols] */
ALWAYS_INLINE void load_numbers(const int nv, ptrdiff_t cols, const real *numbers, vec *to) {
#pragma GCC unroll 4
    for (int q = 0; q < nv; q++) to[q] = v_load_m(numbers + q * LANES, v_mask(q < nv - 1 ? LANES : cols));
}

/* Columns [j, j + (nv - 1) * LANES + cols), 0 < cols <= LANES, of rows [i0, i1): y = (x - mean) factor + level, and its
 * relu if asked for. */
ALWAYS_INLINE void normalise_columns(const int nv, const int relu, const struct here *h, const struct column_numbers *n,
                                     ptrdiff_t i0, ptrdiff_t i1, ptrdiff_t j, ptrdiff_t cols) {
    const vmask last = v_mask(cols);
    vec mean[STRIP], factor[STRIP], level[STRIP];
    load_numbers(nv, cols, n->mean + j, mean);
    load_numbers(nv, cols, n->factor + j, factor);
    load_numbers(nv, cols, n->level + j, level);
    const real *x = (const real *)h->x.at + i0 * h->x.ld + j;
    real *y = (real *)h->y.at + i0 * h->y.ld + j;
    for (ptrdiff_t i = i0; i < i1; i++, x += h->x.ld, y += h->y.ld)
#pragma GCC unroll 4
        for (int q = 0; q < nv; q++) {
            const vec xq = q < nv - 1 ? v_load(x + q * LANES) : v_load_m(x + q * LANES, last);
            vec yq = (xq - mean[q]) * factor[q] + level[q];
            if (relu) yq = relu_value(yq, yq);
            if (q < nv - 1) v_store(y + q * LANES, yq);
            else v_store_m(y + q * LANES, yq, last);
        }
}

/* The same of columns [first, end), whatever their number. */
static void normalise(const int relu, const struct here *h, const struct column_numbers *n, ptrdiff_t i0, ptrdiff_t i1,
                      ptrdiff_t first, ptrdiff_t end) {
    for (ptrdiff_t j = first; j < end; j += STRIP * LANES) {
        const ptrdiff_t width = end - j < STRIP * LANES ? end - j : STRIP * LANES, nv = (width + LANES - 1) / LANES;
        const ptrdiff_t cols = width - (nv - 1) * LANES;
        switch (nv * 2 + relu) {
#define COLUMNS(nv)                                                              \
    case (nv) * 2: normalise_columns(nv, 0, h, n, i0, i1, j, cols); break;       \
    case (nv) * 2 + 1: normalise_columns(nv, 1, h, n, i0, i1, j, cols); break;
            COLUMNS(1) COLUMNS(2) COLUMNS(3) COLUMNS(4)
#undef COLUMNS
        }
    }
}

static void batch_norm_forward(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t n = h->channels;
    const struct share own = own_columns(n, me);
    const real *w = h->arrays[NORM_WEIGHT];
    real *factor = (real *)h->scratch;
    struct column_numbers numbers = {h->arrays[RUNNING_MEAN], factor, h->arrays[NORM_BIAS], NULL};
    if (own.first >= own.end) return;
    if (pass->training) {
        batch_statistics(h, pass->rows, own.first, own.end);
        numbers.mean = (real *)h->kept;
        for (ptrdiff_t j = own.first; j < own.end; j++) factor[j] = ((real *)h->kept)[n + j] * w[j];
    } else
        for (ptrdiff_t j = own.first; j < own.end; j++)
            factor[j] = w[j] / SQRT(((const real *)h->arrays[RUNNING_VARIANCE])[j] + (real)h->node->numbers[0]);
    if (finishes_in_registers(&h->end) && !h->end.add) {
        normalise(h->end.activation == SCHUSS_RELU, h, &numbers, 0, pass->rows, own.first, own.end);
        return;
    }
    for (ptrdiff_t i0 = 0, i1; i0 < pass->rows; i0 = i1) {
        i1 = i0 + ROWS_TOGETHER < pass->rows ? i0 + ROWS_TOGETHER : pass->rows;
        normalise(0, h, &numbers, i0, i1, own.first, own.end);
        finish_rows(&h->end, i1 - i0, own.end - own.first, (real *)h->y.at + i0 * h->y.ld + own.first, h->y.ld, i0,
                    own.first);
    }
}

/* See struct kind. */
static void batch_norm_affine(const struct schuss_node *node, void *const *arrays, ptrdiff_t n, void *factor, void *level) {
    const real *w = arrays[NORM_WEIGHT], *b = arrays[NORM_BIAS], *mean = arrays[RUNNING_MEAN];
    const real *variance = arrays[RUNNING_VARIANCE];
    for (ptrdiff_t j = 0; j < n; j++) {
        const real f = w[j] / SQRT(variance[j] + (real)node->numbers[0]);
        ((real *)factor)[j] = f;
        ((real *)level)[j] = b[j] - mean[j] * f;
    }
}

/* The sums over the batch of dy times the normalised x, and of dy, of columns [first, end). */
static void batch_norm_sums(const struct here *h, ptrdiff_t rows, struct share own, real *weight, real *bias) {
    const real *mean = (const real *)h->kept, *inverse = mean + h->channels;
    const struct column_operands operands = {.rows = rows, .a = h->dy.at, .ld_a = h->dy.ld, .b = h->x.at,
                                             .ld_b = h->x.ld, .p = mean, .q = inverse};
    sum_columns(2, norm_terms, &operands, own.first, own.end, weight, bias);
}

/* As normalise_columns: dx = (dy - level) factor - (x - mean) slope, dx lying `ld` from row to row. */
ALWAYS_INLINE void denormalise_columns(const int nv, const struct here *h, const struct column_numbers *n, ptrdiff_t i0,
                                       ptrdiff_t i1, ptrdiff_t j, ptrdiff_t cols, real *dx, ptrdiff_t ld) {
    const vmask last = v_mask(cols);
    vec mean[STRIP], factor[STRIP], level[STRIP], slope[STRIP];
    load_numbers(nv, cols, n->mean + j, mean);
    load_numbers(nv, cols, n->factor + j, factor);
    load_numbers(nv, cols, n->level + j, level);
    load_numbers(nv, cols, n->slope + j, slope);
    const real *x = (const real *)h->x.at + i0 * h->x.ld + j, *dy = (const real *)h->dy.at + i0 * h->dy.ld + j;
    for (ptrdiff_t i = i0; i < i1; i++, x += h->x.ld, dy += h->dy.ld, dx += ld)
#pragma GCC unroll 4
        for (int q = 0; q < nv; q++) {
            const vec xq = q < nv - 1 ? v_load(x + q * LANES) : v_load_m(x + q * LANES, last);
            const vec dyq = q < nv - 1 ? v_load(dy + q * LANES) : v_load_m(dy + q * LANES, last);
            const vec dxq = (dyq - level[q]) * factor[q] - (xq - mean[q]) * slope[q];
            if (q < nv - 1) v_store(dx + q * LANES, dxq);
            else v_store_m(dx + q * LANES, dxq, last);
        }
}

/* With z the normalised x: dx = w / deviation (dy - mean(dy) - z mean(dy z)), means over the batch. */
static void batch_norm_down(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t n = h->channels, rows = pass->rows;
    const struct share own = own_columns(n, me);
    const real *w = h->arrays[NORM_WEIGHT], *mean = (real *)h->kept, *inverse = mean + n;
    real *sum_z = (real *)h->kept + 2 * n, *sum = sum_z + n;
    real *factor = (real *)h->scratch, *level = factor + n, *slope = level + n, *room = slope + n;
    const struct column_numbers numbers = {mean, factor, level, slope};
    if (own.first >= own.end) return;
    *(int *)h->prepared = 1;
    batch_norm_sums(h, rows, own, sum_z, sum);
    for (ptrdiff_t j = own.first; j < own.end; j++) {
        factor[j] = w[j] * inverse[j];
        level[j] = sum[j] / (real)rows;
        slope[j] = sum_z[j] / (real)rows * inverse[j] * factor[j];
    }
    const int direct = gradient_row(h, 0, own.first, room) != room;
    const ptrdiff_t ld = direct ? h->parts->d.ld : own.end - own.first;
    for (ptrdiff_t i0 = 0, i1; i0 < rows; i0 = i1) {
        i1 = i0 + ROWS_TOGETHER < rows ? i0 + ROWS_TOGETHER : rows;
        real *dx = gradient_row(h, i0, own.first, room);
        for (ptrdiff_t j = own.first; j < own.end; j += STRIP * LANES) {
            const ptrdiff_t width = own.end - j < STRIP * LANES ? own.end - j : STRIP * LANES;
            const ptrdiff_t nv = (width + LANES - 1) / LANES, cols = width - (nv - 1) * LANES;
            switch (nv) {
            case 1: denormalise_columns(1, h, &numbers, i0, i1, j, cols, dx + (j - own.first), ld); break;
            case 2: denormalise_columns(2, h, &numbers, i0, i1, j, cols, dx + (j - own.first), ld); break;
            case 3: denormalise_columns(3, h, &numbers, i0, i1, j, cols, dx + (j - own.first), ld); break;
            default: denormalise_columns(4, h, &numbers, i0, i1, j, cols, dx + (j - own.first), ld);
            }
        }
        hand_over(h, i0, i1 - i0, own.first, own.end - own.first, room);
    }
}

/* The sums of down(), where it was called before. */
static void batch_norm_gradients(struct here *h, const struct pass *pass, struct births *births, struct team *me) {
    const ptrdiff_t n = h->channels;
    const struct share own = own_columns(n, me);
    real *weight = h->gradients[NORM_WEIGHT], *bias = h->gradients[NORM_BIAS];
    const int summed = *(int *)h->prepared;
    *(int *)h->prepared = 0; /* the next backward pass may do without down() */
    if (own.first >= own.end) return;
    if (summed) {
        memcpy(weight + own.first, (real *)h->kept + 2 * n + own.first, (size_t)(own.end - own.first) * sizeof(real));
        memcpy(bias + own.first, (real *)h->kept + 3 * n + own.first, (size_t)(own.end - own.first) * sizeof(real));
    } else batch_norm_sums(h, pass->rows, own, weight, bias);
    vector_born(h, births, NORM_WEIGHT, own.first, own.end);
    vector_born(h, births, NORM_BIAS, own.first, own.end);
}

static const struct kind batch_norm_kind = {
    .name = "batch_norm", .sizes = "n", .numbers = "eps momentum",
    .shape = batch_norm_shape, .needs = batch_norm_needs, .sharing = SHARES_COLUMNS,
    .backward_reads = DOWN_READS_INPUT | GRADIENTS_READ_INPUT,
    .forward = batch_norm_forward, .down = batch_norm_down, .gradients = batch_norm_gradients,
    .affine = batch_norm_affine,
};
