/* The arrays of MATRIX rules. Inside the core only. */
#ifndef SCHUSS_ARRAYS_H
#define SCHUSS_ARRAYS_H

#include "../kernels.h"
#include "../pool.h"

/* Nanoseconds, roughly, that one thread takes for all of them; 0: there are none. */
double optimizer_arrays_time(const struct schuss_step *step);
/* The member's part of them; 1 if a gradient is not finite. */
int optimizer_update_arrays(const struct schuss_step *step, const struct kernels *kernels, double norm_factor,
                            struct team *me);

#endif
