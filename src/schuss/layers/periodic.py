"""Waves of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import ClassVar

from ..arguments import choice, integer, number
from .base import Layer, Shape, matched, optional_size


@dataclass(init=False, repr=False, eq=False)
class Periodic(Layer):
    """So many waves of each column x, with learnable frequencies w: ``cos(2 pi x w + b)``, or cosines and sines.

    The first layer of an embedding of numbers; a `GroupedDense` with a group a column comes next, and of form "cos" x
    itself stands beside what that gives.

    Parameters
    ----------
    n_frequencies : int
        f, waves of a column.
    std : float
        Standard deviation of the frequencies' normally distributed start, above 0. It is what has to be tuned: 0.01 to
        10 for columns of size 1.
    form : {"cos", "cos_sin"}
        "cos": column c gives ``cos(2 pi x w + b)``, f columns, with learnable phases b that start uniformly in
        [-pi, pi). "cos_sin": f columns ``cos(2 pi w x)`` and then f columns ``sin(2 pi w x)``, without phases.
    n : int, optional
        Columns; follows from the layer before.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range.

    Notes
    -----
    The frequencies are the array "weight" (n, f), the phases "bias" (n, f).

    Whole turns of the product x w are taken off exactly, so cosine and sine of it are right to 2 units in the last
    place however large it is. The product itself is rounded, as any: in float32 its phase is off by up to
    4e-7 times the turns, which is 4e-3 after 10^4 turns, and nothing is left of it after 10^7. In float64 it is off
    by 7e-16 times the turns, 7e-8 after 10^8.

    References
    ----------
    Y. Gorishniy, I. Rubachev, A. Babenko, On embeddings for numerical features in tabular deep learning (2022), for
    "cos_sin" (theirs start from a normal distribution cut off at 3 standard deviations). D. Holzmüller, L. Grinsztajn,
    I. Steinwart, Better by default (2024), for "cos".

    Examples
    --------
    >>> import schuss
    >>> waves = [schuss.Periodic(16, 0.1), schuss.GroupedDense(9, 16, 3)]
    >>> embedding = schuss.Concatenate([[schuss.Input("x", 9)], [schuss.Input("x", 9), *waves]])
    >>> net = schuss.Network([embedding, schuss.Dense(256, "mish"), schuss.Dense(1)], seed=0)
    >>> net.layers[0].n
    36
    """

    kind: ClassVar[str] = "periodic"
    n_frequencies: int
    std: float
    form: str
    n: int | None

    def __init__(self, n_frequencies: int, std: float, *, form: str = "cos", n: int | None = None) -> None:
        self._set(
            n_frequencies=integer("n_frequencies", n_frequencies, 1),
            std=number("std", std, "(0, inf)"),
            form=choice("form", form, ("cos", "cos_sin")),
            n=optional_size("n", n),
        )

    def after(self, shape: Shape, name: str) -> Periodic:
        self._check_storage(shape, name)
        return Periodic(self.n_frequencies, self.std, form=self.form, n=matched(name, self.n, shape, "n"))

    @property
    def shape(self) -> Shape:
        return Shape((self.n or 0) * self.n_frequencies * (1 if self.form == "cos" else 2))

    @property
    def n_parameters(self) -> int:
        return (self.n or 0) * self.n_frequencies * (2 if self.form == "cos" else 1)

    def sizes(self) -> dict[str, int]:
        return {"n": self.n or 0, "frequencies": self.n_frequencies}

    def numbers(self) -> dict[str, float]:
        return {"sines": float(self.form == "cos_sin")}

    def starts(self) -> dict[str, float | tuple[str, float]]:
        return {"weight": ("normal", self.std), "bias": ("uniform", pi)}

    def row(self) -> tuple[str, str, str, str]:
        what = f"Periodic {self.n} -> {self.shape.columns}"
        return what, self.form, f"normal {self.std:g}", ""
