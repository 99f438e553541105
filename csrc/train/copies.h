/* Copies of parameters and states, to go back to after a divergence. Inside the core only. */
#ifndef SCHUSS_COPIES_H
#define SCHUSS_COPIES_H

#include "../pool.h"
#include "plan.h"

/* Makes the copies, if enough was done since the last ones. All members call it, at the start of an epoch: each copies
 * its own share of the bytes. */
void make_copies(struct schuss_train *t, struct team *me);

#endif
