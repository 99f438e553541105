"""Alternating timing: everybody takes turns in one process, so that noise hits all alike."""

from __future__ import annotations

import gc
import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Seconds to wait at most until the threads of the one before have stopped spinning: OpenBLAS's do for 30 to 110 ms.
PATIENCE = 0.4
# Seconds between looks at the CPU time, which some systems count by ticks of 4 ms.
LOOK = 0.012
# An untimed call before each sample warms caches and threads, unless it takes longer than this.
WARM = 0.005
# What takes this long in its first call is not called again to find out how long it takes.
SLOW = 0.5


def clock() -> Callable[[], float]:
    """The clock to measure with: CPU time where this process is kept to one CPU, else the wall's.

    On one CPU the two differ by what other programs took.
    """
    return time.process_time if _alone() else time.perf_counter


def _alone() -> bool:
    return hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) == 1


@dataclass(frozen=True)
class Contender:
    """Somebody who does the work.

    Attributes
    ----------
    name : str
        Its column.
    run : callable
        ``run(n)`` makes n calls and returns when they are done.
    unit : int
        Steps in one call.
    quiet : bool
        Whether no thread of its own is still busy when a call has returned: nobody needs to wait after it.
    """

    name: str
    run: Callable[[int], object]
    unit: int = 1
    quiet: bool = False


@dataclass(frozen=True)
class Samples:
    """Microseconds a step, one number a round."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)

    def ratio(self, base: Samples) -> float:
        """Median over the rounds of this over base: both ran side by side in a round. Who stops early has the first."""
        return statistics.median(a / b for a, b in zip(self.values, base.values, strict=False))


def alternate(
    contenders: Sequence[Contender],
    seconds: float,
    rounds: int = 15,
    least_rounds: int = 5,
    share: float = math.inf,
    longest: float = math.inf,
) -> dict[str, Samples]:
    """Time all contenders in turns.

    Parameters
    ----------
    contenders : sequence of Contender
        With different names.
    seconds : float
        What the timed samples take together, about. Slow contenders may take longer.
    rounds, least_rounds : int
        Samples of each contender, and how many at least when time runs out.
    share : float
        Seconds that the samples of one contender may take; those of whom it takes longer have fewer, but three.
    longest : float
        Whose first call takes more seconds is left out; the first contender never is.

    Returns
    -------
    dict of Samples
        By the contenders' names.
    """
    target = min(max(seconds / (rounds * len(contenders)), 0.002), 0.1)
    now = clock()
    collecting = gc.isenabled()
    gc.disable()
    try:
        found = [_calibrated(contender, target) for contender in contenders]
        kept = [k for k, (_, single_call) in enumerate(found) if k == 0 or single_call <= longest]
        contenders = [contenders[k] for k in kept]
        calls, single = [found[k][0] for k in kept], [found[k][1] for k in kept]
        most = [int(max(3, min(rounds, share / (count * one)))) for count, one in zip(calls, single, strict=True)]
        values: list[list[float]] = [[] for _ in contenders]
        start_all = time.perf_counter()
        quiet = False
        for number in range(rounds):
            spent = time.perf_counter() - start_all
            # Where something has become far slower than when it was calibrated, three rounds must do.
            if (number >= least_rounds and spent > 1.5 * seconds) or (number >= 3 and spent > 6 * seconds):
                break
            # Every other round backwards: nobody always follows the same neighbour.
            order = range(len(contenders)) if number % 2 == 0 else reversed(range(len(contenders)))
            for k in order:
                if number >= most[k]:
                    continue
                contender, count = contenders[k], calls[k]
                if not quiet:
                    _settle()
                quiet = contender.quiet
                if single[k] < WARM:
                    contender.run(1)
                start = now()
                contender.run(count)
                elapsed = now() - start
                values[k].append(1e6 * elapsed / (count * contender.unit))
    finally:
        if collecting:
            gc.enable()
    return {contender.name: Samples(tuple(own)) for contender, own in zip(contenders, values, strict=True)}


def fastest(contenders: Sequence[Contender], count: int, rounds: int = 7) -> list[Contender]:
    """Those with the fastest samples in a short trial. Nobody's threads are waited for: for loops that have none."""
    now = clock()
    calls = [_calibrated(contender, 0.002)[0] for contender in contenders]
    times: list[list[float]] = [[] for _ in contenders]
    for _ in range(rounds):
        for own, contender, number in zip(times, contenders, calls, strict=True):
            start = now()
            contender.run(number)
            own.append((now() - start) / number)
    order = sorted(range(len(contenders)), key=lambda k: min(times[k]))
    return [contenders[k] for k in sorted(order[:count])]


def _settle() -> None:
    """Sleep until no thread of this process computes. On one CPU none can beside the caller."""
    if _alone():
        return
    end = time.perf_counter() + PATIENCE
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(LOOK)
        if time.process_time() - before < 0.1 * LOOK:
            break


def _calibrated(contender: Contender, target: float) -> tuple[int, float]:
    """How many calls make one sample, and the seconds of a single call."""
    now = clock()
    start = now()
    contender.run(1)
    elapsed = now() - start
    if elapsed >= SLOW:
        return 1, elapsed
    count = 1
    while True:
        start = now()
        contender.run(count)
        elapsed = now() - start
        if elapsed >= 0.5 * target or count >= 1 << 22:
            break
        count *= 2
    return max(1, round(count * target / elapsed)), elapsed / count


def best(call: Callable[[], object], seconds: float) -> float:
    """Seconds of the fastest sample of a call: for ceilings, where noise can only hide speed."""
    contender = Contender("", lambda n: [call() for _ in range(n)])
    count, _ = _calibrated(contender, min(0.01, seconds / 4))
    now = clock()
    fastest = float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or fastest == float("inf"):
        start = now()
        for _ in range(count):
            call()
        fastest = min(fastest, (now() - start) / count)
    return fastest
