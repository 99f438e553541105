/* Runs every kernel of the core and short trainings on one ISA level and prints a hash of all resulting bits, a line
 * each. Two levels with a fused multiply-add must print the same, on any machine, with any number of threads. The data
 * stay away from denormals and NaN, whose bits are the machine's own affair: one in a result ends the program.
 *
 *     bits LEVEL [THREADS]
 *
 * Exits with 2 if there is no such level or this CPU cannot run it. */
#include "bits.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rng.h"

#define HASH_START UINT64_C(0xcbf29ce484222325)
#define HASH_FACTOR UINT64_C(0x100000001b3)

static void *blocks[256];
static int n_blocks;

static char *new_block(ptrdiff_t bytes) {
    char *block = malloc((size_t)bytes);
    if (!block || n_blocks == sizeof blocks / sizeof blocks[0]) {
        fprintf(stderr, "no memory for an array of %td bytes\n", bytes);
        exit(1);
    }
    return blocks[n_blocks++] = block;
}

void *reals(struct run *r, ptrdiff_t n) { return new_block((n + 1) * r->item) + r->item; }

void *zeros(struct run *r, ptrdiff_t n) { return memset(reals(r, n), 0, (size_t)(n * r->item)); }

void *aligned(ptrdiff_t bytes) {
    char *block = new_block(bytes + 63);
    const uintptr_t past = (uintptr_t)block & 63;
    return past ? block + (64 - past) : block;
}

static void *draw(struct run *r, ptrdiff_t n, double scale, int positive) {
    char *array = reals(r, n);
    struct philox block = random_block(1, 0, 0, r->drawn / 4);
    for (ptrdiff_t i = 0; i < n; i++) {
        const unsigned place = r->drawn % 4;
        if (place == 0) block = random_block(1, 0, 0, r->drawn / 4);
        r->drawn++;
        const uint32_t bits = block.v[place] >> 11;
        double x = ((double)bits + 0.5) * 0x1p-20 - 1; /* exact in float */
        if (positive && x < 0) x = -x;
        x *= scale;
        if (r->dtype == SCHUSS_F32) ((float *)array)[i] = (float)x;
        else ((double *)array)[i] = x;
    }
    return array;
}

void *numbers(struct run *r, ptrdiff_t n, double scale) { return draw(r, n, scale, 0); }
void *positive(struct run *r, ptrdiff_t n, double scale) { return draw(r, n, scale, 1); }

void hash_integer(struct run *r, uint64_t x) {
    const uint64_t mixed = (r->hash ^ x) * HASH_FACTOR;
    r->hash = mixed ^ mixed >> 32;
}

static void hash_bits(struct run *r, float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t size = bits & UINT32_C(0x7fffffff);
    r->unusable |= size > UINT32_C(0x7f800000) || (size && size < UINT32_C(0x00800000));
    hash_integer(r, bits);
}

static void hash_wide_bits(struct run *r, double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint64_t size = bits & UINT64_C(0x7fffffffffffffff);
    r->unusable |= size > UINT64_C(0x7ff0000000000000) || (size && size < UINT64_C(0x0010000000000000));
    hash_integer(r, bits);
}

static void refuse(const char *part, const char *name) {
    fprintf(stderr, "%s %s: a result is NaN or denormal: other data are needed\n", part, name);
    exit(1);
}

void hash_reals(struct run *r, const void *array, ptrdiff_t n) {
    const float *narrow = array;
    const double *wide = array;
    if (r->dtype == SCHUSS_F32)
        for (ptrdiff_t i = 0; i < n; i++) hash_bits(r, narrow[i]);
    else
        for (ptrdiff_t i = 0; i < n; i++) hash_wide_bits(r, wide[i]);
}

void hash_double(struct run *r, double x) {
    r->unusable |= !isfinite(x);
    hash_wide_bits(r, x);
}

void report(struct run *r, const char *part, const char *name) {
    if (r->unusable) refuse(part, name);
    printf("%s %s %s %016" PRIx64 "\n", r->dtype == SCHUSS_F32 ? "float32" : "float64", part, name, r->hash);
    r->hash = HASH_START;
    r->drawn = 0;
    while (n_blocks) free(blocks[--n_blocks]);
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 3 || schuss_isa_select(argv[1]) < 0) {
        fprintf(stderr, "usage: bits LEVEL [THREADS]; levels here:");
        for (int i = 0; schuss_isa_name(i); i++)
            if (schuss_isa_supported(i)) fprintf(stderr, " %s", schuss_isa_name(i));
        fprintf(stderr, "\n");
        return 2;
    }
    const int threads = argc == 3 ? atoi(argv[2]) : 1;
    schuss_set_num_threads(threads);
    for (int dtype = SCHUSS_F32; dtype <= SCHUSS_F64; dtype++) {
        struct run r = {
            .dtype = dtype,
            .item = dtype == SCHUSS_F32 ? 4 : 8,
            .kernels = schuss_kernels(dtype),
            .threads = threads,
            .hash = HASH_START,
        };
        check_rules(&r);
        check_lbfgs(&r);
        check_products(&r);
        check_functions(&r);
        check_losses(&r);
        check_random(&r);
        check_formats(&r);
        check_training(&r);
    }
    return 0;
}
