/* Recurrent layers: shapes, what they need, and how a call begins. */

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
