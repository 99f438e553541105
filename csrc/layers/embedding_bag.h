/* Sums of rows of a table: compressed rows X[rows x n], table W[n x dim] -> Y[rows x dim]. Row i of Y is the sum over the
 * entries of row i of X of value * W[column], in one chain of fused multiply-adds in their order; of the mean, divided
 * by how many entries there are. A row without any gives zeros. The gradient by W is X transposed times dY, by the law of
 * products; of the mean, each value counts divided by the entries of its row. */

enum {
    BAG_AHEAD = 16,       /* entries whose rows of the table are fetched ahead */
    BAG_ROWS_AHEAD = 4    /* rows of X whose entries are */
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

/* Columns [0, cols), (nv - 1) * LANES < cols <= nv * LANES, of rows [first, end) of Y, whose rows lie ldy apart. w: the
 * table from the first of these columns on. order: as in struct here. */
struct bags {
    const struct schuss_compressed *x;
    const int64_t *order;
    ptrdiff_t first, end;
    int averages;
    const real *w;
    ptrdiff_t dim;
    ptrdiff_t cols;
    real *y;
    ptrdiff_t ldy;
};

/* Asks for the columns of the row of the table that entry k names. */
ALWAYS_INLINE void fetch_entry(const int nv, const struct schuss_compressed *x, int64_t k, const struct bags *b) {
    const real *row = b->w + column_at(x, k) * b->dim;
#pragma GCC unroll 8
    for (int j = 0; j < nv; j++) __builtin_prefetch(row + j * LANES);
}

/* Asks for what rows order[i + 1], ... will read: where their entries begin, their columns, and their rows of the table. */
ALWAYS_INLINE void fetch_bags(const int nv, const struct schuss_compressed *x, ptrdiff_t i, const struct bags *b) {
    const int64_t *order = b->order;
    if (i + 2 * BAG_ROWS_AHEAD < b->end) __builtin_prefetch(x->start + order[i + 2 * BAG_ROWS_AHEAD]);
    if (i + BAG_ROWS_AHEAD < b->end) {
        const int64_t first = x->start[order[i + BAG_ROWS_AHEAD]];
        __builtin_prefetch((const char *)x->indices + first * (x->wide ? 8 : 4));
        __builtin_prefetch((const real *)x->data + first);
    }
    if (i + 1 >= b->end) return;
    const int64_t first = x->start[order[i + 1]], all = x->start[order[i + 1] + 1];
    for (int64_t k = first; k < all && k < first + BAG_AHEAD; k++) fetch_entry(nv, x, k, b);
}

/* Columns of entries are int64_t if wide. */
ALWAYS_INLINE void sum_bags(const int nv, const int wide, const struct bags *given) {
    const struct bags b = *given;
    const struct schuss_compressed x = {b.x->start, b.x->indices, wide, b.x->data};
    const vmask last = v_mask(b.cols - (nv - 1) * LANES);
    const int64_t all = b.order ? 0 : x.start[b.end]; /* entries of rows in order lie one after the other */
    for (ptrdiff_t i = b.first; i < b.end; i++) {
        const int64_t place = row_at_place(b.order, i), first = x.start[place], end = x.start[place + 1];
        const int64_t fetched = b.order ? end : all;
        real *y = b.y + i * b.ldy;
        vec sum[WIDE_VECS];
        if (b.order) fetch_bags(nv, &x, i, &b);
#pragma GCC unroll 8
        for (int j = 0; j < nv; j++) sum[j] = v_set1(0);
        for (int64_t k = first; k < end; k++) {
            const real *row = b.w + column_at(&x, k) * b.dim;
            const vec value = v_set1(((const real *)x.data)[k]);
            if (k + BAG_AHEAD < fetched) fetch_entry(nv, &x, k + BAG_AHEAD, &b);
#pragma GCC unroll 8
            for (int j = 0; j < nv; j++)
                sum[j] = v_fma(value, j < nv - 1 ? v_load(row + j * LANES) : v_load_m(row + j * LANES, last), sum[j]);
        }
        if (b.averages && end > first) {
            const vec count = v_set1((real)(end - first));
#pragma GCC unroll 8
            for (int j = 0; j < nv; j++) sum[j] /= count;
        }
#pragma GCC unroll 8
        for (int j = 0; j < nv - 1; j++) v_store(y + j * LANES, sum[j]);
        v_store_m(y + (nv - 1) * LANES, sum[nv - 1], last);
    }
}

static void sum_wide_or_narrow_bags(const struct bags *b) {
#define BAGS_OF(NV) case NV: if (b->x->wide) sum_bags(NV, 1, b); else sum_bags(NV, 0, b); break;
    switch ((b->cols + LANES - 1) / LANES) {
        BAGS_OF(1) BAGS_OF(2) BAGS_OF(3) BAGS_OF(4) BAGS_OF(5) BAGS_OF(6) BAGS_OF(7) BAGS_OF(8)
    }
#undef BAGS_OF
}

static void embedding_bag_forward(struct here *h, const struct pass *pass, struct team *me) {
    enum { MOST = WIDE_VECS * LANES };
    const ptrdiff_t dim = h->node->channels, rows = pass->own.end - pass->own.first;
    (void)me;
    if (rows < 1) return;
    for (ptrdiff_t j = 0; j < dim; j += MOST) {
        const struct bags b = {
            .x = h->compressed, .order = h->order, .first = pass->own.first, .end = pass->own.end,
            .averages = bag_averages(h->node), .w = (const real *)h->arrays[0] + j, .dim = dim,
            .cols = dim - j < MOST ? dim - j : MOST, .y = (real *)h->y.at + j, .ldy = h->y.ld,
        };
        sum_wide_or_narrow_bags(&b);
    }
    finish_some(h, pass->own.first, rows, (real *)h->y.at + pass->own.first * h->y.ld);
}

static void embedding_bag_gradients(struct here *h, const struct pass *pass, struct births *births, struct team *me) {
    if (h->table && h->wanted[0]) touched_gradients(h, pass, 1, births, me);
    else if (h->wanted[0]) matrix_gradient(h, h->prepared, 0, pass, births, me);
}

static const struct kind embedding_bag_kind = {
    .name = "embedding_bag", .sizes = "n dim", .numbers = "mean",
    .shape = embedding_bag_shape, .needs = embedding_bag_needs, .sharing = SHARES_ROWS,
    .backward_reads = GRADIENTS_READ_INPUT, .reads_compressed = 1, .touches_rows = 1,
    .prepare = embedding_bag_prepare, .forward = embedding_bag_forward, .gradients = embedding_bag_gradients,
};
