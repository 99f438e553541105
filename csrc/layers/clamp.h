/* In plans for forward passes alone Y = X limited to [low, high], numbers of each column; in training Y = X:
 * X[rows x n], low[n], high[n]. */

enum { CLAMP_LOW, CLAMP_HIGH };

static const char *clamp_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,
                               struct schuss_array *arrays, int *n_arrays) {
    const char *wrong = same_shape(node, in, out);
    if (wrong) return wrong;
    arrays[(*n_arrays)++] = vector_array("low", in->channels, 0);
    arrays[(*n_arrays)++] = vector_array("high", in->channels, 0);
    return NULL;
}

static void clamp_forward(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t n = h->channels;
    const real *restrict low = h->arrays[CLAMP_LOW], *restrict high = h->arrays[CLAMP_HIGH];
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        const real *x = (const real *)h->x.at + i * h->x.ld;
        real *y = (real *)h->y.at + i * h->y.ld;
        memcpy(y, x, (size_t)n * sizeof(real));
        for (ptrdiff_t j = 0; !pass->training && j < n; j++)
            y[j] = y[j] < low[j] ? low[j] : y[j] > high[j] ? high[j] : y[j];
        finish_row(h, i, y);
    }
}

static const struct kind clamp_kind = {
    .name = "clamp", .sizes = "n", .numbers = "",
    .shape = clamp_shape, .needs = activation_needs, .sharing = SHARES_ROWS,
    .forward = clamp_forward, .down = activation_down,
};
