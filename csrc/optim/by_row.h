/* Steps of whole rows, by rules that go row by row. */

/* Elements [i, end) of a row, after the stages. g NULL: the gradient is zero. */
ALWAYS_INLINE struct rule_arrays chunk_of_row(const struct schuss_segment *row, ptrdiff_t i, ptrdiff_t end,
                                              const struct rule_constants *c, real *staged) {
    if (row->g) return chunk_of(row, i, end, c, staged);
    real zeros[CHUNK];
    struct schuss_segment part = {.n = end - i, .p = (real *)row->p + i, .g = zeros};
    memset(zeros, 0, (size_t)part.n * sizeof(real));
    struct rule_arrays r = chunk_of(&part, 0, part.n, c, staged);
    if (r.g == zeros) r.g = memcpy(staged, zeros, (size_t)part.n * sizeof(real));
    return r;
}

/* What a row's sum of squares says of its elements; state: the row's own. */
ALWAYS_INLINE real factor_of_row(const struct rule_constants *c, double mean, real *state) {
    switch (c->rule) {
#define NONE(NAME, function)
#define BY_ROW(NAME, function) \
    case SCHUSS_##NAME: return function##_row(c, mean, state);
        SCHUSS_RULES(NONE, NONE, NONE, BY_ROW)
#undef BY_ROW
    }
    return 0;
}

/* The rule on elements of a row, and the averages, of which average[k] is that of the first of them. */
ALWAYS_INLINE void step_in_row(const struct rule_arrays *r, const struct rule_constants *c, real factor,
                               void *const *averages, ptrdiff_t first) {
    switch (c->rule) {
#define BY_ROW(NAME, function) \
    case SCHUSS_##NAME: function(r, c, factor); break;
        SCHUSS_RULES(NONE, NONE, NONE, BY_ROW)
#undef BY_ROW
#undef NONE
    }
    for (int k = 0; k < SCHUSS_MAX_AVERAGES; k++)
        if (c->average_weight[k] != 0)
            average(r->n, (real)c->average_weight[k], c->pull[k], r->p, (real *)averages[k] + first);
}

/* by_row() of a piece that is not of the dtype. */
__attribute__((noinline)) static void by_row_stored(const struct schuss_segment *piece, const struct rule_constants *c,
                                                    int *nonfinite) {
    const ptrdiff_t cols = piece->cols;
    struct opened o;
    real staged[CHUNK];
    for (ptrdiff_t start = 0, k = 0; start < piece->n; start += cols, k++) {
        double lane[VIRTUAL_LANES] = {0};
        struct schuss_segment row = *piece;
        row.first += start;
        row.g = piece->g ? stored_at(piece->stored->g, piece->g, start) : NULL;
        open_piece(&o, &row, CHUNK, 0, 0, c);
        for (ptrdiff_t i = 0; i < cols; i += CHUNK) {
            open_chunk(&o, cols - i < CHUNK ? cols - i : CHUNK, 0);
            if (!c->seen && o.chunk.g) *nonfinite |= any_nonfinite(o.chunk.n, o.chunk.g);
            const struct rule_arrays r = chunk_of_row(&o.chunk, 0, o.chunk.n, c, staged);
            add_products(r.n, r.g, r.g, lane);
            close_chunk(&o);
        }
        const real factor = factor_of_row(c, lanes_total(lane) / (double)cols, (real *)piece->s[0] + k);
        open_piece(&o, &row, CHUNK, WRITES_PARAMS, c->zero_grad, c);
        for (ptrdiff_t i = 0; i < cols; i += CHUNK) {
            open_chunk(&o, cols - i < CHUNK ? cols - i : CHUNK, 0);
            const struct rule_arrays r = chunk_of_row(&o.chunk, 0, o.chunk.n, c, staged);
            step_in_row(&r, c, factor, o.chunk.average, 0);
            /* Or what it was widened to. */
            if (c->zero_grad && o.chunk.g) memset(o.chunk.g, 0, (size_t)o.chunk.n * sizeof(real));
            close_chunk(&o);
        }
    }
}

/* See struct kernels. */
static void by_row(const struct schuss_segment *piece, const struct rule_constants *c, int *nonfinite) {
    if (piece->stored) {
        by_row_stored(piece, c, nonfinite);
        return;
    }
    const ptrdiff_t cols = piece->cols;
    struct schuss_segment row = *piece;
    row.n = cols;
    if (!c->seen && piece->g) *nonfinite |= any_nonfinite(piece->n, piece->g);
    for (ptrdiff_t start = 0; start < piece->n; start += cols, row.s[0] = (real *)row.s[0] + 1) {
        real staged[CHUNK];
        double lane[VIRTUAL_LANES] = {0};
        row.p = (real *)piece->p + start;
        row.g = piece->g ? (real *)piece->g + start : NULL;
        for (ptrdiff_t i = 0; i < cols; i += CHUNK) {
            const struct rule_arrays r = chunk_of_row(&row, i, chunk_end(&row, i), c, staged);
            add_products(r.n, r.g, r.g, lane);
        }
        const real factor = factor_of_row(c, lanes_total(lane) / (double)cols, (real *)row.s[0]);
        for (ptrdiff_t i = 0; i < cols; i += CHUNK) {
            const struct rule_arrays r = chunk_of_row(&row, i, chunk_end(&row, i), c, staged);
            step_in_row(&r, c, factor, piece->average, start + i);
        }
        if (c->zero_grad && row.g) memset(row.g, 0, (size_t)cols * sizeof(real));
    }
}

/* See struct kernels. */
static void coast(ptrdiff_t n, const double *k, void *params, void *state, void *second, void *third) {
    real *p = (real *)params, *s = (real *)state, *others[2] = {(real *)second, (real *)third};
    if (k[1] != 0 || k[2] != 0)
        for (ptrdiff_t i = 0; i < n; i++) {
            const double x = p[i], y = s[i];
            p[i] = (real)(k[0] * x + k[1] * y);
            s[i] = (real)(k[2] * x + k[3] * y);
        }
    else {
        if (k[0] != 1)
            for (ptrdiff_t i = 0; i < n; i++) p[i] = (real)(k[0] * (double)p[i]);
        if (k[3] != 1 && s)
            for (ptrdiff_t i = 0; i < n; i++) s[i] = (real)(k[3] * (double)s[i]);
    }
    for (int which = 0; which < 2; which++)
        if (k[4 + which] != 1 && others[which])
            for (ptrdiff_t i = 0; i < n; i++) others[which][i] = (real)(k[4 + which] * (double)others[which][i]);
}
