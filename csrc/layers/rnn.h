/* h = act(x W + h R + b), act tanh or relu: x[n_in], h[n_hidden]. J. L. Elman, "Finding structure in time", Cognitive
 * Science 14 (1990). With d the gradient by h, that by the sums is d act'(h). */

ALWAYS_INLINE int rnn_is_relu(const struct recurrent *r) { return r->h->node->numbers[VARIANT] != 0; }

ALWAYS_INLINE void rnn_lanes(struct lanes l, const int relu, real *gates, const real *bias, real *next, real *out) {
    const vec z = take(l, gates) + take(l, bias), h = relu ? relu_value(z, z) : gate_tanh(z);
    give(l, gates, h);
    give(l, next, h);
    if (out) give(l, out, h);
}

static void rnn_strip(const struct strip *s) {
    const struct recurrent *r = s->r;
    sums_of_both(s, &r->weights[0], 0, r->n_hidden);
    for (ptrdiff_t i = 0; i < s->rows; i++) {
        real *gates = s->gates + i * r->ld_gates;
        if (rnn_is_relu(r)) EACH_LANES(r->n_hidden, rnn_lanes, 1, gates, r->bias, s->next[i], s->out[i]);
        else EACH_LANES(r->n_hidden, rnn_lanes, 0, gates, r->bias, s->next[i], s->out[i]);
    }
}

ALWAYS_INLINE void rnn_lanes_back(struct lanes l, const int relu, const real *gates, const real *dy,
                                  const real *returned, real *delta) {
    const vec d = take(l, dy) + take(l, returned), h = take(l, gates);
    give(l, delta, d * (relu ? relu_slope(h, h) : through_tanh(h)));
}

static void rnn_strip_back(const struct strip *s) {
    const struct recurrent *r = s->r;
    for (ptrdiff_t i = 0; i < s->rows; i++) {
        const real *gates = s->gates + i * r->ld_gates;
        real *delta = s->delta + i * r->ld_gates;
        if (rnn_is_relu(r)) EACH_LANES(r->n_hidden, rnn_lanes_back, 1, gates, s->dy[i], s->returned[i], delta);
        else EACH_LANES(r->n_hidden, rnn_lanes_back, 0, gates, s->dy[i], s->returned[i], delta);
    }
    if (!s->is_first)
        strip_product(s->rows, r->columns, s->delta, r->ld_gates, r->back.h, &r->back, s->before, r->ld_state,
                      r->n_hidden, NULL, 0);
}

static const struct cell rnn_cell = {.gates = 1, .stored = 1, .forward = rnn_strip, .backward = rnn_strip_back};
ALWAYS_INLINE const struct cell *rnn_cell_of(const struct schuss_node *node) { return (void)node, &rnn_cell; }
RECURRENT_KIND(rnn, rnn_cell_of, " relu");
