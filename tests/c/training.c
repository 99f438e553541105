/* Short trainings of small networks, whole in the core: initialisation, shuffling, dropout, forward, loss, backward,
 * clipping, step; then a prediction. */
#include "bits.h"

#include <math.h>
#include <stdio.h>

enum { MAX_LAYERS = 3, EPOCHS = 2, SEED = 17 };

struct training {
    const char *name;
    int n_layers;
    struct schuss_layer layers[MAX_LAYERS]; /* offsets are set when it is run; bias -1: none */
    struct schuss_loss loss;
    struct schuss_group group;
    double clip_norm;
    ptrdiff_t rows, batch;
    int shuffled, weighted;
};

#define ADAM {.rule = SCHUSS_ADAM, .lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8}

static const struct training trainings[] = {
    {
        .name = "classifier",
        .n_layers = 3,
        .layers = {{.n_in = 20, .n_out = 33, .activation = SCHUSS_RELU, .dropout = 0.3},
                   {.n_in = 33, .n_out = 17, .activation = SCHUSS_TANH},
                   {.n_in = 17, .n_out = 5, .activation = SCHUSS_SOFTMAX}},
        .loss = {.kind = SCHUSS_CROSS_ENTROPY, .labels = 1, .parameter = 0.1},
        .group = ADAM,
        .rows = 150, .batch = 16, .shuffled = 1, .weighted = 1,
    },
    {
        .name = "multilabel", /* wide enough for threads */
        .n_layers = 3,
        .layers = {{.n_in = 64, .n_out = 110, .activation = SCHUSS_GELU, .dropout = 0.2},
                   {.n_in = 110, .n_out = 100, .activation = SCHUSS_SILU, .dropout = 0.4, .bias = -1},
                   {.n_in = 100, .n_out = 10, .activation = SCHUSS_SIGMOID}},
        .loss = {.kind = SCHUSS_BINARY_CROSS_ENTROPY, .labels = 0, .parameter = 0},
        .group = {.rule = SCHUSS_ADAM, .lr = 0.01, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .weight_decay = 0.1,
                  .decoupled = 1, .amsgrad = 1},
        .clip_norm = 0.5,
        .rows = 300, .batch = 128, .shuffled = 1,
    },
    {
        .name = "regressor",
        .n_layers = 3,
        .layers = {{.n_in = 7, .n_out = 12, .activation = SCHUSS_ELU, .alpha = 1},
                   {.n_in = 12, .n_out = 9, .activation = SCHUSS_SOFTPLUS},
                   {.n_in = 9, .n_out = 2, .activation = SCHUSS_LEAKY_RELU, .alpha = 0.1, .dropout = 0.1}},
        .loss = {.kind = SCHUSS_HUBER, .labels = 0, .parameter = 0.5},
        .group = {.rule = SCHUSS_SGD, .lr = 0.05, .momentum = 0.9, .nesterov = 1, .weight_decay = 0.01},
        .rows = 50, .batch = 50, .weighted = 1,
    },
    {
        .name = "counts", /* one row a step */
        .n_layers = 2,
        .layers = {{.n_in = 5, .n_out = 8, .activation = SCHUSS_SIGMOID}, {.n_in = 8, .n_out = 1}},
        .loss = {.kind = SCHUSS_POISSON, .labels = 0, .parameter = 0},
        .group = {.rule = SCHUSS_RMSPROP, .lr = 0.01, .alpha = 0.99, .eps = 1e-8, .centered = 1, .momentum = 0.5},
        .rows = 40, .batch = 1, .shuffled = 1,
    },
};

/* Lays the layers out one after the other; returns the size of the arena. */
static ptrdiff_t lay_out(int n_layers, struct schuss_layer *layers) {
    ptrdiff_t used = 0;
    for (int l = 0; l < n_layers; l++) {
        layers[l].weight = used;
        used += layers[l].n_in * layers[l].n_out;
        if (layers[l].bias < 0) continue;
        layers[l].bias = used;
        used += layers[l].n_out;
    }
    return used;
}

static int segments_of(struct run *r, const struct schuss_net *net, struct schuss_segment *segments) {
    int n = 0;
    for (int l = 0; l < net->n_layers; l++) {
        const struct schuss_layer *layer = &net->layers[l];
        const ptrdiff_t sizes[] = {layer->n_in * layer->n_out, layer->n_out}, starts[] = {layer->weight, layer->bias};
        for (int i = 0; i < 2 && starts[i] >= 0; i++, n++) {
            segments[n] = (struct schuss_segment){
                .n = sizes[i], .p = at(r, net->params, starts[i]), .g = at(r, net->grads, starts[i])};
            for (int k = 0; k < SCHUSS_MAX_STATES; k++) segments[n].s[k] = zeros(r, sizes[i]);
        }
        schuss_initialise(r->dtype, at(r, net->params, layer->weight), layer->n_in, layer->n_out, SCHUSS_INIT_NORMAL,
                          sqrt(2 / (double)layer->n_in), SEED, (uint32_t)l, NULL);
    }
    return n;
}

static struct schuss_plan *new_plan(const struct run *r, const struct schuss_net *net, ptrdiff_t rows, int backward) {
    void *memory = aligned(schuss_plan_bytes(net, rows, backward, r->threads));
    return schuss_plan_lay(memory, net, rows, backward, r->threads);
}

static void *targets_of(struct run *r, const struct training *t, ptrdiff_t n_out) {
    if (!t->loss.labels) return positive(r, t->rows * n_out, 1);
    int64_t *labels = aligned(t->rows * (ptrdiff_t)sizeof(int64_t));
    for (ptrdiff_t i = 0; i < t->rows; i++) labels[i] = i * i % n_out;
    return labels;
}

static void run_training(struct run *r, const struct training *c) {
    struct schuss_layer layers[MAX_LAYERS];
    for (int l = 0; l < c->n_layers; l++) layers[l] = c->layers[l];
    const ptrdiff_t size = lay_out(c->n_layers, layers), n_in = layers[0].n_in, n_out = layers[c->n_layers - 1].n_out;
    const struct schuss_net net = {r->dtype, c->n_layers, layers, zeros(r, size), zeros(r, size), SEED};
    const ptrdiff_t y_row_bytes = c->loss.labels ? (ptrdiff_t)sizeof(int64_t) : n_out * r->item;
    double *weights = aligned(c->rows * (ptrdiff_t)sizeof(double));
    for (ptrdiff_t i = 0; i < c->rows; i++) weights[i] = 0.25 + (double)(i % 3);

    struct schuss_segment segments[2 * MAX_LAYERS];
    struct schuss_group group = c->group;
    struct schuss_step step = {
        .dtype = r->dtype, .n_groups = 1, .groups = &group, .segments = segments,
        .t = 1, .grad_scale = 1, .clip_norm = c->clip_norm,
    };
    step.n_segments = segments_of(r, &net, segments);
    struct schuss_train train = {
        .net = &net,
        .plan = new_plan(r, &net, c->batch, 1),
        .step = &step,
        .loss = c->loss,
        .rows = c->rows, .batch = c->batch,
        .x = numbers(r, c->rows * n_in, 2),
        .y = targets_of(r, c, n_out),
        .y_row_bytes = y_row_bytes,
        .weights = c->weighted ? weights : NULL,
        .order = c->shuffled ? aligned(c->rows * (ptrdiff_t)sizeof(int64_t)) : NULL,
        .batch_x = reals(r, c->batch * n_in),
        .batch_y = aligned(c->batch * y_row_bytes),
        .batch_weights = aligned(c->batch * (ptrdiff_t)sizeof(double)),
        .partial = aligned(schuss_loss_partials(c->batch) * (ptrdiff_t)sizeof(double)),
        .flags = SCHUSS_TRAINING,
    };
    if (schuss_loss_takes_logits(c->loss.kind, layers[c->n_layers - 1].activation)) train.flags |= SCHUSS_LOGITS;
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        if (train.order) schuss_permutation(train.order, c->rows, SEED, (uint64_t)epoch);
        train.position = 0;
        train.loss_sum = train.weight_sum = 0;
        int status;
        while ((status = schuss_train_run(&train, 0)) == SCHUSS_MORE) continue;
        hash_bytes(r, &status, sizeof status);
        hash_double(r, train.loss_sum);
        hash_double(r, train.last_loss);
    }
    hash_reals(r, net.params, size);
    hash_reals(r, net.grads, size);
    for (int i = 0; i < step.n_segments; i++)
        for (int k = 0; k < SCHUSS_MAX_STATES; k++) hash_reals(r, segments[i].s[k], segments[i].n);

    void *out = reals(r, c->rows * n_out), *dx = reals(r, c->batch * n_in);
    schuss_forward(&net, new_plan(r, &net, c->rows, 0), train.x, n_in, c->rows, 0, 0, out);
    hash_reals(r, out, c->rows * n_out);
    schuss_forward(&net, train.plan, train.x, n_in, c->batch, SCHUSS_TRAINING, 99, NULL);
    schuss_backward(&net, train.plan, train.x, n_in, c->batch, SCHUSS_TRAINING, numbers(r, c->batch * n_out, 1), dx);
    hash_reals(r, dx, c->batch * n_in);
    report(r, "training", c->name);
}

void check_training(struct run *r) {
    for (size_t i = 0; i < sizeof trainings / sizeof trainings[0]; i++) run_training(r, &trainings[i]);
}
