/* Pairs in batches: all of a batch look at the rows as they are before it, then each row that is touched moves once, by the
 * sum of what the batch's pairs ask of it. A row's terms are added in increasing pair, and of a pair's two items the one that
 * was seen first, whoever adds them: each thread has rows of its own, by their numbers, so threads change no bit. */

/* Rows of one side that belong to a member, in the order in which it met them, and the sums of their gradients. */
struct touched_side {
    int32_t *slots; /* [1 << bits] place of a row in `rows`, -1: free */
    int bits;
    int32_t *rows;
    real *sums; /* [most][stride] */
    ptrdiff_t n;
    unsigned char *asked; /* [1 << asked_bits] by numbers mixed: 0 nobody asks for such a row, 1 one does, 2 perhaps more */
    int asked_bits;
};

/* What a batch has in common. */
struct batch_room {
    int64_t *user, *item, *negative; /* [batch] item and negative as in struct pair */
    real *factor, *margin, *weight;
};

static ptrdiff_t whole_lines(ptrdiff_t bytes) { return (bytes + ROW_LINE - 1) / ROW_LINE * ROW_LINE; }

/* The most rows of a side that a batch touches, and bits for twice as many slots. */
static ptrdiff_t most_touched(const struct schuss_pairwise *p, const struct schuss_side *s, int of_a_pair, int *bits) {
    const ptrdiff_t entries = p->batch * of_a_pair * p->most_features, most = entries < s->features ? entries : s->features;
    for (*bits = 4; ((ptrdiff_t)1 << *bits) < 2 * most; ++*bits) {}
    return most;
}

static ptrdiff_t lay_touched(const struct schuss_pairwise *p, const struct schuss_side *s, int of_a_pair,
                             struct touched_side *t, char *at) {
    int bits;
    const ptrdiff_t most = most_touched(p, s, of_a_pair, &bits);
    const int asked_bits = bits < 28 ? bits + 3 : bits;
    const ptrdiff_t slots = whole_lines(((ptrdiff_t)1 << bits) * sizeof(int32_t)), rows = whole_lines(most * sizeof(int32_t));
    const ptrdiff_t sums = whole_lines(most * p->stride * (ptrdiff_t)sizeof(real));
    if (t) {
        t->bits = bits;
        t->slots = (int32_t *)at;
        t->rows = (int32_t *)(at + slots);
        t->sums = (real *)(at + slots + rows);
        t->asked = (unsigned char *)(at + slots + rows + sums);
        t->asked_bits = asked_bits;
    }
    return slots + rows + sums + whole_lines((ptrdiff_t)1 << asked_bits);
}

/* A member's room, its users and its items; what they take in all. How many were touched lies before them. */
struct member_room {
    struct pair_room room;
    struct touched_side users, items;
    ptrdiff_t *counts;
};

static ptrdiff_t lay_member(const struct schuss_pairwise *p, struct member_room *m, char *at) {
    char *begin = at;
    if (m) m->counts = (ptrdiff_t *)at;
    at += ROW_LINE;
    if (m) m->room = room_at(p, (real *)at);
    at += whole_lines(room_reals(p) * sizeof(real));
    at += lay_touched(p, &p->users, 1, m ? &m->users : NULL, at);
    at += lay_touched(p, &p->items, 2, m ? &m->items : NULL, at);
    return at - begin;
}

static ptrdiff_t lay_batch(const struct schuss_pairwise *p, struct batch_room *b, char *at) {
    const ptrdiff_t numbers = whole_lines(p->batch * sizeof(int64_t)), reals = whole_lines(p->batch * sizeof(real));
    if (b)
        *b = (struct batch_room){(int64_t *)at, (int64_t *)(at + numbers), (int64_t *)(at + 2 * numbers),
                                 (real *)(at + 3 * numbers), (real *)(at + 3 * numbers + reals),
                                 (real *)(at + 3 * numbers + 2 * reals)};
    return 3 * numbers + 3 * reals;
}

/* See struct kernels. */
static ptrdiff_t pairwise_scratch(const struct schuss_pairwise *p, int members) {
    if (!p->batch) return whole_lines(room_reals(p) * sizeof(real));
    return lay_batch(p, NULL, NULL) + members * lay_member(p, NULL, NULL);
}

static struct batch_room batch_of(const struct schuss_pairwise *p) {
    struct batch_room b;
    lay_batch(p, &b, p->scratch);
    return b;
}

static struct member_room member_of(const struct schuss_pairwise *p, int member) {
    struct member_room m;
    lay_member(p, &m, (char *)p->scratch + lay_batch(p, NULL, NULL) + member * lay_member(p, NULL, NULL));
    return m;
}

ALWAYS_INLINE int look_at(struct schuss_pairwise *p, const int plain, ptrdiff_t first, ptrdiff_t from, ptrdiff_t to,
                          int member) {
    const struct batch_room b = batch_of(p);
    struct pair_room room = member_of(p, member).room;
    const ptrdiff_t stride = p->stride, length = (2 + p->adadelta) * stride;
    real sum = 0;
    for (ptrdiff_t start = from; start < to; start += PAIRS_IN_TURN) {
        const ptrdiff_t end = to - start < PAIRS_IN_TURN ? to : start + PAIRS_IN_TURN;
        struct drawn_pairs ready;
        draw_pairs(p, first + start, end - start, &ready);
        for (ptrdiff_t i = start; i < end; i++) {
            const real *item = NULL, *other = NULL;
            const ptrdiff_t ahead = i + PAIRS_AHEAD, k = i - start;
            if (ahead < end) prefetch_pair(p, plain, length, stride, first + ahead, ready.negatives[k + PAIRS_AHEAD]);
            const struct pair pair =
                look(p, plain, stride, first + i, &ready.blocks[k], ready.negatives[k], &room, &item, &other);
            const int moves = pair.item >= 0 && (pair.negative >= 0 || p->loss == SCHUSS_RANK_LOGISTIC);
            b.user[i] = p->seen_users[p->order[first + i]];
            b.item[i] = moves ? pair.item : -1;
            b.negative[i] = pair.negative;
            b.factor[i] = pair.factor;
            b.margin[i] = pair.margin;
            b.weight[i] = pair.item < 0 ? -1 : pair.weight;
            sum += pair.margin - pair.margin;
        }
    }
    return !is_finite(sum);
}

/* See struct kernels. */
static int pairwise_look(struct schuss_pairwise *p, ptrdiff_t first, ptrdiff_t from, ptrdiff_t to, int member) {
    return !p->users.start && !p->items.start ? look_at(p, 1, first, from, to, member)
                                              : look_at(p, 0, first, from, to, member);
}

static void touched_begin(struct touched_side *t) {
    t->n = 0;
    memset(t->slots, -1, ((size_t)1 << t->bits) * sizeof(int32_t));
}

ALWAYS_INLINE uint32_t mixed(int64_t row) { return (uint32_t)row * UINT32_C(0x9E3779B1); }

ALWAYS_INLINE int owns(int64_t row, int member, int members) {
    return members == 1 || (int)(((uint64_t)(mixed(row) * UINT32_C(0x85EBCA6B)) * (uint32_t)members) >> 32) == member;
}

/* Adds sign * g times its value to the sum of each row of number i that the member owns. */
ALWAYS_INLINE void add_rows_of(struct touched_side *t, const struct schuss_side *s, const int plain, ptrdiff_t stride, int64_t i,
                               const real *g, real sign, int member, int members) {
    for (ptrdiff_t k = rows_first(s, plain, i); k < rows_end(s, plain, i); k++) {
        const ptrdiff_t row = row_at(s, plain, k);
        if (!owns(row, member, members)) continue;
        const vec value = v_set1(sign * row_value(s, plain, k));
        const uint32_t most = ((uint32_t)1 << t->bits) - 1;
        uint32_t slot = mixed(row) >> (32 - t->bits);
        while (t->slots[slot] >= 0 && t->rows[t->slots[slot]] != row) slot = (slot + 1) & most;
        if (t->slots[slot] < 0) {
            real *sum = t->sums + t->n * stride;
            t->rows[t->n] = (int32_t)row;
            t->slots[slot] = (int32_t)t->n++;
            for (ptrdiff_t j = 0; j < stride; j += LANES) v_store(sum + j, v_load(g + j) * value);
        } else {
            real *sum = t->sums + t->slots[slot] * stride;
            for (ptrdiff_t j = 0; j < stride; j += LANES) v_store(sum + j, v_load(sum + j) + v_load(g + j) * value);
        }
    }
}

ALWAYS_INLINE void gather(struct schuss_pairwise *p, const int plain, ptrdiff_t n, int member, int members) {
    const struct batch_room b = batch_of(p);
    struct member_room m = member_of(p, member);
    const ptrdiff_t stride = p->stride, length = (2 + p->adadelta) * stride;
    touched_begin(&m.users);
    touched_begin(&m.items);
    for (ptrdiff_t i = 0; i < n; i++) {
        if (b.item[i] < 0) continue;
        const int64_t user = b.user[i];
        const struct pair pair = {b.item[i], b.negative[i], b.factor[i], 0, 0};
        if (plain && !owns(user, member, members) && !owns(pair.item, member, members) &&
            !(pair.negative >= 0 && owns(pair.negative, member, members)))
            continue;
        take_one(represent(&p->users, plain, length, stride, user, m.room.user), p->dim, stride, m.room.u);
        const real *item = represent(&p->items, plain, length, stride, pair.item, m.room.item), *other = NULL;
        if (pair.negative >= 0) other = represent(&p->items, plain, length, stride, pair.negative, m.room.negative);
        gradients_of(p, stride, &pair, item, other, &m.room);
        add_rows_of(&m.users, &p->users, plain, stride, user, m.room.by_user, 1, member, members);
        if (other) {
            add_rows_of(&m.items, &p->items, plain, stride, pair.item, m.room.by_item, -1, member, members);
            add_rows_of(&m.items, &p->items, plain, stride, pair.negative, m.room.by_item, 1, member, members);
        } else
            add_rows_of(&m.items, &p->items, plain, stride, pair.item, m.room.by_item, 1, member, members);
    }
    m.counts[0] = m.users.n;
    m.counts[1] = m.items.n;
}

/* See struct kernels. */
static void pairwise_gather(struct schuss_pairwise *p, ptrdiff_t n, int member, int members) {
    if (!p->users.start && !p->items.start) gather(p, 1, n, member, members);
    else gather(p, 0, n, member, members);
}

static void update_touched(const struct schuss_pairwise *p, const struct schuss_side *s, const struct touched_side *t,
                           struct row_rule *rule) {
    const ptrdiff_t stride = p->stride, length = (2 + p->adadelta) * stride;
    const vec alpha = v_set1((real)s->alpha);
    for (ptrdiff_t i = 0; i < t->n; i++) {
        real *row = (real *)s->table + t->rows[i] * length;
        const real *g = t->sums + i * stride;
        if (i + PAIRS_AHEAD < t->n) prefetch_row(s, length, length, t->rows[i + PAIRS_AHEAD]);
        for (ptrdiff_t j = 0; j < stride; j += LANES) step_lanes(row + j, stride, v_load(g + j), alpha, rule);
    }
}

/* See struct kernels. */
static int pairwise_update(struct schuss_pairwise *p, int member) {
    struct member_room m = member_of(p, member);
    struct row_rule rule = row_rule_of(p, p->steps);
    m.users.n = m.counts[0];
    m.items.n = m.counts[1];
    update_touched(p, &p->users, &m.users, &rule);
    update_touched(p, &p->items, &m.items, &rule);
    return found_bad(&rule);
}

/* ---- one thread, where each number is a row and no rows are looked at but those that move ------------------------- */

enum { PAIRS_ABREAST = 8, SLOPES_ABREAST = PAIRS_ABREAST > LANES ? PAIRS_ABREAST : LANES };

ALWAYS_INLINE unsigned char *asked_of(const struct touched_side *t, int64_t row) {
    return t->asked + (mixed(row) >> (32 - t->asked_bits));
}

ALWAYS_INLINE void ask(struct touched_side *t, int64_t row) {
    unsigned char *asked = asked_of(t, row);
    *asked = 1 + (*asked > 0);
}

static void touched_begin_asking(struct touched_side *t) {
    touched_begin(t);
    memset(t->asked, 0, (size_t)1 << t->asked_bits);
}

/* Draws the batch's negatives, and leaves in b and `asked` who asks for what. */
static void ask_all(const struct schuss_pairwise *p, const struct batch_room *b, struct member_room *m, ptrdiff_t first,
                    ptrdiff_t n) {
    for (ptrdiff_t start = 0; start < n; start += PAIRS_IN_TURN) {
        const ptrdiff_t end = n - start < PAIRS_IN_TURN ? n : start + PAIRS_IN_TURN;
        struct drawn_pairs ready;
        draw_pairs(p, first + start, end - start, &ready);
        for (ptrdiff_t i = start; i < end; i++) {
            const int64_t at = p->order[first + i];
            b->user[i] = p->seen_users[at];
            b->negative[i] = ready.negatives[i - start];
            b->item[i] = b->negative[i] >= 0 || p->loss == SCHUSS_RANK_LOGISTIC ? p->seen_items[at] : -1;
            if (b->item[i] < 0) continue;
            ask(&m->users, b->user[i]);
            ask(&m->items, b->item[i]);
            if (b->negative[i] >= 0) ask(&m->items, b->negative[i]);
        }
    }
}

/* Steps the row at once if no other pair looks at it, else adds to its sum. */
ALWAYS_INLINE void step_or_add(struct touched_side *t, const struct schuss_side *s, ptrdiff_t length, ptrdiff_t stride,
                               int64_t row, const real *g, real sign, struct row_rule *rule) {
    if (*asked_of(t, row) == 1) step_rows_of(s, 1, length, stride, row, g, sign, rule);
    else add_rows_of(t, s, 1, stride, row, g, sign, 0, 1);
}

ALWAYS_INLINE void fetch_rows(const struct schuss_pairwise *p, const struct batch_room *b, ptrdiff_t length, ptrdiff_t i) {
    if (b->item[i] < 0) return;
    prefetch_row(&p->users, length, length, b->user[i]);
    prefetch_row(&p->items, length, length, b->item[i]);
    if (b->negative[i] >= 0) prefetch_row(&p->items, length, length, b->negative[i]);
}

/* Most rows of a batch are asked for once, if tables are large: each steps as soon as its pair has been looked at, so it comes
 * to this core once. Margins of some pairs come first, so that their slopes are computed side by side. */
ALWAYS_INLINE int step_alone(struct schuss_pairwise *p, const ptrdiff_t stride, ptrdiff_t first, ptrdiff_t n) {
    const struct batch_room b = batch_of(p);
    struct member_room m = member_of(p, 0);
    const ptrdiff_t length = (2 + p->adadelta) * stride;
    const int logistic = p->loss == SCHUSS_RANK_LOGISTIC;
    const real *users = p->users.table, *items = p->items.table;
    struct row_rule rule = row_rule_of(p, p->steps), late = rule; /* one whose address is not taken stays in registers */
    real sum = 0;
    touched_begin_asking(&m.users);
    touched_begin_asking(&m.items);
    ask_all(p, &b, &m, first, n);
    for (ptrdiff_t i = 0; i < n && i < PAIRS_ABREAST; i++) fetch_rows(p, &b, length, i);
    for (ptrdiff_t start = 0; start < n; start += PAIRS_ABREAST) {
        const ptrdiff_t end = n - start < PAIRS_ABREAST ? n : start + PAIRS_ABREAST;
        real slopes[SLOPES_ABREAST] = {0};
        for (ptrdiff_t i = start; i < end; i++) {
            const ptrdiff_t at = p->order[first + i];
            b.margin[i] = 0;
            b.weight[i] = -1;
            if (b.item[i] < 0) continue;
            const real *user = users + b.user[i] * length;
            take_one(user, p->dim, stride, m.room.u);
            real margin = product_of(m.room.u, items + b.item[i] * length, stride);
            if (!logistic) margin -= product_of(m.room.u, items + b.negative[i] * length, stride);
            else margin = p->liked[at] ? margin + user[p->dim] : -(margin + user[p->dim]);
            b.margin[i] = slopes[i - start] = margin;
            b.weight[i] = p->weights ? ((const real *)p->weights)[at] : 1;
            sum += margin - margin;
        }
        for (int k = 0; k < SLOPES_ABREAST; k += LANES) v_store(slopes + k, slopes_of(v_load(slopes + k)));
        for (ptrdiff_t i = start; i < end; i++) {
            if (i + PAIRS_ABREAST < n) fetch_rows(p, &b, length, i + PAIRS_ABREAST);
            if (b.item[i] < 0) continue;
            struct pair pair = {b.item[i], b.negative[i], b.weight[i] * slopes[i - start], 0, 0};
            if (logistic && p->liked[p->order[first + i]]) pair.factor = -pair.factor;
            take_one(users + b.user[i] * length, p->dim, stride, m.room.u);
            gradients_of(p, stride, &pair, items + pair.item * length, items + pair.negative * length, &m.room);
            step_or_add(&m.users, &p->users, length, stride, b.user[i], m.room.by_user, 1, &rule);
            step_or_add(&m.items, &p->items, length, stride, pair.item, m.room.by_item, logistic ? 1 : -1, &rule);
            if (!logistic) step_or_add(&m.items, &p->items, length, stride, pair.negative, m.room.by_item, 1, &rule);
        }
    }
    if (!is_finite(sum)) return 1;
    update_touched(p, &p->users, &m.users, &late);
    update_touched(p, &p->items, &m.items, &late);
    return found_bad(&rule) | found_bad(&late) ? 2 : 0;
}

/* See struct kernels. */
static int pairwise_alone(struct schuss_pairwise *p, ptrdiff_t first, ptrdiff_t n) {
    if (p->users.start || p->items.start || p->loss > SCHUSS_RANK_BPR) {
        if (pairwise_look(p, first, 0, n, 0)) return 1;
        pairwise_gather(p, n, 0, 1);
        return pairwise_update(p, 0) ? 2 : 0;
    }
    return p->stride == VIRTUAL_LANES ? step_alone(p, VIRTUAL_LANES, first, n) : step_alone(p, p->stride, first, n);
}

/* See struct kernels. */
static void pairwise_sum(struct schuss_pairwise *p, ptrdiff_t n) {
    const struct batch_room b = batch_of(p);
    for (ptrdiff_t i = 0; i < n; i++)
        if (b.weight[i] < 0) {
            p->skipped++;
            b.weight[i] = 0;
        }
    losses_of(p, n, b.margin, b.weight);
    for (ptrdiff_t i = 0; i < n; i++) {
        p->loss_sum += b.margin[i];
        p->weight_sum += b.weight[i];
    }
}
