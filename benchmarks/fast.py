"""Our rules as plain loops with -ffast-math (`fast.c`), by every compiler that is here, with vectors of each width."""

from __future__ import annotations

import ctypes
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np

from .cases import BETAS, EPS, LEARNING_RATE
from .native import compiled, compilers
from .step_peers import Problem
from .team import Team
from .timing import Contender

_WIDTHS = ((), ("-mprefer-vector-width=512",))
_ADAM = (LEARNING_RATE, EPS, 1 - BETAS[0], BETAS[1], 1 - BETAS[1], 1.0)
# Constants as the loops take them, and how many states there are.
LOOPS: dict[str, tuple[tuple[float, ...], int]] = {
    "SGD": ((LEARNING_RATE, 0.9), 1),
    "AdaGrad": ((LEARNING_RATE, 1e-10), 1),
    "RMSProp": ((LEARNING_RATE, EPS, 0.99, 1 - 0.99), 1),
    "Adam": ((*_ADAM, 1.0), 2),
    "AdamW": ((*_ADAM, 1 - LEARNING_RATE * 0.01), 2),
}


@cache
def _libraries() -> dict[str, ctypes.CDLL]:
    found = {}
    for compiler in compilers():
        for width in _WIDTHS:
            loops = compiled("fast.c", compiler, "-O3", "-ffast-math", *width)
            if loops is not None:
                found[" ".join(["fast:", *compiler, *width])] = loops
    return found


def contenders(given: Problem, threads: int) -> list[Contender]:
    """Over arrays of their own; each thread its share, without waiting for the others. Names begin with "fast: "."""
    constants, states = LOOPS[given.optimizer.name]
    made: list[np.ndarray[Any, Any]] = [given.fresh()[0], given.gradients[0].copy()]
    made += [np.zeros_like(made[0]) for _ in range(states)]
    size, team = made[0].size, Team(threads)
    bounds = [size * k // threads // 16 * 16 for k in range(threads)] + [size]
    numbers = (ctypes.c_float * len(constants))(*constants)
    found = []
    for name, loops in _libraries().items():
        loop = getattr(loops, given.optimizer.key)
        loop.argtypes, loop.restype = [ctypes.c_void_p, ctypes.c_long, ctypes.c_void_p], None
        calls = []
        for start, end in pairwise(bounds):
            arrays = (ctypes.c_void_p * len(made))(*[array.ctypes.data + 4 * start for array in made])
            calls.append(partial(_repeated, partial(loop, arrays, end - start, numbers)))
        found.append(Contender(name, partial(_run, team, calls, made), quiet=True))
    return found


def _run(team: Team, calls: list[Any], kept: Any, count: int) -> None:
    team.run([partial(call, count) for call in calls])


def _repeated(call: Any, count: int) -> None:
    for _ in range(count):
        call()
