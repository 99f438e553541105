"""Which rates are trained for how long: successive halving over a ladder by twos. It knows rates and losses only.

All rates of the ladder get few steps; the better half of them, twice as many; and so on to all steps. Where the best
one has no neighbour yet, the ladder is made longer. At the end both neighbours of the best have had all steps too, so
that what was misleading in short trainings is put right.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, inf

# Rates on each side of the usual one to begin with; how many more where the best one is at the edge; the farthest.
BESIDE, MORE, FARTHEST = 4, 2, 24
# At least so many go on.
LEAST = 3
# Trainings grow from this share of all steps.
FIRST_SHARE = 8
# A rate is good if it makes at least this share of the best one's way down.
GOOD = 0.95


@dataclass(frozen=True)
class Ask:
    """Rates, by their place on the ladder, that are to be brought to so many points of their curves.

    Attributes
    ----------
    places : tuple of int
        The usual rate times two to this.
    points : int
        From the start of training.
    goes_on : bool
        Whether those that are not asked for any more have left the search.
    """

    places: tuple[int, ...]
    points: int
    goes_on: bool


@dataclass
class Found:
    """What a search has come to.

    Attributes
    ----------
    place : int or None
        Of the best rate. None: all diverged.
    losses : dict of int to dict of int to float
        By points and place.
    """

    place: int | None = None
    losses: dict[int, dict[int, float]] = field(default_factory=dict)

    def band(self, start: float) -> tuple[int, int]:
        """The lowest and the highest place of good rates, with no bad one between: each is compared with the best one
        after the same number of points, the most that it has had. `start` is the loss before any step."""
        assert self.place is not None
        good: set[int] = set()
        for losses in self.losses.values():  # later ones count
            best = min(losses.values())
            limit = best + (1 - GOOD) * max(0.0, start - best)
            for place, loss in losses.items():
                (good.add if loss <= limit else good.discard)(place)
        low = high = self.place
        while low - 1 in good:
            low -= 1
        while high + 1 in good:
            high += 1
        return low, high


def rungs(points: int) -> list[int]:
    """So many points trainings have before each choice; the last of them is all."""
    shares = [points]
    while shares[0] > 1 and 2 ** len(shares) <= FIRST_SHARE:
        shares.insert(0, ceil(shares[0] / 2))
    return shares


def search(points: int) -> Generator[Ask, Mapping[int, float], Found]:
    """Ask for trainings, be sent the loss of each place that was asked for, inf where it diverged; return the best."""
    found = Found()
    places: Sequence[int] = range(-BESIDE, BESIDE + 1)
    steps = rungs(points)
    for n in steps:
        losses = found.losses[n] = dict((yield Ask(tuple(places), n, True)))
        # What is not yet tried is looked at in the first rung, where it costs little, and in the last, where it counts.
        while n in (steps[0], steps[-1]) or _best(losses) is None:
            beyond = _beyond(losses, MORE if n == steps[0] else 1)
            if not beyond:
                break
            losses.update((yield Ask(beyond, n, False)))
        if _best(losses) is None:
            return found
        ranked = sorted(losses, key=lambda place: (losses[place], place))
        finite = sum(loss < inf for loss in losses.values())
        places = sorted(ranked[: min(finite, max(LEAST, ceil(len(losses) / 2)))])
    found.place = _best(found.losses[points])
    return found


def _best(losses: Mapping[int, float]) -> int | None:
    """The place of the least loss, of several the lowest."""
    place = min(losses, key=lambda place: (losses[place], place))
    return place if losses[place] < inf else None


def _beyond(losses: Mapping[int, float], most: int) -> tuple[int, ...]:
    """Places that are to be tried, too, before the best one is known to be that."""
    best = _best(losses)
    if best is None:  # all have diverged
        return tuple(place for k in range(BESIDE) if (place := min(losses) - 1 - k) >= -FARTHEST)
    lower = [best - 1 - k for k in range(most)] if best - 1 not in losses else []
    upper = [best + 1 + k for k in range(most)] if best + 1 not in losses else []
    return tuple(place for place in (*lower, *upper) if abs(place) <= FARTHEST and place not in losses)
