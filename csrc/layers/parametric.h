/* Y = X + a (f(X) - X): X[rows x n], an activation f and a share a[n] of it for each column. With a = 1 it is f, with a
 * = 0 nothing happens. */

static const char *parametric_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,
                                    struct schuss_array *arrays, int *n_arrays) {
    const char *wrong = same_shape(node, in, out);
    if (wrong) return wrong;
    arrays[(*n_arrays)++] = vector_array("share", in->channels, 1);
    return NULL;
}

/* Kept: f(X) - X. */
static struct needs parametric_needs(const struct schuss_node *node, const struct shape *in, ptrdiff_t rows,
                                     int passes) {
    (void)node, (void)passes;
    return (struct needs){
        .kept = rows * in->channels * (ptrdiff_t)sizeof(real),
        .scratch = 2 * in->channels * (ptrdiff_t)sizeof(real),
        .nanoseconds = 4 * (double)in->channels * OUTPUT_NS,
    };
}

static void parametric_forward(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t n = h->channels;
    const real *restrict share = h->arrays[0];
    const int activation = (int)h->node->numbers[0];
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        const real *x = (const real *)h->x.at + i * h->x.ld;
        real *restrict y = (real *)h->y.at + i * h->y.ld;
        real *restrict change = h->kept ? (real *)h->kept + i * n : (real *)h->scratch;
        activate(activation, h->node->numbers[1], n, x, change);
        for (ptrdiff_t j = 0; j < n; j++) {
            change[j] -= x[j];
            y[j] = x[j] + share[j] * change[j];
        }
        finish_row(h, i, y);
    }
}

/* dx = (1 - a) dy + f'(x) a dy */
static void parametric_down(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t n = h->channels;
    const real *restrict share = h->arrays[0];
    const int activation = (int)h->node->numbers[0];
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        const real *x = (const real *)h->x.at + i * h->x.ld, *dy = (const real *)h->dy.at + i * h->dy.ld;
        real *restrict value = (real *)h->scratch, *restrict dx = gradient_row(h, i, 0, value + n);
        for (ptrdiff_t j = 0; j < n; j++) dx[j] = share[j] * dy[j];
        if (schuss_slope_needs_input(activation)) differentiate(activation, h->node->numbers[1], n, x, dx);
        else {
            activate(activation, h->node->numbers[1], n, x, value);
            differentiate(activation, h->node->numbers[1], n, value, dx);
        }
        for (ptrdiff_t j = 0; j < n; j++) dx[j] += ((real)1 - share[j]) * dy[j];
        hand_over(h, i, 1, 0, n, dx);
    }
}

/* da = the sum over rows of (f(x) - x) dy. */
static void parametric_gradients(struct here *h, const struct pass *pass, struct births *births, struct team *me) {
    vector_gradient(h, pass, scale_term, h->kept, h->channels, births, me);
}

static const struct kind parametric_kind = {
    .name = "parametric", .sizes = "n", .numbers = "activation alpha",
    .shape = parametric_shape, .needs = parametric_needs, .sharing = SHARES_ROWS, .backward_reads = DOWN_READS_INPUT,
    .forward = parametric_forward, .down = parametric_down, .gradients = parametric_gradients,
};
