/* A dense network over one plan: layers -> buffers, forward, backward. All arithmetic is in the kernels. */
#include <stdint.h>

#include "../dense/dense.h"
#include "../fpmode.h"
#include "../pool.h"
#include "net.h"

enum { SUMS_PER_THREAD = 65536 }; /* elements of a layer's gradient that are worth a thread when summed */

struct layer_buffers {
    void *out;  /* [rows x n_out] act(X W + b) */
    void *kept; /* what act' is computed from: out itself, or the pre-activation */
    void *mask; /* [rows x n_out] dropout's factors, or NULL */
    void *delta; /* [rows x n_out] gradient of the pre-activation; NULL in the last layer, which has dout */
    void *fed;  /* [rows x n_out] out * mask, what the next layer sees; out itself without dropout */
    ptrdiff_t ld; /* elements from row to row of each, and of the gradient */
};

struct schuss_plan {
    const struct kernels *kernels; /* those it was laid for: another level's may need more scratch */
    ptrdiff_t max_rows;
    int threads;
    void *dout;     /* [rows x n_out of the last layer] */
    char *scratch;  /* of the products */
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

/* Elements from row to row of a buffer with n columns. Rows a large power of two apart meet in the same cache sets. */
static ptrdiff_t row_stride(ptrdiff_t n, ptrdiff_t item) {
    return n * item > 1024 && n * item % 1024 == 0 ? n + 64 / item : n;
}

/* Whether layer l's gradient lies where the output of the layer above was: when it is computed, that output has been
 * used for the last time. */
static int reuses_output(const struct schuss_net *net, ptrdiff_t l, ptrdiff_t item, int passes) {
    const ptrdiff_t above = net->layers[l + 1].n_out;
    const ptrdiff_t room = l + 1 < net->n_layers - 1 ? row_stride(above, item) : above;
    return passes == SCHUSS_BACKWARD_ONCE && row_stride(net->layers[l].n_out, item) <= room;
}

static ptrdiff_t larger(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

/* Lays `plan` out in memory, or only counts bytes where memory is NULL. layers[l]'s buffers are known before its
 * gradient's place is chosen. */
static ptrdiff_t lay(char *memory, struct schuss_plan *plan, const struct schuss_net *net, ptrdiff_t rows, int passes,
                     int threads) {
    const struct kernels *kernels = schuss_kernels(net->dtype);
    const ptrdiff_t item = kernels->item, last = net->n_layers - 1;
    const int backward = passes != SCHUSS_FORWARD_ONLY;
    ptrdiff_t used = 0, scratch = 0, turn[2] = {0, 0}; /* columns of two buffers that layers use in turn */
    void *turns[2];
    take(memory, &used, 1, sizeof *plan + (size_t)net->n_layers * sizeof *plan->layers, 1);
    for (ptrdiff_t l = 0; l <= last; l++) {
        const struct schuss_layer *layer = &net->layers[l];
        scratch = larger(scratch, dense_gemm_scratch(kernels, rows, layer->n_out, layer->n_in, END_FORWARD, threads));
        if (backward) {
            scratch = larger(scratch, dense_gemm_scratch(kernels, layer->n_in, layer->n_out, rows, END_TAKE, threads));
            scratch =
                larger(scratch, dense_gemm_scratch(kernels, rows, layer->n_in, layer->n_out, END_BACKWARD, threads));
        }
        if (l < last && !reuses_output(net, l, item, passes))
            turn[l % 2] = larger(turn[l % 2], row_stride(layer->n_out, item));
    }
    for (int i = 0; i < 2; i++) turns[i] = take(memory, &used, rows, turn[i], item);
    for (ptrdiff_t l = 0; l <= last; l++) {
        const struct schuss_layer *layer = &net->layers[l];
        struct layer_buffers b = {.ld = l < last ? row_stride(layer->n_out, item) : layer->n_out};
        if (!backward && l < last) b.out = turns[l % 2];
        else b.out = take(memory, &used, rows, b.ld, item);
        b.kept = b.fed = b.out;
        if (backward && keeps_input(layer->activation)) b.kept = take(memory, &used, rows, b.ld, item);
        if (backward && layer->dropout > 0) {
            b.mask = take(memory, &used, rows, b.ld, item);
            b.fed = take(memory, &used, rows, b.ld, item);
        }
        if (memory) plan->layers[l] = b;
    }
    void *dout = backward ? take(memory, &used, rows, net->layers[last].n_out, item) : NULL;
    char *room = take(memory, &used, scratch, 1, 1);
    if (!memory) return used;
    if (backward)
        for (ptrdiff_t l = 0; l < last; l++)
            plan->layers[l].delta = reuses_output(net, l, item, passes) ? plan->layers[l + 1].out : turns[l % 2];
    plan->dout = dout;
    plan->scratch = room;
    plan->kernels = kernels;
    plan->max_rows = rows;
    plan->threads = threads;
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
            .c = y, .ldc = b->ld,
            .end = {
                .kind = END_FORWARD,
                .activation = activation == SCHUSS_SOFTMAX ? SCHUSS_IDENTITY : activation,
                .alpha = layer->alpha,
                .bias = layer->bias < 0 ? NULL : at(net->params, layer->bias, kernels),
                .kept = keeps ? b->kept : NULL,
            },
        };
        dense_gemm(kernels, &g, threads, plan->scratch);
        if (activation == SCHUSS_SOFTMAX) kernels->softmax(rows, layer->n_out, y);
        if (drops) {
            void *fed = last && out ? out : b->fed;
            dense_dropout(kernels, threads, rows, layer->n_out, b->ld, layer->dropout, net->seed, (uint32_t)l, draw, y,
                          b->mask, fed);
            y = fed;
        }
        x = y;
        ldx = b->ld;
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
    ptrdiff_t ldx;
    void *out;
};

static void sums_share(void *context, int index, int count) {
    const struct sums_job *job = context;
    const ptrdiff_t unit = 4 * job->kernels->tile_cols;
    const ptrdiff_t first = share_start(job->n, unit, index, count), end = share_start(job->n, unit, index + 1, count);
    job->kernels->column_sums(job->rows, first, end, job->x, job->ldx, job->out);
}

/* A layer's array whose gradient goes through the rule block by block, where it is born. */
struct birth {
    const struct kernels *kernels;
    const struct schuss_segment *segment;
    const struct rule_constants *constants;
    ptrdiff_t n; /* columns of the array */
};

/* The gradient of elements [first, first + n) of the segment. 1 if it is not finite. */
static int update(const struct birth *born, ptrdiff_t first, ptrdiff_t n, const void *gradient) {
    const ptrdiff_t offset = first * born->kernels->item;
    const struct schuss_segment *s = born->segment;
    void *states[SCHUSS_MAX_STATES];
    int nonfinite = 0;
    for (int k = 0; k < SCHUSS_MAX_STATES; k++) states[k] = s->s[k] ? (char *)s->s[k] + offset : NULL;
    born->kernels->step(n, (char *)s->p + offset, gradient, states, born->constants, &nonfinite);
    return nonfinite;
}

/* See struct tile_end. */
static int take_block(void *context, ptrdiff_t row, ptrdiff_t col, ptrdiff_t rows, ptrdiff_t cols, const void *block) {
    const struct birth *born = context;
    if (cols == born->n) return update(born, row * cols, rows * cols, block);
    int nonfinite = 0;
    for (ptrdiff_t i = 0; i < rows; i++)
        nonfinite |= update(born, (row + i) * born->n + col, cols, (const char *)block + i * cols * born->kernels->item);
    return nonfinite;
}

/* The array's place in the step: constants are computed again only where the group changes. */
static const struct schuss_segment *segment_of(struct net_update *u, int index) {
    if (u->segments[index] < 0) return NULL;
    const struct schuss_segment *segment = &u->step->segments[u->segments[index]];
    if (!u->known || segment->group != u->group)
        u->constants = optimizer_constants(u->step, &u->step->groups[segment->group], 1);
    u->known = 1;
    u->group = segment->group;
    return segment;
}

/* Gradients of layer l from its input x and delta: into net->grads, or with u through the rule. */
static void layer_gradients(const struct schuss_net *net, struct schuss_plan *plan, int l, const void *x,
                            ptrdiff_t ldx, ptrdiff_t rows, const void *delta, int threads, struct net_update *u) {
    const struct kernels *kernels = plan->kernels;
    const struct schuss_layer *layer = &net->layers[l];
    const ptrdiff_t n = layer->n_out;
    struct gemm dw = {
        .m = layer->n_in, .n = n, .k = rows,
        .a = x, .a_row = 1, .a_col = ldx,
        .b = delta, .ldb = plan->layers[l].ld,
        .c = at(net->grads, layer->weight, kernels), .ldc = n,
    };
    struct birth born = {.kernels = kernels, .n = n};
    if (u) {
        born.segment = segment_of(u, 2 * l);
        born.constants = &u->constants;
        dw.end = (struct tile_end){.kind = END_TAKE, .take = take_block, .context = &born};
        if (born.segment) {
            const struct schuss_segment *s = born.segment;
            dw.end.streams[dw.end.n_streams++] = s->p;
            for (int k = 0; k < SCHUSS_MAX_STATES && s->s[k]; k++) dw.end.streams[dw.end.n_streams++] = s->s[k];
        }
    }
    if (!u || born.segment) {
        const int nonfinite = dense_gemm(kernels, &dw, threads, plan->scratch);
        if (u) u->nonfinite |= nonfinite;
    }
    if (layer->bias < 0) return;
    if (u && !(born.segment = segment_of(u, 2 * l + 1))) return;
    if (u && rows == 1) { /* the gradient is delta itself */
        u->nonfinite |= update(&born, 0, n, delta);
        return;
    }
    struct sums_job sums = {kernels, rows, n, delta, plan->layers[l].ld, at(net->grads, layer->bias, kernels)};
    threads = threads_for((double)rows * (double)n, SUMS_PER_THREAD, threads);
    if (threads == 1) sums_share(&sums, 0, 1);
    else schuss_parallel(threads, sums_share, &sums);
    if (u) u->nonfinite |= update(&born, 0, n, sums.out);
}

void net_backward(const struct schuss_net *net, struct schuss_plan *plan, const void *x, ptrdiff_t ldx,
                  ptrdiff_t rows, int flags, void *dout, void *dx, struct net_update *u) {
    const struct kernels *kernels = plan->kernels;
    const int threads = threads_of(plan);
    const fpmode found = fpmode_flush();
    enter_backward(net, plan, rows, flags, dout);
    void *delta = dout;
    for (int l = net->n_layers - 1; l >= 0; l--) {
        const struct schuss_layer *layer = &net->layers[l];
        const struct layer_buffers *below = l > 0 ? &plan->layers[l - 1] : NULL;
        void *next = below ? below->delta : dx;
        if (next) { /* with the weights that the forward pass had: before they are updated */
            struct gemm down = {
                .m = rows, .n = layer->n_in, .k = layer->n_out,
                .a = delta, .a_row = plan->layers[l].ld, .a_col = 1,
                .b = at(net->params, layer->weight, kernels), .ldb = layer->n_out, .b_transposed = 1,
                .c = next, .ldc = below ? below->ld : layer->n_in,
            };
            if (below)
                down.end = (struct tile_end){
                    .kind = END_BACKWARD,
                    .activation = net->layers[l - 1].activation,
                    .alpha = net->layers[l - 1].alpha,
                    .kept = below->kept,
                    .mask = below->mask,
                };
            dense_gemm(kernels, &down, threads, plan->scratch);
        }
        layer_gradients(net, plan, l, below ? below->fed : x, below ? below->ld : ldx, rows, delta, threads, u);
        delta = next;
    }
    fpmode_restore(found);
}

void schuss_backward(const struct schuss_net *net, struct schuss_plan *plan, const void *x, ptrdiff_t ldx,
                     ptrdiff_t rows, int flags, void *dout, void *dx) {
    net_backward(net, plan, x, ldx, rows, flags, dout, dx, NULL);
}
