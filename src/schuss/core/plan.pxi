# Buffers of the passes of one network.

cdef class Plan:
    """Buffers for one network, a largest number of rows, a number of threads and an ISA level."""
    cdef schuss_plan *c_plan
    cdef object program, memory, wanted
    cdef Py_ssize_t rows
    cdef int threads, level
    cdef Py_ssize_t entries[SCHUSS_MAX_INPUTS] # of compressed rows of each input, at most

    cdef bint serves(self, Py_ssize_t rows, wanted, const ptrdiff_t *entries, int n) noexcept:
        """entries: of n inputs; NULL: that does not matter."""
        cdef int k
        for k in range(n if entries != NULL else 0):
            if entries[k] > self.entries[k]:
                return False
        return (rows <= self.rows and schuss_get_num_threads() <= self.threads and schuss_isa_level() == self.level
                and wanted is self.wanted)


cdef Plan plan_of(schuss_net *net, Py_ssize_t rows, int passes, wanted, const ptrdiff_t *entries=NULL):
    """wanted: uint8, what is wanted of the gradient of each of the network's arrays; None: all of them are. entries: of each
    input, the most entries of a batch of compressed rows; NULL: none is compressed."""
    cdef Plan plan = Plan.__new__(Plan)
    cdef const unsigned char[::1] asked
    cdef const unsigned char *first = NULL
    cdef int k
    plan.threads = schuss_get_num_threads()
    plan.level = require_isa()
    plan.rows = rows
    plan.wanted = wanted
    if wanted is not None:
        asked = wanted
        first = &asked[0]
    cdef ptrdiff_t size = schuss_plan_bytes(net, passes, plan.threads)
    plan.program = aligned_zeros(size, BYTES)
    for k in range(net.n_inputs if entries != NULL else 0):
        plan.entries[k] = entries[k]
    net.entries = entries
    plan.c_plan = schuss_plan_draw(start_of(plan.program), net, rows, passes, plan.threads, first)
    net.entries = NULL
    size = schuss_plan_room(plan.c_plan)
    if size < 0:
        raise OverflowError(f"buffers for {rows} rows exceed the address space")
    plan.memory = aligned_bytes(size)
    schuss_plan_lay(plan.c_plan, start_of(plan.memory))
    return plan
