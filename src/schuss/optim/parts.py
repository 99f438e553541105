"""What an optimizer has: one list, by which files, pickles, deep copies and state_dicts go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

import numpy as np

from .. import _core
from .precision import PLAIN, Precision

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..structure import Structure

    # Of an average that is kept: kind, first step, steps from one update to the next, weight.
    Spec = tuple[str, int, int, float]


class Clocks(TypedDict):
    """See `Parts`."""

    of: list[int]
    behind: list[int]


class Parts(TypedDict):
    """Everything that an optimizer has, apart from its kind.

    Attributes
    ----------
    groups : list of dict
        Hyperparameters, "params" and "schedule" of each group, as in ``param_groups``.
    order : list of int
        The group of each parameter, in the order in which they were given.
    form : Structure
        The form in which they were given, in which gradients come.
    steps : int
        Made so far.
    clocks : {"of": list of int, "behind": list of int} or None
        Which parameters have made the same steps: the number of each one's clock, and of each clock the steps that they
        have not made. None: each group is a clock, and none is behind.
    memories : array or None
        What the core remembers of each clock from step to step. None: nothing, as of a new one.
    states : list of dict of arrays
        The named state arrays of each parameter.
    precision : Precision
        In how many bits states, and parameters of 16 bits, are kept.
    averages : list of (spec, list of arrays)
        Those of the parameters that are kept: EMA, SWA, Lookahead.
    """

    groups: list[dict[str, Any]]
    order: list[int]
    form: Structure
    steps: int
    clocks: Clocks | None
    memories: NDArray[np.float64] | None
    states: list[dict[str, NDArray[Any]]]
    precision: Precision
    averages: list[tuple[Spec, list[NDArray[Any]]]]


# For each attribute of an optimizer, where in the list it is, or what it follows from.
ATTRIBUTES = {
    "param_groups": ("groups",),
    "_group_of": ("order",),
    "_form": ("form",),
    "_flattens": ("form",),
    "_precision": ("precision",),
    "_stepper": ("steps", "clocks", "memories", "states", "averages"),
}


class OfParts:
    """An optimizer as far as it holds something: its groups, and a stepper of the core with their states.

    What state arrays there are is the subclasses' to say.
    """

    # Entries of a group that the core does not know: True or False each.
    _own_flags: ClassVar[frozenset[str]] = frozenset()

    param_groups: list[dict[str, Any]]
    _group_of: list[int]
    _form: Structure
    _flattens: bool
    _precision: Precision
    _stepper: _core.Stepper

    def _begin(
        self, groups: list[dict[str, Any]], order: list[int], form: Structure, precision: Precision = PLAIN
    ) -> None:
        """Take these groups, without any step or average so far. States are zeros until they are filled."""
        self._group_of, self._form, self._precision = order, form, precision
        self._flattens = form.nested
        self._stepper = self._new_stepper(groups, precision)
        self.param_groups = groups

    @property
    def steps(self) -> int:
        """Steps made so far."""
        return self._stepper.steps

    # -- states ------------------------------------------------------------------------------------------------------

    def _named(
        self, group: Mapping[str, Any], shape: tuple[int, ...], states: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """States of one of the group's parameters, by the core's names, as state_dict has them."""
        return dict(states)

    def _members(self) -> list[list[int]]:
        """For each group, the numbers of its parameters in the order in which all were given."""
        members: list[list[int]] = [[] for _ in range(max(self._group_of) + 1)]
        for k, group in enumerate(self._group_of):
            members[group].append(k)
        return members

    def _new_stepper(self, groups: list[dict[str, Any]], precision: Precision) -> _core.Stepper:
        self._check_together(groups)
        kept = None if precision == PLAIN else precision
        return _core.Stepper(self._params_in_order(groups), self._group_of, groups, self._form, kept)

    @staticmethod
    def _check_together(groups: Sequence[Mapping[str, Any]]) -> None:
        """ValueError if groups do not fit each other."""

    def _params_in_order(self, groups: list[dict[str, Any]]) -> list[NDArray[Any]]:
        """The parameters of these groups, in the order in which they were given."""
        arrays = [iter(group["params"]) for group in groups]
        return [next(arrays[index]) for index in self._group_of]

    def _states_in(self, stepper: _core.Stepper, groups: list[dict[str, Any]]) -> list[dict[str, NDArray[Any]]]:
        """Named state arrays (the stepper's own, writable) of each parameter, in the order in which they were given."""
        return [
            self._named(
                groups[group],
                p.shape,
                {n: a for n, a in zip(names, arrays, strict=True) if n is not None and a is not None},
            )
            for group, p, names, arrays in zip(
                self._group_of, stepper.params, stepper.state_names, stepper.states, strict=True
            )
        ]

    def _states(self) -> list[dict[str, NDArray[Any]]]:
        return self._states_in(self._stepper, self.param_groups)

    def _remembered(self) -> list[dict[str, float]]:
        """What each clock remembers from step to step, by the names of state_dict."""
        return remembered_by(self._stepper, [group["rule"] for group in self.param_groups], self._group_of)

    def _steps_of_clocks(self) -> list[int]:
        """Steps that the parameters of each clock have made."""
        return [self.steps - behind for behind in self._stepper.behind]

    def _remembers(self) -> bool:
        """Whether groups remember anything."""
        return any(_core.memory_names(group["rule"]) for group in self.param_groups)

    # -- averages ----------------------------------------------------------------------------------------------------

    @property
    def _averages(self) -> list[Spec]:
        """How each average is kept."""
        return self._stepper.specs

    def _keep_average(self, kind: str, start: int, every: int, weight: float) -> int:
        """From now on keep one more average of the parameters; returns its number."""
        number = len(self._averages)
        self._stepper.keep_average(number, kind, start, every, weight)
        return number

    def _group(self, arrays: list[NDArray[Any]], given: Mapping[str, Any]) -> dict[str, Any]:
        """A checked group over these arrays, of these hyperparameters."""
        raise NotImplementedError

    # -- all of it ---------------------------------------------------------------------------------------------------

    def __getstate__(self) -> Parts:
        """The parts, which share this optimizer's arrays."""
        stepper = self._stepper
        return {
            "groups": self.param_groups,
            "order": self._group_of,
            "form": self._form,
            "steps": self.steps,
            "clocks": None if stepper.together else {"of": stepper.clock_of, "behind": stepper.behind},
            "memories": stepper.memories if self._remembers() else None,
            "states": self._states(),
            "precision": self._precision,
            "averages": list(zip(self._averages, stepper.averages, strict=True)),
        }

    def __setstate__(self, parts: Parts) -> None:
        """Become the optimizer of these parts; its parameters are those in the groups, where the core can use them.

        Raises
        ------
        ValueError
            If the states are not those of these groups. None has been given room then.
        """
        become(self, OfParts._fill, parts)

    def _fill(self, parts: Parts) -> None:
        groups = [
            {**group, "params": [p if p.flags.carray else np.array(p, order="C") for p in group["params"]]}
            for group in parts["groups"]
        ]
        self._group_of = parts["order"]
        self._check_states(groups, parts["states"], parts["precision"])
        self._begin(groups, parts["order"], parts["form"], parts["precision"])
        kept = parts["averages"]
        keep(self._stepper, [spec for spec, _ in kept], [arrays for _, arrays in kept])
        for mine, theirs in zip(self._states(), parts["states"], strict=True):
            for name, array in mine.items():
                array[...] = theirs[name]
        self._stepper.steps = parts["steps"]
        clocks = parts.get("clocks")  # which pickles of before have not
        if clocks is not None:
            self._stepper.set_clocks(clocks["of"], clocks["behind"])
        if parts["memories"] is not None:
            check_like("its memories", parts["memories"], self._stepper.memories.shape, np.dtype(np.float64))
            self._stepper.memories[...] = parts["memories"]

    def _state_likes(self, groups: list[dict[str, Any]], precision: Precision) -> list[dict[str, NDArray[Any]]]:
        """For each parameter arrays of the names, shapes and dtypes of its states, which take no memory."""
        likes = []
        for index, p in zip(self._group_of, self._params_in_order(groups), strict=True):
            states = _core.states_of(groups[index], p.shape, p.dtype, precision)
            arrays = {name: nothing(shape, dtype) for name, shape, dtype in states}
            likes.append(self._named(groups[index], p.shape, arrays))
        return likes

    def _check_states(
        self, groups: list[dict[str, Any]], states: Sequence[Mapping[str, NDArray[Any]]], precision: Precision
    ) -> None:
        """ValueError if these are not the states of the groups' parameters."""
        wanted = self._state_likes(groups, precision)
        if len(wanted) != len(states):
            raise ValueError(f"it must have the states of {len(wanted)} parameters; got {len(states)}")
        for k, (likes, given) in enumerate(zip(wanted, states, strict=True)):
            if likes.keys() != given.keys():
                raise ValueError(f"its parameter {k} must have the states {_listed(likes)}; got {_listed(given)}")
            for name, like in likes.items():
                check_like(f"its state {name!r} of parameter {k}", given[name], like.shape, like.dtype)

    def __copy__(self) -> Any:
        raise TypeError("two optimizers cannot share their arrays: use copy.deepcopy")


def remembered_by(stepper: _core.Stepper, rules: Sequence[str], group_of: Sequence[int]) -> list[dict[str, float]]:
    """What each clock of a stepper remembers from step to step, by the names of state_dict."""
    of_clock = list(range(len(stepper.behind)))
    for clock, group in zip(stepper.clock_of, group_of, strict=True):
        of_clock[clock] = group
    found = []
    for group, behind, memory in zip(of_clock, stepper.behind, stepper.memories, strict=True):
        # A step that was begun and failed has left what was remembered before it in the second half.
        first = 1 if memory[0] <= stepper.steps - behind else len(memory) // 2
        names = _core.memory_names(rules[group])
        found.append({name: float(memory[first + place]) for place, name in enumerate(names)})
    return found


def become(found: Any, fill: Callable[..., None], *parts: Any) -> None:
    """Give an object the attributes that `fill` gives to a new one of its class: all at once, or none."""
    new = object.__new__(type(found))
    fill(new, *parts)
    found.__dict__.update(new.__dict__)


def keep(stepper: _core.Stepper, specs: Sequence[Spec], averages: Sequence[Sequence[NDArray[Any]]]) -> None:
    """Have a stepper keep averages so, which are these until the next step."""
    for k, (spec, arrays) in enumerate(zip(specs, averages, strict=True)):
        stepper.keep_average(k, *spec)
        for mine, theirs in zip(stepper.averages[k], arrays, strict=True):
            mine[...] = theirs


def check_like(name: str, array: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """ValueError if an array is of another shape or dtype."""
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{name} must be {dtype} of shape {shape}; got {array.dtype} of shape {array.shape}")


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(names) or "none"


def nothing(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array of a shape and dtype that takes no memory, and cannot be written."""
    return np.broadcast_to(np.zeros((), dtype), shape)
