/* Products of matrices whose elements are rounded to bfloat16 (bf16_nearest), summed in floats, whatever a real is.
 *
 * An element of C = A B is one chain over k from zero, two products at a time, the second of them first: each is added
 * by a fused multiply-add with denormals flushed. Where k is odd, a product of zeros is the second of the last two. That is
 * vdpbf16ps, which takes what lies two by two along k; without it the same sums are made of the same steps, since a product
 * of two bfloat16 is a float, but for those that are smaller than the smallest or larger than the largest.
 *
 * A' and B are packed: panels of PANEL columns, in each a row for two of k, a word for each column, of which the lower
 * half is the first of the two. What lies beyond the last column is zero. */

enum {
    PANEL = 32,
    PAIRS_DEEP = 128,   /* rows of panels that are used at a time: 16 KiB of each */
    PAIRS_PANELS = 4,   /* of B, which the rows of one panel of A go through */
    PAIRS_ROWS = VECTOR_BYTES == 64 ? 8 : 4, /* the register tile */
    PAIRS_VECS = 2,
    PAIRS_COLS = PAIRS_VECS * WORDS,
    NARROWED = 64       /* elements of a row that are rounded before they are transposed */
};

static ptrdiff_t panels_of(ptrdiff_t n) { return (n + PANEL - 1) / PANEL; }

/* Words of k x n, packed. */
static ptrdiff_t packed_words(ptrdiff_t k, ptrdiff_t n) { return panels_of(n) * PANEL * ((k + 1) / 2); }

/* Packs x[k x cols], one panel, whose rows lie ld elements apart. */
static void pack_rows(ptrdiff_t k, ptrdiff_t cols, const real *x, ptrdiff_t ld, uint32_t *restrict to) {
    for (ptrdiff_t p = 0; p < k; p += 2, to += PANEL) {
        uint16_t lower[PANEL] = {0}, upper[PANEL] = {0};
        narrow_bf16(cols, x + p * ld, lower);
        if (p + 1 < k) narrow_bf16(cols, x + (p + 1) * ld, upper);
        for (int j = 0; j < PANEL; j++) to[j] = lower[j] | (uint32_t)upper[j] << 16;
    }
}

/* The same of x'[k x cols]: rows of x[cols x k] lie ld elements apart. */
static void pack_columns(ptrdiff_t k, ptrdiff_t cols, const real *x, ptrdiff_t ld, uint32_t *restrict to) {
    uint16_t rows[PANEL][NARROWED] = {0};
    for (ptrdiff_t p0 = 0; p0 < k; p0 += NARROWED) {
        const ptrdiff_t deep = k - p0 < NARROWED ? k - p0 : NARROWED;
        for (ptrdiff_t j = 0; j < cols; j++) {
            narrow_bf16(deep, x + j * ld + p0, rows[j]);
            if (deep % 2) rows[j][deep] = 0;
        }
        for (ptrdiff_t p = 0; p < deep; p += 2, to += PANEL)
            for (int j = 0; j < PANEL; j++) to[j] = rows[j][p] | (uint32_t)rows[j][p + 1] << 16;
    }
}

/* sum + the products of the upper halves, then of the lower ones. */
ALWAYS_INLINE vecf add_pairs(vecf sum, vecw a, vecw b) {
    const vecw upper = (int32_t)0xffff0000 - (vecw){0};
    sum = f_fma_exact((vecf)(a & upper), (vecf)(b & upper), sum);
    return f_fma_exact((vecf)(a << 16), (vecf)(b << 16), sum);
}

/* sums[PAIRS_ROWS x PAIRS_COLS], rows PAIRS_PANELS * PANEL apart, += of PAIRS_ROWS columns of A's panel and PAIRS_COLS of
 * B's, over so many rows of these. */
#define TILE_OF_PAIRS(NAME, ADD) \
    static void NAME(ptrdiff_t pairs, const uint32_t *a, const uint32_t *b, float *sums) { \
        vecf sum[PAIRS_ROWS][PAIRS_VECS]; \
        _Pragma("GCC unroll 8") for (int i = 0; i < PAIRS_ROWS; i++) \
            _Pragma("GCC unroll 2") for (int j = 0; j < PAIRS_VECS; j++) \
                sum[i][j] = f_load(sums + i * PAIRS_PANELS * PANEL + j * WORDS); \
        for (ptrdiff_t p = 0; p < pairs; p++, a += PANEL, b += PANEL) { \
            vecw right[PAIRS_VECS]; \
            _Pragma("GCC unroll 2") for (int j = 0; j < PAIRS_VECS; j++) \
                memcpy(right + j, b + j * WORDS, sizeof *right); \
            _Pragma("GCC unroll 8") for (int i = 0; i < PAIRS_ROWS; i++) { \
                const vecw left = (int32_t)a[i] - (vecw){0}; \
                _Pragma("GCC unroll 2") for (int j = 0; j < PAIRS_VECS; j++) sum[i][j] = ADD(sum[i][j], left, right[j]); \
            } \
        } \
        _Pragma("GCC unroll 8") for (int i = 0; i < PAIRS_ROWS; i++) \
            _Pragma("GCC unroll 2") for (int j = 0; j < PAIRS_VECS; j++) \
                f_store(sums + i * PAIRS_PANELS * PANEL + j * WORDS, sum[i][j]); \
    }
TILE_OF_PAIRS(tile_of_pairs, add_pairs)
#ifdef F_ADD_PAIRS
#define BY_INSTRUCTION __attribute__((target(F_ADD_PAIRS_TARGET)))
BY_INSTRUCTION TILE_OF_PAIRS(tile_by_instruction, F_ADD_PAIRS)
#undef BY_INSTRUCTION
#endif

typedef void (*pairs_tile)(ptrdiff_t pairs, const uint32_t *a, const uint32_t *b, float *sums);

/* The one that this CPU can run. */
static pairs_tile tile_for_pairs(void) {
#ifdef F_ADD_PAIRS
    if (schuss_has_bf16()) return tile_by_instruction;
#endif
    return tile_of_pairs;
}

/* C[m x n] = A B, or alpha A B + beta C2, k deep, of A' and B packed. add: C2; NULL: none. C's rows, and C2's, are n long.
 * symmetric: C is, to the last bit, and is made only where a panel of its rows meets it and what lies behind: what lies
 * further below the diagonal is not written, and of C2 not read. */
struct pairs_product {
    ptrdiff_t m, n, k;
    const uint32_t *a, *b;
    real alpha, beta;
    const real *add;
    real *c;
    int symmetric;
};

/* C's rows of one panel of A, and columns [col, col + cols), at most PAIRS_PANELS of B. */
static void pairs_block(const struct pairs_product *g, pairs_tile tile, ptrdiff_t row, ptrdiff_t col, ptrdiff_t cols) {
    enum { LD = PAIRS_PANELS * PANEL };
    const ptrdiff_t pairs = (g->k + 1) / 2, rows = g->m - row < PANEL ? g->m - row : PANEL;
    float sums[PANEL * LD] __attribute__((aligned(64))) = {0};
    for (ptrdiff_t p = 0; p < pairs; p += PAIRS_DEEP) {
        const ptrdiff_t deep = pairs - p < PAIRS_DEEP ? pairs - p : PAIRS_DEEP;
        const uint32_t *a = g->a + row * pairs + p * PANEL, *b = g->b + col * pairs + p * PANEL;
        for (ptrdiff_t j = 0; j < cols; j += PAIRS_COLS)
            for (ptrdiff_t i = 0; i < rows; i += PAIRS_ROWS)
                tile(deep, a + i, b + j / PANEL * PANEL * pairs + j % PANEL, sums + i * LD + j);
    }
    for (ptrdiff_t i = 0; i < rows; i++) {
        const float *restrict sum = sums + i * LD;
        real *restrict c = g->c + (row + i) * g->n + col;
        const real *restrict add = g->add ? g->add + (row + i) * g->n + col : NULL;
        if (add)
            for (ptrdiff_t j = 0; j < cols; j++) c[j] = g->alpha * (real)sum[j] + g->beta * add[j];
        else
            for (ptrdiff_t j = 0; j < cols; j++) c[j] = (real)sum[j];
    }
}

/* The member's part of the product: some of the blocks that C is cut into, panels of rows within blocks of columns. */
static void team_pairs(const struct pairs_product *g, const struct team *me) {
    enum { WIDTH = PAIRS_PANELS * PANEL };
    const pairs_tile tile = tile_for_pairs();
    const ptrdiff_t m = panels_of(g->m);
    ptrdiff_t total = 0, at = 0;
    for (ptrdiff_t col = 0; col < g->n; col += WIDTH)
        total += g->symmetric && panels_of(col + WIDTH) < m ? panels_of(col + WIDTH) : m;
    const ptrdiff_t first = share_start(total, 1, me->index, me->count);
    const ptrdiff_t end = share_start(total, 1, me->index + 1, me->count);
    for (ptrdiff_t col = 0; col < g->n && at < end; col += WIDTH) {
        const ptrdiff_t to = g->n - col < WIDTH ? g->n : col + WIDTH;
        const ptrdiff_t units = g->symmetric && panels_of(col + WIDTH) < m ? panels_of(col + WIDTH) : m;
        for (ptrdiff_t panel = first > at ? first - at : 0; panel < units && panel < end - at; panel++) {
            const ptrdiff_t row = panel * PANEL, from = g->symmetric && row > col ? row : col;
            pairs_block(g, tile, row, from, to - from);
        }
        at += units;
    }
}

/* The member's part of packing x[rows x cols], whose rows are k. */
static void team_pack_rows(ptrdiff_t rows, ptrdiff_t cols, const real *x, uint32_t *packed, const struct team *me) {
    const ptrdiff_t end = share_start(cols, PANEL, me->index + 1, me->count);
    for (ptrdiff_t col = share_start(cols, PANEL, me->index, me->count); col < end; col += PANEL)
        pack_rows(rows, cols - col < PANEL ? cols - col : PANEL, x + col, cols, packed + col * ((rows + 1) / 2));
}

/* The same where its columns are k. */
static void team_pack_columns(ptrdiff_t rows, ptrdiff_t cols, const real *x, uint32_t *packed, const struct team *me) {
    const ptrdiff_t end = share_start(rows, PANEL, me->index + 1, me->count);
    for (ptrdiff_t row = share_start(rows, PANEL, me->index, me->count); row < end; row += PANEL)
        pack_columns(cols, rows - row < PANEL ? rows - row : PANEL, x + row * cols, cols,
                     packed + row * ((cols + 1) / 2));
}

/* The same of x[n x n] that is made as a symmetric product is: what lies below a panel's place is read as what lies behind
 * it, in its rows. */
static void team_pack_symmetric(ptrdiff_t n, const real *x, uint32_t *packed, const struct team *me) {
    const ptrdiff_t end = share_start(n, PANEL, me->index + 1, me->count);
    for (ptrdiff_t col = share_start(n, PANEL, me->index, me->count); col < end; col += PANEL) {
        const ptrdiff_t cols = n - col < PANEL ? n - col : PANEL;
        uint32_t *to = packed + col * ((n + 1) / 2);
        pack_rows(col, cols, x + col, n, to);
        pack_columns(n - col, cols, x + col * n + col, n, to + col / 2 * PANEL);
    }
}
