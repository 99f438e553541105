/* A dense network over one plan: layers -> buffers, forward, backward. All arithmetic is in the kernels. */
#include <stdint.h>

#include "../dense/dense.h"
#include "../fpmode.h"
#include "../pool.h"

struct layer_buffers {
    void *out;  /* [rows x n_out] act(X W + b) */
    void *kept; /* what act' is computed from: out itself, or the pre-activation */
    void *mask; /* [rows x n_out] dropout's factors, or NULL */
    void *fed;  /* [rows x n_out] out * mask, what the next layer sees; out itself without dropout */
};

struct schuss_plan {
    const struct kernels *kernels; /* those it was laid for: another level's may need more scratch */
    ptrdiff_t max_rows;
    int threads;
    void *dout;     /* [rows x n_out of the last layer] */
    void *delta[2]; /* [rows x widest hidden layer] gradients on their way back, in turn */
    char *scratch;  /* threads * scratch_each */
    ptrdiff_t scratch_each;
    struct layer_buffers layers[];
};

static int keeps_input(int activation) { return activation == SCHUSS_GELU || activation == SCHUSS_SILU; }

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

static ptrdiff_t larger(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

/* Lays `plan` out in memory, or only counts bytes where both are NULL. */
static ptrdiff_t lay(char *memory, struct schuss_plan *plan, const struct schuss_net *net, ptrdiff_t rows,
                     int backward, int threads) {
    const struct kernels *kernels = schuss_kernels(net->dtype);
    const ptrdiff_t item = kernels->item, last = net->n_layers - 1;
    ptrdiff_t used = 0, hidden = 0, scratch = 0;
    struct schuss_plan counting;
    take(memory, &used, 1, sizeof *plan + (size_t)net->n_layers * sizeof *plan->layers, 1);
    if (!plan) plan = &counting;
    for (ptrdiff_t l = 0; l <= last; l++) {
        const struct schuss_layer *layer = &net->layers[l];
        if (l < last) hidden = larger(hidden, layer->n_out);
        scratch = larger(scratch, kernels->gemm_scratch(rows, layer->n_out, layer->n_in));
        if (backward) {
            scratch = larger(scratch, kernels->gemm_scratch(layer->n_in, layer->n_out, rows));
            scratch = larger(scratch, kernels->gemm_scratch(rows, layer->n_in, layer->n_out));
        }
    }
    plan->delta[0] = take(memory, &used, rows, hidden, item);
    plan->delta[1] = take(memory, &used, rows, hidden, item);
    for (ptrdiff_t l = 0; l <= last; l++) {
        const struct schuss_layer *layer = &net->layers[l];
        struct layer_buffers b = {0};
        if (!backward && l < last) b.out = plan->delta[l % 2];
        else b.out = take(memory, &used, rows, layer->n_out, item);
        b.kept = b.fed = b.out;
        if (backward && keeps_input(layer->activation)) b.kept = take(memory, &used, rows, layer->n_out, item);
        if (backward && layer->dropout > 0) {
            b.mask = take(memory, &used, rows, layer->n_out, item);
            b.fed = take(memory, &used, rows, layer->n_out, item);
        }
        if (memory) plan->layers[l] = b;
    }
    plan->dout = backward ? take(memory, &used, rows, net->layers[last].n_out, item) : NULL;
    plan->scratch_each = (scratch + 63) / 64 * 64;
    plan->scratch = take(memory, &used, plan->scratch_each, threads, 1);
    plan->kernels = kernels;
    plan->max_rows = rows;
    plan->threads = threads;
    return used;
}

ptrdiff_t schuss_plan_bytes(const struct schuss_net *net, ptrdiff_t max_rows, int backward, int threads) {
    return lay(NULL, NULL, net, max_rows, backward, threads);
}

struct schuss_plan *schuss_plan_lay(void *memory, const struct schuss_net *net, ptrdiff_t max_rows, int backward,
                                    int threads) {
    struct schuss_plan *plan = memory;
    lay(memory, plan, net, max_rows, backward, threads);
    return plan;
}

void *schuss_plan_dout(struct schuss_plan *plan) { return plan->dout; }

void *schuss_plan_output(const struct schuss_net *net, struct schuss_plan *plan) {
    return plan->layers[net->n_layers - 1].fed;
}

/* Threads that this plan has scratch for and that the caller may use. */
static int threads_of(const struct schuss_plan *plan) {
    const int allowed = schuss_get_num_threads();
    return allowed < plan->threads ? allowed : plan->threads;
}

static char *at(void *arena, ptrdiff_t element, const struct kernels *kernels) {
    return (char *)arena + element * kernels->item;
}

void *schuss_forward(const struct schuss_net *net, struct schuss_plan *plan, const void *x, ptrdiff_t ldx,
                     ptrdiff_t rows, int flags, uint64_t draw, void *out) {
    const struct kernels *kernels = plan->kernels;
    const int threads = threads_of(plan);
    const fpmode found = fpmode_flush();
    for (int l = 0; l < net->n_layers; l++) {
        const struct schuss_layer *layer = &net->layers[l];
        const struct layer_buffers *b = &plan->layers[l];
        const int last = l == net->n_layers - 1;
        const int activation = last && flags & SCHUSS_LOGITS ? SCHUSS_IDENTITY : layer->activation;
        const int drops = flags & SCHUSS_TRAINING && layer->dropout > 0;
        void *y = last && out && !drops ? out : b->out;
        const int keeps = flags & SCHUSS_TRAINING && keeps_input(activation);
        struct gemm g = {
            .m = rows, .n = layer->n_out, .k = layer->n_in,
            .a = x, .a_row = ldx, .a_col = 1,
            .b = at(net->params, layer->weight, kernels), .ldb = layer->n_out,
            .c = y, .ldc = layer->n_out,
            .end = {
                .kind = END_FORWARD,
                .activation = activation == SCHUSS_SOFTMAX ? SCHUSS_IDENTITY : activation,
                .alpha = layer->alpha,
                .bias = layer->bias < 0 ? NULL : at(net->params, layer->bias, kernels),
                .kept = keeps ? b->kept : NULL,
            },
        };
        dense_gemm(kernels, &g, threads, plan->scratch, plan->scratch_each);
        if (activation == SCHUSS_SOFTMAX) kernels->softmax(rows, layer->n_out, y);
        if (drops) {
            void *fed = last && out ? out : b->fed;
            dense_dropout(kernels, threads, rows * layer->n_out, layer->dropout, net->seed, (uint32_t)l, draw, y,
                          b->mask, fed);
            y = fed;
        }
        x = y;
        ldx = layer->n_out;
    }
    fpmode_restore(found);
    return (void *)(uintptr_t)x;
}

/* d(loss)/d(output) of the last layer -> d(loss)/d(its pre-activation), in place. */
static void enter_backward(const struct schuss_net *net, struct schuss_plan *plan, ptrdiff_t rows, int flags,
                           void *dout) {
    const struct kernels *kernels = plan->kernels;
    const struct schuss_layer *layer = &net->layers[net->n_layers - 1];
    const struct layer_buffers *b = &plan->layers[net->n_layers - 1];
    const ptrdiff_t n = rows * layer->n_out;
    if (b->mask) kernels->multiply(n, b->mask, dout);
    if (flags & SCHUSS_LOGITS) return;
    if (layer->activation == SCHUSS_SOFTMAX) kernels->softmax_backward(rows, layer->n_out, b->out, dout);
    else kernels->differentiate(layer->activation, layer->alpha, n, b->kept, dout);
}

struct sums_job {
    const struct kernels *kernels;
    ptrdiff_t rows, n;
    const void *x;
    void *out;
};

static void sums_share(void *context, int index, int count) {
    const struct sums_job *job = context;
    const ptrdiff_t unit = 4 * job->kernels->tile_cols;
    const ptrdiff_t first = share_start(job->n, unit, index, count), end = share_start(job->n, unit, index + 1, count);
    job->kernels->column_sums(job->rows, first, end, job->x, job->n, job->out);
}

void schuss_backward(const struct schuss_net *net, struct schuss_plan *plan, const void *x, ptrdiff_t ldx,
                     ptrdiff_t rows, int flags, void *dout, void *dx) {
    const struct kernels *kernels = plan->kernels;
    const int threads = threads_of(plan);
    const fpmode found = fpmode_flush();
    enter_backward(net, plan, rows, flags, dout);
    void *delta = dout;
    for (int l = net->n_layers - 1; l >= 0; l--) {
        const struct schuss_layer *layer = &net->layers[l];
        const struct layer_buffers *below = l > 0 ? &plan->layers[l - 1] : NULL;
        const ptrdiff_t n = layer->n_out;
        struct gemm dw = {
            .m = layer->n_in, .n = n, .k = rows,
            .a = below ? below->fed : x, .a_row = 1, .a_col = below ? layer->n_in : ldx,
            .b = delta, .ldb = n,
            .c = at(net->grads, layer->weight, kernels), .ldc = n,
        };
        dense_gemm(kernels, &dw, threads, plan->scratch, plan->scratch_each);
        if (layer->bias >= 0) {
            struct sums_job sums = {kernels, rows, n, delta, at(net->grads, layer->bias, kernels)};
            schuss_parallel(threads_for((double)rows * (double)n, 65536, threads), sums_share, &sums);
        }
        void *next = below ? plan->delta[l % 2] : dx;
        if (!next) continue;
        struct gemm down = {
            .m = rows, .n = layer->n_in, .k = n,
            .a = delta, .a_row = n, .a_col = 1,
            .b = at(net->params, layer->weight, kernels), .ldb = n, .b_transposed = 1,
            .c = next, .ldc = layer->n_in,
        };
        if (below)
            down.end = (struct tile_end){
                .kind = END_BACKWARD,
                .activation = net->layers[l - 1].activation,
                .alpha = net->layers[l - 1].alpha,
                .kept = below->kept,
                .mask = below->mask,
            };
        dense_gemm(kernels, &down, threads, plan->scratch, plan->scratch_each);
        delta = next;
    }
    fpmode_restore(found);
}
