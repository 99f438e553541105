/* C = A B: how a product is cut into the tiles of tile.h, and packed for them. The notebook is README.md. */

enum {
    BLOCK_K = 512,                     /* products that are summed before C goes through memory */
    BLOCK_N = 1024 / sizeof(real),     /* columns of a block of B */
    BLOCK_B_BYTES = 512 * 1024,        /* of a block of B: it stays in L2 while all rows of A pass */
    SMALL_B_BYTES = 128 * 1024,        /* the same where A is small and passes often at no cost */
    SMALL_A_BYTES = 256 * 1024,
    PACK_B_BYTES = 128 * 1024,         /* a larger B is packed; a smaller one stays in L2 anyway */
    NARROW_BYTES = 16 * 1024,          /* of a panel that is transposed and used at once: it stays in L1 */
    STREAM_K = 16,                     /* rows of B read side by side where they conflict and each is used only once */
    NARROW_COLS = (int)TILE_ROWS < (int)LANES ? TILE_ROWS : LANES - 1, /* the most columns for narrow_part() */
    CONSUMED_N = 2048 / sizeof(real),  /* columns of a block of B where consume() follows, which likes long rows */
    AHEAD = 16,                        /* rows of B to fetch ahead */
    AHEAD_STREAM = 1024 / sizeof(real), /* columns of a streamed B to fetch ahead */
    LONG_ROWS = 2048 / TILE_ROWS * TILE_ROWS, /* of C that are summed together where k is more than LONG_K */
    LONG_SUMS = LONG_ROWS * BLOCK_N,   /* their sums in progress, at most */
    FILL_GAP = 64 / sizeof(real)       /* between rows of A that are filled, which would else meet in cache sets */
};

/* to[p * stride + i] = from[i * ld + p] for i < rows, p < k: a transposition by blocks in registers. Lines of `to` are
 * filled up with zeros to the next multiple of LANES, as far as the stride and `end` leave room. */
static void transpose(ptrdiff_t rows, ptrdiff_t k, const real *from, ptrdiff_t ld, real *to, ptrdiff_t stride,
                      const real *end) {
    for (ptrdiff_t p = 0; p < k; p += LANES) {
        const ptrdiff_t depth = k - p < LANES ? k - p : LANES;
        const vmask columns = v_mask(depth);
        for (ptrdiff_t i = 0; i < rows; i += LANES) {
            vec block[LANES];
            const real *source = from + i * ld + p;
            if (i + LANES <= rows && depth == LANES) {
#pragma GCC unroll 16
                for (int l = 0; l < LANES; l++) {
                    block[l] = v_load(source);
                    source += ld;
                    OPAQUE(source);
                }
            } else {
#pragma GCC unroll 16
                for (int l = 0; l < LANES; l++) {
                    block[l] = i + l < rows ? v_load_m(source, columns) : v_set1(0);
                    source += ld;
                    OPAQUE(source);
                }
            }
            v_transpose(block);
            real *line = to + p * stride + i;
            /* The first vector of a line may run into the lines after it, which come later. No other may. */
            const int runs_over = i > 0 && i + LANES > stride;
            if (depth == LANES && !runs_over && line + (LANES - 1) * stride + LANES <= end) {
#pragma GCC unroll 16
                for (int l = 0; l < LANES; l++) {
                    v_store(line, block[l]);
                    line += stride;
                    OPAQUE(line);
                }
            } else {
                for (int l = 0; l < depth; l++, line += stride)
                    v_store_m(line, block[l], v_mask(runs_over ? stride - i : end - line));
            }
        }
    }
}

/* B[k x cols], stored [cols x k], into panels of `step` columns. */
static void pack_transposed(ptrdiff_t k, ptrdiff_t cols, const real *b, ptrdiff_t ldb, ptrdiff_t step, real *panels) {
    for (ptrdiff_t j = 0; j < cols; j += step) {
        const ptrdiff_t w = cols - j < step ? cols - j : step;
        real *panel = panels + j * k;
        transpose(w, k, b + j * ldb, ldb, panel, step, panel + step * k);
    }
}

/* The size of equal parts, each at most `most`, a multiple of `unit`, that cover n. */
ALWAYS_INLINE ptrdiff_t even_part(ptrdiff_t n, ptrdiff_t most, ptrdiff_t unit) {
    if (n <= most) return n > 0 ? (n + unit - 1) / unit * unit : unit;
    ptrdiff_t parts = (n + most - 1) / most;
    ptrdiff_t part = (n + parts - 1) / parts;
    return (part + unit - 1) / unit * unit;
}

/* The size of equal parts of k, each at most `most`; where k is more than LONG_K, of equal parts of LONG_K. */
ALWAYS_INLINE ptrdiff_t even_depth(ptrdiff_t k, ptrdiff_t most) { return even_part(k < LONG_K ? k : LONG_K, most, 1); }

/* How many of k products, from number p on, one tile sums: depth of them, unless k or a block of LONG_K ends before.
 * If depth is all of k, tile_deep() looks after the blocks. */
ALWAYS_INLINE ptrdiff_t depth_at(ptrdiff_t k, ptrdiff_t p, ptrdiff_t depth) {
    const ptrdiff_t left = LONG_K - p % LONG_K, most = depth < k && left < depth ? left : depth;
    return k - p < most ? k - p : most;
}

/* Whether a block of LONG_K products, or all of k, ends after p products. */
ALWAYS_INLINE int closes_block(ptrdiff_t k, ptrdiff_t p) { return p >= k || p % LONG_K == 0; }

/* How a product is cut: k and the columns into blocks. A block of B stays in L2 while the rows of A pass, a few of
 * which stay in L1 while its panels pass. */
struct cut {
    ptrdiff_t depth, width; /* the most rows and the most columns of a block of B */
};

/* Columns of a tile for so many rows. */
ALWAYS_INLINE ptrdiff_t step_of(ptrdiff_t rows) { return rows <= WIDE_ROWS ? WIDE_VECS * LANES : TILE_COLS; }

static struct cut cut_of(ptrdiff_t m, ptrdiff_t k, int consumes) {
    const ptrdiff_t size = sizeof(real), step = step_of(m);
    if (m <= WIDE_ROWS && !consumes) /* what is transposed for a few rows is used at once */
        return (struct cut){even_depth(k, NARROW_BYTES / size / step), step};
    struct cut cut = {consumes ? k : even_depth(k, BLOCK_K), (consumes ? CONSUMED_N : BLOCK_N) / step * step};
    const ptrdiff_t deep = cut.depth > 0 ? cut.depth : 1;
    const ptrdiff_t fit = (consumes || m * deep * size > SMALL_A_BYTES ? BLOCK_B_BYTES : SMALL_B_BYTES) / size / deep;
    if (fit < cut.width) cut.width = fit < step ? step : fit / step * step;
    return cut;
}

/* How many of m rows of C go to consume() together: as many tiles of `height` rows as fit into CONSUMED_BYTES, but one
 * at least. */
ALWAYS_INLINE ptrdiff_t consumed_rows(ptrdiff_t m, ptrdiff_t height, ptrdiff_t width) {
    const ptrdiff_t fit = CONSUMED_BYTES / (ptrdiff_t)sizeof(real);
    if (m * width <= fit) return m;
    return height * width < fit ? fit / (height * width) * height : height;
}

/* See struct kernels. */
static ptrdiff_t gemm_scratch(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, int end_kind) {
    const int consumes = end_kind == END_CONSUME;
    const struct cut cut = cut_of(m, k, consumes);
    const ptrdiff_t wide = WIDE_VECS * LANES, width = n < cut.width ? (n + wide - 1) / wide * wide : cut.width;
    const ptrdiff_t height = m < TILE_ROWS ? m : TILE_ROWS;
    const ptrdiff_t consumed = consumes ? height * width + CONSUMED_BYTES / (ptrdiff_t)sizeof(real) : 0;
    const ptrdiff_t sums = (m < LONG_ROWS ? m : LONG_ROWS) * (n < LONG_SUMS ? n : LONG_SUMS);
    const ptrdiff_t aside = consumes || k <= LONG_K ? 0 : sums < LONG_SUMS ? sums : LONG_SUMS;
    const ptrdiff_t transposed = NARROW_BYTES / (ptrdiff_t)sizeof(real) + 2 * TILE_ROWS * TILE_COLS;
    const ptrdiff_t packed = cut.depth * width > transposed ? cut.depth * width : transposed;
    return (packed + consumed + aside + 32) * (ptrdiff_t)sizeof(real) + 64;
}

/* Elements that a strip of A takes where it is filled: of blocks() or of narrow_part(). */
ALWAYS_INLINE ptrdiff_t filled_elements(ptrdiff_t k) {
    const ptrdiff_t strip = TILE_ROWS * (k + FILL_GAP);
    const ptrdiff_t panel = NARROW_BYTES / (ptrdiff_t)sizeof(real) + WIDE_VECS * LANES * FILL_GAP;
    return ((strip > panel ? strip : panel) + 15) / 16 * 16;
}

/* Bytes of scratch, beside gemm_scratch(), for an A that is filled. */
static ptrdiff_t fill_scratch(ptrdiff_t k) { return filled_elements(k) * (ptrdiff_t)sizeof(real); }

/* Rows [row, row + rows) of A, their columns [p, p + depth), as a tile reads them: by *stride elements from row to
 * row. Where A is filled, in `room`. */
ALWAYS_INLINE const real *rows_of_a(const struct gemm *g, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t p, ptrdiff_t depth,
                                    real *room, ptrdiff_t *stride) {
    *stride = g->fill ? depth + FILL_GAP : g->a_row;
    if (!g->fill) return (const real *)g->a + row * g->a_row + p * g->a_col;
    g->fill(g->fill_context, row, rows, p, depth, room, *stride);
    return room;
}

/* Where the sums of g's element (row, col) begin; NULL: at zero. */
ALWAYS_INLINE const real *start_of(const struct gemm *g, ptrdiff_t row, ptrdiff_t col) {
    return g->start ? (const real *)g->start + row * g->ld_start + col : NULL;
}

/* A piece of memory that is fetched to L2 bit by bit while something else is computed. */
struct fetch {
    const real *from;
    ptrdiff_t rows, bytes, ld; /* lines of so many bytes, ld elements apart */
    ptrdiff_t done;
};

ALWAYS_INLINE void fetch_to(struct fetch *f, ptrdiff_t row) {
    for (; f->done < row && f->done < f->rows; f->done++) {
        const char *line = (const char *)(f->from + f->done * f->ld);
        for (ptrdiff_t at = 0; at < f->bytes; at += 64) __builtin_prefetch(line + at, 0, 2);
    }
}

/* Block (p0, j0) of g's B as it lies in memory. */
static struct fetch block_of(const struct gemm *g, ptrdiff_t p0, ptrdiff_t depth, ptrdiff_t j0, ptrdiff_t width) {
    const ptrdiff_t size = sizeof(real);
    if (g->b_transposed)
        return (struct fetch){(const real *)g->b + j0 * g->ldb + p0, width, depth * size, g->ldb, 0};
    return (struct fetch){(const real *)g->b + p0 * g->ldb + j0, depth, width * size, g->ldb, 0};
}

/* Brings what consume() will read to L2 while the tiles before it compute. */
static void fetch_streams(const struct tile_end *end, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t ld, ptrdiff_t row,
                          ptrdiff_t col) {
    for (int s = 0; s < end->n_streams; s++)
        for (ptrdiff_t i = 0; i < rows; i++) {
            const real *from = (const real *)end->streams[s] + (row + i) * ld + col;
            for (ptrdiff_t j = 0; j < cols; j += 64 / (ptrdiff_t)sizeof(real)) __builtin_prefetch(from + j, 1, 2);
        }
}

/* Fetches rows x cols of C, from which a tile will go on. */
ALWAYS_INLINE void fetch_tile(ptrdiff_t rows, ptrdiff_t cols, const real *c, ptrdiff_t ldc) {
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < cols; j += 64 / (ptrdiff_t)sizeof(real)) __builtin_prefetch(c + i * ldc + j, 1);
}

/* A part of a product with few columns, at most NARROW_COLS, as tiles of the transposed product, so that vectors lie
 * along the rows and none is nearly empty. A's rows are transposed in registers where they lie along k. */
static int narrow_part(const struct gemm *g, ptrdiff_t row0, ptrdiff_t row1, ptrdiff_t col0, ptrdiff_t col1,
                       real *scratch, real *filled) {
    const ptrdiff_t n = col1 - col0, step = step_of(n), size = sizeof(real), k = g->k;
    const int direct = g->a_row == 1, consumes = g->end.kind == END_CONSUME;
    const ptrdiff_t depth = direct ? k : even_depth(k, NARROW_BYTES / size / step);
    real *panel = scratch, *tile_c = panel + NARROW_BYTES / size;
    real *aside = tile_c + TILE_ROWS * TILE_COLS, *block = aside + TILE_ROWS * TILE_COLS;
    const ptrdiff_t b_row = g->b_transposed ? 1 : g->ldb, b_col = g->b_transposed ? g->ldb : 1;
    const ptrdiff_t ldc = consumes ? n : g->ldc;
    const vmask mask = v_mask(n);
    ptrdiff_t waiting = 0; /* rows computed for consume() */
    int found = 0;
    for (ptrdiff_t i0 = row0; i0 < row1; i0 += step) {
        const ptrdiff_t rows = row1 - i0 < step ? row1 - i0 : step;
        const real *start = start_of(g, i0, col0);
        if (start) transpose(rows, n, start, g->ld_start, tile_c, step, tile_c + step * n);
        ptrdiff_t p = 0;
        do {
            const ptrdiff_t kp = depth_at(k, p, depth);
            const int later = p >= LONG_K, closes = closes_block(k, p + kp); /* as in blocks() */
            real *sums = later ? aside : tile_c;
            const real *from = p % LONG_K ? sums : p == 0 && start ? tile_c : NULL;
            ptrdiff_t a_row;
            const real *a = rows_of_a(g, i0, rows, p, kp, filled, &a_row);
            const real *b = (const real *)g->b + p * b_row + col0 * b_col;
            if (!direct) transpose(rows, kp, a, a_row, panel, step, panel + step * kp);
            tile_deep(n, kp, b, b_col, b_row, direct ? a : panel, direct ? g->a_col : step, 0, closes ? tile_c : sums,
                      step, rows, from, step, later && closes, NULL, 0, 0, NULL);
            p += kp;
        } while (p < k);
        real *c = consumes ? block + waiting * n : (real *)g->c + i0 * ldc + col0;
        for (ptrdiff_t i = 0; i < rows; i += LANES) {
            vec columns[LANES];
#pragma GCC unroll 16
            for (int j = 0; j < LANES; j++) columns[j] = v_load(tile_c + (j < n ? j : 0) * step + i);
            v_transpose(columns);
            for (ptrdiff_t l = 0; l < LANES && i + l < rows; l++) {
                finish(1, 1, columns + l, mask, &g->end, i0 + i + l, col0);
                v_store_m(c + (i + l) * ldc, columns[l], mask);
            }
        }
        if (!consumes) {
            if (!finishes_in_registers(&g->end)) finish_rows(&g->end, rows, n, c, ldc, i0, col0);
            continue;
        }
        waiting += rows;
        if ((waiting + step) * n * size > CONSUMED_BYTES || i0 + rows == row1) {
            found |= g->end.consume(g->end.context, i0 + rows - waiting, col0, waiting, n, block);
            waiting = 0;
        }
    }
    return found;
}

/* Columns of an m x n part, at its right, for which narrow_part() is faster, by a model in tenths of a cycle: a row and k
 * of a tile one vector wide takes 6; for LANES rows, narrow_part() takes 5 a column and k, 40 for a row of a block that it
 * has to transpose, and 600 in the end. */
static ptrdiff_t narrow_columns(const struct gemm *g, ptrdiff_t m, ptrdiff_t n) {
    const ptrdiff_t rest = n % LANES, k = g->k;
    if (rest == 0 || rest > NARROW_COLS || (g->a_row != 1 && g->a_col != 1)) return 0;
    if (n > LANES && g->end.kind == END_CONSUME) return 0; /* consume() gets whole rows */
    const ptrdiff_t turned = g->a_row == 1 ? 0 : (k + LANES - 1) / LANES * LANES * 40;
    return (m + LANES - 1) / LANES * (5 * k * rest + turned + 600) < 6 * m * k ? rest : 0;
}

/* C[row0, row1) x [col0, col1) by blocks of B; LONG_ROWS rows at most if k is more than LONG_K. Sums pass through C
 * from one block of B to the next. After the first LONG_K products C holds the sums of whole blocks of LONG_K, so sums
 * in progress lie in `spare` until their block ends and they are added to C. */
static int blocks(const struct gemm *g, ptrdiff_t row0, ptrdiff_t row1, ptrdiff_t col0, ptrdiff_t col1,
                  real *packed_b, real *filled) {
    const ptrdiff_t k = g->k, m = row1 - row0, n = col1 - col0, size = sizeof(real);
    const int consumes = g->end.kind == END_CONSUME, large = k * g->ldb * size > PACK_B_BYTES;
    const int packs_b = g->b_transposed || (large && m > 4 * TILE_ROWS), packs_first = packs_b && !g->b_transposed;
    const int few = m <= WIDE_ROWS && !g->b_transposed && !consumes; /* each element of B is used at once */
    const int streams_b = few && large && g->ldb * size % 4096 == 0; /* its rows conflict in the caches */
    const struct cut cut = streams_b ? (struct cut){even_depth(k, STREAM_K), LONG_SUMS / WIDE_ROWS}
                           : few     ? (struct cut){k, n}
                                     : cut_of(m, k, consumes);
    const ptrdiff_t step = step_of(m), height = even_part(m, TILE_ROWS, 1);
    const ptrdiff_t depth = cut.depth, width = even_part(n, cut.width, step);
    const ptrdiff_t ldb = packs_b ? step : g->ldb, ahead = streams_b ? AHEAD_STREAM : large ? AHEAD * ldb : 0;
    /* What consume() gets, or sums in progress. */
    real *spare = packed_b + (packs_b ? (depth * width + 15) / 16 * 16 : 0);
    int found = 0;

    for (ptrdiff_t j0 = col0; j0 < col1; j0 += width) {
        const ptrdiff_t j1 = j0 + width < col1 ? j0 + width : col1;
        ptrdiff_t p0 = 0;
        do { /* once even if k is 0: C still has to be written and finished */
            const ptrdiff_t kp = depth_at(k, p0, depth);
            const int later = p0 >= LONG_K, closes = closes_block(k, p0 + kp);
            const struct tile_end *end = p0 + kp >= k ? &g->end : NULL;
            const real *b = (const real *)g->b + (g->b_transposed ? j0 * g->ldb + p0 : p0 * g->ldb + j0);
            struct fetch next = {0}; /* the block after this one, while this one is used */
            if (packs_b && large && p0 + kp < k)
                next = block_of(g, p0 + kp, depth_at(k, p0 + kp, depth), j0, j1 - j0);
            else if (packs_b && large && j1 < col1)
                next = block_of(g, 0, depth, j1, col1 - j1 < width ? col1 - j1 : width);
            const ptrdiff_t strips = next.rows ? (m + height - 1) / height * ((j1 - j0 + step - 1) / step) : 0;
            ptrdiff_t strip = 0;
            if (g->b_transposed) pack_transposed(kp, j1 - j0, b, g->ldb, step, packed_b);
            const ptrdiff_t ldc = consumes ? j1 - j0 : g->ldc, together = consumes ? consumed_rows(m, height, ldc) : 0;
            ptrdiff_t waiting = 0, left = (m + TILE_ROWS - 1) / TILE_ROWS; /* rows computed for consume(); strips */
            for (ptrdiff_t i = row0, rows; i < row1; i += rows) {
                rows = (row1 - i + left - 1) / left; /* as even as can be, the higher first */
                left--;
                real *c = consumes ? spare + waiting * ldc : (real *)g->c + i * ldc + j0;
                real *sums = later ? spare + (i - row0) * (j1 - j0) : c;
                const ptrdiff_t ld_sums = later ? j1 - j0 : ldc;
                ptrdiff_t a_row;
                const real *a = rows_of_a(g, i, rows, p0, kp, filled, &a_row);
                struct fetch next_a = {0};
                if (g->fetches_a && i + rows < row1)
                    next_a = (struct fetch){(const real *)g->a + (i + 2 * rows - 1) * g->a_row + p0 * g->a_col, kp, size,
                                            g->a_col, 0}; /* the others' lines came with those before */
                for (ptrdiff_t j = j0; j < j1; j += step) {
                    const ptrdiff_t cols = j1 - j < step ? j1 - j : step;
                    if (next.rows) fetch_to(&next, next.rows * ++strip / strips);
                    if (g->fetch)
                        g->fetch(g->fetch_context, i, rows, j0, j1 - j0, (j - j0) / step, (j1 - j0 + step - 1) / step);
                    if (next_a.rows) fetch_to(&next_a, kp * (j + step - j0) / (j1 - j0));
                    if (consumes && large) fetch_streams(&g->end, rows, cols, g->ldc, i, j);
                    if (p0 > 0 && j + step < j1) fetch_tile(rows, step, sums + (j + step - j0), ld_sums);
                    else if (p0 > 0 && i + rows < row1) fetch_tile(rows, step, sums + rows * ld_sums, ld_sums);
                    real *bp = packed_b + (j - j0) * kp, *to = (closes ? c : sums) + (j - j0);
                    const real *from = p0 == 0 ? start_of(g, i, j) : p0 % LONG_K ? sums + (j - j0) : NULL;
                    const ptrdiff_t ld_from = p0 == 0 ? g->ld_start : ld_sums, ld_to = closes ? ldc : ld_sums;
                    const int adds = later && closes, first = packs_first && i == row0;
                    tile_deep(rows, kp, a, a_row, g->a_col, packs_b && !first ? bp : b + (j - j0),
                              first ? g->ldb : ldb, first ? (g->fetches_a ? 4 : 1) * AHEAD * g->ldb : ahead, to, ld_to, cols, from, ld_from,
                              adds, end, i, j, first ? bp : NULL);
                }
                if (!consumes) {
                    if (end && !finishes_in_registers(end)) finish_rows(end, rows, j1 - j0, c, ldc, i, j0);
                } else if (waiting + height >= together || i + rows == row1) {
                    found |= g->end.consume(g->end.context, i - waiting, j0, waiting + rows, j1 - j0, spare);
                    waiting = 0;
                } else waiting += rows;
            }
            p0 += kp;
        } while (p0 < k);
    }
    return found;
}

/* C[row0, row1) x [col0, col1), which is one tile, or a few where k is 1: nothing is packed, nothing fetched ahead. */
static void few_tiles(const struct gemm *g, ptrdiff_t row0, ptrdiff_t row1, ptrdiff_t col0, ptrdiff_t col1,
                      real *filled) {
    const ptrdiff_t cols = col1 - col0;
    for (ptrdiff_t i = row0, rows; i < row1; i += rows) {
        real *c = (real *)g->c + i * g->ldc + col0;
        rows = row1 - i < TILE_ROWS ? row1 - i : TILE_ROWS;
        ptrdiff_t a_row;
        const real *a = rows_of_a(g, i, rows, 0, g->k, filled, &a_row);
        tile_deep(rows, g->k, a, a_row, g->a_col, (const real *)g->b + col0, g->ldb, 0, c, g->ldc, cols,
                  start_of(g, i, col0), g->ld_start, 0, &g->end, i, col0, NULL);
        if (!finishes_in_registers(&g->end)) finish_rows(&g->end, rows, cols, c, g->ldc, i, col0);
    }
}

/* As gemm(), which alone calls it, where A is not compressed rows. */
ALWAYS_INLINE int product(const struct gemm *g, ptrdiff_t row0, ptrdiff_t row1, ptrdiff_t col0, ptrdiff_t col1, void *scratch) {
    real *filled = (real *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63);
    if ((row1 - row0 <= TILE_ROWS || g->k == 1) && col1 - col0 <= TILE_COLS && !g->b_transposed &&
        g->end.kind != END_CONSUME && g->k * g->ldb <= PACK_B_BYTES / (ptrdiff_t)sizeof(real)) {
        few_tiles(g, row0, row1, col0, col1, filled);
        return 0;
    }
    real *room = g->fill ? filled + filled_elements(g->k) : filled;
    const ptrdiff_t middle = col1 - narrow_columns(g, row1 - row0, col1 - col0);
    const ptrdiff_t most = g->k > LONG_K && g->end.kind != END_CONSUME ? LONG_ROWS : row1 - row0;
    const ptrdiff_t height = even_part(row1 - row0, most, TILE_ROWS);
    int found = 0;
    for (ptrdiff_t row = row0; middle > col0 && row < row1; row += height)
        found |= blocks(g, row, row + height < row1 ? row + height : row1, col0, middle, room, filled);
    if (middle < col1) found |= narrow_part(g, row0, row1, middle, col1, room, filled);
    return found;
}
