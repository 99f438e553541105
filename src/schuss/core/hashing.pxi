# Codes of raw categories.

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL
    long long PyLong_AsLongLongAndOverflow(object value, int *overflow) except? -1
    int PyBytes_AsStringAndSize(object text, char **start, Py_ssize_t *size) except -1
    object PyNumber_ToBase(object value, int base)
    object PyNumber_Index(object value)
    bint PyLong_Check(object value)


cdef int hashing_of(schuss_hashing *how, n, seed, columns, bint salted) except -1:
    how.n, how.seed, how.columns, how.salted = n, seed, columns, salted
    if not 1 <= how.n <= <uint64_t>1 << 32 or how.columns < 1:
        raise ValueError(f"n is {n} and columns are {columns}, expected n in [1, 2**32] and at least 1 column")
    return 0


cdef enum:
    HASHED, NOT_HASHABLE


cdef int code_of(const schuss_hashing *how, Py_ssize_t i, object value, int64_t *code) except -1:
    """The code of a Python object; NOT_HASHABLE: it has none."""
    cdef const char *text
    cdef char *raw
    cdef Py_ssize_t size
    cdef int overflow = 0
    cdef long long number
    if isinstance(value, str):
        try:
            text = PyUnicode_AsUTF8AndSize(value, &size)
        except UnicodeError:
            return NOT_HASHABLE
        code[0] = schuss_code_of_bytes(how, i, text, size)
        return HASHED
    if value is None:
        code[0] = schuss_code_of_missing(how, i)
        return HASHED
    if isinstance(value, bytes):
        PyBytes_AsStringAndSize(value, &raw, &size)
        code[0] = schuss_code_of_bytes(how, i, raw, size)
        return HASHED
    if isinstance(value, (float, np.floating)):
        if value != value:
            code[0] = schuss_code_of_missing(how, i)
            return HASHED
        if value != np.floor(value) or not isfinite(value):
            return NOT_HASHABLE
        value = int(value)
    elif isinstance(value, (np.integer, np.bool_)):
        value = int(value)
    elif not PyLong_Check(value):
        if type(value).__name__ not in ("NAType", "NaTType"):
            return NOT_HASHABLE
        code[0] = schuss_code_of_missing(how, i)
        return HASHED
    number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow:
        digits = PyNumber_ToBase(value, 10)
        text = PyUnicode_AsUTF8AndSize(digits, &size)
        code[0] = schuss_code_of_bytes(how, i, text, size)
    else:
        code[0] = schuss_code_of_integer(how, i, number)
    return HASHED


def hashed(values, n, seed, columns, bint salted):
    """Codes of an array's values, a row after the other, and the number of the first that has none, -1: all have one."""
    cdef schuss_hashing how
    hashing_of(&how, n, seed, columns, salted)
    kind = values.dtype.kind
    values = np.array(values, dtype=values.dtype.newbyteorder("=") if kind != "O" else object, order="C").reshape(-1)
    codes = np.empty(values.shape[0], np.int64)
    if kind == "O":
        return codes, codes_of_objects(&how, values, codes)
    return codes, codes_of_array(&how, values, codes)


cdef Py_ssize_t codes_of_objects(const schuss_hashing *how, values, codes) except -2:
    cdef Py_ssize_t i
    cdef int64_t *to = <int64_t *>start_of(codes)
    cdef list items = values.tolist()
    for i in range(PyList_GET_SIZE(items)):
        if code_of(how, i, items[i], &to[i]) == NOT_HASHABLE:
            return i
    return -1


cdef Py_ssize_t codes_of_array(const schuss_hashing *how, values, codes) except -2:
    """Of integers of 64 bits and of text, which are the caller's own copies."""
    cdef Py_ssize_t count = extent(codes, 0), width = values.dtype.itemsize, bad = -1
    cdef int64_t *to = <int64_t *>start_of(codes)
    cdef const void *given = start_of(values)
    cdef bint is_text = values.dtype.kind in "US", is_bytes = values.dtype.kind == "S", is_signed = values.dtype.kind == "i"
    if not is_text and (values.dtype.kind not in "iu" or width != 8):
        raise TypeError(f"values are {values.dtype}, expected (u)int64, text or objects")
    room = np.empty(width + 4, np.uint8)
    cdef void *room_at = start_of(room)
    with nogil:
        if is_text:
            bad = schuss_codes_of_text(how, count, given, width if is_bytes else width // 4, is_bytes, room_at, to)
        else:
            schuss_codes_of_integers(how, count, given, is_signed, to)
    return bad
