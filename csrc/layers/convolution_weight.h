/* The gradient by a convolution's W: dW[(ky, kx, c)][o] is the sum over positions of what they see through (ky, kx) in channel c
 * times dY there. Positions go in bands, whose X and dY stay in L1 while all of dW passes. */

enum {
    CONVOLUTION_BAND = 128,         /* positions of a band, at most */
    CONVOLUTION_GROUP = 256 * 1024, /* bytes of images with margins that are copied together, roughly */
    CONVOLUTION_FEW = 8             /* with fewer channels a tile's rows span several elements of the kernel */
};

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

/* How many rows of the kernel, from the one on with which row r < end of W begins, go into one tile. */
static ptrdiff_t rows_of_kernel(const struct weight_gradient *w, ptrdiff_t r, ptrdiff_t end) {
    const ptrdiff_t each = w->c->kernel_width * w->c->n_in, ky = r / each;
    ptrdiff_t n = 1;
    if (!w->joined || w->c->n_out > LANES || r % each) return 1;
    while (r + (n + 1) * each <= end && same_share(taps_seen(&w->up, ky), taps_seen(&w->up, ky + n))) n++;
    while (n > 1 && !has_tile_beside(n, each)) n--;
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
        const ptrdiff_t groups = rows_of_kernel(w, r, end);
        if (groups > 1) {
            real *sum = (band->later ? w->aside : w->sums) + r * n, *to = band->closes ? w->sums + r * n : sum;
            tile_beside(groups, together, n_runs, runs, a, w->up.step * w->row, c->stride_width * w->ld, dy, w->dy.ld, to, n, n,
                        band->opens ? NULL : sum, n, band->later && band->closes, NULL, 0, 0);
            stop = r + groups * together;
            continue;
        }
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
