/* Tables whose gradient is summed by rows: those of which a batch touches some rows alone, and those that several nodes use. */
#include <stdint.h>

#include "../optim/rows.h"
#include "kept.h"
#include "net.h"

/* Nanoseconds of an entry, and of each of its elements: found, read, summed. */
static const double ENTRY_NS = 3, ELEMENT_NS = 0.1;

static int input_of(const struct schuss_net *net, const struct schuss_node *node) {
    return node->n_inputs ? node->inputs[0] : net->n_inputs;
}

int schuss_net_touches_rows(const struct schuss_net *net, int array, const unsigned char *compressed) {
    const struct kernels *kernels = schuss_kernels(net->dtype);
    const int first = net->arrays[array].node;
    if (net->nodes[first].first_array != array) return 0;
    for (int i = first; i; i = net->nodes[i].next_user) {
        const int input = input_of(net, &net->nodes[i]);
        if (!kernels->kinds[net->nodes[i].kind]->touches_rows || input >= net->n_inputs) return 0;
        if (net->nodes[input].storage == SCHUSS_REAL && !compressed[input]) return 0;
    }
    return 1;
}

/* The most entries that a node brings in a batch. */
static ptrdiff_t most_entries(const struct schuss_plan *plan, const struct schuss_node *node) {
    const struct schuss_net *net = plan->net;
    const int input = input_of(net, node);
    ptrdiff_t most;
    if (net->nodes[input].storage != SCHUSS_INDEX) return net->entries ? net->entries[input] : 0;
    if (__builtin_mul_overflow(plan->max_rows, node->positions, &most) ||
        __builtin_mul_overflow(most, net->nodes[input].channels, &most))
        return PTRDIFF_MAX / 2;
    return most;
}

/* What follows from the nodes that use it. */
static void size_table(const struct schuss_plan *plan, struct table *t) {
    const struct schuss_net *net = plan->net;
    ptrdiff_t rows = 0;
    for (int i = t->node; i; i = net->nodes[i].next_user) {
        const ptrdiff_t entries = most_entries(plan, &net->nodes[i]);
        t->most = entries < INT32_MAX && t->most < INT32_MAX ? t->most + entries : PTRDIFF_MAX / 2;
        if (net->nodes[net->nodes[i].inputs[0]].storage != SCHUSS_INDEX) rows += plan->max_rows;
    }
    if (t->most < 1) t->most = 1;
    t->aside = rows > LONG_K;
}

int plan_tables(struct schuss_plan *plan, const struct schuss_net *net, int passes, const unsigned char *wanted) {
    int n = 0;
    for (int k = 0; passes != SCHUSS_FORWARD_ONLY && k < net->n_arrays; k++) {
        const struct schuss_array *array = &net->arrays[k];
        const int want = !array->stepped ? SCHUSS_UNWANTED : wanted ? wanted[k] : SCHUSS_WANTED;
        if (!want || (want == SCHUSS_WANTED && array->users < 2)) continue;
        if (plan) {
            plan->tables[n] = (struct table){.array = k, .node = array->node, .rows = array->rows, .cols = array->cols,
                                             .dense = want == SCHUSS_WANTED, .late = want == SCHUSS_WANTED_LATE,
                                             .members = plan->tables[n].members};
            size_table(plan, &plan->tables[n]);
        }
        n++;
    }
    return n;
}

ptrdiff_t tables_bytes(const struct schuss_plan *plan) {
    ptrdiff_t bytes = 0;
    for (int k = 0; k < plan->n_tables; k++) {
        const struct table *t = &plan->tables[k];
        if (t->most > INT32_MAX / 4 || t->most > PTRDIFF_MAX / 64 / t->cols) return -1;
        bytes += table_bytes(t, plan->kernels->item, plan->threads);
    }
    return bytes;
}

void tables_lay(struct schuss_plan *plan, char *memory) {
    for (int k = 0; k < plan->n_tables; k++) {
        table_lay(&plan->tables[k], plan->kernels->item, plan->threads, memory);
        memory += table_bytes(&plan->tables[k], plan->kernels->item, plan->threads);
    }
}

double table_time(const struct schuss_plan *plan, const struct table *t) {
    return (double)t->most / (double)plan->max_rows * (ENTRY_NS + ELEMENT_NS * (double)t->cols);
}

/* The member's rows make the steps that they have missed, before anybody reads them. */
static void bring_up_to_date(const struct schuss_plan *plan, const struct table *t, const struct outside *outside,
                             const struct team *me, void *scratch) {
    const struct schuss_train *train = outside->train;
    const struct schuss_segment *s = &train->step->segments[train->segments[t->array]];
    const struct rows_history *history = rows_history_of(train->step, s->group);
    const struct touched *own = &t->members[me->index];
    if (history) rows_catch_up(plan->kernels, s, history, history->first + history->n - 1, own->n, own->rows, scratch);
}

void table_group(struct schuss_plan *plan, struct table *t, const struct outside *outside, struct team *me) {
    if (t->late && me->count > 1) team_wait(me); /* for member 0, who adds the step before to the history */
    const struct here *first = &plan->members[me->index * plan->net->n_nodes + t->node].here;
    struct entries inputs[SCHUSS_MAX_INPUTS];
    int n = 0;
    for (const struct here *h = first; h; h = h->next_user)
        inputs[n++] = (struct entries){.rows = outside->rows * h->node->positions, .n = h->channels, .codes = h->x.at,
                                       .compressed = h->compressed, .order = h->order};
    group_entries(t, inputs, n, me->index, me->count, first->arrays[0], t->cols * plan->kernels->item, first->scratch);
    if (t->late) bring_up_to_date(plan, t, outside, me, first->scratch);
    if (outside->train && outside->train->n_kept) keep_rows(outside->train, t, me);
}
