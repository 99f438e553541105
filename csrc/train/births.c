/* Gradients of parameters as they are born. */
#include "births.h"

#include "../optim/rows.h"

void births_begin(struct births *b, const struct schuss_step *step, int64_t t, const int *segments) {
    b->step = step;
    b->t = t;
    b->segments = segments;
    b->nonfinite = b->clock = 0;
    optimizer_constants(step, 0, t, 1, &b->constants);
}

struct birth birth_of(struct births *b, const struct kernels *kernels, int array, ptrdiff_t cols) {
    const struct schuss_segment *segment = &b->step->segments[b->segments[array]];
    if (segment->clock != b->clock) optimizer_constants(b->step, segment->clock, b->t, 1, &b->constants);
    b->clock = segment->clock;
    return (struct birth){kernels, segment, &b->constants, cols};
}

int birth_update(const struct birth *born, ptrdiff_t first, ptrdiff_t n, const void *gradient) {
    struct schuss_segment piece = segment_piece(born->segment, first, first + n, born->kernels->item);
    int nonfinite = 0;
    piece.g = (void *)(uintptr_t)gradient;
    born->kernels->step(&piece, born->constants, &nonfinite);
    return nonfinite;
}

ptrdiff_t birth_rows_scratch(int dtype, ptrdiff_t cols) { return rows_scratch(dtype, cols); }

int birth_rows(const struct birth *born, ptrdiff_t n, const int64_t *index, const void *gradient, void *scratch) {
    int nonfinite = 0;
    rows_step(born->kernels, born->segment, born->constants, n, index, (void *)(uintptr_t)gradient, scratch, &nonfinite);
    return nonfinite;
}

/* See struct tile_end. */
static int consume_block(void *context, ptrdiff_t row, ptrdiff_t col, ptrdiff_t rows, ptrdiff_t cols,
                         const void *block) {
    const struct birth *born = context;
    if (cols == born->cols) return birth_update(born, row * cols, rows * cols, block);
    int nonfinite = 0;
    for (ptrdiff_t i = 0; i < rows; i++)
        nonfinite |= birth_update(born, (row + i) * born->cols + col, cols,
                                  (const char *)block + i * cols * born->kernels->item);
    return nonfinite;
}

struct tile_end birth_end(const struct birth *born) {
    const struct schuss_segment *s = born->segment;
    struct tile_end end = {.kind = END_CONSUME, .consume = consume_block, .context = (void *)(uintptr_t)born};
    end.streams[end.n_streams++] = s->p;
    for (int k = 0; k < SCHUSS_MAX_STATES && s->s[k]; k++) end.streams[end.n_streams++] = s->s[k];
    return end;
}
