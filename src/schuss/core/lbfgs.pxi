# L-BFGS.

cdef enum:
    GRADIENTS = 4  # vectors that a line search may hold: its start, both ends, the new one

cdef class Lbfgs(Parameters):
    cdef schuss_lbfgs c
    cdef list steps, changes       # s and y by place
    cdef list gradients            # None: not needed so far
    cdef object direction_vector, start_vector, numbers, pointers, kind
    cdef Py_ssize_t padded
    cdef readonly int before       # which gradient the last direction was of; -1: none
    cdef double t
    cdef readonly int64_t iterations
    cdef readonly double moved     # t of the last move
    cdef bint away

    def __cinit__(self, list params, int history_size, form=None):
        require_isa()
        self.hold(params, form)
        self.c.dtype = self.dtype
        self.c.n_segments = self.n_views
        self.c.segments = self.segments
        self.c.n = sum([p.size for p in params])
        self.padded = (self.c.n + 15) // 16 * 16
        self.c.most = history_size
        self.c.scale = 1
        self.kind = self.params[0].dtype
        self.steps, self.changes, self.gradients = [], [], [None] * GRADIENTS
        self.direction_vector = aligned_zeros(self.padded, self.kind)
        self.start_vector = self.new_vector()
        self.c.d = start_of(self.direction_vector)
        self.c.x = start_of(self.start_vector)
        self.before = -1
        self.make_room()

    cdef object new_vector(self):
        """Padded with zeros. The first to touch its pages are the threads that work on them."""
        cdef Py_ssize_t item = self.kind.itemsize
        vector = aligned_bytes(self.padded * item).view(self.kind)
        vector[self.c.n:] = 0
        return vector

    cdef int make_room(self) except -1:
        """Memory for the pair that may be next."""
        cdef Py_ssize_t free = self.c.count, room  # while there is not all room, places are used in order
        if len(self.steps) > self.c.count:
            return 0
        if free == self.c.room:
            room = min(max(2 * self.c.room, 8), self.c.most + 1)
            numbers = np.zeros(schuss_lbfgs_numbers(room))
            pointers = np.zeros(4 * room, np.uintp)
            pointers[:free] = [vector.ctypes.data for vector in self.steps]
            pointers[room : room + free] = [vector.ctypes.data for vector in self.changes]
            self.c.s = <void **>start_of(pointers)
            self.c.y = self.c.s + room
            self.c.vectors = <const void **>(self.c.y + room)
            schuss_lbfgs_grow(&self.c, room, <double *>start_of(numbers))
            self.numbers, self.pointers = numbers, pointers
        step, change = self.new_vector(), self.new_vector()
        self.c.s[free] = start_of(step)
        self.c.y[free] = start_of(change)
        self.steps.append(step)
        self.changes.append(change)
        return 0

    cdef void *gradient_vector(self, int which) except NULL:
        if self.gradients[which] is None:
            self.gradients[which] = self.new_vector()
        return start_of(self.gradients[which])

    @property
    def history_size(self):
        return self.c.most

    def within(self, call):
        self.enter()
        try:
            return call()
        finally:
            self.restore()
            self.busy = False

    def gather(self, grads, int which):
        cdef schuss_lbfgs_look look
        cdef PyThreadState *state
        cdef void *g = self.gradient_vector(which)
        cdef list held = list((grads,) if type(grads) is ndarray else grads)
        self.point_at_gradients(held, False)
        state = let_others_run(3 * self.c.n)
        schuss_lbfgs_gather(&self.c, g, &look)
        come_back(state)
        return not look.nonfinite, look.slope, look.total, look.largest

    def direction(self, int which):
        cdef PyThreadState *state
        cdef const void *g = self.gradient_vector(which)
        cdef const void *before = self.gradient_vector(self.before) if self.before >= 0 and self.iterations else NULL
        self.make_room()
        state = let_others_run((2.0 * self.c.count + 4) * self.c.n)
        schuss_lbfgs_direction(&self.c, g, before, self.t)
        come_back(state)
        self.before = which
        self.t = 0
        return self.c.slope, self.c.largest

    def move(self, double t):
        cdef bint keep = not self.away
        self.away = True
        self.moved = t
        cdef PyThreadState *state = let_others_run(3 * self.c.n)
        cdef int nonfinite = schuss_lbfgs_move(&self.c, t, keep)
        come_back(state)
        return not nonfinite

    def stay(self, double t):
        self.away = False
        self.t = t
        self.iterations += 1

    def restore(self):
        cdef PyThreadState *state
        if self.away:
            state = let_others_run(2 * self.c.n)
            schuss_lbfgs_restore(&self.c)
            come_back(state)
            self.away = False

    @property
    def state(self):
        cdef int age, place
        cdef list steps = [], changes = [], rho = []
        for age in range(self.c.count):
            place = (self.c.first + age) % (self.c.most + 1)
            steps.append(self.steps[place][: self.c.n])
            changes.append(self.changes[place][: self.c.n])
            rho.append(schuss_lbfgs_rho(&self.c, age))
        before = None if self.before < 0 else self.gradients[self.before][: self.c.n]
        return steps, changes, rho, self.c.scale, self.direction_vector[: self.c.n], before, self.t

    def load(self, steps, changes, rho, double scale, direction, before, double t, int64_t iterations):
        cdef PyThreadState *state
        cdef double of_pair
        for step, change, of_pair in zip(steps, changes, rho):
            self.make_room()
            self.steps[self.c.count][: self.c.n] = step
            self.changes[self.c.count][: self.c.n] = change
            state = let_others_run((2.0 * self.c.count + 4) * self.c.n)
            schuss_lbfgs_append(&self.c, of_pair)
            come_back(state)
        self.c.scale = scale
        self.direction_vector[: self.c.n] = direction
        self.gradient_vector(0)
        self.gradients[0][: self.c.n] = before
        self.before, self.t, self.iterations = 0, t, iterations
