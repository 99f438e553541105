"""A comparison as lines of text."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .data import Contender, Measured, Other


def as_table(found: Measured) -> str:
    """The table of all contenders and others, and what is recommended."""
    lines = [
        *about(found),
        "",
        *columns(header(found), [row(found, one) for one in found.contenders]),
    ]
    if found.others:
        lines += ["", *columns(header_of_others(found), [other(one) for one in found.others])]
    lines += ["", verdict(found), *found.notes]
    return "\n".join(lines)


def about(found: Measured) -> tuple[str, str]:
    """What was trained on what, and how it was judged: a line each."""
    held = f", {found.validation_rows} held out" if found.validation_rows else ""
    return (
        f"{found.name}: {found.task}, {found.rows} rows{held}, {found.features} columns; {found.network}",
        f"{found.loss} on the {found.judged} rows after {found.steps} steps ({found.epochs:.3g} epochs) of "
        f"{found.batch_size} rows, from {number(found.start)}; median of {len(found.seeds)} seeds",
    )


def header(found: Measured) -> tuple[str, ...]:
    """What stands above the columns of contenders."""
    at_target = f"to {number(found.target)}"
    return (
        "optimizer", "rate", "good rates", "best", "final", "spread", found.metric, f"steps {at_target}",
        f"seconds {at_target}", f"best in {number(found.seconds)} s",
    )  # fmt: skip


def row(found: Measured, one: Contender) -> tuple[str, ...]:
    """A contender's cells, as `header` names them."""
    if not one.runs:
        return (one.label, "diverged", *[""] * 8)
    return (
        one.label,
        number(one.lr),
        f"x {number(one.width)}",
        number(one.best),
        number(one.final),
        number(one.spread),
        number(one.score),
        "never" if one.steps_to_target is None else f"{one.steps_to_target:.0f}",
        "never" if one.seconds_to_target is None else number(one.seconds_to_target),
        number(one.at_time),
    )


def header_of_others(found: Measured) -> tuple[str, ...]:
    """What stands above the columns of models of other kinds."""
    return "other models", found.loss, found.metric, "seconds"


def other(one: Other) -> tuple[str, ...]:
    """The cells of a model of another kind."""
    return one.name, number(one.loss), number(one.score), number(one.seconds)


def verdict(found: Measured) -> str:
    """What is recommended, and how sure that is."""
    first = found[found.recommended]
    if not first.runs:
        return "No optimizer finished: every rate diverged."
    said = f"Recommended: {first.label}, lr={number(first.lr)}"
    if not isfinite(found.lead):
        return f"{said}."
    following = next(one for one in found.contenders if one.label != found.recommended)
    said += f": its best loss is {100 * found.lead:.1f}% below that of the next, {following.label}"
    if len(found.seeds) < 2:
        return f"{said}. With one seed nothing is known of what others change."
    if found.within_spread:
        return f"{said}, which is within what other seeds change: the two are as good as each other here."
    return f"{said}, which is more than other seeds change."


def number(value: float) -> str:
    """Three digits that count."""
    if not isfinite(value):
        return ""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def columns(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Lines with the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return [
        "  ".join(
            [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
        ).rstrip()
        for cells in [header, *rows]
    ]
