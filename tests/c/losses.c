/* Every loss: value and gradient, with and without weights, on one column and many. */
#include "bits.h"

#include <stdio.h>

static void check_loss(struct run *r, const char *name, struct schuss_loss loss) {
    static const ptrdiff_t all_cols[] = {1, 2, 10, 33};
    const ptrdiff_t rows = 500; /* several blocks, and worth threads where there are many columns */
    for (int i = 0; i < 4; i++) {
        const ptrdiff_t cols = all_cols[i];
        void *prediction = numbers(r, rows * cols, 3), *gradient = zeros(r, rows * cols), *target;
        double *partial = aligned(schuss_loss_partials(rows) * (ptrdiff_t)sizeof(double));
        double *weights = aligned(rows * (ptrdiff_t)sizeof(double)), total = 0;
        for (ptrdiff_t row = 0; row < rows; row++) total += weights[row] = (double)(row % 5) / 4;
        if (loss.labels) {
            int64_t *labels = target = aligned(rows * (ptrdiff_t)sizeof(int64_t));
            for (ptrdiff_t row = 0; row < rows; row++) labels[row] = row * 7 % cols;
        } else target = positive(r, rows * cols, 1);
        hash_double(r, schuss_loss_value(r->dtype, &loss, rows, cols, prediction, target, NULL, (double)rows, gradient,
                                         partial));
        hash_reals(r, gradient, rows * cols);
        hash_double(r, schuss_loss_value(r->dtype, &loss, rows, cols, prediction, target, weights, total, gradient,
                                         partial));
        hash_reals(r, gradient, rows * cols);
        hash_double(r, schuss_loss_value(r->dtype, &loss, rows, cols, prediction, target, weights, total, NULL,
                                         partial));
    }
    report(r, "loss", name);
}

void check_losses(struct run *r) {
    check_loss(r, "mse", (struct schuss_loss){.kind = SCHUSS_MSE, .labels = 0, .parameter = 0});
    check_loss(r, "mae", (struct schuss_loss){.kind = SCHUSS_MAE, .labels = 0, .parameter = 0});
    check_loss(r, "huber", (struct schuss_loss){.kind = SCHUSS_HUBER, .labels = 0, .parameter = 0.7});
    check_loss(r, "cross-entropy-labels", (struct schuss_loss){.kind = SCHUSS_CROSS_ENTROPY, .labels = 1, .parameter = 0});
    check_loss(r, "cross-entropy-labels-smoothed", (struct schuss_loss){.kind = SCHUSS_CROSS_ENTROPY, .labels = 1, .parameter = 0.1});
    check_loss(r, "cross-entropy", (struct schuss_loss){.kind = SCHUSS_CROSS_ENTROPY, .labels = 0, .parameter = 0});
    check_loss(r, "cross-entropy-smoothed", (struct schuss_loss){.kind = SCHUSS_CROSS_ENTROPY, .labels = 0, .parameter = 0.1});
    check_loss(r, "binary-cross-entropy", (struct schuss_loss){.kind = SCHUSS_BINARY_CROSS_ENTROPY, .labels = 0, .parameter = 0});
    check_loss(r, "poisson", (struct schuss_loss){.kind = SCHUSS_POISSON, .labels = 0, .parameter = 0});
    check_loss(r, "quantile", (struct schuss_loss){.kind = SCHUSS_QUANTILE, .labels = 0, .parameter = 0.9});
    check_loss(r, "gamma", (struct schuss_loss){.kind = SCHUSS_GAMMA, .labels = 0, .parameter = 0});
    check_loss(r, "tweedie", (struct schuss_loss){.kind = SCHUSS_TWEEDIE, .labels = 0, .parameter = 1.5});
    check_loss(r, "focal", (struct schuss_loss){.kind = SCHUSS_FOCAL, .labels = 1, .parameter = 2});
    check_loss(r, "binary-focal", (struct schuss_loss){.kind = SCHUSS_BINARY_FOCAL, .labels = 0, .parameter = 0.5});
}
