/* The sizes of a convolution, its shape, and its sides. */

enum {
    CONVOLUTION_WEIGHT,
    CONVOLUTION_BIAS
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
