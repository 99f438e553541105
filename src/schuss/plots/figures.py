"""What drawings have in common. matplotlib is imported when one is made."""

from __future__ import annotations

from typing import Any

from ..arguments import shown


def check_axes(name: str, given: Any) -> None:
    """TypeError if it is neither None nor matplotlib's Axes."""
    if given is not None and not hasattr(given, "plot"):
        raise TypeError(f"{name} must be matplotlib Axes; got {shown(given)} ({type(given).__name__})")


def matplotlib() -> tuple[Any, Any]:
    """Its Figure and its MaxNLocator. ImportError if it is not installed."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise ImportError("plot needs matplotlib: pip install matplotlib") from None
    return Figure, MaxNLocator


def marker(points: int) -> str | None:
    """A line through one point shows nothing."""
    return "o" if points == 1 else None
