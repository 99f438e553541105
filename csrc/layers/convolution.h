/* Y[i, y, x, o] = b[o] + sum over ky, kx, c of X[i, y stride_height - top + ky dilation_height, x stride_width - left +
 * kx dilation_width, c] W[ky, kx, c, o], where X is +0 beyond its borders: X[rows x height x width x n_in], W[(kernel_height
 * kernel_width n_in) x n_out], b[n_out] -> Y[rows x out_height x out_width x n_out]. In one dimension the height is 1.
 *
 * No patches are made. What a position sees of an image are a few runs of neighbouring elements (dense/runs.h), which
 * tiles read where they lie; what is beyond the borders is left out, or read from a copy of the image with margins. So do
 * the gradients: for that by X an image is what dY is of one row, for that by W positions are what is summed over.
 *
 * The order of sums: forward along (ky, kx, c). The gradient by X is gathered: along the positions of dY that saw it, in
 * their order (so ky and kx fall), and the channels of each. The gradient by W goes along all positions of all rows.
 * Each is cut in blocks of LONG_K, as all products. */

enum {
    CONVOLUTION_WEIGHT,
    CONVOLUTION_BIAS,
    CONVOLUTION_BAND = 128,             /* positions whose products are summed while they stay in L1, at most */
    CONVOLUTION_GROUP = 256 * 1024,     /* bytes of images with margins that are copied together, roughly */
    CONVOLUTION_FEW = 8                 /* channels, of which a tile's rows span several elements of the kernel */
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

static void sides_of(const struct convolution *c, struct side_of_kernel *up, struct side_of_kernel *across) {
    *up = (struct side_of_kernel){c->height, c->kernel_height, c->stride_height, c->dilation_height, c->top, c->out_height};
    *across = (struct side_of_kernel){c->width, c->kernel_width, c->stride_width, c->dilation_width, c->left, c->out_width};
}

/* The next piece of a member's scratch, and what it takes. */
static void *scratch_piece(char **scratch, ptrdiff_t elements, size_t each) {
    void *piece = *scratch;
    *scratch += (elements * (ptrdiff_t)each + 63) / 64 * 64;
    return piece;
}
ALWAYS_INLINE ptrdiff_t scratch_bytes(ptrdiff_t elements, size_t each) {
    return (elements * (ptrdiff_t)each + 63) / 64 * 64;
}

/* Elements of an image with margins. */
ALWAYS_INLINE ptrdiff_t margin_elements(const struct margins *m, ptrdiff_t height, ptrdiff_t width, ptrdiff_t channels) {
    return has_margins(m, width) ? height * (m->end - m->first) * channels : 0;
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */

/* W and b with the node behind folded in: W factor, and b factor + level. Of bias there is room for two. */
static void fold(const struct here *h, ptrdiff_t depth, ptrdiff_t n, real *weight, real *bias) {
    const real *w = h->arrays[CONVOLUTION_WEIGHT], *b = h->node->n_arrays > 1 ? h->arrays[CONVOLUTION_BIAS] : NULL;
    real *factor = bias + n;
    h->kernels->kinds[h->folded->kind]->affine(h->folded, h->folded_arrays, n, factor, bias);
    for (ptrdiff_t j = 0; b && j < n; j++) bias[j] += b[j] * factor[j];
    for (ptrdiff_t i = 0; i < depth; i++)
        for (ptrdiff_t j = 0; j < n; j++) weight[i * n + j] = w[i * n + j] * factor[j];
}

static void convolution_forward(struct here *h, const struct pass *pass, struct team *me) {
    const struct convolution c = convolution_of(h->node);
    const ptrdiff_t positions = h->node->positions, images = pass->own.end - pass->own.first;
    char *scratch = h->scratch;
    const int at_once = finishes_in_registers(&h->end);
    struct tile_end end = {.kind = END_FORWARD};
    struct side_of_kernel up, across;
    sides_of(&c, &up, &across);
    const ptrdiff_t depth = convolution_depth(&c);
    const real *weight = h->arrays[CONVOLUTION_WEIGHT], *bias = h->arrays[CONVOLUTION_BIAS];
    if (h->folded) {
        real *folded = scratch_piece(&scratch, (depth + 2) * c.n_out, sizeof(real));
        fold(h, depth, c.n_out, folded, folded + depth * c.n_out);
        weight = folded;
        bias = folded + depth * c.n_out;
    }
    const struct grid g = {
        .up = taps_forward(&up), .across = taps_forward(&across), .channels = c.n_in, .a = h->x, .b = weight, .n = c.n_out, .places = {positions, 0, c.out_width, 1}, .to = h->y, .end = &end,
        .runs = scratch_piece(&scratch, grid_runs(c.kernel_height * c.kernel_width, c.n_in), sizeof(struct run))};
    const struct margins margins = margins_of(&g.across);
    const int copied = has_margins(&margins, c.width), abreast = goes_abreast(&g, images);
    const ptrdiff_t together = abreast ? even_part(images, TILE_ROWS, 1) : 1;
    real *room = (real *)scratch;
    (void)me;
    if (at_once) end = h->end;
    end.bias = bias;
    if (copied && !abreast) memset(room, 0, (size_t)margin_elements(&margins, c.height, c.width, c.n_in) * sizeof(real));
    for (ptrdiff_t i = pass->own.first, n; i < pass->own.end; i += n) {
        const real *image = (const real *)h->x.at + i * c.height * c.width * h->x.ld;
        n = together < pass->own.end - i ? together : pass->own.end - i;
        if (abreast) grid_abreast(&g, i, n);
        else if (copied) {
            copy_between_margins(&margins, c.height, c.width, c.n_in, image, h->x.ld, room);
            grid_along(&g, i, &margins, room);
        } else grid_along(&g, i, NULL, image);
        if (!at_once)
            finish_rows(&h->end, n * positions, c.n_out, (real *)h->y.at + i * positions * h->y.ld, h->y.ld, i * positions,
                        0);
    }
}

/* ---- the gradient by the input ----------------------------------------------------------------------------------- */

/* One of the phases of positions of X: what they see of dY, and the elements of W that belong to it, transposed. */
struct phase {
    struct taps up, across;
    struct places places;
    const real *b;
};

/* All phases, and their parts of W behind each other; returns how many there are. weight NULL: W is not looked at. */
static ptrdiff_t convolution_phases(const struct convolution *c, const real *weight, struct phase *phases, real *turned) {
    struct side_of_kernel up, across;
    ptrdiff_t n = 0, last_y = 0, last_x = 0;
    sides_of(c, &up, &across);
    const ptrdiff_t apart_y = phase_stride(&up), apart_x = phase_stride(&across), each = c->n_in * c->n_out;
    for (ptrdiff_t y = 0; y < phases_of(&up); y++)
        for (ptrdiff_t x = 0; x < phases_of(&across); x++) {
            struct phase *p = &phases[n++];
            *p = (struct phase){taps_back(&up, y, &last_y), taps_back(&across, x, &last_x),
                                {c->height * c->width, y * c->width + x, c->stride_height * c->width, c->stride_width},
                                turned};
            for (ptrdiff_t j = 0; j < p->up.n; j++)
                for (ptrdiff_t i = 0; i < p->across.n; i++, turned += each) {
                    const ptrdiff_t ky = last_y - j * apart_y, kx = last_x - i * apart_x;
                    const real *from = weight + (ky * c->kernel_width + kx) * each;
                    transpose(c->n_in, c->n_out, from, c->n_out, turned, c->n_in, turned + each);
                }
        }
    return n;
}

static ptrdiff_t convolution_n_phases(const struct convolution *c) {
    struct side_of_kernel up, across;
    sides_of(c, &up, &across);
    return phases_of(&up) * phases_of(&across);
}

/* The margins of dY that all phases need. */
static struct margins margins_of_phases(const struct convolution *c) {
    struct side_of_kernel up, across;
    struct margins all = {0, c->out_width};
    ptrdiff_t last;
    sides_of(c, &up, &across);
    for (ptrdiff_t x = 0; x < phases_of(&across); x++) {
        const struct taps taps = taps_back(&across, x, &last);
        const struct margins m = margins_of(&taps);
        if (taps.n == 0) continue;
        if (m.first < all.first) all.first = m.first;
        if (m.end > all.end) all.end = m.end;
    }
    return all;
}

static void convolution_down(struct here *h, const struct pass *pass, struct team *me) {
    const struct convolution c = convolution_of(h->node);
    const ptrdiff_t positions = c.height * c.width, images = pass->own.end - pass->own.first, kernel = c.kernel_height * c.kernel_width;
    const struct margins margins = margins_of_phases(&c);
    char *scratch = h->scratch;
    struct phase *phases = scratch_piece(&scratch, convolution_n_phases(&c), sizeof(struct phase));
    real *turned = scratch_piece(&scratch, kernel * c.n_in * c.n_out, sizeof(real));
    real *aside = scratch_piece(&scratch, positions * c.n_in, sizeof(real));
    const ptrdiff_t n_phases = convolution_phases(&c, h->arrays[CONVOLUTION_WEIGHT], phases, turned);
    const struct part *part = h->parts;
    const int whole = h->n_parts == 1 && part->n == c.n_in, at_once = whole && n_phases == 1 && finishes_in_registers(&part->end);
    struct grid g = {
        .up = phases->up, .across = phases->across, .channels = c.n_out, .a = h->dy, .n = c.n_in,
        .to = whole ? part->d : (struct matrix){aside, c.n_in}, .start = whole ? part->start : (struct matrix){NULL, 0},
        .end = at_once ? &part->end : NULL, .runs = scratch_piece(&scratch, grid_runs(kernel, c.n_out), sizeof(struct run))};
    const int copied = has_margins(&margins, c.out_width), abreast = whole && goes_abreast(&g, images);
    const ptrdiff_t together = abreast ? even_part(images, TILE_ROWS, 1) : 1;
    real *room = (real *)scratch;
    (void)me;
    if (copied && !abreast)
        memset(room, 0, (size_t)margin_elements(&margins, c.out_height, c.out_width, c.n_out) * sizeof(real));
    for (ptrdiff_t i = pass->own.first, n; i < pass->own.end; i += n) {
        const real *image = (const real *)h->dy.at + i * h->node->positions * h->dy.ld;
        n = together < pass->own.end - i ? together : pass->own.end - i;
        if (copied && !abreast) copy_between_margins(&margins, c.out_height, c.out_width, c.n_out, image, h->dy.ld, room);
        for (const struct phase *p = phases; p < phases + n_phases; p++) {
            g.up = p->up;
            g.across = p->across;
            g.b = p->b;
            g.places = p->places;
            if (abreast) grid_abreast(&g, i, n);
            else grid_along(&g, whole ? i : 0, copied ? &margins : NULL, copied ? room : image);
        }
        if (!whole) hand_over(h, i * positions, positions, 0, c.n_in, aside);
        else if (!at_once && part->end.kind != END_NONE)
            finish_rows(&part->end, n * positions, c.n_in, (real *)part->d.at + i * positions * part->d.ld, part->d.ld,
                        i * positions, 0);
    }
}

/* ---- the gradients of the parameters ----------------------------------------------------------------------------- */

/* What is the same in a gradient by W: dW[(ky, kx, c)][o] goes over positions of X and of dY. */
struct weight_gradient {
    const struct convolution *c;
    struct taps up, across;
    struct margins margins;
    int joined;                 /* rows of a tile may span elements of the kernel that are neighbours across */
    int copied;                 /* X is read from copies with margins */
    ptrdiff_t image, row, ld;   /* of X, elements from image to image, row to row, position to position */
    struct matrix dy;
    real *sums, *aside;         /* the gradient, and the sums of a block of LONG_K that is not the first */
};

static struct weight_gradient weight_gradient_of(const struct convolution *c, ptrdiff_t ld) {
    struct side_of_kernel up, across;
    sides_of(c, &up, &across);
    struct weight_gradient w = {.c = c, .up = taps_forward(&up), .across = taps_forward(&across)};
    const int padded = (w.margins = margins_of(&w.across), has_margins(&w.margins, c->width));
    w.copied = padded && c->dilation_width == 1 && c->n_in < CONVOLUTION_FEW;
    w.ld = w.copied ? c->n_in : ld;
    w.row = (w.copied ? w.margins.end - w.margins.first : c->width) * w.ld;
    w.image = c->height * w.row;
    w.joined = w.copied || (!padded && c->dilation_width == 1 && ld == c->n_in);
    return w;
}

/* The images that are copied together: the positions of one alone may be too few to be summed at once. */
static ptrdiff_t weight_gradient_group(const struct weight_gradient *w, ptrdiff_t rows) {
    const ptrdiff_t positions = w->c->out_height * w->c->out_width, bytes = w->image * (ptrdiff_t)sizeof(real);
    const ptrdiff_t few = (CONVOLUTION_BAND + positions - 1) / positions, fit = CONVOLUTION_GROUP / bytes;
    const ptrdiff_t group = few < fit ? few : fit;
    if (!w->copied) return rows;
    return group < 1 ? 1 : group < rows ? group : rows;
}

/* Positions [first, end) of dY, all in one block of LONG_K. */
struct band {
    ptrdiff_t first, end;
    int opens, later, closes;   /* whether the block begins, is not the first, ends */
    const real *x;              /* image `image0` */
    ptrdiff_t image0;
};

/* The runs of those positions of a band that are in rows [up) and columns [across) of an image: from the first that they
 * see of image0. */
static ptrdiff_t band_runs(const struct weight_gradient *w, const struct band *band, struct share up, struct share across,
                           struct run *runs) {
    const struct convolution *c = w->c;
    const ptrdiff_t step = c->stride_width * w->ld, row = c->stride_height * w->row;
    ptrdiff_t n = 0, line = band->first / c->out_width, y = line % c->out_height, i = line / c->out_height - band->image0;
    for (ptrdiff_t q = line * c->out_width; q < band->end; q += c->out_width) {
        if (y >= up.first && y < up.end) {
            const ptrdiff_t first = q + across.first > band->first ? q + across.first : band->first;
            const ptrdiff_t end = q + across.end < band->end ? q + across.end : band->end;
            if (first < end)
                n = add_run(runs, n, first - band->first,
                            i * w->image + (y - up.first) * row + (first - q - across.first) * step, end - first, step);
        }
        if (++y == c->out_height) y = 0, i++;
    }
    return n;
}

/* What a band adds to rows [first, end) of the gradient by W. */
static void add_band(const struct weight_gradient *w, const struct band *band, ptrdiff_t first, ptrdiff_t end) {
    const struct convolution *c = w->c;
    const ptrdiff_t n = c->n_out, together = w->joined ? c->kernel_width * c->n_in : c->n_in;
    const real *dy = (const real *)w->dy.at + band->first * w->dy.ld;
    struct run runs[CONVOLUTION_BAND];
    struct share known_up = {-1, -1}, known_across = {-1, -1};
    ptrdiff_t n_runs = 0;
    for (ptrdiff_t r = first, stop; r < end; r = stop) {
        const ptrdiff_t kernel = r / c->n_in, ky = kernel / c->kernel_width, kx = kernel % c->kernel_width;
        const struct share up = taps_seen(&w->up, ky);
        const struct share across = w->joined ? (struct share){0, c->out_width} : taps_seen(&w->across, kx);
        if (!same_share(up, known_up) || !same_share(across, known_across))
            n_runs = band_runs(w, band, known_up = up, known_across = across, runs);
        const ptrdiff_t y = w->up.first + ky * w->up.step + up.first * w->up.advance;
        const ptrdiff_t x = w->across.first + kx * w->across.step + across.first * w->across.advance - w->margins.first * w->copied;
        const real *a = n_runs ? band->x + y * w->row + x * w->ld + r % c->n_in : NULL;
        stop = (r / together + 1) * together < end ? (r / together + 1) * together : end;
        const ptrdiff_t height = even_part(stop - r, TILE_ROWS, 1);
        for (ptrdiff_t j = 0; j < n; j += TILE_COLS)
            for (ptrdiff_t row = r; row < stop; row += height) {
                real *sum = (band->later ? w->aside : w->sums) + row * n + j, *to = band->closes ? w->sums + row * n + j : sum;
                tile_runs(stop - row < height ? stop - row : height, n_runs, runs, n_runs ? a + (row - r) : NULL, 1,
                          c->stride_width * w->ld, dy + j, w->dy.ld, to, n, n - j < TILE_COLS ? n - j : TILE_COLS,
                          band->opens ? NULL : sum, n, band->later && band->closes, NULL, 0, 0);
            }
    }
}

static void convolution_weight_gradient(struct here *h, const struct pass *pass, const struct convolution *c,
                                        struct share own) {
    struct weight_gradient w = weight_gradient_of(c, h->x.ld);
    const ptrdiff_t positions = h->node->positions, all = pass->rows * positions, group = weight_gradient_group(&w, pass->rows);
    char *scratch = h->scratch;
    w.dy = h->dy;
    w.sums = h->gradients[CONVOLUTION_WEIGHT];
    w.aside = scratch_piece(&scratch, convolution_depth(c) * c->n_out, sizeof(real));
    real *room = (real *)scratch;
    if (w.copied) memset(room, 0, (size_t)(group * w.image) * sizeof(real));
    for (ptrdiff_t i0 = 0, i1; i0 < pass->rows; i0 = i1) {
        i1 = i0 + group < pass->rows ? i0 + group : pass->rows;
        for (ptrdiff_t i = i0; i < i1 && w.copied; i++)
            copy_between_margins(&w.margins, c->height, c->width, c->n_in,
                                 (const real *)h->x.at + i * c->height * c->width * h->x.ld, h->x.ld, room + (i - i0) * w.image);
        struct band band = {.x = w.copied ? room : h->x.at, .image0 = i0};
        for (ptrdiff_t q = i0 * positions; q < i1 * positions; q = band.end) {
            const ptrdiff_t block = (q / LONG_K + 1) * LONG_K;
            band.first = q;
            band.end = q + CONVOLUTION_BAND < i1 * positions ? q + CONVOLUTION_BAND : i1 * positions;
            if (band.end > block) band.end = block;
            band.opens = q % LONG_K == 0;
            band.later = q >= LONG_K;
            band.closes = band.end == block || band.end == all;
            add_band(&w, &band, own.first, own.end);
        }
    }
}

static void convolution_gradients(struct here *h, const struct pass *pass, struct births *births, struct team *me) {
    const struct convolution c = convolution_of(h->node);
    const ptrdiff_t positions = h->node->positions, depth = convolution_depth(&c), n = c.n_out;
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
    const ptrdiff_t kernel = c.kernel_height * c.kernel_width;
    const struct weight_gradient w = weight_gradient_of(&c, c.n_in);
    const int folds = passes == SCHUSS_FORWARD_ONLY; /* it may have to */
    ptrdiff_t scratch[3] = {scratch_bytes(folds * (depth + 2) * c.n_out, sizeof(real)) +
                            scratch_bytes(grid_runs(kernel, c.n_in), sizeof(struct run)) +
                            scratch_bytes(margin_elements(&w.margins, c.height, c.width, c.n_in), sizeof(real))};
    ptrdiff_t most = 0;
    if (passes != SCHUSS_FORWARD_ONLY) {
        const struct margins output = margins_of_phases(&c);
        scratch[1] = scratch_bytes(convolution_n_phases(&c), sizeof(struct phase)) + scratch_bytes(depth * c.n_out, sizeof(real)) +
                     scratch_bytes(in->positions * c.n_in, sizeof(real)) + scratch_bytes(grid_runs(kernel, c.n_out), sizeof(struct run)) +
                     scratch_bytes(margin_elements(&output, c.out_height, c.out_width, c.n_out), sizeof(real));
        scratch[2] = scratch_bytes(depth * c.n_out, sizeof(real)) +
                     (w.copied ? scratch_bytes(weight_gradient_group(&w, rows) * w.image, sizeof(real)) : 0);
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
    .folds = 1,
};
