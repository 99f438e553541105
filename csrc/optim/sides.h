/* The dimensions of an array as SOAP has them. Inside the core only. */
#ifndef SCHUSS_SIDES_H
#define SCHUSS_SIDES_H

#include "../schuss.h"

enum { SIDES = 64 };

/* A dimension of an array [outer x size x inner], and where its square begins in states 2 and 3; -1: it has none. */
struct side {
    ptrdiff_t outer, size, inner, at;
};

/* All of them, some merged perhaps. Returns how many; sides[SIDES]. */
int optimizer_sides(const struct schuss_group *g, const struct schuss_segment *s, struct side *sides);

#endif
