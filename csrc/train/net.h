/* A network's passes as a team makes them: every member calls these with its own `me`. Inside the core only. */
#ifndef SCHUSS_NET_H
#define SCHUSS_NET_H

#include "../optim/optim.h"
#include "../pool.h"
#include "plan.h"

/* What a pass brings from outside, the same for all members. */
struct outside {
    const struct schuss_input *inputs;
    int gathered;     /* 1: each member has just gathered its own rows of the inputs; 0: all were there before */
    ptrdiff_t rows;
    int flags;
    uint64_t draw;
    const struct schuss_train *train; /* NULL, or the training that rows are kept for, and brought up to date for */
    void *out;        /* NULL: the plan's own */
    void *const *dx;  /* NULL: none */
};

/* The forward pass. Returns where the network's value lies, of which the member may read its own rows. */
void *net_forward(struct schuss_plan *plan, const struct outside *outside, struct team *me);

/* Finds once more which rows of tables a batch touches, and waits: for a team that makes the backward pass alone. */
void net_group(struct schuss_plan *plan, const struct outside *outside, struct team *me);

/* The backward pass in two parts, with team_wait between them. The first needs the member's own rows of dout. The
 * second does not store gradients but applies them where births is not NULL. */
void net_enter_backward(struct schuss_plan *plan, const struct outside *outside, struct team *me);
void net_backward(struct schuss_plan *plan, const struct outside *outside, struct births *births, struct team *me);

/* How many threads a pass of so many nanoseconds on one gets: each has `worth` of them at least, and there are no more
 * than the plan has room for and the caller may use. */
int net_threads(const struct schuss_plan *plan, double nanoseconds, double worth);
/* How many nanoseconds a pass waits for threads to come before it begins without them. all: nanoseconds of the pass on
 * one thread. first: those of its first part, which threads that come later have no share in. */
int64_t net_patience(double all, double first);

#endif
