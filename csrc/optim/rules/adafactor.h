/* Adafactor (Shazeer and Stern, ICML 2018) as torch has it. With w = t^beta2_decay, for every matrix of the array
 *   r_i += w (mean_j g_ij^2 - r_i), c_j += w (mean_i g_ij^2 - c_j), v_ij = r_i c_j / max(mean_i r_i, eps1),
 * for a vector v_i += w (g_i^2 - v_i); then u = g / max(sqrt(v), eps1),
 *   p -= max(eps2, rms(p)) min(lr, 1 / sqrt(t)) u / max(1, rms(u) / d).
 * 1 / sqrt(v_ij) is a product too, of sqrt(max(mean r, eps1) / r_i) and 1 / sqrt(c_j): no root an element.
 *
 * An array is cut into items, by its shape alone: whole matrices, if they are small or many; else parts of one. */

#ifdef RULE_LOOPS
enum {
    ADAFACTOR_ITEM = 8192,     /* elements of an item: it stays in cache from pass to pass */
    ADAFACTOR_ITEMS = 64,      /* a large array is cut into about so many */
    ADAFACTOR_SIDE = 8192,     /* rows and columns of an item, at most, and twice that in whole matrices */
    ADAFACTOR_PARTIAL = 65536, /* sums of parts of matrices are at most about so many */
};

/* Passes over the elements of an item. */
enum { ADAFACTOR_MEANS, ADAFACTOR_SIZE, ADAFACTOR_UPDATE };

struct adafactor_cut {
    ptrdiff_t matrices, rows, cols;
    ptrdiff_t together;             /* whole matrices of an item; 0: they are cut */
    ptrdiff_t row_parts, col_parts; /* of each */
    ptrdiff_t items;
};

/* What the passes know of an item. */
struct adafactor_item {
    const real *p;                    /* the array's first element */
    ptrdiff_t rows, cols;             /* of a matrix; cols 0: the array is a vector */
    ptrdiff_t row0, col0;             /* where the item begins, rows counted over all matrices */
    ptrdiff_t row1, col1;             /* where it ends */
    double *row_sums, *col_sums;      /* of g^2; from row0, and from col0 for each matrix of the item */
    const real *of_rows, *of_cols;    /* the same way: the factors of 1 / sqrt(v) */
    real eps, most;                   /* eps1; 1 / eps1 */
};

static struct adafactor_cut adafactor_cut(const struct schuss_segment *s) {
    const int factored = s->s[1] != NULL;
    const ptrdiff_t rows = factored ? s->rows : 1, cols = factored ? s->cols : 1, size = rows * cols, n = s->n / size;
    struct adafactor_cut cut = {.matrices = n, .rows = rows, .cols = cols, .row_parts = 1, .col_parts = 1};
    if (size <= 2 * ADAFACTOR_ITEM ||
        (n >= ADAFACTOR_ITEMS && rows <= 2 * ADAFACTOR_SIDE && cols <= 2 * ADAFACTOR_SIDE)) {
        cut.together = size < ADAFACTOR_ITEM ? ADAFACTOR_ITEM / size : 1;
        cut.items = (n + cut.together - 1) / cut.together;
        return cut;
    }
    cut.row_parts = (rows + ADAFACTOR_SIDE - 1) / ADAFACTOR_SIDE;
    cut.col_parts = (cols + ADAFACTOR_SIDE - 1) / ADAFACTOR_SIDE;
    const ptrdiff_t wanted = size / ADAFACTOR_ITEM;
    while (cut.row_parts * cut.col_parts < wanted && n * cut.row_parts * cut.col_parts < ADAFACTOR_ITEMS &&
           n * (cut.row_parts + 1) * cols <= ADAFACTOR_PARTIAL)
        ++cut.row_parts; /* not the columns: whole rows are one piece of memory */
    cut.items = n * cut.row_parts * cut.col_parts;
    return cut;
}

/* v + w (x - v), from the nearer end: rounding is in proportion to the result, where w is 1 too. */
ALWAYS_INLINE real adafactor_mixed(real v, real x, double w) {
    const real fresh = (real)w, old = (real)(1 - w);
    return fresh < (real)0.5 ? v + fresh * (x - v) : x - old * (x - v);
}

/* ---- passes over elements ---- */

/* The update of a part of a row, n elements, from its gradient. */
ALWAYS_INLINE void adafactor_row(ptrdiff_t n, const real *restrict g, real of_row, const real *restrict of_cols,
                                 real most, real *restrict update) {
    for (ptrdiff_t j = 0; j < n; j++) {
        const real root = of_row * of_cols[j];
        update[j] = g[j] * (root > most ? most : root);
    }
}

/* Adds squares of a part of a row to the sums of its columns, and returns their own. */
ALWAYS_INLINE double adafactor_squares(ptrdiff_t n, const real *restrict g, double *restrict col_sums) {
    double lane[VIRTUAL_LANES] = {0}, rest = 0;
    ptrdiff_t j = 0;
    for (; j + VIRTUAL_LANES <= n; j += VIRTUAL_LANES) {
        __builtin_prefetch(g + j + CHUNK);
        for (int l = 0; l < VIRTUAL_LANES; l++) {
            const double square = (double)g[j + l] * (double)g[j + l];
            lane[l] += square;
            col_sums[j + l] += square;
        }
    }
    for (ptrdiff_t l = j; l < n; l++) {
        const double square = (double)g[l] * (double)g[l];
        rest += square;
        col_sums[l] += square;
    }
    return (j ? lanes_total(lane) : 0) + rest;
}

/* Where a chunk lies in its item, and from row to row what is left of it. */
struct adafactor_run {
    ptrdiff_t row, col, n; /* this part of a row: counted from row0 and col0; its length */
    ptrdiff_t cols_at;     /* of its matrix in what there is for columns */
    ptrdiff_t last, done;  /* rows to go in the matrix; elements of the chunk before this part */
};

ALWAYS_INLINE struct adafactor_run adafactor_begin(const struct rule_arrays *r, const struct adafactor_item *item) {
    const ptrdiff_t at = r->p - item->p, row = at / item->cols, col = at % item->cols;
    return (struct adafactor_run){
        .row = row - item->row0,
        .col = col - item->col0,
        .n = item->col1 - col < r->n ? item->col1 - col : r->n,
        .cols_at = (row / item->rows - item->row0 / item->rows) * item->cols,
        .last = item->rows - row % item->rows,
    };
}

ALWAYS_INLINE void adafactor_next(const struct rule_arrays *r, const struct adafactor_item *item,
                                  struct adafactor_run *run) {
    run->done += run->n;
    run->row++;
    run->col = 0;
    run->n = r->n - run->done < item->cols ? r->n - run->done : item->cols;
    if (--run->last == 0) {
        run->last = item->rows;
        run->cols_at += item->cols;
    }
}

/* The update of a chunk. */
ALWAYS_INLINE void adafactor_updates(const struct rule_arrays *r, const struct adafactor_item *item, real *update) {
    if (!item->cols)
        for (ptrdiff_t i = 0; i < r->n; i++) {
            const real root = SQRT(r->s0[i]);
            update[i] = r->g[i] / (root < item->eps ? item->eps : root);
        }
    else
        for (struct adafactor_run run = adafactor_begin(r, item); run.n > 0; adafactor_next(r, item, &run))
            adafactor_row(run.n, r->g + run.done, item->of_rows[run.row], item->of_cols + run.cols_at + run.col,
                          item->most, update + run.done);
}

/* In the first pass sums of p^2 and what v needs, in the second of u^2. */
static void adafactor_sums(const struct rule_arrays *r, const struct rule_constants *c, struct rule_sums *found) {
    const struct adafactor_item *item = (const struct adafactor_item *)c->item;
    real update[CHUNK];
    if (c->pass == ADAFACTOR_MEANS) {
        add_products(r->n, r->p, r->p, found->lane[0]);
        if (!item->cols)
            for (ptrdiff_t i = 0; i < r->n; i++)
                r->s0[i] = adafactor_mixed(r->s0[i], r->g[i] * r->g[i], c->one_minus_beta2);
        else
            for (struct adafactor_run run = adafactor_begin(r, item); run.n > 0; adafactor_next(r, item, &run))
                item->row_sums[run.row] +=
                    adafactor_squares(run.n, r->g + run.done, item->col_sums + run.cols_at + run.col);
    } else {
        adafactor_updates(r, item, update);
        add_products(r->n, update, update, found->lane[1]);
    }
}

static void adafactor(const struct rule_arrays *r, const struct rule_constants *c) {
    const struct adafactor_item *item = (const struct adafactor_item *)c->item;
    real *restrict p = r->p, update[CHUNK];
    const real keep = (real)c->keep, step_size = (real)c->step_size;
    adafactor_updates(r, item, update);
    for (ptrdiff_t i = 0; i < r->n; i++) p[i] = keep * p[i] - step_size * update[i];
}

/* ---- arrays ---- */
#endif

#ifdef RULE_ARRAYS
/* A step of one array, as its members see it. */
struct adafactor_job {
    const struct schuss_segment *s;
    struct adafactor_cut cut;
    struct rule_constants c;
    int zero_grad;
    double *p_squares, *u_squares;  /* [items] */
    double *mean_rows;              /* [matrices], where they are cut: of row_var */
    double *row_partial;            /* [matrices x col_parts x rows], where there are several parts */
    double *col_partial;            /* [matrices x row_parts x cols] */
    double *own;                    /* the member's: sums, or factors, of an item */
    int *nonfinite;
};

/* Rows and columns that there are sums for at most in one item. */
static ptrdiff_t adafactor_own(const struct adafactor_cut *cut) {
    if (cut->together) return cut->together * (cut->rows + cut->cols);
    return (cut->rows + cut->row_parts - 1) / cut->row_parts + 1 +
           ((cut->cols + cut->col_parts - 1) / cut->col_parts + VIRTUAL_LANES);
}

static ptrdiff_t adafactor_scratch(const struct schuss_group *g, const struct schuss_segment *s, int members) {
    (void)g;
    const struct adafactor_cut cut = adafactor_cut(s);
    ptrdiff_t doubles = 2 * cut.items + members * adafactor_own(&cut);
    if (!cut.together) doubles += cut.matrices;
    if (cut.row_parts > 1) doubles += cut.matrices * cut.row_parts * cut.cols;
    if (cut.col_parts > 1) doubles += cut.matrices * cut.col_parts * cut.rows;
    return (doubles * (ptrdiff_t)sizeof(double) + 63) / 64 * 64;
}

static struct adafactor_item adafactor_item(const struct adafactor_job *job, ptrdiff_t index) {
    const struct adafactor_cut *cut = &job->cut;
    const double eps = job->c.eps < 0 ? 1.0 / ((int64_t)1 << MANTISSA_BITS) : job->c.eps;
    struct adafactor_item item = {.p = (const real *)job->s->p, .rows = cut->rows, .cols = cut->cols};
    ptrdiff_t rows; /* that there are sums for */
    if (cut->together) {
        const ptrdiff_t first = index * cut->together, end = first + cut->together;
        item.row0 = first * cut->rows;
        item.row1 = (end < cut->matrices ? end : cut->matrices) * cut->rows;
        item.col1 = cut->cols;
        rows = item.row1 - item.row0;
        item.row_sums = job->own;
        item.col_sums = job->own + rows;
    } else {
        const ptrdiff_t parts = cut->row_parts * cut->col_parts, part = index % parts, matrix = index / parts;
        const int row_part = (int)(part / cut->col_parts), col_part = (int)(part % cut->col_parts);
        const ptrdiff_t row0 = share_start(cut->rows, 1, row_part, (int)cut->row_parts);
        rows = share_start(cut->rows, 1, row_part + 1, (int)cut->row_parts) - row0;
        item.row0 = matrix * cut->rows + row0;
        item.row1 = item.row0 + rows;
        item.col0 = share_start(cut->cols, VIRTUAL_LANES, col_part, (int)cut->col_parts);
        item.col1 = share_start(cut->cols, VIRTUAL_LANES, col_part + 1, (int)cut->col_parts);
        item.row_sums = cut->col_parts > 1
                            ? job->row_partial + (matrix * cut->col_parts + col_part) * cut->rows + row0
                            : job->own;
        item.col_sums = cut->row_parts > 1
                            ? job->col_partial + (matrix * cut->row_parts + row_part) * cut->cols + item.col0
                            : job->own + rows;
    }
    item.of_rows = (const real *)job->own;
    item.of_cols = item.of_rows + rows;
    item.eps = (real)eps;
    item.most = (real)(1 / eps);
    if (!job->s->s[1]) item.cols = 0;
    return item;
}

/* One pass over the elements of an item; sums[SCHUSS_MAX_SUMS], or without sums the update. */
static void adafactor_pass(struct adafactor_job *job, const struct adafactor_item *item, int pass, double *sums) {
    const struct schuss_segment *s = job->s;
    const int whole = item->col1 - item->col0 == job->cut.cols; /* then its rows are one piece */
    job->c.pass = pass;
    job->c.seen = !sums; /* that its gradient is finite */
    job->c.zero_grad = job->zero_grad && !sums;
    job->c.item = item;
    for (int k = 0; sums && k < SCHUSS_MAX_SUMS; k++) sums[k] = 0;
    for (ptrdiff_t row = item->row0; row < item->row1; row = whole ? item->row1 : row + 1) {
        const ptrdiff_t from = row * job->cut.cols + item->col0;
        const ptrdiff_t to = ((whole ? item->row1 : row + 1) - 1) * job->cut.cols + item->col1;
        struct schuss_segment piece = piece_of(s, from, to);
        double part[SCHUSS_MAX_SUMS];
        if (item->cols) piece.s[0] = piece.s[1] = NULL;
        if (!sums) step(&piece, &job->c, job->nonfinite);
        else {
            measure(&piece, &job->c, part, job->nonfinite);
            for (int k = 0; k < SCHUSS_MAX_SUMS; k++) sums[k] += part[k];
        }
    }
}

/* var += w (mean - var), from `parts` sums of count squares each, so far apart. */
static void adafactor_mean(ptrdiff_t n, const double *sums, ptrdiff_t parts, ptrdiff_t apart, ptrdiff_t count, double w,
                           real *var) {
    for (ptrdiff_t i = 0; i < n; i++) {
        double sum = sums[i];
        for (ptrdiff_t k = 1; k < parts; k++) sum += sums[k * apart + i];
        var[i] = adafactor_mixed(var[i], (real)(sum / (double)count), w);
    }
}

/* The first pass of an item, and the means it has all sums of. */
static void adafactor_measure(struct adafactor_job *job, const struct adafactor_item *item, double *sums) {
    const struct adafactor_cut *cut = &job->cut;
    const ptrdiff_t rows = item->row1 - item->row0, cols = item->col1 - item->col0;
    const ptrdiff_t all_cols = cut->together ? rows / cut->rows * cols : cols;
    if (item->cols) {
        memset(item->row_sums, 0, (size_t)rows * sizeof(double));
        memset(item->col_sums, 0, (size_t)all_cols * sizeof(double));
    }
    adafactor_pass(job, item, ADAFACTOR_MEANS, sums);
    if (!item->cols) return;
    if (cut->col_parts == 1)
        adafactor_mean(rows, item->row_sums, 1, 0, cut->cols, job->c.one_minus_beta2,
                       (real *)job->s->s[0] + item->row0);
    if (cut->row_parts == 1)
        adafactor_mean(all_cols, item->col_sums, 1, 0, cut->rows, job->c.one_minus_beta2,
                       (real *)job->s->s[1] + item->row0 / cut->rows * cut->cols + item->col0);
}

/* The mean of n row_var. */
static double adafactor_mean_row(ptrdiff_t n, const real *var) {
    double lane[VIRTUAL_LANES] = {0}, rest = 0;
    ptrdiff_t i = 0;
    for (; i + VIRTUAL_LANES <= n; i += VIRTUAL_LANES)
        for (int l = 0; l < VIRTUAL_LANES; l++) lane[l] += (double)var[i + l];
    for (ptrdiff_t k = i; k < n; k++) rest += (double)var[k];
    return ((i ? lanes_total(lane) : 0) + rest) / (double)n;
}

/* The item's factors of 1 / sqrt(v), into the member's own room. */
static void adafactor_factors(const struct adafactor_job *job, const struct adafactor_item *item) {
    const struct adafactor_cut *cut = &job->cut;
    const real *row_var = (const real *)job->s->s[0] + item->row0;
    const real *col_var = (const real *)job->s->s[1] + item->row0 / cut->rows * cut->cols + item->col0;
    real *of_rows = (real *)job->own, *of_cols = (real *)job->own + (item->row1 - item->row0);
    const ptrdiff_t rows = item->row1 - item->row0, cols = item->col1 - item->col0;
    for (ptrdiff_t i = 0; i < rows; i += cut->together ? cut->rows : rows) {
        const ptrdiff_t n = cut->together ? cut->rows : rows;
        const double mean = cut->together ? adafactor_mean_row(n, row_var + i) : job->mean_rows[item->row0 / cut->rows];
        const real numerator = (real)mean < item->eps ? item->eps : (real)mean;
        for (ptrdiff_t k = i; k < i + n; k++) of_rows[k] = SQRT(numerator / row_var[k]);
    }
    const ptrdiff_t all_cols = cut->together ? rows / cut->rows * cols : cols;
    for (ptrdiff_t j = 0; j < all_cols; j++) of_cols[j] = 1 / SQRT(col_var[j]);
}

/* The means of cut matrices, from the sums of their parts; then the mean of row_var. */
static void adafactor_join(const struct adafactor_job *job, const struct team *me) {
    const struct adafactor_cut *cut = &job->cut;
    for (ptrdiff_t m = 0; m < cut->matrices; m++) {
        const double w = job->c.one_minus_beta2;
        if (cut->col_parts > 1) {
            const ptrdiff_t at = share_start(cut->rows, 64, me->index, me->count);
            adafactor_mean(share_start(cut->rows, 64, me->index + 1, me->count) - at,
                           job->row_partial + m * cut->col_parts * cut->rows + at, cut->col_parts, cut->rows,
                           cut->cols, w, (real *)job->s->s[0] + m * cut->rows + at);
        }
        if (cut->row_parts > 1) {
            const ptrdiff_t at = share_start(cut->cols, 64, me->index, me->count);
            adafactor_mean(share_start(cut->cols, 64, me->index + 1, me->count) - at,
                           job->col_partial + m * cut->row_parts * cut->cols + at, cut->row_parts, cut->cols,
                           cut->rows, w, (real *)job->s->s[1] + m * cut->cols + at);
        }
    }
}

static double adafactor_total(ptrdiff_t n, const double *x) {
    double sum = 0;
    for (ptrdiff_t i = 0; i < n; i++) sum += x[i];
    return sum;
}

static void adafactor_array(const struct schuss_segment *s, const struct rule_constants *c, char *scratch,
                            struct team *me, int *nonfinite) {
    const struct adafactor_cut cut = adafactor_cut(s);
    struct adafactor_job job = {.s = s, .cut = cut, .c = *c, .zero_grad = c->zero_grad, .nonfinite = nonfinite};
    job.p_squares = (double *)scratch;
    job.u_squares = job.p_squares + cut.items;
    job.mean_rows = job.u_squares + cut.items;
    job.row_partial = job.mean_rows + (cut.together ? 0 : cut.matrices);
    job.col_partial = job.row_partial + (cut.col_parts > 1 ? cut.matrices * cut.col_parts * cut.rows : 0);
    job.own = job.col_partial + (cut.row_parts > 1 ? cut.matrices * cut.row_parts * cut.cols : 0) +
              me->index * adafactor_own(&cut);
    const ptrdiff_t first = share_start(cut.items, 1, me->index, me->count);
    const ptrdiff_t end = share_start(cut.items, 1, me->index + 1, me->count);
    double sums[SCHUSS_MAX_SUMS];
    for (ptrdiff_t i = first; i < end; i++) {
        const struct adafactor_item item = adafactor_item(&job, i);
        adafactor_measure(&job, &item, sums);
        job.p_squares[i] = sums[0];
        if (!cut.together) continue;
        if (item.cols) adafactor_factors(&job, &item); /* while it is in cache */
        adafactor_pass(&job, &item, ADAFACTOR_SIZE, sums);
        job.u_squares[i] = sums[1];
    }
    if (!cut.together) {
        team_wait(me);
        adafactor_join(&job, me);
        team_wait(me);
        for (ptrdiff_t m = me->index; m < cut.matrices; m += me->count)
            job.mean_rows[m] = adafactor_mean_row(cut.rows, (const real *)s->s[0] + m * cut.rows);
        team_wait(me);
        for (ptrdiff_t i = first; i < end; i++) {
            const struct adafactor_item item = adafactor_item(&job, i);
            adafactor_factors(&job, &item);
            adafactor_pass(&job, &item, ADAFACTOR_SIZE, sums);
            job.u_squares[i] = sums[1];
        }
    }
    team_wait(me);
    const double rms_p = sqrt(adafactor_total(cut.items, job.p_squares) / (double)s->n);
    const double rms_u = sqrt(adafactor_total(cut.items, job.u_squares) / (double)s->n);
    job.c.step_size *= rms_p > c->eps2 ? rms_p : c->eps2;
    if (rms_u > c->threshold) job.c.step_size *= c->threshold / rms_u;
    for (ptrdiff_t i = end; i-- > first;) { /* what was read last is in cache */
        const struct adafactor_item item = adafactor_item(&job, i);
        if (item.cols) adafactor_factors(&job, &item);
        adafactor_pass(&job, &item, ADAFACTOR_UPDATE, NULL);
    }
}
#endif

#ifdef RULE_ROWS
static void adafactor_constants(const struct schuss_group *g, const double *memory, int64_t t,
                                struct rule_constants *c) {
    (void)memory;
    const double bound = 1 / sqrt((double)t);
    c->one_minus_beta2 = portable_power((double)t, g->beta2_decay);
    c->step_size = g->lr < bound ? g->lr : bound;
    c->eps2 = g->eps2;
    c->threshold = g->d;
}

static double adafactor_time(const struct schuss_group *g, const struct schuss_segment *s) {
    (void)g;
    return 1 + (double)s->n;
}

/* A matrix has means of rows and of columns, which lie in slots 0 and 1; any other array has a mean of each element. */
static const char *adafactor_state(const struct schuss_group *g, const struct schuss_segment *s, int slot) {
    (void)g;
    return s->ndim < 2 ? (slot == 0 ? "variance" : NULL) : slot == 0 ? "row_var" : slot == 1 ? "col_var" : NULL;
}

static int adafactor_shape(const struct schuss_group *g, const struct schuss_segment *s, int slot, ptrdiff_t *shape) {
    const int ndim = shape_of_array(g, s, slot, shape);
    if (ndim > 1) shape[slot == 0 ? ndim - 1 : ndim - 2] = 1;
    return ndim;
}

static int adafactor_states(const struct schuss_group *g) {
    (void)g;
    return states_of(1); /* at least */
}

/* The first eps may be None, which is the dtype's. */
static const struct rule adafactor_rule = {
    .settings = SETTINGS(NUMBER("beta2_decay", beta2_decay, "(-inf, 0]"),
                         {.name = "eps", .kind = SCHUSS_NUMBER, .parts = 2, .offset = {AT(eps), AT(eps2)},
                          .interval = {"[0, inf)", "[0, inf)"}, .optional = 1, .none = -1},
                         NUMBER("d", d, "[1, inf)"), WEIGHT_DECAY),
    .decouples = 1,
    .states = adafactor_states,
    .state = adafactor_state,
    .shape = adafactor_shape,
    .exact = 1 | 1 << 1,
    .constants = adafactor_constants,
    .time = adafactor_time,
};
#endif
