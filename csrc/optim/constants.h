/* The constants of a step. Inside the core only. */
#ifndef SCHUSS_CONSTANTS_H
#define SCHUSS_CONSTANTS_H

#include "../kernels.h"

/* Clocks of a step, and of one of them its group and the number that step t has there. */
static inline int clocks_of(const struct schuss_step *step) { return step->clocks ? step->n_clocks : step->n_groups; }
static inline int clock_group(const struct schuss_step *step, int clock) {
    return step->clocks ? step->clocks[clock].group : clock;
}
static inline int64_t clock_time(const struct schuss_step *step, int clock, int64_t t) {
    return step->clocks ? t - step->clocks[clock].behind : t;
}

/* Moves what the clocks remember on to step t, by one thread. For the same t it begins with step t - 1 again. Clocks none
 * of whose arrays is in the step stay at step t - 1. */
void optimizer_advance(const struct schuss_step *step);
/* Whether a rule here remembers anything. */
int optimizer_remembers(const struct schuss_step *step);

/* What kernels->step takes for parameters of clock number `clock` in step number t of the optimizer, after
 * optimizer_prepare. norm_factor: of clipping by the global norm; 1: none. */
void optimizer_constants(const struct schuss_step *step, int clock, int64_t t, double norm_factor,
                         struct rule_constants *constants);

/* How much of the parameters of step t goes into an average; 0: nothing. */
double optimizer_average_weight(const struct schuss_average *average, int64_t t);

#endif
