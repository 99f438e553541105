"""One optimizer first, and then another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import _core
from ..arguments import integer, shown
from .averaging import Averaged
from .base import Optimizer
from .parts import become
from .state import MOST_STEPS
from .wrapper import Wrapper, innermost

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .._core import Calls
    from ..structure import Grads


class Switch(Wrapper):
    """One optimizer makes the first steps, another one all that come after them: Adam, then SGD with momentum.

    Parameters
    ----------
    first : Optimizer
        Which makes steps until it has made ``at`` of them.
    second : Optimizer
        A new one over the same arrays, which then takes over.
    at : int
        Steps of ``first``, not of epochs: those of an epoch are its batches; >= 1.

    Attributes
    ----------
    optimizer : Optimizer
        Whose turn it is.
    switched : bool
        Whether it is that of ``second``.
    steps : int
        Made by both.

    Raises
    ------
    ValueError, TypeError
        If the two are not over the same arrays, ``second`` has made steps before its turn, or an argument is not as
        described.

    Notes
    -----
    ``second`` begins as one that is made where ``first`` ends: without momentum, and its schedules count its own steps
    from 0. Those of ``first`` count as ever. ``step``, ``train_step`` and ``fit`` take it wherever they take an
    optimizer, and ``fit`` switches at exactly that step, in the middle of an epoch too; ``net.optimizer`` then is the
    one whose turn it is, and ``net.wrapper`` this. Files, pickles and deep copies of the network hold both. If training
    diverges, all goes back to the start of an epoch, before the switch too.

    An `EMA`, `SWA` or `Lookahead` around one of the two averages the parameters while that one makes the steps, so
    ``Switch(adam, SWA(sgd), at=1000)`` takes the mean of what SGD makes of Adam's result.

    References
    ----------
    N. S. Keskar, R. Socher, Improving Generalization Performance by Switching from Adam to SGD (2017).

    Examples
    --------
    >>> import numpy as np, schuss
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(200, 4)), rng.integers(0, 2, 200)
    >>> net = schuss.Network([schuss.Dense(4, 8, "relu"), schuss.Dense(2)], seed=0)
    >>> adam, sgd = schuss.Adam(net.parameters, lr=0.01), schuss.SGD(net.parameters, lr=0.1, momentum=0.9)
    >>> switch = schuss.Switch(adam, sgd, at=10)
    >>> history = net.fit(X, y, loss="cross_entropy", optimizer=switch, batch_size=50, epochs=5)
    >>> adam.steps, sgd.steps
    (10, 10)
    """

    first: Optimizer
    second: Optimizer
    at: int
    _numbers = ("at", "switched")

    def __init__(self, first: Optimizer | Averaged, second: Optimizer | Averaged, *, at: int) -> None:
        self._set(_optimizer("first", first), _optimizer("second", second), at)

    def _set(self, first: Optimizer, second: Optimizer, at: Any) -> None:
        at = integer("at", at, 1, MOST_STEPS)
        if second is first:
            raise ValueError("second must be another optimizer than first; got the same")
        _check_steps("second", first.steps, second.steps, at)
        self._places = _places(first._stepper.params, second._stepper.params)
        self.first, self.second, self.at = first, second, at

    @property
    def optimizer(self) -> Optimizer:
        return self.second if self.switched else self.first

    @property
    def switched(self) -> bool:
        return self.first.steps >= self.at

    @property
    def steps(self) -> int:
        return self.first.steps + self.second.steps

    @property
    def left(self) -> int:
        """Steps until the switch; 0 after it."""
        return max(self.at - self.first.steps, 0)

    @property
    def nonfinite(self) -> bool:
        """Whether the last step met a NaN or infinite gradient."""
        return (self.second if self.second.steps else self.first).nonfinite

    def step(self, grads: Grads, **stages: Any) -> None:
        """The step of the optimizer whose turn it is; gradients come in the form of ``first``'s parameters."""
        optimizer = self._ready()
        if optimizer is self.second:
            flat = self.first._form.flatten(grads)
            grads = optimizer._form.formed([flat[place] for place in self._places])
        optimizer.step(grads, **stages)

    def _ready(self) -> Optimizer:
        """The optimizer that makes the next step, with parameters from which it can."""
        if not self.switched:
            return self.first
        if not self.second.steps:  # all of it may be done again
            self.first._leave_steps()
            self.first.catch_up()
            for averages in self.second._stepper.averages:
                _core.copy_all(averages, self.second._stepper.params)
        return self.second

    # -- state -------------------------------------------------------------------------------------------------------

    def _holds(self, optimizer: Optimizer | None) -> bool:
        return optimizer is self.first or optimizer is self.second

    def _beside(self) -> tuple[Optimizer, ...]:
        return (self.first if self.switched else self.second,)

    def _take(
        self,
        optimizer: Any,
        numbers: Mapping[str, Any],
        arrays: Mapping[str, Sequence[NDArray[Any]]],
        *beside: Optimizer,
    ) -> None:
        if len(beside) != 1:
            raise ValueError(f"a Switch must have one optimizer beside its own; got {len(beside)}")
        if not isinstance(numbers["switched"], bool):
            raise TypeError(f"its switched must be True or False; got {shown(numbers['switched'])}")
        first, second = (optimizer, *beside)[:: -1 if numbers["switched"] else 1]
        self._set(first, second, numbers["at"])
        if self.switched != numbers["switched"]:
            raise ValueError(f"its first optimizer has made {first.steps} steps; switched must be {self.switched}")

    def __getstate__(self) -> dict[str, Any]:
        return {"first": self.first, "second": self.second, "at": self.at, "places": self._places}

    def __setstate__(self, state: dict[str, Any]) -> None:
        first, second = state["first"], state["second"]
        arrays = [first._stepper.params[place] for place in state["places"]]
        if not all(map(_is_same, arrays, second._stepper.params)):  # of memory that is no array's, pickles make two
            parts = second.__getstate__()
            groups = [
                {**group, "params": [arrays[k] for k in own]}
                for group, own in zip(parts["groups"], second._members(), strict=True)
            ]
            second.__setstate__({**parts, "groups": groups})
        become(self, Switch._set, first, second, state["at"])

    def state_dict(self) -> dict[str, Any]:
        """``{"first": ..., "second": ..., "at": at}``, with the state_dict of each optimizer."""
        return {"first": self.first.state_dict(), "second": self.second.state_dict(), "at": self.at}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over such a state, "at" included; nothing has changed where it does not fit.

        Raises
        ------
        ValueError, TypeError
            If a key is missing, or a state does not fit its optimizer.
        """
        self._load(state_dict, [])

    def _load(self, state_dict: Mapping[str, Any], also: Calls) -> None:
        if not isinstance(state_dict, Mapping) or {"first", "second", "at"} - set(state_dict):
            raise ValueError(f"state_dict must be a dict with 'first', 'second' and 'at'; got {shown(state_dict)}")
        at = integer("state_dict's at", state_dict["at"], 1, MOST_STEPS)
        found = []
        for name, optimizer in (("first", self.first), ("second", self.second)):
            try:
                found.append(optimizer._loading(state_dict[name]))
            except (ValueError, TypeError) as error:
                raise type(error)(f"state_dict[{name!r}]: {error}") from None
        (first, of_first), (second, of_second) = found
        _check_steps("state_dict['second']", of_first, of_second, at)
        _core.in_turn([*first, *second, (setattr, self, "at", at), *also])

    def __repr__(self) -> str:
        return f"Switch(at={self.at}) from {self.first!r} to {self.second!r}"


def _optimizer(name: str, given: Any) -> Optimizer:
    """The optimizer that an argument is, or that an average is kept of."""
    if not isinstance(given, (Optimizer, Averaged)):
        raise TypeError(f"{name} must be an Optimizer; got {shown(given)} ({type(given).__name__})")
    return innermost(given)


def _key(array: NDArray[Any]) -> tuple[Any, ...]:
    return array.__array_interface__["data"][0], array.shape, array.dtype


def _is_same(array: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether two arrays, both of them contiguous, are of the same memory in the same form."""
    return array is other or _key(array) == _key(other)


def _places(arrays: Sequence[NDArray[Any]], others: Sequence[NDArray[Any]]) -> list[int]:
    """Where each of the others is among the arrays. ValueError if they are not the same."""
    if len(arrays) != len(others):
        raise ValueError(f"second must be over the {len(arrays)} arrays that first is over; got {len(others)}")
    left = {k: _key(array) for k, array in enumerate(arrays)}
    found = []
    for k, other in enumerate(others):
        place = next((place for place, key in left.items() if key == _key(other)), None)
        if place is None:
            raise ValueError(f"second must be over the arrays that first is over; its array {k} is none of them")
        del left[place]
        found.append(place)
    return found


def _check_steps(name: str, of_first: int, of_second: int, at: int) -> None:
    if of_second and of_first < at:
        raise ValueError(
            f"{name} must be an optimizer that has not stepped yet, as first has made {of_first} of its {at} steps; "
            f"got one after {of_second}"
        )
