/* Worker threads. Inside the core only. */
#ifndef SCHUSS_POOL_H
#define SCHUSS_POOL_H

#include <stddef.h>
#include <stdint.h>

/* Does share `index` of `count` of the work in context. */
typedef void (*schuss_task)(void *context, int index, int count);

/* Runs task(context, 0..count-1, count), each once, and returns when all are done. Shares run on the caller and on
 * worker threads; all on the caller if count is 1 or another thread is using the pool. Denormals are flushed to
 * zero meanwhile, on every thread that works, and the mode found is put back. */
void schuss_parallel(int count, schuss_task task, void *context);

/* A member of a team: threads that run the same function at once, and may wait for one another. */
struct team {
    int index, count;
    int turns;       /* times that this member has waited */
    int64_t stalled; /* nanoseconds that it waited for members who did not come soon */
};
typedef void (*schuss_member)(void *context, struct team *me);

/* Runs member(context, me) on the caller, which is number 0, and on those of `most` - 1 workers that come within so
 * many nanoseconds: as many as me->count says, which must not change what comes out. On the caller alone if another
 * thread is using the pool. Denormals are flushed as by schuss_parallel. */
void schuss_team(int most, int64_t nanoseconds, schuss_member member, void *context);

/* Waits until all members of the team have come here: what they wrote before may be read after. */
void team_wait(struct team *me);

/* How many threads a job of this much work (in any unit) is worth, from 1 to `limit`. */
static inline int threads_for(double work, double work_per_thread, int limit) {
    if (!(work >= 2 * work_per_thread) || limit < 2) return 1;
    const double threads = work / work_per_thread;
    return threads < limit ? (int)threads : limit;
}

/* Where share `index` of `count` of n things begins, in multiples of `unit`; index = count: n. */
static inline ptrdiff_t share_start(ptrdiff_t n, ptrdiff_t unit, int index, int count) {
    const ptrdiff_t units = n / unit + (n % unit != 0), most = units / count, rest = units % count;
    const ptrdiff_t at = (most * index + rest * index / count) * unit;
    return index == count || at > n ? n : at;
}

#endif
