/* Steps and epochs: gather, forward, loss, backward, update, without leaving C. */
#include <math.h>
#include <string.h>

#include "../fpmode.h"
#include "../kernels.h"
#include "../pool.h"
#include "../thread.h"
#include "net.h"

static double seconds_now(void) { return 1e-9 * (double)thread_nanoseconds(); }

enum {
    AHEAD = 4, /* rows to fetch ahead while copying, and as much of each */
    AHEAD_BYTES = 1024,
    CACHED_BYTES = 1 << 20,
    BYTES_PER_THREAD = 1 << 16 /* of rows to gather */
};

/* Asks for the beginning of a row that will be read soon. */
static void fetch_row(const void *from, int64_t row, ptrdiff_t bytes) {
    const char *start = (const char *)from + row * bytes;
    for (ptrdiff_t at = 0; at < bytes && at < AHEAD_BYTES; at += 64) __builtin_prefetch(start + at);
}

/* to[n x bytes] = the rows order[0..n-1] of from. */
static void gather(ptrdiff_t n, const int64_t *order, ptrdiff_t bytes, const void *from, void *to) {
    for (ptrdiff_t i = 0; i < n; i++) {
        if (i + AHEAD < n) fetch_row(from, order[i + AHEAD], bytes);
        memcpy((char *)to + i * bytes, (const char *)from + order[i] * bytes, (size_t)bytes);
    }
}

struct gather_job {
    const struct schuss_train *t;
    const int64_t *order;
    ptrdiff_t rows, x_bytes;
};

static void gather_share(void *context, int index, int count) {
    const struct gather_job *job = context;
    const struct schuss_train *t = job->t;
    const ptrdiff_t first = share_start(job->rows, 1, index, count);
    const ptrdiff_t n = share_start(job->rows, 1, index + 1, count) - first;
    const int64_t *order = job->order + first;
    gather(n, order, job->x_bytes, t->x, (char *)t->batch_x + first * job->x_bytes);
    if (t->y) gather(n, order, t->y_row_bytes, t->y, (char *)t->batch_y + first * t->y_row_bytes);
    if (t->weights) gather(n, order, sizeof(double), t->weights, t->batch_weights + first);
}

/* The rows [position, position + n) of an epoch without order, or the one row of a batch: used where they lie. */
static void point_at(struct schuss_train *t, ptrdiff_t row, ptrdiff_t x_bytes) {
    t->current_x = (const char *)t->x + row * x_bytes;
    t->current_y = t->y ? (const char *)t->y + row * t->y_row_bytes : NULL;
    t->current_weights = t->weights ? t->weights + row : NULL;
}

void schuss_train_begin(struct schuss_train *t) {
    const struct schuss_net *net = t->net;
    const ptrdiff_t left = t->rows - t->position, n = left < t->batch ? left : t->batch;
    const ptrdiff_t x_bytes = net->layers[0].n_in * schuss_kernels(net->dtype)->item;
    const int64_t *order = t->order ? t->order + t->position : NULL;
    if (!order) point_at(t, t->position, x_bytes);
    else if (n == 1) point_at(t, order[0], x_bytes);
    else {
        struct gather_job job = {t, order, n, x_bytes};
        const int threads = threads_for((double)n * (double)x_bytes, BYTES_PER_THREAD, schuss_get_num_threads());
        if (threads == 1) gather_share(&job, 0, 1);
        else schuss_parallel(threads, gather_share, &job);
        t->current_x = t->batch_x;
        t->current_y = t->batch_y;
        t->current_weights = t->weights ? t->batch_weights : NULL;
    }
    /* The next batch's rows come while this one computes, where they are not in cache and L2 has room for them. */
    if (order && t->rows * x_bytes > CACHED_BYTES && t->batch * x_bytes < CACHED_BYTES / 8)
        for (ptrdiff_t i = n; i < 2 * n && i < left; i++) fetch_row(t->x, order[i], x_bytes);
    t->current_rows = n;
    t->current_total = (double)n;
    if (t->current_weights) {
        t->current_total = 0;
        for (ptrdiff_t i = 0; i < n; i++) t->current_total += t->current_weights[i];
    }
    schuss_forward(net, t->plan, t->current_x, net->layers[0].n_in, n, t->flags, t->draws++, NULL);
}

double schuss_train_loss(struct schuss_train *t) {
    const struct schuss_net *net = t->net;
    const double sum = schuss_loss_value(net->dtype, &t->loss, t->current_rows, net->layers[net->n_layers - 1].n_out,
                                         schuss_plan_output(net, t->plan), t->current_y, t->current_weights,
                                         t->current_total, schuss_plan_dout(t->plan), t->partial);
    return t->current_total == 0 ? 0 : sum / t->current_total; /* of NaN weights: NaN */
}

static void keep_copies(struct schuss_train *t) {
    for (int i = 0; i < t->n_copies; i++) memcpy(t->copies[i].kept, t->copies[i].live, (size_t)t->copies[i].bytes);
    t->kept = 1;
}

int schuss_train_end(struct schuss_train *t, double loss) {
    const struct schuss_net *net = t->net;
    struct schuss_step *step = t->step;
    t->last_loss = loss;
    if (!isfinite(loss)) return SCHUSS_NONFINITE;
    if (t->position == 0 && t->n_copies) keep_copies(t);
    if (t->lr)
        for (int g = 0; g < step->n_groups; g++) step->groups[g].lr = t->lr[t->position / t->batch];
    const int at_birth = t->segments && optimizer_takes_pieces(step);
    struct net_update update = {.step = step, .segments = t->segments};
    net_backward(net, t->plan, t->current_x, net->layers[0].n_in, t->current_rows, t->flags,
                 schuss_plan_dout(t->plan), NULL, at_birth ? &update : NULL);
    if (at_birth) step->nonfinite = update.nonfinite;
    else if (schuss_optimizer_step(step) != SCHUSS_OK) return SCHUSS_NONFINITE;
    if (step->nonfinite) return SCHUSS_NONFINITE;
    step->t++;
    t->loss_sum += loss * t->current_total;
    t->weight_sum += t->current_total;
    t->position += t->current_rows;
    return SCHUSS_OK;
}

/* Multiply-adds of one step, roughly. */
static double work_of(const struct schuss_train *t) {
    double weights = 0;
    for (int l = 0; l < t->net->n_layers; l++)
        weights += (double)t->net->layers[l].n_in * (double)t->net->layers[l].n_out;
    return 3 * weights * (double)t->batch;
}

int schuss_train_run(struct schuss_train *t, double seconds) {
    const double deadline = seconds_now() + seconds;
    /* small steps share a look at the clock */
    const int steps_per_look = 1 + (int)(1e6 / (work_of(t) + 1e4));
    const fpmode found = fpmode_flush(); /* here too, so that the kernels' own switching has nothing to do */
    int status = SCHUSS_OK;
    while (status == SCHUSS_OK && t->position < t->rows) {
        for (int i = 0; i < steps_per_look && status == SCHUSS_OK && t->position < t->rows; i++) {
            schuss_train_begin(t);
            status = schuss_train_end(t, schuss_train_loss(t));
        }
        if (status == SCHUSS_OK && t->position < t->rows && seconds_now() >= deadline) status = SCHUSS_MORE;
    }
    fpmode_restore(found);
    return status;
}
