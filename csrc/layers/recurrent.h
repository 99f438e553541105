/* What recurrent layers have in common: rows of a batch step through time, each from what it has seen.
 *
 * X[rows][times x n_in] holds a row's positions one after the other. A row has a length, of which it makes so many
 * steps, forward through its positions or, where the layer is reversed, from its last one back to its first. What lies
 * behind is not there: its outputs are zeros, and nothing is computed for it.
 *
 * A step's gates are sums of x W + h R, each element one chain of fused multiply-adds first over x and then over h, to
 * which biases are added. What a cell makes of them is its own file's. On the way back a step leaves the gradients by
 * these sums. When all steps are done, products over all rows and steps give the gradients of W and R.
 *
 * Steps are kept one after the other, and in each the rows that are there, in the batch's order: row `first[s] + i` of
 * every array here is the i-th row that makes step s. So there are no gaps, and products over all steps have one long
 * k, in this order. A row [x | h] holds what a step reads: x, and right behind it the state before the step, in whole
 * vectors. */

enum { RECURRENT_WEIGHT, RECURRENT_STATE, RECURRENT_BIAS, RECURRENT_STATE_BIAS };
enum { TIMES, N_IN, N_HIDDEN };                                      /* sizes */
enum { REVERSE, SEQUENCES, BIASES, RECURRENT_DROPOUT, VARIANT };     /* numbers */
enum {
    MOST_GATES = 4,
    STRIP_ROWS = 4 * TILE_ROWS,           /* rows that step together, at most */
    RECURRENT_ASIDE = 256                 /* rows, roughly, of the gradient by X that are computed together */
};
#define RECURRENT_SIZES "times n_in n_hidden"
#define RECURRENT_NUMBERS "reverse sequences biases recurrent_dropout"

struct strip;

/* What tells recurrent layers apart. */
struct cell {
    int gates;                 /* blocks of n_hidden columns that W and R have */
    int stored;                /* blocks of n_hidden that a step leaves: gates, later the gradients by their sums */
    int place[MOST_GATES];     /* in which of these the gradient by the sums of a gate of W lies, */
    int state_place[MOST_GATES]; /* and of a gate of R */
    int factor[MOST_GATES];    /* which of them R of a gate is multiplied by; 0: by the state before */
    int cells;                 /* 1: beside the state h there is a cell, which is carried too */
    int keeps_state;           /* 1: it reads the state before, not only its product with R */
    void (*forward)(const struct strip *s);
    void (*backward)(const struct strip *s);
};

/* Weights as tiles read them: rows of W, and rows of R, for the columns of one gate or of neighbouring ones. From one
 * panel of columns to the next it is `panel` elements. */
struct gate_weights {
    const real *x, *h;
    ptrdiff_t ld, panel, width;
    int joined;                /* R's rows follow W's */
};

/* What a member knows of a call. */
struct recurrent {
    const struct here *h;
    const struct cell *cell;
    ptrdiff_t times, n_in, n_hidden;
    ptrdiff_t columns, stored; /* of W and R; of what a step leaves of a row */
    int reverse, sequences;
    double dropout;            /* of the state before it is multiplied by R */
    const int64_t *lengths;    /* [rows], NULL: all are `times` */
    ptrdiff_t rows;            /* of the batch */
    struct share own;
    /* [times]: where step s of the member's own rows begins, and how many of them make it; and all steps of all rows */
    ptrdiff_t *first, *alive, total;
    ptrdiff_t *list;           /* [own rows]: those that make the step */
    /* Rows as above. Where nothing is kept, steps take turns in two places. */
    int keeps;
    ptrdiff_t ld_xh, x_at, h_at, ld_gates, ld_state;
    real *xh, *gates, *delta, *cell_before, *cell_tanh, *state_before;
    unsigned char *mask;       /* [rows x MASK_BYTES(n_hidden)] */
    real *last, *last_cell;    /* [own rows x ld_state] states after the last step */
    real *bias;                /* [stored] what is added to the sums */
    real *zeros;               /* [as long as any row] */
    int sums_ahead;            /* 1: the sums of x W of all steps are there before the first */
    struct gate_weights weights[2]; /* of all gates; GRU: of the two that see h as it is, and of the third */
    struct gate_weights back;  /* R transposed */
    real *carried;             /* [own rows x ld_state] what goes back from step to step beside the product */
    real *returned[2];         /* [own rows x ld_state] gradients by the state before a step, by turns */
    real *aside;               /* [STRIP_ROWS x ld_state] */
    real *panels;              /* room for weights in panels */
    void *room;                /* the rest of the scratch */
};

/* Rows that step together. */
struct strip {
    const struct recurrent *r;
    ptrdiff_t rows;
    int is_first;              /* the first step: nothing goes back from it */
    const real *xh;
    real *gates, *delta;
    const real *cell_before, *state_before; /* the state as it was before dropout; its rows ld_before apart */
    ptrdiff_t ld_before;
    real *cell_tanh;
    real *next[STRIP_ROWS], *next_cell[STRIP_ROWS], *out[STRIP_ROWS]; /* out NULL: not wanted */
    const real *dy[STRIP_ROWS], *returned[STRIP_ROWS];
    real *carried[STRIP_ROWS];
    real *before;              /* [rows x ld_state] gradient by the state before */
};

/* ---- places ------------------------------------------------------------------------------------------------------ */

/* Position `position` of a row that has so many. */
ALWAYS_INLINE real *position_at(const struct matrix *m, ptrdiff_t positions, ptrdiff_t row, ptrdiff_t position) {
    return (real *)m->at + (row * positions + position) * m->ld;
}

/* Steps that a row makes. */
ALWAYS_INLINE ptrdiff_t length_of(const struct recurrent *r, ptrdiff_t row) {
    return r->lengths && r->lengths[row] < r->times ? (ptrdiff_t)r->lengths[row] : r->times;
}
/* The position of a row's step. */
ALWAYS_INLINE ptrdiff_t position_of(const struct recurrent *r, ptrdiff_t length, ptrdiff_t step) {
    return r->reverse ? length - 1 - step : step;
}
/* Where rows of a step begin. */
ALWAYS_INLINE ptrdiff_t step_at(const struct recurrent *r, ptrdiff_t step) {
    return r->keeps ? r->first[step] : (step & 1) * (r->own.end - r->own.first);
}

ALWAYS_INLINE ptrdiff_t whole_vectors(ptrdiff_t n) { return (n + VIRTUAL_LANES - 1) / VIRTUAL_LANES * VIRTUAL_LANES; }
/* Rows a power of two apart would meet in the caches. */
ALWAYS_INLINE ptrdiff_t spread(ptrdiff_t n) {
    const ptrdiff_t item = sizeof(real);
    return n * item >= 1024 && n * item % 1024 == 0 ? n + 64 / item : n;
}

/* a b, or the largest number that may be added up safely. */
static ptrdiff_t capped(ptrdiff_t a, ptrdiff_t b) {
    const ptrdiff_t most = PTRDIFF_MAX / 64;
    return b > 0 && a > most / b ? most : a * b;
}

/* Gives out memory from a multiple of 64 on; base NULL: counts it. */
struct memory {
    char *base;
    ptrdiff_t used;
};
static void *memory_for(struct memory *m, ptrdiff_t count, ptrdiff_t bytes) {
    void *at = m->base ? m->base + m->used : NULL;
    const ptrdiff_t more = (capped(count, bytes) + 63) / 64 * 64;
    m->used = m->used > PTRDIFF_MAX / 2 - more ? PTRDIFF_MAX / 2 : m->used + more;
    return at;
}

/* What steps leave: for `n` rows of them. */
static void lay_kept(struct recurrent *r, struct memory *m, ptrdiff_t n, int apart) {
    const ptrdiff_t item = sizeof(real);
    r->xh = memory_for(m, capped(n, r->ld_xh), item);
    r->gates = memory_for(m, capped(n, r->ld_gates), item);
    r->delta = apart ? memory_for(m, capped(n, r->ld_gates), item) : r->gates;
    if (r->cell->cells) {
        r->cell_before = memory_for(m, capped(n, r->ld_state), item);
        r->cell_tanh = memory_for(m, capped(n, r->ld_state), item);
    }
    if (r->h->node->numbers[RECURRENT_DROPOUT] <= 0) return;
    r->mask = memory_for(m, r->rows, MASK_BYTES(r->n_hidden));
    if (r->cell->keeps_state) r->state_before = memory_for(m, capped(n, r->ld_state), item);
}

/* What forward() and the way back need while they run, for so many own rows. */
static void lay_scratch(struct recurrent *r, struct memory *m, ptrdiff_t own, int back) {
    const ptrdiff_t item = sizeof(real), index = sizeof(ptrdiff_t);
    const ptrdiff_t states = capped(own, r->ld_state);
    const ptrdiff_t long_row = r->n_in > r->n_hidden ? r->n_in : r->n_hidden;
    r->first = memory_for(m, r->times + 1, index);
    r->alive = memory_for(m, r->times + 1, index);
    r->list = memory_for(m, own, index);
    r->zeros = memory_for(m, long_row, item);
    r->bias = memory_for(m, r->stored, item);
    if (!back) {
        r->last = memory_for(m, states, item);
        r->last_cell = memory_for(m, r->cell->cells ? states : 0, item);
        r->panels = memory_for(m, capped(r->n_in + r->n_hidden, r->columns + 2 * TILE_COLS), item);
        return;
    }
    r->carried = memory_for(m, states, item);
    r->returned[0] = memory_for(m, states, item);
    r->returned[1] = memory_for(m, states, item);
    r->aside = memory_for(m, capped(STRIP_ROWS, r->ld_state), item);
    r->panels = memory_for(m, capped(r->columns, r->n_hidden + 2 * TILE_COLS + WIDE_VECS * LANES), item);
}

/* The sizes of a node. */
static struct recurrent recurrent_of(const struct here *h, const struct cell *cell, ptrdiff_t rows) {
    const struct schuss_node *node = h->node;
    const ptrdiff_t n_in = node->sizes[N_IN], n_hidden = node->sizes[N_HIDDEN];
    return (struct recurrent){
        .h = h, .cell = cell, .times = node->sizes[TIMES], .n_in = n_in, .n_hidden = n_hidden,
        .columns = cell->gates * n_hidden, .stored = cell->stored * n_hidden,
        .reverse = node->numbers[REVERSE] != 0, .sequences = node->numbers[SEQUENCES] != 0,
        .rows = rows, .x_at = whole_vectors(n_in) - n_in, .h_at = whole_vectors(n_in),
        .ld_xh = spread(whole_vectors(n_in) + whole_vectors(n_hidden)), .ld_gates = spread(cell->stored * n_hidden),
        .ld_state = whole_vectors(n_hidden),
    };
}
