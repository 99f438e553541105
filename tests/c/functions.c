/* Elementary functions, activations, softmax, dropout, sums of squares. */
#include "bits.h"

#include <math.h>
#include <stdio.h>

#include "dense/dense.h"

static const ptrdiff_t sizes[] = {1, 2, 3, 5, 8, 15, 16, 17, 33, 1000};
enum { N_SIZES = sizeof sizes / sizeof sizes[0] };

static void set(struct run *r, void *array, ptrdiff_t i, double x) {
    if (r->dtype == SCHUSS_F32) ((float *)array)[i] = (float)x;
    else ((double *)array)[i] = x;
}

/* Over the range where nothing becomes denormal, and zeros and infinities where the result is no NaN. */
static void check_elementary(struct run *r, int f) {
    static const double ranges[] = {80, 50, 10, 6, -40, 1, 1000, 1000};
    static const double specials[N_ELEMENTARY][4] = {
        {0, -0.0, INFINITY, -INFINITY}, {0, 1, INFINITY, -0.0}, {0, -0.0, INFINITY, -INFINITY},
        {0, -0.0, INFINITY, -INFINITY}, {0, -0.0, -1, -INFINITY}, {0, 1, 0.5, 0.25}, {0, -0.0, 1e30, -0.25},
        {0, -0.0, 1e30, -0.25}};
    const int both_signs = f != ELEMENTARY_LOG && f != ELEMENTARY_EXPM1 && f != ELEMENTARY_LOG1P;
    for (int i = 0; i < N_SIZES; i++) {
        const ptrdiff_t n = sizes[i];
        void *x = both_signs ? numbers(r, n, ranges[f]) : positive(r, n, ranges[f]), *y = reals(r, n);
        if (n > 4)
            for (int k = 0; k < 4; k++) set(r, x, k, specials[f][k]);
        r->kernels->elementary(f, n, x, y);
        hash_reals(r, y, n);
    }
    report(r, "function", schuss_elementary_name(f));
}

static void check_activation(struct run *r, int activation) {
    const double alpha = activation == SCHUSS_LEAKY_RELU ? 0.01 : 1.5;
    for (int i = 0; i < N_SIZES; i++) {
        const ptrdiff_t n = sizes[i];
        void *z = numbers(r, n, 5), *y = reals(r, n), *d = numbers(r, n, 1);
        r->kernels->activate(activation, alpha, n, z, y);
        hash_reals(r, y, n);
        const int keeps_input = activation == SCHUSS_GELU || activation == SCHUSS_SILU || activation == SCHUSS_MISH ||
                                activation == SCHUSS_HARD_SWISH;
        r->kernels->differentiate(activation, alpha, n, keeps_input ? z : y, d);
        hash_reals(r, d, n);
        r->kernels->activate(activation, alpha, n, z, z);
        hash_reals(r, z, n);
    }
    report(r, "activation", schuss_activation_name(activation));
}

static void check_softmax(struct run *r) {
    for (int i = 0; i < N_SIZES; i++) {
        const ptrdiff_t cols = sizes[i], rows = 3;
        void *y = numbers(r, rows * cols, 9), *d = numbers(r, rows * cols, 1);
        r->kernels->softmax(rows, cols, y);
        hash_reals(r, y, rows * cols);
        r->kernels->softmax_backward(rows, cols, y, d);
        hash_reals(r, d, rows * cols);
    }
    report(r, "activation", "softmax");
}

static void check_dropout(struct run *r, double probability) {
    const ptrdiff_t all[] = {1, 3, 64, 257, 9001};
    for (int i = 0; i < 5; i++) {
        void *x = numbers(r, all[i], 1), *y = reals(r, all[i]);
        const ptrdiff_t cut = all[i] / 8 * 4; /* any multiple of four: shares draw what one would */
        for (int part = 0; part < 2; part++) {
            const ptrdiff_t first = part ? cut : 0, n = part ? all[i] - cut : cut;
            unsigned char *mask = aligned(MASK_BYTES(n));
            r->kernels->draw_mask(first, n, probability, 7, 2, (uint64_t)i, mask);
            r->kernels->apply_mask(n, probability, mask, at(r, x, first), at(r, y, first));
            for (ptrdiff_t j = 0; j < n; j++) hash_integer(r, mask[j / 8] >> j % 8 & 1);
        }
        hash_reals(r, y, all[i]);
    }
    char name[32];
    snprintf(name, sizeof name, "dropout-%g", probability);
    report(r, "function", name);
}

static void check_sum_squares(struct run *r) {
    for (int i = 0; i < N_SIZES; i++) {
        void *x = numbers(r, sizes[i], 2);
        hash_double(r, r->kernels->sum_squares(sizes[i], x, 1, 0));
        hash_double(r, r->kernels->sum_squares(sizes[i], x, 0.3, 0.4));
    }
    report(r, "function", "sum-squares");
}

void check_functions(struct run *r) {
    for (int f = 0; f < N_ELEMENTARY; f++) check_elementary(r, f);
    for (int a = 0; a < SCHUSS_SOFTMAX; a++) check_activation(r, a);
    check_softmax(r);
    check_dropout(r, 0.3);
    check_dropout(r, 0.75);
    check_sum_squares(r);
}
