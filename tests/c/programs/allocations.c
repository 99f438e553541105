/* Counts what is allocated while networks are trained: nothing, after the first call.
 *
 *     allocations
 *
 * malloc and its kin are defined here, for the whole process, and hand on to those of glibc. Elsewhere nothing can be
 * counted this way, and the program exits with 77. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "../nodes.h"
#include "expect.h"

#ifndef __GLIBC__

int main(void) { return 77; }

#else

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t n, size_t bytes);
void *__libc_realloc(void *block, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void *block);

static atomic_int counting, counted;

static void count(void) {
    if (atomic_load(&counting)) atomic_fetch_add(&counted, 1);
}

void *malloc(size_t bytes) {
    count();
    return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes) {
    count();
    return __libc_calloc(n, bytes);
}

void *realloc(void *block, size_t bytes) {
    count();
    return __libc_realloc(block, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes) {
    count();
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **block, size_t alignment, size_t bytes) {
    count();
    *block = __libc_memalign(alignment, bytes);
    return *block ? 0 : 12; /* ENOMEM */
}

void free(void *block) {
    count();
    __libc_free(block);
}

static void start_counting(void) {
    atomic_store(&counted, 0);
    atomic_store(&counting, 1);
}

static int stop_counting(void) {
    atomic_store(&counting, 0);
    return atomic_load(&counted);
}

enum { ROWS = 200, EPOCHS = 40, MOST_ARRAYS = 32 };

#define INPUT(columns) {.kind = SCHUSS_KIND_input, .n = (columns)}
#define DENSE(before, columns) .kind = SCHUSS_KIND_dense, .from = {before}, .n = (columns)
#define SMALL \
    3, { INPUT(8), {DENSE(0, 10), .activation = SCHUSS_RELU}, {DENSE(1, 3)} }
#define MEDIUM(probability) \
    3, { INPUT(64), {DENSE(0, 100), .activation = SCHUSS_RELU, .dropout = (probability)}, {DENSE(1, 10)} }
#define LARGE                                                                                                      \
    4, { INPUT(70), {DENSE(0, 300), .activation = SCHUSS_RELU}, {DENSE(1, 150), .activation = SCHUSS_RELU}, \
         {DENSE(2, 10)} }

/* Numbers and codes side by side, whose norm is added to what comes of it: `wide` columns. */
#define MIXED(wide)                                                                                            \
    9, { INPUT(20), {.kind = SCHUSS_KIND_input, .n = 3, .codes = 50},                                          \
         {.kind = SCHUSS_KIND_embedding, .from = {1}, .n = 50, .dim = 8}, {DENSE(0, (wide) - 24)},             \
         {.kind = SCHUSS_KIND_concatenate, .from = {3, 2}, .joined = 2},                                       \
         {.kind = SCHUSS_KIND_batch_norm, .from = {4}, .activation = SCHUSS_GELU, .dropout = 0.1},             \
         {DENSE(5, wide), .activation = SCHUSS_TANH, .add = 1 + 5}, {.kind = SCHUSS_KIND_layer_norm, .from = {6}}, \
         {DENSE(7, 10)} }

static const struct training {
    const char *name;
    int n_layers;
    struct layer layers[MOST_LAYERS];
    ptrdiff_t batch;
    double clip_norm;
    int apart; /* gradients are stored, and the update is a pass of its own */
} trainings[] = {
    {"all arrays at once", SMALL, .batch = 16},
    {"by rows", MEDIUM(0), .batch = 64},
    {"by rows, dropout", MEDIUM(0.2), .batch = 64},
    {"by columns", LARGE, .batch = 32},
    {"by columns, apart", LARGE, .batch = 32, .apart = 1},
    {"by columns, global norm", LARGE, .batch = 32, .clip_norm = 0.1},
    {"one row", 3, {INPUT(100), {DENSE(0, 400), .activation = SCHUSS_RELU}, {DENSE(1, 10)}}, .batch = 1},
    {"all kinds of layers, by rows", MIXED(80), .batch = 64},
    {"all kinds of layers, by columns", MIXED(200), .batch = 32},
    {"all kinds of layers, apart", MIXED(200), .batch = 32, .apart = 1},
};

static void *blocks[64];
static size_t n_blocks;

static void *zeros(ptrdiff_t bytes) {
    void *block = aligned_alloc(64, (size_t)(bytes + 63) / 64 * 64);
    EXPECT(block && n_blocks < sizeof blocks / sizeof blocks[0], "no memory");
    return memset(blocks[n_blocks++] = block, 0, (size_t)bytes);
}

static void *at(void *array, ptrdiff_t element, ptrdiff_t item) { return (char *)array + element * item; }

/* A first call, then many epochs of steps and shuffles, in calls of a few steps each and of a millisecond. */
static void train(const struct training *c, int dtype, int threads) {
    const ptrdiff_t item = dtype == SCHUSS_F32 ? 4 : 8;
    struct network network;
    set_up(&network, dtype, c->n_layers, c->layers);
    struct schuss_net *net = &network.net;
    const ptrdiff_t arena = network.size * item, n_out = network.nodes[c->n_layers - 1].channels;
    net->params = zeros(arena);
    net->grads = zeros(arena);
    begin(&network);
    void *states[] = {zeros(arena), zeros(arena)};
    struct schuss_segment segments[MOST_ARRAYS];
    int places[MOST_ARRAYS], n_segments = 0;
    for (int k = 0; k < net->n_arrays; k++) {
        const struct schuss_array *array = &net->arrays[k];
        places[k] = array->stepped ? n_segments : -1;
        if (!array->stepped) continue;
        segments[n_segments++] = (struct schuss_segment){
            .n = array->n, .p = at(net->params, array->at, item), .g = at(net->grads, array->at, item),
            .s = {at(states[0], array->at, item), at(states[1], array->at, item)},
        };
    }
    struct schuss_group group = {
        .rule = SCHUSS_ADAM, .lr = 0.001, .lr_factor = 1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    struct schuss_step step = {
        .dtype = dtype, .n_groups = 1, .n_segments = n_segments, .groups = &group, .segments = segments,
        .t = 1, .grad_scale = 1, .clip_norm = c->clip_norm,
    };
    void *program = zeros(schuss_plan_bytes(net, SCHUSS_BACKWARD_ONCE, threads));
    struct schuss_plan *plan = schuss_plan_draw(program, net, c->batch, SCHUSS_BACKWARD_ONCE, threads, NULL);
    schuss_plan_lay(plan, zeros(schuss_plan_room(plan)));
    const struct schuss_copy copy = {net->params, zeros(arena), arena};
    struct schuss_feed feeds[MOST_INPUTS];
    for (int k = 0; k < net->n_inputs; k++) {
        const ptrdiff_t n = network.nodes[k].channels, row_bytes = n * (c->layers[k].codes ? 8 : item);
        void *x = zeros(ROWS * row_bytes);
        if (!c->layers[k].codes) schuss_initialise(dtype, x, ROWS, n, SCHUSS_INIT_UNIFORM, 1, 1, 0, NULL);
        for (ptrdiff_t i = 0; i < ROWS * n && c->layers[k].codes; i++) ((int64_t *)x)[i] = i * i % c->layers[k].codes;
        feeds[k] = (struct schuss_feed){.x = x, .row_bytes = row_bytes, .stride = row_bytes, .batch = zeros(c->batch * row_bytes)};
    }
    int64_t *labels = zeros(ROWS * 8);
    for (int i = 0; i < ROWS; i++) labels[i] = i % n_out;
    double *lr = zeros(ROWS * 8), *weights = zeros(ROWS * 8);
    for (int i = 0; i < ROWS; i++) lr[i] = 0.001, weights[i] = 1 + i % 2;
    struct schuss_train t = {
        .net = net, .plan = plan,
        .step = &step, .segments = c->apart ? NULL : places,
        .loss = {.kind = SCHUSS_CROSS_ENTROPY, .labels = 1, .parameter = 0},
        .rows = ROWS, .batch = c->batch,
        .feeds = feeds, .y = labels, .y_row_bytes = 8, .weights = weights,
        .order = zeros(ROWS * 8),
        .batch_y = zeros(c->batch * 8), .batch_weights = zeros(c->batch * 8),
        .partial = zeros(schuss_loss_partials(c->batch) * 8),
        .lr = lr,
        .copies = &copy, .n_copies = 1, .since_copied = INFINITY,
        .flags = SCHUSS_LOGITS,
    };
    schuss_set_num_threads(threads);
    schuss_permutation(t.order, ROWS, 1, 0);
    int status = schuss_train_run(&t, 0);
    EXPECT(status == SCHUSS_OK || status == SCHUSS_MORE, "%s: first status %d", c->name, status);
    const int64_t first = step.t;

    start_counting();
    for (int epoch = 1; epoch <= EPOCHS && status <= SCHUSS_MORE; epoch++) {
        schuss_permutation(t.order, ROWS, 1, (uint64_t)epoch);
        t.position = 0;
        while ((status = schuss_train_run(&t, epoch % 2 ? 0.001 : 0)) == SCHUSS_MORE) continue;
    }
    const int allocated = stop_counting();

    EXPECT(status == SCHUSS_OK && isfinite(t.last_loss), "%s: status %d, loss %g", c->name, status, t.last_loss);
    EXPECT(step.t - first > EPOCHS, "%s: %d steps", c->name, (int)(step.t - first));
    EXPECT(allocated == 0, "%s, %s, %d threads: %d calls of malloc or its kin in %d steps", c->name,
           dtype == SCHUSS_F32 ? "float32" : "float64", threads, allocated, (int)(step.t - first));
    while (n_blocks) free(blocks[--n_blocks]);
}

int main(void) {
    start_counting();
    void *volatile block = malloc(100);
    free(block);
    EXPECT(stop_counting() == 2, "malloc and free are not counted: %d", atomic_load(&counted));
    for (int threads = 1; threads <= 2; threads++) {
        for (size_t i = 0; i < sizeof trainings / sizeof trainings[0]; i++)
            for (int dtype = SCHUSS_F32; dtype <= SCHUSS_F64; dtype++) train(&trainings[i], dtype, threads);
        EXPECT(schuss_worker_count() == threads - 1, "%d workers for %d threads", schuss_worker_count(), threads);
    }
    return 0;
}

#endif
