"""Learning rates, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .figures import marker, matplotlib

if TYPE_CHECKING:
    from numpy.typing import NDArray


def draw_rates(rates: NDArray[Any], label: str, axes: Any) -> Any:
    """Learning rates step by step, from 0; into these axes, or None: into a figure of their own."""
    Figure, MaxNLocator = matplotlib()
    if axes is None:
        axes = Figure(figsize=(5.5, 3.6), layout="constrained").subplots()
        axes.set_xlabel("step")
        axes.set_ylabel("learning rate")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
    axes.plot(rates, label=label, marker=marker(len(rates)))
    return axes.figure
