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
