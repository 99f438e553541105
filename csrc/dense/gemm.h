/* C = A B by whichever way A is stored. */

/* See struct kernels. */
static int gemm(const struct gemm *g, ptrdiff_t row0, ptrdiff_t row1, ptrdiff_t col0, ptrdiff_t col1, void *scratch) {
    if (row1 <= row0 || col1 <= col0) return 0;
    if (g->compressed && g->a_row == 1) return sparse_columns(g, row0, row1, col0, col1, scratch);
    if (g->compressed) {
        sparse_rows(g, row0, row1, col0, col1);
        return 0;
    }
    return product(g, row0, row1, col0, col1, scratch);
}
