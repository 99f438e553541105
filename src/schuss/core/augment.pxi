# Images that change as batches are gathered.

cdef int fill_augment(object given, object dims, Py_ssize_t channels, object dtype, schuss_augment *augment) except -1:
    """What is to be done to images of these dims (height, width); given: see Trainer."""
    cdef Py_ssize_t height, width, down, across
    crop, flips, shifts, fill = given
    if len(dims) != 2:
        raise ValueError(f"augment is for images, expected (height, width); got {dims}")
    height, width = dims
    down, across = shifts
    augment.crop = number_within("crop", crop, 0, 1, "(0, 1]")
    if augment.crop == 0 or not (0 <= down < height and 0 <= across < width) or channels < 1:
        raise ValueError(f"augment is {given} of {height} x {width} x {channels}, expected a crop above 0 and shifts within")
    value = np.array([fill], dtype)
    augment.height, augment.width, augment.channels, augment.item = height, width, channels, value.itemsize
    augment.flip_down, augment.flip_across = flips
    augment.shift_down, augment.shift_across = down, across
    memcpy(augment.fill, <void *><uintptr_t>value.ctypes.data, value.itemsize)
    return 0


def augmented(x, given, uint64_t seed, uint64_t draw):
    cdef schuss_augment augment
    fill_augment(given, x.shape[1:3], x.shape[3], x.dtype, &augment)
    cdef Py_ssize_t rows = x.shape[0], columns = x[0].size
    flat, out = x.reshape(rows, columns), np.empty((rows, columns), x.dtype)
    cdef int dtype = dtype_of(x.dtype)
    cdef const void *source = address_of(flat, "x", dtype, 2, rows, columns, False)
    cdef void *to = address_of(out, "out", dtype, 2, rows, columns, True)
    with nogil:
        schuss_augment_rows(&augment, seed, draw, 0, rows, NULL, columns * augment.item, source, to)
    return out.reshape(x.shape)
