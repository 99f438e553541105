/* Products of a rule's matrices, shared by the members of a team. */

enum {
    PRODUCT_COLS = 512 / sizeof(real) / TILE_COLS * TILE_COLS, /* columns of a part of C */
    PRODUCT_ROWS = 16                                          /* parts are cut at multiples of so many rows */
};

/* C[j][i] = C[i][j] for rows [row0, row1) of columns [col0, col1), above the diagonal; rows are whole vectors. */
static void mirror(const struct gemm *g, ptrdiff_t row0, ptrdiff_t row1, ptrdiff_t col0, ptrdiff_t col1) {
    if (row1 <= row0) return;
    real *c = (real *)g->c, *to = c + col0 * g->ldc + row0;
    transpose(row1 - row0, col1 - col0, c + row0 * g->ldc + col0, g->ldc, to, g->ldc,
              to + (col1 - col0 - 1) * g->ldc + (row1 - row0));
}

/* The member's part of product g. symmetric: C is, to the last bit, so what lies below the diagonal is copied from
 * above. Blocks of columns are cut where they have to be, so that members have equal areas. */
static void team_product(const struct gemm *g, int symmetric, char *scratch, const struct team *me) {
    const ptrdiff_t width = me->count == 1 && !symmetric ? g->n : PRODUCT_COLS;
    const ptrdiff_t m = (g->m + PRODUCT_ROWS - 1) / PRODUCT_ROWS;
    ptrdiff_t total = 0, at = 0;
    for (ptrdiff_t col = 0; col < g->n; col += width) {
        const ptrdiff_t down = (col + width + PRODUCT_ROWS - 1) / PRODUCT_ROWS;
        total += symmetric && down < m ? down : m;
    }
    const ptrdiff_t first = share_start(total, 1, me->index, me->count);
    const ptrdiff_t end = share_start(total, 1, me->index + 1, me->count);
    for (ptrdiff_t col = 0; col < g->n; col += width) {
        const ptrdiff_t down = (col + width + PRODUCT_ROWS - 1) / PRODUCT_ROWS;
        const ptrdiff_t units = symmetric && down < m ? down : m;
        const ptrdiff_t from = first > at ? first - at : 0, to = end - at < units ? end - at : units;
        at += units;
        if (from >= to) continue;
        const ptrdiff_t col1 = col + width < g->n ? col + width : g->n;
        const ptrdiff_t row0 = from * PRODUCT_ROWS, most = symmetric && col1 < g->m ? col1 : g->m;
        /* what lies below the block's square is not ours: others copy it while sums of ours might pass through it */
        const ptrdiff_t row1 = to * PRODUCT_ROWS < most ? to * PRODUCT_ROWS : most;
        gemm(g, row0, row1, col, col1, scratch);
        if (symmetric) mirror(g, row0, row1 < col ? row1 : col, col, col1);
    }
}

static ptrdiff_t product_scratch(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k) {
    return (gemm_scratch(m, n, k, END_NONE) + 63) / 64 * 64;
}
