/* Products whose A is compressed rows, or such rows transposed. Each element of C is the chains of fused multiply-adds
 * of struct gemm without those where A is zero, which would change nothing: the same bits. There is no start. */

/* The row of compressed rows that is row i of a product. */
ALWAYS_INLINE int64_t row_at_place(const int64_t *order, ptrdiff_t i) { return order ? order[i] : i; }

ALWAYS_INLINE int64_t column_at(const struct schuss_compressed *x, int64_t k) {
    return x->wide ? ((const int64_t *)x->indices)[k] : ((const int32_t *)x->indices)[k];
}

/* Columns [col, col + cols), (nv - 1) * LANES < cols <= nv * LANES, of row i of C. */
ALWAYS_INLINE void sparse_row(const int nv, const struct gemm *g, ptrdiff_t i, ptrdiff_t col, ptrdiff_t cols) {
    const struct schuss_compressed *x = g->compressed;
    const int64_t row = row_at_place(g->order, i);
    const vmask last = v_mask(cols - (nv - 1) * LANES);
    vec sum[WIDE_VECS];
    real before[WIDE_VECS * LANES]; /* the sums of the blocks of LONG_K columns before this one */
    int64_t k = x->start[row], block_end = LONG_K;
    const int64_t end = x->start[row + 1];
#pragma GCC unroll 8
    for (int j = 0; j < nv; j++) v_store(before + j * LANES, v_set1(0));
    for (int several = 0;; several = 1) {
#pragma GCC unroll 8
        for (int j = 0; j < nv; j++) sum[j] = v_set1(0);
        int64_t column = 0;
        for (; k < end && (column = column_at(x, k)) < block_end; k++) {
            const real *b = (const real *)g->b + column * g->ldb + col;
            const vec a = v_set1(((const real *)x->data)[k]);
#pragma GCC unroll 8
            for (int j = 0; j < nv; j++)
                sum[j] = v_fma(a, j < nv - 1 ? v_load(b + j * LANES) : v_load_m(b + j * LANES, last), sum[j]);
        }
        if (several) {
#pragma GCC unroll 8
            for (int j = 0; j < nv; j++) sum[j] += v_load(before + j * LANES);
        }
        if (k == end) break;
#pragma GCC unroll 8
        for (int j = 0; j < nv; j++) v_store(before + j * LANES, sum[j]);
        block_end = (column / LONG_K + 1) * LONG_K; /* blocks without an entry are zero */
    }
    finish(1, nv, sum, last, &g->end, i, col);
    real *c = (real *)g->c + i * g->ldc + col;
#pragma GCC unroll 8
    for (int j = 0; j < nv - 1; j++) v_store(c + j * LANES, sum[j]);
    v_store_m(c + (nv - 1) * LANES, sum[nv - 1], last);
}

/* C[row0, row1) x [col0, col1) where A is the compressed rows order[0], order[1], ... */
static void sparse_rows(const struct gemm *g, ptrdiff_t row0, ptrdiff_t row1, ptrdiff_t col0, ptrdiff_t col1) {
    enum { MOST = WIDE_VECS * LANES };
    for (ptrdiff_t i = row0; i < row1; i++) {
        for (ptrdiff_t j = col0; j < col1; j += MOST) {
            const ptrdiff_t cols = col1 - j < MOST ? col1 - j : MOST;
            switch ((cols + LANES - 1) / LANES) {
            case 1: sparse_row(1, g, i, j, cols); break;
            case 2: sparse_row(2, g, i, j, cols); break;
            case 3: sparse_row(3, g, i, j, cols); break;
            case 4: sparse_row(4, g, i, j, cols); break;
            case 5: sparse_row(5, g, i, j, cols); break;
            case 6: sparse_row(6, g, i, j, cols); break;
            case 7: sparse_row(7, g, i, j, cols); break;
            default: sparse_row(8, g, i, j, cols);
            }
        }
        real *c = (real *)g->c + i * g->ldc + col0;
        if (!finishes_in_registers(&g->end)) finish_rows(&g->end, 1, col1 - col0, c, g->ldc, i, col0);
    }
}

/* c[n] = fma(a, b[n], c[n]). */
ALWAYS_INLINE void add_row(ptrdiff_t n, real a, const real *b, real *c) {
    const vec times = v_set1(a);
    ptrdiff_t j = 0;
    for (; j + LANES <= n; j += LANES) v_store(c + j, v_fma(times, v_load(b + j), v_load(c + j)));
    if (j < n) {
        const vmask rest = v_mask(n - j);
        v_store_m(c + j, v_fma(times, v_load_m(b + j, rest), v_load_m(c + j, rest)), rest);
    }
}

/* Rows of C that are summed together, while all rows of B pass. */
static ptrdiff_t sparse_height(ptrdiff_t n) {
    const ptrdiff_t most = CONSUMED_BYTES / (ptrdiff_t)sizeof(real) / n;
    return most > 0 ? most : 1;
}

/* C[row0, row1) x [col0, col1) where A is compressed rows transposed: row i of C belongs to column i of them. scratch:
 * sparse_scratch() bytes. */
static int sparse_columns(const struct gemm *g, ptrdiff_t row0, ptrdiff_t row1, ptrdiff_t col0, ptrdiff_t col1,
                          void *scratch) {
    const struct schuss_compressed *x = g->compressed;
    const ptrdiff_t n = col1 - col0, height = sparse_height(g->n);
    const int consumes = g->end.kind == END_CONSUME;
    const ptrdiff_t ldc = consumes ? n : g->ldc;
    int64_t *next = (int64_t *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63); /* entry of each row that comes next */
    real *room = (real *)(next + (g->k + 7) / 8 * 8);
    real *aside = room + height * g->n; /* sums of the blocks of LONG_K rows after the first */
    int found = 0;
    for (ptrdiff_t p = 0; p < g->k; p++) {
        const int64_t row = row_at_place(g->order, p);
        int64_t low = x->start[row], high = x->start[row + 1];
        while (low < high) {
            const int64_t middle = low + (high - low) / 2;
            if (column_at(x, middle) < row0) low = middle + 1;
            else high = middle;
        }
        next[p] = low;
    }
    for (ptrdiff_t i0 = row0; i0 < row1; i0 += height) {
        const ptrdiff_t i1 = i0 + height < row1 ? i0 + height : row1;
        real *c = consumes ? room : (real *)g->c + i0 * ldc + col0, *sums = c;
        ptrdiff_t p0 = 0, ld = ldc;
        do { /* once even if k is 0: C still has to be written */
            const ptrdiff_t p1 = g->k - p0 < LONG_K ? g->k : p0 + LONG_K;
            for (ptrdiff_t i = 0; i < i1 - i0; i++) memset(sums + i * ld, 0, (size_t)n * sizeof(real));
            for (ptrdiff_t p = p0; p < p1; p++) {
                const int64_t row = row_at_place(g->order, p), end = x->start[row + 1];
                const real shared_by = g->averages ? (real)(end - x->start[row]) : 1;
                const real *b = (const real *)g->b + p * g->ldb + col0;
                int64_t k = next[p];
                for (; k < end && column_at(x, k) < i1; k++) {
                    const real value = ((const real *)x->data)[k];
                    add_row(n, g->averages ? value / shared_by : value, b, sums + (column_at(x, k) - i0) * ld);
                }
                next[p] = k;
            }
            for (ptrdiff_t i = 0; p0 > 0 && i < i1 - i0; i++) add(n, sums + i * ld, c + i * ldc);
            p0 = p1;
            sums = aside;
            ld = n;
        } while (p0 < g->k);
        const real factor = g->end.scaled ? (real)g->end.beta : 1;
        for (ptrdiff_t i = 0; g->end.scaled && i < i1 - i0; i++)
            for (ptrdiff_t j = 0; j < n; j++) c[i * ldc + j] *= factor;
        if (consumes) found |= g->end.consume(g->end.context, i0, col0, i1 - i0, n, room);
    }
    return found;
}

/* Bytes of scratch for compressed rows transposed, k of them, times k x n. */
static ptrdiff_t sparse_scratch(ptrdiff_t n, ptrdiff_t k) {
    const ptrdiff_t blocks = k > LONG_K ? 2 : 1;
    return 128 + (k + 7) / 8 * 8 * (ptrdiff_t)sizeof(int64_t) + blocks * sparse_height(n) * n * (ptrdiff_t)sizeof(real);
}
