/* Muon (Jordan et al., 2024), as torch has it: b += (1 - momentum) (g - b), u = g + momentum (b - g) with nesterov,
 * else b; p -= lr x, where x is u with all singular values nearly 1: from u / max(|u|, eps), some steps of Newton and
 * Schulz, x = a x + (b x x' + c (x x')^2) x. For a matrix higher than wide the same from the right, with x' x, which is
 * the smaller one then. With products of bfloat16 that is what these three products read, and only these: sums are floats
 * (pairs.h), and a x and b x x' are added as they are. */

#ifdef RULE_LOOPS
enum { MUON_PARTS = 64 }; /* |u|^2 is summed by so many parts, whatever the members */

/* u goes to s1. */
static void muon_sums(const struct rule_arrays *r, const struct rule_constants *c, struct rule_sums *found) {
    real *restrict buffer = r->s0, *restrict update = r->s1;
    const real *restrict g = r->g;
    const real fresh = (real)(1 - c->momentum);
    for (ptrdiff_t i = 0; i < r->n; i++) buffer[i] = buffer[i] + fresh * (g[i] - buffer[i]);
    if (c->nesterov)
        for (ptrdiff_t i = 0; i < r->n; i++) update[i] = buffer[i] + fresh * (g[i] - buffer[i]);
    else memcpy(update, buffer, (size_t)r->n * sizeof(real));
    add_products(r->n, update, update, found->lane[0]);
}

/* From the adjusted update in s1. */
static void muon(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p;
    const real *restrict update = r->s1;
    const real keep = (real)c->keep, lr = (real)c->step_size;
    for (ptrdiff_t i = 0; i < r->n; i++) p[i] = keep * p[i] - lr * update[i];
}
#endif

#ifdef RULE_ARRAYS
struct muon_room {
    real *x, *next;          /* [rows x cols] */
    real *gram, *polynomial; /* [side x side] */
    double *squares;         /* [MUON_PARTS] */
    char *products;          /* not with products of bfloat16, which have these, packed: */
    uint32_t *by_rows, *by_columns; /* x, and its transposed */
    uint32_t *square;        /* gram, and then polynomial */
    ptrdiff_t products_each, bytes;
};

static struct muon_room muon_lay(char *scratch, const struct schuss_segment *s, int in_bf16, int members) {
    const ptrdiff_t m = s->rows, n = s->cols, side = m < n ? m : n, longer = m < n ? n : m;
    const ptrdiff_t unit = 64 / sizeof(real), all = (m * n + unit - 1) / unit * unit;
    const ptrdiff_t square = (side * side + unit - 1) / unit * unit;
    const ptrdiff_t each[3] = {product_scratch(side, side, longer), product_scratch(side, side, side),
                               product_scratch(m, n, side)};
    struct muon_room room;
    room.x = (real *)scratch;
    room.next = room.x + all;
    room.gram = room.next + all;
    room.polynomial = room.gram + square;
    room.squares = (double *)(room.polynomial + square);
    room.products = (char *)(room.squares + MUON_PARTS);
    if (in_bf16) {
        room.by_rows = (uint32_t *)room.products;
        room.by_columns = room.by_rows + packed_words(m, n);
        room.square = room.by_columns + packed_words(n, m);
        room.bytes = (char *)(room.square + packed_words(side, side)) - scratch;
        return room;
    }
    room.products_each = each[0] > each[1] ? each[0] : each[1];
    if (each[2] > room.products_each) room.products_each = each[2];
    room.bytes = room.products + members * room.products_each - scratch;
    return room;
}

static ptrdiff_t muon_scratch(const struct schuss_group *g, const struct schuss_segment *s, int members) {
    return muon_lay(NULL, s, g->products == SCHUSS_PRODUCTS_OF_BF16, members).bytes;
}

/* x, or another array of the room where it is then. */
static real *muon_orthogonalised(const struct muon_room *room, ptrdiff_t rows, ptrdiff_t cols,
                                 const struct rule_constants *c, struct team *me) {
    const int wide = rows <= cols;
    const ptrdiff_t side = wide ? rows : cols;
    real *x = room->x, *next = room->next;
    char *scratch = room->products + me->index * room->products_each;
    for (int i = 0; i < c->iterations; i++) {
        const struct gemm gram = {
            .m = side, .n = side, .k = wide ? cols : rows,
            .a = x, .a_row = wide ? cols : 1, .a_col = wide ? 1 : cols,
            .b = x, .ldb = cols, .b_transposed = wide,
            .c = room->gram, .ldc = side,
        };
        const struct gemm polynomial = {
            .m = side, .n = side, .k = side,
            .a = room->gram, .a_row = side, .a_col = 1,
            .b = room->gram, .ldb = side,
            .c = room->polynomial, .ldc = side,
            .end = {
                .kind = END_ADD,
                .alpha = c->coefficients[2],
                .beta = c->coefficients[1],
                .add = room->gram,
                .ld_add = side,
            },
        };
        const struct gemm product = {
            .m = rows, .n = cols, .k = side,
            .a = wide ? room->polynomial : x, .a_row = side, .a_col = 1,
            .b = wide ? x : room->polynomial, .ldb = cols,
            .c = next, .ldc = cols,
            .end = {.kind = END_ADD, .alpha = 1, .beta = c->coefficients[0], .add = x, .ld_add = cols},
        };
        team_product(&gram, 1, scratch, me);
        team_wait(me);
        team_product(&polynomial, 1, scratch, me);
        team_wait(me);
        team_product(&product, 0, scratch, me);
        team_wait(me);
        real *last = x;
        x = next;
        next = last;
    }
    return x;
}

/* The same with products of bfloat16. */
static real *muon_orthogonalised_in_bf16(const struct muon_room *room, ptrdiff_t rows, ptrdiff_t cols,
                                         const struct rule_constants *c, struct team *me) {
    const int wide = rows <= cols;
    const ptrdiff_t side = wide ? rows : cols;
    real *x = room->x, *next = room->next;
    for (int i = 0; i < c->iterations; i++) {
        const uint32_t *twice = wide ? room->by_columns : room->by_rows;
        const struct pairs_product gram = {
            .m = side, .n = side, .k = wide ? cols : rows, .a = twice, .b = twice, .c = room->gram, .symmetric = 1,
        };
        const struct pairs_product polynomial = {
            .m = side, .n = side, .k = side,
            .a = room->square, .b = room->square,
            .alpha = (real)c->coefficients[2], .beta = (real)c->coefficients[1], .add = room->gram,
            .c = room->polynomial,
            .symmetric = 1,
        };
        const struct pairs_product product = {
            .m = rows, .n = cols, .k = side,
            .a = wide ? room->square : room->by_columns, .b = wide ? room->by_rows : room->square,
            .alpha = 1, .beta = (real)c->coefficients[0], .add = x,
            .c = next,
        };
        team_pack_rows(rows, cols, x, room->by_rows, me);
        team_pack_columns(rows, cols, x, room->by_columns, me);
        team_wait(me);
        team_pairs(&gram, me);
        team_wait(me);
        team_pack_symmetric(side, room->gram, room->square, me);
        team_wait(me);
        team_pairs(&polynomial, me);
        team_wait(me);
        team_pack_symmetric(side, room->polynomial, room->square, me);
        team_wait(me);
        team_pairs(&product, me);
        team_wait(me);
        real *last = x;
        x = next;
        next = last;
    }
    return x;
}

static void muon_array(const struct schuss_segment *s, const struct rule_constants *c, char *scratch, struct team *me,
                       int *nonfinite) {
    const struct muon_room room = muon_lay(scratch, s, c->in_bf16, me->count);
    const int first = me->index * MUON_PARTS / me->count, end = (me->index + 1) * MUON_PARTS / me->count;
    const ptrdiff_t from = share_start(s->n, 64, first, MUON_PARTS), to = share_start(s->n, 64, end, MUON_PARTS);
    struct rule_constants own = *c; /* of the last pass, which needs no gradient */
    struct schuss_segment with_update = *s;
    double total = 0;
    with_update.s[1] = room.x;
    own.seen = 1;
    own.zero_grad = 0;
    own.grad_scale = own.scale = 1;
    own.clip_value = own.l2 = 0;
    for (int part = first; part < end; part++) {
        double sums[SCHUSS_MAX_SUMS];
        const struct schuss_segment piece = piece_of(&with_update, share_start(s->n, 64, part, MUON_PARTS),
                                                     share_start(s->n, 64, part + 1, MUON_PARTS));
        measure(&piece, c, sums, nonfinite);
        room.squares[part] = sums[0];
    }
    team_wait(me);
    for (int part = 0; part < MUON_PARTS; part++) total += room.squares[part];
    const double norm = sqrt(total);
    const real divisor = (real)(norm < c->eps ? c->eps : norm);
    for (ptrdiff_t i = from; i < to; i++) room.x[i] = room.x[i] / divisor;
    team_wait(me);
    with_update.s[1] = c->in_bf16 ? muon_orthogonalised_in_bf16(&room, s->rows, s->cols, c, me)
                                  : muon_orthogonalised(&room, s->rows, s->cols, c, me);
    const double rows = (double)s->rows, cols = (double)s->cols;
    own.step_size *= c->match_rms ? 0.2 * sqrt(rows > cols ? rows : cols) : sqrt(rows > cols ? rows / cols : 1);
    const struct schuss_segment piece = piece_of(&with_update, from, to);
    step(&piece, &own, nonfinite);
}
#endif

#ifdef RULE_ROWS
static void muon_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    (void)t;
    for (int k = 0; k < 3; k++) c->coefficients[k] = g->ns_coefficients[k];
    c->iterations = (int)g->ns_steps;
    c->match_rms = g->adjust_lr_fn == SCHUSS_ADJUST_MATCH_RMS_ADAMW;
    c->in_bf16 = g->products == SCHUSS_PRODUCTS_OF_BF16;
}

/* Three products a step of the iteration, two of which are done by half. */
static double muon_time(const struct schuss_group *g, const struct schuss_segment *s) {
    const double side = (double)(s->rows < s->cols ? s->rows : s->cols), n = (double)s->n;
    return n + g->ns_steps * (3 * n * side + side * side * side) / FLOPS_PER_NANOSECOND;
}

static const struct rule muon_rule = {
    .settings = SETTINGS(WEIGHT_DECAY, MOMENTUM, NESTEROV,
                         TRIPLE("ns_coefficients", ns_coefficients[0], ns_coefficients[1], ns_coefficients[2],
                                "(-inf, inf)"),
                         EPS, WHOLE("ns_steps", ns_steps, "[1, 99]"),
                         {.name = "adjust_lr_fn", .kind = SCHUSS_CHOICE, .offset = {AT(adjust_lr_fn)},
                          .choices = SCHUSS_N_ADJUST_LRS, .choice = schuss_adjust_lr_name, .optional = 1},
                         {.name = "products", .kind = SCHUSS_CHOICE, .offset = {AT(products)},
                          .choices = SCHUSS_N_PRODUCTS, .choice = schuss_products_name, .optional = 1,
                          .none = SCHUSS_PRODUCTS_OF_DTYPE}),
    .decouples = 1,
    .state_names = {"momentum_buffer"},
    .constants = muon_constants,
    .time = muon_time,
};
#endif
