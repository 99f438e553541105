"""Averages of the parameters that an optimizer keeps along, within its own pass over memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ContextDecorator
from typing import TYPE_CHECKING, Any

from .. import _core
from ..arguments import integer, number, shown
from .base import Optimizer
from .state import averages_of, described, loading
from .wrapper import Wrapper, around, check_alone, innermost

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .._core import Calls


class Averaged(Wrapper):
    """What EMA, SWA and Lookahead share: an optimizer that keeps an average of its parameters.

    The average is taken inside the optimizer's own step, piece by piece while the parameters are in cache, so it is
    kept whoever makes the steps: this object, the optimizer itself, `fit` or `train_step`. An optimizer keeps two at
    most.

    Attributes
    ----------
    optimizer : Optimizer
        The optimizer underneath, of which this shares the parameters.
    averages : list of arrays
        One a parameter, of its shape, in the dtype that is computed with (float32 for parameters of 16 bits): the live
        averages.
    """

    optimizer: Optimizer
    _numbers = ("_number",)

    def __init__(self, optimizer: Optimizer | Averaged, kind: str, start: int, every: int, weight: float) -> None:
        self.optimizer = innermost(around(optimizer, Averaged))
        self._number = self.optimizer._keep_average(kind, start, every, weight)

    def _take(
        self,
        optimizer: Any,
        numbers: Mapping[str, Any],
        arrays: Mapping[str, Sequence[NDArray[Any]]],
        *beside: Optimizer,
    ) -> None:
        check_alone(self, beside)
        self.optimizer = innermost(around(optimizer, Averaged))
        self._number = integer("its average's number", numbers["_number"], 0, len(self.optimizer._averages) - 1)

    @property
    def averages(self) -> list[NDArray[Any]]:
        return self.optimizer._stepper.averages[self._number]

    @property
    def steps(self) -> int:
        return self.optimizer.steps

    @property
    def nonfinite(self) -> bool:
        return self.optimizer.nonfinite

    def step(self, grads: NDArray[Any] | Sequence[NDArray[Any]], **stages: Any) -> None:
        """The optimizer's step."""
        self.optimizer.step(grads, **stages)

    def applied(self) -> Applied:
        """The parameters hold the averages within ``with ...applied():``, and what they held before after it.

        Steps made within it start from the averages, and are undone after it, except in the optimizer's state. Wherever
        Ctrl-C interrupts it, afterwards the parameters are what they were before.
        """
        stepper = self.optimizer._stepper
        return Applied(stepper.param_arrays(), stepper.as_params(self.averages))

    def copy_to_params(self) -> None:
        """Write the averages into the parameters, for good."""
        stepper = self.optimizer._stepper
        _core.copy_all(stepper.param_arrays(), stepper.as_params(self.averages))

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's state, and that of every average it keeps.

        Returns
        -------
        dict
            ``{"optimizer": its state_dict, "averages": [{"kind": ..., "start": ..., "every": ..., "weight": ...,
            "arrays": copies}, ...]}``.
        """
        return {"optimizer": described(self.optimizer, averages=False), "averages": averages_of(self.optimizer)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over such a state; nothing has changed where it does not fit.

        Raises
        ------
        ValueError, TypeError
            If a key is missing, there is another number of averages, their kinds differ, or an array has another shape
            or dtype than its parameter.
        """
        self._load(state_dict, [])

    def _load(self, state_dict: Mapping[str, Any], also: Calls) -> None:
        if not isinstance(state_dict, Mapping) or {"optimizer", "averages"} - set(state_dict):
            raise ValueError(f"state_dict must be a dict with 'optimizer' and 'averages'; got {shown(state_dict)}")
        calls, _ = loading(self.optimizer, state_dict["optimizer"], averages=state_dict["averages"])
        _core.in_turn([*calls, *also])

    def __repr__(self) -> str:
        kind, start, every, weight = self.optimizer._averages[self._number]
        return (
            f"{type(self).__name__}({kind} from step {start}, every {every}, weight {weight:g}) of {self.optimizer!r}"
        )


class Applied(_core.Exchanged, ContextDecorator):
    """What `Averaged.applied` gives."""


def _start(optimizer: Any, start: int | None) -> int:
    """The first step that counts: by default the next one."""
    return around(optimizer, Averaged).steps + 1 if start is None else integer("start", start, 1)


class EMA(Averaged):
    """Exponential moving average of the parameters.

    After each ``every``-th step from step ``start`` on, ``a = a + (1 - decay) (p - a)``; the first time ``a = p``. As
    torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn.

    Parameters
    ----------
    optimizer : Optimizer
        Whose parameters are averaged; it may keep one more average.
    decay : float
        In [0, 1].
    start : int, optional
        The number of the step, from 1, after which the average begins; the next one by default. Until then it is the
        parameters as they were when this was made.
    every : int
        Steps from one update of the average to the next; >= 1.

    Notes
    -----
    Evaluate with the averages: ``with ema.applied(): ...``. Nearly free regularisation, standard in generative models
    and semi-supervised learning; a decay of 0.999 averages over about 1000 steps.

    References
    ----------
    B. T. Polyak, A. B. Juditsky, Acceleration of Stochastic Approximation by Averaging (1992).
    """

    def __init__(
        self, optimizer: Optimizer | Averaged, decay: float = 0.999, *, start: int | None = None, every: int = 1
    ) -> None:
        weight = 1 - number("decay", decay, "[0, 1]")
        super().__init__(optimizer, "ema", _start(optimizer, start), integer("every", every, 1), weight)


class SWA(Averaged):
    """Stochastic weight averaging: the plain mean of the parameters after every so many steps.

    The n-th time (from 0), ``a = a + (p - a) / (n + 1)``. As torch.optim.swa_utils.AveragedModel.

    Parameters
    ----------
    optimizer : Optimizer
        Whose parameters are averaged; it may keep one more average.
    start : int, optional
        The number of the step, from 1, after which the average begins; the next one by default.
    every : int
        Steps from one to the next that count, usually those of an epoch; >= 1.

    Notes
    -----
    Used late in training at a constant or cyclic learning rate: the mean lies in a wider and flatter minimum than the
    points it is taken of.

    References
    ----------
    P. Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization (2018).
    """

    def __init__(self, optimizer: Optimizer | Averaged, *, start: int | None = None, every: int = 1) -> None:
        super().__init__(optimizer, "mean", _start(optimizer, start), integer("every", every, 1), 0.0)


class Lookahead(Averaged):
    """Slow weights that follow the optimizer's fast ones, which go back to them.

    After every k-th step, ``slow = slow + alpha (p - slow)`` and ``p = slow``. slow begins as the parameters are when
    this is made. The optimizer's state stays.

    Parameters
    ----------
    optimizer : Optimizer
        Which makes the fast steps; it may keep one more average. An EMA made after this one averages the slow weights
        where they are taken over.
    k : int
        Fast steps to a slow one; >= 1.
    alpha : float
        In [0, 1].

    References
    ----------
    M. R. Zhang, J. Lucas, G. Hinton, J. Ba, Lookahead Optimizer: k steps forward, 1 step back (2019).
    """

    def __init__(self, optimizer: Optimizer | Averaged, k: int = 5, alpha: float = 0.5) -> None:
        every = integer("k", k, 1)
        weight = number("alpha", alpha, "[0, 1]")
        super().__init__(optimizer, "lookahead", _start(optimizer, None) + every - 1, every, weight)
