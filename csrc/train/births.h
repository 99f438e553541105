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
    const int *segments; /* [arrays of the network] the segment of each; -1: it is not updated */
    int nonfinite;       /* set if a gradient was not finite */
    int clock;           /* the clock looked at last, and its constants */
    struct rule_constants constants;
};

/* Begins step number t. It is best called long before gradients are born: constants are a chain of slow operations,
 * which the processor overlaps with what follows. */
void births_begin(struct births *b, const struct schuss_step *step, int64_t t, const int *segments);

/* An array whose gradient goes through the rule block by block. */
struct birth {
    const struct kernels *kernels;
    const struct schuss_segment *segment;
    const struct rule_constants *constants;
    ptrdiff_t cols; /* of the array */
};

/* The birth of an array's gradient. It points at constants that b holds, which change with the clock: the next call of
 * this may make it invalid. */
struct birth birth_of(struct births *b, const struct kernels *kernels, int array, ptrdiff_t cols);

/* Elements [first, first + n) of the array are updated by gradient[n]. Returns 1 if that is not finite. */
int birth_update(const struct birth *born, ptrdiff_t first, ptrdiff_t n, const void *gradient);

/* The same of rows index[n], all of them different. scratch: birth_rows_scratch() bytes. */
int birth_rows(const struct birth *born, ptrdiff_t n, const int64_t *index, const void *gradient, void *scratch);
ptrdiff_t birth_rows_scratch(int dtype, ptrdiff_t cols);

/* The end of a product whose result is the array's gradient; see struct tile_end. `born` has to live as long. */
struct tile_end birth_end(const struct birth *born);

#endif
