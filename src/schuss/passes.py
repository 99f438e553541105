"""Layers in the compiled core: passes forward and back, single steps, evaluation.

What fitting and files need is built on top: `network.Network`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, arrays, inputs, losses, metrics
from .arguments import flag, shown
from .batches import Batches
from .errors import ADVICE, DivergenceError
from .layers import one_time
from .layers.inputs import Input
from .losses import Loss
from .optim import Averaged, Optimizer, Switch
from .optim.wrapper import no_optimizer
from .rows import Rows
from .sequences import joined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .inputs import Data

    AnyLoss = str | Loss | losses.LossFunction


class Passes(Batches):
    """The part of a `Network` that makes passes and steps, but knows neither epochs nor files."""

    def forward(
        self, x: Any, training: bool = True, *, lengths: Any = None, state: Any = None, dropout_factor: float = 1.0
    ) -> NDArray[Any]:
        """The network's output, keeping what `backward` needs.

        Parameters
        ----------
        x : array of shape (rows, n_in)
            Real numbers of any dtype and layout. With several inputs a dict by their names, or a tuple in their order.
            Of an input of sequences or images (rows, times, features) or (rows, height, width, channels).
        training : bool
            Whether dropout applies, statistics are those of the batch, and `backward` may follow.
        lengths, state : array, optional
            Of sequences, see `Sequences`.
        dropout_factor : float
            As for `train_step`.

        Returns
        -------
        array of shape (rows, n_out)
            A new one; (rows, times, n_out) or (rows, height, width, n_out) where there is an output at each position.
            NaN in x gives NaN here. In training mode all members of an ensemble that ends in
            `MeanOfMembers`: (rows, members * n_out).
        """
        x = self._data(joined(x, lengths, state))
        return self._shaped_output(self._core.forward(x, flag("training", training), dropout_factor))

    def backward(self, dout: Any) -> NDArray[Any] | tuple[NDArray[Any] | None, ...] | None:
        """Backpropagate through the last `forward` in training mode: fills `gradients`.

        Parameters
        ----------
        dout : array of shape (rows, n_out)
            Derivative of the loss by the output that `forward` returned.

        Returns
        -------
        array of shape (rows, n_in)
            Derivative by x. With several inputs a tuple in their order, None for codes.

        Raises
        ------
        RuntimeError
            If no forward pass came before.
        """
        array = arrays.converted(arrays.real_array("dout", dout), self.dtype)
        if self._dims_out:
            if array.shape[1:] != (*self._dims_out, self.n_out):
                expected = ", ".join(map(str, (*self._dims_out, self.n_out)))
                raise ValueError(f"dout must have shape (rows, {expected}), as the output has; got {array.shape}")
            array = array.reshape(len(array), -1)
        dx = self._core.backward(array, True)
        if not self._shaped or dx is None:
            return dx
        if not isinstance(dx, tuple):
            return inputs.shaped(self.inputs[0], dx)
        return tuple(
            None if part is None else inputs.shaped(put, part) for put, part in zip(self.inputs, dx, strict=True)
        )

    # Arguments that are keywords only would take a tenth of a small prediction.
    def predict(self, X: Any, out: NDArray[Any] | None = None, lengths: Any = None, state: Any = None) -> NDArray[Any]:
        """The network's output, without dropout.

        Parameters
        ----------
        X : array of shape (rows, n_in), or (n_in,) for one row
            Real numbers of any dtype and layout. NaN in a row gives NaN in its output. With several inputs a dict by
            their names, or a tuple in their order, of (rows, ...) arrays.
        out : array, optional
            Where to write: the result's shape, the network's dtype, C-contiguous, writable.
        lengths, state : array, optional
            Of sequences, see `Sequences`.

        Returns
        -------
        array of shape (rows, n_out), or (n_out,) for one row
            With an output at each position (rows, times, n_out) or (rows, height, width, n_out).
            Probabilities if the output layer is softmax or sigmoid, otherwise what the last layer gives (logits, for a
            network trained with a cross-entropy).

        Raises
        ------
        ValueError, TypeError
            If X or out is not as described.
        """
        if lengths is None and state is None:
            found = self._core.try_predict(X, out)
            if found is not None:
                return found
        if self._shaped:
            return self._predict_shaped(joined(X, lengths, state), out)
        if lengths is not None or state is not None:
            raise ValueError("lengths and state must be None for a network whose input has no times")
        if out is not None:
            if not isinstance(out, np.ndarray):
                raise TypeError(f"out must be a numpy.ndarray; got {shown(out)} ({type(out).__name__})")
            if not out.flags.carray:
                raise ValueError("out must be C-contiguous, aligned and writable; got an array that is not")
        if len(self.inputs) > 1 or self.inputs[0].dtype is not None or isinstance(X, Mapping):
            return self._core.predict(self._data(X, "X", True), out)
        array = arrays.real_array("X", X)
        if array.ndim != 1:
            return self._core.predict(self._data(array, "X", True), out)
        if len(array) != self.n_in:
            raise ValueError(f"X must have shape (rows, {self.n_in}) or ({self.n_in},); got {array.shape}")
        if out is not None and out.shape != (self.n_out,):
            raise ValueError(f"out must have shape ({self.n_out},); got {out.shape}")
        return self._core.predict(arrays.converted(array, self.dtype), out)

    __call__ = predict

    def _predict_shaped(self, X: Any, out: NDArray[Any] | None) -> NDArray[Any]:
        """`predict` where rows have positions."""
        alone = self._row_in is not None and getattr(X, "shape", None) == self._row_in
        data = self._data(X[None] if alone else X, "X", True)
        rows = inputs.rows(data)
        shape = (*self._dims_out, self.n_out) if alone else (rows, *self._dims_out, self.n_out)
        flat = None
        if out is not None:
            arrays.check_writable("out", out, shape, self.dtype)
            flat = out.reshape(rows, -1)
        found = self._core.predict(data, flat)
        return found.reshape(shape) if out is None else out

    def step(self, x: Any, state: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
        """The output at the next time of sequences whose layers stand in this state, which goes on by one time.

        For streams: where each time comes alone, and the answer is wanted at once. After all times of a sequence the
        state and the last output are, to the last bit, those of `predict` over it.

        Parameters
        ----------
        x : array of shape (features,) or (rows, features)
            What comes at this time, of one stream or of several. With several inputs a dict by their names, or a tuple
            in their order, of (rows, features) arrays.
        state : array of shape (rows, state_size)
            Where the streams stand: begins as ``net.initial_state(rows)``, is overwritten. In the network's dtype,
            C-contiguous. A row of zeros begins a stream anew; a copy goes back to where it was taken.
        out : array, optional
            Where to write: the result's shape, the network's dtype, C-contiguous, writable.

        Returns
        -------
        array of shape (n_out,) or (rows, n_out)
            Without dropout. NaN in x stays in the state.

        Raises
        ------
        ValueError, TypeError
            If an argument is not as described, or a layer needs more than this time and what the state holds: one that
            begins with the last time, as in `Bidirectional`, convolutions over times, `Flatten`. Nothing has changed.

        Notes
        -----
        Arrays of the network's dtype without gaps are taken as they are, which takes a tenth of the time that others
        do.

        Examples
        --------
        >>> import numpy as np, schuss
        >>> net = schuss.Network([schuss.Input("x", (24, 3)), schuss.GRU(8), schuss.Dense(1)], seed=0)
        >>> x = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
        >>> state = net.initial_state()
        >>> for now in x:
        ...     y = net.step(now, state)
        >>> bool((y == net.predict(x)).all())
        True
        """
        one = self._one_time
        if one is not None:
            found = one.try_step(x, state, out)
            if found is not None:
                return found
        return self._step(x, state, out)

    def _step(self, x: Any, state: Any, out: Any) -> NDArray[Any]:
        """`step`, of arguments that are not seen at once to fit."""
        if self._one_time is None:
            self._one_time = _core.OneTime(self._core, one_time.nodes_of(self._graph))
        at_one = tuple(Input(put.name, put.n, dtype=put.dtype) for put in self.inputs)
        alone = len(at_one) == 1 and not isinstance(x, Mapping) and np.ndim(x) == 1
        data = inputs.checked(at_one, np.asarray(x)[None] if alone else x, "x", self.dtype)
        rows = inputs.rows(data)
        arrays.check_writable("state", state, (rows, self.state_size), self.dtype)
        shape = (self.n_out,) if alone else (rows, self.n_out)
        if out is None:
            out = np.empty(shape, self.dtype)
        arrays.check_writable("out", out, shape, self.dtype)
        self._one_time.step(data, state, out.reshape(rows, -1))
        return out  # type: ignore[no-any-return]

    def loss_and_gradients(
        self,
        x: Any,
        y: Any,
        loss: AnyLoss,
        *,
        sample_weight: Any = None,
        class_weight: Any = None,
        lengths: Any = None,
        state: Any = None,
        dropout_factor: float = 1.0,
    ) -> float:
        """Forward and backward pass with dropout: fills `gradients`, returns the weighted mean loss.

        Parameters
        ----------
        x : array of shape (rows, n_in)
        y : array
            As for `fit`.
        loss, sample_weight, class_weight
            As for `fit`.
        lengths, state : array, optional
            Of sequences, see `Sequences`.
        dropout_factor : float
            As for `train_step`.

        Raises
        ------
        ValueError, TypeError
            If an argument is not as described, or x or y is not finite. Only `gradients` may have changed.
        DivergenceError
            If the loss is NaN or infinite; the parameters are as they were.
        """
        value = None
        if class_weight is None and lengths is None and state is None:
            if not self._shaped:
                value = self._core.try_loss_and_gradients(x, y, sample_weight, loss, dropout_factor)
            elif sample_weight is None:
                value = self._core.try_loss_and_gradients(*self._flattened(x, y), None, loss, dropout_factor)
        if value is None:
            chosen = losses.resolve(loss)
            x, y, weights = self._batch(joined(x, lengths, state), y, chosen, sample_weight, class_weight)
            if isinstance(chosen, Loss):
                value = self._core.loss_and_gradients(x, y, weights, chosen.spec, dropout_factor)
            else:
                with _core.AsBefore(self._core):
                    return self._finite(self._own_loss_and_gradients(x, y, chosen, dropout_factor), x, y)
        return self._finite(value, x, y)

    def _finite(self, value: float, x: Data, y: NDArray[Any]) -> float:
        if value - value != 0.0:
            self._check_batch(x, y)
            raise DivergenceError(_not_finite("loss_and_gradients", value), loss=value)
        return value

    def train_step(
        self,
        x: Any,
        y: Any,
        loss: AnyLoss,
        optimizer: Optimizer | Averaged | Switch,
        *,
        sample_weight: Any = None,
        class_weight: Any = None,
        lengths: Any = None,
        state: Any = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        dropout_factor: float = 1.0,
    ) -> float:
        """One step on one batch: forward, backward and update in a single call; returns the loss before the step.

        Parameters
        ----------
        x, y, loss, sample_weight, class_weight, clip_norm, clip_value
            As for `fit`.
        optimizer : Optimizer
            Over this network's `parameters`.
        lengths, state : array, optional
            Of sequences, see `Sequences`. A state that goes from step to step makes it truncated backpropagation
            through time: gradients do not go back beyond the step.
        dropout_factor : float
            What the probability of every dropout is multiplied by in this step; each product must stay below 1.

        Raises
        ------
        ValueError, TypeError
            If an argument is not as described, or x or y is not finite.
        DivergenceError
            If the loss or a gradient is NaN or infinite although x and y are not.

        Parameters and optimizer are then as they were.
        """
        if not isinstance(optimizer, Optimizer):
            if not isinstance(optimizer, (Averaged, Switch)):
                raise no_optimizer(optimizer, "an Optimizer over net.parameters")
            optimizer = optimizer._ready() if isinstance(optimizer, Switch) else optimizer.optimizer
        groups = optimizer.param_groups
        stepper = optimizer._stepper
        try:
            if class_weight is None and lengths is None and state is None:
                if not self._shaped:
                    value = self._core.try_train_step(
                        x, y, sample_weight, loss, stepper, groups, clip_value, clip_norm, dropout_factor
                    )
                elif sample_weight is None:
                    flat_x, flat_y = self._flattened(x, y)
                    value = self._core.try_train_step(
                        flat_x, flat_y, None, loss, stepper, groups, clip_value, clip_norm, dropout_factor
                    )
                else:
                    value = None
                if value is not None:
                    return value
            chosen = losses.resolve(loss)
            x, y, weights = self._batch(joined(x, lengths, state), y, chosen, sample_weight, class_weight)
            if not isinstance(chosen, Loss):
                return self._own_train_step(x, y, chosen, optimizer, clip_value, clip_norm, dropout_factor)
            return self._core.train_step(
                x, y, weights, chosen.spec, stepper, groups, clip_value, clip_norm, dropout_factor
            )
        except _core.NotFinite as error:
            self._check_batch(x, y)
            raise DivergenceError(f"{error}; {ADVICE}", lr=groups[0]["lr"]) from None

    def _own_train_step(
        self,
        x: Data,
        y: NDArray[Any],
        loss: losses.LossFunction,
        optimizer: Optimizer,
        clip_value: float | None,
        clip_norm: float | None,
        dropout_factor: float,
    ) -> float:
        indices = [iter(group) for group in self._indices_of(optimizer)]
        order = [next(indices[group]) for group in optimizer._group_of]
        with _core.AsBefore(self._core, optimizer._stepper):
            value = self._own_loss_and_gradients(x, y, loss, dropout_factor)
            if value - value != 0.0:
                self._check_batch(x, y)
                raise DivergenceError(_not_finite("train_step", value), lr=optimizer.param_groups[0]["lr"], loss=value)
            touched = self._core.touched(optimizer._stepper, x)
            given: list[Any] = [
                gradient if rows is None else Rows(rows, gradient[rows])
                for rows, gradient in zip(touched, self.gradients, strict=True)
            ]
            gradients = [given[index] for index in order]
            optimizer.step(gradients, clip_norm=clip_norm, clip_value=clip_value, on_nonfinite="raise")
        return value

    def _own_loss_and_gradients(
        self, x: Data, y: NDArray[Any], loss: losses.LossFunction, dropout_factor: float
    ) -> float:
        prediction = self._core.forward(x, True, dropout_factor)
        members = self._core.members
        if members > 1 or self._dims_out:
            prediction, y = prediction.reshape(-1, self.n_out), np.repeat(y, members, axis=0)
        value, gradient = losses.evaluated(loss, prediction, y)
        self._core.backward(gradient.reshape(inputs.rows(x), -1), False)
        return value

    def _indices_of(self, optimizer: Optimizer) -> list[list[int]]:
        """Which of this network's parameters each group of the optimizer updates. ValueError if others."""
        places = {array.__array_interface__["data"][0]: k for k, array in enumerate(self.parameters)}
        indices: list[list[int]] = []
        for number, group in enumerate(optimizer.param_groups):
            indices.append([])
            for k, array in enumerate(group["params"]):
                index = places.get(array.__array_interface__["data"][0])
                if index is None or array.shape != self.parameters[index].shape:
                    raise ValueError(
                        f"optimizer must be over net.parameters; array {k} of its group {number}, "
                        f"of shape {array.shape}, is not one of them"
                    )
                indices[-1].append(index)
        return indices

    # -- evaluation ----------------------------------------------------------------------------------------------------

    def evaluate(
        self,
        X: Any,
        y: Any,
        loss: AnyLoss,
        metrics: str | metrics.Metric | Iterable[str | metrics.Metric] = (),
        *,
        sample_weight: Any = None,
        class_weight: Any = None,
        lengths: Any = None,
    ) -> dict[str, float]:
        """Weighted mean loss and metrics over all rows, without dropout.

        Parameters
        ----------
        X, y, loss, metrics, sample_weight, class_weight, lengths
            As for `fit`.

        Returns
        -------
        dict of float
            "loss" and the metrics by name.
        """
        chosen = losses.resolve(loss)
        measures = self._measures(metrics, chosen)
        data = self._checked_data(joined(X, lengths), y, chosen, sample_weight, class_weight)
        return self._evaluate(data, chosen, measures)

    def _measures(self, given: Any, loss: Loss | losses.LossFunction) -> dict[str, metrics.Measure]:
        return metrics.resolve(given, loss, self.n_out, self._graph.activation)

    def _evaluate(
        self,
        data: tuple[Data, NDArray[Any], NDArray[np.float64] | None],
        loss: Loss | losses.LossFunction,
        measures: Mapping[str, metrics.Measure],
        with_loss: bool = True,
    ) -> dict[str, float]:
        x, y, weights = data
        found: dict[str, float] = {}
        prediction = None
        if with_loss:
            if isinstance(loss, Loss) and measures:  # one pass for both
                found["loss"], prediction = self._core.loss_and_prediction(x, y, weights, loss.spec)
            elif isinstance(loss, Loss):
                found["loss"] = self._core.loss(x, y, weights, loss.spec)
            else:
                prediction = self._core.predict(x, None)
                found["loss"] = losses.evaluated(loss, prediction.reshape(len(y), -1), y)[0]
        if measures and prediction is None:
            prediction = self._core.predict(x, None)
        if measures and prediction is not None and self._dims_out:
            prediction = prediction.reshape(len(y), -1)
            if isinstance(x, _core.Sequences) and x.lengths is not None and weights is not None:
                there = weights > 0  # functions get no weights, and should not see what is not there
                prediction, y, weights = prediction[there], y[there], weights[there]
        for name, measure in measures.items():
            assert prediction is not None
            found[name] = measure(prediction, y, weights)
        return found


def _not_finite(where: str, value: float) -> str:
    return f"the loss in {where} was {value}; {ADVICE}"
