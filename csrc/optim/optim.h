/* Pieces of an optimizer step, for those who have gradients before all are there. Inside the core only. */
#ifndef SCHUSS_OPTIM_H
#define SCHUSS_OPTIM_H

#include "../kernels.h"

/* What kernels->step takes for parameters of g in this step. norm_factor: of clipping by the global norm; 1: none. */
struct rule_constants optimizer_constants(const struct schuss_step *step, const struct schuss_group *g,
                                          double norm_factor);

/* Whether the step may be made a piece at a time, in any order: nothing needs all gradients first. */
int optimizer_takes_pieces(const struct schuss_step *step);

#endif
