/* Sums of columns, over the rows of a batch: gradients of biases, and what normalisations need. Rows go in blocks of
 * COLUMN_BLOCK, counted from row 0. Within a block terms are added in `real`, in increasing row; the sums of blocks are
 * added in double, in increasing order, and rounded once. One block is its own sum. A column's bits do not depend on
 * its neighbours, so columns may be shared by threads. */

enum {
    COLUMN_BLOCK = 256,
    COLUMN_SUMS = 8, /* vectors that accumulate: as many as hide the latency of an addition */
    MOST_RESULTS = 2 /* sums in one pass */
};

/* What terms are made of. */
struct column_operands {
    ptrdiff_t rows;
    const real *a;
    ptrdiff_t ld_a;
    const real *b; /* [rows x n], like a, or NULL: the term gets zeros */
    ptrdiff_t ld_b;
    const real *p, *q; /* [n], a number a column, or NULL: the term gets zeros */
    const real *of_rows; /* NULL, or [rows x 2]: p and q of each row, in place of those of columns */
};

/* Into terms[results]: what a row adds to each sum. A function that is inlined. */
typedef void column_term(vec a, vec b, vec p, vec q, vec *terms);

/* n columns from number `col` on, (nv - 1) * LANES < n <= nv * LANES. */
ALWAYS_INLINE void sum_few_columns(const int nv, const int results, column_term *term,
                                   const struct column_operands *x, ptrdiff_t col, ptrdiff_t n, real *out0,
                                   real *out1) {
    enum { MOST = COLUMN_SUMS * LANES };
    const vmask last = v_mask(n - (nv - 1) * LANES);
    const int several = x->rows > COLUMN_BLOCK;
    const vec zero = v_set1(0);
    vec sum[COLUMN_SUMS], p[COLUMN_SUMS], q[COLUMN_SUMS];
    real part[MOST];
    double total[MOST];
    const real *a = x->a + col, *b = x->b ? x->b + col : NULL;
    if (several) memset(total, 0, sizeof total);
#pragma GCC unroll 8
    for (int j = 0; j < nv; j++) {
        const vmask mask = v_mask(j < nv - 1 ? LANES : n - (nv - 1) * LANES);
        p[j] = x->p ? v_load_m(x->p + col + j * LANES, mask) : zero;
        q[j] = x->q ? v_load_m(x->q + col + j * LANES, mask) : zero;
    }
    ptrdiff_t i = 0;
    do { /* once even without a row */
        const ptrdiff_t end = x->rows - i < COLUMN_BLOCK ? x->rows : i + COLUMN_BLOCK;
#pragma GCC unroll 8
        for (int s = 0; s < results * nv; s++) sum[s] = zero;
        for (; i < end; i++, a += x->ld_a) {
#pragma GCC unroll 8
            for (int j = 0; j < nv; j++) {
                const vec aj = j < nv - 1 ? v_load(a + j * LANES) : v_load_m(a + j * LANES, last);
                const vec bj = !b ? zero : j < nv - 1 ? v_load(b + j * LANES) : v_load_m(b + j * LANES, last);
                vec terms[MOST_RESULTS];
                if (x->of_rows) term(aj, bj, v_set1(x->of_rows[2 * i]), v_set1(x->of_rows[2 * i + 1]), terms);
                else term(aj, bj, p[j], q[j], terms);
                sum[j] += terms[0];
                if (results > 1) sum[nv + j] += terms[1];
            }
            if (b) b += x->ld_b;
        }
        if (!several) break;
#pragma GCC unroll 8
        for (int s = 0; s < results * nv; s++) v_store(part + s * LANES, sum[s]);
        for (int s = 0; s < results * nv * LANES; s++) total[s] += (double)part[s];
    } while (i < x->rows);
    if (several) {
        for (int s = 0; s < results * nv * LANES; s++) part[s] = (real)total[s];
#pragma GCC unroll 8
        for (int s = 0; s < results * nv; s++) sum[s] = v_load(part + s * LANES);
    }
#pragma GCC unroll 8
    for (int j = 0; j < nv; j++) {
        const vmask mask = v_mask(j < nv - 1 ? LANES : n - (nv - 1) * LANES);
        v_store_m(out0 + col + j * LANES, sum[j], mask);
        if (results > 1) v_store_m(out1 + col + j * LANES, sum[nv + j], mask);
    }
}

/* out0[n], and out1[n] if there are two results: the sums of terms of columns [col0, col1). */
ALWAYS_INLINE void sum_columns(const int results, column_term *term, const struct column_operands *x, ptrdiff_t col0,
                               ptrdiff_t col1, real *out0, real *out1) {
    const ptrdiff_t most = COLUMN_SUMS / results * LANES;
    for (ptrdiff_t j = col0; j < col1; j += most) {
        const ptrdiff_t n = col1 - j < most ? col1 - j : most;
        switch ((n + LANES - 1) / LANES) {
#define COLUMNS(nv)                                                                                                  \
    case nv:                                                                                                         \
        if ((nv) * results <= COLUMN_SUMS) sum_few_columns(nv, results, term, x, j, n, out0, out1);                  \
        break;
            COLUMNS(1) COLUMNS(2) COLUMNS(3) COLUMNS(4) COLUMNS(5) COLUMNS(6) COLUMNS(7) COLUMNS(8)
#undef COLUMNS
        }
    }
}

ALWAYS_INLINE void element_term(vec a, vec b, vec p, vec q, vec *terms) { (void)b, (void)p, (void)q, terms[0] = a; }

/* See struct kernels. */
static void column_sums(ptrdiff_t rows, ptrdiff_t col0, ptrdiff_t col1, const void *x, ptrdiff_t ldx, void *out) {
    const struct column_operands operands = {.rows = rows, .a = (const real *)x, .ld_a = ldx};
    sum_columns(1, element_term, &operands, col0, col1, (real *)out, NULL);
}
