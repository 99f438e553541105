/* Recurrent layers: the steps forward, each a product of a strip of rows and what the cell makes of it. */

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
