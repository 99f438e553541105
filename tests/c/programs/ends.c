/* Where the sums of a product begin and what happens to them at the end, however it is cut: the bits of plain C.
 *
 *     ends */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "expect.h"
#include "kernels.h"

enum { TRIES = 4000, MOST_PRODUCTS = 40000, GUARD = 64 };

static uint64_t state = 1;

static ptrdiff_t draw(ptrdiff_t most) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (ptrdiff_t)((state >> 33) % (uint64_t)most);
}

/* An array [rows x ld] of multiples of 1 / 1024 in (-1, 1), which both dtypes have. */
struct array {
    ptrdiff_t rows, cols, ld;
    int dtype;
    void *data;
};

static double get(const struct array *x, ptrdiff_t i, ptrdiff_t j) {
    const ptrdiff_t at = i * x->ld + j;
    return x->dtype == SCHUSS_F32 ? (double)((float *)x->data)[at] : ((double *)x->data)[at];
}

static void set(struct array *x, ptrdiff_t i, ptrdiff_t j, double value) {
    const ptrdiff_t at = i * x->ld + j;
    if (x->dtype == SCHUSS_F32) ((float *)x->data)[at] = (float)value;
    else ((double *)x->data)[at] = value;
}

static ptrdiff_t item(int dtype) { return dtype == SCHUSS_F32 ? sizeof(float) : sizeof(double); }

static void *row_of(const struct array *x, ptrdiff_t i) { return (char *)x->data + i * x->ld * item(x->dtype); }

static void *memory(ptrdiff_t bytes) {
    void *found = malloc((size_t)bytes);
    EXPECT(found, "%td bytes", bytes);
    return found;
}

static struct array array(int dtype, ptrdiff_t rows, ptrdiff_t cols) {
    struct array x = {rows, cols, cols + draw(4), dtype, NULL};
    x.data = memory((rows * x.ld + 1) * item(dtype));
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < x.ld; j++) set(&x, i, j, (double)(draw(2047) - 1023) / 1024);
    return x;
}

static struct array copy(const struct array *x) {
    struct array y = *x;
    const ptrdiff_t bytes = (x->rows * x->ld + 1) * item(x->dtype);
    y.data = memory(bytes);
    memcpy(y.data, x->data, (size_t)bytes);
    return y;
}

/* What lies in the gaps between rows must not change either. */
static void expect_same(const struct array *x, const struct array *y, const char *what, const char *level,
                        const struct gemm *g) {
    for (ptrdiff_t i = 0; i < x->rows; i++)
        EXPECT(!memcmp(row_of(x, i), row_of(y, i), (size_t)(x->ld * item(x->dtype))),
               "%s in row %td of %td x %td x %td, %s, dtype %d, end %d, activation %d", what, i, g->m, g->n, g->k,
               level, x->dtype, g->end.kind, g->end.activation);
}

static double multiply_add(int fused, int dtype, double a, double b, double c) {
    if (dtype == SCHUSS_F32) {
        if (fused) return (double)fmaf((float)a, (float)b, (float)c);
        const float product = (float)(a * b);
        return (double)(float)(product + (float)c);
    }
    return fused ? fma(a, b, c) : a * b + c;
}

static double rounded(int dtype, double x) { return dtype == SCHUSS_F32 ? (double)(float)x : x; }

/* The sum of one element: the chains of blocks of LONG_K products, one added to the other. */
static double sum_of(int fused, const struct gemm *g, const struct array *a, const struct array *b, double start,
                    ptrdiff_t i, ptrdiff_t j) {
    double chain = start, before = 0;
    for (ptrdiff_t p = 0; p < g->k; p++) {
        if (p > 0 && p % LONG_K == 0) {
            before = p == LONG_K ? chain : rounded(a->dtype, before + chain);
            chain = 0;
        }
        chain = multiply_add(fused, a->dtype, g->a_row == 1 && !g->fill ? get(a, p, i) : get(a, i, p),
                             g->b_transposed ? get(b, j, p) : get(b, p, j), chain);
    }
    return g->k > LONG_K ? rounded(a->dtype, before + chain) : chain;
}

/* The end of row i of c, as struct tile_end has it. */
static void end_row(const struct kernels *kernels, const struct tile_end *end, ptrdiff_t i, struct array *c,
                    const struct array *bias, struct array *values, const struct array *mask, const struct array *add,
                    struct array *raw) {
    void *row = row_of(c, i);
    const size_t bytes = (size_t)(c->cols * item(c->dtype));
    if (end->kind == END_FORWARD) {
        for (ptrdiff_t j = 0; end->bias && j < c->cols; j++)
            set(c, i, j, rounded(c->dtype, get(c, i, j) + get(bias, 0, j)));
        if (end->values && !end->values_activated) memcpy(row_of(values, i), row, bytes);
        kernels->activate(end->activation, end->alpha, c->cols, row, row);
        if (end->values && end->values_activated) memcpy(row_of(values, i), row, bytes);
        if (end->mask) kernels->apply_mask(c->cols, *end->dropout, row_of(mask, i), row, row);
        for (ptrdiff_t j = 0; end->add && j < c->cols; j++)
            set(c, i, j, rounded(c->dtype, get(c, i, j) + get(add, i, j)));
    } else if (end->kind == END_BACKWARD) {
        if (end->raw) memcpy(row_of(raw, i), row, bytes);
        if (end->mask) kernels->apply_mask(c->cols, *end->dropout, row_of(mask, i), row, row);
        for (ptrdiff_t j = 0; !end->mask && end->dropout && j < c->cols; j++)
            set(c, i, j, rounded(c->dtype, get(c, i, j) * rounded(c->dtype, 1 / (1 - *end->dropout))));
        kernels->differentiate(end->activation, end->alpha, c->cols, row_of(values, i), row);
    } else if (end->kind == END_ADD)
        for (ptrdiff_t j = 0; j < c->cols; j++) {
            const double first = rounded(c->dtype, end->alpha * get(c, i, j));
            set(c, i, j, rounded(c->dtype, first + rounded(c->dtype, end->beta * get(add, i, j))));
        }
}

/* Writes a block that a product hands over to where C would have it. context: the array. */
static int consume(void *context, ptrdiff_t row, ptrdiff_t col, ptrdiff_t rows, ptrdiff_t cols, const void *block) {
    struct array *c = context;
    for (ptrdiff_t i = 0; i < rows; i++)
        memcpy((char *)row_of(c, row + i) + col * item(c->dtype), (const char *)block + i * cols * item(c->dtype),
               (size_t)(cols * item(c->dtype)));
    return 0;
}

/* What a product fills its A with. context: the array. */
static void fill(const void *context, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t p, ptrdiff_t depth, void *to,
                 ptrdiff_t ld) {
    const struct array *a = context;
    for (ptrdiff_t i = 0; i < rows; i++)
        memcpy((char *)to + i * ld * item(a->dtype), (char *)row_of(a, row + i) + p * item(a->dtype),
               (size_t)(depth * item(a->dtype)));
}

/* g in four parts that meet anywhere. scratch: not a byte more than promised. */
static void multiply(const struct kernels *kernels, const struct gemm *g) {
    const ptrdiff_t bytes = g->compressed ? kernels->sparse_scratch(g->n, g->k)
                                          : kernels->gemm_scratch(g->m, g->n, g->k, g->end.kind) +
                                                (g->fill ? kernels->fill_scratch(g->k) : 0);
    unsigned char *scratch = memory(bytes + GUARD);
    memset(scratch + bytes, 0xa5, GUARD);
    const ptrdiff_t row = draw(4) ? 0 : draw(g->m), col = draw(4) ? 0 : draw(g->n);
    kernels->gemm(g, 0, row, 0, col, scratch);
    kernels->gemm(g, row, g->m, 0, col, scratch);
    kernels->gemm(g, 0, row, col, g->n, scratch);
    kernels->gemm(g, row, g->m, col, g->n, scratch);
    for (int i = 0; i < GUARD; i++) EXPECT(scratch[bytes + i] == 0xa5, "%td x %td x %td", g->m, g->n, g->k);
    free(scratch);
}

/* Compressed rows, in some order, that hold x's; few of x's elements stay. */
struct rows {
    struct schuss_compressed x;
    int64_t *start, *order, *indices;
    char *data;
};

static struct rows compress(struct array *x) {
    struct rows r = {
        .start = memory((x->rows + 1) * (ptrdiff_t)sizeof(int64_t)),
        .order = memory((x->rows + 1) * (ptrdiff_t)sizeof(int64_t)),
        .indices = memory((x->rows * x->cols + 1) * (ptrdiff_t)sizeof(int64_t)),
        .data = memory((x->rows * x->cols + 1) * item(x->dtype)),
    };
    int64_t count = 0;
    for (ptrdiff_t stored = 0; stored < x->rows; stored++) {
        const ptrdiff_t i = x->rows - 1 - stored;
        r.start[stored] = count;
        r.order[i] = stored;
        for (ptrdiff_t j = 0; j < x->cols; j++) {
            if (draw(12)) {
                set(x, i, j, 0);
                continue;
            }
            r.indices[count] = j;
            memcpy(r.data + count++ * item(x->dtype), (char *)row_of(x, i) + j * item(x->dtype),
                   (size_t)item(x->dtype));
        }
    }
    r.start[x->rows] = count;
    r.x = (struct schuss_compressed){.start = r.start, .indices = r.indices, .wide = 1, .data = r.data};
    return r;
}

/* compressed: A is compressed rows, or such rows transposed. */
static void check(const struct kernels *kernels, const char *level, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k,
                  int compressed) {
    const int dtype = kernels->dtype, fused = strcmp(level, "baseline") != 0;
    const int a_transposed = draw(2) == 0, consumes = !compressed && draw(5) == 0;
    const int b_transposed = !compressed && draw(2) == 0;
    int kind = consumes ? END_CONSUME : (int)draw(END_CONSUME);
    if (compressed && a_transposed) kind = draw(2) ? END_CONSUME : END_NONE;
    const int start = compressed || kind == END_CONSUME ? 0 : (int)draw(3);
    struct array a = a_transposed ? array(dtype, k, m) : array(dtype, m, k);
    struct array b = b_transposed ? array(dtype, n, k) : array(dtype, k, n);
    struct array c = array(dtype, m, n), from = array(dtype, m, n), bias = array(dtype, 1, n);
    struct array values = array(dtype, m, n), mask = array(dtype, m, n + 5), add = array(dtype, m, n);
    struct array raw = array(dtype, m, n);
    struct rows rows = {0};
    if (compressed) rows = compress(&a);
    struct gemm g = {
        .m = m, .n = n, .k = k,
        .a = a.data, .a_row = a_transposed ? 1 : compressed ? k + 1 : a.ld, .a_col = a_transposed ? a.ld : 1,
        .compressed = compressed ? &rows.x : NULL, .order = rows.order,
        .b = b.data, .ldb = b.ld, .b_transposed = b_transposed,
        .c = c.data, .ldc = c.ld,
        .start = start == 0 ? NULL : start == 1 ? c.data : from.data, .ld_start = start == 1 ? c.ld : from.ld,
        .end = {
            .kind = kind,
            .activation = draw(2) ? (int)draw(2) : (int)draw(SCHUSS_SOFTMAX),
            .alpha = 0.25, .beta = 0.75,
            .ld_values = values.ld, .ld_mask = mask.ld * item(dtype), .ld_add = add.ld, .ld_raw = raw.ld,
            .consume = consume, .context = &c,
        },
    };
    struct tile_end *end = &g.end;
    if (end->kind == END_FORWARD) {
        end->bias = draw(2) ? bias.data : NULL;
        end->values = draw(2) ? values.data : NULL;
        end->values_activated = (int)draw(2);
        end->add = draw(2) ? add.data : NULL;
        end->mask = draw(2) ? mask.data : NULL; /* of whatever bits */
    } else {
        end->values = values.data;
        end->add = kind == END_ADD ? add.data : NULL;
        end->mask = draw(2) ? mask.data : NULL;
        end->raw = draw(2) ? raw.data : NULL;
    }
    static const double dropout = 0.375;
    if (end->mask || (kind == END_BACKWARD && end->activation == SCHUSS_RELU && draw(2))) end->dropout = &dropout;
    if (!compressed && !a_transposed && draw(3) == 0) {
        g.a = NULL, g.a_row = 0, g.a_col = 1;
        g.fill = fill, g.fill_context = &a;
    }
    struct array wanted = copy(&c), wanted_values = copy(&values), wanted_raw = copy(&raw);
    for (ptrdiff_t i = 0; i < m; i++) {
        for (ptrdiff_t j = 0; j < n; j++) {
            const double first = start == 0 ? 0 : start == 1 ? get(&c, i, j) : get(&from, i, j);
            set(&wanted, i, j, sum_of(fused, &g, &a, &b, first, i, j));
        }
        end_row(kernels, end, i, &wanted, &bias, &wanted_values, &mask, &add, &wanted_raw);
    }
    multiply(kernels, &g);
    expect_same(&c, &wanted, "C", level, &g);
    expect_same(&values, &wanted_values, "values", level, &g);
    expect_same(&raw, &wanted_raw, "raw", level, &g);
    struct array *all[] = {&a, &b, &c, &from, &bias, &values, &mask, &add, &raw, &wanted, &wanted_values, &wanted_raw};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]->data);
    void *of_rows[] = {rows.start, rows.order, rows.indices, rows.data};
    for (size_t i = 0; i < sizeof of_rows / sizeof of_rows[0]; i++) free(of_rows[i]);
}

/* The most rows whose sums lie aside, and a few more: room alone. */
static void check_room(const struct kernels *kernels, ptrdiff_t m, ptrdiff_t n) {
    struct array a = array(kernels->dtype, m, LONG_K + 1), b = array(kernels->dtype, LONG_K + 1, n);
    struct array c = array(kernels->dtype, m, n);
    const struct gemm g = {
        .m = m, .n = n, .k = LONG_K + 1,
        .a = a.data, .a_row = a.ld, .a_col = 1,
        .b = b.data, .ldb = b.ld,
        .c = c.data, .ldc = c.ld,
    };
    multiply(kernels, &g);
    free(a.data);
    free(b.data);
    free(c.data);
}

static void check_level(const char *level, int dtype) {
    /* A block of columns and of k and more, with and without a first strip that packs; few rows of a large B. */
    static const ptrdiff_t large[][3] = {{61, 140, 530}, {33, 300, 270}, {9, 1100, 20}, {2, 1024, 70}, {130, 3, 41},
                                         {3, 130, 300},  {70, 33, 200},  {40, 12, 600}, {5, 20, 0}};
    /* Around a block of LONG_K: whole tiles of any kind, few columns, few rows, and rows of B that conflict. */
    static const ptrdiff_t rows_and_columns[][2] = {{58, 17}, {23, 3}, {5, 2}, {2, 21}, {1, 1024}, {530, 1}};
    static const ptrdiff_t depths[] = {LONG_K, LONG_K + 1, 2 * LONG_K + 3};
    const struct kernels *kernels = schuss_kernels(dtype);
    for (int i = 0; i < TRIES; i++) {
        const ptrdiff_t m = 1 + draw(60), n = 1 + draw(draw(2) ? 150 : 20);
        const ptrdiff_t most = MOST_PRODUCTS / (m * n), k = 1 + draw(most < 1 ? 1 : most < 300 ? most : 300);
        check(kernels, level, m, n, k, i % 8 == 0);
    }
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++)
        for (int again = 0; again < 6; again++) check(kernels, level, large[i][0], large[i][1], large[i][2], 0);
    for (ptrdiff_t m = 2020; m <= 2060; m += 20) check_room(kernels, m, 300);
    for (size_t i = 0; i < sizeof rows_and_columns / sizeof rows_and_columns[0]; i++)
        for (size_t k = 0; k < sizeof depths / sizeof depths[0]; k++)
            for (int again = 0; again < 2; again++)
                check(kernels, level, rows_and_columns[i][0], rows_and_columns[i][1], depths[k], again == 0);
}

int main(void) {
    const char *level;
    for (int i = 0; (level = schuss_isa_name(i)); i++) {
        if (!schuss_isa_supported(i)) continue;
        EXPECT(schuss_isa_select(level) >= 0, "%s", level);
        check_level(level, SCHUSS_F32);
        check_level(level, SCHUSS_F64);
    }
    return 0;
}
