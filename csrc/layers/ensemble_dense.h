/* k members, each with its own columns of the input, or all with the same ones: Y_m = ((X_m r_m) W) s_m + b_m. W[n_in x
 * n_out] is shared; r[k x n_in], s[k x n_out] and b[k x n_out] are the members' own (Y. Wen, D. Tran, J. Ba,
 * "BatchEnsemble", 2020; Y. Gorishniy, A. Kotelnikov, A. Babenko, "TabM", 2025). A member's columns lie together:
 * X[rows x k n_in], or [rows x n_in] where all members have the same, Y[rows x k n_out].
 *
 * One product does all members: its rows are those of the batch times members, A is X r, filled strip by strip as the
 * product needs it, and s and b come with the end. So does the gradient by X, ((dY s) W^T) r. With H_m = X_m^T dY_m,
 *
 *   dW = sum over m of r_m s_m H_m    dr_m = sums over j of s_m W H_m    ds_m = sums over i of r_m W H_m
 *
 * are summed from blocks of H as they are computed. The order: dW goes over members, each term r (s H). dr is a sum of
 * s (W H) along a row. ds goes down the rows of W, each term r (W H), in blocks of ENSEMBLE_BLOCK counted from row 0:
 * within a block in the arrays' dtype, the blocks in double, rounded once. */

enum {
    ENSEMBLE_WEIGHT, ENSEMBLE_R, ENSEMBLE_S, ENSEMBLE_BIAS,
    ENSEMBLE_BLOCK = 64,            /* rows of W */
    ENSEMBLE_ROOM = 64 * 1024,      /* elements, roughly, of gradients by the input that are not computed in place */
    ENSEMBLE_TOGETHER = 4           /* rows of H that are summed side by side */
};

/* What fills A: rows of the batch times members, each times its member's factors. */
struct ensemble_fill {
    const real *x;
    ptrdiff_t ld, step;             /* from row to row of the batch, and from member to member: 0 if they share it */
    ptrdiff_t members;
    const real *factors;            /* [members x n] */
    ptrdiff_t n;
};

static void ensemble_filled(const void *context, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t p, ptrdiff_t depth, void *to,
                            ptrdiff_t ld) {
    const struct ensemble_fill *f = context;
    ptrdiff_t i = row / f->members, m = row % f->members;
    real *filled = (real *)to;
    for (ptrdiff_t r = 0; r < rows; r++, filled += ld) {
        const real *x = f->x + i * f->ld + m * f->step + p, *factor = f->factors + m * f->n + p;
        ptrdiff_t j = 0;
        for (; j + LANES <= depth; j += LANES) {
            __builtin_prefetch(filled + ld + j, 1); /* stores that miss L1 wait for each other */
            v_store(filled + j, v_load(x + j) * v_load(factor + j));
        }
        if (j < depth) {
            const vmask rest = v_mask(depth - j);
            v_store_m(filled + j, v_load_m(x + j, rest) * v_load_m(factor + j, rest), rest);
        }
        if (++m == f->members) m = 0, i++;
    }
}

/* What consumes a product whose rows are those of the batch times members. */
struct ensemble_result {
    ptrdiff_t members, n;           /* n: columns of each */
    const real *factors, *bias;     /* [members x n]; bias NULL: none */
    real *to;
    ptrdiff_t ld, step;             /* as in struct ensemble_fill; step 0: the sum over members */
    ptrdiff_t first;                /* the first of these rows */
    const struct tile_end *end;     /* of what is computed, NULL: none */
};

/* What is done to a row while it is in registers. */
struct ensemble_end {
    const real *bias;               /* NULL: not added */
    int relu;
    const void *mask;               /* NULL: not applied after relu */
    ptrdiff_t bit;                  /* of the mask, of the first element */
    const real *values;             /* NULL: not multiplied by relu's slope there */
    vec kept;
};

/* to[n] = block[n] factors[n], and the end. */
ALWAYS_INLINE void ensemble_row(ptrdiff_t n, const real *block, const real *factors, struct ensemble_end end, real *to) {
    for (ptrdiff_t j = 0; j < n; j += LANES) {
        const vmask lanes = v_mask(n - j);
        vec y = v_load_m(block + j, lanes) * v_load_m(factors + j, lanes);
        if (end.bias) y += v_load_m(end.bias + j, lanes);
        if (end.relu) y = relu_value(y, y);
        if (end.mask) y *= mask_factors(end.mask, end.bit + j, end.kept);
        if (end.values) y *= dropped_relu_slope(v_load_m(end.values + j, lanes), end.kept);
        v_store_m(to + j, y, lanes);
    }
}

static int ensemble_finish(void *context, ptrdiff_t row, ptrdiff_t col, ptrdiff_t rows, ptrdiff_t cols,
                           const void *block) {
    const struct ensemble_result *t = context;
    const struct tile_end *end = t->end && t->end->kind != END_NONE ? t->end : NULL;
    const int relu = end && end->activation == SCHUSS_RELU;
    const int forward = end && end->kind == END_FORWARD && in_registers(end->activation) && !end->values && !end->add;
    const int backward = relu && end->kind == END_BACKWARD && finishes_in_registers(end);
    const vec kept = v_set1(kept_factor(end ? dropout_of(end) : 0));
    ptrdiff_t i = row / t->members, m = row % t->members;
    const real *from = (const real *)block;
    for (ptrdiff_t r = 0; r < rows; r++, from += cols) {
        const ptrdiff_t at = m * t->n + col, to_col = m * t->step + col;
        const real *factors = t->factors + at;
        real *to = t->to + i * t->ld + to_col;
        struct ensemble_end own = {.bias = t->bias ? t->bias + at : NULL, .kept = kept};
        if (t->step == 0 && m > 0) {
            for (ptrdiff_t j = 0; j < cols; j++) to[j] += from[j] * factors[j];
        } else if (forward && end->mask) {
            own.relu = relu, own.bit = to_col, own.mask = (const char *)end->mask + (t->first + i) * end->ld_mask;
            ensemble_row(cols, from, factors, own, to);
        } else if (forward) {
            own.relu = relu;
            ensemble_row(cols, from, factors, own, to);
        } else if (backward) {
            own.values = end_element(end->values, end->ld_values, t->first + i, to_col);
            ensemble_row(cols, from, factors, own, to);
        } else {
            ensemble_row(cols, from, factors, own, to);
            if (end) finish_rows(end, 1, cols, to, t->ld, t->first + i, to_col);
        }
        if (++m == t->members) m = 0, i++;
    }
    return 0;
}

/* What a product is to fetch. */
struct ensemble_fetch {
    const struct ensemble_fill *fill;
    const struct ensemble_result *result;
    ptrdiff_t products;             /* rows of the product */
};

/* Asks for the lines of x[n]. */
ALWAYS_INLINE void fetch_line(const real *x, ptrdiff_t n, int writes) {
    for (ptrdiff_t j = 0; j < n; j += 64 / (ptrdiff_t)sizeof(real)) {
        if (writes) __builtin_prefetch(x + j, 1, 2);
        else __builtin_prefetch(x + j, 0, 2);
    }
}

static void ensemble_fetch_part(const void *context, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t col, ptrdiff_t cols,
                                ptrdiff_t part, ptrdiff_t parts) {
    const struct ensemble_fetch *f = context;
    const struct ensemble_result *t = f->result;
    const struct tile_end *end = t->end && t->end->kind == END_BACKWARD ? t->end : NULL;
    for (ptrdiff_t r = row + rows * part / parts; r < row + rows * (part + 1) / parts; r++) {
        const ptrdiff_t i = r / t->members, at = r % t->members * t->step + col, next = r + rows;
        fetch_line(t->to + i * t->ld + at, cols, 1);
        if (end && end->values) fetch_line(end_element(end->values, end->ld_values, t->first + i, at), cols, 0);
        if (next < f->products)
            fetch_line(f->fill->x + next / t->members * f->fill->ld + next % t->members * f->fill->step, f->fill->n, 0);
    }
}

static const char *ensemble_dense_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,
                                        struct schuss_array *arrays, int *n_arrays) {
    const ptrdiff_t n_in = node->sizes[0], n_out = node->sizes[1], members = node->sizes[2];
    ptrdiff_t all_in, all_out;
    if (in->storage != SCHUSS_REAL) return "input";
    if (members < 1 || __builtin_mul_overflow(members, n_out, &all_out)) return "members";
    if (n_out < 1) return "n_out";
    if (n_in != in->channels && (__builtin_mul_overflow(members, n_in, &all_in) || all_in != in->channels)) return "n_in";
    *out = (struct shape){all_out, SCHUSS_REAL, 0};
    arrays[(*n_arrays)++] = matrix_array("weight", n_in, n_out);
    arrays[(*n_arrays)++] = matrix_array("r", members, n_in);
    arrays[(*n_arrays)++] = matrix_array("s", members, n_out);
    if (node->numbers[0] != 0) arrays[(*n_arrays)++] = matrix_array("bias", members, n_out);
    return NULL;
}

/* Rows of the batch whose gradients by the input go to a room together. */
ALWAYS_INLINE ptrdiff_t ensemble_together(ptrdiff_t channels) {
    return channels < ENSEMBLE_ROOM ? ENSEMBLE_ROOM / channels : 1;
}

static struct needs ensemble_dense_needs(const struct schuss_node *node, const struct shape *in, ptrdiff_t rows,
                                         int passes) {
    const ptrdiff_t n_in = node->sizes[0], n_out = node->sizes[1], members = node->sizes[2], item = sizeof(real);
    const ptrdiff_t blocks = (n_in + ENSEMBLE_BLOCK - 1) / ENSEMBLE_BLOCK;
    ptrdiff_t products, most, parts;
    if (__builtin_mul_overflow(rows, members, &products)) products = PTRDIFF_MAX / 2;
    most = gemm_scratch(products, n_out, n_in, END_CONSUME) + fill_scratch(n_in);
    if (passes != SCHUSS_FORWARD_ONLY) {
        const ptrdiff_t room = (ensemble_together(in->channels) * in->channels + 16) * item;
        const ptrdiff_t down = gemm_scratch(products, n_in, n_out, END_CONSUME) + fill_scratch(n_out) + room;
        const ptrdiff_t gradients = gemm_scratch(n_in, n_out, rows, END_CONSUME) + VIRTUAL_LANES * n_in * item;
        most = down > most ? down : most;
        most = gradients > most ? gradients : most;
    }
    if (__builtin_mul_overflow(blocks * item, members * n_out, &parts)) parts = PTRDIFF_MAX / 2;
    return (struct needs){
        .kept = passes == SCHUSS_FORWARD_ONLY ? 0 : parts,
        .scratch = most,
        .weights = n_in > PTRDIFF_MAX / n_out / item ? PTRDIFF_MAX : n_in * n_out * item,
        .nanoseconds = (double)members * (double)n_out * (PRODUCT_NS * (double)n_in + OUTPUT_NS),
    };
}

ALWAYS_INLINE int ensemble_shares_input(const struct here *h) { return h->node->sizes[0] == h->channels; }

/* Members times `rows` rows of the batch from `first` on: from x[rows x ...] times factors, by W or its transposed, to
 * what `result` says. */
static void ensemble_product(const struct here *h, int transposed, ptrdiff_t rows, struct ensemble_fill fill,
                             struct ensemble_result result, void *scratch) {
    const ptrdiff_t members = h->node->sizes[2], n_out = h->node->sizes[1];
    fill.members = result.members = members;
    const struct ensemble_fetch fetch = {&fill, &result, members * rows};
    const struct gemm g = {
        .m = members * rows, .n = result.n, .k = fill.n, .a_col = 1, .fill = ensemble_filled, .fill_context = &fill,
        .fetch = ensemble_fetch_part, .fetch_context = &fetch,
        .b = h->arrays[ENSEMBLE_WEIGHT], .ldb = n_out, .b_transposed = transposed,
        .end = {.kind = END_CONSUME, .consume = ensemble_finish, .context = &result},
    };
    gemm(&g, 0, g.m, 0, g.n, scratch);
}

static void ensemble_dense_forward(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t n_in = h->node->sizes[0], n_out = h->node->sizes[1];
    const ptrdiff_t first = pass->own.first, rows = pass->own.end - first;
    (void)me;
    ensemble_product(h, 0, rows,
                     (struct ensemble_fill){
                         .x = (const real *)h->x.at + first * h->x.ld, .ld = h->x.ld,
                         .step = ensemble_shares_input(h) ? 0 : n_in, .factors = h->arrays[ENSEMBLE_R], .n = n_in,
                     },
                     (struct ensemble_result){
                         .to = (real *)h->y.at + first * h->y.ld, .ld = h->y.ld, .first = first,
                         .step = n_out, .factors = h->arrays[ENSEMBLE_S], .bias = h->arrays[ENSEMBLE_BIAS], .n = n_out,
                         .end = &h->end,
                     },
                     h->scratch);
}

static void ensemble_dense_down(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t n_in = h->node->sizes[0], n_out = h->node->sizes[1];
    const struct part *part = h->parts;
    const int shared = ensemble_shares_input(h) && h->node->sizes[2] > 1;
    const int in_place = hands_over_at_once(h) && !shared;
    real *room = (real *)(((uintptr_t)h->scratch + 63) & ~(uintptr_t)63);
    const ptrdiff_t together = in_place ? pass->rows : ensemble_together(h->channels);
    (void)me;
    for (ptrdiff_t row = pass->own.first, rows; row < pass->own.end; row += rows) {
        rows = pass->own.end - row < together ? pass->own.end - row : together;
        ensemble_product(h, 1, rows,
                         (struct ensemble_fill){
                             .x = (const real *)h->dy.at + row * h->dy.ld, .ld = h->dy.ld, .step = n_out,
                             .factors = h->arrays[ENSEMBLE_S], .n = n_out,
                         },
                         (struct ensemble_result){
                             .to = gradient_row(h, row, 0, room),
                             .ld = hands_over_at_once(h) ? part->d.ld : h->channels, .first = row,
                             .step = shared ? 0 : n_in, .factors = h->arrays[ENSEMBLE_R], .n = n_in,
                             .end = in_place ? &part->end : NULL,
                         },
                         in_place ? (void *)h->scratch : (void *)(room + together * h->channels));
        if (!in_place) hand_over(h, row, rows, 0, h->channels, room);
    }
}

/* What consumes H_m. */
struct ensemble_sums {
    ptrdiff_t n;                    /* n_out */
    const real *weight, *r, *s;     /* W, and the member's r and s */
    real *dweight;
    int starts;                     /* the member is the first: dW begins */
    real *lanes;                    /* [rows of W from `first` on][VIRTUAL_LANES]: sums along rows in progress */
    ptrdiff_t first;
    real *ds;                       /* sums of the member, for the first block of rows; ld_ds further for the next */
    ptrdiff_t ld_ds;
};

/* Rows [i, i + rows) of W and their columns [col, col + cols), from H[rows x cols]. They are of one block of ds. */
ALWAYS_INLINE void ensemble_sum_rows(const int rows, const struct ensemble_sums *e, ptrdiff_t i, ptrdiff_t col,
                                     ptrdiff_t cols, const real *h) {
    const real *w = e->weight + i * e->n + col, *s = e->s + col;
    real *dw = e->dweight + i * e->n + col, *ds = e->ds + i / ENSEMBLE_BLOCK * e->ld_ds + col;
    real *lanes = e->lanes + (i - e->first) * VIRTUAL_LANES;
    vec sum[ENSEMBLE_TOGETHER][SUM_VECS], r[ENSEMBLE_TOGETHER];
#pragma GCC unroll 4
    for (int a = 0; a < rows; a++) {
        r[a] = v_set1(e->r[i + a]);
#pragma GCC unroll 8
        for (int q = 0; q < SUM_VECS; q++) sum[a][q] = v_load(lanes + a * VIRTUAL_LANES + q * LANES);
    }
    for (ptrdiff_t j = 0; j < cols; j += LANES) {
        const vmask mask = v_mask(cols - j);
        const ptrdiff_t q = (col + j) / LANES % SUM_VECS;
        const vec sj = v_load_m(s + j, mask);
        vec of_column = v_load_m(ds + j, mask);
#pragma GCC unroll 4
        for (int a = 0; a < rows; a++) {
            const vec hj = v_load_m(h + a * cols + j, mask), both = v_load_m(w + a * e->n + j, mask) * hj;
            sum[a][q] += sj * both;
            of_column += r[a] * both;
            vec of_weight = r[a] * (sj * hj);
            if (!e->starts) of_weight += v_load_m(dw + a * e->n + j, mask);
            v_store_m(dw + a * e->n + j, of_weight, mask);
        }
        v_store_m(ds + j, of_column, mask);
    }
#pragma GCC unroll 4
    for (int a = 0; a < rows; a++)
#pragma GCC unroll 8
        for (int q = 0; q < SUM_VECS; q++) v_store(lanes + a * VIRTUAL_LANES + q * LANES, sum[a][q]);
}

static int ensemble_consume(void *context, ptrdiff_t row, ptrdiff_t col, ptrdiff_t rows, ptrdiff_t cols,
                            const void *block) {
    const struct ensemble_sums *e = context;
    const real *h = (const real *)block;
    for (ptrdiff_t i = row; i < row + rows;) {
        if (i + ENSEMBLE_TOGETHER <= row + rows && i % ENSEMBLE_BLOCK + ENSEMBLE_TOGETHER <= ENSEMBLE_BLOCK) {
            ensemble_sum_rows(ENSEMBLE_TOGETHER, e, i, col, cols, h + (i - row) * cols);
            i += ENSEMBLE_TOGETHER;
        } else {
            ensemble_sum_rows(1, e, i, col, cols, h + (i - row) * cols);
            i++;
        }
    }
    return 0;
}

/* The sums of the member's own rows of W, over all rows of the batch: dW and dr whole, ds a part for each block. */
static void ensemble_sums_of_rows(const struct here *h, const struct pass *pass, ptrdiff_t first, ptrdiff_t end) {
    const ptrdiff_t n_in = h->node->sizes[0], n_out = h->node->sizes[1], members = h->node->sizes[2];
    const ptrdiff_t ld_ds = members * n_out;
    real *lanes = (real *)(((uintptr_t)h->scratch + 63) & ~(uintptr_t)63), *dr = (real *)h->gradients[ENSEMBLE_R];
    for (ptrdiff_t m = 0; m < members; m++) {
        struct ensemble_sums sums = {
            .n = n_out, .weight = h->arrays[ENSEMBLE_WEIGHT], .r = (const real *)h->arrays[ENSEMBLE_R] + m * n_in,
            .s = (const real *)h->arrays[ENSEMBLE_S] + m * n_out, .dweight = h->gradients[ENSEMBLE_WEIGHT],
            .starts = m == 0, .lanes = lanes, .first = first,
            .ds = (real *)(void *)h->kept + m * n_out, .ld_ds = ld_ds,
        };
        const struct gemm g = {
            .m = n_in, .n = n_out, .k = pass->rows,
            .a = (const real *)h->x.at + (ensemble_shares_input(h) ? 0 : m * n_in), .a_row = 1, .a_col = h->x.ld,
            .b = (const real *)h->dy.at + m * n_out, .ldb = h->dy.ld, .fetches_a = 1,
            .end = {.kind = END_CONSUME, .consume = ensemble_consume, .context = &sums},
        };
        memset(lanes, 0, (size_t)((end - first) * VIRTUAL_LANES) * sizeof(real));
        for (ptrdiff_t i = first; i < end; i += ENSEMBLE_BLOCK)
            memset(sums.ds + i / ENSEMBLE_BLOCK * ld_ds, 0, (size_t)n_out * sizeof(real));
        gemm(&g, first, end, 0, n_out, lanes + (end - first) * VIRTUAL_LANES);
        for (ptrdiff_t i = first; i < end; i++) {
            vec sum[SUM_VECS];
            for (int q = 0; q < SUM_VECS; q++) sum[q] = v_load(lanes + (i - first) * VIRTUAL_LANES + q * LANES);
            dr[m * n_in + i] = v_tree(sum);
        }
    }
}

static void ensemble_dense_gradients(struct here *h, const struct pass *pass, struct births *births, struct team *me) {
    const ptrdiff_t n_in = h->node->sizes[0], n_out = h->node->sizes[1], members = h->node->sizes[2];
    const ptrdiff_t first = share_start(n_in, ENSEMBLE_BLOCK, me->index, me->count);
    const ptrdiff_t end = share_start(n_in, ENSEMBLE_BLOCK, me->index + 1, me->count);
    const ptrdiff_t blocks = (n_in + ENSEMBLE_BLOCK - 1) / ENSEMBLE_BLOCK, columns = members * n_out;
    const struct share of_r = {share_start(members * n_in, TILE_COLS, me->index, me->count),
                               share_start(members * n_in, TILE_COLS, me->index + 1, me->count)};
    const struct share of_s = own_columns(columns, me);
    if (h->wanted[ENSEMBLE_WEIGHT] || h->wanted[ENSEMBLE_R] || h->wanted[ENSEMBLE_S]) {
        if (first < end) ensemble_sums_of_rows(h, pass, first, end);
        vector_born(h, births, ENSEMBLE_WEIGHT, first * n_out, end * n_out); /* nobody else reads these rows now */
        team_wait(me);
        const real *parts = (const real *)(void *)h->kept;
        real *ds = (real *)h->gradients[ENSEMBLE_S];
        for (ptrdiff_t j = of_s.first; j < of_s.end; j++) {
            double sum = 0;
            for (ptrdiff_t b = 0; b < blocks; b++) sum += (double)parts[b * columns + j];
            ds[j] = (real)sum;
        }
        vector_born(h, births, ENSEMBLE_R, of_r.first, of_r.end);
        vector_born(h, births, ENSEMBLE_S, of_s.first, of_s.end);
    }
    if (h->node->n_arrays <= ENSEMBLE_BIAS || !h->wanted[ENSEMBLE_BIAS] || of_s.first == of_s.end) return;
    column_sums(pass->rows, of_s.first, of_s.end, h->dy.at, h->dy.ld, h->gradients[ENSEMBLE_BIAS]);
    vector_born(h, births, ENSEMBLE_BIAS, of_s.first, of_s.end);
}

static const struct kind ensemble_dense_kind = {
    .name = "ensemble_dense", .sizes = "n_in n_out members", .numbers = "bias",
    .shape = ensemble_dense_shape, .needs = ensemble_dense_needs, .sharing = SHARES_ROWS,
    .backward_reads = GRADIENTS_READ_INPUT,
    .forward = ensemble_dense_forward, .down = ensemble_dense_down, .gradients = ensemble_dense_gradients,
};
