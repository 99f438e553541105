/* Short trainings of small networks, whole in the core: initialisation, shuffling, dropout, forward, loss, backward,
 * clipping, step; then a prediction. */
#include "bits.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nodes.h"
#include "rng.h"

enum { EPOCHS = 2, SEED = 17, MOST_ARRAYS = 32 };

struct training {
    const char *name;
    int n_layers;
    struct layer layers[MOST_LAYERS];
    struct schuss_loss loss;
    struct schuss_group group;
    double clip_norm;
    ptrdiff_t rows, batch;
    int shuffled, weighted;
    int at_birth; /* once more with updates where gradients are born, in less memory */
};

#define INPUT(columns) {.kind = SCHUSS_KIND_input, .n = (columns)}
#define CODES(columns, values) {.kind = SCHUSS_KIND_input, .n = (columns), .codes = (values)}
#define DENSE(before, columns) .kind = SCHUSS_KIND_dense, .from = {before}, .n = (columns)
#define TABLE(before, rows, columns) .kind = SCHUSS_KIND_embedding, .from = {before}, .n = (rows), .dim = (columns)
#define LAYER(NAME, before) .kind = SCHUSS_KIND_##NAME, .from = {before}
#define JOINED(...) .kind = SCHUSS_KIND_concatenate, .from = {__VA_ARGS__}, .joined = 2
#define ADD(node) .add = 1 + (node)

#define ADAM {.rule = SCHUSS_ADAM, .lr = 0.01, .lr_factor = 1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8}

#define MOMENTUM {.rule = SCHUSS_SGD, .lr = 0.05, .lr_factor = 1, .momentum = 0.9, .nesterov = 1}

static const struct training trainings[] = {
    {
        .name = "classifier",
        .n_layers = 4,
        .layers = {INPUT(20),
                   {DENSE(0, 33), .activation = SCHUSS_RELU, .dropout = 0.3},
                   {DENSE(1, 17), .activation = SCHUSS_TANH},
                   {DENSE(2, 5), .activation = SCHUSS_SOFTMAX}},
        .loss = {.kind = SCHUSS_CROSS_ENTROPY, .labels = 1, .parameter = 0.1},
        .group = ADAM,
        .rows = 150, .batch = 16, .shuffled = 1, .weighted = 1,
    },
    {
        .name = "multilabel", /* wide enough for threads */
        .n_layers = 4,
        .layers = {INPUT(64),
                   {DENSE(0, 110), .activation = SCHUSS_GELU, .dropout = 0.2},
                   {DENSE(1, 100), .activation = SCHUSS_SILU, .dropout = 0.4, .no_bias = 1},
                   {DENSE(2, 10), .activation = SCHUSS_SIGMOID}},
        .loss = {.kind = SCHUSS_BINARY_CROSS_ENTROPY, .labels = 0, .parameter = 0},
        .group = {.rule = SCHUSS_ADAM, .lr = 0.01, .lr_factor = 1, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8,
                  .weight_decay = 0.1, .decoupled = 1, .amsgrad = 1},
        .clip_norm = 0.5,
        .rows = 300, .batch = 128, .shuffled = 1,
    },
    {
        .name = "regressor",
        .n_layers = 4,
        .layers = {INPUT(7),
                   {DENSE(0, 12), .activation = SCHUSS_ELU, .alpha = 1},
                   {DENSE(1, 9), .activation = SCHUSS_SOFTPLUS},
                   {DENSE(2, 2), .activation = SCHUSS_LEAKY_RELU, .alpha = 0.1, .dropout = 0.1}},
        .loss = {.kind = SCHUSS_HUBER, .labels = 0, .parameter = 0.5},
        .group = {.rule = SCHUSS_SGD, .lr = 0.05, .lr_factor = 1, .momentum = 0.9, .nesterov = 1, .weight_decay = 0.01},
        .rows = 50, .batch = 50, .weighted = 1,
    },
    {
        .name = "counts", /* one row a step */
        .n_layers = 3,
        .layers = {INPUT(5),
                   {DENSE(0, 8), .activation = SCHUSS_SIGMOID},
                   {DENSE(1, 1)}},
        .loss = {.kind = SCHUSS_POISSON, .labels = 0, .parameter = 0},
        .group = {.rule = SCHUSS_RMSPROP, .lr = 0.01, .lr_factor = 1, .alpha = 0.99, .eps = 1e-8, .centered = 1,
                  .momentum = 0.5},
        .rows = 40, .batch = 1, .shuffled = 1,
    },
    {
        .name = "norms",
        .n_layers = 8,
        .layers = {INPUT(20),
                   {DENSE(0, 33)},
                   {LAYER(layer_norm, 1), .activation = SCHUSS_RELU, .dropout = 0.3},
                   {DENSE(2, 17), .no_bias = 1},
                   {LAYER(batch_norm, 3), .activation = SCHUSS_GELU, .dropout = 0.1},
                   {LAYER(activation, 4), .activation = SCHUSS_TANH},
                   {LAYER(scale, 5), .activation = SCHUSS_SOFTPLUS},
                   {DENSE(6, 5), .activation = SCHUSS_SOFTMAX}},
        .loss = {.kind = SCHUSS_CROSS_ENTROPY, .labels = 1, .parameter = 0},
        .group = ADAM,
        .rows = 150, .batch = 16, .shuffled = 1, .weighted = 1, .at_birth = 1,
    },
    {
        .name = "norms-of-inputs", /* shared by rows */
        .n_layers = 6,
        .layers = {INPUT(70),
                   {LAYER(batch_norm, 0)},
                   {DENSE(1, 90), .activation = SCHUSS_SILU},
                   {LAYER(layer_norm, 2)},
                   {LAYER(scale, 3), .activation = SCHUSS_MISH, .dropout = 0.2},
                   {DENSE(4, 12), .activation = SCHUSS_SIGMOID}},
        .loss = {.kind = SCHUSS_BINARY_CROSS_ENTROPY, .labels = 0, .parameter = 0},
        .group = MOMENTUM,
        .rows = 301, .batch = 100, .shuffled = 1, .at_birth = 1,
    },
    {
        .name = "norms-wide", /* shared by columns */
        .n_layers = 6,
        .layers = {INPUT(64),
                   {DENSE(0, 300), .no_bias = 1},
                   {LAYER(batch_norm, 1), .activation = SCHUSS_GELU, .dropout = 0.2},
                   {DENSE(2, 150)},
                   {LAYER(layer_norm, 3), .activation = SCHUSS_HARD_SWISH},
                   {DENSE(4, 10)}},
        .loss = {.kind = SCHUSS_HUBER, .labels = 0, .parameter = 1},
        .group = ADAM,
        .rows = 200, .batch = 64, .shuffled = 1, .weighted = 1, .at_birth = 1,
    },
    {
        .name = "codes",
        .n_layers = 4,
        .layers = {CODES(6, 50),
                   {TABLE(0, 50, 9), .activation = SCHUSS_TANH, .dropout = 0.1},
                   {DENSE(1, 20), .activation = SCHUSS_SELU},
                   {DENSE(2, 3), .activation = SCHUSS_SOFTMAX}},
        .loss = {.kind = SCHUSS_CROSS_ENTROPY, .labels = 1, .parameter = 0},
        .group = ADAM,
        .rows = 120, .batch = 32, .shuffled = 1, .at_birth = 1,
    },
    {
        .name = "codes-and-numbers", /* shared by rows */
        .n_layers = 8,
        .layers = {INPUT(30),
                   CODES(3, 1000),
                   {TABLE(1, 1000, 16)},
                   {DENSE(0, 24), .activation = SCHUSS_RELU},
                   {JOINED(3, 2)},
                   {DENSE(4, 70), .activation = SCHUSS_GELU, .dropout = 0.25},
                   {LAYER(layer_norm, 5)},
                   {DENSE(6, 4)}},
        .loss = {.kind = SCHUSS_MSE, .labels = 0, .parameter = 0},
        .group = MOMENTUM,
        .rows = 300, .batch = 128, .shuffled = 1, .weighted = 1, .at_birth = 1,
    },
    {
        .name = "codes-and-numbers-wide", /* shared by columns */
        .n_layers = 9,
        .layers = {CODES(4, 700),
                   INPUT(50),
                   {TABLE(0, 700, 21), .dropout = 0.1},
                   {LAYER(activation, 1), .activation = SCHUSS_SILU},
                   {JOINED(2, 3)},
                   {LAYER(batch_norm, 4)},
                   {DENSE(5, 310), .activation = SCHUSS_ELU, .alpha = 1},
                   {DENSE(6, 120), .activation = SCHUSS_LEAKY_RELU, .alpha = 0.1, .dropout = 0.5},
                   {DENSE(7, 7), .activation = SCHUSS_SOFTMAX}},
        .loss = {.kind = SCHUSS_CROSS_ENTROPY, .labels = 1, .parameter = 0.1},
        .group = ADAM,
        .rows = 260, .batch = 65, .shuffled = 1, .at_birth = 1,
    },
    {
        .name = "residuals", /* of the input, of a hidden value, of the last */
        .n_layers = 7,
        .layers = {INPUT(40),
                   {DENSE(0, 33), .activation = SCHUSS_RELU},
                   {DENSE(1, 40), .activation = SCHUSS_GELU, ADD(0)},
                   {LAYER(layer_norm, 2)},
                   {DENSE(3, 40), .activation = SCHUSS_TANH, .dropout = 0.2, ADD(2)},
                   {LAYER(scale, 4), ADD(3)},
                   {DENSE(5, 40), .activation = SCHUSS_SOFTPLUS, ADD(5)}},
        .loss = {.kind = SCHUSS_MSE, .labels = 0, .parameter = 0},
        .group = ADAM,
        .rows = 130, .batch = 64, .shuffled = 1, .weighted = 1, .at_birth = 1,
    },
    {
        .name = "residuals-wide", /* shared by columns; of a concatenation, too */
        .n_layers = 9,
        .layers = {INPUT(60),
                   {DENSE(0, 180), .activation = SCHUSS_RELU},
                   {DENSE(0, 120), .activation = SCHUSS_SIGMOID, .dropout = 0.1},
                   {JOINED(1, 2)},
                   {DENSE(3, 300), .activation = SCHUSS_SILU, ADD(3)},
                   {LAYER(batch_norm, 4), .dropout = 0.3, ADD(4)},
                   {DENSE(5, 300), .activation = SCHUSS_RELU, ADD(5)},
                   {LAYER(layer_norm, 6)},
                   {DENSE(7, 6), .activation = SCHUSS_SOFTMAX}},
        .loss = {.kind = SCHUSS_CROSS_ENTROPY, .labels = 1, .parameter = 0},
        .group = ADAM,
        .rows = 150, .batch = 50, .shuffled = 1, .at_birth = 1,
    },
    {
        .name = "heads", /* two, on a value that both read */
        .n_layers = 7,
        .layers = {INPUT(25),
                   {DENSE(0, 60), .activation = SCHUSS_MISH},
                   {LAYER(layer_norm, 1)},
                   {DENSE(2, 11), .activation = SCHUSS_SIGMOID, .dropout = 0.1},
                   {LAYER(scale, 1)},
                   {DENSE(4, 6), .activation = SCHUSS_RELU},
                   {JOINED(3, 5)}},
        .loss = {.kind = SCHUSS_MAE, .labels = 0, .parameter = 0},
        .group = MOMENTUM,
        .rows = 90, .batch = 45, .at_birth = 1,
    },
};

/* Segments of all parameters; the states of each are zeros. Returns how many. */
static int segments_of(struct run *r, const struct schuss_net *net, struct schuss_segment *segments, int *places) {
    int n = 0;
    for (int k = 0; k < net->n_arrays; k++) {
        const struct schuss_array *array = &net->arrays[k];
        places[k] = array->stepped ? n : -1;
        if (!array->stepped) continue;
        segments[n] = (struct schuss_segment){
            .n = array->n, .p = at(r, net->params, array->at), .g = at(r, net->grads, array->at)};
        for (int s = 0; s < SCHUSS_MAX_STATES; s++) segments[n].s[s] = zeros(r, array->n);
        n++;
    }
    return n;
}

static struct schuss_plan *new_plan(const struct run *r, const struct schuss_net *net, ptrdiff_t rows, int passes) {
    const ptrdiff_t bytes = schuss_plan_bytes(net, passes, r->threads);
    void *memory = memset(aligned(bytes), 0, (size_t)bytes);
    struct schuss_plan *plan = schuss_plan_draw(memory, net, rows, passes, r->threads, NULL);
    schuss_plan_lay(plan, aligned(schuss_plan_room(plan)));
    return plan;
}

static void *targets_of(struct run *r, const struct training *t, ptrdiff_t n_out) {
    if (!t->loss.labels) return positive(r, t->rows * n_out, 1);
    int64_t *labels = aligned(t->rows * (ptrdiff_t)sizeof(int64_t));
    for (ptrdiff_t i = 0; i < t->rows; i++) labels[i] = i * i % n_out;
    return labels;
}

/* The rows of an input, and room for those of a batch. */
static struct schuss_feed feed_of(struct run *r, const struct training *c, const struct network *network, int input) {
    const struct schuss_node *node = &network->nodes[input];
    const ptrdiff_t n = node->channels, row_bytes = n * (node->storage == SCHUSS_INDEX ? 8 : r->item);
    struct schuss_feed feed = {.row_bytes = row_bytes, .stride = row_bytes, .batch = aligned(c->batch * row_bytes)};
    if (node->storage == SCHUSS_REAL) feed.x = numbers(r, c->rows * n, 2);
    else {
        int64_t *codes = aligned(c->rows * row_bytes);
        for (ptrdiff_t i = 0; i < c->rows * n; i++)
            codes[i] = random_block(2, (uint32_t)input, 0, (uint64_t)i).v[0] % (uint32_t)c->layers[input].codes;
        feed.x = codes;
    }
    return feed;
}

/* The network predicts all rows; and once more trains on the first, for gradients by its inputs. */
static void hash_passes(struct run *r, const struct training *c, const struct network *network,
                        const struct schuss_feed *feeds) {
    const struct schuss_net *net = &network->net;
    const ptrdiff_t n_out = net->nodes[net->n_nodes - 1].channels;
    struct schuss_input inputs[MOST_INPUTS] = {{0}};
    void *out = reals(r, c->rows * n_out), *dx[MOST_INPUTS] = {NULL};
    struct schuss_plan *plan = new_plan(r, net, c->batch, SCHUSS_BACKWARD);
    for (int k = 0; k < net->n_inputs; k++) {
        inputs[k].x = feeds[k].x;
        if (net->nodes[k].storage == SCHUSS_REAL) dx[k] = reals(r, c->batch * net->nodes[k].channels);
    }
    schuss_forward(new_plan(r, net, c->rows, SCHUSS_FORWARD_ONLY), inputs, c->rows, 0, 0, out);
    hash_reals(r, out, c->rows * n_out);
    schuss_forward(plan, inputs, c->batch, 0, 99, NULL);
    memcpy(schuss_plan_dout(plan), numbers(r, c->batch * n_out, 1), (size_t)(c->batch * n_out * r->item));
    schuss_backward(plan, inputs, c->batch, 0, dx);
    for (int k = 0; k < net->n_inputs; k++)
        if (dx[k]) hash_reals(r, dx[k], c->batch * net->nodes[k].channels);
}

static void run_training(struct run *r, const struct training *c, int at_birth) {
    struct network network;
    set_up(&network, r->dtype, c->n_layers, c->layers);
    struct schuss_net *net = &network.net;
    const struct schuss_node *last = &network.nodes[c->n_layers - 1];
    net->params = zeros(r, network.size);
    net->grads = zeros(r, network.size);
    begin(&network);
    const ptrdiff_t y_row_bytes = c->loss.labels ? (ptrdiff_t)sizeof(int64_t) : last->channels * r->item;
    double *weights = aligned(c->rows * (ptrdiff_t)sizeof(double));
    for (ptrdiff_t i = 0; i < c->rows; i++) weights[i] = 0.25 + (double)(i % 3);

    struct schuss_segment segments[MOST_ARRAYS];
    int places[MOST_ARRAYS];
    struct schuss_feed feeds[MOST_INPUTS];
    struct schuss_group group = c->group;
    struct schuss_step step = {
        .dtype = r->dtype, .n_groups = 1, .groups = &group, .segments = segments,
        .t = 1, .grad_scale = 1, .clip_norm = c->clip_norm,
    };
    step.n_segments = segments_of(r, net, segments, places);
    for (int k = 0; k < net->n_inputs; k++) feeds[k] = feed_of(r, c, &network, k);
    struct schuss_train train = {
        .net = net,
        .plan = new_plan(r, net, c->batch, at_birth ? SCHUSS_BACKWARD_ONCE : SCHUSS_BACKWARD),
        .step = &step,
        .segments = at_birth ? places : NULL,
        .loss = c->loss,
        .rows = c->rows, .batch = c->batch,
        .feeds = feeds,
        .y = targets_of(r, c, last->channels),
        .y_row_bytes = y_row_bytes,
        .weights = c->weighted ? weights : NULL,
        .order = c->shuffled ? aligned(c->rows * (ptrdiff_t)sizeof(int64_t)) : NULL,
        .batch_y = aligned(c->batch * y_row_bytes),
        .batch_weights = aligned(c->batch * (ptrdiff_t)sizeof(double)),
        .partial = aligned(schuss_loss_partials(c->batch) * (ptrdiff_t)sizeof(double)),
    };
    if (last->residual < 0 && schuss_loss_from_logits(c->loss.kind, last->activation)) train.flags |= SCHUSS_LOGITS;
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        if (train.order) schuss_permutation(train.order, c->rows, SEED, (uint64_t)epoch);
        train.position = 0;
        train.loss_sum = train.weight_sum = 0;
        int status;
        while ((status = schuss_train_run(&train, 0)) == SCHUSS_MORE) continue;
        hash_integer(r, (uint64_t)status);
        hash_double(r, train.loss_sum);
        hash_double(r, train.last_loss);
    }
    for (int k = 0; k < net->n_arrays; k++) hash_reals(r, at(r, net->params, net->arrays[k].at), net->arrays[k].n);
    for (int k = 0; k < net->n_arrays && !at_birth; k++)
        hash_reals(r, at(r, net->grads, net->arrays[k].at), net->arrays[k].n);
    for (int i = 0; i < step.n_segments; i++)
        for (int k = 0; k < SCHUSS_MAX_STATES; k++) hash_reals(r, segments[i].s[k], segments[i].n);
    hash_passes(r, c, &network, feeds);
    char name[64];
    snprintf(name, sizeof name, "%s%s", c->name, at_birth ? "-at-birth" : "");
    report(r, "training", name);
}

void check_training(struct run *r) {
    for (size_t i = 0; i < sizeof trainings / sizeof trainings[0]; i++)
        for (int at_birth = 0; at_birth <= trainings[i].at_birth; at_birth++) run_training(r, &trainings[i], at_birth);
}
