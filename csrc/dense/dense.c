/* Splits the kernels' work over threads. No result depends on the split. */
#include "dense.h"

#include <stdatomic.h>

#include "../fpmode.h"
#include "../names.h"
#include "../pool.h"

enum {
    PRODUCTS_PER_THREAD = 500000, /* multiply-adds */
    LOSS_ROWS = 64,                /* a thread has a multiple of these */
    LOSS_OUTPUTS_PER_THREAD = 8192
};

struct gemm_job {
    const struct kernels *kernels;
    const struct gemm *g;
    char *scratch;
    ptrdiff_t scratch_each;
    atomic_int found;
};

/* Cutting the longer side repeats the packing of the smaller operand only. */
static int by_columns(ptrdiff_t m, ptrdiff_t n) { return n > m; }

static void gemm_share(void *context, int index, int count) {
    struct gemm_job *job = context;
    const struct gemm *g = job->g;
    char *scratch = job->scratch + index * job->scratch_each;
    int found;
    if (by_columns(g->m, g->n)) {
        const ptrdiff_t unit = job->kernels->tile_cols;
        const ptrdiff_t first = share_start(g->n, unit, index, count), end = share_start(g->n, unit, index + 1, count);
        found = job->kernels->gemm(g, 0, g->m, first, end, scratch);
    } else {
        const ptrdiff_t first = share_start(g->m, 1, index, count), end = share_start(g->m, 1, index + 1, count);
        found = job->kernels->gemm(g, first, end, 0, g->n, scratch);
    }
    if (found) atomic_fetch_or_explicit(&job->found, found, memory_order_relaxed);
}

/* Scratch of one of `count` shares. */
static ptrdiff_t share_scratch(const struct kernels *kernels, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, int end_kind,
                               int count) {
    if (by_columns(m, n)) {
        const ptrdiff_t most = (n / kernels->tile_cols / count + 2) * kernels->tile_cols;
        n = most < n ? most : n;
    } else m = m / count + 1 < m ? m / count + 1 : m;
    return (kernels->gemm_scratch(m, n, k, end_kind) + 63) / 64 * 64;
}

ptrdiff_t dense_gemm_scratch(const struct kernels *kernels, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, int end_kind,
                             int threads) {
    ptrdiff_t most = 0;
    for (int count = 1; count <= threads; count++) {
        ptrdiff_t bytes = count * share_scratch(kernels, m, n, k, end_kind, count);
        most = bytes > most ? bytes : most;
    }
    return most;
}

int dense_gemm(const struct kernels *kernels, const struct gemm *g, int threads, char *scratch) {
    threads = threads_for((double)g->m * (double)g->n * (double)g->k, PRODUCTS_PER_THREAD, threads);
    if (threads == 1) return kernels->gemm(g, 0, g->m, 0, g->n, scratch);
    const ptrdiff_t tiles = by_columns(g->m, g->n) ? (g->n + kernels->tile_cols - 1) / kernels->tile_cols
                                                   : (g->m + kernels->tile_rows - 1) / kernels->tile_rows;
    const int count = tiles < threads ? (int)(tiles > 0 ? tiles : 1) : threads;
    struct gemm_job job = {kernels, g, scratch, share_scratch(kernels, g->m, g->n, g->k, g->end.kind, count), 0};
    schuss_parallel(count, gemm_share, &job);
    return atomic_load_explicit(&job.found, memory_order_relaxed);
}

struct loss_job {
    const struct kernels *kernels;
    const struct loss_rows *l;
    ptrdiff_t rows;
    double *values;
};

static void loss_share(void *context, int index, int count) {
    const struct loss_job *job = context;
    job->kernels->loss(job->l, share_start(job->rows, LOSS_ROWS, index, count),
                       share_start(job->rows, LOSS_ROWS, index + 1, count), job->values);
}

ptrdiff_t schuss_loss_partials(ptrdiff_t rows) { return rows; }

double dense_loss_sum(ptrdiff_t rows, const double *values) {
    double sum[4] = {0, 0, 0, 0};
    for (ptrdiff_t i = 0; i < rows; i++) sum[i & 3] += values[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

int schuss_slope_needs_input(int activation) {
    return activation == SCHUSS_GELU || activation == SCHUSS_SILU || activation == SCHUSS_MISH ||
           activation == SCHUSS_HARD_SWISH;
}

int schuss_loss_from_logits(int loss_kind, int activation) {
    return (loss_kind == SCHUSS_CROSS_ENTROPY && activation == SCHUSS_SOFTMAX) ||
           (loss_kind == SCHUSS_FOCAL && activation == SCHUSS_SOFTMAX) ||
           (loss_kind == SCHUSS_BINARY_CROSS_ENTROPY && activation == SCHUSS_SIGMOID) ||
           (loss_kind == SCHUSS_BINARY_FOCAL && activation == SCHUSS_SIGMOID) ||
           ((loss_kind == SCHUSS_POISSON || loss_kind == SCHUSS_GAMMA || loss_kind == SCHUSS_TWEEDIE) &&
            activation == SCHUSS_EXP);
}

ptrdiff_t schuss_loss_targets(int loss_kind, ptrdiff_t cols) { return loss_kind == SCHUSS_GAUSSIAN ? cols / 2 : cols; }

double schuss_loss_value(int dtype, const struct schuss_loss *loss, ptrdiff_t rows, ptrdiff_t cols,
                         const void *prediction, const void *target, const double *weights, double total,
                         void *gradient, double *partial) {
    struct loss_rows l = {loss, cols, prediction, target, weights, total, gradient};
    struct loss_job job = {schuss_kernels(dtype), &l, rows, partial};
    const int threads = threads_for((double)rows * (double)cols, LOSS_OUTPUTS_PER_THREAD, schuss_get_num_threads());
    const fpmode found = fpmode_flush(); /* as in a run of steps, whatever the threads */
    schuss_parallel(threads, loss_share, &job);
    const double sum = dense_loss_sum(rows, partial);
    fpmode_restore(found);
    return sum;
}

const char *schuss_activation_name(int activation) { return NAME_OF(SCHUSS_ACTIVATIONS, activation); }
const char *schuss_loss_name(int kind) { return NAME_OF(SCHUSS_LOSSES, kind); }
const char *schuss_elementary_name(int f) { return NAME_OF(ELEMENTARY_FUNCTIONS, f); }
