/* What the pool needs of the system's threads: start one, sleep and wake, look at the clock. POSIX and Windows. */
#ifndef SCHUSS_THREAD_H
#define SCHUSS_THREAD_H

#include <stddef.h>
#include <stdint.h>

enum { THREAD_STACK_BYTES = 1 << 20 };

/* A lock and a condition. gate_wait gives the lock up while it sleeps and may return early. */
struct gate;

#ifdef _WIN32

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

struct gate {
    SRWLOCK lock;
    CONDITION_VARIABLE condition;
};
static inline void gate_init(struct gate *g) {
    InitializeSRWLock(&g->lock);
    InitializeConditionVariable(&g->condition);
}
static inline void gate_lock(struct gate *g) { AcquireSRWLockExclusive(&g->lock); }
static inline void gate_unlock(struct gate *g) { ReleaseSRWLockExclusive(&g->lock); }
static inline void gate_wait(struct gate *g) { SleepConditionVariableSRW(&g->condition, &g->lock, INFINITE, 0); }
static inline void gate_wake(struct gate *g) { WakeConditionVariable(&g->condition); }

#define THREAD_ENTRY DWORD WINAPI
typedef DWORD(WINAPI *thread_entry)(LPVOID);
static inline int thread_start(thread_entry entry, void *argument) {
    HANDLE handle = CreateThread(NULL, THREAD_STACK_BYTES, entry, argument, STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    if (!handle) return 0;
    CloseHandle(handle);
    return 1;
}

static inline int thread_after_fork(void (*in_child)(void)) {
    (void)in_child;
    return 1;
}

/* Lets another thread have this CPU, if one waits for it. */
static inline void thread_yield(void) { SwitchToThread(); }

/* Sleeps a moment. */
static inline void thread_nap(void) { Sleep(1); }

static inline int64_t thread_nanoseconds(void) {
    LARGE_INTEGER count, per_second;
    QueryPerformanceCounter(&count);
    QueryPerformanceFrequency(&per_second);
    return (int64_t)((double)count.QuadPart * 1e9 / (double)per_second.QuadPart);
}

#else

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t condition;
};
static inline void gate_init(struct gate *g) {
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->condition, NULL);
}
static inline void gate_lock(struct gate *g) { pthread_mutex_lock(&g->lock); }
static inline void gate_unlock(struct gate *g) { pthread_mutex_unlock(&g->lock); }
static inline void gate_wait(struct gate *g) { pthread_cond_wait(&g->condition, &g->lock); }
static inline void gate_wake(struct gate *g) { pthread_cond_signal(&g->condition); }

#define THREAD_ENTRY void *
typedef void *(*thread_entry)(void *);
/* Starts a detached thread; 0 if the system gives none. */
static inline int thread_start(thread_entry entry, void *argument) {
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes)) return 0;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    /* The process's signals are for its own threads. A fault of this very thread still reaches its handler. */
    sigset_t blocked, found;
    sigfillset(&blocked);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGILL);
    pthread_sigmask(SIG_SETMASK, &blocked, &found);
    pthread_t thread;
    int failed = pthread_create(&thread, &attributes, entry, argument);
    pthread_sigmask(SIG_SETMASK, &found, NULL);
    pthread_attr_destroy(&attributes);
    return !failed;
}

/* Has the function called in the child after every fork; 0 if that cannot be had. */
static inline int thread_after_fork(void (*in_child)(void)) { return !pthread_atfork(NULL, NULL, in_child); }

static inline void thread_yield(void) { sched_yield(); }

static inline void thread_nap(void) { nanosleep(&(struct timespec){0, 50000}, NULL); }

static inline int64_t thread_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#endif

/* Tells the CPU that this is a waiting loop. */
static inline void thread_relax(void) {
#if defined(__x86_64__) || defined(_M_X64)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
