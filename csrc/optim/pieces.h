/* Arrays cut into pieces. Inside the core only. */
#ifndef SCHUSS_PIECES_H
#define SCHUSS_PIECES_H

#include "rule.h"
#include "stored.h"

/* Elements of an array whose sums are one. Blocks are counted from the array's start, whatever the threads. */
enum { BLOCK = 8192 };

/* How many blocks an array of n elements has. */
static inline ptrdiff_t blocks_of(ptrdiff_t n) { return (n + BLOCK - 1) / BLOCK; }

/* The elements [from, to) of a segment as a segment. */
struct schuss_segment segment_piece(const struct schuss_segment *segment, ptrdiff_t from, ptrdiff_t to,
                                    ptrdiff_t item);

/* The rows [first, first + rows) of a segment, of `cols` elements each, as a segment; by_row: states have an element a
 * row. */
struct schuss_segment segment_rows(const struct schuss_segment *segment, int by_row, ptrdiff_t cols, ptrdiff_t first,
                                   ptrdiff_t rows, ptrdiff_t item);

/* Elements of a row, as gradients of rows have them: all that has the same first index. */
ptrdiff_t row_length(const struct schuss_segment *s);

/* The same of the rows that there are gradients for: the caller may have given the array another shape. */
ptrdiff_t step_row_length(const struct schuss_segment *s);

/* Whether whole rows of the array have to be stepped. */
static inline int goes_by_rows(const struct schuss_step *step, const struct schuss_segment *s) {
    return s->index || s->last || optimizer_rules[step->groups[s->group].rule]->by_row;
}

/* Whether a MATRIX rule steps the array, all of it at once. */
static inline int stepped_whole(const struct schuss_step *step, const struct schuss_segment *s) {
    return optimizer_rules[step->groups[s->group].rule]->time != NULL;
}

/* A walk over the pieces that make up elements [first, end) of arrays laid end to end. */
struct pieces {
    const struct schuss_step *step;
    ptrdiff_t first, end;
    ptrdiff_t unit;                 /* Arrays are cut where a multiple of so many of their elements ends. */
    int whole_rows;                 /* 1: arrays that go by rows are cut where a row ends. */
    int every;                      /* 0: arrays that MATRIX rules step whole are left out. */
    int left;                       /* 1: arrays that are done are left out. */
    int next;                       /* The segment to look at next, */
    ptrdiff_t start;                /* and where it begins. */
    struct schuss_segment *segment; /* The piece is elements [from, to) of this one, */
    ptrdiff_t from, to;
    ptrdiff_t block;                /* before which there are so many blocks in all segments. */
};

/* Where an array of n elements is cut, if a share begins or ends at its element x. */
static inline ptrdiff_t cut(ptrdiff_t x, ptrdiff_t n, ptrdiff_t unit) {
    if (x <= 0) return 0;
    if (x >= n) return n; /* This is nearly always so, and a division is slow. */
    const ptrdiff_t up = (x + unit - 1) / unit * unit;
    return up < n ? up : n;
}

/* The next piece into p->segment, p->from, p->to. 0: there is none. */
static inline int next_piece(struct pieces *p) {
    while (p->next < p->step->n_segments && p->start < p->end) {
        if (p->next) p->block += blocks_of(p->step->segments[p->next - 1].n);
        struct schuss_segment *s = &p->step->segments[p->next++];
        if ((p->left && s->done) || (!p->every && stepped_whole(p->step, s))) continue;
        p->segment = s;
        ptrdiff_t unit = p->whole_rows && goes_by_rows(p->step, s) ? step_row_length(s) : p->unit;
        if (s->stored && unit > 0 && unit < BLOCK_8BIT && BLOCK_8BIT % unit == 0) unit = BLOCK_8BIT;
        p->from = cut(p->first - p->start, s->n, unit);
        p->to = cut(p->end - p->start, s->n, unit);
        p->start += s->n;
        if (p->from < p->to) return 1;
    }
    return 0;
}

#endif
