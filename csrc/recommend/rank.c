/* Items ranked for users, over threads: each takes some rows after the other. */
#include <stdatomic.h>

#include "../kernels.h"
#include "../pool.h"

enum {
    PRODUCTS_PER_THREAD = 500000, /* multiply-adds, or scores that are given */
    TURNS = 4,                    /* of each thread: users have more or less to be looked at */
    MOST_ROWS = 512               /* of a turn */
};

struct rank_job {
    const struct schuss_ranking *r;
    const struct schuss_best *best;
    const struct schuss_places *places;
    char *scratch;
    ptrdiff_t scratch_each, rows;
    atomic_llong next;
};

static ptrdiff_t scratch_each(const struct schuss_ranking *r) {
    return (schuss_kernels(r->dtype)->rank_scratch(r) + 63) / 64 * 64;
}

static void rank_share(void *context, int index, int count) {
    struct rank_job *job = context;
    const struct kernels *kernels = schuss_kernels(job->r->dtype);
    (void)count;
    for (;;) {
        const ptrdiff_t row = (ptrdiff_t)atomic_fetch_add_explicit(&job->next, (long long)job->rows, memory_order_relaxed);
        if (row >= job->r->rows) return;
        const ptrdiff_t end = job->r->rows - row < job->rows ? job->r->rows : row + job->rows;
        kernels->rank(job->r, job->best, job->places, row, end, job->scratch + index * job->scratch_each);
    }
}

void schuss_rank(const struct schuss_ranking *r, const struct schuss_best *best, const struct schuss_places *places,
                 int threads, void *scratch) {
    const double work = (double)r->rows * (double)r->n_items * (double)(r->scores || r->dim < 1 ? 1 : r->dim);
    threads = threads_for(work, PRODUCTS_PER_THREAD, threads);
    if (threads > r->rows) threads = r->rows > 0 ? (int)r->rows : 1;
    struct rank_job job = {r, best, places, scratch, scratch_each(r), MOST_ROWS, 0};
    const ptrdiff_t turn = (r->rows + threads * TURNS - 1) / (threads * TURNS);
    if (threads > 1 && turn < MOST_ROWS) job.rows = turn > 0 ? turn : 1;
    schuss_parallel(threads, rank_share, &job);
}

ptrdiff_t schuss_rank_scratch(const struct schuss_ranking *r, int threads) { return threads * scratch_each(r); }
