/* Whether a team or one thread makes a network's steps faster. It depends on how far apart the CPUs are and on who else
 * uses them, which no model knows: so both are timed now and then. What comes out is the same either way. */
#ifndef SCHUSS_PACE_H
#define SCHUSS_PACE_H

#include <stdint.h>

enum { PACE_MISSES = 16 };
enum pace_phase { PACE_WARM_UP, PACE_TRY_TEAM, PACE_TRY_ALONE, PACE_HOLD, PACE_PHASES };

/* How long each phase takes. Before a team is timed its threads have to wake, and memory to be there. */
static const int64_t PACE_NANOSECONDS[PACE_PHASES] = {200000, 400000, 400000, 50000000};

struct pace {
    int phase, alone; /* alone: 1 if one thread makes the steps of PACE_HOLD, 0 if a team does */
    int misses;       /* teams in a row that lacked a member while they were to be timed */
    int64_t spent;    /* nanoseconds in this phase */
    double steps;     /* in this phase */
    double team;      /* nanoseconds a step of a team, when it was tried last */
};

/* Whether one thread is to make the next steps. */
static inline int pace_alone(const struct pace *p) {
    return p->phase == PACE_HOLD ? p->alone : p->phase == PACE_TRY_ALONE;
}

/* Nanoseconds until the answer of pace_alone() may change. */
static inline int64_t pace_left(const struct pace *p) {
    return PACE_NANOSECONDS[p->phase] - p->spent;
}

static inline void pace_enter(struct pace *p, int phase) {
    p->phase = phase;
    p->spent = 0;
    p->steps = 0;
}

/* So many steps were made as pace_alone() said. */
static inline void pace_count(struct pace *p, double steps, int64_t nanoseconds) {
    p->spent += nanoseconds;
    p->steps += steps;
    p->misses = 0;
    if (pace_left(p) > 0) return;
    const double each = (double)p->spent / p->steps;
    if (p->phase == PACE_TRY_TEAM) p->team = each;
    if (p->phase == PACE_TRY_ALONE) p->alone = each < 0.95 * p->team; /* not for noise */
    pace_enter(p, (p->phase + 1) % PACE_PHASES);
}

/* A team had to wait for CPUs: it is not tried again so soon. */
static inline void pace_stalled(struct pace *p) {
    pace_enter(p, PACE_HOLD);
    p->alone = 1;
    p->misses = 0;
}

/* A team made steps without some of its members. Their time says nothing; if members never come, one thread goes on. */
static inline void pace_missed(struct pace *p) {
    if (p->phase == PACE_HOLD) return;
    pace_enter(p, PACE_WARM_UP);
    if (++p->misses > PACE_MISSES) pace_stalled(p);
}

#endif
