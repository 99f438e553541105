"""What a network is given, as the core takes it: inputs, targets and weights, checked and flat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, arrays, inputs, losses, targets
from .architecture import Architecture
from .losses import Loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .inputs import Data


class Batches(Architecture):
    """The part of a `Network` that checks data and brings them into the core's form."""

    def _data(self, x: Any, name: str = "x", overlapping: bool = False) -> Data:
        """Turn x into what the core takes; what fits already is taken as it is, without a pass over it. Rows that
        overlap stay so, if that is allowed."""
        if not self._shaped and self._core.accepts_inputs(x):
            return x  # type: ignore[no-any-return]
        found = inputs.checked(self.inputs, x, name, self.dtype, overlapping, self._lengths)
        if isinstance(found, _core.Sequences) and found.state is not None:
            arrays.check_writable("state", found.state, (inputs.rows(found), self.state_size), self.dtype)
        return found

    def _flattened(self, x: Any, y: Any) -> tuple[Any, Any]:
        """A batch whose rows have positions as one without, as far as that is seen at once; else None for x."""
        if type(x) is not np.ndarray or x.shape[1:] != self._row_in or not x.flags.c_contiguous or not len(x):
            return None, y
        if self.inputs[0].channels == "first":
            return None, y
        if self._dims_out:
            places = 1 + len(self._dims_out)
            if type(y) is not np.ndarray or y.shape[:places] != (len(x), *self._dims_out):
                return None, y
            y = y.reshape(-1, *y.shape[places:])
        return x.reshape(len(x), -1), y

    def _shaped_output(self, output: NDArray[Any]) -> NDArray[Any]:
        """Rows of the network's value in the shape that users know."""
        return output.reshape(len(output), *self._dims_out, -1) if self._dims_out else output

    def _batch(
        self, x: Any, y: Any, loss: Loss | losses.LossFunction, sample_weight: Any, class_weight: Any
    ) -> tuple[Data, NDArray[Any], NDArray[np.float64] | None]:
        """A batch as the core takes it. Whether it is finite is left to the loss, the range of int64 labels to the core
        unless class weights are looked up with them."""
        x = self._data(x)
        if self._dims_out:
            return self._at_positions(x, y, loss, sample_weight, class_weight, ("x", "y", "sample_weight"))
        rows = inputs.rows(x)
        if class_weight is not None or not self._core.accepts_targets(y, rows, loss):
            y = targets.prepare(loss, y, rows, self.n_out, self.dtype)
        weights = None
        if sample_weight is not None or class_weight is not None:
            weights = targets.prepare_weights(loss, sample_weight, class_weight, y, self.n_out)
        return x, y, weights

    def _at_positions(
        self,
        x: Data,
        y: Any,
        loss: Loss | losses.LossFunction,
        sample_weight: Any,
        class_weight: Any,
        names: tuple[str, str, str],
    ) -> tuple[Data, NDArray[Any], NDArray[np.float64] | None]:
        """A batch whose network has an output at each position, and whose targets and weights have a row for each.
        Positions beyond the length of their row weigh nothing."""
        rows, dims, positions = inputs.rows(x), self._dims_out, self._core.positions
        array = targets.at_positions(names[1], y, rows, dims)
        there = None
        lengths = x.lengths if isinstance(x, _core.Sequences) else None
        if lengths is not None and not isinstance(loss, Loss):
            raise ValueError("lengths must be None with a loss function of one's own at each time")
        if lengths is not None and dims != (self._lengths.times,):
            if sample_weight is None:
                raise ValueError(
                    f"{names[2]} must be given with lengths, with a row's weights of shape {dims}: of {dims[0]} times "
                    f"that come out for {self._lengths.times} that come in, lengths do not tell which count; got None"
                )
        elif lengths is not None:
            there = (np.arange(positions) < lengths[:, None]).reshape(-1)
            array = np.where(there.reshape(-1, *(1,) * (array.ndim - 1)), array, array.dtype.type(0))
        target = targets.prepare(loss, array, rows * positions, self.n_out, self.dtype, names[1])
        weights = None
        if sample_weight is not None:
            weights = targets.weights_at_positions(names[2], sample_weight, rows, dims)
        weights = targets.prepare_weights(loss, weights, class_weight, target, self.n_out, names[2])
        if there is not None:
            weights = there.astype(np.float64) if weights is None else weights * there
        return x, target, weights

    def _check_batch(self, x: Data, y: NDArray[Any]) -> None:
        """Whether what was not finite came in with the data: ValueError that says where. Looked at only then."""
        inputs.check_finite(self.inputs, "x", x)
        arrays.check_finite("y", y)

    def _checked_data(
        self,
        X: Any,
        y: Any,
        loss: Loss | losses.LossFunction,
        sample_weight: Any,
        class_weight: Any,
        names: tuple[str, str, str] = ("X", "y", "sample_weight"),
    ) -> tuple[Data, NDArray[Any], NDArray[np.float64] | None]:
        """Data as the core takes it, every value checked."""
        x = self._data(X, names[0], True)
        if self._dims_out:
            x, target, weights = self._at_positions(x, y, loss, sample_weight, class_weight, names)
        else:
            target = targets.prepare(loss, y, inputs.rows(x), self.n_out, self.dtype, names[1])
        inputs.check_finite(self.inputs, names[0], x)
        self._core.check_inputs(x)
        arrays.check_finite(names[1], target)
        if not self._dims_out:
            weights = targets.prepare_weights(loss, sample_weight, class_weight, target, self.n_out, names[2])
        targets.check_not_all_zero(weights, names[2])
        return x, target, weights
