/* The entries of a batch grouped by the row of a table that they name, in time and memory that do not grow with the table.
 * Inside the core only. */
#ifndef SCHUSS_GROUP_H
#define SCHUSS_GROUP_H

#include <stddef.h>
#include <stdint.h>

#include "../schuss.h"

/* Entries of one input, row by row: codes[rows x n], or the columns of these compressed rows order[0], order[1], ...;
 * order NULL: from 0 on. */
struct entries {
    ptrdiff_t rows, n;
    const int64_t *codes;
    const struct schuss_compressed *compressed; /* NULL: they are codes */
    const int64_t *order;
};

/* An entry that names one of a member's rows: its number in the batch, and the place of the row. */
struct named {
    int32_t entry, row;
};

/* What one member of a team knows of the rows that are its own. Entries are numbered over all inputs of the table. */
struct touched {
    ptrdiff_t n;         /* its rows, */
    int64_t *rows;       /* [n] in the order in which they were first seen, */
    int32_t *first;      /* [n] and the entry of each that was, where there are several members. */
    ptrdiff_t n_entries;
    struct named *named; /* [n_entries] in increasing order. The place is that in `rows`, or, once they are placed, */
    int placed;          /* among the rows of all members, */
    int32_t *place;      /* [n] which that of each of its own is. */
};

/* A table whose gradient is summed by rows, as all members know it. */
struct table {
    int array, node;         /* of the network; the node is the first that uses it */
    ptrdiff_t rows, cols;
    int dense;               /* 1: the update wants the gradient by all rows nevertheless */
    int late;                /* 1: rows have to be brought up to date before they are read */
    ptrdiff_t most;          /* entries of a batch, at most */
    int aside;               /* 1: a batch may have more than LONG_K rows, whose sums go aside */
    ptrdiff_t entries;       /* of this batch */
    ptrdiff_t n;             /* rows that it touches, in the order in which they were first seen, */
    int64_t *index;          /* [n] */
    void *values;            /* [n x cols] and the gradient by them. As much again behind [most x cols] for sums aside */
    unsigned char *is_first; /* [entries] whether each is the first of its row, where there are several members */
    struct touched *members; /* [threads] */
};

/* Bytes of what lies in a plan of a table for so many members, and of the scratch of each. item: bytes of an element. */
ptrdiff_t table_bytes(const struct table *table, ptrdiff_t item, int members);
ptrdiff_t table_scratch(const struct table *table);
/* Gives them their places: 64-byte aligned memory. */
void table_lay(struct table *table, ptrdiff_t item, int members, char *memory);

/* Groups the entries of n inputs whose rows are member `index`'s own, of `count` members: a row's owner follows from its
 * number. Entries that name no row of the table are left out. p: the table, whose rows are `bytes` long and begin to be
 * fetched as soon as they are known. scratch: table_scratch() bytes. */
void group_entries(struct table *table, const struct entries *inputs, int n, int index, int count, const void *p,
                   ptrdiff_t bytes, void *scratch);
/* Places the member's rows among those of all members, all of whom have grouped: table->index and t->place; entries then
 * have these places as their number. Member 0 sets table->n. */
void group_places(struct table *table, int index, int count);

#endif
