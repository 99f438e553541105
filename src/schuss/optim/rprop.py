"""Rprop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..arguments import shown
from .base import Optimizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .. import _core
    from ..structure import Params
    from .base import LearningRate


class Rprop(Optimizer):
    """A step size for each parameter, which grows while the gradient keeps its sign and shrinks when that changes.

    With ``g'`` the gradient of the step before: where ``g g' > 0``, ``size = min(etas[1] size, step_sizes[1])``; where
    ``g g' < 0``, ``size = max(etas[0] size, step_sizes[0])`` and ``g = 0``. Then ``p = p - size sign(g)``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float
        What every size starts with; >= 0. Later changes have no effect.
    etas : (float, float)
        How sizes shrink, in (0, 1), and grow, in (1, inf).
    step_sizes : (float, float)
        The smallest and the largest size, both >= 0.
    maximize : bool
        Ascend instead.

    Raises
    ------
    ValueError
        If lr is a schedule, or given to a step: there is no rate that either could change.

    Notes
    -----
    For full batches: only signs count, so it does not care how large gradients are and needs next to no tuning; it was
    the standard for small networks before minibatches. In minibatches signs flip by chance and sizes collapse: use
    RMSProp, which was made of it for these, or `Signum`.

    The form without backtracking and with ``g = 0`` after a change of sign (iRprop-), as in torch; the paper's own also
    takes back the step that overshot. Signs are compared, where torch multiplies gradients: that differs where their
    product underflows. optax (0.2) makes each step one call later, and the first call none.

    References
    ----------
    M. Riedmiller, H. Braun, A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP Algorithm (1993).
    C. Igel, M. Huesken, Improving the Rprop Learning Algorithm (2000), for this form.
    """

    _name = "rprop"
    _rule = "rprop"
    _tuples: ClassVar[Mapping[str, int]] = {"etas": 2, "step_sizes": 2}

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, etas=etas, step_sizes=step_sizes, maximize=maximize)

    def _group(self, arrays: list[NDArray[Any]], given: Mapping[str, Any]) -> dict[str, Any]:
        _check_rate(given["lr"])
        group = super()._group(arrays, given)
        smallest, largest = group["step_sizes"]
        if smallest > largest:
            raise ValueError(f"step_sizes must be a smallest and a largest; got {smallest:g} and {largest:g}")
        return group

    def step(self, grads: Any, *, lr: float | None = None, **options: Any) -> None:
        """As every optimizer's, but without ``lr``."""
        if lr is not None:
            raise ValueError(f"lr must not be given to a step: Rprop's is where step sizes start; got {shown(lr)}")
        super().step(grads, **options)

    def _set_lr(self, lr: LearningRate) -> None:
        _check_rate(lr)
        super()._set_lr(lr)

    @staticmethod
    def _state_slots(group: Mapping[str, Any]) -> dict[str, int]:
        return {"prev": 0, "step_size": 1}

    def _fill_fresh(self, stepper: _core.Stepper, groups: list[dict[str, Any]]) -> None:
        self._fill(stepper, groups, "lr", 1)


def _check_rate(lr: float | Callable[[int], float]) -> None:
    if callable(lr):
        raise ValueError(f"lr must be a number: Rprop's is where step sizes start, not a rate; got {shown(lr)}")
