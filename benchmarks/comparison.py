"""Everybody training the same cases: losses compared first, then times."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import peers
from .cases import Problem
from .limits import Limits
from .steps import Training
from .tables import Result, Row, row
from .timing import Contender, alternate

Maker = Callable[[Any], Training | None]
# Many steps in one compiled call: no rival of a library that is called step by step, and yet the one to beat.
ASIDE = ("jax scan",)


def contenders(makers: Sequence[Maker], case: Problem) -> tuple[list[Training], dict[str, float]]:
    """Everybody who can train the case, some steps in, and by how much the losses of each differ from all others'."""
    losses: list[NDArray[np.float64]] = []
    steps = case.checked_steps
    found = peers.built(makers, case, started=lambda training: losses.append(training.losses(steps)))
    names = [one.name for one in found]
    return found, dict(zip(names, differences(losses, steps), strict=True))


def differences(losses: Sequence[NDArray[np.float64]], steps: int) -> list[float]:
    """The largest relative difference from the median of all, step by step; where only a mean is known, of that."""
    base = np.median([values for values in losses if len(values) == steps], axis=0)
    return [
        float(np.abs(values / base - 1).max() if len(values) == steps else abs(values.mean() / base.mean() - 1))
        for values in losses
    ]


def agreeing(
    found: Sequence[Training], apart: Mapping[str, float], tolerance: float
) -> tuple[list[Training], dict[str, float]]:
    """Those who train the same, and by how much the others differ: a peer is told and left out.

    Raises
    ------
    RuntimeError
        If it is ours that differ.
    """
    wrong = {name: by for name, by in apart.items() if not by <= tolerance}
    if any(name.startswith("ours") for name in wrong):
        raise RuntimeError(f"losses must agree within {tolerance:g}, relative; they differ by {dict(apart)}")
    for name, by in wrong.items():
        peers.note(f"{name} left out: its losses differ by {by:.1g}, relative")
    return [one for one in found if one.name not in wrong], wrong


def compared(
    label: Mapping[str, str],
    case: Problem,
    makers: Sequence[Maker],
    options: Any,
    limits: Limits,
    tolerance: float = math.inf,
) -> tuple[Row, dict[str, float]]:
    """A row of the times of all whose losses agree, and by how much those differ that are left out."""
    limit = limits.both(case.operations, case.state_bytes, case.moved_bytes)
    found, apart = contenders(makers, case)
    found, wrong = agreeing(found, apart, tolerance)
    times = alternate([Contender(one.name, one.run, one.unit) for one in found], 0.5 if options.quick else 3.0)
    mine = [one.name for one in found if one.name.startswith("ours")]
    difference = max(by for name, by in apart.items() if name not in wrong)
    return row(label, limits.threads, mine, times, limit, difference, ASIDE), wrong


def add_rows(
    result: Result,
    subject: str,
    cases: Sequence[Any],
    makers: Sequence[Maker],
    options: Any,
    limits: Limits,
    tolerance: float,
) -> list[str]:
    """Add a row for each case, which has a label; a note for each who was left out of one."""
    notes = []
    for case in cases:
        peers.note(f"{subject} {case}, threads {limits.threads}")
        found, wrong = compared(case.label, case, makers, options, limits, tolerance)
        result.rows.append(found)
        notes += [f"{case}: {name} is left out, its losses differ by {by:.0e}." for name, by in wrong.items()]
    return notes
