/* With sums of x W + h R + b in four blocks of n_hidden:
 *
 *   i = sigmoid(.)  f = sigmoid(.)  g = tanh(.)  o = sigmoid(.)    c = f c + i g    h = o tanh(c)
 *
 * S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997); f by F. A. Gers, J.
 * Schmidhuber, F. Cummins, "Learning to forget", Neural Computation 12 (2000). With d the gradient by h and e that by c
 * from the step after:
 *
 *   e = e + d o (1 - tanh(c)^2)    e = e f for the step before
 *   by sums: i: e g i (1 - i)  f: e c f (1 - f)  g: e i (1 - g^2)  o: d tanh(c) o (1 - o)
 *
 * where the c of f's gradient is the one before. */

ALWAYS_INLINE void lstm_lanes(struct lanes l, ptrdiff_t n, real *gates, const real *bias, const real *cell,
                              real *cell_tanh, real *next, real *next_cell, real *out) {
    const vec i = gate_sigmoid(take(l, gates) + take(l, bias));
    const vec f = gate_sigmoid(take(l, gates + n) + take(l, bias + n));
    const vec g = gate_tanh(take(l, gates + 2 * n) + take(l, bias + 2 * n));
    const vec o = gate_sigmoid(take(l, gates + 3 * n) + take(l, bias + 3 * n));
    const vec c = v_fma(f, take(l, cell), i * g), t = gate_tanh(c), h = o * t;
    give(l, gates, i);
    give(l, gates + n, f);
    give(l, gates + 2 * n, g);
    give(l, gates + 3 * n, o);
    give(l, cell_tanh, t);
    give(l, next_cell, c);
    give(l, next, h);
    if (out) give(l, out, h);
}

static void lstm_strip(const struct strip *s) {
    const struct recurrent *r = s->r;
    sums_of_both(s, &r->weights[0], 0, r->columns);
    for (ptrdiff_t i = 0; i < s->rows; i++)
        EACH_LANES(r->n_hidden, lstm_lanes, r->n_hidden, s->gates + i * r->ld_gates, r->bias,
                   s->cell_before + i * r->ld_state,
                   s->cell_tanh + i * r->ld_state, s->next[i], s->next_cell[i], s->out[i]);
}

ALWAYS_INLINE void lstm_lanes_back(struct lanes l, ptrdiff_t n, const real *gates, real *delta, const real *cell,
                                   const real *cell_tanh, const real *dy, const real *returned, real *carried) {
    const vec i = take(l, gates), f = take(l, gates + n), g = take(l, gates + 2 * n), o = take(l, gates + 3 * n);
    const vec d = take(l, dy) + take(l, returned), t = take(l, cell_tanh);
    const vec e = v_fma(d * o, through_tanh(t), take(l, carried));
    give(l, delta, e * g * through_sigmoid(i));
    give(l, delta + n, e * take(l, cell) * through_sigmoid(f));
    give(l, delta + 2 * n, e * i * through_tanh(g));
    give(l, delta + 3 * n, d * t * through_sigmoid(o));
    give(l, carried, e * f);
}

static void lstm_strip_back(const struct strip *s) {
    const struct recurrent *r = s->r;
    for (ptrdiff_t i = 0; i < s->rows; i++)
        EACH_LANES(r->n_hidden, lstm_lanes_back, r->n_hidden, s->gates + i * r->ld_gates, s->delta + i * r->ld_gates,
                   s->cell_before + i * r->ld_state, s->cell_tanh + i * r->ld_state, s->dy[i], s->returned[i],
                   s->carried[i]);
    if (!s->is_first)
        strip_product(s->rows, r->columns, s->delta, r->ld_gates, r->back.h, &r->back, s->before, r->ld_state,
                      r->n_hidden, NULL, 0);
}

static const struct cell lstm_cell = {
    .gates = 4, .stored = 4, .place = {0, 1, 2, 3}, .state_place = {0, 1, 2, 3}, .cells = 1,
    .forward = lstm_strip, .backward = lstm_strip_back,
};
ALWAYS_INLINE const struct cell *lstm_cell_of(const struct schuss_node *node) { return (void)node, &lstm_cell; }
RECURRENT_KIND(lstm, lstm_cell_of, "");
