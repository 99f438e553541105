/* Matrix products: sizes around the tiles and blocks, all layouts, all ends of a tile; and column sums. */
#include "bits.h"

#include <stdio.h>

#include "dense/dense.h"

static void multiply(struct run *r, struct gemm *g) {
    dense_gemm(r->kernels, g, r->threads,
               aligned(dense_gemm_scratch(r->kernels, g->m, g->n, g->k, g->end.kind, r->threads)));
    for (ptrdiff_t i = 0; i < g->m; i++) hash_reals(r, at(r, g->c, i * g->ldc), g->n);
}

/* A and B of either layout, with gaps between the rows of C. */
static struct gemm product(struct run *r, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, int a_transposed, int b_transposed) {
    return (struct gemm){
        .m = m, .n = n, .k = k,
        .a = numbers(r, m * k, 1), .a_row = a_transposed ? 1 : k, .a_col = a_transposed ? m : 1,
        .b = numbers(r, k * n, 0.25), .ldb = b_transposed ? k : n, .b_transposed = b_transposed,
        .c = zeros(r, m * (n + 3)), .ldc = n + 3,
    };
}

static void check_size(struct run *r, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k) {
    char name[64];
    snprintf(name, sizeof name, "%tdx%tdx%td", m, n, k);
    for (int layout = 0; layout < 4; layout++) {
        struct gemm g = product(r, m, n, k, layout & 1, layout >> 1);
        multiply(r, &g);
    }
    report(r, "product", name);
}

static void check_end(struct run *r, int kind, int activation) {
    static const char *const kinds[] = {"none", "forward", "backward"};
    char name[64];
    snprintf(name, sizeof name, "%s-%s", kinds[kind], schuss_activation_name(activation));
    for (int variant = 0; variant < 4; variant++) {
        struct gemm g = product(r, 31, 37 + 16 * (variant & 1), variant & 1 ? 11 : 300, 0, variant & 1);
        g.end.kind = kind;
        g.end.activation = activation;
        g.end.alpha = activation == SCHUSS_LEAKY_RELU ? 0.1 : 1;
        if (kind == END_FORWARD) {
            g.end.bias = variant & 1 ? NULL : numbers(r, g.n, 1);
            g.end.values = variant & 2 ? zeros(r, g.m * g.ldc) : NULL;
            g.end.add = variant & 1 ? numbers(r, g.m * g.ldc, 1) : NULL;
            g.end.values_activated = variant & 1;
        } else {
            g.end.values = numbers(r, g.m * g.ldc, 1);
            g.end.mask = variant & 2 ? numbers(r, g.m * g.ldc, 2) : NULL; /* of whatever bits */
            static const double dropout = 0.25;
            g.end.dropout = g.end.mask || activation == SCHUSS_RELU ? &dropout : NULL;
            g.end.raw = variant & 1 ? zeros(r, g.m * g.ldc) : NULL;
        }
        g.end.ld_values = g.end.ld_add = g.end.ld_raw = g.ldc;
        g.end.ld_mask = MASK_BYTES(g.n);
        g.start = variant & 1 ? numbers(r, g.m * g.ldc, 1) : NULL;
        g.ld_start = g.ldc;
        multiply(r, &g);
        if (kind == END_FORWARD && g.end.values) hash_reals(r, g.end.values, g.m * g.ldc);
        if (g.end.raw) hash_reals(r, g.end.raw, g.m * g.ldc);
    }
    report(r, "product", name);
}

static void check_column_sums(struct run *r, ptrdiff_t rows, ptrdiff_t cols) {
    const ptrdiff_t ldx = cols + 2;
    void *x = numbers(r, rows * ldx, 1), *out = zeros(r, cols);
    r->kernels->column_sums(rows, 0, cols, x, ldx, out);
    hash_reals(r, out, cols);
}

void check_products(struct run *r) {
    static const ptrdiff_t edges[] = {1, 2, 7, 8, 13, 16, 17, 31, 33, 40};
    enum { N_EDGES = sizeof edges / sizeof edges[0] };
    for (int i = 0; i < N_EDGES; i++)
        for (int j = 0; j < N_EDGES; j += 3) check_size(r, edges[i], edges[(i + j) % N_EDGES], edges[(i * 3 + j) % N_EDGES]);
    check_size(r, 5, 20, 0);
    check_size(r, 190, 70, 520);  /* past a block of rows and two of k */
    check_size(r, 9, 1100, 270);  /* past a block of columns */
    check_size(r, 250, 130, 80);  /* worth threads, by rows */
    check_size(r, 60, 400, 40);   /* and by columns */
    check_size(r, 131, 3, 41);    /* few columns */
    check_size(r, 100, 10, 64);
    check_size(r, 50, 33, 200);   /* a rest of few columns */
    check_size(r, 2, 130, 300);   /* few rows */
    check_size(r, 29, 35, LONG_K + 7); /* past a block of products */
    check_size(r, 2, 3, LONG_K + 7);
    for (int a = 0; a < SCHUSS_SOFTMAX; a++) {
        check_end(r, END_FORWARD, a);
        check_end(r, END_BACKWARD, a);
    }
    for (ptrdiff_t cols = 1; cols < 140; cols += 3) check_column_sums(r, cols % 2 ? 9 : 523, cols);
    report(r, "product", "column-sums");
}
