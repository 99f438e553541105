# Random numbers and initial weights.

def philox(counter, key):
    cdef uint32_t c[4]
    cdef uint32_t k[2]
    cdef uint32_t out[4]
    for i in range(4):
        c[i] = counter[i]
    for i in range(2):
        k[i] = key[i]
    schuss_philox(c, k, out)
    return out[0], out[1], out[2], out[3]


def permutation(Py_ssize_t n, uint64_t seed, uint64_t epoch):
    order = np.empty(n, dtype=np.int64)
    cdef int64_t *start = <int64_t *>start_of(order)
    with nogil:
        schuss_permutation(start, n, seed, epoch)
    return order


def initialise(out, kind, double scale, uint64_t seed, uint32_t stream):
    require_isa()
    cdef int dtype = dtype_of(out.dtype), init = INIT_NUMBERS[kind]
    cdef Py_ssize_t n_in = out.shape[0], n_out = out.shape[1]
    cdef void *w = address_of(out, "out", dtype, 2, n_in, n_out, True)
    cdef double *start = NULL
    cdef double[::1] room
    if kind == "orthogonal":
        room = np.empty(n_in * n_out + 1)
        start = &room[0]
    with nogil:
        schuss_initialise(dtype, w, n_in, n_out, init, scale, seed, stream, start)
