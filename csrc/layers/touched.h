/* Gradients of tables, summed over the entries that name each row (rows/group.h), of rows that a batch touches alone.
 *
 * A row's sum is one chain over its entries in increasing place, over all nodes that use the table in their order. Codes
 * add dy by the law of column_sums(), where blocks are of COLUMN_BLOCK entries of the row; compressed rows add
 * fma(value, dy) by the law of products, where blocks are of LONG_K rows of the batch. So both give what they would give
 * if the whole gradient was computed. */

/* What a member of a team knows of its sums. Those of row number r lie at sum + r cols. */
struct touched_sums {
    ptrdiff_t cols, n;
    const int32_t *rows;  /* [n] numbers of its rows; NULL: 0 to n */
    real *sum;
    real *aside;          /* sums of the blocks of LONG_K rows after the first, zeros at first */
    int32_t *count;       /* NULL: no row has more than a block of codes. Else, of each row, codes in its last block, */
    int32_t *heavy;       /* and one more than the number of its totals; 0: it has none */
    double *totals;       /* [of n_heavy rows x cols] sums of the blocks before the last */
    ptrdiff_t n_heavy;
};

enum { HEAVY_CODES = COLUMN_BLOCK + 1 }; /* rows that have totals have so many codes at least */

/* The part of scratch that is count, heavy and totals. */
static ptrdiff_t touched_room(const struct table *table) {
    const ptrdiff_t most = (table->most + 15) / 16 * 16;
    if (table->most <= COLUMN_BLOCK) return 64;
    return 64 + 2 * most * (ptrdiff_t)sizeof(int32_t) + table->most / HEAVY_CODES * table->cols * (ptrdiff_t)sizeof(double);
}

/* See struct kernels. */
static ptrdiff_t touched_scratch(const struct table *table) {
    const ptrdiff_t sums = touched_room(table), step = birth_rows_scratch(DTYPE, table->cols);
    ptrdiff_t most = table_scratch(table);
    if (most < sums) most = sums;
    return most < step ? step : most;
}

ALWAYS_INLINE ptrdiff_t touched_row(const struct touched_sums *s, ptrdiff_t k) { return s->rows ? s->rows[k] : k; }

/* A row's last block is full: it goes to the row's totals. */
static __attribute__((noinline)) void begin_block(struct touched_sums *s, ptrdiff_t row) {
    real *sum = s->sum + row * s->cols;
    if (!s->heavy[row]) {
        s->heavy[row] = (int32_t)++s->n_heavy;
        memset(s->totals + (s->n_heavy - 1) * s->cols, 0, (size_t)s->cols * sizeof(double));
    }
    double *total = s->totals + (s->heavy[row] - 1) * s->cols;
    for (ptrdiff_t j = 0; j < s->cols; j++) total[j] += (double)sum[j];
    memset(sum, 0, (size_t)s->cols * sizeof(real));
    s->count[row] = 0;
}

/* The sums of a block of rows that went aside are added. */
static void end_aside(struct touched_sums *s) {
    for (ptrdiff_t k = 0; k < s->n; k++) {
        const ptrdiff_t at = touched_row(s, k) * s->cols;
        add(s->cols, s->aside + at, s->sum + at);
        memset(s->aside + at, 0, (size_t)s->cols * sizeof(real));
    }
}

/* Adds what codes bring whose entries begin with number e0; j: the member's first entry that is not added yet. */
static ptrdiff_t add_codes(struct touched_sums *s, const struct here *h, ptrdiff_t rows, const struct touched *t, ptrdiff_t e0,
                           ptrdiff_t j) {
    const ptrdiff_t n = h->channels, cols = s->cols;
    for (ptrdiff_t i = 0; i < rows; i++, e0 += n) {
        const real *dy = (const real *)h->dy.at + i * h->dy.ld;
        for (; j < t->n_entries && t->named[j].entry < e0 + n; j++) {
            const ptrdiff_t row = t->named[j].row;
            if (s->count && s->count[row]++ == COLUMN_BLOCK) begin_block(s, row), s->count[row] = 1;
            add(cols, dy + (t->named[j].entry - e0) * cols, s->sum + row * cols);
        }
    }
    return j;
}

/* The same of compressed rows, which count as rows of the product from *k on. */
static ptrdiff_t add_compressed(struct touched_sums *s, const struct here *h, ptrdiff_t rows, const struct touched *t,
                                ptrdiff_t e0, ptrdiff_t j, ptrdiff_t *k) {
    const struct schuss_compressed *x = h->compressed;
    const ptrdiff_t cols = s->cols;
    const int averages = h->node->kind == SCHUSS_KIND_embedding_bag && h->node->numbers[0] != 0; /* as in struct gemm */
    for (ptrdiff_t i = 0; i < rows; i++, ++*k) {
        const int64_t row = row_at_place(h->order, i), start = x->start[row], end = e0 + x->start[row + 1] - start;
        const real shared_by = averages ? (real)(end - e0) : 1;
        const real *dy = (const real *)h->dy.at + i * h->dy.ld, *value = (const real *)x->data + start - e0;
        if (*k > LONG_K && *k % LONG_K == 0) end_aside(s);
        real *sum = *k < LONG_K ? s->sum : s->aside;
        if (cols == 1) {
            const vec times = v_set1(*dy);
            for (; j < t->n_entries && t->named[j].entry < end; j++) {
                real *of_row = sum + t->named[j].row;
                const real a = averages ? value[t->named[j].entry] / shared_by : value[t->named[j].entry];
                *of_row = v_fma(v_set1(a), times, v_set1(*of_row))[0];
            }
        } else
            for (; j < t->n_entries && t->named[j].entry < end; j++)
                add_row(cols, averages ? value[t->named[j].entry] / shared_by : value[t->named[j].entry], dy,
                        sum + t->named[j].row * cols);
        e0 = end;
    }
    return j;
}

/* Sums all entries of the member. */
static void sum_touched(struct touched_sums *s, const struct here *first, ptrdiff_t rows, const struct touched *t, int has_aside) {
    ptrdiff_t j = 0, e0 = 0, k = 0;
    for (ptrdiff_t r = 0; r < s->n; r++) {
        const ptrdiff_t row = touched_row(s, r);
        if (s->cols == 1) s->sum[row] = 0;
        else memset(s->sum + row * s->cols, 0, (size_t)s->cols * sizeof(real));
        if (has_aside) memset(s->aside + row * s->cols, 0, (size_t)s->cols * sizeof(real));
        if (s->count) s->count[row] = s->heavy[row] = 0;
    }
    rows /= first->node->positions;
    for (const struct here *h = first; h; h = h->next_user) {
        const ptrdiff_t own = rows * h->node->positions;
        if (!h->compressed) {
            j = add_codes(s, h, own, t, e0, j);
            e0 += own * h->channels;
            continue;
        }
        j = add_compressed(s, h, own, t, e0, j, &k);
        for (ptrdiff_t i = 0; i < own; i++) {
            const int64_t row = row_at_place(h->order, i);
            e0 += h->compressed->start[row + 1] - h->compressed->start[row];
        }
    }
    if (k > LONG_K) end_aside(s);
    for (ptrdiff_t r = 0; s->n_heavy && r < s->n; r++) {
        const ptrdiff_t row = touched_row(s, r);
        if (!s->heavy[row]) continue;
        const double *total = s->totals + (s->heavy[row] - 1) * s->cols;
        real *sum = s->sum + row * s->cols;
        for (ptrdiff_t c = 0; c < s->cols; c++) sum[c] = (real)(total[c] + (double)sum[c]);
    }
}

/* The whole gradient, where the update wants it: sums of own rows are in v, and all members' go to the arena, whose rows
 * then go through the rule by contiguous shares. */
static void whole_gradient(struct here *h, const struct table *table, const struct touched *t, const real *v,
                           struct births *births, struct team *me) {
    const ptrdiff_t cols = table->cols, together = 32 * 1024 / (ptrdiff_t)sizeof(real) / cols + 1;
    const ptrdiff_t first = share_start(table->rows, 16, me->index, me->count);
    const ptrdiff_t end = share_start(table->rows, 16, me->index + 1, me->count);
    real *g = h->gradients[0];
    if (first < end) memset(g + first * cols, 0, (size_t)((end - first) * cols) * sizeof(real));
    if (me->count > 1) team_wait(me);
    for (ptrdiff_t k = 0; k < t->n; k++) memcpy(g + t->rows[k] * cols, v + k * cols, (size_t)cols * sizeof(real));
    if (me->count > 1) team_wait(me);
    if (!births) return;
    const struct birth born = birth_of(births, h->kernels, table->array, cols);
    for (ptrdiff_t r = first; r < end; r += together) {
        const ptrdiff_t n = end - r < together ? end - r : together;
        births->nonfinite |= birth_update(&born, r * cols, n * cols, g + r * cols);
    }
}

/* The gradient of h->table, of all nodes that use it, times a factor: through the rule at once, or into the table's values, or,
 * where it is dense, into the arena. */
static void touched_gradients(struct here *h, const struct pass *pass, double factor, struct births *births, struct team *me) {
    struct table *table = h->table;
    struct touched *t = &table->members[me->index];
    const ptrdiff_t cols = table->cols, most = (table->most + 15) / 16 * 16;
    const int placed = !births && !table->dense;
    ptrdiff_t before = 0;
    if (placed) group_places(table, me->index, me->count);
    else
        for (int m = 0; m < me->index; m++) before += table->members[m].n;
    struct touched_sums s = {.cols = cols, .n = t->n, .rows = placed ? t->place : NULL};
    s.sum = (real *)table->values + before * cols;
    s.aside = s.sum + table->most * cols;
    int codes = 0;
    for (const struct here *user = h; user; user = user->next_user) codes |= !user->compressed;
    if (codes && table->entries > COLUMN_BLOCK) {
        s.count = (int32_t *)(void *)h->scratch;
        s.heavy = s.count + most;
        s.totals = (double *)(void *)(s.heavy + most);
    }
    sum_touched(&s, h, pass->rows, t, table->aside);
    for (ptrdiff_t k = 0; factor != 1 && k < s.n; k++)
        for (ptrdiff_t c = 0; c < cols; c++) s.sum[touched_row(&s, k) * cols + c] *= (real)factor;
    if (table->dense) whole_gradient(h, table, t, s.sum, births, me);
    else if (births) {
        const struct birth born = birth_of(births, h->kernels, table->array, cols);
        births->nonfinite |= birth_rows(&born, t->n, t->rows, s.sum, h->scratch);
    }
}
