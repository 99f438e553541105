"""Optimizers, stepped in place over arrays of the caller's. The update rules are compiled; here are their arguments.

Arguments, defaults and formulas are those of ``torch.optim``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import _core
from ..arguments import choice, flag, integer, learning_rate, number, shown, stored, unknown_name
from ..errors import DivergenceError
from ..structure import listed, read, without_decay
from .state import NOT_HYPER, described, load_states, loaded_groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..structure import Entry, Grads, NoDecay, Params, Structure

    LearningRate = float | Callable[[int], float]


class Optimizer:
    """What all optimizers share.

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
    # Hyperparameters that are tuples, and how many numbers they hold.
    _tuples: ClassVar[Mapping[str, int]] = {"betas": 2}
    # Those that may be None, and numbers of tuples that may: "name[k]".
    _optional: ClassVar[frozenset[str]] = frozenset()
    # Those that are whole numbers, from where to where.
    _integers: ClassVar[Mapping[str, tuple[int, int | None]]] = {}
    # Numbers that the core does not know, and the intervals they lie in.
    _intervals: ClassVar[Mapping[str, str]] = {}
    # Numbers a group remembers from step to step, and their places in the core's memory of it; whether torch's
    # state_dict has them with each parameter, or in the group.
    _memory: ClassVar[Mapping[str, int]] = {}
    _memory_of_params: ClassVar[bool] = False
    # Whether states begin with the first step: torch tells it by their absence.
    _first_fills_states: ClassVar[bool] = False
    # What it is given beside parameters and lr where it is asked for by its name, for a network.
    _of_network: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, params: Params, *, no_decay: NoDecay = None, **defaults: Any) -> None:
        entries, options, form = read(params)
        entries, options = self._placed(entries, options, form)
        if no_decay is not None and no_decay is not False:
            if "weight_decay" not in defaults:
                raise ValueError(f"no_decay must not be given: {type(self).__name__} has no weight_decay")
            entries, options = without_decay(entries, options, no_decay)
        groups = []
        for index, given in enumerate(options):
            known = self._defaults_of(given, defaults)
            for key in given:
                if key not in known and key != "lr_factor":
                    raise unknown_name(f"params[{index}]'s key", key, ["params", *known])
            arrays = [entry.array for entry in entries if entry.group == index]
            groups.append(self._group(arrays, {**known, **given}))
        self._form = form
        self._flattens = form.nested
        self._group_of = [entry.group for entry in entries]
        self._stepper = self._new_stepper(groups)
        self.param_groups = groups
        self._averages: list[tuple[str, int, int, float]] = []
        self._fill_fresh(self._stepper, groups)

    # -- construction ------------------------------------------------------------------------------------------------

    def _placed(
        self, entries: list[Entry], options: list[dict[str, Any]], form: Structure
    ) -> tuple[list[Entry], list[dict[str, Any]]]:
        """The parameters and what groups were given, with some parameters moved to groups of their own, perhaps."""
        return entries, options

    def _defaults_of(self, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> Mapping[str, Any]:
        """The hyperparameters of a group that was given these."""
        return defaults

    def _rule_of(self, given: Mapping[str, Any]) -> str:
        """The core's rule for a group of these hyperparameters."""
        return self._rule

    def _group(self, arrays: list[NDArray[Any]], given: Mapping[str, Any]) -> dict[str, Any]:
        """A checked group. A callable lr becomes the schedule, and its first value the lr."""
        rule = self._rule_of(given)
        intervals, flags, choices = _core.hyperparameters(rule)
        intervals.update(self._intervals)
        group: dict[str, Any] = {"params": arrays}
        schedule = None
        for name, value in given.items():
            if name == "lr":
                if callable(value):
                    schedule = value
                    value = value(0)
                group["lr"] = learning_rate("lr" if schedule is None else "lr(0)", value)
            elif value is None and name in self._optional:
                group[name] = None
            elif name in self._integers:
                group[name] = integer(name, value, *self._integers[name])
            elif name in self._tuples:
                group[name] = _numbers(name, value, self._tuples[name], intervals[name], self._optional)
            elif name in intervals:
                group[name] = number(name, value, intervals[name])
            elif name in flags:
                group[name] = flag(name, value)
            elif name in choices:
                group[name] = choice(name, value, choices[name])
            else:
                group[name] = self._special(name, value)
        self._check_together(group)
        group.update(schedule=schedule, rule=rule)
        if "decoupled_weight_decay" not in group:
            group["decoupled"] = self._decoupled
        return group

    def _check_together(self, group: Mapping[str, Any]) -> None:
        """ValueError if hyperparameters that are good each do not go together."""
        dampening = group.get("dampening", 0.0)
        if group.get("nesterov") and not (group["momentum"] > 0 and dampening == 0):
            raise ValueError(
                f"nesterov needs momentum > 0 and dampening 0; "
                f"got momentum={group['momentum']:g}, dampening={dampening:g}"
            )

    def _special(self, name: str, value: Any) -> Any:
        """A hyperparameter that is no number, flag or choice of the core's, checked."""
        raise NotImplementedError(name)

    @staticmethod
    def _state_slots(group: Mapping[str, Any]) -> dict[str, int]:
        """Torch's name -> slot in the core, of the state arrays that a parameter of this group has."""
        raise NotImplementedError

    def _slots_of(self, group: Mapping[str, Any], param: NDArray[Any]) -> dict[str, int]:
        """The same for one of the group's parameters, where its shape matters."""
        return self._state_slots(group)

    def _state_shape(self, name: str, group: Mapping[str, Any], param: NDArray[Any]) -> tuple[int, ...]:
        """The shape of one of these."""
        return param.shape

    def _named(
        self, group: Mapping[str, Any], param: NDArray[Any], arrays: Sequence[NDArray[Any] | None]
    ) -> dict[str, NDArray[Any]]:
        """What the slots of one of the group's parameters hold, by the names in state_dict."""
        return {name: arrays[slot] for name, slot in self._slots_of(group, param).items()}  # type: ignore[misc]

    def _members(self) -> list[list[int]]:
        """For each group, the numbers of its parameters in the order in which all were given."""
        members: list[list[int]] = [[] for _ in range(max(self._group_of) + 1)]
        for k, group in enumerate(self._group_of):
            members[group].append(k)
        return members

    def _take_order(self, group_of: list[int]) -> None:
        """Before any step: have the parameters in another order, where the k-th is the next of group group_of[k]."""
        self._group_of, self._form = group_of, listed(len(group_of))
        self._flattens = False
        self._stepper = self._new_stepper(self.param_groups)

    @staticmethod
    def _derived(group: Mapping[str, Any], steps: int) -> dict[str, float]:
        """Numbers that torch's state_dict has of each parameter although they follow from the group and the steps."""
        return {}

    def _new_stepper(self, groups: list[dict[str, Any]]) -> _core.Stepper:
        params: list[NDArray[Any]] = []
        states_of: list[list[tuple[int, ...] | None]] = []
        arrays = [iter(group["params"]) for group in groups]
        for index in self._group_of:
            group, param = groups[index], np.asarray(next(arrays[index]))
            slots = self._slots_of(group, param)
            shapes: list[tuple[int, ...] | None] = [None] * (max(slots.values(), default=-1) + 1)
            for name, slot in slots.items():
                shapes[slot] = self._state_shape(name, group, param)
            states_of.append(shapes)
            params.append(param)
        return _core.Stepper(params, self._group_of, states_of, self._form)

    def _fill(self, stepper: _core.Stepper, groups: list[dict[str, Any]], name: str, slot: int) -> None:
        """The number of this name of each group into the states in this slot."""
        for group, states in zip(self._group_of, stepper.states, strict=True):
            if states[slot] is not None:
                states[slot][...] = stored(name, groups[group][name], states[slot].dtype)

    def _fill_fresh(self, stepper: _core.Stepper, groups: list[dict[str, Any]]) -> None:
        """What the states of a new stepper hold, where that is not zero."""

    def _adopt(
        self,
        stepper: _core.Stepper,
        specs: Sequence[tuple[str, int, int, float]],
        averages: Sequence[Sequence[NDArray[Any]]],
    ) -> None:
        """Take this stepper, and have it keep these averages."""
        for k, spec in enumerate(specs):
            stepper.keep_average(k, *spec)
        _copy_states(averages, stepper.averages)
        self._averages = list(specs)
        self._stepper = stepper

    def _keep_average(self, kind: str, start: int, every: int, weight: float) -> int:
        """From now on keep one more average of the parameters; returns its number."""
        spec = (kind, start, every, weight)
        self._stepper.keep_average(len(self._averages), *spec)
        self._averages.append(spec)
        return len(self._averages) - 1

    # -- stepping ----------------------------------------------------------------------------------------------------

    def step(
        self,
        grads: Grads,
        *,
        lr: float | None = None,
        grad_scale: float = 1.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        zero_grad: bool = False,
        on_nonfinite: str = "flag",
    ) -> None:
        """Update every parameter in place, once.

        All of it is one pass over memory: each piece of the arrays is unscaled, clipped, decayed, updated, averaged and
        zeroed while it is in cache. Only ``clip_norm`` and ``on_nonfinite`` other than "flag" read the gradients once
        before.

        Parameters
        ----------
        grads : array, list or dict of arrays, or a list of these for each group
            In the form in which the parameters were given, or as a flat list in their order. Each has its parameter's
            shape and dtype, or is a `Rows`. NumPy arrays or other memory of the CPU (torch, jax, ...). Only read,
            unless ``zero_grad``.
        lr : float, optional
            The learning rate of all groups for this step alone; >= 0.
        grad_scale : float
            Gradients are multiplied by this first: 1 / the loss scale, 1 / the number of summed batches.
        clip_norm : float, optional
            Then scale them down to this norm if theirs, over all of them, is larger.
        clip_value : float, optional
            Before that, limit each gradient element to [-clip_value, clip_value].
        zero_grad : bool
            Leave zeros in the gradients, which must be writable and contiguous then, and share no memory.
        on_nonfinite : {"flag", "raise", "skip"}
            What a NaN or infinite gradient does. "flag": the update is made, and `nonfinite` tells afterwards, which
            costs nothing. It spoils its own parameter; with `LARS`, `LAMB` and `NovoGrad`, which take norms, the whole
            array; with `Prodigy` d grows no more. "raise", "skip": the gradients are read once before the update (1/7
            more memory traffic for Adam on large arrays), and nothing is updated; `nonfinite` is set, and "raise"
            raises. With clip_norm they are read first anyway, and "flag" raises too.

        Raises
        ------
        ValueError, TypeError
            If a gradient does not fit its parameter, or an argument or hyperparameter is out of range. Nothing has
            changed.
        DivergenceError
            If a gradient is NaN or infinite, with clip_norm or on_nonfinite="raise". Nothing has changed.

        Notes
        -----
        A step cannot be interrupted: Ctrl-C during it is answered after it, when every array has been updated.
        """
        groups = self.param_groups
        if self._flattens or (type(grads) is not list and type(grads) is not np.ndarray):
            grads = self._form.flatten(grads)
        made = self._stepper.step(grads, groups, lr, grad_scale, clip_value, clip_norm, zero_grad, on_nonfinite)
        if not made and on_nonfinite != "skip":
            rate = groups[0]["lr"]
            raise DivergenceError(
                f"a gradient is NaN or infinite (or their norm is), with lr={rate:g}; nothing was updated", lr=rate
            )

    @property
    def nonfinite(self) -> bool:
        """Whether the last step met a NaN or infinite gradient."""
        return self._stepper.nonfinite

    @property
    def steps(self) -> int:
        """Steps made so far."""
        return self._stepper.steps

    def _set_lr(self, lr: LearningRate) -> None:
        """One learning rate or schedule for all groups."""
        schedule = lr if callable(lr) else None
        value = learning_rate("lr", lr(self.steps) if callable(lr) else lr)
        for group in self.param_groups:
            group.update(lr=value, schedule=schedule)

    def _enter_steps(self) -> None:
        """What `fit` calls before the steps of an epoch."""

    def _leave_steps(self) -> None:
        """And after them, however they end: parameters are to be what is evaluated and used."""

    # -- state -------------------------------------------------------------------------------------------------------

    def _states(self) -> list[dict[str, NDArray[Any]]]:
        """Named state arrays (the core's own, writable) of each parameter, in the order in which they were given."""
        return [
            self._named(self.param_groups[group], param, arrays)
            for group, param, arrays in zip(self._group_of, self._stepper.params, self._stepper.states, strict=True)
        ]

    def state_dict(self, *, like: str = "numpy") -> dict[str, Any]:
        """The optimizer's numbers in the shape of torch's state_dict.

        Parameters
        ----------
        like : {"numpy", "torch"}
            Arrays and numbers, or what torch's optimizer of the same name loads: tensors. torch is imported for it.

        Returns
        -------
        dict
            ``{"state": {i: {"step": t, "exp_avg": array, ...}}, "param_groups": [{..., "params": [i, ...]}]}`` with
            copies of the state arrays. A schedule is not in it: its current value is, as "lr".
        """
        if choice("like", like, ("numpy", "torch")) == "numpy":
            return described(self)
        import torch

        return described(self, torch.tensor)

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
        groups, remembered, order = loaded_groups(self, state_dict["param_groups"])
        stepper = self._new_stepper(groups)
        steps = load_states(self, stepper, groups, remembered, state_dict["state"], order)
        if [list(map(np.shape, states)) for states in stepper.states] == [
            list(map(np.shape, states)) for states in self._stepper.states
        ]:
            # Into the present one, which a fit that is running holds.
            self._stepper.within(lambda: self._overwrite(stepper, steps))
        else:
            self._adopt(stepper, self._averages, self._stepper.averages)
            self._stepper.steps = steps
        self.param_groups[:] = groups

    def _overwrite(self, stepper: _core.Stepper, steps: int) -> None:
        """The states of this stepper into the present one, which is not in a step meanwhile."""
        _copy_states(stepper.states, self._stepper.states)
        self._stepper.memories[...] = stepper.memories
        self._stepper.steps = steps

    def __getstate__(self) -> dict[str, Any]:
        stepper = self._stepper
        return {
            "groups": self.param_groups,
            "group_of": self._group_of,
            "form": self._form,
            "states": stepper.states,
            "memories": stepper.memories,
            "averages": list(zip(self._averages, stepper.averages, strict=True)),
            "steps": self.steps,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A pickle or a deep copy carries its own parameters: it is bound to no network and no array of before."""
        groups = state["groups"]
        self._group_of, self._form = state["group_of"], state["form"]
        self._flattens = self._form.nested
        for group in groups:
            group["params"] = [p if p.flags.carray else np.array(p, order="C") for p in group["params"]]
        self.param_groups = groups
        kept = state["averages"]
        self._adopt(self._new_stepper(groups), [spec for spec, _ in kept], [arrays for _, arrays in kept])
        _copy_states(state["states"], self._stepper.states)
        self._stepper.memories[...] = state["memories"]
        self._stepper.steps = state["steps"]

    def __copy__(self) -> Optimizer:
        raise TypeError("two optimizers cannot share their arrays: use copy.deepcopy")

    def __repr__(self) -> str:
        lines = []
        for group in self.param_groups:
            shapes = ", ".join(str(p.shape) for p in group["params"][:4])
            more = ", ..." if len(group["params"]) > 4 else ""
            hyper = ", ".join(f"{key}={value!r}" for key, value in group.items() if key not in NOT_HYPER)
            lines.append(f"{type(self).__name__}([{shapes}{more}], {hyper})")
        return "\n".join(lines)


def _numbers(
    name: str, value: Any, count: int, interval: str | tuple[str, ...], optional: Set[str]
) -> tuple[float | None, ...]:
    intervals = (interval,) * count if isinstance(interval, str) else interval
    if not isinstance(value, (tuple, list)) or len(value) != count:
        where = interval if isinstance(interval, str) else " and ".join(interval)
        raise ValueError(f"{name} must be {_COUNTS[count]} numbers in {where}; got {shown(value)}")
    return tuple(
        None if part is None and f"{name}[{k}]" in optional else number(f"{name}[{k}]", part, intervals[k])
        for k, part in enumerate(value)
    )


_COUNTS = {2: "two", 3: "three", 4: "four"}


def _copy_states(
    source: Sequence[Sequence[NDArray[Any] | None]], target: Sequence[Sequence[NDArray[Any] | None]]
) -> None:
    for theirs, mine in zip(source, target, strict=True):
        for a, b in zip(theirs, mine, strict=True):
            if a is not None and b is not None:
                b[...] = a
