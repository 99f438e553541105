/* The arrays of MATRIX rules. Inside the core only. */
#ifndef SCHUSS_ARRAYS_H
#define SCHUSS_ARRAYS_H

#include "../kernels.h"
#include "../pool.h"

/* Nanoseconds, roughly, of all of them on one thread; 0: there are none. */
double optimizer_arrays_time(const struct schuss_step *step);
/* Makes the member's part of them. Returns 1 if it met a gradient that is not finite. */
int optimizer_update_arrays(const struct schuss_step *step, const struct kernels *kernels, double norm_factor,
                            struct team *me);

#endif
