"""SOAP: Adam in the eigenbasis of Shampoo's preconditioners."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import _core
from .base import Optimizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..structure import NoDecay, Params
    from .base import LearningRate


class SOAP(Optimizer):
    """Adam in the basis in which Shampoo's preconditioners are diagonal: each direction has a step size of its own.

    For an ``m x n`` matrix, with ``GG_0`` and ``GG_1`` the averages of ``g g'`` and ``g' g`` by ``shampoo_beta``, and
    their eigenvectors in ``Q_0`` and ``Q_1``: ``h = Q_0' g Q_1``, ``m = m + (1 - beta1) (h - m)``,
    ``v = beta2 v + (1 - beta2) h^2``, ``u = Q_0 (m / (sqrt(v) + eps)) Q_1'`` and ``p = (1 - lr weight_decay) (p - lr
    sqrt(1 - beta2^t) / (1 - beta1^t) u)``, where t counts updates. Arrays of more dimensions have an average and a
    basis for each.

    The first step makes no update: it only finds the eigenvectors, so that no gradient is seen in a basis of its own
    making. From then on, every ``precondition_frequency`` updates, ``Q`` becomes the orthonormal factor of ``GG Q``,
    with its columns in the order of their eigenvalues; v is sorted alike, and m goes to the new basis.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float or callable
        As for `SGD`.
    betas : (float, float)
        In [0, 1).
    shampoo_beta : float or None
        < 1; None or negative: ``beta2``.
    eps : float
        >= 0.
    weight_decay : float or callable
        >= 0.
    precondition_frequency : int
        1 to 10^9.
    max_precond_dim : int
        0 to 10^9. Dimensions of more elements, as of an embedding, have no preconditioner; without any, it is Adam.
    merge_dims : bool
        Neighbouring dimensions count as one as long as that has at most ``max_precond_dim`` elements.
    precondition_1d : bool
        Whether vectors have a preconditioner; if not, they are stepped by Adam.
    normalize_grads : bool
        Divide the u of each array by its root mean square: for rare changes of the basis (100).
    correct_bias : bool
        Whether the factors with ``beta^t`` are there.
    maximize : bool
        Ascend instead.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.

    Raises
    ------
    ValueError
        In a step, if ``max_precond_dim``, ``merge_dims`` or ``precondition_1d`` of a group has been changed so that its
        states do not fit.

    Notes
    -----
    For networks of wide matrices where a gradient costs far more than a step; its authors need some 40% fewer steps
    than with AdamW. It is Adam in another basis, so AdamW's learning rates and schedules are where to begin.

    States: "exp_avg" (m) and "exp_avg_sq" (v) of the parameter's shape, both in the eigenbasis, and, of each dimension
    k that has them, "GG_k" and "Q_k", squares of its size. A step of an ``m x n`` matrix takes ``5 m n (m + n)``
    operations, one that changes the basis ``4 m n (m + n) + 5 (m^3 + n^3)`` more, the first, for eigenvectors, about
    ``8 min(m, n)^3 + 3 max(m, n)^3``. It needs room for three arrays as large as the largest and up to four squares of
    its longest side, kept from step to step.

    Weights decay after the update, as in the authors' code; torch's AdamW decays before it. eps is not corrected for
    the start. Eigenvectors are found in double, and have the sign that the code gives them: neither their signs nor, of
    equal eigenvalues, their choice are the same in other implementations, and only the latter changes an update.
    The authors' state has lists "GG" and "Q", and counts no first step. pytorch_optimizer keeps "exp_avg" in the
    original space, which is the same but for rounding.

    References
    ----------
    N. Vyas et al., SOAP: Improving and Stabilizing Shampoo using Adam (2024), arXiv:2409.11321.
    """

    _name = "soap"
    _rule = "soap"
    _decoupled = True

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 3e-3,
        betas: tuple[float, float] = (0.95, 0.95),
        shampoo_beta: float | None = -1,
        eps: float = 1e-8,
        weight_decay: LearningRate = 0.01,
        precondition_frequency: int = 10,
        max_precond_dim: int = 10_000,
        merge_dims: bool = False,
        precondition_1d: bool = False,
        normalize_grads: bool = False,
        correct_bias: bool = True,
        *,
        maximize: bool = False,
        no_decay: NoDecay = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            shampoo_beta=shampoo_beta,
            eps=eps,
            weight_decay=weight_decay,
            precondition_frequency=precondition_frequency,
            max_precond_dim=max_precond_dim,
            merge_dims=merge_dims,
            precondition_1d=precondition_1d,
            normalize_grads=normalize_grads,
            correct_bias=correct_bias,
            maximize=maximize,
            no_decay=no_decay,
        )

    def _named(
        self, group: Mapping[str, Any], shape: tuple[int, ...], states: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """With a name for each square of "GG" and "Q", which hold those of all dimensions one after the other."""
        named = dict(states)
        for name in ("GG", "Q"):
            flat, at = named.pop(name, None), 0
            if flat is None:
                continue
            for side, size in _core.sides_of(dict(group), shape, flat.dtype).items():
                named[f"{name}_{side}"] = flat[at : at + size * size].reshape(size, size)
                at += size * size
        return named
