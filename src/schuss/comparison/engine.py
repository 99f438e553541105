"""The searches of several optimizers, with the trainings that they ask for."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from math import inf, isnan, nan
from statistics import median
from typing import TYPE_CHECKING

from .data import Contender, Run, Tried
from .search import BESIDE, Ask, Found, rungs, search
from .trainings import Team, Training

if TYPE_CHECKING:
    from .candidates import Candidate
    from .problem import Problem

    #: Called with what is being done, and the share of all that is done.
    Progress = Callable[[str, float], object]

# Bytes that the networks and optimizers of trainings may take that wait to go on, roughly; and the arrays, each as
# large as all parameters, that a training has: they, the gradients, an optimizer's states.
MEMORY = 1 << 30
ARRAYS = 5


class Searching:
    """The search for one optimizer's rate, and its trainings.

    Parameters
    ----------
    problem, candidate
        What is trained by what.
    seeds : sequence of int
    points, epochs_a_point : int
        Of whole trainings.
    keeps : bool
        Whether trainings that wait are kept in memory.
    """

    def __init__(
        self,
        problem: Problem,
        candidate: Candidate,
        seeds: Sequence[int],
        points: int,
        epochs_a_point: int,
        keeps: bool,
    ) -> None:
        self.candidate = candidate
        self._problem, self._seeds, self._keeps = problem, seeds, keeps
        self._points, self._epochs_a_point = points, epochs_a_point
        self._search: Generator[Ask, Mapping[int, float], Found] = search(points)
        self._trainings: dict[tuple[int, int], Training] = {}
        self._tried: dict[tuple[int, int], Tried] = {}
        self.found: Found | None = None
        self.ask: Ask | None = next(self._search)

    def rate(self, place: int) -> float:
        """That of a place on the ladder."""
        return self.candidate.usual * 2.0**place

    def asked(self) -> list[Training]:
        """The trainings that are asked for."""
        assert self.ask is not None
        if self.ask.goes_on:
            self._trainings = {key: one for key, one in self._trainings.items() if key[0] in self.ask.places}
        wanted = []
        for place in self.ask.places:
            for seed in self._seeds:
                if (place, seed) not in self._trainings:
                    self._trainings[place, seed] = Training(
                        self._problem,
                        self.candidate,
                        self.rate(place),
                        seed,
                        self._points,
                        self._epochs_a_point,
                        self._keeps,
                    )
                wanted.append(self._trainings[place, seed])
        return wanted

    def answer(self) -> None:
        """They are where they were to be."""
        assert self.ask is not None
        losses = {}
        for place in self.ask.places:
            ended = [self._trainings[place, seed] for seed in self._seeds]
            for one in ended:
                self._tried[place, one.seed] = Tried(one.lr, one.steps, one.seed, one.best)
            losses[place] = median(inf if one.diverged else one.best for one in ended)
        try:
            self.ask = self._search.send(losses)
        except StopIteration as end:
            self.ask, self.found = None, end.value
            place = end.value.place
            self._trainings = {key: one for key, one in self._trainings.items() if key[0] == place}

    def contender(self, start: float) -> Contender:
        """What has been found; what depends on the others is still missing."""
        assert self.found is not None
        tried = tuple(self._tried[key] for key in sorted(self._tried))
        place, candidate = self.found.place, self.candidate
        if place is None:
            return Contender(
                candidate.label, candidate.name, candidate.arguments, nan, (nan, nan), tried, (),
                nan, nan, nan, nan, None, None, nan,
            )  # fmt: skip
        low, high = self.found.band(start)
        validates = self._problem.validation is not None
        runs = tuple(_run(self._trainings[place, seed], validates) for seed in self._seeds)
        ended = [run for run in runs if not run.diverged]
        bests = [run.best for run in ended]
        return Contender(
            label=candidate.label,
            optimizer=candidate.name,
            arguments=candidate.arguments,
            lr=self.rate(place),
            band=(self.rate(low), self.rate(high)),
            tried=tried,
            runs=runs,
            best=_median(bests),
            final=_median([run.judged[-1] for run in ended]),
            spread=max(bests) - min(bests),
            score=_median([run.score for run in ended]),
            steps_to_target=None,
            seconds_to_target=None,
            at_time=nan,
        )


def contenders(
    problem: Problem,
    candidates: Sequence[Candidate],
    seeds: Sequence[int],
    points: int,
    epochs_a_point: int,
    start: float,
    progress: Progress | None,
) -> list[Contender]:
    """All searches, a few at a time, in the order of the candidates."""
    found: dict[int, Contender] = {}
    planned = len(candidates) * len(rungs(points))
    answered = 0
    of_a_search = len(seeds) * (2 * BESIDE + 1) * ARRAYS * sum(array.nbytes for array in problem.network(0).parameters)
    at_once = MEMORY // of_a_search
    with Team() as team:
        ahead = list(range(len(candidates)))
        under_way: dict[int, Searching] = {}
        while ahead or under_way:
            while ahead and len(under_way) < max(1, min(at_once, team.threads)):
                k = ahead.pop(0)
                under_way[k] = Searching(problem, candidates[k], seeds, points, epochs_a_point, at_once > 0)
            wanted = []
            for one in under_way.values():
                assert one.ask is not None
                wanted += [(training, one.ask.points) for training in one.asked()]
                answered += one.ask.goes_on
            if progress is not None:
                progress(", ".join(one.candidate.label for one in under_way.values()), min(1.0, answered / planned))
            team.bring(wanted)
            for k, one in list(under_way.items()):
                one.answer()
                if one.ask is None:
                    found[k] = under_way.pop(k).contender(start)
    return [found[k] for k in range(len(candidates))]


def _run(training: Training, validates: bool) -> Run:
    losses = tuple(float(loss) for part in training.losses for loss in part)
    train, seconds = tuple(training.train), tuple(training.seconds)
    validation = tuple(training.judged) if validates else None
    return Run(training.seed, losses, train, validation, seconds, training.score, training.diverged)


def _median(values: Sequence[float]) -> float:
    """Of several of which some may be NaN."""
    known = [value for value in values if not isnan(value)]
    return median(known) if known else nan
