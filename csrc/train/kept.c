/* Rows of large tables as they were before steps touched them. */
#include "kept.h"

#include <string.h>

#include "../optim/rule.h"

/* The memory of one row of an array, piece by piece: the parameters, then each state. */
struct row_memory {
    const struct schuss_segment *segment;
    ptrdiff_t bytes;        /* of a row of the array, */
    ptrdiff_t state_bytes;  /* and of each state */
};

static struct row_memory memory_of(const struct schuss_train *t, int array) {
    const ptrdiff_t item = t->plan->kernels->item, cols = t->net->arrays[array].cols;
    const struct schuss_segment *s = &t->step->segments[t->segments[array]];
    const int by_row = optimizer_rules[t->step->groups[s->group].rule]->by_row;
    return (struct row_memory){s, cols * item, by_row ? item : cols * item};
}

/* Copies a row to `values`, or, if back, from there. */
static void copy_row(const struct row_memory *m, int64_t row, char *values, int back) {
    char *at = (char *)m->segment->p + row * m->bytes;
    ptrdiff_t bytes = m->bytes;
    for (int k = 0;; k++) {
        memcpy(back ? at : values, back ? values : at, (size_t)bytes);
        values += bytes;
        while (k < SCHUSS_MAX_STATES && !m->segment->s[k]) k++;
        if (k == SCHUSS_MAX_STATES) return;
        bytes = m->state_bytes;
        at = (char *)m->segment->s[k] + row * bytes;
    }
}

static struct schuss_kept *kept_of(const struct schuss_train *t, int array) {
    for (int k = 0; k < t->n_kept; k++)
        if (t->kept[k].array == array) return &t->kept[k];
    return NULL;
}

static const struct table *table_of_array(const struct schuss_train *t, int array) {
    for (int k = 0; k < t->plan->n_tables; k++)
        if (t->plan->tables[k].array == array) return &t->plan->tables[k];
    return NULL;
}

void keep_rows(const struct schuss_train *t, const struct table *table, const struct team *me) {
    struct schuss_kept *kept = kept_of(t, table->array);
    if (!kept) return;
    const struct row_memory m = memory_of(t, table->array);
    const struct touched *own = &table->members[me->index];
    for (ptrdiff_t k = 0; k < own->n; k++) {
        const int64_t row = own->rows[k];
        if (kept->is_kept[row]) continue;
        const ptrdiff_t at = __atomic_fetch_add(&kept->n, 1, __ATOMIC_RELAXED);
        kept->is_kept[row] = 1;
        kept->index[at] = row;
        copy_row(&m, row, kept->values + at * kept->bytes, 0);
    }
}

static void forget(struct schuss_kept *kept) {
    for (ptrdiff_t k = 0; k < kept->n; k++) kept->is_kept[kept->index[k]] = 0;
    kept->n = 0;
}

void keep_anew(const struct schuss_train *t, struct team *me) {
    if (!t->n_kept) return;
    team_wait(me);
    for (int k = 0; me->index == 0 && k < t->n_kept; k++) forget(&t->kept[k]);
    team_wait(me);
    for (int k = 0; k < t->n_kept; k++) keep_rows(t, table_of_array(t, t->kept[k].array), me);
}

ptrdiff_t schuss_kept_step(const struct schuss_train *t, int kept) {
    const struct table *table = table_of_array(t, t->kept[kept].array);
    return table->most < table->rows ? table->most : table->rows;
}

int keeps_have_room(const struct schuss_train *t) {
    for (int k = 0; k < t->n_kept; k++)
        if (t->kept[k].room - t->kept[k].n < schuss_kept_step(t, k)) return 0;
    return 1;
}

ptrdiff_t schuss_kept_bytes(const struct schuss_train *t, int array) {
    const struct row_memory m = memory_of(t, array);
    ptrdiff_t bytes = m.bytes;
    for (int k = 0; k < SCHUSS_MAX_STATES; k++)
        if (m.segment->s[k]) bytes += m.state_bytes;
    return bytes;
}

void schuss_kept_restore(struct schuss_train *t) {
    for (int k = 0; k < t->n_kept; k++) {
        struct schuss_kept *kept = &t->kept[k];
        const struct row_memory m = memory_of(t, kept->array);
        for (ptrdiff_t i = 0; i < kept->n; i++) copy_row(&m, kept->index[i], kept->values + i * kept->bytes, 1);
        forget(kept);
    }
}
