/* C = A B by register tiles. The contract of a tile: rows x TILE_COLS of C, A read by two strides, B as a panel of
 * TILE_COLS columns with any row stride. A packed panel is the same thing with that stride equal to TILE_COLS, so
 * packing only moves data and there is one tile for packed and unpacked operands. The notebook is README.md. */

enum {
    TILE_COLS = TILE_VECS * LANES,
    BLOCK_K = 256,                  /* rows of B's panel: one panel lives in L1 or L2 */
    BLOCK_M = 12 * TILE_ROWS,       /* rows of A's block: it lives in L2 */
    BLOCK_N = 16 * VIRTUAL_LANES * 4 / (REAL_BITS / 32) / TILE_COLS * TILE_COLS, /* columns of B's block */
    PACK_B_BYTES = 128 * 1024       /* a larger B is packed; a smaller one stays in L2 anyway */
};

/* The last step of a forward tile. Activations of one instruction or two are done in registers, the others by a
 * pass over the tile, which is in L1. */
ALWAYS_INLINE int in_registers(int activation) { return activation == SCHUSS_IDENTITY || activation == SCHUSS_RELU; }

/* C[rows x cols], cols <= nv * LANES: sums over k from A[i][p] = a[i * a_row + p * a_col] and B[p][j] =
 * b[p * ldb + j]; added to what C holds if resume. end NULL: stored as they are. */
ALWAYS_INLINE void tile(const int rows, const int nv, ptrdiff_t k, const real *a, ptrdiff_t a_row, ptrdiff_t a_col,
                        const real *b, ptrdiff_t ldb, real *c, ptrdiff_t ldc, ptrdiff_t cols, int resume,
                        const struct tile_end *end, ptrdiff_t row, ptrdiff_t col) {
    vec sum[TILE_ROWS][TILE_VECS];
    const vmask last = v_mask(cols - (nv - 1) * LANES);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < nv; j++)
            sum[i][j] = !resume      ? v_set1(0)
                        : j < nv - 1 ? v_load(c + i * ldc + j * LANES)
                                     : v_load_m(c + i * ldc + j * LANES, last);

    /* Three rows share a pointer: x86 addresses base, base + stride and base + 2 stride for free. */
    const real *base[(TILE_ROWS + 2) / 3];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i += 3) base[i / 3] = a + i * a_row;
    for (ptrdiff_t p = 0; p < k; p++) {
        vec bp[TILE_VECS];
#pragma GCC unroll 4
        for (int j = 0; j < nv; j++)
            bp[j] = j < nv - 1 ? v_load(b + j * LANES) : v_load_m(b + j * LANES, last);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            vec ap = v_set1(base[i / 3][(i % 3) * a_row]);
#pragma GCC unroll 4
            for (int j = 0; j < nv; j++) sum[i][j] = v_fma(ap, bp[j], sum[i][j]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < rows; i += 3) base[i / 3] += a_col;
        b += ldb;
    }

    if (end && end->kind == END_FORWARD) {
        if (end->bias) {
            const real *bias = (const real *)end->bias + col;
#pragma GCC unroll 4
            for (int j = 0; j < nv; j++) {
                vec add = j < nv - 1 ? v_load(bias + j * LANES) : v_load_m(bias + j * LANES, last);
#pragma GCC unroll 16
                for (int i = 0; i < rows; i++) sum[i][j] += add;
            }
        }
        if (end->activation == SCHUSS_RELU) {
#pragma GCC unroll 16
            for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
                for (int j = 0; j < nv; j++) sum[i][j] = relu_value(sum[i][j], sum[i][j]);
        }
    }
    if (end && end->kind == END_BACKWARD && end->activation == SCHUSS_RELU && !end->mask) {
        const real *kept = (const real *)end->kept + row * ldc + col;
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (int j = 0; j < nv; j++) {
                const real *y = kept + i * ldc + j * LANES;
                sum[i][j] *= relu_slope(j < nv - 1 ? v_load(y) : v_load_m(y, last), sum[i][j]);
            }
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < nv; j++) {
            if (j < nv - 1) v_store(c + i * ldc + j * LANES, sum[i][j]);
            else v_store_m(c + i * ldc + j * LANES, sum[i][j], last);
        }
}

/* What a finished tile still needs after the stores of tile(): the ends that are not done in registers. */
static void finish_tile(const struct tile_end *end, ptrdiff_t rows, ptrdiff_t cols, real *c, ptrdiff_t ldc,
                        ptrdiff_t row, ptrdiff_t col) {
    ptrdiff_t offset = row * ldc + col;
    if (end->kind == END_FORWARD) {
        for (ptrdiff_t i = 0; i < rows; i++) {
            if (end->kept) memcpy((real *)end->kept + offset + i * ldc, c + i * ldc, (size_t)cols * sizeof(real));
            activate(end->activation, end->alpha, cols, c + i * ldc, c + i * ldc);
        }
    } else if (end->kind == END_BACKWARD) {
        for (ptrdiff_t i = 0; i < rows; i++) {
            if (end->mask) multiply(cols, (const real *)end->mask + offset + i * ldc, c + i * ldc);
            differentiate(end->activation, end->alpha, cols, (const real *)end->kept + offset + i * ldc, c + i * ldc);
        }
    }
}

ALWAYS_INLINE int finishes_in_registers(const struct tile_end *end) {
    if (end->kind == END_FORWARD) return in_registers(end->activation) && !end->kept;
    if (end->kind == END_BACKWARD) return in_registers(end->activation) && !end->mask;
    return 1;
}

/* tile() for a number of rows and vectors known only now. */
ALWAYS_INLINE void tile_rows(const int nv, ptrdiff_t rows, ptrdiff_t k, const real *a, ptrdiff_t a_row,
                             ptrdiff_t a_col, const real *b, ptrdiff_t ldb, real *c, ptrdiff_t ldc, ptrdiff_t cols,
                             int resume, const struct tile_end *end, ptrdiff_t row, ptrdiff_t col) {
    switch (rows) {
#define ROWS(r)                                                                                                      \
    case r:                                                                                                          \
        if (r <= TILE_ROWS)                                                                                          \
            tile(r <= TILE_ROWS ? r : 1, nv, k, a, a_row, a_col, b, ldb, c, ldc, cols, resume, end, row, col);       \
        break;
        ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6) ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12) ROWS(13)
        ROWS(14)
#undef ROWS
    }
}

static void tile_any(ptrdiff_t rows, ptrdiff_t k, const real *a, ptrdiff_t a_row, ptrdiff_t a_col, const real *b,
                     ptrdiff_t ldb, real *c, ptrdiff_t ldc, ptrdiff_t cols, int resume, const struct tile_end *end,
                     ptrdiff_t row, ptrdiff_t col) {
    const ptrdiff_t vecs = (cols + LANES - 1) / LANES;
    if (vecs == 1) tile_rows(1, rows, k, a, a_row, a_col, b, ldb, c, ldc, cols, resume, end, row, col);
    else if (TILE_VECS > 2 && vecs == 2)
        tile_rows(2, rows, k, a, a_row, a_col, b, ldb, c, ldc, cols, resume, end, row, col);
    else tile_rows(TILE_VECS, rows, k, a, a_row, a_col, b, ldb, c, ldc, cols, resume, end, row, col);
    if (end && !finishes_in_registers(end)) finish_tile(end, rows, cols, c, ldc, row, col);
}

/* to[p * stride + i] = from[i * ld + p] for i < rows, p < k: a transposition by blocks in registers. Lines of `to` are
 * filled up with zeros to the next multiple of LANES, as far as the stride and `end` leave room. */
static void transpose(ptrdiff_t rows, ptrdiff_t k, const real *from, ptrdiff_t ld, real *to, ptrdiff_t stride,
                      const real *end) {
    for (ptrdiff_t p = 0; p < k; p += LANES) {
        const ptrdiff_t depth = k - p < LANES ? k - p : LANES;
        const vmask columns = v_mask(depth);
        for (ptrdiff_t i = 0; i < rows; i += LANES) {
            vec block[LANES];
            if (i + LANES <= rows && depth == LANES) {
#pragma GCC unroll 16
                for (int l = 0; l < LANES; l++) block[l] = v_load(from + (i + l) * ld + p);
            } else {
#pragma GCC unroll 16
                for (int l = 0; l < LANES; l++)
                    block[l] = i + l < rows ? v_load_m(from + (i + l) * ld + p, columns) : v_set1(0);
            }
            v_transpose(block);
            real *line = to + p * stride + i;
            /* The first vector of a line may run into the lines after it, which come later. No other may. */
            const int runs_over = i > 0 && i + LANES > stride;
            if (depth == LANES && !runs_over && line + (LANES - 1) * stride + LANES <= end) {
#pragma GCC unroll 16
                for (int l = 0; l < LANES; l++) v_store(line + l * stride, block[l]);
            } else {
                for (int l = 0; l < depth; l++) {
                    const ptrdiff_t room = runs_over ? stride - i : end - line - l * stride;
                    v_store_m(line + l * stride, block[l], v_mask(room));
                }
            }
        }
    }
}

/* A[rows x k] into panels of `height` rows: panel[p * height + i]. */
static void pack_a(ptrdiff_t rows, ptrdiff_t k, ptrdiff_t height, const real *a, ptrdiff_t a_row, ptrdiff_t a_col,
                   real *panel) {
    for (ptrdiff_t i0 = 0; i0 < rows; i0 += height, panel += height * k) {
        const ptrdiff_t h = rows - i0 < height ? rows - i0 : height;
        const real *from = a + i0 * a_row;
        if (a_row != 1) {
            transpose(h, k, from, a_row, panel, height, panel + height * k);
            continue;
        }
        for (ptrdiff_t p = 0; p < k; p++)
            for (ptrdiff_t i = 0; i < h; i += LANES) {
                const vmask lanes = v_mask(h - i);
                v_store_m(panel + p * height + i, v_load_m(from + p * a_col + i, lanes), lanes);
            }
    }
}

/* B[k x cols] (transposed: stored [cols x k]) into panels of TILE_COLS columns, the last filled up with zeros. */
static void pack_b(ptrdiff_t k, ptrdiff_t cols, const real *b, ptrdiff_t ldb, int transposed, real *panels) {
    if (transposed) {
        for (ptrdiff_t j = 0; j < cols; j += TILE_COLS) {
            const ptrdiff_t w = cols - j < TILE_COLS ? cols - j : TILE_COLS;
            real *panel = panels + j * k;
            transpose(w, k, b + j * ldb, ldb, panel, TILE_COLS, panel + TILE_COLS * k);
            for (ptrdiff_t q = (w + LANES - 1) / LANES * LANES; q < TILE_COLS; q += LANES)
                for (ptrdiff_t p = 0; p < k; p++) v_store(panel + p * TILE_COLS + q, v_set1(0));
        }
        return;
    }
    const ptrdiff_t whole = cols / TILE_COLS * TILE_COLS;
    for (ptrdiff_t p = 0; p < k; p++) { /* along B's rows, which memory likes better than down a panel */
        const real *from = b + p * ldb;
        real *to = panels + p * TILE_COLS;
        for (ptrdiff_t j = 0; j < whole; j += TILE_COLS)
#pragma GCC unroll 4
            for (int q = 0; q < TILE_COLS; q += LANES) v_store(to + j * k + q, v_load(from + j + q));
        if (whole < cols)
            for (ptrdiff_t q = 0; q < TILE_COLS; q += LANES) {
                const ptrdiff_t left = cols - whole - q;
                v_store(to + whole * k + q, left > 0 ? v_load_m(from + whole + q, v_mask(left)) : v_set1(0));
            }
    }
}

/* The size of equal parts, each at most `most`, a multiple of `unit`, that cover n. */
ALWAYS_INLINE ptrdiff_t even_part(ptrdiff_t n, ptrdiff_t most, ptrdiff_t unit) {
    ptrdiff_t parts = (n + most - 1) / most;
    if (parts < 1) return unit;
    ptrdiff_t part = (n + parts - 1) / parts;
    return (part + unit - 1) / unit * unit;
}

/* See struct kernels. */
static ptrdiff_t gemm_scratch(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k) {
    ptrdiff_t kc = k < BLOCK_K ? k : BLOCK_K, mc = m + TILE_ROWS < BLOCK_M ? m + TILE_ROWS : BLOCK_M;
    ptrdiff_t nc = n < BLOCK_N ? (n + TILE_COLS - 1) / TILE_COLS * TILE_COLS : BLOCK_N;
    return (kc * mc + 16 + kc * nc) * (ptrdiff_t)sizeof(real) + 64;
}

/* See struct kernels. */
static void gemm(const struct gemm *g, ptrdiff_t row0, ptrdiff_t row1, ptrdiff_t col0, ptrdiff_t col1,
                 void *scratch) {
    const ptrdiff_t k = g->k, m = row1 - row0, n = col1 - col0, size = sizeof(real);
    if (m <= 0 || n <= 0) return;
    const ptrdiff_t kc = even_part(k, BLOCK_K, 1), height = even_part(m, TILE_ROWS, 1);
    const ptrdiff_t mc = BLOCK_M / height * height, nc = BLOCK_N;
    const int many_rows = m > 4 * TILE_ROWS;
    const int packs_b = g->b_transposed || (many_rows && g->k * g->ldb * size > PACK_B_BYTES);
    /* Worth it where more than two panels of B read a block of A whose rows lie far apart. */
    const int scattered = g->a_row == 1 ? g->a_col * size > 2048 : k * g->a_row * size > 16384;
    const int packs_a = n > 2 * TILE_COLS && scattered;
    real *packed_a = (real *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63);
    const ptrdiff_t most_rows = mc < m + TILE_ROWS ? mc : m + TILE_ROWS;
    real *packed_b = packed_a + (most_rows * kc + 15) / 16 * 16;

    for (ptrdiff_t j0 = col0; j0 < col1; j0 += nc) {
        const ptrdiff_t j1 = j0 + nc < col1 ? j0 + nc : col1;
        ptrdiff_t p0 = 0;
        do { /* once even if k is 0: C still has to be written and finished */
            const ptrdiff_t kp = k - p0 < kc ? k - p0 : kc;
            const struct tile_end *end = p0 + kp >= k ? &g->end : NULL;
            const real *b = (const real *)g->b + (g->b_transposed ? j0 * g->ldb + p0 : p0 * g->ldb + j0);
            if (packs_b) pack_b(kp, j1 - j0, b, g->ldb, g->b_transposed, packed_b);
            for (ptrdiff_t i0 = row0; i0 < row1; i0 += mc) {
                const ptrdiff_t i1 = i0 + mc < row1 ? i0 + mc : row1;
                const real *a = (const real *)g->a + i0 * g->a_row + p0 * g->a_col;
                if (packs_a) pack_a(i1 - i0, kp, height, a, g->a_row, g->a_col, packed_a);
                for (ptrdiff_t j = j0; j < j1; j += TILE_COLS) {
                    const ptrdiff_t cols = j1 - j < TILE_COLS ? j1 - j : TILE_COLS;
                    const real *bp = packs_b ? packed_b + (j - j0) * kp : b + (j - j0);
                    const ptrdiff_t ldb = packs_b ? TILE_COLS : g->ldb;
                    for (ptrdiff_t i = i0; i < i1; i += height) {
                        const ptrdiff_t rows = i1 - i < height ? i1 - i : height;
                        real *c = (real *)g->c + i * g->ldc + j;
                        if (packs_a)
                            tile_any(rows, kp, packed_a + (i - i0) * kp, 1, height, bp, ldb, c, g->ldc, cols, p0 > 0,
                                     end, i, j);
                        else
                            tile_any(rows, kp, a + (i - i0) * g->a_row, g->a_row, g->a_col, bp, ldb, c, g->ldc, cols,
                                     p0 > 0, end, i, j);
                    }
                }
            }
            p0 += kp;
        } while (p0 < k);
    }
}

/* See struct kernels. */
static void column_sums(ptrdiff_t rows, ptrdiff_t col0, ptrdiff_t col1, const void *x, ptrdiff_t ldx, void *out) {
    for (ptrdiff_t j = col0; j < col1; j += 4 * LANES) {
        const ptrdiff_t width = col1 - j < 4 * LANES ? col1 - j : 4 * LANES, full = width / LANES;
        const vmask rest = v_mask(width % LANES);
        vec sum[5] = {v_set1(0), v_set1(0), v_set1(0), v_set1(0), v_set1(0)};
        const real *from = (const real *)x + j;
        for (ptrdiff_t i = 0; i < rows; i++, from += ldx) {
            if (full == 4)
                for (int q = 0; q < 4; q++) sum[q] += v_load(from + q * LANES);
            else {
                for (ptrdiff_t q = 0; q < full; q++) sum[q] += v_load(from + q * LANES);
                sum[4] += v_load_m(from + full * LANES, rest);
            }
        }
        real *to = (real *)out + j;
        for (ptrdiff_t q = 0; q < full; q++) v_store(to + q * LANES, sum[q]);
        if (full < 4) v_store_m(to + full * LANES, sum[4], rest);
    }
}
