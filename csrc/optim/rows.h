/* Steps of some rows of an array. Inside the core only. */
#ifndef SCHUSS_OPTIM_ROWS_H
#define SCHUSS_OPTIM_ROWS_H

#include "pieces.h"

/* Bytes of scratch for rows of `cols` elements, at most ROWS_SCRATCH. */
enum { ROWS_BLOCK = 4096 /* bytes of one array */, ROWS_SCRATCH = (1 + SCHUSS_MAX_STATES + SCHUSS_MAX_AVERAGES) * ROWS_BLOCK };
ptrdiff_t rows_scratch(int dtype, ptrdiff_t cols);

/* A step of n rows of the segment's array, p[rows x cols]: row index[k] by the gradient g + k cols elements. The rows are
 * different ones, each in [0, rows), in any order. Of the segment p, cols, the states and the averages are read, not g,
 * n and index. g is written only to zero it, if the constants say so. scratch: rows_scratch(cols) bytes, 64-byte aligned.
 * Sets *nonfinite if a gradient is not finite.
 *
 * Each row gets the bits that kernels->step gives it by itself, whatever the order and however the rows are cut into
 * calls. Nothing else of the array and its states is read or written, so threads may step different rows at once. */
void rows_step(const struct kernels *kernels, const struct schuss_segment *s, const struct rule_constants *c, ptrdiff_t n,
               const int64_t *index, void *g, void *scratch, int *nonfinite);

#endif
