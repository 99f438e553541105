/* A tile whose A lies in runs: images that are read as matrices without being copied into any. The contract: rows of A
 * lie a_row elements apart; along k they go in runs, of so many elements a_col apart, and jump from one to the next. Products
 * of which one factor is +0 may be left out. Sums are cut at multiples of LONG_K as in all products. */

/* Products [k, k + length), whose elements of A begin `at` elements from where its row does. */
struct run {
    ptrdiff_t k, at, length;
};

/* Adds a run behind the n of a list, or to the last of them where it goes on; returns how many there are. Runs end at
 * multiples of LONG_K. */
ALWAYS_INLINE ptrdiff_t add_run(struct run *runs, ptrdiff_t n, ptrdiff_t k, ptrdiff_t at, ptrdiff_t length,
                                ptrdiff_t a_col) {
    while (length > 0) {
        const ptrdiff_t left = LONG_K - k % LONG_K, now = length < left ? length : left;
        struct run *last = runs + n - 1;
        if (n > 0 && k % LONG_K && k == last->k + last->length && at == last->at + last->length * a_col)
            last->length += now;
        else runs[n++] = (struct run){k, at, now};
        k += now;
        at += now * a_col;
        length -= now;
    }
    return n;
}

/* What n runs of k products may be cut into. */
ALWAYS_INLINE ptrdiff_t most_runs(ptrdiff_t n, ptrdiff_t k) { return n + k / LONG_K + 1; }

/* See tile(); rows and nv are constants. */
ALWAYS_INLINE void tile_of_runs(const int rows, const int nv, ptrdiff_t n_runs, const struct run *runs, const real *a,
                                ptrdiff_t a_row, ptrdiff_t a_col, const real *b, ptrdiff_t ldb, real *c, ptrdiff_t ldc,
                                ptrdiff_t cols, const real *from, ptrdiff_t ld_from, int adds,
                                const struct tile_end *end, ptrdiff_t row, ptrdiff_t col) {
    vec sum[TILE_SUMS];
    const real *base[(TILE_ROWS + 2) / 3];
    const vmask last = v_mask(cols - (nv - 1) * LANES);
    begin_sums(rows, nv, sum, from, ld_from, last);
    for (ptrdiff_t r = 0; r < n_runs; r++) {
        share_pointers(rows, base, a + runs[r].at, a_row);
        sum_products(rows, nv, sum, runs[r].length, base, a_row, a_col, b + runs[r].k * ldb, ldb, 0, last, NULL);
    }
    end_sums(rows, nv, sum, c, ldc, adds, last, end, row, col);
}

/* C[rows x cols], rows <= TILE_ROWS and cols <= TILE_COLS, from all products of some runs, within one block of
 * LONG_K. */
ONE_COPY static void tile_runs(ptrdiff_t rows, ptrdiff_t n_runs, const struct run *runs, const real *a, ptrdiff_t a_row,
                               ptrdiff_t a_col, const real *b, ptrdiff_t ldb, real *c, ptrdiff_t ldc, ptrdiff_t cols,
                               const real *from, ptrdiff_t ld_from, int adds, const struct tile_end *end, ptrdiff_t row,
                               ptrdiff_t col) {
    switch ((cols + LANES - 1) / LANES * 16 + rows) {
#define TILE(r, v)                                                                                                   \
    case (v) * 16 + (r):                                                                                             \
        if ((r) <= TILE_ROWS && (v) <= TILE_VECS)                                                                    \
            tile_of_runs((r) * (v) <= TILE_SUMS ? r : 1, (r) * (v) <= TILE_SUMS ? v : 1, n_runs, runs, a, a_row,     \
                         a_col, b, ldb, c, ldc, cols, from, ld_from, adds, end, row, col);                           \
        break;
#define TILES(v)                                                                                                     \
    TILE(1, v) TILE(2, v) TILE(3, v) TILE(4, v) TILE(5, v) TILE(6, v) TILE(7, v) TILE(8, v) TILE(9, v) TILE(10, v)   \
    TILE(11, v) TILE(12, v) TILE(13, v) TILE(14, v)
        TILES(1) TILES(2) TILES(3)
#undef TILE
#undef TILES
    }
}

/* Tiles of one vector and many rows, for few columns. Rows come in groups a_group apart in A; those of a group lie side by
 * side, so they share a pointer. Which there are: those of images of one channel along a row, of 16 to 28 positions, and of the
 * gradients by kernels of few elements across, of which there are some below each other. */
#define TILES_BESIDE(T) T(1, 16) T(1, 20) T(1, 24) T(1, 28) T(3, 3) T(5, 5) T(3, 7) T(4, 7) T(3, 9)

static int has_tile_beside(ptrdiff_t groups, ptrdiff_t each) {
#define TILE(g, e) \
    if (groups == (g) && each == (e)) return (g) * (e) <= TILE_SUMS;
    TILES_BESIDE(TILE)
#undef TILE
    return 0;
}

/* See tile_beside(); groups and each are constants. */
ALWAYS_INLINE void tile_of_groups(const int groups, const int each, ptrdiff_t n_runs, const struct run *runs, const real *a,
                                  ptrdiff_t a_group, ptrdiff_t a_col, const real *b, ptrdiff_t ldb, real *c, ptrdiff_t ldc,
                                  ptrdiff_t cols, const real *from, ptrdiff_t ld_from, int adds,
                                  const struct tile_end *end, ptrdiff_t row, ptrdiff_t col) {
    enum { MOST_GROUPS = 5 };
    vec sum[TILE_SUMS];
    const vmask lanes = v_mask(cols);
    begin_sums(groups * each, 1, sum, from, ld_from, lanes);
    for (ptrdiff_t r = 0; r < n_runs; r++) {
        const real *base[MOST_GROUPS], *line = b + runs[r].k * ldb;
#pragma GCC unroll 5
        for (int g = 0; g < groups; g++) base[g] = a + runs[r].at + g * a_group;
        for (ptrdiff_t p = 0; p < runs[r].length; p++, line += ldb) {
            const vec bp = v_load_m(line, lanes);
#pragma GCC unroll 5
            for (int g = 0; g < groups; g++) {
                OPAQUE(base[g]);
#pragma GCC unroll 28
                for (int i = 0; i < each; i++) sum[g * each + i] = v_fma(v_set1(base[g][i]), bp, sum[g * each + i]);
                base[g] += a_col;
            }
        }
    }
    end_sums(groups * each, 1, sum, c, ldc, adds, lanes, end, row, col);
}

/* As tile_runs(), C[(groups each) x cols], where has_tile_beside() and cols <= LANES. */
ONE_COPY static void tile_beside(ptrdiff_t groups, ptrdiff_t each, ptrdiff_t n_runs, const struct run *runs, const real *a,
                                 ptrdiff_t a_group, ptrdiff_t a_col, const real *b, ptrdiff_t ldb, real *c, ptrdiff_t ldc,
                                 ptrdiff_t cols, const real *from, ptrdiff_t ld_from, int adds,
                                 const struct tile_end *end, ptrdiff_t row, ptrdiff_t col) {
    switch (groups * 32 + each) {
#define TILE(g, e)                                                                                                   \
    case (g) * 32 + (e):                                                                                             \
        if ((g) * (e) <= TILE_SUMS)                                                                                  \
            tile_of_groups((g) * (e) <= TILE_SUMS ? g : 1, (g) * (e) <= TILE_SUMS ? e : 1, n_runs, runs, a, a_group, \
                           a_col, b, ldb, c, ldc, cols, from, ld_from, adds, end, row, col);                         \
        break;
        TILES_BESIDE(TILE)
#undef TILE
    }
}

/* tile_runs() with as many products as there are: one block of LONG_K after the other. */
static void tile_runs_deep(ptrdiff_t rows, ptrdiff_t n_runs, const struct run *runs, const real *a, ptrdiff_t a_row,
                           ptrdiff_t a_col, const real *b, ptrdiff_t ldb, real *c, ptrdiff_t ldc, ptrdiff_t cols,
                           const real *from, ptrdiff_t ld_from, const struct tile_end *end, ptrdiff_t row,
                           ptrdiff_t col) {
    ptrdiff_t r = 0, block = 0;
    do { /* the first block even without a run: sums begin in it */
        const ptrdiff_t first = r, later = block;
        while (r < n_runs && runs[r].k < block + LONG_K) r++;
        tile_runs(rows, r - first, runs + first, a, a_row, a_col, b, ldb, c, ldc, cols, later ? NULL : from, ld_from,
                  later > 0, r < n_runs ? NULL : end, row, col);
        if (r < n_runs) block = runs[r].k / LONG_K * LONG_K;
    } while (r < n_runs);
}
