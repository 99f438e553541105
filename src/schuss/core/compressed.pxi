# Rows of which only some columns are there.

class CompressedFault(ValueError):
    """Compressed rows are not as they must be; whoever knows them says where."""


cdef class Compressed:
    """Compressed rows, which nobody can change: start, columns and values are private copies, checked."""
    cdef schuss_compressed c
    cdef readonly Py_ssize_t entries
    cdef readonly int64_t columns    # one more than the highest
    cdef readonly object dtype       # of the values
    cdef Py_ssize_t rows
    cdef object start, indices, data

    def __cinit__(self, start=None, indices=None, data=None, columns=None, bint doubled=False):
        """columns: of a row, None: any number. doubled: whether a column may come twice in a row."""
        cdef int fault
        if start is None:  # as_dtype() fills it
            return
        require_isa()
        if not start.dtype.kind in "iu" or start.ndim != 1 or not start.shape[0]:
            raise TypeError(f"start is {start.dtype} of shape {start.shape}, expected integers, one more than rows")
        if not indices.dtype.kind in "iu" or indices.ndim != 1 or data.shape != indices.shape:
            raise TypeError(f"indices is {indices.dtype} of shape {indices.shape} and data of shape {data.shape}, expected "
                            "integers and numbers (entries,)")
        self.dtype = np.dtype(data.dtype.type)
        dtype_of(self.dtype)
        self.start = np.array(start, np.int64, order="C")
        narrow = not indices.shape[0] or (0 <= indices.min() and indices.max() < 2**31)
        self.indices = np.array(indices, np.int32 if narrow else np.int64, order="C")
        self.data = np.array(data, self.dtype, order="C")
        self.rows, self.entries = extent(self.start, 0) - 1, extent(self.indices, 0)
        if self.start.ndim != 1 or self.indices.ndim != 1 or self.data.ndim != 1 or extent(self.data, 0) != self.entries:
            raise TypeError("start, indices and data have changed their shapes")
        self.point()
        fault = schuss_compressed_fault(&self.c, self.rows, self.entries, sys.maxsize if columns is None else columns, doubled)
        if fault == SCHUSS_FAULT_START:
            raise CompressedFault(f"start must rise from 0 to {self.entries}")
        if fault == SCHUSS_FAULT_RANGE:
            raise CompressedFault(f"indices holds a column out of range, expected columns in [0, {columns or sys.maxsize})")
        if fault == SCHUSS_FAULT_ORDER:
            raise CompressedFault("indices holds a row whose columns do not increase, expected each row sorted and no column "
                                  "twice" if not doubled else
                                  "indices holds a row whose columns decrease, expected each row sorted")
        self.columns = schuss_compressed_columns(&self.c, self.rows)
        self.check_finite()

    cdef int point(self) except -1:
        self.c.start = <const int64_t *>start_of(self.start)
        self.c.indices, self.c.wide = start_of(self.indices), self.indices.dtype == np.int64
        self.c.data = start_of(self.data)
        return 0

    cdef int check_finite(self) except -1:
        if schuss_kernels(dtype_of(self.dtype)).any_nonfinite(self.entries, self.c.data):
            raise CompressedFault("data holds a value that is not finite")
        return 0

    def as_dtype(self, dtype):
        """The same rows with values of this dtype; themselves if they have it."""
        cdef Compressed made
        if dtype == self.dtype:
            return self
        made = Compressed.__new__(type(self))
        made.start, made.indices, made.rows, made.entries = self.start, self.indices, self.rows, self.entries
        made.columns, made.dtype = self.columns, np.dtype(dtype)
        with np.errstate(over="ignore"):
            made.data = self.data.astype(made.dtype)
        made.point()
        made.check_finite()
        return made

    def arrays(self):
        """Copies of start, columns and values."""
        return self.start.copy(), self.indices.copy(), self.data.copy()

    def first_beyond(self, columns):
        """Row and column of the first entry that is in none of so many columns; None: there is none."""
        if self.columns <= columns:
            return None
        k = int((self.indices >= columns).argmax())
        return int(np.searchsorted(self.start, k, "right")) - 1, int(self.indices[k])

    def counts(self):
        """How many entries each row has."""
        return np.diff(self.start)

    @property
    def shape(self):
        return self.rows, self.columns

    @property
    def ndim(self):
        return 2

    def __len__(self):
        return self.rows

    def __bool__(self):
        return self.rows > 0

    def __getitem__(self, index):
        """The rows that a slice, an array of numbers or one of bools chooses."""
        chosen = np.arange(self.rows)[index]
        if chosen.ndim != 1:
            raise TypeError("index must choose rows: a slice, or an array of numbers or bools")
        counts = self.counts()[chosen]
        start = np.zeros(chosen.shape[0] + 1, np.int64)
        np.cumsum(counts, out=start[1:])
        at = np.repeat(self.start[chosen] - start[:-1], counts) + np.arange(start[-1])
        return Compressed.__new__(type(self), start, self.indices[at], self.data[at], None, True)

    def __iter__(self):
        raise TypeError("compressed rows are taken by slices and arrays, not one by one")

    def copy(self):
        return self

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return compressed_rows, (type(self), *self.arrays())


def compressed_rows(kind, start, indices, data):
    """Rows as they were pickled."""
    if not issubclass(kind, Compressed):
        raise TypeError(f"kind is {kind}, expected a class of compressed rows")
    return Compressed.__new__(kind, np.asarray(start), np.asarray(indices), np.asarray(data), None, True)
