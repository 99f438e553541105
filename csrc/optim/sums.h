/* Sums over a piece of an array in a fixed order, in double: element i belongs to lane i % 16, whatever the vectors;
 * then one tree. Pieces that are added to the same lanes one after the other have multiples of 16 elements, but the
 * last. */

struct rule_sums {
    double lane[SCHUSS_MAX_SUMS][VIRTUAL_LANES];
};

enum { LANE_VECS = VIRTUAL_LANES / DOUBLES };

/* lane[i % 16] += x[i] y[i], in double, for i < n. */
ALWAYS_INLINE void add_products(ptrdiff_t n, const real *x, const real *y, double *lane) {
    wide sum[LANE_VECS];
    ptrdiff_t i = 0;
    memcpy(sum, lane, sizeof sum);
    for (; i + VIRTUAL_LANES <= n; i += VIRTUAL_LANES)
#pragma GCC unroll 8
        for (int k = 0; k < LANE_VECS; k++) sum[k] += v_widen(x + i + k * DOUBLES) * v_widen(y + i + k * DOUBLES);
    memcpy(lane, sum, sizeof sum);
    for (int l = 0; i + l < n; l++) lane[l] += (double)x[i + l] * (double)y[i + l];
}

/* The same of two pairs of arrays in one loop, so that one sum is added to while the other waits for its last addition.
 * y1 NULL: ones. */
ALWAYS_INLINE void add_two_products(ptrdiff_t n, const real *x0, const real *y0, const real *x1, const real *y1,
                                    struct rule_sums *sums) {
    wide a[LANE_VECS], b[LANE_VECS];
    ptrdiff_t i = 0;
    memcpy(a, sums->lane[0], sizeof a);
    memcpy(b, sums->lane[1], sizeof b);
    for (; i + VIRTUAL_LANES <= n; i += VIRTUAL_LANES)
#pragma GCC unroll 8
        for (int k = 0; k < LANE_VECS; k++) {
            const ptrdiff_t j = i + k * DOUBLES;
            a[k] += v_widen(x0 + j) * v_widen(y0 + j);
            b[k] += y1 ? v_widen(x1 + j) * v_widen(y1 + j) : v_widen(x1 + j);
        }
    memcpy(sums->lane[0], a, sizeof a);
    memcpy(sums->lane[1], b, sizeof b);
    for (int l = 0; i + l < n; l++) {
        sums->lane[0][l] += (double)x0[i + l] * (double)y0[i + l];
        sums->lane[1][l] += y1 ? (double)x1[i + l] * (double)y1[i + l] : (double)x1[i + l];
    }
}

/* The sum of lane[16], by a tree. */
ALWAYS_INLINE double lanes_total(const double *lane) {
    double sum[VIRTUAL_LANES];
    for (int l = 0; l < VIRTUAL_LANES; l++) sum[l] = lane[l];
    for (int half = VIRTUAL_LANES / 2; half; half /= 2)
        for (int l = 0; l < half; l++) sum[l] += sum[l + half];
    return sum[0];
}
