/* Copies of parameters and states, to go back to after a divergence. Inside the core only. */
#ifndef SCHUSS_KEEP_H
#define SCHUSS_KEEP_H

#include "../pool.h"
#include "plan.h"

/* At the start of an epoch, by all members: takes the copies, if enough was done since the last time. */
void keep_copies(struct schuss_train *t, struct team *me);

#endif
