/* L-BFGS: the passes over its vectors, and the two-loop recursion between them.
 *
 * The recursion (Nocedal, Mathematics of Computation 35, 1980) forms d = -H g from m pairs by dot products and updates
 * of one vector in turn: 4 m passes, none of which can begin before the last has ended. All it ever asks of the vectors
 * are the inner products s_i . y_j (s_i older than y_j), y_i . y_j, s_i . g and y_i . g, and d is a sum of multiples of
 * g, the y_i and the s_i. So those products are kept, each new pair and gradient is multiplied with all pairs in one
 * pass, the recursion runs on numbers, and one more pass makes d (Chen, Wang, Zhou, NIPS 2014): 2 passes that read 2 m
 * vectors each. Its rounding errors are those of the recursion on vectors.
 *
 * Sums go by chunks of LBFGS_CHUNK elements, by at most PARTS parts of whole chunks, whatever the threads. */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "../fpmode.h"
#include "../pool.h"
#include "../kernels.h"

enum {
    PARTS = 64,
    ELEMENTS_PER_THREAD = 65536, /* of all vectors read; fewer are not worth waking a thread */
    PADDING = 16                 /* vectors are padded to multiples of this */
};
static const double LEAST_CURVATURE = 1e-10; /* of y . s, as in torch */

/* ---- the numbers --------------------------------------------------------------------------------------------- */

/* By place. A pair's row of older[] and newer[] is 0 where the other pair is not older (newer). */
struct numbers {
    double *older; /* [j][i]: s_i . y_j, i older than j */
    double *newer; /* [i][j]: the same, for rows the other way */
    double *yy;    /* [i][j]: y_i . y_j */
    double *rho, *alpha, *s_q, *y_q, *factors /* [2 room] */;
    double *sums, *partial; /* [4 room] and [PARTS][4 room] */
};

static struct numbers numbers_of(double *at, int room) {
    const ptrdiff_t square = (ptrdiff_t)room * room;
    struct numbers a;
    a.older = at;
    a.newer = a.older + square;
    a.yy = a.newer + square;
    a.rho = a.yy + square;
    a.alpha = a.rho + room;
    a.s_q = a.alpha + room;
    a.y_q = a.s_q + room;
    a.factors = a.y_q + room;
    a.sums = a.factors + 2 * room;
    a.partial = a.sums + 4 * room;
    return a;
}

ptrdiff_t schuss_lbfgs_numbers(int room) { return (3 * (ptrdiff_t)room + 6 + 4 * (1 + PARTS)) * room; }

void schuss_lbfgs_grow(struct schuss_lbfgs *l, int room, double *numbers) {
    const struct numbers to = numbers_of(numbers, room);
    const ptrdiff_t had = l->room;
    if (had) {
        const struct numbers from = numbers_of(l->numbers, l->room);
        for (ptrdiff_t i = 0; i < had; i++) {
            memcpy(to.older + i * room, from.older + i * had, (size_t)had * sizeof(double));
            memcpy(to.newer + i * room, from.newer + i * had, (size_t)had * sizeof(double));
            memcpy(to.yy + i * room, from.yy + i * had, (size_t)had * sizeof(double));
        }
        memcpy(to.rho, from.rho, (size_t)had * sizeof(double));
    }
    l->numbers = numbers;
    l->room = room;
}

/* The place of the pair of this age, 0: the oldest; age = count: the free place. */
static int place(const struct schuss_lbfgs *l, int age) { return (l->first + age) % (l->most + 1); }

double schuss_lbfgs_rho(const struct schuss_lbfgs *l, int age) {
    return numbers_of(l->numbers, l->room).rho[place(l, age)];
}

/* What multiply() leaves of the pair of each age, the new one (of age count) included: sums[4 age + ...]. */
enum { Y_G, Y_NEW_Y, S_G, S_NEW_Y };

/* The pair in the free place joins the others. */
static void join(struct schuss_lbfgs *l, const struct numbers *a, double rho) {
    const int room = l->room, new = place(l, l->count);
    double *older = a->older + (ptrdiff_t)new * room, *newer = a->newer + (ptrdiff_t)new * room;
    memset(older, 0, (size_t)room * sizeof(double));
    memset(newer, 0, (size_t)room * sizeof(double));
    for (int j = 0; j < room; j++) a->older[(ptrdiff_t)j * room + new] = 0;
    for (int age = 0; age <= l->count; age++) {
        const int i = place(l, age);
        a->yy[(ptrdiff_t)new * room + i] = a->yy[(ptrdiff_t)i * room + new] = a->sums[4 * age + Y_NEW_Y];
        if (i != new) older[i] = a->newer[(ptrdiff_t)i * room + new] = a->sums[4 * age + S_NEW_Y];
    }
    a->rho[new] = rho;
    if (l->count < l->most) l->count++;
    else l->first = place(l, 1);
}

static void subtract(int n, double factor, const double *x, double *from) {
    for (int i = 0; i < n; i++) from[i] -= factor * x[i];
}

/* The two loops, on s_q[i] = s_i . q and y_q[i] = y_i . q. What they do to the vector q is left in the factors of
 * y_i and s_i by age. */
static void recursion(struct schuss_lbfgs *l, const struct numbers *a) {
    const int room = l->room;
    for (int age = l->count - 1; age >= 0; age--) {
        const int j = place(l, age);
        a->alpha[j] = a->rho[j] * a->s_q[j];
        subtract(room, a->alpha[j], a->older + (ptrdiff_t)j * room, a->s_q);
        subtract(room, a->alpha[j], a->yy + (ptrdiff_t)j * room, a->y_q);
    }
    for (int i = 0; i < room; i++) a->y_q[i] *= l->scale;
    for (int age = 0; age < l->count; age++) {
        const int j = place(l, age);
        const double step = a->alpha[j] - a->rho[j] * a->y_q[j];
        subtract(room, -step, a->newer + (ptrdiff_t)j * room, a->y_q);
        a->factors[2 * age] = -l->scale * a->alpha[j];
        a->factors[2 * age + 1] = step;
    }
}

/* ---- the passes ---------------------------------------------------------------------------------------------- */

struct share;
struct pass {
    const struct schuss_lbfgs *l;
    /* Does elements [from, from + n), n <= LBFGS_CHUNK, and adds to the share's sums. */
    void (*chunk)(struct share *share, ptrdiff_t from, ptrdiff_t n);
    int vectors; /* read by it, roughly */
    const void *g, *before;
    void *to;
    double t, *factors;
    int n_vectors, keep;
    int n_sums;
    double *partial;       /* [PARTS][n_sums] the sums of each part; afterwards the first row has those of all parts */
    double largest[PARTS]; /* of each part; afterwards the first is that of all parts */
    /* the rest is run()'s own */
    const struct kernels *kernels;
    ptrdiff_t padded;
    int parts;
    atomic_int nonfinite;
};

/* What one thread does of a pass, and the part that it is at. */
struct share {
    struct pass *pass;
    double *sums, *largest;
    int segment, nonfinite;
    ptrdiff_t start; /* where that segment begins */
};

static void *at(const void *vector, ptrdiff_t element, ptrdiff_t item) {
    return (char *)(uintptr_t)vector + element * item;
}

static void run_share(void *context, int index, int count) {
    struct pass *pass = context;
    struct share share = {.pass = pass};
    for (int part = index * pass->parts / count; part < (index + 1) * pass->parts / count; part++) {
        const ptrdiff_t end = share_start(pass->padded, LBFGS_CHUNK, part + 1, pass->parts);
        share.sums = pass->partial + (ptrdiff_t)part * pass->n_sums;
        share.largest = &pass->largest[part];
        *share.largest = 0;
        for (int i = 0; i < pass->n_sums; i++) share.sums[i] = 0;
        for (ptrdiff_t i = share_start(pass->padded, LBFGS_CHUNK, part, pass->parts); i < end; i += LBFGS_CHUNK)
            pass->chunk(&share, i, end - i < LBFGS_CHUNK ? end - i : LBFGS_CHUNK);
    }
    if (share.nonfinite) atomic_store_explicit(&pass->nonfinite, 1, memory_order_relaxed);
}

static void run(struct pass *pass) {
    pass->kernels = schuss_kernels(pass->l->dtype);
    pass->padded = (pass->l->n + PADDING - 1) / PADDING * PADDING;
    pass->partial = numbers_of(pass->l->numbers, pass->l->room).partial;
    atomic_store_explicit(&pass->nonfinite, 0, memory_order_relaxed);
    const ptrdiff_t chunks = (pass->padded + LBFGS_CHUNK - 1) / LBFGS_CHUNK;
    pass->parts = chunks > PARTS ? PARTS : chunks > 1 ? (int)chunks : 1;
    const int threads = schuss_get_num_threads(), most = threads < pass->parts ? threads : pass->parts;
    schuss_parallel(threads_for((double)pass->padded * pass->vectors, ELEMENTS_PER_THREAD, most), run_share, pass);
    for (int part = 1; part < pass->parts; part++) {
        for (int i = 0; i < pass->n_sums; i++) pass->partial[i] += pass->partial[(ptrdiff_t)part * pass->n_sums + i];
        if (pass->largest[part] > pass->largest[0]) pass->largest[0] = pass->largest[part];
    }
}

/* The next piece of a segment in elements [*from, end): its elements [first, first + n). */
static const struct schuss_segment *next_piece(struct share *share, ptrdiff_t *from, ptrdiff_t end, ptrdiff_t *first,
                                               ptrdiff_t *n) {
    const struct schuss_lbfgs *l = share->pass->l;
    if (end > l->n) end = l->n; /* no segment has the padding */
    if (*from >= end) return NULL;
    const struct schuss_segment *s = &l->segments[share->segment];
    while (share->start + s->n <= *from) {
        share->start += s->n;
        s = &l->segments[++share->segment];
    }
    *first = *from - share->start;
    *n = end - *from < s->n - *first ? end - *from : s->n - *first;
    *from += *n;
    return s;
}

/* Looks at a chunk that is in L1: sums[2], largest. */
static void look_at(struct share *share, ptrdiff_t n, const void *x, const void *with) {
    double looks[3];
    share->pass->kernels->lbfgs_look(n, x, with, looks);
    share->sums[0] += looks[0];
    share->sums[1] += looks[1];
    if (looks[2] > *share->largest) *share->largest = looks[2];
}

static void gather_chunk(struct share *share, ptrdiff_t from, ptrdiff_t n) {
    const struct pass *pass = share->pass;
    const ptrdiff_t item = pass->kernels->item, past = pass->l->n - from;
    ptrdiff_t next = from, first, size;
    for (const struct schuss_segment *s; (s = next_piece(share, &next, from + n, &first, &size));)
        memcpy(at(pass->to, next - size, item), at(s->g, first, item), (size_t)(size * item));
    if (past < n) memset(at(pass->to, pass->l->n, item), 0, (size_t)((n - past) * item));
    const void *g = at(pass->to, from, item);
    look_at(share, n, g, at(pass->l->d, from, item));
    share->nonfinite |= pass->kernels->any_nonfinite(n, g);
}

void schuss_lbfgs_gather(const struct schuss_lbfgs *l, void *g, struct schuss_lbfgs_look *look) {
    struct pass pass = {.l = l, .chunk = gather_chunk, .vectors = 3, .to = g, .n_sums = 2};
    run(&pass);
    look->slope = pass.partial[0];
    look->total = pass.partial[1];
    look->largest = pass.largest[0];
    look->nonfinite = atomic_load_explicit(&pass.nonfinite, memory_order_relaxed);
}

/* Products of all vectors with g and the new y, which is the last but one of them. */
static void multiply_chunk(struct share *share, ptrdiff_t from, ptrdiff_t n) {
    const struct pass *pass = share->pass;
    const struct schuss_lbfgs *l = pass->l;
    const ptrdiff_t item = pass->kernels->item;
    const int new = place(l, l->count);
    const void *y = at(l->y[new], from, item), *g = pass->g ? at(pass->g, from, item) : y;
    if (pass->before)
        pass->kernels->lbfgs_pair(n, pass->t, at(l->d, from, item), g, at(pass->before, from, item),
                                  at(l->s[new], from, item), at(l->y[new], from, item));
    pass->kernels->lbfgs_dots(n, pass->n_vectors, l->vectors, from, g, y, share->sums);
}

static void list_vectors(struct schuss_lbfgs *l, int pairs) {
    for (int age = 0; age < pairs; age++) {
        l->vectors[2 * age] = l->y[place(l, age)];
        l->vectors[2 * age + 1] = l->s[place(l, age)];
    }
}

static void multiply(struct schuss_lbfgs *l, const void *g, const void *before, double t) {
    const int pairs = l->count + 1;
    struct pass pass = {.l = l, .chunk = multiply_chunk, .g = g, .before = before, .t = t};
    pass.n_vectors = 2 * pairs;
    pass.n_sums = 4 * pairs;
    pass.vectors = 2 * pairs + 3;
    list_vectors(l, pairs);
    run(&pass);
    memcpy(numbers_of(l->numbers, l->room).sums, pass.partial, (size_t)pass.n_sums * sizeof(double));
}

static void combine_chunk(struct share *share, ptrdiff_t from, ptrdiff_t n) {
    const struct pass *pass = share->pass;
    const struct schuss_lbfgs *l = pass->l;
    const ptrdiff_t item = pass->kernels->item;
    const void *g = at(pass->g, from, item);
    void *d = at(l->d, from, item);
    pass->kernels->lbfgs_combine(n, pass->n_vectors, l->vectors, from, pass->factors, g, -l->scale, d);
    look_at(share, n, d, g);
}

/* The new pair joins the others if its curvature is large enough. s_q and y_q get s . q and y . q of all pairs, where
 * q = -g. */
static void learn(struct schuss_lbfgs *l, const struct numbers *a) {
    const double *new = a->sums + 4 * l->count, *sums = a->sums;
    if (new[S_NEW_Y] > LEAST_CURVATURE && isfinite(new[S_NEW_Y]) && isfinite(new[Y_NEW_Y])) {
        l->scale = new[S_NEW_Y] / new[Y_NEW_Y];
        if (l->count == l->most) sums += 4; /* of the oldest, which leaves */
        join(l, a, 1 / new[S_NEW_Y]);
    }
    for (int age = 0; age < l->count; age++) {
        a->s_q[place(l, age)] = -sums[4 * age + S_G];
        a->y_q[place(l, age)] = -sums[4 * age + Y_G];
    }
}

void schuss_lbfgs_direction(struct schuss_lbfgs *l, const void *g, const void *before, double t) {
    const fpmode found = fpmode_flush();
    const struct numbers a = numbers_of(l->numbers, l->room);
    if (before) {
        multiply(l, g, before, t);
        learn(l, &a);
        recursion(l, &a);
    } else {
        l->first = l->count = 0;
        l->scale = 1;
    }
    list_vectors(l, l->count);
    struct pass pass = {.l = l, .chunk = combine_chunk, .g = g, .n_sums = 2, .n_vectors = 2 * l->count};
    pass.vectors = 2 * l->count + 2;
    pass.factors = a.factors;
    run(&pass);
    l->slope = pass.partial[0];
    l->largest = pass.largest[0];
    fpmode_restore(found);
}

void schuss_lbfgs_append(struct schuss_lbfgs *l, double rho) {
    const fpmode found = fpmode_flush();
    const struct numbers a = numbers_of(l->numbers, l->room);
    multiply(l, NULL, NULL, 0);
    join(l, &a, rho);
    fpmode_restore(found);
}

static void move_chunk(struct share *share, ptrdiff_t from, ptrdiff_t n) {
    const struct pass *pass = share->pass;
    const ptrdiff_t item = pass->kernels->item;
    ptrdiff_t next = from, first, size;
    for (const struct schuss_segment *s; (s = next_piece(share, &next, from + n, &first, &size));) {
        void *p = at(s->p, first, item), *x = at(pass->l->x, next - size, item);
        if (pass->keep) memcpy(x, p, (size_t)(size * item));
        pass->kernels->lbfgs_move(size, pass->t, at(pass->l->d, next - size, item), x, p);
        share->nonfinite |= pass->kernels->any_nonfinite(size, p);
    }
}

int schuss_lbfgs_move(struct schuss_lbfgs *l, double t, int keep) {
    struct pass pass = {.l = l, .chunk = move_chunk, .vectors = 3, .t = t, .keep = keep};
    run(&pass);
    return atomic_load_explicit(&pass.nonfinite, memory_order_relaxed);
}

static void restore_chunk(struct share *share, ptrdiff_t from, ptrdiff_t n) {
    const ptrdiff_t item = share->pass->kernels->item;
    ptrdiff_t next = from, first, size;
    for (const struct schuss_segment *s; (s = next_piece(share, &next, from + n, &first, &size));)
        memcpy(at(s->p, first, item), at(share->pass->l->x, next - size, item), (size_t)(size * item));
}

void schuss_lbfgs_restore(struct schuss_lbfgs *l) {
    struct pass pass = {.l = l, .chunk = restore_chunk, .vectors = 2};
    run(&pass);
}
