/* Sums of columns: the gradient of a bias. */

/* out[(nv - 1) * LANES < n <= nv * LANES] = sum over rows of x[rows x n], in increasing row. */
ALWAYS_INLINE void sum_columns(const int nv, ptrdiff_t rows, const real *x, ptrdiff_t ldx, vmask last, real *out) {
    vec sum[8];
#pragma GCC unroll 8
    for (int q = 0; q < nv; q++) sum[q] = v_set1(0);
    for (ptrdiff_t i = 0; i < rows; i++, x += ldx) {
#pragma GCC unroll 8
        for (int q = 0; q < nv - 1; q++) sum[q] += v_load(x + q * LANES);
        sum[nv - 1] += v_load_m(x + (nv - 1) * LANES, last);
    }
#pragma GCC unroll 8
    for (int q = 0; q < nv - 1; q++) v_store(out + q * LANES, sum[q]);
    v_store_m(out + (nv - 1) * LANES, sum[nv - 1], last);
}

/* See struct kernels. */
static void column_sums(ptrdiff_t rows, ptrdiff_t col0, ptrdiff_t col1, const void *x, ptrdiff_t ldx, void *out) {
    enum { MOST = 8 * LANES }; /* as many as hide the latency of an addition */
    for (ptrdiff_t j = col0; j < col1; j += MOST) {
        const ptrdiff_t width = col1 - j < MOST ? col1 - j : MOST, vectors = (width + LANES - 1) / LANES;
        const vmask last = v_mask(width - (vectors - 1) * LANES);
        const real *from = (const real *)x + j;
        real *to = (real *)out + j;
        switch (vectors) {
        case 1: sum_columns(1, rows, from, ldx, last, to); break;
        case 2: sum_columns(2, rows, from, ldx, last, to); break;
        case 3: sum_columns(3, rows, from, ldx, last, to); break;
        case 4: sum_columns(4, rows, from, ldx, last, to); break;
        case 5: sum_columns(5, rows, from, ldx, last, to); break;
        case 6: sum_columns(6, rows, from, ldx, last, to); break;
        case 7: sum_columns(7, rows, from, ldx, last, to); break;
        default: sum_columns(8, rows, from, ldx, last, to);
        }
    }
}
