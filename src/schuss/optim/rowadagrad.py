"""AdaGrad with one number a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Optimizer

if TYPE_CHECKING:
    from ..structure import NoDecay, Params
    from .base import LearningRate


class RowAdaGrad(Optimizer):
    """AdaGrad with one sum for each row of an array: that of the mean squares of the row's gradients.

    ``sum = sum + mean(g^2)`` over the row, ``p = p - lr / (1 + (t - 1) lr_decay) / (sqrt(sum) + eps) g``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`. A row is all that has the same first index: of a vector one element.
    lr : float or callable
        As for `SGD`.
    lr_decay, weight_decay, eps : float
        All >= 0.
    initial_accumulator_value : float
        What ``sum`` starts with; >= 0.
    maximize : bool
        Ascend instead.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.
    rows : {None, "lazy", "exact"}
        As for `SGD`. Without weight decay both are the same here.

    Notes
    -----
    For tables of embeddings, whose state is then one number a row rather than one an element: a table of 10^8 rows of
    64 needs 0.4 GB of state in place of 26. The elements of a row share a rate, as what the row stands for is seen
    rarely or often as a whole. For weights of dense layers take `AdaGrad`.

    Defaults and formula are those of torchrec's RowWiseAdagrad, but for the order of a division; the mean of squares is
    taken in double.

    References
    ----------
    J. Duchi, E. Hazan, Y. Singer, Adaptive Subgradient Methods, JMLR 12 (2011). M. Naumov et al., Deep Learning
    Recommendation Model for Personalization and Recommendation Systems (2019), for tables.
    """

    _name = "rowadagrad"
    _rule = "rowadagrad"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: LearningRate = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        no_decay: NoDecay = None,
        rows: str | None = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
            maximize=maximize,
            no_decay=no_decay,
            rows=rows,
        )
