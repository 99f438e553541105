/* One output of the k members of an ensemble: X[rows x k n], a member's columns together. In training all of them go to
 * the loss, each as a row of its own, after the activation: Y[rows x k n]. In prediction Y[rows x n] is the mean over
 * members, in increasing member, of what the activation gives, added in double and rounded once. Where a loss asks for
 * what goes into the activation, it is what would give that mean: its logarithm for softmax and exp, its logit for
 * sigmoid. */

static const char *mean_of_members_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,
                                         struct schuss_array *arrays, int *n_arrays) {
    const ptrdiff_t members = node->sizes[0];
    (void)arrays, (void)n_arrays;
    if (in->storage != SCHUSS_REAL || in->positions > 1) return "input";
    if (members < 1 || in->channels % members != 0) return "members";
    *out = (struct shape){in->channels / members, SCHUSS_REAL, 0};
    return NULL;
}

static struct needs mean_of_members_needs(const struct schuss_node *node, const struct shape *in, ptrdiff_t rows,
                                          int passes) {
    const ptrdiff_t row = in->channels * (ptrdiff_t)sizeof(double);
    return (struct needs){
        /* Targets and weights of all members. */
        .kept = passes == SCHUSS_FORWARD_ONLY || rows > PTRDIFF_MAX / 4 / row
                    ? 0
                    : rows * (row + 2 * node->sizes[0] * (ptrdiff_t)sizeof(double)),
        .scratch = 3 * row + 64,
        .nanoseconds = (double)in->channels * OUTPUT_NS,
    };
}

/* sums[n] += what the activation makes of x[n]; others[n] += 1 less that, of sigmoid. */
static void add_member(const struct schuss_node *node, ptrdiff_t n, const real *x, real *room, double *sums,
                       double *others) {
    memcpy(room, x, (size_t)n * sizeof(real));
    if (node->activation == SCHUSS_SOFTMAX) softmax(1, n, room);
    else activate(node->activation, node->alpha, n, room, room);
    for (ptrdiff_t j = 0; j < n; j++) sums[j] += (double)room[j];
    if (node->activation != SCHUSS_SIGMOID) return;
    for (ptrdiff_t j = 0; j < n; j++) room[j] = -x[j];
    activate(node->activation, node->alpha, n, room, room);
    for (ptrdiff_t j = 0; j < n; j++) others[j] += (double)room[j];
}

/* y[n] = log(sums / members), limited to what the dtype has a logarithm of. */
static void log_of_mean(ptrdiff_t n, ptrdiff_t members, const double *sums, real *y) {
    static const real smallest = REAL_BITS == 32 ? (real)1.17549435e-38 : (real)2.2250738585072014e-308;
    for (ptrdiff_t j = 0; j < n; j++) {
        const real mean = (real)(sums[j] / (double)members);
        y[j] = mean < smallest ? smallest : mean;
    }
    elementary(ELEMENTARY_LOG, n, y, y);
}

static void mean_of_members_forward(struct here *h, const struct pass *pass, struct team *me) {
    const struct schuss_node *node = h->node;
    const ptrdiff_t members = node->sizes[0], n = node->channels;
    double *sums = (double *)(((uintptr_t)h->scratch + 63) & ~(uintptr_t)63), *others = sums + n;
    real *room = (real *)(void *)(others + n);
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        const real *x = (const real *)h->x.at + i * h->x.ld;
        real *y = (real *)h->y.at + i * h->y.ld;
        if (pass->training) {
            memcpy(y, x, (size_t)h->channels * sizeof(real));
            finish_rows(&h->end, 1, h->channels, y, h->y.ld, i, 0);
            continue;
        }
        memset(sums, 0, 2 * (size_t)n * sizeof(double));
        for (ptrdiff_t m = 0; m < members; m++) add_member(node, n, x + m * n, room, sums, others);
        if (pass->logits && node->activation != SCHUSS_IDENTITY) {
            log_of_mean(n, members, sums, y);
            if (node->activation != SCHUSS_SIGMOID) continue;
            log_of_mean(n, members, others, room);
            for (ptrdiff_t j = 0; j < n; j++) y[j] -= room[j];
        } else
            for (ptrdiff_t j = 0; j < n; j++) y[j] = (real)(sums[j] / (double)members);
    }
}

static void mean_of_members_down(struct here *h, const struct pass *pass, struct team *me) {
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        real *dx = gradient_row(h, i, 0, (real *)h->scratch);
        memcpy(dx, (const real *)h->dy.at + i * h->dy.ld, (size_t)h->channels * sizeof(real));
        hand_over(h, i, 1, 0, h->channels, dx);
    }
}

static const struct kind mean_of_members_kind = {
    .name = "mean_of_members", .sizes = "members", .numbers = "",
    .shape = mean_of_members_shape, .needs = mean_of_members_needs, .sharing = SHARES_ROWS,
    .forward = mean_of_members_forward, .down = mean_of_members_down,
};
