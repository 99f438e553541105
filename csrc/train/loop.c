/* Steps and epochs: gather, forward, loss, backward, update, without leaving C. */
#include <math.h>
#include <string.h>

#include "../fpmode.h"
#include "../kernels.h"
#include "../thread.h"
#include "net.h"

static double seconds_now(void) { return 1e-9 * (double)thread_nanoseconds(); }

/* to[n x bytes] = the rows order[0..n-1] of from. */
static void gather(ptrdiff_t n, const int64_t *order, ptrdiff_t bytes, const void *from, void *to) {
    enum { AHEAD = 4 };
    for (ptrdiff_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            for (ptrdiff_t at = 0; at < bytes && at < 1024; at += 64)
                __builtin_prefetch((const char *)from + order[i + AHEAD] * bytes + at);
        memcpy((char *)to + i * bytes, (const char *)from + order[i] * bytes, (size_t)bytes);
    }
}

void schuss_train_begin(struct schuss_train *t) {
    const struct schuss_net *net = t->net;
    const ptrdiff_t left = t->rows - t->position, n = left < t->batch ? left : t->batch;
    const ptrdiff_t x_bytes = net->layers[0].n_in * schuss_kernels(net->dtype)->item;
    if (t->order) {
        const int64_t *order = t->order + t->position;
        gather(n, order, x_bytes, t->x, t->batch_x);
        if (t->y) gather(n, order, t->y_row_bytes, t->y, t->batch_y);
        if (t->weights) gather(n, order, sizeof(double), t->weights, t->batch_weights);
        t->current_x = t->batch_x;
        t->current_y = t->batch_y;
        t->current_weights = t->weights ? t->batch_weights : NULL;
    } else {
        t->current_x = (const char *)t->x + t->position * x_bytes;
        t->current_y = (const char *)t->y + t->position * t->y_row_bytes;
        t->current_weights = t->weights ? t->weights + t->position : NULL;
    }
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

int schuss_train_end(struct schuss_train *t, double loss) {
    const struct schuss_net *net = t->net;
    struct schuss_step *step = t->step;
    t->last_loss = loss;
    if (!isfinite(loss)) return SCHUSS_NONFINITE;
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
