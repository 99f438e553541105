/* The arrays of MATRIX rules, whose kernels step them whole. Large ones are stepped by all members of a team together,
 * one after the other; then small ones by one member each, at the same time. Which it is does not change what comes
 * out. */
#include "arrays.h"

#include "constants.h"
#include "rule.h"

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
        if (time < TOGETHER) step->scratch_each = most(step->scratch_each, kernels->array_scratch(g, s, 1));
        else together = most(together, kernels->array_scratch(g, s, threads));
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

/* One array, by all members of me. */
static void update_array(struct array_walk *a, const struct schuss_segment *s, char *scratch, struct team *me) {
    if (s->clock != a->clock)
        optimizer_constants(a->step, s->clock, a->step->t, a->norm_factor, &a->constants);
    a->clock = s->clock;
    a->kernels->array(s, &a->constants, scratch, me, &a->nonfinite);
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
