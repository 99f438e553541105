/* The register tile of a product and its end. The contract: rows x TILE_COLS of C, A read by two strides, B as a panel
 * of TILE_COLS columns with any row stride. A packed panel is the same thing with that stride equal to TILE_COLS, so
 * packing only moves data and there is one tile for packed and unpacked operands. The notebook is README.md. */

enum {
    TILE_COLS = TILE_VECS * LANES,
    TILE_SUMS = TILE_ROWS * TILE_VECS, /* vectors that accumulate */
    WIDE_VECS = 8,                     /* few rows get wider tiles, or each FMA would wait for the one before */
    WIDE_ROWS = TILE_SUMS / WIDE_VECS,
    CONSUMED_BYTES = 32 * 1024         /* of a block of C that consume() gets */
};

/* Hides from the compiler how a pointer was computed. It would else keep many sums of a few pointers, more than there
 * are registers for. */
#define OPAQUE(p) __asm__("" : "+r"(p))

/* tile_any() is most of a table's code. The compiler would make a copy of it for each caller with constants. */
#if defined(__GNUC__) && !defined(__clang__)
#define ONE_COPY __attribute__((noinline, noclone))
#else
#define ONE_COPY __attribute__((noinline))
#endif

/* Whether an activation is done while the tile is in registers: those of an instruction or two are. The others are done
 * by finish_rows(), a pass over a few rows, which are in L1. */
ALWAYS_INLINE int in_registers(int activation) { return activation == SCHUSS_IDENTITY || activation == SCHUSS_RELU; }

/* Whether nothing is left for finish_rows(). */
ALWAYS_INLINE int finishes_in_registers(const struct tile_end *end) {
    if (end->kind == END_FORWARD) return in_registers(end->activation) && !end->values && !end->mask;
    if (end->kind == END_BACKWARD) return in_registers(end->activation) && !end->mask && !end->raw;
    return end->kind != END_ADD;
}

/* The end of a tile at (row, col) of C while its sums sum[rows x nv] are in registers: all of it, or factor and bias
 * alone where finish_rows() follows. `last` masks the last vector of each row. */
ALWAYS_INLINE void finish(const int rows, const int nv, vec *sum, vmask last, const struct tile_end *end, ptrdiff_t row,
                          ptrdiff_t col) {
    if (__builtin_expect(end->scaled, 0)) {
        const vec factor = v_set1((real)end->beta);
#pragma GCC unroll 28
        for (int i = 0; i < rows * nv; i++) sum[i] *= factor;
    }
    if (end->kind == END_FORWARD) {
        if (end->bias) {
            const real *bias = (const real *)end->bias + col;
#pragma GCC unroll 8
            for (int j = 0; j < nv; j++) {
                vec add = j < nv - 1 ? v_load(bias + j * LANES) : v_load_m(bias + j * LANES, last);
#pragma GCC unroll 28
                for (int i = 0; i < rows; i++) sum[i * nv + j] += add;
            }
        }
        if (end->activation == SCHUSS_RELU && !end->values) {
#pragma GCC unroll 28
            for (int i = 0; i < rows * nv; i++) sum[i] = relu_value(sum[i], sum[i]);
        }
        if (end->add && finishes_in_registers(end)) {
            const real *add = (const real *)end->add + row * end->ld_add + col;
#pragma GCC unroll 28
            for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
                for (int j = 0; j < nv; j++) {
                    const real *x = add + i * end->ld_add + j * LANES;
                    sum[i * nv + j] += j < nv - 1 ? v_load(x) : v_load_m(x, last);
                }
        }
    }
    if (end->kind == END_BACKWARD && end->activation == SCHUSS_RELU && finishes_in_registers(end)) {
        const real *values = (const real *)end->values + row * end->ld_values + col;
        const vec kept = v_set1(kept_factor(dropout_of(end)));
#pragma GCC unroll 28
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
            for (int j = 0; j < nv; j++) {
                const real *y = values + i * end->ld_values + j * LANES;
                sum[i * nv + j] *= dropped_relu_slope(j < nv - 1 ? v_load(y) : v_load_m(y, last), kept);
            }
    }
}

/* sum[rows x nv]: from[i * ld_from + j], NULL: zeros. `last` masks the last vector of each row, as below. */
ALWAYS_INLINE void begin_sums(const int rows, const int nv, vec *sum, const real *from, ptrdiff_t ld_from, vmask last) {
#pragma GCC unroll 28
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < nv; j++)
            sum[i * nv + j] = !from        ? v_set1(0)
                              : j < nv - 1 ? v_load(from + i * ld_from + j * LANES)
                                           : v_load_m(from + i * ld_from + j * LANES, last);
}

/* Three rows share a pointer: x86 addresses base, base + stride and base + 2 stride for free. */
ALWAYS_INLINE void share_pointers(const int rows, const real **base, const real *a, ptrdiff_t a_row) {
#pragma GCC unroll 28
    for (int i = 0; i < rows; i += 3) base[i / 3] = a + i * a_row;
}

/* sum[rows x nv] += A[rows x k] B[k x nv vectors], by the pointers of share_pointers(), which move on. */
ALWAYS_INLINE void sum_products(const int rows, const int nv, vec *sum, ptrdiff_t k, const real **base, ptrdiff_t a_row,
                                ptrdiff_t a_col, const real *b, ptrdiff_t ldb, ptrdiff_t ahead, vmask last,
                                real *packed) {
    for (ptrdiff_t p = 0; p < k; p++) {
        vec bp[WIDE_VECS];
#pragma GCC unroll 28
        for (int i = 0; i < rows; i += 3) OPAQUE(base[i / 3]);
        if (rows + 2 * nv <= rows * nv || ahead) {
#pragma GCC unroll 8
            for (int j = 0; j < nv; j += 64 / VECTOR_BYTES) __builtin_prefetch(b + ahead + j * LANES);
        }
#pragma GCC unroll 8
        for (int j = 0; j < nv; j++)
            bp[j] = j < nv - 1 ? v_load(b + j * LANES) : v_load_m(b + j * LANES, last);
        if (packed) {
#pragma GCC unroll 8
            for (int j = 0; j < nv; j++) v_store(packed + j * LANES, bp[j]);
            packed += TILE_COLS;
        }
#pragma GCC unroll 28
        for (int i = 0; i < rows; i++) {
            vec ap = v_set1(base[i / 3][(i % 3) * a_row]);
#pragma GCC unroll 8
            for (int j = 0; j < nv; j++) sum[i * nv + j] = v_fma(ap, bp[j], sum[i * nv + j]);
        }
#pragma GCC unroll 28
        for (int i = 0; i < rows; i += 3) base[i / 3] += a_col;
        b += ldb;
    }
}

/* C[rows x nv vectors] = sum. adds: what C holds is added to the sums before the end. end NULL: stored as they are. */
ALWAYS_INLINE void end_sums(const int rows, const int nv, vec *sum, real *c, ptrdiff_t ldc, int adds, vmask last,
                            const struct tile_end *end, ptrdiff_t row, ptrdiff_t col) {
    if (adds) {
#pragma GCC unroll 28
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
            for (int j = 0; j < nv; j++) {
                const real *before = c + i * ldc + j * LANES;
                sum[i * nv + j] += j < nv - 1 ? v_load(before) : v_load_m(before, last);
            }
    }
    if (end) finish(rows, nv, sum, last, end, row, col);
#pragma GCC unroll 28
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
        for (int j = 0; j < nv; j++) {
            if (j < nv - 1) v_store(c + i * ldc + j * LANES, sum[i * nv + j]);
            else v_store_m(c + i * ldc + j * LANES, sum[i * nv + j], last);
        }
}

/* C[rows x cols], (nv - 1) * LANES < cols <= nv * LANES: sums over k from A[i][p] = a[i * a_row + p * a_col] and
 * B[p][j] = b[p * ldb + j], on top of from[i * ld_from + j], which may be C itself; from NULL: of zeros. end NULL:
 * stored as they are. adds: what C holds is added to the sums before the end. ahead: how far beyond b to fetch memory;
 * 0: not at all. packed: NULL, or where B goes. */
ALWAYS_INLINE void tile(const int rows, const int nv, ptrdiff_t k, const real *a, ptrdiff_t a_row, ptrdiff_t a_col,
                        const real *b, ptrdiff_t ldb, ptrdiff_t ahead, real *c, ptrdiff_t ldc, ptrdiff_t cols,
                        const real *from, ptrdiff_t ld_from, int adds, const struct tile_end *end, ptrdiff_t row,
                        ptrdiff_t col, real *packed) {
    vec sum[TILE_SUMS];
    const real *base[(TILE_ROWS + 2) / 3];
    const vmask last = v_mask(cols - (nv - 1) * LANES);
    begin_sums(rows, nv, sum, from, ld_from, last);
    share_pointers(rows, base, a, a_row);
    if (ahead) {
#pragma GCC unroll 28
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
            for (int j = 0; j < nv; j += 64 / VECTOR_BYTES) __builtin_prefetch(c + i * ldc + j * LANES, 1);
    }
    sum_products(rows, nv, sum, k, base, a_row, a_col, b, ldb, ahead, last, packed);
    end_sums(rows, nv, sum, c, ldc, adds, last, end, row, col);
}

/* c = alpha c + beta x. */
static void combine(ptrdiff_t n, real alpha, real beta, const real *restrict x, real *restrict c) {
    for (ptrdiff_t j = 0; j < n; j++) c[j] = alpha * c[j] + beta * x[j];
}

/* Element (row, col) of an array of a tile's end; NULL if there is no array. */
ALWAYS_INLINE real *end_element(const void *array, ptrdiff_t ld, ptrdiff_t row, ptrdiff_t col) {
    return array ? (real *)(uintptr_t)array + row * ld + col : NULL;
}

/* Whether rows of so many columns lie without gaps in C and in all arrays of the end, so that they are one long row. */
static int is_one_row(const struct tile_end *end, ptrdiff_t cols, ptrdiff_t ldc) {
    return ldc == cols && (!end->values || end->ld_values == cols) && !end->mask &&
           (!end->add || end->ld_add == cols) && (!end->raw || end->ld_raw == cols);
}

/* The whole end, but for factor and bias, of c[rows x cols], which is C from its element (row, col) on: for rows that nothing
 * has finished yet. */
static void finish_rows(const struct tile_end *end, ptrdiff_t rows, ptrdiff_t cols, real *c, ptrdiff_t ldc,
                        ptrdiff_t row, ptrdiff_t col) {
    if (rows > 1 && is_one_row(end, cols, ldc)) cols *= rows, rows = 1;
    const size_t bytes = (size_t)cols * sizeof(real);
    for (ptrdiff_t i = row; i < row + rows; i++, c += ldc) {
        real *values = end_element(end->values, end->ld_values, i, col);
        const void *mask = end->mask ? (const char *)end->mask + i * end->ld_mask : NULL;
        if (end->kind == END_FORWARD) {
            if (values && !end->values_activated) memcpy(values, c, bytes);
            activate(end->activation, end->alpha, cols, c, c);
            if (values && end->values_activated) memcpy(values, c, bytes);
            if (end->mask) mask_row(cols, dropout_of(end), mask, col, c, c);
            if (end->add) add(cols, end_element(end->add, end->ld_add, i, col), c);
        } else if (end->kind == END_BACKWARD) {
            if (end->raw) memcpy(end_element(end->raw, end->ld_raw, i, col), c, bytes);
            if (end->mask) mask_row(cols, dropout_of(end), mask, col, c, c);
            else if (end->dropout) multiply_slope(dropped_relu_slope, v_set1(kept_factor(dropout_of(end))), cols, values, c);
            if (end->mask || !end->dropout) differentiate(end->activation, end->alpha, cols, values, c);
        } else if (end->kind == END_ADD)
            combine(cols, (real)end->alpha, (real)end->beta, end_element(end->add, end->ld_add, i, col), c);
    }
}

/* tile() for a number of rows and columns known only now: rows <= TILE_ROWS and cols <= TILE_COLS, or rows <= WIDE_ROWS
 * and cols <= WIDE_VECS * LANES. */
ONE_COPY static void tile_any(ptrdiff_t rows, ptrdiff_t k, const real *a, ptrdiff_t a_row, ptrdiff_t a_col,
                              const real *b, ptrdiff_t ldb, ptrdiff_t ahead, real *c, ptrdiff_t ldc, ptrdiff_t cols,
                              const real *from, ptrdiff_t ld_from, int adds, const struct tile_end *end,
                              ptrdiff_t row, ptrdiff_t col) {
    switch ((cols + LANES - 1) / LANES * 16 + rows) {
#define TILE(r, v)                                                                                                   \
    case (v) * 16 + (r):                                                                                             \
        if (((r) <= TILE_ROWS && (v) <= TILE_VECS) || (r) <= WIDE_ROWS)                                              \
            tile((r) * (v) <= TILE_SUMS ? r : 1, (r) * (v) <= TILE_SUMS ? v : 1, k, a, a_row, a_col, b, ldb, ahead,  \
                 c, ldc, cols, from, ld_from, adds, end, row, col, NULL);                                            \
        break;
#define NARROW(v)                                                                                                    \
    TILE(1, v) TILE(2, v) TILE(3, v) TILE(4, v) TILE(5, v) TILE(6, v) TILE(7, v) TILE(8, v) TILE(9, v) TILE(10, v)   \
    TILE(11, v) TILE(12, v) TILE(13, v) TILE(14, v)
#define WIDE(v) TILE(1, v) TILE(2, v) TILE(3, v)
        NARROW(1) NARROW(2) NARROW(3) WIDE(4) WIDE(5) WIDE(6) WIDE(7) WIDE(8)
#undef TILE
#undef NARROW
#undef WIDE
    }
}

/* tile_any() for the first strip of a block of B: packs the panel as it goes, while the loads and stores would idle.
 * Strips are cut evenly from more than four, so they have nearly TILE_ROWS rows. */
static void tile_first(ptrdiff_t rows, ptrdiff_t k, const real *a, ptrdiff_t a_row, ptrdiff_t a_col, const real *b,
                       ptrdiff_t ldb, ptrdiff_t ahead, real *c, ptrdiff_t ldc, ptrdiff_t cols, const real *from,
                       ptrdiff_t ld_from, int adds, const struct tile_end *end, ptrdiff_t row, ptrdiff_t col,
                       real *packed) {
    switch ((cols + LANES - 1) / LANES * 4 + TILE_ROWS - rows) {
#define TILE(r, v)                                                                                                   \
    case (v) * 4 + (r):                                                                                              \
        if ((v) <= TILE_VECS)                                                                                        \
            tile(TILE_ROWS - r, (v) <= TILE_VECS ? v : 1, k, a, a_row, a_col, b, ldb, ahead, c, ldc, cols, from,     \
                 ld_from, adds, end, row, col, packed);                                                              \
        break;
        TILE(0, 1) TILE(1, 1) TILE(2, 1) TILE(0, 2) TILE(1, 2) TILE(2, 2) TILE(0, 3) TILE(1, 3) TILE(2, 3)
#undef TILE
    }
}

/* A tile with k more than LONG_K: one block of LONG_K products after the other. packed: NULL, or tile_first() packs B
 * there. */
ONE_COPY static void tile_long(ptrdiff_t rows, ptrdiff_t k, const real *a, ptrdiff_t a_row, ptrdiff_t a_col,
                               const real *b, ptrdiff_t ldb, ptrdiff_t ahead, real *c, ptrdiff_t ldc, ptrdiff_t cols,
                               const real *from, ptrdiff_t ld_from, const struct tile_end *end, ptrdiff_t row,
                               ptrdiff_t col, real *packed) {
    for (ptrdiff_t p = 0; p < k; p += LONG_K) {
        const ptrdiff_t kp = k - p < LONG_K ? k - p : LONG_K;
        const real *first = p > 0 ? NULL : from;
        const struct tile_end *last = p + kp < k ? NULL : end;
        if (packed)
            tile_first(rows, kp, a + p * a_col, a_row, a_col, b + p * ldb, ldb, ahead, c, ldc, cols, first, ld_from,
                       p > 0, last, row, col, packed + p * TILE_COLS);
        else
            tile_any(rows, kp, a + p * a_col, a_row, a_col, b + p * ldb, ldb, ahead, c, ldc, cols, first, ld_from,
                     p > 0, last, row, col);
    }
}

/* A tile of any depth k; adds only where it is at most LONG_K. */
ALWAYS_INLINE void tile_deep(ptrdiff_t rows, ptrdiff_t k, const real *a, ptrdiff_t a_row, ptrdiff_t a_col,
                             const real *b, ptrdiff_t ldb, ptrdiff_t ahead, real *c, ptrdiff_t ldc, ptrdiff_t cols,
                             const real *from, ptrdiff_t ld_from, int adds, const struct tile_end *end, ptrdiff_t row,
                             ptrdiff_t col, real *packed) {
    if (k > LONG_K)
        tile_long(rows, k, a, a_row, a_col, b, ldb, ahead, c, ldc, cols, from, ld_from, end, row, col, packed);
    else if (packed)
        tile_first(rows, k, a, a_row, a_col, b, ldb, ahead, c, ldc, cols, from, ld_from, adds, end, row, col, packed);
    else tile_any(rows, k, a, a_row, a_col, b, ldb, ahead, c, ldc, cols, from, ld_from, adds, end, row, col);
}
