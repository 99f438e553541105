# What of an optimizer is kept in which format.

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
                    found.append((state[0] + "_absmax", (blocks_8bit(size_of(shape)),), FLOAT32))
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
