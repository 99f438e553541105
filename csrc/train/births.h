/* Gradients of parameters as they are born: into the arena of gradients, or through the optimizer's rule at once, while
 * they are in cache. Inside the core only. */
#ifndef SCHUSS_BIRTHS_H
#define SCHUSS_BIRTHS_H

#include "../kernels.h"
#include "../optim/optim.h"

/* An optimizer step made while the gradients are born, as one member knows it. */
struct births {
    const struct schuss_step *step;
    int64_t t;
    const int *segments; /* [arrays of the network] the segment of each; -1: not updated */
    int nonfinite;       /* set if a gradient was not finite */
    int group;           /* the group looked at last, and its constants */
    struct rule_constants constants;
};

/* For step number t. Best called long before the gradients: constants take a chain of slow operations, which others may
 * overlap. */
void births_begin(struct births *b, const struct schuss_step *step, int64_t t, const int *segments);

/* An array whose gradient goes through the rule block by block. */
struct birth {
    const struct kernels *kernels;
    const struct schuss_segment *segment;
    const struct rule_constants *constants;
    ptrdiff_t cols; /* of the array */
};

/* The array's place in the step. Constants are computed again only where the group changes: one array at a time. */
struct birth birth_of(struct births *b, const struct kernels *kernels, int array, ptrdiff_t cols);

/* The gradient of elements [first, first + n) of the array goes through the rule. Returns 1 if it is not finite. */
int birth_update(const struct birth *born, ptrdiff_t first, ptrdiff_t n, const void *gradient);

/* The end of a product whose result is the array's gradient; see struct tile_end. `born` has to live as long. */
struct tile_end birth_end(const struct birth *born);

#endif
