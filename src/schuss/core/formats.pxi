# Formats of arrays that a step works on: what they are called, and what of an optimizer is kept in which.

cdef object UINT16 = np.dtype(np.uint16), FLOAT16 = np.dtype(np.float16), INT16 = np.dtype(np.int16)
# NumPy's dtype of bfloat16, from the package that has it, once one was met.
cdef object bfloat16 = None

cdef dict FORMAT_NAMES = {"float32": SCHUSS_F32, "float64": SCHUSS_F64, "bfloat16": SCHUSS_BF16, "float16": SCHUSS_F16}


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
        if dtype.name in ("float32", "float64", "float16"):
            return <int>FORMAT_NAMES[dtype.name]
        return SCHUSS_BF16 if dtype.name == "uint16" else -1
    except AttributeError:
        return -1


cdef Py_ssize_t format_item(int format) noexcept:
    """Bytes of an element."""
    if format == SCHUSS_F64:
        return 8
    if format == SCHUSS_F32:
        return 4
    return 1 if format == SCHUSS_8BIT_SIGNED or format == SCHUSS_8BIT_UNSIGNED else 2


cdef object format_array(int format):
    """The dtype of arrays that hold a format."""
    if format == SCHUSS_F64:
        return FLOAT64
    if format == SCHUSS_F32:
        return FLOAT32
    if format == SCHUSS_F16:
        return FLOAT16
    return BYTES if format_item(format) == 1 else UINT16


cdef class Kept:
    """How an optimizer keeps what it has: states, and parameters of fewer bits than it computes with."""
    cdef int states            # a format; SCHUSS_8BIT_SIGNED: 8 bits of either sign; -1: the dtype that is computed with
    cdef bint master, split    # parameters once more in float32, or their lower halves
    cdef bint stochastic
    cdef uint64_t seed
    cdef object directory      # where states lie in files that are mapped; None: in memory

    def __cinit__(self, precision=None):
        self.states = -1
        if precision is None:
            return
        states, master, rounding, self.seed, self.directory = precision
        self.stochastic = rounding == "stochastic"
        self.master, self.split = master == "float32", master == "split"
        if states == "8bit":
            self.states = SCHUSS_8BIT_SIGNED
        elif states == "bfloat16":
            self.states = SCHUSS_BF16_STOCHASTIC if self.stochastic else SCHUSS_BF16

    cdef int of_params(self, int format) noexcept:
        """The format that parameters are updated in, of which the caller has them in this one; SCHUSS_SPLIT and float32: beside
        them."""
        if format == SCHUSS_BF16 and self.split:
            return SCHUSS_SPLIT
        if (format == SCHUSS_BF16 or format == SCHUSS_F16) and self.master:
            return SCHUSS_F32
        return SCHUSS_BF16_STOCHASTIC if format == SCHUSS_BF16 and self.stochastic else format

    cdef int of_state(self, const schuss_group *g, int slot, state_shape, shape, int dtype) except -1:
        if self.states < 0 or state_shape != shape:
            return dtype
        return schuss_state_format(g.rule, slot, size_of(shape), dtype, self.states)

    cdef list extras(self, const schuss_group *g, int format, list states, shape, int dtype):
        """Name, shape and dtype of what there is beside the states of a parameter, which is of this format."""
        cdef int slot, of
        cdef list found = []
        for slot, state in enumerate(states):
            if state is not None:
                of = self.of_state(g, slot, state[1], shape, dtype)
                if of == SCHUSS_8BIT_SIGNED or of == SCHUSS_8BIT_UNSIGNED:
                    found.append((state[0] + "_absmax", ((size_of(shape) + 255) // 256,), FLOAT32))
        of = self.of_params(format)
        if of == SCHUSS_SPLIT:
            found.append(("low", shape, UINT16))
        elif of != format and of == SCHUSS_F32:
            found.append(("master", shape, FLOAT32))
        return found


def states_of(dict group, shape, dtype, precision=None):
    cdef schuss_group g
    cdef ArrayShape array = ArrayShape(shape)
    cdef Kept kept = Kept(precision)
    cdef int format = format_of(dtype), of = SCHUSS_F64 if format == SCHUSS_F64 else SCHUSS_F32
    cdef list states
    if format < 0:
        raise TypeError(f"dtype is {dtype}, expected float32, float64, float16 or bfloat16")
    read_settings(group, &g, of)
    states = states_by_slot(&g, &array.segment)
    found = [(state[0], state[1], format_array(kept.of_state(&g, slot, state[1], tuple(shape), of)))
             for slot, state in enumerate(states) if state is not None]
    return found + kept.extras(&g, format, states, tuple(shape), of)
