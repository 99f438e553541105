# Ranking by pairs: users and items that are rows of tables, and epochs of steps on pairs of them.

RANKINGS = ("logistic", "bpr", "warp", "warp-kos")  # by the numbers of enum schuss_pairwise_loss
cdef object INT32 = np.dtype(np.int32)


def table_rows(Py_ssize_t rows, Py_ssize_t slots, Py_ssize_t stride, dtype):
    """Zeros (rows, slots, stride), 64-byte aligned."""
    return aligned_zeros(rows * slots * stride, np.dtype(dtype)).reshape(rows, slots, stride)


cdef const void *plain_data(object array, str name, object dtype, Py_ssize_t n) except? NULL:
    """The data of an array (n,) of this dtype; -1: any size. The caller holds it, and nobody else writes it."""
    if type(array) is not ndarray or array.dtype != dtype or array.ndim != 1 or not array.flags.carray:
        raise TypeError(f"{name} is no array of {dtype}, contiguous and aligned")
    if n >= 0 and array.shape[0] != n:
        raise ValueError(f"{name} has shape {array.shape}, expected ({n},)")
    return start_of(array)


cdef const int32_t *codes_below(object array, str name, Py_ssize_t n, Py_ssize_t limit) except? NULL:
    """The data of int32 numbers (n,), each in [0, limit)."""
    cdef const int32_t *data = <const int32_t *>plain_data(array, name, INT32, n)
    cdef Py_ssize_t wrong = schuss_first_code_outside(data, array.shape[0], limit)
    if wrong >= 0:
        raise ValueError(f"{name}[{wrong}] is {data[wrong]}, expected at least 0 and less than {limit}")
    return data


cdef const int64_t *starts_of(object array, str name, Py_ssize_t n, Py_ssize_t last) except? NULL:
    """The data of int64 numbers (n + 1,) from 0 to last that do not fall."""
    cdef const int64_t *data = <const int64_t *>plain_data(array, name, INT64, n + 1)
    cdef Py_ssize_t i
    if data[0] != 0 or data[n] != last:
        raise ValueError(f"{name} goes from {data[0]} to {data[n]}, expected from 0 to {last}")
    for i in range(n):
        if data[i + 1] < data[i]:
            raise ValueError(f"{name}[{i + 1}] is {data[i + 1]}, expected at least {data[i]}")
    return data


cdef class TableRows:
    """Users, or items: a table (features, slots, stride), and whose sums each of n is: None, row i itself, or start, codes,
    values."""
    cdef schuss_side c
    cdef int dtype
    cdef Py_ssize_t slots, stride, longest
    cdef readonly object table
    cdef object features, place

    def __cinit__(self, Py_ssize_t n, table, features=None, double alpha=0.0):
        cdef Py_ssize_t i
        if type(table) is not ndarray or table.ndim != 3 or not table.flags.carray:
            raise TypeError("table is no array (rows, slots, stride), contiguous, aligned and writable")
        self.dtype = dtype_of(table.dtype)
        self.table, self.features, self.place = table, features, held_in_place(table)
        self.slots, self.stride = table.shape[1], table.shape[2]
        if not 2 <= self.slots <= 3 or self.stride < 16 or self.stride % 16:
            raise ValueError(f"table has shape {table.shape}, expected 2 or 3 slots of a multiple of 16")
        if not 0 <= n < 1 << 31 or table.shape[0] >= 1 << 31:
            raise ValueError(f"there are {n} of {table.shape[0]} features, expected less than 2^31")
        self.c.n, self.c.features, self.c.table, self.c.alpha = n, table.shape[0], start_of(table), alpha
        self.longest = 1
        if features is None:
            if n > table.shape[0]:
                raise ValueError(f"there are {n}, the table has {table.shape[0]} rows")
            return
        start, codes, values = features
        self.c.codes = codes_below(codes, "codes", -1, table.shape[0])
        self.c.start = starts_of(start, "start", n, codes.shape[0])
        self.c.values = plain_data(values, "values", table.dtype, codes.shape[0])
        for i in range(n):
            self.longest = max(self.longest, self.c.start[i + 1] - self.c.start[i])

    def representations(self):
        """(n, stride): what each is, its bias behind the components."""
        cdef void *to
        cdef Py_ssize_t stride = self.stride, slots = self.slots
        require_isa()
        out = table_rows(self.c.n, 1, stride, self.table.dtype).reshape(self.c.n, stride)
        to = start_of(out)
        with nogil:
            schuss_pairwise_represent(self.dtype, &self.c, slots, stride, to)
        return out


def pair_scores(of_users, of_items, Py_ssize_t dim, users, items):
    """Scores of users[k] with items[k] from `TableRows.representations` of both."""
    cdef Py_ssize_t n = users.shape[0], stride = of_users.shape[1]
    cdef int dtype = dtype_of(of_users.dtype)
    cdef const void *u = address_of(of_users, "of_users", dtype, 2, -1, stride, False)
    cdef const void *v = address_of(of_items, "of_items", dtype, 2, -1, stride, False)
    cdef const int32_t *first = codes_below(users, "user_ids", n, of_users.shape[0])
    cdef const int32_t *second = codes_below(items, "item_ids", n, of_items.shape[0])
    cdef void *to
    if not 0 < dim < stride or stride % 16:
        raise ValueError(f"of_users has {stride} columns, expected a multiple of 16 that is more than {dim}")
    require_isa()
    out = np.empty(n, of_users.dtype)
    to = start_of(out)
    with nogil:
        schuss_pairwise_scores(dtype, dim, stride, u, v, n, first, second, to)
    return out


cdef class Pairwise:
    """Epochs over pairs that were seen."""
    cdef schuss_pairwise p
    cdef TableRows users, items
    cdef object held, order, lrs, scratch
    cdef bint busy

    def __cinit__(self, str loss, Py_ssize_t dim, TableRows users not None, TableRows items not None, seen, known, *, adadelta=None,
                  popular=None, int max_sampled=0, rank_losses=None, kos=(1, 1), uint64_t seed=0, Py_ssize_t batch=0):
        cdef Py_ssize_t n, words
        require_isa()
        self.users, self.items = users, items
        self.p.loss, self.p.dtype, self.p.dim, self.p.stride = RANKINGS.index(loss), users.dtype, dim, users.stride
        self.p.users, self.p.items = users.c, items.c
        self.p.adadelta = adadelta is not None
        if adadelta is not None:
            self.p.rho, self.p.eps = adadelta
        if items.dtype != users.dtype or items.stride != users.stride or items.slots != users.slots:
            raise ValueError("users and items differ in dtype, stride or slots")
        if not 0 < dim < users.stride or users.slots != 2 + self.p.adadelta:
            raise ValueError(f"tables have {users.slots} slots of {users.stride}, which does not fit dim {dim}")
        seen_users, seen_items, liked, weights = seen
        n = seen_users.shape[0]
        if n >= 1 << 32:
            raise ValueError(f"there are {n} pairs, expected less than 2^32")
        self.p.n = n
        self.p.seen_users = codes_below(seen_users, "users", n, users.c.n)
        if loss == "warp-kos":
            seen_items = weights = None
        else:
            self.p.seen_items = codes_below(seen_items, "items", n, items.c.n)
        if loss == "logistic":
            self.p.liked = <const unsigned char *>plain_data(liked, "liked", BYTES, n)
        else:
            liked = None
        if weights is not None:
            self.p.weights = plain_data(weights, "weights", users.table.dtype, n)
        start, codes = known
        self.p.known = codes_below(codes, "known", -1, items.c.n)
        self.p.known_start = starts_of(start, "known_start", users.c.n, codes.shape[0])
        words = (items.c.n + 63) // 64
        bits = None
        if words * users.c.n <= max(1 << 16, 4 * codes.shape[0]):  # half a MiB, or 32 bytes each
            bits = np.zeros(max(words * users.c.n, 1), np.uint64)
            self.p.known_bits, self.p.known_words = <const uint64_t *>start_of(bits), words
            schuss_known_bits(users.c.n, self.p.known_start, self.p.known, words, <uint64_t *>start_of(bits))
        if popular is not None:
            self.p.popular, self.p.n_popular = codes_below(popular, "popular", -1, items.c.n), popular.shape[0]
        if loss in ("warp", "warp-kos"):
            if not 0 < max_sampled < 1 << 24:
                raise ValueError(f"max_sampled is {max_sampled}, expected from 1 to 2^24 - 1")
            self.p.max_sampled = max_sampled
            self.p.rank_losses = <const double *>plain_data(rank_losses, "rank_losses", FLOAT64, max_sampled)
        self.p.kos_k, self.p.kos_n = kos
        if not 0 < self.p.kos_k <= self.p.kos_n < 1 << 24:
            raise ValueError(f"kos is {kos}, expected 1 <= k <= n")
        self.p.seed, self.p.batch = seed, max(0, min(batch, n))
        self.p.most_features = max(users.longest, items.longest)
        self.p.members = min(schuss_get_num_threads(), 64) if batch else 1
        self.scratch = aligned_bytes(schuss_pairwise_scratch(&self.p, self.p.members))
        self.p.scratch = start_of(self.scratch)
        self.held = seen_users, seen_items, liked, weights, known, bits, popular, rank_losses

    @property
    def steps_per_epoch(self):
        return (self.p.n + self.p.batch - 1) // self.p.batch if self.p.batch else self.p.n

    def begin(self, uint64_t epoch, lrs):
        """A new epoch. lrs: one rate, or one of each step."""
        if epoch >= 1 << 40 or self.busy:
            raise ValueError(f"epoch is {epoch}, expected less than 2^40, and none is to run")
        order = permutation(self.p.n, self.p.seed, epoch)
        self.p.lr = <const double *>plain_data(lrs, "lrs", FLOAT64, -1 if lrs.shape[0] == 1 else self.steps_per_epoch)
        self.p.lr_step = 0 if lrs.shape[0] == 1 else 1
        self.order, self.lrs, self.p.order = order, lrs, <const int64_t *>start_of(order)
        self.p.epoch, self.p.position, self.p.steps, self.p.nonfinite = epoch, 0, 0, 0
        self.p.loss_sum = self.p.weight_sum = self.p.skipped = 0

    def run(self, double seconds):
        """Goes on with it; whether there is more to do. ArithmeticError: a score or a row was NaN or infinite."""
        cdef int status
        if self.order is None or self.busy:
            raise RuntimeError("no epoch has begun, or it runs in another thread")
        self.busy = True
        with nogil:
            status = schuss_pairwise_run(&self.p, seconds)
        self.busy = False
        if status == SCHUSS_NONFINITE:
            raise ArithmeticError(f"step {self.p.steps}")
        return status == SCHUSS_MORE

    @property
    def steps(self):
        """Made in this epoch."""
        return self.p.steps

    @property
    def loss(self):
        """Mean loss of this epoch's pairs so far, those left out not counted; NaN: there was none."""
        return self.p.loss_sum / self.p.weight_sum if self.p.weight_sum > 0 else float("nan")

    @property
    def skipped(self):
        """How many pairs of this epoch have users who know all items, or none."""
        return self.p.skipped
