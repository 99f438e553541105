/* Moving parameters towards a state, over threads. */
#include "../kernels.h"
#include "../pool.h"
#include "constants.h"
#include "pieces.h"

enum {
    ELEMENTS_PER_THREAD = 16384, /* fewer are not worth waking a thread */
    UNIT = 64,                   /* shares are cut at multiples of so many elements */
    ROOM = 512                   /* elements of an array that is not of the dtype, that are widened at a time */
};

struct move {
    const struct schuss_step *step;
    const struct kernels *kernels;
    int slot;
    const double *weights;
    ptrdiff_t total;
};

/* Elements [from, to) of an array that is not of the dtype. */
static void move_stored(const struct move *m, const struct schuss_segment *s, ptrdiff_t from, ptrdiff_t to) {
    _Alignas(64) double of_p[ROOM], of_target[ROOM];
    const struct schuss_stored *as = s->stored;
    const struct kernels *kernels = m->kernels;
    for (ptrdiff_t i = from; i < to; i += ROOM) {
        const ptrdiff_t n = to - i < ROOM ? to - i : ROOM;
        const int format = as->s[m->slot];
        const struct rounding of_rounding = rounding_of(as, -1, m->step->t, i), of_copy = rounding_of(as, -2, m->step->t, i);
        kernels->widen(as->p, n, stored_at(as->p, s->p, i), more_at(as->p, as->low, i), of_p);
        kernels->widen(format, n, stored_at(format, s->s[m->slot], i), more_at(format, as->scale[m->slot], i), of_target);
        kernels->move_towards(n, m->weights[s->group], of_target, of_p);
        kernels->narrow(as->p, n, of_p, stored_at(as->p, s->p, i), more_at(as->p, as->low, i), &of_rounding);
        if (as->copy) kernels->narrow(as->copy_format, n, of_p, stored_at(as->copy_format, as->copy, i), NULL, &of_copy);
    }
}

/* The elements that this share has of all arrays laid end to end. */
static void move_share(void *context, int index, int count) {
    const struct move *m = context;
    const ptrdiff_t first = share_start(m->total, UNIT, index, count);
    const ptrdiff_t end = share_start(m->total, UNIT, index + 1, count);
    ptrdiff_t start = 0;
    for (int i = 0; i < m->step->n_segments; i++) {
        const struct schuss_segment *s = &m->step->segments[i];
        const ptrdiff_t from = first > start ? first - start : 0, to = end - start < s->n ? end - start : s->n;
        start += s->n;
        if (from >= to || m->weights[s->group] == 0) continue;
        const int64_t t = m->step->t, own = clock_time(m->step, s->clock, t);
        if (own == 1 && t > 1) continue; /* the array has made none of the steps: its states are not filled */
        if (s->stored) {
            move_stored(m, s, from, to);
            continue;
        }
        const struct schuss_segment piece = segment_piece(s, from, to, m->kernels->item);
        m->kernels->move_towards(piece.n, m->weights[s->group], piece.s[m->slot], piece.p);
    }
}

int schuss_move_params(const struct schuss_step *step, int slot, const double *weights) {
    struct move m = {.step = step, .kernels = schuss_kernels(step->dtype), .slot = slot, .weights = weights};
    if (!m.kernels) return SCHUSS_NO_ISA;
    for (int i = 0; i < step->n_segments; i++) m.total += step->segments[i].n;
    const int threads = threads_for((double)m.total, ELEMENTS_PER_THREAD, schuss_get_num_threads());
    schuss_parallel(threads, move_share, &m);
    return SCHUSS_OK;
}
