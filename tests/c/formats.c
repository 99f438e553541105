/* Numbers of other formats. Their bits are hashed as integers: NaN and denormals are among them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "fpmode.h"

enum { N = 4096, CODES = 65536 };

static void hash_bytes(struct run *r, const void *array, ptrdiff_t n) {
    const unsigned char *byte = array;
    for (ptrdiff_t i = 0; i + 4 <= n; i += 4) {
        uint32_t word;
        memcpy(&word, byte + i, sizeof word);
        hash_integer(r, word);
    }
}

/* Every upper half of a float, with lower halves that are ties, next to ties, and others. Doubles: of these, and of bits
 * beyond what a float has. */
static void patterns(const struct run *r, void *to, ptrdiff_t start) {
    static const uint32_t ends[8] = {0, 0x8000, 0x1000, 0x7fff, 0x8001, 0x3000, 0x0fff, 0xffff};
    for (ptrdiff_t i = 0; i < N; i++) {
        const uint32_t bits = (uint32_t)(start + i * 16) << 16 | ends[i / 3 % 8];
        float x;
        memcpy(&x, &bits, sizeof x);
        if (r->dtype == SCHUSS_F32) memcpy((float *)to + i, &bits, sizeof bits);
        else ((double *)to)[i] = (double)x * (i % 2 ? 1 : 1 + 0x1p-25);
    }
}

static void same(const void *a, const void *b, size_t bytes, const char *name) {
    if (!memcmp(a, b, bytes)) return;
    fprintf(stderr, "%s: denormals are flushed\n", name);
    exit(1);
}

static void check_format(struct run *r, int format) {
    const char *name = schuss_format_name(format);
    const ptrdiff_t item = format == SCHUSS_F32 ? 4 : format == SCHUSS_F64 ? 8 : 2;
    void *x = reals(r, N), *out = reals(r, N), *flushed = reals(r, N);
    char *codes = aligned(2 * N * item), *more = aligned(2 * N * 2);
    for (ptrdiff_t start = 0; start < 16; start++) {
        const struct rounding which = {.seed = 0x123456789abcdef, .number = 5, .t = 7 + (start << 32), .first = start};
        patterns(r, x, start);
        r->kernels->narrow(format, N, x, codes, more, &which);
        r->kernels->widen(format, N, codes, more, out);
        const fpmode found = fpmode_flush();
        r->kernels->narrow(format, N, x, codes + N * item, more + N * 2, &which);
        r->kernels->widen(format, N, codes, more, flushed);
        fpmode_restore(found);
        same(codes, codes + N * item, (size_t)(N * item), name);
        same(out, flushed, (size_t)(N * r->item), name);
        hash_bytes(r, codes, N * item);
        if (format == SCHUSS_SPLIT) hash_bytes(r, more, N * 2);
        hash_bytes(r, out, N * r->item);
    }
    report(r, "format", name);
}

/* Every number of 16 bits. */
static void check_halves(struct run *r, int format) {
    uint16_t *codes = aligned(CODES * 2);
    void *out = reals(r, CODES);
    for (int i = 0; i < CODES; i++) codes[i] = (uint16_t)i;
    const fpmode found = fpmode_flush();
    r->kernels->widen(format, CODES, codes, NULL, out);
    fpmode_restore(found);
    hash_bytes(r, out, CODES * r->item);
    report(r, "codes", schuss_format_name(format));
}

void check_formats(struct run *r) {
    for (int format = 0; format < SCHUSS_8BIT_SIGNED; format++) check_format(r, format);
    check_halves(r, SCHUSS_BF16);
    check_halves(r, SCHUSS_F16);
}
