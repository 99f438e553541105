# cython: language_level=3, initializedcheck=False, cdivision=True
"""The compiled core: validates, takes pointers, releases the GIL, calls C. No maths. Contract: _core.pyi."""

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.dict cimport PyDict_Next, PyDict_Size
from cpython.exc cimport PyErr_CheckSignals, PyErr_Clear
from cpython.list cimport PyList_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport Py_TYPE, PyObject
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid
from libc.float cimport DBL_MAX, DBL_MIN
from libc.math cimport INFINITY, isfinite
from libc.stdint cimport int64_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset

import sys

import numpy as np

from schuss._version import __version__

ACTIVATIONS = (
    "identity", "relu", "leaky_relu", "elu", "selu", "sigmoid", "tanh", "gelu", "silu", "mish", "hard_swish", "softplus",
    "exp", "softmax",
)
LOSSES = (
    "mse", "mae", "huber", "cross_entropy", "binary_cross_entropy", "poisson", "quantile", "gamma", "tweedie", "gaussian",
    "focal", "binary_focal",
)

cdef dict ACTIVATION_NUMBERS = {name: i for i, name in enumerate(ACTIVATIONS)}
cdef dict LOSS_NUMBERS = {name: i for i, name in enumerate(LOSSES)}
cdef dict LOSS_SPECS = {}
cdef object loss_class = ()
cdef dict INIT_NUMBERS = {"zeros": 0, "uniform": 1, "normal": 2, "orthogonal": 3}
cdef dict ELEMENTARY_NUMBERS = {"exp": 0, "log": 1, "tanh": 2, "erfc": 3, "expm1": 4, "log1p": 5}


# ---- instruction sets and threads ------------------------------------------------------------------------------

def isa_levels():
    levels = []
    cdef int level = 0
    while schuss_isa_name(level) != NULL:
        if schuss_isa_supported(level):
            levels.append(schuss_isa_name(level).decode())
        level += 1
    return levels


cdef bint environment_checked = False


cdef int check_environment() except -1:
    """RuntimeError where SCHUSS_NUM_THREADS is set to what the core would pass over."""
    global environment_checked
    import os

    value = os.environ.get("SCHUSS_NUM_THREADS", "").strip()
    if value and not (value.isascii() and value.lstrip("+").isdigit() and 0 < int(value) < 1 << 31):
        raise RuntimeError(f"SCHUSS_NUM_THREADS={value!r} in the environment, expected an integer >= 1")
    environment_checked = True
    return 0


cdef int require_isa() except -1:
    """The level in use, chosen on the first call."""
    if not environment_checked:
        check_environment()
    cdef int level = schuss_isa_level()
    if level < 0:
        raise_isa(level, None)
    return level


cdef raise_isa(int status, name):
    import os

    what = f"SCHUSS_ISA={os.environ.get('SCHUSS_ISA', '')!r}" if name is None else f"ISA level {name!r}"
    reason = "is not a level of this build" if status == SCHUSS_BAD_ISA else "is not supported by this CPU"
    raise RuntimeError(f"{what} {reason}; this machine has {', '.join(isa_levels())}")


def use_isa(name):
    cdef bytes encoded
    cdef int level
    if name is None:
        level = schuss_isa_select(NULL)
    else:
        encoded = name.encode()
        level = schuss_isa_select(encoded)
    if level < 0:
        raise_isa(level, name)
    return schuss_isa_name(level).decode()


cdef extern from *:
    """
    #if defined(__clang__)
    static const char *schuss_compiler(void) { return "clang " __clang_version__; }
    #elif defined(__GNUC__)
    static const char *schuss_compiler(void) { return "gcc " __VERSION__; }
    #else
    static const char *schuss_compiler(void) { return "unknown"; }
    #endif
    """
    const char *schuss_compiler()


def config():
    cdef int level = require_isa()
    return {
        "isa": schuss_isa_name(level).decode(),
        "isa_available": isa_levels(),
        "vector_bits": 8 * schuss_vector_bytes(),
        "threads": schuss_get_num_threads(),
        "cpu_quota": schuss_cpu_quota(),
        "workers": schuss_worker_count(),
        "compiler": schuss_compiler().decode(),
    }


def get_num_threads():
    if not environment_checked:
        check_environment()
    return schuss_get_num_threads()


def set_num_threads(n):
    schuss_set_num_threads(0 if n is None else n)


def set_thread_limit(int n):
    return schuss_set_thread_limit(n)


def worker_count():
    return schuss_worker_count()


# ---- the GIL ---------------------------------------------------------------------------------------------------

cdef extern from "Python.h":
    ctypedef struct PyThreadState:
        pass
    PyThreadState *PyEval_SaveThread()
    void PyEval_RestoreThread(PyThreadState *state)

cdef enum:
    BRIEF = 1 << 15  # multiply-adds or elements: a microsecond or two. To get the GIL back may take thousands


cdef inline PyThreadState *let_others_run(double work) noexcept:
    """Gives the GIL away, unless the work is brief. No Python object may be touched until come_back()."""
    return PyEval_SaveThread() if work > BRIEF else NULL


cdef inline void come_back(PyThreadState *state) noexcept:
    if state != NULL:
        PyEval_RestoreThread(state)


# ---- arrays ----------------------------------------------------------------------------------------------------

cdef extern from *:
    """
    /* The head of a NumPy array, as NumPy's headers lay it out: its ABI promises it to every extension module, and
     * nothing else of those headers is needed here. look_at_layout() tries it out before it is relied upon. */
    typedef struct {
        PyObject_HEAD
        char *data;
        int nd;
        Py_ssize_t *dimensions, *strides;
        PyObject *base, *descr;
        int flags;
    } schuss_ndarray;
    enum {
        ARRAY_C_CONTIGUOUS = 0x1, ARRAY_ALIGNED = 0x100, ARRAY_WRITEABLE = 0x400,
        ARRAY_WARN_ON_WRITE = (int)0x80000000
    };
    """
    PyObject *PyList_GET_ITEM(object items, Py_ssize_t i)  # borrowed, unlike Cython's own
    ctypedef struct schuss_ndarray:
        char *data
        int nd
        Py_ssize_t *dimensions
        PyObject *descr
        int flags
    enum:
        ARRAY_C_CONTIGUOUS, ARRAY_ALIGNED, ARRAY_WRITEABLE, ARRAY_WARN_ON_WRITE

cdef object ndarray = np.ndarray, empty = np.empty
cdef object BYTES = np.dtype(np.uint8), FLOAT32 = np.dtype(np.float32), FLOAT64 = np.dtype(np.float64), INT64 = np.dtype(np.int64)
cdef bint layout_known = False


cdef int look_at_layout() except -1:
    """Whether schuss_ndarray is what arrays look like here. If not, they are asked through the buffer protocol only."""
    global layout_known
    cdef int readable = ARRAY_C_CONTIGUOUS | ARRAY_ALIGNED, all_flags = readable | ARRAY_WRITEABLE
    probe = np.zeros((3, 5), np.float32)
    cdef schuss_ndarray *a = <schuss_ndarray *>probe
    if (sys.implementation.name != "cpython" or np.ndarray.__basicsize__ < <Py_ssize_t>sizeof(schuss_ndarray)
            or <uintptr_t>a.data != <uintptr_t>probe.ctypes.data or a.nd != 2 or a.descr != <PyObject *>FLOAT32
            or a.flags & all_flags != all_flags or a.dimensions[0] != 3 or a.dimensions[1] != 5):
        return 0
    probe.flags.writeable = False
    across = probe.T
    askew = np.zeros(9, np.uint8)[1:].view(FLOAT32)
    if (a.flags & all_flags != readable
            or (<schuss_ndarray *>across).flags & all_flags != ARRAY_ALIGNED
            or (<schuss_ndarray *>askew).flags & ARRAY_ALIGNED):
        return 0
    layout_known = True
    return 0

look_at_layout()


cdef schuss_ndarray *plain(object array) noexcept:
    """The head of a C-contiguous, aligned array of exactly NumPy's own class; NULL: anything else."""
    cdef schuss_ndarray *a = <schuss_ndarray *>array
    if (layout_known and <PyObject *>Py_TYPE(array) == <PyObject *>ndarray
            and a.flags & (ARRAY_C_CONTIGUOUS | ARRAY_ALIGNED) == ARRAY_C_CONTIGUOUS | ARRAY_ALIGNED):
        return a
    return NULL


cdef void *plain_data(object array, int dtype, int ndim, Py_ssize_t rows, Py_ssize_t cols, bint writable) noexcept:
    """address_of, where that is seen at once; NULL: it has to be asked."""
    cdef const schuss_ndarray *a = plain(array)
    if (a != NULL and a.nd == ndim and a.descr == <PyObject *>(FLOAT32 if dtype == SCHUSS_F32 else FLOAT64)
            and (rows < 0 or a.dimensions[0] == rows) and (ndim < 2 or cols < 0 or a.dimensions[1] == cols)
            and (not writable or a.flags & (ARRAY_WRITEABLE | ARRAY_WARN_ON_WRITE) == ARRAY_WRITEABLE)):
        return a.data
    return NULL


cdef const schuss_ndarray *plain_labels(object y) noexcept:
    """y if it is int64 labels (n,), as far as is seen at once; else NULL."""
    cdef const schuss_ndarray *a = plain(y)
    return a if a != NULL and a.nd == 1 and a.descr == <PyObject *>INT64 else NULL


cdef bint same_extents(int ndim, const Py_ssize_t *a, const Py_ssize_t *b) noexcept:
    cdef int i
    for i in range(ndim):
        if a[i] != b[i]:
            return False
    return True


cdef Py_ssize_t extent(object array, int axis) except -1:
    """array.shape[axis]"""
    cdef const schuss_ndarray *a = plain(array)
    if a != NULL and axis < a.nd:
        return a.dimensions[axis]
    return array.shape[axis]


cdef int dtype_of(dtype) except -1:
    if dtype is FLOAT32 or dtype == np.float32:
        return SCHUSS_F32
    if dtype is FLOAT64 or dtype == np.float64:
        return SCHUSS_F64
    raise TypeError(f"dtype is {dtype}, expected float32 or float64")


cdef int format_dtype(const char *format) noexcept:
    """SCHUSS_F32 or SCHUSS_F64 for a native float format, else -1."""
    if format == NULL:
        return -1
    if format[0] == b"@" or format[0] == b"=":
        format += 1
    if format[0] != 0 and format[1] == 0:
        if format[0] == b"f":
            return SCHUSS_F32
        if format[0] == b"d":
            return SCHUSS_F64
    return -1


cdef int is_int64(const Py_buffer *view) noexcept:
    """By the size too: "l" is 4 bytes on Windows."""
    cdef const char *format = view.format
    if format == NULL:
        return 0
    if format[0] == b"@" or format[0] == b"=":
        format += 1
    return view.itemsize == 8 and format[0] != 0 and format[1] == 0 and (format[0] == b"l" or format[0] == b"q")


cdef void *address_of(object array, str name, int dtype, int ndim, Py_ssize_t rows, Py_ssize_t cols,
                      bint writable) except? NULL:
    """The data of a C-contiguous array of this dtype and shape (rows, cols); -1: any size. The caller holds array."""
    cdef Py_buffer view
    cdef void *data = plain_data(array, dtype, ndim, rows, cols, writable)
    if data != NULL:
        return data
    PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (PyBUF_WRITABLE if writable else 0))
    try:
        if format_dtype(view.format) != dtype:
            raise TypeError(f"{name} has dtype {array.dtype}, expected {'float32' if dtype == SCHUSS_F32 else 'float64'}")
        if (view.ndim != ndim or (rows >= 0 and view.shape[0] != rows)
                or (ndim > 1 and cols >= 0 and view.shape[1] != cols)):
            raise ValueError(f"{name} has shape {tuple(array.shape)}, expected {(rows, cols)[:ndim]}")
        if <uintptr_t>view.buf % <uintptr_t>view.itemsize:
            raise ValueError(f"{name} is not aligned to its items")
        data = view.buf
    finally:
        PyBuffer_Release(&view)
    return data


# ---- memory ----------------------------------------------------------------------------------------------------

cdef object aligned_bytes(Py_ssize_t n):
    """n bytes, uninitialised, 64-byte aligned, as a 1-D uint8 array."""
    raw = np.empty(n + 64, dtype=np.uint8)
    cdef uintptr_t address = <uintptr_t>raw.ctypes.data
    cdef Py_ssize_t skip = (64 - address % 64) % 64
    return raw[skip : skip + n]


cdef object aligned_zeros(Py_ssize_t n, dtype):
    """n zeros, 64-byte aligned. From calloc: large ones cost nothing until they are touched."""
    cdef Py_ssize_t item = dtype.itemsize
    raw = np.zeros(n * item + 64, dtype=np.uint8)
    cdef uintptr_t address = <uintptr_t>raw.ctypes.data
    cdef Py_ssize_t skip = (64 - address % 64) % 64
    return raw[skip : skip + n * item].view(dtype)


# ---- random numbers --------------------------------------------------------------------------------------------

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
    cdef int64_t *start = <int64_t *><uintptr_t>order.ctypes.data
    with nogil:
        schuss_permutation(start, n, seed, epoch)
    return order


def initialise(out, kind, double scale, uint64_t seed, uint32_t stream):
    require_isa()
    cdef int dtype = dtype_of(out.dtype), init = INIT_NUMBERS[kind]
    cdef Py_ssize_t n_in = out.shape[0], n_out = out.shape[1]
    cdef void *w = address_of(out, "out", dtype, 2, n_in, n_out, True)
    cdef double *work = NULL
    cdef double[::1] room
    if kind == "orthogonal":
        room = np.empty(n_in * n_out + 1)
        work = &room[0]
    with nogil:
        schuss_initialise(dtype, w, n_in, n_out, init, scale, seed, stream, work)


# ---- optimizer steps -------------------------------------------------------------------------------------------

cdef dict RULE_NUMBERS = {}
while schuss_rule_name(len(RULE_NUMBERS)) != NULL:
    RULE_NUMBERS[schuss_rule_name(len(RULE_NUMBERS)).decode()] = len(RULE_NUMBERS)

# Every number of a group: where the example has it, and the interval it must lie in.
cdef schuss_group EXAMPLE
cdef schuss_group *NOWHERE = &EXAMPLE
cdef dict NUMBERS = {
    "lr": (<uintptr_t>&NOWHERE.lr, "[0, inf)"),
    "lr_factor": (<uintptr_t>&NOWHERE.lr_factor, "[0, inf)"),
    "weight_decay": (<uintptr_t>&NOWHERE.weight_decay, "[0, inf)"),
    "eps": (<uintptr_t>&NOWHERE.eps, "[0, inf)"),
    "momentum": (<uintptr_t>&NOWHERE.momentum, "[0, inf)"),
    "dampening": (<uintptr_t>&NOWHERE.dampening, "(-inf, inf)"),
    "alpha": (<uintptr_t>&NOWHERE.alpha, "[0, 1]"),
    "lr_decay": (<uintptr_t>&NOWHERE.lr_decay, "[0, inf)"),
    "momentum_decay": (<uintptr_t>&NOWHERE.momentum_decay, "[0, inf)"),
    "alpha_warmup": (<uintptr_t>&NOWHERE.alpha_warmup, "[0, inf)"),
    "beta3_warmup": (<uintptr_t>&NOWHERE.beta3_warmup, "[0, inf)"),
    "lr_power": (<uintptr_t>&NOWHERE.lr_power, "[-1, 0]"),
    "l1": (<uintptr_t>&NOWHERE.l1, "[0, inf)"),
    "l2": (<uintptr_t>&NOWHERE.l2, "[0, inf)"),
    "l2_shrinkage": (<uintptr_t>&NOWHERE.l2_shrinkage, "[0, inf)"),
    "beta": (<uintptr_t>&NOWHERE.beta, "[0, inf)"),
    "rho": (<uintptr_t>&NOWHERE.alpha, "[0, 1]"),
    "lambd": (<uintptr_t>&NOWHERE.lambd, "[0, inf)"),
    "t0": (<uintptr_t>&NOWHERE.t0, "[0, inf)"),
    "warmup_steps": (<uintptr_t>&NOWHERE.warmup_steps, "[0, inf)"),
    "r": (<uintptr_t>&NOWHERE.weight_power, "[0, 100]"),
    "weight_lr_power": (<uintptr_t>&NOWHERE.weight_lr_power, "[0, 100]"),
    "trust_coefficient": (<uintptr_t>&NOWHERE.trust_coefficient, "[0, inf)"),
    "beta3": (<uintptr_t>&NOWHERE.beta3, "(0, 1)"),
    "d0": (<uintptr_t>&NOWHERE.d0, "(0, inf)"),
    "d_coef": (<uintptr_t>&NOWHERE.d_coef, "(0, inf)"),
    "growth_rate": (<uintptr_t>&NOWHERE.growth_rate, "[1, inf]"),
    "d": (<uintptr_t>&NOWHERE.d, "[1, inf)"),
    "beta2_decay": (<uintptr_t>&NOWHERE.beta2_decay, "(-inf, 0]"),
    "ns_steps": (<uintptr_t>&NOWHERE.ns_steps, "[0, 100)"),
    "shampoo_beta": (<uintptr_t>&NOWHERE.shampoo_beta, "(-inf, 1)"),
    "precondition_frequency": (<uintptr_t>&NOWHERE.precondition_frequency, "[1, 1e9]"),
    "max_precond_dim": (<uintptr_t>&NOWHERE.max_precond_dim, "[0, 1e9]"),
}
# Names under which a group has several numbers, with one interval for all or one for each.
cdef dict TUPLES = {
    "betas": ((<uintptr_t>&NOWHERE.beta1, <uintptr_t>&NOWHERE.beta2, <uintptr_t>&NOWHERE.beta3), "[0, 1)"),
    "etas": ((<uintptr_t>&NOWHERE.eta_minus, <uintptr_t>&NOWHERE.eta_plus), ("(0, 1)", "(1, inf)")),
    "ns_coefficients": ((<uintptr_t>&NOWHERE.ns_coefficients[0], <uintptr_t>&NOWHERE.ns_coefficients[1],
                         <uintptr_t>&NOWHERE.ns_coefficients[2]), "(-inf, inf)"),
    "step_sizes": ((<uintptr_t>&NOWHERE.smallest_step, <uintptr_t>&NOWHERE.largest_step), "[0, inf)"),
    "clamp": ((<uintptr_t>&NOWHERE.clamp_low, <uintptr_t>&NOWHERE.clamp_high), "[0, inf]"),
}
cdef dict FLAGS = {
    "maximize": <uintptr_t>&NOWHERE.maximize,
    "nesterov": <uintptr_t>&NOWHERE.nesterov,
    "centered": <uintptr_t>&NOWHERE.centered,
    "amsgrad": <uintptr_t>&NOWHERE.amsgrad,
    "rectify": <uintptr_t>&NOWHERE.rectify,
    "clip": <uintptr_t>&NOWHERE.clip,
    "no_prox": <uintptr_t>&NOWHERE.no_prox,
    "decoupled": <uintptr_t>&NOWHERE.decoupled,
    "decoupled_weight_decay": <uintptr_t>&NOWHERE.decoupled,
    "adapt": <uintptr_t>&NOWHERE.adapt,
    "bias_correction": <uintptr_t>&NOWHERE.bias_correction,
    "grad_averaging": <uintptr_t>&NOWHERE.grad_averaging,
    "use_bias_correction": <uintptr_t>&NOWHERE.bias_correction,
    "safeguard_warmup": <uintptr_t>&NOWHERE.safeguard_warmup,
    "decouple": <uintptr_t>&NOWHERE.decoupled,
    "correct_bias": <uintptr_t>&NOWHERE.bias_correction,
    "merge_dims": <uintptr_t>&NOWHERE.merge_dims,
    "precondition_1d": <uintptr_t>&NOWHERE.precondition_1d,
    "normalize_grads": <uintptr_t>&NOWHERE.normalize_grads,
}
cdef dict DIALECTS = {"torch": 0, "keras": 1, "sklearn": 2}
cdef dict CHOICES = {
    "dialect": (<uintptr_t>&NOWHERE.dialect, DIALECTS),
    "adjust_lr_fn": (<uintptr_t>&NOWHERE.adjust_lr_fn, {"original": 0, "match_rms_adamw": 1}),
}
# Where a rule knows fewer.
cdef dict OTHER_CHOICES = {
    rule: {"dialect": ("torch", "keras")} for rule in ("adagrad", "rmsprop", "adadelta", "adamax", "nadam")
}
# Where a rule's numbers of a name lie in another interval.
cdef dict OTHER_INTERVALS = {
    "schedule_free_sgd": {"momentum": "(0, 1)"},
    "schedule_free_adamw": {"betas": ("(0, 1)", "[0, 1)")},
    "signum": {"momentum": "[0, 1)"},
    "ademamix": {"alpha": "[0, inf)"},
}
# Where a rule has several numbers under a name; whether None may stand for one, and counts as -1.
cdef dict OTHER_TUPLES = {
    "adafactor": {"eps": ((<uintptr_t>&NOWHERE.eps, True), (<uintptr_t>&NOWHERE.eps2, False))},
}


def hyperparameters(rule):
    intervals = {name: interval for name, (_, interval) in (*NUMBERS.items(), *TUPLES.items())}
    intervals.update(OTHER_INTERVALS.get(rule, {}))
    choices = {name: tuple(known) for name, (_, known) in CHOICES.items()}
    choices.update(OTHER_CHOICES.get(rule, {}))
    return intervals, frozenset(FLAGS), choices


cdef dict AVERAGE_NUMBERS = {"ema": 1, "mean": 2, "lookahead": 3}
cdef dict BOUNDS = {}


cdef int out_of_range(str name, double value, str expected) except -1:
    raise ValueError(f"{name} is {value!r}, expected {expected}")


cdef double within(str name, value, str interval) except? -1.5:
    """A number of a group; None counts as 0, unless that is a choice like others."""
    cdef double x, low, high
    if value is None:
        return -1 if name == "shampoo_beta" else 0
    try:
        x = <double>value
    except TypeError:
        raise TypeError(f"{name} must be a number; got {value!r}") from None
    if interval not in BOUNDS:
        BOUNDS[interval] = tuple([float(end) for end in interval[1:-1].split(",")])
    low, high = BOUNDS[interval]
    if not ((x > low or (x == low and interval[0] == "[")) and (x < high or (x == high and interval[-1] == "]"))):
        out_of_range(name, x, f"a number in {interval}")
    return x


cdef int fill_group(dict group, schuss_group *g, double smallest) except -1:
    """A group's numbers, checked: they may have been changed since the last step."""
    cdef uintptr_t into = <uintptr_t>g - <uintptr_t>NOWHERE  # the tables have addresses in NOWHERE
    memset(g, 0, sizeof(schuss_group))
    g.rule = RULE_NUMBERS[group["rule"]]
    g.lr_factor = 1
    cdef dict others = OTHER_INTERVALS.get(group["rule"], {}), tuples = OTHER_TUPLES.get(group["rule"], {})
    for name, value in group.items():
        if name in tuples:
            offsets = tuples[name]
            if not isinstance(value, (tuple, list)) or len(value) != len(offsets):
                raise ValueError(f"{name} is {value!r}, expected {len(offsets)} numbers")
            for k, (offset, optional) in enumerate(offsets):
                interval = others.get(name, NUMBERS[name][1])
                (<double *>(into + <uintptr_t>offset))[0] = (
                    -1 if optional and value[k] is None else within(f"{name}[{k}]", value[k], interval))
        elif name in NUMBERS:
            offset, interval = NUMBERS[name]
            (<double *>(into + <uintptr_t>offset))[0] = within(name, value, others.get(name, interval))
        elif name in FLAGS:
            (<int *>(into + <uintptr_t>FLAGS[name]))[0] = bool(value)
        elif name in CHOICES:
            if value is None:  # the first
                continue
            offset, known = CHOICES[name]
            expected = OTHER_CHOICES.get(group["rule"], {}).get(name, known)
            if value not in expected:
                raise ValueError(f"{name} is {value!r}, expected one of {', '.join(expected)}")
            (<int *>(into + <uintptr_t>offset))[0] = known[value]
        elif name in TUPLES:
            offsets, interval = TUPLES[name]
            interval = others.get(name, interval)
            if not isinstance(value, (tuple, list)) or len(value) > len(offsets):
                raise ValueError(f"{name} is {value!r}, expected at most {len(offsets)} numbers")
            for k, part in enumerate(value):
                (<double *>(into + <uintptr_t>offsets[k]))[0] = within(
                    f"{name}[{k}]", part, interval[k] if type(interval) is tuple else interval)
    if 0 < g.eps < smallest:
        out_of_range("eps", g.eps, f"0 or at least {smallest!r}: denormals count as zero")
    return 0


cdef bint never_changes(value) noexcept:
    """Whether the same object will always be the same number."""
    if type(value) is tuple:
        for part in <tuple>value:
            if type(part) is not float and type(part) is not int:
                return False
        return True
    return type(value) in (float, int, bool, str) or value is None


cdef list as_read(dict group):
    """The group's keys and values, one after the other, by which it is known again; None if a value may change and
    stay the same object."""
    cdef list read = []
    for key, value in group.items():
        if not never_changes(value) and key != "params" and key != "schedule":  # which the core does not read
            return None
        read.append(key)
        read.append(value)
    return read


cdef Py_ssize_t changed_since(dict group, list read) noexcept:
    """Where the group no longer holds the very objects in read: the place of its first other value, if it is the only
    one; -1: none is; -2: more than that, or unknown."""
    cdef Py_ssize_t place = 0, i = 0, found = -1
    cdef PyObject *key
    cdef PyObject *value
    if read is None or group is None or 2 * PyDict_Size(group) != PyList_GET_SIZE(read):
        return -2
    while PyDict_Next(group, &place, &key, &value):
        if key != PyList_GET_ITEM(read, i):
            return -2
        if value != PyList_GET_ITEM(read, i + 1) and not (<object>key == "params" or <object>key == "schedule"):
            if found >= 0:
                return -2
            found = i + 1
        i += 2
    return found


cdef double limit(value) noexcept:
    """A limit of gradients as the core takes it, 0 for none; -1 where it has to be looked at."""
    if value is None:
        return 0
    if type(value) is float and 0 < <double>value < INFINITY:
        return value
    return -1


cdef bint scheduled(list groups) except -1:
    """Whether a group has a schedule, which Python has to ask first."""
    for group in groups:
        if (<dict?>group)["schedule"] is not None:
            return True
    return False


include "_gradients.pxi"


cdef class Stepper:
    cdef readonly list params
    cdef object form           # what names parameters and gradients in messages; None: their places do
    cdef readonly list states
    cdef readonly list averages # of each average kept, an array for each of the params
    cdef readonly object memories # float64 (groups, 2 + 2 SCHUSS_MEMORY): struct schuss_memory of each
    cdef object sums
    cdef readonly object scratch # None: not asked for since groups were read
    cdef int level             # the ISA level that it is for
    cdef list arenas           # a slot or an average each
    cdef list states_made      # for each group, the slots that all of its params have: bit k for slot k
    cdef list groups_read      # of each group what as_read() gave
    cdef schuss_group *numbers # what was read
    cdef schuss_step c_step
    cdef Py_buffer *views      # of the params, held as long as this lives
    cdef Py_ssize_t n_views
    cdef wanted *wants         # of the gradient of each
    cdef Py_ssize_t *shapes    # of all params, one after the other
    cdef uintptr_t *spans      # where the params that are not empty begin and end, in the order of their addresses
    cdef Py_ssize_t n_spans
    cdef double elements       # of all params
    cdef object net_known      # the network whose arrays the params were found to be,
    cdef object segments_known # which of them is which,
    cdef object wanted_known   # and whose gradients are needed; None: all
    cdef uintptr_t arena_start[SCHUSS_MAX_STATES + SCHUSS_MAX_AVERAGES]
    cdef uintptr_t arena_end[SCHUSS_MAX_STATES + SCHUSS_MAX_AVERAGES]
    cdef bint busy

    def __cinit__(self, params, group_of, states_of, form=None):
        require_isa()
        cdef Py_ssize_t i, k, n = len(params)
        cdef int dtype
        self.params = list(params)
        self.form = form
        self.c_step.n_groups = 1 + max(group_of, default=0)
        self.c_step.n_segments = n
        self.c_step.t = 1
        self.c_step.grad_scale = 1
        self.views = <Py_buffer *>PyMem_Calloc(n + 1, sizeof(Py_buffer))
        self.c_step.segments = <schuss_segment *>PyMem_Calloc(n + 1, sizeof(schuss_segment))
        self.c_step.groups = <schuss_group *>PyMem_Calloc(self.c_step.n_groups, sizeof(schuss_group))
        self.numbers = <schuss_group *>PyMem_Calloc(self.c_step.n_groups, sizeof(schuss_group))
        self.spans = <uintptr_t *>PyMem_Calloc(2 * n + 1, sizeof(uintptr_t))
        self.wants = <wanted *>PyMem_Calloc(n + 1, sizeof(wanted))
        if not (self.views and self.c_step.segments and self.c_step.groups and self.numbers and self.spans
                and self.wants):
            raise MemoryError()
        self.groups_read = [None] * self.c_step.n_groups
        for i in range(n):
            p = self.params[i]
            check_target(p, self.param_name(i))
            dtype = dtype_of(p.dtype)
            if i == 0:
                self.c_step.dtype = dtype
            elif dtype != self.c_step.dtype:
                raise TypeError(f"{self.param_name(i)} is {p.dtype}, {self.param_name(0)} is {self.params[0].dtype}: "
                                "expected one dtype")
            PyObject_GetBuffer(p, &self.views[i], PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE | PyBUF_FORMAT)
            self.n_views = i + 1
            self.c_step.segments[i].n = p.size
            self.c_step.segments[i].rows, self.c_step.segments[i].cols = p.shape[-2:] if p.ndim > 1 else (p.size, 1)
            self.c_step.segments[i].ndim = self.views[i].ndim
            self.c_step.segments[i].shape = <const ptrdiff_t *>self.views[i].shape
            self.c_step.segments[i].p = self.views[i].buf
            self.c_step.segments[i].group = group_of[i]
            self.elements += p.size
        self.check_overlap()
        self.know_shapes()
        self.memories = np.zeros((self.c_step.n_groups, 2 + 2 * SCHUSS_MEMORY))
        self.c_step.memories = <schuss_memory *><uintptr_t>self.memories.ctypes.data
        shapes = [[p.shape] * of if isinstance(of, int) else list(of) for p, of in zip(self.params, states_of)]
        self.states_made = [(1 << SCHUSS_MAX_STATES) - 1] * self.c_step.n_groups
        self.states = []
        self.averages = []
        self.arenas = []
        for i in range(n):
            self.states.append([None] * len(shapes[i]))
            self.states_made[group_of[i]] &= sum([1 << k for k, shape in enumerate(shapes[i]) if shape is not None])
        for k in range(max(map(len, shapes), default=0)):
            made = self.lay([of[k] if len(of) > k else None for of in shapes])
            for i in range(n):
                if made[i] is not None:
                    self.states[i][k] = made[i]
                    self.c_step.segments[i].s[k] = <void *><uintptr_t>made[i].ctypes.data

    cdef int know_shapes(self) except -1:
        cdef Py_ssize_t i, used = 0
        self.shapes = <Py_ssize_t *>PyMem_Calloc(sum([p.ndim for p in self.params]) + 1, sizeof(Py_ssize_t))
        if not self.shapes:
            raise MemoryError()
        for i in range(self.n_views):
            self.wants[i].ndim, self.wants[i].shape = self.views[i].ndim, self.shapes + used
            if self.views[i].ndim:  # a scalar's shape may be NULL
                memcpy(self.shapes + used, self.views[i].shape, self.views[i].ndim * sizeof(Py_ssize_t))
            used += self.views[i].ndim
        return 0

    cdef list lay(self, list shapes):
        """Zeros of these shapes, one for each parameter (None: none), in one arena: stepping many arrays walks memory in
        order. Each lies within its lines of cache as its parameter does."""
        cdef Py_ssize_t i, total = 0
        cdef int k = len(self.arenas)
        starts = []
        for i, shape in enumerate(shapes):
            if shape is not None:
                total = place_like(total, self.views[i].buf, self.views[i].itemsize)
            starts.append(total)
            total += padded(shape)
        arena = aligned_zeros(total, self.params[0].dtype)
        self.arenas.append(arena)
        self.arena_start[k] = <uintptr_t>arena.ctypes.data
        self.arena_end[k] = self.arena_start[k] + <uintptr_t>arena.nbytes
        for i in range(self.n_views):
            self.wants[i].clear = NULL
        return [None if shape is None else view_of(arena, start, shape) for start, shape in zip(starts, shapes)]

    def keep_average(self, Py_ssize_t k, kind, int64_t start, int64_t every, double weight):
        cdef Py_ssize_t i
        self.enter()
        try:
            if not 0 <= k < SCHUSS_MAX_AVERAGES or k > len(self.averages):
                raise ValueError(f"average number {k} of {len(self.averages)}, expected at most {SCHUSS_MAX_AVERAGES}")
            if k == len(self.averages):
                made = self.lay([p.shape for p in self.params])
                for i, (p, average) in enumerate(zip(self.params, made)):
                    average[...] = p
                    self.c_step.segments[i].average[k] = <void *><uintptr_t>average.ctypes.data
                self.averages.append(made)
            self.c_step.averages[k].kind = AVERAGE_NUMBERS[kind]
            self.c_step.averages[k].start, self.c_step.averages[k].every = start, every
            self.c_step.averages[k].weight = weight
        finally:
            self.busy = False

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.n_views):
            PyBuffer_Release(&self.views[i])
        PyMem_Free(self.views)
        PyMem_Free(self.c_step.segments)
        PyMem_Free(self.c_step.groups)
        PyMem_Free(self.numbers)
        PyMem_Free(self.spans)
        PyMem_Free(self.wants)
        PyMem_Free(self.shapes)

    def __reduce__(self):
        raise TypeError("a Stepper is rebuilt by its optimizer, not pickled")

    @property
    def steps(self):
        return self.c_step.t - 1

    @steps.setter
    def steps(self, int64_t made):
        if not 0 <= made <= 1 << 53:
            raise ValueError(f"steps is {made}, expected 0 to 2**53")
        self.c_step.t = made + 1

    @property
    def nonfinite(self):
        return bool(self.c_step.nonfinite)

    @property
    def grad_norm(self):
        return self.c_step.grad_norm

    cdef str param_name(self, Py_ssize_t i):
        return f"params[{i}]" if self.form is None else self.form.parameter(i)

    cdef str grad_name(self, Py_ssize_t i):
        return f"grads[{i}]" if self.form is None else self.form.gradient(i)

    cdef int check_overlap(self) except -1:
        spans = sorted([(p.ctypes.data, p.ctypes.data + p.nbytes, i) for i, p in enumerate(self.params) if p.size])
        for (_, end, i), (start, _, j) in zip(spans, spans[1:]):
            if start < end:
                raise ValueError(f"{self.param_name(max(i, j))} overlaps {self.param_name(min(i, j))}, expected arrays of "
                                 "their own memory")
        for start, end, _ in spans:
            self.spans[2 * self.n_spans] = start
            self.spans[2 * self.n_spans + 1] = end
            self.n_spans += 1
        return 0

    @property
    def resting(self):
        return self.c_step.memories[0].resting != 0

    def move_params(self, int slot, weights, bint resting):
        cdef double[::1] of_groups = np.array(weights, dtype=np.float64)
        cdef const double *first
        cdef PyThreadState *state
        cdef int i
        if of_groups.shape[0] != self.c_step.n_groups:
            raise ValueError(f"weights has {of_groups.shape[0]} entries, expected {self.c_step.n_groups}")
        if not 0 <= slot < SCHUSS_MAX_STATES or not all([made >> slot & 1 for made in self.states_made]):
            raise ValueError(f"slot is {slot}, expected one that all params have a state in")
        first = &of_groups[0]
        self.enter()
        try:
            state = let_others_run(self.elements)
            schuss_move_params(&self.c_step, slot, first)
            come_back(state)
            for i in range(self.c_step.n_groups):
                self.c_step.memories[i].resting = resting
        finally:
            self.busy = False

    cdef int ready(self) except -1:
        if self.c_step.memories[0].resting:
            raise RuntimeError("the optimizer is in eval mode, its parameters at their average: call its train() "
                               "before a step")
        return 0

    cdef int enter(self) except -1:
        if self.busy:
            raise RuntimeError("this optimizer is in a step: another thread's, or the one this loss is called from")
        self.busy = True
        return 0

    cdef int take_groups(self, list groups) except -1:
        cdef int i
        cdef Py_ssize_t place
        cdef dict group
        cdef list read
        if len(groups) != self.c_step.n_groups:
            raise ValueError(f"groups has {len(groups)} entries, expected {self.c_step.n_groups}")
        for i in range(self.c_step.n_groups):
            group, read = groups[i], self.groups_read[i]
            place = changed_since(group, read)
            if place >= 0 and read[place - 1] == "lr" and never_changes(group["lr"]):
                self.numbers[i].lr = within("lr", group["lr"], "[0, inf)")
                read[place] = group["lr"]
            elif place != -1:
                self.groups_read[i] = None
                self.read_group(group, i)
                self.groups_read[i] = as_read(group)
                self.c_step.groups[i] = self.numbers[i]
            # each time: a schedule of a fit writes here,
            self.c_step.groups[i].lr = self.numbers[i].lr * self.numbers[i].lr_factor
            self.c_step.groups[i].penalty1 = self.c_step.groups[i].penalty2 = 0  # and a penalty here
        if self.sums is None:
            self.sums = np.empty(schuss_step_sums(&self.c_step))
            self.c_step.sums = <double *><uintptr_t>self.sums.ctypes.data
        if self.scratch is None or (self.c_step.scratch != NULL and (
                self.level != schuss_isa_level() or self.c_step.threads != schuss_get_num_threads())):
            self.take_scratch()
        return 0

    cdef int take_scratch(self) except -1:
        """Room for rules that work on whole arrays, on as many threads as may come."""
        cdef ptrdiff_t size
        self.scratch, self.c_step.scratch = None, NULL
        self.level = schuss_isa_level()
        size = schuss_step_scratch(&self.c_step, schuss_get_num_threads())
        self.scratch = aligned_bytes(size)
        if size > 0:
            self.c_step.scratch = <char *><uintptr_t>self.scratch.ctypes.data
        return 0

    cdef int read_group(self, dict group, int i) except -1:
        cdef schuss_group *g = &self.numbers[i]
        cdef schuss_segment *segment
        cdef Py_ssize_t k
        self.scratch = None
        fill_group(group, g, 2.0**-126 if self.c_step.dtype == SCHUSS_F32 else 2.0**-1022)
        if schuss_rule_states(g) & ~<int>self.states_made[i]:
            raise ValueError(
                f"param_groups[{i}] now asks for a state that this optimizer was made without "
                "(momentum, centered or amsgrad was switched on): make a new optimizer with it"
            )
        for k in range(self.c_step.n_segments if g.rule == RULE_NUMBERS["soap"] else 0):
            segment = &self.c_step.segments[k]
            if segment.group == i and schuss_state_squares(g, segment) != (
                    self.states[k][2].size if len(self.states[k]) > 2 else 0):
                raise ValueError(
                    f"param_groups[{i}] now asks for other preconditioners than this optimizer was made with "
                    "(max_precond_dim, merge_dims or precondition_1d was changed): make a new optimizer with it"
                )
        return 0

    cdef int take_stages(self, double grad_scale, double clip_value, double clip_norm, bint check_first,
                         bint zero_grad) except -1:
        if not isfinite(grad_scale):
            out_of_range("grad_scale", grad_scale, "a finite number")
        if 0 < clip_value < DBL_MIN:
            out_of_range("clip_value", clip_value, f"at least {DBL_MIN!r}: denormals count as zero")
        if 0 < clip_norm < DBL_MIN:
            out_of_range("clip_norm", clip_norm, f"at least {DBL_MIN!r}: denormals count as zero")
        self.c_step.grad_scale = grad_scale
        self.c_step.clip_value = clip_value
        self.c_step.clip_norm = clip_norm
        self.c_step.check_first = check_first
        self.c_step.zero_grad = zero_grad
        return 0

    cdef int take_grads(self, list grads, bint writable) except -1:
        """Points the segments at the gradients. Those that have to be copied are replaced in grads by their copies."""
        cdef Py_ssize_t i, n = self.c_step.n_segments, first = n
        cdef int flags = ARRAY_C_CONTIGUOUS | ARRAY_ALIGNED, mask = flags
        cdef const PyObject *dtype = <PyObject *>(FLOAT32 if self.c_step.dtype == SCHUSS_F32 else FLOAT64)
        cdef void *data
        if writable:
            flags, mask = flags | ARRAY_WRITEABLE, mask | ARRAY_WRITEABLE | ARRAY_WARN_ON_WRITE
        if len(grads) != n:
            raise ValueError(f"grads has {len(grads)} arrays, expected {n}, one for each parameter")
        for i in range(n):
            self.whole(i)
            data = NULL
            if layout_known:
                data = array_data(PyList_GET_ITEM(grads, i), &self.wants[i], dtype, flags, mask)
            if data == NULL:
                data = self.take_grad(grads, i, writable)
            if data != self.wants[i].clear and i < first:
                first = i
            self.c_step.segments[i].g = data
        for i in range(first, n):
            if self.c_step.segments[i].g != self.wants[i].clear:
                self.check_grad(i, self.c_step.segments[i].g)
        return 0

    cdef void *take_grad(self, list grads, Py_ssize_t i, bint writable) except? NULL:
        """The data of a gradient that is not seen to fit at once."""
        cdef void *data
        g = grads[i]
        if isinstance(g, rows_class):
            grads[i] = held = self.take_rows(g, i)
            return start_of(held[0])
        if type(g) is not ndarray:
            if not writable:
                data = lent_data(g, &self.wants[i], self.c_step.dtype)
                if data != NULL:
                    return data
            grads[i] = g = memory_of(self.grad_name(i), g)
        data = self.through_buffer(g, &self.views[i], writable)
        if data == NULL:
            grads[i] = g = usable_gradient(g, self.grad_name(i), self.params[i], writable)
            data = <void *><uintptr_t>g.ctypes.data
        return data

    cdef int check_grad(self, Py_ssize_t i, const void *data) except -1:
        """ValueError if the gradient, which lies here, shares memory with what a step writes."""
        cdef Py_ssize_t size = self.c_step.segments[i].n * self.views[i].itemsize
        if self.overlaps_params(data, size):
            raise ValueError(f"{self.grad_name(i)} shares memory with a parameter, expected an array of its own")
        if self.overlaps_states(<uintptr_t>data, size):
            raise ValueError(f"{self.grad_name(i)} shares memory with a state of this optimizer, expected an array of its own")
        self.wants[i].clear = data if self.c_step.segments[i].index == NULL else NULL
        return 0

    cdef void whole(self, Py_ssize_t i) noexcept:
        """Segment i takes a gradient of the whole array (again)."""
        if self.c_step.segments[i].index != NULL:
            self.c_step.segments[i].index = NULL
            self.c_step.segments[i].n = self.views[i].len // self.views[i].itemsize
            self.c_step.segments[i].cols = self.views[i].shape[self.views[i].ndim - 1] if self.views[i].ndim > 1 else 1

    cdef tuple take_rows(self, g, Py_ssize_t i):
        """Has segment i take a gradient of some rows; returns what it points at."""
        cdef schuss_segment *segment = &self.c_step.segments[i]
        index, values = g.indices, g.values
        if not schuss_rule_by_element(self.c_step.groups[segment.group].rule) or self.averages:
            raise TypeError(f"{self.grad_name(i)} is of some rows only, expected an array: this optimizer looks at whole arrays")
        if not rows_fit(index, values, &self.wants[i], self.c_step.dtype):
            self.check_rows(index, values, i)
        segment.index = <const int64_t *>start_of(index)
        segment.n = values.size
        segment.cols = segment.n // max(1, extent(index, 0))
        return values, index

    cdef int check_rows(self, index, values, Py_ssize_t i) except -1:
        p = self.params[i]
        if p.ndim < 1 or values.shape[1:] != p.shape[1:]:
            raise ValueError(f"{self.grad_name(i)} has rows of shape {values.shape[1:]}, expected {p.shape[1:]}")
        if values.dtype != p.dtype:
            raise ValueError(f"{self.grad_name(i)} has dtype {values.dtype}, expected {p.dtype}")
        if len(index) and not (0 <= index[0] and index[-1] < p.shape[0]):  # they are sorted
            bad = index[0] if index[0] < 0 else index[-1]
            raise ValueError(f"{self.grad_name(i)} has row {bad}, expected rows in [0, {p.shape[0]})")
        return 0

    cdef void *through_buffer(self, g, const Py_buffer *p, bint writable) except? NULL:
        """The data of a gradient that fits, of whatever class; else NULL."""
        cdef Py_buffer view
        cdef void *data = NULL
        try:
            PyObject_GetBuffer(g, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (PyBUF_WRITABLE if writable else 0))
        except (BufferError, ValueError, TypeError):
            return NULL
        if (view.ndim == p.ndim and format_dtype(view.format) == self.c_step.dtype
                and same_extents(p.ndim, view.shape, p.shape)
                and <uintptr_t>view.buf % <uintptr_t>view.itemsize == 0):
            data = view.buf
        PyBuffer_Release(&view)
        return data

    cdef bint overlaps_states(self, uintptr_t start, Py_ssize_t size) noexcept:
        cdef int k
        for k in range(SCHUSS_MAX_STATES + SCHUSS_MAX_AVERAGES):
            if size > 0 and start < self.arena_end[k] and self.arena_start[k] < start + <uintptr_t>size:
                return True
        return False

    cdef bint overlaps_params(self, const void *start, Py_ssize_t size) noexcept:
        cdef Py_ssize_t low = 0, high = self.n_spans, middle
        cdef uintptr_t a = <uintptr_t>start
        # the first param that ends after the array begins: parameters and gradients of many layers often lie in turns
        while low < high:
            middle = (low + high) // 2
            if self.spans[2 * middle + 1] > a:
                high = middle
            else:
                low = middle + 1
        return size > 0 and low < self.n_spans and self.spans[2 * low] < a + <uintptr_t>size

    def plain_step(self, grads, list groups, grad_scale, clip_value, clip_norm, bint check_first, bint zero_grad,
                   bint applied):
        cdef double value_limit = limit(clip_value), norm_limit = limit(clip_norm)
        if value_limit < 0 or norm_limit < 0 or type(grad_scale) is not float or (not applied and scheduled(groups)):
            return None
        return self.run(grads, groups, grad_scale, value_limit, norm_limit, check_first, zero_grad)

    def step(self, grads, list groups, double grad_scale=1.0, double clip_value=0.0, double clip_norm=0.0,
             bint check_first=False, bint zero_grad=False):
        return self.run(grads, groups, grad_scale, clip_value, clip_norm, check_first, zero_grad)

    cdef bint run(self, grads, list groups, double grad_scale, double clip_value, double clip_norm,
                  bint check_first, bint zero_grad) except -1:
        cdef list held
        cdef int status
        cdef PyThreadState *state
        if type(grads) is ndarray:
            grads = (grads,)
        elif type(grads) is not list and type(grads) is not tuple and not hasattr(grads, "__len__"):
            raise TypeError(f"grads is {type(grads).__name__}, expected an array or a sequence of arrays")
        held = list(grads)  # keeps each gradient alive until the step is made, whatever `grads` does
        self.enter()
        try:
            self.ready()
            self.take_groups(groups)
            self.take_stages(grad_scale, clip_value, clip_norm, check_first, zero_grad)
            self.take_grads(held, zero_grad)
            state = let_others_run(self.elements)
            status = schuss_optimizer_step(&self.c_step)
            come_back(state)
            if status == SCHUSS_OK:
                self.c_step.t += 1
        finally:
            self.busy = False
        return status == SCHUSS_OK

    def norm(self, grads):
        cdef list held = list((grads,) if type(grads) is ndarray else grads)
        cdef PyThreadState *state
        self.enter()
        try:
            self.take_stages(1, 0, 1, False, False)
            self.take_grads(held, False)
            state = let_others_run(self.elements)
            schuss_gradient_norm(&self.c_step)
            come_back(state)
            return self.c_step.grad_norm
        finally:
            self.busy = False

    cdef int point_at(self, Net net) except -1:
        """Points the segments at the network's gradients of the same parameters."""
        cdef Py_ssize_t i
        for i in range(self.n_views):
            self.whole(i)
        if self.net_known is not net:
            self.look_at(net)
        for i in range(self.n_views):
            self.c_step.segments[i].g = <char *>net.c_net.grads + (<char *>self.c_step.segments[i].p
                                                                   - <char *>net.c_net.params)
        return 0

    cdef int look_at(self, Net net) except -1:
        """TypeError or ValueError unless all params are whole arrays of the network."""
        cdef dict sizes = {array.ctypes.data: array.size for array in net.parameters}
        cdef Py_ssize_t i
        for i in range(self.n_views):
            self.whole(i)
        if self.c_step.dtype != net.c_net.dtype:
            raise TypeError("optimizer has another dtype than the network")
        for i in range(self.n_views):
            if sizes.get(<uintptr_t>self.c_step.segments[i].p) != self.c_step.segments[i].n:
                raise ValueError(f"optimizer's params[{i}] is not one of this network's parameters")
        self.net_known = net
        self.segments_known = self.segments_in(net)
        wanted = (self.segments_known >= 0).astype(np.uint8)
        self.wanted_known = None if wanted.sum() == len(net.parameters) else wanted
        return 0

    cdef object segments_in(self, Net net):
        """The segment of each of the network's arrays, -1 where this optimizer does not have it."""
        cdef dict found = {<uintptr_t>self.c_step.segments[i].p: i for i in range(self.n_views)}
        cdef uintptr_t start = <uintptr_t>net.c_net.params
        segments = np.full(net.c_net.n_arrays, -1, dtype=np.intc)
        for k in range(net.c_net.n_arrays):
            if net.c_net.arrays[k].stepped:
                segments[k] = found.get(start + <uintptr_t>(net.c_net.arrays[k].at * net.item), -1)
        return segments


# ---- L-BFGS ----------------------------------------------------------------------------------------------------

cdef enum:
    GRADIENTS = 4  # vectors that a line search may hold: its start, both ends, the new one

cdef class Lbfgs:
    cdef Stepper stepper           # checks params and gradients, and holds their segments
    cdef schuss_lbfgs c
    cdef list steps, changes       # s and y by place
    cdef list gradients            # None: not needed so far
    cdef object direction_vector, start_vector, numbers, pointers, dtype
    cdef Py_ssize_t padded
    cdef readonly int before       # which gradient the last direction was of; -1: none
    cdef double t
    cdef readonly int64_t iterations
    cdef readonly double moved     # t of the last move
    cdef bint away

    def __cinit__(self, list params, int history_size, form=None):
        self.stepper = Stepper(params, [0] * len(params), [0] * len(params), form)
        self.dtype = params[0].dtype
        self.c.dtype = self.stepper.c_step.dtype
        self.c.n_segments = self.stepper.c_step.n_segments
        self.c.segments = self.stepper.c_step.segments
        self.c.n = sum([p.size for p in params])
        self.padded = (self.c.n + 15) // 16 * 16
        self.c.most = history_size
        self.c.scale = 1
        self.steps, self.changes, self.gradients = [], [], [None] * GRADIENTS
        self.direction_vector = aligned_zeros(self.padded, self.dtype)
        self.start_vector = self.new_vector()
        self.c.d = <void *><uintptr_t>self.direction_vector.ctypes.data
        self.c.x = <void *><uintptr_t>self.start_vector.ctypes.data
        self.before = -1
        self.make_room()

    def __reduce__(self):
        raise TypeError("an Lbfgs is rebuilt by its optimizer, not pickled")

    cdef object new_vector(self):
        """Padded with zeros. The first to touch its pages are the threads that work on them."""
        cdef Py_ssize_t item = self.dtype.itemsize
        vector = aligned_bytes(self.padded * item).view(self.dtype)
        vector[self.c.n:] = 0
        return vector

    cdef int make_room(self) except -1:
        """Memory for the pair that may be next."""
        cdef Py_ssize_t free = self.c.count, room  # while there is not all room, places are used in order
        if len(self.steps) > self.c.count:
            return 0
        if free == self.c.room:
            room = min(max(2 * self.c.room, 8), self.c.most + 1)
            numbers = np.zeros(schuss_lbfgs_numbers(room))
            pointers = np.zeros(4 * room, np.uintp)
            pointers[:free] = [vector.ctypes.data for vector in self.steps]
            pointers[room : room + free] = [vector.ctypes.data for vector in self.changes]
            self.c.s = <void **><uintptr_t>pointers.ctypes.data
            self.c.y = self.c.s + room
            self.c.vectors = <const void **>(self.c.y + room)
            schuss_lbfgs_grow(&self.c, room, <double *><uintptr_t>numbers.ctypes.data)
            self.numbers, self.pointers = numbers, pointers
        step, change = self.new_vector(), self.new_vector()
        self.steps.append(step)
        self.changes.append(change)
        self.c.s[free] = <void *><uintptr_t>step.ctypes.data
        self.c.y[free] = <void *><uintptr_t>change.ctypes.data
        return 0

    cdef void *gradient_vector(self, int which) except NULL:
        if self.gradients[which] is None:
            self.gradients[which] = self.new_vector()
        return <void *><uintptr_t>self.gradients[which].ctypes.data

    @property
    def history_size(self):
        return self.c.most

    def within(self, call):
        self.stepper.enter()
        try:
            return call()
        finally:
            self.restore()
            self.stepper.busy = False

    def take(self, grads, int which):
        cdef schuss_lbfgs_look look
        cdef PyThreadState *state
        cdef void *g = self.gradient_vector(which)
        cdef list held = list((grads,) if type(grads) is ndarray else grads)
        self.stepper.take_grads(held, False)
        state = let_others_run(3 * self.c.n)
        schuss_lbfgs_gather(&self.c, g, &look)
        come_back(state)
        return not look.nonfinite, look.slope, look.total, look.largest

    def direction(self, int which):
        cdef PyThreadState *state
        cdef const void *g = self.gradient_vector(which)
        cdef const void *before = self.gradient_vector(self.before) if self.before >= 0 and self.iterations else NULL
        self.make_room()
        state = let_others_run((2.0 * self.c.count + 4) * self.c.n)
        schuss_lbfgs_direction(&self.c, g, before, self.t)
        come_back(state)
        self.before = which
        self.t = 0
        return self.c.slope, self.c.largest

    def move(self, double t):
        cdef bint keep = not self.away
        self.away = True
        self.moved = t
        cdef PyThreadState *state = let_others_run(3 * self.c.n)
        cdef int nonfinite = schuss_lbfgs_move(&self.c, t, keep)
        come_back(state)
        return not nonfinite

    def stay(self, double t):
        self.away = False
        self.t = t
        self.iterations += 1

    def restore(self):
        cdef PyThreadState *state
        if self.away:
            state = let_others_run(2 * self.c.n)
            schuss_lbfgs_restore(&self.c)
            come_back(state)
            self.away = False

    @property
    def state(self):
        cdef int age, place
        cdef list steps = [], changes = [], rho = []
        for age in range(self.c.count):
            place = (self.c.first + age) % (self.c.most + 1)
            steps.append(self.steps[place][: self.c.n])
            changes.append(self.changes[place][: self.c.n])
            rho.append(schuss_lbfgs_rho(&self.c, age))
        before = None if self.before < 0 else self.gradients[self.before][: self.c.n]
        return steps, changes, rho, self.c.scale, self.direction_vector[: self.c.n], before, self.t

    def load(self, steps, changes, rho, double scale, direction, before, double t, int64_t iterations):
        cdef PyThreadState *state
        cdef double of_pair
        for step, change, of_pair in zip(steps, changes, rho):
            self.make_room()
            self.steps[self.c.count][: self.c.n] = step
            self.changes[self.c.count][: self.c.n] = change
            state = let_others_run((2.0 * self.c.count + 4) * self.c.n)
            schuss_lbfgs_append(&self.c, of_pair)
            come_back(state)
        self.c.scale = scale
        self.direction_vector[: self.c.n] = direction
        self.gradient_vector(0)
        self.gradients[0][: self.c.n] = before
        self.before, self.t, self.iterations = 0, t, iterations


cdef check_target(p, str name):
    """TypeError or ValueError unless p can be updated in place."""
    if not isinstance(p, np.ndarray):
        raise TypeError(f"{name} is {type(p).__name__}, expected numpy.ndarray")
    if p.dtype != np.float32 and p.dtype != np.float64 or not p.dtype.isnative:
        raise TypeError(f"{name} has dtype {p.dtype.str}, expected native float32 or float64")
    for flag, what in (("writeable", "read-only"), ("c_contiguous", "not C-contiguous"), ("aligned", "misaligned")):
        if not getattr(p.flags, flag):
            raise ValueError(f"{name} is {what}, expected a {flag.replace('_', '-')} array: it is updated in place")


cdef usable_gradient(g, str name, p, bint writable):
    """g as a contiguous native array like p, copied if need be."""
    if not isinstance(g, np.ndarray):
        raise TypeError(f"{name} is {type(g).__name__}, expected numpy.ndarray")
    if g.shape != p.shape:
        raise ValueError(f"{name} has shape {g.shape}, expected {p.shape}")
    if g.dtype.newbyteorder("=") != p.dtype:
        raise ValueError(f"{name} has dtype {g.dtype}, expected {p.dtype}")
    if writable:
        raise ValueError(f"{name} is read-only, not C-contiguous, misaligned or not native, expected an array that can "
                         "be zeroed in place: zero_grad=True")
    return np.require(g, dtype=p.dtype, requirements=["C", "A"])


cdef Py_ssize_t place_like(Py_ssize_t free, const void *array, Py_ssize_t item) noexcept:
    """The first element of an arena, from `free` on, that is as far from a multiple of 16 elements as the array is."""
    return free + (<Py_ssize_t>(<uintptr_t>array // item % 16) - free % 16 + 16) % 16


cdef Py_ssize_t padded(shape) except -1:
    """Elements that an array of this shape takes in an arena."""
    cdef Py_ssize_t n = 1
    if shape is None:
        return 0
    for size in shape:
        n *= size
    return (n + 15) // 16 * 16


cdef object rows_class = (), memory_of = None


def learn_gradients(rows, source):
    global rows_class, memory_of
    rows_class, memory_of = rows, source


def learn_losses(kind, specs):
    global loss_class
    loss_class = kind
    LOSS_SPECS.update(specs)


# ---- networks --------------------------------------------------------------------------------------------------

cdef class Plan:
    """Buffers for one network, a largest number of rows, a number of threads and an ISA level."""
    cdef schuss_plan *c_plan
    cdef object program, memory, wanted
    cdef Py_ssize_t rows
    cdef int threads, level

    def __cinit__(self, Net net, Py_ssize_t rows, int passes, wanted=None):
        cdef const unsigned char[::1] asked
        cdef const unsigned char *first = NULL
        self.threads = schuss_get_num_threads()
        self.level = require_isa()
        self.rows = rows
        self.wanted = wanted
        if wanted is not None:
            asked = wanted
            first = &asked[0]
        cdef ptrdiff_t size = schuss_plan_bytes(&net.c_net, passes, self.threads)
        self.program = aligned_zeros(size, BYTES)
        self.c_plan = schuss_plan_draw(<void *><uintptr_t>self.program.ctypes.data, &net.c_net, rows, passes, self.threads,
                                       first)
        size = schuss_plan_room(self.c_plan)
        if size < 0:
            raise OverflowError(f"buffers for {rows} rows exceed the address space")
        self.memory = aligned_bytes(size)
        schuss_plan_lay(self.c_plan, <void *><uintptr_t>self.memory.ctypes.data)

    cdef bint serves(self, Py_ssize_t rows, wanted) noexcept:
        return (rows <= self.rows and schuss_get_num_threads() <= self.threads and schuss_isa_level() == self.level
                and wanted is self.wanted)


cdef dict KIND_NUMBERS = {}
cdef list KIND_SIZES = [], KIND_NUMBER_NAMES = []


cdef int learn_kinds() except -1:
    """Names of the kinds of layers, and of their sizes and numbers, from the core."""
    cdef int kind = 0
    require_isa()
    while schuss_kind_name(kind) != NULL:
        KIND_NUMBERS[schuss_kind_name(kind).decode()] = kind
        KIND_SIZES.append(schuss_kind_sizes(kind).decode().split())
        KIND_NUMBER_NAMES.append(schuss_kind_numbers(kind).decode().split())
        kind += 1
    return 0


class Misfit(ValueError):
    """A node does not fit those before it."""

    def __init__(self, node, what):
        super().__init__(f"node {node} does not fit in its {what}")
        self.node, self.what = node, what


cdef class Net:
    cdef readonly object flat_parameters, flat_gradients, flat_states, dtype
    cdef readonly list parameters, gradients, states
    cdef readonly list names, state_names     # (node, name) of each
    cdef readonly Py_ssize_t n_in, n_out      # n_in: of a network with one input of numbers, else -1
    cdef public uint64_t draws
    cdef public list input_names              # what messages call the inputs
    cdef schuss_net c_net
    cdef list input_lists                     # the numbers of each node's inputs
    cdef schuss_feed *feeds
    cdef list code_limits                     # for each input of codes, the length of the shortest table they are for
    cdef Py_ssize_t item, arena_size
    cdef Py_ssize_t slab, slabs_a_look  # rows that go through the layers together; slabs between looks at signals
    cdef Plan training, part_training, inference
    cdef object partial        # room for the losses' partial sums
    cdef Py_ssize_t n_partial
    cdef double *partial_room
    cdef object loss_read      # the loss that c_loss was read from
    cdef object loss_numbers   # its numbers, if each output has its own
    cdef schuss_loss c_loss
    cdef object forward_x      # the inputs of a forward pass that backward() may follow
    cdef bint busy

    def __cinit__(self, nodes, dtype, uint64_t seed, bint bare=False):
        if not KIND_NUMBERS:
            learn_kinds()
        cdef Py_ssize_t i, k, n = len(nodes), total, widest = 1
        cdef int wrong = 0
        cdef const char *what = NULL
        cdef schuss_array *array
        self.dtype = np.dtype(dtype)
        self.c_net.dtype = dtype_of(self.dtype)
        self.item = self.dtype.itemsize
        self.c_net.n_nodes = n
        self.c_net.seed = seed
        self.input_lists = []
        self.c_net.nodes = <schuss_node *>PyMem_Calloc(n + 1, sizeof(schuss_node))
        self.c_net.arrays = <schuss_array *>PyMem_Calloc(n * SCHUSS_NODE_ARRAYS + 1, sizeof(schuss_array))
        self.feeds = <schuss_feed *>PyMem_Calloc(SCHUSS_MAX_INPUTS, sizeof(schuss_feed))
        if not (self.c_net.nodes and self.c_net.arrays and self.feeds):
            raise MemoryError()
        for i in range(n):
            self.take_node(i, nodes[i])
        if n < 1 or self.c_net.nodes[n - 1].n_inputs == 0 or not 1 <= self.c_net.n_inputs <= SCHUSS_MAX_INPUTS:
            raise ValueError(f"nodes are {n} with {self.c_net.n_inputs} inputs, expected 1 to {SCHUSS_MAX_INPUTS} inputs, "
                             "which come first, and a layer")
        total = schuss_net_shape(&self.c_net, &wrong, &what)
        if what != NULL:
            raise Misfit(wrong, what.decode())
        if total < 0:
            sizes = ", ".join([" x ".join([str(size) for size in node[2].values()]) for node in nodes[:4]])
            raise OverflowError(f"layers of {sizes}{', ...' if n > 4 else ''} exceed the address space")
        if bare:  # the shapes are all that is asked for
            return
        for i in range(self.c_net.n_inputs, n):
            widest = max(widest, self.c_net.nodes[i].channels)
        self.n_out = self.c_net.nodes[n - 1].channels
        self.n_in = -1
        if self.c_net.n_inputs == 1 and self.c_net.nodes[0].storage == SCHUSS_REAL:
            self.n_in = self.c_net.nodes[0].channels
        self.input_names = [f"inputs[{k}]" for k in range(self.c_net.n_inputs)] if self.c_net.n_inputs > 1 else ["x"]
        self.code_limits = [None] * self.c_net.n_inputs
        for i in range(n):
            if self.c_net.nodes[i].kind == KIND_NUMBERS["embedding"]:
                k = self.c_net.nodes[i].inputs[0]
                limit = self.code_limits[k]
                self.code_limits[k] = min(self.c_net.nodes[i].sizes[0], sys.maxsize if limit is None else limit)
        self.arena_size = total
        # independent of the threads, so that sums over slabs are too
        self.slab = max(64, min(4096, (1 << 20) // (widest * self.item) // 64 * 64))
        self.slabs_a_look = max(1, <Py_ssize_t>(5e8 / (<double>total * self.slab + 1)))
        self.flat_parameters = aligned_zeros(total, self.dtype)
        self.flat_gradients = aligned_zeros(total, self.dtype)
        self.c_net.params = <void *><uintptr_t>self.flat_parameters.ctypes.data
        self.c_net.grads = <void *><uintptr_t>self.flat_gradients.ctypes.data
        self.parameters, self.gradients, self.states, self.names, self.state_names = [], [], [], [], []
        cdef Py_ssize_t states_at = total
        for k in range(self.c_net.n_arrays):
            array = &self.c_net.arrays[k]
            shape = self.shape_of(k)
            values = view_of(self.flat_parameters, array.at, shape)
            if array.stepped:
                self.parameters.append(values)
                self.gradients.append(view_of(self.flat_gradients, array.at, shape))
                self.names.append((array.node, array.name.decode()))
            else:
                self.states.append(values)
                self.state_names.append((array.node, array.name.decode()))
                states_at = min(states_at, array.at)
        self.flat_states = self.flat_parameters[states_at:]

    cdef tuple shape_of(self, Py_ssize_t k):
        """The shape of an array."""
        return tuple([self.c_net.arrays[k].rows, self.c_net.arrays[k].cols][: self.c_net.arrays[k].ndim])

    cdef list shapes_where(self, bint stepped):
        return [self.shape_of(k) for k in range(self.c_net.n_arrays) if bool(self.c_net.arrays[k].stepped) == stepped]

    cdef int take_node(self, Py_ssize_t i, given) except -1:
        """Reads one node: kind, inputs, sizes and numbers by name, activation, alpha, dropout, residual, stream."""
        cdef schuss_node *node = &self.c_net.nodes[i]
        cdef int[::1] numbers
        kind, inputs, sizes, values, activation, alpha, dropout, residual, stream = given
        numbers = np.array([*inputs, 0], np.intc)
        self.input_lists.append(numbers)
        node.kind = KIND_NUMBERS[kind]
        node.n_inputs = len(inputs)
        node.inputs = &numbers[0]
        if kind != "input" and not inputs or kind == "input" and (inputs or i != self.c_net.n_inputs):
            raise ValueError(f"nodes[{i}] is {kind} of {len(inputs)} inputs, expected inputs first, and one for other layers")
        if len(inputs) > 1 and kind != "concatenate" or not all([0 <= k < i for k in (*inputs, max(residual, 0))]) and inputs:
            raise ValueError(f"nodes[{i}] has the inputs {inputs}, expected one before it")
        if kind == "input":
            self.c_net.n_inputs += 1
        for k, name in enumerate(KIND_SIZES[node.kind]):
            node.sizes[k] = sizes[name]
        for k, name in enumerate(KIND_NUMBER_NAMES[node.kind]):
            node.numbers[k] = values[name]
        if not 0 <= dropout < 1 or (activation == "softmax" and (i < self.c_net.n_nodes - 1 or dropout > 0 or residual >= 0)):
            raise ValueError(f"nodes[{i}] has dropout {dropout} and {activation}, expected dropout in [0, 1), and "
                             "softmax at the end only and without dropout")
        node.activation = ACTIVATION_NUMBERS[activation]
        node.alpha, node.dropout, node.residual, node.stream = alpha, dropout, residual, stream
        return 0

    def __dealloc__(self):
        PyMem_Free(self.c_net.nodes)
        PyMem_Free(self.c_net.arrays)
        PyMem_Free(self.feeds)

    def __reduce__(self):
        raise TypeError("a Net is rebuilt by its Network, not pickled")

    @property
    def seed(self):
        return self.c_net.seed

    @seed.setter
    def seed(self, uint64_t seed):
        self.c_net.seed = seed

    cdef int enter(self) except -1:
        if self.busy:
            raise RuntimeError("this network is in use: by another thread, or by the loss function that this is called from")
        self.busy = True
        return 0

    cdef double work(self, Py_ssize_t rows) noexcept:
        """Multiply-adds of a pass."""
        return <double>self.arena_size * rows

    cdef Plan plan_for(self, Py_ssize_t rows, bint backward, wanted=None):
        cdef Plan plan = self.inference if not backward else self.training if wanted is None else self.part_training
        if plan is None or not plan.serves(rows, wanted):
            # the old one goes first: two do not fit where one is large
            if not backward:
                self.inference = plan = None
                self.inference = plan = Plan(self, rows, SCHUSS_FORWARD_ONLY)
            elif wanted is None:
                self.training = plan = None
                self.training = plan = Plan(self, rows, SCHUSS_BACKWARD)
            else:
                self.part_training = plan = None
                self.part_training = plan = Plan(self, rows, SCHUSS_BACKWARD, wanted)
        return plan

    cdef Py_ssize_t rows_in(self, x) except -1:
        return extent(x[0] if type(x) is tuple else x, 0)

    cdef int take_inputs(self, x, Py_ssize_t rows, schuss_input *inputs) except -1:
        """Points at x, an array, or a tuple of them where there are several inputs. The caller holds it."""
        cdef Py_ssize_t k
        if self.n_in >= 0:
            inputs[0].x = address_of(x, "x", self.c_net.dtype, 2, rows, self.n_in, False)
            inputs[0].compressed, inputs[0].order = NULL, NULL
            return 0
        arrays = x if type(x) is tuple else (x,)
        if len(arrays) != self.c_net.n_inputs:
            raise ValueError(f"x has {len(arrays)} arrays, expected {self.c_net.n_inputs}, one for each input")
        for k in range(self.c_net.n_inputs):
            if self.c_net.nodes[k].storage == SCHUSS_INDEX:
                inputs[k].x = self.codes_of(arrays[k], k, rows)
            else:
                inputs[k].x = address_of(arrays[k], self.input_names[k], self.c_net.dtype, 2, rows,
                                         self.c_net.nodes[k].channels, False)
            inputs[k].compressed, inputs[k].order = NULL, NULL
        return 0

    def check_inputs(self, x):
        cdef schuss_input inputs[SCHUSS_MAX_INPUTS]
        self.take_inputs(x, self.rows_in(x), inputs)

    cdef const int64_t *codes_of(self, array, Py_ssize_t k, Py_ssize_t rows) except NULL:
        """The data of int64 codes (rows, channels), each of which names a row of every table that it is for."""
        cdef Py_ssize_t channels = self.c_net.nodes[k].channels, bad
        cdef const int64_t *codes
        cdef Py_buffer view
        limit = self.code_limits[k]
        name = self.input_names[k]
        PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
        try:
            if not is_int64(&view) or <uintptr_t>view.buf % 8:
                raise TypeError(f"{name} has dtype {array.dtype}, expected int64 codes, aligned")
            if view.ndim != 2 or view.shape[0] != rows or view.shape[1] != channels:
                raise ValueError(f"{name} has shape {tuple(array.shape)}, expected {(rows, channels)}")
            codes = <const int64_t *>view.buf
        finally:
            PyBuffer_Release(&view)
        bad = first_outside(codes, rows * channels, sys.maxsize if limit is None else limit)
        if bad >= 0:
            raise ValueError(f"{name}[{bad // channels}, {bad % channels}] is {codes[bad]}, expected a code in [0, {limit})")
        return codes

    cdef double *partial_for(self, Py_ssize_t rows) except NULL:
        cdef Py_ssize_t n = schuss_loss_partials(rows)
        if self.n_partial < n:
            self.n_partial = 0
            self.partial = np.empty(n)
            self.partial_room = <double *><uintptr_t>self.partial.ctypes.data
            self.n_partial = n
        return self.partial_room

    cpdef bint takes_inputs(self, x) noexcept:
        return (self.n_in >= 0 and plain_data(x, self.c_net.dtype, 2, -1, self.n_in, False) != NULL
                and (<schuss_ndarray *>x).dimensions[0] > 0)

    cpdef bint takes_targets(self, y, Py_ssize_t rows, loss) except -1:
        cdef const schuss_ndarray *labels
        cdef const void *target
        if not self.read_loss(loss):
            return False
        if takes_labels(self.c_loss.kind):
            labels = plain_labels(y)
            return labels != NULL and labels.dimensions[0] == rows and self.n_out > 1
        cdef Py_ssize_t cols = schuss_loss_targets(self.c_loss.kind, self.n_out)
        target = plain_data(y, self.c_net.dtype, 2, rows, cols, False)
        return target != NULL and in_range(self.c_loss.kind, self.c_net.dtype, target, rows * cols)

    cdef bint takes(self, x, y, weights, loss) except -1:
        cdef const double *w
        cdef Py_ssize_t rows
        if not self.takes_inputs(x):
            return False
        rows = (<schuss_ndarray *>x).dimensions[0]
        if weights is not None:
            w = <const double *>plain_data(weights, SCHUSS_F64, 1, rows, -1, False)
            if w == NULL or not all_within[double](w, rows, DBL_MAX):
                return False
        return self.takes_targets(y, rows, loss)

    cdef bint read_loss(self, loss) except -1:
        """Whether loss is a compiled one, as (name, number) or as in learn_losses(). c_loss is then this one."""
        if loss is self.loss_read:
            return True
        spec = LOSS_SPECS.get(loss) if type(loss) is str else loss.spec if isinstance(loss, loss_class) else loss
        if type(spec) is not tuple:
            return False
        self.loss_read = None
        name, parameter = spec[:2]
        memset(&self.c_loss, 0, sizeof(schuss_loss))
        self.c_loss.kind = LOSS_NUMBERS[name]
        if len(spec) > 2:
            self.c_loss.dialect = DIALECTS[spec[2]]
        if type(parameter) is tuple:
            if len(parameter) != self.n_out:
                raise ValueError(f"loss {name} has {len(parameter)} numbers, expected {self.n_out}, one for each output")
            self.loss_numbers = np.array(parameter, self.dtype)
            self.c_loss.parameters = <const void *><uintptr_t>self.loss_numbers.ctypes.data
        else:
            self.c_loss.parameter = parameter
        self.loss_read = loss
        return True

    def forward(self, x, bint training):
        cdef Py_ssize_t rows = self.rows_in(x)
        cdef schuss_input inputs[SCHUSS_MAX_INPUTS]
        cdef Plan plan
        cdef void *out
        if not training:
            return self.predict(x, None)
        self.take_inputs(x, rows, inputs)
        result = np.empty((rows, self.n_out), dtype=self.dtype)
        self.enter()
        try:
            self.forward_x = None
            plan = self.plan_for(rows, True)
            with nogil:
                out = schuss_forward(plan.c_plan, inputs, rows, 0, self.draws, NULL)
            self.draws += 1
            memcpy(address_of(result, "result", self.c_net.dtype, 2, rows, self.n_out, True), out,
                   rows * self.n_out * self.item)
            # the caller may use x again before backward()
            self.forward_x = tuple([array.copy() for array in x]) if type(x) is tuple else x.copy()
        finally:
            self.busy = False
        return result

    def backward(self, dout, bint want_dx):
        if self.forward_x is None:
            raise RuntimeError("backward() needs a forward(x, training=True) before it")
        x = self.forward_x
        cdef Py_ssize_t rows = self.rows_in(x)
        cdef schuss_input inputs[SCHUSS_MAX_INPUTS]
        cdef void *wanted[SCHUSS_MAX_INPUTS]
        cdef const void *given = address_of(dout, "dout", self.c_net.dtype, 2, rows, self.n_out, False)
        cdef Plan plan = self.training
        cdef Py_ssize_t k, channels
        cdef list dx = []
        self.take_inputs(x, rows, inputs)
        for k in range(self.c_net.n_inputs if want_dx else 0):
            channels = self.c_net.nodes[k].channels
            dx.append(None)
            wanted[k] = NULL
            if self.c_net.nodes[k].storage == SCHUSS_REAL:
                dx[k] = np.zeros((rows, channels), dtype=self.dtype)
                wanted[k] = address_of(dx[k], "dx", self.c_net.dtype, 2, rows, channels, True)
        self.enter()
        try:
            memcpy(schuss_plan_dout(plan.c_plan), given, rows * self.n_out * self.item)
            with nogil:
                schuss_backward(plan.c_plan, inputs, rows, 0, wanted if want_dx else NULL)
        finally:
            self.busy = False
        if not want_dx:
            return None
        return tuple(dx) if len(dx) > 1 else dx[0]

    def plain_predict(self, x, out):
        cdef const schuss_ndarray *a = plain(x)
        cdef int ndim
        if a == NULL or a.nd < 1 or a.nd > 2 or a.dimensions[0] < 1 or self.n_in < 0:
            return None
        ndim = a.nd
        if (plain_data(x, self.c_net.dtype, ndim, -1, -1, False) == NULL or a.dimensions[ndim - 1] != self.n_in
                or out is not None and plain_data(out, self.c_net.dtype, ndim, -1, -1, True) == NULL):
            return None
        return self.predict_into(x, out, ndim, a.dimensions[0] if ndim == 2 else 1)

    cpdef bint takes_finite(self, x) noexcept:
        cdef const schuss_ndarray *a = <schuss_ndarray *>x
        return self.takes_inputs(x) and not schuss_kernels(self.c_net.dtype).any_nonfinite(
            a.dimensions[0] * a.dimensions[1], a.data)

    def predict_finite(self, x):
        if not self.takes_finite(x):
            return None
        return self.predict_into(x, None, 2, (<schuss_ndarray *>x).dimensions[0])

    def predict(self, x, out):
        cdef int ndim = 1 if type(x) is not tuple and x.ndim == 1 else 2
        return self.predict_into(x, out, ndim, self.rows_in(x) if ndim == 2 else 1)

    cdef object predict_into(self, x, out, int ndim, Py_ssize_t rows):
        """x and out are (rows, n_in) and (rows, n_out), or with ndim 1 (n_in,) and (n_out,)."""
        cdef Py_ssize_t slab = self.slab, done = 0, stop, n, k, item = self.item, n_in = self.n_in, n_out = self.n_out
        cdef Py_ssize_t first = n_in if ndim == 1 else rows
        cdef schuss_input inputs[SCHUSS_MAX_INPUTS]
        if ndim == 1:
            inputs[0].x = address_of(x, "x", self.c_net.dtype, 1, first, -1, False)
            inputs[0].compressed, inputs[0].order = NULL, NULL
        else:
            self.take_inputs(x, rows, inputs)
        if out is None:
            out = empty((n_out,), self.dtype) if ndim == 1 else empty((rows, n_out), self.dtype)
        first = n_out if ndim == 1 else rows
        cdef char *py = <char *>address_of(out, "out", self.c_net.dtype, ndim, first, n_out, True)
        for k in range(self.c_net.n_inputs):
            if (<const char *>inputs[k].x < py + rows * n_out * item
                    and py < <const char *>inputs[k].x + rows * self.row_bytes(k)):
                raise ValueError("out shares memory with X, expected an array of its own")
        cdef schuss_plan *c_plan
        cdef PyThreadState *state
        self.enter()
        try:
            c_plan = self.plan_for(min(rows, slab), False).c_plan
            while done < rows:
                stop = min(rows, done + self.slabs_a_look * slab)
                state = let_others_run(self.work(stop - done))
                while done < stop:
                    n = min(slab, stop - done)
                    schuss_forward(c_plan, inputs, n, 0, 0, py + done * n_out * item)
                    done += n
                    if done < rows:
                        self.step_on(inputs, n)
                come_back(state)
                if done < rows:
                    PyErr_CheckSignals()
        finally:
            self.busy = False
        return out

    cdef inline Py_ssize_t row_bytes(self, Py_ssize_t k) noexcept nogil:
        return self.c_net.nodes[k].channels * (
            <Py_ssize_t>sizeof(int64_t) if self.c_net.nodes[k].storage == SCHUSS_INDEX else self.item)

    cdef inline void step_on(self, schuss_input *inputs, Py_ssize_t rows) noexcept nogil:
        """To the rows after these."""
        cdef int k
        for k in range(self.c_net.n_inputs):
            inputs[k].x = <const char *>inputs[k].x + rows * self.row_bytes(k)

    def loss(self, x, y, weights, loss):
        cdef Py_ssize_t rows = self.rows_in(x), slab = self.slab, done = 0, n
        cdef schuss_input inputs[SCHUSS_MAX_INPUTS]
        self.take_inputs(x, rows, inputs)
        cdef schuss_loss c_loss
        cdef ptrdiff_t y_bytes
        cdef const char *py = <const char *>take_target(self, loss, y, rows, &c_loss, &y_bytes)
        cdef const double *pw = take_weights(weights, rows)
        cdef double total = rows if pw == NULL else sum_of(pw, rows), value = 0
        cdef int flags = self.flags_for(&c_loss)
        cdef double *partial
        cdef Plan plan
        cdef void *out
        self.enter()
        try:
            partial = self.partial_for(slab)
            plan = self.plan_for(min(rows, slab), False)
            while done < rows:
                with nogil:
                    n = min(slab, rows - done)
                    out = schuss_forward(plan.c_plan, inputs, n, flags, 0, NULL)
                    value += schuss_loss_value(self.c_net.dtype, &c_loss, n, self.n_out, out, py + done * y_bytes,
                                               pw, 1, NULL, partial)
                    self.step_on(inputs, n)
                    if pw != NULL:
                        pw += n
                    done += n
                PyErr_CheckSignals()
        finally:
            self.busy = False
        return value / total if total != 0 else 0.0

    cdef int flags_for(self, const schuss_loss *loss) noexcept:
        cdef const schuss_node *last = &self.c_net.nodes[self.c_net.n_nodes - 1]
        return SCHUSS_LOGITS if last.residual < 0 and schuss_loss_takes_logits(loss.kind, last.activation) else 0

    cdef int begin(self, schuss_train *t, x, y, weights, loss, wanted=None) except -1:
        """Fills t for one batch that is all of x."""
        cdef Py_ssize_t rows = self.rows_in(x), k
        cdef schuss_input inputs[SCHUSS_MAX_INPUTS]
        memset(t, 0, sizeof(schuss_train))
        t.net = &self.c_net
        t.rows = t.batch = rows
        self.take_inputs(x, rows, inputs)
        for k in range(self.c_net.n_inputs):
            self.feeds[k].x, self.feeds[k].row_bytes = inputs[k].x, self.row_bytes(k)
        t.feeds = self.feeds
        t.y = take_target(self, loss, y, rows, &t.loss, &t.y_row_bytes)
        t.weights = take_weights(weights, rows)
        t.partial = self.partial_for(rows)
        t.flags = self.flags_for(&t.loss)
        t.draws = self.draws
        self.forward_x = None
        t.plan = self.plan_for(rows, True, wanted).c_plan
        return 0

    def plain_loss_and_gradients(self, x, y, weights, loss):
        return self.pass_both_ways(x, y, weights, loss) if self.takes(x, y, weights, loss) else None

    def loss_and_gradients(self, x, y, weights, loss):
        return self.pass_both_ways(x, y, weights, loss)

    cdef double pass_both_ways(self, x, y, weights, loss) except? -1.5:
        cdef schuss_train t
        cdef schuss_input inputs[SCHUSS_MAX_INPUTS]
        cdef double value
        cdef PyThreadState *state
        cdef Py_ssize_t k
        self.enter()
        try:
            self.begin(&t, x, y, weights, loss)
            for k in range(self.c_net.n_inputs):
                inputs[k].x, inputs[k].compressed, inputs[k].order = self.feeds[k].x, NULL, NULL
            states = self.flat_states.copy() if self.states else None
            state = let_others_run(3 * self.work(t.rows))
            schuss_train_begin(&t)
            value = schuss_train_loss(&t)
            schuss_backward(t.plan, inputs, t.rows, t.flags, NULL)
            come_back(state)
            if isfinite(value):
                self.draws = t.draws
            elif states is not None:
                self.flat_states[...] = states
        finally:
            self.busy = False
        return value

    def plain_train_step(self, x, y, weights, loss, Stepper stepper, list groups, clip_value, clip_norm):
        cdef double value_limit = limit(clip_value), norm_limit = limit(clip_norm)
        if value_limit < 0 or norm_limit < 0 or not self.takes(x, y, weights, loss) or scheduled(groups):
            return None
        return self.step(x, y, weights, loss, stepper, groups, value_limit, norm_limit)

    def train_step(self, x, y, weights, loss, Stepper stepper, list groups, double clip_value=0.0,
                   double clip_norm=0.0):
        return self.step(x, y, weights, loss, stepper, groups, clip_value, clip_norm)

    cdef double step(self, x, y, weights, loss, Stepper stepper, list groups, double clip_value,
                     double clip_norm) except? -1.5:
        cdef schuss_train t
        cdef double value
        cdef int status
        cdef PyThreadState *state
        stepper.enter()
        try:
            self.enter()
            try:
                stepper.ready()
                stepper.take_groups(groups)
                stepper.take_stages(1, clip_value, clip_norm, True, False)
                stepper.point_at(self)
                self.begin(&t, x, y, weights, loss, stepper.wanted_known)
                t.step = &stepper.c_step
                states = self.flat_states.copy() if self.states else None
                state = let_others_run(3 * self.work(t.rows))
                status = schuss_train_run(&t, 0)
                come_back(state)
                value = t.last_loss
                if status != SCHUSS_OK and states is not None:
                    self.flat_states[...] = states
            finally:
                self.busy = False
        finally:
            stepper.busy = False
        if status != SCHUSS_OK:
            raise_not_finite(value)
        self.draws = t.draws
        return value


def shapes(nodes):
    cdef Net net = Net(nodes, np.float32, 0, True)
    return net.shapes_where(True), net.shapes_where(False)


class NotFinite(FloatingPointError):
    pass


cdef raise_not_finite(double loss):
    raise NotFinite(f"the loss is {loss!r}" if not isfinite(loss) else "a gradient is not finite")


cdef view_of(arena, Py_ssize_t start, shape):
    cdef Py_ssize_t n = 1
    for size in shape:
        n *= size
    return arena[start : start + n].reshape(shape)


cdef double sum_of(const double *values, Py_ssize_t n) noexcept:
    cdef double total = 0
    for i in range(n):
        total += values[i]
    return total


cdef const double *take_weights(weights, Py_ssize_t rows) except? NULL:
    if weights is None:
        return NULL
    return <const double *>address_of(weights, "sample_weight", SCHUSS_F64, 1, rows, -1, False)


cdef bint takes_labels(int loss) noexcept:
    return loss == SCHUSS_CROSS_ENTROPY or loss == SCHUSS_FOCAL


cdef const void *take_target(Net net, loss, y, Py_ssize_t rows, schuss_loss *c_loss, ptrdiff_t *row_bytes) except? NULL:
    """Checks y against the loss and fills c_loss. Labels must lie in range: the core indexes with them."""
    cdef const int64_t *labels
    cdef Py_ssize_t bad
    if not net.read_loss(loss):
        raise TypeError(f"loss is {loss!r}, expected a compiled one")
    c_loss[0] = net.c_loss
    cdef Py_ssize_t cols = schuss_loss_targets(c_loss.kind, net.n_out)
    if not takes_labels(c_loss.kind) or (c_loss.kind != SCHUSS_FOCAL and plain_labels(y) == NULL and y.ndim != 1):
        row_bytes[0] = cols * net.item
        return address_of(y, "y", net.c_net.dtype, 2, rows, cols, False)
    labels = labels_of(y, rows)
    bad = first_outside(labels, rows, net.n_out)
    if bad >= 0:
        raise ValueError(f"y[{bad}] is {labels[bad]}, expected a label in [0, {net.n_out})")
    c_loss.labels = 1
    row_bytes[0] = sizeof(int64_t)
    return labels


cdef const int64_t *labels_of(y, Py_ssize_t rows) except? NULL:
    """The data of int64 labels (rows,), C-contiguous. The caller holds y."""
    cdef Py_buffer view
    cdef const schuss_ndarray *a = plain_labels(y)
    if a != NULL and a.dimensions[0] == rows:
        return <const int64_t *>a.data
    PyObject_GetBuffer(y, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
    try:
        if not is_int64(&view):
            raise TypeError(f"y has dtype {y.dtype}, expected int64 labels")
        if view.ndim != 1 or view.shape[0] != rows:
            raise ValueError(f"y has {view.shape[0]} rows, expected {rows}")
        return <const int64_t *>view.buf
    finally:
        PyBuffer_Release(&view)


# ---- ranges of targets and weights -----------------------------------------------------------------------------

ctypedef fused real:
    float
    double


cdef bint all_within(const real *values, Py_ssize_t n, real most) noexcept:
    """Whether all are >= 0 and at most that; NaN is not."""
    cdef bint good = True
    for i in range(n):
        good &= (values[i] >= <real>0) & (values[i] <= most)
    return good


cdef bint in_range(int loss, int dtype, const void *target, Py_ssize_t n) noexcept:
    """Whether n targets are what this loss takes."""
    if loss not in (SCHUSS_BINARY_CROSS_ENTROPY, SCHUSS_BINARY_FOCAL, SCHUSS_POISSON, SCHUSS_GAMMA, SCHUSS_TWEEDIE):
        return True
    cdef double most = 1 if loss == SCHUSS_BINARY_CROSS_ENTROPY or loss == SCHUSS_BINARY_FOCAL else INFINITY
    if dtype == SCHUSS_F32:
        return all_within[float](<const float *>target, n, <float>most)
    return all_within[double](<const double *>target, n, most)


cdef Py_ssize_t first_outside(const int64_t *labels, Py_ssize_t n, Py_ssize_t classes) noexcept:
    """The first of n labels that is not one of so many classes, or -1."""
    for i in range(n):
        if labels[i] < 0 or labels[i] >= classes:
            return i
    return -1


def targets_in_range(loss, target):
    cdef int dtype = dtype_of(target.dtype)
    return in_range(LOSS_NUMBERS[loss], dtype, address_of(target, "target", dtype, 2, -1, -1, False), target.size)


def labels_in_range(labels, Py_ssize_t classes):
    cdef Py_ssize_t n = extent(labels, 0)
    return first_outside(labels_of(labels, n), n, classes) < 0


def weights_in_range(weights):
    cdef Py_ssize_t n = extent(weights, 0)
    return all_within[double](<const double *>address_of(weights, "weights", SCHUSS_F64, 1, n, -1, False), n, DBL_MAX)


# ---- whole epochs ----------------------------------------------------------------------------------------------

cdef class Trainer:
    cdef schuss_train t
    cdef Net net
    cdef Stepper stepper
    cdef Plan plan
    cdef list groups
    cdef object function       # a loss that is a Python callable, or None
    cdef double clip_value, clip_norm
    cdef schuss_copy *copies
    cdef list kept             # the copies' memory
    cdef schuss_penalty penalty
    cdef schuss_compressed compressed
    cdef object penalty_sums
    cdef uint64_t draws_begun, draws_kept
    cdef int64_t steps_begun, steps_kept
    cdef object epoch_begun, epoch_kept
    cdef schuss_feed *feeds
    cdef object segments, x, y, weights, order, batch_x, batch_y, batch_weights, partial, lrs
    cdef object states_begun   # what states such as running means were when the epoch began

    def __cinit__(self, Net net not None, Stepper stepper not None, list groups not None, loss, x, y, weights,
                  Py_ssize_t batch_size, double clip_value, double clip_norm, bint restores=False, penalty=None,
                  bint by_rows=False):
        cdef bint compressed = isinstance(x, tuple) and net.n_in >= 0
        cdef Py_ssize_t i, rows = x[0].shape[0] - 1 if compressed else net.rows_in(x)
        cdef schuss_input inputs[SCHUSS_MAX_INPUTS]
        if rows < 1 or batch_size < 1:
            raise ValueError(f"x has {rows} rows and batch_size is {batch_size}, expected at least 1")
        batch_size = min(batch_size, rows)
        self.net, self.stepper, self.groups = net, stepper, groups
        self.x, self.y, self.weights = x, y, weights
        self.t.net = &net.c_net
        self.t.rows, self.t.batch = rows, batch_size
        self.feeds = <schuss_feed *>PyMem_Calloc(SCHUSS_MAX_INPUTS, sizeof(schuss_feed))
        if not self.feeds:
            raise MemoryError()
        self.t.feeds = self.feeds
        if compressed:
            self.take_compressed(x[0], x[1], x[2])
        else:
            net.take_inputs(x, rows, inputs)
            for i in range(net.c_net.n_inputs):
                self.feeds[i].x = inputs[i].x
        for i in range(net.c_net.n_inputs):
            self.feeds[i].row_bytes = net.row_bytes(i)
        self.t.by_rows = by_rows
        if callable(loss):
            self.function = loss
            self.t.y = NULL
        else:
            self.t.y = take_target(net, loss, y, rows, &self.t.loss, &self.t.y_row_bytes)
            self.t.flags |= net.flags_for(&self.t.loss)
        self.t.weights = take_weights(weights, rows)
        self.clip_value, self.clip_norm = clip_value, clip_norm
        stepper.enter()
        try:
            stepper.take_groups(groups)
            stepper.take_stages(1, clip_value, clip_norm, False, False)
        finally:
            stepper.busy = False
        self.t.step = &stepper.c_step
        if penalty is not None:
            self.penalty.group, self.penalty.l1, self.penalty.l2 = penalty
            if not 0 <= self.penalty.group < stepper.c_step.n_groups:
                raise ValueError(f"penalty is on group {self.penalty.group}, expected one of {stepper.c_step.n_groups}")
            self.penalty_sums = np.zeros(schuss_penalty_sums(&stepper.c_step, self.penalty.group))
            self.penalty.sums = <double *><uintptr_t>self.penalty_sums.ctypes.data
            self.t.penalty = &self.penalty
        stepper.look_at(net)
        self.segments = stepper.segments_known
        self.t.segments = <const int *><uintptr_t>self.segments.ctypes.data
        self.plan = Plan(net, batch_size, SCHUSS_BACKWARD_ONCE, stepper.wanted_known)
        self.t.plan = self.plan.c_plan
        self.partial = np.empty(schuss_loss_partials(batch_size))
        self.t.partial = <double *><uintptr_t>self.partial.ctypes.data
        self.t.position = rows
        if restores:
            live = [net.flat_parameters, *stepper.arenas, stepper.memories]
            self.copies = <schuss_copy *>PyMem_Calloc(len(live), sizeof(schuss_copy))
            if not self.copies:
                raise MemoryError()
            self.kept = [np.empty_like(array) for array in live]
            for i in range(len(live)):
                self.copies[i].live = <void *><uintptr_t>live[i].ctypes.data
                self.copies[i].kept = <void *><uintptr_t>self.kept[i].ctypes.data
                self.copies[i].bytes = live[i].nbytes
            self.t.copies = self.copies
            self.t.n_copies = len(live)
            self.t.unkept = INFINITY

    def __dealloc__(self):
        PyMem_Free(self.copies)
        PyMem_Free(self.feeds)

    cdef int take_compressed(self, start, indices, data) except -1:
        """Points at compressed rows. Columns must be in range: the core writes where they say."""
        cdef Py_ssize_t n = data.shape[0]
        if not schuss_net_takes_compressed(&self.net.c_net, 0):
            raise TypeError("x is compressed rows, which only a network that begins with dense layers takes")
        self.compressed.wide = indices.dtype == np.int64
        for name, array, kind in (("start", start, np.int64), ("indices", indices, indices.dtype)):
            if array.dtype != kind or array.ndim != 1 or not array.flags.carray and not array.flags.c_contiguous:
                raise TypeError(f"{name} is {array.dtype}, expected a contiguous vector of int64, or int32 indices")
        if indices.dtype != np.int32 and indices.dtype != np.int64 or not indices.flags.aligned or indices.shape[0] != n:
            raise TypeError(f"indices is {indices.dtype} of {indices.shape[0]}, expected {n} of int32 or int64")
        if start[0] != 0 or start[-1] != n or (np.diff(start) < 0).any():
            raise ValueError(f"start must rise from 0 to {n}")
        if n and not (indices.min() >= 0 and indices.max() < self.net.n_in):
            raise ValueError(f"indices holds a column out of range, expected columns in [0, {self.net.n_in})")
        rising = np.diff(indices) > 0
        begins = start[1:-1]
        rising[begins[(begins > 0) & (begins < n)] - 1] = True
        if not rising.all():
            raise ValueError("indices holds a row whose columns do not increase, expected each row sorted and no column twice")
        self.compressed.start = <const int64_t *><uintptr_t>start.ctypes.data
        self.compressed.indices = <const void *><uintptr_t>indices.ctypes.data
        self.compressed.data = address_of(data, "data", self.net.c_net.dtype, 1, n, -1, False)
        self.feeds[0].compressed = &self.compressed
        return 0

    def restore(self):
        cdef int i
        if self.epoch_kept is None:  # nothing has been updated yet
            self.net.draws = self.draws_begun
            if self.states_begun is not None:
                self.net.flat_states[...] = self.states_begun
            return self.epoch_begun
        self.stepper.enter()
        try:
            self.net.enter()
            try:
                for i in range(self.t.n_copies):
                    memcpy(self.copies[i].live, self.copies[i].kept, self.copies[i].bytes)
                self.net.draws = self.draws_kept
                self.stepper.c_step.t = self.steps_kept
            finally:
                self.net.busy = False
        finally:
            self.stepper.busy = False
        return self.epoch_kept

    @property
    def steps_per_epoch(self):
        return (self.t.rows + self.t.batch - 1) // self.t.batch

    @property
    def batches_done(self):
        return (self.t.position + self.t.batch - 1) // self.t.batch

    @property
    def loss(self):
        return self.t.loss_sum / self.t.weight_sum if self.t.weight_sum > 0 else 0.0

    @property
    def last_loss(self):
        return self.t.last_loss

    def start_epoch(self, shuffle_seed, epoch, lrs, order=None):
        if self.net.busy:
            raise RuntimeError("start_epoch during a step of this network")
        if lrs is not None:
            lrs = np.ascontiguousarray(lrs, dtype=np.float64)
            if lrs.shape != (self.steps_per_epoch,):
                raise ValueError(f"lrs has shape {lrs.shape}, expected {(self.steps_per_epoch,)}")
            if not (np.isfinite(lrs) & (lrs >= 0)).all():
                raise ValueError("lrs holds a value that is negative or not finite, expected learning rates >= 0")
        self.order = None
        self.t.order = NULL
        if order is not None:
            if not labels_in_range(order, self.t.rows) or order.shape[0] != self.t.rows:
                raise ValueError(f"order is not of {self.t.rows} rows, expected their numbers in some order")
            self.order = order
        elif shuffle_seed is not None and (self.t.batch < self.t.rows or self.function is not None):
            self.order = permutation(self.t.rows, shuffle_seed, epoch)
        elif self.feeds[0].compressed != NULL:
            self.order = np.arange(self.t.rows)
        if self.order is not None:
            self.take_room()
            self.t.order = <int64_t *><uintptr_t>self.order.ctypes.data
        self.lrs = lrs
        self.t.lr = NULL
        if lrs is not None:
            self.t.lr = <const double *><uintptr_t>lrs.ctypes.data
        self.t.position = 0
        self.t.loss_sum = self.t.weight_sum = 0
        self.t.kept = 0
        self.draws_begun, self.steps_begun, self.epoch_begun = self.net.draws, self.stepper.c_step.t, epoch
        self.states_begun = self.net.flat_states.copy() if self.net.states else None

    cdef int take_room(self) except -1:
        """Room for one gathered batch, once an epoch needs it."""
        if self.batch_x is not None:
            return 0
        cdef Py_ssize_t batch = self.t.batch
        cdef Py_ssize_t k
        batch_x = [aligned_bytes(0 if self.feeds[k].compressed != NULL else batch * self.feeds[k].row_bytes)
                   for k in range(self.net.c_net.n_inputs)]
        self.batch_y = aligned_bytes(batch * self.t.y_row_bytes)
        self.batch_weights = np.empty(batch if self.t.weights != NULL else 0)
        self.batch_x = batch_x
        for k in range(self.net.c_net.n_inputs):
            self.feeds[k].batch = <void *><uintptr_t>self.batch_x[k].ctypes.data
        self.t.batch_y = <void *><uintptr_t>self.batch_y.ctypes.data
        self.t.batch_weights = <double *><uintptr_t>self.batch_weights.ctypes.data
        return 0

    def run(self, double seconds):
        cdef int status = SCHUSS_OK
        if self.t.position >= self.t.rows:  # an interrupt may have kept the caller from hearing that it was over
            return False
        self.stepper.enter()
        try:
            self.net.enter()
            try:
                self.stepper.ready()
                self.stepper.point_at(self.net)
                self.stepper.take_groups(self.groups)
                self.stepper.take_stages(1, self.clip_value, self.clip_norm, False, False)
                self.net.forward_x = None
                self.t.draws = self.net.draws
                if self.function is None:
                    with nogil:
                        status = schuss_train_run(&self.t, seconds)
                else:
                    status = self.run_function()
                self.net.draws = self.t.draws
                if schuss_plan_fault(self.t.plan):
                    raise ValueError("codes have changed during training: one is no longer in its table")
                if self.t.kept:
                    if self.states_begun is not None and self.epoch_kept != self.epoch_begun:
                        self.kept[0][self.kept[0].size - self.states_begun.size:] = self.states_begun
                    self.draws_kept, self.steps_kept = self.draws_begun, self.steps_begun
                    self.epoch_kept = self.epoch_begun
            finally:
                self.net.busy = False
        finally:
            self.stepper.busy = False
        if status == SCHUSS_NONFINITE:
            raise_not_finite(self.t.last_loss)
        return status == SCHUSS_MORE

    cdef int run_function(self) except -2:
        """One step with a loss that is a Python function."""
        cdef Net net = self.net
        cdef double value
        cdef int status
        cdef Py_ssize_t start = self.t.position, n
        if start >= self.t.rows:
            return SCHUSS_OK
        with nogil:
            schuss_train_begin(&self.t)
        n = self.t.current_rows
        prediction = np.empty((n, net.n_out), dtype=net.dtype)
        memcpy(address_of(prediction, "prediction", net.c_net.dtype, 2, n, net.n_out, True),
               schuss_plan_output(self.t.plan), n * net.n_out * net.item)
        rows = slice(start, start + n) if self.order is None else self.order[start : start + n]
        if self.weights is None:
            value, gradient = self.function(prediction, self.y[rows])
        else:
            value, gradient = self.function(prediction, self.y[rows], self.weights[rows])
        memcpy(schuss_plan_dout(self.t.plan),
               address_of(gradient, "gradient", net.c_net.dtype, 2, n, net.n_out, False), n * net.n_out * net.item)
        with nogil:
            status = schuss_train_end(&self.t, value)
        return SCHUSS_MORE if status == SCHUSS_OK and self.t.position < self.t.rows else status


# ---- single kernels, for the tests -----------------------------------------------------------------------------

cdef object kept_scratch = None  # between calls of gemm: the benchmarks time the product, not the allocation
cdef char *kept_room = NULL
cdef ptrdiff_t kept_size = -1


def gemm(a, b, bint transpose_a=False, bint transpose_b=False, out=None):
    global kept_scratch, kept_room, kept_size
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
    scratch, kept_scratch = kept_scratch, None  # no other thread gets it meanwhile
    cdef char *room = kept_room
    cdef ptrdiff_t room_size = kept_size
    if scratch is None or room_size < size:
        scratch = aligned_bytes(size)
        room, room_size = <char *><uintptr_t>scratch.ctypes.data, size
    cdef PyThreadState *state = let_others_run(<double>g.m * g.n * g.k)
    cdef fpmode found = fpmode_flush()
    dense_gemm(table, &g, threads, room)
    fpmode_restore(found)
    come_back(state)
    kept_room, kept_size, kept_scratch = room, room_size, scratch
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
