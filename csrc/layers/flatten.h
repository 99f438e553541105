/* Y = X: X[rows x positions x n] -> Y[rows x (positions n)], one position. A copy. */

static const char *flatten_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,
                                 struct schuss_array *arrays, int *n_arrays) {
    (void)node, (void)arrays, (void)n_arrays;
    if (in->storage != SCHUSS_REAL) return "input";
    *out = (struct shape){in->positions * in->channels, SCHUSS_REAL, 1};
    return NULL;
}

static struct needs flatten_needs(const struct schuss_node *node, const struct shape *in, ptrdiff_t rows, int passes) {
    (void)in, (void)rows, (void)passes;
    return (struct needs){.nanoseconds = (double)node->channels * OUTPUT_NS / 4};
}

/* to[rows x n] = from[rows x n], from row to row so many elements. */
ALWAYS_INLINE void copy_rows(ptrdiff_t rows, ptrdiff_t n, const real *from, ptrdiff_t ld_from, real *to,
                             ptrdiff_t ld_to) {
    if (ld_from == n && ld_to == n) n *= rows, rows = 1;
    for (ptrdiff_t i = 0; i < rows; i++) memcpy(to + i * ld_to, from + i * ld_from, (size_t)n * sizeof(real));
}

static void flatten_forward(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t n = h->channels;
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        real *y = (real *)h->y.at + i * h->y.ld;
        copy_rows(h->positions, n, (const real *)h->x.at + i * h->positions * h->x.ld, h->x.ld, y, n);
        finish_row(h, i, y);
    }
}

static void flatten_down(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t n = h->channels;
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        const real *dy = (const real *)h->dy.at + i * h->dy.ld;
        const ptrdiff_t row = i * h->positions;
        real *d = gradient_row(h, row, 0, NULL);
        if (d) copy_rows(h->positions, n, dy, n, d, h->parts->d.ld);
        hand_over(h, row, h->positions, 0, n, dy);
    }
}

static const struct kind flatten_kind = {
    .name = "flatten", .sizes = "", .numbers = "",
    .shape = flatten_shape, .needs = flatten_needs, .sharing = SHARES_ROWS, .spatial = 1,
    .forward = flatten_forward, .down = flatten_down,
};
