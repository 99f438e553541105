"""What stands around an optimizer, and what it has beside it: one list, by which files, pickles and deep copies go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

from ..arguments import shown
from ..habits import meets
from .base import OF_OTHERS, Optimizer
from .parts import become, check_like

if TYPE_CHECKING:
    from numpy.typing import NDArray


class WrapperParts(TypedDict):
    """Everything that a wrapper has of its own, apart from its kind and the optimizer in it.

    Attributes
    ----------
    numbers : dict
        By the names of attributes.
    arrays : dict of lists of arrays
        One a parameter in each list, or none at all.
    """

    numbers: dict[str, Any]
    arrays: dict[str, list[NDArray[Any]]]


@meets("Optimizer", OF_OTHERS, "lr learning_rate")
class Wrapper:
    """What stands around an optimizer.

    Attributes
    ----------
    optimizer : Optimizer or Wrapper
        What it stands around.
    """

    optimizer: Any
    # Attributes that are numbers of its own. Whatever else it has follows from these, its arrays and the optimizer.
    _numbers: ClassVar[tuple[str, ...]] = ()
    # The names of its lists of arrays.
    _lists: ClassVar[tuple[str, ...]] = ()

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return self.optimizer.param_groups  # type: ignore[no-any-return]

    def _parts(self) -> WrapperParts:
        """Its own parts, which share its arrays."""
        return {"numbers": {name: getattr(self, name) for name in self._numbers}, "arrays": self._arrays()}

    def _arrays(self) -> dict[str, list[NDArray[Any]]]:
        return {}

    def _holds(self, optimizer: Optimizer | None) -> bool:
        """Whether this optimizer is the one in it, or one of them."""
        inner = self.optimizer
        return inner._holds(optimizer) if isinstance(inner, Wrapper) else inner is optimizer

    def _beside(self) -> tuple[Optimizer, ...]:
        """The optimizers that it holds apart from the one that `optimizer` leads to."""
        return ()

    def _take(
        self,
        optimizer: Any,
        numbers: Mapping[str, Any],
        arrays: Mapping[str, Sequence[NDArray[Any]]],
        *beside: Optimizer,
    ) -> None:
        """Become the wrapper of these parts around this optimizer. ValueError, TypeError if they do not fit."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer, **self._parts()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        become(self, type(self)._take, state["optimizer"], state["numbers"], state["arrays"])


def around(given: Any, *kinds: type[Wrapper]) -> Any:
    """What a wrapper may stand around: an optimizer, or a wrapper of these kinds. TypeError else."""
    if not isinstance(given, (Optimizer, *kinds)):
        raise no_optimizer(given)
    return given


def no_optimizer(given: object, expected: str = "an Optimizer", by_name: bool = False) -> TypeError:
    """The error for what is none; whether a name would do."""
    from ..hints import of_no_optimizer

    hint = of_no_optimizer(given, by_name)
    return TypeError(f"optimizer must be {expected}; got {shown(given)} ({type(given).__name__}){hint}")


def innermost(given: Any) -> Optimizer:
    """The optimizer that wrappers stand around, or that is given itself. TypeError if there is none."""
    found = given
    while isinstance(found, Wrapper):
        found = found.optimizer
    return around(found)  # type: ignore[no-any-return]


def layers(given: Any) -> list[Wrapper]:
    """The wrappers around an optimizer, the outermost first; none around an optimizer itself."""
    found = []
    while isinstance(given, Wrapper):
        found.append(given)
        given = given.optimizer
    return found


def rewrapped(
    optimizer: Optimizer, parts: Sequence[tuple[type[Wrapper], WrapperParts]], beside: Sequence[Optimizer] = ()
) -> Any:
    """Wrappers of these parts, the outermost first, around an optimizer; itself if there are none.

    `beside` are the optimizers that the innermost wrapper holds apart from that one; no other holds any.
    """
    found: Any = optimizer
    if beside and not parts:
        raise ValueError(f"an optimizer without a wrapper must have none beside it; got {len(beside)}")
    for kind, own in reversed(parts):
        wrapper = kind.__new__(kind)
        wrapper._take(found, own["numbers"], own["arrays"], *beside)
        found, beside = wrapper, ()
    return found


def check_alone(wrapper: Wrapper, beside: Sequence[Optimizer]) -> None:
    """ValueError if there are optimizers beside the one that a wrapper stands around, which has no place for them."""
    if beside:
        raise ValueError(f"{type(wrapper).__name__} must have no optimizer beside its own; got {len(beside)}")


def check_all_like(name: str, given: Sequence[NDArray[Any]], wanted: Sequence[NDArray[Any]]) -> None:
    """ValueError if arrays are not as many as others, of the same shapes and dtypes."""
    if len(given) != len(wanted):
        raise ValueError(f"{name} must be {len(wanted)} arrays, one a parameter; got {len(given)}")
    for k, (array, other) in enumerate(zip(given, wanted, strict=True)):
        check_like(f"{name}[{k}]", array, other.shape, other.dtype)


def fill(name: str, given: Sequence[NDArray[Any]], arrays: Sequence[NDArray[Any]]) -> None:
    """Copy arrays into others of their shapes and dtypes, which are checked."""
    check_all_like(name, given, arrays)
    for array, values in zip(arrays, given, strict=True):
        array[...] = values
