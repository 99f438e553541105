# Predictions of rows some of whose columns are those of other rows: what a network owes to these columns.

def predict_permuted(Net net not None, x, columns, orders, out):
    """out[r, i] = the network's output for row i with these columns, a list of numbers for each input, from row
    orders[r, i]. Nothing as large as x is copied: a slab of rows at a time lies in a buffer."""
    cdef Py_ssize_t rows = net.rows_in(x), repeats = extent(orders, 0), slab = min(net.slab, rows)
    cdef Py_ssize_t r, i, k, c, n, done, width, item, n_columns, since = 0
    cdef int n_inputs = net.c_net.n_inputs
    cdef schuss_input inputs[SCHUSS_MAX_INPUTS]
    cdef schuss_input buffered[SCHUSS_MAX_INPUTS]
    cdef const int64_t *chosen[SCHUSS_MAX_INPUTS]
    cdef Py_ssize_t n_chosen[SCHUSS_MAX_INPUTS]
    cdef int64_t[:, ::1] order = orders
    cdef const int64_t *of_repeat
    cdef char *to
    cdef const char *at
    cdef char *result
    cdef list held = [], buffers = []
    if order.shape[1] != rows or rows < 1:
        raise ValueError(f"orders has shape {orders.shape}, expected {(repeats, rows)}")
    if repeats < 1 or schuss_first_outside(&order[0, 0], repeats * rows, rows) >= 0:
        raise ValueError(f"orders must hold numbers of rows, from 0 to {rows - 1}, and at least one order")
    if len(columns) != n_inputs:
        raise ValueError(f"columns has {len(columns)} lists, expected {n_inputs}, one for each input")
    net.read_inputs(x, rows, inputs)
    for k in range(n_inputs):
        if inputs[k].compressed != NULL:
            raise TypeError("x must hold dense rows")
        array = np.ascontiguousarray(columns[k], dtype=np.int64)
        n_chosen[k] = extent(array, 0)
        chosen[k] = address_of_int64(array, "columns", n_chosen[k])
        if schuss_first_outside(chosen[k], n_chosen[k], net.columns_of(k)) >= 0:
            raise ValueError(f"columns[{k}] must hold numbers from 0 to {net.columns_of(k) - 1}")
        held.append(array)
        buffers.append(np.empty(slab * net.row_bytes(k), dtype=np.uint8))
        buffered[k].x = start_of(buffers[k])
        buffered[k].compressed, buffered[k].order = NULL, NULL
    result = <char *>address_of(out, "out", net.c_net.dtype, 3, repeats, rows, True)
    if out.shape[2] != net.row_out:
        raise ValueError(f"out has shape {out.shape}, expected {(repeats, rows, net.row_out)}")
    cdef schuss_plan *c_plan
    cdef PyThreadState *state
    net.enter()
    try:
        c_plan = net.plan_for(slab, False).c_plan
        for r in range(repeats):
            of_repeat = &order[r, 0]
            done = 0
            while done < rows:
                n = min(slab, rows - done)
                state = let_others_run(net.multiply_adds(n))
                for k in range(n_inputs):
                    width = net.row_bytes(k)
                    item = width // net.columns_of(k)
                    to, n_columns = <char *>buffered[k].x, n_chosen[k]
                    memcpy(to, <const char *>inputs[k].x + done * width, n * width)
                    for i in range(n if n_columns else 0):
                        at = <const char *>inputs[k].x + of_repeat[done + i] * width
                        for c in range(n_columns):
                            memcpy(to + i * width + chosen[k][c] * item, at + chosen[k][c] * item, item)
                schuss_forward(c_plan, buffered, n, 0, 0, result + (r * rows + done) * net.row_out * net.item)
                come_back(state)
                done += n
                since += 1
                if since >= net.slabs_a_look:
                    since = 0
                    PyErr_CheckSignals()
    finally:
        net.busy = False
