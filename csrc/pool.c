/* Worker threads: started when first needed, then kept. They spin briefly between jobs, then sleep.
 *
 * Share i belongs to worker i, share 0 to the caller. What a worker has not begun when the caller is through with its
 * own, the caller does too: a worker that is slow to wake, or that has no CPU, holds nobody up, and no job takes much
 * longer than it would on one thread. Who runs a share never changes what the share is. */
#include "pool.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "fpmode.h"
#include "kernels.h"
#include "schuss.h"
#include "thread.h"

enum { MAX_WORKERS = 1023, LINE = 64 };
enum { SPIN_NANOSECONDS = 50000, RETRY_NANOSECONDS = 1000000000 };

/* Counts down to zero, where somebody waits. The waiter marks that it sleeps, so that nobody else makes a system
 * call in vain. */
enum { ASLEEP = 1 << 30 };
struct latch {
    atomic_int left;
    struct gate gate;
};

static void latch_arrive(struct latch *latch) {
    if (atomic_fetch_sub_explicit(&latch->left, 1, memory_order_acq_rel) != (ASLEEP | 1)) return;
    gate_lock(&latch->gate); /* had only once the waiter is truly asleep */
    gate_wake(&latch->gate);
    gate_unlock(&latch->gate);
}

static int latch_spin(struct latch *latch) {
    int64_t start = 0;
    for (;;) {
        for (int i = 0; i < 64; i++) {
            if (!atomic_load_explicit(&latch->left, memory_order_acquire)) return 1;
            thread_relax();
        }
        int64_t now = thread_nanoseconds();
        if (!start) start = now;
        if (now - start > SPIN_NANOSECONDS) return 0;
        thread_yield(); /* who is waited for may have been put on this very CPU */
    }
}

static void latch_wait(struct latch *latch, int spin) {
    if (!atomic_load_explicit(&latch->left, memory_order_acquire)) return;
    if (spin && latch_spin(latch)) return;
    gate_lock(&latch->gate);
    if (atomic_fetch_or_explicit(&latch->left, ASLEEP, memory_order_acq_rel) != 0)
        while (atomic_load_explicit(&latch->left, memory_order_acquire) != ASLEEP) gate_wait(&latch->gate);
    atomic_fetch_and_explicit(&latch->left, ~ASLEEP, memory_order_acq_rel);
    gate_unlock(&latch->gate);
}

/* Counts a latch of one up again, if it is down: of all who try, one gets 1. */
static int latch_claim(struct latch *latch) {
    return !(atomic_fetch_or_explicit(&latch->left, 1, memory_order_acq_rel) & 1);
}

struct worker {
    _Alignas(LINE) struct latch job; /* down while a share waits to be begun */
};

static struct {
    _Alignas(LINE) atomic_int busy; /* whoever sets it owns all of this but `workers`, which all may read */
    atomic_int workers;
    int64_t retry_at;
    schuss_task task; /* read by the workers that run a share, until they arrive at `done` */
    void *context;
    int count, spin;
    _Alignas(LINE) struct latch done;
    struct worker worker[MAX_WORKERS];
} pool;

static void run_share(schuss_task task, void *context, int index, int count) {
    fpmode found = fpmode_flush();
    task(context, index, count);
    fpmode_restore(found);
}

static void run_serially(int count, schuss_task task, void *context) {
    fpmode found = fpmode_flush();
    for (int i = 0; i < count; i++) task(context, i, count);
    fpmode_restore(found);
}

static THREAD_ENTRY work(void *argument) {
    struct worker *self = argument;
    int index = (int)(self - pool.worker) + 1;
    int spin = 1;
    for (;;) {
        latch_wait(&self->job, spin);
        if (!latch_claim(&self->job)) continue; /* the caller was faster */
        spin = pool.spin;
        run_share(pool.task, pool.context, index, pool.count);
        latch_arrive(&pool.done);
    }
    return 0;
}

/* The child of a fork has no workers, and nobody is inside the pool any more. Latches are set up anew when their
 * workers are started. */
static void forget_workers(void) {
    atomic_store_explicit(&pool.workers, 0, memory_order_relaxed);
    pool.retry_at = 0;
    atomic_store_explicit(&pool.busy, 0, memory_order_relaxed);
}

/* Before the pool is first taken, so that a fork never sees it taken without the handler. Two threads that race
 * here register it twice, which does no harm. */
static int survives_fork(void) {
    static atomic_int registered;
    if (atomic_load_explicit(&registered, memory_order_acquire)) return 1;
    if (!thread_after_fork(forget_workers)) return 0;
    atomic_store_explicit(&registered, 1, memory_order_release);
    return 1;
}

static int take_pool(void) {
    if (!survives_fork()) return 0;
    if (atomic_load_explicit(&pool.busy, memory_order_relaxed)) return 0;
    return !atomic_exchange_explicit(&pool.busy, 1, memory_order_acquire);
}

/* Starts workers until there are `wanted`, and returns how many there are, at most `wanted`. */
static int have_workers(int wanted) {
    int workers = atomic_load_explicit(&pool.workers, memory_order_relaxed);
    if (workers >= wanted) return wanted;
    if (pool.retry_at && thread_nanoseconds() < pool.retry_at) return workers;
    pool.retry_at = 0;
    if (!workers) gate_init(&pool.done.gate);
    for (; workers < wanted && workers < MAX_WORKERS; workers++) {
        struct worker *w = &pool.worker[workers];
        gate_init(&w->job.gate);
        atomic_store_explicit(&w->job.left, 1, memory_order_relaxed);
        if (!thread_start(work, w)) {
            /* Not at every step: trying costs more than a small job. */
            pool.retry_at = thread_nanoseconds() + RETRY_NANOSECONDS;
            break;
        }
        atomic_store_explicit(&pool.workers, workers + 1, memory_order_relaxed);
    }
    return workers;
}

void schuss_parallel(int count, schuss_task task, void *context) {
    if (count <= 1 || !take_pool()) {
        run_serially(count, task, context);
        return;
    }
    int helpers = have_workers(count - 1);
    int spin = count <= schuss_cpu_quota();
    pool.task = task;
    pool.context = context;
    pool.count = count;
    pool.spin = spin;
    atomic_store_explicit(&pool.done.left, helpers, memory_order_relaxed);
    for (int i = 0; i < helpers; i++) latch_arrive(&pool.worker[i].job);
    run_share(task, context, 0, count);
    for (int i = helpers + 1; i < count; i++) run_share(task, context, i, count);
    int claimed = 0;
    for (int i = helpers; i > 0; i--) {
        if (!latch_claim(&pool.worker[i - 1].job)) continue;
        run_share(task, context, i, count);
        claimed++;
    }
    atomic_fetch_sub_explicit(&pool.done.left, claimed, memory_order_relaxed);
    latch_wait(&pool.done, spin);
    atomic_store_explicit(&pool.busy, 0, memory_order_release);
}

int schuss_worker_count(void) { return atomic_load_explicit(&pool.workers, memory_order_relaxed); }

static atomic_int process_threads; /* 0: the default */
static _Thread_local int thread_limit;

int schuss_get_num_threads(void) {
    int n = thread_limit > 0 ? thread_limit : atomic_load_explicit(&process_threads, memory_order_relaxed);
    if (n <= 0) n = schuss_default_threads();
    return n <= MAX_WORKERS + 1 ? n : MAX_WORKERS + 1; /* plans have room for each */
}

void schuss_set_num_threads(int n) { atomic_store_explicit(&process_threads, n > 0 ? n : 0, memory_order_relaxed); }

int schuss_set_thread_limit(int n) {
    int found = thread_limit;
    thread_limit = n > 0 ? n : 0;
    return found;
}
