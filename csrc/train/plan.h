/* Where a network's activations and gradients lie for up to so many rows. Inside the core only. */
#ifndef SCHUSS_PLAN_H
#define SCHUSS_PLAN_H

#include "../kernels.h"
#include "pace.h"

struct layer_buffers {
    void *out;   /* [rows x n_out] act(X W + b) */
    void *kept;  /* what act' is computed from: out itself, or the pre-activation */
    void *mask;  /* [rows x n_out] dropout's factors, or NULL */
    void *delta; /* [rows x n_out] gradient of the pre-activation; NULL in the last layer, which has dout */
    void *fed;   /* [rows x n_out] out * mask, what the next layer sees; out itself without dropout */
    ptrdiff_t ld; /* elements from row to row of each, and of the gradient */
};

struct schuss_plan {
    const struct kernels *kernels; /* those it was laid for: another level's may need more scratch */
    ptrdiff_t max_rows;
    int threads;
    int by_rows;    /* each thread takes its rows through all layers, forward and back, before any weight changes; else
                       all threads share each layer's product */
    struct pace pace; /* of training steps */
    void *dout;     /* [rows x n_out of the last layer] */
    char *scratch;  /* of the products: scratch_each bytes a thread */
    ptrdiff_t scratch_each;
    struct layer_buffers layers[];
};

/* Nanoseconds, roughly, that one thread takes for a pass forward over so many rows, and for a whole training step.
 * The same on all machines: threads are chosen by it. */
double plan_forward_time(const struct schuss_net *net, ptrdiff_t rows);
double plan_step_time(const struct schuss_net *net, ptrdiff_t rows);

#endif
