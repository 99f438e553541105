/* The walk over a plan's calls, forward and back. It knows no kind of layer. */
#include "net.h"

#include <string.h>

#include "../dense/dense.h"

enum {
    PASS_WORTH_A_THREAD = 10000,    /* nanoseconds: half of the shortest pass that a thread is called for */
    WAKING = 200000,                /* nanoseconds; what waking a thread takes, and more */
    MOST_PATIENCE = 20000000        /* nanoseconds; for what takes far longer alone */
};

int net_threads(const struct schuss_plan *plan, double nanoseconds, double worth) {
    const int allowed = schuss_get_num_threads();
    return threads_for(nanoseconds, worth, allowed < plan->threads ? allowed : plan->threads);
}

int64_t net_patience(double all, double first) {
    double most = first / 16 > WAKING ? first / 16 : WAKING;
    most = most < MOST_PATIENCE ? most : MOST_PATIENCE;
    return (int64_t)(all / 4 < most ? all / 4 : most);
}

static char *row_at(const struct kernels *kernels, const struct matrix *m, ptrdiff_t row) {
    return (char *)m->at + row * m->ld * kernels->item;
}

/* ---- the end of a node ------------------------------------------------------------------------------------------- */

/* What dropout leaves of the member's own rows. */
static void draw_rows(const struct schuss_plan *plan, int number, const struct member_node *m, const struct pass *pass,
                      const struct outside *outside) {
    const struct schuss_node *node = m->here.node;
    const double dropout = plan->nodes[number].dropout;
    for (ptrdiff_t i = pass->own.first; i < pass->own.end; i++) /* positions, of all own rows */
        plan->kernels->draw_mask(i * node->channels, node->channels, dropout, plan->net->seed, node->stream,
                                 outside->draw, row_at(plan->kernels, &m->mask, i));
}

/* Softmax of the member's own rows of the network's value, which has no gaps. */
static void end_rows(const struct schuss_plan *plan, const struct member_node *m, const struct pass *pass,
                     const struct outside *outside) {
    const ptrdiff_t first = pass->own.first, rows = pass->own.end - first;
    if (!(outside->flags & SCHUSS_LOGITS))
        plan->kernels->softmax(rows * m->here.node->members, m->here.node->channels, row_at(plan->kernels, &m->here.y, first));
}

/* The derivative of the end of the network's value, in the member's own rows of its gradient. */
static void enter_rows(const struct schuss_plan *plan, const struct call *call, const struct pass *pass, int flags) {
    const struct kernels *kernels = plan->kernels;
    const ptrdiff_t first = pass->own.first, rows = pass->own.end - first;
    for (int k = 0; k < call->n_links; k++) {
        const struct part *part = &plan->outputs[k];
        const struct schuss_node *node = &plan->net->nodes[part->value];
        char *d = row_at(kernels, &part->d, first);
        if (node->activation == SCHUSS_SOFTMAX && !(flags & SCHUSS_LOGITS)) {
            const struct matrix y = {schuss_plan_output(plan), part->n};
            kernels->softmax_backward(rows * node->members, node->channels, row_at(kernels, &y, first), d);
        }
        if (part->end.kind == END_NONE) continue;
        struct tile_end end = part->end;
        if (flags & SCHUSS_LOGITS) end.activation = SCHUSS_IDENTITY;
        kernels->finish_rows(&end, rows, part->n, d, part->d.ld, first, 0);
    }
}

/* The gradient by the node's value is added to that by its residual, in the member's own rows. */
static void add_rows(const struct schuss_plan *plan, const struct member_node *m, const struct pass *pass) {
    const struct kernels *kernels = plan->kernels;
    for (int k = 0; k < m->n_added; k++) {
        const struct part *part = &m->to_added[k];
        const struct matrix from = {(char *)m->raw.at + part->first * kernels->item, m->raw.ld};
        const ptrdiff_t first = pass->own.first, bytes = part->n * kernels->item;
        for (ptrdiff_t i = first; i < pass->own.end; i++) {
            char *d = row_at(kernels, &part->d, i);
            if (part->start.at && part->start.at != part->d.at)
                memcpy(d, row_at(kernels, &part->start, i), (size_t)bytes);
            if (part->start.at) kernels->add(part->n, row_at(kernels, &from, i), d);
            else memcpy(d, row_at(kernels, &from, i), (size_t)bytes);
        }
        if (part->end.kind != END_NONE)
            kernels->finish_rows(&part->end, pass->own.end - first, part->n, row_at(kernels, &part->d, first),
                                 part->d.ld, first, 0);
    }
}

/* ---- the walk ---------------------------------------------------------------------------------------------------- */

/* Parts of gradients by inputs of the network go to dx, and those that start from earlier parts find these
 * there too. */
static void send_out(const struct schuss_plan *plan, struct part *parts, int n_parts, void *const *dx) {
    for (int k = 0; k < n_parts; k++) {
        if (parts[k].value >= plan->net->n_inputs) continue;
        if (parts[k].start.ld && parts[k].start.at == parts[k].d.at) parts[k].start.at = dx[parts[k].value];
        parts[k].d.at = dx[parts[k].value];
    }
}

/* Whether a call is for gradients by inputs that nobody wants. */
static int is_idle(const struct schuss_plan *plan, const struct call *call, const struct outside *outside) {
    if (!call->only_dx || !outside->dx) return call->only_dx;
    if (call->n_links != 1) return 0; /* an input is no part of a concatenation */
    const int value = plan->links[call->first_link].value;
    return value < plan->net->n_inputs && !outside->dx[value];
}

/* The node's input, if it is one of the network's. */
static inline void bring_input(struct here *h, int n_inputs, const struct outside *outside) {
    const int input = h->node->inputs[0];
    if (input >= n_inputs) return;
    h->x.at = (void *)(uintptr_t)outside->inputs[input].x;
    h->compressed = outside->inputs[input].compressed;
    h->order = outside->inputs[input].order;
}

/* Sets what a call has from outside. */
static void bring_in(const struct schuss_plan *plan, struct member_node *m, const struct call *call,
                     const struct outside *outside) {
    const struct schuss_node *node = &plan->net->nodes[call->node];
    const int n_inputs = plan->net->n_inputs;
    struct here *h = &m->here;
    bring_input(h, n_inputs, outside);
    if (call->kind->state) {
        h->lengths = outside->inputs->lengths;
        h->state = outside->inputs->state;
        if (h->state) h->state = (char *)h->state + node->state0 * plan->kernels->item;
    }
    if (call->type == CALL_DOWN) send_out(plan, h->parts, h->n_parts, outside->dx);
    if (call->type == CALL_ADD) send_out(plan, m->to_added, m->n_added, outside->dx);
    if (call->type != CALL_FORWARD && call->type != CALL_END) return;
    if (node->residual >= 0 && node->residual < n_inputs) h->end.add = outside->inputs[node->residual].x;
    if (node != &plan->net->nodes[plan->net->n_nodes - 1]) return;
    if (plan->passes == SCHUSS_FORWARD_ONLY)
        h->y.at = outside->out ? outside->out : plan->memory + buffer_of(plan, call->node, DATA)->at;
    h->end.activation = outside->flags & SCHUSS_LOGITS ? SCHUSS_IDENTITY : pointwise_activation(node);
}

/* The inputs of all nodes behind that use the node's table, for calls that read these. */
static __attribute__((noinline)) void bring_in_users(const struct schuss_plan *plan, const struct here *h,
                                                     const struct call *call, const struct outside *outside) {
    if (call->type != CALL_GROUP && call->type != CALL_GRADIENTS) return;
    for (struct here *user = h->next_user; user; user = user->next_user) bring_input(user, plan->net->n_inputs, outside);
}

/* [n_calls] whether to wait before each. */
static const unsigned char *waits_of(const struct schuss_plan *plan, const struct outside *outside,
                                     const struct team *me) {
    return plan->waits + (outside->gathered * plan->threads + me->count - 1) * plan->n_calls;
}

/* Calls [from, to) of the plan. */
static void walk(struct schuss_plan *plan, int from, int to, const struct outside *outside, struct births *births,
                 struct team *me) {
    const unsigned char *waits = waits_of(plan, outside, me);
    struct member_node *members = plan->members + me->index * plan->net->n_nodes;
    const struct share own = own_rows(outside->rows, me);
    struct pass pass = {
        .training = plan->passes != SCHUSS_FORWARD_ONLY,
        .logits = outside->flags & SCHUSS_LOGITS,
        .seed = plan->net->seed,
        .draw = outside->draw,
        .dropout_factor = plan->dropout_factor,
        .fault = &plan->fault,
    };
    for (int c = from; c < to; c++) {
        const struct call *call = &plan->calls[c];
        struct member_node *m = &members[call->node];
        if (waits[c]) team_wait(me); /* later calls count on it, whether this one is made or not */
        if (is_idle(plan, call, outside)) continue;
        if (call->outside && call->type != CALL_OUTPUT) bring_in(plan, m, call, outside);
        if (m->here.next_user) bring_in_users(plan, &m->here, call, outside);
        pass.rows = outside->rows * call->positions;
        pass.own = (struct share){own.first * call->positions, own.end * call->positions};
        pass.by_columns = me->count > 1 && me->count <= call->columns_up_to;
        switch (call->type) {
        case CALL_GROUP: table_group(plan, m->here.table, outside, me); break;
        case CALL_DRAW: draw_rows(plan, call->node, m, &pass, outside); break;
        case CALL_FORWARD: call->kind->forward(&m->here, &pass, me); break;
        case CALL_END: end_rows(plan, m, &pass, outside); break;
        case CALL_OUTPUT: enter_rows(plan, call, &pass, outside->flags); break;
        case CALL_ADD: add_rows(plan, m, &pass); break;
        case CALL_DOWN: call->kind->down(&m->here, &pass, me); break;
        default: call->kind->gradients(&m->here, &pass, births, me);
        }
    }
}

void *net_forward(struct schuss_plan *plan, const struct outside *outside, struct team *me) {
    walk(plan, 0, plan->loss_call, outside, NULL, me);
    if (waits_of(plan, outside, me)[plan->loss_call]) team_wait(me);
    return outside->out ? outside->out : schuss_plan_output(plan);
}

void net_group(struct schuss_plan *plan, const struct outside *outside, struct team *me) {
    if (!plan->n_tables) return;
    walk(plan, 0, plan->n_tables, outside, NULL, me); /* these come first */
    team_wait(me);
}

void net_enter_backward(struct schuss_plan *plan, const struct outside *outside, struct team *me) {
    walk(plan, plan->loss_call + 1, plan->after_enter, outside, NULL, me);
}

void net_backward(struct schuss_plan *plan, const struct outside *outside, struct births *births, struct team *me) {
    walk(plan, plan->after_enter, plan->n_calls, outside, births, me);
}

/* ---- passes of their own ----------------------------------------------------------------------------------------- */

struct job {
    struct schuss_plan *plan;
    struct outside outside;
};

static void forward_member(void *context, struct team *me) {
    struct job *job = context;
    net_forward(job->plan, &job->outside, me);
}

void *schuss_forward(struct schuss_plan *plan, const struct schuss_input *inputs, ptrdiff_t rows, int flags,
                     uint64_t draw, void *out) {
    const struct schuss_node *last = &plan->net->nodes[plan->net->n_nodes - 1];
    /* A concatenation's parts have their places in the plan. */
    const int copies = out && (last->kind == SCHUSS_KIND_concatenate || plan->passes != SCHUSS_FORWARD_ONLY);
    struct job job = {plan, {.inputs = inputs, .rows = rows, .flags = flags, .draw = draw, .out = copies ? NULL : out}};
    const double time = plan_forward_time(plan, rows);
    plan->fault = 0;
    plan_set_dropout(plan, plan->net->dropout_factor);
    schuss_team(net_threads(plan, time, PASS_WORTH_A_THREAD), net_patience(time, time), forward_member, &job);
    if (copies)
        memcpy(out, schuss_plan_output(plan),
               (size_t)(rows * last->positions * value_columns(plan, plan->net->n_nodes - 1) * plan->kernels->item));
    return out ? out : schuss_plan_output(plan);
}

static void backward_member(void *context, struct team *me) {
    const struct job *job = context;
    net_group(job->plan, &job->outside, me);
    net_enter_backward(job->plan, &job->outside, me);
    team_wait(me);
    net_backward(job->plan, &job->outside, NULL, me);
}

void schuss_backward(struct schuss_plan *plan, const struct schuss_input *inputs, ptrdiff_t rows, int flags,
                     void *const *dx) {
    struct job job = {plan, {.inputs = inputs, .rows = rows, .flags = flags, .dx = dx}};
    const double time = 2 * plan_forward_time(plan, rows);
    schuss_team(net_threads(plan, time, PASS_WORTH_A_THREAD), net_patience(time, time), backward_member, &job);
}
