/* Items that a user is not known to like, drawn. Every draw is a function of (seed, epoch, number of the pair in the
 * epoch, number of the try): a number of 32 bits times how many there are to choose from, over 2^32, so that the chances
 * of two items differ by at most n / 2^32 of themselves. */
#ifndef SCHUSS_NEGATIVES_H
#define SCHUSS_NEGATIVES_H

#include "../rng.h"
#include "../schuss.h"

enum { NEGATIVE_TRIES = 64, EPOCH_SHIFT = 24 };

/* Numbers 4 block .. 4 block + 3 of a pair. */
static inline struct philox pair_block(const struct schuss_pairwise *p, uint32_t stream, ptrdiff_t pair, ptrdiff_t block) {
    return random_block(p->seed, stream, (uint32_t)pair, p->epoch << EPOCH_SHIFT | (uint64_t)block);
}

/* Of n things. */
static inline int64_t drawn(uint32_t bits, ptrdiff_t n) { return (int64_t)(((uint64_t)bits * (uint64_t)n) >> 32); }

/* How many of the user's known items have numbers below this. */
static inline ptrdiff_t known_below(const struct schuss_pairwise *p, int64_t user, int64_t item) {
    const int32_t *known = p->known + p->known_start[user];
    ptrdiff_t at = 0, n = p->known_start[user + 1] - p->known_start[user];
    while (n > 0) {
        const ptrdiff_t half = (n + 1) / 2; /* without a branch: which half is as good as random */
        at = known[at + half - 1] < item ? at + half : at;
        n -= half;
    }
    return at;
}

static inline int is_known(const struct schuss_pairwise *p, int64_t user, int64_t item) {
    if (p->known_bits) return p->known_bits[user * p->known_words + item / 64] >> (item % 64) & 1;
    const ptrdiff_t at = p->known_start[user] + known_below(p, user, item);
    return at < p->known_start[user + 1] && p->known[at] == item;
}

/* What is_known will look at for the user's first draw, which is number `at` of those to choose from. */
static inline __attribute__((always_inline)) void prefetch_known(const struct schuss_pairwise *p, int64_t user, int64_t at) {
    const int64_t item = p->popular ? p->popular[at] : at;
    if (p->known_bits) __builtin_prefetch(p->known_bits + user * p->known_words + item / 64);
    else __builtin_prefetch(p->known + (p->known_start[user] + p->known_start[user + 1]) / 2);
}

/* Number `rank` of the items that are not known: what is known has as many before it as its number less its place. */
static inline int64_t not_known(const struct schuss_pairwise *p, int64_t user, int64_t rank) {
    const int32_t *known = p->known + p->known_start[user];
    ptrdiff_t low = 0, high = p->known_start[user + 1] - p->known_start[user];
    while (low < high) {
        const ptrdiff_t middle = low + (high - low) / 2;
        if (known[middle] - middle <= rank) low = middle + 1;
        else high = middle;
    }
    return rank + low;
}

/* The negative of a pair in BPR, of which r is block 0; -1 if the user knows all items. After so many tries that met what
 * is known, any item that is not, each as likely. */
static inline int64_t draw_negative(const struct schuss_pairwise *p, ptrdiff_t pair, int64_t user, struct philox r) {
    const ptrdiff_t from = p->popular ? p->n_popular : p->items.n;
    for (ptrdiff_t block = 0; block < NEGATIVE_TRIES / 4; block++) {
        if (block) r = pair_block(p, STREAM_NEGATIVES, pair, block);
        for (int k = 0; k < 4; k++) {
            const int64_t at = drawn(r.v[k], from), item = p->popular ? p->popular[at] : at;
            if (!is_known(p, user, item)) return item;
        }
    }
    const ptrdiff_t left = p->items.n - (p->known_start[user + 1] - p->known_start[user]);
    if (!left) return -1;
    return not_known(p, user, drawn(pair_block(p, STREAM_NEGATIVES, pair, NEGATIVE_TRIES / 4).v[0], left));
}

#endif
