"""Normalisation of rows and of columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..arguments import number
from .base import ColumnLayer, optional_size


@dataclass(init=False, repr=False, eq=False)
class LayerNorm(ColumnLayer):
    """``Y = (X - mean) / sqrt(var + eps) w + b``, with mean and variance of each row.

    w (n,) starts at 1, b (n,) at 0. The variance is the biased one, divided by n. As torch's LayerNorm over the last
    dimension.

    Parameters
    ----------
    n : int, optional
        Columns; follows from the layer before.
    eps : float
        Above 0.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range.

    References
    ----------
    J. L. Ba, J. R. Kiros, G. E. Hinton, Layer normalization (2016), https://arxiv.org/abs/1607.06450

    Examples
    --------
    >>> import schuss
    >>> hidden = [schuss.Dense(4, 16), schuss.LayerNorm(), schuss.Activation("relu")]
    >>> net = schuss.Network([*hidden, schuss.Dense(3)], seed=0)
    """

    kind: ClassVar[str] = "layer_norm"
    _vectors: ClassVar[int] = 2
    n: int | None
    eps: float

    def __init__(self, n: int | None = None, *, eps: float = 1e-5) -> None:
        self._set(n=optional_size("n", n), eps=number("eps", eps, "(0, inf)"))

    def numbers(self) -> dict[str, float]:
        return {"eps": self.eps}

    def starts(self) -> dict[str, float | tuple[str, float]]:
        return {"weight": 1.0, "bias": 0.0}

    def row(self) -> tuple[str, str, str, str]:
        return f"LayerNorm {self.n}", "", "", ""


@dataclass(init=False, repr=False, eq=False)
class BatchNorm(ColumnLayer):
    """``Y = (X - mean) / sqrt(var + eps) w + b``, with mean and variance of each column.

    w (n,) starts at 1, b (n,) at 0.

    In training, mean and (biased) variance are those of the batch, and the running ones move towards them:
    ``running += momentum (batch - running)``, where the variance that goes in there is divided by rows - 1. In
    prediction they are the running ones. As torch's BatchNorm1d; Keras calls 1 - momentum its momentum. The running
    statistics are no parameters: they are saved, copied, and restored with them, but no optimizer steps them. A batch
    of one row gives b, and leaves them as they are; sample weights do not enter.

    Parameters
    ----------
    n : int, optional
        Columns; follows from the layer before.
    momentum : float
        In [0, 1]: the share of the newest batch.
    eps : float
        Above 0.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range.

    References
    ----------
    S. Ioffe, C. Szegedy, Batch normalization (2015), https://arxiv.org/abs/1502.03167

    Examples
    --------
    >>> import schuss
    >>> hidden = [schuss.Dense(4, 16, bias=False), schuss.BatchNorm(), schuss.Activation("relu")]
    >>> net = schuss.Network([*hidden, schuss.Dense(3)], seed=0)
    >>> sorted(net.named_states())
    ['layers.1.running_mean', 'layers.1.running_var']
    """

    kind: ClassVar[str] = "batch_norm"
    _vectors: ClassVar[int] = 2
    n: int | None
    momentum: float
    eps: float

    def __init__(self, n: int | None = None, *, momentum: float = 0.1, eps: float = 1e-5) -> None:
        self._set(
            n=optional_size("n", n),
            momentum=number("momentum", momentum, "[0, 1]"),
            eps=number("eps", eps, "(0, inf)"),
        )

    def numbers(self) -> dict[str, float]:
        return {"eps": self.eps, "momentum": self.momentum}

    def starts(self) -> dict[str, float | tuple[str, float]]:
        return {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}

    def row(self) -> tuple[str, str, str, str]:
        return f"BatchNorm {self.n}", "", "", ""
