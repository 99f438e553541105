"""What estimators owe to scikit-learn's conventions, without needing it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import integer, shown, unknown_name

if TYPE_CHECKING:
    from typing_extensions import Self


class Estimator:
    """Arguments of the constructor as attributes of their names, unchecked until they are used."""

    @classmethod
    def _names(cls) -> list[str]:
        return list(inspect.signature(cls).parameters)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> Self:
        """Set arguments of the constructor; all of them are known, or none is set."""
        names = self._names()
        for name in params:
            if name not in names:
                raise unknown_name("argument", name, names)
        self.__dict__.update(params)
        return self

    def __repr__(self) -> str:
        defaults = {name: given.default for name, given in inspect.signature(type(self)).parameters.items()}
        changed = [(name, value) for name, value in self.get_params().items() if not _same(value, defaults[name])]
        return f"{type(self).__name__}({', '.join(f'{name}={shown(value)}' for name, value in changed)})"

    def _is_fitted(self) -> bool:
        return "n_epochs_" in self.__dict__

    def __sklearn_is_fitted__(self) -> bool:
        return self._is_fitted()

    def _check_fitted(self) -> None:
        if not self._is_fitted():
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit first")


class NotFittedError(ValueError, AttributeError):
    """A model was asked for what only a fitted one has; scikit-learn's has the same bases."""


def _same(value: object, default: object) -> bool:
    return value is default or (type(value) is type(default) and bool(value == default))


def seed_of(random_state: Any) -> int:
    """A seed of 64 bits: an integer itself, drawn from a generator of NumPy's, or, for None, a new one."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(np.iinfo(np.int32).max))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    return integer("random_state", random_state, 0, 2**64 - 1)
