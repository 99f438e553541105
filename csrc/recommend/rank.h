/* Items ranked for users: the first k of each, or the places of given ones. Blocks of scores come from the product and
 * are gone once they have been looked at, so no more than these is ever in memory. Scores that are NaN are not ranked:
 * what is left out becomes one.
 *
 * An item goes before another if its score is higher or, where they are equal, its number is smaller. Blocks of a row
 * come with rising columns, and that is all that matters of how a product is cut. */

/* Rows, positives, and scores of a row that no product makes, at once; the most items that are kept as a list; vectors
 * of items to fetch ahead. */
enum { RANK_ROWS = 512, RANK_GATHERED = 64, SCORED = 512, RANK_LISTED = 64, ITEMS_AHEAD = 2 };

/* Which rows of a ranking are scored together, and what they are scored for. */
struct rank_rows {
    const struct schuss_ranking *r;
    ptrdiff_t n;
    const int64_t *row;  /* [n]: of the ranking */
    int64_t *filled;     /* [n]: how many of its best items a row has */
    const struct schuss_best *best;
    const struct schuss_places *places;
};

ALWAYS_INLINE int64_t rank_user(const struct schuss_ranking *r, int64_t row) { return r->users ? r->users[row] : row; }

/* The first entry of [from, to) of compressed rows whose column is at least so large; to: there is none. */
ALWAYS_INLINE int64_t first_from(const struct schuss_compressed *x, int64_t from, int64_t to, int64_t column) {
    while (from < to) {
        const int64_t middle = from + (to - from) / 2;
        if (column_at(x, middle) < column) from = middle + 1;
        else to = middle;
    }
    return from;
}

/* Where an item lies in numbers[n], which rise; -1: it is not there. */
ALWAYS_INLINE ptrdiff_t place_of(const int64_t *numbers, ptrdiff_t n, int64_t item) {
    ptrdiff_t from = 0, to = n;
    while (from < to) {
        const ptrdiff_t middle = from + (to - from) / 2;
        if (numbers[middle] < item) from = middle + 1;
        else to = middle;
    }
    return from < n && numbers[from] == item ? from : -1;
}

/* x[cols], the scores that items [col, col + cols) have for a user, with NaN for those left out. */
static void leave_out(const struct schuss_ranking *r, int64_t user, ptrdiff_t col, ptrdiff_t cols, real *x) {
    const struct schuss_compressed *seen = r->left_out;
    if (!seen || user < 0) return;
    const int64_t *numbers = r->numbers, end = seen->start[user + 1];
    const int64_t low = numbers ? numbers[col] : col, high = numbers ? numbers[col + cols - 1] : col + cols - 1;
    for (int64_t k = first_from(seen, seen->start[user], end, low); k < end; k++) {
        const int64_t item = column_at(seen, k);
        if (item > high) return;
        const ptrdiff_t place = numbers ? place_of(numbers + col, cols, item) : item - col;
        if (place >= 0) x[place] = (real)NAN;
    }
}

/* x[n] += bias[n]. */
ALWAYS_INLINE void add_bias(ptrdiff_t n, const real *bias, real *x) {
    ptrdiff_t j = 0;
    for (; j + LANES <= n; j += LANES) v_store(x + j, v_load(x + j) + v_load(bias + j));
    for (; j < n; j++) x[j] += bias[j];
}

/* ---- the first k ------------------------------------------------------------------------------------------------- */

/* Whether item a of score x goes before item b of score y. */
ALWAYS_INLINE int goes_before(real x, int64_t a, real y, int64_t b) { return x > y || (x == y && a < b); }

ALWAYS_INLINE void swap_items(real *score, int64_t *item, ptrdiff_t a, ptrdiff_t b) {
    const real x = score[a];
    const int64_t i = item[a];
    score[a] = score[b], item[a] = item[b];
    score[b] = x, item[b] = i;
}

/* A heap of n items whose root is the last of them; its first may be out of order. */
ALWAYS_INLINE void sink(ptrdiff_t n, real *score, int64_t *item) {
    for (ptrdiff_t a = 0, b; (b = 2 * a + 1) < n; a = b) {
        if (b + 1 < n && goes_before(score[b], item[b], score[b + 1], item[b + 1])) b++;
        if (!goes_before(score[a], item[a], score[b], item[b])) return;
        swap_items(score, item, a, b);
    }
}

/* The same where the item behind n is new. */
ALWAYS_INLINE void rise(ptrdiff_t n, real *score, int64_t *item) {
    for (ptrdiff_t a = n, b; a > 0; a = b) {
        b = (a - 1) / 2;
        if (!goes_before(score[b], item[b], score[a], item[a])) return;
        swap_items(score, item, a, b);
    }
}

/* Item j goes into a list of n items in their order, behind those of its score; the last of k is gone then. */
ALWAYS_INLINE void insert(ptrdiff_t k, int64_t n, real *score, int64_t *item, real x, int64_t j) {
    ptrdiff_t a = n < k ? n : k - 1;
    for (; a > 0 && score[a - 1] < x; a--) score[a] = score[a - 1], item[a] = item[a - 1];
    score[a] = x, item[a] = j;
}

/* The best of at most k items, *filled of them there, a list in their order if there are few and else a heap, get those
 * of x[cols], items from number col on, that belong to them. */
static void take_best(ptrdiff_t k, real *score, int64_t *item, int64_t *filled, ptrdiff_t col, ptrdiff_t cols,
                      const real *x) {
    const int listed = k <= RANK_LISTED;
    ptrdiff_t j = 0;
    for (; j < cols && *filled < k; j++) {
        if (!(x[j] == x[j])) continue;
        if (listed) insert(k, (*filled)++, score, item, x[j], col + j);
        else {
            score[*filled] = x[j], item[*filled] = col + j;
            rise((*filled)++, score, item);
        }
    }
    const real *least = listed ? score + k - 1 : score;
    for (; j < cols; j += LANES) {
        const vec own = v_load_m(x + j, v_mask(cols - j));
        uint32_t above = v_bits(own > v_set1(*least));
        if (cols - j < LANES) above &= (1u << (cols - j)) - 1;
        for (; above; above &= above - 1) {
            const ptrdiff_t l = j + __builtin_ctz(above);
            if (!(x[l] > *least)) continue; /* of equal ones the first came first */
            if (listed) insert(k, k, score, item, x[l], col + l);
            else {
                score[0] = x[l], item[0] = col + l;
                sink(k, score, item);
            }
        }
    }
}

/* These n items in their order, then none until k. */
static void sort_best(ptrdiff_t k, real *score, int64_t *item, int64_t n, const int64_t *numbers) {
    for (ptrdiff_t m = k <= RANK_LISTED ? 0 : n; m-- > 1;) {
        swap_items(score, item, 0, m);
        sink(m, score, item);
    }
    for (ptrdiff_t j = 0; j < k; j++) {
        if (j >= n) score[j] = (real)NAN, item[j] = -1;
        else if (numbers) item[j] = numbers[item[j]];
    }
}

/* ---- places ------------------------------------------------------------------------------------------------------ */

/* How many of x[n] are greater than s, and how many at least s, are added. */
ALWAYS_INLINE void count_above(ptrdiff_t n, const real *x, real s, int64_t *greater, int64_t *least) {
    const vec than = v_set1(s);
    veci above = v_seti(0), equal = v_seti(0);
    ptrdiff_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        const vec v = v_load(x + j);
        above += (veci)(v > than);
        equal += (veci)(v == than);
    }
    int64_t g = 0, e = 0; /* true is -1 */
    for (int i = 0; i < LANES; i++) g -= above[i], e -= equal[i];
    for (; j < n; j++) g += x[j] > s, e += x[j] == s;
    *greater += g;
    *least += g + e;
}

/* Counts for each positive of a user the scores x[cols] of items [col, col + cols) that are above its own. */
static void count_places(const struct schuss_places *to, int64_t user, ptrdiff_t col, ptrdiff_t cols, const real *x) {
    const struct schuss_compressed *positives = to->positives;
    for (int64_t k = positives->start[user]; k < positives->start[user + 1]; k++) {
        const int64_t item = column_at(positives, k);
        const real s = ((const real *)to->score)[k];
        const ptrdiff_t before = item < col ? 0 : item < col + cols ? item - col : cols;
        int64_t greater = 0, least = 0;
        count_above(before, x, s, &greater, &least);
        to->place[k] += least;
        to->above[k] += greater;
        to->level[k] += least - greater;
        const ptrdiff_t behind = before + (item >= col && item < col + cols);
        greater = least = 0;
        count_above(cols - behind, x + behind, s, &greater, &least);
        to->place[k] += greater;
        to->above[k] += greater;
        to->level[k] += least - greater;
    }
}

/* What the counts of a user's positives come to: places, -1 for those left out, and pairs in the wrong order. */
static void end_places(const struct schuss_places *to, int64_t user) {
    const struct schuss_compressed *positives = to->positives;
    double wrong = 0;
    int64_t n = 0;
    for (int64_t k = positives->start[user]; k < positives->start[user + 1]; k++) {
        const real s = ((const real *)to->score)[k];
        if (!(s == s)) {
            to->place[k] = -1;
            continue;
        }
        wrong += (double)to->above[k] + (double)to->level[k] / 2;
        n++;
    }
    /* each pair of positives has been counted once, whichever of them is above */
    to->wrong[user] = wrong - (double)n * (double)(n - 1) / 2;
    to->counted[user] = n;
}

/* ---- blocks of scores -------------------------------------------------------------------------------------------- */

/* Takes rows [row, row + rows) x [col, col + cols) of the scores. It writes into the block, which nobody reads after. */
static int take_scores(void *context, ptrdiff_t row, ptrdiff_t col, ptrdiff_t rows, ptrdiff_t cols, const void *block) {
    const struct rank_rows *h = context;
    const struct schuss_ranking *r = h->r;
    real *x = (real *)(uintptr_t)block;
    for (ptrdiff_t i = row; i < row + rows; i++, x += cols) {
        const int64_t user = rank_user(r, h->row[i]);
        if (r->item_bias) add_bias(cols, (const real *)r->item_bias + col, x);
        leave_out(r, user, col, cols, x);
        if (h->best) {
            const ptrdiff_t k = h->best->k;
            take_best(k, (real *)h->best->score + h->row[i] * k, h->best->item + h->row[i] * k, h->filled + i, col, cols, x);
        } else count_places(h->places, user, col, cols, x);
    }
    return 0;
}

/* Fetches the rows of the next items to L2, a part of them at a time, while the first rows of users get their scores. */
static void fetch_items(const void *context, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t col, ptrdiff_t cols, ptrdiff_t part,
                        ptrdiff_t parts) {
    const struct schuss_ranking *r = context;
    const ptrdiff_t end = col + 2 * cols < r->n_items ? col + 2 * cols : r->n_items, from = col + cols;
    (void)rows;
    if (row > 0 || from >= end) return;
    const ptrdiff_t bytes = (end - from) * r->dim * (ptrdiff_t)sizeof(real);
    const char *items = (const char *)r->item + from * r->dim * (ptrdiff_t)sizeof(real);
    for (ptrdiff_t at = bytes / parts * part / 64 * 64; at < bytes / parts * (part + 1); at += 64)
        __builtin_prefetch(items + at, 0, 2);
}

/* x[rows x cols] = the scores of few users, users[rows x dim], for items [col, col + cols): the chains of the product, but
 * an item is not worth packing, so a vector of them is transposed in registers and used at once. */
ALWAYS_INLINE void few_scores(const int rows, const struct schuss_ranking *r, const real *users, ptrdiff_t col,
                              ptrdiff_t cols, real *x) {
    const ptrdiff_t dim = r->dim;
    for (ptrdiff_t i = 0; i < cols; i += LANES) {
        const ptrdiff_t n = cols - i < LANES ? cols - i : LANES;
        const real *item = (const real *)r->item + (col + i) * dim;
        if (col + i + (ITEMS_AHEAD + 1) * LANES <= r->n_items)
            for (ptrdiff_t j = 0; j < LANES * dim; j += 64 / (ptrdiff_t)sizeof(real))
                __builtin_prefetch(item + ITEMS_AHEAD * LANES * dim + j);
        vec sum[WIDE_ROWS], before[WIDE_ROWS];
        for (int u = 0; u < rows; u++) sum[u] = before[u] = v_set1(0);
        for (ptrdiff_t p = 0; p < dim; p += LANES) {
            const ptrdiff_t depth = dim - p < LANES ? dim - p : LANES;
            const vmask columns = v_mask(depth);
            vec block[LANES];
            if (p > 0 && p % LONG_K == 0)
                for (int u = 0; u < rows; u++) {
                    before[u] = p == LONG_K ? sum[u] : before[u] + sum[u];
                    sum[u] = v_set1(0);
                }
#pragma GCC unroll 16
            for (int l = 0; l < LANES; l++) block[l] = v_load_m(item + (l < n ? l : 0) * dim + p, columns);
            v_transpose(block);
#pragma GCC unroll 16
            for (int q = 0; q < LANES; q++)
                for (int u = 0; u < rows && q < depth; u++)
                    sum[u] = v_fma(v_set1(users[u * dim + p + q]), block[q], sum[u]);
        }
        for (int u = 0; u < rows; u++)
            v_store_m(x + u * cols + i, dim > LONG_K ? before[u] + sum[u] : sum[u], v_mask(n));
    }
}

/* The same for a number of rows known only now, at most WIDE_ROWS. */
static void any_few_scores(ptrdiff_t rows, const struct schuss_ranking *r, const real *users, ptrdiff_t col, ptrdiff_t cols,
                           real *x) {
    enum { TWO = WIDE_ROWS < 2 ? WIDE_ROWS : 2, THREE = WIDE_ROWS < 3 ? WIDE_ROWS : 3 };
    if (rows == 1) few_scores(1, r, users, col, cols, x);
    else if (rows == 2) few_scores(TWO, r, users, col, cols, x);
    else few_scores(THREE, r, users, col, cols, x);
}

/* Room of a member, one part after the other. */
ALWAYS_INLINE ptrdiff_t rank_part(ptrdiff_t bytes) { return (bytes + 63) / 64 * 64; }

/* See struct kernels. */
static ptrdiff_t rank_scratch(const struct schuss_ranking *r) {
    const ptrdiff_t size = sizeof(real), numbers = 2 * rank_part(RANK_ROWS * 8);
    if (r->scores) return numbers + rank_part(SCORED * size) + 64;
    const ptrdiff_t one = gemm_scratch(1, RANK_GATHERED, r->dim, END_NONE);
    const ptrdiff_t all = gemm_scratch(RANK_ROWS, r->n_items, r->dim, END_CONSUME);
    const ptrdiff_t few = WIDE_ROWS * SCORED * size, most = all > few ? all : few;
    return numbers + rank_part(RANK_ROWS * r->dim * size) + rank_part(RANK_GATHERED * (r->dim + 1) * size) +
           (one > most ? one : most) + 128;
}

/* The scores of a user's positives, NaN where they are left out, by the very sums that all scores have; user[dim]. */
static void score_positives(const struct schuss_ranking *r, const struct schuss_places *to, int64_t row, const real *user,
                            real *gathered, void *scratch) {
    const struct schuss_compressed *positives = to->positives;
    const int64_t end = positives->start[row + 1];
    real *score = to->score, *sums = gathered + RANK_GATHERED * r->dim;
    for (int64_t k = positives->start[row], n; k < end; k += n) {
        n = end - k < RANK_GATHERED ? end - k : RANK_GATHERED;
        for (int64_t i = 0; !r->scores && i < n; i++)
            memcpy(gathered + i * r->dim, (const real *)r->item + column_at(positives, k + i) * r->dim,
                   (size_t)r->dim * sizeof(real));
        if (!r->scores) {
            const struct gemm g = {.m = 1, .n = n, .k = r->dim, .a = user, .a_row = r->dim, .a_col = 1, .b = gathered,
                                   .ldb = r->dim, .b_transposed = 1, .c = sums, .ldc = n};
            gemm(&g, 0, 1, 0, n, scratch);
        }
        for (int64_t i = k; i < k + n; i++) {
            const int64_t item = column_at(positives, i);
            score[i] = r->scores ? ((const real *)r->scores)[row * r->n_items + item] : sums[i - k];
            if (r->item_bias) score[i] += ((const real *)r->item_bias)[item];
            if (!(score[i] == score[i])) score[i] = -(real)INFINITY;
            if (r->left_out) leave_out(r, row, item, 1, score + i);
            to->place[i] = to->above[i] = to->level[i] = 0;
        }
    }
}

/* See struct kernels. */
static void rank(const struct schuss_ranking *r, const struct schuss_best *best, const struct schuss_places *places,
                 ptrdiff_t row0, ptrdiff_t row1, void *scratch) {
    const ptrdiff_t dim = r->dim;
    const size_t bytes = (size_t)dim * sizeof(real);
    char *room = (char *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63);
    int64_t *row = (int64_t *)room, *filled = (int64_t *)(room + rank_part(RANK_ROWS * 8));
    room += 2 * rank_part(RANK_ROWS * 8);
    for (ptrdiff_t from = row0; from < row1;) {
        struct rank_rows h = {r, 0, row, filled, best, places};
        real *users = (real *)room, *gathered = users;
        void *rest = room;
        if (!r->scores) {
            gathered = (real *)(room + rank_part(RANK_ROWS * (ptrdiff_t)bytes));
            rest = (char *)gathered + rank_part(RANK_GATHERED * (dim + 1) * (ptrdiff_t)sizeof(real));
        }
        for (; from < row1 && h.n < RANK_ROWS; from++) {
            const int64_t user = rank_user(r, from);
            real *to = users + h.n * dim;
            if (places && places->positives->start[from] == places->positives->start[from + 1]) {
                end_places(places, from);
                continue;
            }
            if (!r->scores && user >= 0) memcpy(to, (const real *)r->user + user * dim, bytes);
            else if (!r->scores) memset(to, 0, bytes);
            if (places) score_positives(r, places, from, to, gathered, rest);
            filled[h.n] = 0;
            row[h.n++] = from;
        }
        if (r->scores) {
            for (ptrdiff_t i = 0; i < h.n; i++)
                for (ptrdiff_t col = 0, cols; col < r->n_items; col += cols) {
                    cols = r->n_items - col < SCORED ? r->n_items - col : SCORED;
                    memcpy(room, (const real *)r->scores + row[i] * r->n_items + col, (size_t)cols * sizeof(real));
                    take_scores(&h, i, col, 1, cols, room);
                }
        } else if (h.n <= WIDE_ROWS) {
            for (ptrdiff_t col = 0, cols; h.n && col < r->n_items; col += cols) {
                cols = r->n_items - col < SCORED ? r->n_items - col : SCORED;
                any_few_scores(h.n, r, users, col, cols, rest);
                take_scores(&h, 0, col, h.n, cols, rest);
            }
        } else {
            const struct gemm g = {.m = h.n, .n = r->n_items, .k = dim, .a = users, .a_row = dim, .a_col = 1,
                                   .b = r->item, .ldb = dim, .b_transposed = 1,
                                   .fetch = fetch_items, .fetch_context = r,
                                   .end = {.kind = END_CONSUME, .consume = take_scores, .context = &h}};
            gemm(&g, 0, h.n, 0, r->n_items, rest);
        }
        for (ptrdiff_t i = 0; i < h.n; i++) {
            if (best)
                sort_best(best->k, (real *)best->score + row[i] * best->k, best->item + row[i] * best->k, filled[i],
                          r->numbers);
            else end_places(places, row[i]);
        }
    }
}
