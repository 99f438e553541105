/* Chunks of arrays that are not of the dtype: opened into L1 as arrays that are, and closed again after the rule, which
 * sees nothing of it. */

struct chunk_room {
    _Alignas(64) real p[CHUNK];
    _Alignas(64) real g[CHUNK];
    _Alignas(64) real s[SCHUSS_MAX_STATES][CHUNK];
};

enum { WRITES_PARAMS = 1 << SCHUSS_MAX_STATES /* beside bit k for the state in slot k */ };

/* Elements [element, element + n) of an array: where they are, if they are of the dtype, else widened into room[n]. */
static real *opened_array(int format, const void *array, const void *more, ptrdiff_t element, ptrdiff_t n, real *room) {
    if (!array) return NULL;
    if (format == DTYPE) return (real *)(uintptr_t)array + element;
    widen(format, n, stored_at(format, array, element), more_at(format, more, element), room);
    return room;
}

/* Elements [i, i + n) of the piece, n <= CHUNK, as a segment of the dtype. */
static struct schuss_segment opened(const struct schuss_segment *piece, ptrdiff_t i, ptrdiff_t n, struct chunk_room *room) {
    const struct schuss_stored *as = piece->stored;
    const ptrdiff_t element = piece->first + i;
    struct schuss_segment chunk = {.n = n};
    chunk.p = opened_array(as->p, piece->p, as->low, element, n, room->p);
    chunk.g = opened_array(as->g, piece->g, NULL, i, n, room->g);
    for (int k = 0; k < SCHUSS_MAX_STATES; k++)
        chunk.s[k] = opened_array(as->s[k], piece->s[k], as->scale[k], element, n, room->s[k]);
    for (int k = 0; k < SCHUSS_MAX_AVERAGES; k++) chunk.average[k] = piece->average[k] ? (real *)piece->average[k] + element : NULL;
    return chunk;
}

/* What an opened chunk holds now, back to where it came from: of parameters and states those that `writes` says. */
static void closed(const struct schuss_segment *piece, ptrdiff_t i, const struct schuss_segment *chunk, int writes,
                   const struct rule_constants *c) {
    const struct schuss_stored *as = piece->stored;
    const ptrdiff_t element = piece->first + i, n = chunk->n;
    if (writes & WRITES_PARAMS) {
        const struct rounding of_p = rounding_of(as, -1, c->t, element), of_copy = rounding_of(as, -2, c->t, element);
        if (as->p != DTYPE)
            narrow(as->p, n, (const real *)chunk->p, stored_at(as->p, piece->p, element), more_at(as->p, as->low, element), &of_p);
        if (as->copy) narrow(as->copy_format, n, (const real *)chunk->p, stored_at(as->copy_format, as->copy, element), NULL, &of_copy);
    }
    for (int k = 0; k < SCHUSS_MAX_STATES; k++) {
        const struct rounding r = rounding_of(as, k, c->t, element);
        if (piece->s[k] && as->s[k] != DTYPE && writes >> k & 1)
            narrow(as->s[k], n, (const real *)chunk->s[k], stored_at(as->s[k], piece->s[k], element),
                   more_at(as->s[k], as->scale[k], element), &r);
    }
    if (c->zero_grad && piece->g && as->g != DTYPE)
        memset(stored_at(as->g, piece->g, i), 0, (size_t)(n * format_bytes(as->g)));
}

static void step(const struct schuss_segment *piece, const struct rule_constants *c, int *nonfinite);

/* step() of a piece that is not of the dtype. It is not inlined, since room on the stack would cost all steps time. */
__attribute__((noinline)) static void step_stored(const struct schuss_segment *piece, const struct rule_constants *c,
                                                  int *nonfinite) {
    struct chunk_room room;
    for (ptrdiff_t i = 0; i < piece->n; i += CHUNK) {
        const ptrdiff_t n = piece->n - i < CHUNK ? piece->n - i : CHUNK;
        const struct schuss_segment chunk = opened(piece, i, n, &room);
        step(&chunk, c, nonfinite);
        closed(piece, i, &chunk, ~c->sums_write, c);
    }
}

static void measure_into(const struct schuss_segment *piece, const struct rule_constants *c, struct rule_sums *found,
                         int *nonfinite);

/* The same of measure_into(). */
__attribute__((noinline)) static void measure_stored(const struct schuss_segment *piece, const struct rule_constants *c,
                                                     struct rule_sums *found, int *nonfinite) {
    struct chunk_room room;
    for (ptrdiff_t i = 0; i < piece->n; i += CHUNK) {
        const ptrdiff_t n = piece->n - i < CHUNK ? piece->n - i : CHUNK;
        const struct schuss_segment chunk = opened(piece, i, n, &room);
        measure_into(&chunk, c, found, nonfinite);
        closed(piece, i, &chunk, c->sums_write, c);
    }
}
