/* The buffers of a plan: what each call reads and writes, from that their lifetimes, and from these their places. */
#include "plan.h"

#include <limits.h>

/* ---- accesses ---------------------------------------------------------------------------------------------------- */

/* Adds an access to a list, whose new end it returns. A part of a concatenation has its DATA and DELTA within the
 * concatenation's. */
static struct access *note(struct access *to, const struct schuss_plan *plan, int node, enum buffer_role role,
                           int writes, int all) {
    if (role == DATA || role == DELTA) node = root_of(plan->net, node);
    if (role == ARRAYS && plan->net->nodes[node].n_arrays) node = plan->net->arrays[plan->net->nodes[node].first_array].node;
    *to = (struct access){node, role, writes, all};
    return to + 1;
}

int call_accesses(const struct schuss_plan *plan, int number, int by_columns, struct access *list) {
    const struct call *call = &plan->calls[number];
    const int i = call->node;
    const struct schuss_node *node = &plan->net->nodes[i];
    const struct node_plan *p = &plan->nodes[i];
    const struct kind *kind = call->kind;
    struct access *to = list;
    switch (call->type) {
    case CALL_FORWARD:
        to = note(to, plan, plan->net->nodes[p->maker].inputs[0], DATA, 0, by_columns);
        to = note(to, plan, i, ARRAYS, kind->sharing == SHARES_COLUMNS, 1);
        to = note(to, plan, i, KEPT, 1, by_columns);
        to = note(to, plan, i, DATA, 1, by_columns);
        to = note(to, plan, i, MASK, 0, by_columns);
        if (p->buffers[VALUES].used) to = note(to, plan, i, VALUES, 1, by_columns);
        if (node->residual >= 0) to = note(to, plan, node->residual, DATA, 0, by_columns);
        break;
    case CALL_GROUP:
        to = note(to, plan, node->inputs[0], DATA, 0, 1); /* all inputs are gathered together */
        if (table_of(plan, i)->late) to = note(to, plan, i, ARRAYS, 1, 1);
        break;
    case CALL_DRAW: to = note(to, plan, i, MASK, 1, 0); break;
    case CALL_END: to = note(to, plan, i, DATA, 1, 0); break;
    case CALL_LOSS:
        to = note(to, plan, i, DATA, 0, 0);
        to = note(to, plan, i, DELTA, 1, 0);
        if (node->members > 1) to = note(to, plan, i, KEPT, 1, 0);
        break;
    case CALL_OUTPUT: break;
    case CALL_ADD: to = note(to, plan, i, gradient_role(plan, i), 0, 0); break;
    case CALL_DOWN:
        to = note(to, plan, i, DELTA, 0, by_columns);
        to = note(to, plan, i, ARRAYS, 0, 1);
        to = note(to, plan, i, KEPT, kind->sharing == SHARES_COLUMNS, by_columns);
        if (kind->backward_reads & DOWN_READS_INPUT) to = note(to, plan, node->inputs[0], DATA, 0, by_columns);
        break;
    default: /* CALL_GRADIENTS */
        to = note(to, plan, i, DELTA, 0, 1);
        to = note(to, plan, i, KEPT, 0, 1);
        to = note(to, plan, i, ARRAYS, 1, 1);
        if (kind->backward_reads & GRADIENTS_READ_INPUT) to = note(to, plan, node->inputs[0], DATA, 0, 1);
    }
    return (int)(to - list);
}

int user_accesses(const struct schuss_plan *plan, int user, struct access *list) {
    struct access *to = note(list, plan, user, DELTA, 0, 1);
    to = note(to, plan, plan->net->nodes[user].inputs[0], DATA, 0, 1);
    return (int)(to - list);
}

int link_accesses(const struct schuss_plan *plan, const struct link *link, int by_columns, struct access *list) {
    const int v = link->value;
    const struct node_plan *p = &plan->nodes[v];
    struct access *to = note(list, plan, v, DELTA, 1, by_columns);
    if (link->start >= 0) to = note(to, plan, link->start, gradient_role(plan, link->start), 0, by_columns);
    if (!link->finishes) return (int)(to - list);
    if (!end_is_trivial(&plan->net->nodes[v], p) && plan->net->nodes[v].n_inputs)
        to = note(to, plan, v, values_role(plan, v), 0, by_columns);
    else if (plan->net->nodes[v].activation == SCHUSS_SOFTMAX) to = note(to, plan, v, DATA, 0, by_columns);
    if (!shows_mask(&plan->net->nodes[v])) to = note(to, plan, v, MASK, 0, by_columns);
    to = note(to, plan, v, RAW, 1, by_columns);
    return (int)(to - list);
}

/* ---- sizes ------------------------------------------------------------------------------------------------------- */

/* Elements from row to row of a buffer with n columns. Rows a large power of two apart meet in the same cache sets. */
static ptrdiff_t row_stride(ptrdiff_t n, ptrdiff_t item) {
    return n * item > 1024 && n * item % 1024 == 0 ? n + 64 / item : n;
}

/* Which buffers there are, and how long their rows are. */
static void size_up(struct schuss_plan *plan) {
    const struct schuss_net *net = plan->net;
    const ptrdiff_t item = plan->kernels->item;
    const int backward = plan->passes != SCHUSS_FORWARD_ONLY, last = net->n_nodes - 1;
    for (int i = 0; i < net->n_nodes; i++) {
        const struct schuss_node *node = &net->nodes[i];
        struct node_plan *p = &plan->nodes[i];
        struct buffer *b = p->buffers;
        const int root = root_of(net, i) == i, input = node->n_inputs == 0;
        const int changes = pointwise_activation(node) != SCHUSS_IDENTITY;
        const ptrdiff_t columns = value_columns(plan, i), row = i == last ? columns : row_stride(columns, item);
        b[DATA] = (struct buffer){.used = root, .outside = input, .row = input ? node->channels : row};
        b[DELTA] = (struct buffer){.used = root && p->reaches, .outside = input, .row = input ? node->channels : row};
        p->values_activated = changes && !schuss_slope_needs_input(node->activation);
        const int overwritten = schuss_slope_needs_input(node->activation) || (p->drops && !shows_mask(node)) ||
                                node->residual >= 0;
        b[VALUES] = (struct buffer){.used = backward && p->reaches && changes && overwritten, .row = row};
        b[MASK] = (struct buffer){.used = p->drops, .row = (MASK_BYTES(columns) + item - 1) / item};
        b[RAW] = (struct buffer){.used = p->reaches && node->residual >= 0 && plan->nodes[node->residual].reaches &&
                                         !end_is_trivial(node, p),
                                 .row = row};
        b[KEPT] = (struct buffer){.used = backward && p->needs.kept > 0, .bytes = p->needs.kept};
        b[ARRAYS] = (struct buffer){.used = node->n_arrays > 0, .outside = 1};
        for (int role = 0; role < BUFFER_ROLES; role++) b[role].positions = node->positions;
    }
}

/* ---- lifetimes --------------------------------------------------------------------------------------------------- */

/* The n accesses of `list` are made by this call, so the buffers live until then. */
static void live(struct schuss_plan *plan, const struct access *list, int n, int call) {
    for (int k = 0; k < n; k++) {
        struct buffer *b = buffer_of(plan, list[k].node, list[k].role);
        if (b->first < 0) b->first = call;
        b->last = call;
        /* A backward pass may be repeated, so what it reads of the forward pass is never free again. */
        if (plan->passes == SCHUSS_BACKWARD && call > plan->loss_call && b->first < plan->loss_call) b->last = INT_MAX;
    }
}

static void find_lifetimes(struct schuss_plan *plan) {
    struct access list[MOST_ACCESSES];
    for (int i = 0; i < plan->net->n_nodes; i++)
        for (int role = 0; role < BUFFER_ROLES; role++) plan->nodes[i].buffers[role].first = -1;
    for (int c = 0; c < plan->n_calls; c++) {
        const struct call *call = &plan->calls[c];
        live(plan, list, call_accesses(plan, c, 0, list), c);
        for (int k = 0; k < call->n_links; k++)
            live(plan, list, link_accesses(plan, &plan->links[call->first_link + k], 0, list), c);
        for (int user = next_user(plan, call, 0); user; user = next_user(plan, call, user))
            live(plan, list, user_accesses(plan, user, list), c);
    }
    struct buffer *output = buffer_of(plan, plan->net->n_nodes - 1, DATA);
    if (output->last < plan->loss_call) output->last = plan->loss_call;
}

/* ---- places ------------------------------------------------------------------------------------------------------ */

/* Whether memory may be used again within a pass. Where members go through all layers with rows of their own, one may
 * be some layers ahead of another: what it writes there the other may still read. */
static int reuses(const struct schuss_plan *plan) { return plan->passes == SCHUSS_FORWARD_ONLY || !plan->by_rows; }

/* Whether a member may be a layer ahead of another, and writes its rows where that one has others; see align_rows(). */
static int runs_ahead(const struct schuss_plan *plan) {
    return plan->passes == SCHUSS_FORWARD_ONLY && plan->threads > 1;
}

/* The slot for a buffer b, given the bytes size[n_slots] of all slots, the last call last[n_slots] that uses each and the
 * positions of the rows in it. Of the free slots it is the smallest that is large enough; else the largest, which then
 * grows. Where none is free it is a new one, number n_slots. */
static int slot_for(const struct schuss_plan *plan, const struct buffer *b, int n_slots, const ptrdiff_t *size,
                    const int *last, const ptrdiff_t *positions) {
    int best = n_slots;
    for (int s = 0; s < n_slots && reuses(plan); s++) {
        if (last[s] >= b->first || (runs_ahead(plan) && positions[s] != b->positions)) continue;
        if (best == n_slots) best = s;
        else if (size[best] < b->bytes ? size[s] > size[best] : size[s] >= b->bytes && size[s] < size[best]) best = s;
    }
    return best;
}

/* The buffer whose life begins next after that of `before` (NULL: which begins first). NULL: there is none. */
static struct buffer *next_born(const struct schuss_plan *plan, const struct buffer *before) {
    struct buffer *found = NULL;
    for (int i = 0; i < plan->net->n_nodes; i++)
        for (int role = 0; role < BUFFER_ROLES; role++) {
            struct buffer *b = buffer_of(plan, i, role);
            if (!has_place(b)) continue;
            if (before && (b->first < before->first || (b->first == before->first && b <= before))) continue;
            if (!found || b->first < found->first) found = b;
        }
    return found;
}

/* In a plan for forward passes buffers share memory, and a member with rows of its own may be a layer ahead of
 * another. They do not meet if row i lies at the same bytes in all buffers of a slot, so all have as many positions, and
 * these are as long as the longest. */
static void align_rows(struct schuss_plan *plan, int n_slots, ptrdiff_t *longest) {
    if (!runs_ahead(plan)) return;
    for (int s = 0; s < n_slots; s++) longest[s] = 0;
    for (int set = 0; set < 2; set++)
        for (int i = 0; i < plan->net->n_nodes - 1; i++) {
            struct buffer *b = buffer_of(plan, i, DATA);
            if (!has_place(b)) continue;
            if (set) b->row = longest[b->slot];
            else if (b->row > longest[b->slot]) longest[b->slot] = b->row;
        }
}

ptrdiff_t plan_buffers(struct schuss_plan *plan) {
    const ptrdiff_t item = plan->kernels->item;
    const int n = plan->net->n_nodes;
    int n_slots = 0;
    size_up(plan);
    find_lifetimes(plan);
    /* The list of slots lies where the members' lists will be, which are longer. */
    ptrdiff_t *size = (ptrdiff_t *)(void *)plan->members, *positions = size + (ptrdiff_t)n * BUFFER_ROLES;
    int *last = (int *)(positions + (ptrdiff_t)n * BUFFER_ROLES);
    for (struct buffer *b = next_born(plan, NULL); b; b = next_born(plan, b)) {
        if (b->row && (__builtin_mul_overflow(plan->max_rows, b->row, &b->bytes) ||
                       __builtin_mul_overflow(b->bytes, b->positions, &b->bytes) ||
                       __builtin_mul_overflow(b->bytes, item, &b->bytes)))
            return -1;
        b->slot = slot_for(plan, b, n_slots, size, last, positions);
        if (b->slot == n_slots) size[n_slots++] = 0;
        positions[b->slot] = b->positions;
        if (size[b->slot] < b->bytes) size[b->slot] = b->bytes;
        last[b->slot] = b->last;
    }
    ptrdiff_t used = 0;
    for (int s = 0; s < n_slots; s++) {
        ptrdiff_t end;
        if (__builtin_add_overflow(used, size[s], &end) || __builtin_add_overflow(end, 63, &end)) return -1;
        size[s] = used; /* from now on: where it begins */
        used = end / 64 * 64;
    }
    for (int i = 0; i < n; i++)
        for (int role = 0; role < BUFFER_ROLES; role++) {
            struct buffer *b = buffer_of(plan, i, role);
            if (has_place(b)) b->at = size[b->slot];
        }
    const ptrdiff_t of_tables = tables_bytes(plan);
    plan->tables_at = used;
    if (of_tables < 0 || __builtin_add_overflow(used, of_tables, &used)) return -1;
    ptrdiff_t scratch;
    if (__builtin_mul_overflow(plan->scratch_each, (ptrdiff_t)plan->threads, &scratch) ||
        __builtin_add_overflow(used, scratch, &scratch))
        return -1;
    align_rows(plan, n_slots, size);
    /* The members' lists are expected to be zero before they are filled. */
    for (ptrdiff_t k = 0; k < (ptrdiff_t)n * BUFFER_ROLES; k++) size[k] = positions[k] = last[k] = 0;
    return scratch;
}
