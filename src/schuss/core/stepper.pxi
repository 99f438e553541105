# The optimizer step.

cdef uint64_t steppers_made = 0

cdef class Stepper(Parameters):
    cdef list state_arrays      # of each of the params, an array for each slot, or None
    cdef readonly list state_names # their names
    cdef list slots            # of each of the params, how many slots come before what there is beside its states
    cdef readonly list state_shapes # and their shapes, as they were made
    cdef list settings         # names of the settings that each group was made with
    cdef readonly list averages # of each average kept, an array for each of the params
    cdef readonly list specs    # of each, its kind, start, every and weight
    cdef object memory_room    # float64 (., 2 + 2 SCHUSS_MEMORY): struct schuss_memory of each clock, and of those to come
    cdef object sums
    cdef readonly object scratch # None: not asked for since groups were read
    cdef int level             # the ISA level that it is for
    cdef list groups_read      # of each group what as_read() gave
    cdef bint unscheduled      # whether no group, as it was read, has a schedule
    cdef schuss_group *numbers # what was read
    cdef schuss_step c_step
    cdef Kept kept             # what is kept in which format
    cdef uint64_t number       # no other stepper has it
    cdef Py_ssize_t rows_changes # times that a group got another setting of `rows`
    cdef object histories      # bytes: what steps there were, for rows that have missed some; None: none does
    cdef list lasts            # of each of the params, int64: the step that each of its rows is of; None: all of the last

    def __cinit__(self, params, group_of, list groups, form=None, precision=None):
        require_isa()
        cdef Py_ssize_t i, k, n = len(params)
        global steppers_made
        self.hold(params, form, True)
        self.kept = Kept(precision)
        steppers_made += 1
        self.number = steppers_made
        self.c_step.dtype = self.dtype
        self.c_step.n_groups = len(groups)
        self.c_step.n_segments = n
        self.c_step.segments = self.segments
        self.c_step.t = 1
        self.c_step.grad_scale = 1
        self.c_step.groups = <schuss_group *>PyMem_Calloc(self.c_step.n_groups + 1, sizeof(schuss_group))
        self.numbers = <schuss_group *>PyMem_Calloc(self.c_step.n_groups + 1, sizeof(schuss_group))
        if not (self.c_step.groups and self.numbers):
            raise MemoryError()
        # as many as there can ever be
        self.c_step.clocks = <schuss_clock *>PyMem_Calloc(self.c_step.n_groups + n + 1, sizeof(schuss_clock))
        if not self.c_step.clocks:
            raise MemoryError()
        self.c_step.n_clocks = self.c_step.n_groups
        self.memory_room = np.zeros((self.c_step.n_groups + n, 2 + 2 * SCHUSS_MEMORY))
        self.c_step.memories = <schuss_memory *>start_of(self.memory_room)
        for i in range(self.c_step.n_groups):
            self.c_step.clocks[i].group = i
            read_settings(groups[i], &self.numbers[i], self.dtype)
            schuss_memory_start(&self.numbers[i], self.c_step.memories[i].now)
        self.groups_read = [None] * self.c_step.n_groups
        self.settings = [[name for name in group if name in settings_by_name(rule_number(group["rule"]))]
                         for group in groups]
        self.state_arrays, self.state_names, self.state_shapes, self.averages, self.specs = [], [], [], [], []
        found = []
        for i in range(n):
            k = group_of[i]
            if not 0 <= k < self.c_step.n_groups:
                raise ValueError(f"group_of[{i}] is {k}, expected one of {self.c_step.n_groups} groups")
            self.segments[i].group = self.segments[i].clock = k
            found.append(states_by_slot(&self.numbers[k], &self.segments[i]))
            self.state_arrays.append([None] * len(found[i]))
            self.state_names.append([None if state is None else state[0] for state in found[i]])
            self.state_shapes.append([None if state is None else state[1] for state in found[i]])
        self.lasts = [None] * n
        self.slots = [len(of) for of in found]
        self.note_formats(found)
        for i in range(self.c_step.n_groups):
            if self.numbers[i].rows != 0:
                self.check_narrow(i)
        for k in range(max(map(len, found), default=0)):
            made = self.lay([of[k][1] if len(of) > k and of[k] is not None else None for of in found], self.dtypes_of_slot(k))
            for i in range(n):
                if made[i] is not None:
                    self.state_arrays[i][k] = made[i]
                    self.segments[i].s[k] = start_of(made[i])
        if self.any_narrow:
            self.lay_extras(found)
        for i in range(n):
            for k in range(len(found[i])):
                if self.state_arrays[i][k] is not None:
                    start = schuss_state_start(&self.numbers[self.segments[i].group], k)
                    if start != 0:
                        self.fill_state(i, k, start)

    cdef object zeros(self, Py_ssize_t n, dtype):
        if self.kept.directory is None:
            return aligned_zeros(n, dtype)
        return mapped_zeros(n, dtype, self.kept.directory)

    # -- formats --

    cdef int note_formats(self, list found) except -1:
        """Of each array, how it is updated and how its states are kept."""
        cdef Py_ssize_t i
        cdef int k
        cdef schuss_stored *stored
        for i in range(self.n_views):
            stored = &self.stored[i]
            stored.p, stored.g = self.kept.of_params(self.formats[i]), self.dtype
            stored.seed, stored.number = self.kept.seed, <uint32_t>i
            if stored.p == SCHUSS_F32 and self.formats[i] != SCHUSS_F32:
                stored.copy, stored.copy_format = self.views[i].buf, self.formats[i]
            self.any_narrow |= stored.p != self.dtype or stored.copy != NULL
            for k in range(SCHUSS_MAX_STATES):
                stored.s[k] = self.dtype
            shape = self.params[i].shape
            for k, state in enumerate(found[i]):
                if state is not None:
                    stored.s[k] = self.kept.of_state(&self.numbers[self.segments[i].group], k, state[1], shape, self.dtype)
                    self.any_narrow |= stored.s[k] != self.dtype
            if self.is_narrow(i):
                self.segments[i].stored = stored
        self.any_stored = self.any_narrow
        return 0

    cdef bint is_narrow(self, Py_ssize_t i) noexcept:
        cdef int k
        cdef const schuss_stored *stored = &self.stored[i]
        if not self.any_narrow:
            return False
        for k in range(SCHUSS_MAX_STATES):
            if stored.s[k] != self.dtype:
                return True
        return stored.p != self.dtype or stored.copy != NULL

    cdef list dtypes_of_slot(self, int k):
        """Of the states in a slot; None: all are of the dtype that is computed with."""
        cdef Py_ssize_t i
        if not self.any_narrow:
            return None
        return [format_array(self.stored[i].s[k]) for i in range(self.n_views)]

    cdef int lay_extras(self, list found) except -1:
        """What there is beside states: scales of their blocks, masters, lower halves."""
        cdef Py_ssize_t i
        cdef int k
        cdef list extras = []
        for i in range(self.n_views):
            extras.append({name: (shape, dtype) for name, shape, dtype in
                           self.kept.extras(&self.numbers[self.segments[i].group], self.formats[i], found[i],
                                            self.params[i].shape, self.dtype)})
        for name in dict.fromkeys([name for of in extras for name in of]):
            made = self.lay_bytes([of[name][0] if name in of else None for of in extras],
                                  [of[name][1] if name in of else BYTES for of in extras])
            for i in range(self.n_views):
                if made[i] is None:
                    continue
                if name == "master":
                    self.segments[i].p = start_of(made[i])
                elif name == "low":
                    self.stored[i].low = start_of(made[i])
                else:
                    k = self.state_names[i].index(name[: -len("_absmax")])
                    self.stored[i].scale[k] = start_of(made[i])
                self.state_arrays[i].append(made[i])
                self.state_names[i].append(name)
                self.state_shapes[i].append(made[i].shape)
        self.read_masters()
        return 0

    cdef int fill_state(self, Py_ssize_t i, int k, double value) except -1:
        """All elements of a state are this."""
        array = self.state_arrays[i][k]
        cdef int format = self.stored[i].s[k]
        if format == self.dtype:
            array[...] = value
            return 0
        if format == SCHUSS_BF16_STOCHASTIC:
            format = SCHUSS_BF16
        filled = np.full(array.shape, value, format_array(self.dtype))
        schuss_kernels(self.dtype).narrow(format, array.size, start_of(filled), self.segments[i].s[k], self.stored[i].scale[k], NULL)
        return 0

    cdef int read_masters(self) except -1:
        """Parameters in float32 become what the caller's, of fewer bits, are, where they have made no step: the caller may have
        set them since this was made."""
        cdef Py_ssize_t i
        for i in range(self.n_views):
            if self.stored[i].copy != NULL and self.c_step.t - self.c_step.clocks[self.segments[i].clock].behind == 1:
                schuss_kernels(self.dtype).widen(self.stored[i].copy_format, self.views[i].len // self.views[i].itemsize,
                                                 self.stored[i].copy, NULL, self.segments[i].p)
        return 0

    cdef list wide_params(self):
        """The parameters in the dtype that is computed with."""
        cdef Py_ssize_t i
        cdef list found = []
        for i in range(self.n_views):
            if not self.is_narrow(i) or (self.stored[i].p == self.dtype and self.stored[i].copy == NULL):
                found.append(self.params[i])
            else:
                wide = np.empty(self.params[i].shape, format_array(self.dtype))
                schuss_kernels(self.dtype).widen(self.stored[i].p, wide.size, self.segments[i].p, self.stored[i].low, start_of(wide))
                found.append(wide)
        return found

    def codes(self):
        cdef Py_ssize_t i, k
        cdef int format
        cdef list found = []
        for i in range(self.n_views):
            of = {}
            for k in range(self.slots[i]):
                format = schuss_state_format(self.numbers[self.segments[i].group].rule, k, 1 << 62, self.dtype, SCHUSS_8BIT_SIGNED)
                if self.state_names[i][k] is not None and format != self.dtype:
                    of[self.state_names[i][k]] = ("8bit_signed" if format == SCHUSS_8BIT_SIGNED else "8bit_unsigned"
                                                       if format == SCHUSS_8BIT_UNSIGNED else "bfloat16")
            found.append(of)
        return found

    def zeros_like_params(self):
        return [np.zeros(p.shape, format_array(self.dtype)) for p in self.params]

    def param_arrays(self):
        cdef Py_ssize_t i
        cdef list found = list(self.params)
        for i in range(self.n_views):
            for name in ("master", "low"):
                if name in self.state_names[i]:
                    found.append(self.state_arrays[i][self.state_names[i].index(name)])
        return found

    def as_params(self, list values):
        cdef Py_ssize_t i
        cdef const schuss_stored *stored
        cdef list found = [], beside = []
        for i in range(self.n_views):
            stored, value = &self.stored[i], values[i]
            if self.formats[i] == self.dtype:
                found.append(value)
                continue
            value = np.require(value, format_array(self.dtype), "CA")
            narrow, low = np.empty(value.shape, format_array(self.formats[i])), None
            if stored.p == SCHUSS_SPLIT:
                low = np.empty(value.shape, UINT16)
                schuss_kernels(self.dtype).narrow(SCHUSS_SPLIT, value.size, start_of(value), start_of(narrow), start_of(low), NULL)
                beside.append(low)
            else:
                schuss_kernels(self.dtype).narrow(self.formats[i], value.size, start_of(value), start_of(narrow), NULL, NULL)
                if stored.copy != NULL:
                    beside.append(value)
            found.append(narrow.view(self.params[i].dtype))
        return found + beside

    def keep_average(self, Py_ssize_t k, kind, int64_t start, int64_t every, double weight):
        cdef Py_ssize_t i
        cdef int number = AVERAGE_NUMBERS[kind]
        self.enter()
        try:
            for i in range(self.c_step.n_groups):
                self.check_averaged(&self.numbers[i], i)
            if not 0 <= k < SCHUSS_MAX_AVERAGES or k > len(self.averages):
                raise ValueError(f"average number {k} of {len(self.averages)}, expected at most {SCHUSS_MAX_AVERAGES}")
            if k == len(self.averages):
                made = self.lay([p.shape for p in self.params])
                copy_lists(made, self.wide_params(), True)
                for i in range(self.n_views):
                    self.segments[i].average[k] = start_of(made[i])
                self.averages.append(made)
                self.specs.append(None)
            self.c_step.averages[k].kind = number
            self.c_step.averages[k].start, self.c_step.averages[k].every = start, every
            self.c_step.averages[k].weight = weight
            self.specs[k] = kind, start, every, weight
        finally:
            self.busy = False

    def begin_anew(self, list values=None):
        cdef Py_ssize_t i
        self.enter()
        try:
            self.check_params()
            if values is not None:
                copy_lists(self.params, values, True)
            else:
                for i in range(self.n_views):
                    memset(self.views[i].buf, 0, self.views[i].len)
            self.c_step.t = 1
            self.join_clocks()
            self.forget_missed()
        finally:
            self.busy = False

    def copy_from(self, Stepper other not None):
        cdef Py_ssize_t k, first = len(self.averages)
        cdef list mine = [self.memory_room], theirs = [other.memory_room]
        for of, others in zip((*self.state_arrays, *self.averages), (*other.state_arrays, *other.averages)):
            mine += [array for array in of if array is not None]
            theirs += [array for array in others if array is not None]
        self.enter()
        try:
            copy_lists(mine, theirs, True)
            for k in range(first, len(other.averages)):  # new ones are the other's own
                self.adopt_average(other, k)
            for k in range(len(other.averages)):
                self.c_step.averages[k] = other.c_step.averages[k]
                self.specs[k] = other.specs[k]
            self.c_step.t = other.c_step.t
            self.take_clocks(other.c_step.n_clocks, other.c_step.clocks)
            for k in range(self.n_views):
                self.segments[k].clock = other.segments[k].clock
            self.forget_missed()
        finally:
            self.busy = False

    cdef int adopt_average(self, Stepper other, Py_ssize_t k) except -1:
        """Average number k, the next of this one, is the other's array."""
        cdef Py_ssize_t i
        cdef Py_ssize_t mine = len(self.arenas), theirs = len(other.arenas) - len(other.averages) + k
        for i in range(self.n_views):
            self.segments[i].average[k] = other.segments[i].average[k]
            self.wants[i].clear = NULL
        self.arena_start[mine], self.arena_end[mine] = other.arena_start[theirs], other.arena_end[theirs]
        self.arenas.append(other.arenas[theirs])
        self.averages.append(other.averages[k])
        self.specs.append(None)
        return 0

    def __dealloc__(self):
        PyMem_Free(self.c_step.groups)
        PyMem_Free(self.c_step.clocks)
        PyMem_Free(self.numbers)

    @property
    def steps(self):
        return self.c_step.t - 1

    @steps.setter
    def steps(self, int64_t made):
        if not 0 <= made <= 1 << 53:
            raise ValueError(f"steps is {made}, expected 0 to 2**53")
        self.c_step.t = made + 1
        self.join_clocks()
        self.forget_missed()

    # -- parameters that have made different numbers of steps --

    @property
    def memories(self):
        return self.memory_room[:self.c_step.n_clocks]

    @property
    def clock_of(self):
        return [self.segments[i].clock for i in range(self.n_views)]

    @property
    def behind(self):
        return [self.c_step.clocks[i].behind for i in range(self.c_step.n_clocks)]

    @property
    def together(self):
        return self.are_together()

    cdef bint are_together(self) noexcept:
        """Whether all parameters have made all steps."""
        cdef int i
        for i in range(self.c_step.n_groups):
            if self.c_step.clocks[i].behind:
                return False
        return self.c_step.n_clocks == self.c_step.n_groups

    def set_clocks(self, clock_of, behind):
        cdef Py_ssize_t i, n = len(behind), groups = self.c_step.n_groups
        cdef int64_t[::1] of = np.array(clock_of, dtype=np.int64), late = np.array(behind, dtype=np.int64)
        cdef int64_t[::1] group = np.full(n, -1, np.int64)
        if of.shape[0] != self.n_views or not groups <= n <= groups + self.n_views:
            raise ValueError(f"clocks are {n} of {of.shape[0]} parameters, expected {groups} or more of {self.n_views}")
        for i in range(n):
            if not 0 <= late[i] < self.c_step.t:
                raise ValueError(f"behind[{i}] is {late[i]}, expected 0 to {self.c_step.t - 1}, the steps made")
            if i < groups:
                group[i] = i
        for i in range(self.n_views):
            if not 0 <= of[i] < n:
                raise ValueError(f"clock_of[{i}] is {of[i]}, expected one of {n} clocks")
            if group[of[i]] < 0:
                group[of[i]] = self.segments[i].group
            if group[of[i]] != self.segments[i].group:
                raise ValueError(f"clock_of[{i}] is {of[i]}, expected a clock of group {self.segments[i].group}")
        if len(set(of)) + len(set(range(groups)) - set([self.segments[i].group for i in range(self.n_views)])) != n:
            raise ValueError("clocks are without parameters, expected some of each")
        self.enter()
        try:
            self.join_clocks()
            for i in range(n):
                self.c_step.clocks[i].group, self.c_step.clocks[i].behind = group[i], late[i]
            for i in range(self.n_views):
                self.segments[i].clock = of[i]
            self.c_step.n_clocks = n
        finally:
            self.busy = False

    cdef void join_clocks(self) noexcept:
        """All parameters have made all steps."""
        cdef Py_ssize_t i
        for i in range(self.c_step.n_groups):
            self.c_step.clocks[i].behind = 0
        for i in range(self.n_views):
            self.segments[i].clock = self.segments[i].group
        self.c_step.n_clocks = self.c_step.n_groups
        self.sums = None  # there is one for each clock

    cdef void take_clocks(self, int n, const schuss_clock *clocks) noexcept:
        self.c_step.n_clocks = n
        memcpy(self.c_step.clocks, clocks, n * sizeof(schuss_clock))
        self.sums = None

    cdef object kept_clocks(self):
        """What put_clocks takes."""
        return None if self.are_together() else (self.clock_of, self.behind)

    cdef int put_clocks(self, kept) except -1:
        """Clocks as they were. That of memories is the caller's."""
        cdef Py_ssize_t i
        self.join_clocks()
        if kept is not None:
            clock_of, behind = kept
            for i in range(self.n_views):
                self.segments[i].clock = clock_of[i]
                self.c_step.clocks[self.segments[i].clock].group = self.segments[i].group
            for i in range(len(behind)):
                self.c_step.clocks[i].behind = behind[i]
            self.c_step.n_clocks = len(behind)
        return 0

    cdef bint may_be_absent(self, Py_ssize_t i) except -1:
        if self.c_step.groups[self.segments[i].group].rows == SCHUSS_ROWS_EXACT:
            raise ValueError(f"{self.grad_name(i)} is None, expected a gradient: with rows='exact' rows make up for the steps "
                             "that they have missed, so all parameters have to make the same ones")
        return True

    @property
    def states(self):
        if not self.busy:
            schuss_catch_up_all(&self.c_step)
        return self.state_arrays

    cdef int check_rows(self, SortedRows g, Py_ssize_t i) except -1:
        Parameters.check_rows(self, g, i)
        p = self.params[i]
        shape = tuple([self.views[i].shape[k] for k in range(self.views[i].ndim)])
        by_row = self.segments[i].last != NULL or any([of is not None and of != shape for of in self.state_shapes[i]])
        if by_row and p.shape != shape:
            raise ValueError(f"{self.param_name(i)} has become of shape {p.shape}, expected the shape {shape} that it had: this "
                             "optimizer keeps numbers of its rows")
        return 0

    # -- rows that have missed steps --

    def catch_up(self, Py_ssize_t param=0, index=None):
        cdef Py_ssize_t n = 0
        cdef const int64_t *first = NULL
        cdef PyThreadState *state
        if not 0 <= param < self.n_views:
            raise ValueError(f"param is {param}, expected one of {self.n_views} parameters")
        if index is not None:
            n = index.shape[0]
            first = <const int64_t *>address_of_int64(index, "indices", n)
            rows = self.views[param].shape[0] if self.views[param].ndim else 0
            wrong = schuss_first_outside(first, n, rows)
            if wrong >= 0:
                raise ValueError(f"indices has row {first[wrong]}, expected rows in [0, {rows})")
            wrong = schuss_first_not_rising(first, n)
            if wrong >= 0:
                raise ValueError(f"indices[{wrong}] is {first[wrong]}, expected more than {first[wrong - 1]}")
        self.enter()
        try:
            self.check_params()
            state = let_others_run(self.elements)
            if index is None:
                schuss_catch_up_all(&self.c_step)
            else:
                schuss_catch_up(&self.c_step, param, n, first)
            come_back(state)
        finally:
            self.busy = False

    cdef int catch_up_all(self) except -1:
        """All rows of all arrays are of the last step."""
        cdef PyThreadState *state
        if self.histories is not None:
            state = let_others_run(self.elements)
            schuss_catch_up_all(&self.c_step)
            come_back(state)
        return 0

    cdef int catch_up_whole(self, Py_ssize_t i) except -1:
        """All rows of one array are of the last step."""
        if self.segments[i].last != NULL:
            schuss_catch_up(&self.c_step, <int>i, self.views[i].shape[0] if self.views[i].ndim else 1, NULL)
        return 0

    cdef void forget_missed(self) noexcept:
        """Arrays have been written: they are of the last step as they are."""
        if self.c_step.histories != NULL:
            schuss_histories_begin(&self.c_step)

    cdef int check_averaged(self, const schuss_group *g, int i) except -1:
        if g.rows != 0:
            raise ValueError(f"param_groups[{i}]['rows'] must be None where an average of the parameters is kept: that is of "
                             "whole arrays at each step; got " + repr(schuss_rows_name(g.rows).decode()))
        return 0

    cdef int check_narrow(self, int i) except -1:
        cdef Py_ssize_t k
        for k in range(self.n_views):
            if self.segments[k].group == i and self.is_narrow(k):
                raise ValueError(f"param_groups[{i}]['rows'] must be None, since {self.param_name(k)} or its states are kept in fewer "
                                 "bits than it is computed with; got " + repr(schuss_rows_name(self.numbers[i].rows).decode()))
        return 0

    cdef int take_numbers(self, int i) except -1:
        """The group's numbers become those of the next step."""
        cdef Py_ssize_t k
        if self.numbers[i].rows != 0:
            self.check_narrow(i)
        cdef int before = self.c_step.groups[i].rows
        if before == SCHUSS_ROWS_EXACT and self.numbers[i].rows != SCHUSS_ROWS_EXACT:
            self.catch_up_all()
            for k in range(self.n_views):
                if self.segments[k].group == i:
                    self.segments[k].last, self.lasts[k] = NULL, None
        if self.numbers[i].rows == SCHUSS_ROWS_EXACT and before != SCHUSS_ROWS_EXACT:
            self.keep_history(i)
        self.rows_changes += before != self.numbers[i].rows
        self.c_step.groups[i] = self.numbers[i]
        return 0

    cdef int keep_history(self, int i) except -1:
        """From now on rows of the group's arrays may be of other steps than the last."""
        cdef Py_ssize_t k
        cdef schuss_group before = self.c_step.groups[i]
        lasts = {}
        for k in range(self.n_views):
            if self.segments[k].group == i:
                lasts[k] = np.empty(self.views[k].shape[0] if self.views[k].ndim else 1, np.int64)
        self.c_step.groups[i].rows = SCHUSS_ROWS_EXACT
        try:
            if self.histories is None:  # only what is written takes memory
                histories = aligned_bytes(schuss_histories_bytes(&self.c_step))
                self.c_step.histories = start_of(histories)
                self.histories = histories
            else:
                self.catch_up_all()
        except BaseException:
            self.c_step.groups[i] = before
            raise
        for k, last in lasts.items():
            self.lasts[k] = last
            self.segments[k].last = <int64_t *>start_of(last)
        schuss_histories_begin(&self.c_step)
        return 0

    @property
    def nonfinite(self):
        return bool(self.c_step.nonfinite)

    @property
    def grad_norm(self):
        return self.c_step.grad_norm

    @property
    def resting(self):
        return self.c_step.memories[0].resting != 0

    def move_params(self, int slot, weights, bint resting):
        cdef double[::1] of_groups = np.array(weights, dtype=np.float64)
        cdef const double *first
        cdef PyThreadState *state
        cdef int i
        if of_groups.shape[0] != self.c_step.n_groups:
            raise ValueError(f"weights has {of_groups.shape[0]} entries, expected {self.c_step.n_groups}")
        if not 0 <= slot < SCHUSS_MAX_STATES or not all([len(of) > slot and of[slot] is not None for of in self.state_arrays]):
            raise ValueError(f"slot is {slot}, expected one that all params have a state in")
        first = &of_groups[0]
        self.enter()
        try:
            state = let_others_run(self.elements)
            schuss_move_params(&self.c_step, slot, first)
            come_back(state)
            for i in range(self.c_step.n_clocks):
                self.c_step.memories[i].resting = resting
        finally:
            self.busy = False

    cdef int check_not_resting(self) except -1:
        if self.c_step.memories[0].resting:
            raise RuntimeError("the optimizer is in eval mode, its parameters at their average: call its train() "
                               "before a step")
        return 0

    cdef int read_groups(self, list groups) except -1:
        cdef int i
        cdef dict group
        cdef list read
        if len(groups) != self.c_step.n_groups:
            raise ValueError(f"groups has {len(groups)} entries, expected {self.c_step.n_groups}")
        for i in range(self.c_step.n_groups):
            group, read = groups[i], self.groups_read[i]
            if not is_as_read(group, read) and not read_scheduled(group, read, &self.numbers[i]):
                self.groups_read[i] = None
                self.read_group(group, i)
                self.groups_read[i] = as_read(group)
                self.take_numbers(i)
        return self.get_ready()

    cdef int read_for_step(self, list groups, bint rates) except -1:
        """What schedules say of the step about to be made, of rates only if asked to, and all groups' numbers."""
        cdef Py_ssize_t i, n = self.c_step.n_groups
        cdef dict group
        cdef list read
        if self.unscheduled and groups is not None and PyList_GET_SIZE(groups) == n:
            for i in range(n):
                group, read = groups[i], self.groups_read[i]
                if not is_as_read(group, read):
                    break
            else:
                return self.get_ready()
        self.unscheduled = False
        self.apply_schedules(groups, rates)
        self.read_groups(groups)
        for group in groups:
            if group.get("schedule") is not None or group.get("decay_schedule") is not None:
                return 0
        self.unscheduled = True
        return 0

    cdef int get_ready(self) except -1:
        """Sets what fits write, and what room depends on."""
        cdef int i
        for i in range(self.c_step.n_groups):
            # Schedules of a fit write here,
            self.c_step.groups[i].lr = self.numbers[i].lr * self.numbers[i].lr_factor
            if self.c_step.groups[i].weight_decay != self.numbers[i].weight_decay:
                self.c_step.groups[i].weight_decay = self.numbers[i].weight_decay
            self.c_step.groups[i].penalty1 = self.c_step.groups[i].penalty2 = 0  # and a penalty here.
        if self.sums is None:
            sums = np.empty(schuss_step_sums(&self.c_step))
            self.c_step.sums = <double *>start_of(sums)
            self.sums = sums
        if self.scratch is None or (self.c_step.scratch != NULL and (
                self.level != schuss_isa_level() or self.c_step.threads != schuss_get_num_threads())):
            self.allocate_scratch()
        return 0

    cdef int allocate_scratch(self) except -1:
        """Room for rules that work on whole arrays, on as many threads as may come."""
        cdef ptrdiff_t size
        self.scratch, self.c_step.scratch = None, NULL
        self.level = schuss_isa_level()
        size = schuss_step_scratch(&self.c_step, schuss_get_num_threads())
        scratch = aligned_bytes(size)
        if size > 0:
            self.c_step.scratch = <char *>start_of(scratch)
        self.scratch = scratch
        return 0

    cdef int read_group(self, dict group, int i) except -1:
        cdef Py_ssize_t k
        self.scratch = self.sums = None  # what other settings need may be more
        for name in self.settings[i]:
            if name not in group:
                raise ValueError(f"param_groups[{i}] has no {name!r}, expected what it was made with")
        read_settings(group, &self.numbers[i], self.dtype)
        if self.averages:
            self.check_averaged(&self.numbers[i], i)
        for k in range(self.n_views):
            if self.segments[k].group == i:
                self.check_states(k, i)
                if self.numbers[i].rows == SCHUSS_ROWS_EXACT and self.segments[k].clock != i:
                    raise ValueError(f"param_groups[{i}]['rows'] must not be 'exact' where parameters of the group have made "
                                     "different numbers of steps")
        return 0

    cdef int check_states(self, Py_ssize_t k, int i) except -1:
        """ValueError unless array k has all states that its group, number i, now asks for."""
        cdef list has = self.state_shapes[k]
        cdef Py_ssize_t slot
        for slot, state in enumerate(states_by_slot(&self.numbers[i], &self.segments[k])):
            if state is not None and (slot >= self.slots[k] or has[slot] != state[1]):
                raise ValueError(
                    f"param_groups[{i}] now asks for a state {state[0]!r} of shape {state[1]} that this optimizer was made "
                    "without (such a setting as momentum, amsgrad or max_precond_dim was changed): make a new optimizer "
                    "with it"
                )
        return 0

    cdef int set_stages(self, double grad_scale, double clip_value, double clip_norm, bint check_first,
                        bint zero_grad) noexcept:
        self.c_step.grad_scale = grad_scale
        self.c_step.clip_value = clip_value
        self.c_step.clip_norm = clip_norm
        self.c_step.check_first = check_first
        self.c_step.zero_grad = zero_grad
        return 0

    cdef bint has_blocks(self, Py_ssize_t i) noexcept:
        """Whether a state of array i is kept in 8 bits."""
        cdef int k
        for k in range(SCHUSS_MAX_STATES):
            if self.stored[i].scale[k] != NULL:
                return True
        return False

    cdef str whole_because(self, Py_ssize_t i):
        if self.has_blocks(i):
            return "its states are kept in 8 bits, in blocks that may be of several rows"
        return Parameters.whole_because(self, i)

    cdef bint goes_by_rows(self, Py_ssize_t i) noexcept:
        return not self.has_blocks(i) and schuss_rule_by_rows(self.c_step.groups[self.segments[i].group].rule) and not self.averages

    cdef int set_gradient_format(self, Py_ssize_t i, int format) except -1:
        if format != self.dtype and self.segments[i].last != NULL:
            raise ValueError(f"{self.grad_name(i)} has another dtype than {self.param_name(i)}, expected the same where rows='exact'")
        return Parameters.set_gradient_format(self, i, format)

    cdef int apply_schedules(self, list groups, bint rates) except -1:
        """Writes the rate, if asked to, and the decay of the step about to be made into each group that has a schedule."""
        cdef dict group
        cdef PyObject *schedule
        cdef PyObject *none = <PyObject *>None
        for group in groups:
            if group is None:
                raise TypeError("param_groups holds None, expected dicts")
            schedule = PyDict_GetItemWithError(group, "schedule")
            if schedule != NULL and schedule != none and rates:
                group["lr"] = self.scheduled("lr", <object>schedule)
            schedule = PyDict_GetItemWithError(group, "decay_schedule")
            if schedule != NULL and schedule != none:
                group["weight_decay"] = self.scheduled("weight_decay", <object>schedule)
        return 0

    cdef object scheduled(self, name, schedule):
        """The value of a schedule at the step about to be made."""
        value = schedule(self.c_step.t - 1)
        if type(value) is not float or not 0 <= <double>value < INFINITY:
            from schuss.arguments import scheduled

            value = scheduled(f"{name}({self.c_step.t - 1})", value)
        return value

    cdef int set_rate(self, double lr) noexcept:
        """For this step alone."""
        cdef int i
        for i in range(self.c_step.n_groups):
            self.c_step.groups[i].lr = lr * self.c_step.groups[i].lr_factor
        return 0

    cdef int prepare_stored(self) except -1:
        """Before a step in which something is not of the dtype."""
        self.read_masters()
        if (self.c_step.scratch != NULL  # gradients of other formats may need more of it
                and schuss_step_scratch(&self.c_step, schuss_get_num_threads()) > self.scratch.size):
            self.allocate_scratch()
        return 0

    def step(self, grads, list groups, lr=None, grad_scale=1.0, clip_value=None, clip_norm=None, zero_grad=False,
             on_nonfinite="flag"):
        cdef double rate = -1 if lr is None else number_within("lr", lr, 0, INFINITY, "[0, inf)")
        cdef double scale = finite_number("grad_scale", grad_scale)
        cdef double value_limit = limit("clip_value", clip_value), norm_limit = limit("clip_norm", clip_norm)
        cdef bint zero = is_true("zero_grad", zero_grad), first = on_nonfinite != "flag"
        cdef list held
        cdef int status
        cdef PyThreadState *state
        if first and on_nonfinite != "raise" and on_nonfinite != "skip":
            from schuss.arguments import choice

            choice("on_nonfinite", on_nonfinite, ("flag", "raise", "skip"))
        if type(grads) is ndarray:
            grads = (grads,)
        elif type(grads) is not list and type(grads) is not tuple and not hasattr(grads, "__len__"):
            raise TypeError(f"grads is {type(grads).__name__}, expected an array or a sequence of arrays")
        held = list(grads)  # keeps each gradient alive until the step is made, whatever `grads` does
        self.enter()
        try:
            self.check_not_resting()
            self.check_params()
            self.read_for_step(groups, lr is None)
            if lr is not None:
                self.set_rate(rate)
            self.set_stages(scale, value_limit, norm_limit, first, zero)
            self.point_at_gradients(held, zero)
            if self.any_stored:
                self.prepare_stored()
            self.c_step.n_absent = self.n_absent
            state = let_others_run(self.elements)
            status = schuss_optimizer_step(&self.c_step)
            come_back(state)
            if status == SCHUSS_OK:
                self.c_step.t += 1
        finally:
            if self.n_absent:
                self.all_present()
            self.busy = False
        return status == SCHUSS_OK

    cdef void all_present(self) noexcept:
        """After a step in which some were absent."""
        self.bring_back()
        self.c_step.n_absent = 0
        self.sums = None  # there is one for each clock

    def norm(self, grads):
        cdef list held = list((grads,) if type(grads) is ndarray else grads)
        cdef PyThreadState *state
        self.enter()
        try:
            self.set_stages(1, 0, 1, False, False)
            self.point_at_gradients(held, False)
            state = let_others_run(self.elements)
            schuss_gradient_norm(&self.c_step)
            come_back(state)
            return self.c_step.grad_norm
        finally:
            if self.n_absent:
                self.all_present()
            self.busy = False
