/* With x W, h R and biases in three blocks of n_hidden, r, z and n:
 *
 *   r = sigmoid(x W + h R + b)   z = sigmoid(x W + h R + b)   h = (1 - z) n + z h, computed as n + z (h - n)
 *
 * and n either
 *
 *   n = tanh(x W + b + r (h R + c))   the reset after the product: c is R's own bias
 *   n = tanh(x W + (r h) R + b)       the reset before it
 *
 * K. Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014, with the reset before. A step
 * leaves n, r, z and a fourth block: q = h R + c, or r h. With d the gradient by h, that by the state before is d z and
 *
 *   by sums: z: d (h - n) z (1 - z)    n: e = d (1 - z) (1 - n^2)
 *   after: q: e r    r: e q r (1 - r)    before: with u = e R^T: r: u h r (1 - r), and u r goes to the state before */

enum { GRU_N, GRU_R, GRU_Z, GRU_FOURTH };

ALWAYS_INLINE void gru_new_state(struct lanes l, vec n, vec z, const real *state, real *next, real *out) {
    const vec h = v_fma(z, take(l, state) - n, n);
    give(l, next, h);
    if (out) give(l, out, h);
}

ALWAYS_INLINE void gru_after_lanes(struct lanes l, ptrdiff_t n, real *gates, const real *bias, const real *state,
                                   real *next, real *out) {
    const vec r = gate_sigmoid(take(l, gates + GRU_R * n) + take(l, bias + GRU_R * n));
    const vec z = gate_sigmoid(take(l, gates + GRU_Z * n) + take(l, bias + GRU_Z * n));
    const vec q = take(l, gates + GRU_FOURTH * n) + take(l, bias + GRU_FOURTH * n);
    const vec new = gate_tanh(v_fma(r, q, take(l, gates) + take(l, bias)));
    give(l, gates, new);
    give(l, gates + GRU_R * n, r);
    give(l, gates + GRU_Z * n, z);
    give(l, gates + GRU_FOURTH * n, q);
    gru_new_state(l, new, z, state, next, out);
}

/* Sums of x W of the third gate. */
ALWAYS_INLINE void gru_input_sums(const struct strip *s) {
    const struct recurrent *r = s->r;
    const struct gate_weights *w = &r->weights[1];
    strip_product(s->rows, r->n_in, s->xh + r->x_at, r->ld_xh, w->x, w, s->gates, r->ld_gates, r->n_hidden, NULL, 0);
}

static void gru_after_strip(const struct strip *s) {
    const struct recurrent *r = s->r;
    const struct gate_weights *w = &r->weights[1];
    const ptrdiff_t n = r->n_hidden;
    if (r->sums_ahead) { /* r, z and q lie side by side in R too */
        real *sums = s->gates + GRU_R * n;
        for (ptrdiff_t i = 0; i < s->rows; i++) memset(sums + i * r->ld_gates + 2 * n, 0, (size_t)n * sizeof(real));
        strip_product(s->rows, n, s->xh + r->h_at, r->ld_xh, r->weights[0].h, w, sums, r->ld_gates, 3 * n, sums,
                      r->ld_gates);
    } else {
        sums_of_both(s, &r->weights[0], GRU_R, 2 * n);
        gru_input_sums(s);
        strip_product(s->rows, n, s->xh + r->h_at, r->ld_xh, w->h, w, s->gates + GRU_FOURTH * n, r->ld_gates, n,
                      NULL, 0);
    }
    for (ptrdiff_t i = 0; i < s->rows; i++)
        EACH_LANES(n, gru_after_lanes, n, s->gates + i * r->ld_gates, r->bias, s->state_before + i * s->ld_before,
                   s->next[i], s->out[i]);
}

/* r, z and r h; state: as R meets it. */
ALWAYS_INLINE void gru_reset_lanes(struct lanes l, ptrdiff_t n, real *gates, const real *bias, const real *state) {
    const vec r = gate_sigmoid(take(l, gates + GRU_R * n) + take(l, bias + GRU_R * n));
    const vec z = gate_sigmoid(take(l, gates + GRU_Z * n) + take(l, bias + GRU_Z * n));
    give(l, gates + GRU_R * n, r);
    give(l, gates + GRU_Z * n, z);
    give(l, gates + GRU_FOURTH * n, r * take(l, state));
}
ALWAYS_INLINE void gru_before_lanes(struct lanes l, ptrdiff_t n, real *gates, const real *bias, const real *state,
                                    real *next, real *out) {
    const vec new = gate_tanh(take(l, gates) + take(l, bias));
    give(l, gates, new);
    gru_new_state(l, new, take(l, gates + GRU_Z * n), state, next, out);
}

static void gru_before_strip(const struct strip *s) {
    const struct recurrent *r = s->r;
    const struct gate_weights *w = &r->weights[1];
    const ptrdiff_t n = r->n_hidden;
    sums_of_both(s, &r->weights[0], GRU_R, 2 * n);
    if (!r->sums_ahead) gru_input_sums(s);
    for (ptrdiff_t i = 0; i < s->rows; i++)
        EACH_LANES(n, gru_reset_lanes, n, s->gates + i * r->ld_gates, r->bias, s->xh + i * r->ld_xh + r->h_at);
    strip_product(s->rows, n, s->gates + GRU_FOURTH * n, r->ld_gates, w->h, w, s->gates, r->ld_gates, n, s->gates,
                  r->ld_gates);
    for (ptrdiff_t i = 0; i < s->rows; i++)
        EACH_LANES(n, gru_before_lanes, n, s->gates + i * r->ld_gates, r->bias, s->state_before + i * s->ld_before,
                   s->next[i], s->out[i]);
}

/* The gradients by z's and n's sums; the latter is returned. */
ALWAYS_INLINE vec gru_lanes_back(struct lanes l, ptrdiff_t n, const real *gates, real *delta, const real *state,
                                 const real *dy, const real *returned, real *carried) {
    const vec new = take(l, gates), z = take(l, gates + GRU_Z * n);
    const vec d = take(l, dy) + (take(l, carried) + take(l, returned)), kept = d * z;
    const vec e = (d - kept) * through_tanh(new);
    give(l, delta, e);
    give(l, delta + GRU_Z * n, d * (take(l, state) - new) * through_sigmoid(z));
    give(l, carried, kept);
    return e;
}

ALWAYS_INLINE void gru_after_lanes_back(struct lanes l, ptrdiff_t n, const real *gates, real *delta, const real *state,
                                        const real *dy, const real *returned, real *carried) {
    const vec r = take(l, gates + GRU_R * n), q = take(l, gates + GRU_FOURTH * n);
    const vec e = gru_lanes_back(l, n, gates, delta, state, dy, returned, carried);
    give(l, delta + GRU_R * n, e * q * through_sigmoid(r));
    give(l, delta + GRU_FOURTH * n, e * r);
}

static void gru_after_strip_back(const struct strip *s) {
    const struct recurrent *r = s->r;
    const ptrdiff_t n = r->n_hidden;
    for (ptrdiff_t i = 0; i < s->rows; i++)
        EACH_LANES(n, gru_after_lanes_back, n, s->gates + i * r->ld_gates, s->delta + i * r->ld_gates,
                   s->state_before + i * s->ld_before, s->dy[i], s->returned[i], s->carried[i]);
    if (!s->is_first)
        strip_product(s->rows, 3 * n, s->delta + GRU_R * n, r->ld_gates, r->back.h, &r->back, s->before, r->ld_state,
                      n, NULL, 0);
}

ALWAYS_INLINE void gru_before_lanes_back(struct lanes l, ptrdiff_t n, const real *gates, real *delta,
                                         const real *state, const real *dy, const real *returned, real *carried) {
    (void)gru_lanes_back(l, n, gates, delta, state, dy, returned, carried);
}
/* u becomes u r; state: as R meets it. */
ALWAYS_INLINE void gru_reset_lanes_back(struct lanes l, ptrdiff_t n, const real *gates, real *delta, const real *state,
                                        real *u) {
    const vec r = take(l, gates + GRU_R * n), d = take(l, u);
    give(l, delta + GRU_R * n, d * take(l, state) * through_sigmoid(r));
    give(l, u, d * r);
}

static void gru_before_strip_back(const struct strip *s) {
    const struct recurrent *r = s->r;
    const ptrdiff_t n = r->n_hidden;
    real *u = r->aside;
    for (ptrdiff_t i = 0; i < s->rows; i++)
        EACH_LANES(n, gru_before_lanes_back, n, s->gates + i * r->ld_gates, s->delta + i * r->ld_gates,
                   s->state_before + i * s->ld_before, s->dy[i], s->returned[i], s->carried[i]);
    strip_product(s->rows, n, s->delta, r->ld_gates, r->back.h + 2 * n * r->back.ld, &r->back, u, r->ld_state, n,
                  NULL, 0);
    for (ptrdiff_t i = 0; i < s->rows; i++)
        EACH_LANES(n, gru_reset_lanes_back, n, s->gates + i * r->ld_gates, s->delta + i * r->ld_gates,
                   s->xh + i * r->ld_xh + r->h_at,
                   u + i * r->ld_state);
    if (!s->is_first)
        strip_product(s->rows, 2 * n, s->delta + GRU_R * n, r->ld_gates, r->back.h, &r->back, s->before, r->ld_state,
                      n, u, r->ld_state);
}

static const struct cell gru_after = {
    .gates = 3, .stored = 4, .place = {GRU_R, GRU_Z, GRU_N}, .state_place = {GRU_R, GRU_Z, GRU_FOURTH},
    .keeps_state = 1, .forward = gru_after_strip, .backward = gru_after_strip_back,
};
static const struct cell gru_before = {
    .gates = 3, .stored = 4, .place = {GRU_R, GRU_Z, GRU_N}, .state_place = {GRU_R, GRU_Z, GRU_N},
    .factor = {0, 0, GRU_FOURTH}, .keeps_state = 1, .forward = gru_before_strip, .backward = gru_before_strip_back,
};
ALWAYS_INLINE const struct cell *gru_cell_of(const struct schuss_node *node) {
    return node->numbers[VARIANT] != 0 ? &gru_after : &gru_before;
}
RECURRENT_KIND(gru, gru_cell_of, " reset_after");
