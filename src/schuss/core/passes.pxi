# Passes of a network: forward, backward, the loss, one training step.

cdef enum:
    MULTIPLY_ADDS_A_LOOK = 500000000  # of a prediction, between two looks at signals


cdef class Net(Nodes):
    cdef public uint64_t draws
    cdef schuss_feed *feeds
    cdef Targets targets
    cdef Stepper behind        # an optimizer that has rows that have missed steps; None: there is none
    cdef Binding bound         # of the optimizer that made the last step; None: none so far
    cdef Py_ssize_t slab, slabs_a_look  # rows that go through the layers together; slabs between looks at signals
    cdef Plan training, part_training, inference
    cdef object partial        # room for the losses' partial sums
    cdef Py_ssize_t n_partial
    cdef double *partial_room
    cdef object forward_x      # the inputs of a forward pass that backward() may follow
    cdef public bint shaped    # whether rows that come in or go out have positions
    cdef bint busy

    def __cinit__(self, nodes, dtype, uint64_t seed, bint bare=False, Nodes like=None):
        if bare:
            return
        self.feeds = <schuss_feed *>PyMem_Calloc(SCHUSS_MAX_INPUTS, sizeof(schuss_feed))
        if not self.feeds:
            raise MemoryError()
        self.targets = Targets(self.dtype, self.n_out)
        self.slab = schuss_net_slab(&self.c_net)
        self.slabs_a_look = max(1, <Py_ssize_t>(MULTIPLY_ADDS_A_LOOK / (<double>self.arena_size * self.slab + 1)))

    def __dealloc__(self):
        PyMem_Free(self.feeds)

    @property
    def named_losses(self):
        return self.targets.named

    @named_losses.setter
    def named_losses(self, dict specs not None):
        self.targets.named = specs

    cdef int enter(self, Stepper stepper=None) except -1:
        """stepper: the one that makes a step, for which rows are brought up to date as it needs them."""
        if self.busy:
            raise RuntimeError("this network is in use: by another thread, or by the loss function that this is called from")
        if self.behind is not None and self.behind is not stepper:
            self.catch_up()
        self.busy = True
        return 0

    cpdef int catch_up(self) except -1:
        """All rows of all parameters make the steps that they have missed."""
        cdef Stepper stepper = self.behind
        if stepper is not None and not stepper.busy:
            stepper.catch_up_all()
            self.behind = None
        return 0

    cdef double multiply_adds(self, Py_ssize_t rows) noexcept:
        """Of a forward pass, roughly."""
        return <double>self.arena_size * rows

    cdef Plan plan_for(self, Py_ssize_t rows, bint backward, wanted=None, const schuss_input *inputs=NULL):
        """inputs: those of a backward pass."""
        cdef Plan plan = self.inference if not backward else self.training if wanted is None else self.part_training
        cdef ptrdiff_t entries[SCHUSS_MAX_INPUTS]
        cdef ptrdiff_t *most = NULL
        cdef int k, n = self.c_net.n_inputs
        if inputs != NULL and self.n_in < 0:
            most = entries
            for k in range(n):
                entries[k] = 0
                if inputs[k].compressed != NULL:
                    entries[k] = inputs[k].compressed.start[rows] - inputs[k].compressed.start[0]
        if plan is None or not plan.serves(rows, wanted, most, n):
            for k in range(n if most != NULL else 0):
                entries[k] += entries[k] // 4  # the next batch may have some more
            # the old one goes first: two do not fit where one is large
            if not backward:
                self.inference = plan = None
                self.inference = plan = plan_of(&self.c_net, rows, SCHUSS_FORWARD_ONLY, None)
            elif wanted is None:
                self.training = plan = None
                self.training = plan = plan_of(&self.c_net, rows, SCHUSS_BACKWARD, None, most)
            else:
                self.part_training = plan = None
                self.part_training = plan = plan_of(&self.c_net, rows, SCHUSS_BACKWARD, wanted, most)
        return plan

    cdef double *partial_for(self, Py_ssize_t rows) except NULL:
        cdef Py_ssize_t n = schuss_loss_partials(rows)
        if self.n_partial < n:
            self.n_partial = 0
            self.partial = np.empty(n)
            self.partial_room = <double *>start_of(self.partial)
            self.n_partial = n
        return self.partial_room

    cpdef bint accepts_targets(self, y, Py_ssize_t rows, loss) except -1:
        return self.targets.fit_at_once(y, rows * self.positions, loss)

    cdef bint fit_at_once(self, x, y, weights, loss) except -1:
        """Whether a batch is seen at once to fit as it is."""
        cdef const double *w
        cdef Py_ssize_t rows
        if not self.accepts_inputs(x):
            return False
        rows = (<schuss_ndarray *>x).dimensions[0] * self.positions
        if weights is not None:
            w = <const double *>data_at_once(weights, SCHUSS_F64, 1, rows, -1, False)
            if w == NULL or not schuss_all_within(SCHUSS_F64, w, rows, DBL_MAX):
                return False
        return self.targets.fit_at_once(y, rows, loss)

    cdef Binding bind(self, Stepper stepper):
        """Points the optimizer's segments at this network's gradients of the same parameters. TypeError or ValueError
        unless all it has are whole arrays of the network."""
        cdef Py_ssize_t i
        stepper.make_all_whole()
        cdef unsigned char compressed[SCHUSS_MAX_INPUTS]
        if self.bound is None or self.bound.number != stepper.number or self.bound.changes != stepper.rows_changes:
            memset(compressed, 0, SCHUSS_MAX_INPUTS)
            self.bound = binding_of(self, stepper, compressed)
        if stepper.histories is not None:
            for i in range(self.c_net.n_arrays):
                if self.bound.segments[i] >= 0 and (self.bound.wanted is None or self.bound.wanted[i] != SCHUSS_WANTED_LATE):
                    stepper.catch_up_whole(self.bound.segments[i])
        for i in range(stepper.n_views):
            stepper.segments[i].g = <char *>self.c_net.grads + (<char *>stepper.segments[i].p
                                                                - <char *>self.c_net.params)
        return self.bound

    def touched(self, Stepper stepper not None, x):
        """Of each parameter, which rows of it codes of x name, where the optimizer goes by these alone; else None. It is
        about to make a step."""
        cdef Binding binding = self.bind(stepper)
        cdef Py_ssize_t k
        cdef list found = []
        x = x.x if type(x) is Sequences else x
        for k in range(self.c_net.n_arrays):
            if not self.c_net.arrays[k].stepped:
                continue
            if binding.wanted is None or binding.wanted[k] < SCHUSS_WANTED_BY_ROWS:
                found.append(None)
                continue
            codes, node = [], self.c_net.arrays[k].node
            while node:
                named = (x if type(x) is tuple else (x,))[self.c_net.nodes[<int>node].inputs[0]]
                codes.append(named.arrays()[1] if isinstance(named, Compressed) else named.ravel())
                node = self.c_net.nodes[<int>node].next_user
            found.append(np.unique(np.concatenate(codes)).astype(np.int64))
        if binding.late:
            self.behind = stepper
        return found

    def forward(self, x, bint training, dropout_factor=1.0):
        cdef double factor = self.dropout_factor_of(dropout_factor)
        cdef Py_ssize_t rows = self.rows_in(x)
        cdef schuss_input inputs[SCHUSS_MAX_INPUTS]
        cdef Plan plan
        cdef void *out
        if not training:
            return self.predict(x, None)
        self.read_inputs(x, rows, inputs)
        cdef Py_ssize_t columns = self.row_out * self.members
        result = np.empty((rows, columns), dtype=self.dtype)
        self.enter()
        try:
            self.forward_x = None
            plan = self.plan_for(rows, True, None, inputs)
            self.c_net.dropout_factor = factor
            with nogil:
                out = schuss_forward(plan.c_plan, inputs, rows, 0, self.draws, NULL)
            self.draws += 1
            memcpy(address_of(result, "result", self.c_net.dtype, 2, rows, columns, True), out, rows * columns * self.item)
            # the caller may use x again before backward()
            self.forward_x = tuple([array.copy() for array in x]) if type(x) is tuple else x.copy()
        finally:
            self.busy = False
        return result

    def backward(self, dout, bint want_dx):
        if self.forward_x is None:
            raise RuntimeError("backward() needs a forward(x, training=True) before it")
        x = self.forward_x
        cdef Py_ssize_t rows = self.rows_in(x)
        cdef schuss_input inputs[SCHUSS_MAX_INPUTS]
        cdef void *wanted[SCHUSS_MAX_INPUTS]
        cdef Py_ssize_t columns = self.row_out * self.members
        cdef const void *given = address_of(dout, "dout", self.c_net.dtype, 2, rows, columns, False)
        cdef Plan plan = self.training
        cdef Py_ssize_t k, channels
        cdef list dx = []
        self.read_inputs(x, rows, inputs)
        for k in range(self.c_net.n_inputs if want_dx else 0):
            channels = self.columns_of(k)
            dx.append(None)
            wanted[k] = NULL
            if self.c_net.nodes[k].storage == SCHUSS_REAL:
                dx[k] = np.zeros((rows, channels), dtype=self.dtype)
                wanted[k] = address_of(dx[k], "dx", self.c_net.dtype, 2, rows, channels, True)
        self.enter()
        try:
            memcpy(schuss_plan_dout(plan.c_plan), given, rows * columns * self.item)
            with nogil:
                schuss_backward(plan.c_plan, inputs, rows, 0, wanted if want_dx else NULL)
        finally:
            self.busy = False
        if not want_dx:
            return None
        return tuple(dx) if len(dx) > 1 else dx[0]

    def try_predict(self, x, out):
        cdef const schuss_ndarray *a = numpy_head(x)
        cdef schuss_input input
        cdef ptrdiff_t stride = self.row_bytes(0)
        cdef int ndim
        if a == NULL or a.nd < 1 or a.nd > 2 or a.dimensions[0] < 1 or self.n_in < 0 or self.shaped:
            return None
        ndim = a.nd
        input.x = data_at_once(x, self.c_net.dtype, ndim, -1, -1, False)
        if (input.x == NULL or a.dimensions[ndim - 1] != self.n_in
                or out is not None and data_at_once(out, self.c_net.dtype, ndim, -1, -1, True) == NULL):
            return None
        input.compressed, input.order, input.lengths, input.state = NULL, NULL, NULL, NULL
        return self.predict_rows(&input, &stride, NULL, ndim, a.dimensions[0] if ndim == 2 else 1, out)

    cpdef bint accepts_finite(self, x) noexcept:
        cdef const schuss_ndarray *a = <schuss_ndarray *>x
        return self.accepts_inputs(x) and not schuss_kernels(self.c_net.dtype).any_nonfinite(
            a.dimensions[0] * a.dimensions[1], a.data)

    def predict_finite(self, x):
        if not self.accepts_finite(x):
            return None
        return self.predict_into(x, None, 2, (<schuss_ndarray *>x).dimensions[0])

    def predict(self, x, out):
        cdef int ndim = 1 if self.n_in >= 0 and type(x) is not tuple and x.ndim == 1 else 2
        return self.predict_into(x, out, ndim, self.rows_in(x) if ndim == 2 else 1)

    cdef object predict_into(self, x, out, int ndim, Py_ssize_t rows):
        """x and out are (rows, n_in) and (rows, row_out), or with ndim 1 (n_in,) and (row_out,)."""
        cdef schuss_input inputs[SCHUSS_MAX_INPUTS]
        cdef schuss_input gathered[SCHUSS_MAX_INPUTS]
        cdef ptrdiff_t strides[SCHUSS_MAX_INPUTS]
        cdef schuss_compressed own[SCHUSS_MAX_INPUTS]
        cdef list rooms = None
        if ndim == 1:
            strides[0] = self.row_bytes(0)
            inputs[0].x = address_of(x, "x", self.c_net.dtype, 1, self.n_in, -1, False)
            inputs[0].compressed, inputs[0].order, inputs[0].lengths, inputs[0].state = NULL, NULL, NULL, NULL
        else:
            self.read_inputs(x, rows, inputs, strides, own)
            rooms = self.room_for(strides, min(rows, self.slab), gathered)
        return self.predict_rows(inputs, strides, NULL if rooms is None else gathered, ndim, rows, out)

    cdef object predict_rows(self, schuss_input *inputs, const ptrdiff_t *strides, schuss_input *gathered, int ndim,
                             Py_ssize_t rows, out):
        """gathered: room for a slab of what overlaps, NULL: nothing does. out: as of predict_into, or None."""
        cdef Py_ssize_t slab = self.slab, done = 0, stop, n, k, item = self.item, n_out = self.row_out
        cdef schuss_input *given = inputs if gathered == NULL else gathered
        if out is None:
            out = empty((n_out,), self.dtype) if ndim == 1 else empty((rows, n_out), self.dtype)
        cdef char *py = <char *>address_of(out, "out", self.c_net.dtype, ndim, n_out if ndim == 1 else rows, n_out, True)
        for k in range(self.c_net.n_inputs):
            if (inputs[k].compressed == NULL and <const char *>inputs[k].x < py + rows * n_out * item
                    and py < <const char *>inputs[k].x + (rows - 1) * strides[k] + self.row_bytes(k)):
                raise ValueError("out shares memory with X, expected an array of its own")
        cdef schuss_plan *c_plan
        cdef PyThreadState *state
        self.enter()
        try:
            c_plan = self.plan_for(min(rows, slab), False).c_plan
            while done < rows:
                stop = min(rows, done + self.slabs_a_look * slab)
                state = let_others_run(self.multiply_adds(stop - done))
                while done < stop:
                    n = min(slab, stop - done)
                    if gathered != NULL:
                        self.gather(inputs, strides, n, gathered)
                    schuss_forward(c_plan, given, n, 0, 0, py + done * n_out * item)
                    done += n
                    if done < rows:
                        self.advance(inputs, strides, n)
                come_back(state)
                if done < rows:
                    PyErr_CheckSignals()
        finally:
            self.busy = False
        return out

    def loss(self, x, y, weights, loss):
        return self.loss_into(None, x, y, weights, loss)

    def loss_and_prediction(self, x, y, weights, loss):
        """The same, and what `predict` gives; None for that where the loss takes what comes before the last activation."""
        cdef schuss_loss c_loss
        cdef ptrdiff_t y_bytes
        self.targets.data(loss, y, self.rows_in(x) * self.positions, &c_loss, &y_bytes)
        out = None if self.flags_for(&c_loss) else empty((self.rows_in(x), self.row_out), self.dtype)
        return self.loss_into(out, x, y, weights, loss), out

    cdef object loss_into(self, out, x, y, weights, loss):
        """The loss; with an array `out`, which none has but its caller, the network's output goes there."""
        cdef Py_ssize_t rows = self.rows_in(x), slab = self.slab, done = 0, n, each = self.positions
        cdef char *into = NULL if out is None else <char *>address_of(out, "out", self.c_net.dtype, 2, rows, self.row_out,
                                                                      True)
        cdef schuss_input inputs[SCHUSS_MAX_INPUTS]
        cdef schuss_input gathered[SCHUSS_MAX_INPUTS]
        cdef ptrdiff_t strides[SCHUSS_MAX_INPUTS]
        cdef schuss_compressed own[SCHUSS_MAX_INPUTS]
        self.read_inputs(x, rows, inputs, strides, own)
        cdef list rooms = self.room_for(strides, min(rows, slab), gathered)
        cdef bint gathers = rooms is not None
        cdef schuss_input *given = inputs
        if gathers:
            given = gathered
        cdef schuss_loss c_loss
        cdef ptrdiff_t y_bytes
        cdef const char *py = <const char *>self.targets.data(loss, y, rows * each, &c_loss, &y_bytes)
        cdef const double *pw = weights_data(weights, rows * each)
        cdef double total = schuss_weight_sum(pw, rows * each), value = 0
        cdef int flags = self.flags_for(&c_loss)
        cdef double *partial
        cdef Plan plan
        cdef void *output
        self.enter()
        try:
            partial = self.partial_for(slab * each)
            plan = self.plan_for(min(rows, slab), False)
            while done < rows:
                with nogil:
                    n = min(slab, rows - done)
                    if gathers:
                        self.gather(inputs, strides, n, gathered)
                    output = schuss_forward(plan.c_plan, given, n, flags, 0,
                                            NULL if into == NULL else into + done * self.row_out * self.item)
                    value += schuss_loss_value(self.c_net.dtype, &c_loss, n * each, self.n_out, output,
                                               py + done * each * y_bytes, pw, 1, NULL, partial)
                    self.advance(inputs, strides, n)
                    if pw != NULL:
                        pw += n * each
                    done += n
                PyErr_CheckSignals()
        finally:
            self.busy = False
        return value / total if total != 0 else 0.0

    cdef int flags_for(self, const schuss_loss *loss) noexcept:
        cdef const schuss_node *last = &self.c_net.nodes[self.c_net.n_nodes - 1]
        return SCHUSS_LOGITS if last.residual < 0 and schuss_loss_from_logits(loss.kind, last.activation) else 0

    cdef int begin(self, schuss_train *t, x, y, weights, loss, wanted=None) except -1:
        """Fills t for one batch that is all of x."""
        cdef Py_ssize_t rows = self.rows_in(x), k
        cdef schuss_input inputs[SCHUSS_MAX_INPUTS]
        memset(t, 0, sizeof(schuss_train))
        t.net = &self.c_net
        t.rows = t.batch = rows
        self.read_inputs(x, rows, inputs)
        for k in range(self.c_net.n_inputs):
            self.feeds[k].x, self.feeds[k].row_bytes = inputs[k].x, self.row_bytes(k)
            self.feeds[k].compressed = inputs[k].compressed
            self.feeds[k].stride = self.feeds[k].row_bytes
        t.feeds, t.lengths, t.state = self.feeds, inputs[0].lengths, inputs[0].state
        t.y = self.targets.data(loss, y, rows * self.positions, &t.loss, &t.y_row_bytes)
        t.y_row_bytes *= self.positions
        t.weights = weights_data(weights, rows * self.positions)
        t.partial = self.partial_for(rows * self.members * self.positions)
        t.flags = self.flags_for(&t.loss)
        t.draws = self.draws
        self.forward_x = None
        t.plan = self.plan_for(rows, True, wanted, inputs).c_plan
        return 0

    def try_loss_and_gradients(self, x, y, weights, loss, dropout_factor=1.0):
        return (self.pass_both_ways(x, y, weights, loss, dropout_factor) if self.fit_at_once(x, y, weights, loss)
                else None)

    def loss_and_gradients(self, x, y, weights, loss, dropout_factor=1.0):
        return self.pass_both_ways(x, y, weights, loss, dropout_factor)

    cdef double pass_both_ways(self, x, y, weights, loss, dropout_factor) except? -1.5:
        cdef double factor = self.dropout_factor_of(dropout_factor)
        cdef schuss_train t
        cdef schuss_input inputs[SCHUSS_MAX_INPUTS]
        cdef double value
        cdef PyThreadState *state
        cdef Py_ssize_t k
        self.enter()
        try:
            self.begin(&t, x, y, weights, loss)
            self.c_net.dropout_factor = factor
            for k in range(self.c_net.n_inputs):
                inputs[k].x, inputs[k].compressed, inputs[k].order = self.feeds[k].x, self.feeds[k].compressed, NULL
            inputs[0].lengths, inputs[0].state = t.lengths, t.state
            states = self.flat_states.copy() if self.states else None
            state = let_others_run(3 * self.multiply_adds(t.rows))
            schuss_train_begin(&t)
            value = schuss_train_loss(&t)
            schuss_backward(t.plan, inputs, t.rows, t.flags, NULL)
            come_back(state)
            if isfinite(value):
                self.draws = t.draws
            elif states is not None:
                self.flat_states[...] = states
        finally:
            self.busy = False
        return value

    def try_train_step(self, x, y, weights, loss, Stepper stepper, list groups, clip_value, clip_norm,
                       dropout_factor=1.0):
        cdef double factor = self.dropout_factor_of(dropout_factor)
        cdef double value_limit = limit("clip_value", clip_value), norm_limit = limit("clip_norm", clip_norm)
        if not self.fit_at_once(x, y, weights, loss):
            return None
        return self.step(x, y, weights, loss, stepper, groups, value_limit, norm_limit, factor)

    def train_step(self, x, y, weights, loss, Stepper stepper, list groups, clip_value=None, clip_norm=None,
                   dropout_factor=1.0):
        return self.step(x, y, weights, loss, stepper, groups, limit("clip_value", clip_value),
                         limit("clip_norm", clip_norm), self.dropout_factor_of(dropout_factor))

    cdef double step(self, x, y, weights, loss, Stepper stepper, list groups, double clip_value, double clip_norm,
                     double dropout_factor) except? -1.5:
        cdef schuss_train t
        cdef double value
        cdef int status
        cdef PyThreadState *state
        cdef Binding binding
        stepper.enter()
        try:
            self.enter(stepper)
            try:
                stepper.check_not_resting()
                stepper.check_params()
                stepper.read_for_step(groups, True)
                stepper.set_stages(1, clip_value, clip_norm, True, False)
                binding = self.bind(stepper)
                self.begin(&t, x, y, weights, loss, binding.wanted)
                self.c_net.dropout_factor = dropout_factor
                t.step = &stepper.c_step
                if binding.by_rows:
                    t.segments = binding.first
                states = self.flat_states.copy() if self.states else None
                state = let_others_run(3 * self.multiply_adds(t.rows))
                status = schuss_train_run(&t, 0)
                come_back(state)
                value = t.last_loss
                stepper.make_all_whole()
                if binding.late:
                    self.behind = stepper
                if status != SCHUSS_OK and states is not None:
                    self.flat_states[...] = states
            finally:
                self.busy = False
        finally:
            stepper.busy = False
        if status != SCHUSS_OK:
            raise_not_finite(value)
        self.draws = t.draws
        return value


cdef class AsBefore:
    """A context after which what a forward pass in training changes is as it was, if an exception ends it and the
    optimizer has made no step in it."""
    cdef Net net
    cdef Stepper stepper
    cdef object states
    cdef uint64_t draws
    cdef int64_t t

    def __cinit__(self, Net net not None, Stepper stepper=None):
        self.net, self.stepper = net, stepper

    def __enter__(self):
        self.states, self.draws = self.net.flat_states.copy(), self.net.draws
        if self.stepper is not None:
            self.t = self.stepper.c_step.t

    def __exit__(self, kind, error, traceback):
        if kind is not None and (self.stepper is None or self.stepper.c_step.t == self.t):
            self.net.flat_states[...] = self.states
            self.net.draws = self.draws
        self.states = None
