/* Pooling: X[rows x height x width x n] -> Y[rows x windows down x windows across x n], of each channel the maximum or
 * the mean of a window. Padding takes no part in a maximum; in a mean it counts as zeros if the second number says so, else it is
 * left out. Of equal elements the first is the maximum, and a NaN is larger than all. One dimension is height 1.
 *
 * A window sums in increasing position, in blocks of COLUMN_BLOCK of them, and multiplies by one rounded factor. The
 * gradient by an element is summed over the windows that cover it, in increasing position. */

enum { POOL_HEIGHT, POOL_WIDTH, POOL_N, POOL_KERNEL_HEIGHT, POOL_KERNEL_WIDTH, POOL_STRIDE_HEIGHT, POOL_STRIDE_WIDTH,
       POOL_TOP, POOL_BOTTOM, POOL_LEFT, POOL_RIGHT };
enum { POOL_AVERAGE, POOL_COUNTS_PADDING };

/* One of the two dimensions: `size` elements of the image, windows of `kernel` elements every `stride` of them, the first
 * of which begins `before` elements ahead of the image. */
struct axis {
    ptrdiff_t size, kernel, stride, before, windows;
};

struct pooling {
    struct axis y, x;
    ptrdiff_t channels;
    int average, counts_padding;
    ptrdiff_t window; /* elements of a whole window, and what its mean is multiplied by */
    real factor;
};

ALWAYS_INLINE struct axis axis_of(const ptrdiff_t *sizes, int x) {
    const struct axis a = {.size = sizes[POOL_HEIGHT + x], .kernel = sizes[POOL_KERNEL_HEIGHT + x],
                           .stride = sizes[POOL_STRIDE_HEIGHT + x], .before = sizes[x ? POOL_LEFT : POOL_TOP]};
    const ptrdiff_t after = sizes[x ? POOL_RIGHT : POOL_BOTTOM];
    return (struct axis){a.size, a.kernel, a.stride, a.before, (a.size + a.before + after - a.kernel) / a.stride + 1};
}
ALWAYS_INLINE struct pooling pooling_of(const struct schuss_node *node) {
    const ptrdiff_t *sizes = node->sizes, window = sizes[POOL_KERNEL_HEIGHT] * sizes[POOL_KERNEL_WIDTH];
    return (struct pooling){
        .y = axis_of(sizes, 0), .x = axis_of(sizes, 1), .channels = sizes[POOL_N],
        .average = node->numbers[POOL_AVERAGE] != 0, .counts_padding = node->numbers[POOL_COUNTS_PADDING] != 0,
        .window = window, .factor = (real)(1 / (double)window),
    };
}

/* The name of what is wrong with an axis, or NULL: every window has to have an element of the image. */
static const char *axis_fault(const ptrdiff_t *sizes, int x) {
    static const char *const names[2][5] = {{"height", "kernel_height", "stride_height", "top", "bottom"},
                                            {"width", "kernel_width", "stride_width", "left", "right"}};
    const ptrdiff_t size = sizes[POOL_HEIGHT + x], kernel = sizes[POOL_KERNEL_HEIGHT + x];
    const ptrdiff_t before = sizes[x ? POOL_LEFT : POOL_TOP], after = sizes[x ? POOL_RIGHT : POOL_BOTTOM];
    if (size < 1) return names[x][0];
    if (kernel < 1 || kernel > PTRDIFF_MAX / 4) return names[x][1];
    if (sizes[POOL_STRIDE_HEIGHT + x] < 1) return names[x][2];
    if (before < 0 || before >= kernel) return names[x][3];
    if (after < 0 || after >= kernel) return names[x][4];
    return size > PTRDIFF_MAX / 4 || kernel > size + before + after ? names[x][1] : NULL;
}

static const char *pool_shape(const struct schuss_node *node, const struct shape *in, struct shape *out,
                              struct schuss_array *arrays, int *n_arrays) {
    const ptrdiff_t *sizes = node->sizes;
    ptrdiff_t positions, window;
    (void)arrays, (void)n_arrays;
    if (in->storage != SCHUSS_REAL) return "input";
    for (int x = 0; x < 2; x++) {
        const char *wrong = axis_fault(sizes, x);
        if (wrong) return wrong;
    }
    if (__builtin_mul_overflow(sizes[POOL_HEIGHT], sizes[POOL_WIDTH], &positions) || positions != in->positions)
        return "width";
    if (sizes[POOL_N] != in->channels) return "n";
    if (__builtin_mul_overflow(sizes[POOL_KERNEL_HEIGHT], sizes[POOL_KERNEL_WIDTH], &window) || window > INT32_MAX)
        return "kernel_width";
    const struct pooling p = pooling_of(node);
    if (__builtin_mul_overflow(p.y.windows, p.x.windows, &positions)) return "width";
    *out = (struct shape){in->channels, SCHUSS_REAL, positions};
    return NULL;
}

static struct needs pool_needs(const struct schuss_node *node, const struct shape *in, ptrdiff_t rows, int passes) {
    const struct pooling p = pooling_of(node);
    const ptrdiff_t item = (ptrdiff_t)sizeof(real), row = node->positions * node->channels * item;
    (void)in;
    return (struct needs){
        .kept = passes == SCHUSS_FORWARD_ONLY || node->numbers[POOL_AVERAGE] || rows > PTRDIFF_MAX / 4 / row ? 0
                                                                                                             : rows * row,
        .scratch = p.x.size * p.channels * item,
        .nanoseconds = (double)node->positions * (double)node->channels * (double)p.window * OUTPUT_NS / 4,
    };
}

/* The first and the last but one element of the image in window `at`. */
ALWAYS_INLINE struct share window_of(const struct axis *a, ptrdiff_t at) {
    const ptrdiff_t first = at * a->stride - a->before, end = first + a->kernel;
    return (struct share){first < 0 ? 0 : first, end > a->size ? a->size : end};
}

/* The windows that cover an element: those after the one before it, whose elements increase. */
ALWAYS_INLINE void move_to(const struct axis *a, ptrdiff_t element, struct share *windows) {
    const ptrdiff_t at = element + a->before;
    while (windows->first < a->windows && windows->first * a->stride + a->kernel <= at) windows->first++;
    while (windows->end < a->windows && windows->end * a->stride <= at) windows->end++;
}

/* What the mean over a window is multiplied by. */
ALWAYS_INLINE real mean_factor(const struct pooling *p, struct share y, struct share x) {
    const ptrdiff_t n = (y.end - y.first) * (x.end - x.first);
    return p->counts_padding || n == p->window ? p->factor : (real)(1 / (double)n);
}

ALWAYS_INLINE vec v_load_n(const real *p, ptrdiff_t n) { return n >= LANES ? v_load(p) : v_load_m(p, v_mask(n)); }
ALWAYS_INLINE void v_store_n(real *p, vec v, ptrdiff_t n) {
    if (n >= LANES) v_store(p, v);
    else v_store_m(p, v, v_mask(n));
}

/* y[n] = the maximum of x[height x width x n] over a window, which begins at (from_y, from_x), outside the image perhaps;
 * arg[n] = its number in the window. ld: from position to position. */
ALWAYS_INLINE void max_of_window(const struct pooling *p, const real *x, ptrdiff_t ld, struct share wy, struct share wx,
                                 ptrdiff_t from_y, ptrdiff_t from_x, real *y, real *arg) {
    for (ptrdiff_t c = 0; c < p->channels; c += LANES) {
        const ptrdiff_t n = p->channels - c;
        vec best = v_load_n(x + (wy.first * p->x.size + wx.first) * ld + c, n);
        veci at = v_seti((real_int)((wy.first - from_y) * p->x.kernel + wx.first - from_x));
        for (ptrdiff_t i = wy.first; i < wy.end; i++) {
            real_int number = (real_int)((i - from_y) * p->x.kernel + wx.first - from_x);
            const real *from = x + (i * p->x.size + wx.first) * ld + c;
            for (ptrdiff_t j = wx.first; j < wx.end; j++, number++, from += ld) {
                const vec v = v_load_n(from, n);
                const veci larger = (v > best) | (v != v);
                best = v_select(larger, v, best);
                at = (larger & v_seti(number)) | (~larger & at);
            }
        }
        v_store_n(y + c, best, n);
        if (arg) v_store_n(arg + c, (vec)at, n);
    }
}

/* y[n] = factor times the sum of x over a window. */
ALWAYS_INLINE void mean_of_window(const struct pooling *p, const real *x, ptrdiff_t ld, struct share wy, struct share wx,
                                  real factor, real *y) {
    for (ptrdiff_t c = 0; c < p->channels; c += LANES) {
        const ptrdiff_t n = p->channels - c;
        vec total = v_set1(0), sum = v_set1(0);
        ptrdiff_t left = COLUMN_BLOCK;
        for (ptrdiff_t i = wy.first; i < wy.end; i++) {
            const real *from = x + (i * p->x.size + wx.first) * ld + c;
            for (ptrdiff_t j = wx.first; j < wx.end; j++, from += ld) {
                sum += v_load_n(from, n);
                if (--left) continue;
                total += sum;
                sum = v_set1(0);
                left = COLUMN_BLOCK;
            }
        }
        v_store_n(y + c, (total + sum) * v_set1(factor), n);
    }
}

static void pool_forward(struct here *h, const struct pass *pass, struct team *me) {
    const struct pooling p = pooling_of(h->node);
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        const real *x = (const real *)h->x.at + i * h->positions * h->x.ld;
        for (ptrdiff_t oy = 0; oy < p.y.windows; oy++) {
            const ptrdiff_t row = i * h->node->positions + oy * p.x.windows;
            real *y = (real *)h->y.at + row * h->y.ld, *arg = h->kept ? (real *)h->kept + row * p.channels : NULL;
            const struct share wy = window_of(&p.y, oy);
            for (ptrdiff_t ox = 0; ox < p.x.windows; ox++) {
                const struct share wx = window_of(&p.x, ox);
                real *to = y + ox * h->y.ld;
                if (p.average) mean_of_window(&p, x, h->x.ld, wy, wx, mean_factor(&p, wy, wx), to);
                else
                    max_of_window(&p, x, h->x.ld, wy, wx, oy * p.y.stride - p.y.before, ox * p.x.stride - p.x.before, to,
                                  arg ? arg + ox * p.channels : NULL);
            }
            finish_some(h, row, p.x.windows, y);
        }
    }
}

/* dx[n] of the element (iy, ix), from the windows [wy) x [wx) that cover it. */
ALWAYS_INLINE void pool_slope(const struct pooling *p, const real *dy, ptrdiff_t ld, const real *arg, struct share wy,
                              struct share wx, ptrdiff_t iy, ptrdiff_t ix, real *dx) {
    for (ptrdiff_t c = 0; c < p->channels; c += LANES) {
        const ptrdiff_t n = p->channels - c;
        vec sum = v_set1(0);
        for (ptrdiff_t oy = wy.first; oy < wy.end; oy++)
            for (ptrdiff_t ox = wx.first; ox < wx.end; ox++) {
                const ptrdiff_t at = oy * p->x.windows + ox;
                const vec d = v_load_n(dy + at * ld + c, n);
                if (p->average) {
                    sum += d * v_set1(mean_factor(p, window_of(&p->y, oy), window_of(&p->x, ox)));
                    continue;
                }
                const ptrdiff_t number = (iy + p->y.before - oy * p->y.stride) * p->x.kernel + ix + p->x.before -
                                         ox * p->x.stride;
                sum += v_select((veci)v_load_n(arg + at * p->channels + c, n) == v_seti((real_int)number), d, v_set1(0));
            }
        v_store_n(dx + c, sum, n);
    }
}

static void pool_down(struct here *h, const struct pass *pass, struct team *me) {
    const struct pooling p = pooling_of(h->node);
    const ptrdiff_t ld = hands_over_at_once(h) ? h->parts->d.ld : p.channels;
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) {
        const ptrdiff_t first = i * h->node->positions;
        const real *dy = (const real *)h->dy.at + first * h->dy.ld;
        const real *arg = p.average ? NULL : (const real *)h->kept + first * p.channels;
        struct share wy = {0, 0};
        for (ptrdiff_t iy = 0; iy < p.y.size; iy++) {
            const ptrdiff_t row = i * h->positions + iy * p.x.size;
            real *dx = gradient_row(h, row, 0, (real *)h->scratch);
            struct share wx = {0, 0};
            move_to(&p.y, iy, &wy);
            for (ptrdiff_t ix = 0; ix < p.x.size; ix++) {
                move_to(&p.x, ix, &wx);
                pool_slope(&p, dy, h->dy.ld, arg, wy, wx, iy, ix, dx + ix * ld);
            }
            hand_over(h, row, p.x.size, 0, p.channels, dx);
        }
    }
}

static const struct kind pool_kind = {
    .name = "pool",
    .sizes = "height width n kernel_height kernel_width stride_height stride_width top bottom left right",
    .numbers = "average count_include_pad",
    .shape = pool_shape, .needs = pool_needs, .sharing = SHARES_ROWS, .spatial = 1,
    .forward = pool_forward, .down = pool_down,
};
