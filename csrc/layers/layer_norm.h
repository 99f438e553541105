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

/* Into terms[results]: what some elements of a row add to each sum. A function that is inlined. */
typedef void row_term(vec x, vec w, vec y, vec a, vec b, vec *terms);

ALWAYS_INLINE void value_term(vec x, vec w, vec y, vec a, vec b, vec *terms) {
    (void)w, (void)y, (void)a, (void)b;
    terms[0] = x;
}
ALWAYS_INLINE void square_term(vec x, vec w, vec y, vec mean, vec b, vec *terms) {
    (void)w, (void)y, (void)b;
    terms[0] = (x - mean) * (x - mean);
}
ALWAYS_INLINE void slope_terms(vec dy, vec w, vec x, vec mean, vec inverse, vec *terms) {
    terms[0] = dy * w;
    terms[1] = terms[0] * ((x - mean) * inverse);
}

/* out[results] = sums over a row of terms of x[n], w[n], y[n], the last two NULL or read, and the numbers a and b. */
ALWAYS_INLINE void row_sums(const int results, row_term *term, ptrdiff_t n, const real *x, const real *w, const real *y,
                            real a, real b, real *out) {
    const vec va = v_set1(a), vb = v_set1(b), none = v_set1(0);
    vec sum[2][SUM_VECS], terms[2];
    ptrdiff_t i = 0;
    for (int q = 0; q < SUM_VECS; q++) sum[0][q] = sum[1][q] = none;
    for (; i + VIRTUAL_LANES <= n; i += VIRTUAL_LANES)
        for (int q = 0; q < SUM_VECS; q++) {
            const ptrdiff_t at = i + q * LANES;
            term(v_load(x + at), w ? v_load(w + at) : none, y ? v_load(y + at) : none, va, vb, terms);
            for (int s = 0; s < results; s++) sum[s][q] += terms[s];
        }
    for (int q = 0; q < SUM_VECS && i + q * LANES < n; q++) {
        const ptrdiff_t at = i + q * LANES;
        const vmask lanes = v_mask(n - at);
        term(v_load_m(x + at, lanes), w ? v_load_m(w + at, lanes) : none, y ? v_load_m(y + at, lanes) : none, va, vb,
             terms);
        for (int s = 0; s < results; s++) sum[s][q] += v_first(terms[s], n - at, none);
    }
    for (int s = 0; s < results; s++) out[s] = v_tree(sum[s]);
}

static void layer_norm_forward(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t n = h->channels;
    const real *restrict w = h->arrays[NORM_WEIGHT], *restrict b = h->arrays[NORM_BIAS];
    const real eps = (real)h->node->numbers[0];
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        const real *x = (const real *)h->x.at + i * h->x.ld;
        real *restrict y = (real *)h->y.at + i * h->y.ld;
        real sum;
        row_sums(1, value_term, n, x, NULL, NULL, 0, 0, &sum);
        const real mean = sum / (real)n;
        row_sums(1, square_term, n, x, NULL, NULL, mean, 0, &sum);
        const real inverse = (real)1 / SQRT(sum / (real)n + eps);
        for (ptrdiff_t j = 0; j < n; j++) y[j] = (x[j] - mean) * inverse * w[j] + b[j];
        if (h->kept) {
            ((real *)h->kept)[2 * i] = mean;
            ((real *)h->kept)[2 * i + 1] = inverse;
        }
        finish_row(h, i, y);
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
        real sums[2];
        row_sums(2, slope_terms, n, dy, w, x, mean, inverse, sums);
        const real level = sums[0] / (real)n, slope = sums[1] / (real)n;
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
