/* Counts what is allocated while networks are trained: nothing, after the first call.
 *
 *     allocations
 *
 * malloc and its kin are defined here, for the whole process, and hand on to those of glibc. Elsewhere nothing can be
 * counted this way, and the program exits with 77. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "expect.h"
#include "schuss.h"

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

enum { MAX_LAYERS = 3, ROWS = 200, EPOCHS = 40 };

static const struct training {
    const char *name;
    int n_layers;
    ptrdiff_t units[MAX_LAYERS + 1], batch;
    double dropout, clip_norm;
    int apart; /* gradients are stored, and the update is a pass of its own */
} trainings[] = {
    {.name = "all arrays at once", .n_layers = 2, .units = {8, 10, 3}, .batch = 16},
    {.name = "by rows", .n_layers = 2, .units = {64, 100, 10}, .batch = 64},
    {.name = "by rows, dropout", .n_layers = 2, .units = {64, 100, 10}, .batch = 64, .dropout = 0.2},
    {.name = "by columns", .n_layers = 3, .units = {70, 300, 150, 10}, .batch = 32},
    {.name = "by columns, apart", .n_layers = 3, .units = {70, 300, 150, 10}, .batch = 32, .apart = 1},
    {.name = "by columns, global norm", .n_layers = 3, .units = {70, 300, 150, 10}, .batch = 32, .clip_norm = 0.1},
    {.name = "one row", .n_layers = 2, .units = {100, 400, 10}, .batch = 1},
};

static void *zeros(ptrdiff_t bytes) {
    void *block = aligned_alloc(64, (size_t)(bytes + 63) / 64 * 64);
    EXPECT(block, "no memory");
    return memset(block, 0, (size_t)bytes);
}

static void fill(int dtype, void *array, ptrdiff_t n, double scale, uint32_t stream) {
    schuss_initialise(dtype, array, n, 1, SCHUSS_INIT_UNIFORM, scale, 1, stream, NULL);
}

static void *at(void *array, ptrdiff_t element, ptrdiff_t item) { return (char *)array + element * item; }

/* A first call, then many epochs of steps and shuffles, in calls of a few steps each and of a millisecond. */
static void train(const struct training *c, int dtype, int threads) {
    const ptrdiff_t item = dtype == SCHUSS_F32 ? 4 : 8, n_in = c->units[0];
    struct schuss_layer layers[MAX_LAYERS] = {{0}};
    ptrdiff_t size = 0;
    for (int l = 0; l < c->n_layers; l++) {
        const ptrdiff_t weights = c->units[l] * c->units[l + 1];
        const int last = l == c->n_layers - 1;
        layers[l] = (struct schuss_layer){.n_in = c->units[l], .n_out = c->units[l + 1],
                                          .activation = last ? SCHUSS_IDENTITY : SCHUSS_RELU,
                                          .dropout = last ? 0 : c->dropout, .weight = size, .bias = size + weights};
        size += (weights + c->units[l + 1] + 15) / 16 * 16;
    }
    const struct schuss_net net = {dtype, c->n_layers, layers, zeros(size * item), zeros(size * item), 1};
    void *states[] = {zeros(size * item), zeros(size * item)};
    struct schuss_segment segments[2 * MAX_LAYERS];
    int places[2 * MAX_LAYERS];
    for (int i = 0; i < 2 * c->n_layers; i++) {
        const struct schuss_layer *layer = &layers[i / 2];
        const ptrdiff_t start = i % 2 ? layer->bias : layer->weight;
        segments[i] = (struct schuss_segment){
            .n = layer->n_out * (i % 2 ? 1 : layer->n_in),
            .p = at(net.params, start, item), .g = at(net.grads, start, item),
            .s = {at(states[0], start, item), at(states[1], start, item)},
        };
        if (i % 2 == 0) fill(dtype, segments[i].p, segments[i].n, 1 / sqrt((double)layer->n_in), (uint32_t)i + 1);
        places[i] = i;
    }
    struct schuss_group group = {.rule = SCHUSS_ADAM, .lr = 0.001, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    struct schuss_step step = {
        .dtype = dtype, .n_groups = 1, .n_segments = 2 * c->n_layers, .groups = &group, .segments = segments,
        .t = 1, .grad_scale = 1, .clip_norm = c->clip_norm,
    };
    void *kept = zeros(size * item), *plan = zeros(schuss_plan_bytes(&net, c->batch, SCHUSS_BACKWARD_ONCE, threads));
    const struct schuss_copy copy = {net.params, kept, size * item};
    void *x = zeros(ROWS * n_in * item);
    fill(dtype, x, ROWS * n_in, 1, 0);
    int64_t *labels = zeros(ROWS * 8);
    for (int i = 0; i < ROWS; i++) labels[i] = i % c->units[c->n_layers];
    double *lr = zeros(ROWS * 8), *weights = zeros(ROWS * 8);
    for (int i = 0; i < ROWS; i++) lr[i] = 0.001, weights[i] = 1 + i % 2;
    struct schuss_train t = {
        .net = &net, .plan = schuss_plan_lay(plan, &net, c->batch, SCHUSS_BACKWARD_ONCE, threads),
        .step = &step, .segments = c->apart ? NULL : places,
        .loss = {.kind = SCHUSS_CROSS_ENTROPY, .labels = 1, .parameter = 0},
        .rows = ROWS, .batch = c->batch,
        .x = x, .y = labels, .y_row_bytes = 8, .weights = weights,
        .order = zeros(ROWS * 8),
        .batch_x = zeros(c->batch * n_in * item), .batch_y = zeros(c->batch * 8), .batch_weights = zeros(c->batch * 8),
        .partial = zeros(schuss_loss_partials(c->batch) * 8),
        .lr = lr,
        .copies = &copy, .n_copies = 1, .unkept = INFINITY,
        .flags = SCHUSS_TRAINING | SCHUSS_LOGITS,
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
    void *const blocks[] = {net.params, net.grads, states[0],  states[1],  kept,            plan,     x, labels,
                            lr,         weights,   t.order, t.batch_x, t.batch_y, t.batch_weights, t.partial};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) free(blocks[i]);
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
