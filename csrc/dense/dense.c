/* Splits the kernels' work over threads. No result depends on the split. */
#include "dense.h"

#include "../pool.h"

enum {
    PRODUCTS_PER_THREAD = 1500000, /* multiply-adds; of fewer, the operands' way between two cores' caches eats the gain */
    DRAWS_PER_THREAD = 4096,
    LOSS_ROWS = 64,                /* losses are summed in blocks of so many rows, whatever the threads */
    LOSS_WORK_PER_THREAD = 8192
};

struct gemm_job {
    const struct kernels *kernels;
    const struct gemm *g;
    int by_columns;
    char *scratch;
    ptrdiff_t scratch_each;
};

static void gemm_share(void *context, int index, int count) {
    const struct gemm_job *job = context;
    const struct gemm *g = job->g;
    char *scratch = job->scratch + index * job->scratch_each;
    if (job->by_columns) {
        const ptrdiff_t unit = job->kernels->tile_cols;
        job->kernels->gemm(g, 0, g->m, share_start(g->n, unit, index, count), share_start(g->n, unit, index + 1, count),
                           scratch);
    } else
        job->kernels->gemm(g, share_start(g->m, 1, index, count), share_start(g->m, 1, index + 1, count), 0, g->n,
                           scratch);
}

void dense_gemm(const struct kernels *kernels, const struct gemm *g, int threads, char *scratch,
                ptrdiff_t scratch_each) {
    /* Cutting the longer side repeats the packing of the smaller operand only. */
    struct gemm_job job = {kernels, g, g->n > g->m, scratch, scratch_each};
    const ptrdiff_t tiles = job.by_columns ? (g->n + kernels->tile_cols - 1) / kernels->tile_cols
                                           : (g->m + kernels->tile_rows - 1) / kernels->tile_rows;
    threads = threads_for((double)g->m * (double)g->n * (double)g->k, PRODUCTS_PER_THREAD, threads);
    schuss_parallel(tiles < threads ? (int)(tiles > 0 ? tiles : 1) : threads, gemm_share, &job);
}

struct dropout_job {
    const struct kernels *kernels;
    ptrdiff_t n;
    double probability;
    uint64_t seed, draw;
    uint32_t layer;
    const char *x;
    char *mask, *y;
};

static void dropout_share(void *context, int index, int count) {
    const struct dropout_job *d = context;
    const ptrdiff_t first = share_start(d->n, 64, index, count), end = share_start(d->n, 64, index + 1, count);
    const ptrdiff_t offset = first * d->kernels->item;
    d->kernels->dropout(first, end - first, d->probability, d->seed, d->layer, d->draw, d->x + offset,
                        d->mask + offset, d->y + offset);
}

void dense_dropout(const struct kernels *kernels, int threads, ptrdiff_t n, double probability, uint64_t seed,
                   uint32_t layer, uint64_t draw, const void *x, void *mask, void *y) {
    struct dropout_job job = {kernels, n, probability, seed, draw, layer, x, mask, y};
    schuss_parallel(threads_for((double)n, DRAWS_PER_THREAD, threads), dropout_share, &job);
}

struct loss_job {
    const struct kernels *kernels;
    const struct loss_rows *l;
    ptrdiff_t rows;
    double *partial;
};

static void loss_share(void *context, int index, int count) {
    const struct loss_job *job = context;
    const ptrdiff_t first = share_start(job->rows, LOSS_ROWS, index, count);
    const ptrdiff_t end = share_start(job->rows, LOSS_ROWS, index + 1, count);
    for (ptrdiff_t row = first; row < end; row += LOSS_ROWS)
        job->partial[row / LOSS_ROWS] = job->kernels->loss(job->l, row, row + LOSS_ROWS < end ? row + LOSS_ROWS : end);
}

ptrdiff_t schuss_loss_partials(ptrdiff_t rows) { return (rows + LOSS_ROWS - 1) / LOSS_ROWS; }

int schuss_loss_takes_logits(int loss_kind, int activation) {
    return (loss_kind == SCHUSS_CROSS_ENTROPY && activation == SCHUSS_SOFTMAX) ||
           (loss_kind == SCHUSS_BINARY_CROSS_ENTROPY && activation == SCHUSS_SIGMOID);
}

double schuss_loss_value(int dtype, const struct schuss_loss *loss, ptrdiff_t rows, ptrdiff_t cols,
                         const void *prediction, const void *target, const double *weights, double total,
                         void *gradient, double *partial) {
    struct loss_rows l = {loss, cols, prediction, target, weights, total, gradient};
    struct loss_job job = {schuss_kernels(dtype), &l, rows, partial};
    const ptrdiff_t blocks = schuss_loss_partials(rows);
    int threads = threads_for((double)rows * (double)cols, LOSS_WORK_PER_THREAD, schuss_get_num_threads());
    schuss_parallel(blocks < threads ? (int)blocks : threads, loss_share, &job);
    double sum = 0;
    for (ptrdiff_t i = 0; i < blocks; i++) sum += partial[i];
    return sum;
}
