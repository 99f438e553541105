/* Y_j = X_j W_j + b_j for each of g groups of columns: X[rows x (g n_in)], W[g x n_in x n_out], b[g x n_out]
 * -> Y[rows x (g n_out)]. Each group is a product of its own. Products are called through the table: the compiler
 * inlines them into a dense layer, whose smallest steps take no longer than a few calls, and not everywhere. */

enum {
    GROUPED_ROWS = 256, /* rows that go through all groups together, so that their results are in cache at the end */
    GROUPED_TOGETHER = 32 * 1024 / sizeof(real) /* elements of gradients that go through the rule together, at least */
};

static const char *grouped_dense_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,
                                       struct schuss_array *arrays, int *n_arrays) {
    const ptrdiff_t groups = node->sizes[0], n_in = node->sizes[1], n_out = node->sizes[2];
    if (in->storage != SCHUSS_REAL) return "input";
    if (groups < 1 || in->channels % groups) return "groups";
    if (n_in != in->channels / groups) return "n_in";
    if (n_out < 1 || n_out > PTRDIFF_MAX / groups) return "n_out";
    *out = (struct shape){groups * n_out, SCHUSS_REAL, 0};
    arrays[*n_arrays] = matrix_array("weight", n_in, n_out);
    arrays[*n_arrays].ndim = 3;
    arrays[(*n_arrays)++].matrices = groups;
    if (node->numbers[0] != 0) arrays[(*n_arrays)++] = matrix_array("bias", groups, n_out);
    return NULL;
}

static struct needs grouped_dense_needs(const struct schuss_node *node, const struct shape *in, ptrdiff_t rows,
                                        int passes) {
    const ptrdiff_t n_in = node->sizes[1], n_out = node->sizes[2], item = sizeof(real);
    ptrdiff_t scratch[3] = {gemm_scratch(rows < GROUPED_ROWS ? rows : GROUPED_ROWS, n_out, n_in, END_FORWARD)}, most = 0;
    if (passes != SCHUSS_FORWARD_ONLY) {
        scratch[1] = gemm_scratch(n_in, n_out, rows, END_NONE);
        scratch[2] = gemm_scratch(rows < GROUPED_ROWS ? rows : GROUPED_ROWS, n_in, n_out, END_BACKWARD);
    }
    for (int i = 0; i < 3; i++) most = scratch[i] > most ? scratch[i] : most;
    return (struct needs){
        .scratch = most,
        .weights = in->channels > PTRDIFF_MAX / n_out / item ? PTRDIFF_MAX : in->channels * n_out * item,
        .nanoseconds = (double)node->channels * (PRODUCT_NS * (double)n_in + 2 * OUTPUT_NS),
    };
}

/* Element `col` of a row of an array of an end; NULL if there is no array. */
ALWAYS_INLINE void *from_column(const void *array, ptrdiff_t col) {
    return array ? (real *)(uintptr_t)array + col : NULL;
}

/* What is done in registers anyway is done there, all else in one pass over whole rows: groups may be narrow. */
static void grouped_dense_forward(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t groups = h->node->sizes[0], n_in = h->node->sizes[1], n_out = h->node->sizes[2];
    const real *w = h->arrays[DENSE_WEIGHT], *b = h->arrays[DENSE_BIAS];
    const int at_once = finishes_in_registers(&h->end);
    struct gemm g = {.m = pass->rows, .n = n_out, .k = n_in, .a_row = h->x.ld, .a_col = 1, .ldb = n_out, .ldc = h->y.ld,
                     .end = {.kind = END_FORWARD}};
    (void)me;
    if (at_once) g.end = h->end;
    for (ptrdiff_t i0 = pass->own.first, i1; i0 < pass->own.end; i0 = i1) {
        i1 = i0 + GROUPED_ROWS < pass->own.end ? i0 + GROUPED_ROWS : pass->own.end;
        for (ptrdiff_t j = 0; j < groups; j++) {
            g.a = (const real *)h->x.at + j * n_in;
            g.b = w + j * n_in * n_out;
            g.c = (real *)h->y.at + j * n_out;
            g.end.bias = from_column(b, j * n_out);
            if (at_once) g.end.add = from_column(h->end.add, j * n_out);
            h->kernels->gemm(&g, i0, i1, 0, n_out, h->scratch);
        }
        if (!at_once)
            h->kernels->finish_rows(&h->end, i1 - i0, groups * n_out, (real *)h->y.at + i0 * h->y.ld, h->y.ld, i0, 0);
    }
}

/* Columns [from, to) of the gradient by the input, which lie in group j and in `part`: rows [i0, i1). */
static void grouped_dense_part(const struct here *h, const struct part *part, ptrdiff_t j, ptrdiff_t from, ptrdiff_t to,
                               ptrdiff_t i0, ptrdiff_t i1) {
    const ptrdiff_t n_out = h->node->sizes[2];
    const struct gemm g = {
        .m = i1, .n = part->n, .k = n_out, .a = (const real *)h->dy.at + j * n_out, .a_row = h->dy.ld, .a_col = 1,
        .b = (const real *)h->arrays[DENSE_WEIGHT] + part->first * n_out, .ldb = n_out, .b_transposed = 1,
        .start = part->start.at, .ld_start = part->start.ld, .c = part->d.at, .ldc = part->d.ld, .end = part->end,
    };
    h->kernels->gemm(&g, i0, i1, from - part->first, to - part->first, h->scratch);
}

static void grouped_dense_down(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t n_in = h->node->sizes[1];
    (void)me;
    for (ptrdiff_t i0 = pass->own.first, i1; i0 < pass->own.end; i0 = i1) {
        i1 = i0 + GROUPED_ROWS < pass->own.end ? i0 + GROUPED_ROWS : pass->own.end;
        for (int k = 0; k < h->n_parts; k++) {
            const struct part *part = &h->parts[k];
            const ptrdiff_t end = part->first + part->n;
            for (ptrdiff_t from = part->first, to; from < end; from = to) {
                const ptrdiff_t j = from / n_in;
                to = (j + 1) * n_in < end ? (j + 1) * n_in : end;
                grouped_dense_part(h, part, j, from, to, i0, i1);
            }
        }
    }
}

/* Row r of group j's gradient is row j n_in + r of a matrix of n_out columns, and column j n_in + r of X belongs to it:
 * a part of one product's rows, if only group j's columns of dy were all of them. */
static void grouped_dense_gradients(struct here *h, const struct pass *pass, struct births *births, struct team *me) {
    const ptrdiff_t groups = h->node->sizes[0], n_in = h->node->sizes[1], n_out = h->node->sizes[2];
    const ptrdiff_t first = share_start(groups, 1, me->index, me->count);
    const ptrdiff_t end = share_start(groups, 1, me->index + 1, me->count), each = n_in * n_out;
    if (first >= end) return;
    if (h->wanted[DENSE_WEIGHT]) {
        struct gemm g = {.m = groups * n_in, .n = n_out, .k = pass->rows, .a = h->x.at, .a_row = 1, .a_col = h->x.ld,
                         .ldb = h->dy.ld, .c = h->gradients[DENSE_WEIGHT], .ldc = n_out};
        ptrdiff_t born = first; /* groups before this one are updated */
        for (ptrdiff_t j = first; j < end; j++) {
            g.b = (const real *)h->dy.at + j * n_out;
            h->kernels->gemm(&g, j * n_in, (j + 1) * n_in, 0, n_out, h->scratch);
            if ((j + 1 - born) * each < GROUPED_TOGETHER && j + 1 < end) continue;
            vector_born(h, births, DENSE_WEIGHT, born * each, (j + 1) * each);
            born = j + 1;
        }
    }
    if (h->node->n_arrays < 2 || !h->wanted[DENSE_BIAS]) return;
    h->kernels->column_sums(pass->rows, first * n_out, end * n_out, h->dy.at, h->dy.ld, h->gradients[DENSE_BIAS]);
    vector_born(h, births, DENSE_BIAS, first * n_out, end * n_out);
}

static const struct kind grouped_dense_kind = {
    .name = "grouped_dense", .sizes = "groups n_in n_out", .numbers = "bias",
    .shape = grouped_dense_shape, .needs = grouped_dense_needs, .sharing = SHARES_ROWS,
    .backward_reads = GRADIENTS_READ_INPUT,
    .forward = grouped_dense_forward, .down = grouped_dense_down, .gradients = grouped_dense_gradients,
};
