/* The names of an enum by number, from the list of X(CONSTANT, name) that makes the enum too. Inside the core only. */
#ifndef SCHUSS_NAMES_H
#define SCHUSS_NAMES_H

#include <stddef.h>

#define NAME_STRING(CONSTANT, name) #name,
#define NAME_OF(LIST, number) name_in((const char *const[]){LIST(NAME_STRING) NULL}, number)

/* The name in this place of names, which end with NULL; NULL: there is none. */
static inline const char *name_in(const char *const *names, int place) {
    for (int i = 0; names[i]; i++)
        if (i == place) return names[i];
    return NULL;
}

#endif
