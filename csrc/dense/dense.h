/* Dense kernels over several threads. Inside the core only. */
#ifndef SCHUSS_DENSE_H
#define SCHUSS_DENSE_H

#include "../kernels.h"

/* The whole product g on up to `threads` threads; scratch: dense_gemm_scratch bytes for g's m, n, k and kind of end
 * and at least so many threads. Returns what g's consume() returned, or'ed. */
int dense_gemm(const struct kernels *kernels, const struct gemm *g, int threads, char *scratch);
ptrdiff_t dense_gemm_scratch(const struct kernels *kernels, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, int end_kind,
                             int threads);


/* The sum of the rows' losses, in a fixed order. */
double dense_loss_sum(ptrdiff_t rows, const double *values);

#endif
