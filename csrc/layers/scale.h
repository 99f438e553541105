/* Y = X s: X[rows x n], a factor s[n] for each column. */

static const char *scale_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,
                               struct schuss_array *arrays, int *n_arrays) {
    const char *wrong = same_shape(node, in, out);
    if (wrong) return wrong;
    arrays[(*n_arrays)++] = vector_array("scale", in->channels, 1);
    return NULL;
}

static struct needs scale_needs(const struct schuss_node *node, const struct shape *in, ptrdiff_t rows, int passes) {
    (void)node, (void)rows, (void)passes;
    return (struct needs){
        .scratch = in->channels * (ptrdiff_t)sizeof(real),
        .nanoseconds = (double)in->channels * OUTPUT_NS,
    };
}

/* to[n] = x[n] s[n] */
ALWAYS_INLINE void factor_row(ptrdiff_t n, const real *x, const real *restrict s, real *to) {
    for (ptrdiff_t j = 0; j < n; j++) to[j] = x[j] * s[j];
}

static void scale_forward(struct here *h, const struct pass *pass, struct team *me) {
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        real *y = (real *)h->y.at + i * h->y.ld;
        factor_row(h->channels, (const real *)h->x.at + i * h->x.ld, h->arrays[0], y);
        finish_row(h, i, y);
    }
}

static void scale_down(struct here *h, const struct pass *pass, struct team *me) {
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        real *dx = gradient_row(h, i, 0, (real *)h->scratch);
        factor_row(h->channels, (const real *)h->dy.at + i * h->dy.ld, h->arrays[0], dx);
        hand_over(h, i, 1, 0, h->channels, dx);
    }
}

ALWAYS_INLINE void scale_term(vec x, vec dy, vec p, vec q, vec *terms) { (void)p, (void)q, terms[0] = x * dy; }

/* ds[j] = the sum over rows of x dy. */
static void scale_gradients(struct here *h, const struct pass *pass, struct births *births, struct team *me) {
    vector_gradient(h, pass, scale_term, h->x.at, h->x.ld, births, me);
}

static const struct kind scale_kind = {
    .name = "scale", .sizes = "n", .numbers = "",
    .shape = scale_shape, .needs = scale_needs, .sharing = SHARES_ROWS, .backward_reads = GRADIENTS_READ_INPUT,
    .forward = scale_forward, .down = scale_down, .gradients = scale_gradients,
};
