# Gradients of some rows of an array.

cdef class SortedRows:
    """Numbers of rows, strictly increasing, and the values of these rows. The numbers are a private copy: the step writes
    where they say, and nobody else may change them meanwhile."""
    cdef readonly object values
    cdef object place          # what keeps their memory where it is: they may be a view
    cdef int64_t *index
    cdef Py_ssize_t count

    def __cinit__(self, index, values):
        cdef Py_ssize_t n = index.shape[0], wrong
        cdef const void *given = address_of_int64(index, "indices", n)
        self.index = <int64_t *>PyMem_Malloc(max(n, 1) * sizeof(int64_t))
        if not self.index:
            raise MemoryError()
        self.count = n
        self.values = values
        self.place = held_in_place(values)
        memcpy(self.index, given, n * sizeof(int64_t))
        wrong = schuss_first_not_rising(self.index, n)
        if wrong >= 0:
            raise ValueError(f"indices[{wrong}] is {self.index[wrong]}, expected more than {self.index[wrong - 1]}")

    def __dealloc__(self):
        PyMem_Free(self.index)

    @property
    def indices(self):
        """The numbers, int64 (k,): a copy that cannot be written."""
        copy = np.empty(self.count, np.int64)
        memcpy(start_of(copy), self.index, self.count * sizeof(int64_t))
        copy.flags.writeable = False
        return copy


cdef bint rows_fit(SortedRows rows, const wanted *w, int *format) noexcept:
    """Whether the values are seen at once to be rows of the parameter, in what format, and the numbers to be of its rows."""
    cdef const schuss_ndarray *v = numpy_head(rows.values)
    cdef Py_ssize_t n = rows.count
    if v != NULL:
        format[0] = array_format(v.descr)
    return (v != NULL and w.ndim >= 1 and v.nd == w.ndim and v.dimensions[0] == n and format[0] >= 0
            and same_extents(w.ndim - 1, v.dimensions + 1, w.shape + 1)
            and (n == 0 or (0 <= rows.index[0] and rows.index[n - 1] < w.shape[0])))  # they are sorted
