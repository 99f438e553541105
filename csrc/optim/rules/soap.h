/* SOAP (Vyas et al., ICLR 2025): Adam in the eigenbasis of Shampoo's preconditioners. Of an array's k-th dimension L_k is
 * the average of g_k g_k', where g_k is the gradient with this dimension first and all others flat, and Q_k its
 * eigenvectors. With h = g Q_1 Q_2 ..., each along its dimension,
 *   m += (1 - beta1) (h - m), v = beta2 v + (1 - beta2) h^2, p = keep (p - lr m / (sqrt(v) + eps) Q_1' Q_2' ...).
 * In every so many steps Q_k becomes the orthonormal factor of L_k Q_k, with its columns in order of their eigenvalues;
 * v is sorted with them, m goes through the original space. The first step only finds the bases, so that no gradient is
 * seen in one of its own making. */

#ifdef RULE_LOOPS
enum { SOAP_PARTS = 64 }; /* |u|^2 is summed by so many parts, whatever the members */

/* A copy of the gradient goes to s4. */
static void soap_sums(const struct rule_arrays *r, const struct rule_constants *c, struct rule_sums *found) {
    (void)c;
    (void)found;
    memcpy(r->s4, r->g, (size_t)r->n * sizeof(real));
}

/* From the update in s4. */
static void soap(const struct rule_arrays *r, const struct rule_constants *c) {
    real *restrict p = r->p;
    const real *restrict update = r->s4;
    const real keep = (real)c->keep, step_size = (real)c->step_size;
    if (c->first) return;
    for (ptrdiff_t i = 0; i < r->n; i++) p[i] = keep * (p[i] - step_size * update[i]);
}
#endif

#ifdef RULE_ARRAYS
/* The gradient h, which becomes the update. */
static void soap_adam(ptrdiff_t n, const struct rule_constants *c, real *restrict h, real *restrict m,
                      real *restrict v) {
    const real fresh1 = (real)c->one_minus_beta1, beta2 = (real)c->beta2, fresh2 = (real)c->one_minus_beta2;
    const real eps = (real)c->eps;
    for (ptrdiff_t i = 0; i < n; i++) {
        m[i] = m[i] + fresh1 * (h[i] - m[i]);
        v[i] = beta2 * v[i] + fresh2 * (h[i] * h[i]);
        h[i] = m[i] / (SQRT(v[i]) + eps);
    }
}

/* An array, its bases, and the room of the team. Buffers are as large as the array, squares as its longest side that has
 * a basis. */
struct soap_job {
    const struct schuss_segment *s;
    const struct rule_constants *c;
    struct side sides[SIDES];
    int count, bases;
    ptrdiff_t n, longest;
    real *gradient, *buffer[2];
    struct orthogonal_room squares;
    struct eigen_room eigen; /* in the same place as the squares */
    double *sums;            /* [SOAP_PARTS] */
    ptrdiff_t *order;        /* [longest] */
    char *own;               /* this member's room */
    struct team *me;
    ptrdiff_t bytes;
};

static ptrdiff_t soap_most(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

/* The next `bytes` of the room, in whole lines. */
static char *soap_next(char **at, ptrdiff_t bytes) {
    char *found = *at;
    *at += (bytes + 63) / 64 * 64;
    return found;
}

static void soap_lay(struct soap_job *j, const struct schuss_group *g, const struct schuss_segment *s, char *scratch,
                     int index, int members) {
    const ptrdiff_t size = sizeof(real);
    char *at = scratch;
    ptrdiff_t own = 0;
    j->s = s;
    j->n = s->n;
    j->count = optimizer_sides(g, s, j->sides);
    j->longest = j->bases = 0;
    for (int k = 0; k < j->count; k++) {
        const struct side *side = &j->sides[k];
        const ptrdiff_t d = side->size, others = side->outer * side->inner;
        if (side->at < 0) continue;
        j->bases++;
        j->longest = soap_most(j->longest, d);
        const ptrdiff_t along = side->inner == 1   ? product_scratch(side->outer, d, d)
                                : side->outer == 1 ? product_scratch(d, others, d)
                                                   : product_scratch(d, side->inner, d);
        own = soap_most(own, soap_most(along, product_scratch(d, d, others)));
        own = soap_most(own, soap_most(product_scratch(d, d, d), orthogonal_scratch(d)));
        if (j->count == 2) own = soap_most(own, product_scratch(others, d, others)); /* the longer side's first basis */
    }
    const ptrdiff_t d = j->longest, square = d * d;
    j->gradient = (real *)soap_next(&at, j->n * size);
    for (int i = 0; i < 2; i++) j->buffer[i] = (real *)soap_next(&at, j->bases ? j->n * size : 0);
    char *squares = at;
    real **const three[] = {&j->squares.x, &j->squares.spare, &j->squares.v};
    for (int i = 0; i < 3; i++) *three[i] = (real *)soap_next(&at, square * size);
    char *end = at;
    at = squares;
    j->eigen.a = (double *)soap_next(&at, square * (ptrdiff_t)sizeof(double));
    j->eigen.z = (double *)soap_next(&at, square * (ptrdiff_t)sizeof(double));
    if (at < end) at = end;
    j->squares.along = (real *)soap_next(&at, d * REFLECTIONS * size);
    j->squares.turned = (real *)soap_next(&at, d * REFLECTIONS * size);
    j->squares.t = (real *)soap_next(&at, (orthogonal_blocks(d) + 1) * REFLECTIONS * REFLECTIONS * size);
    j->squares.tau = (real *)soap_next(&at, d * size);
    j->squares.sign = (real *)soap_next(&at, d * size);
    for (int i = 0; i < 2; i++) j->eigen.y[i] = (double *)soap_next(&at, d * (ptrdiff_t)sizeof(double));
    j->eigen.factor = (double *)soap_next(&at, d * (ptrdiff_t)sizeof(double));
    j->sums = (double *)soap_next(&at, SOAP_PARTS * (ptrdiff_t)sizeof(double));
    j->order = (ptrdiff_t *)soap_next(&at, d * (ptrdiff_t)sizeof(ptrdiff_t));
    own = soap_most(own, eigen_own_bytes(d));
    own = (own + 63) / 64 * 64;
    j->own = at + index * own;
    j->bytes = at + members * own - scratch;
}

static ptrdiff_t soap_scratch(const struct schuss_group *g, const struct schuss_segment *s, int members) {
    struct soap_job job;
    soap_lay(&job, g, s, NULL, 0, members);
    return job.bytes;
}

/* The member's share of n. */
static ptrdiff_t soap_from(ptrdiff_t n, const struct team *me) { return share_start(n, 64, me->index, me->count); }
static ptrdiff_t soap_to(ptrdiff_t n, const struct team *me) { return share_start(n, 64, me->index + 1, me->count); }

/* to = Q' from along a side, or Q from if back. */
static void soap_turn(const struct soap_job *j, const struct side *side, int back, const real *from, real *to) {
    const ptrdiff_t d = side->size, inner = side->inner;
    const real *q = (const real *)j->s->s[3] + side->at;
    const struct gemm last = {
        .m = side->outer, .n = d, .k = d,
        .a = from, .a_row = d, .a_col = 1,
        .b = q, .ldb = d, .b_transposed = back,
        .c = to, .ldc = d,
    };
    struct gemm other = {
        .m = d, .n = inner, .k = d,
        .a = q, .a_row = back ? d : 1, .a_col = back ? 1 : d,
        .b = from, .ldb = inner,
        .c = to, .ldc = inner,
    };
    if (inner == 1) team_product(&last, 0, j->own, j->me);
    else if (side->outer == 1) team_product(&other, 0, j->own, j->me);
    else {
        const ptrdiff_t end = share_start(side->outer, 1, j->me->index + 1, j->me->count);
        for (ptrdiff_t i = share_start(side->outer, 1, j->me->index, j->me->count); i < end; i++) {
            other.b = from + i * d * inner;
            other.c = to + i * d * inner;
            gemm(&other, 0, d, 0, inner, j->own);
        }
    }
    team_wait(j->me);
}

/* The array in the bases of all its sides, or back. Returns the buffer it is in then, or x itself if there are none. */
static real *soap_project(const struct soap_job *j, real *x, int back) {
    for (int k = 0; k < j->count; k++) {
        if (j->sides[k].at < 0) continue;
        real *to = j->buffer[x == j->buffer[0]];
        soap_turn(j, &j->sides[k], back, x, to);
        x = to;
    }
    return x;
}

/* L += (1 - beta) (g_k g_k' - L) for a side's average L. */
static void soap_average(const struct soap_job *j, const struct side *side) {
    const ptrdiff_t d = side->size, inner = side->inner, others = side->outer * inner;
    const real *g = j->gradient, fresh = (real)j->c->one_minus_beta3;
    real *restrict average = (real *)j->s->s[2] + side->at, *restrict product = j->squares.x;
    if (inner > 1 && side->outer > 1) { /* this dimension first */
        const ptrdiff_t end = share_start(d, 1, j->me->index + 1, j->me->count);
        for (ptrdiff_t i = share_start(d, 1, j->me->index, j->me->count); i < end; i++)
            for (ptrdiff_t o = 0; o < side->outer; o++)
                memcpy(j->buffer[0] + i * others + o * inner, g + (o * d + i) * inner, (size_t)inner * sizeof(real));
        team_wait(j->me);
        g = j->buffer[0];
    }
    const int last = inner == 1;
    const struct gemm gram = {
        .m = d, .n = d, .k = others,
        .a = g, .a_row = last ? 1 : others, .a_col = last ? d : 1,
        .b = g, .ldb = last ? d : others, .b_transposed = !last,
        .c = product, .ldc = d,
    };
    team_product(&gram, 1, j->own, j->me);
    team_wait(j->me);
    const ptrdiff_t to = soap_to(d * d, j->me);
    for (ptrdiff_t i = soap_from(d * d, j->me); i < to; i++)
        average[i] = average[i] + fresh * (product[i] - average[i]);
    team_wait(j->me);
}

/* The first basis of a side: eigenvectors of its average. */
static void soap_begin(const struct soap_job *j, const struct side *side) {
    struct eigen_room eigen = j->eigen;
    eigen.d = side->size;
    eigenvectors((const real *)j->s->s[2] + side->at, (real *)j->s->s[3] + side->at, &eigen, j->own, j->me);
}

/* The first basis of a matrix's longer side: g_k times the other side's basis has orthogonal columns, but for rounding.
 * Their complement spans what the average, which has no more than their rank, takes to zero. */
static void soap_complete(const struct soap_job *j, int side) {
    const struct side *longer = &j->sides[side], *other = &j->sides[1 - side];
    const ptrdiff_t d = longer->size, k = other->size;
    struct orthogonal_room room = j->squares;
    const struct gemm product = {
        .m = k, .n = d, .k = k,
        .a = (const real *)j->s->s[3] + other->at, .a_row = 1, .a_col = k,
        .b = j->gradient, .ldb = side ? d : k, .b_transposed = !side,
        .c = room.x, .ldc = d,
    };
    room.d = d;
    team_product(&product, 0, j->own, j->me);
    team_wait(j->me);
    orthonormal(room, k, (real *)j->s->s[3] + longer->at, j->own, j->me);
}

/* The first basis of a vector: the gradient's direction, and whatever is orthogonal to it. */
static void soap_point(const struct soap_job *j) {
    struct orthogonal_room room = j->squares;
    room.d = j->n;
    if (j->me->index == 0) memcpy(room.x, j->gradient, (size_t)j->n * sizeof(real));
    team_wait(j->me);
    orthonormal(room, 1, (real *)j->s->s[3] + j->sides[0].at, j->own, j->me);
}

static void soap_begin_all(const struct soap_job *j) {
    const int matrix = j->count == 2 && j->bases == 2;
    if (j->count == 1 && j->bases == 1) {
        soap_point(j);
        return;
    }
    const int longer = matrix && j->sides[0].size > j->sides[1].size ? 0 : 1;
    for (int k = 0; k < j->count; k++)
        if (j->sides[k].at >= 0 && !(matrix && k == longer)) soap_begin(j, &j->sides[k]);
    if (matrix) soap_complete(j, longer);
}

/* v sorted along a side. */
static void soap_sort(const struct soap_job *j, const struct side *side) {
    const ptrdiff_t d = side->size, inner = side->inner, lines = side->outer * d;
    const ptrdiff_t from = share_start(lines, 16, j->me->index, j->me->count);
    const ptrdiff_t to = share_start(lines, 16, j->me->index + 1, j->me->count);
    real *v = j->s->s[1], *sorted = j->gradient;
    for (ptrdiff_t i = from; i < to; i++) {
        const real *line = v + (i / d * d + j->order[i % d]) * inner;
        if (inner == 1) sorted[i] = *line;
        else memcpy(sorted + i * inner, line, (size_t)inner * sizeof(real));
    }
    team_wait(j->me);
    memcpy(v + from * inner, sorted + from * inner, (size_t)((to - from) * inner) * sizeof(real));
    team_wait(j->me);
}

/* A side's basis by a step of orthogonal iteration. */
static void soap_refresh(const struct soap_job *j, const struct side *side) {
    const ptrdiff_t d = side->size;
    const real *average = (const real *)j->s->s[2] + side->at;
    real *q = (real *)j->s->s[3] + side->at, *restrict product = j->squares.spare;
    struct orthogonal_room room = j->squares;
    double *values = j->eigen.factor;
    const struct gemm power = {
        .m = d, .n = d, .k = d,
        .a = average, .a_row = d, .a_col = 1,
        .b = q, .ldb = d,
        .c = product, .ldc = d,
    };
    const ptrdiff_t from = soap_from(d, j->me), to = soap_to(d, j->me);
    room.d = d;
    team_product(&power, 0, j->own, j->me);
    team_wait(j->me);
    for (ptrdiff_t k = from; k < to; k++) values[k] = 0;
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t k = from; k < to; k++) values[k] += (double)q[i * d + k] * (double)product[i * d + k];
    team_wait(j->me);
    if (j->me->index == 0) descending(d, values, j->order);
    team_wait(j->me);
    const double most = largest_of(d, average), scale = most > 0 ? 1 / most : 1;
    for (ptrdiff_t i0 = 0; i0 < d; i0 += 16)
        for (ptrdiff_t k = from; k < to; k++)
            for (ptrdiff_t i = i0; i < i0 + 16 && i < d; i++)
                room.x[k * d + i] = (real)(scale * (double)product[i * d + j->order[k]]);
    soap_sort(j, side);
    orthonormal(room, d, q, j->own, j->me);
}

static void soap_refresh_all(const struct soap_job *j) {
    real *m = j->s->s[0], *original = soap_project(j, m, 1);
    for (int k = 0; k < j->count; k++)
        if (j->sides[k].at >= 0) soap_refresh(j, &j->sides[k]);
    const real *projected = soap_project(j, original, 0);
    const ptrdiff_t from = soap_from(j->n, j->me), to = soap_to(j->n, j->me);
    memcpy(m + from, projected + from, (size_t)(to - from) * sizeof(real));
    team_wait(j->me);
}

/* 1 / rms(u), but for its bound. */
static double soap_normalised(const struct soap_job *j, const real *update) {
    const int end = (j->me->index + 1) * SOAP_PARTS / j->me->count;
    double total = 0;
    for (int part = j->me->index * SOAP_PARTS / j->me->count; part < end; part++) {
        const ptrdiff_t from = share_start(j->n, 64, part, SOAP_PARTS);
        j->sums[part] = real_dot(share_start(j->n, 64, part + 1, SOAP_PARTS) - from, update + from, update + from);
    }
    team_wait(j->me);
    for (int part = 0; part < SOAP_PARTS; part++) total += j->sums[part];
    return 1 / (1e-30 + sqrt(total / (double)j->n));
}

static void soap_array(const struct schuss_segment *s, const struct rule_constants *c, char *scratch, struct team *me,
                       int *nonfinite) {
    struct soap_job job;
    struct rule_constants own = *c; /* of the last pass, which needs no gradient */
    struct schuss_segment with_copy = *s;
    double sums[SCHUSS_MAX_SUMS];
    soap_lay(&job, c->group, s, scratch, me->index, me->count);
    job.c = c;
    job.me = me;
    const ptrdiff_t from = soap_from(s->n, me), to = soap_to(s->n, me);
    own.seen = 1;
    own.zero_grad = 0;
    own.grad_scale = own.scale = 1;
    own.clip_value = own.l2 = 0;
    with_copy.s[2] = with_copy.s[3] = NULL;
    with_copy.s[4] = job.gradient;
    struct schuss_segment piece = piece_of(&with_copy, from, to);
    measure(&piece, c, sums, nonfinite);
    team_wait(me);
    if (!c->first) {
        real *update = soap_project(&job, job.gradient, 0);
        soap_adam(to - from, c, update + from, (real *)s->s[0] + from, (real *)s->s[1] + from);
        team_wait(me);
        update = soap_project(&job, update, 1);
        if (c->normalizes) own.step_size *= soap_normalised(&job, update);
        with_copy.s[4] = update;
    }
    piece = piece_of(&with_copy, from, to);
    step(&piece, &own, nonfinite);
    team_wait(me); /* buffers are used again */
    for (int k = 0; k < job.count; k++)
        if (job.sides[k].at >= 0) soap_average(&job, &job.sides[k]);
    if (c->first) soap_begin_all(&job);
    else if (c->refresh && job.bases) soap_refresh_all(&job);
}
#endif

#ifdef RULE_ROWS
static void soap_constants(const struct schuss_group *g, const double *memory, int64_t t, struct rule_constants *c) {
    (void)memory;
    double power[SCHUSS_MAX_BETAS];
    optimizer_powers(g, t - 1, power); /* the first step makes no update */
    if (g->bias_correction && t > 1) c->step_size = g->lr * sqrt(1 - power[1]) / (1 - power[0]);
    c->one_minus_beta3 = 1 - (g->shampoo_beta < 0 ? g->beta2 : g->shampoo_beta);
    c->refresh = t > 1 && (t - 1) % (int64_t)g->precondition_frequency == 0;
    c->normalizes = g->normalize_grads;
    c->group = g;
}

/* For each basis five products, one of them by half, and its share of the steps that change it. */
static double soap_time(const struct schuss_group *g, const struct schuss_segment *s) {
    struct side sides[SIDES];
    const double n = (double)s->n;
    double products = 0;
    for (int k = optimizer_sides(g, s, sides); k-- > 0;) {
        const double d = (double)sides[k].size;
        if (sides[k].at >= 0) products += 5 * n * d + (4 * n * d + 5 * d * d * d) / g->precondition_frequency;
    }
    return 1 + n + products / FLOPS_PER_NANOSECOND;
}

static int soap_states(const struct schuss_group *g) {
    (void)g;
    return states_of(2); /* at least */
}

static const char *soap_state(const struct schuss_group *g, const struct schuss_segment *s, int slot) {
    static const char *const names[] = {"exp_avg", "exp_avg_sq", "GG", "Q"};
    return slot < 2 || (slot < 4 && schuss_state_squares(g, s) > 0) ? names[slot] : NULL;
}

/* GG and Q are the squares of all dimensions one after the other. */
static int soap_shape(const struct schuss_group *g, const struct schuss_segment *s, int slot, ptrdiff_t *shape) {
    if (slot < 2) return shape_of_array(g, s, slot, shape);
    shape[0] = schuss_state_squares(g, s);
    return 1;
}

/* Without shampoo_beta it is beta2. */
static const struct rule soap_rule = {
    .settings = SETTINGS(BETAS, NUMBER_OR_NONE("shampoo_beta", shampoo_beta, "(-inf, 1)", -1), EPS, WEIGHT_DECAY,
                         WHOLE("precondition_frequency", precondition_frequency, "[1, 1e9]"),
                         WHOLE("max_precond_dim", max_precond_dim, "[0, 1e9]"), FLAG("merge_dims", merge_dims),
                         FLAG("precondition_1d", precondition_1d), FLAG("normalize_grads", normalize_grads),
                         FLAG("correct_bias", bias_correction)),
    .decouples = 1,
    .states = soap_states,
    .state = soap_state,
    .shape = soap_shape,
    .positive = 1 << 1,
    .fine = 1 | 1 << 1, /* Errors of the one, turned, meet numbers of the other that are far smaller than they. */
    .exact = 1 << 2 | 1 << 3,
    .constants = soap_constants,
    .time = soap_time,
};
#endif
