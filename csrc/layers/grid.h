/* Products whose rows are positions of images: C[i, y, x][j] = start + sum over taps and channels of A[i, what (y, x)
 * sees] B[k][j], and then the end. A is read where it lies. Rows of a tile are neighbouring positions of one image, or the
 * same position of several images: whichever takes fewer cycles. The bits are the same. */

/* Where results go: position (y, x) is position first + y row + x step of each image's `positions`. */
struct places {
    ptrdiff_t positions, first, row, step;
};

struct grid {
    struct taps up, across;
    ptrdiff_t channels;         /* of A, at one position */
    struct matrix a;
    const real *b;              /* [(up.n across.n channels) x n] */
    ptrdiff_t n;
    struct places places;
    struct matrix to, start;    /* start NULL: zeros */
    const struct tile_end *end; /* NULL: none. Position p of image i is row i positions + p of its arrays */
    struct run *runs;           /* room for grid_runs() of them */
};

/* Runs that a position sees, at most. */
ALWAYS_INLINE ptrdiff_t grid_runs(ptrdiff_t taps, ptrdiff_t channels) { return most_runs(taps, taps * channels); }

/* Elements from where an image begins to the first that taps [up) x [across) of position (y, x) see. Positions of the image
 * lie ld elements apart, its rows `row`. */
ALWAYS_INLINE ptrdiff_t first_seen(const struct grid *g, ptrdiff_t y, struct share up, ptrdiff_t x, struct share across,
                                   ptrdiff_t row, ptrdiff_t ld) {
    return (g->up.first + y * g->up.advance + up.first * g->up.step) * row +
           (g->across.first + x * g->across.advance + across.first * g->across.step) * ld;
}

/* The runs of these taps, from there on: the same for all positions that see as much. */
static ptrdiff_t runs_seen(const struct grid *g, struct share up, struct share across, ptrdiff_t row, ptrdiff_t ld) {
    const int joined = g->across.step == 1 && ld == g->channels;
    const ptrdiff_t together = joined ? across.end - across.first : 1;
    ptrdiff_t n = 0;
    for (ptrdiff_t j = up.first; j < up.end; j++)
        for (ptrdiff_t i = across.first; i < across.end; i += together)
            n = add_run(g->runs, n, (j * g->across.n + i) * g->channels,
                        (j - up.first) * g->up.step * row + (i - across.first) * g->across.step * ld,
                        together * g->channels, 1);
    return n;
}

ALWAYS_INLINE int same_share(struct share a, struct share b) { return a.first == b.first && a.end == b.end; }

ALWAYS_INLINE real *place_in(const struct matrix *m, const struct places *p, ptrdiff_t i, ptrdiff_t y, ptrdiff_t x) {
    return m->at ? (real *)m->at + (i * p->positions + p->first + y * p->row + x * p->step) * m->ld : NULL;
}

/* Rows of images with zeros at both sides, so that nothing beyond them is read: columns [first, end) of an image. */
struct margins {
    ptrdiff_t first, end;
};

static struct margins margins_of(const struct taps *s) {
    const ptrdiff_t end = s->first + (s->count - 1) * s->advance + (s->n - 1) * s->step + 1;
    return (struct margins){s->first < 0 ? s->first : 0, end > s->size ? end : s->size};
}

ALWAYS_INLINE int has_margins(const struct margins *m, ptrdiff_t width) { return m->first < 0 || m->end > width; }

/* Copies the rows of an image to where there are margins with zeros already. */
static void copy_between_margins(const struct margins *m, ptrdiff_t height, ptrdiff_t width, ptrdiff_t channels,
                                 const real *image, ptrdiff_t ld, real *to) {
    for (ptrdiff_t y = 0; y < height; y++, image += width * ld) {
        real *row = to + (y * (m->end - m->first) - m->first) * channels;
        if (ld == channels) memcpy(row, image, (size_t)(width * channels) * sizeof(real));
        else
            for (ptrdiff_t x = 0; x < width; x++)
                memcpy(row + x * channels, image + x * ld, (size_t)channels * sizeof(real));
    }
}

/* Image i: tiles go along its rows. margins NULL: none are needed. Else `image` is its copy with them. */
static void grid_along(const struct grid *g, ptrdiff_t i, const struct margins *margins, const real *image) {
    const struct places *p = &g->places;
    const ptrdiff_t ld = margins ? g->channels : g->a.ld, width = margins ? margins->end - margins->first : g->across.size;
    const ptrdiff_t row = width * ld, step = g->across.advance * ld, shift = margins ? margins->first * ld : 0;
    const struct share all = {0, g->across.n}, top = taps_inside(&g->up, 0), bottom = taps_inside(&g->up, g->up.count - 1);
    struct share known = {-1, -1};
    ptrdiff_t height = g->up.count, cols = g->across.count, n_runs = 0;
    /* Where all positions see as much, at the same distances, they are one row. */
    if (same_share(top, (struct share){0, g->up.n}) && same_share(bottom, top) && g->up.advance * row == cols * step &&
        p->row == cols * p->step)
        cols *= height, height = 1;
    /* One channel: neighbouring positions see neighbouring elements. */
    const ptrdiff_t few = (cols + TILE_SUMS - 1) / TILE_SUMS;
    const int beside = g->n <= LANES && step == 1 && g->up.n * g->across.n <= LONG_K && cols % few == 0 && has_tile_beside(1, cols / few);
    const ptrdiff_t parts = beside ? few : (cols + TILE_ROWS - 1) / TILE_ROWS;
    for (ptrdiff_t y = 0; y < height; y++) {
        const struct share up = taps_inside(&g->up, y);
        if (!same_share(up, known)) n_runs = runs_seen(g, known = up, all, row, ld);
        const real *a = n_runs ? image + first_seen(g, y, up, 0, all, row, ld) - shift : image;
        for (ptrdiff_t j = 0; j < g->n; j += TILE_COLS)
            for (ptrdiff_t x = 0, left = parts, rows; left > 0; x += rows, left--) {
                real *to = place_in(&g->to, p, i, y, x);
                const real *start = place_in(&g->start, p, i, y, x);
                rows = (cols - x + left - 1) / left;
                const ptrdiff_t row_of_end = i * p->positions + p->first + y * p->row + x;
                const ptrdiff_t ldc = p->step * g->to.ld, n = g->n - j < TILE_COLS ? g->n - j : TILE_COLS;
                if (beside)
                    tile_beside(1, rows, n_runs, g->runs, a + x, 0, 1, g->b, g->n, to, ldc, n, start, p->step * g->start.ld, 0,
                                g->end, row_of_end, 0);
                else
                    tile_runs_deep(rows, n_runs, g->runs, a + x * step, step, 1, g->b + j, g->n, to + j, ldc, n,
                                   start ? start + j : NULL, p->step * g->start.ld, g->end, row_of_end, j);
            }
    }
}

/* Images [i, i + images), at most TILE_ROWS: a tile has the same position of all. */
static void grid_abreast(const struct grid *g, ptrdiff_t i, ptrdiff_t images) {
    const struct places *p = &g->places;
    const ptrdiff_t row = g->across.size * g->a.ld, step = g->up.size * row;
    const real *a = (const real *)g->a.at + i * step;
    struct tile_end end = {0};
    struct share known_up = {-1, -1}, known_across = {-1, -1};
    ptrdiff_t n_runs = 0;
    if (g->end) {
        end = *g->end;
        end.ld_values *= p->positions;
        end.ld_add *= p->positions;
    }
    for (ptrdiff_t j = 0; j < g->n; j += TILE_COLS)
        for (ptrdiff_t y = 0; y < g->up.count; y++) {
            const struct share up = taps_inside(&g->up, y);
            for (ptrdiff_t x = 0; x < g->across.count; x++) {
                const struct share across = taps_inside(&g->across, x);
                real *to = place_in(&g->to, p, i, y, x);
                const real *start = place_in(&g->start, p, i, y, x);
                if (!same_share(up, known_up) || !same_share(across, known_across))
                    n_runs = runs_seen(g, known_up = up, known_across = across, row, g->a.ld);
                if (g->end) { /* image i is row i, from this position on */
                    const ptrdiff_t place = p->first + y * p->row + x * p->step;
                    end.values = end_element(g->end->values, g->end->ld_values, place, 0);
                    end.add = end_element(g->end->add, g->end->ld_add, place, 0);
                }
                tile_runs_deep(images, n_runs, g->runs, n_runs ? a + first_seen(g, y, up, x, across, row, g->a.ld) : a, step,
                               1, g->b + j, g->n, to + j, p->positions * g->to.ld,
                               g->n - j < TILE_COLS ? g->n - j : TILE_COLS, start ? start + j : NULL,
                               p->positions * g->start.ld, g->end ? &end : NULL, i, j);
            }
        }
}

/* Cycles of a product of one tile, roughly: two multiply-adds each, two loads each, and each waits four for the one
 * before. */
static double tile_cycles(double rows, double vectors) {
    const double products = rows * vectors / 2, loads = (rows + vectors) / 2;
    return products > loads ? (products > 4 ? products : 4) : loads > 4 ? loads : 4;
}

/* Whether tiles of so many images abreast take less time than along rows. */
static int goes_abreast(const struct grid *g, ptrdiff_t images) {
    enum { TILE = 60, COPIED = 8 }; /* cycles around a tile; elements that are copied in one */
    const double fit = (double)((g->n + LANES - 1) / LANES), vectors = fit < TILE_VECS ? fit : TILE_VECS;
    const double parts = (double)((g->across.count + TILE_ROWS - 1) / TILE_ROWS);
    const double groups = (double)((images + TILE_ROWS - 1) / TILE_ROWS), n = (double)images;
    const double up = (double)(taps_covered(&g->up) * g->channels), height = (double)g->up.count, width = (double)g->across.count;
    const struct margins m = margins_of(&g->across);
    const double copied = has_margins(&m, g->across.size) ? (double)(g->up.size * g->across.size * g->channels) : 0;
    const double along = up * (double)g->across.n * parts * tile_cycles(width / parts, vectors) + height * parts * TILE +
                         copied / COPIED;
    const double abreast = up * (double)taps_covered(&g->across) * groups * tile_cycles(n / groups, vectors) +
                           height * width * groups * TILE;
    return abreast < along * n;
}
