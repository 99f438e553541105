/* A penalty on parameters, as a part of the loss. */
#include "penalty.h"

enum { PENALTY_BLOCK = 4096 /* elements of an array whose sums are one, whatever the threads */ };

ptrdiff_t schuss_penalty_sums(const struct schuss_step *step, int group) {
    ptrdiff_t blocks = 0;
    for (int i = 0; i < step->n_segments; i++)
        if (step->segments[i].group == group) blocks += (step->segments[i].n + PENALTY_BLOCK - 1) / PENALTY_BLOCK;
    return blocks;
}

void penalty_own(const struct schuss_train *t, const struct team *me) {
    const struct schuss_penalty *penalty = t->penalty;
    const struct kernels *kernels = t->plan->kernels;
    ptrdiff_t block = 0;
    for (int i = 0; penalty && i < t->step->n_segments; i++) {
        const struct schuss_segment *s = &t->step->segments[i];
        for (ptrdiff_t j = 0; s->group == penalty->group && j < s->n; j += PENALTY_BLOCK, block++) {
            if (block % me->count != me->index) continue;
            const ptrdiff_t n = s->n - j < PENALTY_BLOCK ? s->n - j : PENALTY_BLOCK;
            const void *p = (const char *)s->p + j * kernels->item;
            double sum = 0;
            if (penalty->l2 != 0) sum += penalty->l2 / 2 * kernels->sum_squares(n, p, 1, 0);
            if (penalty->l1 != 0) sum += penalty->l1 * kernels->sum_absolute(n, p);
            penalty->sums[block] = sum;
        }
    }
}

double penalty_of(const struct schuss_train *t, double total) {
    if (!t->penalty || total == 0) return 0;
    double sum = 0;
    const ptrdiff_t blocks = schuss_penalty_sums(t->step, t->penalty->group);
    for (ptrdiff_t i = 0; i < blocks; i++) sum += t->penalty->sums[i];
    return sum / total;
}
