/* A dense network over one plan: forward, backward, gradients. All arithmetic is in the kernels. */
#include "net.h"

#include "../dense/dense.h"

enum {
    FEW_ROWS = 8,                   /* of a layer's weights, for a thread */
    ROW_UNIT = 4,                   /* batches are shared by so many rows: dropout draws four numbers at a time */
    PASS_WORTH_A_THREAD = 10000,    /* nanoseconds: half of the shortest pass that a thread is called for */
    WAKING = 200000,                /* nanoseconds; what waking a thread takes, and more */
    MOST_PATIENCE = 20000000        /* nanoseconds; for what takes far longer alone */
};

struct share own_rows(ptrdiff_t rows, const struct team *me) {
    if (me->count == 1) return (struct share){0, rows};
    return (struct share){share_start(rows, ROW_UNIT, me->index, me->count),
                          share_start(rows, ROW_UNIT, me->index + 1, me->count)};
}

static void need_all(enum spread *spread, struct team *me) {
    if (*spread != COMPLETE) team_wait(me);
    *spread = COMPLETE;
}

void need_own_rows(enum spread *spread, struct team *me) {
    if (*spread == SCATTERED) need_all(spread, me);
}

int net_threads(const struct schuss_plan *plan, double nanoseconds, double worth) {
    const int allowed = schuss_get_num_threads();
    return threads_for(nanoseconds, worth, allowed < plan->threads ? allowed : plan->threads);
}

int64_t net_patience(double all, double first) {
    double most = first / 16 > WAKING ? first / 16 : WAKING;
    most = most < MOST_PATIENCE ? most : MOST_PATIENCE;
    return (int64_t)(all / 4 < most ? all / 4 : most);
}

static char *at(void *arena, ptrdiff_t element, const struct kernels *kernels) {
    return (char *)arena + element * kernels->item;
}

/* The columns of n that are the member's own: whole tiles. */
static struct share own_columns(ptrdiff_t n, const struct kernels *kernels, const struct team *me) {
    if (me->count == 1) return (struct share){0, n};
    return (struct share){share_start(n, kernels->tile_cols, me->index, me->count),
                          share_start(n, kernels->tile_cols, me->index + 1, me->count)};
}

/* The member's part of product g: some columns or some rows of C. Returns what gemm does. */
static int product(const struct schuss_plan *plan, const struct gemm *g, int by_columns, const struct team *me) {
    const struct kernels *kernels = plan->kernels;
    char *scratch = plan->scratch + me->index * plan->scratch_each;
    if (me->count == 1) return kernels->gemm(g, 0, g->m, 0, g->n, scratch);
    if (by_columns) {
        const struct share columns = own_columns(g->n, kernels, me);
        return kernels->gemm(g, 0, g->m, columns.first, columns.end, scratch);
    }
    const struct share rows = own_rows(g->m, me);
    return kernels->gemm(g, rows.first, rows.end, 0, g->n, scratch);
}

/* Whether a layer's outputs are shared by columns, so that each weight is read by one thread only. */
static int shares_columns(const struct schuss_plan *plan, ptrdiff_t n, const struct team *me) {
    return !plan->by_rows && me->count > 1 && n >= 2 * me->count * plan->kernels->tile_cols;
}

void *net_forward(const struct schuss_net *net, const struct schuss_plan *plan, const struct net_input *input,
                  ptrdiff_t rows, int flags, uint64_t draw, void *out, enum spread *spread, struct team *me) {
    const struct kernels *kernels = plan->kernels;
    const struct share own = own_rows(rows, me);
    const void *x = input->x;
    ptrdiff_t ldx = input->ld;
    for (int l = 0; l < net->n_layers; l++) {
        const struct schuss_layer *layer = &net->layers[l];
        const struct layer_buffers *b = &plan->layers[l];
        const int last = l == net->n_layers - 1;
        const int activation = last && flags & SCHUSS_LOGITS ? SCHUSS_IDENTITY : layer->activation;
        const int drops = flags & SCHUSS_TRAINING && layer->dropout > 0;
        const int keeps = flags & SCHUSS_TRAINING && b->kept != b->out;
        const int by_columns = shares_columns(plan, layer->n_out, me);
        const struct schuss_compressed *compressed = l == 0 ? input->compressed : NULL;
        void *y = last && out && !drops ? out : b->out;
        struct gemm g = {
            .m = rows, .n = layer->n_out, .k = layer->n_in,
            .a = x, .a_row = compressed ? 0 : ldx, .a_col = 1, /* 1 would be the transposed */
            .compressed = compressed, .order = input->order,
            .b = at(net->params, layer->weight, kernels), .ldb = layer->n_out,
            .c = y, .ldc = b->ld,
            .end = {
                .kind = END_FORWARD,
                .activation = activation == SCHUSS_SOFTMAX ? SCHUSS_IDENTITY : activation,
                .alpha = layer->alpha,
                .bias = layer->bias < 0 ? NULL : at(net->params, layer->bias, kernels),
                .kept = keeps ? b->kept : NULL,
                .ld_kept = b->ld,
            },
        };
        if (by_columns) need_all(spread, me);
        else need_own_rows(spread, me);
        product(plan, &g, by_columns, me);
        *spread = by_columns ? SCATTERED : OWN_ROWS;
        if (activation == SCHUSS_SOFTMAX || drops) {
            need_own_rows(spread, me);
            *spread = OWN_ROWS;
        }
        if (activation == SCHUSS_SOFTMAX)
            kernels->softmax(own.end - own.first, layer->n_out, at(y, own.first * b->ld, kernels));
        if (drops) {
            void *fed = last && out ? out : b->fed;
            dense_dropout(kernels, own.first, own.end, layer->n_out, b->ld, layer->dropout, net->seed, (uint32_t)l,
                          draw, y, b->mask, fed);
            y = fed;
        }
        x = y;
        ldx = b->ld;
    }
    return (void *)(uintptr_t)x;
}

/* d(loss)/d(output of layer l) of the member's part -> that of the layer below's pre-activation, or x's (l = 0) in
 * dx. */
static void go_down(const struct schuss_net *net, const struct schuss_plan *plan, int l, ptrdiff_t rows,
                    const void *delta, void *to, int by_columns, const struct team *me) {
    const struct schuss_layer *layer = &net->layers[l];
    const struct layer_buffers *below = l > 0 ? &plan->layers[l - 1] : NULL;
    struct gemm down = {
        .m = rows, .n = layer->n_in, .k = layer->n_out,
        .a = delta, .a_row = plan->layers[l].ld, .a_col = 1,
        .b = at(net->params, layer->weight, plan->kernels), .ldb = layer->n_out, .b_transposed = 1,
        .c = to, .ldc = below ? below->ld : layer->n_in,
    };
    if (below)
        down.end = (struct tile_end){
            .kind = END_BACKWARD,
            .activation = net->layers[l - 1].activation,
            .alpha = net->layers[l - 1].alpha,
            .kept = below->kept,
            .ld_kept = below->ld,
            .mask = below->mask,
            .ld_mask = below->ld,
        };
    product(plan, &down, by_columns, me);
}

/* Where the gradient by layer l's input goes, NULL if nowhere. */
static void *below(const struct schuss_plan *plan, int l, void *dx) { return l > 0 ? plan->layers[l - 1].delta : dx; }

void net_enter_backward(const struct schuss_net *net, const struct schuss_plan *plan, ptrdiff_t rows, int flags,
                        void *dout, void *dx, struct team *me) {
    const struct kernels *kernels = plan->kernels;
    const struct schuss_layer *layer = &net->layers[net->n_layers - 1];
    const struct layer_buffers *b = &plan->layers[net->n_layers - 1];
    const struct share own = own_rows(rows, me);
    const ptrdiff_t first = own.first * layer->n_out, n = own.end * layer->n_out - first;
    char *d = at(dout, first, kernels);
    if (b->mask) kernels->multiply(n, at(b->mask, first, kernels), d);
    if (flags & SCHUSS_LOGITS) {
    } else if (layer->activation == SCHUSS_SOFTMAX)
        kernels->softmax_backward(own.end - own.first, layer->n_out, at(b->out, first, kernels), d);
    else kernels->differentiate(layer->activation, layer->alpha, n, at(b->kept, first, kernels), d);
    if (!plan->by_rows) return;
    void *delta = dout;
    for (int l = net->n_layers - 1; l >= 0; l--) {
        void *to = below(plan, l, dx);
        if (to) go_down(net, plan, l, rows, delta, to, 0, me);
        delta = to;
    }
}

/* A layer's array whose gradient goes through the rule block by block, where it is born. */
struct birth {
    const struct kernels *kernels;
    const struct schuss_segment *segment;
    const struct rule_constants *constants;
    ptrdiff_t n; /* columns of the array */
};

/* The gradient of elements [first, first + n) of the segment. 1 if it is not finite. */
static int update(const struct birth *born, ptrdiff_t first, ptrdiff_t n, const void *gradient) {
    struct schuss_segment piece = segment_piece(born->segment, first, first + n, born->kernels->item);
    int nonfinite = 0;
    piece.g = (void *)(uintptr_t)gradient;
    born->kernels->step(&piece, born->constants, &nonfinite);
    return nonfinite;
}

/* See struct tile_end. */
static int take_block(void *context, ptrdiff_t row, ptrdiff_t col, ptrdiff_t rows, ptrdiff_t cols, const void *block) {
    const struct birth *born = context;
    if (cols == born->n) return update(born, row * cols, rows * cols, block);
    int nonfinite = 0;
    for (ptrdiff_t i = 0; i < rows; i++)
        nonfinite |= update(born, (row + i) * born->n + col, cols,
                            (const char *)block + i * cols * born->kernels->item);
    return nonfinite;
}

void net_update_begin(struct net_update *u, const struct schuss_step *step, int64_t t, const int *segments) {
    u->step = step;
    u->t = t;
    u->segments = segments;
    u->nonfinite = u->group = 0;
    optimizer_constants(step, 0, t, 1, &u->constants);
}

/* The array's place in the step: constants are computed again only where the group changes. */
static const struct schuss_segment *segment_of(struct net_update *u, int index) {
    if (u->segments[index] < 0) return NULL;
    const struct schuss_segment *segment = &u->step->segments[u->segments[index]];
    if (segment->group != u->group)
        optimizer_constants(u->step, segment->group, u->t, 1, &u->constants);
    u->group = segment->group;
    return segment;
}

/* The member's part of the gradients of layer l from its input and delta: into net->grads, or with u through the
 * rule. */
static void layer_gradients(const struct schuss_net *net, const struct schuss_plan *plan, int l,
                            const struct net_input *input, ptrdiff_t rows, const void *delta, struct net_update *u, struct team *me) {
    const struct kernels *kernels = plan->kernels;
    const struct schuss_layer *layer = &net->layers[l];
    const ptrdiff_t n = layer->n_out;
    struct gemm dw = {
        .m = layer->n_in, .n = n, .k = rows,
        .a = input->x, .a_row = 1, .a_col = input->ld,
        .compressed = input->compressed, .order = input->order,
        .b = delta, .ldb = plan->layers[l].ld,
        .c = at(net->grads, layer->weight, kernels), .ldc = n,
    };
    struct birth born = {.kernels = kernels, .n = n};
    if (u) {
        born.segment = segment_of(u, 2 * l);
        born.constants = &u->constants;
        dw.end = (struct tile_end){.kind = END_TAKE, .take = take_block, .context = &born};
        if (born.segment) {
            const struct schuss_segment *s = born.segment;
            dw.end.streams[dw.end.n_streams++] = s->p;
            for (int k = 0; k < SCHUSS_MAX_STATES && s->s[k]; k++) dw.end.streams[dw.end.n_streams++] = s->s[k];
        }
    }
    if (!u || born.segment) { /* rules like long pieces: whole rows of weights, unless they are few */
        const int nonfinite = product(plan, &dw, layer->n_in < FEW_ROWS * me->count && n > layer->n_in, me);
        if (u) u->nonfinite |= nonfinite;
    }
    if (layer->bias < 0) return;
    if (u && !(born.segment = segment_of(u, 2 * l + 1))) return;
    const struct share own = own_columns(n, kernels, me);
    if (own.first == own.end) return;
    char *sums = at(net->grads, layer->bias, kernels);
    if (u && rows == 1) sums = (char *)(uintptr_t)delta; /* the gradient itself */
    else kernels->column_sums(rows, own.first, own.end, delta, plan->layers[l].ld, sums);
    if (u) u->nonfinite |= update(&born, own.first, own.end - own.first, at(sums, own.first, kernels));
}

void net_backward(const struct schuss_net *net, const struct schuss_plan *plan, const struct net_input *input,
                  ptrdiff_t rows, void *dout, void *dx, struct net_update *u, struct team *me) {
    const void *delta = dout;
    for (int l = net->n_layers - 1; l >= 0; l--) {
        void *to = below(plan, l, dx);
        if (to && !plan->by_rows) { /* with the weights that the forward pass had: before they are updated */
            go_down(net, plan, l, rows, delta, to, shares_columns(plan, net->layers[l].n_in, me), me);
            team_wait(me);
        }
        struct net_input own = *input;
        if (l > 0) own = (struct net_input){.x = plan->layers[l - 1].fed, .ld = plan->layers[l - 1].ld};
        layer_gradients(net, plan, l, &own, rows, delta, u, me);
        if (l > 0 && below(plan, l - 1, dx) && !plan->by_rows) team_wait(me); /* what is written next was read here */
        delta = to;
    }
}

struct pass {
    const struct schuss_net *net;
    struct schuss_plan *plan;
    const void *x;
    ptrdiff_t ldx, rows;
    int flags;
    uint64_t draw;
    void *out, *dout, *dx;
    void *result;
};

static void forward_member(void *context, struct team *me) {
    struct pass *p = context;
    enum spread spread = COMPLETE;
    const struct net_input input = {.x = p->x, .ld = p->ldx};
    void *result = net_forward(p->net, p->plan, &input, p->rows, p->flags, p->draw, p->out, &spread, me);
    if (me->index == 0) p->result = result;
}

void *schuss_forward(const struct schuss_net *net, struct schuss_plan *plan, const void *x, ptrdiff_t ldx,
                     ptrdiff_t rows, int flags, uint64_t draw, void *out) {
    struct pass pass = {net, plan, x, ldx, rows, flags, draw, out, NULL, NULL, NULL};
    const double time = plan_forward_time(net, rows);
    schuss_team(net_threads(plan, time, PASS_WORTH_A_THREAD), net_patience(time, time), forward_member, &pass);
    return pass.result;
}

static void backward_member(void *context, struct team *me) {
    const struct pass *p = context;
    net_enter_backward(p->net, p->plan, p->rows, p->flags, p->dout, p->dx, me);
    team_wait(me);
    const struct net_input input = {.x = p->x, .ld = p->ldx};
    net_backward(p->net, p->plan, &input, p->rows, p->dout, p->dx, NULL, me);
}

void schuss_backward(const struct schuss_net *net, struct schuss_plan *plan, const void *x, ptrdiff_t ldx,
                     ptrdiff_t rows, int flags, void *dout, void *dx) {
    struct pass pass = {net, plan, x, ldx, rows, flags, 0, NULL, dout, dx, NULL};
    const double time = 2 * plan_forward_time(net, rows);
    schuss_team(net_threads(plan, time, PASS_WORTH_A_THREAD), net_patience(time, time), backward_member, &pass);
}
