"""Optimizers, stepped in place over arrays of the caller's. The update rules are compiled; here are their arguments.

Arguments, defaults and formulas are those of ``torch.optim``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from . import _core
from .arguments import choice, clipping, flag, learning_rate, number, shown, unknown_name
from .errors import DivergenceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Params = NDArray[Any] | Iterable[NDArray[Any]] | Iterable[Mapping[str, Any]]
    LearningRate = float | Callable[[int], float]

# Entries of a group that are not hyperparameters.
_NOT_HYPER = ("params", "rule", "decoupled", "schedule")
# Entries of torch's groups that mean nothing here.
_TORCH_ONLY = frozenset(
    ("foreach", "capturable", "differentiable", "fused", "decoupled_weight_decay", "initial_lr", "swap_params")
)
_INTERVALS = {
    "weight_decay": "[0, inf)",
    "momentum": "[0, inf)",
    "dampening": "(-inf, inf)",
    "lr_decay": "[0, inf)",
    "initial_accumulator_value": "[0, inf)",
    "eps": "[0, inf)",
    "alpha": "[0, 1]",
}


class Optimizer:
    """What all optimizers share. Use one of SGD, AdaGrad, RMSProp, Adam, AdamW.

    Attributes
    ----------
    param_groups : list of dict
        As torch's: "params" (a list of arrays) and the group's hyperparameters. Changed numbers take effect at the
        next step. "schedule" holds a callable learning rate, or None; while it is set, each step writes "lr" first.
        Which arrays belong to which group is fixed.
    """

    param_groups: list[dict[str, Any]]
    _name: ClassVar[str]
    _rule: ClassVar[str]
    _decoupled: ClassVar[bool] = False

    def __init__(self, params: Params, **defaults: Any) -> None:
        groups = []
        for index, (arrays, given) in enumerate(_groups_of(params)):
            for key in given:
                if key not in defaults:
                    raise unknown_name(f"params[{index}]'s key", key, ["params", *defaults])
            groups.append(self._group(arrays, {**defaults, **given}))
        self._stepper = self._new_stepper(groups)
        self.param_groups = groups
        self._fill_fresh(self._stepper, groups)

    # -- construction ------------------------------------------------------------------------------------------------

    def _group(self, arrays: list[NDArray[Any]], given: Mapping[str, Any]) -> dict[str, Any]:
        """A checked group. A callable lr becomes the schedule, and its first value the lr."""
        group: dict[str, Any] = {"params": arrays}
        schedule = None
        for name, value in given.items():
            if name == "lr":
                if callable(value):
                    schedule = value
                    value = value(0)
                group["lr"] = learning_rate("lr" if schedule is None else "lr(0)", value)
            elif name == "betas":
                if not isinstance(value, (tuple, list)) or len(value) != 2:
                    raise ValueError(f"betas must be two numbers in [0, 1); got {shown(value)}")
                group["betas"] = tuple(number(f"betas[{k}]", beta, "[0, 1)") for k, beta in enumerate(value))
            elif name in _INTERVALS:
                group[name] = number(name, value, _INTERVALS[name])
            else:
                group[name] = flag(name, value)
        if group.get("nesterov") and not (group["momentum"] > 0 and group["dampening"] == 0):
            raise ValueError(
                f"nesterov needs momentum > 0 and dampening 0; "
                f"got momentum={group['momentum']:g}, dampening={group['dampening']:g}"
            )
        group.update(schedule=schedule, rule=self._rule, decoupled=self._decoupled)
        return group

    @staticmethod
    def _state_slots(group: Mapping[str, Any]) -> dict[str, int]:
        """Torch's name -> slot in the core, of the state arrays that a parameter of this group has."""
        raise NotImplementedError

    def _new_stepper(self, groups: list[dict[str, Any]]) -> _core.Stepper:
        params: list[NDArray[Any]] = []
        group_of: list[int] = []
        states_of: list[int] = []
        for index, group in enumerate(groups):
            slots = self._state_slots(group)
            params += group["params"]
            group_of += [index] * len(group["params"])
            states_of += [max(slots.values(), default=-1) + 1] * len(group["params"])
        return _core.Stepper(params, group_of, states_of)

    def _fill_fresh(self, stepper: _core.Stepper, groups: list[dict[str, Any]]) -> None:
        """What the states of a new stepper hold, where that is not zero."""

    # -- stepping ----------------------------------------------------------------------------------------------------

    def step(
        self,
        grads: NDArray[Any] | Sequence[NDArray[Any]],
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        on_nonfinite: str = "flag",
    ) -> None:
        """Update every parameter in place, once.

        Parameters
        ----------
        grads : array or sequence of arrays
            One a parameter, in the order of the parameters over all groups, of the parameter's shape and dtype. Only
            read.
        clip_norm : float, optional
            Scale the gradients down to this norm if theirs, over all of them, is larger.
        clip_value : float, optional
            Limit each gradient element to [-clip_value, clip_value] first.
        on_nonfinite : {"flag", "raise"}
            What a NaN or infinite gradient does. "flag": the update is made, and `nonfinite` tells afterwards, which
            costs nothing. "raise": the gradients are read once before the update (1/7 more memory traffic for Adam on
            large arrays), and nothing is updated. With clip_norm they are read first anyway, and it always raises.

        Raises
        ------
        ValueError, TypeError
            If a gradient does not fit its parameter, or a hyperparameter is out of range. Nothing has changed.
        DivergenceError
            If a gradient is NaN or infinite, with clip_norm or on_nonfinite="raise". Nothing has changed.
        """
        stepper = self._stepper
        groups = self.param_groups
        first = on_nonfinite == "raise"
        made = None
        if first or on_nonfinite == "flag":
            made = stepper.plain_step(grads, groups, clip_value, clip_norm, first)
        if made is None:
            self._apply_schedules()
            value, norm = clipping(clip_value, clip_norm)
            choice("on_nonfinite", on_nonfinite, ("flag", "raise"))
            made = stepper.step(grads, groups, 1.0, value, norm, first)
        if not made:
            lr = groups[0]["lr"]
            raise DivergenceError(
                f"a gradient is NaN or infinite (or their norm is), with lr={lr:g}; nothing was updated", lr=lr
            )

    @property
    def nonfinite(self) -> bool:
        """Whether the last step met a NaN or infinite gradient."""
        return self._stepper.nonfinite

    @property
    def steps(self) -> int:
        """Steps made so far."""
        return self._stepper.steps

    def _apply_schedules(self) -> None:
        """Write the lr of the step about to be made into each group that has a schedule."""
        step = self._stepper.steps
        for group in self.param_groups:
            schedule = group["schedule"]
            if schedule is not None:
                group["lr"] = learning_rate(f"lr({step})", schedule(step))

    def _set_lr(self, lr: LearningRate) -> None:
        """One learning rate or schedule for all groups."""
        schedule = lr if callable(lr) else None
        value = learning_rate("lr", lr(self.steps) if callable(lr) else lr)
        for group in self.param_groups:
            group.update(lr=value, schedule=schedule)

    # -- state -------------------------------------------------------------------------------------------------------

    def _states(self) -> list[dict[str, NDArray[Any]]]:
        """Named state arrays (the core's own, writable) of each parameter."""
        found = []
        states = iter(self._stepper.states)
        for group in self.param_groups:
            slots = self._state_slots(group)
            for _ in group["params"]:
                arrays = next(states)
                found.append({name: arrays[slot] for name, slot in slots.items()})
        return found

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's numbers in the shape of torch's state_dict.

        Returns
        -------
        dict
            ``{"state": {i: {"step": t, "exp_avg": array, ...}}, "param_groups": [{..., "params": [i, ...]}]}`` with
            copies of the state arrays. A schedule is not in it: its current value is, as "lr".
        """
        state = {
            i: {"step": self.steps, **{name: array.copy() for name, array in arrays.items()}}
            for i, arrays in enumerate(self._states())
        }
        groups, first = [], 0
        for group in self.param_groups:
            entry = {key: value for key, value in group.items() if key not in _NOT_HYPER}
            entry["params"] = list(range(first, first + len(group["params"])))
            first += len(group["params"])
            groups.append(entry)
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the numbers of a state_dict, torch's own included. Everything is checked first, then copied.

        A "schedule" of this optimizer stays. A torch state without "step" (SGD's) counts as step 1 if it has momentum
        buffers, else 0.

        Raises
        ------
        ValueError, TypeError
            If groups, names, shapes or dtypes do not fit. Nothing has changed.
        """
        if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= set(state_dict):
            raise ValueError(f"state_dict must be a dict with 'state' and 'param_groups'; got {shown(state_dict)}")
        for name, kind in (("state", Mapping), ("param_groups", (list, tuple))):
            if not isinstance(state_dict[name], kind):
                expected = "a dict" if kind is Mapping else "a list of dicts"
                raise TypeError(f"state_dict[{name!r}] must be {expected}; got {shown(state_dict[name])}")
        groups, order = self._loaded_groups(state_dict["param_groups"])
        stepper = self._new_stepper(groups)
        steps = self._load_states(stepper, groups, state_dict["state"], order)
        if [len(states) for states in stepper.states] == [len(states) for states in self._stepper.states]:
            # Into the present one, which a fit that is running holds.
            for mine, theirs in zip(self._stepper.states, stepper.states, strict=True):
                for target, source in zip(mine, theirs, strict=True):
                    target[...] = source
        else:
            self._stepper = stepper
        self._stepper.steps = steps
        self.param_groups[:] = groups

    def _loaded_groups(self, given: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[Any]]:
        """New groups over the arrays of the present ones, and the keys of their states in order."""
        if len(given) != len(self.param_groups):
            raise ValueError(f"state_dict must have {len(self.param_groups)} param_groups; got {len(given)}")
        groups, order = [], []
        for index, (mine, theirs) in enumerate(zip(self.param_groups, given, strict=True)):
            if not isinstance(theirs, Mapping):
                raise TypeError(f"state_dict's param_groups[{index}] must be a dict; got {shown(theirs)}")
            ids = list(theirs.get("params", ()))
            if len(ids) != len(mine["params"]):
                raise ValueError(
                    f"state_dict's param_groups[{index}] must have {len(mine['params'])} params; got {len(ids)}"
                )
            order += ids
            hyper = {key: value for key, value in mine.items() if key not in _NOT_HYPER}
            for key, value in theirs.items():
                if key in hyper:
                    hyper[key] = _plain(value)
                elif key != "params" and key not in _TORCH_ONLY:
                    raise unknown_name(f"state_dict's param_groups[{index}] key", key, hyper)
            group = self._group(mine["params"], hyper)
            group["schedule"] = mine["schedule"]
            groups.append(group)
        return groups, order

    def _load_states(
        self, stepper: _core.Stepper, groups: list[dict[str, Any]], given: Mapping[Any, Any], order: list[Any]
    ) -> int:
        """Fill the states of a new stepper; returns the step they belong to."""
        for key in given:
            if key not in order:
                raise ValueError(f"state_dict's state has an entry {key!r} that belongs to no parameter")
        counts: set[int] = set()
        filled: list[NDArray[Any]] = []
        index = 0
        for group in groups:
            slots = self._state_slots(group)
            for param in group["params"]:
                where = f"state_dict's state[{order[index]!r}]"
                entry = given.get(order[index], {})
                if not isinstance(entry, Mapping):
                    raise TypeError(f"{where} must be a dict; got {shown(entry)}")
                entry = dict(entry)
                arrays = stepper.states[index]
                buffers = {name: entry.pop(name, None) for name in slots}
                missing = [name for name, value in buffers.items() if value is None]
                if "step" in entry:
                    counts.add(_step_count(where, entry.pop("step")))
                else:
                    counts.add(1 if buffers and not missing else 0)
                if entry:
                    raise unknown_name(f"{where} has an entry that", next(iter(entry)), ["step", *slots])
                if missing and len(missing) < len(buffers):
                    raise ValueError(f"{where} must have {', '.join(slots)}; {missing[0]} is missing")
                if missing and max(counts) > 0:
                    raise ValueError(f"{where} must have {', '.join(slots)} after step {max(counts)}; got none")
                for name, value in buffers.items():
                    if value is None:
                        continue
                    array = np.asarray(value)
                    if array.shape != param.shape or array.dtype != param.dtype:
                        raise ValueError(
                            f"{where}[{name!r}] must be {param.dtype} of shape {param.shape}; "
                            f"got {array.dtype} of shape {array.shape}"
                        )
                    arrays[slots[name]][...] = array
                    filled.append(array)
                index += 1
        if len(counts) > 1:
            raise ValueError(f"state_dict must have one step count for all parameters; got {sorted(counts)}")
        if not filled:
            self._fill_fresh(stepper, groups)
        return counts.pop() if counts else 0

    def __getstate__(self) -> dict[str, Any]:
        return {"groups": self.param_groups, "states": self._stepper.states, "steps": self.steps}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A pickle or a deep copy carries its own parameters: it is bound to no network and no array of before."""
        groups = state["groups"]
        for group in groups:
            group["params"] = [p if p.flags.carray else np.array(p, order="C") for p in group["params"]]
        self._stepper = self._new_stepper(groups)
        self.param_groups = groups
        for mine, theirs in zip(self._stepper.states, state["states"], strict=True):
            for target, source in zip(mine, theirs, strict=True):
                target[...] = source
        self._stepper.steps = state["steps"]

    def __copy__(self) -> Optimizer:
        raise TypeError("two optimizers cannot share their arrays: use copy.deepcopy")

    def __repr__(self) -> str:
        lines = []
        for group in self.param_groups:
            shapes = ", ".join(str(p.shape) for p in group["params"][:4])
            more = ", ..." if len(group["params"]) > 4 else ""
            hyper = ", ".join(f"{key}={value!r}" for key, value in group.items() if key not in _NOT_HYPER)
            lines.append(f"{type(self).__name__}([{shapes}{more}], {hyper})")
        return "\n".join(lines)


def _groups_of(params: Params) -> list[tuple[list[NDArray[Any]], dict[str, Any]]]:
    """(arrays, given hyperparameters) of each group."""
    if isinstance(params, np.ndarray):
        return [([params], {})]
    if isinstance(params, (str, bytes, Mapping)) or not isinstance(params, Iterable):
        raise TypeError(
            f"params must be an array, a list of arrays or a list of dicts; got {shown(params)} "
            f"({type(params).__name__})"
        )
    items: list[Any] = list(params)
    if not items:
        raise ValueError("params must hold at least one array; got none")
    if not any(isinstance(item, Mapping) for item in items):
        return [([_target("params", k, item) for k, item in enumerate(items)], {})]
    groups = []
    for index, item in enumerate(items):
        if not isinstance(item, Mapping) or "params" not in item:
            raise TypeError(f"params[{index}] must be a dict with 'params' like the others; got {shown(item)}")
        given = {key: value for key, value in item.items() if key != "params"}
        arrays = item["params"]
        if isinstance(arrays, (str, bytes)) or not isinstance(arrays, Iterable):
            raise TypeError(f"params[{index}]['params'] must be an array or a list of arrays; got {shown(arrays)}")
        arrays = [arrays] if isinstance(arrays, np.ndarray) else list(arrays)
        if not arrays:
            raise ValueError(f"params[{index}]['params'] must hold at least one array; got none")
        groups.append(([_target(f"params[{index}]['params']", k, array) for k, array in enumerate(arrays)], given))
    return groups


def _target(name: str, index: int, value: Any) -> NDArray[Any]:
    if not isinstance(value, np.ndarray):
        raise TypeError(
            f"{name}[{index}] must be a numpy.ndarray, which is updated in place; got {shown(value)} "
            f"({type(value).__name__})"
        )
    return value


def _plain(value: Any) -> Any:
    """A hyperparameter of a state_dict as a plain value; torch may hold a tensor."""
    if isinstance(value, (tuple, list)):
        return tuple(_plain(part) for part in value)
    return np.asarray(value).item() if hasattr(value, "__array__") else value


def _step_count(where: str, value: Any) -> int:
    count = _plain(value)
    if isinstance(count, bool) or not isinstance(count, (int, float)) or count < 0 or count != int(count):
        raise ValueError(f"{where}['step'] must be a whole number >= 0; got {shown(value)}")
    return int(count)


class SGD(Optimizer):
    """Gradient descent, with momentum if asked.

    ``buf = momentum buf + (1 - dampening) g`` (``buf = g`` at the first step), ``p = p - lr buf``; with ``nesterov``
    ``p = p - lr (g + momentum buf)``; without momentum ``p = p - lr g``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        What is updated, in place: C-contiguous, writable, all float32 or all float64, none overlapping another. Dicts
        are groups: "params" and hyperparameters of their own.
    lr : float or callable
        Learning rate >= 0, or a schedule: a function of the step's number, from 0.
    momentum, dampening : float
        momentum >= 0.
    weight_decay : float
        ``weight_decay p`` is added to the gradient; >= 0.
    nesterov : bool
        Needs momentum > 0 and dampening 0.
    maximize : bool
        Ascend instead.

    Raises
    ------
    ValueError, TypeError
        If an array cannot be updated in place, or a number is out of range.

    References
    ----------
    B. T. Polyak, Some methods of speeding up the convergence of iteration methods (1964). Y. Nesterov, A method of
    solving a convex programming problem with convergence rate O(1/k^2) (1983).
    """

    _name = "sgd"
    _rule = "sgd"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
        )

    @staticmethod
    def _state_slots(group: Mapping[str, Any]) -> dict[str, int]:
        return {"momentum_buffer": 0} if group["momentum"] != 0 else {}


class AdaGrad(Optimizer):
    """Steps divided by the root of the sum of squared gradients.

    ``sum = sum + g^2``, ``p = p - lr / (1 + (t - 1) lr_decay) g / (sqrt(sum) + eps)``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float or callable
        As for `SGD`.
    lr_decay, weight_decay, eps : float
        All >= 0.
    initial_accumulator_value : float
        What ``sum`` starts with; >= 0.
    maximize : bool
        Ascend instead.

    References
    ----------
    J. Duchi, E. Hazan, Y. Singer, Adaptive Subgradient Methods, JMLR 12 (2011).
    """

    _name = "adagrad"
    _rule = "adagrad"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
            maximize=maximize,
        )

    @staticmethod
    def _state_slots(group: Mapping[str, Any]) -> dict[str, int]:
        return {"sum": 0}

    def _fill_fresh(self, stepper: _core.Stepper, groups: list[dict[str, Any]]) -> None:
        states = iter(stepper.states)
        for group in groups:
            for _ in group["params"]:
                next(states)[0][...] = group["initial_accumulator_value"]


class RMSProp(Optimizer):
    """Steps divided by the root of a running mean of squared gradients.

    ``sq = alpha sq + (1 - alpha) g^2``; centered: ``ga = ga + (1 - alpha) (g - ga)`` and
    ``avg = sqrt(max(sq - ga^2, 0)) + eps``, else ``avg = sqrt(sq) + eps``; with momentum
    ``buf = momentum buf + g / avg`` and ``p = p - lr buf``, else ``p = p - lr g / avg``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float or callable
        As for `SGD`.
    alpha : float
        In [0, 1].
    eps, weight_decay, momentum : float
        All >= 0.
    centered : bool
        Divide by an estimate of the standard deviation rather than of the root mean square.
    maximize : bool
        Ascend instead.

    References
    ----------
    T. Tieleman, G. Hinton, Lecture 6.5 of Neural Networks for Machine Learning (2012). A. Graves, Generating Sequences
    with Recurrent Neural Networks (2013), for the centered form.
    """

    _name = "rmsprop"
    _rule = "rmsprop"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            momentum=momentum,
            centered=centered,
            maximize=maximize,
        )

    @staticmethod
    def _state_slots(group: Mapping[str, Any]) -> dict[str, int]:
        slots = {"square_avg": 0}
        if group["centered"]:
            slots["grad_avg"] = 1
        if group["momentum"] != 0:
            slots["momentum_buffer"] = 2
        return slots


class Adam(Optimizer):
    """Running means of the gradient over the root of running means of its square, both corrected for their start.

    ``m = m + (1 - beta1) (g - m)``, ``v = beta2 v + (1 - beta2) g^2``,
    ``p = p - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)``; with ``amsgrad`` the largest v so far takes
    v's place in the last line.

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
    weight_decay : float
        ``weight_decay p`` is added to the gradient; >= 0.
    amsgrad, maximize : bool
        See above; ascend instead.

    References
    ----------
    D. P. Kingma, J. Ba, Adam: A Method for Stochastic Optimization (2015). S. J. Reddi, S. Kale, S. Kumar, On the
    Convergence of Adam and Beyond (2018), for amsgrad.
    """

    _name = "adam"
    _rule = "adam"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize
        )

    @staticmethod
    def _state_slots(group: Mapping[str, Any]) -> dict[str, int]:
        slots = {"exp_avg": 0, "exp_avg_sq": 1}
        if group["amsgrad"]:
            slots["max_exp_avg_sq"] = 2
        return slots


class AdamW(Adam):
    """Adam with decoupled weight decay: ``p = p (1 - lr weight_decay)`` before Adam's step.

    Parameters as for `Adam`; ``weight_decay`` is 0.01 by default.

    References
    ----------
    I. Loshchilov, F. Hutter, Decoupled Weight Decay Regularization (2019).
    """

    _name = "adamw"
    _decoupled = True

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)


# torch's spellings.
Adagrad = AdaGrad
RMSprop = RMSProp

BY_NAME: dict[str, type[Optimizer]] = {kind._name: kind for kind in (SGD, AdaGrad, RMSProp, Adam, AdamW)}


def by_name(name: str) -> type[Optimizer]:
    """The optimizer class of a name such as "adam"."""
    if name not in BY_NAME:
        raise unknown_name("optimizer", name, BY_NAME)
    return BY_NAME[name]
