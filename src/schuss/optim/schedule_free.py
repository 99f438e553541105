"""Schedule-free SGD and AdamW."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import _core
from ..arguments import flag
from .base import Optimizer
from .state import loading

if TYPE_CHECKING:
    from .._core import Calls
    from ..structure import Params
    from .base import LearningRate


class ScheduleFree(Optimizer):
    """What both have in common: parameters that are in one of two places, and the weights of the average.

    Attributes
    ----------
    training : bool
        Whether the parameters are where steps are made from.
    """

    @classmethod
    def _beta(cls, group: Mapping[str, Any]) -> float:
        """How far y is on the way from z to x."""
        raise NotImplementedError

    @property
    def training(self) -> bool:
        """Whether the parameters are where steps are made from."""
        return not self._stepper.resting

    def eval(self) -> None:
        """Move the parameters to the average x, to be evaluated, used or saved. Nothing happens if they are there."""
        if self.training:
            self._move(self._way_to_rest(), resting=True)

    def train(self) -> None:
        """Move the parameters back to y, for steps. Nothing happens if they are there, as they are at first."""
        if not self.training:
            self._move([1 - self._beta(group) for group in self.param_groups], resting=False)

    def _move(self, weights: list[float], resting: bool) -> None:
        """Towards z by these shares. Before the first step x, y and z are one."""
        self._stepper.move_params(0, weights if self.steps else [0.0] * len(weights), resting)

    def _way_to_rest(self) -> list[float]:
        return [1 - 1 / self._beta(group) for group in self.param_groups]

    _enter_steps = train
    _leave_steps = eval

    def state_dict(self, *, like: str = "numpy") -> dict[str, Any]:
        """The optimizer's numbers in the shape of torch's state_dict, under the names of the authors' package.

        Parameters
        ----------
        like : {"numpy", "torch"}
            As for every optimizer.

        Returns
        -------
        dict
            As every optimizer's; each group also has "k" (steps made), "lr_max", "weight_sum" and "train_mode". Like
            torch's it has no parameters: those to keep with it are x if "train_mode" is False, else y.
        """
        found = super().state_dict(like=like)
        for group in found["param_groups"]:
            group.update(k=self.steps, train_mode=self.training)
        return found if self.steps else {**found, "state": {}}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the numbers of a state_dict, those of the authors' package included, and its "train_mode".

        The parameters are not moved: they are to be what they were with it.

        Raises
        ------
        ValueError, TypeError
            If groups, names, shapes or dtypes do not fit. Nothing has changed.
        """
        super().load_state_dict(state_dict)

    def _loading(self, state_dict: Mapping[str, Any]) -> tuple[Calls, int]:
        known, training = _own_entries(state_dict)
        return loading(self, known, resting=not training)


def _own_entries(state_dict: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """The state_dict as every optimizer's, with k as the step of each parameter; and train_mode."""
    state, groups = (state_dict.get(key) if isinstance(state_dict, Mapping) else None for key in _KEYS)
    if not isinstance(state, Mapping) or not isinstance(groups, (list, tuple)):
        return state_dict, True  # which will be refused
    state, bare, modes = dict(state), [], set()
    for index, group in enumerate(groups):
        if not isinstance(group, Mapping):
            return state_dict, True
        for key in group.get("params", ()) if "k" in group else ():
            if isinstance(state.get(key), Mapping):
                state[key] = {"step": group["k"], **state[key]}
        modes.add(flag(f"state_dict's param_groups[{index}]['train_mode']", group.get("train_mode", True)))
        bare.append({key: value for key, value in group.items() if key not in _OWN})
    if len(modes) > 1:
        raise ValueError("state_dict must have one train_mode for all its param_groups; got True and False")
    return {**state_dict, "state": state, "param_groups": bare}, modes != {False}


_KEYS = ("state", "param_groups")
# Entries of the authors' groups that are no hyperparameters: k counts steps, scheduled_lr is what was used last.
_OWN = ("k", "train_mode", "scheduled_lr")


class ScheduleFreeSGD(ScheduleFree):
    """Gradient descent without a schedule: a running mean of its points does what a falling rate would do.

    Gradients are taken at ``y = (1 - momentum) z + momentum x``: ``z = z - lr g``, and x is the weighted mean of all z,
    ``x = x + c (z - x)``. In the first ``warmup_steps`` steps ``lr = lr t / warmup_steps``; with the largest lr so far,
    lr_max, the weight of the newest point is ``w = t^r lr_max^weight_lr_power``, and ``c = w / (sum of all w)``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`. While `training`, they hold y; after `eval`, x.
    lr : float or callable
        As for `SGD`. Best a number: 10 to 50 times what `SGD` with momentum would take.
    momentum : float
        In (0, 1).
    weight_decay : float or callable
        ``weight_decay y`` is added to the gradient; >= 0.
    warmup_steps : int
        >= 0.
    r, weight_lr_power : float
        See above; in [0, 100]. r = 0: all points count alike once lr is constant.
    maximize : bool
        Ascend instead.

    Raises
    ------
    RuntimeError
        By a step after `eval`, before `train`.

    Notes
    -----
    For training whose end is not known beforehand: at any time x is about as good as a run whose rate fell to zero just
    then, for no more memory than momentum takes. x is the result: call `eval` before parameters are evaluated, saved or
    used, and `train` before steps go on. There and back moves last bits, no more. In ``Network.fit`` it happens by
    itself: steps are made from y; validation, metrics, callbacks and early stopping see x, and the network that it
    leaves has x, the optimizer being in eval mode then.

    Names and formulas are those of the authors' package schedulefree (1.4). There an optimizer begins in eval mode,
    here in training mode. optax has no r and takes a warm-up as a schedule; else it is the same.

    References
    ----------
    A. Defazio, X. Yang, H. Mehta, K. Mishchenko, A. Khaled, A. Cutkosky, The Road Less Scheduled (2024).
    """

    _name = "schedule_free_sgd"
    _rule = "schedule_free_sgd"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1.0,
        momentum: float = 0.9,
        weight_decay: LearningRate = 0.0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            warmup_steps=warmup_steps,
            r=r,
            weight_lr_power=weight_lr_power,
            maximize=maximize,
        )

    @classmethod
    def _beta(cls, group: Mapping[str, Any]) -> float:
        return float(_core.checked_settings(cls._rule, {"momentum": group["momentum"]})["momentum"])


class ScheduleFreeAdamW(ScheduleFree):
    """AdamW without a schedule: a running mean of its points does what a falling rate would do.

    As `ScheduleFreeSGD` with beta1 for its momentum, and ``d`` in place of g: ``v = beta2 v + (1 - beta2) g^2``,
    ``d = g / (sqrt(v) / sqrt(1 - beta2^t) + eps) + weight_decay y``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `ScheduleFreeSGD`.
    lr : float or callable
        As for `SGD`. Best a number: 1 to 10 times what `AdamW` would take.
    betas : (float, float)
        In (0, 1) and in [0, 1). Long trainings want a beta1 of 0.95 to 0.98.
    eps, weight_decay : float
        Both >= 0.
    warmup_steps, r, weight_lr_power, maximize
        As for `ScheduleFreeSGD`.

    Raises
    ------
    RuntimeError
        By a step after `eval`, before `train`.

    Notes
    -----
    As for `ScheduleFreeSGD`; no more memory than `AdamW`, z being in the place of the first moment. It won the
    self-tuning track of the AlgoPerf 2024 challenge. A warm-up is recommended.

    Decay is at y and scaled by lr, as in the authors' package since 1.3. Keras weighs all points alike, those of the
    warm-up too, and evaluates at y.

    References
    ----------
    A. Defazio, X. Yang, H. Mehta, K. Mishchenko, A. Khaled, A. Cutkosky, The Road Less Scheduled (2024).
    """

    _name = "schedule_free_adamw"
    _rule = "schedule_free_adamw"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 0.0025,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: LearningRate = 0.0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            warmup_steps=warmup_steps,
            r=r,
            weight_lr_power=weight_lr_power,
            maximize=maximize,
        )

    @classmethod
    def _beta(cls, group: Mapping[str, Any]) -> float:
        return float(_core.checked_settings(cls._rule, {"betas": group["betas"]})["betas"][0])
