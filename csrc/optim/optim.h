/* The step as a team makes it, and pieces of it for those who have gradients before all are there. Inside the core
 * only. */
#ifndef SCHUSS_OPTIM_H
#define SCHUSS_OPTIM_H

#include <stdatomic.h>

#include "../kernels.h"
#include "../pool.h"
#include "constants.h"
#include "pieces.h"
#include "power.h"
#include "rule.h"

/* Whether the step may be made a piece at a time, in any order: nothing needs all gradients first. */
int optimizer_goes_by_pieces(const struct schuss_step *step);

/* The global norm is summed in so many parts, whatever the threads. */
enum { OPTIMIZER_PARTS = 64 };

/* One step over all arrays, shared by all who make it. */
struct optimizer_walk {
    struct schuss_step *step;
    const struct kernels *kernels;
    ptrdiff_t total;     /* Elements in all. */
    ptrdiff_t by_pieces; /* Elements of arrays that no MATRIX rule steps whole. */
    ptrdiff_t left;      /* Of these, elements of arrays that have been measured and are not done. */
    double part[OPTIMIZER_PARTS];
    int measures;        /* 1: a rule needs sums. */
    double arrays_time;  /* Nanoseconds, roughly, of all arrays of MATRIX rules on one thread; 0: there are none. */
    struct distance_trials *trials; /* Of ways to walk over large arrays; NULL: there are none. */
    int status;
    atomic_int nonfinite;
};

void optimizer_walk_begin(struct optimizer_walk *w, struct schuss_step *step);

/* schuss_optimizer_step by a team, each member with its own `me`; w has begun and all gradients are there. What the
 * others updated may be read after team_wait, as w->nonfinite. Sets neither step->t nor step->nonfinite. */
int optimizer_walk_member(struct optimizer_walk *w, struct team *me);

/* Of `threads`, those that may make the step: there has to be scratch for each. */
int optimizer_threads(const struct optimizer_walk *w, int threads);

#endif
