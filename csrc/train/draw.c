/* Draws a plan up: the calls of a network's passes, in order, and what each hands over on the way back. */
#include "plan.h"

#include <stdint.h>
#include <string.h>

enum {
    /* The largest weights of a layer that each thread may read and pack for itself: more cost more than they save. */
    ROWS_WEIGHT_BYTES = 64 * 1024
};

static const struct kind *kind_at(const struct schuss_plan *plan, int node) {
    return plan->kernels->kinds[plan->net->nodes[node].kind];
}

/* Whether a node computes something: inputs and concatenations do not. */
static int computes(const struct schuss_plan *plan, int node) { return kind_at(plan, node)->forward != NULL; }

/* Calls and links of a plan, at most. */
static int most_calls(const struct schuss_net *net) { return 2 + 6 * net->n_nodes; }
static int most_links(const struct schuss_net *net) {
    int links = net->nodes[net->n_nodes - 1].n_parts;
    for (int i = 0; i < net->n_nodes; i++) {
        links += net->nodes[i].n_parts;
        if (net->nodes[i].residual >= 0) links += net->nodes[net->nodes[i].residual].n_parts;
        if (net->nodes[i].n_inputs) links += net->nodes[net->nodes[i].inputs[0]].n_parts;
    }
    return links;
}

/* ---- what is needed ---------------------------------------------------------------------------------------------- */

/* What a node needs for so many rows of a batch. */
static struct needs needs_of(const struct schuss_net *net, const struct kernels *kernels, const struct schuss_node *node,
                             ptrdiff_t rows, int passes) {
    const struct kind *kind = kernels->kinds[node->kind];
    const struct schuss_node *input = &net->nodes[node->inputs[0]];
    const struct shape in = {input->channels, input->storage, input->positions};
    ptrdiff_t counted = rows;
    if (kind->spatial) return kind->needs(node, &in, rows, passes);
    if (__builtin_mul_overflow(rows, node->positions, &counted)) counted = PTRDIFF_MAX / 8; /* buffers are too large, too */
    struct needs needs = kind->needs(node, &in, counted, passes);
    needs.nanoseconds *= (double)node->positions;
    return needs;
}

/* Asks each node what it needs for so many rows, into nodes[n_nodes]. */
static void ask_needs(const struct schuss_net *net, const struct kernels *kernels, ptrdiff_t rows, int passes,
                      struct node_plan *nodes) {
    for (int i = 0; i < net->n_nodes; i++) {
        const struct schuss_node *node = &net->nodes[i];
        if (kernels->kinds[node->kind]->forward) nodes[i].needs = needs_of(net, kernels, node, rows, passes);
    }
}

/* Whether threads share the batch rather than each layer's columns. Each thread reads all weights then, so no layer may
 * have large ones. */
static int shares_rows(const struct schuss_plan *plan) {
    if (plan->threads < 2) return 0;
    for (int i = 0; i < plan->net->n_nodes; i++)
        if (plan->nodes[i].needs.weights > ROWS_WEIGHT_BYTES) return 0;
    return 1;
}

/* What nodes need that use tables. */
static void need_of_tables(struct schuss_plan *plan) {
    for (int k = 0; k < plan->n_tables; k++) {
        const struct table *t = &plan->tables[k];
        for (int i = t->node; i; i = plan->net->nodes[i].next_user) {
            struct needs *needs = &plan->nodes[i].needs;
            if (plan->net->nodes[plan->net->nodes[i].inputs[0]].storage != SCHUSS_REAL) needs->scratch = 0;
            needs->nanoseconds = i == t->node ? table_time(plan, t) : 0;
        }
        struct needs *needs = &plan->nodes[t->node].needs;
        const ptrdiff_t scratch = plan->kernels->table_scratch(t);
        if (needs->scratch < scratch) needs->scratch = scratch;
    }
}

/* Elements of an array that a step changes, at most. */
static ptrdiff_t changed_by_step(const struct schuss_plan *plan, int array) {
    for (int k = 0; k < plan->n_tables; k++)
        if (plan->tables[k].array == array && !plan->tables[k].dense && plan->tables[k].most < plan->tables[k].rows)
            return plan->tables[k].most * plan->tables[k].cols;
    return plan->net->arrays[array].n;
}

/* Which values need a gradient: for parameters, or for the inputs. */
static void mark_needed(struct schuss_plan *plan, const unsigned char *wanted) {
    const struct schuss_net *net = plan->net;
    for (int i = 0; i < net->n_nodes; i++) {
        const struct schuss_node *node = &net->nodes[i];
        struct node_plan *p = &plan->nodes[i];
        for (int k = node->first_array; k < node->first_array + node->n_arrays; k++)
            p->trains |= net->arrays[k].stepped && (!wanted || wanted[k]);
        for (int k = 0; k < node->n_inputs; k++) {
            p->trains |= plan->nodes[node->inputs[k]].trains;
            p->reaches |= plan->nodes[node->inputs[k]].reaches;
        }
        if (node->residual >= 0) {
            p->trains |= plan->nodes[node->residual].trains;
            p->reaches |= plan->nodes[node->residual].reaches;
        }
        if (node->n_inputs == 0) p->reaches = plan->passes == SCHUSS_BACKWARD && node->storage == SCHUSS_REAL;
        p->reaches |= p->trains;
    }
}

/* Whether the plan is for training. */
static int passes_back(const struct schuss_plan *plan) { return plan->passes != SCHUSS_FORWARD_ONLY; }

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static struct call *add_call(struct schuss_plan *plan, enum call_type type, int node) {
    struct call *call = &plan->calls[plan->n_calls++];
    *call = (struct call){
        .type = (unsigned char)type, .node = node, .kind = kind_at(plan, node), .first_link = plan->n_links,
    };
    if (type == CALL_FORWARD) call->kind = kind_at(plan, plan->nodes[node].maker);
    call->outside = call->kind->state != NULL;
    const int by_kind = type == CALL_FORWARD || type == CALL_DOWN || type == CALL_GRADIENTS;
    call->positions = by_kind && call->kind->spatial ? 1 : plan->net->nodes[node].positions;
    return call;
}

/* Whether the value of node i goes nowhere but into node j. */
static int goes_only_to(const struct schuss_net *net, int i, int j) {
    if (net->nodes[i].within >= 0) return 0;
    for (int k = 0; k < net->n_nodes; k++) {
        if (net->nodes[k].residual == i) return 0;
        for (int input = 0; input < net->nodes[k].n_inputs; input++)
            if (net->nodes[k].inputs[input] == i && k != j) return 0;
    }
    return 1;
}

/* Says of each node who makes its value: in prediction it may be the node before. */
static void find_makers(struct schuss_plan *plan) {
    const struct schuss_net *net = plan->net;
    for (int j = 0; j < net->n_nodes; j++) {
        plan->nodes[j].maker = j;
        if (passes_back(plan) || !computes(plan, j) || !kind_at(plan, j)->affine) continue;
        const int i = net->nodes[j].inputs[0];
        const struct schuss_node *before = &net->nodes[i];
        if (!kind_at(plan, i)->folds || before->activation != SCHUSS_IDENTITY || before->residual >= 0) continue;
        if (!goes_only_to(net, i, j)) continue;
        plan->nodes[j].maker = i;
        plan->nodes[i].is_skipped = 1;
    }
}

/* The largest team that shares a call by its n columns. Each member has two tiles at least, unless the kind has to be
 * shared so. 0: no team does. */
static int columns_for(const struct schuss_plan *plan, enum sharing sharing, ptrdiff_t n) {
    if (sharing == SHARES_ROWS || (sharing == SHARES_EITHER && plan->by_rows)) return 0;
    const ptrdiff_t most = n / (2 * plan->kernels->tile_cols);
    return sharing == SHARES_COLUMNS || most > INT32_MAX ? INT32_MAX : (int)most;
}

/* Before anything reads a table it is known which rows are touched. */
static void add_group_calls(struct schuss_plan *plan) {
    for (int k = 0; k < plan->n_tables; k++) add_call(plan, CALL_GROUP, plan->tables[k].node)->outside = 1;
}

static void add_forward_calls(struct schuss_plan *plan) {
    const struct schuss_net *net = plan->net;
    for (int i = 0; i < net->n_nodes; i++) {
        const struct schuss_node *node = &net->nodes[i];
        if (!computes(plan, i) || plan->nodes[i].is_skipped) continue;
        if (plan->nodes[i].drops) add_call(plan, CALL_DRAW, i);
        struct call *call = add_call(plan, CALL_FORWARD, i);
        const int adds_input = node->residual >= 0 && net->nodes[node->residual].n_inputs == 0;
        const int input = net->nodes[plan->nodes[i].maker].inputs[0];
        call->outside |= net->nodes[input].n_inputs == 0 || adds_input || i == net->n_nodes - 1;
        call->columns_up_to = columns_for(plan, call->kind->sharing, node->channels);
        /* In prediction, who takes the mean over members has taken the softmax of each. */
        if (node->activation == SCHUSS_SOFTMAX && (node->members == 1 || passes_back(plan)))
            add_call(plan, CALL_END, i)->outside = 1;
    }
    plan->loss_call = plan->n_calls;
}

/* Counts the parts of each value's gradient, before they are handed out. */
static void count_parts(struct schuss_plan *plan, int value) {
    const struct schuss_node *node = &plan->net->nodes[value];
    if (!plan->nodes[value].reaches) return;
    if (node->kind == SCHUSS_KIND_concatenate)
        for (int k = 0; k < node->n_inputs; k++) count_parts(plan, node->inputs[k]);
    else plan->nodes[value].left++;
}

/* Adds the call's links to a value whose gradient begins in the call's column `first`: one, or, where the value is a
 * concatenation, one to each value that it consists of. */
static void add_links(struct schuss_plan *plan, struct call *call, int value, ptrdiff_t first) {
    const struct schuss_node *node = &plan->net->nodes[value];
    struct node_plan *p = &plan->nodes[value];
    if (!p->reaches) return;
    if (node->kind == SCHUSS_KIND_concatenate) {
        for (int k = 0; k < node->n_inputs; k++)
            add_links(plan, call, node->inputs[k], first + plan->net->nodes[node->inputs[k]].channel0);
        return;
    }
    p->left--;
    plan->links[plan->n_links++] = (struct link){
        .value = value, .first = first, .n = value_columns(plan, value), .start = p->start, .finishes = p->left == 0,
    };
    p->start = STARTS_OWN;
    if (node->n_inputs == 0) call->outside = 1;
    call->n_links++;
}

/* The gradient by the node's value is also a part of that by its residual. If the residual is no concatenation, nothing
 * of its gradient is there yet and more parts come, then the next part starts from this one, which costs nothing. Else
 * a call adds it. */
static void pass_to_residual(struct schuss_plan *plan, int node) {
    const int added = plan->net->nodes[node].residual;
    struct node_plan *p = &plan->nodes[added];
    if (!p->reaches) return;
    if (plan->net->nodes[added].n_parts == 1 && plan->net->nodes[added].kind != SCHUSS_KIND_concatenate &&
        p->start == STARTS_NEW && p->left > 1) {
        p->start = node;
        p->left--;
        return;
    }
    struct call *call = add_call(plan, CALL_ADD, node);
    add_links(plan, call, added, 0);
    call->only_dx = !p->trains;
}

static void add_down(struct schuss_plan *plan, int node) {
    const int input = plan->net->nodes[node].inputs[0];
    if (!plan->nodes[input].reaches) return;
    struct call *call = add_call(plan, CALL_DOWN, node);
    add_links(plan, call, input, 0);
    call->only_dx = !plan->nodes[input].trains;
    call->columns_up_to = columns_for(plan, kind_at(plan, node)->sharing, plan->net->nodes[input].channels);
}

static void add_gradients(struct schuss_plan *plan, int node, const unsigned char *wanted) {
    const struct schuss_node *n = &plan->net->nodes[node];
    int any = 0;
    for (int k = n->first_array; k < n->first_array + n->n_arrays; k++)
        any |= plan->net->arrays[k].stepped && (!wanted || wanted[k]) && plan->net->arrays[k].node == node;
    if (!any) return;
    struct call *call = add_call(plan, CALL_GRADIENTS, node);
    call->outside |= plan->net->nodes[n->inputs[0]].n_inputs == 0 || n->next_user;
    call->columns_up_to = INT32_MAX;
}

static void add_backward_calls(struct schuss_plan *plan, const unsigned char *wanted) {
    const struct schuss_net *net = plan->net;
    const int last = net->n_nodes - 1;
    add_call(plan, CALL_LOSS, last);
    for (int i = 0; i < net->n_nodes; i++) {
        plan->nodes[i].start = STARTS_NEW;
        if (!plan->nodes[i].reaches || !computes(plan, i)) continue;
        count_parts(plan, net->nodes[i].inputs[0]);
        if (net->nodes[i].residual >= 0) count_parts(plan, net->nodes[i].residual);
    }
    count_parts(plan, last);
    struct call *output = add_call(plan, CALL_OUTPUT, last);
    add_links(plan, output, last, 0);
    for (int k = output->first_link; k < plan->n_links; k++) plan->links[k].start = STARTS_OWN; /* by the loss */
    output->outside = 1;
    plan->after_enter = plan->n_calls;
    for (int i = last; i >= 0; i--) {
        if (!plan->nodes[i].reaches || !computes(plan, i)) continue;
        if (net->nodes[i].residual >= 0) pass_to_residual(plan, i);
        add_down(plan, i);
        if (!plan->by_rows) add_gradients(plan, i, wanted);
    }
    if (!plan->by_rows) return;
    plan->after_enter = plan->n_calls;
    for (int i = last; i >= 0; i--)
        if (plan->nodes[i].reaches && computes(plan, i)) add_gradients(plan, i, wanted);
}

/* ---- the interface ----------------------------------------------------------------------------------------------- */

/* Where n bytes of base are free: from *used on, which moves behind them to a multiple of 64. base NULL: only that. */
static void *reserve(char *base, size_t *used, size_t n) {
    void *at = base ? base + *used : NULL;
    *used = (*used + n + 63) / 64 * 64;
    return at;
}

/* Lays the plan's own lists out in memory, or only counts bytes where plan is NULL. */
static size_t lists(struct schuss_plan *plan, const struct schuss_net *net, int threads, ptrdiff_t rest, int n_tables) {
    const size_t n = (size_t)net->n_nodes, members = (size_t)threads;
    struct schuss_plan none, *p = plan ? plan : &none;
    char *base = (char *)plan;
    size_t used = 0;
    reserve(base, &used, sizeof *plan);
    p->calls = reserve(base, &used, (size_t)most_calls(net) * sizeof *p->calls);
    p->links = reserve(base, &used, (size_t)most_links(net) * sizeof *p->links);
    p->nodes = reserve(base, &used, n * sizeof *p->nodes);
    p->waits = reserve(base, &used, 2 * members * (size_t)most_calls(net));
    p->members = reserve(base, &used, members * n * sizeof *p->members);
    p->tables = reserve(base, &used, (size_t)n_tables * sizeof *p->tables);
    for (int k = 0; k < n_tables; k++) {
        struct touched *own = reserve(base, &used, members * sizeof *own);
        if (plan) p->tables[k].members = own;
    }
    p->rest = reserve(base, &used, (size_t)rest);
    return used;
}

ptrdiff_t schuss_plan_bytes(const struct schuss_net *net, int passes, int threads) {
    ptrdiff_t rest = 0;
    for (int i = 0; i < net->n_nodes; i++) {
        struct node_plan one[1] = {0};
        const struct schuss_node *node = &net->nodes[i];
        const struct kernels *kernels = schuss_kernels(net->dtype);
        if (kernels->kinds[node->kind]->forward)
            *one = (struct node_plan){.needs = needs_of(net, kernels, node, 1, passes)}; /* what is prepared does not depend on the rows */
        rest += here_bytes(net, i, one, threads);
    }
    return (ptrdiff_t)lists(NULL, net, threads, rest, passes == SCHUSS_FORWARD_ONLY ? 0 : net->n_arrays);
}

struct schuss_plan *schuss_plan_draw(void *memory, const struct schuss_net *net, ptrdiff_t max_rows, int passes,
                                     int threads, const unsigned char *wanted) {
    struct schuss_plan *plan = memory;
    lists(plan, net, threads, 0, passes == SCHUSS_FORWARD_ONLY ? 0 : net->n_arrays);
    plan->kernels = schuss_kernels(net->dtype);
    plan->net = net;
    plan->max_rows = max_rows;
    plan->passes = passes;
    plan->threads = threads;
    plan->dropout_factor = 1;
    ask_needs(net, plan->kernels, max_rows, passes, plan->nodes);
    plan->n_tables = plan_tables(plan, net, passes, wanted);
    need_of_tables(plan);
    plan->by_rows = shares_rows(plan);
    for (int i = 0; i < net->n_nodes; i++) {
        const struct needs *needs = &plan->nodes[i].needs;
        plan->nodes[i].drops = passes != SCHUSS_FORWARD_ONLY && net->nodes[i].dropout > 0;
        plan->nodes[i].dropout = net->nodes[i].dropout;
        plan->row_time += needs->nanoseconds;
        if (needs->scratch > plan->scratch_each) plan->scratch_each = needs->scratch;
    }
    plan->scratch_each = (plan->scratch_each + 63) / 64 * 64;
    for (int k = 0; k < net->n_arrays; k++)
        plan->parameters += net->arrays[k].stepped ? (double)changed_by_step(plan, k) : 0;
    find_makers(plan);
    add_group_calls(plan);
    add_forward_calls(plan);
    if (passes != SCHUSS_FORWARD_ONLY) {
        mark_needed(plan, wanted);
        add_backward_calls(plan, wanted);
    } else {
        add_call(plan, CALL_LOSS, net->n_nodes - 1);
        plan->after_enter = plan->n_calls;
    }
    plan->room = plan_buffers(plan);
    for (int i = 0; i < net->n_nodes; i++)
        for (int k = 0; k < net->nodes[i].n_arrays; k++)
            plan->nodes[i].wanted[k] = !wanted || wanted[net->nodes[i].first_array + k] != SCHUSS_UNWANTED;
    return plan;
}

ptrdiff_t schuss_plan_room(const struct schuss_plan *plan) { return plan->room; }

void schuss_plan_lay(struct schuss_plan *plan, void *room) {
    plan->memory = room;
    tables_lay(plan, plan->memory + plan->tables_at);
    plan_waits(plan);
    plan_here(plan);
}

void *schuss_plan_dout(struct schuss_plan *plan) {
    return plan->memory + buffer_of(plan, plan->net->n_nodes - 1, DELTA)->at;
}

void *schuss_plan_output(const struct schuss_plan *plan) {
    return plan->memory + buffer_of(plan, plan->net->n_nodes - 1, DATA)->at;
}

int schuss_plan_fault(struct schuss_plan *plan) {
    const int fault = plan->fault;
    plan->fault = 0;
    return fault;
}

/* Nanoseconds of the update of a parameter. */
static const double PARAMETER_NS = 0.2;

double plan_forward_time(const struct schuss_plan *plan, ptrdiff_t rows) { return plan->row_time * (double)rows; }

double plan_step_time(const struct schuss_plan *plan, ptrdiff_t rows) {
    return 3 * plan_forward_time(plan, rows) + PARAMETER_NS * plan->parameters;
}
