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

/* ---- the contract ------------------------------------------------------------------------------------------------ */

static const char *recurrent_shape(const struct cell *cell, const struct schuss_node *node, const struct shape *in,
                                   struct shape *out, struct schuss_array *arrays, int *n_arrays) {
    const ptrdiff_t times = node->sizes[TIMES], n_in = node->sizes[N_IN], n_hidden = node->sizes[N_HIDDEN];
    if (in->storage != SCHUSS_REAL) return "input";
    if (times != in->positions) return "times";
    if (n_in != in->channels) return "n_in";
    if (n_hidden < 1 || n_hidden > PTRDIFF_MAX / 2 / MOST_GATES) return "n_hidden";
    *out = (struct shape){n_hidden, SCHUSS_REAL, node->numbers[SEQUENCES] != 0 ? times : 1};
    arrays[(*n_arrays)++] = matrix_array("weight", n_in, cell->gates * n_hidden);
    arrays[(*n_arrays)++] = matrix_array("recurrent", n_hidden, cell->gates * n_hidden);
    if (node->numbers[BIASES] > 0) arrays[(*n_arrays)++] = vector_array("bias", cell->gates * n_hidden, 1);
    if (node->numbers[BIASES] > 1) arrays[(*n_arrays)++] = vector_array("recurrent_bias", cell->gates * n_hidden, 1);
    return NULL;
}

/* Whether the way back has to leave what the way forward left: it may be made again. */
ALWAYS_INLINE int keeps_apart(int passes) { return passes == SCHUSS_BACKWARD; }

static struct needs recurrent_needs(const struct cell *cell, const struct schuss_node *node, ptrdiff_t rows,
                                    int passes) {
    const struct here sizes = {.node = node};
    struct recurrent r = recurrent_of(&sizes, cell, rows);
    const ptrdiff_t item = sizeof(real), n = capped(rows, r.times);
    struct memory kept = {NULL, 0}, forward = {NULL, 0}, back = {NULL, 0};
    lay_scratch(&r, &forward, rows, 0);
    if (passes == SCHUSS_FORWARD_ONLY) {
        lay_kept(&r, &forward, 2 * rows, 0);
    } else {
        lay_kept(&r, &kept, n, keeps_apart(passes));
        lay_scratch(&r, &back, rows, 1);
        memory_for(&back, capped(rows + RECURRENT_ASIDE, r.n_in), item);
        const ptrdiff_t together = rows + RECURRENT_ASIDE;
        const ptrdiff_t down = gemm_scratch(together, r.n_in, r.columns, END_NONE);
        const ptrdiff_t of_weights = gemm_scratch(r.n_in + r.n_hidden, r.columns, n, END_CONSUME);
        memory_for(&back, down > of_weights ? down : of_weights, 1);
    }
    return (struct needs){
        .kept = kept.used,
        .scratch = forward.used > back.used ? forward.used : back.used,
        .prepared = sizeof(int),
        .weights = capped(capped(r.n_in + r.n_hidden, r.columns), item),
        .nanoseconds = (double)r.times * (double)r.columns *
                       (PRODUCT_NS * (double)(r.n_in + r.n_hidden) + 10 * OUTPUT_NS),
    };
}

/* Whether the way back through the steps has been gone. */
ALWAYS_INLINE int *gone_back(const struct here *h) { return h->prepared; }
static void recurrent_prepare(struct here *h) { *gone_back(h) = 0; }

/* ---- the start of a call ----------------------------------------------------------------------------------------- */

/* Which rows make which steps. */
static void count_steps(struct recurrent *r) {
    const struct share own = r->own;
    if (!r->lengths) {
        for (ptrdiff_t s = 0; s < r->times; s++) {
            r->first[s] = s * r->rows + own.first;
            r->alive[s] = own.end - own.first;
        }
        for (ptrdiff_t i = own.first; i < own.end; i++) r->list[i - own.first] = i;
        r->total = r->times * r->rows;
        return;
    }
    /* Of all steps, rows before the own ones, and these. Each length is counted once, and taken off behind it. */
    memset(r->first, 0, (size_t)(r->times + 1) * sizeof *r->first);
    memset(r->alive, 0, (size_t)(r->times + 1) * sizeof *r->alive);
    ptrdiff_t here = own.end - own.first, before = 0, total = 0;
    for (ptrdiff_t i = own.first; i < own.end; i++) r->alive[length_of(r, i)]++;
    for (ptrdiff_t s = 0; s < r->times; s++) here -= r->alive[s], r->alive[s] = here;
    /* first: how many rows of the batch make the step, then where it begins. */
    for (ptrdiff_t i = 0; i < r->rows; i++) r->first[length_of(r, i)]++;
    ptrdiff_t all = r->rows;
    for (ptrdiff_t s = 0; s < r->times; s++) {
        all -= r->first[s];
        r->first[s] = total;
        total += all;
    }
    r->total = total;
    if (own.first == 0) return;
    for (ptrdiff_t i = 0; i < own.first; i++)
        before = length_of(r, i) > before ? length_of(r, i) : before;
    for (ptrdiff_t s = 0; s < before; s++) { /* rows before the own ones that make step s */
        ptrdiff_t n = 0;
        for (ptrdiff_t i = 0; i < own.first; i++) n += length_of(r, i) > s;
        r->first[s] += n;
    }
}

/* The own rows that make step s, in the batch's order. */
static ptrdiff_t list_step(const struct recurrent *r, ptrdiff_t s) {
    if (!r->lengths) return r->alive[s];
    ptrdiff_t n = 0;
    for (ptrdiff_t i = r->own.first; i < r->own.end; i++)
        if (length_of(r, i) > s) r->list[n++] = i;
    return n;
}

/* What is added to the sums: biases, and those of R where sums of x and h are one. */
static void gather_bias(const struct recurrent *r) {
    const struct here *h = r->h;
    const ptrdiff_t n = r->n_hidden;
    const int biases = (int)h->node->numbers[BIASES];
    memset(r->bias, 0, (size_t)r->stored * sizeof(real));
    for (int g = 0; g < r->cell->gates && biases; g++) {
        real *to = r->bias + r->cell->place[g] * n;
        memcpy(to, (const real *)h->arrays[RECURRENT_BIAS] + g * n, (size_t)n * sizeof(real));
        if (biases < 2) continue;
        const real *more = (const real *)h->arrays[RECURRENT_STATE_BIAS] + g * n;
        add(n, more, r->bias + r->cell->state_place[g] * n);
    }
}

/* W and R for tiles, columns [col, col + cols): where they lie, or, for many rows, in panels that are packed. */
static struct gate_weights lay_weights(const struct recurrent *r, ptrdiff_t col, ptrdiff_t cols, int packs,
                                       real **room) {
    const ptrdiff_t n = r->columns, k = r->n_in + r->n_hidden;
    const real *w = (const real *)r->h->arrays[RECURRENT_WEIGHT] + col;
    const real *u = (const real *)r->h->arrays[RECURRENT_STATE] + col;
    if (!packs) {
        const ptrdiff_t width = step_of(r->own.end - r->own.first);
        return (struct gate_weights){.x = w, .h = u, .ld = n, .panel = width, .width = width};
    }
    real *to = *room, *start = to;
    for (ptrdiff_t j = 0; j < cols; j += TILE_COLS) {
        const ptrdiff_t width = cols - j < TILE_COLS ? cols - j : TILE_COLS;
        for (ptrdiff_t p = 0; p < k; p++, to += TILE_COLS) {
            const real *from = (p < r->n_in ? w + p * n : u + (p - r->n_in) * n) + j;
            for (ptrdiff_t l = 0; l < TILE_COLS; l += LANES)
                v_store(to + l, v_load_m(from + l, v_mask(width > l ? width - l : 0)));
        }
    }
    *room = to;
    return (struct gate_weights){
        .x = start, .h = start + r->n_in * TILE_COLS, .ld = TILE_COLS, .panel = k * TILE_COLS, .width = TILE_COLS,
        .joined = k <= LONG_K,
    };
}

/* Begins a call: what a member needs, laid out in h->scratch. */
static struct recurrent begin(const struct here *h, const struct cell *cell, const struct pass *pass, int back) {
    struct recurrent r = recurrent_of(h, cell, pass->rows);
    r.own = pass->own;
    r.keeps = h->passes != SCHUSS_FORWARD_ONLY;
    r.lengths = h->lengths;
    r.dropout = pass->training ? h->node->numbers[RECURRENT_DROPOUT] * pass->dropout_factor : 0;
    const ptrdiff_t own = r.own.end - r.own.first;
    struct memory scratch = {h->scratch, 0}, kept = {h->kept, 0};
    lay_scratch(&r, &scratch, own, back);
    if (r.keeps) lay_kept(&r, &kept, pass->rows * r.times, keeps_apart(h->passes));
    else lay_kept(&r, &scratch, 2 * own, 0);
    const ptrdiff_t long_row = r.n_in > r.n_hidden ? r.n_in : r.n_hidden;
    memset(r.zeros, 0, (size_t)long_row * sizeof(real));
    count_steps(&r);
    if (!back) {
        real *room = r.panels;
        const int packs = own > WIDE_ROWS;
        const ptrdiff_t two = cell->gates == 3 ? 2 * r.n_hidden : r.columns; /* GRU: the third gate's sums are apart */
        gather_bias(&r);
        r.sums_ahead = r.keeps && !packs && own == r.rows;
        r.weights[0] = lay_weights(&r, 0, two, packs, &room);
        if (two < r.columns) r.weights[1] = lay_weights(&r, two, r.columns - two, packs, &room);
    } else r.room = (char *)h->scratch + scratch.used;
    return r;
}

/* Rows that step together, of so many: of a few tiles, so that weights serve them all while they are in cache. */
ALWAYS_INLINE ptrdiff_t strip_height(ptrdiff_t rows) { return even_part(rows, STRIP_ROWS, 1); }

/* A run of gates whose sums lie side by side: gates [gate, gate + n). */
struct gate_run {
    int gate, n;
};
/* The run that begins with this gate, where `places` say where sums lie. */
static struct gate_run run_from(const struct cell *cell, const int *places, int gate) {
    int n = 1;
    while (gate + n < cell->gates && places[gate + n] == places[gate] + n) n++;
    return (struct gate_run){gate, n};
}

/* ---- products of a strip ----------------------------------------------------------------------------------------- */

/* C[rows x cols] = start + A[rows x k] B, B in panels; start NULL: zeros. */
static void strip_product(ptrdiff_t rows, ptrdiff_t k, const real *a, ptrdiff_t lda, const real *b,
                          const struct gate_weights *w, real *c, ptrdiff_t ldc, ptrdiff_t cols, const real *start,
                          ptrdiff_t ld_start) {
    const ptrdiff_t height = even_part(rows, TILE_ROWS, 1);
    for (ptrdiff_t j = 0; j < cols; j += w->width, b += w->panel) {
        const ptrdiff_t n = cols - j < w->width ? cols - j : w->width;
        for (ptrdiff_t i = 0; i < rows; i += height)
            tile_deep(rows - i < height ? rows - i : height, k, a + i * lda, lda, 1, b, w->ld, 0, c + i * ldc + j, ldc,
                      n,
                      start ? start + i * ld_start + j : NULL, ld_start, 0, NULL, 0, 0, NULL);
    }
}

/* Sums of x W + h R into a block of gates. */
static void sums_of_both(const struct strip *s, const struct gate_weights *w, ptrdiff_t block, ptrdiff_t cols) {
    const struct recurrent *r = s->r;
    real *c = s->gates + block * r->n_hidden;
    if (r->sums_ahead) {
        strip_product(s->rows, r->n_hidden, s->xh + r->h_at, r->ld_xh, w->h, w, c, r->ld_gates, cols, c, r->ld_gates);
        return;
    }
    if (w->joined) {
        strip_product(s->rows, r->n_in + r->n_hidden, s->xh + r->x_at, r->ld_xh, w->x, w, c, r->ld_gates, cols, NULL,
                      0);
        return;
    }
    strip_product(s->rows, r->n_in, s->xh + r->x_at, r->ld_xh, w->x, w, c, r->ld_gates, cols, NULL, 0);
    strip_product(s->rows, r->n_hidden, s->xh + r->h_at, r->ld_xh, w->h, w, c, r->ld_gates, cols, c, r->ld_gates);
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

ALWAYS_INLINE void copy_reals(ptrdiff_t n, const real *from, real *to) {
    ptrdiff_t j = 0;
    for (; j + LANES <= n; j += LANES) v_store(to + j, v_load(from + j));
    if (j < n) v_store_m(to + j, v_load_m(from + j, v_mask(n - j)), v_mask(n - j));
}

ALWAYS_INLINE const unsigned char *state_mask(const struct recurrent *r, ptrdiff_t row) {
    return r->mask + row * MASK_BYTES(r->n_hidden);
}

/* State h of a row into [x | h] of its next step, as R meets it. */
ALWAYS_INLINE void put_state(const struct recurrent *r, ptrdiff_t row, const real *state, real *to) {
    if (r->dropout > 0) mask_row(r->n_hidden, r->dropout, state_mask(r, row), 0, state, to);
    else if (state != to) copy_reals(r->n_hidden, state, to);
}

/* The states before the first step. */
static void put_first(const struct recurrent *r, ptrdiff_t n) {
    const struct here *h = r->h;
    const ptrdiff_t hidden = r->n_hidden, at = step_at(r, 0);
    for (ptrdiff_t i = 0; i < n; i++) {
        const ptrdiff_t row = r->list[i];
        const real *state = h->state ? (const real *)h->state + row * h->ld_state : NULL;
        put_state(r, row, state ? state : r->zeros, r->xh + (at + i) * r->ld_xh + r->h_at);
        if (r->state_before) copy_reals(hidden, state ? state : r->zeros, r->state_before + (at + i) * r->ld_state);
        if (!r->cell->cells) continue;
        copy_reals(hidden, state ? state + hidden : r->zeros, r->cell_before + (at + i) * r->ld_state);
    }
}

/* The x of a step. */
static void put_inputs(const struct recurrent *r, ptrdiff_t s) {
    real *to = r->xh + step_at(r, s) * r->ld_xh + r->x_at;
    for (ptrdiff_t row = r->own.first; row < r->own.end; row++) {
        const ptrdiff_t length = length_of(r, row);
        if (length <= s) continue;
        copy_reals(r->n_in, position_at(&r->h->x, r->times, row, position_of(r, length, s)), to);
        to += r->ld_xh;
    }
}

/* The sums of x W of all steps, which lie one after the other: few rows are cheaper together. */
static void sum_inputs(const struct recurrent *r) {
    const struct cell *cell = r->cell;
    const ptrdiff_t n = r->n_hidden;
    for (struct gate_run run = {0, 0}; run.gate < cell->gates; run.gate += run.n) {
        run = run_from(cell, cell->place, run.gate);
        const struct gate_weights w = {.ld = r->columns, .panel = TILE_COLS, .width = TILE_COLS};
        strip_product(r->total, r->n_in, r->xh + r->x_at, r->ld_xh,
                      (const real *)r->h->arrays[RECURRENT_WEIGHT] + run.gate * n, &w,
                      r->gates + cell->place[run.gate] * n, r->ld_gates, run.n * n, NULL, 0);
    }
}

/* Draws what recurrent dropout leaves: the same at all times. Numbers of rows that dropout of the output does not
 * reach. */
static void draw_state_masks(const struct recurrent *r, const struct pass *pass) {
    for (ptrdiff_t i = r->own.first; i < r->own.end; i++)
        draw_mask(((ptrdiff_t)1 << 33) + i * r->n_hidden, r->n_hidden, r->dropout, pass->seed, r->h->node->stream,
                  pass->draw,
                  r->mask + i * MASK_BYTES(r->n_hidden));
}

/* Rows [i, i + rows) of step s. */
ALWAYS_INLINE void begin_strip(struct strip *strip, const struct recurrent *r, ptrdiff_t s, ptrdiff_t i,
                               ptrdiff_t rows) {
    const ptrdiff_t at = step_at(r, s) + i;
    strip->r = r;
    strip->rows = rows;
    strip->is_first = s == 0;
    strip->xh = r->xh + at * r->ld_xh;
    strip->gates = r->gates + at * r->ld_gates;
    strip->delta = r->delta + at * r->ld_gates;
    strip->cell_before = r->cell_before ? r->cell_before + at * r->ld_state : NULL;
    strip->cell_tanh = r->cell_tanh ? r->cell_tanh + at * r->ld_state : NULL;
    strip->state_before = r->state_before ? r->state_before + at * r->ld_state : strip->xh + r->h_at;
    strip->ld_before = r->state_before ? r->ld_state : r->ld_xh;
}

/* Step s. */
static void step_forward(const struct recurrent *r, ptrdiff_t s, ptrdiff_t n) {
    const struct matrix *y = &r->h->y;
    const ptrdiff_t height = strip_height(n), after = s + 1 < r->times ? step_at(r, s + 1) : 0;
    ptrdiff_t goes_on = 0; /* rows that make the next step */
    for (ptrdiff_t i = 0; i < n; i += height) {
        const ptrdiff_t rows = n - i < height ? n - i : height, first_on = goes_on;
        struct strip strip;
        begin_strip(&strip, r, s, i, rows);
        for (ptrdiff_t k = 0; k < rows; k++) {
            const ptrdiff_t row = r->list[i + k], length = length_of(r, row), own = row - r->own.first;
            const int ends = length == s + 1;
            const ptrdiff_t to = after + goes_on;
            strip.next[k] = ends              ? r->last + own * r->ld_state
                            : r->state_before ? r->state_before + to * r->ld_state
                                              : r->xh + to * r->ld_xh + r->h_at;
            if (r->cell->cells)
                strip.next_cell[k] = ends ? r->last_cell + own * r->ld_state : r->cell_before + to * r->ld_state;
            strip.out[k] = r->sequences ? position_at(y, r->times, row, position_of(r, length, s))
                           : ends       ? position_at(y, 1, row, 0)
                                        : NULL;
            goes_on += !ends;
        }
        r->cell->forward(&strip);
        if (r->dropout <= 0 && !r->state_before) continue;
        ptrdiff_t to = after + first_on;
        for (ptrdiff_t k = 0; k < rows; k++) {
            const ptrdiff_t row = r->list[i + k];
            if (length_of(r, row) > s + 1) put_state(r, row, strip.next[k], r->xh + to++ * r->ld_xh + r->h_at);
        }
    }
}

/* What is behind the last position of a row, and the states that it leaves. */
static void end_row(const struct recurrent *r, ptrdiff_t row) {
    const struct here *h = r->h;
    const ptrdiff_t length = length_of(r, row), hidden = r->n_hidden, own = row - r->own.first;
    real *last = r->last + own * r->ld_state, *last_cell = r->last_cell + own * r->ld_state;
    if (length == 0) {
        const real *state = h->state ? (const real *)h->state + row * h->ld_state : NULL;
        copy_reals(hidden, state ? state : r->zeros, last);
        if (r->cell->cells) copy_reals(hidden, state ? state + hidden : r->zeros, last_cell);
        if (!r->sequences) copy_reals(hidden, last, position_at(&h->y, 1, row, 0));
    }
    if (r->sequences)
        for (ptrdiff_t p = length; p < r->times; p++)
            memset(position_at(&h->y, r->times, row, p), 0, (size_t)hidden * sizeof(real));
    if (!h->state) return;
    real *out = (real *)h->state + row * h->ld_state;
    copy_reals(hidden, last, out);
    if (r->cell->cells) copy_reals(hidden, last_cell, out + hidden);
}

static void recurrent_forward(struct here *h, const struct cell *cell, const struct pass *pass, struct team *me) {
    if (pass->training && h->lengths && me->count > 1) team_wait(me); /* each has gathered those of its own rows */
    if (pass->own.first >= pass->own.end) return;
    const struct recurrent r = begin(h, cell, pass, 0);
    *gone_back(h) = 0;
    if (r.dropout > 0) draw_state_masks(&r, pass);
    if (r.alive[0]) put_inputs(&r, 0);
    for (ptrdiff_t s = 1; r.sums_ahead && s < r.times && r.alive[s]; s++) put_inputs(&r, s);
    if (r.sums_ahead) sum_inputs(&r);
    for (ptrdiff_t s = 0; s < r.times && r.alive[s]; s++) {
        const ptrdiff_t n = list_step(&r, s);
        if (s == 0) put_first(&r, n);
        /* The next step's already: what has just been stored in parts of a vector is slow to read. */
        if (!r.sums_ahead && s + 1 < r.times && r.alive[s + 1]) put_inputs(&r, s + 1);
        step_forward(&r, s, n);
    }
    for (ptrdiff_t i = r.own.first; i < r.own.end; i++) end_row(&r, i);
    finish_positions(h, r.own, r.sequences ? r.times : 1);
}

/* ---- back -------------------------------------------------------------------------------------------------------- */

static void step_back(const struct recurrent *r, ptrdiff_t s, ptrdiff_t n) {
    const struct matrix *dy = &r->h->dy;
    const ptrdiff_t height = strip_height(n);
    const real *returned = r->returned[(s + 1) & 1];
    for (ptrdiff_t i = 0; i < n; i += height) {
        const ptrdiff_t rows = n - i < height ? n - i : height;
        struct strip strip;
        begin_strip(&strip, r, s, i, rows);
        strip.before = r->returned[s & 1] + i * r->ld_state;
        for (ptrdiff_t k = 0; k < rows; k++) {
            const ptrdiff_t row = r->list[i + k], length = length_of(r, row);
            const int ends = length == s + 1;
            strip.dy[k] = r->sequences ? position_at(dy, r->times, row, position_of(r, length, s))
                          : ends       ? position_at(dy, 1, row, 0)
                                       : r->zeros;
            strip.returned[k] = ends ? r->zeros : returned;
            if (!ends) returned += r->ld_state;
            strip.carried[k] = r->carried + (row - r->own.first) * r->ld_state;
        }
        r->cell->backward(&strip);
        if (r->dropout <= 0 || s == 0) continue;
        for (ptrdiff_t k = 0; k < rows; k++) {
            real *before = strip.before + k * r->ld_state;
            mask_row(r->n_hidden, r->dropout, state_mask(r, r->list[i + k]), 0, before, before);
        }
    }
}

/* From the last step to the first: gradients by all sums of gates, in r->delta. */
static void go_back(struct recurrent *r) {
    const ptrdiff_t own = r->own.end - r->own.first, most = step_of(own);
    const ptrdiff_t whole = (r->n_hidden + LANES - 1) / LANES * LANES, width = whole < most ? whole : most;
    ptrdiff_t s = r->times - 1;
    pack_transposed(r->columns, r->n_hidden, r->h->arrays[RECURRENT_STATE], r->columns, width, r->panels);
    r->back = (struct gate_weights){.h = r->panels, .ld = width, .panel = width * r->columns, .width = width};
    memset(r->carried, 0, (size_t)(own * r->ld_state) * sizeof(real));
    while (s >= 0 && !r->alive[s]) s--;
    for (; s >= 0; s--) step_back(r, s, list_step(r, s));
}

/* The gradient by a position of the input. */
static void give_position(const struct recurrent *r, ptrdiff_t row, ptrdiff_t position, const real *dx) {
    const struct here *h = r->h;
    const ptrdiff_t at = row * r->times + position;
    if (hands_over_at_once(h)) copy_reals(r->n_in, dx, gradient_row(h, at, 0, NULL));
    hand_over(h, at, 1, 0, r->n_in, dx);
}

/* Steps [s, end), whose rows lie side by side: the gradients by their positions. */
static void steps_down(const struct recurrent *r, ptrdiff_t s, ptrdiff_t end, real *dx, void *room) {
    const ptrdiff_t n = r->n_hidden;
    ptrdiff_t rows = 0;
    for (ptrdiff_t t = s; t < end; t++) rows += r->alive[t];
    for (struct gate_run run = {0, 0}; run.gate < r->cell->gates; run.gate += run.n) {
        run = run_from(r->cell, r->cell->place, run.gate);
        const struct gemm g = {
            .m = rows, .n = r->n_in, .k = run.n * n,
                .a = r->delta + r->first[s] * r->ld_gates + r->cell->place[run.gate] * n,
            .a_row = r->ld_gates, .a_col = 1, .b = (const real *)r->h->arrays[RECURRENT_WEIGHT] + run.gate * n,
                .ldb = r->columns,
            .b_transposed = 1, .c = dx, .ldc = r->n_in, .start = run.gate ? dx : NULL, .ld_start = r->n_in,
        };
        gemm(&g, 0, rows, 0, r->n_in, room);
    }
    for (ptrdiff_t t = s; t < end; t++) {
        const ptrdiff_t count = list_step(r, t);
        for (ptrdiff_t i = 0; i < count; i++, dx += r->n_in)
            give_position(r, r->list[i], position_of(r, length_of(r, r->list[i]), t), dx);
    }
}

static void recurrent_down(struct here *h, const struct cell *cell, const struct pass *pass) {
    if (pass->own.first >= pass->own.end) return;
    struct recurrent r = begin(h, cell, pass, 1);
    const ptrdiff_t own = r.own.end - r.own.first;
    const int alone = own == r.rows;
    struct memory rest = {r.room, 0};
    real *dx = memory_for(&rest, capped(own + RECURRENT_ASIDE, r.n_in), sizeof(real));
    void *room = (char *)r.room + rest.used;
    go_back(&r);
    *gone_back(h) = 1;
    for (ptrdiff_t s = 0, end; s < r.times && r.alive[s]; s = end) {
        ptrdiff_t rows = r.alive[s];
        for (end = s + 1; alone && end < r.times && r.alive[end] && rows + r.alive[end] <= RECURRENT_ASIDE; end++)
            rows += r.alive[end];
        steps_down(&r, s, end, dx, room);
    }
    if (!r.lengths) return;
    for (ptrdiff_t i = r.own.first; i < r.own.end; i++)
        for (ptrdiff_t p = length_of(&r, i); p < r.times; p++) give_position(&r, i, p, r.zeros);
}

/* ---- gradients of parameters ------------------------------------------------------------------------------------- */

/* What consumes the product of [x | h] and gradients by sums: rows of the gradient of W, and behind them those of R. */
struct weight_gradients {
    int updates;               /* 1: births; else gradients are stored */
    struct birth born[2];
    struct rule_constants constants[2];
    real *gradients[2];
    ptrdiff_t first_state;     /* the first row of R's */
    ptrdiff_t columns;
};

static int take_gradients(void *context, ptrdiff_t row, ptrdiff_t col, ptrdiff_t rows, ptrdiff_t cols,
                          const void *block) {
    const struct weight_gradients *w = context;
    const real *from = (const real *)block;
    int nonfinite = 0;
    for (ptrdiff_t i = 0, n; i < rows; i += n, from += n * cols) {
        const int of_state = row + i >= w->first_state;
        const ptrdiff_t at = (row + i - (of_state ? w->first_state : 0)) * w->columns + col;
        n = of_state || rows < w->first_state - row ? rows - i : w->first_state - row - i;
        if (w->updates && cols == w->columns) nonfinite |= birth_update(&w->born[of_state], at, n * cols, from);
        else
            for (ptrdiff_t k = 0; k < n; k++) {
                if (w->updates) nonfinite |= birth_update(&w->born[of_state], at + k * w->columns, cols,
                                                          from + k * cols);
                else copy_reals(cols, from + k * cols, w->gradients[of_state] + at + k * w->columns);
            }
    }
    return nonfinite;
}

/* The gradient of gates `run`, of W, of R, or of both, whose rows come one after the other: over all steps,
 * a[total x m]^T times what lies at `place` of delta. state0: the first of the m rows that is R's. */
static void gates_gradient(const struct recurrent *r, struct weight_gradients *w, struct gate_run run, ptrdiff_t m,
                           ptrdiff_t state0,
                           const real *a, ptrdiff_t ld_a, int place, struct births *births, const struct team *me) {
    const ptrdiff_t first = run.gate * r->n_hidden, n = run.n * r->n_hidden;
    struct gemm g = {
        .m = m, .n = r->columns, .k = r->total, .a = a, .a_row = 1, .a_col = ld_a,
        .b = r->delta + place * r->n_hidden - first, .ldb = r->ld_gates,
        .end = {.kind = END_CONSUME, .consume = take_gradients, .context = w},
    };
    int found;
    w->first_state = state0;
    if (m < FEW_ROWS * me->count && n > m) {
        const struct share own = own_columns(n, me);
        found = gemm(&g, 0, m, first + own.first, first + own.end, r->room);
    } else {
        const struct share own = own_rows(m, me);
        found = gemm(&g, own.first, own.end, first, first + n, r->room);
    }
    if (births) births->nonfinite |= found;
}

/* The gradients of W and R. Where gates see x and h alike, one product makes both. */
static void weights_gradient(const struct recurrent *r, struct births *births, const struct team *me) {
    const struct here *h = r->h;
    const struct cell *cell = r->cell;
    struct weight_gradients w = {.updates = births != NULL, .columns = r->columns};
    for (int k = 0; k < 2; k++) {
        w.gradients[k] = h->gradients[k];
        if (!births || !h->wanted[k]) continue;
        w.born[k] = birth_of(births, h->kernels, h->node->first_array + k, r->columns);
        w.constants[k] = *w.born[k].constants; /* those of births change with the group */
        w.born[k].constants = &w.constants[k];
    }
    const real *x = r->xh + r->x_at, *state = r->xh + r->h_at;
    for (struct gate_run run = {0, 0}; run.gate < cell->gates; run.gate += run.n) {
        run = run_from(cell, cell->place, run.gate);
        const int place = cell->place[run.gate];
        const int alike = place == cell->state_place[run.gate] && !cell->factor[run.gate];
        if (alike && h->wanted[RECURRENT_WEIGHT] && h->wanted[RECURRENT_STATE]) {
            gates_gradient(r, &w, run, r->n_in + r->n_hidden, r->n_in, x, r->ld_xh, place, births, me);
            continue;
        }
        if (h->wanted[RECURRENT_WEIGHT]) gates_gradient(r, &w, run, r->n_in, r->n_in, x, r->ld_xh, place, births, me);
        if (!h->wanted[RECURRENT_STATE]) continue;
        const int factor = cell->factor[run.gate];
        gates_gradient(r, &w, run, r->n_hidden, 0, factor ? r->gates + factor * r->n_hidden : state,
                       factor ? r->ld_gates : r->ld_xh, cell->state_place[run.gate], births, me);
    }
}

/* The gradient of bias k, in the arena: the member's own columns of it. Where it is that of bias `like`, it is copied.
 * */
static void bias_gradient(const struct recurrent *r, int k, const int *places, const int *like, struct share own) {
    const struct here *h = r->h;
    const ptrdiff_t n = r->n_hidden;
    for (struct gate_run run = {0, 0}; run.gate < r->cell->gates; run.gate += run.n) {
        run = run_from(r->cell, places, run.gate);
        int same = 0; /* gates of the run whose sums are there */
        while (like && same < run.n && like[run.gate + same] == places[run.gate + same]) same++;
        if (same) run.n = same;
        const ptrdiff_t first = run.gate * n, end = first + run.n * n;
        const ptrdiff_t from = own.first > first ? own.first : first, to = own.end < end ? own.end : end;
        if (from >= to) continue;
        if (same)
            copy_reals(to - from, (const real *)h->gradients[RECURRENT_BIAS] + from, (real *)h->gradients[k] + from);
        else column_sums(r->total, from, to, r->delta + places[run.gate] * n - first, r->ld_gates, h->gradients[k]);
    }
}

static void recurrent_gradients(struct here *h, const struct cell *cell, const struct pass *pass,
                                struct births *births, struct team *me) {
    struct recurrent r = begin(h, cell, pass, 1);
    if (!*gone_back(h)) go_back(&r);
    *gone_back(h) = 0;
    if (me->count > 1) team_wait(me); /* all steps of all rows are read, and parameters change */
    weights_gradient(&r, births, me);
    const struct share own = own_columns(r.columns, me);
    const int biases = (int)h->node->numbers[BIASES], first = biases > 0 && h->wanted[RECURRENT_BIAS];
    const int second = biases > 1 && h->wanted[RECURRENT_STATE_BIAS];
    if (first) bias_gradient(&r, RECURRENT_BIAS, cell->place, NULL, own);
    if (second) bias_gradient(&r, RECURRENT_STATE_BIAS, cell->state_place, first ? cell->place : NULL, own);
    if (first) vector_born(h, births, RECURRENT_BIAS, own.first, own.end);
    if (second) vector_born(h, births, RECURRENT_STATE_BIAS, own.first, own.end);
}

/* ---- what cells compute ------------------------------------------------------------------------------------------ */

/* Lanes [j, j + LANES) of rows of n: all of them, or those that are left. */
struct lanes {
    ptrdiff_t at;
    int whole;
    vmask mask;
};
ALWAYS_INLINE vec take(struct lanes l, const real *x) { return l.whole ? v_load(x + l.at) : v_load_m(x + l.at,
                                                                                                     l.mask); }
ALWAYS_INLINE void give(struct lanes l, real *y, vec v) {
    if (l.whole) v_store(y + l.at, v);
    else v_store_m(y + l.at, v, l.mask);
}
/* Calls f(context, lanes) for all lanes of n. */
#define EACH_LANES(n, f, ...)                                                                                         \
    do {                                                                                                             \
        ptrdiff_t lane_ = 0;                                                                                         \
        for (; lane_ + LANES <= (n); lane_ += LANES) f((struct lanes){.at = lane_, .whole = 1}, __VA_ARGS__);        \
        if (lane_ < (n)) f((struct lanes){.at = lane_, .mask = v_mask((n) - lane_)}, __VA_ARGS__);                   \
    } while (0)

ALWAYS_INLINE vec through_sigmoid(vec y) { return y * (v_set1(1) - y); }
ALWAYS_INLINE vec through_tanh(vec y) { return v_set1(1) - y * y; }

/* A kind by its cell. */
#define RECURRENT_KIND(NAME, CELL, MORE_NUMBERS)                                                                      \
    static const char *NAME##_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,       \
                                    struct schuss_array *arrays, int *n_arrays) {                                    \
        return recurrent_shape(CELL(node), node, in, out, arrays, n_arrays);                                         \
    }                                                                                                                \
    static ptrdiff_t NAME##_carries(const struct schuss_node *node) {                                                \
        return (1 + CELL(node)->cells) * node->sizes[N_HIDDEN];                                                      \
    }                                                                                                                \
    static struct needs NAME##_needs(const struct schuss_node *node, const struct shape *in, ptrdiff_t rows,         \
                                     int passes) {                                                                   \
        (void)in;                                                                                                    \
        return recurrent_needs(CELL(node), node, rows, passes);                                                      \
    }                                                                                                                \
    static void NAME##_forward(struct here *h, const struct pass *pass, struct team *me) {                           \
        recurrent_forward(h, CELL(h->node), pass, me);                                                               \
    }                                                                                                                \
    static void NAME##_down(struct here *h, const struct pass *pass, struct team *me) {                              \
        (void)me;                                                                                                    \
        recurrent_down(h, CELL(h->node), pass);                                                                      \
    }                                                                                                                \
    static void NAME##_gradients(struct here *h, const struct pass *pass, struct births *births, struct team *me) {  \
        recurrent_gradients(h, CELL(h->node), pass, births, me);                                                     \
    }                                                                                                                \
    static const struct kind NAME##_kind = {                                                                         \
        .name = #NAME, .sizes = RECURRENT_SIZES, .numbers = RECURRENT_NUMBERS MORE_NUMBERS,                          \
        .shape = NAME##_shape, .needs = NAME##_needs, .sharing = SHARES_ROWS, .spatial = 1, .state = NAME##_carries, \
        .prepare = recurrent_prepare,                                                                                \
        .forward = NAME##_forward, .down = NAME##_down, .gradients = NAME##_gradients,                               \
    }
