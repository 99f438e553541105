# Whole epochs.

cdef Compressed compressed_for(Net net, start, indices, data):
    """Compressed rows for a network whose one input is numbers: private copies, all through the training."""
    if not schuss_net_reads_compressed(&net.c_net, 0):
        raise TypeError("x is compressed rows, which only a network that begins with dense layers takes")
    if start.dtype != np.int64 or start.ndim != 1:
        raise TypeError(f"start is {start.dtype} of shape {start.shape}, expected int64 (rows + 1,)")
    if indices.dtype != np.int32 and indices.dtype != np.int64 or indices.shape != data.shape:
        raise TypeError(f"indices is {indices.dtype} of shape {indices.shape}, expected int32 or int64 of shape {data.shape}")
    if data.dtype != net.dtype:
        raise TypeError(f"data has dtype {data.dtype}, expected {net.dtype}")
    return Compressed.__new__(Compressed, start, indices, data, net.n_in)


cdef Py_ssize_t most_entries(lengths, Py_ssize_t batch) except -1:
    """The most entries that so many compressed rows have, which have these lengths."""
    if batch < len(lengths):
        lengths = np.partition(lengths, len(lengths) - batch)[len(lengths) - batch:]
    return lengths.sum()


cdef enum:
    COPIED_BYTES = 1 << 26     # tables of which steps touch some rows are copied up to this size, as all other arrays are


cdef class Trainer:
    cdef schuss_train t
    cdef Net net
    cdef Stepper stepper
    cdef Plan plan
    cdef list groups
    cdef object function       # a loss that is a Python callable, or None
    cdef double clip_value, clip_norm
    cdef schuss_copy *copies
    cdef list copied           # the copies' memory
    cdef list aside            # copies of the copies before these, or None
    cdef tuple of_aside        # their draws, steps, epoch and clocks
    cdef Py_ssize_t last_part  # of them, that of the last part of the parameters' arena, which has the states behind them
    cdef schuss_kept *kept     # tables that are not copied
    cdef list rooms            # their memory
    cdef schuss_penalty penalty
    cdef schuss_augment augment
    cdef object penalty_sums
    cdef uint64_t draws_begun, draws_copied
    cdef int64_t steps_begun, steps_copied
    cdef object clocks_begun, clocks_copied # of the stepper
    cdef object epoch_begun, epoch_copied
    cdef Trainer after_begun, after_copied # where the epoch that began, or was copied, was another's before: that one
    cdef public object way_to_rest # for the stepper's move_params to where the parameters rest; None: they are there always
    cdef schuss_feed *feeds
    cdef Binding binding
    cdef list held       # what keeps the memory of x and y where it is
    cdef object x, y, weights, lengths, order, batch_x, batch_y, batch_weights, batch_lengths, partial, lrs, dropouts
    cdef list decays           # those of each group, or None
    cdef const double **decays_of
    cdef object states_begun   # what states such as running means were when the epoch began
    cdef object carried        # the state that rows of one batch hand on to those of the next, or None
    cdef bint gathers          # whether batches have to be gathered, shuffled or not
    cdef Py_ssize_t rows_of_epoch # unless it is shortened
    cdef Py_ssize_t rows_given # of which an epoch takes as many as fill whole batches, or all:
    cdef Py_ssize_t rows_taken # so many, of which t.rows are the last that this trainer makes steps with
    cdef object losses         # of the epoch's batches
    cdef bint failed           # whether a loss or gradient of this epoch was not finite

    def __cinit__(self, Net net not None, Stepper stepper not None, list groups not None, loss, x, y, weights,
                  Py_ssize_t batch_size, double clip_value, double clip_norm, bint restores=False, penalty=None,
                  bint counts_rows=False, bint drop_last=False, bint carries=False, augment=None):
        cdef Sequences sequences = x if type(x) is Sequences else Sequences(x)
        x = sequences.x
        cdef bint compressed = isinstance(x, tuple) and net.n_in >= 0
        if compressed:
            x = compressed_for(net, x[0], x[1], x[2])
        cdef Py_ssize_t i, rows = net.rows_in(x)
        cdef schuss_input inputs[SCHUSS_MAX_INPUTS]
        cdef ptrdiff_t strides[SCHUSS_MAX_INPUTS]
        cdef unsigned char is_compressed[SCHUSS_MAX_INPUTS]
        cdef ptrdiff_t entries[SCHUSS_MAX_INPUTS]
        if sequences.state is not None:
            raise ValueError("x has a state, expected None: rows begin at zeros, or go on from the batch before")
        if rows < 1 or batch_size < 1:
            raise ValueError(f"x has {rows} rows and batch_size is {batch_size}, expected at least 1")
        batch_size = min(batch_size, rows)
        self.net, self.stepper, self.groups = net, stepper, groups
        if weights is not None:
            weights = np.array(weights)  # a private copy: nobody checks them again
        self.x, self.y, self.weights = x, y, weights
        self.t.net = &net.c_net
        self.t.rows, self.t.batch, self.rows_given = rows, batch_size, rows
        self.feeds = <schuss_feed *>PyMem_Calloc(SCHUSS_MAX_INPUTS, sizeof(schuss_feed))
        if not self.feeds:
            raise MemoryError()
        self.t.feeds = self.feeds
        if compressed:
            self.feeds[0].compressed = &(<Compressed>x).c
        else:
            if sequences.lengths is not None:
                sequences = Sequences(x, np.array(sequences.lengths), sequences.state)  # nobody checks them again
            net.read_inputs(sequences, rows, inputs, strides)
            self.t.lengths = inputs[0].lengths
            for i in range(net.c_net.n_inputs):
                self.feeds[i].x, self.feeds[i].compressed = inputs[i].x, inputs[i].compressed
        self.lengths = sequences.lengths
        for i in range(net.c_net.n_inputs):
            self.feeds[i].row_bytes = net.row_bytes(i)
            self.feeds[i].stride = self.feeds[i].row_bytes if compressed else strides[i]
            self.gathers |= self.feeds[i].compressed != NULL or self.feeds[i].stride != self.feeds[i].row_bytes
        self.t.counts_rows = counts_rows
        if augment is not None:
            self.read_augment(augment[0], augment[1], augment[2])
        if callable(loss):
            self.function = loss
            self.t.y = NULL
        else:
            self.t.y = net.targets.data(loss, y, rows * net.positions, &self.t.loss, &self.t.y_row_bytes)
            self.t.y_row_bytes *= net.positions
            self.t.flags |= net.flags_for(&self.t.loss)
        self.t.weights = weights_data(weights, rows * net.positions)
        self.held = [held_in_place(array) for array in (*(x if isinstance(x, tuple) else (x,)), y)
                     if not isinstance(array, Compressed)]
        self.clip_value, self.clip_norm = clip_value, clip_norm
        stepper.enter()
        try:
            stepper.read_groups(groups)
            stepper.set_stages(1, clip_value, clip_norm, False, False)
        finally:
            stepper.busy = False
        self.t.step = &stepper.c_step
        self.decays_of = <const double **>PyMem_Calloc(stepper.c_step.n_groups + 1, sizeof(double *))
        if not self.decays_of:
            raise MemoryError()
        if penalty is not None:
            self.penalty.group, self.penalty.l1, self.penalty.l2 = penalty
            if not 0 <= self.penalty.group < stepper.c_step.n_groups:
                raise ValueError(f"penalty is on group {self.penalty.group}, expected one of {stepper.c_step.n_groups}")
            self.penalty_sums = np.zeros(schuss_penalty_sums(&stepper.c_step, self.penalty.group))
            self.penalty.sums = <double *>start_of(self.penalty_sums)
            self.t.penalty = &self.penalty
        for i in range(net.c_net.n_inputs):
            is_compressed[i] = self.feeds[i].compressed != NULL
            entries[i] = most_entries((x if type(x) is tuple else (x,))[i].counts(), batch_size) if is_compressed[i] else 0
        self.binding = binding_of(net, stepper, is_compressed)
        self.t.segments = self.binding.first
        if penalty is not None and self.binding.by_rows:
            raise ValueError("penalty is on whole arrays at each step, expected None with rows='lazy' or rows='exact'")
        self.plan = plan_of(&net.c_net, batch_size, SCHUSS_BACKWARD_ONCE, self.binding.wanted, entries)
        self.t.plan = self.plan.c_plan
        self.partial = np.empty(schuss_loss_partials(batch_size * net.members * net.positions))
        self.t.partial = <double *>start_of(self.partial)
        if drop_last:
            self.t.rows = rows - rows % batch_size
        self.rows_of_epoch = self.rows_taken = self.t.rows
        self.losses = np.empty((self.t.rows + batch_size - 1) // batch_size)
        self.t.losses = <double *>start_of(self.losses)
        if carries:
            if self.t.rows % batch_size:
                raise ValueError(f"batch_size is {batch_size} and x has {rows} rows, expected whole batches")
            self.carried = np.zeros((batch_size, net.state), net.dtype)
            self.t.state = start_of(self.carried)
        self.t.position = self.t.rows
        if restores:
            self.keep_large()
            live = self.parts_to_copy()
            self.copies = <schuss_copy *>PyMem_Calloc(len(live), sizeof(schuss_copy))
            if not self.copies:
                raise MemoryError()
            self.copied = [np.empty_like(array) for array in live]
            for i in range(len(live)):
                self.copies[i].live = start_of(live[i])
                self.copies[i].copy = <void *>start_of(self.copied[i])
                self.copies[i].bytes = live[i].nbytes
            self.t.copies = self.copies
            self.t.n_copies = len(live)
            self.t.since_copied = INFINITY

    cdef int keep_large(self) except -1:
        """Large tables that steps touch some rows of are not copied: their rows are kept as they are touched."""
        cdef Py_ssize_t i, n = 0
        cdef schuss_array *array
        self.kept = <schuss_kept *>PyMem_Calloc(self.net.c_net.n_arrays + 1, sizeof(schuss_kept))
        if not self.kept:
            raise MemoryError()
        self.rooms = []
        for i in range(self.net.c_net.n_arrays):
            array = &self.net.c_net.arrays[i]
            # Rows that miss steps change when they are made up for, too.
            if self.binding.wanted is None or self.binding.wanted[i] != SCHUSS_WANTED_BY_ROWS:
                continue
            if array.n * self.net.item <= COPIED_BYTES:
                continue
            is_kept = np.zeros(array.rows, np.uint8)
            self.kept[n].array, self.kept[n].rows = <int>i, array.rows
            self.kept[n].is_kept = <unsigned char *>start_of(is_kept)
            self.kept[n].bytes = schuss_kept_bytes(&self.t, <int>i)
            self.rooms.append([is_kept, None, None])
            n += 1
        self.t.kept, self.t.n_kept = self.kept, <int>n
        return 0

    cdef int make_room(self) except -1:
        """For rows that are kept in the next step."""
        cdef int k
        cdef Py_ssize_t most, n
        for k in range(self.t.n_kept):
            n, most = self.kept[k].n, schuss_kept_step(&self.t, k)
            if self.kept[k].room - n >= most:
                continue
            room = min(max(2 * self.kept[k].room, n + 4 * most), self.kept[k].rows + most)
            index, values = np.empty(room, np.int64), np.empty(room * self.kept[k].bytes, np.uint8)
            if n:
                memcpy(start_of(index), self.kept[k].index, n * sizeof(int64_t))
                memcpy(start_of(values), self.kept[k].values, n * self.kept[k].bytes)
            self.rooms[k][1:] = index, values
            self.kept[k].index, self.kept[k].values = <int64_t *>start_of(index), <char *>start_of(values)
            self.kept[k].room = room
        return 0

    cdef list parts_to_copy(self):
        """All that training changes, but for tables whose rows are kept."""
        cdef int k
        cdef Py_ssize_t segment
        arenas = [self.net.flat_parameters, *self.stepper.arenas]
        gaps = [[] for _ in arenas]
        for k in range(self.t.n_kept):
            segment = self.t.segments[self.kept[k].array]
            held = [self.stepper.params[segment], *[a for a in self.stepper.state_arrays[segment] if a is not None]]
            for array in held:
                for arena, of_arena in zip(arenas, gaps):
                    first = (array.ctypes.data - arena.ctypes.data) // arena.itemsize
                    if 0 <= first < arena.size:
                        of_arena.append((first, first + array.size))
        parts = []
        for arena, of_arena in zip(arenas, gaps):
            start = 0
            for first, end in sorted(of_arena):
                parts.append(arena[start:first])
                start = end
            parts.append(arena[start:])
            if arena is arenas[0]:
                self.last_part = len(parts) - 1
        return [*parts, self.stepper.memory_room]

    def __dealloc__(self):
        PyMem_Free(self.copies)
        PyMem_Free(self.kept)
        PyMem_Free(self.feeds)
        PyMem_Free(self.decays_of)

    cdef int read_augment(self, Py_ssize_t k, dims, given) except -1:
        """Has input k changed as it is gathered."""
        if not 0 <= k < self.net.c_net.n_inputs or self.feeds[k].x == NULL:
            raise ValueError(f"augment is of input {k}, expected one of {self.net.c_net.n_inputs}, not compressed")
        cdef Py_ssize_t channels = self.net.c_net.nodes[k].channels
        if self.net.c_net.nodes[k].storage != SCHUSS_REAL or self.net.c_net.nodes[k].positions != dims[0] * dims[1]:
            raise ValueError(f"augment is of images {dims}, expected the positions of input {k}, numbers")
        fill_augment(given, dims, channels, self.net.dtype, &self.augment)
        self.feeds[k].augment = &self.augment
        self.t.augments = 1
        return 0

    def restore(self):
        cdef Trainer after = self.after_begun if self.epoch_copied is None else self.after_copied
        found = self.restore_own()
        if after is None:
            return found
        found = after.restore()
        after.rest()
        return found

    cdef object restore_own(self):
        """To where this trainer began to make steps of that epoch."""
        cdef int i
        if self.epoch_copied is None:  # nothing has been updated yet
            self.net.draws = self.draws_begun
            if self.states_begun is not None:
                self.net.flat_states[...] = self.states_begun
            return self.epoch_begun
        self.stepper.enter()
        try:
            self.net.enter()
            try:
                for i in range(self.t.n_copies):
                    memcpy(self.copies[i].live, self.copies[i].copy, self.copies[i].bytes)
                schuss_kept_restore(&self.t)
                self.net.draws = self.draws_copied
                self.stepper.c_step.t = self.steps_copied
                self.stepper.put_clocks(self.clocks_copied)
                self.stepper.forget_missed()
            finally:
                self.net.busy = False
        finally:
            self.stepper.busy = False
        return self.epoch_copied

    cdef int rest(self) except -1:
        """The parameters become what is to be evaluated and used."""
        self.net.catch_up()
        if self.way_to_rest is not None and not self.stepper.resting:
            self.stepper.move_params(0, self.way_to_rest if self.stepper.c_step.t > 1 else [0.0] * len(self.way_to_rest), True)
        return 0

    def keep(self, bint anew):
        """Whether the next epochs make copies, each; without this call, where epochs are long enough."""
        self.t.since_copied = INFINITY if anew else -INFINITY

    def set_aside(self):
        if self.epoch_copied is None or self.t.n_kept:
            return
        if self.aside is None:
            self.aside = [np.empty_like(array) for array in self.copied]
        for copy, array in zip(self.aside, self.copied):
            copy[...] = array
        self.of_aside = self.draws_copied, self.steps_copied, self.epoch_copied, self.clocks_copied

    def take_aside(self):
        if self.of_aside is None:
            return
        for copy, array in zip(self.aside, self.copied):
            array[...] = copy
        self.draws_copied, self.steps_copied, self.epoch_copied, self.clocks_copied = self.of_aside

    @property
    def epoch_aside(self):
        return None if self.of_aside is None else self.of_aside[2]

    @property
    def epoch_kept(self):
        return self.epoch_copied

    def losses_from(self, Py_ssize_t first):
        return self.losses[first:self.batches_done].copy()

    def shorten(self, Py_ssize_t steps):
        if steps < 1:
            raise ValueError(f"steps is {steps}, expected at least 1")
        if self.t.position < self.t.rows:
            raise RuntimeError("shorten during an epoch")
        self.rows_taken = self.t.rows = self.t.position = min(self.rows_of_epoch, steps * self.t.batch)

    @property
    def steps_per_epoch(self):
        return (self.rows_taken + self.t.batch - 1) // self.t.batch

    @property
    def batches_done(self):
        return (self.t.position + self.t.batch - 1) // self.t.batch

    @property
    def loss(self):
        return self.t.loss_sum / self.t.weight_sum if self.t.weight_sum > 0 else 0.0

    @property
    def last_loss(self):
        return self.t.last_loss

    @property
    def batch_losses(self):
        return self.losses[:self.batches_done + self.failed].copy()

    cdef object of_steps(self, name, values):
        """A number a step of an epoch, as an array of the trainer's; None: none are given."""
        if values is None:
            return None
        values = np.array(values, dtype=np.float64, order="C")
        if values.shape != (self.steps_per_epoch,):
            raise ValueError(f"{name} has shape {values.shape}, expected {(self.steps_per_epoch,)}")
        if not (np.isfinite(values) & (values >= 0)).all():
            raise ValueError(f"{name} holds a value that is negative or not finite, expected numbers >= 0")
        return values

    def start_epoch(self, shuffle_seed, epoch, lrs, order=None, decays=None, dropouts=None, batches=None,
                    Trainer after=None):
        cdef int g
        cdef Py_ssize_t last = self.steps_per_epoch if batches is None else batches
        if not 1 <= last <= self.steps_per_epoch:
            raise ValueError(f"batches is {batches}, expected 1 to {self.steps_per_epoch}")
        if after is not None and not self.is_like(after):
            raise ValueError("after is a trainer of other rows, or an epoch that is over, expected one of the same in an epoch")
        if self.net.busy:
            raise RuntimeError("start_epoch during a step of this network")
        if self.t.n_copies and self.net.behind is self.stepper:
            self.net.catch_up()  # what is copied is of one step
        lrs, dropouts = self.of_steps("lrs", lrs), self.of_steps("dropouts", dropouts)
        if dropouts is not None:
            self.net.checked_dropout_factor(dropouts.max())
        if decays is not None:
            decays = [self.of_steps("decays", values) for values in decays]
            if len(decays) != self.stepper.c_step.n_groups:
                raise ValueError(f"decays has {len(decays)} entries, expected {self.stepper.c_step.n_groups}")
        self.order = None
        self.t.order = NULL
        if order is not None:
            order = np.array(order, order="C")  # a private copy: the core reads where it says
            if not labels_in_range(order, self.rows_given) or order.shape[0] != self.rows_given:
                raise ValueError(f"order is not of {self.rows_given} rows, expected their numbers in some order")
            self.order = order
        elif shuffle_seed is not None and (self.t.batch < self.rows_given or self.function is not None):
            self.order = permutation(self.rows_given, shuffle_seed, epoch)
        elif self.gathers or self.t.augments:
            self.order = np.arange(self.rows_given)
        if self.carried is not None and order is None and shuffle_seed is not None:
            raise ValueError("shuffle_seed is given, expected None where rows go on from the batch before")
        if self.order is not None:
            self.allocate_batch()
            self.t.order = <int64_t *>start_of(self.order)
        self.lrs, self.dropouts, self.decays = lrs, dropouts, decays
        self.t.lr = NULL
        self.t.dropouts = NULL
        self.t.decays = NULL
        if lrs is not None:
            self.t.lr = <const double *>start_of(lrs)
        if dropouts is not None:
            self.t.dropouts = <const double *>start_of(dropouts)
        if decays is not None:
            for g in range(self.stepper.c_step.n_groups):
                self.decays_of[g] = NULL
                if decays[g] is not None:
                    self.decays_of[g] = <const double *>start_of(decays[g])
            self.t.decays = self.decays_of
        if self.carried is not None:
            self.carried[...] = 0
        self.failed = False
        self.t.rows = min(self.rows_taken, last * self.t.batch)
        self.t.position = self.t.start = 0
        self.t.loss_sum = self.t.weight_sum = 0
        self.t.copied = 0
        self.after_begun = after
        if after is not None:
            self.go_on_after(after)
        self.draws_begun, self.steps_begun, self.epoch_begun = self.net.draws, self.stepper.c_step.t, epoch
        self.clocks_begun = self.stepper.kept_clocks()
        self.states_begun = self.net.flat_states.copy() if self.net.states else None

    cdef bint is_like(self, Trainer other) noexcept:
        """Whether another makes epochs of the same batches, and has left some of its epoch."""
        return (other.net is self.net and other.t.batch == self.t.batch and other.rows_taken == self.rows_taken
                and other.t.position < other.rows_taken and (other.carried is None) == (self.carried is None))

    cdef int go_on_after(self, Trainer other) except -1:
        """The epoch's steps so far were another's."""
        self.t.position = self.t.start = other.t.position
        self.t.loss_sum, self.t.weight_sum, self.t.last_loss = other.t.loss_sum, other.t.weight_sum, other.t.last_loss
        self.losses[:other.batches_done] = other.losses[:other.batches_done]
        if self.carried is not None:
            self.carried[...] = other.carried
        return 0

    cdef int allocate_batch(self) except -1:
        """Room for one gathered batch, once an epoch needs it."""
        if self.batch_x is not None:
            return 0
        cdef Py_ssize_t batch = self.t.batch
        cdef Py_ssize_t k
        batch_x = [aligned_bytes(0 if self.feeds[k].compressed != NULL else batch * self.feeds[k].row_bytes)
                   for k in range(self.net.c_net.n_inputs)]
        self.batch_y = aligned_bytes(batch * self.t.y_row_bytes)
        self.batch_weights = np.empty(batch * self.net.positions if self.t.weights != NULL else 0)
        self.batch_lengths = np.empty(batch, np.int64)
        self.batch_x = batch_x
        for k in range(self.net.c_net.n_inputs):
            self.feeds[k].batch = <void *>start_of(self.batch_x[k])
        self.t.batch_y = <void *>start_of(self.batch_y)
        self.t.batch_weights = <double *>start_of(self.batch_weights)
        self.t.batch_lengths = <int64_t *>start_of(self.batch_lengths)
        return 0

    cdef int begin_run(self) except -1:
        """What comes before steps: the network and the optimizer are in use until end_run()."""
        self.stepper.enter()
        try:
            self.net.enter(self.stepper)
            try:
                self.stepper.check_not_resting()
                self.stepper.check_params()
                self.net.bind(self.stepper)
                self.stepper.read_groups(self.groups)
                if self.binding.changes != self.stepper.rows_changes:
                    raise ValueError("param_groups' 'rows' has been changed during a fit, expected as it was at its start")
                self.stepper.set_stages(1, self.clip_value, self.clip_norm, False, False)
                self.make_room()
                self.net.forward_x = None
                self.t.draws = self.net.draws
                self.net.c_net.dropout_factor = 1
            except BaseException:
                self.net.busy = False
                raise
        except BaseException:
            self.stepper.busy = False
            raise
        return 0

    cdef int end_run(self, int status) except -1:
        """And what comes after steps that ended so."""
        self.net.busy = self.stepper.busy = False
        self.stepper.make_all_whole()
        if self.binding.late:
            self.net.behind = self.stepper
        self.net.draws = self.t.draws
        if schuss_plan_fault(self.t.plan):
            raise ValueError("codes have changed during training: one is no longer in its table")
        if self.t.copied:
            if self.states_begun is not None and self.epoch_copied != self.epoch_begun:
                copied = self.copied[self.last_part]
                copied[copied.size - self.states_begun.size:] = self.states_begun
            self.draws_copied, self.steps_copied = self.draws_begun, self.steps_begun
            self.clocks_copied = self.clocks_begun
            self.epoch_copied, self.after_copied = self.epoch_begun, self.after_begun
        if status == SCHUSS_NONFINITE:
            self.failed = True
            raise_not_finite(self.t.last_loss)
        return 0

    cdef bint is_over(self) noexcept:
        return self.t.position >= self.t.rows  # an interrupt may have hindered the caller from hearing of it

    def run(self, double seconds):
        cdef int status = SCHUSS_OK
        if self.is_over():
            return False
        self.begin_run()
        if self.function is None:
            with nogil:
                status = schuss_train_run(&self.t, seconds)
        else:
            try:
                status = self.run_function()
            except BaseException:
                self.net.busy = self.stepper.busy = False
                raise
        self.end_run(status)
        return status == SCHUSS_MORE

    cdef int run_function(self) except -2:
        """One step with a loss that is a Python function."""
        cdef Net net = self.net
        cdef double value
        cdef int status
        cdef Py_ssize_t start = self.t.position, n, rows_of_loss
        if start >= self.t.rows:
            return SCHUSS_OK
        with nogil:
            schuss_train_begin(&self.t)
        n = self.t.current_rows
        rows_of_loss = n * net.members * net.positions
        prediction = np.empty((rows_of_loss, net.n_out), dtype=net.dtype)
        memcpy(address_of(prediction, "prediction", net.c_net.dtype, 2, rows_of_loss, net.n_out, True),
               schuss_plan_output(self.t.plan), rows_of_loss * net.n_out * net.item)
        rows = slice(start, start + n) if self.order is None else self.order[start : start + n]
        given = [array.reshape(self.rows_given, -1, *array.shape[1:])[rows].reshape(-1, *array.shape[1:])
                 for array in (self.y, self.weights) if array is not None]
        if net.members > 1:
            given = [np.repeat(array, net.members, axis=0) for array in given]
        value, gradient = self.function(prediction, *given)
        memcpy(schuss_plan_dout(self.t.plan),
               address_of(gradient, "gradient", net.c_net.dtype, 2, rows_of_loss, net.n_out, False),
               rows_of_loss * net.n_out * net.item)
        with nogil:
            status = schuss_train_end(&self.t, value)
        return SCHUSS_MORE if status == SCHUSS_OK and self.t.position < self.t.rows else status


def run_side_by_side(list trainers, double seconds):
    cdef Py_ssize_t i, n = 0
    cdef list found = [False] * len(trainers), running = []
    cdef Trainer trainer
    cdef schuss_train **trains
    cdef int *status
    for trainer in trainers:
        if trainer is None or trainer.function is not None:
            raise TypeError("trainers holds one whose loss is a Python function, or None")
    trains = <schuss_train **>PyMem_Calloc(len(trainers) + 1, sizeof(schuss_train *))
    status = <int *>PyMem_Calloc(len(trainers) + 1, sizeof(int))
    try:
        if not (trains and status):
            raise MemoryError()
        for i, trainer in enumerate(trainers):
            if trainer.is_over():
                continue
            try:
                trainer.begin_run()
            except BaseException as error:  # the others are to end their runs all the same
                found[i] = error
                continue
            running.append(i)
            trains[n] = &trainer.t
            n += 1
        with nogil:
            schuss_train_side_by_side(trains, <int>n, seconds, status)
        for n, i in enumerate(running):
            trainer = trainers[i]
            try:
                trainer.end_run(status[n])
                found[i] = status[n] == SCHUSS_MORE
            except BaseException as error:
                found[i] = error
    finally:
        PyMem_Free(trains)
        PyMem_Free(status)
    return found
