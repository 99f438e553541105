# NumPy's arrays: whether one has the dtype and shape that are needed, and where its data are.

cdef extern from *:
    """
    /* The head of a NumPy array, as NumPy's headers lay it out: its ABI promises it to every extension module, and
     * nothing else of those headers is needed here. look_at_layout() tries it out before it is relied upon. */
    typedef struct {
        PyObject_HEAD
        char *data;
        int nd;
        Py_ssize_t *dimensions, *strides;
        PyObject *base, *descr;
        int flags;
    } schuss_ndarray;
    enum {
        ARRAY_C_CONTIGUOUS = 0x1, ARRAY_ALIGNED = 0x100, ARRAY_WRITEABLE = 0x400,
        ARRAY_WARN_ON_WRITE = (int)0x80000000
    };
    """
    PyObject *PyList_GET_ITEM(object items, Py_ssize_t i)  # borrowed, unlike Cython's own
    PyObject *PyDict_GetItemWithError(object items, object key) noexcept  # borrowed too; NULL: there is none
    ctypedef struct schuss_ndarray:
        char *data
        int nd
        Py_ssize_t *dimensions
        PyObject *descr
        int flags
    enum:
        ARRAY_C_CONTIGUOUS, ARRAY_ALIGNED, ARRAY_WRITEABLE, ARRAY_WARN_ON_WRITE

cdef object ndarray = np.ndarray, empty = np.empty
cdef object BYTES = np.dtype(np.uint8), FLOAT32 = np.dtype(np.float32), FLOAT64 = np.dtype(np.float64), INT64 = np.dtype(np.int64)
cdef bint layout_known = False


cdef int look_at_layout() except -1:
    """Whether schuss_ndarray is what arrays look like here. If not, they are asked through the buffer protocol only."""
    global layout_known
    cdef int readable = ARRAY_C_CONTIGUOUS | ARRAY_ALIGNED, all_flags = readable | ARRAY_WRITEABLE
    probe = np.zeros((3, 5), np.float32)
    cdef schuss_ndarray *a = <schuss_ndarray *>probe
    if (sys.implementation.name != "cpython" or np.ndarray.__basicsize__ < <Py_ssize_t>sizeof(schuss_ndarray)
            or <uintptr_t>a.data != <uintptr_t>probe.ctypes.data or a.nd != 2 or a.descr != <PyObject *>FLOAT32
            or a.flags & all_flags != all_flags or a.dimensions[0] != 3 or a.dimensions[1] != 5):
        return 0
    probe.flags.writeable = False
    across = probe.T
    askew = np.zeros(9, np.uint8)[1:].view(FLOAT32)
    if (a.flags & all_flags != readable
            or (<schuss_ndarray *>across).flags & all_flags != ARRAY_ALIGNED
            or (<schuss_ndarray *>askew).flags & ARRAY_ALIGNED):
        return 0
    layout_known = True
    return 0

look_at_layout()


cdef schuss_ndarray *numpy_head(object array) noexcept:
    """The head of a C-contiguous, aligned array of exactly NumPy's own class; NULL: anything else."""
    cdef schuss_ndarray *a = <schuss_ndarray *>array
    if (layout_known and <PyObject *>Py_TYPE(array) == <PyObject *>ndarray
            and a.flags & (ARRAY_C_CONTIGUOUS | ARRAY_ALIGNED) == ARRAY_C_CONTIGUOUS | ARRAY_ALIGNED):
        return a
    return NULL


cdef void *data_at_once(object array, int dtype, int ndim, Py_ssize_t rows, Py_ssize_t cols, bint writable) noexcept:
    """The data as address_of() has it, if the array is seen at once to fit. NULL: address_of() has to look closer."""
    cdef const schuss_ndarray *a = numpy_head(array)
    if (a != NULL and a.nd == ndim and a.descr == <PyObject *>(FLOAT32 if dtype == SCHUSS_F32 else FLOAT64)
            and (rows < 0 or a.dimensions[0] == rows) and (ndim < 2 or cols < 0 or a.dimensions[1] == cols)
            and (not writable or a.flags & (ARRAY_WRITEABLE | ARRAY_WARN_ON_WRITE) == ARRAY_WRITEABLE)):
        return a.data
    return NULL


cdef const schuss_ndarray *labels_head(object y) noexcept:
    """The head of int64 numbers (n,), where y is seen at once to be that; else NULL."""
    cdef const schuss_ndarray *a = numpy_head(y)
    return a if a != NULL and a.nd == 1 and a.descr == <PyObject *>INT64 else NULL


cdef bint same_extents(int ndim, const Py_ssize_t *a, const Py_ssize_t *b) noexcept:
    cdef int i
    for i in range(ndim):
        if a[i] != b[i]:
            return False
    return True


cdef Py_ssize_t extent(object array, int axis) except -1:
    """array.shape[axis]"""
    cdef const schuss_ndarray *a = numpy_head(array)
    if a != NULL and axis < a.nd:
        return a.dimensions[axis]
    return array.shape[axis]


cdef int dtype_of(dtype) except -1:
    if dtype is FLOAT32 or dtype == np.float32:
        return SCHUSS_F32
    if dtype is FLOAT64 or dtype == np.float64:
        return SCHUSS_F64
    raise TypeError(f"dtype is {dtype}, expected float32 or float64")


cdef int format_dtype(const char *format) noexcept:
    """SCHUSS_F32 or SCHUSS_F64 for a native float format, else -1."""
    if format == NULL:
        return -1
    if format[0] == b"@" or format[0] == b"=":
        format += 1
    if format[0] != 0 and format[1] == 0:
        if format[0] == b"f":
            return SCHUSS_F32
        if format[0] == b"d":
            return SCHUSS_F64
    return -1


cdef int is_int64(const Py_buffer *view) noexcept:
    """Whether a buffer holds int64. The size is looked at too, since "l" is 4 bytes on Windows."""
    cdef const char *format = view.format
    if format == NULL:
        return 0
    if format[0] == b"@" or format[0] == b"=":
        format += 1
    return view.itemsize == 8 and format[0] != 0 and format[1] == 0 and (format[0] == b"l" or format[0] == b"q")


cdef void *address_of(object array, str name, int dtype, int ndim, Py_ssize_t rows, Py_ssize_t cols,
                      bint writable) except? NULL:
    """The data of a C-contiguous array of this dtype and shape (rows, cols); -1: any size. The caller holds array."""
    cdef Py_buffer view
    cdef void *data = data_at_once(array, dtype, ndim, rows, cols, writable)
    if data != NULL:
        return data
    PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (PyBUF_WRITABLE if writable else 0))
    try:
        if format_dtype(view.format) != dtype:
            raise TypeError(f"{name} has dtype {array.dtype}, expected {'float32' if dtype == SCHUSS_F32 else 'float64'}")
        if (view.ndim != ndim or (rows >= 0 and view.shape[0] != rows)
                or (ndim > 1 and cols >= 0 and view.shape[1] != cols)):
            raise ValueError(f"{name} has shape {tuple(array.shape)}, expected {(rows, cols)[:ndim]}")
        if <uintptr_t>view.buf % <uintptr_t>view.itemsize:
            raise ValueError(f"{name} is not aligned to its items")
        data = view.buf
    finally:
        PyBuffer_Release(&view)
    return data


cdef void *overlapping_rows(object array, int dtype, Py_ssize_t rows, Py_ssize_t cols, ptrdiff_t *stride) except? NULL:
    """The data of rows (rows, cols) of this dtype (-1: int64) that lie closer together than they are long, each without
    gaps, and the bytes from row to row. NULL: they are not so, or stride is NULL."""
    cdef Py_ssize_t item = 4 if dtype == SCHUSS_F32 else 8, step
    if stride == NULL or numpy_head(array) != NULL or not isinstance(array, ndarray) or array.flags.c_contiguous:
        return NULL
    if array.dtype != (INT64 if dtype < 0 else FLOAT32 if dtype == SCHUSS_F32 else FLOAT64) or array.shape != (rows, cols):
        return NULL
    step = array.strides[0]
    if array.strides[1] != item or not 0 <= step < cols * item or step % item or not array.flags.aligned:
        return NULL
    stride[0] = step
    return <void *><uintptr_t>array.ctypes.data


cdef void *start_of(array) except? NULL:
    """The data of a contiguous array."""
    cdef const schuss_ndarray *a = numpy_head(array)
    return a.data if a != NULL else <void *><uintptr_t>array.ctypes.data


cdef const int64_t *address_of_int64(object array, str name, Py_ssize_t n) except? NULL:
    """The data of int64 numbers (n,), C-contiguous and aligned. The caller holds the array."""
    cdef Py_buffer view
    cdef const schuss_ndarray *a = labels_head(array)
    if a != NULL and a.dimensions[0] == n:
        return <const int64_t *>a.data
    PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
    try:
        if not is_int64(&view) or <uintptr_t>view.buf % 8:
            raise TypeError(f"{name} has dtype {array.dtype}, expected int64, aligned")
        if view.ndim != 1 or view.shape[0] != n:
            raise ValueError(f"{name} has shape {tuple(array.shape)}, expected ({n},)")
        return <const int64_t *>view.buf
    finally:
        PyBuffer_Release(&view)
