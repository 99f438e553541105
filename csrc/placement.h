/* Where a worker wakes. Some schedulers wake a thread on the very CPU that its waker keeps busy, and leave it there
 * for milliseconds while another is free. placement_keep_off, called by the waker, moves a sleeping thread to any
 * other of its CPUs; placement_put_back, called by that thread once it runs, lets it go again wherever it could go
 * before. Linux only: elsewhere these do nothing. */
#ifndef SCHUSS_PLACEMENT_H
#define SCHUSS_PLACEMENT_H

#ifdef __linux__

#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

struct placement {
    _Atomic(pid_t) thread; /* 0 until it runs */
    atomic_int moved;
    cpu_set_t allowed; /* what it could use before it was moved */
};

static inline void placement_begin(struct placement *place) {
    atomic_store_explicit(&place->moved, 0, memory_order_relaxed);
    atomic_store_explicit(&place->thread, (pid_t)syscall(SYS_gettid), memory_order_release);
}

static inline void placement_keep_off(struct placement *place) {
    const int cpu = sched_getcpu();
    const pid_t thread = atomic_load_explicit(&place->thread, memory_order_acquire);
    if (cpu < 0 || cpu >= CPU_SETSIZE || !thread || atomic_load_explicit(&place->moved, memory_order_acquire)) return;
    if (sched_getaffinity(thread, sizeof place->allowed, &place->allowed)) return;
    if (!CPU_ISSET(cpu, &place->allowed) || CPU_COUNT(&place->allowed) < 2) return;
    cpu_set_t others = place->allowed;
    CPU_CLR(cpu, &others);
    if (!sched_setaffinity(thread, sizeof others, &others))
        atomic_store_explicit(&place->moved, 1, memory_order_release);
}

static inline void placement_put_back(struct placement *place) {
    if (!atomic_load_explicit(&place->moved, memory_order_acquire)) return;
    sched_setaffinity(0, sizeof place->allowed, &place->allowed);
    atomic_store_explicit(&place->moved, 0, memory_order_release);
}

#else

struct placement {
    int unused;
};
static inline void placement_begin(struct placement *place) { (void)place; }
static inline void placement_keep_off(struct placement *place) { (void)place; }
static inline void placement_put_back(struct placement *place) { (void)place; }

#endif
#endif
