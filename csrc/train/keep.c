/* Copies of parameters and states, to go back to after a divergence. */
#include "keep.h"

#include <string.h>

enum { COPY_SHARE = 50 /* a copy is taken after this many times its own time */ };

/* Nanoseconds, roughly, that a copy of all that is kept takes. */
static double copy_time(const struct schuss_train *t) {
    double bytes = 0;
    for (int i = 0; i < t->n_copies; i++) bytes += (double)t->copies[i].bytes;
    return bytes / 10;
}

void keep_copies(struct schuss_train *t, struct team *me) {
    if (!t->n_copies || t->unkept < COPY_SHARE * copy_time(t)) return;
    for (int i = 0; i < t->n_copies; i++) {
        const struct schuss_copy *c = &t->copies[i];
        const ptrdiff_t first = share_start(c->bytes, 4096, me->index, me->count);
        const ptrdiff_t end = share_start(c->bytes, 4096, me->index + 1, me->count);
        memcpy((char *)c->kept + first, (const char *)c->live + first, (size_t)(end - first));
    }
    team_wait(me);
    if (me->index > 0) return;
    t->unkept = 0;
    t->kept = 1;
}
