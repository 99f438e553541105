/* What these programs share: a broken expectation is printed, with its place, and ends the program with 1. */
#ifndef EXPECT_H
#define EXPECT_H

#include <stdio.h>
#include <stdlib.h>

#define EXPECT(condition, ...)                                           \
    do {                                                                 \
        if (condition) break;                                            \
        fprintf(stderr, "%s:%d: not %s: ", __FILE__, __LINE__, #condition); \
        fprintf(stderr, __VA_ARGS__);                                    \
        fprintf(stderr, "\n");                                           \
        exit(1);                                                         \
    } while (0)

#endif
