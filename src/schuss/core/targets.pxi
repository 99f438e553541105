# Losses, and the targets and weights that belong to them.

class NotFinite(FloatingPointError):
    pass


cdef raise_not_finite(double loss):
    raise NotFinite(f"the loss is {loss!r}" if not isfinite(loss) else "a gradient is not finite")


cdef const double *weights_data(weights, Py_ssize_t rows) except? NULL:
    if weights is None:
        return NULL
    return <const double *>address_of(weights, "sample_weight", SCHUSS_F64, 1, rows, -1, False)


cdef class Targets:
    """Losses and their targets, for a network of so many outputs."""
    cdef int dtype
    cdef object numpy_dtype
    cdef Py_ssize_t n_out, item
    cdef dict named            # the specs of losses that may be given by their names
    cdef object loss_read      # the name or spec that c_loss was read from; None: it was an object
    cdef object spec_read      # its spec
    cdef object numbers        # its numbers, if each output has its own
    cdef schuss_loss c_loss

    def __cinit__(self, numpy_dtype, Py_ssize_t n_out):
        self.named = {}
        self.numpy_dtype, self.dtype = numpy_dtype, dtype_of(numpy_dtype)
        self.item, self.n_out = numpy_dtype.itemsize, n_out

    cdef bint read(self, loss) except -1:
        """Whether loss is a compiled one: (name, number or a number for each output, dialect if it is not torch's), an
        object that has this as its `spec`, or a name. c_loss is then this one."""
        cdef bint constant = type(loss) is str or type(loss) is tuple  # the same object is the same loss
        if constant and loss is self.loss_read:
            return True
        spec = self.named.get(loss) if type(loss) is str else loss if constant else getattr(loss, "spec", None)
        if spec is self.spec_read and spec is not None:
            return True
        if type(spec) is not tuple or spec[0] not in LOSS_NUMBERS:
            return False
        self.loss_read = self.spec_read = None
        name, parameter = spec[:2]
        memset(&self.c_loss, 0, sizeof(schuss_loss))
        self.c_loss.kind = LOSS_NUMBERS[name]
        if len(spec) > 2:
            self.c_loss.dialect = DIALECT_NUMBERS[spec[2]]
        if type(parameter) is tuple:
            if len(parameter) != self.n_out:
                raise ValueError(f"loss {name} has {len(parameter)} numbers, expected {self.n_out}, one for each output")
            self.numbers = np.array(parameter, self.numpy_dtype)
            self.c_loss.parameters = start_of(self.numbers)
        else:
            self.c_loss.parameter = parameter
        self.loss_read, self.spec_read = loss if constant else None, spec
        return True

    cdef bint fit_at_once(self, y, Py_ssize_t rows, loss) except -1:
        """Whether y is seen at once to be targets of this loss, if that is a compiled one. The range of labels is left to
        data()."""
        cdef const schuss_ndarray *labels
        cdef const void *target
        if not self.read(loss):
            return False
        if schuss_loss_wants_labels(self.c_loss.kind):
            labels = labels_head(y)
            return labels != NULL and labels.dimensions[0] == rows and self.n_out > 1
        cdef Py_ssize_t cols = schuss_loss_targets(self.c_loss.kind, self.n_out)
        target = data_at_once(y, self.dtype, 2, rows, cols, False)
        return target != NULL and schuss_loss_accepts(self.c_loss.kind, self.dtype, target, rows * cols)

    cdef const void *data(self, loss, y, Py_ssize_t rows, schuss_loss *c_loss, ptrdiff_t *row_bytes) except? NULL:
        """The data of y, checked against the loss, which goes into c_loss. Labels lie in range: the core indexes with
        them."""
        cdef const int64_t *labels
        cdef Py_ssize_t bad
        if not self.read(loss):
            raise TypeError(f"loss is {loss!r}, expected a compiled one")
        c_loss[0] = self.c_loss
        cdef Py_ssize_t cols = schuss_loss_targets(c_loss.kind, self.n_out)
        if not schuss_loss_wants_labels(c_loss.kind) or (
                c_loss.kind == SCHUSS_CROSS_ENTROPY and labels_head(y) == NULL and y.ndim != 1):
            row_bytes[0] = cols * self.item
            return address_of(y, "y", self.dtype, 2, rows, cols, False)
        labels = address_of_int64(y, "y", rows)
        bad = schuss_first_outside(labels, rows, self.n_out)
        if bad >= 0:
            raise ValueError(f"y[{bad}] is {labels[bad]}, expected a label in [0, {self.n_out})")
        c_loss.labels = 1
        row_bytes[0] = sizeof(int64_t)
        return labels


def targets_in_range(loss, target):
    cdef int dtype = dtype_of(target.dtype)
    return bool(schuss_loss_accepts(LOSS_NUMBERS[loss], dtype, address_of(target, "target", dtype, 2, -1, -1, False),
                                    target.size))


def labels_in_range(labels, Py_ssize_t classes):
    cdef Py_ssize_t n = extent(labels, 0)
    return schuss_first_outside(address_of_int64(labels, "labels", n), n, classes) < 0


def weights_in_range(weights):
    cdef Py_ssize_t n = extent(weights, 0)
    return bool(schuss_all_within(SCHUSS_F64, address_of(weights, "weights", SCHUSS_F64, 1, n, -1, False), n, DBL_MAX))
