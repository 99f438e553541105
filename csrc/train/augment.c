/* Images that are changed as they are gathered. Only moves: no arithmetic on what they hold. */
#include <string.h>

#include "../rng.h"
#include "../schuss.h"

/* How one dimension of an image is changed: place p of the result is that of the image's place place_of(p). Places of
 * the image that are kept begin at `first`; each is `step` / 2^16 further than the one before, from `half` of that on. */
struct change {
    ptrdiff_t size, shift, first;
    int flip;
    int64_t step, half;
};

/* A whole number in [0, n) from 32 random bits. */
static ptrdiff_t below(uint32_t bits, ptrdiff_t n) { return (ptrdiff_t)((uint64_t)bits * (uint64_t)n >> 32); }

/* The change of one dimension, given its random bits. The shares kept of both dimensions have the same bits. */
static struct change change_of(ptrdiff_t size, ptrdiff_t shift, int flip, double crop, uint32_t moved, uint32_t share,
                               uint32_t placed) {
    struct change c = {.size = size, .shift = below(moved, 2 * shift + 1) - shift, .flip = flip, .step = 1 << 16};
    if (crop < 1) {
        const ptrdiff_t whole = (ptrdiff_t)(crop * (double)size), least = whole < 1 ? 1 : whole;
        const ptrdiff_t kept = least + below(share, size - least + 1);
        c.first = below(placed, size - kept + 1);
        c.step = ((int64_t)kept << 16) / size;
    }
    c.half = c.step / 2;
    return c;
}

/* The place of the image that place p of the result shows; -1: one outside. */
static inline ptrdiff_t place_of(const struct change *c, ptrdiff_t p) {
    p -= c->shift;
    if (p < 0 || p >= c->size) return -1;
    if (c->flip) p = c->size - 1 - p;
    return c->first + (ptrdiff_t)((p * c->step + c->half) >> 16);
}

/* to[n] = an element of so many bytes. */
static void fill(ptrdiff_t n, const char *element, ptrdiff_t item, char *to) {
    for (ptrdiff_t i = 0; i < n; i++) memcpy(to + i * item, element, (size_t)item);
}

/* to[width x channels] = a line of an image, changed. Places side by side that stay so are copied at once. */
static void change_line(const struct schuss_augment *a, const struct change *c, ptrdiff_t bytes, const char *from,
                        char *to) {
    const int runs = !c->flip && c->step == 1 << 16;
    for (ptrdiff_t p = 0; p < c->size;) {
        const ptrdiff_t place = place_of(c, p);
        ptrdiff_t n = 1;
        if (place < 0) fill(a->channels, a->fill, a->item, to + p * bytes);
        else {
            if (runs) n = c->size - (place > p ? place : p);
            memcpy(to + p * bytes, from + place * bytes, (size_t)(n * bytes));
        }
        p += n;
    }
}

static void change_image(const struct schuss_augment *a, uint64_t seed, uint64_t draw, uint32_t row, const char *from,
                         char *to) {
    const struct philox r = random_block(seed, STREAM_AUGMENT, row, draw);
    struct philox placed = {{0}};
    if (a->crop < 1) placed = random_block(seed, STREAM_AUGMENT + 1, row, draw);
    const struct change y =
        change_of(a->height, a->shift_down, a->flip_down && (r.v[2] & 2), a->crop, r.v[0], r.v[3], placed.v[0]);
    const struct change x =
        change_of(a->width, a->shift_across, a->flip_across && (r.v[2] & 1), a->crop, r.v[1], r.v[3], placed.v[1]);
    const ptrdiff_t bytes = a->channels * a->item, line = a->width * bytes;
    for (ptrdiff_t p = 0; p < a->height; p++, to += line) {
        const ptrdiff_t place = place_of(&y, p);
        if (place < 0) fill(a->width * a->channels, a->fill, a->item, to);
        else change_line(a, &x, bytes, from + place * line, to);
    }
}

void schuss_augment_rows(const struct schuss_augment *a, uint64_t seed, uint64_t draw, ptrdiff_t first, ptrdiff_t n,
                         const int64_t *order, ptrdiff_t stride, const void *from, void *to) {
    const ptrdiff_t bytes = a->height * a->width * a->channels * a->item;
    for (ptrdiff_t i = 0; i < n; i++)
        change_image(a, seed, draw, (uint32_t)(first + i), (const char *)from + (order ? order[i] : i) * stride,
                     (char *)to + i * bytes);
}
