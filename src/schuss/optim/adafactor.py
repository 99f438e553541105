"""Adafactor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Optimizer

if TYPE_CHECKING:
    from ..structure import NoDecay, Params
    from .base import LearningRate


class Adafactor(Optimizer):
    """Adam's second moment as a row times a column: states of ``m + n`` numbers for an ``m x n`` matrix.

    With ``w = t^beta2_decay``: ``row_var = row_var + w (mean over columns of g^2 - row_var)``, ``col_var = col_var + w
    (mean over rows of g^2 - col_var)``, ``v = row_var col_var / max(mean of row_var, eps1)``; for a vector
    ``v = v + w (g^2 - v)``. Then ``u = g / max(sqrt(v), eps1)`` and
    ``p = (1 - lr weight_decay) p - max(eps2, rms(p)) min(lr, 1 / sqrt(t)) u / max(1, rms(u) / d)``, where ``rms(x)`` is
    the root of the mean of ``x^2``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`. The last two dimensions of an array are its matrices, each with states of its own; ``rms`` is over
        the whole array.
    lr : float or callable
        The most of the relative step size, and the rate of the decay; as for `SGD`.
    beta2_decay : float
        <= 0.
    eps : (float or None, float)
        ``eps1``, which bounds the divisors from below, None for the dtype's machine epsilon, and ``eps2``, which bounds
        ``rms(p)`` from below; >= 0.
    d : float
        The largest ``rms(u)`` that is not scaled down; >= 1.
    weight_decay : float or callable
        >= 0.
    maximize : bool
        Ascend instead.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.

    Notes
    -----
    States: "row_var" of shape (..., m, 1) and "col_var" of shape (..., 1, n), or "variance" of a vector. It is used
    where Adam's two states do not fit into memory, for large language models above all, at some loss of speed in steps:
    it has no momentum.

    A step reads the gradients three times and the parameters twice. It needs room for sums, at most about 1 MB unless
    arrays have hundreds of millions of elements.

    This is torch's form. The paper, optax and transformers add ``eps1`` = 1e-30 to ``g^2`` instead. The paper's step
    size is ``min(1e-2, 1 / sqrt(t))``, as transformers' is without ``lr``; optax takes ``lr`` as it is, and factors
    only where both dimensions are at least 128.

    References
    ----------
    N. Shazeer, M. Stern, Adafactor: Adaptive Learning Rates with Sublinear Memory Cost (2018).
    """

    _name = "adafactor"
    _rule = "adafactor"
    _decoupled = True

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: LearningRate = 0.0,
        *,
        maximize: bool = False,
        no_decay: NoDecay = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            beta2_decay=beta2_decay,
            eps=eps,
            d=d,
            weight_decay=weight_decay,
            maximize=maximize,
            no_decay=no_decay,
        )
