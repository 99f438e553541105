/* Pairs of a user and an item that was seen: what each asks of its rows, and steps one pair at a time.
 *
 *   LOGISTIC  loss softplus(-m), m = score where it is liked, else -score
 *   BPR       loss softplus(-m), m = score - score of a negative. Rendle, Freudenthaler, Gantner, Schmidt-Thieme, "BPR:
 *             Bayesian personalized ranking from implicit feedback", UAI 2009
 *   WARP      negatives are drawn from all items until one that is not known scores above score - 1, the try by which
 *             that happens telling the rank: loss factor * (1 - score + its score), or 0. Weston, Bengio, Usunier, "WSABIE:
 *             scaling up to large vocabulary image annotation", IJCAI 2011
 *   WARP_KOS  WARP from the k-th best of n drawn items that the pair's user likes. Weston, Yee, Weiss, "Learning to rank
 *             recommendations with the k-order statistic loss", RecSys 2013
 *
 * Each is times the pair's weight. The user's own bias is in none but the first: it is the same for both items. */

enum { PAIRS_IN_TURN = 256, PAIRS_AHEAD = 8, ROW_LINE = 64 };

/* Where one thread works. */
struct pair_room {
    real *user, *item, *negative; /* [stride] what they are, where they are sums */
    real *u;                      /* [stride] the user with 1 in place of its bias */
    real *by_item, *by_user;      /* [stride] gradients */
    real *best;                   /* [kos_k] scores of drawn positives, falling */
    int64_t *best_items;          /* [kos_k] */
};

/* Elements of real that a room needs. */
static ptrdiff_t room_reals(const struct schuss_pairwise *p) {
    const ptrdiff_t best = p->loss == SCHUSS_RANK_WARP_KOS ? (p->kos_k + 15) / 16 * 16 : 0;
    return 6 * p->stride + best + best * (ptrdiff_t)(sizeof(int64_t) / sizeof(real));
}

static struct pair_room room_at(const struct schuss_pairwise *p, real *at) {
    struct pair_room room = {at, at + p->stride, at + 2 * p->stride, at + 3 * p->stride, at + 4 * p->stride,
                             at + 5 * p->stride, at + 6 * p->stride, NULL};
    room.best_items = (int64_t *)(room.best + (p->kos_k + 15) / 16 * 16);
    return room;
}

/* What came of looking at a pair. */
struct pair {
    int64_t item, negative; /* -1: there is none; item -1: the pair is left out */
    real factor;            /* of the gradient by the score of the negative, or for LOGISTIC of the item */
    real weight;
    real margin;            /* what the loss follows from */
};

/* 1 / (1 + exp(m)): minus the slope of softplus(-m). */
ALWAYS_INLINE vec slopes_of(vec m) { return v_set1(1) / (v_set1(1) + v_exp(m)); }
ALWAYS_INLINE real slope_of(real m) { return slopes_of(v_set1(m))[0]; }

/* Losses from margins[n] and weights[n], in place. */
static void losses_of(const struct schuss_pairwise *p, ptrdiff_t n, real *margins, const real *weights) {
    const int smooth = p->loss <= SCHUSS_RANK_BPR;
    for (ptrdiff_t i = 0; i < n; i += LANES) {
        const vmask rest = v_mask(n - i);
        const vec m = v_load_m(margins + i, rest), w = v_load_m(weights + i, rest), a = v_abs(m);
        const vec softplus = (a - m) * v_set1((real)0.5) + v_log1p(v_exp(v_set1(0) - a));
        v_store_m(margins + i, w * (smooth ? softplus : m), rest);
    }
}

/* Searches a negative that violates; its try and its score. -1: none. r: block 0 of the pair. */
ALWAYS_INLINE int64_t search(const struct schuss_pairwise *p, const int plain, ptrdiff_t length, ptrdiff_t stride,
                             ptrdiff_t pair, int64_t user, struct philox r, real least, const struct pair_room *room,
                             int *tried, real *found) {
    for (int t = 0; t < p->max_sampled; t++) {
        if (t && t % 4 == 0) r = pair_block(p, STREAM_NEGATIVES, pair, t / 4);
        const int64_t item = drawn(r.v[t % 4], p->items.n);
        const real score = product_of(room->u, represent(&p->items, plain, length, stride, item, room->negative), stride);
        if (score > least && !is_known(p, user, item)) {
            *tried = t;
            *found = score;
            return item;
        }
    }
    return -1;
}

/* The k-th best of n drawn items that the user likes, of equal ones the first; k and n at most as many as there are. */
ALWAYS_INLINE int64_t kos_positive(const struct schuss_pairwise *p, const int plain, ptrdiff_t length, ptrdiff_t stride,
                                   ptrdiff_t pair, int64_t user, const struct pair_room *room, real *score) {
    const int32_t *known = p->known + p->known_start[user];
    const ptrdiff_t liked = p->known_start[user + 1] - p->known_start[user];
    const ptrdiff_t n = liked < p->kos_n ? liked : p->kos_n, k = n < p->kos_k ? n : p->kos_k;
    ptrdiff_t kept = 0;
    struct philox r = {{0}};
    for (ptrdiff_t t = 0; t < n; t++) {
        if (t % 4 == 0) r = pair_block(p, STREAM_POSITIVES, pair, t / 4);
        const int64_t item = known[drawn(r.v[t % 4], liked)];
        const real s = product_of(room->u, represent(&p->items, plain, length, stride, item, room->item), stride);
        ptrdiff_t at = kept < k ? kept++ : k;
        for (; at > 0 && room->best[at - 1] < s; at--)
            if (at < k) {
                room->best[at] = room->best[at - 1];
                room->best_items[at] = room->best_items[at - 1];
            }
        if (at < k) {
            room->best[at] = s;
            room->best_items[at] = item;
        }
    }
    *score = room->best[k - 1];
    return room->best_items[k - 1];
}

/* Looks at pair number `pair` of the epoch. r, negative: its block 0, and BPR's negative, drawn before. Leaves in room->u
 * the user, in *item and *other what the pair's item and its negative are. */
ALWAYS_INLINE struct pair look(const struct schuss_pairwise *p, const int plain, ptrdiff_t stride, ptrdiff_t pair,
                               const struct philox *r, int64_t negative, struct pair_room *room, const real **item,
                               const real **other) {
    const ptrdiff_t length = (2 + p->adadelta) * stride, at = p->order[pair];
    const int64_t user = p->seen_users[at];
    struct pair found = {.item = -1, .negative = -1, .weight = p->weights ? ((const real *)p->weights)[at] : 1};
    const real *of_user = represent(&p->users, plain, length, stride, user, room->user);
    const real own = of_user[p->dim];
    real score;
    take_one(of_user, p->dim, stride, room->u);
    if (p->loss == SCHUSS_RANK_WARP_KOS) {
        if (p->known_start[user] == p->known_start[user + 1]) return found;
        found.item = kos_positive(p, plain, length, stride, pair, user, room, &score);
        *item = represent(&p->items, plain, length, stride, found.item, room->item);
    } else {
        if (p->loss == SCHUSS_RANK_BPR && negative < 0) return found;
        found.item = p->seen_items[at];
        *item = represent(&p->items, plain, length, stride, found.item, room->item);
        score = product_of(room->u, *item, stride);
    }
    if (p->loss == SCHUSS_RANK_LOGISTIC) {
        const int liked = p->liked[at];
        score += own;
        found.margin = liked ? score : -score;
        found.factor = found.weight * slope_of(found.margin);
        if (liked) found.factor = -found.factor;
    } else if (p->loss == SCHUSS_RANK_BPR) {
        found.negative = negative;
        *other = represent(&p->items, plain, length, stride, negative, room->negative);
        found.margin = score - product_of(room->u, *other, stride);
        found.factor = found.weight * slope_of(found.margin);
    } else {
        int tried = 0;
        real theirs = 0;
        found.negative = search(p, plain, length, stride, pair, user, *r, score - 1, room, &tried, &theirs);
        found.margin = score - score; /* 0, or NaN if the score is not finite */
        if (found.negative >= 0) {
            const real factor = (real)p->rank_losses[tried];
            *other = represent(&p->items, plain, length, stride, found.negative, room->negative);
            found.factor = found.weight * factor;
            found.margin = factor * (1 - score + theirs);
        }
    }
    return found;
}

/* The gradients: by the negative (LOGISTIC: the item), of which that by the item is the opposite, and by the user. */
ALWAYS_INLINE void gradients_of(const struct schuss_pairwise *p, ptrdiff_t stride, const struct pair *pair,
                                const real *item, const real *other, const struct pair_room *room) {
    const vec factor = v_set1(pair->factor);
    for (ptrdiff_t j = 0; j < stride; j += LANES) {
        const vec a = v_load(item + j);
        v_store(room->by_item + j, factor * v_load(room->u + j));
        v_store(room->by_user + j, pair->negative >= 0 ? factor * with_lane(v_load(other + j) - a, j, p->dim, 0)
                                                       : factor * with_lane(a, j, p->dim, 1));
    }
}

/* Steps the rows of number i, one after the other, by g times each row's value. */
ALWAYS_INLINE void step_rows_of(const struct schuss_side *s, const int plain, ptrdiff_t length, ptrdiff_t stride, int64_t i,
                                const real *g, real sign, struct row_rule *rule) {
    const vec alpha = v_set1((real)s->alpha);
    for (ptrdiff_t k = rows_first(s, plain, i); k < rows_end(s, plain, i); k++) {
        real *row = (real *)s->table + row_at(s, plain, k) * length;
        const vec value = v_set1(sign * row_value(s, plain, k));
        for (ptrdiff_t j = 0; j < stride; j += LANES) step_lanes(row + j, stride, v_load(g + j) * value, alpha, rule);
    }
}

/* The first n elements of row i. */
ALWAYS_INLINE void prefetch_row(const struct schuss_side *s, ptrdiff_t length, ptrdiff_t n, int64_t i) {
    const char *row = (const char *)((const real *)s->table + i * length);
    for (ptrdiff_t byte = 0; byte < (ptrdiff_t)(n * sizeof(real)); byte += ROW_LINE) __builtin_prefetch(row + byte, 1);
}

/* What is drawn for pairs in turn before they are looked at. */
struct drawn_pairs {
    struct philox blocks[PAIRS_IN_TURN]; /* number 0 of each, if there are negatives */
    int64_t negatives[PAIRS_IN_TURN];    /* of BPR, else -1 */
};

/* For pairs [first, first + n), n <= PAIRS_IN_TURN. */
static void draw_pairs(const struct schuss_pairwise *p, ptrdiff_t first, ptrdiff_t n, struct drawn_pairs *to) {
    enum { GROUPS = 2 }; /* so that one waits for no product of its own */
    const uint64_t block = p->epoch << EPOCH_SHIFT;
    for (ptrdiff_t i = 0; i < n; i++) to->negatives[i] = -1;
    if (p->loss == SCHUSS_RANK_LOGISTIC) return;
    for (ptrdiff_t i = 0; i < n; i += GROUPS * BLOCKS_ABREAST) { /* PAIRS_IN_TURN is a multiple */
        vecl c0[GROUPS], c1[GROUPS], c2[GROUPS], c3[GROUPS];
        for (int g = 0; g < GROUPS; g++) {
            c0[g] = (uint32_t)block - (vecl){0};
            c1[g] = (block >> 32) - (vecl){0};
            c2[g] = numbers_from((uint64_t)(first + i + g * BLOCKS_ABREAST));
            c3[g] = (uint64_t)STREAM_NEGATIVES - (vecl){0};
        }
        philox_abreast(GROUPS, c0, c1, c2, c3, p->seed);
        for (int g = 0; g < GROUPS; g++) {
            uint64_t words[4][BLOCKS_ABREAST];
            memcpy(words[0], &c0[g], sizeof c0[g]);
            memcpy(words[1], &c1[g], sizeof c1[g]);
            memcpy(words[2], &c2[g], sizeof c2[g]);
            memcpy(words[3], &c3[g], sizeof c3[g]);
            for (int l = 0; l < BLOCKS_ABREAST; l++)
                for (int k = 0; k < 4; k++) to->blocks[i + g * BLOCKS_ABREAST + l].v[k] = (uint32_t)words[k][l];
        }
    }
    if (p->loss != SCHUSS_RANK_BPR) return;
    const ptrdiff_t from = p->popular ? p->n_popular : p->items.n;
    int32_t users[PAIRS_IN_TURN];
    for (ptrdiff_t i = 0; i < n; i++) {
        const int64_t at = p->order[first + i];
        users[i] = p->seen_users[at];
        __builtin_prefetch(p->seen_items + at);
        __builtin_prefetch(p->known_start + users[i]);
        if (p->popular) __builtin_prefetch(p->popular + drawn(to->blocks[i].v[0], from));
    }
    for (ptrdiff_t i = 0; i < n; i++) prefetch_known(p, users[i], drawn(to->blocks[i].v[0], from));
    for (ptrdiff_t i = 0; i < n; i++) to->negatives[i] = draw_negative(p, first + i, users[i], to->blocks[i]);
}

/* Rows that a pair of those ahead will need, the first n elements of each. */
ALWAYS_INLINE void prefetch_pair(const struct schuss_pairwise *p, const int plain, ptrdiff_t length, ptrdiff_t n,
                                 ptrdiff_t pair, int64_t negative) {
    if (!plain) return;
    prefetch_row(&p->users, length, n, p->seen_users[p->order[pair]]);
    if (p->loss != SCHUSS_RANK_WARP_KOS) prefetch_row(&p->items, length, n, p->seen_items[p->order[pair]]);
    if (negative >= 0) prefetch_row(&p->items, length, n, negative);
}

ALWAYS_INLINE void steps_of(struct schuss_pairwise *p, const int plain, ptrdiff_t stride, ptrdiff_t first, ptrdiff_t end) {
    const ptrdiff_t length = (2 + p->adadelta) * stride;
    struct pair_room room = room_at(p, p->scratch);
    struct row_rule rule = row_rule_of(p, 0);
    for (ptrdiff_t start = first; start < end; start += PAIRS_IN_TURN) {
        const ptrdiff_t n = end - start < PAIRS_IN_TURN ? end - start : PAIRS_IN_TURN;
        struct drawn_pairs ready;
        real margins[PAIRS_IN_TURN], weights[PAIRS_IN_TURN];
        draw_pairs(p, start, n, &ready);
        for (ptrdiff_t i = 0; i < n; i++) {
            const real *item = NULL, *other = NULL;
            const ptrdiff_t ahead = i + PAIRS_AHEAD;
            if (ahead < n) prefetch_pair(p, plain, length, length, start + ahead, ready.negatives[ahead]);
            const struct pair pair =
                look(p, plain, stride, start + i, &ready.blocks[i], ready.negatives[i], &room, &item, &other);
            margins[i] = pair.margin;
            weights[i] = pair.item < 0 ? 0 : pair.weight;
            p->skipped += pair.item < 0;
            if (pair.item < 0 || (pair.negative < 0 && p->loss != SCHUSS_RANK_LOGISTIC)) continue;
            gradients_of(p, stride, &pair, item, other, &room);
            if (p->lr_step) rule.lr = v_set1((real)p->lr[start + i]);
            const int64_t user = p->seen_users[p->order[start + i]];
            if (pair.negative >= 0) {
                step_rows_of(&p->items, plain, length, stride, pair.item, room.by_item, -1, &rule);
                step_rows_of(&p->items, plain, length, stride, pair.negative, room.by_item, 1, &rule);
            } else
                step_rows_of(&p->items, plain, length, stride, pair.item, room.by_item, 1, &rule);
            step_rows_of(&p->users, plain, length, stride, user, room.by_user, 1, &rule);
        }
        losses_of(p, n, margins, weights);
        for (ptrdiff_t i = 0; i < n; i++) {
            p->loss_sum += margins[i];
            p->weight_sum += weights[i];
        }
    }
    p->nonfinite |= found_bad(&rule);
}

/* See struct kernels. One body: rows that are what they stand for, and short ones, leave the compiler less to do. */
static void pairwise_steps(struct schuss_pairwise *p, ptrdiff_t first, ptrdiff_t end) {
    const int plain = !p->users.start && !p->items.start;
    if (plain && p->stride == VIRTUAL_LANES) steps_of(p, 1, VIRTUAL_LANES, first, end);
    else if (plain) steps_of(p, 1, p->stride, first, end);
    else steps_of(p, 0, p->stride, first, end);
}
