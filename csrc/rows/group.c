/* The entries of a batch grouped by the row of a table that they name. */
#include "group.h"

#include <string.h>

enum { LEAST_BITS = 4, FETCHED_BYTES = 512, LINE = 64 };

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static int bits_for(ptrdiff_t entries) {
    int bits = LEAST_BITS;
    while (((ptrdiff_t)1 << bits) < 2 * entries) bits++;
    return bits;
}

/* Where n bytes are, from *used on, which moves behind them to a multiple of 64. */
static void *reserve(char *base, ptrdiff_t *used, ptrdiff_t n) {
    void *at = base ? base + *used : NULL;
    *used = (*used + n + 63) / 64 * 64;
    return at;
}

/* Lays all out, or only counts bytes where memory is NULL. */
static ptrdiff_t lay(struct table *table, ptrdiff_t item, int members, char *memory) {
    const ptrdiff_t n = table->most, numbers = n * (ptrdiff_t)sizeof(int32_t);
    ptrdiff_t used = 0;
    int64_t *index = reserve(memory, &used, n * (ptrdiff_t)sizeof(int64_t));
    void *values = reserve(memory, &used, (table->aside ? 2 : 1) * n * table->cols * item);
    unsigned char *is_first = reserve(memory, &used, n);
    for (int m = 0; m < members; m++) {
        struct touched t = {.rows = reserve(memory, &used, n * (ptrdiff_t)sizeof(int64_t))};
        t.first = reserve(memory, &used, numbers);
        t.entry = reserve(memory, &used, numbers);
        t.number = reserve(memory, &used, numbers);
        t.place = reserve(memory, &used, numbers);
        if (memory) table->members[m] = t;
    }
    if (!memory) return used;
    table->index = index;
    table->values = values;
    table->is_first = is_first;
    memset(index, 0, (size_t)n * sizeof *index); /* rows of the table, whatever a caller does to its codes meanwhile */
    return used;
}

ptrdiff_t table_bytes(const struct table *table, ptrdiff_t item, int members) {
    struct table copy = *table;
    return lay(&copy, item, members, NULL);
}

ptrdiff_t table_scratch(const struct table *table) {
    return ((ptrdiff_t)1 << bits_for(table->most)) * (ptrdiff_t)sizeof(int32_t);
}

void table_lay(struct table *table, ptrdiff_t item, int members, char *memory) { lay(table, item, members, memory); }

/* ---- grouping ---------------------------------------------------------------------------------------------------- */

struct grouping {
    int32_t *slots; /* the number of a row plus one; 0: free. At most half of them are taken */
    int64_t *rows;
    int32_t *first, *entry, *number;
    unsigned char *is_first;
    uint64_t table, mask;
    int shift, index, count;
    ptrdiff_t n, n_entries;
    const char *p;
    ptrdiff_t bytes;
};

static ptrdiff_t count_entries(const struct entries *e) {
    if (!e->compressed) return e->rows * e->n;
    const int64_t *start = e->compressed->start;
    ptrdiff_t count = 0;
    for (ptrdiff_t i = 0; i < e->rows; i++) count += start[e->order[i] + 1] - start[e->order[i]];
    return count;
}

/* All bits of the result depend on all bits of the code. */
static inline uint64_t mixed(int64_t code) {
    uint64_t h = (uint64_t)code * UINT64_C(0x9E3779B97F4A7C15);
    h ^= h >> 32;
    return h * UINT64_C(0xD6E8FEB86659FD93);
}

static inline void fetch(const char *row, ptrdiff_t bytes) {
    for (ptrdiff_t i = 0; i < bytes && i < FETCHED_BYTES; i += LINE) __builtin_prefetch(row + i, 1);
    __builtin_prefetch(row + bytes - 1, 1);
}

static inline __attribute__((always_inline)) void take(struct grouping *g, int64_t code, int32_t entry) {
    const uint64_t h = mixed(code);
    if (g->count > 1 && (int)((h & 0xffffffffu) * (uint64_t)g->count >> 32) != g->index) return;
    if ((uint64_t)code >= g->table) {
        g->is_first[entry] = 0;
        return;
    }
    uint64_t at = h >> g->shift;
    int32_t found;
    while ((found = g->slots[at]) && g->rows[found - 1] != code) at = (at + 1) & g->mask;
    g->is_first[entry] = !found;
    if (!found) {
        g->rows[g->n] = code;
        g->first[g->n] = entry;
        g->slots[at] = found = (int32_t)++g->n;
        fetch(g->p + code * g->bytes, g->bytes);
    }
    g->entry[g->n_entries] = entry;
    g->number[g->n_entries++] = found - 1;
}

void group_entries(struct table *table, const struct entries *inputs, int n, int index, int count, const void *p,
                   ptrdiff_t bytes, void *scratch) {
    struct touched *t = &table->members[index];
    ptrdiff_t total = 0;
    for (int k = 0; k < n; k++) total += count_entries(&inputs[k]);
    const int bits = bits_for(total);
    struct grouping g = {
        .slots = scratch, .rows = t->rows, .first = t->first, .entry = t->entry, .number = t->number,
        .is_first = table->is_first, .table = (uint64_t)table->rows, .mask = ((uint64_t)1 << bits) - 1,
        .shift = 64 - bits, .index = index, .count = count, .p = p, .bytes = bytes,
    };
    int32_t entry = 0;
    memset(g.slots, 0, ((size_t)1 << bits) * sizeof *g.slots);
    for (int k = 0; k < n; k++) {
        const struct entries *e = &inputs[k];
        const struct schuss_compressed *x = e->compressed;
        for (ptrdiff_t i = 0; !x && i < e->rows * e->n; i++) take(&g, e->codes[i], entry++);
        for (ptrdiff_t i = 0; x && i < e->rows; i++) {
            int64_t j = x->start[e->order[i]];
            const int64_t end = x->start[e->order[i] + 1];
            for (; x->wide && j < end; j++) take(&g, ((const int64_t *)x->indices)[j], entry++);
            for (; j < end; j++) take(&g, ((const int32_t *)x->indices)[j], entry++);
        }
    }
    t->n = g.n;
    t->n_entries = g.n_entries;
    t->placed = 0;
    if (index == 0) table->entries = total;
}

void group_places(struct table *table, int index, int count) {
    struct touched *t = &table->members[index];
    ptrdiff_t own = 0, all = 0;
    if (count == 1)
        for (; own < t->n; own++) t->place[own] = (int32_t)own;
    for (ptrdiff_t e = 0; count > 1 && e < table->entries; e++) {
        if (!table->is_first[e]) continue;
        if (own < t->n && t->first[own] == e) t->place[own++] = (int32_t)all;
        all++;
    }
    for (; own < t->n; own++) t->place[own] = 0; /* if a caller has changed its codes meanwhile */
    for (ptrdiff_t k = 0; k < own; k++) table->index[t->place[k]] = t->rows[k];
    for (ptrdiff_t j = 0; count > 1 && !t->placed && j < t->n_entries; j++) t->number[j] = t->place[t->number[j]];
    t->placed = 1;
    if (index == 0) table->n = count == 1 ? own : all;
}
