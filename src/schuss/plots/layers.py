"""What happens in each layer during a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .figures import marker, matplotlib

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

# What panels show, in order: titles and labels.
_PANELS = {
    "parameters": ("parameters", "norm"),
    "gradients": ("gradients", "norm"),
    "updates": ("next update", "norm"),
    "ratio": ("next update : parameters", "ratio of norms"),
    "dead": ("dead units", "share of the layer's units"),
}


def draw_layers(
    epochs: NDArray[Any],
    layers: Sequence[str],
    found: Mapping[str, NDArray[np.float64]],
    path: str | os.PathLike[str] | None,
) -> Any:
    """A panel a quantity with something in it, with a line a layer over at least one epoch.

    found: of each quantity (epochs, layers). path: where to save the figure.
    """
    Figure, MaxNLocator = matplotlib()
    from matplotlib import colormaps, rcParams

    panels = {name: found[name] for name in _PANELS if np.isfinite(found[name]).any()}
    figure = Figure(figsize=(1.6 + 3.4 * len(panels), 3.8), layout="constrained")
    few = len(layers) <= 10  # the cycle of colors has that many
    shades = np.linspace(0.15, 0.9, len(layers))
    colors = [f"C{k}" if few else colormaps["viridis"](shades[k]) for k in range(len(layers))]
    lines = {}
    for axes, (name, values) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        title, label = _PANELS[name]
        for k, layer in enumerate(layers):
            if np.isfinite(values[:, k]).any():
                (line,) = axes.plot(epochs, values[:, k], color=colors[k], label=layer, marker=marker(len(epochs)))
                lines[k] = line
        if name == "dead":
            axes.set_ylim(-0.02, 1.02)
        elif (values[np.isfinite(values)] > 0.0).any():
            axes.set_yscale("log")
        axes.set_title(title, fontsize=rcParams["axes.labelsize"])
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
    shown = [lines[k] for k in sorted(lines)]
    figure.legend(handles=shown, loc="outside right upper", frameon=False)
    figure.suptitle(f"Layers, epochs {epochs[0]} to {epochs[-1]}" if len(epochs) > 1 else f"Layers, epoch {epochs[0]}")
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure
