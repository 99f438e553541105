/* Dense kernels over several threads. Inside the core only. */
#ifndef SCHUSS_DENSE_H
#define SCHUSS_DENSE_H

#include "../kernels.h"

/* The whole product g on up to `threads` threads; scratch: threads * scratch_each bytes, scratch_each at least
 * kernels->gemm_scratch(g's m, n, k). */
void dense_gemm(const struct kernels *kernels, const struct gemm *g, int threads, char *scratch,
                ptrdiff_t scratch_each);

/* kernels->dropout over n elements from 0. */
void dense_dropout(const struct kernels *kernels, int threads, ptrdiff_t n, double probability, uint64_t seed,
                   uint32_t layer, uint64_t draw, const void *x, void *mask, void *y);

#endif
