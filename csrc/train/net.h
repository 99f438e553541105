/* A network's passes as a team makes them: every member calls these with its own `me`. Inside the core only. */
#ifndef SCHUSS_NET_H
#define SCHUSS_NET_H

#include "../optim/optim.h"
#include "../pool.h"
#include "plan.h"

/* Who may read what has just been computed: everybody, as after team_wait; each member its own rows; or nobody yet
 * but its maker. */
enum spread { COMPLETE, OWN_ROWS, SCATTERED };

/* The rows of a batch that are the member's own. */
struct share {
    ptrdiff_t first, end;
};
struct share own_rows(ptrdiff_t rows, const struct team *me);

/* Waits unless the member's own rows are there already. */
void need_own_rows(enum spread *spread, struct team *me);

/* An optimizer step made while the gradients are born, as one member knows it: each finished block goes through the
 * rule and never to memory. */
struct net_update {
    const struct schuss_step *step;
    int64_t t;
    const int *segments; /* [2 n_layers] the segment of each layer's weights and bias; -1: not updated */
    int nonfinite;       /* set if a gradient was not finite */
    int group;           /* the group looked at last, and its constants */
    struct rule_constants constants;
};

/* For step number t. Best called long before net_backward: constants take a chain of slow operations, which others may
 * overlap. */
void net_update_begin(struct net_update *u, const struct schuss_step *step, int64_t t, const int *segments);

/* What a batch is read from: x[rows x n_in], ld elements a row; or of compressed rows those order[0], order[1], ... */
struct net_input {
    const void *x;
    ptrdiff_t ld;
    const struct schuss_compressed *compressed;
    const int64_t *order;
};

/* schuss_forward of the input, spread as *spread says; returns where the output lies, spread as *spread then
 * says. */
void *net_forward(const struct schuss_net *net, const struct schuss_plan *plan, const struct net_input *input,
                  ptrdiff_t rows, int flags, uint64_t draw, void *out, enum spread *spread, struct team *me);

/* schuss_backward in two parts, with team_wait between them. The first needs the member's own rows of dout; the second
 * needs the output of the first everywhere, and with u does not store the gradients but applies them. */
void net_enter_backward(const struct schuss_net *net, const struct schuss_plan *plan, ptrdiff_t rows, int flags,
                        void *dout, void *dx, struct team *me);
void net_backward(const struct schuss_net *net, const struct schuss_plan *plan, const struct net_input *input,
                  ptrdiff_t rows, void *dout, void *dx, struct net_update *u, struct team *me);

/* Threads that a pass of so many nanoseconds on one may have, by what the plan has room for and the caller may use. */
int net_threads(const struct schuss_plan *plan, double nanoseconds, double worth);
/* How long work of so many nanoseconds in all, the first part of which cannot be shared later, may wait for them to
 * come. */
int64_t net_patience(double all, double first);

#endif
