/* Epochs of ranking by pairs: steps of one pair on one thread, or of batches by a team. */
#include <math.h>
#include <stdatomic.h>

#include "../fpmode.h"
#include "../kernels.h"
#include "../pool.h"
#include "../thread.h"

enum {
    LOOK_PAIRS = 1024,          /* between looks at the clock; a multiple of the chunks in pairs.h */
    PATIENCE_NANOSECONDS = 5000, /* a team waits so long for its members */
    ELEMENTS_PER_THREAD = 30000, /* of a batch's rows: fewer are not worth another thread */
    SHARE_PAIRS = 16
};

ptrdiff_t schuss_first_code_outside(const int32_t *codes, ptrdiff_t n, int64_t limit) {
    for (ptrdiff_t i = 0; i < n; i++)
        if (codes[i] < 0 || codes[i] >= limit) return i;
    return -1;
}

void schuss_known_bits(ptrdiff_t users, const int64_t *known_start, const int32_t *known, ptrdiff_t words, uint64_t *bits) {
    for (ptrdiff_t user = 0; user < users; user++)
        for (int64_t k = known_start[user]; k < known_start[user + 1]; k++)
            bits[user * words + known[k] / 64] |= UINT64_C(1) << (known[k] % 64);
}

ptrdiff_t schuss_pairwise_scratch(const struct schuss_pairwise *p, int members) {
    return schuss_kernels(p->dtype)->pairwise_scratch(p, members);
}

static int found_nonfinite(const struct schuss_pairwise *p) { return p->nonfinite || !isfinite(p->loss_sum); }

static int steps_of_pairs(struct schuss_pairwise *p, int64_t deadline) {
    const struct kernels *kernels = schuss_kernels(p->dtype);
    const fpmode mode = fpmode_flush();
    do {
        const ptrdiff_t end = p->n - p->position < LOOK_PAIRS ? p->n : p->position + LOOK_PAIRS;
        kernels->pairwise_steps(p, p->position, end);
        p->position = p->steps = end;
        if (found_nonfinite(p)) break;
    } while (p->position < p->n && thread_nanoseconds() < deadline);
    fpmode_restore(mode);
    return found_nonfinite(p) ? SCHUSS_NONFINITE : p->position < p->n ? SCHUSS_MORE : SCHUSS_OK;
}

struct batches {
    struct schuss_pairwise *p;
    int64_t deadline;
    atomic_int nonfinite;
    int stop;
};

static void batches_member(void *context, struct team *me) {
    struct batches *run = context;
    struct schuss_pairwise *p = run->p;
    const struct kernels *kernels = schuss_kernels(p->dtype);
    ptrdiff_t first = p->position;
    for (;;) {
        const ptrdiff_t n = p->n - first < p->batch ? p->n - first : p->batch;
        const ptrdiff_t from = share_start(n, SHARE_PAIRS, me->index, me->count);
        const ptrdiff_t to = share_start(n, SHARE_PAIRS, me->index + 1, me->count);
        if (me->count == 1) {
            const int bad = kernels->pairwise_alone(p, first, n);
            if (bad) atomic_store(&run->nonfinite, 1);
            if (bad == 1) break;
        } else {
            if (kernels->pairwise_look(p, first, from, to, me->index)) atomic_store(&run->nonfinite, 1);
            team_wait(me);
            if (atomic_load(&run->nonfinite)) break;
            kernels->pairwise_gather(p, n, me->index, me->count);
            team_wait(me);
            if (kernels->pairwise_update(p, me->index)) atomic_store(&run->nonfinite, 1);
        }
        first += n;
        team_wait(me); /* all have read which step this was */
        if (me->index == 0) {
            kernels->pairwise_sum(p, n);
            p->position = first;
            p->steps++;
            p->nonfinite |= atomic_load(&run->nonfinite);
            run->stop = first >= p->n || found_nonfinite(p) || thread_nanoseconds() >= run->deadline;
        }
        team_wait(me);
        if (run->stop) break;
    }
}

int schuss_pairwise_run(struct schuss_pairwise *p, double seconds) {
    const int64_t deadline = thread_nanoseconds() + (int64_t)(1e9 * seconds);
    if (p->position >= p->n) return SCHUSS_OK;
    if (!p->batch) return steps_of_pairs(p, deadline);
    struct batches run = {.p = p, .deadline = deadline};
    const double elements = (double)p->batch * 3 * (double)p->stride * (double)p->most_features;
    const int limit = schuss_get_num_threads(), most = limit < p->members ? limit : p->members;
    schuss_team(threads_for(elements, ELEMENTS_PER_THREAD, most), PATIENCE_NANOSECONDS, batches_member, &run);
    p->nonfinite |= atomic_load(&run.nonfinite);
    return found_nonfinite(p) ? SCHUSS_NONFINITE : p->position < p->n ? SCHUSS_MORE : SCHUSS_OK;
}

enum { NUMBERS_PER_THREAD = 4096 };

struct numbers {
    const struct kernels *kernels;
    ptrdiff_t n;
    const struct schuss_side *side;
    ptrdiff_t slots, dim, stride;
    const void *of_users, *of_items;
    const int32_t *users, *items;
    void *out;
};

static void represent_share(void *context, int index, int count) {
    const struct numbers *c = context;
    c->kernels->pairwise_represent(c->side, c->slots, c->stride, share_start(c->n, 1, index, count),
                                   share_start(c->n, 1, index + 1, count), c->out);
}

static void scores_share(void *context, int index, int count) {
    const struct numbers *c = context;
    c->kernels->pairwise_scores(c->dim, c->stride, c->of_users, c->of_items, share_start(c->n, 1, index, count),
                                share_start(c->n, 1, index + 1, count), c->users, c->items, c->out);
}

static int threads_of(const struct numbers *c) {
    return threads_for((double)c->n, NUMBERS_PER_THREAD, schuss_get_num_threads());
}

void schuss_pairwise_represent(int dtype, const struct schuss_side *side, ptrdiff_t slots, ptrdiff_t stride, void *out) {
    struct numbers c = {.kernels = schuss_kernels(dtype), .n = side->n, .side = side, .slots = slots, .stride = stride,
                        .out = out};
    schuss_parallel(threads_of(&c), represent_share, &c);
}

void schuss_pairwise_scores(int dtype, ptrdiff_t dim, ptrdiff_t stride, const void *of_users, const void *of_items,
                            ptrdiff_t n, const int32_t *users, const int32_t *items, void *out) {
    struct numbers c = {.kernels = schuss_kernels(dtype), .n = n, .dim = dim, .stride = stride, .of_users = of_users,
                        .of_items = of_items, .users = users, .items = items, .out = out};
    schuss_parallel(threads_of(&c), scores_share, &c);
}
