# Items ranked for users.

cdef enum:
    RANK_ROWS = 512  # rows that one product has at most

cdef double RANK_RUN = 4e9  # multiply-adds of a thread between two looks for signals


cdef tuple point_at_rows(given, str name, Py_ssize_t rows, Py_ssize_t columns, schuss_compressed *to):
    """Points at compressed rows (start, indices), whose columns rise in each row. Returns what is to be held meanwhile."""
    start, indices = given
    cdef Py_ssize_t n = extent(indices, 0)
    cdef int fault
    to.start, to.data = address_of_int64(start, name + "'s start", rows + 1), NULL
    if indices.dtype != np.int32 and indices.dtype != np.int64:
        raise TypeError(f"{name}'s indices have dtype {indices.dtype}, expected int32 or int64")
    indices = np.require(indices, None, ["C", "A"])
    to.wide, to.indices = indices.dtype == np.int64, start_of(indices)
    fault = schuss_compressed_fault(to, rows, n, columns, False)
    if fault == SCHUSS_FAULT_START:
        raise ValueError(f"{name}'s start must rise from 0 to {n}")
    if fault == SCHUSS_FAULT_RANGE:
        raise ValueError(f"{name} holds a column out of range, expected columns in [0, {columns})")
    if fault == SCHUSS_FAULT_ORDER:
        raise ValueError(f"{name} holds a row whose columns do not increase")
    return start, indices


cdef class Ranking:
    cdef schuss_ranking c
    cdef schuss_compressed left_out, positives
    cdef schuss_places places_found
    cdef list held
    cdef object dtype

    def __cinit__(self, user, item, item_bias, scores, users, left_out, columns, numbers):
        require_isa()
        cdef Py_ssize_t bad, all_users, all_items
        source = user if scores is None else scores
        cdef int dtype = dtype_of(source.dtype)
        self.held, self.dtype = [user, item, item_bias, scores, users, numbers], source.dtype
        self.c.dtype = dtype
        if scores is None:
            self.c.user = address_of(user, "user", dtype, 2, -1, -1, False)
            self.c.dim = extent(user, 1)
            self.c.item = address_of(item, "item", dtype, 2, -1, self.c.dim, False)
            self.c.n_items = extent(item, 0)
            if item_bias is not None:
                self.c.item_bias = address_of(item_bias, "item_bias", dtype, 1, self.c.n_items, -1, False)
        else:
            self.c.scores = address_of(scores, "scores", dtype, 2, -1, -1, False)
            self.c.n_items = extent(scores, 1)
        self.c.rows = extent(source, 0)
        all_users = self.c.rows
        if left_out is not None:
            all_users = extent(left_out[0], 0) - 1
        if users is not None:
            if scores is not None and extent(users, 0) != self.c.rows:
                raise ValueError(f"users has {len(users)} numbers, expected {self.c.rows}")
            self.c.rows = extent(users, 0)
            self.c.users = address_of_int64(users, "users", self.c.rows)
            for bad in range(self.c.rows):
                if not -1 <= self.c.users[bad] < all_users:
                    raise ValueError(f"users[{bad}] is {users[bad]}, expected a number in [-1, {all_users})")
        elif all_users != self.c.rows:
            raise ValueError(f"left_out has {all_users} rows, expected {self.c.rows}")
        if scores is None and users is not None and all_users > extent(user, 0):
            raise ValueError(f"left_out has {all_users} rows, expected {len(user)}")
        all_items = columns
        if numbers is not None:
            self.c.numbers = address_of_int64(numbers, "numbers", self.c.n_items)
            bad = schuss_first_outside(self.c.numbers, self.c.n_items, all_items)
            if bad >= 0 or schuss_first_not_rising(self.c.numbers, self.c.n_items) >= 0:
                raise ValueError(f"numbers must rise within [0, {all_items})")
        elif all_items != self.c.n_items:
            raise ValueError(f"columns is {all_items}, expected {self.c.n_items}")
        if left_out is not None:
            self.held.append(point_at_rows(left_out, "left_out", all_users, all_items, &self.left_out))
            self.c.left_out = &self.left_out

    cdef int run(self, const schuss_best *best, const schuss_places *places) except -1:
        """In slices of rows, with looks for signals in between."""
        cdef int threads = schuss_get_num_threads()
        cdef Py_ssize_t item = self.dtype.itemsize, at = 0, n = self.c.rows, slice_rows
        cdef double each = <double>self.c.n_items * max(self.c.dim, 1)
        cdef schuss_ranking r = self.c
        cdef schuss_compressed left_out, positives
        cdef schuss_best to
        cdef schuss_places found
        cdef PyThreadState *state
        slice_rows = max(RANK_ROWS * threads, <Py_ssize_t>(RANK_RUN * threads / each) if each > 0 else 0)
        scratch = aligned_bytes(schuss_rank_scratch(&r, threads))
        cdef void *room = start_of(scratch)
        while at < n:
            r.rows = min(slice_rows, n - at)
            if self.c.scores != NULL:
                r.scores = <const char *>self.c.scores + at * self.c.n_items * item
            if self.c.users != NULL:
                r.users = self.c.users + at
            elif self.c.scores == NULL:
                r.user = <const char *>self.c.user + at * self.c.dim * item
            if self.c.left_out != NULL and self.c.users == NULL:
                left_out = self.left_out
                left_out.start += at
                r.left_out = &left_out
            if best != NULL:
                to = best[0]
                to.item += at * to.k
                to.score = <char *>to.score + at * to.k * item
            else:
                found, positives = places[0], places.positives[0]
                positives.start += at
                found.positives = &positives
                found.counted += at
                found.wrong += at
            state = let_others_run(each * r.rows)
            if best != NULL:
                schuss_rank(&r, &to, NULL, threads, room)
            else:
                schuss_rank(&r, NULL, &found, threads, room)
            come_back(state)
            PyErr_CheckSignals()
            at += r.rows
        return 0

    def best(self, Py_ssize_t k):
        cdef schuss_best to
        if k < 1:
            raise ValueError(f"k is {k}, expected a number >= 1")
        item, score = empty((self.c.rows, k), INT64), empty((self.c.rows, k), self.dtype)
        to.k, to.item, to.score = k, <int64_t *>start_of(item), start_of(score)
        self.run(&to, NULL)
        return item, score

    def place(self, positives):
        if self.c.users != NULL or self.c.numbers != NULL:
            raise ValueError("places are those of all users and items, expected no users and no numbers")
        held = point_at_rows(positives, "positives", self.c.rows, self.c.n_items, &self.positives)
        n = len(held[1])
        place, above, level = empty(n, INT64), empty(n, INT64), empty(n, INT64)
        score, counted, wrong = empty(n, self.dtype), empty(self.c.rows, INT64), empty(self.c.rows)
        self.places_found.positives = &self.positives
        self.places_found.place = <int64_t *>start_of(place)
        self.places_found.above = <int64_t *>start_of(above)
        self.places_found.level = <int64_t *>start_of(level)
        self.places_found.score = start_of(score)
        self.places_found.counted = <int64_t *>start_of(counted)
        self.places_found.wrong = <double *>start_of(wrong)
        self.run(NULL, &self.places_found)
        self.held.append((held, place, counted, wrong))
        return place

    def metric(self, name, Py_ssize_t k, gains):
        cdef int metric = METRIC_NUMBERS[name]
        cdef const double *of_gains = NULL
        cdef Py_ssize_t row, most = 0
        if self.places_found.positives == NULL:
            raise ValueError("no places have been found")
        if k < 1:
            raise ValueError(f"k is {k}, expected a number >= 1")
        for row in range(self.c.rows):
            most = max(most, self.positives.start[row + 1] - self.positives.start[row])
        if gains is not None:
            of_gains = <const double *>address_of(gains, "gains", SCHUSS_F64, 1, self.positives.start[self.c.rows], -1, False)
        discounts, ordered, out = empty(min(k, self.c.n_items) + 1), empty(most + 1), empty(self.c.rows)
        schuss_rank_metric(metric, k, &self.c, &self.places_found, of_gains, <double *>start_of(discounts),
                           <double *>start_of(ordered), <double *>start_of(out))
        return out
