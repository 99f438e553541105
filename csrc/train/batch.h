/* The batches of an epoch: which rows, and how they come together. Inline for step.c and epoch.c: tiny steps are over
 * in less time than a few calls take. */
#ifndef SCHUSS_BATCH_H
#define SCHUSS_BATCH_H

#include <string.h>

#include "net.h"

enum {
    GATHER_AHEAD = 4,          /* rows to fetch ahead while copying */
    GATHER_AHEAD_BYTES = 1024, /* the most that is fetched of each */
    CACHED_BYTES = 1 << 20     /* data that are no larger are in cache anyway */
};

/* Asks for the beginning of a row that will be read soon. */
static inline void fetch_row(const void *from, int64_t row, ptrdiff_t bytes, ptrdiff_t stride) {
    const char *start = (const char *)from + row * stride;
    for (ptrdiff_t at = 0; at < bytes && at < GATHER_AHEAD_BYTES; at += 64) __builtin_prefetch(start + at);
}

/* to[n x bytes] = the rows order[0..n-1] of from, which lie so many bytes apart. */
static inline void gather(ptrdiff_t n, const int64_t *order, ptrdiff_t bytes, ptrdiff_t stride, const void *from,
                          void *to) {
    for (ptrdiff_t i = 0; i < n; i++) {
        if (i + GATHER_AHEAD < n) fetch_row(from, order[i + GATHER_AHEAD], bytes, stride);
        memcpy((char *)to + i * bytes, (const char *)from + order[i] * stride, (size_t)bytes);
    }
}

/* One batch. */
struct batch {
    ptrdiff_t rows;
    struct schuss_input inputs[SCHUSS_MAX_INPUTS]; /* as many as the network has */
    const void *y;
    const double *weights;
    double total;         /* of the weights; without any, the rows */
    const int64_t *order; /* the rows that are gathered; NULL if they are used where they lie */
};

/* How many weights a row has: one for each position of the network's value. */
static inline ptrdiff_t weights_each(const struct schuss_train *t) {
    return t->net->nodes[t->net->n_nodes - 1].positions;
}

/* The sum of the weights of the n rows from `position` on. */
static inline double weight_of(const struct schuss_train *t, ptrdiff_t position, ptrdiff_t n) {
    const ptrdiff_t each = weights_each(t);
    double total = 0;
    for (ptrdiff_t i = position; i < position + n; i++) {
        const double *weights = t->weights + (t->order ? t->order[i] : i) * each;
        for (ptrdiff_t k = 0; k < each; k++) total += weights[k];
    }
    return total;
}

/* The batch that begins at row `position` of the epoch, into *b. */
static inline void batch_at(const struct schuss_train *t, ptrdiff_t position, struct batch *b) {
    const ptrdiff_t left = t->rows - position, n = left < t->batch ? left : t->batch;
    const int64_t *order = t->order ? t->order + position : NULL;
    const int gathers = order && (n > 1 || t->augments);
    const ptrdiff_t row = order ? order[0] : position;
    b->rows = n;
    b->total = (double)n;
    if (t->weights) b->total = weight_of(t, position, n);
    for (int k = 0; k < t->net->n_inputs; k++) {
        const struct schuss_feed *feed = &t->feeds[k];
        b->inputs[k] = (struct schuss_input){
            .x = feed->compressed ? NULL : gathers ? feed->batch : (const char *)feed->x + row * feed->stride,
            .compressed = feed->compressed, .order = order,
        };
    }
    if (t->lengths) b->inputs->lengths = gathers ? t->batch_lengths : t->lengths + row;
    b->inputs->state = t->state;
    if (gathers) {
        b->order = order;
        b->y = t->batch_y;
        b->weights = t->weights ? t->batch_weights : NULL;
    } else {
        b->order = NULL;
        b->y = t->y ? (const char *)t->y + row * t->y_row_bytes : NULL;
        b->weights = t->weights ? t->weights + row * weights_each(t) : NULL;
    }
}

/* Copies the member's own rows of the batch together, images changed where that is asked for; compressed inputs stay where
 * they are. Its rows of the next batch are fetched meanwhile, unless all data are in cache or L2 has no room for a
 * batch. */
static inline void gather_own(const struct schuss_train *t, const struct batch *b, ptrdiff_t position, uint64_t draw,
                              const struct team *me) {
    const struct share own = own_rows(b->rows, me);
    const ptrdiff_t n = own.end - own.first;
    const int64_t *order = b->order + own.first;
    for (int k = 0; k < t->net->n_inputs; k++) {
        const struct schuss_feed *feed = &t->feeds[k];
        char *to = (char *)feed->batch + own.first * feed->row_bytes;
        if (feed->augment)
            schuss_augment_rows(feed->augment, t->net->seed, draw, own.first, n, order, feed->stride, feed->x, to);
        else if (!feed->compressed) gather(n, order, feed->row_bytes, feed->stride, feed->x, to);
    }
    if (t->y) gather(n, order, t->y_row_bytes, t->y_row_bytes, t->y, (char *)t->batch_y + own.first * t->y_row_bytes);
    const ptrdiff_t each = weights_each(t), weights = each * (ptrdiff_t)sizeof(double), length = sizeof(int64_t);
    if (t->weights) gather(n, order, weights, weights, t->weights, t->batch_weights + own.first * each);
    if (t->lengths) gather(n, order, length, length, t->lengths, t->batch_lengths + own.first);
    for (int k = 0; k < t->net->n_inputs; k++) {
        const struct schuss_feed *feed = &t->feeds[k];
        const ptrdiff_t bytes = feed->row_bytes;
        if (feed->compressed || t->rows * bytes <= CACHED_BYTES || t->batch * bytes >= CACHED_BYTES / 8) continue;
        for (ptrdiff_t i = position + b->rows + own.first; i < position + b->rows + own.end && i < t->rows; i++)
            fetch_row(feed->x, t->order[i], bytes, feed->stride);
    }
}

#endif
