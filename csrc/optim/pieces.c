/* Arrays cut into pieces. */
#include "pieces.h"

static void *at(void *array, ptrdiff_t element, ptrdiff_t item) {
    return array ? (char *)array + element * item : NULL;
}

struct schuss_segment segment_piece(const struct schuss_segment *s, ptrdiff_t from, ptrdiff_t to, ptrdiff_t item) {
    if (s->stored) {
        struct schuss_segment piece = *s;
        piece.n = to - from;
        piece.g = s->g ? stored_at(s->stored->g, s->g, from) : NULL;
        piece.first = s->first + from;
        return piece;
    }
    struct schuss_segment piece = {.n = to - from, .p = at(s->p, from, item), .g = at(s->g, from, item)};
    for (int k = 0; k < SCHUSS_MAX_STATES; k++) piece.s[k] = at(s->s[k], from, item);
    for (int k = 0; k < SCHUSS_MAX_AVERAGES; k++) piece.average[k] = at(s->average[k], from, item);
    return piece;
}

struct schuss_segment segment_rows(const struct schuss_segment *s, int by_row, ptrdiff_t cols, ptrdiff_t first,
                                   ptrdiff_t rows, ptrdiff_t item) {
    struct schuss_segment piece = segment_piece(s, first * cols, (first + rows) * cols, item);
    for (int k = 0; by_row && k < SCHUSS_MAX_STATES; k++) piece.s[k] = at(s->s[k], first, item);
    piece.cols = cols;
    if (s->last) piece.last = s->last + first;
    return piece;
}

ptrdiff_t row_length(const struct schuss_segment *s) {
    ptrdiff_t n = s->ndim ? 1 : s->n;
    for (int k = 1; k < s->ndim; k++) n *= s->shape[k];
    return n;
}

ptrdiff_t step_row_length(const struct schuss_segment *s) { return s->index ? s->cols : row_length(s); }
