# Formats of arrays: their dtypes, and the bytes of an element.

cdef object UINT16 = np.dtype(np.uint16), FLOAT16 = np.dtype(np.float16)
# NumPy's dtype of bfloat16, from the package that has it, once one was met.
cdef object bfloat16 = None


cdef int array_format(const PyObject *descr) noexcept:
    """The format of arrays of a dtype that is known at once; -1: of none, or it has to be asked."""
    if descr == <PyObject *>FLOAT32:
        return SCHUSS_F32
    if descr == <PyObject *>FLOAT64:
        return SCHUSS_F64
    if descr == <PyObject *>UINT16 or (bfloat16 is not None and descr == <PyObject *>bfloat16):
        return SCHUSS_BF16
    return SCHUSS_F16 if descr == <PyObject *>FLOAT16 else -1


cdef int format_of(dtype) noexcept:
    """The format of arrays of a dtype, native; uint16 are the bits of bfloat16. -1: none."""
    global bfloat16
    cdef int format = array_format(<PyObject *>dtype)
    if format >= 0:
        return format
    try:
        if not dtype.isnative:
            return -1
        if dtype.name == "bfloat16" and dtype.itemsize == 2:
            bfloat16 = dtype
            return SCHUSS_BF16
        for known in (FLOAT32, FLOAT64, FLOAT16, UINT16):  # equal ones are other objects at times
            if dtype == known:
                return array_format(<PyObject *>known)
    except AttributeError:
        pass
    return -1


cdef object format_array(int format):
    """The dtype of arrays that hold a format."""
    if format == SCHUSS_F64:
        return FLOAT64
    if format == SCHUSS_F32:
        return FLOAT32
    if format == SCHUSS_F16:
        return FLOAT16
    return BYTES if format_bytes(format) == 1 else UINT16
