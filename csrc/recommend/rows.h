/* Rows of tables: what users and items are as sums of rows, and how a row moves. A row has `stride` parameters: dim
 * components, in lane `dim` the bias, then zeros, which stay so. Behind them lie its states, in the same lanes. */

/* v, but x in place `lane` of the row whose elements j to j + LANES - 1 it has. */
ALWAYS_INLINE vec with_lane(vec v, ptrdiff_t j, ptrdiff_t lane, real x) {
    static const real number[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return v_select(v_load(number) == v_set1((real)(lane - j)), v_set1(x), v);
}

ALWAYS_INLINE int is_finite(real x) { return x - x == 0; }

/* What a step is made with; bad: 0 in all lanes as long as all that was written is finite. */
struct row_rule {
    vec lr, rho, fresh, eps, bad;
    int adadelta;
};

ALWAYS_INLINE struct row_rule row_rule_of(const struct schuss_pairwise *p, ptrdiff_t step) {
    return (struct row_rule){v_set1((real)p->lr[step * p->lr_step]), v_set1((real)p->rho), v_set1((real)(1 - p->rho)),
                             v_set1((real)p->eps), v_set1(0), p->adadelta};
}

ALWAYS_INLINE int found_bad(const struct row_rule *rule) {
    int bad = 0;
    for (int lane = 0; lane < LANES; lane++) bad |= !is_finite(rule->bad[lane]);
    return bad;
}

/* LANES elements of a row by the gradient g: AdaGrad (Duchi, Hazan, Singer, JMLR 12, 2011) with the sum as it was before
 * this gradient, p -= lr / sqrt(s) (g + alpha p), s += g^2; or Adadelta (Zeiler, 2012) without a rate, s = rho s +
 * (1 - rho) g^2, d = sqrt(m + eps) / sqrt(s + eps) (g + alpha p), p -= d, m = rho m + (1 - rho) d^2. */
ALWAYS_INLINE void step_lanes(real *row, ptrdiff_t stride, vec g, vec alpha, struct row_rule *rule) {
    const vec p = v_load(row), s = v_load(row + stride), decayed = g + alpha * p;
    vec moved, square;
    if (rule->adadelta) {
        const vec m = v_load(row + 2 * stride);
        square = rule->rho * s + rule->fresh * (g * g);
        const vec d = v_sqrt(m + rule->eps) / v_sqrt(square + rule->eps) * decayed;
        moved = p - d;
        v_store(row + 2 * stride, rule->rho * m + rule->fresh * (d * d));
    } else {
        moved = p - rule->lr / v_sqrt(s) * decayed;
        square = s + g * g;
    }
    v_store(row, moved);
    v_store(row + stride, square);
    rule->bad += (moved - moved) + (square - square);
}

/* The rows of number i: how many, the place of the first in codes and values, and each row's number and value. Where
 * number i is row i, `plain` is 1 wherever that is known to the compiler, and nothing of this is left. */
ALWAYS_INLINE ptrdiff_t rows_first(const struct schuss_side *s, const int plain, int64_t i) {
    return plain || !s->start ? i : s->start[i];
}
ALWAYS_INLINE ptrdiff_t rows_end(const struct schuss_side *s, const int plain, int64_t i) {
    return plain || !s->start ? i + 1 : s->start[i + 1];
}
ALWAYS_INLINE ptrdiff_t row_at(const struct schuss_side *s, const int plain, ptrdiff_t k) {
    return plain || !s->start ? k : s->codes[k];
}
ALWAYS_INLINE real row_value(const struct schuss_side *s, const int plain, ptrdiff_t k) {
    return plain || !s->start ? 1 : ((const real *)s->values)[k];
}

/* What number i is: its row, or the sum of rows times values, in increasing place, in to[stride]. length: elements of a
 * row with its states. */
ALWAYS_INLINE const real *represent(const struct schuss_side *s, const int plain, ptrdiff_t length, ptrdiff_t stride,
                                    int64_t i, real *to) {
    const real *table = s->table;
    if (plain || !s->start) return table + i * length;
    for (ptrdiff_t j = 0; j < stride; j += LANES) v_store(to + j, v_set1(0));
    for (ptrdiff_t k = s->start[i]; k < s->start[i + 1]; k++) {
        const real *row = table + s->codes[k] * length;
        const vec value = v_set1(((const real *)s->values)[k]);
        for (ptrdiff_t j = 0; j < stride; j += LANES) v_store(to + j, v_load(to + j) + v_load(row + j) * value);
    }
    return to;
}

/* u[stride] becomes x with 1 in place of the bias, so that products with it have the other side's bias in them. */
ALWAYS_INLINE void take_one(const real *x, ptrdiff_t dim, ptrdiff_t stride, real *u) {
    for (ptrdiff_t j = 0; j < stride; j += LANES) v_store(u + j, with_lane(v_load(x + j), j, dim, 1));
}

/* u . item, by the 16 virtual lanes. */
ALWAYS_INLINE real product_of(const real *u, const real *item, ptrdiff_t stride) {
    vec sums[SUM_VECS];
    for (int v = 0; v < SUM_VECS; v++) sums[v] = v_load(u + v * LANES) * v_load(item + v * LANES);
    for (ptrdiff_t j = VIRTUAL_LANES; j < stride; j += VIRTUAL_LANES)
        for (int v = 0; v < SUM_VECS; v++) sums[v] += v_load(u + j + v * LANES) * v_load(item + j + v * LANES);
    return v_tree(sums);
}

/* See struct kernels. */
static void pairwise_represent(const struct schuss_side *side, ptrdiff_t slots, ptrdiff_t stride, ptrdiff_t first,
                               ptrdiff_t end, void *out) {
    for (ptrdiff_t i = first; i < end; i++) {
        real *to = (real *)out + i * stride;
        const real *found = represent(side, 0, slots * stride, stride, i, to);
        if (found != to) memcpy(to, found, stride * sizeof(real));
    }
}

/* See struct kernels. */
static void pairwise_scores(ptrdiff_t dim, ptrdiff_t stride, const void *of_users, const void *of_items, ptrdiff_t first,
                            ptrdiff_t end, const int32_t *users, const int32_t *items, void *out) {
    for (ptrdiff_t k = first; k < end; k++) {
        const real *user = (const real *)of_users + users[k] * stride, *item = (const real *)of_items + items[k] * stride;
        vec sums[SUM_VECS];
        for (int v = 0; v < SUM_VECS; v++) sums[v] = v_set1(0);
        for (ptrdiff_t j = 0; j < stride; j += VIRTUAL_LANES)
            for (int v = 0; v < SUM_VECS; v++) {
                const ptrdiff_t at = j + v * LANES;
                sums[v] += with_lane(v_load(user + at), at, dim, 1) * v_load(item + at);
            }
        ((real *)out)[k] = v_tree(sums) + user[dim];
    }
}
