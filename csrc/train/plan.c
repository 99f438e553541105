/* The plan of a network: layers -> buffers, and how threads share the work. */
#include "plan.h"

#include <stdint.h>

#include "../dense/dense.h"

enum {
    /* Weights of a layer that every thread may read, and bring into the form that its products want, for itself. */
    ROWS_WEIGHT_BYTES = 64 * 1024
};

static int keeps_input(int activation) {
    return activation == SCHUSS_GELU || activation == SCHUSS_SILU || activation == SCHUSS_MISH ||
           activation == SCHUSS_HARD_SWISH;
}

/* Takes room for a * b * c bytes at *used, aligned. base NULL: only counts. *used < 0 marks an overflow. */
static void *take(char *base, ptrdiff_t *used, ptrdiff_t a, ptrdiff_t b, ptrdiff_t c) {
    ptrdiff_t bytes, end, start = *used;
    if (start < 0) return NULL;
    if (__builtin_mul_overflow(a, b, &bytes) || __builtin_mul_overflow(bytes, c, &bytes) ||
        __builtin_add_overflow(start, bytes, &end) || __builtin_add_overflow(end, 63, &end)) {
        *used = -1;
        return NULL;
    }
    *used = end / 64 * 64;
    return base ? base + start : NULL;
}

/* Elements from row to row of a buffer with n columns. Rows a large power of two apart meet in the same cache sets. */
static ptrdiff_t row_stride(ptrdiff_t n, ptrdiff_t item) {
    return n * item > 1024 && n * item % 1024 == 0 ? n + 64 / item : n;
}

/* Whether threads share the batch rather than each layer's columns: where no layer's weights are large, since each
 * thread reads all of them. */
static int shares_rows(const struct schuss_net *net, ptrdiff_t item, int threads) {
    if (threads < 2) return 0;
    for (int l = 0; l < net->n_layers; l++)
        if (net->layers[l].n_in > ROWS_WEIGHT_BYTES / item / net->layers[l].n_out) return 0;
    return 1;
}

/* Whether layer l's gradient lies where the output of the layer above was: when it is computed, that output has been
 * used for the last time. Not if all gradients are computed before the first is used up. */
static int reuses_output(const struct schuss_net *net, ptrdiff_t l, ptrdiff_t item, int passes, int by_rows) {
    const ptrdiff_t above = net->layers[l + 1].n_out;
    const ptrdiff_t room = l + 1 < net->n_layers - 1 ? row_stride(above, item) : above;
    return passes == SCHUSS_BACKWARD_ONCE && !by_rows && row_stride(net->layers[l].n_out, item) <= room;
}

static ptrdiff_t larger(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

/* Bytes that any part of any product of a pass may need. */
static ptrdiff_t scratch_needed(const struct schuss_net *net, const struct kernels *kernels, ptrdiff_t rows,
                                int backward) {
    ptrdiff_t most = 0;
    for (ptrdiff_t l = 0; l < net->n_layers; l++) {
        const ptrdiff_t n_in = net->layers[l].n_in, n_out = net->layers[l].n_out;
        most = larger(most, kernels->gemm_scratch(rows, n_out, n_in, END_FORWARD));
        if (!backward) continue;
        most = larger(most, kernels->gemm_scratch(n_in, n_out, rows, END_TAKE));
        if (l == 0) most = larger(most, kernels->sparse_scratch(n_out, rows));
        most = larger(most, kernels->gemm_scratch(rows, n_in, n_out, END_BACKWARD));
    }
    return (most + 63) / 64 * 64;
}

/* Lays `plan` out in memory, or only counts bytes where memory is NULL. layers[l]'s buffers are known before its
 * gradient's place is chosen. */
static ptrdiff_t lay(char *memory, struct schuss_plan *plan, const struct schuss_net *net, ptrdiff_t rows, int passes,
                     int threads) {
    const struct kernels *kernels = schuss_kernels(net->dtype);
    const ptrdiff_t item = kernels->item, last = net->n_layers - 1;
    const int backward = passes != SCHUSS_FORWARD_ONLY, by_rows = shares_rows(net, item, threads);
    ptrdiff_t used = 0, turn[2] = {0, 0}; /* columns of two buffers that layers use in turn */
    void *turns[2];
    take(memory, &used, 1, sizeof *plan + (size_t)net->n_layers * sizeof *plan->layers, 1);
    for (ptrdiff_t l = 0; l < last; l++)
        if (!reuses_output(net, l, item, passes, by_rows) && !(backward && by_rows))
            turn[l % 2] = larger(turn[l % 2], row_stride(net->layers[l].n_out, item));
    for (int i = 0; i < 2; i++) turns[i] = take(memory, &used, rows, turn[i], item);
    for (ptrdiff_t l = 0; l <= last; l++) {
        const struct schuss_layer *layer = &net->layers[l];
        struct layer_buffers b = {.ld = l < last ? row_stride(layer->n_out, item) : layer->n_out};
        if (!backward && l < last) {
            b.out = turns[l % 2];
            /* Threads that go through the layers each with its rows, one ahead of another, must not meet there. */
            if (threads > 1) b.ld = turn[l % 2];
        } else b.out = take(memory, &used, rows, b.ld, item);
        b.kept = b.fed = b.out;
        if (backward && keeps_input(layer->activation)) b.kept = take(memory, &used, rows, b.ld, item);
        if (backward && layer->dropout > 0) {
            b.mask = take(memory, &used, rows, b.ld, item);
            b.fed = take(memory, &used, rows, b.ld, item);
        }
        if (backward && by_rows && l < last) b.delta = take(memory, &used, rows, b.ld, item);
        if (memory) plan->layers[l] = b;
    }
    void *dout = backward ? take(memory, &used, rows, net->layers[last].n_out, item) : NULL;
    const ptrdiff_t scratch_each = scratch_needed(net, kernels, rows, backward);
    char *room = take(memory, &used, scratch_each, threads, 1);
    if (!memory) return used;
    if (backward && !by_rows)
        for (ptrdiff_t l = 0; l < last; l++)
            plan->layers[l].delta = reuses_output(net, l, item, passes, 0) ? plan->layers[l + 1].out : turns[l % 2];
    plan->dout = dout;
    plan->scratch = room;
    plan->scratch_each = scratch_each;
    plan->kernels = kernels;
    plan->max_rows = rows;
    plan->threads = threads;
    plan->by_rows = by_rows;
    plan->pace = (struct pace){0};
    return used;
}

ptrdiff_t schuss_plan_bytes(const struct schuss_net *net, ptrdiff_t max_rows, int passes, int threads) {
    return lay(NULL, NULL, net, max_rows, passes, threads);
}

struct schuss_plan *schuss_plan_lay(void *memory, const struct schuss_net *net, ptrdiff_t max_rows, int passes,
                                    int threads) {
    struct schuss_plan *plan = memory;
    lay(memory, plan, net, max_rows, passes, threads);
    return plan;
}

void *schuss_plan_dout(struct schuss_plan *plan) { return plan->dout; }

void *schuss_plan_output(const struct schuss_net *net, struct schuss_plan *plan) {
    return plan->layers[net->n_layers - 1].fed;
}

/* Of a multiply-add, of what a layer does to one output besides, and of a parameter's update. */
static const double PRODUCT_NS = 0.01, OUTPUT_NS = 0.05, PARAMETER_NS = 0.2;

double plan_forward_time(const struct schuss_net *net, ptrdiff_t rows) {
    double time = 0;
    for (int l = 0; l < net->n_layers; l++)
        time += (double)net->layers[l].n_out * (PRODUCT_NS * (double)net->layers[l].n_in + OUTPUT_NS);
    return time * (double)rows;
}

double plan_step_time(const struct schuss_net *net, ptrdiff_t rows) {
    double parameters = 0;
    for (int l = 0; l < net->n_layers; l++)
        parameters += (double)net->layers[l].n_out * (double)(net->layers[l].n_in + 1);
    return 3 * plan_forward_time(net, rows) + PARAMETER_NS * parameters;
}
