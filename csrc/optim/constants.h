/* The constants of a step. Inside the core only. */
#ifndef SCHUSS_CONSTANTS_H
#define SCHUSS_CONSTANTS_H

#include "../kernels.h"

/* Moves what the groups remember on to step t, by one thread. For the same t it begins with step t - 1 again. */
void optimizer_advance(const struct schuss_step *step);
/* Whether a rule here remembers anything. */
int optimizer_remembers(const struct schuss_step *step);

/* What kernels->step takes for parameters of group number `group` in step number t, after optimizer_prepare.
 * norm_factor: of clipping by the global norm; 1: none. */
void optimizer_constants(const struct schuss_step *step, int group, int64_t t, double norm_factor,
                         struct rule_constants *constants);

#endif
