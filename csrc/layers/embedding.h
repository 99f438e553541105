/* Rows of a table: codes X[rows x n], table W[codes x dim] -> Y[rows x (n dim)], the rows of W that the codes name,
 * side by side. A code that is not in the table counts as a row of zeros and sets pass->fault. */

static const char *embedding_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,
                                   struct schuss_array *arrays, int *n_arrays) {
    if (in->storage != SCHUSS_INDEX) return "input";
    if (node->sizes[0] < 1) return "n";
    if (node->sizes[1] < 1 || node->sizes[1] > PTRDIFF_MAX / in->channels) return "dim";
    *out = (struct shape){in->channels * node->sizes[1], SCHUSS_REAL, 0};
    arrays[(*n_arrays)++] = matrix_array("weight", node->sizes[0], node->sizes[1]);
    return NULL;
}

/* Elements of the table's gradient that go through the rule together; a row does, however long. */
enum { EMBEDDING_BLOCK = 32 * 1024 / sizeof(real) };

/* Scratch of the gradient: where the places of each row of the table begin, and the places. A member has its own rows
 * of the table, but all places may be theirs. */
static struct needs embedding_needs(const struct schuss_node *node, const struct shape *in, ptrdiff_t rows,
                                    int passes) {
    const ptrdiff_t table = node->sizes[0], dim = node->sizes[1];
    ptrdiff_t places, scratch = 0;
    if (passes != SCHUSS_FORWARD_ONLY &&
        (__builtin_mul_overflow(rows, in->channels, &places) || __builtin_add_overflow(places, table + 2, &places) ||
         __builtin_mul_overflow(places, (ptrdiff_t)sizeof(ptrdiff_t), &scratch)))
        scratch = PTRDIFF_MAX / 4;
    if (scratch) scratch += (dim > EMBEDDING_BLOCK ? dim : EMBEDDING_BLOCK) * (ptrdiff_t)sizeof(real) + 128;
    return (struct needs){.scratch = scratch, .nanoseconds = (double)node->channels * OUTPUT_NS};
}

/* The row of the table that a code names, or -1. */
ALWAYS_INLINE ptrdiff_t row_of_code(int64_t code, ptrdiff_t table) {
    return code >= 0 && code < (int64_t)table ? (ptrdiff_t)code : -1;
}

/* to[n] = from[n] */
ALWAYS_INLINE void copy_short(ptrdiff_t n, const real *from, real *to) {
    ptrdiff_t j = 0;
    for (; j + LANES <= n; j += LANES) v_store(to + j, v_load(from + j));
    if (j < n) v_store_m(to + j, v_load_m(from + j, v_mask(n - j)), v_mask(n - j));
}

static void embedding_forward(struct here *h, const struct pass *pass, struct team *me) {
    enum { AHEAD = 8 };
    const ptrdiff_t table = h->node->sizes[0], dim = h->node->sizes[1], n = h->channels;
    const real *w = h->arrays[0];
    int bad = 0;
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        const int64_t *codes = (const int64_t *)h->x.at + i * n;
        real *y = (real *)h->y.at + i * h->y.ld;
        for (ptrdiff_t c = 0; c < n; c++) {
            const ptrdiff_t row = row_of_code(codes[c], table);
            if (c + AHEAD < n && row_of_code(codes[c + AHEAD], table) >= 0)
                __builtin_prefetch(w + codes[c + AHEAD] * dim);
            if (row >= 0) copy_short(dim, w + row * dim, y + c * dim);
            else {
                bad = 1;
                memset(y + c * dim, 0, (size_t)dim * sizeof(real));
            }
        }
        finish_row(h, i, y);
    }
    if (bad) __atomic_store_n(pass->fault, 1, __ATOMIC_RELAXED);
}

/* out[dim] = the sum over `count` places of dy's dim elements there, in increasing place, by the law of
 * column_sums(). */
static void sum_places(ptrdiff_t count, const ptrdiff_t *places, ptrdiff_t dim, const real *dy, real *out) {
    for (ptrdiff_t j = 0; j < dim; j += LANES) {
        const vmask lanes = v_mask(dim - j);
        double total[LANES] = {0};
        vec sum = v_set1(0);
        for (ptrdiff_t k = 0; k < count; k++) {
            if (k && k % COLUMN_BLOCK == 0) {
                for (int l = 0; l < LANES; l++) total[l] += (double)sum[l];
                sum = v_set1(0);
            }
            sum += v_load_m(dy + places[k] + j, lanes);
        }
        if (count > COLUMN_BLOCK)
            for (int l = 0; l < LANES; l++) sum[l] = (real)(total[l] + (double)sum[l]);
        v_store_m(out + j, sum, lanes);
    }
}

/* Where the gradients of the codes [rows x n] lie that name a row first <= r < end of the table: element (i, c) of the
 * codes has them from i ldd + c dim on. Those of row r are places[start[r - first]] to places[start[r - first + 1]], in
 * increasing order: a stable sort by counting. */
static void sort_places(ptrdiff_t rows, ptrdiff_t n, const int64_t *codes, ptrdiff_t ldd, ptrdiff_t dim,
                        ptrdiff_t first, ptrdiff_t end, ptrdiff_t *start, ptrdiff_t *places) {
    const uint64_t own = (uint64_t)(end - first);
    memset(start, 0, (size_t)(own + 2) * sizeof *start);
    for (ptrdiff_t i = 0; i < rows * n; i++) {
        const uint64_t r = (uint64_t)codes[i] - (uint64_t)first;
        if (r < own) start[r + 2]++;
    }
    for (uint64_t r = 2; r < own + 2; r++) start[r] += start[r - 1];
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t c = 0; c < n; c++) {
            const uint64_t r = (uint64_t)codes[i * n + c] - (uint64_t)first;
            if (r < own) places[start[r + 1]++] = i * ldd + c * dim;
        }
}

/* Each row of the table's gradient is the sum of dy over the places that name it, in increasing place. */
static void embedding_gradients(struct here *h, const struct pass *pass, struct births *births, struct team *me) {
    const ptrdiff_t table = h->node->sizes[0], dim = h->node->sizes[1], n = h->channels;
    if (h->table) {
        if (h->wanted[0]) touched_gradients(h, pass, 1, births, me);
        return;
    }
    const ptrdiff_t first = share_start(table, 16, me->index, me->count);
    const ptrdiff_t end = share_start(table, 16, me->index + 1, me->count);
    if (!h->wanted[0] || first >= end) return;
    ptrdiff_t *start = (ptrdiff_t *)(void *)h->scratch, *places = start + (end - first) + 2;
    real *block = (real *)(((uintptr_t)(places + pass->rows * n) + 63) & ~(uintptr_t)63);
    const ptrdiff_t together = EMBEDDING_BLOCK / dim > 0 ? EMBEDDING_BLOCK / dim : 1;
    struct birth born;
    if (births) born = birth_of(births, h->kernels, h->node->first_array, dim);
    sort_places(pass->rows, n, h->x.at, h->dy.ld, dim, first, end, start, places);
    for (ptrdiff_t r0 = first; r0 < end; r0 += together) {
        const ptrdiff_t r1 = r0 + together < end ? r0 + together : end;
        real *g = births ? block : (real *)h->gradients[0] + r0 * dim;
        for (ptrdiff_t r = r0; r < r1; r++) {
            const ptrdiff_t *p = places + start[r - first];
            sum_places(start[r - first + 1] - start[r - first], p, dim, h->dy.at, g + (r - r0) * dim);
        }
        if (births) births->nonfinite |= birth_update(&born, r0 * dim, (r1 - r0) * dim, block);
    }
}

static const struct kind embedding_kind = {
    .name = "embedding", .sizes = "n dim", .numbers = "",
    .shape = embedding_shape, .needs = embedding_needs, .sharing = SHARES_ROWS,
    .backward_reads = GRADIENTS_READ_INPUT, .touches_rows = 1,
    .forward = embedding_forward, .gradients = embedding_gradients,
};
