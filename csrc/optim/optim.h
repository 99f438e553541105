/* Pieces of an optimizer step, for those who have gradients before all are there, and the step as a team makes it.
 * Inside the core only. */
#ifndef SCHUSS_OPTIM_H
#define SCHUSS_OPTIM_H

#include <stdatomic.h>

#include "../kernels.h"
#include "../pool.h"

/* Has to be called by one thread before the constants of any of its steps are asked for. */
void optimizer_prepare(const struct schuss_step *step);

/* What kernels->step takes for parameters of g in step number t. norm_factor: of clipping by the global norm; 1:
 * none. */
void optimizer_constants(const struct schuss_step *step, const struct schuss_group *g, int64_t t, double norm_factor,
                         struct rule_constants *constants);

/* Whether the step may be made a piece at a time, in any order: nothing needs all gradients first. */
int optimizer_takes_pieces(const struct schuss_step *step);

enum { OPTIMIZER_PARTS = 64 }; /* the norm is summed in this many parts, whatever the threads */

/* One step over all arrays, shared by all who make it. */
struct optimizer_walk {
    struct schuss_step *step;
    const struct kernels *kernels;
    ptrdiff_t total; /* elements in all */
    double norm_factor;
    double part[OPTIMIZER_PARTS];
    atomic_int nonfinite;
};

void optimizer_walk_begin(struct optimizer_walk *w, struct schuss_step *step);

/* schuss_optimizer_step by a team, each member with its own `me`; w has begun and all gradients are there. What the
 * others updated may be read after team_wait, as w->nonfinite. Sets neither step->t nor step->nonfinite. */
int optimizer_walk_member(struct optimizer_walk *w, struct team *me);

#endif
