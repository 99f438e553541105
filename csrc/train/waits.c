/* Where the members of a team wait for each other: before a call that reads what others wrote, or writes what others
 * may still read, since the last wait. */
#include "plan.h"

#include <limits.h>
#include <string.h>

/* What was done with a buffer since the last wait. */
enum { OWN_READ = 1, ALL_READ = 2, OWN_WRITTEN = 4, ALL_WRITTEN = 8 };

struct watch {
    const struct schuss_plan *plan;
    unsigned char *done; /* [n_nodes * BUFFER_ROLES] */
};

/* Whether two buffers share memory; *aligned: and a row of one is at the same bytes as that row of the other. */
static int meet(const struct buffer *a, const struct buffer *b, int *aligned) {
    *aligned = 1;
    if (a == b) return 1;
    if (!has_place(a) || !has_place(b) || a->slot != b->slot) return 0;
    *aligned = a->row == b->row && a->positions == b->positions;
    return 1;
}

/* Whether an access must wait for what was done. */
static int collides(const struct watch *w, const struct access *x) {
    const struct schuss_plan *plan = w->plan;
    const struct buffer *own = buffer_of(plan, x->node, x->role);
    if (!own->used && !own->outside) return 0;
    for (int i = 0; i < plan->net->n_nodes; i++)
        for (int role = 0; role < BUFFER_ROLES; role++) {
            const int done = w->done[i * BUFFER_ROLES + role];
            int aligned;
            if (!done || !meet(own, buffer_of(plan, i, role), &aligned)) continue;
            const int written = done & (OWN_WRITTEN | ALL_WRITTEN), of_all = done & (ALL_READ | ALL_WRITTEN);
            if (!x->writes && !written) continue;
            if (x->all || !aligned) return 1;
            if (x->writes ? of_all : done & ALL_WRITTEN) return 1;
        }
    return 0;
}

static void remember(struct watch *w, const struct access *x) {
    const int what = x->writes ? (x->all ? ALL_WRITTEN : OWN_WRITTEN) : (x->all ? ALL_READ : OWN_READ);
    w->done[x->node * BUFFER_ROLES + x->role] |= (unsigned char)what;
}

/* All accesses of a call, whether it has to wait, and then that they were made. Returns the wait. */
static int make_call(struct watch *w, int number, int members) {
    const struct schuss_plan *plan = w->plan;
    const struct call *call = &plan->calls[number];
    const int by_columns = members <= call->columns_up_to;
    struct access list[MOST_ACCESSES];
    int wait = 0;
    for (int pass = 0; pass < 2; pass++) {
        if (pass && wait) memset(w->done, 0, (size_t)plan->net->n_nodes * BUFFER_ROLES);
        for (int k = -1; k < call->n_links; k++) {
            const int n = k < 0 ? call_accesses(plan, number, by_columns, list)
                                : link_accesses(plan, &plan->links[call->first_link + k], by_columns, list);
            for (int i = 0; i < n; i++) {
                if (pass) remember(w, &list[i]);
                else wait |= collides(w, &list[i]);
            }
        }
        for (int user = next_user(plan, call, 0); user; user = next_user(plan, call, user)) {
            const int n = user_accesses(plan, user, list);
            for (int i = 0; i < n; i++) {
                if (pass) remember(w, &list[i]);
                else wait |= collides(w, &list[i]);
            }
        }
    }
    return wait;
}

/* Whether teams of so many and of one member less share all calls alike. */
static int same_sharing(const struct schuss_plan *plan, int members) {
    for (int c = 0; c < plan->n_calls; c++)
        if ((members <= plan->calls[c].columns_up_to) != (members - 1 <= plan->calls[c].columns_up_to)) return 0;
    return 1;
}

void plan_waits(struct schuss_plan *plan) {
    const int n = plan->n_calls, inputs = plan->net->n_inputs;
    /* The members' lists, which are filled later, have room for it. */
    struct watch w = {plan, (unsigned char *)plan->members};
    for (int gathered = 0; gathered < 2; gathered++)
        for (int members = 1; members <= plan->threads; members++) {
            unsigned char *waits = plan->waits + (gathered * plan->threads + members - 1) * n;
            memset(waits, 0, (size_t)n);
            if (members == 1) continue;
            if (members > 2 && same_sharing(plan, members)) {
                memcpy(waits, waits - n, (size_t)n);
                continue;
            }
            memset(w.done, 0, (size_t)plan->net->n_nodes * BUFFER_ROLES);
            for (int i = 0; i < inputs && gathered; i++)
                remember(&w, &(struct access){.node = i, .role = DATA, .writes = 1});
            for (int c = 0; c < n; c++) {
                if (c == plan->after_enter) memset(w.done, 0, (size_t)plan->net->n_nodes * BUFFER_ROLES); /* all wait */
                waits[c] = (unsigned char)make_call(&w, c, members);
            }
        }
    memset(w.done, 0, (size_t)plan->net->n_nodes * BUFFER_ROLES);
}
