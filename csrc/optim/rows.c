/* Steps of some rows of an array. Rows of few elements are gathered into blocks that lie in L1, so that one call of the
 * rule steps many; others are stepped where they lie. */
#include "rows.h"

#include <string.h>

enum {
    GATHERED = 256, /* Rows of at most so many bytes are gathered. */
    AHEAD = 4,      /* Of others, the row so many rows ahead is fetched, */
    FETCHED = 1024, /* at most so many bytes of it: then the hardware sees where it goes. */
    LINE = 64
};

ptrdiff_t rows_scratch(int dtype, ptrdiff_t cols) {
    return cols * schuss_kernels(dtype)->item <= GATHERED ? ROWS_SCRATCH : 0;
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
    const ptrdiff_t cols = s->cols, size = cols * kernels->item, bytes = size < FETCHED ? size : FETCHED;
    for (ptrdiff_t k = 0; k < n; k++) {
        if (k + AHEAD < n) {
            const ptrdiff_t ahead = index[k + AHEAD] * size;
            fetch(s->p, ahead, bytes);
            for (int i = 0; i < SCHUSS_MAX_STATES; i++)
                if (s->s[i]) fetch(s->s[i], ahead, bytes);
        }
        struct schuss_segment row = segment_piece(s, index[k] * cols, (index[k] + 1) * cols, kernels->item);
        row.g = g + k * size;
        kernels->step(&row, c, nonfinite);
    }
}

/* block[n x size] from the rows index[n] of an array, or back to them. Copies of so many bytes that the compiler knows
 * are single moves. */
#define MOVE(BYTES)                                                                                        \
    case BYTES:                                                                                            \
        for (ptrdiff_t k = 0; k < n; k++) memcpy(TO(BYTES), FROM(BYTES), BYTES);                           \
        break;
#define MOVES                                                                                              \
    switch (size) {                                                                                        \
        MOVE(4) MOVE(8) MOVE(16) MOVE(32) MOVE(64) MOVE(128) MOVE(256)                                     \
    default:                                                                                               \
        for (ptrdiff_t k = 0; k < n; k++) memcpy(TO(size), FROM(size), (size_t)size);                      \
    }
static void gather(ptrdiff_t n, ptrdiff_t size, const char *restrict array, const int64_t *index, char *restrict block) {
#define TO(SIZE) block + k *(SIZE)
#define FROM(SIZE) array + index[k] * (SIZE)
    MOVES
#undef TO
#undef FROM
}

static void scatter(ptrdiff_t n, ptrdiff_t size, const char *restrict block, const int64_t *index, char *restrict array) {
#define TO(SIZE) array + index[k] * (SIZE)
#define FROM(SIZE) block + k *(SIZE)
    MOVES
#undef TO
#undef FROM
}

/* The arrays of a segment that a step writes, each as a pointer to where it is kept. */
enum { WRITTEN = 1 + SCHUSS_MAX_STATES + SCHUSS_MAX_AVERAGES };
static int written_arrays(struct schuss_segment *s, void **array[WRITTEN]) {
    int n = 0;
    array[n++] = &s->p;
    for (int k = 0; k < SCHUSS_MAX_STATES; k++)
        if (s->s[k]) array[n++] = &s->s[k];
    for (int k = 0; k < SCHUSS_MAX_AVERAGES; k++)
        if (s->average[k]) array[n++] = &s->average[k];
    return n;
}

/* Steps rows in blocks of copies. */
static void step_gathered(const struct kernels *kernels, const struct schuss_segment *s, const struct rule_constants *c,
                          ptrdiff_t n, const int64_t *index, char *g, char *scratch, int *nonfinite) {
    const ptrdiff_t size = s->cols * kernels->item, most = ROWS_BLOCK / size;
    struct schuss_segment from = *s, block = *s;
    void **there[WRITTEN], **here[WRITTEN];
    const int arrays = written_arrays(&from, there);
    written_arrays(&block, here);
    for (int a = 0; a < arrays; a++) *here[a] = scratch + a * ROWS_BLOCK;
    for (ptrdiff_t k = 0; k < n; k += most) {
        const ptrdiff_t rows = n - k < most ? n - k : most;
        for (int a = 0; a < arrays; a++) gather(rows, size, *there[a], index + k, *here[a]);
        block.n = rows * s->cols;
        block.g = g + k * size;
        kernels->step(&block, c, nonfinite);
        for (int a = 0; a < arrays; a++) scatter(rows, size, *here[a], index + k, *there[a]);
    }
}

void rows_step(const struct kernels *kernels, const struct schuss_segment *s, const struct rule_constants *c, ptrdiff_t n,
               const int64_t *index, void *g, void *scratch, int *nonfinite) {
    if (s->cols == 0) return;
    if (s->cols * kernels->item <= GATHERED) step_gathered(kernels, s, c, n, index, g, scratch, nonfinite);
    else step_in_place(kernels, s, c, n, index, g, nonfinite);
}
