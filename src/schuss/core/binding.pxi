# Which arrays of a network an optimizer updates.

cdef class Binding:
    cdef uint64_t number       # of the optimizer's stepper
    cdef object segments       # intc: the segment of each of the network's arrays, -1 where the optimizer lacks it
    cdef object wanted         # uint8: what is wanted of the gradient of each; None: all of them are
    cdef const int *first      # of them
    cdef Py_ssize_t changes    # of the stepper's `rows` when this was made
    cdef bint by_rows, late    # whether a gradient is by the rows that a batch touches; whether these may miss steps


cdef Binding binding_of(Nodes net, Stepper stepper, const unsigned char *compressed):
    """TypeError or ValueError unless all arrays of the optimizer are whole arrays of the network. compressed: which inputs
    are compressed rows."""
    cdef Binding binding = Binding.__new__(Binding)
    cdef int rows
    cdef uintptr_t start = <uintptr_t>net.c_net.params
    cdef Py_ssize_t i
    cdef dict found = {}
    stepper.make_all_whole()
    if stepper.dtype != net.c_net.dtype:
        raise TypeError("optimizer has another dtype than the network")
    sizes = {<uintptr_t>start_of(array): array.size for array in net.parameters}
    for i in range(stepper.n_views):
        address = <uintptr_t>stepper.views[i].buf
        if sizes.get(address) != stepper.segments[i].n:
            raise ValueError(f"optimizer's params[{i}] is not one of this network's parameters")
        found[address] = i
    segments = np.full(net.c_net.n_arrays, -1, dtype=np.intc)
    for i in range(net.c_net.n_arrays):
        if net.c_net.arrays[i].stepped:
            segments[i] = found.get(start + <uintptr_t>(net.c_net.arrays[i].at * net.item), -1)
    wanted = (segments >= 0).astype(np.uint8)
    binding.number, binding.segments, binding.changes = stepper.number, segments, stepper.rows_changes
    binding.first = <const int *>start_of(segments)
    for i in range(net.c_net.n_arrays):
        rows = SCHUSS_ROWS_GIVEN
        if segments[i] >= 0:
            rows = stepper.c_step.groups[stepper.segments[<int>segments[i]].group].rows
        if rows != SCHUSS_ROWS_GIVEN and schuss_net_touches_rows(&net.c_net, <int>i, compressed):
            wanted[i] = SCHUSS_WANTED_LATE if rows == SCHUSS_ROWS_EXACT else SCHUSS_WANTED_BY_ROWS
            binding.by_rows = True
            binding.late |= rows == SCHUSS_ROWS_EXACT
    binding.wanted = None if (wanted == SCHUSS_WANTED).sum() == len(net.parameters) else wanted
    return binding
