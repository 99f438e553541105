"""What makes the steps of an optimizer: steppers of the core over its tensors, and the states that both share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from .. import _core
from ..optim.parts import nothing, remembered_by
from ..optim.precision import PLAIN, Precision, checked
from ..optim.state import set_clocks
from .elsewhere import Elsewhere
from .layouts import COMPUTED, Gradients, Names, array_of, bits_of, names_of, order_of, tensor_over
from .loading import beside, steps_of
from .signatures import REFUSED

torch: Any = import_module("torch")

# Rules that look at the rows and columns of arrays: of a tensor that lies in another order they would be others.
_OF_SHAPES = ("adafactor", "muon", "soap", "rowadagrad")


class Member(NamedTuple):
    """A parameter, its group and place in it, what messages call it, and the order in which it lies."""

    tensor: Any
    group: int
    place: int
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
    precision : Precision

    Raises
    ------
    ValueError, TypeError
        If a parameter cannot be stepped, or its states are not those of its group's rule.
    """

    def __init__(self, kind: Any, groups: list[dict[str, Any]], given: Mapping[Any, Any], precision: Precision) -> None:
        self._template = kind._template
        self._plain = [kind._translated(group) for group in groups]
        self._template._check_together(self._plain)
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
            if precision != PLAIN:
                raise ValueError(
                    f"{name} is on device {tensors[0][1].device}, expected cpu: states, master and rounding are of "
                    "steps that are made there"
                )
            self.elsewhere = Elsewhere(kind._like, groups, tensors, name)
        self._members = members
        arrays = [[array_of(member.name, member.tensor, member.order) for member in of] for of in members]
        self._precision = checked(precision, [array for of in arrays for array in of])
        self._steppers = []
        for of_dtype, of_arrays in zip(members, arrays, strict=True):
            names = [member.name for member in of_dtype]
            tensors = [member.tensor for member in of_dtype]
            orders = [member.order for member in of_dtype]
            group_of = [member.group for member in of_dtype]
            stepper = _core.TensorStepper(of_arrays, group_of, self._plain, Names(names), self._precision)
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
        state = self._filled(groups, given)
        # As torch's constructor makes it.
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.state.update(state)
        self.steps.note_state(self.state)
        if self.elsewhere is not None:
            self.elsewhere.share(self.state)

    def _filled(self, groups: list[dict[str, Any]], given: Mapping[Any, Any]) -> dict[Any, Any]:
        """Takes over these states, and returns them as they are from now on."""
        found = dict(given)
        for k, (stepper, members) in enumerate(zip(self._steppers, self._members, strict=True)):
            counts, remembered = [0] * len(members), [dict[str, float]()] * len(members)
            for i, member in enumerate(members):
                entry, plain = given.get(member.tensor), self._plain[member.group]
                if not entry:
                    continue
                counts[i] = steps_of(
                    member.name, entry, shapes_of(self._template, plain, member.tensor, self._precision)
                )
                both = {**groups[member.group], **entry}
                remembered[i] = {name: float(both[name]) for name in _core.memory_names(plain["rule"]) if name in both}
                mine = self.entry(k, i)
                # What was beside states of another precision is not beside these.
                found[member.tensor] = {name: value for name, value in entry.items() if not beside(name)} | mine
                for name, into in mine.items():
                    _fill(stepper, i, member, name, into, entry)
            group_of = [member.group for member in members]
            set_clocks(stepper, group_of, self._plain, max(counts), counts, remembered)
            stepper.memories[:, -1] = not groups[0].get("train_mode", True)
            stepper.note_counts()
        return found

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
            into = array.view(np.int16) if name == "low" else array
            found[name] = tensor_over(into, member.order if array.shape == stepper.params[i].shape else ())
        if _core.memory_names(plain["rule"]) and _core.memory_is_of_params(plain["rule"]):
            name = _core.memory_names(plain["rule"])[0]
            found[name] = torch.from_numpy(stepper.remembered[i : i + 1]).reshape(())
        for name, value in _core.derived_numbers(plain, int(stepper.counts[i])).items():
            found[name] = torch.tensor(value, dtype=torch.float64)
        return found

    def step(self, groups: list[dict[str, Any]], state: Any, scale: float, clip_norm: float | None) -> int:
        """A step; see `TensorSteps.step`."""
        if self.elsewhere is None:
            return self.steps.step(groups, state, scale, clip_norm)
        elsewhere = self.elsewhere
        status = self.steps.step(groups, state, scale, clip_norm, lambda: elsewhere.step(groups, scale, clip_norm))
        self.steps.note_state(state)
        return status

    def follow(self) -> bool:
        """Whether some parameters have been given other memory, which is taken; so states stay where they are."""
        followed = False
        for stepper, members in zip(self._steppers, self._members, strict=True):
            followed |= stepper.follow(partial(_array_of, members))
        return followed

    def begin_states(self) -> None:
        """States for all parameters that have a gradient for the first time."""
        fresh = [(self._members[k][i], self.entry(k, i)) for k, i in self.steps.fresh()]
        for member, entry in sorted(fresh, key=lambda of: (of[0].group, of[0].place)):
            self.state[member.tensor] = entry
        self.steps.note_state(self.state)

    def settle(self, groups: list[dict[str, Any]]) -> None:
        """Writes into states and groups what steps do not write there themselves."""
        for stepper, members in zip(self._steppers, self._members, strict=True):
            remembered = remembered_by(stepper, [plain["rule"] for plain in self._plain], [m.group for m in members])
            for member, clock in zip(members, stepper.clock_of, strict=True):
                entry, plain = self.state.get(member.tensor), self._plain[member.group]
                if not entry:
                    continue
                for name, value in _core.derived_numbers(plain, int(entry["step"])).items():
                    entry[name].fill_(value)
                if _core.memory_is_of_params(plain["rule"]):
                    continue
                # The first of a group is of the clock with its number; what that remembers is the group's.
                groups[member.group].update(remembered[member.group])
                if remembered[clock] != remembered[member.group]:
                    entry.update(remembered[clock])


def _array_of(members: list[Member], i: int) -> Any:
    return array_of(members[i].name, members[i].tensor, members[i].order)


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
            found.setdefault(COMPUTED.get(tensor.dtype, ""), []).append(Member(tensor, k, j, name, order))
    return list(found.values()), others


def _fill(stepper: Any, i: int, member: Member, name: str, into: Any, entry: Mapping[str, Any]) -> None:
    """Fills a state from a parameter's states, which may be kept in other formats."""
    value = entry.get(name)
    if value is None:
        if name == "master":
            into.copy_(member.tensor)
        return
    if not isinstance(value, torch.Tensor):
        into.fill_(value)
        return
    codes, mine = value.dtype is torch.uint8, into.dtype is torch.uint8
    if codes == mine and (not codes or f"{name}_absmax" in entry):
        into.copy_(value)
        return
    # Flat, in the order in which elements lie.
    flat = (value.permute(member.order) if member.order else value).reshape(-1).cpu()
    numbers = np.empty(flat.numel(), np.float64 if into.dtype is torch.float64 else np.float32)
    if codes:
        scales = entry.get(f"{name}_absmax")
        if scales is None:
            raise ValueError(f"the state of {member.name} must have {name}_absmax beside 8-bit {name}")
        stepper.read_codes(i, name, flat.numpy(), scales.cpu().numpy(), numbers)
    else:
        numbers[...] = flat.float().numpy()
    stepper.write_state(i, name, numbers)


def shapes_of(template: Any, plain: dict[str, Any], tensor: Any, precision: Precision) -> dict[str, tuple[int, ...]]:
    """The shapes of a parameter's states by their names."""
    shape = tuple(tensor.shape)
    likes = {name: nothing(of, dtype) for name, of, dtype in _core.states_of(plain, shape, bits_of(tensor), precision)}
    return {name: like.shape for name, like in template._named(plain, shape, likes).items()}
