/* Drawn networks of all kinds of layers. Whatever the threads and wherever the buffers lie, the same bits come out of
 * forward and backward passes, of trainings and of several side by side; and gradients are those of the value.
 *
 *     networks [COUNT [FIRST]]
 *
 * A plan may put one buffer where another one was before. What comes out is compared with a plan for one thread whose
 * buffers are all apart. All memory is NaN at first. */
#include "train/net.h"

#include <stdint.h>

#include "drawn.h"
#include "expect.h"

enum {
    MOST_ARRAYS = MOST_LAYERS * SCHUSS_NODE_ARRAYS,
    MOST_THREADS = 3,
    EPOCHS = 2,
    MOST_BLOCKS = 1024,
    BESIDE = 4, /* trainings side by side */
};

static const int64_t LONG = 30000000000; /* nanoseconds */

static void *blocks[MOST_BLOCKS];
static int n_blocks;

/* Ends exactly, so that a checker of memory sees every byte too many. */
static void *block_of(ptrdiff_t bytes, int filling) {
    void *block = NULL;
    EXPECT(n_blocks < MOST_BLOCKS && !posix_memalign(&block, 64, bytes > 0 ? (size_t)bytes : 1), "no memory");
    return memset(blocks[n_blocks++] = block, filling, (size_t)bytes);
}
static void free_blocks(int down_to) {
    while (n_blocks > down_to) free(blocks[--n_blocks]);
}

/* One drawn network, and what goes in. */
struct world {
    uint32_t number;
    struct drawn drawn;
    struct network network;
    ptrdiff_t item, rows, batch, n_out;
    int labels;                         /* the loss is of these */
    unsigned char wanted[MOST_ARRAYS];  /* whose gradients */
    void *x[MOST_INPUTS], *y, *dout[2]; /* dout: of a batch */
    struct schuss_compressed compressed[MOST_INPUTS]; /* of x, where the network can read it; else start is NULL */
    int64_t *in_order;                  /* [rows] 0, 1, ... */
};

/* ---- plans ------------------------------------------------------------------------------------------------------- */

/* All buffers apart. */
static void spread(struct schuss_plan *plan) {
    ptrdiff_t used = 0;
    for (int i = 0, slot = 0; i < plan->net->n_nodes; i++)
        for (int role = 0; role < BUFFER_ROLES; role++, slot++) {
            struct buffer *b = buffer_of(plan, i, role);
            if (!b->used || b->outside || b->first < 0) continue;
            b->slot = slot;
            b->at = used;
            used += ((b->row ? plan->max_rows * b->row * plan->kernels->item : b->bytes) + 63) / 64 * 64;
        }
    plan->room = used + plan->threads * plan->scratch_each;
}

static struct schuss_plan *new_plan(const struct world *w, ptrdiff_t rows, int passes, int threads, int apart) {
    const struct schuss_net *net = &w->network.net;
    void *memory = block_of(schuss_plan_bytes(net, passes, threads), 0);
    struct schuss_plan *plan = schuss_plan_draw(memory, net, rows, passes, threads, w->wanted);
    if (apart) spread(plan);
    schuss_plan_lay(plan, block_of(schuss_plan_room(plan), 0xFF));
    return plan;
}

/* ---- passes ------------------------------------------------------------------------------------------------------ */

/* What passes give. */
struct results {
    char *out, *grads, *dx[MOST_INPUTS];
};

static ptrdiff_t row_bytes(const struct world *w, int input) {
    return w->network.nodes[input].channels * (w->drawn.layers[input].codes ? 8 : w->item);
}

static struct results no_results(const struct world *w) {
    struct results r = {
        block_of(w->batch * w->n_out * w->item, 0xFF), block_of(w->network.size * w->item, 0xFF), {NULL}};
    for (int k = 0; k < w->network.net.n_inputs; k++)
        if (!w->drawn.layers[k].codes) r.dx[k] = block_of(w->batch * row_bytes(w, k), 0xFF);
    return r;
}

/* A forward pass and one backward for each dout, by a team that is there. */
struct job {
    const struct world *w;
    struct schuss_plan *plan;
    struct outside outside;
    const void *from[MOST_INPUTS]; /* the rows that members put together, as they do in training */
    struct schuss_input inputs[MOST_INPUTS];
    const void *dout[2];
    void *const *dx[2];
    struct results *results;
};

static void make_passes(void *context, struct team *me) {
    struct job *job = context;
    const struct world *w = job->w;
    const struct share own = own_rows(job->outside.rows, me);
    const ptrdiff_t row = w->n_out * w->item;
    for (int k = 0; k < w->network.net.n_inputs && job->outside.gathered; k++) {
        const ptrdiff_t bytes = row_bytes(w, k);
        if (job->inputs[k].compressed) continue;
        memcpy((char *)(uintptr_t)job->inputs[k].x + own.first * bytes, (const char *)job->from[k] + own.first * bytes,
               (size_t)((own.end - own.first) * bytes));
    }
    const char *out = net_forward(job->plan, &job->outside, me);
    memcpy(job->results->out + own.first * row, out + own.first * row, (size_t)((own.end - own.first) * row));
    for (int k = 0; k < 2 && job->dout[k]; k++) {
        struct outside outside = job->outside;
        outside.dx = job->dx[k];
        memcpy((char *)schuss_plan_dout(job->plan) + own.first * row, (const char *)job->dout[k] + own.first * row,
               (size_t)((own.end - own.first) * row));
        net_enter_backward(job->plan, &outside, me);
        team_wait(me);
        net_backward(job->plan, &outside, NULL, me);
        team_wait(me);
    }
}

/* first: the dout of the backward pass, or of the first of two; -1: none. gathered: inputs that can be read compressed
 * are, and apart: gradients by one of the inputs are left out. */
static struct results run_passes(struct world *w, int passes, int threads, int apart, int gathered, int first,
                                 int second) {
    struct results results = no_results(w);
    w->network.net.grads = results.grads;
    const int n_inputs = w->network.net.n_inputs;
    struct job job = {.w = w, .plan = new_plan(w, w->batch, passes, threads, apart), .results = &results};
    job.outside = (struct outside){.inputs = job.inputs, .gathered = gathered, .rows = w->batch, .draw = 5};
    for (int k = 0; k < n_inputs; k++) {
        job.from[k] = w->x[k];
        job.inputs[k].x = gathered ? block_of(w->batch * row_bytes(w, k), 0xFF) : w->x[k];
        if (!gathered || !w->compressed[k].start) continue;
        job.inputs[k] = (struct schuss_input){.compressed = &w->compressed[k], .order = w->in_order};
    }
    job.dout[0] = first < 0 ? NULL : w->dout[first];
    job.dout[1] = second < 0 ? NULL : w->dout[second];
    /* The last of the passes is the one that is looked at: that of two has no dx. */
    if (passes == SCHUSS_BACKWARD) job.dx[0] = (void *const *)results.dx;
    if (apart && gathered) results.dx[w->number % n_inputs] = NULL;
    schuss_set_num_threads(threads);
    begin(&w->network);
    schuss_team(threads, LONG, make_passes, &job);
    EXPECT(!schuss_plan_fault(job.plan), "network %u: a fault", w->number);
    return results;
}

static void same(const struct world *w, const void *a, const void *b, ptrdiff_t bytes, const char *what,
                 const char *name) {
    if (!memcmp(a, b, (size_t)bytes)) return;
    print_network(stderr, &w->network);
    ptrdiff_t at = 0;
    while (((const char *)a)[at] == ((const char *)b)[at]) at++;
    EXPECT(0, "network %u, dtype %d, %td rows of %td: %s: %s differs at byte %td of %td", w->number,
           w->network.net.dtype, w->batch, w->rows, name, what, at, bytes);
}

static void same_results(const struct world *w, const struct results *a, const struct results *b, int grads, int dx,
                         const char *what, const char *way) {
    const struct schuss_net *net = &w->network.net;
    char name[160];
    snprintf(name, sizeof name, "%s, %s", what, way);
    same(w, a->out, b->out, w->batch * w->n_out * w->item, "the value", name);
    for (int k = 0; k < net->n_arrays && grads; k++) {
        const struct schuss_array *array = &net->arrays[k];
        const ptrdiff_t start = array->at * w->item;
        if (array->stepped && w->wanted[k])
            same(w, a->grads + start, b->grads + start, array->n * w->item, array->name, name);
    }
    for (int k = 0; k < net->n_inputs && dx; k++)
        if (a->dx[k] && b->dx[k]) same(w, a->dx[k], b->dx[k], w->batch * row_bytes(w, k), "dx", name);
}

/* The call that the interface has, into memory of the caller's. */
static void same_forward(struct world *w, const struct results *value, int threads, const char *way) {
    struct schuss_input inputs[MOST_INPUTS] = {{0}};
    void *out = block_of(w->batch * w->n_out * w->item, 0xFF);
    struct schuss_plan *plan = new_plan(w, w->batch, SCHUSS_FORWARD_ONLY, threads, 0);
    for (int k = 0; k < w->network.net.n_inputs; k++) inputs[k].x = w->x[k];
    begin(&w->network);
    schuss_forward(plan, inputs, w->batch, 0, 0, out);
    same(w, value->out, out, w->batch * w->n_out * w->item, "the value", way);
}

static void check_passes(struct world *w) {
    const int mark = n_blocks;
    const struct results whole = run_passes(w, SCHUSS_BACKWARD, 1, 1, 0, 0, -1);
    const struct results other = run_passes(w, SCHUSS_BACKWARD, 1, 1, 0, 1, -1);
    const struct results value = run_passes(w, SCHUSS_FORWARD_ONLY, 1, 1, 0, -1, -1);
    for (int threads = 1; threads <= MOST_THREADS; threads++)
        for (int gathered = 0; gathered < 2; gathered++)
            for (int apart = 0; apart < 2; apart++) {
                const int inner = n_blocks;
                char way[80];
                snprintf(way, sizeof way, "%d threads, gathered: %d, buffers apart: %d", threads, gathered, apart);
                struct results r = run_passes(w, SCHUSS_FORWARD_ONLY, threads, apart, 0, -1, -1);
                same_results(w, &value, &r, 0, 0, "forward", way);
                r = run_passes(w, SCHUSS_BACKWARD_ONCE, threads, apart, gathered, 0, -1);
                same_results(w, &whole, &r, 1, 0, "backward once", way);
                r = run_passes(w, SCHUSS_BACKWARD, threads, apart, gathered, 0, -1);
                same_results(w, &whole, &r, 1, 1, "backward", way);
                if (apart == 0) same_forward(w, &value, threads, way);
                r = run_passes(w, SCHUSS_BACKWARD, threads, apart, gathered, 0, 1);
                same_results(w, &other, &r, 1, 0, "backward again, with another dout and no dx", way);
                free_blocks(inner);
            }
    free_blocks(mark);
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */

static double inner_product(ptrdiff_t n, const double *a, const double *b, double *absolute) {
    double sum = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
        *absolute += fabs(a[i] * b[i]);
    }
    return sum;
}

/* Along one direction of all parameters and inputs, against the difference of dout . value. */
static void check_gradients(struct world *w) {
    const struct schuss_net *net = &w->network.net;
    const int mark = n_blocks, n_inputs = net->n_inputs;
    struct dice dice = {.stream = w->number + 1000000};
    const struct results r = run_passes(w, SCHUSS_BACKWARD, 1, 0, 0, 0, -1);
    struct schuss_plan *plan = new_plan(w, w->batch, SCHUSS_BACKWARD, 1, 0);
    double *along[MOST_INPUTS], *towards = block_of(w->network.size * 8, 0), absolute = 0, slope = 0;
    void *moved[MOST_INPUTS];
    struct schuss_input inputs[MOST_INPUTS] = {{0}};
    for (int k = 0; k < net->n_arrays; k++) {
        const struct schuss_array *array = &net->arrays[k];
        if (!array->stepped || !w->wanted[k]) continue;
        for (ptrdiff_t i = 0; i < array->n; i++) towards[array->at + i] = 2 * uniform(&dice) - 1;
        slope += inner_product(array->n, (double *)(void *)r.grads + array->at, towards + array->at, &absolute);
    }
    for (int k = 0; k < n_inputs; k++) {
        const ptrdiff_t n = w->batch * w->network.nodes[k].channels;
        inputs[k].x = w->x[k];
        if (!r.dx[k]) continue;
        along[k] = block_of(n * 8, 0);
        inputs[k].x = moved[k] = block_of(n * 8, 0);
        for (ptrdiff_t i = 0; i < n; i++) along[k][i] = 2 * uniform(&dice) - 1;
        slope += inner_product(n, (double *)(void *)r.dx[k], along[k], &absolute);
    }
    double best = INFINITY, unused = 0;
    for (double h = 1e-4; h > 1e-9; h /= 10) {
        double value[2];
        for (int side = 0; side < 2; side++) {
            const double step = side ? h : -h;
            begin(&w->network);
            for (ptrdiff_t i = 0; i < w->network.size; i++) ((double *)net->params)[i] += step * towards[i];
            for (int k = 0; k < n_inputs; k++)
                for (ptrdiff_t i = 0; r.dx[k] && i < w->batch * w->network.nodes[k].channels; i++)
                    ((double *)moved[k])[i] = ((double *)w->x[k])[i] + step * along[k][i];
            const double *out = schuss_forward(plan, inputs, w->batch, 0, 5, NULL);
            value[side] = inner_product(w->batch * w->n_out, out, w->dout[0], &unused);
        }
        const double error = fabs((value[1] - value[0]) / (2 * h) - slope);
        best = error < best ? error : best;
    }
    if (!(best <= 1e-5 * absolute + 1e-9)) print_network(stderr, &w->network);
    EXPECT(best <= 1e-5 * absolute + 1e-9, "network %u, %td rows: the gradient is wrong by %g of %g", w->number,
           w->batch, best, absolute);
    free_blocks(mark);
}

/* ---- trainings --------------------------------------------------------------------------------------------------- */

struct trained {
    char *params, *states[2];
    double losses[EPOCHS];
};

/* One that is ready. It points into itself. */
struct training {
    struct schuss_segment segments[MOST_ARRAYS];
    int places[MOST_ARRAYS];
    struct schuss_group group;
    struct schuss_step step;
    struct schuss_feed feeds[MOST_INPUTS];
    struct schuss_train train;
    struct trained found;
};

static void prepare(struct world *w, struct training *g, int passes, int threads, int apart, int at_birth) {
    struct schuss_net *net = &w->network.net;
    const ptrdiff_t bytes = w->network.size * w->item;
    const int ordered = w->number % 3 > 0;
    struct trained *t = &g->found;
    int n_segments = 0;
    *t = (struct trained){.states = {block_of(bytes, 0), block_of(bytes, 0)}};
    net->grads = block_of(bytes, 0);
    begin(&w->network);
    for (int k = 0; k < net->n_arrays; k++) {
        const ptrdiff_t start = net->arrays[k].at * w->item;
        const int stepped = net->arrays[k].stepped && w->wanted[k];
        g->places[k] = stepped ? n_segments : -1;
        if (stepped)
            g->segments[n_segments++] = (struct schuss_segment){
                .n = net->arrays[k].n, .p = (char *)net->params + start, .g = (char *)net->grads + start,
                .s = {t->states[0] + start, t->states[1] + start}};
    }
    g->group = (struct schuss_group){
        .rule = SCHUSS_ADAM, .lr = 1e-3, .lr_factor = 1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    g->step = (struct schuss_step){.dtype = net->dtype, .n_groups = 1, .n_segments = n_segments, .groups = &g->group,
                                   .segments = g->segments, .t = 1, .grad_scale = 1};
    for (int k = 0; k < net->n_inputs; k++)
        g->feeds[k] = (struct schuss_feed){
            .x = w->x[k], .row_bytes = row_bytes(w, k), .stride = row_bytes(w, k),
            .batch = block_of(w->batch * row_bytes(w, k), 0xFF)};
    for (int k = 0; k < net->n_inputs && ordered && at_birth; k++)
        if (w->compressed[k].start) g->feeds[k] = (struct schuss_feed){.compressed = &w->compressed[k]};
    const ptrdiff_t y_bytes = w->labels ? 8 : w->n_out * w->item;
    g->train = (struct schuss_train){
        .net = net, .plan = new_plan(w, w->batch, passes, threads, apart), .step = &g->step,
        .segments = at_birth ? g->places : NULL,
        .loss = {.kind = w->labels ? SCHUSS_CROSS_ENTROPY : SCHUSS_MAE, .labels = w->labels, .parameter = 0},
        .rows = w->rows, .batch = w->batch, .feeds = g->feeds, .y = w->y, .y_row_bytes = y_bytes,
        .order = ordered ? block_of(w->rows * 8, 0) : NULL,
        .batch_y = block_of(w->batch * y_bytes, 0xFF),
        .partial = block_of(schuss_loss_partials(w->batch) * 8, 0xFF),
        .flags = w->labels ? SCHUSS_LOGITS : 0,
    };
}

static void begin_epoch(struct schuss_train *train, int epoch) {
    if (train->order) schuss_permutation(train->order, train->rows, 1, (uint64_t)epoch);
    train->position = 0;
    train->loss_sum = 0;
}

static void end_epoch(const struct world *w, struct training *g, int epoch, int status) {
    if (status != SCHUSS_OK) print_network(stderr, &w->network);
    EXPECT(status == SCHUSS_OK && isfinite(g->train.loss_sum), "network %u: status %d, loss %g", w->number, status,
           g->train.loss_sum);
    g->found.losses[epoch] = g->train.loss_sum;
    const ptrdiff_t bytes = w->network.size * w->item;
    if (epoch == EPOCHS - 1) g->found.params = memcpy(block_of(bytes, 0), w->network.net.params, (size_t)bytes);
}

static struct trained train(struct world *w, int passes, int threads, int apart, int at_birth) {
    struct training g;
    prepare(w, &g, passes, threads, apart, at_birth);
    schuss_set_num_threads(threads);
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        int status;
        begin_epoch(&g.train, epoch);
        while ((status = schuss_train_run(&g.train, 0.01)) == SCHUSS_MORE) continue;
        end_epoch(w, &g, epoch, status);
    }
    return g.found;
}

static void same_training(const struct world *w, const struct trained *a, const struct trained *b, const char *name) {
    const ptrdiff_t bytes = w->network.size * w->item;
    same(w, a->losses, b->losses, sizeof a->losses, "the losses", name);
    same(w, a->params, b->params, bytes, "parameters", name);
    for (int k = 0; k < 2; k++) same(w, a->states[k], b->states[k], bytes, "states of the rule", name);
}

static void check_trainings(struct world *w) {
    const struct trained one = train(w, SCHUSS_BACKWARD, 1, 1, 0);
    for (int threads = 1; threads <= MOST_THREADS; threads++)
        for (int variant = 0; variant < 3; variant++) {
            const int inner = n_blocks, at_birth = variant == 2;
            char name[80];
            snprintf(name, sizeof name, "training, %d threads, variant %d", threads, variant);
            const struct trained t = train(w, variant ? SCHUSS_BACKWARD_ONCE : SCHUSS_BACKWARD, threads, 0, at_birth);
            same_training(w, &one, &t, name);
            free_blocks(inner);
        }
}

/* Different trainings at once, each in an epoch of its own, are what they are alone. */
static void check_side_by_side(struct world *worlds, int n) {
    static struct training trainings[BESIDE];
    const int mark = n_blocks;
    struct trained alone[BESIDE];
    for (int k = 0; k < n; k++) alone[k] = train(&worlds[k], SCHUSS_BACKWARD_ONCE, 1, 0, k % 2);
    for (int threads = 1; threads <= MOST_THREADS; threads++)
        for (int moment = 0; moment < 2; moment++) {
            const int inner = n_blocks;
            char name[80];
            snprintf(name, sizeof name, "side by side, %d threads, %d moments", threads, moment);
            struct schuss_train *waiting[BESIDE];
            int who[BESIDE], epochs[BESIDE] = {0}, status[BESIDE], left = n;
            for (int k = 0; k < n; k++) {
                prepare(&worlds[k], &trainings[k], SCHUSS_BACKWARD_ONCE, threads, 0, k % 2);
                begin_epoch(&trainings[k].train, 0);
                who[k] = k;
            }
            schuss_set_num_threads(threads);
            while (left > 0) {
                for (int i = 0; i < left; i++) waiting[i] = &trainings[who[i]].train;
                schuss_train_side_by_side(waiting, left, moment ? 0.01 : 0, status);
                int still = 0;
                for (int i = 0; i < left; i++) {
                    const int k = who[i];
                    if (status[i] != SCHUSS_MORE) {
                        end_epoch(&worlds[k], &trainings[k], epochs[k]++, status[i]);
                        if (epochs[k] == EPOCHS) continue;
                        begin_epoch(&trainings[k].train, epochs[k]);
                    }
                    who[still++] = k;
                }
                left = still;
                for (int i = 1, first = who[0]; i < left; i++) { /* the next one begins */
                    who[i - 1] = who[i];
                    if (i == left - 1) who[i] = first;
                }
            }
            for (int k = 0; k < n; k++) same_training(&worlds[k], &alone[k], &trainings[k].found, name);
            free_blocks(inner);
        }
    free_blocks(mark);
}

/* ---- worlds ------------------------------------------------------------------------------------------------------ */

static void *draw_numbers(struct dice *dice, int dtype, ptrdiff_t n, double scale) {
    void *array = block_of(n * (dtype == SCHUSS_F32 ? 4 : 8), 0);
    for (ptrdiff_t i = 0; i < n; i++) {
        const double x = scale * (2 * uniform(dice) - 1);
        if (dtype == SCHUSS_F32) ((float *)array)[i] = (float)x;
        else ((double *)array)[i] = x;
    }
    return array;
}

/* x[rows x n], of which most is set to zero, in compressed rows. */
static struct schuss_compressed compress(struct dice *dice, int dtype, ptrdiff_t rows, ptrdiff_t n, void *x) {
    const ptrdiff_t item = dtype == SCHUSS_F32 ? 4 : 8;
    int64_t *start = block_of((rows + 1) * 8, 0), *columns = block_of(rows * n * 8, 0), count = 0;
    char *data = block_of(rows * n * item, 0);
    for (ptrdiff_t i = 0; i < rows * n; i++) {
        if (i % n == 0) start[i / n] = count;
        char *element = (char *)x + i * item;
        if (chance(dice, 0.6)) memset(element, 0, (size_t)item);
        else {
            memcpy(data + count * item, element, (size_t)item);
            columns[count++] = i % n;
        }
    }
    start[rows] = count;
    return (struct schuss_compressed){.start = start, .indices = columns, .wide = 1, .data = data};
}

/* Chooses whose gradients are wanted: one at least. Returns whether there is one. */
static int choose_wanted(struct dice *dice, struct world *w) {
    const struct schuss_net *net = &w->network.net;
    const int some_not = chance(dice, 0.3);
    int any = 0, last = -1;
    for (int k = 0; k < net->n_arrays; k++) {
        w->wanted[k] = !some_not || chance(dice, 0.7);
        any |= net->arrays[k].stepped && w->wanted[k];
        if (net->arrays[k].stepped) last = k;
    }
    if (last >= 0) w->wanted[last] |= !any;
    return last >= 0;
}

/* Draws a network and its data. Returns whether it has anything to train. */
static int draw_world(struct world *w, uint32_t number) {
    struct dice dice = {.stream = number};
    const int dtype = number % 2 ? SCHUSS_F64 : SCHUSS_F32;
    *w = (struct world){.number = number, .item = dtype == SCHUSS_F32 ? 4 : 8};
    const struct drawing how = {.widest = chance(&dice, 0.2) ? 300 : 40, .most = 12, .smooth = dtype == SCHUSS_F64};
    draw_network(&dice, &how, &w->drawn);
    set_up(&w->network, dtype, w->drawn.n, w->drawn.layers);
    const struct schuss_node *last = &w->network.nodes[w->drawn.n - 1];
    if (!choose_wanted(&dice, w)) return 0;
    w->n_out = last->channels;
    w->labels = last->activation == SCHUSS_SOFTMAX;
    w->batch = chance(&dice, 0.1) ? 1 : some(&dice, 2, 150);
    w->rows = w->batch + between(&dice, 0, 2 * w->batch);
    w->network.net.params = block_of(w->network.size * w->item, 0);
    for (int k = 0; k < w->network.net.n_inputs; k++) {
        const ptrdiff_t n = w->rows * w->network.nodes[k].channels;
        if (w->drawn.layers[k].codes) {
            int64_t *codes = w->x[k] = block_of(n * 8, 0);
            for (ptrdiff_t i = 0; i < n; i++) codes[i] = between(&dice, 0, w->drawn.layers[k].codes - 1);
            continue;
        }
        w->x[k] = draw_numbers(&dice, dtype, n, 1.5);
        if (schuss_net_reads_compressed(&w->network.net, k))
            w->compressed[k] = compress(&dice, dtype, w->rows, w->network.nodes[k].channels, w->x[k]);
    }
    w->in_order = block_of(w->rows * 8, 0);
    for (ptrdiff_t i = 0; i < w->rows; i++) w->in_order[i] = i;
    if (w->labels) {
        int64_t *labels = w->y = block_of(w->rows * 8, 0);
        for (ptrdiff_t i = 0; i < w->rows; i++) labels[i] = between(&dice, 0, w->n_out - 1);
    } else w->y = draw_numbers(&dice, dtype, w->rows * w->n_out, 1);
    for (int k = 0; k < 2; k++) w->dout[k] = draw_numbers(&dice, dtype, w->batch * w->n_out, 1);
    return 1;
}

static void check_network(uint32_t number) {
    struct world w;
    if (draw_world(&w, number)) {
        check_passes(&w);
        if (w.network.net.dtype == SCHUSS_F64) check_gradients(&w);
        check_trainings(&w);
    }
    free_blocks(0);
}

static void check_several(uint32_t number) {
    static struct world worlds[BESIDE];
    int n = 0;
    for (uint32_t k = 0; k < BESIDE; k++) n += draw_world(&worlds[n], number + k);
    check_side_by_side(worlds, n);
    free_blocks(0);
}

int main(int argc, char **argv) {
    const int count = argc > 1 ? atoi(argv[1]) : 40, first = argc > 2 ? atoi(argv[2]) : 0;
    for (int i = first; i < first + count; i++) check_network((uint32_t)i);
    for (int i = first; i < first + count; i += BESIDE) check_several((uint32_t)i);
    return 0;
}
