/* The choice between ways to walk over large arrays. Which is fastest depends on the CPU and on who else uses its memory,
 * which no model knows: so steps time them on pieces of their own arrays. What comes out is the same either way. Inside
 * the core only. */
#ifndef SCHUSS_WAYS_H
#define SCHUSS_WAYS_H

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "../kernels.h"

enum {
    WAY_SAMPLES = 11,       /* of each way */
    WAY_SAMPLES_AGAIN = 21, /* of the best of them, and of way 0, which it has to beat once more */
    WAY_TURNS = WAY_SAMPLES * SCHUSS_WAYS,
    WAY_TURNS_AGAIN = 2 * WAY_SAMPLES_AGAIN
};

/* Several threads may take turns at once. All zeros: nothing has been timed. */
struct way_trial {
    atomic_int turns;     /* that were taken */
    atomic_int noted;     /* of which the time is known */
    atomic_int candidate; /* the best way of the first WAY_TURNS; 0: not known */
    atomic_int chosen;    /* 1 + the way that was chosen; 0: none yet */
    float time[SCHUSS_WAYS][WAY_SAMPLES];
    float again[2][WAY_SAMPLES_AGAIN]; /* of way 0, of the candidate */
};

/* Those of one distance from the CPU. */
struct distance_trials {
    struct way_trial trial[SCHUSS_KINDS_OF_ARRAYS][SCHUSS_N_RULES];
};

/* The way that was chosen, -1: none yet. */
static inline int way_trial_chosen(struct way_trial *t) {
    return atomic_load_explicit(&t->chosen, memory_order_relaxed) - 1;
}

/* Takes a turn. -1: there is none now. */
static inline int way_trial_turn(struct way_trial *t) {
    int turn = atomic_load_explicit(&t->turns, memory_order_relaxed);
    do {
        const int again = turn >= WAY_TURNS;
        if (turn >= WAY_TURNS + WAY_TURNS_AGAIN) return -1;
        if (again && !atomic_load_explicit(&t->candidate, memory_order_acquire)) return -1;
    } while (!atomic_compare_exchange_weak_explicit(&t->turns, &turn, turn + 1, memory_order_relaxed, memory_order_relaxed));
    return turn;
}

/* Whether a turn of the second part is the candidate's. */
static inline int way_trial_of_candidate(int turn) { return (turn - WAY_TURNS + 1) / 2 % 2; }

/* The way to be timed in this turn. Threads that take turns one after the other get all of them, unless they are a
 * multiple of SCHUSS_WAYS. */
static inline int way_trial_way(struct way_trial *t, int turn) {
    if (turn < WAY_TURNS) return turn % SCHUSS_WAYS;
    return way_trial_of_candidate(turn) ? atomic_load_explicit(&t->candidate, memory_order_relaxed) : 0;
}

static inline float way_median(const float *times, int n) {
    float sorted[WAY_SAMPLES_AGAIN];
    for (int i = 0; i < n; i++) {
        int k = i;
        for (; k > 0 && sorted[k - 1] > times[i]; k--) sorted[k] = sorted[k - 1];
        sorted[k] = times[i];
    }
    return sorted[n / 2];
}

static inline void way_trial_choose(struct way_trial *t, int way) {
    atomic_store_explicit(&t->chosen, 1 + way, memory_order_relaxed);
}

/* The turn took so long. Who notes the last one decides. */
static inline void way_trial_note(struct way_trial *t, int turn, float time) {
    if (turn < WAY_TURNS) t->time[way_trial_way(t, turn)][turn / SCHUSS_WAYS] = time;
    else t->again[way_trial_of_candidate(turn)][(turn - WAY_TURNS) / 2] = time;
    const int noted = 1 + atomic_fetch_add_explicit(&t->noted, 1, memory_order_acq_rel);
    if (noted == WAY_TURNS) {
        int best = 0;
        float times[SCHUSS_WAYS];
        for (int way = 0; way < SCHUSS_WAYS; way++) {
            times[way] = way_median(t->time[way], WAY_SAMPLES);
            if (times[way] < times[best]) best = way;
        }
        if (times[best] < 0.98f * times[0]) atomic_store_explicit(&t->candidate, best, memory_order_release);
        else way_trial_choose(t, 0);
    }
    if (noted == WAY_TURNS + WAY_TURNS_AGAIN) {
        const float first = way_median(t->again[0], WAY_SAMPLES_AGAIN), other = way_median(t->again[1], WAY_SAMPLES_AGAIN);
        /* Not for noise: what is best of several by chance is seldom so twice. */
        way_trial_choose(t, other < 0.97f * first ? atomic_load_explicit(&t->candidate, memory_order_relaxed) : 0);
    }
}

/* Of steps whose parameters have so many bytes in all, on this thread: a trial for each rule and kind of arrays.
 * There are others for other sizes, and for one thread and several. NULL: all is near the CPU, and way 0 right. */
struct distance_trials *optimizer_trials(ptrdiff_t bytes);

/* A step over a piece of an array, in the way that its rule's trial has chosen; or, while `trying`, in those that are to
 * be timed. */
void optimizer_step_far(const struct kernels *kernels, struct distance_trials *trials, int trying,
                        const struct schuss_segment *piece, const struct rule_constants *c, int *nonfinite);

#endif
