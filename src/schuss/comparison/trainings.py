"""Trainings that can be brought on bit by bit, and many of them side by side."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from math import nan
from time import thread_time
from typing import TYPE_CHECKING

import numpy as np

from .. import _core
from ..threads import get_num_threads, threads
from ..training.divergence import has_finite_parameters
from ..training.epochs import SLICE, Epochs
from .data import lasting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..network import Network
    from .candidates import Candidate
    from .problem import Problem

# What ends the trainings of a comparison that is interrupted.
Stop = threading.Event


class Training:
    """One optimizer at one rate with one seed: what `Network.fit` would do, epoch by epoch.

    Parameters
    ----------
    problem, candidate, lr, seed
        What is trained, and how.
    points, epochs_a_point : int
        Of a whole training.
    keeps : bool
        Whether the network is kept to go on from. Otherwise it is trained anew each time, which takes longer but, for
        networks that are too large, far less memory.

    Attributes
    ----------
    losses : list of arrays
        Of each step, an array an epoch.
    train, judged, seconds : list of float
        At each point. Seconds are those of the steps' own thread, so that what else runs costs a training nothing.
    diverged : bool
    score : float
        The metric at the end of a whole training.
    """

    def __init__(
        self,
        problem: Problem,
        candidate: Candidate,
        lr: float,
        seed: int,
        points: int,
        epochs_a_point: int,
        keeps: bool,
    ) -> None:
        self._problem, self._candidate, self.lr, self.seed = problem, candidate, lr, seed
        self._points, self._epochs_a_point, self._keeps = points, epochs_a_point, keeps
        self._network: Network | None = None
        self._steps: Epochs | None = None
        self._forget()

    def _forget(self) -> None:
        self.losses: list[NDArray[np.float64]] = []
        self.train: list[float] = []
        self.judged: list[float] = []
        self.seconds: list[float] = []
        self.diverged = False
        self.score = nan

    @property
    def steps(self) -> int:
        """How many it has made."""
        return sum(map(len, self.losses))

    @property
    def best(self) -> float:
        """The least judged loss so far, as `lasting` has it; NaN if it has diverged."""
        return nan if self.diverged else lasting(self.judged)

    def bring_to(self, points: int, stop: Stop) -> None:
        """Train until its curves have so many points, or it diverges, or it is to stop."""
        if self.diverged or len(self.judged) >= points:
            return
        with threads(1):
            if self._network is None:
                self._begin()
            while len(self.judged) < points and not self.diverged and not stop.is_set():
                self._to_next_point(stop)
            if self._network is not None and len(self.judged) == self._points:
                self.score = self._problem.score(self._network)
        if self.diverged or not self._keeps:
            self._network = self._steps = None

    def _begin(self) -> None:
        """The network and its optimizer, as they are at the start."""
        self._forget()
        network = self._problem.network(self.seed)
        self._steps = Epochs(
            network,
            self._candidate.made(list(network.parameters), self.lr),
            self._problem.loss.spec,
            self._problem.training,
            self._problem.batch_size,
            clip_value=0.0,
            clip_norm=0.0,
        )
        self._network = network

    def _to_next_point(self, stop: Stop) -> None:
        assert self._network is not None
        first = len(self.losses)
        seconds = self.seconds[-1] if self.seconds else 0.0
        start = thread_time()
        for _ in range(self._epochs_a_point):
            self._epoch(stop)
            if self.diverged or stop.is_set():
                return
        seconds += thread_time() - start
        train = float(np.concatenate(self.losses[first:]).mean())
        judged = train if self._problem.validation is None else self._problem.judged(self._network)
        if not np.isfinite(judged):
            self.diverged = True
            return
        self.train.append(train)
        self.judged.append(judged)
        self.seconds.append(seconds)

    def _epoch(self, stop: Stop) -> None:
        steps, network = self._steps, self._network
        assert steps is not None and network is not None
        steps.begin(network.seed)
        found: object = True
        while found is True:
            # One training is one thread's, however large it is.
            (found,) = _core.run_side_by_side([steps.trainer], SLICE)
            if stop.is_set():
                return
        self.losses.append(steps.batch_losses)
        if isinstance(found, _core.NotFinite):
            self.diverged = True
            return
        if isinstance(found, BaseException):
            raise found
        steps.end()
        network.epochs_done += 1
        self.diverged = not has_finite_parameters(network)


class Team:
    """Threads that bring trainings on, one each at a time. As a context: at its end they are gone."""

    def __init__(self) -> None:
        self.threads = get_num_threads()
        self._stop = Stop()
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Team:
        if self.threads > 1:
            self._pool = ThreadPoolExecutor(self.threads, "schuss-compare")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._pool is not None:
            self._pool.shutdown()

    def bring(self, wanted: Sequence[tuple[Training, int]]) -> None:
        """Bring each training to so many points."""
        if self._pool is None:
            for training, points in wanted:
                training.bring_to(points, self._stop)
            return
        waiting = [self._pool.submit(training.bring_to, points, self._stop) for training, points in wanted]
        try:
            for future in wait(waiting, return_when=FIRST_EXCEPTION).done:
                future.result()
        except BaseException:
            self._stop.set()
            for future in waiting:
                future.cancel()
            raise
