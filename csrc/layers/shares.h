/* What the bodies of layers have in common: which part of a call is a member's own, and handing over what it
 * computed. */

/* A vector of n elements, stepped or a state; a matrix of parameters. */
ALWAYS_INLINE struct schuss_array vector_array(const char *name, ptrdiff_t n, int stepped) {
    return (struct schuss_array){.name = name, .ndim = 1, .matrices = 1, .rows = n, .cols = 1, .stepped = stepped};
}
ALWAYS_INLINE struct schuss_array matrix_array(const char *name, ptrdiff_t rows, ptrdiff_t cols) {
    return (struct schuss_array){.name = name, .ndim = 2, .matrices = 1, .rows = rows, .cols = cols,
                                 .stepped = 1};
}

/* The shape of a layer with as many columns as its input, whose number is the layer's first size. Returns NULL, or what
 * does not fit. */
ALWAYS_INLINE const char *same_shape(const struct schuss_node *node, const struct shape *in, struct shape *out) {
    if (in->storage != SCHUSS_REAL) return "input";
    if (node->sizes[0] != in->channels) return "n";
    *out = *in;
    return NULL;
}

/* The columns of n that are the member's own: whole tiles. */
ALWAYS_INLINE struct share own_columns(ptrdiff_t n, const struct team *me) {
    if (me->count == 1) return (struct share){0, n};
    return (struct share){share_start(n, TILE_COLS, me->index, me->count),
                          share_start(n, TILE_COLS, me->index + 1, me->count)};
}

/* The end of rows [i, i + rows), which have just been computed to y. */
ALWAYS_INLINE void finish_some(const struct here *h, ptrdiff_t i, ptrdiff_t rows, real *y) {
    const struct tile_end *end = &h->end;
    if (end->activation != SCHUSS_IDENTITY || end->values || end->mask || end->add)
        finish_rows(end, rows, h->node->channels, y, h->y.ld, i, 0);
}
ALWAYS_INLINE void finish_row(const struct here *h, ptrdiff_t i, real *y) { finish_some(h, i, 1, y); }

/* The end of all positions of some rows, which have been computed; each row has so many. */
ALWAYS_INLINE void finish_positions(const struct here *h, struct share rows, ptrdiff_t positions) {
    const struct tile_end *end = &h->end;
    const ptrdiff_t first = rows.first * positions;
    if (end->activation != SCHUSS_IDENTITY || end->values || end->mask || end->add)
        finish_rows(end, rows.end * positions - first, h->node->channels, (real *)h->y.at + first * h->y.ld, h->y.ld, first, 0);
}

/* Whether the gradient by the input is one part, and nothing is there yet to add it to. */
ALWAYS_INLINE int hands_over_at_once(const struct here *h) {
    return h->n_parts == 1 && h->parts->n == h->channels && !h->parts->start.at;
}

/* Where row i of the gradient by the input is to be computed, from column `col` on: where it belongs, or else `room`.
 * When it is there, hand_over() has to be called. */
ALWAYS_INLINE real *gradient_row(const struct here *h, ptrdiff_t i, ptrdiff_t col, real *room) {
    const struct part *part = h->parts;
    return hands_over_at_once(h) ? (real *)part->d.at + i * part->d.ld + col : room;
}

/* Rows [row, row + rows) of the gradient by the input have been computed to gradient_row(), columns [col, col + cols).
 * In `room`, where they were computed there, they lie side by side. */
static void hand_over(const struct here *h, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t col, ptrdiff_t cols,
                      const real *room) {
    for (int k = 0; k < h->n_parts; k++) {
        const struct part *part = &h->parts[k];
        const ptrdiff_t from = part->first > col ? part->first : col;
        const ptrdiff_t to = part->first + part->n < col + cols ? part->first + part->n : col + cols;
        if (from >= to) continue;
        const ptrdiff_t at = from - part->first, n = to - from;
        real *d = (real *)part->d.at + row * part->d.ld + at;
        if (!hands_over_at_once(h))
            for (ptrdiff_t i = 0; i < rows; i++) {
                const real *x = room + i * cols + (from - col);
                if (!part->start.at) {
                    memcpy(d + i * part->d.ld, x, (size_t)n * sizeof(real));
                    continue;
                }
                const real *start = (const real *)part->start.at + (row + i) * part->start.ld + at;
                for (ptrdiff_t j = 0; j < n; j++) d[i * part->d.ld + j] = start[j] + x[j];
            }
        if (part->end.kind != END_NONE) finish_rows(&part->end, rows, n, d, part->d.ld, row, at);
    }
}

/* The gradient of elements [first, end) of array k, a vector, is computed, in the arena of gradients. If the update is
 * made as gradients are born, they are updated. */
ALWAYS_INLINE void vector_born(const struct here *h, struct births *births, int k, ptrdiff_t first, ptrdiff_t end) {
    if (!births || !h->wanted[k] || first >= end) return;
    const struct birth born = birth_of(births, h->kernels, h->node->first_array + k, 1);
    births->nonfinite |= birth_update(&born, first, end - first, (const real *)h->gradients[k] + first);
}

/* The gradient of array 0, a vector: sums over all rows of terms of a[rows x channels] and dy, of the member's own
 * columns. */
ALWAYS_INLINE void vector_gradient(const struct here *h, const struct pass *pass, column_term *term, const void *a,
                                   ptrdiff_t ld_a, struct births *births, const struct team *me) {
    const struct share own = own_columns(h->channels, me);
    const struct column_operands operands = {
        .rows = pass->rows, .a = (const real *)a, .ld_a = ld_a, .b = (const real *)h->dy.at, .ld_b = h->dy.ld};
    sum_columns(1, term, &operands, own.first, own.end, (real *)h->gradients[0], NULL);
    vector_born(h, births, 0, own.first, own.end);
}
