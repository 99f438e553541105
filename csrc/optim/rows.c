/* Steps of some rows of an array. Rows of few elements are gathered into blocks that lie in L1, so that one call of the
 * rule steps many; others are stepped where they lie. */
#include "rows.h"

#include "block.h"

enum {
    GATHERED = 256, /* Rows of at most so many bytes, those of the states counted, are gathered. */
    AHEAD = 4,      /* Of others, the row so many rows ahead is fetched, */
    FETCHED = 1024  /* at most so many bytes of it: then the hardware sees where it goes. */
};

ptrdiff_t rows_scratch(int dtype, ptrdiff_t cols) {
    (void)dtype;
    (void)cols;
    return ROWS_SCRATCH;
}

/* Steps rows where they lie. Rows ahead are fetched, since the hardware cannot know where they lie. */
static void step_in_place(const struct kernels *kernels, const struct schuss_segment *s, const struct rule_constants *c,
                          ptrdiff_t n, const int64_t *index, char *g, int *nonfinite) {
    const ptrdiff_t cols = s->cols, size = cols * kernels->item, bytes = size < FETCHED ? size : FETCHED;
    const ptrdiff_t of_gradient = cols * gradient_bytes(s, kernels->item);
    const int by_row = optimizer_rules[c->rule]->by_row;
    const rows_stepper step = stepper_of(kernels, c);
    for (ptrdiff_t k = 0; k < n; k++) {
        if (!s->stored && k + AHEAD < n) {
            const int64_t ahead = index[k + AHEAD];
            fetch(s->p, ahead * size, bytes);
            for (int i = 0; i < SCHUSS_MAX_STATES; i++)
                if (s->s[i]) fetch(s->s[i], by_row ? ahead * kernels->item : ahead * size, by_row ? kernels->item : bytes);
        }
        struct schuss_segment row = by_row ? segment_rows(s, 1, cols, index[k], 1, kernels->item)
                                           : segment_piece(s, index[k] * cols, (index[k] + 1) * cols, kernels->item);
        row.g = g + k * of_gradient;
        step(&row, c, nonfinite);
    }
}

static void step_gathered(const struct kernels *kernels, const struct schuss_segment *s, const struct rule_constants *c,
                          ptrdiff_t n, const int64_t *index, char *g, char *scratch, int *nonfinite) {
    struct block b;
    block_of(&b, s, c->rule, kernels->item, scratch);
    fetch_block(&b, n < b.most ? n : b.most, index);
    for (ptrdiff_t k = 0; k < n; k += b.most) {
        const ptrdiff_t rows = n - k < b.most ? n - k : b.most, after = n - k - rows;
        fill_block(&b, rows, index + k);
        fetch_block(&b, after < b.most ? after : b.most, index + k + rows);
        b.here.n = rows * s->cols;
        b.here.g = g + k * s->cols * kernels->item;
        stepper_of(kernels, c)(&b.here, c, nonfinite);
        empty_block(&b, rows, index + k);
    }
}

/* Wide rows that come from memory are copied at half the speed at which the rule itself goes over them. */
static int is_gathered(const struct kernels *kernels, const struct schuss_segment *s, int by_row) {
    int arrays = 1;
    if (s->stored) return 0;
    for (int k = 0; k < SCHUSS_MAX_STATES && !by_row; k++) arrays += s->s[k] != NULL;
    return arrays * s->cols * kernels->item <= GATHERED;
}

void rows_step(const struct kernels *kernels, const struct schuss_segment *s, const struct rule_constants *c, ptrdiff_t n,
               const int64_t *index, void *g, void *scratch, int *nonfinite) {
    if (s->cols == 0) return;
    if (is_gathered(kernels, s, optimizer_rules[c->rule]->by_row)) step_gathered(kernels, s, c, n, index, g, scratch, nonfinite);
    else step_in_place(kernels, s, c, n, index, g, nonfinite);
}

void rows_stepped(const struct schuss_segment *s, int64_t t, ptrdiff_t n, const int64_t *index) {
    for (ptrdiff_t k = 0; k < n; k++) s->last[index ? index[k] : k] = t;
}
