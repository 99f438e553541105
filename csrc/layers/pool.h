/* Pooling: X[rows x height x width x n] -> Y[rows x windows down x windows across x n], of each channel the maximum or
 * the mean of a window. Padding takes no part in a maximum; in a mean it counts as zeros if the second number says so, else it is
 * left out. Of equal elements the first is the maximum, and a NaN is larger than all. One dimension is height 1.
 *
 * A window sums in increasing position, in blocks of COLUMN_BLOCK of them, and multiplies by one rounded factor. The
 * gradient by an element is summed over the windows that cover it, in increasing position: a line at a time, which stays
 * in L1. */

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

/* The windows that cover an element. */
ALWAYS_INLINE struct share windows_of(const struct axis *a, ptrdiff_t element) {
    const ptrdiff_t at = element + a->before, last = at / a->stride;
    const ptrdiff_t first = at < a->kernel ? 0 : (at - a->kernel) / a->stride + 1;
    return (struct share){first, last < a->windows ? last + 1 : a->windows};
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

/* Work on channels a vector at a time: body(c, n) for channels [c, c + n), n = LANES but for the last. */
#define EACH_VECTOR(channels, BODY)                               \
    do {                                                          \
        ptrdiff_t c = 0;                                          \
        for (; c + LANES <= (channels); c += LANES) BODY(LANES)   \
        if (c < (channels)) BODY((channels) - c)                  \
    } while (0)

/* y[n] = the maximum over `high` x `wide` positions from x on, ld from position to position and `line` from line to line;
 * arg[n] = its number in the window, in which those of a line follow one another from `number` on, and kernel_width apart. */
ALWAYS_INLINE void max_of_window(const struct pooling *p, const ptrdiff_t high, const ptrdiff_t wide, const real *x,
                                 ptrdiff_t ld, ptrdiff_t line, ptrdiff_t number, real *y, real *arg) {
#define MAX_BODY(count)                                                                       \
    {                                                                                         \
        vec best = v_load_n(x + c, count);                                                    \
        veci at = v_seti((real_int)number);                                                   \
        for (ptrdiff_t i = 0; i < high; i++)                                                  \
            for (ptrdiff_t j = 0; j < wide; j++) {                                            \
                const vec v = v_load_n(x + i * line + j * ld + c, count);                     \
                const veci larger = (v > best) | (v != v);                                    \
                best = v_select(larger, v, best);                                             \
                at = (larger & v_seti((real_int)(number + i * p->x.kernel + j))) | (~larger & at); \
            }                                                                                 \
        v_store_n(y + c, best, count);                                                        \
        if (arg) v_store_n(arg + c, (vec)at, count);                                          \
    }
    EACH_VECTOR(p->channels, MAX_BODY);
#undef MAX_BODY
}

/* y[n] = factor times the sum over these positions. */
ALWAYS_INLINE void mean_of_window(const struct pooling *p, const ptrdiff_t high, const ptrdiff_t wide, const real *x,
                                  ptrdiff_t ld, ptrdiff_t line, real factor, real *y) {
#define MEAN_BODY(count)                                             \
    {                                                                \
        vec total = v_set1(0), sum = v_set1(0);                      \
        ptrdiff_t left = COLUMN_BLOCK;                               \
        for (ptrdiff_t i = 0; i < high; i++)                         \
            for (ptrdiff_t j = 0; j < wide; j++) {                   \
                sum += v_load_n(x + i * line + j * ld + c, count);   \
                if (--left) continue;                                \
                total += sum;                                        \
                sum = v_set1(0);                                     \
                left = COLUMN_BLOCK;                                 \
            }                                                        \
        v_store_n(y + c, (total + sum) * v_set1(factor), count);     \
    }
    EACH_VECTOR(p->channels, MEAN_BODY);
#undef MEAN_BODY
}

/* One line of windows of an image x: its positions lie ld apart. */
ALWAYS_INLINE void pool_line(const struct pooling *p, const real *x, ptrdiff_t ld, ptrdiff_t oy, real *y, ptrdiff_t ld_y,
                             real *arg) {
    const struct share wy = window_of(&p->y, oy);
    const ptrdiff_t line = p->x.size * ld, high = wy.end - wy.first;
    const ptrdiff_t above = wy.first - (oy * p->y.stride - p->y.before);
    for (ptrdiff_t ox = 0; ox < p->x.windows; ox++, y += ld_y) {
        const struct share wx = window_of(&p->x, ox);
        const ptrdiff_t wide = wx.end - wx.first;
        const ptrdiff_t number = above * p->x.kernel + wx.first - (ox * p->x.stride - p->x.before);
        const real *from = x + wy.first * line + wx.first * ld;
        if (p->average) mean_of_window(p, high, wide, from, ld, line, mean_factor(p, wy, wx), y);
        else if (high == 2 && wide == 2) max_of_window(p, 2, 2, from, ld, line, number, y, arg);
        else max_of_window(p, high, wide, from, ld, line, number, y, arg);
        if (arg) arg += p->channels;
    }
}

static void pool_forward(struct here *h, const struct pass *pass, struct team *me) {
    const struct pooling p = pooling_of(h->node);
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++)
        for (ptrdiff_t oy = 0; oy < p.y.windows; oy++) {
            const ptrdiff_t row = i * h->node->positions + oy * p.x.windows;
            real *y = (real *)h->y.at + row * h->y.ld;
            pool_line(&p, (const real *)h->x.at + i * h->positions * h->x.ld, h->x.ld, oy, y, h->y.ld,
                      h->kept ? (real *)h->kept + row * p.channels : NULL);
            finish_some(h, row, p.x.windows, y);
        }
}

/* Whether the windows of an axis cover each element once. */
ALWAYS_INLINE int tiles(const struct axis *a) {
    return a->stride == a->kernel && a->before == 0 && a->windows * a->kernel == a->size;
}

/* The gradient by `wide` positions dx, ld apart, that one window covers, of which dy is the gradient: put there, or added.
 * Those of a maximum have these numbers in the window, from `number` on. */
ALWAYS_INLINE void slope_of_window(const struct pooling *p, const int adds, const ptrdiff_t wide, ptrdiff_t number,
                                   real factor, const real *dy, const real *arg, real *dx, ptrdiff_t ld) {
#define SLOPE_BODY(count)                                                                                    \
    {                                                                                                        \
        const vec d = v_load_n(dy + c, count) * v_set1(factor);                                              \
        const veci at = arg ? (veci)v_load_n(arg + c, count) : v_seti(0);                                    \
        for (ptrdiff_t j = 0; j < wide; j++) {                                                               \
            vec v = arg ? v_select(at == v_seti((real_int)(number + j)), d, v_set1(0)) : d;                  \
            if (adds) v += v_load_n(dx + j * ld + c, count);                                                 \
            v_store_n(dx + j * ld + c, v, count);                                                            \
        }                                                                                                    \
    }
    EACH_VECTOR(p->channels, SLOPE_BODY);
#undef SLOPE_BODY
}

/* What line oy of the windows adds to the gradient dx by line iy of an image. */
ALWAYS_INLINE void line_slope(const struct pooling *p, const int adds, const real *dy, ptrdiff_t ld_y, const real *arg,
                              ptrdiff_t iy, ptrdiff_t oy, real *dx, ptrdiff_t ld) {
    const struct share wy = window_of(&p->y, oy);
    const ptrdiff_t line = (iy - (oy * p->y.stride - p->y.before)) * p->x.kernel;
    for (ptrdiff_t ox = 0; ox < p->x.windows; ox++, dy += ld_y) {
        const struct share wx = window_of(&p->x, ox);
        const ptrdiff_t wide = wx.end - wx.first, number = line + wx.first - (ox * p->x.stride - p->x.before);
        const real factor = p->average ? mean_factor(p, wy, wx) : 1;
        real *to = dx + wx.first * ld;
        if (wide == 2) slope_of_window(p, adds, 2, number, factor, dy, arg, to, ld);
        else slope_of_window(p, adds, wide, number, factor, dy, arg, to, ld);
        if (arg) arg += p->channels;
    }
}

static void pool_down(struct here *h, const struct pass *pass, struct team *me) {
    const struct pooling p = pooling_of(h->node);
    const ptrdiff_t ld = hands_over_at_once(h) ? h->parts->d.ld : p.channels;
    const int once = tiles(&p.x) && tiles(&p.y);
    (void)me;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++)
        for (ptrdiff_t iy = 0; iy < p.y.size; iy++) {
            const ptrdiff_t row = i * h->positions + iy * p.x.size;
            const struct share lines = windows_of(&p.y, iy);
            real *dx = gradient_row(h, row, 0, (real *)h->scratch);
            for (ptrdiff_t ix = 0; !once && ix < p.x.size; ix++)
                memset(dx + ix * ld, 0, (size_t)p.channels * sizeof(real));
            for (ptrdiff_t oy = lines.first; oy < lines.end; oy++) {
                const ptrdiff_t from = i * h->node->positions + oy * p.x.windows;
                const real *dy = (const real *)h->dy.at + from * h->dy.ld;
                const real *arg = p.average ? NULL : (const real *)h->kept + from * p.channels;
                if (once) line_slope(&p, 0, dy, h->dy.ld, arg, iy, oy, dx, ld);
                else line_slope(&p, 1, dy, h->dy.ld, arg, iy, oy, dx, ld);
            }
            hand_over(h, row, p.x.size, 0, p.channels, dx);
        }
}

static const struct kind pool_kind = {
    .name = "pool",
    .sizes = "height width n kernel_height kernel_width stride_height stride_width top bottom left right",
    .numbers = "average count_include_pad",
    .shape = pool_shape, .needs = pool_needs, .sharing = SHARES_ROWS, .spatial = 1,
    .forward = pool_forward, .down = pool_down,
};
