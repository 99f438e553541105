# Arrays that are updated in place, and gradients for them.

cdef enum:
    MOST_ARENAS = 2 * SCHUSS_MAX_STATES + SCHUSS_MAX_AVERAGES + 2


cdef class Parameters:
    """Arrays that are computed with in one dtype, none of which overlaps another. They are held as long as this lives, and so is the memory
    beside them that steps write."""
    cdef readonly list params
    cdef object form            # what names parameters and gradients in messages; None: their places do
    cdef int dtype
    cdef schuss_segment *segments
    cdef schuss_stored *stored  # of each how it lies in memory; NULL: all are of the dtype, always
    cdef int *formats           # what each is given in
    cdef bint any_narrow        # whether one of them, or what is kept of it, is not of the dtype
    cdef bint any_stored        # or was, or its gradient, in a step so far
    cdef Py_buffer *views
    cdef Py_ssize_t n_views
    cdef wanted *wants          # of the gradient of each
    cdef Py_ssize_t *shapes     # of all of them, one after the other
    cdef uintptr_t *spans       # where those that are not empty begin and end, in the order of their addresses
    cdef Py_ssize_t n_spans
    cdef double elements        # of all of them
    cdef list given             # the arrays as they were given; params has them as NumPy's own class
    cdef list places            # what keeps their memory where it is
    cdef bint disjoint          # whether no two of the gradients that were pointed at last share memory
    cdef Py_ssize_t n_absent    # of the gradients that were pointed at last, those that are None
    cdef bint asked             # whether a gradient was asked for its memory in Python, which may do anything
    cdef list arenas            # memory beside them, an array for each of the params in each
    cdef uintptr_t arena_start[MOST_ARENAS]
    cdef uintptr_t arena_end[MOST_ARENAS]
    cdef readonly bint busy     # whether a step or the like is being made

    cdef int hold(self, params, form, bint any_format=False) except -1:
        """Checks the arrays and fills the segments; once, by the constructor. any_format: they may have fewer bits than float32."""
        cdef Py_ssize_t i, n = len(params)
        cdef int dtype
        cdef schuss_segment *segment
        self.given = list(params)
        # subclasses may say anything of their shape
        self.params = [np.asarray(p) if isinstance(p, ndarray) else p for p in self.given]
        self.form = form
        self.arenas = []
        self.views = <Py_buffer *>PyMem_Calloc(n + 1, sizeof(Py_buffer))
        self.segments = <schuss_segment *>PyMem_Calloc(n + 1, sizeof(schuss_segment))
        self.spans = <uintptr_t *>PyMem_Calloc(2 * n + 1, sizeof(uintptr_t))
        self.wants = <wanted *>PyMem_Calloc(n + 1, sizeof(wanted))
        self.formats = <int *>PyMem_Calloc(n + 1, sizeof(int))
        if any_format:
            self.stored = <schuss_stored *>PyMem_Calloc(n + 1, sizeof(schuss_stored))
        if not (self.views and self.segments and self.spans and self.wants and self.formats and (self.stored or not any_format)):
            raise MemoryError()
        for i in range(n):
            p = self.params[i]
            check_target(p, self.param_name(i), any_format)
            self.formats[i] = format_of(p.dtype)
            dtype = SCHUSS_F64 if self.formats[i] == SCHUSS_F64 else SCHUSS_F32
            if i == 0:
                self.dtype = dtype
            elif dtype != self.dtype:
                raise TypeError(f"{self.param_name(i)} is {p.dtype}, {self.param_name(0)} is {self.params[0].dtype}: "
                                "expected one dtype" + (" to compute in" if any_format else ""))
            PyObject_GetBuffer(seen_by_buffers(p), &self.views[i], PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE)
            self.n_views = i + 1
            segment = &self.segments[i]
            segment.n = p.size
            segment.rows, segment.cols = p.shape[-2:] if p.ndim > 1 else (p.size, 1)
            segment.ndim = self.views[i].ndim
            segment.shape = <const ptrdiff_t *>self.views[i].shape
            segment.p = self.views[i].buf
            self.elements += p.size
        self.places = [held_in_place(p) for p in self.params]
        self.check_overlap()
        self.note_shapes()
        return 0

    cdef int check_overlap(self) except -1:
        spans = sorted([(p.ctypes.data, p.ctypes.data + p.nbytes, i) for i, p in enumerate(self.params) if p.size])
        for (_, end, i), (start, _, j) in zip(spans, spans[1:]):
            if start < end:
                raise ValueError(f"{self.param_name(max(i, j))} overlaps {self.param_name(min(i, j))}, expected arrays of "
                                 "their own memory")
        for start, end, _ in spans:
            self.spans[2 * self.n_spans] = start
            self.spans[2 * self.n_spans + 1] = end
            self.n_spans += 1
        return 0

    cdef int note_shapes(self) except -1:
        """Copies of the shapes: those of the arrays themselves may be changed."""
        cdef Py_ssize_t i, used = 0
        self.shapes = <Py_ssize_t *>PyMem_Calloc(sum([p.ndim for p in self.params]) + 1, sizeof(Py_ssize_t))
        if not self.shapes:
            raise MemoryError()
        for i in range(self.n_views):
            self.wants[i].ndim, self.wants[i].shape = self.views[i].ndim, self.shapes + used
            if self.views[i].ndim:  # a scalar's shape may be NULL
                memcpy(self.shapes + used, self.views[i].shape, self.views[i].ndim * sizeof(Py_ssize_t))
            used += self.views[i].ndim
        return 0

    cdef object zeros(self, Py_ssize_t n, dtype):
        """n zeros, where memory beside the parameters lies."""
        return aligned_zeros(n, dtype)

    cdef list lay(self, list shapes, list dtypes=None):
        """Zeros of these shapes, one for each parameter (None: none), in one arena: stepping many arrays walks memory in
        order. Each lies within its lines of cache as its parameter does. They are of the dtype that is computed with, or of one
        each."""
        cdef Py_ssize_t i, total = 0, item = 4 if self.dtype == SCHUSS_F32 else 8
        if dtypes is not None:
            return self.lay_bytes(shapes, dtypes)
        starts = []
        for i, shape in enumerate(shapes):
            if shape is not None:
                total = place_like(total, self.views[i].buf, item)
            starts.append(total)
            total += padded(shape)
        arena = self.zeros(total, format_array(self.dtype))
        self.note_arena(arena)
        return [None if shape is None else view_of(arena, start, shape) for start, shape in zip(starts, shapes)]

    cdef list lay_bytes(self, list shapes, list dtypes):
        """The same, of these dtypes. Each begins with a line of cache."""
        cdef Py_ssize_t total = 0
        starts = []
        for shape, dtype in zip(shapes, dtypes):
            starts.append(total)
            if shape is not None:
                total += (padded(shape) * dtype.itemsize + 63) // 64 * 64
        arena = self.zeros(total, BYTES)
        self.note_arena(arena)
        return [None if shape is None else
                arena[start : start + size_of(shape) * dtype.itemsize].view(dtype).reshape(shape)
                for start, shape, dtype in zip(starts, shapes, dtypes)]

    cdef int note_arena(self, arena) except -1:
        """From now on gradients may not share its memory."""
        cdef Py_ssize_t i
        cdef int k = len(self.arenas)
        self.arena_start[k] = <uintptr_t>start_of(arena)
        self.arena_end[k] = self.arena_start[k] + <uintptr_t>arena.nbytes
        self.arenas.append(arena)
        for i in range(self.n_views):
            self.wants[i].clear = NULL
        return 0

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.n_views):
            PyBuffer_Release(&self.views[i])
        PyMem_Free(self.stored)
        PyMem_Free(self.formats)
        PyMem_Free(self.views)
        PyMem_Free(self.segments)
        PyMem_Free(self.spans)
        PyMem_Free(self.wants)
        PyMem_Free(self.shapes)

    def __reduce__(self):
        raise TypeError(f"{type(self).__name__} is rebuilt by its optimizer, not pickled")

    cdef str param_name(self, Py_ssize_t i):
        return f"params[{i}]" if self.form is None else self.form.parameter(i)

    cdef str grad_name(self, Py_ssize_t i):
        return f"grads[{i}]" if self.form is None else self.form.gradient(i)

    cdef int enter(self) except -1:
        if self.busy:
            raise RuntimeError("this optimizer is in a step: another thread's, or the one this loss is called from")
        self.busy = True
        return 0

    cdef bint may_be_absent(self, Py_ssize_t i) except -1:
        """Whether array i may be left without a gradient. ValueError: no, for a reason of its own."""
        return False

    cdef bint goes_by_rows(self, Py_ssize_t i) noexcept:
        """Whether array i can be updated by a gradient of some rows."""
        return False

    cdef str whole_because(self, Py_ssize_t i):
        """Why not."""
        return "this optimizer looks at whole arrays"

    cdef int check_params(self) except -1:
        """ValueError if an array is no longer what it was when this was made. A shape alone may have changed."""
        cdef Py_ssize_t i
        cdef int flags = ARRAY_C_CONTIGUOUS | ARRAY_ALIGNED | ARRAY_WRITEABLE
        cdef const PyObject *dtype = <PyObject *>(FLOAT32 if self.dtype == SCHUSS_F32 else FLOAT64)
        cdef const schuss_ndarray *a
        for i in range(self.n_views):
            a = <const schuss_ndarray *>PyList_GET_ITEM(self.given, i)
            if not (layout_known and a.flags & flags == flags and a.data == self.views[i].buf
                    and (a.descr == dtype or array_format(a.descr) == self.formats[i]) ):
                self.check_param(i)
        return 0

    cdef int check_param(self, Py_ssize_t i) except -1:
        """The same of one array that is not seen at once to be what it was."""
        p = np.asarray(self.given[i])
        if not p.flags.writeable:
            raise ValueError(f"{self.param_name(i)} has become read-only, expected a writeable array: it is updated in place")
        if format_of(p.dtype) != self.formats[i]:
            raise ValueError(f"{self.param_name(i)} has become {p.dtype}, expected the dtype it had: it is updated in place")
        if not p.flags.c_contiguous or p.size and p.ctypes.data != <uintptr_t>self.views[i].buf:
            raise ValueError(f"{self.param_name(i)} has got other strides or memory, expected what it had: it is updated in place")
        return 0

    cdef int point_at_gradients(self, list grads, bint writable) except -1:
        """Points the segments at the gradients. Those that have to be copied are replaced in grads by their copies. Where
        n_absent is not 0, bring_back() is to be called when they are of no use any more, whatever this raises."""
        cdef Py_ssize_t i, n = self.n_views, first
        if len(grads) != n:
            raise ValueError(f"grads has {len(grads)} arrays, expected {n}, one for each parameter")
        self.asked = False
        first = self.look_at_gradients(grads, writable)
        if self.asked:  # now all are arrays, and nothing of theirs is called any more
            first = min(first, self.look_at_gradients(grads, writable))
        for i in range(first, n):
            if self.segments[i].g != self.wants[i].clear and not self.segments[i].absent:
                self.check_apart(i, self.segments[i].g)
        if first < n:
            self.disjoint = False
        if writable and not self.disjoint:
            self.check_disjoint()
        self.check_params()  # what was called may have written anything
        return 0

    cdef Py_ssize_t look_at_gradients(self, list grads, bint writable) except -1:
        """The same, unchecked; returns the first that lies where none was before."""
        cdef Py_ssize_t i, n = self.n_views, first = n
        cdef int flags = ARRAY_C_CONTIGUOUS | ARRAY_ALIGNED, mask = flags
        cdef const PyObject *dtype = <PyObject *>(FLOAT32 if self.dtype == SCHUSS_F32 else FLOAT64)
        cdef void *data
        cdef int format
        if writable:
            flags, mask = flags | ARRAY_WRITEABLE, mask | ARRAY_WRITEABLE | ARRAY_WARN_ON_WRITE
        if self.n_absent:
            self.bring_back()
        for i in range(n):
            self.make_whole(i)
            data = NULL
            format = self.dtype
            if layout_known:
                data = array_data(PyList_GET_ITEM(grads, i), &self.wants[i], dtype, flags, mask, &format)
            if data == NULL:
                if PyList_GET_ITEM(grads, i) == <PyObject *>None and self.may_be_absent(i):
                    self.leave_out(i)
                    continue
                data = self.gradient_data(grads, i, writable, &format)
            if format != self.dtype or self.any_stored:
                self.set_gradient_format(i, format)
            if data != self.wants[i].clear and i < first:
                first = i
            self.segments[i].g = data
        return first

    cdef void leave_out(self, Py_ssize_t i) noexcept:
        """Segment i has no gradient."""
        self.segments[i].absent, self.segments[i].n, self.segments[i].g = True, 0, NULL
        self.n_absent += 1

    cdef void bring_back(self) noexcept:
        """No segment is without a gradient."""
        cdef Py_ssize_t i
        for i in range(self.n_views):
            if self.segments[i].absent:
                self.segments[i].absent = False
                self.segments[i].n = self.views[i].len // self.views[i].itemsize
        self.n_absent = 0

    cdef int check_disjoint(self) except -1:
        """ValueError if two gradients share memory: one that is zeroed would be the other's, before or after it is read."""
        cdef Py_ssize_t i
        spans = sorted([(<uintptr_t>self.segments[i].g, <uintptr_t>self.segments[i].g
                         + self.segments[i].n * self.gradient_item(i), i)
                        for i in range(self.n_views) if self.segments[i].n])
        for (_, end, i), (start, _, j) in zip(spans, spans[1:]):
            if start < end:
                raise ValueError(f"{self.grad_name(max(i, j))} shares memory with {self.grad_name(min(i, j))}, expected arrays "
                                 "of their own: zero_grad=True")
        self.disjoint = True
        return 0

    cdef void make_whole(self, Py_ssize_t i) noexcept:
        """Segment i is to get a gradient of the whole array (again)."""
        if self.segments[i].index != NULL:
            self.segments[i].index = NULL
            self.segments[i].n = self.views[i].len // self.views[i].itemsize
            self.segments[i].cols = self.views[i].shape[self.views[i].ndim - 1] if self.views[i].ndim > 1 else 1

    cdef void make_all_whole(self) noexcept:
        """The same of all, whose gradients are of the dtype then."""
        cdef Py_ssize_t i
        for i in range(self.n_views):
            self.make_whole(i)
            if self.any_stored:
                self.stored[i].g = self.dtype
                if not self.is_narrow(i):
                    self.segments[i].stored = NULL

    cdef bint is_narrow(self, Py_ssize_t i) noexcept:
        """Whether something of array i but its gradient is not of the dtype."""
        return False

    cdef int set_gradient_format(self, Py_ssize_t i, int format) except -1:
        if self.stored == NULL:
            raise ValueError(f"{self.grad_name(i)} has another dtype than {self.param_name(i)}, expected {self.params[i].dtype}")
        self.any_stored = True
        self.stored[i].g = format
        self.segments[i].stored = &self.stored[i] if format != self.dtype or self.is_narrow(i) else NULL
        return 0

    cdef Py_ssize_t gradient_item(self, Py_ssize_t i) noexcept:
        """Bytes of an element of the gradient of array i."""
        return format_bytes(self.stored[i].g if self.segments[i].stored != NULL else self.dtype)

    cdef void *gradient_data(self, list grads, Py_ssize_t i, bint writable, int *format) except? NULL:
        """The data of a gradient that is not seen to fit at once, and its format."""
        cdef void *data
        g = grads[i]
        if isinstance(g, SortedRows):
            return self.rows_data(<SortedRows>g, i, writable, format)
        if type(g) is not ndarray:
            if not writable:
                data = lent_data(g, &self.wants[i], format)
                if data != NULL:
                    return data
            from schuss.foreign import source

            self.asked = True
            grads[i] = g = source(self.grad_name(i), g)
        format[0] = self.dtype
        data = self.buffer_data(g, &self.views[i], writable)
        if data == NULL:
            grads[i] = g = usable_gradient(g, self.grad_name(i), self.params[i], writable, self.stored != NULL)
            format[0] = format_of(g.dtype)
            data = <void *><uintptr_t>g.ctypes.data
        return data

    cdef void *buffer_data(self, g, const Py_buffer *p, bint writable) except? NULL:
        """The data of a gradient that fits, of whatever class, by the buffer protocol; else NULL."""
        cdef Py_buffer view
        cdef void *data = NULL
        try:
            PyObject_GetBuffer(g, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (PyBUF_WRITABLE if writable else 0))
        except (BufferError, ValueError, TypeError):
            return NULL
        if (view.ndim == p.ndim and format_dtype(view.format) == self.dtype
                and same_extents(p.ndim, view.shape, p.shape)
                and <uintptr_t>view.buf % <uintptr_t>view.itemsize == 0):
            data = view.buf
        PyBuffer_Release(&view)
        return data

    cdef void *rows_data(self, SortedRows g, Py_ssize_t i, bint writable, int *format) except? NULL:
        """The values of a gradient of some rows, for which segment i is cut down to these rows."""
        cdef schuss_segment *segment = &self.segments[i]
        if not self.goes_by_rows(i):
            raise TypeError(f"{self.grad_name(i)} is of some rows only, expected an array: {self.whole_because(i)}")
        if not rows_fit(g, &self.wants[i], format) or (format[0] != self.dtype and self.stored == NULL):
            self.check_rows(g, i)
            format[0] = format_of(g.values.dtype)
        if writable and not g.values.flags.writeable:
            raise ValueError(f"{self.grad_name(i)} has values that are read-only, expected ones that can be zeroed in place: "
                             "zero_grad=True")
        segment.index = g.index
        segment.n = g.values.size
        segment.cols = segment.n // max(1, g.count)
        return start_of(g.values)

    cdef int check_rows(self, SortedRows g, Py_ssize_t i) except -1:
        p, values = self.params[i], g.values
        if p.ndim < 1 or values.shape[1:] != p.shape[1:]:
            raise ValueError(f"{self.grad_name(i)} has rows of shape {values.shape[1:]}, expected {p.shape[1:]}")
        if values.shape[0] != g.count:
            raise ValueError(f"{self.grad_name(i)} has {values.shape[0]} rows, expected {g.count}, one for each of its indices")
        if format_of(values.dtype) < 0 or (self.stored == NULL and values.dtype != p.dtype):
            raise ValueError(f"{self.grad_name(i)} has dtype {values.dtype}, expected {p.dtype}")
        if not values.flags.c_contiguous or not values.flags.aligned:
            raise ValueError(f"{self.grad_name(i)} has values that are not C-contiguous and aligned")
        if g.count and not (0 <= g.index[0] and g.index[g.count - 1] < p.shape[0]):  # they are sorted
            bad = g.index[0] if g.index[0] < 0 else g.index[g.count - 1]
            raise ValueError(f"{self.grad_name(i)} has row {bad}, expected rows in [0, {p.shape[0]})")
        return 0

    cdef int check_apart(self, Py_ssize_t i, const void *data) except -1:
        """ValueError if the gradient, which lies here, shares memory with what a step writes."""
        cdef Py_ssize_t size = self.segments[i].n * self.gradient_item(i)
        if self.overlaps_params(data, size):
            raise ValueError(f"{self.grad_name(i)} shares memory with a parameter, expected an array of its own")
        if self.overlaps_arenas(<uintptr_t>data, size):
            raise ValueError(f"{self.grad_name(i)} shares memory with a state of this optimizer, expected an array of its own")
        self.wants[i].clear = data if self.segments[i].index == NULL else NULL
        return 0

    cdef bint overlaps_arenas(self, uintptr_t start, Py_ssize_t size) noexcept:
        cdef int k
        for k in range(MOST_ARENAS):
            if size > 0 and start < self.arena_end[k] and self.arena_start[k] < start + <uintptr_t>size:
                return True
        return False

    cdef bint overlaps_params(self, const void *start, Py_ssize_t size) noexcept:
        cdef Py_ssize_t low = 0, high = self.n_spans, middle
        cdef uintptr_t a = <uintptr_t>start
        # the first param that ends after the array begins: parameters and gradients of many layers often lie in turns
        while low < high:
            middle = (low + high) // 2
            if self.spans[2 * middle + 1] > a:
                high = middle
            else:
                low = middle + 1
        return size > 0 and low < self.n_spans and self.spans[2 * low] < a + <uintptr_t>size


cdef check_target(p, str name, bint any_format):
    """TypeError or ValueError unless p can be updated in place."""
    if not isinstance(p, np.ndarray):
        raise TypeError(f"{name} is {type(p).__name__}, expected numpy.ndarray")
    if any_format and format_of(p.dtype) < 0:
        raise TypeError(f"{name} has dtype {p.dtype.str}, expected native float32, float64, float16 or bfloat16")
    if not any_format and (p.dtype != np.float32 and p.dtype != np.float64 or not p.dtype.isnative):
        raise TypeError(f"{name} has dtype {p.dtype.str}, expected native float32 or float64")
    for flag, what in (("writeable", "read-only"), ("c_contiguous", "not C-contiguous"), ("aligned", "misaligned")):
        if not getattr(p.flags, flag):
            raise ValueError(f"{name} is {what}, expected a {flag.replace('_', '-')} array: it is updated in place")


cdef usable_gradient(g, str name, p, bint writable, bint any_format):
    """g as a contiguous native array like p, copied if need be."""
    if not isinstance(g, np.ndarray):
        raise TypeError(f"{name} is {type(g).__name__}, expected numpy.ndarray")
    g = np.asarray(g)
    if g.shape != p.shape:
        raise ValueError(f"{name} has shape {g.shape}, expected {p.shape}")
    dtype = g.dtype.newbyteorder("=")
    if dtype != p.dtype and not (any_format and format_of(dtype) >= 0):
        raise ValueError(f"{name} has dtype {g.dtype}, expected {p.dtype}"
                         + (" or another of float32, float64, float16 and bfloat16" if any_format else ""))
    if writable and g.flags.carray and g.dtype.isnative:
        return g
    if writable:
        raise ValueError(f"{name} is read-only, not C-contiguous, misaligned or not native, expected an array that can "
                         "be zeroed in place: zero_grad=True")
    return np.require(g, dtype=dtype, requirements=["C", "A"])
