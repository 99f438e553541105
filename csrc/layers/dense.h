/* Y = scale X W + b: X[rows x n_in], W[n_in x n_out], b[n_out]; scale is a number, mostly 1. */

enum {
    DENSE_WEIGHT,
    DENSE_BIAS,
    FEW_ROWS = 8,      /* of W a member; with fewer, members share its columns */
    ROWS_ASIDE = 256   /* of a gradient that is computed aside, at most */
};

/* Nanoseconds of a multiply-add, and of what else a layer does for one output. */
static const double PRODUCT_NS = 0.01, OUTPUT_NS = 0.05;
/* What a compressed row is taken for: so many entries, each of which is fetched in so many nanoseconds. */
static const double ENTRIES = 32, ENTRY_NS = 4;

/* Whether there is a scale. */
ALWAYS_INLINE int is_scaled(const struct schuss_node *node) { return node->numbers[1] != 1; }
/* Gives it to the end of a product. */
ALWAYS_INLINE void put_scale(const struct here *h, struct tile_end *end) {
    end->scaled = is_scaled(h->node);
    end->beta = h->node->numbers[1];
}

/* The products of a node, filled when the plan is laid. Passes set only what they bring. */
struct dense_products {
    int aside; /* whether a part of the gradient by the input is scaled and then added to what is there */
    struct gemm forward, gradient, down[]; /* down: one for each part */
};

static const char *dense_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,
                               struct schuss_array *arrays, int *n_arrays) {
    const ptrdiff_t n_out = node->sizes[1];
    if (in->storage == SCHUSS_INDEX) return "input";
    if (node->sizes[0] != in->channels) return "n_in";
    if (n_out < 1) return "n_out";
    *out = (struct shape){n_out, SCHUSS_REAL, 0};
    arrays[(*n_arrays)++] = matrix_array("weight", in->channels, n_out);
    if (node->numbers[0] != 0)
        arrays[(*n_arrays)++] = vector_array("bias", n_out, 1);
    return NULL;
}

/* Bytes of some rows of the gradient by X, which begin at a multiple of 64. */
static ptrdiff_t aside_bytes(ptrdiff_t rows, ptrdiff_t n_in) {
    const ptrdiff_t together = rows < ROWS_ASIDE ? rows : ROWS_ASIDE;
    if (n_in > PTRDIFF_MAX / 8 / (ptrdiff_t)sizeof(real) / ROWS_ASIDE) return PTRDIFF_MAX / 4;
    return (together * n_in * (ptrdiff_t)sizeof(real) + 63) / 64 * 64;
}

/* What a product with compressed rows of n columns needs; nobody says how many entries a row has. */
static struct needs compressed_needs(ptrdiff_t n, ptrdiff_t rows, int passes, size_t prepared) {
    return (struct needs){
        .scratch = passes == SCHUSS_FORWARD_ONLY ? 0 : sparse_scratch(n, rows),
        .prepared = (ptrdiff_t)prepared,
        .nanoseconds = ENTRIES * (ENTRY_NS + PRODUCT_NS * (double)n) + OUTPUT_NS * (double)n,
    };
}

static struct needs dense_needs(const struct schuss_node *node, const struct shape *in, ptrdiff_t rows, int passes) {
    const ptrdiff_t n_in = in->channels, n_out = node->channels, item = sizeof(real);
    ptrdiff_t scratch[4] = {gemm_scratch(rows, n_out, n_in, END_FORWARD)}, most = 0;
    if (in->storage == SCHUSS_SPARSE) return compressed_needs(n_out, rows, passes, sizeof(struct dense_products));
    if (passes != SCHUSS_FORWARD_ONLY) {
        scratch[1] = gemm_scratch(n_in, n_out, rows, END_CONSUME);
        scratch[2] = gemm_scratch(rows, n_in, n_out, END_BACKWARD);
        if (is_scaled(node)) scratch[2] += aside_bytes(rows, n_in);
        if (node->inputs[0] == 0) scratch[3] = sparse_scratch(n_out, rows);
    }
    for (int i = 0; i < 4; i++) most = scratch[i] > most ? scratch[i] : most;
    return (struct needs){
        .scratch = most,
        .prepared = (ptrdiff_t)(sizeof(struct dense_products) + (size_t)node->input_parts * sizeof(struct gemm)),
        .weights = n_in > PTRDIFF_MAX / n_out / item ? PTRDIFF_MAX : n_in * n_out * item,
        .nanoseconds = (double)n_out * (PRODUCT_NS * (double)n_in + OUTPUT_NS),
    };
}

static void dense_prepare(struct here *h) {
    struct dense_products *products = h->prepared;
    const ptrdiff_t n = h->node->channels;
    products->aside = 0;
    products->forward = (struct gemm){
        .n = n, .k = h->channels, .a_row = h->x.ld, .a_col = 1, .b = h->arrays[DENSE_WEIGHT], .ldb = n,
        .ldc = h->y.ld, .end = h->end,
    };
    put_scale(h, &products->forward.end);
    products->forward.end.bias = h->arrays[DENSE_BIAS];
    for (int k = 0; k < h->n_parts; k++) {
        const struct part *part = &h->parts[k];
        products->down[k] = (struct gemm){
            .n = part->n, .k = n, .a = h->dy.at, .a_row = h->dy.ld, .a_col = 1,
            .b = (const real *)h->arrays[DENSE_WEIGHT] + part->first * n, .ldb = n, .b_transposed = 1,
            .start = part->start.at, .ld_start = part->start.ld, .ldc = part->d.ld,
            .end = part->end,
        };
        put_scale(h, &products->down[k].end);
        products->aside |= products->down[k].end.scaled && part->start.ld; /* inputs get theirs later */
    }
    products->gradient = (struct gemm){
        .m = h->channels, .n = n, .a_row = 1, .a_col = h->x.ld, .b = h->dy.at, .ldb = h->dy.ld,
        .c = h->gradients[DENSE_WEIGHT], .ldc = n,
    };
}

/* The member's part of product g: some columns or some rows of C. Returns what gemm does. */
ALWAYS_INLINE int member_product(const struct here *h, const struct gemm *g, struct share rows, int by_columns,
                                 const struct team *me) {
    if (me->count == 1) return gemm(g, 0, g->m, 0, g->n, h->scratch);
    if (by_columns) {
        const struct share columns = own_columns(g->n, me);
        return gemm(g, 0, g->m, columns.first, columns.end, h->scratch);
    }
    return gemm(g, rows.first, rows.end, 0, g->n, h->scratch);
}

static void dense_forward(struct here *h, const struct pass *pass, struct team *me) {
    struct gemm *g = &((struct dense_products *)h->prepared)->forward;
    g->m = pass->rows;
    g->a = h->x.at;
    g->a_row = h->compressed ? 0 : h->x.ld; /* 1 would be the transposed */
    g->compressed = h->compressed;
    g->order = h->order;
    g->c = h->y.at;
    g->end.activation = h->end.activation;
    g->end.add = h->end.add;
    member_product(h, g, pass->own, pass->by_columns, me);
}

/* The gradient by the input of the member's own rows or columns, some rows at a time computed aside and handed over:
 * where sums pass through C, a product cannot scale them and then add what is there. */
static __attribute__((noinline, cold)) void dense_down_aside(const struct here *h, const struct pass *pass, const struct team *me) {
    const ptrdiff_t n = h->node->channels, n_in = h->channels;
    const struct share rows = pass->by_columns ? (struct share){0, pass->rows} : pass->own;
    const struct share columns = pass->by_columns ? own_columns(n_in, me) : (struct share){0, n_in};
    const ptrdiff_t cols = columns.end - columns.first;
    real *room = (real *)h->scratch;
    char *scratch = h->scratch + aside_bytes(pass->rows, n_in);
    if (cols < 1) return;
    for (ptrdiff_t i0 = rows.first, i1; i0 < rows.end; i0 = i1) {
        i1 = i0 + ROWS_ASIDE < rows.end ? i0 + ROWS_ASIDE : rows.end;
        struct gemm g = {
            .m = i1 - i0, .n = cols, .k = n, .a = (const real *)h->dy.at + i0 * h->dy.ld, .a_row = h->dy.ld, .a_col = 1,
            .b = (const real *)h->arrays[DENSE_WEIGHT] + columns.first * n, .ldb = n, .b_transposed = 1,
            .c = room, .ldc = cols,
        };
        put_scale(h, &g.end);
        h->kernels->gemm(&g, 0, g.m, 0, cols, scratch);
        hand_over(h, i0, i1 - i0, columns.first, cols, room);
    }
}

static void dense_down(struct here *h, const struct pass *pass, struct team *me) {
    if (((struct dense_products *)h->prepared)->aside) {
        dense_down_aside(h, pass, me);
        return;
    }
    for (int k = 0; k < h->n_parts; k++) {
        struct gemm *g = &((struct dense_products *)h->prepared)->down[k];
        g->m = pass->rows;
        g->c = h->parts[k].d.at;
        g->start = h->parts[k].start.at;
        member_product(h, g, pass->own, pass->by_columns, me);
    }
}

/* The gradient of array 0, a matrix, by the product g, whose B is there: X transposed times it. */
ALWAYS_INLINE void matrix_gradient(struct here *h, struct gemm *g, int scaled, const struct pass *pass,
                                   struct births *births, struct team *me) {
    struct birth born;
    g->k = pass->rows;
    g->a = h->x.at;
    g->compressed = h->compressed;
    g->order = h->order;
    g->end = (struct tile_end){0};
    if (births) {
        born = birth_of(births, h->kernels, h->node->first_array, g->n);
        g->end = birth_end(&born);
    }
    if (scaled) put_scale(h, &g->end);
    /* Rules like long pieces: whole rows of weights, unless they are few. */
    const int by_columns = g->m < FEW_ROWS * me->count && g->n > g->m;
    const int found = member_product(h, g, own_rows(g->m, me), by_columns, me);
    if (births) births->nonfinite |= found;
}

static void dense_gradients(struct here *h, const struct pass *pass, struct births *births, struct team *me) {
    struct gemm *g = &((struct dense_products *)h->prepared)->gradient;
    const ptrdiff_t n = g->n, weight = h->node->first_array;
    if (h->wanted[DENSE_WEIGHT]) matrix_gradient(h, g, is_scaled(h->node), pass, births, me);
    if (h->node->n_arrays < 2 || !h->wanted[DENSE_BIAS]) return;
    const struct share own = own_columns(n, me);
    if (own.first == own.end) return;
    if (births && pass->rows == 1) { /* the gradient itself */
        const struct birth born = birth_of(births, h->kernels, (int)weight + DENSE_BIAS, 1);
        births->nonfinite |= birth_update(&born, own.first, own.end - own.first, (const real *)h->dy.at + own.first);
        return;
    }
    column_sums(pass->rows, own.first, own.end, h->dy.at, h->dy.ld, h->gradients[DENSE_BIAS]);
    vector_born(h, births, DENSE_BIAS, own.first, own.end);
}

static const struct kind dense_kind = {
    .name = "dense", .sizes = "n_in n_out", .numbers = "bias scale",
    .shape = dense_shape, .needs = dense_needs, .sharing = SHARES_EITHER,
    .backward_reads = GRADIENTS_READ_INPUT, .reads_compressed = 1,
    .prepare = dense_prepare, .forward = dense_forward, .down = dense_down, .gradients = dense_gradients,
};
