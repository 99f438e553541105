/* The pointers that each member of a team has at each node: set once, when the plan gets its memory. */
#include "plan.h"

static ptrdiff_t round_up(ptrdiff_t bytes) { return (bytes + 63) / 64 * 64; }

/* How many parts the gradient by a node's input has, and that by its residual. */
static int parts_of_input(const struct schuss_net *net, const struct schuss_node *node) {
    return node->n_inputs ? net->nodes[node->inputs[0]].n_parts : 0;
}
static int parts_of_residual(const struct schuss_net *net, const struct schuss_node *node) {
    return node->residual >= 0 ? net->nodes[node->residual].n_parts : 0;
}

ptrdiff_t here_bytes(const struct schuss_net *net, int number, const struct node_plan *p, int threads) {
    const struct schuss_node *node = &net->nodes[number];
    const int parts = parts_of_input(net, node) + parts_of_residual(net, node);
    const int outputs = number == net->n_nodes - 1 ? node->n_parts : 0;
    return threads * (round_up(p->needs.prepared) + round_up(parts * (ptrdiff_t)sizeof(struct part)) +
                      round_up(outputs * (ptrdiff_t)sizeof(struct part)));
}

/* Rows of a buffer, NULL if it has no place. */
static struct matrix rows_of(const struct schuss_plan *plan, int node, enum buffer_role role) {
    const struct schuss_net *net = plan->net;
    const int holder = role == DATA || role == DELTA ? root_of(net, node) : node;
    const struct buffer *b = buffer_of(plan, holder, role);
    struct matrix m = {NULL, b->row};
    if (has_place(b)) m.at = plan->memory + b->at;
    if (m.at && holder != node) m.at = (char *)m.at + column_of(net, node) * plan->kernels->item;
    return m;
}

static struct matrix gradient_of(const struct schuss_plan *plan, int node) {
    return rows_of(plan, node, gradient_role(plan, node));
}

static struct part part_of(const struct schuss_plan *plan, const struct link *link) {
    const struct schuss_node *node = &plan->net->nodes[link->value];
    const struct node_plan *p = &plan->nodes[link->value];
    struct part part = {.value = link->value, .first = link->first, .n = link->n};
    part.d = rows_of(plan, link->value, DELTA);
    if (link->start == STARTS_OWN) part.start = part.d;
    if (link->start >= 0) part.start = gradient_of(plan, link->start);
    if (!link->finishes || node->n_inputs == 0 || end_is_trivial(node, p)) return part;
    const struct matrix values = rows_of(plan, link->value, values_role(plan, link->value));
    const struct matrix mask = rows_of(plan, link->value, MASK);
    const struct matrix raw = rows_of(plan, link->value, RAW);
    part.end = (struct tile_end){
        .kind = END_BACKWARD,
        .activation = pointwise_activation(node),
        .alpha = node->alpha,
        .values = values.at, .ld_values = values.ld,
        .dropout = p->drops ? &p->dropout : NULL,
        .mask = shows_mask(node) ? NULL : mask.at, .ld_mask = mask.ld * plan->kernels->item,
        .raw = raw.at, .ld_raw = raw.ld,
    };
    return part;
}

/* The end as a kind applies it to what it has computed: all but softmax. */
static struct tile_end forward_end(const struct schuss_plan *plan, int number) {
    const struct schuss_node *node = &plan->net->nodes[number];
    const struct node_plan *p = &plan->nodes[number];
    const struct matrix values = rows_of(plan, number, VALUES);
    const struct matrix mask = rows_of(plan, number, MASK);
    const struct matrix add = node->residual >= 0 ? rows_of(plan, node->residual, DATA) : (struct matrix){0};
    return (struct tile_end){
        .kind = END_FORWARD,
        .activation = pointwise_activation(node),
        .alpha = node->alpha,
        .values = values.at, .ld_values = values.ld, .values_activated = p->values_activated,
        .dropout = p->drops ? &p->dropout : NULL, .mask = mask.at, .ld_mask = mask.ld * plan->kernels->item,
        .add = add.at, .ld_add = add.ld,
    };
}

/* Array k of a node in an arena. */
static void *array_in(const struct schuss_plan *plan, void *arena, const struct schuss_node *node, int k) {
    return (char *)arena + plan->net->arrays[node->first_array + k].at * plan->kernels->item;
}

static void fill_member(struct schuss_plan *plan, int number, int member, char **rest) {
    const struct schuss_net *net = plan->net;
    const struct schuss_node *node = &net->nodes[number];
    const struct node_plan *p = &plan->nodes[number];
    struct member_node *m = &plan->members[member * net->n_nodes + number];
    struct here *h = &m->here;
    const struct schuss_node *maker = &net->nodes[p->maker];
    const struct kind *kind = plan->kernels->kinds[maker->kind];
    h->kernels = plan->kernels;
    h->passes = plan->passes;
    h->node = maker; /* of a concatenation too, where it is the network's value */
    if (!kind->forward) return;
    h->x = rows_of(plan, maker->inputs[0], DATA);
    h->channels = net->nodes[maker->inputs[0]].channels;
    h->positions = net->nodes[maker->inputs[0]].positions;
    h->ld_state = net->state;
    m->mask = rows_of(plan, number, MASK);
    h->y = rows_of(plan, number, DATA);
    h->end = forward_end(plan, number);
    h->dy = rows_of(plan, number, DELTA);
    m->raw = gradient_of(plan, number);
    for (int k = 0; k < maker->n_arrays; k++) {
        h->arrays[k] = array_in(plan, net->params, maker, k);
        h->gradients[k] = array_in(plan, net->grads, maker, k);
        h->wanted[k] = p->wanted[k];
    }
    h->table = table_of(plan, number);
    if (node->next_user) h->next_user = &plan->members[member * net->n_nodes + node->next_user].here;
    h->folded = maker == node ? NULL : node;
    for (int k = 0; h->folded && k < node->n_arrays; k++) h->folded_arrays[k] = array_in(plan, net->params, node, k);
    if (buffer_of(plan, number, KEPT)->used) h->kept = plan->memory + buffer_of(plan, number, KEPT)->at;
    h->scratch = plan->memory + plan->room - (plan->threads - member) * plan->scratch_each;
    h->prepared = *rest;
    *rest += round_up(p->needs.prepared);
    h->parts = (struct part *)(void *)*rest;
    m->to_added = h->parts + parts_of_input(net, node);
    *rest += round_up((parts_of_input(net, node) + parts_of_residual(net, node)) * (ptrdiff_t)sizeof(struct part));
    for (int c = 0; c < plan->n_calls; c++) {
        const struct call *call = &plan->calls[c];
        if (call->node != number || (call->type != CALL_DOWN && call->type != CALL_ADD)) continue;
        struct part *parts = call->type == CALL_DOWN ? h->parts : m->to_added;
        for (int k = 0; k < call->n_links; k++) parts[k] = part_of(plan, &plan->links[call->first_link + k]);
        if (call->type == CALL_DOWN) h->n_parts = call->n_links;
        else m->n_added = call->n_links;
    }
    if (kind->prepare) kind->prepare(h);
}

void plan_here(struct schuss_plan *plan) {
    const struct schuss_net *net = plan->net;
    const int n_outputs = net->nodes[net->n_nodes - 1].n_parts;
    char *rest = plan->rest;
    for (int member = 0; member < plan->threads; member++)
        for (int i = 0; i < net->n_nodes; i++) fill_member(plan, i, member, &rest);
    plan->outputs = (struct part *)(void *)rest;
    for (int c = 0; c < plan->n_calls; c++)
        if (plan->calls[c].type == CALL_OUTPUT)
            for (int k = 0; k < plan->calls[c].n_links && k < n_outputs; k++)
                plan->outputs[k] = part_of(plan, &plan->links[plan->calls[c].first_link + k]);
}
