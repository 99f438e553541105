/* dense/sums.h with two sums at once, of two arrays and two numbers a column: the bits of plain C.
 *
 *     columns */
#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "expect.h"
#include "schuss.h"

#define REAL_BITS 32
#define VECTOR_BYTES 16
#define MACHINE_HEADER "baseline.h"
#include "vec/vec.h"

#include "dense/sums.h"

enum { COLS = 75, LD_A = COLS + 3, LD_B = COLS + 1, MOST_ROWS = 3 * COLUMN_BLOCK + 5 };

static uint32_t state = 1;

static void fill(ptrdiff_t n, float *x) {
    for (ptrdiff_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(state >> 8) / 16777216 - 0.25f;
    }
}

/* The sums of a normalisation's backward pass. */
ALWAYS_INLINE void normalised_term(vec a, vec b, vec p, vec q, vec *terms) {
    terms[0] = a;
    terms[1] = a * ((b - p) * q);
}

static void expect_sum(const float *found, ptrdiff_t j, double sum, const char *what, ptrdiff_t rows) {
    const float wanted = (float)sum;
    EXPECT(!memcmp(found + j, &wanted, sizeof wanted), "%s of column %td of %td rows: %a, expected %a", what, j, rows,
           (double)found[j], (double)wanted);
}

static void check(ptrdiff_t rows, ptrdiff_t col0, ptrdiff_t col1) {
    static float a[MOST_ROWS * LD_A], b[MOST_ROWS * LD_B], p[COLS], q[COLS], out0[COLS], out1[COLS], own[COLS];
    fill(MOST_ROWS * LD_A, a), fill(MOST_ROWS * LD_B, b), fill(COLS, p), fill(COLS, q);
    fill(COLS, out0), memcpy(out1, out0, sizeof out1), memcpy(own, out0, sizeof own);
    const float outside = out0[0];
    const struct column_operands x = {.rows = rows, .a = a, .ld_a = LD_A, .b = b, .ld_b = LD_B, .p = p, .q = q};
    sum_columns(2, normalised_term, &x, col0, col1, out0, out1);
    column_sums(rows, col0, col1, a, LD_A, own);
    if (col0 > 0) EXPECT(out0[0] == outside && out1[0] == outside && own[0] == outside, "columns from %td on", col0);
    for (ptrdiff_t j = col0; j < col1; j++) {
        double total0 = 0, total1 = 0;
        for (ptrdiff_t first = 0; first < rows; first += COLUMN_BLOCK) {
            float sum0 = 0, sum1 = 0;
            for (ptrdiff_t i = first; i < rows && i < first + COLUMN_BLOCK; i++) {
                sum0 += a[i * LD_A + j];
                sum1 += a[i * LD_A + j] * ((b[i * LD_B + j] - p[j]) * q[j]);
            }
            total0 += (double)sum0;
            total1 += (double)sum1;
        }
        expect_sum(out0, j, total0, "the first sum", rows);
        expect_sum(out1, j, total1, "the second sum", rows);
        expect_sum(own, j, total0, "the elements' sum", rows);
    }
}

int main(void) {
    static const ptrdiff_t rows[] = {0, 1, 5, COLUMN_BLOCK - 1, COLUMN_BLOCK, COLUMN_BLOCK + 1, MOST_ROWS};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (ptrdiff_t cols = 1; cols <= COLS; cols++) {
            check(rows[i], 0, cols);
            check(rows[i], cols - 1, COLS);
        }
    return 0;
}
