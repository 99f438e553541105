"""Memory of Keras, as arrays of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .parts import Binding

if TYPE_CHECKING:
    from numpy.typing import NDArray


def bound(variable: Any) -> Binding:
    """A variable, which lies as ours do."""

    def read() -> NDArray[Any]:
        import keras

        found: NDArray[Any] = np.asarray(keras.ops.convert_to_numpy(variable.value))
        return found

    return Binding(read, variable.assign)
