/* Bags of embeddings: values and gradients against plain loops, for rows in order and in another one, columns of 4 and of 8
 * bytes, sums and means, any number of threads. Blocks end exactly, so that a checker of memory sees every byte too many.
 *
 *     bags */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "expect.h"
#include "schuss.h"

enum { MOST_THREADS = 3 };

static uint32_t state = 1;

/* From 0 to n - 1. */
static ptrdiff_t draw(ptrdiff_t n) {
    state = state * 1664525u + 1013904223u;
    return (ptrdiff_t)((uint64_t)(state >> 8) * (uint64_t)n >> 24);
}

static void *block_of(ptrdiff_t bytes) {
    void *block = NULL;
    EXPECT(!posix_memalign(&block, 64, bytes > 0 ? (size_t)bytes : 1), "no memory");
    return memset(block, 0, (size_t)bytes);
}

static void fill(ptrdiff_t n, double *x) {
    for (ptrdiff_t i = 0; i < n; i++) x[i] = (double)draw(2001) / 1000 - 1;
}

struct given {
    ptrdiff_t n, dim, rows; /* of the table; of the batch */
    int wide, mean, ordered;
    int64_t *start, *order;
    void *columns;
    double *values, *table, *dy, *y, *gradient; /* the last two: what is expected */
};

static int64_t column_of(const struct given *g, int64_t k) {
    return g->wide ? ((const int64_t *)g->columns)[k] : ((const int32_t *)g->columns)[k];
}

static void draw_given(struct given *g) {
    const ptrdiff_t all = g->rows + draw(5); /* rows that are there */
    g->start = block_of((all + 1) * 8);
    for (ptrdiff_t i = 0; i < all; i++) g->start[i + 1] = g->start[i] + (draw(3) ? draw(20) : 0);
    const int64_t entries = g->start[all];
    g->columns = block_of((ptrdiff_t)entries * (g->wide ? 8 : 4));
    for (ptrdiff_t i = 0; i < all; i++)
        for (int64_t k = g->start[i], column = 0; k < g->start[i + 1]; k++) {
            const int64_t rest = g->start[i + 1] - k;
            column += draw((g->n - column + rest - 1) / rest); /* may come twice */
            if (g->wide) ((int64_t *)g->columns)[k] = column;
            else ((int32_t *)g->columns)[k] = (int32_t)column;
        }
    g->values = block_of((ptrdiff_t)entries * 8);
    g->table = block_of(g->n * g->dim * 8), g->dy = block_of(g->rows * g->dim * 8);
    fill((ptrdiff_t)entries, g->values), fill(g->n * g->dim, g->table), fill(g->rows * g->dim, g->dy);
    g->order = block_of(g->rows * 8);
    for (ptrdiff_t i = 0; i < g->rows; i++) g->order[i] = g->ordered ? draw(all) : i;
}

static void expect(struct given *g) {
    g->y = block_of(g->rows * g->dim * 8), g->gradient = block_of(g->n * g->dim * 8);
    for (ptrdiff_t i = 0; i < g->rows; i++) {
        const int64_t first = g->start[g->order[i]], end = g->start[g->order[i] + 1];
        for (int64_t k = first; k < end; k++)
            for (ptrdiff_t j = 0; j < g->dim; j++) {
                const double value = g->mean ? g->values[k] / (double)(end - first) : g->values[k];
                g->y[i * g->dim + j] += value * g->table[column_of(g, k) * g->dim + j];
                g->gradient[column_of(g, k) * g->dim + j] += value * g->dy[i * g->dim + j];
            }
    }
}

static void expect_near(ptrdiff_t n, const double *found, const double *wanted, const char *what, const struct given *g) {
    for (ptrdiff_t i = 0; i < n; i++)
        EXPECT(fabs(found[i] - wanted[i]) < 1e-12,
               "%s[%td] is %a, expected %a; %td x %td, %td rows, wide %d, mean %d, order %d", what, i, found[i],
               wanted[i], g->n, g->dim, g->rows, g->wide, g->mean, g->ordered);
}

static void check(struct given *g, int threads, double *bits) {
    static const int from[] = {0, 0};
    const char *what = NULL;
    int wrong;
    struct schuss_array arrays[2 * SCHUSS_NODE_ARRAYS];
    struct schuss_node nodes[] = {
        {.kind = SCHUSS_KIND_input, .sizes = {g->n, 1}, .numbers = {2}, .inputs = from, .residual = -1},
        {.kind = SCHUSS_KIND_embedding_bag, .sizes = {g->n, g->dim}, .numbers = {g->mean}, .inputs = from, .n_inputs = 1,
         .residual = -1},
    };
    struct schuss_net net = {.dtype = SCHUSS_F64, .n_nodes = 2, .nodes = nodes, .arrays = arrays};
    const ptrdiff_t size = schuss_net_shape(&net, &wrong, &what);
    EXPECT(size >= g->n * g->dim && !what && schuss_net_reads_compressed(&net, 0), "a network of %td", size);
    net.params = block_of(size * 8), net.grads = block_of(size * 8);
    memcpy(net.params, g->table, (size_t)(g->n * g->dim) * 8);
    const struct schuss_compressed rows = {g->start, g->columns, g->wide, g->values};
    const struct schuss_input input = {.compressed = &rows, .order = g->ordered ? g->order : NULL};
    for (int passes = SCHUSS_FORWARD_ONLY; passes <= SCHUSS_BACKWARD; passes++) {
        void *memory = block_of(schuss_plan_bytes(&net, passes, threads));
        struct schuss_plan *plan = schuss_plan_draw(memory, &net, g->rows, passes, threads, NULL);
        void *room = block_of(schuss_plan_room(plan)), *out = block_of(g->rows * g->dim * 8);
        schuss_plan_lay(plan, room);
        schuss_forward(plan, &input, g->rows, 0, 0, out);
        expect_near(g->rows * g->dim, out, g->y, "y", g);
        if (passes == SCHUSS_BACKWARD) {
            memcpy(schuss_plan_dout(plan), g->dy, (size_t)(g->rows * g->dim) * 8);
            schuss_backward(plan, &input, g->rows, 0, NULL);
            expect_near(g->n * g->dim, net.grads, g->gradient, "the gradient", g);
            if (threads == 1) memcpy(bits, net.grads, (size_t)(g->n * g->dim) * 8);
            EXPECT(!memcmp(bits, net.grads, (size_t)(g->n * g->dim) * 8), "%d threads have other bits", threads);
        }
        free(memory), free(room), free(out);
    }
    free(net.params), free(net.grads);
}

/* Bytes at the end of a block, of any alignment. */
static void check_hashes(void) {
    for (ptrdiff_t n = 0; n < 20; n++) {
        unsigned char *block = block_of(n + 3), *end = block + n + 3, all[32];
        for (ptrdiff_t k = 0; k < n; k++) all[k] = end[k - n] = (unsigned char)(200 + 7 * k);
        EXPECT(schuss_hash(end - n, n, 5) == schuss_hash(all, n, 5), "of %td bytes", n);
        free(block);
    }
    EXPECT(schuss_hash("Hello, world!", 13, 0x9747b28c) == 0x24884cba, "of a greeting");
}

int main(void) {
    static const ptrdiff_t dims[] = {1, 2, 7, 8, 9, 24, 64, 65, 130};
    schuss_set_num_threads(MOST_THREADS);
    for (size_t d = 0; d < sizeof dims / sizeof dims[0]; d++)
        for (int how = 0; how < 8; how++) {
            struct given g = {.n = 1 + draw(60), .dim = dims[d], .rows = 1 + draw(how % 3 ? 40 : 3), .wide = how & 1,
                              .mean = how >> 1 & 1, .ordered = how >> 2};
            draw_given(&g), expect(&g);
            double *bits = block_of(g.n * g.dim * 8);
            for (int threads = 1; threads <= MOST_THREADS; threads++) check(&g, threads, bits);
            void *blocks[] = {g.start, g.order, g.columns, g.values, g.table, g.dy, g.y, g.gradient, bits};
            for (size_t k = 0; k < sizeof blocks / sizeof blocks[0]; k++) free(blocks[k]);
        }
    check_hashes();
    return 0;
}
