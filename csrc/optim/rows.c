/* Steps of some rows of an array. Rows of few elements are gathered into blocks that lie in L1, so that one call of the
 * rule steps many; others are stepped where they lie. */
#include "rows.h"

#include "block.h"

enum {
    GATHERED = 256, /* Rows of at most so many bytes are gathered. */
    AHEAD = 4,      /* Of others, the row so many rows ahead is fetched, */
    FETCHED = 1024, /* at most so many bytes of it: then the hardware sees where it goes. */
    LINE = 64
};

ptrdiff_t rows_scratch(int dtype, ptrdiff_t cols) {
    (void)dtype;
    (void)cols;
    return ROWS_SCRATCH;
}

/* Brings `bytes` of an array, from byte `from` on, into cache. */
static void fetch(const void *array, ptrdiff_t from, ptrdiff_t bytes) {
    const char *x = (const char *)array + from;
    for (ptrdiff_t i = 0; i < bytes; i += LINE) __builtin_prefetch(x + i, 1, 3);
    __builtin_prefetch(x + bytes - 1, 1, 3); /* The row may end in a line that the loop has not met. */
}

/* Steps rows where they lie. Rows ahead are fetched, since the hardware cannot know where they lie. */
static void step_in_place(const struct kernels *kernels, const struct schuss_segment *s, const struct rule_constants *c,
                          ptrdiff_t n, const int64_t *index, char *g, int *nonfinite) {
    const ptrdiff_t size = s->cols * kernels->item, bytes = size < FETCHED ? size : FETCHED;
    const int by_row = optimizer_rules[c->rule]->by_row;
    for (ptrdiff_t k = 0; k < n; k++) {
        if (k + AHEAD < n) {
            const int64_t ahead = index[k + AHEAD];
            fetch(s->p, ahead * size, bytes);
            for (int i = 0; i < SCHUSS_MAX_STATES; i++)
                if (s->s[i]) fetch(s->s[i], by_row ? ahead * kernels->item : ahead * size, by_row ? kernels->item : bytes);
        }
        struct schuss_segment row = segment_rows(s, by_row, s->cols, index[k], 1, kernels->item);
        row.g = g + k * size;
        step_rows(kernels, &row, c, nonfinite);
    }
}

static void step_gathered(const struct kernels *kernels, const struct schuss_segment *s, const struct rule_constants *c,
                          ptrdiff_t n, const int64_t *index, char *g, char *scratch, int *nonfinite) {
    struct block b;
    block_of(&b, s, c->rule, kernels->item, scratch);
    for (ptrdiff_t k = 0; k < n; k += b.most) {
        const ptrdiff_t rows = n - k < b.most ? n - k : b.most;
        fill_block(&b, rows, index + k);
        b.here.n = rows * s->cols;
        b.here.g = g + k * s->cols * kernels->item;
        step_rows(kernels, &b.here, c, nonfinite);
        empty_block(&b, rows, index + k);
    }
}

static int is_gathered(const struct kernels *kernels, const struct schuss_segment *s) {
    return s->cols * kernels->item <= GATHERED;
}

void rows_step(const struct kernels *kernels, const struct schuss_segment *s, const struct rule_constants *c, ptrdiff_t n,
               const int64_t *index, void *g, void *scratch, int *nonfinite) {
    if (s->cols == 0) return;
    if (is_gathered(kernels, s)) step_gathered(kernels, s, c, n, index, g, scratch, nonfinite);
    else step_in_place(kernels, s, c, n, index, g, nonfinite);
}

void rows_stepped(const struct schuss_segment *s, int64_t t, ptrdiff_t n, const int64_t *index) {
    for (ptrdiff_t k = 0; k < n; k++) s->last[index ? index[k] : k] = t;
}
