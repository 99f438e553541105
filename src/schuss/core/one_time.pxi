# A network at one time of sequences that go on.

cdef class OneTime:
    """A network's layers for one time, over its own parameters."""
    cdef Net net               # the network, whose lock this shares
    cdef Net one               # the same for one time
    cdef Py_ssize_t n_in, n_out, carried # n_in -1: inputs are not one of numbers
    cdef int dtype

    def __cinit__(self, Net net not None, nodes):
        self.net = net
        self.one = Net(nodes, net.dtype, net.seed, False, net)
        self.one.input_names = net.input_names
        self.n_in, self.n_out, self.dtype = self.one.n_in, self.one.row_out, net.c_net.dtype
        self.carried = net.state

    def try_step(self, x, state, out):
        cdef const schuss_ndarray *a = numpy_head(x)
        cdef schuss_input input
        cdef int ndim
        cdef Py_ssize_t rows = 1
        cdef void *to
        if a == NULL or a.nd < 1 or a.nd > 2:
            return None
        ndim = a.nd
        if ndim == 2:
            rows = a.dimensions[0]
        input.x = data_at_once(x, self.dtype, ndim, -1, -1, False)
        input.state = data_at_once(state, self.dtype, 2, rows, self.carried, True)
        if input.x == NULL or input.state == NULL or rows < 1 or a.dimensions[ndim - 1] != self.n_in:
            return None
        if out is None:
            out = empty(self.n_out, self.net.dtype) if ndim == 1 else empty((rows, self.n_out), self.net.dtype)
            to = start_of(out)
        else:
            to = data_at_once(out, self.dtype, ndim, self.n_out if ndim == 1 else rows, self.n_out, True)
            if to == NULL:
                return None
        input.compressed, input.order, input.lengths = NULL, NULL, NULL
        self.run(&input, rows, to)
        return out

    def step(self, x, state, out):
        """x: (rows, columns) of each input; out: (rows, row_out)."""
        cdef Py_ssize_t rows = self.one.rows_in(x)
        cdef schuss_input inputs[SCHUSS_MAX_INPUTS]
        self.one.read_inputs(Sequences(x, None, state), rows, inputs)
        self.run(inputs, rows, address_of(out, "out", self.dtype, 2, rows, self.n_out, True))

    cdef int run(self, schuss_input *inputs, Py_ssize_t rows, void *out) except -1:
        cdef const char *start = <const char *>out
        cdef const char *end = start + rows * self.n_out * self.net.item
        cdef const char *state = <const char *>inputs[0].state
        cdef const char *state_end = state + rows * self.carried * self.net.item
        cdef const char *x
        cdef const char *x_end
        cdef schuss_plan *plan
        cdef PyThreadState *thread
        cdef Py_ssize_t k
        if start < state_end and state < end:
            raise ValueError("out shares memory with state, expected an array of its own")
        for k in range(self.one.c_net.n_inputs):
            x = <const char *>inputs[k].x
            x_end = x + rows * self.one.row_bytes(k)
            if x < end and start < x_end or x < state_end and state < x_end:
                raise ValueError("x shares memory with out or state, expected an array of its own")
        self.net.enter()
        try:
            plan = self.one.plan_for(rows, False).c_plan
            thread = let_others_run(self.one.multiply_adds(rows))
            schuss_forward(plan, inputs, rows, 0, 0, out)
            come_back(thread)
        finally:
            self.net.busy = False
        return 0
