/* The memory of plans: of chains of dense layers, no more than those took before networks were lists of nodes; of drawn
 * networks, none that two buffers need at the same time.
 *
 *     plans [NETWORKS] */
#include "train/plan.h"

#include "drawn.h"
#include "expect.h"

static ptrdiff_t rounded(ptrdiff_t bytes) { return (bytes + 63) / 64 * 64; }

static struct schuss_plan *draw_plan(const struct schuss_net *net, ptrdiff_t rows, int passes, int threads) {
    const ptrdiff_t bytes = rounded(schuss_plan_bytes(net, passes, threads));
    void *memory = aligned_alloc(64, (size_t)bytes);
    EXPECT(memory, "no memory");
    return schuss_plan_draw(memset(memory, 0, (size_t)bytes), net, rows, passes, threads, NULL);
}

static const char *const passes_names[] = {"forward only", "backward", "backward once"};

/* ---- chains ------------------------------------------------------------------------------------------------------ */

static int keeps_input(int activation) {
    return activation == SCHUSS_GELU || activation == SCHUSS_SILU || activation == SCHUSS_MISH ||
           activation == SCHUSS_HARD_SWISH;
}

static ptrdiff_t stride(ptrdiff_t n, ptrdiff_t item) {
    return n * item > 1024 && n * item % 1024 == 0 ? n + 64 / item : n;
}

static ptrdiff_t larger(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

/* Bytes of the buffers that dense layers alone once had. Each layer had its output, and what it kept of dropout and of
 * some activations. Gradients lay where the output of the layer above had been, if they fitted, else in two buffers by
 * turns, as the outputs did where there was no backward pass; or each had its own, where threads took their rows. */
static ptrdiff_t bytes_before(const struct schuss_net *net, ptrdiff_t rows, int passes, int threads) {
    const struct kernels *kernels = schuss_kernels(net->dtype);
    const struct schuss_node *layers = net->nodes + 1;
    const ptrdiff_t item = kernels->item;
    const int last = net->n_nodes - 2, backward = passes != SCHUSS_FORWARD_ONLY;
    int by_rows = threads > 1;
    ptrdiff_t used = 0, turn[2] = {0, 0}, scratch = 0;
    for (int l = 0; l <= last; l++) by_rows &= layers[l].sizes[0] * layers[l].sizes[1] * item <= 64 * 1024;
    for (int l = 0; l <= last; l++) {
        const ptrdiff_t n_in = layers[l].sizes[0], n_out = layers[l].sizes[1];
        const ptrdiff_t ld = l < last ? stride(n_out, item) : n_out, whole = rounded(rows * ld * item);
        const ptrdiff_t above = l < last ? layers[l + 1].sizes[1] : 0;
        const ptrdiff_t room = l + 1 < last ? stride(above, item) : above;
        const int reuses = passes == SCHUSS_BACKWARD_ONCE && !by_rows && ld <= room;
        if (l < last && !reuses && !(backward && by_rows)) turn[l % 2] = larger(turn[l % 2], ld);
        if (backward || l == last) used += whole;
        if (backward && keeps_input(layers[l].activation)) used += whole;
        if (backward && layers[l].dropout > 0) used += 2 * whole;
        if (backward && by_rows && l < last) used += whole;
        scratch = larger(scratch, kernels->gemm_scratch(rows, n_out, n_in, END_FORWARD));
        if (!backward) continue;
        scratch = larger(scratch, kernels->gemm_scratch(n_in, n_out, rows, END_CONSUME));
        scratch = larger(scratch, kernels->gemm_scratch(rows, n_in, n_out, END_BACKWARD));
        if (l == 0) scratch = larger(scratch, kernels->sparse_scratch(n_out, rows));
    }
    for (int k = 0; k < 2; k++) used += rounded(rows * turn[k] * item);
    if (backward) used += rounded(rows * layers[last].sizes[1] * item);
    return used + threads * rounded(scratch);
}

/* Draws a chain, and compares. Returns how many times the memory it takes now. */
static double compare_chain(uint32_t number) {
    static const int activations[] = {SCHUSS_IDENTITY, SCHUSS_RELU, SCHUSS_TANH, SCHUSS_GELU, SCHUSS_SILU};
    struct dice dice = {.stream = number};
    struct layer layers[8] = {{.kind = SCHUSS_KIND_input, .n = some(&dice, 1, 2000)}};
    struct network network;
    const int n = (int)between(&dice, 1, 7), dtype = (int)between(&dice, 0, 1), threads = (int)between(&dice, 1, 3);
    const int passes = (int)between(&dice, 0, 2), plain = chance(&dice, 0.5), narrow = chance(&dice, 0.4);
    const ptrdiff_t rows = some(&dice, 1, 3000);
    for (int l = 1; l <= n; l++) {
        layers[l] = (struct layer){.kind = SCHUSS_KIND_dense, .from = {l - 1}};
        layers[l].n = some(&dice, 1, narrow ? 100 : 2000);
        if (narrow && l == 1) layers[0].n = some(&dice, 1, 100);
        if (chance(&dice, 0.2)) layers[l].n = (layers[l].n + 127) / 128 * 128;
        layers[l].activation = plain ? SCHUSS_RELU : activations[between(&dice, 0, 4)];
        layers[l].dropout = !plain && chance(&dice, 0.4) ? 0.5 : 0;
    }
    set_up(&network, dtype, n + 1, layers);
    struct schuss_plan *plan = draw_plan(&network.net, rows, passes, threads);
    const ptrdiff_t before = bytes_before(&network.net, rows, passes, threads), now = schuss_plan_room(plan);
    free(plan);
    if (now > before) {
        fprintf(stderr, "chain %u: %td bytes, were %td: %s, dtype %d, %d threads, %td rows\n", number, now, before,
                passes_names[passes], dtype, threads, rows);
        print_network(stderr, &network);
    }
    return (double)now / (double)before;
}

/* ---- drawn networks ---------------------------------------------------------------------------------------------- */

static int has_memory(const struct buffer *b) { return b->used && !b->outside && b->first >= 0; }

/* Bytes from the buffer's place to its end. */
static ptrdiff_t extent(const struct schuss_plan *plan, const struct buffer *b) {
    return b->row ? plan->max_rows * b->row * plan->kernels->item : b->bytes;
}

/* The buffer lives through all calls that access it, and, where the backward pass may come again, to the end. */
static void check_access(const struct schuss_plan *plan, const struct access *access, int call) {
    const struct buffer *b = buffer_of(plan, access->node, access->role);
    if (!has_memory(b)) return;
    EXPECT(b->first <= call && call <= b->last, "node %d, buffer %d lives from %d to %d, and call %d accesses it",
           access->node, access->role, b->first, b->last, call);
    EXPECT(plan->passes != SCHUSS_BACKWARD || call <= plan->loss_call || b->first >= plan->loss_call ||
               b->last >= plan->n_calls - 1,
           "node %d, buffer %d ends at call %d, but the backward pass may come again", access->node, access->role,
           b->last);
}

static void check_plan(const struct schuss_plan *plan) {
    const int n = plan->net->n_nodes;
    const ptrdiff_t buffers = plan->room - plan->threads * plan->scratch_each;
    EXPECT(plan->scratch_each % 64 == 0 && buffers % 64 == 0, "scratch begins at %td", buffers);
    for (int a = 0; a < n * BUFFER_ROLES; a++) {
        const struct buffer *x = buffer_of(plan, a / BUFFER_ROLES, a % BUFFER_ROLES);
        if (!has_memory(x)) continue;
        EXPECT(x->at >= 0 && x->at % 64 == 0 && x->at + extent(plan, x) <= buffers,
               "node %d, buffer %d at %td is outside of %td bytes", a / BUFFER_ROLES, a % BUFFER_ROLES, x->at, buffers);
        for (int b = 0; b < a; b++) {
            const struct buffer *y = buffer_of(plan, b / BUFFER_ROLES, b % BUFFER_ROLES);
            if (!has_memory(y) || x->last < y->first || y->last < x->first) continue;
            EXPECT(x->at + extent(plan, x) <= y->at || y->at + extent(plan, y) <= x->at,
                   "node %d, buffer %d and node %d, buffer %d share memory in calls %d to %d and %d to %d",
                   a / BUFFER_ROLES, a % BUFFER_ROLES, b / BUFFER_ROLES, b % BUFFER_ROLES, x->first, x->last, y->first,
                   y->last);
        }
    }
    struct access list[MOST_ACCESSES];
    for (int c = 0; c < plan->n_calls; c++)
        for (int by_columns = 0; by_columns < 2; by_columns++)
            for (int k = -1; k < plan->calls[c].n_links; k++) {
                const struct link *link = &plan->links[plan->calls[c].first_link + k];
                const int count = k < 0 ? call_accesses(plan, c, by_columns, list)
                                        : link_accesses(plan, link, by_columns, list);
                for (int i = 0; i < count; i++) check_access(plan, &list[i], c);
            }
}

static void check_network(uint32_t number) {
    struct dice dice = {.stream = number};
    const struct drawing how = {.widest = chance(&dice, 0.3) ? 300 : 50, .most = 14};
    struct drawn drawn;
    struct network network;
    draw_network(&dice, &how, &drawn);
    for (int dtype = SCHUSS_F32; dtype <= SCHUSS_F64; dtype++) {
        set_up(&network, dtype, drawn.n, drawn.layers);
        for (int passes = SCHUSS_FORWARD_ONLY; passes <= SCHUSS_BACKWARD_ONCE; passes++)
            for (int threads = 1; threads <= 3; threads++) {
                struct schuss_plan *plan = draw_plan(&network.net, some(&dice, 1, 200), passes, threads);
                check_plan(plan);
                free(plan);
            }
    }
}

int main(int argc, char **argv) {
    const int count = argc > 1 ? atoi(argv[1]) : 2000;
    double most = 0, sum = 0;
    int more = 0;
    for (int i = 0; i < count; i++) {
        const double ratio = compare_chain((uint32_t)i);
        most = ratio > most ? ratio : most;
        sum += ratio;
        more += ratio > 1;
    }
    printf("chains: %g times the memory on average, %g at most\n", sum / count, most);
    EXPECT(more == 0, "%d of %d chains take more than they did", more, count);
    for (int i = 0; i < count / 4; i++) check_network((uint32_t)i);
    return 0;
}
