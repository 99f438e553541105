/* Rows made orthonormal by a team: Householder's QR factorisation of the matrix whose columns they are, reflections in
 * blocks Q = 1 - V' T V as Schreiber and Van Loan (1989) have it, so that nearly all of it is products. */

enum { REFLECTIONS = 32 /* of a block */ };

/* x, spare and v are [d x d], along and turned [d x REFLECTIONS]. t has a square of REFLECTIONS for each block, and one
 * more for products of vectors. */
struct orthogonal_room {
    ptrdiff_t d;
    real *x, *spare, *v, *along, *turned, *t;
    real *tau, *sign; /* [d] */
};

static ptrdiff_t orthogonal_blocks(ptrdiff_t k) { return (k + REFLECTIONS - 1) / REFLECTIONS; }

/* Bytes that each member needs for products. A product of smaller k may need more than one of larger k. */
static ptrdiff_t orthogonal_scratch(ptrdiff_t d) {
    ptrdiff_t most = product_scratch(d, d, REFLECTIONS);
    for (ptrdiff_t row = 0; row < d; row += REFLECTIONS) {
        const ptrdiff_t bytes = product_scratch(d, REFLECTIONS, d - row);
        if (bytes > most) most = bytes;
    }
    return most;
}

static double real_dot(ptrdiff_t n, const real *x, const real *y) {
    double lane[VIRTUAL_LANES] = {0};
    add_products(n, x, y, lane);
    return lanes_total(lane);
}

/* The reflection 1 - tau v v' that maps x[n] to (beta, 0, ..., 0): v[n] with v[0] = 1, tau, and the sign of beta. */
static void orthogonal_reflector(ptrdiff_t n, const real *x, real *v, real *tau, real *sign) {
    const double first = (double)x[0], rest = real_dot(n - 1, x + 1, x + 1);
    double beta = first;
    real factor = 0;
    *tau = 0;
    if (rest != 0) {
        const double norm = sqrt(first * first + rest);
        beta = first > 0 ? -norm : norm;
        factor = (real)(1 / (first - beta));
        *tau = (real)((beta - first) / beta);
    }
    *sign = beta < 0 ? -1 : 1;
    v[0] = 1;
    for (ptrdiff_t i = 1; i < n; i++) v[i] = factor * x[i];
}

/* The reflections of rows [row, end) of x: each row is reflected by those before it, and then gives its own, a row of
 * V. In columns from `row` on, V has zeros before each row's first element. A member has every count-th row. */
static void orthogonal_panel(const struct orthogonal_room *r, ptrdiff_t row, ptrdiff_t end, struct team *me) {
    const ptrdiff_t d = r->d;
    for (ptrdiff_t j = row; j < end; j++) {
        if (j == row && me->index == 0)
            orthogonal_reflector(d - j, r->x + j * d + j, r->v + j * d + j, r->tau + j, r->sign + j);
        team_wait(me);
        const real *restrict v = r->v + j * d + j;
        if (me->index == 0) memset(r->v + j * d + row, 0, (size_t)(j - row) * sizeof(real));
        const ptrdiff_t next = j + 1;
        for (ptrdiff_t i = next + (me->index + me->count - (next - row) % me->count) % me->count; i < end;
             i += me->count) {
            real *restrict x = r->x + i * d + j;
            const real along = (real)((double)r->tau[j] * real_dot(d - j, v, x));
            for (ptrdiff_t c = 0; c < d - j; c++) x[c] = x[c] - along * v[c];
            if (i == next) orthogonal_reflector(d - i, x + 1, r->v + i * d + i, r->tau + i, r->sign + i);
        }
    }
    team_wait(me);
}

/* T of n reflections, from the products of their vectors: column j is -tau_j T (V v_j), and tau_j below. */
static void orthogonal_triangle(ptrdiff_t n, const real *products, const real *tau, real *t) {
    for (ptrdiff_t j = 0; j < n; j++)
        for (ptrdiff_t i = 0; i < n; i++) {
            double sum = 0;
            for (ptrdiff_t k = i; k < j; k++) sum += (double)t[i * n + k] * (double)products[k * n + j];
            t[i * n + j] = i < j ? (real)(-(double)tau[j] * sum) : i == j ? tau[j] : 0;
        }
}

/* spare = x - ((x V') T) V for rows [from, to), in columns [col, d); T' if back. V has n rows, from `row` on, and zeros
 * before column `row`. */
static void orthogonal_reflect(const struct orthogonal_room *r, ptrdiff_t row, ptrdiff_t n, ptrdiff_t from,
                               ptrdiff_t to, ptrdiff_t col, int back, char *scratch, struct team *me) {
    const ptrdiff_t d = r->d;
    real *t = r->t + row * REFLECTIONS, *products = r->t + orthogonal_blocks(d) * REFLECTIONS * REFLECTIONS;
    const struct gemm along = {
        .m = to - from, .n = n, .k = d - row,
        .a = r->x + from * d + row, .a_row = d, .a_col = 1,
        .b = r->v + row * d + row, .ldb = d, .b_transposed = 1,
        .c = r->along, .ldc = n,
    };
    const struct gemm turned = {
        .m = to - from, .n = n, .k = n,
        .a = r->along, .a_row = n, .a_col = 1,
        .b = t, .ldb = n, .b_transposed = back,
        .c = r->turned, .ldc = n,
    };
    const struct gemm update = {
        .m = to - from, .n = d - col, .k = n,
        .a = r->turned, .a_row = n, .a_col = 1,
        .b = r->v + row * d + col, .ldb = d,
        .c = r->spare + from * d + col, .ldc = d,
        .end = {.kind = END_ADD, .alpha = -1, .beta = 1, .add = r->x + from * d + col, .ld_add = d},
    };
    if (!back && me->index == 0) {
        const struct gemm gram = {
            .m = n, .n = n, .k = d - row,
            .a = r->v + row * d + row, .a_row = d, .a_col = 1,
            .b = r->v + row * d + row, .ldb = d, .b_transposed = 1,
            .c = products, .ldc = n,
        };
        gemm(&gram, 0, n, 0, n, scratch);
        orthogonal_triangle(n, products, r->tau + row, t);
    }
    team_product(&along, 0, scratch, me);
    team_wait(me);
    team_product(&turned, 0, scratch, me);
    team_wait(me);
    team_product(&update, 0, scratch, me);
    team_wait(me);
}

static void orthogonal_swap(struct orthogonal_room *r) {
    real *x = r->x;
    r->x = r->spare;
    r->spare = x;
}

/* q's first k columns become an orthonormal basis, in this order, of what the k rows of x span, k <= d, each turned
 * towards its row; the others complete it. x is used up. */
static void orthonormal(struct orthogonal_room r, ptrdiff_t k, real *q, char *scratch, struct team *me) {
    const ptrdiff_t d = r.d, from = share_start(d, 1, me->index, me->count);
    const ptrdiff_t to = share_start(d, 1, me->index + 1, me->count);
    for (ptrdiff_t row = 0; row < k; row += REFLECTIONS) {
        const ptrdiff_t n = k - row < REFLECTIONS ? k - row : REFLECTIONS;
        orthogonal_panel(&r, row, row + n, me);
        orthogonal_reflect(&r, row, n, row + n, k, row + n, 0, scratch, me);
        orthogonal_swap(&r);
    }
    real *const both[2] = {r.x, r.spare};
    for (int i = 0; i < 2; i++) {
        memset(both[i] + from * d, 0, (size_t)((to - from) * d) * sizeof(real));
        for (ptrdiff_t j = from; j < to; j++) both[i][j * d + j] = 1;
    }
    team_wait(me);
    for (ptrdiff_t block = orthogonal_blocks(k) - 1; block >= 0; block--) {
        const ptrdiff_t row = block * REFLECTIONS, n = k - row < REFLECTIONS ? k - row : REFLECTIONS;
        orthogonal_reflect(&r, row, n, row, d, row, 1, scratch, me);
        orthogonal_swap(&r);
    }
    for (ptrdiff_t c = 0; c < d; c += 16)
        for (ptrdiff_t i = from; i < to; i++)
            for (ptrdiff_t j = c; j < c + 16 && j < d; j++)
                q[i * d + j] = j < k && r.sign[j] < 0 ? -r.x[j * d + i] : r.x[j * d + i];
    team_wait(me);
}
