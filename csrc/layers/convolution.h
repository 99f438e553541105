/* Y[i, y, x, o] = b[o] + sum over ky, kx, c of X[i, y stride_height - top + ky dilation_height, x stride_width - left +
 * kx dilation_width, c] W[ky, kx, c, o], where X is +0 beyond its borders: X[rows x height x width x n_in], W[(kernel_height
 * kernel_width n_in) x n_out], b[n_out] -> Y[rows x out_height x out_width x n_out]. In one dimension the height is 1.
 *
 * No patches are made. What a position sees of an image are a few runs of neighbouring elements (dense/runs.h), at the
 * same distances for all positions, so tiles read images where they lie, or, where there are zeros around, from a
 * copy of one image with these. So do the gradients: for that by X an image is what dY is of one row, for that by W
 * positions are what is summed over.
 *
 * The order of sums: forward along (ky, kx, c). The gradient by X is gathered: along the positions of dY that saw it, in
 * their order (so ky and kx fall), and the channels of each; those beyond the borders of dY count as +0. The gradient by
 * W goes along all positions of all rows. Each is cut in blocks of LONG_K, as all products. */

enum {
    CONVOLUTION_WEIGHT,
    CONVOLUTION_BIAS,
    CONVOLUTION_BAND = 128,             /* positions whose products are summed while they stay in L1, at most */
    CONVOLUTION_GROUP = 256 * 1024      /* bytes of images with zeros around that are copied together, roughly */
};

struct convolution {
    ptrdiff_t height, width, n_in, n_out, kernel_height, kernel_width;
    ptrdiff_t stride_height, stride_width, dilation_height, dilation_width, top, bottom, left, right;
    ptrdiff_t out_height, out_width;
};

static struct convolution convolution_of(const struct schuss_node *node) {
    const ptrdiff_t *s = node->sizes;
    struct convolution c = {s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9], s[10], s[11], s[12], s[13], 0, 0};
    c.out_height = (c.height + c.top + c.bottom - (c.kernel_height - 1) * c.dilation_height - 1) / c.stride_height + 1;
    c.out_width = (c.width + c.left + c.right - (c.kernel_width - 1) * c.dilation_width - 1) / c.stride_width + 1;
    return c;
}

/* The rows of W. */
ALWAYS_INLINE ptrdiff_t convolution_depth(const struct convolution *c) {
    return c->kernel_height * c->kernel_width * c->n_in;
}

/* Whether a * b * c * d elements may be addressed. */
static int can_be_addressed(ptrdiff_t a, ptrdiff_t b, ptrdiff_t c, ptrdiff_t d) {
    ptrdiff_t n = 64;
    return !__builtin_mul_overflow(n, a, &n) && !__builtin_mul_overflow(n, b, &n) && !__builtin_mul_overflow(n, c, &n) &&
           !__builtin_mul_overflow(n, d, &n);
}

static const char *convolution_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,
                                     struct schuss_array *arrays, int *n_arrays) {
    static const char *const names[] = {"height", "width", "n_in", "n_out", "kernel_height", "kernel_width",
                                        "stride_height", "stride_width", "dilation_height", "dilation_width", "top",
                                        "bottom", "left", "right"};
    enum { MOST = 1 << 24 };
    const ptrdiff_t *s = node->sizes;
    if (in->storage != SCHUSS_REAL) return "input";
    for (int k = 0; k < 14; k++)
        if (s[k] < (k < 10) || s[k] > MOST) return names[k];
    if (!can_be_addressed(s[0] + s[10] + s[11], s[1] + s[12] + s[13], s[2], 1)) return "height";
    if (!can_be_addressed(s[4], s[5], s[2], s[3])) return "n_out";
    if (s[2] != in->channels) return "n_in";
    if (s[0] * s[1] != in->positions) return "height";
    if ((s[4] - 1) * s[8] >= s[0] + s[10] + s[11]) return "kernel_height";
    if ((s[5] - 1) * s[9] >= s[1] + s[12] + s[13]) return "kernel_width";
    const struct convolution c = convolution_of(node);
    if (!can_be_addressed(c.out_height, c.out_width, c.n_out, 1)) return "n_out";
    *out = (struct shape){c.n_out, SCHUSS_REAL, c.out_height * c.out_width};
    arrays[(*n_arrays)++] = matrix_array("weight", convolution_depth(&c), c.n_out);
    if (node->numbers[0] != 0) arrays[(*n_arrays)++] = vector_array("bias", c.n_out, 1);
    return NULL;
}

/* ---- images ------------------------------------------------------------------------------------------------------ */

/* Images as products read them: where they lie, or in a copy of their positions [first_y, end_y) x [first_x, end_x) if
 * these go beyond their borders. */
struct view {
    ptrdiff_t height, width, channels;      /* of an image */
    ptrdiff_t first_y, end_y, first_x, end_x;
    int copied;
    ptrdiff_t image, row, ld;               /* elements from image to image, row to row, position to position */
    ptrdiff_t origin;                       /* where position (0, 0) is, from where an image begins */
};

static struct view view_of(ptrdiff_t height, ptrdiff_t width, ptrdiff_t channels, ptrdiff_t first_y, ptrdiff_t end_y,
                               ptrdiff_t first_x, ptrdiff_t end_x, ptrdiff_t ld) {
    struct view w = {height, width, channels, first_y, end_y, first_x, end_x, 0, height * width * ld, width * ld, ld, 0};
    w.copied = first_y < 0 || end_y > height || first_x < 0 || end_x > width;
    if (!w.copied) return w;
    w.ld = channels;
    w.row = (end_x - first_x) * channels;
    w.image = (end_y - first_y) * w.row;
    w.origin = -first_y * w.row - first_x * w.ld;
    return w;
}

/* Elements of the copies of n images. */
ALWAYS_INLINE ptrdiff_t view_elements(const struct view *w, ptrdiff_t n) { return w->copied ? n * w->image : 0; }

/* Fills `to` with zeros where copies of n images will lie: what is beyond the borders stays. */
static void clear_view(const struct view *w, ptrdiff_t n, real *to) {
    if (w->copied) memset(to, 0, (size_t)(n * w->image) * sizeof(real));
}

/* Image i as products read it, copied to `room` if it has to be. */
static const real *view_on(const struct view *w, const struct matrix *from, ptrdiff_t i, real *room) {
    const real *x = (const real *)from->at + i * w->height * w->width * from->ld;
    if (!w->copied) return x;
    const ptrdiff_t y0 = w->first_y > 0 ? w->first_y : 0, y1 = w->end_y < w->height ? w->end_y : w->height;
    const ptrdiff_t x0 = w->first_x > 0 ? w->first_x : 0, x1 = w->end_x < w->width ? w->end_x : w->width;
    for (ptrdiff_t y = y0; y < y1 && x0 < x1; y++) {
        const real *source = x + (y * w->width + x0) * from->ld;
        real *to = room + w->origin + y * w->row + x0 * w->ld;
        if (from->ld == w->channels) memcpy(to, source, (size_t)((x1 - x0) * w->channels) * sizeof(real));
        else
            for (ptrdiff_t k = x0; k < x1; k++, source += from->ld, to += w->ld)
                memcpy(to, source, (size_t)w->channels * sizeof(real));
    }
    return room;
}

/* ---- products ---------------------------------------------------------------------------------------------------- */

/* A product whose rows are a grid of positions: C[(y, x)][j] = start + sum over k of A[(y, x)][k] B[k][j], and then the
 * end. `ROW` are elements from one row of positions to the next, `STEP` those between neighbours. */
struct grid {
    ptrdiff_t height, width, n;
    const real *a;
    ptrdiff_t a_row, a_step;
    ptrdiff_t n_runs;
    const struct run *runs;
    const real *b;
    ptrdiff_t ldb;
    real *c;
    ptrdiff_t c_row, c_step;
    const real *start;                      /* NULL: zeros. Its positions lie like those of C */
    ptrdiff_t start_row, start_step;
    const struct tile_end *end;             /* NULL: none */
    ptrdiff_t end_row;                      /* position (y, x) is row end_row + y width + x of its arrays */
};

static void grid_product(const struct grid *g) {
    ptrdiff_t height = g->height, width = g->width;
    const int one_row = g->a_row == width * g->a_step && g->c_row == width * g->c_step &&
                        (!g->start || g->start_row == width * g->start_step);
    if (one_row) width *= height, height = 1;
    const ptrdiff_t parts = (width + TILE_ROWS - 1) / TILE_ROWS;
    for (ptrdiff_t j = 0; j < g->n; j += TILE_COLS) {
        const ptrdiff_t cols = g->n - j < TILE_COLS ? g->n - j : TILE_COLS;
        for (ptrdiff_t y = 0; y < height; y++)
            for (ptrdiff_t x = 0, left = parts, rows; left > 0; x += rows, left--) {
                rows = (width - x + left - 1) / left;
                tile_runs_deep(rows, g->n_runs, g->runs, g->a + y * g->a_row + x * g->a_step, g->a_step, 1, g->b + j,
                               g->ldb, g->c + y * g->c_row + x * g->c_step + j, g->c_step, cols,
                               g->start ? g->start + y * g->start_row + x * g->start_step + j : NULL, g->start_step,
                               g->end, g->end_row + y * width + x, j);
            }
    }
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

/* X as forward() and gradients() read it. */
static struct view convolution_input(const struct convolution *c, ptrdiff_t ld) {
    const ptrdiff_t end_y = (c->out_height - 1) * c->stride_height + (c->kernel_height - 1) * c->dilation_height + 1;
    const ptrdiff_t end_x = (c->out_width - 1) * c->stride_width + (c->kernel_width - 1) * c->dilation_width + 1;
    return view_of(c->height, c->width, c->n_in, -c->top, end_y - c->top, -c->left, end_x - c->left, ld);
}

/* The runs of W's rows, from where what a position sees begins. */
static ptrdiff_t convolution_runs(const struct convolution *c, const struct view *w, struct run *runs) {
    ptrdiff_t n = 0, k = 0;
    for (ptrdiff_t ky = 0; ky < c->kernel_height; ky++)
        for (ptrdiff_t kx = 0; kx < c->kernel_width; kx++)
            n = add_run(runs, n, &k, ky * c->dilation_height * w->row + kx * c->dilation_width * w->ld, c->n_in, 1);
    return n;
}

static ptrdiff_t convolution_most_runs(const struct convolution *c, ptrdiff_t channels) {
    const ptrdiff_t kernel = c->kernel_height * c->kernel_width;
    return most_runs(kernel, kernel * channels);
}

/* The next piece of a member's scratch, of so many bytes. */
static void *scratch_piece(char **scratch, ptrdiff_t bytes) {
    void *piece = *scratch;
    *scratch += (bytes + 63) / 64 * 64;
    return piece;
}
ALWAYS_INLINE ptrdiff_t scratch_bytes(ptrdiff_t elements, size_t each) {
    return (elements * (ptrdiff_t)each + 63) / 64 * 64;
}

static void convolution_forward(struct here *h, const struct pass *pass, struct team *me) {
    const struct convolution c = convolution_of(h->node);
    const struct view w = convolution_input(&c, h->x.ld);
    const ptrdiff_t positions = h->node->positions;
    char *scratch = h->scratch;
    struct run *runs = scratch_piece(&scratch, scratch_bytes(convolution_most_runs(&c, c.n_in), sizeof(struct run)));
    real *room = (real *)scratch;
    const int at_once = finishes_in_registers(&h->end);
    struct tile_end end = {.kind = END_FORWARD};
    struct grid g = {.height = c.out_height, .width = c.out_width, .n = c.n_out,
                     .a_row = c.stride_height * w.row, .a_step = c.stride_width * w.ld,
                     .n_runs = convolution_runs(&c, &w, runs), .runs = runs,
                     .b = h->arrays[CONVOLUTION_WEIGHT], .ldb = c.n_out,
                     .c_row = c.out_width * h->y.ld, .c_step = h->y.ld, .end = &end};
    (void)me;
    if (at_once) end = h->end;
    end.bias = h->arrays[CONVOLUTION_BIAS];
    clear_view(&w, 1, room);
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        g.a = view_on(&w, &h->x, i, room) + w.origin - c.top * w.row - c.left * w.ld;
        g.c = (real *)h->y.at + i * positions * h->y.ld;
        g.end_row = i * positions;
        grid_product(&g);
        if (!at_once) finish_rows(&h->end, positions, c.n_out, g.c, h->y.ld, i * positions, 0);
    }
}

/* ---- the gradient by the input ----------------------------------------------------------------------------------- */

/* Positions of X that lie a stride apart see the same elements of the kernel: those are a phase. Along one side, phase
 * p are the positions p, p + stride, ...; element k of the kernel belongs to it where p + before - k dilation is a multiple of
 * the stride, and then position p + t stride was seen through it by position t + the quotient of dY. */
struct extent {
    ptrdiff_t size, kernel, stride, dilation, before;
};

/* Whether element k of the kernel belongs to phase p; *at: the quotient. */
ALWAYS_INLINE int in_phase(const struct extent *s, ptrdiff_t p, ptrdiff_t k, ptrdiff_t *at) {
    const ptrdiff_t distance = p + s->before - k * s->dilation;
    *at = distance / s->stride;
    return distance % s->stride == 0;
}

/* Phases, and positions of one. */
ALWAYS_INLINE ptrdiff_t phases_of(const struct extent *s) { return s->stride < s->size ? s->stride : s->size; }
ALWAYS_INLINE ptrdiff_t phase_size(const struct extent *s, ptrdiff_t p) { return (s->size - p + s->stride - 1) / s->stride; }

/* The positions of dY that are read along one side: [*first, *end). */
static void positions_read(const struct extent *s, ptrdiff_t *first, ptrdiff_t *end) {
    *first = PTRDIFF_MAX;
    *end = PTRDIFF_MIN;
    for (ptrdiff_t p = 0; p < phases_of(s); p++)
        for (ptrdiff_t k = 0; k < s->kernel; k++) {
            ptrdiff_t at;
            if (!in_phase(s, p, k, &at)) continue;
            if (at < *first) *first = at;
            if (at + phase_size(s, p) > *end) *end = at + phase_size(s, p);
        }
    if (*first > *end) *first = *end = 0;
}

static void sides_of(const struct convolution *c, struct extent *up, struct extent *across) {
    *up = (struct extent){c->height, c->kernel_height, c->stride_height, c->dilation_height, c->top};
    *across = (struct extent){c->width, c->kernel_width, c->stride_width, c->dilation_width, c->left};
}

/* dY as down() reads it. */
static struct view convolution_output(const struct convolution *c, ptrdiff_t ld) {
    struct extent up, across;
    ptrdiff_t first_y, end_y, first_x, end_x;
    sides_of(c, &up, &across);
    positions_read(&up, &first_y, &end_y);
    positions_read(&across, &first_x, &end_x);
    return view_of(c->out_height, c->out_width, c->n_out, first_y, end_y, first_x, end_x, ld);
}

struct phase {
    ptrdiff_t y, x;             /* its first position */
    ptrdiff_t n_runs;
    const struct run *runs;     /* from where position (0, 0) of dY is */
    const real *b;              /* [k x n_in] */
};

/* The phases, their runs, and the parts of W that belong to them, transposed, all behind each other. */
static ptrdiff_t convolution_phases(const struct convolution *c, const struct view *w, const real *weight,
                                    struct phase *phases, struct run *runs, real *turned) {
    struct extent up, across;
    ptrdiff_t n = 0;
    sides_of(c, &up, &across);
    for (ptrdiff_t y = 0; y < phases_of(&up); y++)
        for (ptrdiff_t x = 0; x < phases_of(&across); x++) {
            struct phase *p = &phases[n++];
            ptrdiff_t k = 0, at_y, at_x;
            *p = (struct phase){y, x, 0, runs, turned};
            for (ptrdiff_t ky = c->kernel_height - 1; ky >= 0; ky--) {
                if (!in_phase(&up, y, ky, &at_y)) continue;
                for (ptrdiff_t kx = c->kernel_width - 1; kx >= 0; kx--) {
                    if (!in_phase(&across, x, kx, &at_x)) continue;
                    const real *from = weight + (ky * c->kernel_width + kx) * c->n_in * c->n_out;
                    transpose(c->n_in, c->n_out, from, c->n_out, turned, c->n_in, turned + c->n_in * c->n_out);
                    turned += c->n_in * c->n_out;
                    p->n_runs = add_run(runs, p->n_runs, &k, at_y * w->row + at_x * w->ld, c->n_out, 1);
                }
            }
            runs += p->n_runs;
        }
    return n;
}

/* The phases that there are, and all their runs at most. */
static ptrdiff_t convolution_n_phases(const struct convolution *c) {
    struct extent up, across;
    sides_of(c, &up, &across);
    return phases_of(&up) * phases_of(&across);
}
static ptrdiff_t convolution_down_runs(const struct convolution *c) {
    return convolution_most_runs(c, c->n_out) + convolution_n_phases(c);
}

static void convolution_down(struct here *h, const struct pass *pass, struct team *me) {
    const struct convolution c = convolution_of(h->node);
    const struct view w = convolution_output(&c, h->dy.ld);
    const ptrdiff_t positions = c.height * c.width;
    char *scratch = h->scratch;
    struct phase *phases = scratch_piece(&scratch, scratch_bytes(convolution_n_phases(&c), sizeof(struct phase)));
    struct run *runs = scratch_piece(&scratch, scratch_bytes(convolution_down_runs(&c), sizeof(struct run)));
    real *turned = scratch_piece(&scratch, scratch_bytes(convolution_depth(&c) * c.n_out, sizeof(real)));
    real *image = scratch_piece(&scratch, scratch_bytes(positions * c.n_in, sizeof(real)));
    real *room = (real *)scratch;
    const ptrdiff_t n_phases = convolution_phases(&c, &w, h->arrays[CONVOLUTION_WEIGHT], phases, runs, turned);
    const struct part *part = h->parts;
    const int whole = h->n_parts == 1 && part->n == c.n_in;
    const int at_once = whole && n_phases == 1 && finishes_in_registers(&part->end);
    const ptrdiff_t ld = whole ? part->d.ld : c.n_in, ld_start = part->start.ld;
    struct grid g = {.n = c.n_in, .a_row = w.row, .a_step = w.ld, .ldb = c.n_in,
                     .c_row = c.stride_height * c.width * ld, .c_step = c.stride_width * ld,
                     .start_row = c.stride_height * c.width * ld_start, .start_step = c.stride_width * ld_start,
                     .end = at_once ? &part->end : NULL};
    struct extent up, across;
    sides_of(&c, &up, &across);
    (void)me;
    clear_view(&w, 1, room);
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        real *to = whole ? (real *)part->d.at + i * positions * ld : image;
        const real *start = whole && part->start.at ? (const real *)part->start.at + i * positions * ld_start : NULL;
        g.a = view_on(&w, &h->dy, i, room) + w.origin;
        g.end_row = i * positions;
        for (const struct phase *p = phases; p < phases + n_phases; p++) {
            const ptrdiff_t at = p->y * c.width + p->x;
            g.height = phase_size(&up, p->y);
            g.width = phase_size(&across, p->x);
            g.n_runs = p->n_runs;
            g.runs = p->runs;
            g.b = p->b;
            g.c = to + at * ld;
            g.start = start ? start + at * ld_start : NULL;
            grid_product(&g);
        }
        if (!whole) hand_over(h, i * positions, positions, 0, c.n_in, image);
        else if (!at_once && part->end.kind != END_NONE)
            finish_rows(&part->end, positions, c.n_in, to, ld, i * positions, 0);
    }
}

/* ---- the gradients of the parameters ----------------------------------------------------------------------------- */

/* The images that are copied together: the positions of one alone may be too few to be summed at once. */
static ptrdiff_t convolution_group(const struct convolution *c, const struct view *w, ptrdiff_t rows) {
    const ptrdiff_t positions = c->out_height * c->out_width, bytes = w->image * (ptrdiff_t)sizeof(real);
    const ptrdiff_t few = (CONVOLUTION_BAND + positions - 1) / positions, fit = CONVOLUTION_GROUP / bytes;
    const ptrdiff_t group = few < fit ? few : fit;
    if (!w->copied) return rows;
    return group < 1 ? 1 : group < rows ? group : rows;
}

/* What a band of positions adds to the gradient by W. */
struct band {
    ptrdiff_t n_runs;
    struct run runs[CONVOLUTION_BAND];
    const real *x;              /* where what the first position of the first image sees begins */
    ptrdiff_t step;             /* of X, from position to position */
    const real *dy;
    ptrdiff_t ld;
    int opens, later, closes;   /* whether a block of LONG_K begins, is not the first, ends */
    real *sums, *aside;         /* the gradient, and the sums of a block that is not the first */
};

/* Positions [first, end) of all, of which an image has out_height x out_width. Image 0 is the one that w is on. */
static void band_of(const struct convolution *c, const struct view *w, ptrdiff_t first, ptrdiff_t end, struct band *band) {
    const ptrdiff_t positions = c->out_height * c->out_width;
    ptrdiff_t k = 0;
    band->n_runs = 0;
    for (ptrdiff_t q = first, n; q < end; q += n) {
        const ptrdiff_t i = q / positions, y = q % positions / c->out_width, x = q % c->out_width;
        n = c->out_width - x < end - q ? c->out_width - x : end - q;
        band->n_runs = add_run(band->runs, band->n_runs, &k,
                               i * w->image + y * c->stride_height * w->row + x * band->step, n, band->step);
    }
}

/* Rows [first, end) of the gradient by W. */
static void band_rows(const struct convolution *c, const struct view *w, const struct band *band, ptrdiff_t first,
                      ptrdiff_t end) {
    const ptrdiff_t n = c->n_out;
    const int joined = c->dilation_width == 1 && w->ld == c->n_in; /* rows of neighbouring kx lie side by side */
    const ptrdiff_t together = joined ? c->kernel_width * c->n_in : c->n_in;
    for (ptrdiff_t j = 0; j < n; j += TILE_COLS) {
        const ptrdiff_t cols = n - j < TILE_COLS ? n - j : TILE_COLS;
        for (ptrdiff_t r = first, rows; r < end; r += rows) {
            const ptrdiff_t kernel = r / c->n_in, ky = kernel / c->kernel_width, kx = kernel % c->kernel_width;
            const ptrdiff_t same = (r / together + 1) * together, left = (same < end ? same : end) - r;
            const ptrdiff_t parts = (left + TILE_ROWS - 1) / TILE_ROWS;
            rows = (left + parts - 1) / parts;
            const real *a = band->x + ky * c->dilation_height * w->row + kx * c->dilation_width * w->ld + r % c->n_in;
            real *sum = (band->later ? band->aside : band->sums) + r * n + j;
            real *to = band->closes ? band->sums + r * n + j : sum;
            tile_runs(rows, band->n_runs, band->runs, a, 1, band->step, band->dy + j, band->ld, to, n, cols,
                      band->opens ? NULL : sum, n, band->later && band->closes, NULL, 0, 0);
        }
    }
}

static void convolution_weight_gradient(struct here *h, const struct pass *pass, const struct convolution *c,
                                        struct share own) {
    const struct view w = convolution_input(c, h->x.ld);
    char *scratch = h->scratch;
    const ptrdiff_t positions = c->out_height * c->out_width, all = pass->rows * positions;
    const ptrdiff_t group = convolution_group(c, &w, pass->rows);
    real *aside = scratch_piece(&scratch, scratch_bytes(convolution_depth(c) * c->n_out, sizeof(real)));
    real *room = (real *)scratch;
    struct band band = {.step = c->stride_width * w.ld, .ld = h->dy.ld, .sums = h->gradients[CONVOLUTION_WEIGHT], .aside = aside};
    clear_view(&w, group, room);
    for (ptrdiff_t i0 = 0, i1; i0 < pass->rows; i0 = i1) {
        i1 = i0 + group < pass->rows ? i0 + group : pass->rows;
        const real *first = w.copied ? room : h->x.at;
        for (ptrdiff_t i = i0; i < i1 && w.copied; i++) view_on(&w, &h->x, i, room + (i - i0) * w.image);
        band.x = first + w.origin - c->top * w.row - c->left * w.ld;
        for (ptrdiff_t q = i0 * positions, next; q < i1 * positions; q = next) {
            const ptrdiff_t block = (q / LONG_K + 1) * LONG_K;
            next = q + CONVOLUTION_BAND < i1 * positions ? q + CONVOLUTION_BAND : i1 * positions;
            if (next > block) next = block;
            band_of(c, &w, q - i0 * positions, next - i0 * positions, &band);
            band.dy = (const real *)h->dy.at + q * h->dy.ld;
            band.opens = q % LONG_K == 0;
            band.later = q >= LONG_K;
            band.closes = next == block || next == all;
            band_rows(c, &w, &band, own.first, own.end);
        }
    }
}

static void convolution_gradients(struct here *h, const struct pass *pass, struct births *births, struct team *me) {
    const struct convolution c = convolution_of(h->node);
    const ptrdiff_t positions = c.out_height * c.out_width, depth = convolution_depth(&c), n = c.n_out;
    const struct share own = {share_start(depth, 1, me->index, me->count), share_start(depth, 1, me->index + 1, me->count)};
    const struct share columns = own_columns(n, me);
    if (h->wanted[CONVOLUTION_WEIGHT] && own.first < own.end) {
        convolution_weight_gradient(h, pass, &c, own);
        vector_born(h, births, CONVOLUTION_WEIGHT, own.first * n, own.end * n);
    }
    if (h->node->n_arrays < 2 || !h->wanted[CONVOLUTION_BIAS] || columns.first == columns.end) return;
    h->kernels->column_sums(pass->rows * positions, columns.first, columns.end, h->dy.at, h->dy.ld,
                            h->gradients[CONVOLUTION_BIAS]);
    vector_born(h, births, CONVOLUTION_BIAS, columns.first, columns.end);
}

static struct needs convolution_needs(const struct schuss_node *node, const struct shape *in, ptrdiff_t rows, int passes) {
    const struct convolution c = convolution_of(node);
    const ptrdiff_t depth = convolution_depth(&c), positions = c.out_height * c.out_width, item = sizeof(real);
    const struct view input = convolution_input(&c, c.n_in);
    const ptrdiff_t weight = scratch_bytes(depth * c.n_out, sizeof(real));
    ptrdiff_t scratch[3] = {scratch_bytes(convolution_most_runs(&c, c.n_in), sizeof(struct run)) +
                            scratch_bytes(view_elements(&input, 1), sizeof(real))};
    ptrdiff_t most = 0;
    if (passes != SCHUSS_FORWARD_ONLY) {
        const struct view output = convolution_output(&c, c.n_out);
        scratch[1] = scratch_bytes(convolution_n_phases(&c), sizeof(struct phase)) +
                     scratch_bytes(convolution_down_runs(&c), sizeof(struct run)) + weight +
                     scratch_bytes(in->positions * in->channels, sizeof(real)) + scratch_bytes(view_elements(&output, 1), sizeof(real));
        scratch[2] = weight + scratch_bytes(view_elements(&input, convolution_group(&c, &input, rows)), sizeof(real));
    }
    for (int i = 0; i < 3; i++) most = scratch[i] > most ? scratch[i] : most;
    return (struct needs){
        .scratch = most + 64,
        .weights = depth * c.n_out * item,
        .nanoseconds = (double)positions * (double)c.n_out * (PRODUCT_NS * (double)depth + OUTPUT_NS),
    };
}

static const struct kind convolution_kind = {
    .name = "convolution",
    .sizes = "height width n_in n_out kernel_height kernel_width stride_height stride_width dilation_height dilation_width "
             "top bottom left right",
    .numbers = "bias",
    .shape = convolution_shape, .needs = convolution_needs, .sharing = SHARES_ROWS, .spatial = 1,
    .backward_reads = GRADIENTS_READ_INPUT,
    .forward = convolution_forward, .down = convolution_down, .gradients = convolution_gradients,
};
