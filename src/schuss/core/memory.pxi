# Memory of our own, and arrays that lie in it.

cdef object aligned_bytes(Py_ssize_t n):
    """n bytes, uninitialised, 64-byte aligned, as a 1-D uint8 array."""
    raw = np.empty(n + 64, dtype=np.uint8)
    cdef uintptr_t address = <uintptr_t>start_of(raw)
    cdef Py_ssize_t skip = (64 - address % 64) % 64
    return raw[skip : skip + n]


cdef object aligned_zeros(Py_ssize_t n, dtype):
    """n zeros, 64-byte aligned. From calloc: large ones cost nothing until they are touched. NumPy asks for huge pages for
    them, from 4 MiB on, which makes steps 2 to 6% faster."""
    cdef Py_ssize_t item = dtype.itemsize
    raw = np.zeros(n * item + 64, dtype=np.uint8)
    cdef uintptr_t address = <uintptr_t>start_of(raw)
    cdef Py_ssize_t skip = (64 - address % 64) % 64
    return raw[skip : skip + n * item].view(dtype)


cdef object mapped_zeros(Py_ssize_t n, dtype, directory):
    """n zeros in a file without a name in this directory, which is gone with the array. Where the system can, room on the disk
    is taken at once: a write that finds none later would end the process."""
    import tempfile

    if n == 0:
        return aligned_zeros(n, dtype)
    with tempfile.TemporaryFile(dir=directory) as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, n * dtype.itemsize)
        else:
            file.truncate(n * dtype.itemsize)
        return np.memmap(file, dtype, "r+", shape=(n,)).view(ndarray)


cdef object held_in_place(array):
    """A weak reference to the array whose memory this is. NumPy moves no memory of an array that has one: while it
    lives, array.resize(..., refcheck=False) is refused."""
    owner, base = array, array.base
    while base is not None:
        if not isinstance(base, ndarray):  # such as what NumPy puts between windows and what they are windows of
            base = getattr(base, "base", None)
            if not isinstance(base, ndarray):
                break
        owner, base = base, ndarray.base.__get__(base)
    return weakref.ref(owner)


cdef Py_ssize_t size_of(shape) except -1:
    """Elements of an array of this shape."""
    cdef Py_ssize_t n = 1
    for size in shape:
        n *= size
    return n


cdef view_of(arena, Py_ssize_t start, shape):
    return arena[start : start + size_of(shape)].reshape(shape)


cdef Py_ssize_t place_like(Py_ssize_t free, const void *array, Py_ssize_t item) noexcept:
    """The first element of an arena, from `free` on, that is as far from a multiple of 16 elements as the array is."""
    return free + (<Py_ssize_t>(<uintptr_t>array // item % 16) - free % 16 + 16) % 16


cdef Py_ssize_t padded(shape) except -1:
    """Elements that an array of this shape occupies in an arena."""
    return 0 if shape is None else (size_of(shape) + 15) // 16 * 16
