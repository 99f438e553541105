"""What makes the steps of an optimizer: steppers of the core over its tensors, and the states that both share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from .. import _core
from ..optim.parts import nothing
from .elsewhere import Elsewhere
from .layouts import COMPUTED, Gradients, Names, array_of, names_of, order_of, tensor_over
from .loading import steps_of
from .signatures import REFUSED

torch: Any = import_module("torch")

# Rules that look at the rows and columns of arrays: of a tensor that lies in another order they would be others.
_OF_SHAPES = ("adafactor", "muon", "soap", "rowadagrad")


class Member(NamedTuple):
    """A parameter, its group, what messages call it, and the order in which it lies."""

    tensor: Any
    group: int
    name: str
    order: tuple[int, ...]


class Engine:
    """The steppers of an optimizer as its groups, parameters and states are now.

    Parameters
    ----------
    kind : class
        The optimizer's.
    groups : list of dict
    given : dict
        Its states.

    Raises
    ------
    ValueError, TypeError
        If a parameter cannot be stepped, or its states are not those of its group's rule.
    """

    def __init__(self, kind: Any, groups: list[dict[str, Any]], given: Mapping[Any, Any]) -> None:
        self._template = kind._template
        self._plain = [kind._translated(group) for group in groups]
        members, others = _sorted(groups, self._plain)
        if self._template._rule == "prodigy" and len(members) > 1:
            raise TypeError(
                f"{members[1][0].name} is {members[1][0].tensor.dtype}, {members[0][0].name} is "
                f"{members[0][0].tensor.dtype}, expected one dtype: d is of all parameters"
            )
        self.elsewhere = None
        if others:
            name = names_of(groups[others[0][0]], others[0][0])[others[0][1]]
            tensors = [(k, groups[k]["params"][j]) for k, j in others]
            self.elsewhere = Elsewhere(kind._like, groups, tensors, name)
        self._members = members
        self._steppers = []
        for of_dtype in members:
            names = [member.name for member in of_dtype]
            tensors = [member.tensor for member in of_dtype]
            orders = [member.order for member in of_dtype]
            arrays = [array_of(member.name, member.tensor, member.order) for member in of_dtype]
            group_of = [member.group for member in of_dtype]
            stepper = _core.TensorStepper(arrays, group_of, self._plain, Names(names))
            stepper.hold_tensors(tensors, torch.Tensor, Gradients(tensors, orders, names))
            self._steppers.append(stepper)
        self.steps = _core.TensorSteps(
            groups,
            self._steppers,
            self._plain,
            kind._translate,
            (*kind._settings, *REFUSED),
            torch.autograd.graph.increment_version,
        )
        state = self._filled(given)
        self._remember(groups)
        # As torch's constructor makes it.
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.state.update(state)
        self.steps.note_state(self.state)
        if self.elsewhere is not None:
            self.elsewhere.share(self.state)

    def _filled(self, given: Mapping[Any, Any]) -> dict[Any, Any]:
        """Takes over these states, and returns them as they are from now on."""
        found = dict(given)
        for k, (stepper, members) in enumerate(zip(self._steppers, self._members, strict=True)):
            counts = []
            for i, member in enumerate(members):
                entry = given.get(member.tensor)
                if not entry:
                    counts.append(0)
                    continue
                plain = self._plain[member.group]
                counts.append(steps_of(member.name, entry, shapes_of(self._template, plain, member.tensor)))
                mine = self.entry(k, i)
                found[member.tensor] = {**entry, **mine}
                for name in mine:
                    value = entry.get(name)
                    if value is not None and name != "step":
                        mine[name].copy_(value) if isinstance(value, torch.Tensor) else mine[name].fill_(value)
            _set_steps(stepper, members, counts)
            self._remember_params(stepper, members)
        return found

    def _remember_params(self, stepper: _core.TensorStepper, members: list[Member]) -> None:
        """What rules remember of each parameter, from its states."""
        for i, member in enumerate(members):
            rule = self._plain[member.group]["rule"]
            if _core.memory_names(rule) and _core.memory_is_of_params(rule) and stepper.steps:
                stepper.memories[member.group, :2] = stepper.steps, stepper.remembered[i]
        stepper.note_counts()

    def _remember(self, groups: list[dict[str, Any]]) -> None:
        """What rules remember of whole groups, from these."""
        for stepper in self._steppers:
            for k, (group, plain) in enumerate(zip(groups, self._plain, strict=True)):
                if _core.memory_is_of_params(plain["rule"]):
                    continue
                for place, name in enumerate(_core.memory_names(plain["rule"])):
                    if name in group and stepper.steps:
                        stepper.memories[k, 0] = stepper.steps
                        stepper.memories[k, 1 + place] = float(group[name])
                stepper.memories[k, -1] = not group.get("train_mode", True)

    def entry(self, k: int, i: int) -> dict[str, Any]:
        """The states of a stepper's parameter by torch's names, as tensors over its memory."""
        stepper, member = self._steppers[k], self._members[k][i]
        plain = self._plain[member.group]
        arrays = {
            name: array
            for name, array in zip(stepper.state_names[i], stepper.states[i], strict=True)
            if name is not None and array is not None
        }
        found = {"step": torch.from_numpy(stepper.counts[i : i + 1]).reshape(())}
        for name, array in self._template._named(plain, tuple(member.tensor.shape), arrays).items():
            found[name] = tensor_over(array, member.order if array.ndim == member.tensor.dim() else ())
        if _core.memory_names(plain["rule"]) and _core.memory_is_of_params(plain["rule"]):
            name = _core.memory_names(plain["rule"])[0]
            found[name] = torch.from_numpy(stepper.remembered[i : i + 1]).reshape(())
        for name, value in _core.derived_numbers(plain, stepper.steps).items():
            found[name] = torch.tensor(value, dtype=torch.float64)
        return found

    def begin_states(self) -> None:
        """States for all parameters that have a gradient for the first time."""
        for k, i in self.steps.fresh():
            self.state[self._members[k][i].tensor] = self.entry(k, i)
        self.steps.note_state(self.state)

    def settle(self, groups: list[dict[str, Any]]) -> None:
        """Writes into states and groups what steps do not write there themselves."""
        for stepper, members in zip(self._steppers, self._members, strict=True):
            for member in members:
                entry = self.state.get(member.tensor)
                if entry:
                    for name, value in _core.derived_numbers(self._plain[member.group], int(entry["step"])).items():
                        entry[name].fill_(value)
            for k, group in enumerate(groups):
                rule = self._plain[k]["rule"]
                if stepper.steps and not _core.memory_is_of_params(rule):
                    memory = stepper.memories[k]
                    first = 1 if memory[0] <= stepper.steps else len(memory) // 2
                    for place, name in enumerate(_core.memory_names(rule)):
                        group[name] = float(memory[first + place])


def _sorted(
    groups: list[dict[str, Any]], plain: list[dict[str, Any]]
) -> tuple[list[list[Member]], list[tuple[int, int]]]:
    """The parameters on the CPU by the dtype they are computed in, and the places of the others."""
    found: dict[str, list[Member]] = {}
    others = []
    for k, group in enumerate(groups):
        for j, (name, tensor) in enumerate(zip(names_of(group, k), group["params"], strict=True)):
            if tensor.device.type != "cpu":
                others.append((k, j))
                continue
            order = order_of(name, tensor) if tensor.layout is torch.strided else ()
            if order and plain[k]["rule"] in _OF_SHAPES:
                raise ValueError(
                    f"{name} has strides {tuple(tensor.stride())}, expected a contiguous tensor: this optimizer looks "
                    "at its rows and columns"
                )
            found.setdefault(COMPUTED.get(tensor.dtype, ""), []).append(Member(tensor, k, name, order))
    return list(found.values()), others


def shapes_of(template: Any, plain: dict[str, Any], tensor: Any) -> dict[str, tuple[int, ...]]:
    """The shapes of a parameter's states by their names."""
    shape, dtype = tuple(tensor.shape), np.dtype(np.float32)
    likes = {name: nothing(of, dtype) for name, of in _core.states_of(plain, shape, dtype)}
    return {name: like.shape for name, like in template._named(plain, shape, likes).items()}


def _set_steps(stepper: _core.TensorStepper, members: list[Member], counts: list[int]) -> None:
    if len(set(counts)) > 1:
        k = next(k for k, count in enumerate(counts) if count != counts[0])
        raise ValueError(f"{members[k].name} has made {counts[k]} steps, {members[0].name} {counts[0]}")
    stepper.steps = counts[0]
