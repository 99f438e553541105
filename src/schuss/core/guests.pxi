# Where the memory of a gradient is, as far as that is seen without asking in Python: arrays by their heads, and objects
# whose class has DLPack's table of C functions (torch's tensors). What does not fit is left to those who can say why.

cdef extern from *:
    """
    /* dlpack.h from version 1.2 on, as far as it is needed here: a DLTensor, and what a class's
     * __dlpack_c_exchange_api__ points at. The first three members of the table are the same in all versions, the
     * others in all of one major. */
    typedef struct {
        void *data;
        int32_t device_type, device_id, ndim;
        uint8_t code, bits;
        uint16_t lanes;
        int64_t *shape, *strides;
        uint64_t byte_offset;
    } schuss_dltensor;
    typedef int (*schuss_look)(void *object, schuss_dltensor *out);
    typedef struct schuss_exchange {
        uint32_t major, minor;
        const struct schuss_exchange *older;
        void (*allocate)(void), (*lend)(void), (*take)(void);
        schuss_look look;
    } schuss_exchange;
    enum { DLPACK_MAJOR = 1, DLPACK_CPU = 1, DLPACK_FLOAT = 2, DLPACK_BFLOAT = 4 };
    """
    ctypedef struct schuss_dltensor:
        void *data
        int device_type, ndim, code, bits, lanes
        int64_t *shape
        int64_t *strides
        uint64_t byte_offset
    ctypedef int (*schuss_look)(void *object, schuss_dltensor *out)
    ctypedef struct schuss_exchange:
        uint32_t major
        const schuss_exchange *older
        schuss_look look
    enum:
        DLPACK_MAJOR, DLPACK_CPU, DLPACK_FLOAT, DLPACK_BFLOAT

# What the gradient of a parameter has to be, and where one was that is known to share nothing with what a step writes.
cdef struct wanted:
    int ndim
    const Py_ssize_t *shape
    const void *clear          # NULL: none so far


cdef inline void *array_data(PyObject *g, const wanted *w, const PyObject *dtype, int flags, int mask, int *format) noexcept:
    """The data of an array of exactly NumPy's own class that fits, with these flags, and its format, if it is not this dtype.
    NULL: Python has to look at it."""
    cdef const schuss_ndarray *a = <const schuss_ndarray *>g
    if (<PyObject *>Py_TYPE(<object>g) == <PyObject *>ndarray and a.flags & mask == flags
            and a.nd == w.ndim and same_extents(w.ndim, a.dimensions, w.shape)):
        if a.descr == dtype:
            return a.data
        format[0] = array_format(a.descr)
        return a.data if format[0] >= 0 else NULL
    return NULL


# The class that was asked last, and its function that looks at objects; NULL: it has none.
cdef object class_asked = None
cdef schuss_look look_at_object = NULL


cdef schuss_look look_of(kind) noexcept:
    """The function of the class's table that looks at an object; it allocates nothing and waits for nothing. NULL: there is
    none."""
    global class_asked, look_at_object
    cdef const schuss_exchange *table
    if kind is class_asked:
        return look_at_object
    class_asked, look_at_object = kind, NULL
    try:
        capsule = kind.__dlpack_c_exchange_api__
    except Exception:
        return NULL
    if PyCapsule_IsValid(capsule, "dlpack_exchange_api"):
        table = <const schuss_exchange *>PyCapsule_GetPointer(capsule, "dlpack_exchange_api")
        while table != NULL and table.major > DLPACK_MAJOR:
            table = table.older
        if table != NULL and table.major == DLPACK_MAJOR:
            look_at_object = table.look
    return look_at_object


cdef int lent_format(const schuss_dltensor *t) noexcept:
    if t.lanes == 1 and t.code == DLPACK_FLOAT:
        return SCHUSS_F32 if t.bits == 32 else SCHUSS_F64 if t.bits == 64 else SCHUSS_F16 if t.bits == 16 else -1
    return SCHUSS_BF16 if t.lanes == 1 and t.code == DLPACK_BFLOAT and t.bits == 16 else -1


cdef void *lent_data(object g, const wanted *w, int *format) noexcept:
    """The data of an object that fits, and their format, if its class has such a function. NULL: Python has to look at it. The
    data stay where they are as long as nobody gives the object other memory, as its own library's functions expect, too."""
    cdef schuss_dltensor t
    cdef schuss_look look = look_of(type(g))
    cdef int64_t expected = 1
    cdef Py_ssize_t k
    if look == NULL:
        return NULL
    if look(<void *>g, &t) != 0:
        PyErr_Clear()
        return NULL
    format[0] = lent_format(&t)
    if (t.device_type != DLPACK_CPU or format[0] < 0 or t.ndim != w.ndim
            or t.data == NULL or (<uintptr_t>t.data + t.byte_offset) % <uintptr_t>format_bytes(format[0])):
        return NULL
    for k in range(w.ndim - 1, -1, -1):
        if t.shape[k] != w.shape[k] or (t.strides != NULL and t.strides[k] != expected):
            return NULL
        expected *= t.shape[k]
    if expected == 1:
        return NULL  # a conjugate's imaginary part has the other sign in memory; strides tell, but not of one element
    return <char *>t.data + t.byte_offset
