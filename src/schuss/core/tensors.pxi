# The optimizer step over tensors of torch, which are looked at by DLPack's table of C functions: no view is made of any.

cdef enum:
    TENSORS_MADE = 1           # the step was made
    TENSORS_REFUSED = 0        # none was made: a gradient is not finite
    TENSORS_CHANGED = -1       # none was made: groups, parameters or states are not what they were
    TENSORS_FRESH = -2         # none was made: some parameters have a gradient for the first time, and no states so far


cdef class TensorStepper(Stepper):
    """A stepper whose parameters are the memory of tensors, each as an array of the order in which its elements lie."""
    cdef readonly list tensors
    cdef object kind           # torch.Tensor
    cdef object as_array       # of the place of a tensor, and a gradient: what the step takes for it
    cdef schuss_look look      # NULL: tensors have to be asked in Python
    cdef int64_t *laid         # of each tensor its extents, then its strides
    cdef Py_ssize_t *laid_at
    cdef list held             # the gradients of the step that is being made
    cdef readonly list stepped # the tensors that have one
    cdef readonly object counts # float32 (tensors,): how many steps each has made, for those who read states
    cdef float *count
    cdef readonly object remembered # float64 (tensors,): what rules remember of each array, the first number of it
    cdef double *memory
    cdef bint remembers        # whether any does

    def hold_tensors(self, list tensors not None, kind, as_array):
        """Once, before the first step. Tensor i lies where array i does."""
        cdef Py_ssize_t i, k, used = 0
        self.laid_at = <Py_ssize_t *>PyMem_Calloc(self.n_views + 1, sizeof(Py_ssize_t))
        self.laid = <int64_t *>PyMem_Calloc(2 * sum([tensor.dim() for tensor in tensors]) + 1, sizeof(int64_t))
        if not (self.laid_at and self.laid):
            raise MemoryError()
        for i in range(self.n_views):
            self.laid_at[i] = used
            for step in (*tensors[i].shape, *tensors[i].stride()):
                self.laid[used] = step
                used += 1
        self.kind, self.as_array = kind, as_array
        self.look = look_of(kind)
        self.counts = np.zeros(self.n_views, np.float32)
        self.count = <float *>start_of(self.counts)
        self.remembered = np.zeros(self.n_views, np.float64)
        self.memory = <double *>start_of(self.remembered)
        self.remembers = False
        for i in range(self.c_step.n_groups):
            self.remembers = self.remembers or (schuss_rule_memory_of_params(self.numbers[i].rule)
                                                and schuss_rule_memory(self.numbers[i].rule, 0) != NULL)
        self.tensors = tensors

    def __dealloc__(self):
        PyMem_Free(self.laid)
        PyMem_Free(self.laid_at)

    cdef bint lies_alike(self, Py_ssize_t i, const schuss_dltensor *t) noexcept:
        """Whether it is of the extents and strides of tensor i."""
        cdef const int64_t *shape = self.laid + self.laid_at[i]
        cdef int k, ndim = self.views[i].ndim
        # Memory that CUDA or ROCm have pinned is the CPU's, too.
        if t.device_type != DLPACK_CPU and t.device_type != 3 and t.device_type != 11 or t.ndim != ndim:
            return False
        for k in range(ndim):
            if t.shape[k] != shape[k] or (shape[k] > 1 and t.strides != NULL and t.strides[k] != shape[ndim + k]):
                return False
        return True

    cdef bint is_in_place(self, Py_ssize_t i) except -1:
        """Whether tensor i lies where it did."""
        cdef schuss_dltensor t
        tensor = self.tensors[i]
        if self.look == NULL:
            return (tensor.data_ptr() == <uintptr_t>self.views[i].buf or not self.views[i].len) and self.asked_alike(i)
        if self.look(<void *>tensor, &t) != 0:
            PyErr_Clear()
            return False
        return (lent_format(&t) == self.formats[i] and self.lies_alike(i, &t)
                and (<char *>t.data + t.byte_offset == self.views[i].buf or not self.views[i].len))

    cdef bint asked_alike(self, Py_ssize_t i) except -1:
        cdef Py_ssize_t k = self.laid_at[i]
        tensor = self.tensors[i]
        for step in (*tensor.shape, *tensor.stride()):
            if step != self.laid[k]:
                return False
            k += 1
        return tensor.element_size() == self.views[i].itemsize

    cdef void *gradient_data(self, list grads, Py_ssize_t i, bint writable, int *format) except? NULL:
        cdef schuss_dltensor t
        g = grads[i]
        if type(g) is self.kind and self.look != NULL:
            if self.look(<void *>g, &t) != 0:
                PyErr_Clear()
            # The imaginary part of a conjugate has the other sign in memory; strides tell, but not of one element.
            elif self.lies_alike(i, &t) and t.data != NULL and (self.segments[i].n != 1 or not g.is_neg()):
                format[0] = lent_format(&t)
                if format[0] >= 0 and (<uintptr_t>t.data + t.byte_offset) % <uintptr_t>format_bytes(format[0]) == 0:
                    return <char *>t.data + t.byte_offset
        if isinstance(g, self.kind):
            self.asked = True
            grads[i] = self.as_array(i, g)
        return Stepper.gradient_data(self, grads, i, writable, format)

    def follow(self, as_memory):
        """Whether nothing has changed but where some tensors lie: now they are updated there. as_memory(i): tensor i as an
        array of its order."""
        cdef schuss_dltensor t
        cdef Py_ssize_t i
        cdef list before = self.params, moved = [], arrays = list(self.params)
        for i in range(self.n_views):
            if self.is_in_place(i):
                continue
            if self.look == NULL or self.look(<void *>self.tensors[i], &t) != 0:
                PyErr_Clear()
                return False
            if not self.lies_alike(i, &t) or lent_format(&t) != self.formats[i]:
                return False
            arrays[i] = as_memory(i)
            check_target(arrays[i], self.param_name(i), True)
            if arrays[i].shape != before[i].shape or format_of(arrays[i].dtype) != self.formats[i]:
                return False
            moved.append(i)
        if not moved:
            return False
        self.enter()
        try:
            self.params, self.n_spans = arrays, 0
            try:
                self.check_overlap()
            except BaseException:
                self.params, self.n_spans = before, 0
                self.check_overlap()
                raise
            for i in moved:
                self.move_to(i, arrays[i])
        finally:
            self.busy = False
        return True

    cdef int move_to(self, Py_ssize_t i, array) except -1:
        """Array i is this one from now on, of the same format and shape."""
        cdef Py_buffer view
        cdef Py_ssize_t k
        PyObject_GetBuffer(array.view(UINT16) if self.formats[i] == SCHUSS_BF16 else array, &view,
                           PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
        PyBuffer_Release(&self.views[i])
        self.views[i] = view
        self.segments[i].shape = <const ptrdiff_t *>self.views[i].shape
        if self.stored[i].copy != NULL:
            self.stored[i].copy = self.views[i].buf
        else:
            self.segments[i].p = self.views[i].buf
        self.given[i], self.places[i] = array, held_in_place(array)
        for k in range(self.n_views):
            self.wants[k].clear = NULL
        return 0

    # -- states of other precisions --

    def write_state(self, Py_ssize_t i, str name, values not None):
        """A state becomes these numbers of the dtype that is computed with, flat, rounded to how it is kept."""
        cdef int k = self.state_names[i].index(name), format = self.stored[i].s[k]
        cdef const void *source = address_of(values, name, self.dtype, 1, self.state_arrays[i][k].size, -1, False)
        if format == SCHUSS_BF16_STOCHASTIC:
            format = SCHUSS_BF16
        if format == self.dtype:
            memcpy(self.segments[i].s[k], source, values.nbytes)
        else:
            schuss_kernels(self.dtype).narrow(format, values.size, source, self.segments[i].s[k], self.stored[i].scale[k], NULL)

    def read_codes(self, Py_ssize_t i, str name, codes not None, scales not None, out not None):
        """Into out, flat and of the dtype that is computed with, what these 8-bit codes and the largest magnitudes of their
        blocks stand for as this state. All are contiguous."""
        cdef int k = self.state_names[i].index(name)
        cdef int format = schuss_state_format(self.numbers[self.segments[i].group].rule, k, 1 << 30, self.dtype, SCHUSS_8BIT_SIGNED)
        cdef void *to = address_of(out, name, self.dtype, 1, -1, -1, True)
        if codes.dtype != BYTES or codes.size != out.size:
            raise ValueError(f"{name} has {codes.size} codes of {codes.dtype}, expected {out.size} of uint8")
        if scales.dtype != FLOAT32 or scales.size != blocks_8bit(out.size):
            raise ValueError(f"{name}_absmax has {scales.size} numbers of {scales.dtype}, expected {blocks_8bit(out.size)} of "
                             "float32")
        schuss_kernels(self.dtype).widen(format, out.size, start_of(codes), start_of(scales), to)

    # -- steps --

    cdef int gather(self, list states) except -3:
        """Takes the gradients that there are: their number, or TENSORS_CHANGED, or TENSORS_FRESH."""
        cdef Py_ssize_t i, found = 0
        cdef bint fresh = False
        cdef list held = []
        for i in range(self.n_views):
            if not self.is_in_place(i) or self.count[i] != <float>self.steps_of(i):
                return TENSORS_CHANGED
            g = self.tensors[i].grad
            held.append(g)
            if g is not None:
                found += 1
                fresh = fresh or states[i] is None
        self.held = held
        self.stepped = self.tensors if found == self.n_views else [
            tensor for tensor, g in zip(self.tensors, held) if g is not None]
        return TENSORS_FRESH if fresh else found

    cdef int64_t steps_of(self, Py_ssize_t i) noexcept:
        """The steps that array i has made."""
        return self.c_step.t - 1 - self.c_step.clocks[self.segments[i].clock].behind

    cdef int prepare(self, list groups, double scale, double clip_norm) except -1:
        """All that can fail of the step with these gradients."""
        self.check_not_resting()
        self.check_params()
        self.read_for_step(groups, True)
        self.set_stages(scale, 0, clip_norm, False, False)
        self.point_at_gradients(self.held, False)
        if self.any_stored:
            self.prepare_stored()
        self.c_step.n_absent = self.n_absent
        return 0

    cdef void let_go(self) noexcept:
        if self.n_absent:
            self.all_present()
        self.held = None
        self.busy = False

    cdef bint measure(self) except -1:
        """Whether all gradients are finite; their norm into grad_norm."""
        cdef double clip_norm = self.c_step.clip_norm
        cdef PyThreadState *state
        cdef int status
        self.c_step.clip_norm = 1
        state = let_others_run(self.elements)
        status = schuss_gradient_norm(&self.c_step)
        come_back(state)
        self.c_step.clip_norm = clip_norm
        return status == SCHUSS_OK

    cdef bint make(self) except -1:
        cdef PyThreadState *state = let_others_run(self.elements)
        cdef int status = schuss_optimizer_step(&self.c_step)
        come_back(state)
        if status == SCHUSS_OK:
            self.c_step.t += 1
            self.note_counts()
        return status == SCHUSS_OK

    def note_counts(self):
        """Writes the steps that each has made, and what its rule remembers of it, for those who read states."""
        cdef Py_ssize_t i
        for i in range(self.n_views):
            self.count[i] = <float>self.steps_of(i)
            if self.remembers:
                self.memory[i] = self.c_step.memories[self.segments[i].clock].now[0]


cdef class TensorSteps:
    """Steps over all the tensors that a torch optimizer has on the CPU: a stepper for each dtype that is computed in."""
    cdef readonly list steppers
    cdef list tensors          # of all groups, one after the other, those of other devices too
    cdef list sizes            # of groups
    cdef list plain            # of each group, what the steppers read
    cdef list reads            # of each group, what it held when it was last translated; None: it may change unseen
    cdef object translate      # of a group and its plain one: brings that up to date
    cdef object names          # of a group's entries that translate() looks at
    cdef list state_read       # of the optimizer's `state`, keys and values
    cdef list states           # of each stepper, for each of its tensors: its entry there and what that holds, or None
    cdef object written        # called with the tensors that a step has written

    def __init__(self, list groups not None, list steppers not None, list plain not None, translate, names, written):
        self.tensors = [tensor for group in groups for tensor in group["params"]]
        self.sizes = [len(group["params"]) for group in groups]
        self.steppers, self.plain, self.translate, self.names = steppers, plain, translate, names
        self.written = written
        self.reads = [None] * len(groups)
        self.note_state({})

    def note_state(self, state):
        """These are the states from now on: of each tensor that has some, a dict."""
        cdef list read = [], states = []
        for key, value in state.items():
            read.append(key)
            read.append(value)
        for stepper in self.steppers:
            states.append([None if not state.get(tensor) else (state[tensor], as_left(state[tensor]))
                           for tensor in stepper.tensors])
        self.state_read, self.states = read, states

    def fresh(self):
        """The place (stepper, tensor) of each tensor that has a gradient and no states."""
        cdef TensorStepper stepper
        return [(k, i) for k, stepper in enumerate(self.steppers) for i, tensor in enumerate(stepper.tensors)
                if tensor.grad is not None and self.states[k][i] is None]

    cdef bint is_as_it_was(self, list groups, state) except -1:
        cdef Py_ssize_t k, i, at = 0, n = PyList_GET_SIZE(self.sizes)
        cdef PyObject *members
        cdef PyObject *entry
        cdef list of_stepper
        if PyList_GET_SIZE(groups) != n or not isinstance(state, dict) or not is_as_read(<dict>state, self.state_read):
            return False
        for k in range(n):
            if type(groups[k]) is not dict:
                return False
            members = PyDict_GetItemWithError(groups[k], "params")
            if members == NULL or type(<object>members) is not list or PyList_GET_SIZE(<object>members) != <Py_ssize_t>self.sizes[k]:
                return False
            for i in range(PyList_GET_SIZE(<object>members)):
                if PyList_GET_ITEM(<object>members, i) != PyList_GET_ITEM(self.tensors, at):
                    return False
                at += 1
        for of_stepper in self.states:
            for i in range(PyList_GET_SIZE(of_stepper)):
                entry = PyList_GET_ITEM(of_stepper, i)
                if entry != <PyObject *>None and not is_as_read(<dict>(<tuple>entry)[0], <list>(<tuple>entry)[1]):
                    return False
        return True

    cdef int read_group(self, dict group, Py_ssize_t k) except -1:
        """Brings what the steppers read of a group up to date."""
        if is_as_read(group, <list>self.reads[k]):
            return 0
        if self.reads[k] is None or not self.read_numbers(group, <list>self.reads[k], <dict>self.plain[k]):
            self.reads[k] = None
            self.translate(group, self.plain[k])
            self.reads[k] = as_read_of(group, self.names)
        return 0

    cdef bint read_numbers(self, dict group, list read, dict plain) except -1:
        """Whether the group has the very keys in read, and other numbers at most, such as schedulers write: these are
        taken then."""
        cdef Py_ssize_t place = 0, i = 0
        cdef PyObject *key
        cdef PyObject *value
        if 2 * PyDict_Size(group) != PyList_GET_SIZE(read):
            return False
        while PyDict_Next(group, &place, &key, &value):
            if key != PyList_GET_ITEM(read, i) or (value != PyList_GET_ITEM(read, i + 1) and <object>key in self.names
                                                   and not (<object>key in plain and never_changes(<object>value))):
                return False
            i += 2
        place = i = 0
        while PyDict_Next(group, &place, &key, &value):
            if value != PyList_GET_ITEM(read, i + 1):
                read[i + 1] = <object>value
                if <object>key in plain:
                    plain[<object>key] = <object>value
            i += 2
        return True

    cdef int prepare(self, list groups, state, double scale, double clip_norm) except -3:
        """All of a step that can fail. make() or leave() has to follow where it gives a number of gradients over 0."""
        cdef TensorStepper stepper
        cdef Py_ssize_t k, entered = 0
        cdef int found, total = 0
        try:
            for stepper in self.steppers:
                stepper.enter()
                entered += 1
            if not self.is_as_it_was(groups, state):
                total = TENSORS_CHANGED
            for k in range(entered):
                if total >= 0:
                    stepper = self.steppers[k]
                    found = stepper.gather(<list>self.states[k])
                    total = found if found < 0 else total + found
            if total > 0:
                for k in range(len(groups)):
                    self.read_group(<dict>groups[k], k)
                for stepper in self.steppers:
                    stepper.prepare(self.plain, scale, clip_norm)
        except BaseException:
            self.leave(entered)
            raise
        if total <= 0:
            self.leave(entered)
        return total

    cdef void leave(self, Py_ssize_t entered) noexcept:
        cdef Py_ssize_t k
        for k in range(entered):
            (<TensorStepper>PyList_GET_ITEM(self.steppers, k)).let_go()

    cdef bint make(self) except -1:
        """The step that was prepared; False if none was made, since a gradient is not finite."""
        cdef TensorStepper stepper
        cdef bint made = True
        cdef double total = 0
        if len(self.steppers) > 1 and (<TensorStepper>self.steppers[0]).c_step.clip_norm > 0:
            for stepper in self.steppers:
                made = stepper.measure() and made
                total += stepper.c_step.grad_norm * stepper.c_step.grad_norm
            total = total ** 0.5
            for stepper in self.steppers:
                if total > stepper.c_step.clip_norm:
                    stepper.c_step.grad_scale *= stepper.c_step.clip_norm / total
                stepper.c_step.clip_norm = 0
                stepper.c_step.grad_norm = total
        for stepper in self.steppers:
            if made and stepper.stepped:
                made = stepper.make()
        if made:
            self.written((<TensorStepper>self.steppers[0]).stepped if len(self.steppers) == 1 else
                         [tensor for one in self.steppers for tensor in one.stepped])
        return made

    cpdef int step(self, list groups, state, grad_scale=1.0, clip_norm=None, before=None) except -3:
        """TENSORS_MADE, TENSORS_REFUSED, TENSORS_CHANGED or TENSORS_FRESH. before() is called once nothing can fail any more."""
        cdef int found = self.prepare(groups, state, finite_number("grad_scale", grad_scale), limit("clip_norm", clip_norm))
        if found < 0:
            return found
        if found == 0:
            if before is not None:
                before()
            return TENSORS_MADE
        try:
            if before is not None:
                before()
            return TENSORS_MADE if self.make() else TENSORS_REFUSED
        finally:
            self.leave(PyList_GET_SIZE(self.steppers))

    def step_at_once(self, dict own not None):
        """Whether the step was made. Else something is unusual, or a gradient is not finite; nothing has changed then.

        own: the optimizer's attributes."""
        cdef PyObject *groups = PyDict_GetItemWithError(own, "param_groups")
        cdef PyObject *state = PyDict_GetItemWithError(own, "state")
        cdef PyObject *clip_norm = PyDict_GetItemWithError(own, "clip_norm")
        if (groups == NULL or type(<object>groups) is not list or state == NULL or clip_norm == NULL
                or PyDict_GetItemWithError(own, "grad_scale") != NULL or PyDict_GetItemWithError(own, "found_inf") != NULL):
            return False
        return self.step(<list>groups, <object>state, 1.0, <object>clip_norm) == TENSORS_MADE


cdef list as_left(dict entry):
    """Keys and values, one after the other, by which a dict is known again whatever its values are."""
    cdef list read = []
    for key, value in entry.items():
        read.append(key)
        read.append(value)
    return read


cdef list as_read_of(dict group, names):
    """The same; None if one of these names has a value that may change and stay the same object."""
    for name in names:
        if name in group and not never_changes(group[name]):
            return None
    return as_left(group)
