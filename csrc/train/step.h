/* One training step, as a team makes it. Inside the core only. */
#ifndef SCHUSS_STEP_H
#define SCHUSS_STEP_H

#include "batch.h"
#include "net.h"

enum {
    START_WORTH_A_THREAD = 10000 /* nanoseconds: half of the shortest work that a thread is called for */
};

/* What the members of a team share. */
struct run {
    struct schuss_train *t;
    int at_birth;              /* the update is made where gradients are born */
    struct schuss_segment whole; /* all arrays as one, if one thread may update them so; n = 0: not */
    int sets_rates;            /* rates, decays or dropouts change from step to step, or a rule's constants depend on steps before */
    int wanted, came;          /* members that were asked for, and that came */
    double step_time;          /* nanoseconds on one thread, roughly */
    int looks;                 /* steps between looks at the clock */
    int64_t deadline;          /* to stop at, after a whole step */
    const _Atomic(int64_t) *hurry; /* another one, which others may bring forward; NULL: none */
    int stop;
    int status;
    struct optimizer_walk walk;
    atomic_int nonfinite;
};

struct run run_of(struct schuss_train *t);

/* Sets what constants depend on, for the step at `position` and its batch b: the learning rate and the weight decay of
 * every group, what probabilities of dropout are multiplied by, the gradient of the penalty, and what rules remember. Member 0 calls it alone, before the others compute constants. */
void step_set_rates(const struct schuss_train *t, const struct batch *b, ptrdiff_t position);
/* Gathers a batch and runs it forward: number `draw` of all training passes. Returns where the network's value lies, of
 * which the member may read its own rows. */
const void *step_begin(const struct schuss_train *t, struct batch *b, ptrdiff_t position, uint64_t draw,
                       struct team *me);
/* The losses of the member's own rows, and their gradients. */
void step_losses(const struct schuss_train *t, const struct batch *b, const void *output, struct team *me);
/* The batch's mean loss, from those of all its rows, once all members are through with theirs. */
double step_loss(const struct schuss_train *t, const struct batch *b);
/* The first part of the backward pass, see net_enter_backward(). */
void step_enter(const struct schuss_train *t, const struct batch *b, struct team *me);
/* The rest of the backward pass and the update, once the batch's loss is known and the first part of the backward pass
 * is made. Returns SCHUSS_OK or SCHUSS_NONFINITE. */
int step_end(struct run *run, const struct batch *b, ptrdiff_t position, struct births *births, struct team *me);
/* Counts the step, once all members are through with it. Member 0 calls it alone. */
void step_count(struct run *run, const struct batch *b, double loss);
int step_found_nonfinite(const struct run *run);

#endif
