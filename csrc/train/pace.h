/* Whether a team or one thread makes a network's steps faster. It depends on how far apart the CPUs are and on who else
 * uses them, which no model knows: so both are timed now and then. What comes out is the same either way. */
#ifndef SCHUSS_PACE_H
#define SCHUSS_PACE_H

#include <stdint.h>

enum {
    PACE_TRY_NANOSECONDS = 400000,   /* that each of the two is tried for */
    PACE_HOLD_NANOSECONDS = 50000000 /* for which the faster is then kept */
};

enum pace_phase { PACE_TRY_TEAM, PACE_TRY_ALONE, PACE_HOLD };

struct pace {
    int phase, alone; /* alone: what is held */
    int64_t spent;    /* nanoseconds in this phase */
    double steps;     /* in this phase */
    double team;      /* nanoseconds a step of a team, when it was tried last */
};

/* Whether one thread is to make the next steps. */
static inline int pace_alone(const struct pace *p) { return p->phase == PACE_HOLD ? p->alone : p->phase == PACE_TRY_ALONE; }

/* Nanoseconds until that may change. */
static inline int64_t pace_left(const struct pace *p) {
    return (p->phase == PACE_HOLD ? PACE_HOLD_NANOSECONDS : PACE_TRY_NANOSECONDS) - p->spent;
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
    if (pace_left(p) > 0) return;
    const double each = (double)p->spent / p->steps;
    if (p->phase == PACE_TRY_TEAM) p->team = each;
    if (p->phase == PACE_TRY_ALONE) p->alone = each < p->team;
    pace_enter(p, (p->phase + 1) % (PACE_HOLD + 1));
}

/* A team had to wait for CPUs: it is not tried again so soon. */
static inline void pace_stalled(struct pace *p) {
    pace_enter(p, PACE_HOLD);
    p->alone = 1;
}

#endif
