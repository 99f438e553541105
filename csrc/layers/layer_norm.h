/* Y = (X - mean) / sqrt(var + eps) w + b, mean and (biased) variance of each row: X[rows x n], w[n], b[n]. Ba, Kiros,
 * Hinton, "Layer normalization", 2016. Sums along a row use 16 virtual lanes. */

enum { NORM_WEIGHT, NORM_BIAS };

static const char *layer_norm_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,
                                    struct schuss_array *arrays, int *n_arrays) {
    const char *wrong = same_shape(node, in, out);
    if (wrong) return wrong;
    arrays[(*n_arrays)++] = vector_array("weight", in->channels, 1);
    arrays[(*n_arrays)++] = vector_array("bias", in->channels, 1);
    return NULL;
}

/* Kept of each row: its mean, and the inverse of its deviation. */
static struct needs layer_norm_needs(const struct schuss_node *node, const struct shape *in, ptrdiff_t rows,
                                     int passes) {
    (void)node, (void)passes;
    return (struct needs){
        .kept = 2 * rows * (ptrdiff_t)sizeof(real),
        .scratch = in->channels * (ptrdiff_t)sizeof(real),
        .nanoseconds = 4 * (double)in->channels * OUTPUT_NS,
    };
}

/* The sum of terms of x[n] and w[n]: of x; of (x - a)^2; of x w; of x w (y - a) b. */
enum row_sum { SUM_X, SUM_SQUARES, SUM_WEIGHTED, SUM_WEIGHTED_NORMAL };
ALWAYS_INLINE vec row_term(const enum row_sum kind, vec x, vec w, vec y, vec a, vec b) {
    if (kind == SUM_SQUARES) return (x - a) * (x - a);
    if (kind == SUM_WEIGHTED) return x * w;
    if (kind == SUM_WEIGHTED_NORMAL) return x * w * ((y - a) * b);
    return x;
}
ALWAYS_INLINE real row_sum(const enum row_sum kind, ptrdiff_t n, const real *x, const real *w, const real *y, real a,
                           real b) {
    const int weighs = kind == SUM_WEIGHTED || kind == SUM_WEIGHTED_NORMAL, normal = kind == SUM_WEIGHTED_NORMAL;
    const vec va = v_set1(a), vb = v_set1(b), none = v_set1(0);
    vec sum[SUM_VECS];
    ptrdiff_t i = 0;
    for (int q = 0; q < SUM_VECS; q++) sum[q] = none;
    for (; i + VIRTUAL_LANES <= n; i += VIRTUAL_LANES)
        for (int q = 0; q < SUM_VECS; q++) {
            const ptrdiff_t at = i + q * LANES;
            sum[q] += row_term(kind, v_load(x + at), weighs ? v_load(w + at) : none,
                               normal ? v_load(y + at) : none, va, vb);
        }
    for (int q = 0; q < SUM_VECS && i + q * LANES < n; q++) {
        const ptrdiff_t at = i + q * LANES;
        const vmask lanes = v_mask(n - at);
        const vec term = row_term(kind, v_load_m(x + at, lanes), weighs ? v_load_m(w + at, lanes) : none,
                                  normal ? v_load_m(y + at, lanes) : none, va, vb);
        sum[q] += v_first(term, n - at, none);
    }
    return v_tree(sum);
}

static void layer_norm_forward(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t n = h->channels;
    const real *restrict w = h->arrays[NORM_WEIGHT], *restrict b = h->arrays[NORM_BIAS];
    const real eps = (real)h->node->numbers[0];
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        const real *x = (const real *)h->x.at + i * h->x.ld;
        real *restrict y = (real *)h->y.at + i * h->y.ld;
        const real mean = row_sum(SUM_X, n, x, NULL, NULL, 0, 0) / (real)n;
        const real variance = row_sum(SUM_SQUARES, n, x, NULL, NULL, mean, 0) / (real)n;
        const real inverse = (real)1 / SQRT(variance + eps);
        for (ptrdiff_t j = 0; j < n; j++) y[j] = (x[j] - mean) * inverse * w[j] + b[j];
        if (h->kept) {
            ((real *)h->kept)[2 * i] = mean;
            ((real *)h->kept)[2 * i + 1] = inverse;
        }
        finish_rows(&h->end, 1, n, y, h->y.ld, i, 0);
    }
}

/* With g = dy w and z the normalised x: dx = (g - mean(g) - z mean(g z)) / deviation. */
static void layer_norm_down(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t n = h->channels;
    const real *w = h->arrays[NORM_WEIGHT];
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        const real *x = (const real *)h->x.at + i * h->x.ld, *dy = (const real *)h->dy.at + i * h->dy.ld;
        const real mean = ((const real *)h->kept)[2 * i], inverse = ((const real *)h->kept)[2 * i + 1];
        const real level = row_sum(SUM_WEIGHTED, n, dy, w, NULL, 0, 0) / (real)n;
        const real slope = row_sum(SUM_WEIGHTED_NORMAL, n, dy, w, x, mean, inverse) / (real)n;
        real *restrict dx = gradient_row(h, i, 0, (real *)h->scratch);
        for (ptrdiff_t j = 0; j < n; j++)
            dx[j] = (dy[j] * w[j] - level - (x[j] - mean) * inverse * slope) * inverse;
        hand_over(h, i, 1, 0, n, dx);
    }
}

/* What a row adds to the gradients of w and b. */
ALWAYS_INLINE void norm_terms(vec dy, vec x, vec mean, vec inverse, vec *terms) {
    terms[0] = dy * ((x - mean) * inverse);
    terms[1] = dy;
}

static void layer_norm_gradients(struct here *h, const struct pass *pass, struct births *births, struct team *me) {
    const struct share own = own_columns(h->channels, me);
    const struct column_operands operands = {.rows = pass->rows, .a = h->dy.at, .ld_a = h->dy.ld, .b = h->x.at,
                                             .ld_b = h->x.ld, .of_rows = (const real *)h->kept};
    sum_columns(2, norm_terms, &operands, own.first, own.end, h->gradients[NORM_WEIGHT], h->gradients[NORM_BIAS]);
    vector_born(h, births, NORM_WEIGHT, own.first, own.end);
    vector_born(h, births, NORM_BIAS, own.first, own.end);
}

static const struct kind layer_norm_kind = {
    .name = "layer_norm", .sizes = "n", .numbers = "eps",
    .shape = layer_norm_shape, .needs = layer_norm_needs, .sharing = SHARES_ROWS,
    .backward_reads = DOWN_READS_INPUT | GRADIENTS_READ_INPUT,
    .forward = layer_norm_forward, .down = layer_norm_down, .gradients = layer_norm_gradients,
};
