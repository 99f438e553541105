# Scalar arguments: at once where they are what nearly all calls bring, else by schuss.arguments, which refuses them in words.

cdef double number_within(str name, value, double low, double high, str interval) except? -1.5:
    """A number in an interval [low, high], or without its ends where `interval` has them open. Its ends must be given
    in both forms."""
    cdef double x
    if type(value) is float:
        x = <double>value
        if low < x < high:
            return x
    from schuss.arguments import number

    return number(name, value, interval)


cdef double finite_number(str name, value) except? -1.5:
    return number_within(name, value, -INFINITY, INFINITY, "(-inf, inf)")


cdef double limit(str name, value) except? -1.5:
    """A limit of gradients in the form of the core: None, which is no limit, becomes 0."""
    cdef double x
    if value is None:
        return 0
    if type(value) is float:
        x = <double>value
        if DBL_MIN <= x < INFINITY:
            return x
    from schuss.arguments import limit as checked

    return checked(name, value)


cdef bint is_true(str name, value) except -1:
    if value is True:
        return True
    if value is False:
        return False
    from schuss.arguments import flag

    return flag(name, value)
