/* Rules that step whole arrays, by name. See struct kernels. */
#define PLAIN(NAME, function)
#define MATRIX(NAME, function) \
    case SCHUSS_##NAME: function##_array(s, c, scratch, me, nonfinite); break;
static void array(const struct schuss_segment *s, const struct rule_constants *c, char *scratch, struct team *me,
                  int *nonfinite) {
    switch (c->rule) { SCHUSS_RULES(PLAIN, PLAIN, MATRIX, PLAIN) }
}
#undef MATRIX

#define MATRIX(NAME, function) \
    case SCHUSS_##NAME: return function##_scratch(g, s, members);
static ptrdiff_t array_scratch(const struct schuss_group *g, const struct schuss_segment *s, int members) {
    switch (g->rule) { SCHUSS_RULES(PLAIN, PLAIN, MATRIX, PLAIN) }
    return 0;
}
#undef MATRIX
#undef PLAIN
