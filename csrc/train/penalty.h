/* A penalty on parameters, as a part of the loss. Its gradient is the optimizer's (penalty1, penalty2). Inside the core
 * only. */
#ifndef SCHUSS_PENALTY_H
#define SCHUSS_PENALTY_H

#include "../pool.h"
#include "plan.h"

/* Sums the penalty over the blocks of parameters that are the member's own, into penalty->sums. */
void penalty_own(const struct schuss_train *t, const struct team *me);
/* The penalty in the loss of a batch whose weights are `total`, once all blocks are summed. */
double penalty_of(const struct schuss_train *t, double total);

#endif
