# Single kernels of the level in use, for tests and benchmarks.

cdef object spare_scratch = None  # left from the last call of gemm: the benchmarks time the product, not the allocation
cdef char *spare_room = NULL
cdef ptrdiff_t spare_size = -1


def gemm(a, b, bint transpose_a=False, bint transpose_b=False, out=None):
    global spare_scratch, spare_room, spare_size
    require_isa()
    cdef int dtype = dtype_of(a.dtype), threads = schuss_get_num_threads()
    cdef const kernels *table = schuss_kernels(dtype)
    cdef Py_ssize_t inner, b_cols = extent(b, 1)
    cdef product g
    memset(&g, 0, sizeof(g))
    g.m, g.k = extent(a, 0), extent(a, 1)
    inner, g.n = extent(b, 0), b_cols
    if transpose_a:
        g.m, g.k = g.k, g.m
    if transpose_b:
        inner, g.n = g.n, inner
    if inner != g.k:
        raise ValueError(f"b has shape {b.shape}, expected {g.k} as its inner length")
    g.a = address_of(a, "a", dtype, 2, -1, -1, False)
    g.a_row = 1 if transpose_a else g.k
    g.a_col = g.m if transpose_a else 1
    g.b = address_of(b, "b", dtype, 2, -1, -1, False)
    g.ldb = b_cols
    g.b_transposed = transpose_b
    if out is None:
        out = empty((g.m, g.n), a.dtype)
    g.c = address_of(out, "out", dtype, 2, g.m, g.n, True)
    g.ldc = g.n
    cdef ptrdiff_t size = dense_gemm_scratch(table, g.m, g.n, g.k, 0, threads)
    scratch, spare_scratch = spare_scratch, None  # no other thread gets it meanwhile
    cdef char *room = spare_room
    cdef ptrdiff_t room_size = spare_size
    if scratch is None or room_size < size:
        scratch = aligned_bytes(size)
        room, room_size = <char *>start_of(scratch), size
    cdef PyThreadState *state = let_others_run(<double>g.m * g.n * g.k)
    cdef fpmode found = fpmode_flush()
    dense_gemm(table, &g, threads, room)
    fpmode_restore(found)
    come_back(state)
    spare_room, spare_size, spare_scratch = room, room_size, scratch
    return out


def activate(name, x, double alpha=0.0):
    require_isa()
    cdef int dtype = dtype_of(x.dtype), number = ACTIVATION_NUMBERS[name]
    y = np.empty_like(x)
    cdef const void *px = address_of(x, "x", dtype, 1, -1, -1, False)
    cdef void *py = address_of(y, "y", dtype, 1, -1, -1, True)
    cdef fpmode found = fpmode_flush()
    schuss_kernels(dtype).activate(number, alpha, x.size, px, py)
    fpmode_restore(found)
    return y


def elementary(name, x):
    require_isa()
    cdef int dtype = dtype_of(x.dtype), number = ELEMENTARY_NUMBERS[name]
    y = np.empty_like(x)
    cdef const void *px = address_of(x, "x", dtype, 1, -1, -1, False)
    cdef void *py = address_of(y, "y", dtype, 1, -1, -1, True)
    cdef fpmode found = fpmode_flush()
    schuss_kernels(dtype).elementary(number, x.size, px, py)
    fpmode_restore(found)
    return y


cdef ptrdiff_t bytes_beside(int format, ptrdiff_t n) noexcept:
    """Bytes of what is stored beside n numbers of a format: lower halves, or a float each block of 256."""
    if format == SCHUSS_SPLIT:
        return 2 * n
    return 4 * blocks_8bit(n) if format >= SCHUSS_8BIT_SIGNED else 0


cdef void *bytes_of(object array, str name, ptrdiff_t nbytes, int item, bint writable) except? NULL:
    """The data of a contiguous array of so many bytes, whatever its dtype, aligned to items. None has none."""
    cdef Py_buffer view
    cdef void *data
    if array is None and nbytes == 0:
        return NULL
    PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if writable else 0))
    data = view.buf
    cdef Py_ssize_t found = view.len
    PyBuffer_Release(&view)
    if found != nbytes:
        raise ValueError(f"{name} has {found} bytes, expected {nbytes}")
    if <uintptr_t>data % <uintptr_t>item:
        raise ValueError(f"{name} is not aligned to its items")
    return data


def widen(name, codes, more, out):
    require_isa()
    cdef int dtype = dtype_of(out.dtype), format = FORMAT_NUMBERS[name], item = <int>format_bytes(format)
    cdef ptrdiff_t n = extent(out, 0), beside = bytes_beside(format, n)
    cdef const void *source = bytes_of(codes, "codes", n * item, item, False)
    cdef const void *lower = bytes_of(more, "more", beside, 2 if format == SCHUSS_SPLIT else 4, False)
    cdef void *to = address_of(out, "out", dtype, 1, -1, -1, True)
    cdef fpmode found = fpmode_flush()
    schuss_kernels(dtype).widen(format, n, source, lower, to)
    fpmode_restore(found)


def narrow(name, x, codes, more=None, uint64_t seed=0, uint32_t number=0, int64_t t=0, ptrdiff_t first=0):
    require_isa()
    cdef int dtype = dtype_of(x.dtype), format = FORMAT_NUMBERS[name], item = <int>format_bytes(format)
    cdef ptrdiff_t n = extent(x, 0), beside = bytes_beside(format, n)
    cdef const void *source = address_of(x, "x", dtype, 1, -1, -1, False)
    cdef void *to = bytes_of(codes, "codes", n * item, item, True)
    cdef void *lower = bytes_of(more, "more", beside, 2 if format == SCHUSS_SPLIT else 4, True)
    cdef rounding r
    r.seed, r.number, r.t, r.first = seed, number, t, first
    cdef fpmode found = fpmode_flush()
    schuss_kernels(dtype).narrow(format, n, source, to, lower, &r)
    fpmode_restore(found)


# Ways that steps walk over large arrays.

KINDS_OF_ARRAYS = ("plain", "stored", "blocks")  # in the order of schuss.h

def ways(kind="plain"):
    """((chunk, ahead), ...) in bytes, by their numbers."""
    cdef int chunk, ahead
    found = []
    while schuss_way(KINDS_OF_ARRAYS.index(kind), <int>len(found), &chunk, &ahead):
        found.append((chunk, ahead))
    return tuple(found)


def chosen_way(rule, bint several_threads, Py_ssize_t nbytes, kind="plain"):
    cdef int found = schuss_way_chosen(rule_number(rule), KINDS_OF_ARRAYS.index(kind), several_threads, nbytes)
    return None if found < 0 else found


def force_way(number):
    if number is not None and not 0 <= number < SCHUSS_WAYS:
        raise ValueError(f"there are ways 0 to {SCHUSS_WAYS - 1}; got {number}")
    schuss_way_force(-1 if number is None else <int>number)


def forget_ways():
    schuss_ways_forget()
