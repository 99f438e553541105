/* Arrays that have no gradient in a step, and clocks that fall behind. Arrays of one clock part when some of them are absent,
 * and are of one again when they have made equally many steps and remember the same. No clock is without arrays, but the
 * first of a group that has none. So there are never more clocks than groups and arrays. A group's first array is of the
 * clock that has the group's number; the others are in the order of their first arrays, so sums over clocks do not depend on
 * how they came to be. */
#include "clocks.h"

#include <string.h>

#include "../pool.h"
#include "constants.h"
#include "rule.h"

enum {
    ELEMENTS_PER_THREAD = 16384, /* Fewer are not worth waking a thread. */
    UNIT = 64                    /* Shares are cut at multiples of so many elements. */
};

void clocks_present(struct schuss_step *step) {
    for (int i = 0; i < step->n_clocks; i++) step->clocks[i].present = 0;
    for (int i = 0; i < step->n_segments; i++)
        if (!step->segments[i].absent) step->clocks[step->segments[i].clock].present = 1;
}

/* ---- averages ---- */

/* An average of an array that stays as it is. */
struct going_on {
    const struct kernels *kernels;
    ptrdiff_t n;
    double weight;
    const char *p;
    char *average;
};

static void go_on_share(void *context, int index, int count) {
    const struct going_on *a = context;
    const ptrdiff_t first = share_start(a->n, UNIT, index, count), n = share_start(a->n, UNIT, index + 1, count) - first;
    const ptrdiff_t at = first * a->kernels->item;
    if (a->weight == 1) memcpy(a->average + at, a->p + at, (size_t)(n * a->kernels->item));
    else a->kernels->move_towards(n, a->weight, a->p + at, a->average + at);
}

/* Elements of an array, whatever n says. */
static ptrdiff_t size_of(const struct schuss_segment *s) {
    ptrdiff_t n = 1;
    for (int k = 0; k < s->ndim; k++) n *= s->shape[k];
    return n;
}

/* LOOKAHEAD would move the parameters: it waits. */
static void averages_go_on(const struct schuss_step *step, const struct schuss_segment *s) {
    for (int k = 0; k < SCHUSS_MAX_AVERAGES; k++) {
        struct going_on a = {schuss_kernels(step->dtype), size_of(s), 0, s->p, s->average[k]};
        a.weight = optimizer_average_weight(&step->averages[k], step->t);
        if (a.weight == 0 || a.n == 0 || step->averages[k].kind == SCHUSS_LOOKAHEAD) continue;
        schuss_parallel(threads_for((double)a.n, ELEMENTS_PER_THREAD, schuss_get_num_threads()), go_on_share, &a);
    }
}

/* ---- clocks ---- */

/* Whether two clocks of a group count the same and remember the same. */
static int is_same(const struct schuss_step *step, const struct schuss_clock *a, const struct schuss_memory *m,
                   const struct schuss_clock *b, const struct schuss_memory *n) {
    if (a->group != b->group || a->behind != b->behind) return 0;
    const struct rule *rule = optimizer_rules[step->groups[a->group].rule];
    for (int place = 0; place < SCHUSS_MEMORY && rule->memory[place]; place++)
        if (memcmp(&m->now[place], &n->now[place], sizeof m->now[place]) != 0) return 0;
    return 1;
}

/* The first clock before number `end`, but for number `but`, that is the same as this one; -1: none. */
static int find(const struct schuss_step *step, const struct schuss_clock *clock, const struct schuss_memory *memory,
                int end, int but) {
    for (int i = 0; i < end; i++)
        if (i != but && is_same(step, clock, memory, &step->clocks[i], &step->memories[i])) return i;
    return -1;
}

/* What a clock that has made the step was before it, one step behind. */
static void before_the_step(const struct schuss_step *step, int number, struct schuss_clock *clock,
                            struct schuss_memory *memory) {
    const struct rule *rule = optimizer_rules[step->groups[step->clocks[number].group].rule];
    *clock = step->clocks[number];
    *memory = step->memories[number];
    clock->behind++;
    if (!rule->advance) return;
    memory->step--;
    if (!rule->finish_all) memcpy(memory->now, memory->before, sizeof memory->now); /* else it is of all arrays */
}

/* The clock of arrays that part from this one, whose other arrays have made the step. */
static int clock_behind(struct schuss_step *step, int number) {
    struct schuss_clock clock;
    struct schuss_memory memory;
    before_the_step(step, number, &clock, &memory);
    const int found = find(step, &clock, &memory, step->n_clocks, number);
    if (found >= 0) return found;
    step->clocks[step->n_clocks] = clock;
    step->memories[step->n_clocks] = memory;
    return step->n_clocks++;
}

static void rename_clock(struct schuss_step *step, int from, int to) {
    for (int i = 0; i < step->n_segments; i++)
        if (step->segments[i].clock == from) step->segments[i].clock = to;
}

/* Clocks that are the same become one. */
static void join(struct schuss_step *step) {
    for (int i = step->n_clocks - 1; i >= step->n_groups; i--) {
        const int same = find(step, &step->clocks[i], &step->memories[i], i, i);
        if (same < 0) continue;
        const int last = --step->n_clocks;
        rename_clock(step, i, same);
        if (last == i) continue;
        rename_clock(step, last, i);
        step->clocks[i] = step->clocks[last];
        step->memories[i] = step->memories[last];
    }
}

static void exchange(struct schuss_step *step, int a, int b) {
    const struct schuss_clock clock = step->clocks[a];
    const struct schuss_memory memory = step->memories[a];
    step->clocks[a] = step->clocks[b];
    step->memories[a] = step->memories[b];
    step->clocks[b] = clock;
    step->memories[b] = memory;
    for (int i = 0; i < step->n_segments; i++) {
        int *of = &step->segments[i].clock;
        *of = *of == a ? b : *of == b ? a : *of;
    }
}

static void put_in_order(struct schuss_step *step) {
    int next = step->n_groups;
    for (int i = 0; i < next; i++) step->clocks[i].present = 0;
    for (int i = 0; i < step->n_segments; i++) { /* `present` says which groups have been met */
        const struct schuss_segment *s = &step->segments[i];
        const int met = step->clocks[s->group].present;
        if (!met && s->clock != s->group) exchange(step, s->group, s->clock);
        step->clocks[s->group].present = 1;
    }
    for (int i = 0; i < step->n_segments; i++) {
        const int clock = step->segments[i].clock;
        if (clock > next) exchange(step, clock, next);
        if (clock >= next) next++;
    }
}

void clocks_leave_out(struct schuss_step *step) {
    const int n = step->n_clocks;
    for (int i = 0; i < step->n_segments; i++)
        if (step->segments[i].absent) averages_go_on(step, &step->segments[i]);
    for (int i = 0; i < n; i++)
        if (!step->clocks[i].present) step->clocks[i].behind++;
    for (int i = 0; i < step->n_segments; i++) {
        struct schuss_segment *s = &step->segments[i];
        if (s->absent && s->clock < n && step->clocks[s->clock].present) s->clock = clock_behind(step, s->clock);
    }
    join(step);
    put_in_order(step);
}
