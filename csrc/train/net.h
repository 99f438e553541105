/* The network's backward pass with the update in it. Inside the core only. */
#ifndef SCHUSS_NET_H
#define SCHUSS_NET_H

#include "../optim/optim.h"

/* An optimizer step made while the gradients are born: each finished block goes through the rule and never to memory. */
struct net_update {
    struct schuss_step *step;
    const int *segments; /* [2 n_layers] the segment of each layer's weights and bias; -1: not updated */
    int nonfinite;       /* set if a gradient was not finite */
    /* constants of the group looked at last */
    int known, group;
    struct rule_constants constants;
};

/* schuss_backward; with u the gradients are not stored but applied, layer by layer. */
void net_backward(const struct schuss_net *net, struct schuss_plan *plan, const void *x, ptrdiff_t ldx,
                  ptrdiff_t rows, int flags, void *dout, void *dx, struct net_update *u);

#endif
