"""What a minimization returns: SciPy's OptimizeResult, or where SciPy is not installed a dict that looks like it."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import numpy as np

# What is printed first; the rest follows in the order in which it was put in.
_FIRST = ("message", "success", "status", "fun", "x", "nit")


class Result(dict[str, Any]):
    """A dict whose entries are attributes too, printed an entry a line."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the result has no {name!r}; it has {', '.join(self)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"the result has no {name!r}; it has {', '.join(self)}") from None

    def __dir__(self) -> list[str]:
        return list(self)

    def __repr__(self) -> str:
        if not self:
            return f"{type(self).__name__}()"
        width = max(map(len, self)) + 1
        names = [name for name in _FIRST if name in self] + [name for name in self if name not in _FIRST]
        lines = []
        floats: Any = {"float_kind": _float}
        with np.printoptions(linewidth=74 - width, edgeitems=2, threshold=12, formatter=floats):
            for name in names:
                value = str(self[name]).replace("\n", "\n" + " " * (width + 2))
                lines.append(f"{name:>{width}}: {value}")
        return "\n".join(lines)


def _float(value: float) -> str:
    """A number in ten characters."""
    if not np.isfinite(value):
        return f"{value:10}"
    return np.format_float_scientific(value, precision=3, pad_left=2, unique=False)


@lru_cache(maxsize=1)
def kinds() -> tuple[type[dict[str, Any]], type[Warning]]:
    """The classes of results and of warnings."""
    try:
        from scipy.optimize import OptimizeResult, OptimizeWarning
    except ImportError:
        return Result, RuntimeWarning
    return OptimizeResult, OptimizeWarning


def warn(message: str) -> None:
    """A warning that points at the first line outside schuss and SciPy."""
    import sys

    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in ("schuss", "scipy"):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, kinds()[1], stacklevel=level)
