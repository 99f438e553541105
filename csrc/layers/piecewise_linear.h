/* Piecewise-linear encoding: X[rows x n], edges E[n x (most + 1)] of each column's bins, so many of them in
 * B[n] -> Y[rows x total], total being all bins. A value x gives for each bin of its column (x - left) / (right - left)
 * limited to [0, 1]; the first is not limited below, the last not above. Gorishniy, Rubachev, Babenko, "On embeddings
 * for numerical features in tabular deep learning", 2022.
 *
 * What states hold is the caller's: bins beyond `most` or `total` are not read nor written, and outputs without a bin
 * are zero. */

enum { PIECEWISE_EDGES, PIECEWISE_BINS };

static const char *piecewise_linear_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,
                                          struct schuss_array *arrays, int *n_arrays) {
    if (in->storage != SCHUSS_REAL) return "input";
    if (node->sizes[0] != in->channels) return "n";
    if (node->sizes[1] < 1 || node->sizes[1] > PTRDIFF_MAX / 2) return "most";
    if (node->sizes[2] < 1) return "total";
    *out = (struct shape){node->sizes[2], SCHUSS_REAL, 0};
    arrays[*n_arrays] = matrix_array("edges", in->channels, node->sizes[1] + 1);
    arrays[(*n_arrays)++].stepped = 0;
    arrays[(*n_arrays)++] = vector_array("bins", in->channels, 0);
    return NULL;
}

static struct needs piecewise_linear_needs(const struct schuss_node *node, const struct shape *in, ptrdiff_t rows,
                                           int passes) {
    (void)rows, (void)passes;
    return (struct needs){
        .scratch = in->channels * (ptrdiff_t)sizeof(real),
        .nanoseconds = 4 * (double)node->channels * OUTPUT_NS,
    };
}

/* How many bins column c has, if `left` outputs are left for it. */
ALWAYS_INLINE ptrdiff_t bins_of(const struct here *h, ptrdiff_t c, ptrdiff_t left) {
    const real found = ((const real *)h->arrays[PIECEWISE_BINS])[c];
    const ptrdiff_t most = h->node->sizes[1] < left ? h->node->sizes[1] : left;
    return !(found > 0) ? 0 : found < (real)most ? (ptrdiff_t)found : most;
}

/* y[n] from x. A bin without width, as edges that are one number in this dtype have, is a step. */
ALWAYS_INLINE void encode(ptrdiff_t n, real x, const real *restrict edges, real *restrict y) {
    const real first = (x - edges[0]) / (edges[1] - edges[0]), last = (x - edges[n - 1]) / (edges[n] - edges[n - 1]);
    for (ptrdiff_t k = 0; k < n; k++) {
        const real at = (x - edges[k]) / (edges[k + 1] - edges[k]), risen = at < 1 ? at : 1;
        y[k] = edges[k + 1] > edges[k] ? (risen > 0 ? risen : 0) : x >= edges[k + 1];
    }
    if (edges[1] > edges[0] && first < 0) y[0] = first;
    if (edges[n] > edges[n - 1] && last > 1) y[n - 1] = last;
}

static void piecewise_linear_forward(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t n = h->channels, total = h->node->channels, stride = h->node->sizes[1] + 1;
    const real *edges = h->arrays[PIECEWISE_EDGES];
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        const real *x = (const real *)h->x.at + i * h->x.ld;
        real *y = (real *)h->y.at + i * h->y.ld;
        ptrdiff_t at = 0;
        for (ptrdiff_t c = 0; c < n; c++) {
            const ptrdiff_t bins = bins_of(h, c, total - at);
            if (bins) encode(bins, x[c], edges + c * stride, y + at);
            at += bins;
        }
        memset(y + at, 0, (size_t)(total - at) * sizeof(real));
        finish_row(h, i, y);
    }
}

/* dx is the sum of dy / (right - left) over the bins that x lies in: two, where it is an edge between them. */
static void piecewise_linear_down(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t n = h->channels, total = h->node->channels, stride = h->node->sizes[1] + 1;
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        const real *x = (const real *)h->x.at + i * h->x.ld, *dy = (const real *)h->dy.at + i * h->dy.ld;
        real *dx = gradient_row(h, i, 0, (real *)h->scratch);
        ptrdiff_t at = 0;
        for (ptrdiff_t c = 0; c < n; c++) {
            const real *e = (const real *)h->arrays[PIECEWISE_EDGES] + c * stride;
            const ptrdiff_t bins = bins_of(h, c, total - at);
            real sum = 0;
            for (ptrdiff_t k = 0; k < bins; k++)
                if (e[k + 1] > e[k] && (k == 0 || x[c] >= e[k]) && (k == bins - 1 || x[c] <= e[k + 1]))
                    sum += dy[at + k] / (e[k + 1] - e[k]);
            dx[c] = sum;
            at += bins;
        }
        hand_over(h, i, 1, 0, n, dx);
    }
}

static const struct kind piecewise_linear_kind = {
    .name = "piecewise_linear", .sizes = "n most total", .numbers = "",
    .shape = piecewise_linear_shape, .needs = piecewise_linear_needs, .sharing = SHARES_ROWS,
    .backward_reads = DOWN_READS_INPUT,
    .forward = piecewise_linear_forward, .down = piecewise_linear_down,
};
