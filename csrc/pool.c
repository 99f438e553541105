/* Worker threads: started when first needed, then kept. They spin briefly between jobs, then sleep.
 *
 * Of shares, number i belongs to worker i, 0 to the caller. What a worker has not begun when the caller is through
 * with its own, the caller does too: a worker that is slow to wake, or that has no CPU, holds nobody up, and no job
 * takes much longer than it would on one thread. Who runs a share never changes what the share is.
 *
 * A team is made of the caller and the workers that come in time; the others are left out of it. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* placement.h */
#endif
#include "pool.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "fpmode.h"
#include "kernels.h"
#include "placement.h"
#include "schuss.h"
#include "thread.h"

enum { MAX_WORKERS = 1023, LINE = 64 };
enum { SPIN_NANOSECONDS = 50000, NAP_NANOSECONDS = 5000000, RETRY_NANOSECONDS = 1000000000 };

/* Counts down to zero, where somebody waits. The waiter marks that it sleeps, so that nobody else makes a system
 * call in vain. */
enum { ASLEEP = 1 << 30 };
struct latch {
    atomic_int left;
    struct gate gate;
};

/* Counts down; 1 if the waiter is to be woken. */
static int latch_drop(struct latch *latch) {
    return atomic_fetch_sub_explicit(&latch->left, 1, memory_order_acq_rel) == (ASLEEP | 1);
}

static void latch_wake(struct latch *latch) {
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
    struct placement place;
    int index; /* in the team, if it came in time */
};

/* How often a member has come to a point where all wait. */
struct turns {
    _Alignas(LINE) atomic_int made;
};

static struct {
    _Alignas(LINE) atomic_int busy; /* whoever sets it owns all of this but `workers`, which all may read */
    atomic_int workers;
    int64_t retry_at;
    schuss_task task; /* NULL: a team. Read by the workers that take part, until they arrive at `done` */
    schuss_member member;
    void *context;
    int count, spin;
    _Alignas(LINE) atomic_int team; /* members, once it is known who came; 0 before */
    _Alignas(LINE) struct latch done;
    struct worker worker[MAX_WORKERS];
    struct turns turns[MAX_WORKERS + 1];
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

/* A waiting loop's next turn: soon it lets others have this CPU, and in the end it sleeps a moment at a time, since
 * who is waited for may have been stopped. */
struct patience {
    int64_t since;
    int spins;
};

static void wait_more(struct patience *p) {
    if (pool.spin && p->spins < 256) {
        p->spins++;
        thread_relax();
        return;
    }
    const int64_t now = thread_nanoseconds();
    if (!p->since) p->since = now;
    p->spins = 0;
    if (!pool.spin || now - p->since > SPIN_NANOSECONDS) thread_yield();
    if (now - p->since > NAP_NANOSECONDS) thread_nap();
}

static void run_member(int index, int count) {
    struct team me = {index, count, 0, 0};
    fpmode found = fpmode_flush();
    pool.member(pool.context, &me);
    fpmode_restore(found);
}

void team_wait(struct team *me) {
    if (me->count == 1) return;
    const int made = ++me->turns;
    atomic_store_explicit(&pool.turns[me->index].made, made, memory_order_release);
    for (int i = 0; i < me->count; i++) { /* each looks at all: one way between caches, not two */
        struct patience patience = {0, 0};
        while (atomic_load_explicit(&pool.turns[i].made, memory_order_acquire) < made) wait_more(&patience);
        if (patience.since) me->stalled += thread_nanoseconds() - patience.since;
    }
}

static THREAD_ENTRY worker_main(void *argument) {
    struct worker *self = argument;
    int index = (int)(self - pool.worker) + 1;
    int spin = 1;
    placement_begin(&self->place);
    for (;;) {
        latch_wait(&self->job, spin);
        placement_put_back(&self->place);
        if (!latch_claim(&self->job)) continue; /* the caller was faster */
        spin = pool.spin;
        if (pool.task) run_share(pool.task, pool.context, index, pool.count);
        else {
            struct patience patience = {0, 0};
            while (!atomic_load_explicit(&pool.team, memory_order_acquire)) wait_more(&patience);
            run_member(self->index, atomic_load_explicit(&pool.team, memory_order_relaxed));
        }
        if (latch_drop(&pool.done)) latch_wake(&pool.done);
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

static int claim_pool(void) {
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
        if (!thread_start(worker_main, w)) {
            /* Not at every step: trying costs more than a small job. */
            pool.retry_at = thread_nanoseconds() + RETRY_NANOSECONDS;
            break;
        }
        atomic_store_explicit(&pool.workers, workers + 1, memory_order_relaxed);
    }
    return workers;
}

/* Has `helpers` workers look at what there is to do. */
static void call_workers(int helpers) {
    for (int i = 0; i < helpers; i++) {
        struct worker *w = &pool.worker[i];
        if (!latch_drop(&w->job)) continue;
        placement_keep_off(&w->place);
        latch_wake(&w->job);
    }
}

static void leave_pool(void) {
    latch_wait(&pool.done, pool.spin);
    atomic_store_explicit(&pool.busy, 0, memory_order_release);
}

void schuss_parallel(int count, schuss_task task, void *context) {
    if (count <= 1 || !claim_pool()) {
        run_serially(count, task, context);
        return;
    }
    int helpers = have_workers(count - 1);
    pool.task = task;
    pool.context = context;
    pool.count = count;
    pool.spin = count <= schuss_cpu_quota();
    atomic_store_explicit(&pool.done.left, helpers, memory_order_relaxed);
    call_workers(helpers);
    run_share(task, context, 0, count);
    for (int i = helpers + 1; i < count; i++) run_share(task, context, i, count);
    int claimed = 0;
    for (int i = helpers; i > 0; i--) {
        if (!latch_claim(&pool.worker[i - 1].job)) continue;
        run_share(task, context, i, count);
        claimed++;
    }
    atomic_fetch_sub_explicit(&pool.done.left, claimed, memory_order_relaxed);
    leave_pool();
}

/* How many of the first `helpers` workers have begun. */
static int begun(int helpers) {
    int found = 0;
    for (int i = 0; i < helpers; i++)
        found += atomic_load_explicit(&pool.worker[i].job.left, memory_order_relaxed) & 1;
    return found;
}

void schuss_team(int most, int64_t nanoseconds, schuss_member member, void *context) {
    if (most <= 1 || !claim_pool()) {
        struct team alone = {0, 1, 0, 0};
        fpmode found = fpmode_flush();
        member(context, &alone);
        fpmode_restore(found);
        return;
    }
    const int helpers = have_workers(most - 1);
    pool.task = NULL;
    pool.member = member;
    pool.context = context;
    pool.spin = most <= schuss_cpu_quota();
    atomic_store_explicit(&pool.team, 0, memory_order_relaxed);
    atomic_store_explicit(&pool.turns[0].made, 0, memory_order_relaxed);
    call_workers(helpers);
    const int64_t until = helpers ? thread_nanoseconds() + nanoseconds : 0;
    while (begun(helpers) < helpers && thread_nanoseconds() < until)
        if (pool.spin) thread_relax();
        else thread_yield();
    int count = 1;
    for (int i = 0; i < helpers; i++) {
        if (latch_claim(&pool.worker[i].job)) continue; /* too late: left out */
        atomic_store_explicit(&pool.turns[count].made, 0, memory_order_relaxed);
        pool.worker[i].index = count++;
    }
    atomic_store_explicit(&pool.done.left, count - 1, memory_order_relaxed);
    atomic_store_explicit(&pool.team, count, memory_order_release);
    run_member(0, count);
    leave_pool();
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
