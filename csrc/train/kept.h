/* Rows of large tables as they were before steps touched them, to go back to after a divergence. Inside the core only. */
#ifndef SCHUSS_KEPT_H
#define SCHUSS_KEPT_H

#include "../pool.h"
#include "plan.h"

/* Keeps the member's own rows of a table that a batch touches, but for those that are kept already. */
void keep_rows(const struct schuss_train *t, const struct table *table, const struct team *me);
/* All copies are new: nothing is kept but what this batch touches. All members call it. */
void keep_anew(const struct schuss_train *t, struct team *me);
/* Whether all have room for another step. */
int keeps_have_room(const struct schuss_train *t);

#endif
