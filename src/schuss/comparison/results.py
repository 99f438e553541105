"""What a comparison of optimizers has found, as plain data."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite, isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..arguments import flag
from ..files.writing import replace
from .data import Contender, Measured, Other, Run, Tried
from .table import as_table, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

# Of a saved comparison. A file of a newer one is refused.
VERSION = 1


@dataclass(frozen=True)
class Comparison(Measured):
    """Optimizers side by side on one data set: the numbers, as text, drawings, a page and a file."""

    def __str__(self) -> str:
        return as_table(self)

    @property
    def verdict(self) -> str:
        """The recommendation, in a sentence."""
        return verdict(self)

    def plot(self, path: str | os.PathLike[str] | None = None, *, dark: bool = False) -> Any:
        """Draw everything with matplotlib: loss over steps and seconds, validation beside training, loss against rate.

        Parameters
        ----------
        path : path, optional
            Where to save the figure: .png, .svg, .pdf.
        dark : bool
            On a dark background.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from ..plots.comparison import draw_comparison
        from ..plots.themes import DARK, LIGHT

        return draw_comparison(self, path, theme=DARK if flag("dark", dark) else LIGHT)

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write it as one page of HTML that needs no other file and no network. Needs matplotlib."""
        from .report import html

        replace(os.path.realpath(path), html(self).encode())

    def to_dict(self, *, times: bool = True) -> dict[str, Any]:
        """Plain dicts, lists, numbers and text; None stands for NaN.

        Parameters
        ----------
        times : bool
            Without, all seconds and what follows from them are None: the rest is the same in every run.
        """
        found: dict[str, Any] = _plain(dataclasses.asdict(self))
        if not times:
            found.update(seconds=None, took=None)
            for other in found["others"]:
                other["seconds"] = None
            for contender in found["contenders"]:
                contender.update(seconds_to_target=None, at_time=None)
                for run in contender["runs"]:
                    run["seconds"] = []
        return found

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Comparison:
        """What `to_dict` gave.

        Raises
        ------
        ValueError
            If something is missing or not of its kind.
        """
        try:
            given = _fields(cls, found)
            given["contenders"] = tuple(_contender(one) for one in found["contenders"])
            given["others"] = tuple(Other(**_fields(Other, one)) for one in found["others"])
            return cls(**given)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no comparison: {type(error).__name__}: {error}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON, which `schuss.comparison.load` reads. The file is there whole or not at all."""
        text = json.dumps({"schuss comparison": VERSION, **self.to_dict()}, allow_nan=False)
        replace(os.path.realpath(path), text.encode())


def load(path: str | os.PathLike[str]) -> Comparison:
    """Read a comparison that was saved.

    Raises
    ------
    ValueError
        If the file is not one, or of a newer version.
    OSError
        If it cannot be read.
    """
    try:
        found = json.loads(Path(path).read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not a saved comparison: {error}") from None
    version = found.get("schuss comparison") if isinstance(found, dict) else None
    if not isinstance(version, int):
        raise ValueError(f"{path} is not a saved comparison")
    if version > VERSION:
        raise ValueError(f"{path} is of version {version} of comparisons; this schuss reads up to {VERSION}")
    return Comparison.from_dict(found)


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, float):
        if isnan(value):
            return None
        return value if isfinite(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    return str(value)


# Fields that may be None as such; everywhere else None is NaN.
_OPTIONAL = ("validation", "steps_to_target", "seconds_to_target")


def _number(value: Any) -> Any:
    if value is None:
        return nan
    return {"inf": inf, "-inf": -inf}.get(value, value) if isinstance(value, str) else value


def _fields(kind: Any, found: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a dataclass's fields, tuples where lists were."""
    given: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        value = found[field.name]
        if isinstance(value, list):
            value = tuple(_number(one) for one in value)
        elif value is None:
            value = None if field.name in _OPTIONAL else nan
        elif "float" in str(field.type):
            value = _number(value)
        given[field.name] = value
    return given


def _all(kind: Any, found: Iterable[Mapping[str, Any]]) -> tuple[Any, ...]:
    return tuple(kind(**_fields(kind, one)) for one in found)


def _contender(found: Mapping[str, Any]) -> Contender:
    given = _fields(Contender, found)
    given["tried"], given["runs"] = _all(Tried, found["tried"]), _all(Run, found["runs"])
    return Contender(**given)
