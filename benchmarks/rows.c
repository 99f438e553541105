/* A bare loop that reads and writes rows of a table in any order, and computes next to nothing: what a step that touches
 * these rows costs at least. Compiled when the benchmarks run; no part of the package. */

#include <stddef.h>

/* table[rows of the table x width] += term in row index[k] for each of n; the lines of the row `ahead` places later are
 * fetched, or none if 0. */
void touch_rows(float *table, ptrdiff_t width, const ptrdiff_t *index, ptrdiff_t n, ptrdiff_t ahead, float term) {
    for (ptrdiff_t k = 0; k < n; k++) {
        float *row = table + index[k] * width;
        if (ahead && k + ahead < n) {
            const float *later = table + index[k + ahead] * width;
            for (ptrdiff_t j = 0; j < width; j += 16) __builtin_prefetch(later + j, 1);
        }
        for (ptrdiff_t j = 0; j < width; j++) row[j] += term;
    }
}
