/* The dimensions of an array as SOAP has them, and which of them get a basis. */
#include "sides.h"

/* Neighbours in one, as long as that has at most so many elements. */
static int merged(double most, int n, const ptrdiff_t *shape, ptrdiff_t *size) {
    ptrdiff_t so_far = 1;
    int count = 0;
    for (int k = 0; k < n; k++) {
        if ((double)so_far * (double)shape[k] <= most) so_far *= shape[k];
        else if (so_far > 1) {
            size[count++] = so_far;
            so_far = shape[k];
        } else size[count++] = shape[k];
    }
    if (so_far > 1 || count == 0) size[count++] = so_far;
    return count;
}

int optimizer_sides(const struct schuss_group *g, const struct schuss_segment *s, struct side *sides) {
    ptrdiff_t size[SIDES], at = 0, outer = 1;
    int count = s->ndim < SIDES ? s->ndim : SIDES;
    if (g->merge_dims && count > 1) count = merged(g->max_precond_dim, count, s->shape, size);
    else
        for (int k = 0; k < count; k++) size[k] = s->shape[k];
    for (int k = 0; k < count; k++) {
        const int has = (double)size[k] <= g->max_precond_dim && (s->ndim > 1 || g->precondition_1d);
        sides[k] = (struct side){.outer = outer, .size = size[k], .inner = 1, .at = has ? at : -1};
        for (int before = 0; before < k; before++) sides[before].inner *= size[k];
        outer *= size[k];
        if (has) at += size[k] * size[k];
    }
    return count;
}

ptrdiff_t schuss_state_squares(const struct schuss_group *g, const struct schuss_segment *s) {
    struct side sides[SIDES];
    ptrdiff_t total = 0;
    if (g->rule != SCHUSS_SOAP) return 0;
    for (int k = optimizer_sides(g, s, sides); k-- > 0;)
        if (sides[k].at >= 0) total += sides[k].size * sides[k].size;
    return total;
}

ptrdiff_t schuss_state_side(const struct schuss_group *g, const struct schuss_segment *s, int dimension) {
    struct side sides[SIDES];
    if (dimension >= optimizer_sides(g, s, sides)) return -1;
    return sides[dimension].at >= 0 ? sides[dimension].size : 0;
}
