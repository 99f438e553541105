/* The entries of a batch grouped by the row of a table that they name. */
#include "group.h"

#include <string.h>

enum { LEAST_BITS = 4, FETCHED_BYTES = 512, LINE = 64, ROWS_AHEAD = 12 };

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
        int64_t *rows = reserve(memory, &used, (n + 2) * (ptrdiff_t)sizeof(int64_t)); /* with one before and one behind */
        struct touched t = {.rows = memory ? rows + 1 : NULL};
        t.first = reserve(memory, &used, numbers + (ptrdiff_t)sizeof(int32_t));
        t.named = reserve(memory, &used, n * (ptrdiff_t)sizeof(struct named));
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
    int32_t *slots; /* the number of a row, from 1 on; 0: free. At most half of them are taken */
    int64_t *rows;  /* row number k at rows[k] */
    struct named *named;
    uint64_t mask;
    int shift;
    int32_t n;
    ptrdiff_t n_entries;
    const char *p;
    ptrdiff_t bytes;
    uint64_t table;
    /* where there are several members */
    int index, count;
    int32_t *first;
    unsigned char *is_first;
};

/* Number i of the compressed rows. */
static inline int64_t row_of(const struct entries *e, ptrdiff_t i) { return e->order ? e->order[i] : i; }

static ptrdiff_t count_entries(const struct entries *e) {
    if (!e->compressed) return e->rows * e->n;
    const int64_t *start = e->compressed->start;
    ptrdiff_t count = 0;
    if (!e->order) return start[e->rows] - start[0];
    for (ptrdiff_t i = 0; i < e->rows; i++) count += start[e->order[i] + 1] - start[e->order[i]];
    return count;
}

/* All bits of the result depend on all bits of the code. */
static inline uint64_t mixed(int64_t code) {
    uint64_t h = (uint64_t)code * UINT64_C(0x9E3779B97F4A7C15);
    h ^= h >> 32;
    return h * UINT64_C(0xD6E8FEB86659FD93);
}

static inline __attribute__((always_inline)) void fetch(const char *from, ptrdiff_t bytes) {
    for (ptrdiff_t i = 0; i < bytes && i < FETCHED_BYTES; i += LINE) __builtin_prefetch(from + i, 0);
    __builtin_prefetch(from + bytes - 1, 0);
}

/* One entry. Whether its row is a new one cannot be foretold, so nothing branches on it: a new row is written where the next
 * one will lie in any case, and a free slot counts as its own. */
static inline __attribute__((always_inline)) void take(struct grouping *g, const int several, int64_t code, int32_t entry) {
    const uint64_t h = mixed(code);
    if (several && (int)((h & 0xffffffffu) * (uint64_t)g->count >> 32) != g->index) return;
    if ((uint64_t)code >= g->table) {
        if (several) g->is_first[entry] = 0;
        return;
    }
    const int32_t next = g->n + 1;
    uint64_t at = h >> g->shift;
    int32_t number;
    g->rows[next] = code;
    for (;; at = (at + 1) & g->mask) {
        const int32_t found = g->slots[at];
        number = found ? found : next;
        if (g->rows[number] == code) break;
    }
    g->slots[at] = number;
    const int is_new = number == next;
    if (several) {
        g->first[next - 1] = entry;
        g->is_first[entry] = (unsigned char)is_new;
    }
    g->n += is_new;
    g->named[g->n_entries++] = (struct named){entry, number - 1};
    if (g->bytes <= LINE) __builtin_prefetch(g->p + code * g->bytes, 1);
    else if (is_new) fetch(g->p + code * g->bytes, g->bytes);
}

/* Asks for a compressed row: its columns are read here, its values soon. */
static inline __attribute__((always_inline)) void fetch_row(const struct schuss_compressed *x, int64_t row, ptrdiff_t item) {
    const ptrdiff_t n = x->start[row + 1] - x->start[row], index = x->wide ? 8 : 4;
    if (n == 0) return;
    fetch((const char *)x->indices + x->start[row] * index, n * index);
    fetch((const char *)x->data + x->start[row] * item, n * item);
}

/* All entries of an input, which begin with number `entry`. */
static inline __attribute__((always_inline)) int32_t take_all(struct grouping *g, const int several, const struct entries *e,
                                                              int32_t entry, ptrdiff_t item) {
    const struct schuss_compressed *x = e->compressed;
    for (ptrdiff_t i = 0; !x && i < e->rows * e->n; i++) take(g, several, e->codes[i], entry++);
    for (ptrdiff_t i = 0; x && i < e->rows && i < ROWS_AHEAD; i++) fetch_row(x, row_of(e, i), item);
    for (ptrdiff_t i = 0; x && i < e->rows; i++) {
        if (i + ROWS_AHEAD < e->rows) fetch_row(x, row_of(e, i + ROWS_AHEAD), item);
        const int64_t row = row_of(e, i), end = x->start[row + 1];
        int64_t j = x->start[row];
        for (; x->wide && j < end; j++) take(g, several, ((const int64_t *)x->indices)[j], entry++);
        for (; j < end; j++) take(g, several, ((const int32_t *)x->indices)[j], entry++);
    }
    return entry;
}

void group_entries(struct table *table, const struct entries *inputs, int n, int index, int count, const void *p,
                   ptrdiff_t bytes, void *scratch) {
    struct touched *t = &table->members[index];
    const ptrdiff_t item = bytes / table->cols;
    ptrdiff_t total = 0;
    for (int k = 0; k < n; k++) total += count_entries(&inputs[k]);
    const int bits = bits_for(total);
    struct grouping g = {
        .slots = scratch, .rows = t->rows - 1, .named = t->named, .mask = ((uint64_t)1 << bits) - 1, .shift = 64 - bits,
        .p = p, .bytes = bytes, .table = (uint64_t)table->rows,
        .index = index, .count = count, .first = t->first, .is_first = table->is_first,
    };
    int32_t entry = 0;
    memset(g.slots, 0, ((size_t)1 << bits) * sizeof *g.slots);
    for (int k = 0; k < n; k++)
        entry = count > 1 ? take_all(&g, 1, &inputs[k], entry, item) : take_all(&g, 0, &inputs[k], entry, item);
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
    for (ptrdiff_t j = 0; count > 1 && !t->placed && j < t->n_entries; j++) t->named[j].row = t->place[t->named[j].row];
    t->placed = 1;
    if (index == 0) table->n = count == 1 ? own : all;
}
