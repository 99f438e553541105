/* What positions see through a kernel, one side at a time: position t of the result sees positions first + t advance + j
 * step of the image, for j < n. Those that the image does not have are +0, so they may be left out. */
struct taps {
    ptrdiff_t count;            /* positions of the result */
    ptrdiff_t size;             /* of the image */
    ptrdiff_t first, advance;
    ptrdiff_t n, step;
};

/* The j of those that the image has. */
static struct share taps_inside(const struct taps *s, ptrdiff_t t) {
    const ptrdiff_t at = s->first + t * s->advance;
    const ptrdiff_t first = at < 0 ? (-at + s->step - 1) / s->step : 0;
    const ptrdiff_t end = at < s->size ? (s->size - 1 - at) / s->step + 1 : 0, most = end < s->n ? end : s->n;
    return (struct share){first, most > first ? most : first};
}

/* How many they are in all. */
static ptrdiff_t taps_covered(const struct taps *s) {
    ptrdiff_t sum = 0;
    for (ptrdiff_t t = 0; t < s->count; t++) {
        const struct share inside = taps_inside(s, t);
        sum += inside.end - inside.first;
    }
    return sum;
}

/* Positions of the result that see one that the image has through tap j. */
static struct share taps_seen(const struct taps *s, ptrdiff_t j) {
    const ptrdiff_t at = s->first + j * s->step;
    const ptrdiff_t first = at < 0 ? (-at + s->advance - 1) / s->advance : 0;
    const ptrdiff_t end = at < s->size ? (s->size - 1 - at) / s->advance + 1 : 0, most = end < s->count ? end : s->count;
    return (struct share){first < most ? first : most, most};
}

/* One side of a convolution. */
struct side_of_kernel {
    ptrdiff_t size, kernel, stride, dilation, before, count;
};

/* Forward. */
static struct taps taps_forward(const struct side_of_kernel *s) {
    return (struct taps){s->count, s->size, -s->before, s->stride, s->kernel, s->dilation};
}

/* On the way back, positions of X a stride apart were seen through the same elements of the kernel: they are a phase. */
ALWAYS_INLINE ptrdiff_t phases_of(const struct side_of_kernel *s) { return s->stride < s->size ? s->stride : s->size; }

/* From one element of the kernel to the next of the same phase. */
static ptrdiff_t phase_stride(const struct side_of_kernel *s) {
    ptrdiff_t a = s->stride, b = s->dilation;
    while (b) {
        const ptrdiff_t rest = a % b;
        a = b;
        b = rest;
    }
    return s->stride / a;
}

/* Position t of phase p is p + t stride of X. Element k of the kernel saw it from position (p + before - k dilation) / stride +
 * t of dY, if that is a whole number. *last: the last such element; taps go from it to the first, along dY. */
static struct taps taps_back(const struct side_of_kernel *s, ptrdiff_t p, ptrdiff_t *last) {
    const ptrdiff_t apart = phase_stride(s);
    struct taps taps = {(s->size - p + s->stride - 1) / s->stride, s->count, 0, 1, 0, apart * s->dilation / s->stride};
    for (ptrdiff_t k = s->kernel - 1; k >= 0; k--) {
        const ptrdiff_t distance = p + s->before - k * s->dilation;
        if (distance % s->stride) continue;
        *last = k;
        taps.first = distance / s->stride;
        taps.n = k / apart + 1;
        break;
    }
    return taps;
}
