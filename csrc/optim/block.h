/* Copies of rows of an array and its states, side by side, so that one call of a rule steps them all. Inside the core
 * only. */
#ifndef SCHUSS_OPTIM_BLOCK_H
#define SCHUSS_OPTIM_BLOCK_H

#include <string.h>

#include "rows.h"

/* A call of the rule, for whole rows. */
static inline void step_rows(const struct kernels *kernels, const struct schuss_segment *rows, const struct rule_constants *c,
                      int *nonfinite) {
    (optimizer_rules[c->rule]->by_row ? kernels->by_row : kernels->step)(rows, c, nonfinite);
}

/* A block of copies of rows: the segment whose rows they are, the copies as a segment, and each array that a step
 * writes in both, with the bytes that it has a row. */
struct block {
    struct schuss_segment there, here;
    int arrays;
    struct pair {
        char *there, *here;
        ptrdiff_t size;
    } pair[ROWS_ARRAYS];
    ptrdiff_t most; /* rows that there is room for */
};

static inline void add_array(struct block *b, void *there, void **here, ptrdiff_t size, char *scratch) {
    if (!there) return;
    *here = scratch + b->arrays * ROWS_BLOCK;
    b->pair[b->arrays++] = (struct pair){.there = there, .here = *here, .size = size};
}

static inline void block_of(struct block *b, const struct schuss_segment *s, int rule, ptrdiff_t item, char *scratch) {
    const ptrdiff_t size = s->cols * item, of_state = optimizer_rules[rule]->by_row ? item : size;
    b->there = b->here = *s;
    b->arrays = 0;
    b->most = ROWS_BLOCK / size;
    add_array(b, s->p, &b->here.p, size, scratch);
    for (int k = 0; k < SCHUSS_MAX_STATES; k++) add_array(b, s->s[k], &b->here.s[k], of_state, scratch);
    for (int k = 0; k < SCHUSS_MAX_AVERAGES; k++) add_array(b, s->average[k], &b->here.average[k], size, scratch);
}

/* Copies of so many bytes that the compiler knows are single moves. */
#define MOVE(BYTES)                                                              \
    case BYTES:                                                                  \
        for (ptrdiff_t k = 0; k < n; k++) memcpy(TO(BYTES), FROM(BYTES), BYTES); \
        break;
#define MOVES                                                                             \
    switch (size) {                                                                       \
        MOVE(4) MOVE(8) MOVE(16) MOVE(32) MOVE(64) MOVE(128) MOVE(256)                    \
    default:                                                                              \
        for (ptrdiff_t k = 0; k < n; k++) memcpy(TO(size), FROM(size), (size_t)size);     \
    }

/* Rows index[n] of an array into a block. */
static inline void gather(ptrdiff_t n, ptrdiff_t size, const char *restrict array, const int64_t *index, char *restrict block) {
#define TO(SIZE) block + k *(SIZE)
#define FROM(SIZE) array + index[k] * (SIZE)
    MOVES
#undef TO
#undef FROM
}

/* And back. */
static inline void scatter(ptrdiff_t n, ptrdiff_t size, const char *restrict block, const int64_t *index, char *restrict array) {
#define TO(SIZE) array + index[k] * (SIZE)
#define FROM(SIZE) block + k *(SIZE)
    MOVES
#undef TO
#undef FROM
}

static inline void fill_block(struct block *b, ptrdiff_t n, const int64_t *index) {
    for (int a = 0; a < b->arrays; a++) gather(n, b->pair[a].size, b->pair[a].there, index, b->pair[a].here);
}

static inline void empty_block(const struct block *b, ptrdiff_t n, const int64_t *index) {
    for (int a = 0; a < b->arrays; a++) scatter(n, b->pair[a].size, b->pair[a].here, index, b->pair[a].there);
}
#undef MOVES
#undef MOVE

#endif
