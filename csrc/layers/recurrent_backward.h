/* Recurrent layers: the steps back, and the gradients of the parameters when they are done. */

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
        w.constants[k] = *w.born[k].constants; /* those of births change with the clock */
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
