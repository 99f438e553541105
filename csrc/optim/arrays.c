/* The arrays of MATRIX rules, whose kernels step them whole. Large ones are stepped by all members of a team together,
 * one after the other; then small ones by one member each, at the same time. Which it is does not change what comes
 * out. */
#include "arrays.h"

#include <string.h>

#include "constants.h"
#include "rule.h"
#include "stored.h"

enum { TOGETHER = 100000 /* An array of fewer nanoseconds on one thread is not shared. */ };

/* Nanoseconds, roughly, that one thread needs for the array; 0: no MATRIX rule steps it. */
static double time_of(const struct schuss_step *step, const struct schuss_segment *s) {
    const struct schuss_group *g = &step->groups[s->group];
    const struct rule *rule = optimizer_rules[g->rule];
    return rule->time && s->n ? rule->time(g, s) : 0;
}

double optimizer_arrays_time(const struct schuss_step *step) {
    double time = 0;
    for (int i = 0; i < step->n_segments; i++) time += time_of(step, &step->segments[i]);
    return time;
}

static ptrdiff_t most(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

enum { LINE = 64 };

/* Bytes of an array of the dtype as it lies in scratch. */
static ptrdiff_t room_bytes(const struct kernels *kernels, ptrdiff_t n) { return (n * kernels->item + LINE - 1) / LINE * LINE; }

/* What is widened of an array that is not of the dtype, before its rule steps it: parameters, gradient and states of their
 * shape, in this order. */
struct widened {
    int n;
    struct {
        int format, slot; /* slot: of a state; -1: parameters, -2: the gradient, as in rounding_of() */
        void *there, *more;
        void **here;
    } array[2 + SCHUSS_MAX_STATES];
    struct schuss_segment plain;
};

static void add_widened(struct widened *w, int format, int dtype, int slot, void *there, void *more, void **here) {
    if (!there || format == dtype) return;
    w->array[w->n].format = format;
    w->array[w->n].slot = slot;
    w->array[w->n].there = there;
    w->array[w->n].more = more;
    w->array[w->n++].here = here;
}

static void widened_of(struct widened *w, const struct schuss_segment *s, int dtype) {
    const struct schuss_stored *as = s->stored;
    w->n = 0;
    w->plain = *s;
    w->plain.stored = NULL;
    add_widened(w, as->p, dtype, -1, s->p, as->low, &w->plain.p);
    add_widened(w, as->g, dtype, -2, s->g, NULL, &w->plain.g);
    for (int k = 0; k < SCHUSS_MAX_STATES; k++) add_widened(w, as->s[k], dtype, k, s->s[k], as->scale[k], &w->plain.s[k]);
}

/* Bytes of scratch of a segment. Its gradient may come in any format. */
static ptrdiff_t widened_bytes(const struct schuss_segment *s, const struct kernels *kernels) {
    struct widened w;
    if (!s->stored) return 0;
    widened_of(&w, s, kernels->dtype);
    return (w.n + 1) * room_bytes(kernels, s->n);
}

/* Bytes of the members' own rooms, after which the room that they share begins. */
static ptrdiff_t own_scratch(const struct schuss_step *step) { return step->threads * step->scratch_each; }

ptrdiff_t schuss_step_scratch(struct schuss_step *step, int threads) {
    const struct kernels *kernels = schuss_kernels(step->dtype);
    ptrdiff_t together = 0;
    step->threads = threads;
    step->scratch_each = 0;
    for (int i = 0; i < step->n_segments; i++) {
        const struct schuss_segment *s = &step->segments[i];
        const double time = time_of(step, s);
        const struct schuss_group *g = &step->groups[s->group];
        if (!(time > 0)) continue;
        if (time < TOGETHER) step->scratch_each = most(step->scratch_each, widened_bytes(s, kernels) + kernels->array_scratch(g, s, 1));
        else together = most(together, widened_bytes(s, kernels) + kernels->array_scratch(g, s, threads));
    }
    return own_scratch(step) + together;
}

/* What one member knows as it goes from array to array. */
struct array_walk {
    const struct schuss_step *step;
    const struct kernels *kernels;
    double norm_factor;
    int clock; /* The constants are of this one; -1: of none yet. */
    struct rule_constants constants;
    int nonfinite;
};

/* An array that is not of the dtype, by all members of me, each of whom widens and narrows a share of it. */
static void update_stored(struct array_walk *a, const struct schuss_segment *s, char *scratch, struct team *me) {
    struct widened w;
    const struct schuss_stored *as = s->stored;
    const struct kernels *kernels = a->kernels;
    const struct rule_constants *c = &a->constants;
    const ptrdiff_t from = share_start(s->n, BLOCK_8BIT, me->index, me->count);
    const ptrdiff_t n = share_start(s->n, BLOCK_8BIT, me->index + 1, me->count) - from;
    widened_of(&w, s, kernels->dtype);
    for (int k = 0; k < w.n; k++, scratch += room_bytes(kernels, s->n)) {
        const int format = w.array[k].format;
        *w.array[k].here = scratch;
        kernels->widen(format, n, stored_at(format, w.array[k].there, from), more_at(format, w.array[k].more, from),
                       scratch + from * kernels->item);
    }
    team_wait(me);
    kernels->array(&w.plain, c, scratch, me, &a->nonfinite);
    team_wait(me);
    for (int k = 0; k < w.n; k++) {
        const int format = w.array[k].format, slot = w.array[k].slot;
        const struct rounding r = rounding_of(as, slot, c->t, from);
        char *there = stored_at(format, w.array[k].there, from);
        if (slot != -2)
            kernels->narrow(format, n, (char *)*w.array[k].here + from * kernels->item, there,
                            more_at(format, w.array[k].more, from), &r);
        else if (c->zero_grad) memset(there, 0, (size_t)(n * format_bytes(format)));
    }
    if (as->copy) {
        const struct rounding r = rounding_of(as, -2, c->t, from);
        kernels->narrow(as->copy_format, n, (char *)w.plain.p + from * kernels->item, stored_at(as->copy_format, as->copy, from),
                        NULL, &r);
    }
}

/* One array, by all members of me. */
static void update_array(struct array_walk *a, const struct schuss_segment *s, char *scratch, struct team *me) {
    if (s->clock != a->clock)
        optimizer_constants(a->step, s->clock, a->step->t, a->norm_factor, &a->constants);
    a->clock = s->clock;
    if (s->stored) update_stored(a, s, scratch, me);
    else a->kernels->array(s, &a->constants, scratch, me, &a->nonfinite);
}

int optimizer_update_arrays(const struct schuss_step *step, const struct kernels *kernels, double norm_factor,
                            struct team *me) {
    struct array_walk a;
    double apart = 0, before = 0;
    a.step = step;
    a.kernels = kernels;
    a.norm_factor = norm_factor;
    a.clock = -1;
    a.nonfinite = 0;
    for (int i = 0; i < step->n_segments; i++) {
        const struct schuss_segment *s = &step->segments[i];
        const double time = time_of(step, s);
        if (time < TOGETHER) apart += time;
        else {
            update_array(&a, s, step->scratch + own_scratch(step), me);
            team_wait(me); /* The room is used again. */
        }
    }
    for (int i = 0; i < step->n_segments; i++) {
        const struct schuss_segment *s = &step->segments[i];
        const double time = time_of(step, s), middle = before + time / 2;
        struct team alone = {0, 1, 0, 0};
        if (!(time > 0) || time >= TOGETHER) continue;
        before += time;
        if ((int)(middle / apart * me->count) != me->index) continue;
        update_array(&a, s, step->scratch + me->index * step->scratch_each, &alone);
    }
    return a.nonfinite;
}
