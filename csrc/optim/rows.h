/* Steps of some rows of an array, and what they have missed. Inside the core only. */
#ifndef SCHUSS_OPTIM_ROWS_H
#define SCHUSS_OPTIM_ROWS_H

#include "pieces.h"

enum {
    ROWS_BLOCK = 4096,     /* Bytes of each array that are worked on at a time. */
    ROWS_TOGETHER = 256,   /* Rows that are caught up together, at most. */
    ROWS_ARRAYS = 1 + SCHUSS_MAX_STATES + SCHUSS_MAX_AVERAGES,
    ROWS_SCRATCH = (ROWS_ARRAYS + 1) * ROWS_BLOCK
};

/* Bytes of scratch that the functions here need for rows of `cols` elements: at most ROWS_SCRATCH. */
ptrdiff_t rows_scratch(int dtype, ptrdiff_t cols);

/* A step of n rows of the segment's array, p[rows x cols]: row index[k] by the gradient g + k cols elements. The rows are
 * different ones, each in [0, rows), in any order. Of the segment p, cols, the states and the averages are read, not g,
 * n and index. g is written only to zero it, if the constants say so. scratch: rows_scratch(cols) bytes, 64-byte aligned.
 * Sets *nonfinite if a gradient is not finite. For rules of which schuss_rule_by_rows() is 1.
 *
 * Each row gets the bits that it would get in a step by itself, whatever the order and however the rows are cut into
 * calls. Nothing else of the array and its states is read or written, so threads may step different rows at once.
 * s->last is neither read nor written: of exact groups, rows have to be caught up before, and rows_stepped() told. */
void rows_step(const struct kernels *kernels, const struct schuss_segment *s, const struct rule_constants *c, ptrdiff_t n,
               const int64_t *index, void *g, void *scratch, int *nonfinite);

/* ---- exact groups: what rows have missed ---- */

/* What changes in a group's constants from step to step. */
struct rows_move {
    double step_size, sqrt_correction, keep, l2, l1, velocity, one_minus_dampening, offset;
    int first, negative; /* negative: the gradient that is zero is -0 */
};

/* The constants of a group's steps first, first + 1, ..., first + n - 1. No row of the group's arrays is of a step before
 * first - 1: they were all brought up to date when the history began. */
enum { ROWS_HISTORY = 1 << 16 /* steps; then all rows are brought up to date, and the history begins anew: 5 MB */ };
struct rows_history {
    int64_t first;
    ptrdiff_t n;
    int64_t moved;       /* the last step that changes rows without a gradient; 0: none */
    int64_t literal;     /* the last one that has to be made as it is, since it has no closed form; 0: none */
    int64_t latest;      /* the last one that alone has the result of all before it (FTRL); 0: none */
    ptrdiff_t window;    /* so many missed steps are made as they are; the closed form is for those after them */
    struct rule_constants base;
    struct rows_move moves[ROWS_HISTORY];
};

/* A history without steps. The first to be added has number t; all rows are of step t - 1. */
void rows_history_begin(struct rows_history *h, int64_t t);
/* Adds the next step, which had the constants c. 0: it is not added, as there is no room or a setting has changed (a beta,
 * eps, ...): then bring all rows of the group up to step first + n - 1, begin the history with first + n, and add again,
 * which succeeds. */
int rows_history_add(struct rows_history *h, const struct rule_constants *c);

/* Brings rows index[n], which are different ones, from the steps that they are of (s->last) to step t, which is that
 * before the next to be added to the history: as if all steps between had had gradients of zero. index NULL: rows
 * [0, n); segment_rows() makes segments of other ranges. Of the segment p, cols, the states, the averages (which are not
 * written) and `last` are used. scratch as above.
 *
 * Up to h->window missed steps, at least 1024, are made one by one with their own constants: the dense run's bits. So are
 * all, where there is no closed form: coupled decay but in SGD, penalties, l2_shrinkage, eps 0. After h->window steps the
 * others are made in closed form, in double: each element is then off by at most as many roundings as steps were
 * missed, and by 1e-40 of what momenta were. FTRL has the dense run's bits always, and so has all that stands still
 * without a gradient: SGD without momentum, AdaGrad and RowAdaGrad, without decay.
 *
 * The bits of a row depend on s->last and the history alone, not on the order of rows or how they are cut into calls.
 * Threads may catch up different rows at once. Denormals have to be flushed, as in all kernels. */
void rows_catch_up(const struct kernels *kernels, const struct schuss_segment *s, const struct rows_history *h, int64_t t,
                   ptrdiff_t n, const int64_t *index, void *scratch);

/* Notes that rows index[n] have made step t. index NULL: rows [0, n). */
void rows_stepped(const struct schuss_segment *s, int64_t t, ptrdiff_t n, const int64_t *index);

/* The history of a group of a step, which has some; see schuss_histories_bytes(). NULL: the group is not exact. */
struct rows_history *rows_history_of(const struct schuss_step *step, int group);
/* Before step->t is made: a history that ends elsewhere, since steps were made without it, begins anew. All rows are up to
 * date then, as they have to be whenever steps are made without it. */
void rows_histories_follow(struct schuss_step *step);
/* After step->t was made, with its groups as they were in it: adds it to the histories. */
void rows_histories_add(struct schuss_step *step);

#endif
