# Which instruction set is in use, how many threads, and when the GIL is given away.

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


cdef class ThreadLimit:
    """A context in which calls from this thread use so many threads. It may be entered again while it is in use."""
    cdef int n
    cdef list before

    def __cinit__(self, *_, **__):
        self.before = []

    def __init__(self, int n):
        self.n = n

    def __enter__(self):
        self.before.append(schuss_set_thread_limit(self.n))
        return self

    def __exit__(self, *exception):
        schuss_set_thread_limit(self.before.pop())


def worker_count():
    return schuss_worker_count()


cdef extern from "Python.h":
    ctypedef struct PyThreadState:
        pass
    PyThreadState *PyEval_SaveThread()
    void PyEval_RestoreThread(PyThreadState *state)

cdef enum:
    BRIEF = 1 << 15  # operations of a microsecond or two; to get the GIL back may cost thousands of microseconds


cdef inline PyThreadState *let_others_run(double operations) noexcept:
    """Gives the GIL away before so many multiply-adds, or elements, unless they are over soon. No Python object may be
    touched until come_back()."""
    return PyEval_SaveThread() if operations > BRIEF else NULL


cdef inline void come_back(PyThreadState *state) noexcept:
    if state != NULL:
        PyEval_RestoreThread(state)
