/* Arrays that have no gradient in a step, and clocks that fall behind. Inside the core only. */
#ifndef SCHUSS_CLOCKS_H
#define SCHUSS_CLOCKS_H

#include "../schuss.h"

/* Before a step in which arrays are absent: notes whose clocks go on. */
void clocks_present(struct schuss_step *step);

/* After step->t was made without some arrays: their averages go on, and their clocks fall behind. */
void clocks_leave_out(struct schuss_step *step);

#endif
