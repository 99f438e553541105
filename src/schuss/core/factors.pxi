# Ratings by factors and biases of users and items.

cdef enum:
    FACTORS_RUN = 1 << 23  # elements of factors between two looks for signals: some milliseconds


def draw_rows(out, rows, double mean, double scale, uint64_t seed, uint32_t stream):
    require_isa()
    cdef int dtype = dtype_of(out.dtype)
    cdef Py_ssize_t n = extent(rows, 0), cols = extent(out, 1), bad
    cdef void *w = address_of(out, "out", dtype, 2, -1, cols, True)
    cdef const int64_t *index = address_of_int64(rows, "rows", n)
    bad = schuss_first_outside(index, n, extent(out, 0))
    if bad >= 0:
        raise ValueError(f"rows[{bad}] is {rows[bad]}, expected a number in [0, {len(out)})")
    cdef PyThreadState *state = let_others_run(64.0 * n * cols)
    schuss_draw_rows(dtype, w, cols, index, n, mean, scale, seed, stream)
    come_back(state)


cdef class Factors:
    cdef schuss_factors c
    cdef tuple held
    cdef int item_bytes

    def __cinit__(self, user, item, user_bias, item_bias, double mean, lr, reg):
        require_isa()
        cdef int dtype = dtype_of(user.dtype), k
        self.held = user, item, user_bias, item_bias
        self.c.dtype, self.c.mean = dtype, mean
        self.c.n_users, self.c.n_items, self.c.dim = extent(user, 0), extent(item, 0), extent(user, 1)
        self.c.user = address_of(user, "user", dtype, 2, -1, -1, True)
        self.c.item = address_of(item, "item", dtype, 2, -1, self.c.dim, True)
        if user_bias is not None:
            self.c.user_bias = address_of(user_bias, "user_bias", dtype, 1, self.c.n_users, -1, True)
            self.c.item_bias = address_of(item_bias, "item_bias", dtype, 1, self.c.n_items, -1, True)
        for k in range(4):
            self.c.lr[k], self.c.reg[k] = lr[k], reg[k]

    def epoch(self, users, items, ratings, weights, order):
        cdef Py_ssize_t n = extent(ratings, 0), at = 0, end, bad
        cdef Py_ssize_t most = FACTORS_RUN // (self.c.dim + 32) + 1
        cdef double total = 0
        cdef PyThreadState *state
        cdef schuss_factors c = self.c
        c.users, c.items = address_of_int64(users, "users", n), address_of_int64(items, "items", n)
        c.ratings = address_of(ratings, "ratings", c.dtype, 1, n, -1, False)
        c.weights = NULL if weights is None else address_of(weights, "weights", c.dtype, 1, n, -1, False)
        c.order = address_of_int64(order, "order", n)
        for name, array, limit in (("users", users, c.n_users), ("items", items, c.n_items), ("order", order, n)):
            bad = schuss_first_outside(address_of_int64(array, name, n), n, limit)
            if bad >= 0:
                raise ValueError(f"{name}[{bad}] is {array[bad]}, expected a number in [0, {limit})")
        while at < n:
            end = min(n, at + most)
            state = let_others_run(<double>(end - at) * (c.dim + 32))
            schuss_factors_steps(&c, at, end, &total)
            come_back(state)
            PyErr_CheckSignals()
            at = end
        return total

    def predict(self, users, items):
        cdef Py_ssize_t n = extent(users, 0)
        cdef schuss_factors c = self.c
        c.users, c.items = address_of_int64(users, "users", n), address_of_int64(items, "items", n)
        out = empty(n, FLOAT32 if c.dtype == SCHUSS_F32 else FLOAT64)
        cdef void *to = address_of(out, "out", c.dtype, 1, n, -1, True)
        cdef PyThreadState *state = let_others_run(<double>n * (c.dim + 32))
        schuss_factors_predict(&c, n, to)
        come_back(state)
        return out
