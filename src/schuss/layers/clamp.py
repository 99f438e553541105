"""Limits of what is predicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..arguments import number, shown
from .base import ColumnLayer, Shape, optional_size


def _limit(name: str, given: Any) -> float | tuple[float, ...]:
    """One number for all columns, or one for each."""
    if isinstance(given, np.ndarray):
        given = given.tolist()
    if not isinstance(given, (list, tuple)):
        return number(name, given, "(-inf, inf)")
    if not given:
        raise ValueError(f"{name} must be a number, or one for each column; got none")
    return tuple(number(f"{name}[{k}]", value, "(-inf, inf)") for k, value in enumerate(given))


@dataclass(init=False, repr=False, eq=False)
class Clamp(ColumnLayer):
    """``Y = X`` limited to [low, high] in prediction; in training nothing happens.

    As the last layer it keeps predictions of a quantity where its targets were, and the gradient of training alone.
    Limits apply in `predict` and in `evaluate`, whose loss is that of limited outputs; not in `forward`, `train_step`,
    `loss_and_gradients` and the training loss of `fit`.

    Parameters
    ----------
    low, high : float or sequence of float
        Finite, low <= high: one number for all columns, or one for each. They are states: saved, and not stepped.
    n : int, optional
        Columns; follows from the layer before.

    Raises
    ------
    ValueError, TypeError
        If a number is not finite, or low is above high.

    References
    ----------
    D. Holzmüller, L. Grinsztajn, I. Steinwart, Better by default (2024), https://arxiv.org/abs/2407.04491

    Examples
    --------
    >>> import numpy as np, schuss
    >>> net = schuss.Network([schuss.Dense(2, 1), schuss.Clamp(-1, 1)], seed=0)
    >>> float(np.abs(net.predict([[1e6, 2e6]])).max())
    1.0
    """

    kind: ClassVar[str] = "clamp"
    _vectors: ClassVar[int] = 0
    low: float | tuple[float, ...]
    high: float | tuple[float, ...]
    n: int | None

    def __init__(self, low: Any, high: Any, n: int | None = None) -> None:
        low, high, n = _limit("low", low), _limit("high", high), optional_size("n", n)
        for name, given in (("low", low), ("high", high)):
            if isinstance(given, tuple) and n is not None and len(given) != n:
                raise ValueError(f"{name} must have {n} numbers, one for each column; got {len(given)}")
        lengths = {len(given) for given in (low, high) if isinstance(given, tuple)}
        if len(lengths) > 1:
            raise ValueError(f"high must have as many numbers as low, {len(low)}; got {len(high)}")
        if np.any(np.asarray(low) > np.asarray(high)):
            raise ValueError(f"high must not be below low, {shown(low)}; got {shown(high)}")
        self._set(low=low, high=high, n=n if n is not None else next(iter(lengths), None))

    def after(self, shape: Shape, name: str) -> Clamp:
        found = super().after(shape, name)
        assert isinstance(found, Clamp)
        return found

    def starts(self) -> dict[str, Any]:
        return {"low": np.asarray(self.low), "high": np.asarray(self.high)}

    def row(self) -> tuple[str, str, str, str]:
        return f"Clamp {self.n}", "", "", ""
