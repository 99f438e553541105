"""How many threads the core uses."""

from __future__ import annotations

from . import _core
from .arguments import integer

MOST = 1024  # threads the core can run


def get_num_threads() -> int:
    """Threads that a call from this thread may use."""
    return _core.get_num_threads()


def set_num_threads(n: int | None) -> None:
    """Set the number of threads for the process.

    Parameters
    ----------
    n : int or None
        At least 1. None goes back to the default: ``SCHUSS_NUM_THREADS``, else the CPUs that this process may use
        (affinity and cgroup quota) and at most ``OMP_NUM_THREADS``.
    """
    _core.set_num_threads(None if n is None else integer("n", n, 1, MOST))


class threads(_core.ThreadLimit):
    """A context in which calls from this Python thread use n threads, whatever is set for the process.

    Results do not depend on the number of threads.

    Examples
    --------
    >>> import schuss
    >>> with schuss.threads(1):
    ...     schuss.get_num_threads()
    1
    """

    __slots__ = ()

    def __init__(self, n: int) -> None:
        super().__init__(integer("n", n, 1, MOST))
