"""Adam for gradients of some rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .adam import Adam

if TYPE_CHECKING:
    from ..structure import Params
    from .base import LearningRate


class SparseAdam(Adam):
    """Adam over those rows of its arrays that have a gradient.

    For each row given, ``m = m + (1 - beta1) (g - m)``, ``v = beta2 v + (1 - beta2) g^2``,
    ``p = p - lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps)``, with t the number of the step, whether the row
    was in all of them or not.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float or callable
        As for `SGD`.
    betas : (float, float)
        Each in [0, 1).
    eps : float
        >= 0.
    maximize : bool
        Ascend instead.

    Notes
    -----
    For embeddings, of which a batch touches a few rows: ``opt.step([schuss.Rows(indices, values)])`` costs what these
    rows cost. Every optimizer that goes element by element takes `Rows`; this one has torch's name, defaults and place
    of eps. Dense gradients are taken too.

    References
    ----------
    D. P. Kingma, J. Ba, Adam: A Method for Stochastic Optimization (2015).
    """

    _name = "sparseadam"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        *,
        maximize: bool = False,
    ) -> None:
        super(Adam, self).__init__(
            params, lr=lr, betas=betas, eps=eps, amsgrad=False, dialect="keras", maximize=maximize
        )
