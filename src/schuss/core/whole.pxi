# What happens as a whole. CPython runs signal handlers, from which KeyboardInterrupt comes, between bytecodes: when a
# function of Python's begins, after calls, and at jumps back. It runs none within a compiled function that calls nothing
# written in Python, and none between the end of a compiled __enter__ and the block after it.

cdef struct copying:
    void *target
    const void *source
    Py_ssize_t size


cdef Py_ssize_t copied_item(const PyObject *descr) noexcept:
    """Bytes of an element of this dtype; -1: it is none that is known at once."""
    cdef int format = array_format(descr)
    return 1 if descr == <PyObject *>BYTES else -1 if format < 0 else format_bytes(format)


cdef object seen_by_buffers(array):
    """The array, or its bits where its numbers are such as the buffer protocol knows nothing of."""
    return array.view(UINT16) if format_of(array.dtype) == SCHUSS_BF16 else array


cdef int read_copying(copying *found, list targets, list sources, Py_ssize_t i, bint asks) except -1:
    """Points at both arrays. A source that is not contiguous is replaced by a copy. ValueError unless they are alike, and
    the target is contiguous and, where that is asked, writeable."""
    target, source = targets[i], sources[i]
    cdef const schuss_ndarray *a = numpy_head(target)
    cdef const schuss_ndarray *b = numpy_head(source)
    cdef Py_buffer mine, theirs
    cdef Py_ssize_t k
    cdef Py_ssize_t item = -1
    if a != NULL and b != NULL and a.descr == b.descr:
        item = copied_item(a.descr)
    if (item > 0 and a.nd == b.nd and same_extents(a.nd, a.dimensions, b.dimensions)
            and (not asks or a.flags & (ARRAY_WRITEABLE | ARRAY_WARN_ON_WRITE) == ARRAY_WRITEABLE)):
        found.target, found.source = a.data, b.data
        found.size = item
        for k in range(a.nd):
            found.size *= a.dimensions[k]
        return 0
    if not source.flags.c_contiguous:
        sources[i] = source = np.array(source, order="C")
    if target.dtype != source.dtype or (format_of(target.dtype) < 0 and target.dtype != BYTES):
        raise ValueError(f"sources[{i}] is {source.dtype}, expected {target.dtype}")
    PyObject_GetBuffer(seen_by_buffers(source), &theirs, PyBUF_C_CONTIGUOUS)
    try:
        PyObject_GetBuffer(seen_by_buffers(target), &mine, PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if asks else 0))
        try:
            if (mine.ndim != theirs.ndim or not same_extents(mine.ndim, mine.shape, theirs.shape)):
                raise ValueError(f"sources[{i}] is {source.dtype} of shape {source.shape}, expected {target.dtype} of shape "
                                 f"{target.shape}")
            found.target, found.source, found.size = mine.buf, theirs.buf, mine.len
        finally:
            PyBuffer_Release(&mine)
    finally:
        PyBuffer_Release(&theirs)
    return 0


cdef int copy_lists(list targets, list sources, bint asks) except -1:
    cdef list mine = list(targets), theirs = list(sources)  # held, whatever is done to the others while they run
    cdef Py_ssize_t i, n = len(mine)
    cdef double total = 0
    cdef copying *pairs
    cdef PyThreadState *state
    if len(theirs) != n:
        raise ValueError(f"sources has {len(theirs)} arrays, expected {n}")
    pairs = <copying *>PyMem_Malloc((n + 1) * sizeof(copying))
    if not pairs:
        raise MemoryError()
    try:
        for i in range(n):
            read_copying(&pairs[i], mine, theirs, i, asks)
            total += pairs[i].size
        state = let_others_run(total / 8)
        for i in range(n):
            memmove(pairs[i].target, pairs[i].source, pairs[i].size)
        come_back(state)
    finally:
        PyMem_Free(pairs)
    return 0


def copy_all(list targets, list sources):
    copy_lists(targets, sources, True)


def in_turn(calls):
    cdef tuple call
    for call in calls:
        call[0](*call[1:])


cdef class Exchanged:
    """A context in which arrays hold other values."""
    cdef list arrays, values
    cdef list before           # what they held before, for each time that this was entered

    def __cinit__(self, list arrays not None, list values not None):
        self.arrays, self.values, self.before = list(arrays), list(values), []

    def __enter__(self):
        before = [array.copy() for array in self.arrays]
        copy_lists(self.arrays, self.values, True)
        self.before.append(before)

    def __exit__(self, *exception):
        copy_lists(self.arrays, self.before.pop(), False)  # those too that have become read-only
