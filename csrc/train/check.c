/* Whether data that a caller hands over are what the core may index and compute with. Each check is one pass. */
#include <math.h>

#include "../schuss.h"

ptrdiff_t schuss_first_outside(const int64_t *x, ptrdiff_t n, int64_t limit) {
    for (ptrdiff_t i = 0; i < n; i++)
        if (x[i] < 0 || x[i] >= limit) return i;
    return -1;
}

ptrdiff_t schuss_first_not_rising(const int64_t *x, ptrdiff_t n) {
    for (ptrdiff_t i = 1; i < n; i++)
        if (x[i] <= x[i - 1]) return i;
    return -1;
}

/* No early end: the loops are vectors wide. NaN is in no interval. */
int schuss_all_within(int dtype, const void *x, ptrdiff_t n, double most) {
    const double *wide = x;
    const float *narrow = x;
    int good = 1;
    if (dtype == SCHUSS_F32)
        for (ptrdiff_t i = 0; i < n; i++) good &= (narrow[i] >= 0) & (narrow[i] <= (float)most);
    else
        for (ptrdiff_t i = 0; i < n; i++) good &= (wide[i] >= 0) & (wide[i] <= most);
    return good;
}

int schuss_loss_wants_labels(int loss_kind) { return loss_kind == SCHUSS_CROSS_ENTROPY || loss_kind == SCHUSS_FOCAL; }

int schuss_loss_accepts(int loss_kind, int dtype, const void *target, ptrdiff_t n) {
    switch (loss_kind) {
    case SCHUSS_BINARY_CROSS_ENTROPY:
    case SCHUSS_BINARY_FOCAL: return schuss_all_within(dtype, target, n, 1);
    case SCHUSS_POISSON:
    case SCHUSS_GAMMA:
    case SCHUSS_TWEEDIE: return schuss_all_within(dtype, target, n, INFINITY);
    default: return 1;
    }
}

double schuss_weight_sum(const double *weights, ptrdiff_t rows) {
    double total = 0;
    if (!weights) return (double)rows;
    for (ptrdiff_t i = 0; i < rows; i++) total += weights[i];
    return total;
}

static int64_t column_of(const struct schuss_compressed *c, int64_t k) {
    return c->wide ? ((const int64_t *)c->indices)[k] : ((const int32_t *)c->indices)[k];
}

int schuss_compressed_fault(const struct schuss_compressed *c, ptrdiff_t rows, ptrdiff_t entries, ptrdiff_t columns,
                            int doubled) {
    if (c->start[0] != 0 || c->start[rows] != entries) return SCHUSS_FAULT_START;
    for (ptrdiff_t i = 0; i < rows; i++)
        if (c->start[i + 1] < c->start[i] || c->start[i + 1] > entries) return SCHUSS_FAULT_START;
    for (ptrdiff_t i = 0; i < rows; i++)
        for (int64_t k = c->start[i]; k < c->start[i + 1]; k++) {
            const int64_t column = column_of(c, k);
            if (column < 0 || column >= columns) return SCHUSS_FAULT_RANGE;
            if (k > c->start[i] && column < column_of(c, k - 1) + !doubled) return SCHUSS_FAULT_ORDER;
        }
    return SCHUSS_OK;
}

int64_t schuss_compressed_columns(const struct schuss_compressed *c, ptrdiff_t rows) {
    int64_t most = 0;
    for (ptrdiff_t i = 0; i < rows; i++) {
        const int64_t end = c->start[i + 1];
        if (end > c->start[i] && column_of(c, end - 1) >= most) most = column_of(c, end - 1) + 1;
    }
    return most;
}
