/* Sums of rows of a table: compressed rows X[rows x n], table W[n x dim] -> Y[rows x dim]. Row i of Y is the sum over the
 * entries of row i of X of value * W[column], in one chain of fused multiply-adds in their order; of the mean, divided by how
 * many entries there are. A row without any gives zeros. The gradient by W is X transposed times dY, by the law of
 * products; of the mean, each value counts divided by the entries of its row. */

enum {
    BAG_AHEAD = 8,        /* entries whose rows of the table are fetched ahead */
    BAG_ROWS_AHEAD = 4,   /* rows of X whose entries are */
    BAG_FETCHED = 256     /* bytes of a row of the table that are fetched, at most */
};

ALWAYS_INLINE int bag_averages(const struct schuss_node *node) { return node->numbers[0] != 0; }

static const char *embedding_bag_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,
                                       struct schuss_array *arrays, int *n_arrays) {
    if (in->storage != SCHUSS_SPARSE) return "input";
    if (node->sizes[0] != in->channels) return "n";
    if (node->sizes[1] < 1) return "dim";
    *out = (struct shape){node->sizes[1], SCHUSS_REAL, 0};
    arrays[(*n_arrays)++] = matrix_array("weight", node->sizes[0], node->sizes[1]);
    return NULL;
}

static struct needs embedding_bag_needs(const struct schuss_node *node, const struct shape *in, ptrdiff_t rows,
                                        int passes) {
    (void)in;
    return compressed_needs(node->channels, rows, passes, sizeof(struct gemm));
}

static void embedding_bag_prepare(struct here *h) {
    *(struct gemm *)h->prepared = (struct gemm){
        .m = h->channels, .n = h->node->channels, .a_row = 1, .a_col = h->x.ld, .b = h->dy.at, .ldb = h->dy.ld,
        .c = h->gradients[0], .ldc = h->node->channels, .averages = bag_averages(h->node),
    };
}

/* Asks for the row of the table that entry k names. */
ALWAYS_INLINE void fetch_entry(const struct schuss_compressed *x, int64_t k, const real *w, ptrdiff_t dim) {
    const char *row = (const char *)(w + column_at(x, k) * dim);
    const ptrdiff_t bytes = dim * (ptrdiff_t)sizeof(real);
    for (ptrdiff_t at = 0; at < bytes && at < BAG_FETCHED; at += 64) __builtin_prefetch(row + at);
}

/* y[cols], (nv - 1) * LANES < cols <= nv * LANES, of the entries from `first` to `end`; w is the table's first column of these. */
ALWAYS_INLINE void bag_columns(const int nv, const struct schuss_compressed *x, int64_t first, int64_t end, int averages,
                               const real *w, ptrdiff_t dim, ptrdiff_t cols, real *y) {
    const vmask last = v_mask(cols - (nv - 1) * LANES);
    vec sum[WIDE_VECS];
#pragma GCC unroll 8
    for (int j = 0; j < nv; j++) sum[j] = v_set1(0);
    for (int64_t k = first; k < end; k++) {
        const real *row = w + column_at(x, k) * dim;
        const vec value = v_set1(((const real *)x->data)[k]);
        if (k + BAG_AHEAD < end) fetch_entry(x, k + BAG_AHEAD, w, dim);
#pragma GCC unroll 8
        for (int j = 0; j < nv; j++)
            sum[j] = v_fma(value, j < nv - 1 ? v_load(row + j * LANES) : v_load_m(row + j * LANES, last), sum[j]);
    }
    if (averages && end > first) {
        const vec count = v_set1((real)(end - first));
#pragma GCC unroll 8
        for (int j = 0; j < nv; j++) sum[j] /= count;
    }
#pragma GCC unroll 8
    for (int j = 0; j < nv - 1; j++) v_store(y + j * LANES, sum[j]);
    v_store_m(y + (nv - 1) * LANES, sum[nv - 1], last);
}

/* The sum of a row's entries, to y[dim]. */
static void bag_row(const struct schuss_compressed *x, int64_t row, int averages, const real *w, ptrdiff_t dim, real *y) {
    enum { MOST = WIDE_VECS * LANES };
    const int64_t first = x->start[row], end = x->start[row + 1];
    for (ptrdiff_t j = 0; j < dim; j += MOST) {
        const ptrdiff_t cols = dim - j < MOST ? dim - j : MOST;
        switch ((cols + LANES - 1) / LANES) {
        case 1: bag_columns(1, x, first, end, averages, w + j, dim, cols, y + j); break;
        case 2: bag_columns(2, x, first, end, averages, w + j, dim, cols, y + j); break;
        case 3: bag_columns(3, x, first, end, averages, w + j, dim, cols, y + j); break;
        case 4: bag_columns(4, x, first, end, averages, w + j, dim, cols, y + j); break;
        case 5: bag_columns(5, x, first, end, averages, w + j, dim, cols, y + j); break;
        case 6: bag_columns(6, x, first, end, averages, w + j, dim, cols, y + j); break;
        case 7: bag_columns(7, x, first, end, averages, w + j, dim, cols, y + j); break;
        default: bag_columns(8, x, first, end, averages, w + j, dim, cols, y + j);
        }
    }
}

/* Asks for what rows behind row i will read: where their entries begin, their columns, and their rows of the table. */
ALWAYS_INLINE void fetch_bags(const struct here *h, ptrdiff_t i, ptrdiff_t end, const real *w, ptrdiff_t dim) {
    const struct schuss_compressed *x = h->compressed;
    if (h->order && i + 2 * BAG_ROWS_AHEAD < end) __builtin_prefetch(x->start + h->order[i + 2 * BAG_ROWS_AHEAD]);
    if (h->order && i + BAG_ROWS_AHEAD < end) {
        const int64_t first = x->start[h->order[i + BAG_ROWS_AHEAD]];
        __builtin_prefetch((const char *)x->indices + first * (x->wide ? 8 : 4));
        __builtin_prefetch((const real *)x->data + first);
    }
    if (i + 1 >= end) return;
    const int64_t row = row_at_place(h->order, i + 1), first = x->start[row], all = x->start[row + 1];
    for (int64_t k = first; k < all && k < first + BAG_AHEAD; k++) fetch_entry(x, k, w, dim);
}

static void embedding_bag_forward(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t dim = h->node->channels;
    const int averages = bag_averages(h->node);
    const real *w = h->arrays[0];
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        real *y = (real *)h->y.at + i * h->y.ld;
        fetch_bags(h, i, pass->own.end, w, dim);
        bag_row(h->compressed, row_at_place(h->order, i), averages, w, dim, y);
        finish_row(h, i, y);
    }
}

static void embedding_bag_gradients(struct here *h, const struct pass *pass, struct births *births, struct team *me) {
    if (h->wanted[0]) matrix_gradient(h, h->prepared, 0, pass, births, me);
}

static const struct kind embedding_bag_kind = {
    .name = "embedding_bag", .sizes = "n dim", .numbers = "mean",
    .shape = embedding_bag_shape, .needs = embedding_bag_needs, .sharing = SHARES_ROWS,
    .backward_reads = GRADIENTS_READ_INPUT, .reads_compressed = 1,
    .prepare = embedding_bag_prepare, .forward = embedding_bag_forward, .gradients = embedding_bag_gradients,
};
