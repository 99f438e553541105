/* One optimizer step over many arrays: constants once, then the segments, split over threads by elements. */
#include <math.h>

#include "../pool.h"
#include "optim.h"

enum {
    ELEMENTS_PER_THREAD = 16384, /* fewer are not worth waking a thread */
    UNIT = 64                    /* shares are cut at multiples of so many elements */
};

void optimizer_prepare(const struct schuss_step *step) {
    for (int i = 0; i < step->n_groups; i++) {
        struct schuss_group *g = &step->groups[i];
        const double base[2] = {g->beta1, g->beta2};
        for (int k = 0; k < 2; k++) {
            if (g->squared[k] == base[k]) continue;
            double power = g->squared[k] = base[k];
            for (int bit = 0; bit < SCHUSS_STEP_BITS; bit++, power *= power) g->squares[k][bit] = power;
        }
    }
}

/* beta1^exponent and beta2^exponent by squaring: the same bits on every platform, unlike pow(). */
static void powers(const struct schuss_group *g, int64_t exponent, double *result) {
    double x = 1, y = 1;
    for (uint64_t bits = (uint64_t)exponent; bits; bits &= bits - 1) {
        const int bit = __builtin_ctzll(bits);
        x *= g->squares[0][bit];
        y *= g->squares[1][bit];
    }
    result[0] = x;
    result[1] = y;
}

void optimizer_constants(const struct schuss_step *step, const struct schuss_group *g, int64_t t, double norm_factor,
                         struct rule_constants *constants) {
    *constants = (struct rule_constants){
        .rule = g->rule,
        .nesterov = g->nesterov,
        .centered = g->centered,
        .amsgrad = g->amsgrad,
        .first = t == 1,
        .step_size = g->lr,
        .momentum = g->momentum,
        .one_minus_dampening = 1 - g->dampening,
        .one_minus_beta1 = 1 - g->beta1,
        .beta2 = g->beta2,
        .one_minus_beta2 = 1 - g->beta2,
        .sqrt_correction = 1,
        .eps = g->eps,
        .scale = g->maximize ? -norm_factor : norm_factor,
        .clip_value = step->clip_value,
        .grad_scale = step->grad_scale,
        .l2 = g->decoupled ? 0 : g->weight_decay,
        .keep = g->decoupled ? 1 - g->lr * g->weight_decay : 1,
    };
    if (g->rule == SCHUSS_ADAGRAD) constants->step_size = g->lr / (1 + (double)(t - 1) * g->lr_decay);
    if (g->rule == SCHUSS_ADAM) {
        double power[2];
        powers(g, t, power);
        constants->step_size = g->lr / (1 - power[0]);
        constants->sqrt_correction = 1 / sqrt(1 - power[1]);
    }
}

int optimizer_takes_pieces(const struct schuss_step *step) { return !(step->clip_norm > 0) && !step->check_first; }

static void *at(const void *array, ptrdiff_t element, ptrdiff_t item) {
    return array ? (char *)(uintptr_t)array + element * item : NULL;
}

/* The pieces of arrays that make up elements [first, end) of all arrays laid end to end. */
struct pieces {
    const struct schuss_step *step;
    ptrdiff_t first, end;
    int next;                             /* segment to look at */
    ptrdiff_t start;                      /* where it begins */
    const struct schuss_segment *segment; /* the piece: its elements [from, to) */
    ptrdiff_t from, to;
};

static struct pieces pieces_of(const struct optimizer_walk *w, int part, int parts) {
    return (struct pieces){.step = w->step,
                           .first = share_start(w->total, UNIT, part, parts),
                           .end = share_start(w->total, UNIT, part + 1, parts)};
}

static int next_piece(struct pieces *p) {
    while (p->next < p->step->n_segments && p->start < p->end) {
        p->segment = &p->step->segments[p->next++];
        p->from = p->first > p->start ? p->first - p->start : 0;
        p->to = p->end - p->start < p->segment->n ? p->end - p->start : p->segment->n;
        p->start += p->segment->n;
        if (p->from < p->to) return 1;
    }
    return 0;
}

static void update_pieces(struct optimizer_walk *w, double norm_factor, int index, int count) {
    const ptrdiff_t item = w->kernels->item;
    struct rule_constants c;
    int group = -1, nonfinite = 0;
    for (struct pieces p = pieces_of(w, index, count); next_piece(&p);) {
        const struct schuss_segment *s = p.segment;
        if (s->group != group) {
            group = s->group;
            optimizer_constants(w->step, &w->step->groups[group], w->step->t, norm_factor, &c);
        }
        void *states[SCHUSS_MAX_STATES];
        for (int k = 0; k < SCHUSS_MAX_STATES; k++) states[k] = at(s->s[k], p.from, item);
        w->kernels->step(p.to - p.from, at(s->p, p.from, item), at(s->g, p.from, item), states, &c, &nonfinite);
    }
    if (nonfinite) atomic_store_explicit(&w->nonfinite, 1, memory_order_relaxed);
}

static void update_share(void *context, int index, int count) {
    struct optimizer_walk *w = context;
    update_pieces(w, w->norm_factor, index, count);
}

/* Reads this share of the parts before the update: sums of squares, and whether all is finite. For the norm a part is
 * a fixed range of elements; without it every thread has one part. */
static void read_share(void *context, int index, int count) {
    struct optimizer_walk *w = context;
    const struct schuss_step *step = w->step;
    const int parts = step->clip_norm > 0 ? OPTIMIZER_PARTS : count;
    for (int part = index * parts / count; part < (index + 1) * parts / count; part++) {
        double sum = 0;
        int nonfinite = 0;
        for (struct pieces p = pieces_of(w, part, parts); next_piece(&p);) {
            const void *g = at(p.segment->g, p.from, w->kernels->item);
            if (step->clip_norm > 0)
                sum += w->kernels->sum_squares(p.to - p.from, g, step->grad_scale, step->clip_value);
            nonfinite |= w->kernels->any_nonfinite(p.to - p.from, g); /* clip_value would hide infinities */
        }
        if (step->clip_norm > 0) w->part[part] = sum; /* there may be more threads than room */
        if (nonfinite) atomic_store_explicit(&w->nonfinite, 1, memory_order_relaxed);
    }
}

/* What was read of all gradients: whether it is finite, their norm, and the factor that clips it. */
static int looked_at(const struct optimizer_walk *w, double *norm, double *factor) {
    const double most = w->step->clip_norm;
    double sum = 0;
    for (int i = 0; most > 0 && i < OPTIMIZER_PARTS; i++) sum += w->part[i];
    *norm = sqrt(sum);
    /* torch's clip_grad_norm_ has the same guard against a norm of zero */
    *factor = most > 0 && most < *norm + 1e-6 ? most / (*norm + 1e-6) : 1;
    return isfinite(sum) && !atomic_load_explicit(&w->nonfinite, memory_order_relaxed);
}

void optimizer_walk_begin(struct optimizer_walk *w, struct schuss_step *step) {
    w->step = step;
    w->kernels = schuss_kernels(step->dtype);
    w->total = 0;
    for (int i = 0; i < step->n_segments; i++) w->total += step->segments[i].n;
    w->norm_factor = 1;
    atomic_store_explicit(&w->nonfinite, 0, memory_order_relaxed);
}

int optimizer_walk_member(struct optimizer_walk *w, struct team *me) {
    double norm, factor = 1;
    if (!optimizer_takes_pieces(w->step)) {
        read_share(w, me->index, me->count);
        team_wait(me);
        const int finite = looked_at(w, &norm, &factor);
        if (me->index == 0 && w->step->clip_norm > 0) w->step->grad_norm = norm;
        if (!finite) return SCHUSS_NONFINITE;
    }
    update_pieces(w, factor, me->index, me->count);
    return SCHUSS_OK;
}

int schuss_optimizer_step(struct schuss_step *step) {
    struct optimizer_walk w;
    if (!schuss_kernels(step->dtype)) return SCHUSS_NO_ISA;
    optimizer_prepare(step);
    optimizer_walk_begin(&w, step);
    int threads = schuss_get_num_threads();
    threads = threads_for((double)w.total, ELEMENTS_PER_THREAD, threads < OPTIMIZER_PARTS ? threads : OPTIMIZER_PARTS);
    if (!optimizer_takes_pieces(step)) {
        double norm;
        schuss_parallel(threads, read_share, &w);
        step->nonfinite = !looked_at(&w, &norm, &w.norm_factor);
        if (step->nonfinite) return SCHUSS_NONFINITE;
        if (step->clip_norm > 0) step->grad_norm = norm;
    }
    schuss_parallel(threads, update_share, &w);
    step->nonfinite = atomic_load_explicit(&w.nonfinite, memory_order_relaxed);
    return SCHUSS_OK;
}
