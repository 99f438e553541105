/* Copies of parameters and states, to go back to after a divergence. */
#include "copies.h"

#include "kept.h"

#include <string.h>

enum { COPY_SHARE = 50 /* copies are made again after this many times the time that they cost */ };

/* Nanoseconds, roughly, that it costs to make all copies, at 10 bytes a nanosecond. */
static double copy_time(const struct schuss_train *t) {
    double bytes = 0;
    for (int i = 0; i < t->n_copies; i++) bytes += (double)t->copies[i].bytes;
    return bytes / 10;
}

void make_copies(struct schuss_train *t, struct team *me) {
    if (!t->n_copies || t->since_copied < COPY_SHARE * copy_time(t)) return;
    keep_anew(t, me);
    for (int i = 0; i < t->n_copies; i++) {
        const struct schuss_copy *c = &t->copies[i];
        const ptrdiff_t first = share_start(c->bytes, 4096, me->index, me->count);
        const ptrdiff_t end = share_start(c->bytes, 4096, me->index + 1, me->count);
        memcpy((char *)c->copy + first, (const char *)c->live + first, (size_t)(end - first));
    }
    team_wait(me);
    if (me->index > 0) return;
    t->since_copied = 0;
    t->copied = 1;
}
