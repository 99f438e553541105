/* Waves of each column, f of them: X[rows x n], frequencies W[n x f]. Form COS, with phases b[n x f]:
 * Y[rows x (n f)], cos(2 pi x w + b). Form COS_SIN: Y[rows x (n 2 f)], cos(2 pi w x) and then sin(2 pi w x) of each
 * column. Gorishniy, Rubachev, Babenko, "On embeddings for numerical features in tabular deep learning", 2022.
 *
 * Phases are in turns: whole turns of x w are taken off exactly, before b / (2 pi) is added. */

enum { PERIODIC_WEIGHT, PERIODIC_BIAS };
static const real TWO_PI = (real)6.283185307179586476925, TURNS_OF_RADIAN = (real)0.1591549430918953357688838;

/* Columns that each column gives. */
ALWAYS_INLINE ptrdiff_t periodic_width(const struct schuss_node *node) {
    return node->sizes[1] * (node->numbers[0] != 0 ? 2 : 1);
}

static const char *periodic_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,
                                  struct schuss_array *arrays, int *n_arrays) {
    if (in->storage != SCHUSS_REAL) return "input";
    if (node->sizes[0] != in->channels) return "n";
    if (node->sizes[1] < 1 || node->sizes[1] > PTRDIFF_MAX / 2 / in->channels) return "frequencies";
    *out = (struct shape){in->channels * periodic_width(node), SCHUSS_REAL, 0};
    arrays[(*n_arrays)++] = matrix_array("weight", in->channels, node->sizes[1]);
    if (node->numbers[0] == 0) arrays[(*n_arrays)++] = matrix_array("bias", in->channels, node->sizes[1]);
    return NULL;
}

/* Kept, as Y: the slope of each element by its phase. Scratch: phases, cosines and sines of a row; or a column of X in
 * pairs with zeros, and sums. */
static struct needs periodic_needs(const struct schuss_node *node, const struct shape *in, ptrdiff_t rows,
                                   int passes) {
    const ptrdiff_t waves = in->channels * node->sizes[1], item = sizeof(real);
    ptrdiff_t scratch = 3 * waves > in->channels ? 3 * waves : in->channels, kept = 0;
    if (passes != SCHUSS_FORWARD_ONLY) {
        if (rows > PTRDIFF_MAX / 8 / item / (node->channels > 0 ? node->channels : 1)) kept = PTRDIFF_MAX / 4;
        else kept = rows * node->channels * item;
        if (scratch < 2 * rows + 2 * node->sizes[1]) scratch = 2 * rows + 2 * node->sizes[1];
    }
    return (struct needs){
        .kept = kept,
        .scratch = scratch * item,
        .nanoseconds = 20 * (double)node->channels * OUTPUT_NS,
    };
}

/* Of n phases x w, in turns: y = cos(2 pi x w + b) and, unless it is NULL, slope = -sin(2 pi x w + b). */
static void cosine_row(ptrdiff_t n, const real *turns, const real *b, real *y, real *slope) {
    for (ptrdiff_t j = 0; j < n; j += LANES) {
        const vmask lanes = v_mask(n - j);
        const vec x = v_load_m(turns + j, lanes);
        vec sine, cosine = v_cos_sin_turns(turn_rest(x) + v_load_m(b + j, lanes) * v_set1(TURNS_OF_RADIAN), &sine);
        v_store_m(y + j, cosine, lanes);
        if (slope) v_store_m(slope + j, -sine, lanes);
    }
}

/* Of n phases x w, in turns: their cosines and sines. */
static void cosines_and_sines(ptrdiff_t n, const real *turns, real *cosines, real *sines) {
    for (ptrdiff_t j = 0; j < n; j += LANES) {
        const vmask lanes = v_mask(n - j);
        vec sine, cosine = v_cos_sin_turns(v_load_m(turns + j, lanes), &sine);
        v_store_m(cosines + j, cosine, lanes);
        v_store_m(sines + j, sine, lanes);
    }
}

static void periodic_forward(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t n = h->channels, f = h->node->sizes[1], waves = n * f, width = periodic_width(h->node);
    const real *restrict w = h->arrays[PERIODIC_WEIGHT];
    real *restrict turns = (real *)h->scratch, *cosines = turns + waves, *sines = cosines + waves;
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        const real *x = (const real *)h->x.at + i * h->x.ld;
        real *y = (real *)h->y.at + i * h->y.ld, *slope = h->kept ? (real *)h->kept + i * n * width : NULL;
        for (ptrdiff_t c = 0; c < n; c++)
            for (ptrdiff_t k = 0; k < f; k++) turns[c * f + k] = x[c] * w[c * f + k];
        if (width == f) cosine_row(waves, turns, h->arrays[PERIODIC_BIAS], y, slope);
        else {
            cosines_and_sines(waves, turns, cosines, sines);
            for (ptrdiff_t c = 0; c < n; c++)
                for (ptrdiff_t k = 0; k < f; k++) {
                    y[c * width + k] = cosines[c * f + k];
                    y[c * width + f + k] = sines[c * f + k];
                }
            for (ptrdiff_t c = 0; slope && c < n; c++)
                for (ptrdiff_t k = 0; k < f; k++) {
                    slope[c * width + k] = -sines[c * f + k];
                    slope[c * width + f + k] = cosines[c * f + k];
                }
        }
        finish_row(h, i, y);
    }
}

ALWAYS_INLINE void wave_term(vec dy, vec w, vec slope, vec a, vec b, vec *terms) {
    (void)a, (void)b;
    terms[0] = dy * slope * w;
}

/* dx = 2 pi times the sum over a column's waves of dy slope w. */
static void periodic_down(struct here *h, const struct pass *pass, struct team *me) {
    const ptrdiff_t n = h->channels, f = h->node->sizes[1], width = periodic_width(h->node);
    const real *w = h->arrays[PERIODIC_WEIGHT];
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        const real *dy = (const real *)h->dy.at + i * h->dy.ld, *slope = (const real *)h->kept + i * n * width;
        real *dx = gradient_row(h, i, 0, (real *)h->scratch);
        for (ptrdiff_t c = 0; c < n; c++) {
            real sums[2] = {0, 0};
            for (ptrdiff_t half = 0; half < width / f; half++) {
                const ptrdiff_t at = c * width + half * f;
                row_sums(1, wave_term, f, dy + at, w + c * f, slope + at, 0, 0, &sums[half]);
            }
            dx[c] = TWO_PI * (sums[0] + sums[1]);
        }
        hand_over(h, i, 1, 0, n, dx);
    }
}

/* What a row adds to the gradients by 2 pi w, and by the phase. x: that of the row. */
ALWAYS_INLINE void phase_terms(vec dy, vec slope, vec x, vec unused, vec *terms) {
    (void)unused;
    terms[1] = dy * slope;
    terms[0] = terms[1] * x;
}

/* The gradient by w is 2 pi times the sum over rows of dy slope x, that by b the sum of dy slope. Members share columns
 * of X. */
static void periodic_gradients(struct here *h, const struct pass *pass, struct births *births, struct team *me) {
    const ptrdiff_t n = h->channels, f = h->node->sizes[1], width = periodic_width(h->node);
    const ptrdiff_t first = share_start(n, 1, me->index, me->count), end = share_start(n, 1, me->index + 1, me->count);
    real *pairs = (real *)h->scratch, *sums = pairs + 2 * pass->rows;
    for (ptrdiff_t c = first; c < end; c++) {
        const struct column_operands operands = {
            .rows = pass->rows, .a = (const real *)h->dy.at + c * width, .ld_a = h->dy.ld,
            .b = (const real *)h->kept + c * width, .ld_b = n * width, .of_rows = pairs};
        real *gradient = (real *)h->gradients[PERIODIC_WEIGHT] + c * f;
        for (ptrdiff_t i = 0; i < pass->rows; i++) {
            pairs[2 * i] = ((const real *)h->x.at)[i * h->x.ld + c];
            pairs[2 * i + 1] = 0;
        }
        if (width == f) {
            sum_columns(2, phase_terms, &operands, 0, f, gradient, (real *)h->gradients[PERIODIC_BIAS] + c * f);
            for (ptrdiff_t k = 0; k < f; k++) gradient[k] = TWO_PI * gradient[k];
        } else {
            sum_columns(1, phase_terms, &operands, 0, width, sums, NULL);
            for (ptrdiff_t k = 0; k < f; k++) gradient[k] = TWO_PI * (sums[k] + sums[f + k]);
        }
    }
    vector_born(h, births, PERIODIC_WEIGHT, first * f, end * f);
    if (h->node->n_arrays > 1) vector_born(h, births, PERIODIC_BIAS, first * f, end * f);
}

static const struct kind periodic_kind = {
    .name = "periodic", .sizes = "n frequencies", .numbers = "sines",
    .shape = periodic_shape, .needs = periodic_needs, .sharing = SHARES_ROWS,
    .backward_reads = GRADIENTS_READ_INPUT,
    .forward = periodic_forward, .down = periodic_down, .gradients = periodic_gradients,
};
