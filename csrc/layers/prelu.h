/* Y = x where X is positive, else a x: X[rows x n], a slope a[n] for each column. He, Zhang, Ren, Sun, "Delving deep
 * into rectifiers", 2015. */

static const char *prelu_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,
                               struct schuss_array *arrays, int *n_arrays) {
    const char *wrong = same_shape(node, in, out);
    if (wrong) return wrong;
    arrays[(*n_arrays)++] = vector_array("slope", in->channels, 1);
    return NULL;
}

static struct needs prelu_needs(const struct schuss_node *node, const struct shape *in, ptrdiff_t rows, int passes) {
    (void)node, (void)rows, (void)passes;
    return (struct needs){
        .scratch = in->channels * (ptrdiff_t)sizeof(real),
        .nanoseconds = 2 * (double)in->channels * OUTPUT_NS,
    };
}

/* to[n] = from[n] where x[n] is positive, else a[n] from[n] */
ALWAYS_INLINE void prelu_row(ptrdiff_t n, const real *x, const real *restrict a, const real *from, real *to) {
    for (ptrdiff_t j = 0; j < n; j++) to[j] = x[j] > 0 ? from[j] : a[j] * from[j];
}

static void prelu_forward(struct here *h, const struct pass *pass, struct team *me) {
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        const real *x = (const real *)h->x.at + i * h->x.ld;
        real *y = (real *)h->y.at + i * h->y.ld;
        prelu_row(h->channels, x, h->arrays[0], x, y);
        finish_row(h, i, y);
    }
}

static void prelu_down(struct here *h, const struct pass *pass, struct team *me) {
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        const real *x = (const real *)h->x.at + i * h->x.ld, *dy = (const real *)h->dy.at + i * h->dy.ld;
        real *dx = gradient_row(h, i, 0, (real *)h->scratch);
        prelu_row(h->channels, x, h->arrays[0], dy, dx);
        hand_over(h, i, 1, 0, h->channels, dx);
    }
}

ALWAYS_INLINE void prelu_term(vec x, vec dy, vec p, vec q, vec *terms) {
    (void)p, (void)q;
    terms[0] = v_select(x > v_set1(0), v_set1(0), x) * dy;
}

/* da = the sum over rows of x dy where x is not positive. */
static void prelu_gradients(struct here *h, const struct pass *pass, struct births *births, struct team *me) {
    vector_gradient(h, pass, prelu_term, h->x.at, h->x.ld, births, me);
}

static const struct kind prelu_kind = {
    .name = "prelu", .sizes = "n", .numbers = "",
    .shape = prelu_shape, .needs = prelu_needs, .sharing = SHARES_ROWS,
    .backward_reads = DOWN_READS_INPUT | GRADIENTS_READ_INPUT,
    .forward = prelu_forward, .down = prelu_down, .gradients = prelu_gradients,
};
