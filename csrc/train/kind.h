/* What a kind of layer is to the plan and to the walk. Inside the core only.
 *
 * A network is a list of nodes, each of which makes one value from the values of nodes before it. What a node computes
 * is its kind's; what happens to the result afterwards is the node's end, the same for all kinds: an activation,
 * dropout, and another value that is added (a residual). The gradient that a node gets for its value is by what the
 * kind computed, before the end: whoever adds the last part of a value's gradient applies the end's derivative. */
#ifndef SCHUSS_KIND_H
#define SCHUSS_KIND_H

#include "../kernels.h"
#include "births.h"

struct shape {
    ptrdiff_t channels;  /* elements of a position */
    int storage;         /* enum schuss_storage */
    ptrdiff_t positions; /* of a row; in what shape() gives, 0: as many as come in */
};

/* What a node needs beside its value. */
struct needs {
    ptrdiff_t kept;      /* bytes that forward() leaves for the backward pass; none in a plan for forward passes */
    ptrdiff_t scratch;   /* bytes that a member has for itself during a call */
    ptrdiff_t prepared;  /* bytes of each member that prepare() fills when the plan is laid */
    ptrdiff_t weights;   /* bytes of parameters that a member reads however few rows it has */
    double nanoseconds;  /* roughly, of a row forward on one thread */
};

/* How the members of a team share a call. ROWS: each has its own rows of everything. COLUMNS: each has its own columns
 * and reads all rows. EITHER: as the plan says, which the call then finds in pass->by_columns. */
enum sharing { SHARES_ROWS, SHARES_COLUMNS, SHARES_EITHER };

/* Which functions of the backward pass read the node's input. */
enum { DOWN_READS_INPUT = 1, GRADIENTS_READ_INPUT = 2 };

/* Positions of a value, all those of a row one after the other: ld elements from position to position. */
struct matrix {
    void *at;
    ptrdiff_t ld;
};

/* A part of the gradient by a node's input: its columns [first, first + n), which are the gradient by one value. They
 * go to d[rows x positions x n]. Where start is not NULL, start of the same shape is added to them first; it may be d itself. At last the
 * derivative of the value's end is applied. */
struct part {
    int value;
    ptrdiff_t first, n;
    struct matrix d, start;
    struct tile_end end;
};

/* What a member holds of one node. It is filled when the plan is laid; a pass sets only what comes from outside. */
struct here {
    const struct kernels *kernels;
    const struct schuss_node *node;
    struct matrix x;            /* [rows x positions x channels of the input], or codes of that shape without gaps */
    ptrdiff_t channels;         /* of the input, at one position */
    ptrdiff_t positions;        /* of the input */
    const int64_t *lengths;     /* [rows] how many of them each row has; NULL: all */
    void *state;                /* this node's part of the first row's carried state, or NULL: read, then overwritten */
    ptrdiff_t ld_state;         /* elements from row to row of it */
    const struct schuss_compressed *compressed; /* not NULL: x is these rows order[0], order[1], ... */
    const int64_t *order;       /* NULL: all rows from 0 on */
    struct matrix y;            /* [rows x positions x channels] what forward() makes */
    struct tile_end end;        /* the end that forward() applies to it */
    struct matrix dy;           /* of y's shape: the gradient by what the kind computed, before the end */
    int n_parts;
    struct part *parts;         /* of the gradient by the input */
    void *arrays[SCHUSS_NODE_ARRAYS]; /* parameters and states, in the order of shape() */
    void *gradients[SCHUSS_NODE_ARRAYS]; /* their places in the arena of gradients */
    unsigned char wanted[SCHUSS_NODE_ARRAYS]; /* whether a gradient is needed */
    char *kept;                 /* needs.kept bytes, shared by all members */
    char *scratch;              /* needs.scratch bytes of this member, 64-byte aligned */
    void *prepared;             /* needs.prepared bytes of this member */
    int passes;                 /* enum schuss_passes of the plan */
    const struct schuss_node *folded; /* NULL, or the node behind, whose value forward() makes: see struct kind. end is its end */
    void *folded_arrays[SCHUSS_NODE_ARRAYS]; /* its parameters and states */
};

/* The rows of a batch that are a member's own. */
struct share {
    ptrdiff_t first, end;
};
enum { ROW_UNIT = 4 }; /* batches are shared by so many rows: dropout draws four numbers at a time */
static inline struct share own_rows(ptrdiff_t rows, const struct team *me) {
    if (me->count == 1) return (struct share){0, rows};
    return (struct share){share_start(rows, ROW_UNIT, me->index, me->count),
                          share_start(rows, ROW_UNIT, me->index + 1, me->count)};
}

/* One pass, as one member knows it. To a kind that is not spatial each position is a row: it finds them counted here, and
 * knows of nothing else. */
struct pass {
    ptrdiff_t rows;
    struct share own;
    int training;   /* 1: the plan is for training, so statistics are of the batch, and are kept */
    int logits;     /* 1: the network's value is to be what goes into its activation */
    int by_columns; /* whether this call is shared by columns */
    uint64_t seed, draw; /* of what the kind draws in training: functions of these and the node's stream */
    double dropout_factor; /* which probabilities of dropout are multiplied by */
    int *fault;     /* forward() sets it to 1 where a code is not in its table */
};

struct kind {
    const char *name;
    const char *sizes, *numbers; /* names of the node's sizes and numbers, in their order, with spaces between them */
    /* The shape of the value, given that of the input; and name, ndim, matrices, rows, cols and stepped of each
     * array. n_arrays is 0 before. Returns NULL, or what does not fit. */
    const char *(*shape)(const struct schuss_node *node, const struct shape *in, struct shape *out,
                         struct schuss_array *arrays, int *n_arrays);
    enum sharing sharing;
    int spatial; /* 1: positions are not alike to it, or their number changes. Of arrays of ends and of parts, row
                  * i positions + p belongs to position p of row i, as with the others */
    int reads_compressed; /* 1: its input may be compressed rows, as h->compressed has it */
    int backward_reads;
    /* Elements that a row carries from pass to pass. NULL: none. */
    ptrdiff_t (*state)(const struct schuss_node *node);
    struct needs (*needs)(const struct schuss_node *node, const struct shape *in, ptrdiff_t rows, int passes);
    /* Fills h->prepared. NULL: nothing. */
    void (*prepare)(struct here *h);
    void (*forward)(struct here *h, const struct pass *pass, struct team *me);
    /* From h->dy to h->parts, with the parameters that forward() had. */
    void (*down)(struct here *h, const struct pass *pass, struct team *me);
    /* From h->dy to the gradients of the arrays. NULL: there are none. */
    void (*gradients)(struct here *h, const struct pass *pass, struct births *births, struct team *me);
    /* In prediction the value is x factor + level, a number of each for each of n channels: writes them. NULL: it is not so. */
    void (*affine)(const struct schuss_node *node, void *const *arrays, ptrdiff_t n, void *factor, void *level);
    int folds; /* 1: in prediction forward() can make the value of such a node behind it in place of its own */
};

#endif
