/* Partial loads and stores where the machine has no masked ones: never a byte outside the n lanes. */
typedef int vmask;

static inline vmask v_mask(ptrdiff_t n) { return n > LANES ? LANES : (int)n; }
static inline vec v_load_m(const real *p, vmask m) {
    if (m == LANES) return v_load(p);
    vec v = {0};
    for (int i = 0; i < m; i++) v[i] = p[i];
    return v;
}
static inline void v_store_m(real *p, vec v, vmask m) {
    if (m == LANES) v_store(p, v);
    else
        for (int i = 0; i < m; i++) p[i] = v[i];
}
