/* Y = X: X[rows x n]; the activation is the node's end. Without one it is a copy, for a value that is needed a second
 * time in a concatenation. */

static const char *activation_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,
                                    struct schuss_array *arrays, int *n_arrays) {
    (void)node, (void)arrays, (void)n_arrays;
    if (in->storage != SCHUSS_REAL) return "input";
    *out = *in;
    return NULL;
}

static struct needs activation_needs(const struct schuss_node *node, const struct shape *in, ptrdiff_t rows,
                                     int passes) {
    (void)node, (void)rows, (void)passes;
    return (struct needs){.nanoseconds = (double)in->channels * OUTPUT_NS};
}

static void activation_forward(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t n = h->channels;
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        real *y = (real *)h->y.at + i * h->y.ld;
        memcpy(y, (const real *)h->x.at + i * h->x.ld, (size_t)n * sizeof(real));
        finish_row(h, i, y);
    }
}

static void activation_down(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t n = h->channels;
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        const real *dy = (const real *)h->dy.at + i * h->dy.ld;
        real *d = gradient_row(h, i, 0, NULL);
        if (d) memcpy(d, dy, (size_t)n * sizeof(real));
        hand_over(h, i, 1, 0, n, dy);
    }
}

static const struct kind activation_kind = {
    .name = "activation", .sizes = "", .numbers = "",
    .shape = activation_shape, .needs = activation_needs, .sharing = SHARES_ROWS,
    .forward = activation_forward, .down = activation_down,
};
