"""Networks of layers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, arrays, inputs, losses, metrics, targets
from .arguments import flag, integer, shown
from .errors import DivergenceError
from .history import History
from .layers.graph import built
from .losses import Loss
from .optim import Averaged, Optimizer
from .optim.grouping import parameter_groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .inputs import Data
    from .layers import Input, Layer
    from .training import EarlyStopping, EpochRecord

    AnyLoss = str | Loss | losses.LossFunction

_DTYPES = ("float32", "float64")
# What the core takes for a loss that is given by its name.
_SPECS = {name: loss.spec for name, loss in losses.BY_NAME.items()}


class Network:
    """Layers in the compiled core, one after the other; some hold others (`Residual`, `Concatenate`).

    Parameters
    ----------
    layers : sequence of layers
        Each takes what the one before gives, and sizes that follow from it may be left out. The first tells how many
        columns come in, or is an `Input`. softmax in the last one only.
    seed : int, optional
        From 0 to 2**64 - 1: initial weights, shuffling, dropout and the validation split follow from it. Default: drawn
        from the operating system; `seed` tells it.
    dtype : {"float32", "float64"}
        Of parameters and computation.

    Attributes
    ----------
    layers : tuple of layers
        With all their sizes.
    inputs : tuple of Input
        What comes in, by name and in order.
    n_in, n_out : int
        Columns that come in, in all, and that go out.
    history : History
        Of all epochs ever fitted.
    optimizer : Optimizer or None
        That of the last fit.
    epochs_done : int
        Over all fits and saves; numbers the shuffles.
    metadata : dict
        The user's own; saved with the network.

    Raises
    ------
    ValueError, TypeError
        If layers do not fit together, or an argument is out of range.

    Notes
    -----
    A network may be used by one thread at a time; a call while another thread is in one raises RuntimeError. Pickles
    and deep copies hold the network with the optimizer of its last fit, which is bound to the copy's parameters.
    """

    def __init__(self, layers: Sequence[Layer], *, seed: int | None = None, dtype: Any = "float32") -> None:
        if seed is None:
            seed = int.from_bytes(os.urandom(8), "little") >> 1
        self._build(layers, integer("seed", seed, 0, 2**64 - 1), dtype)
        core = self._core
        for (node, name), array in zip((*core.names, *core.state_names), (*core.parameters, *core.states), strict=True):
            layer = self._graph.makers[node]
            start = layer.starts()[name] if layer is not None else 0.0
            if isinstance(start, tuple):
                _core.initialise(array, *start, self.seed, self._graph.nodes[node][-1])
            else:
                array[...] = start

    def _build(self, layers: Sequence[Layer], seed: int, dtype: Any) -> None:
        """A network whose parameters are zeros."""
        self._graph = built(layers)
        self.layers: tuple[Layer, ...] = self._graph.layers
        self.inputs: tuple[Input, ...] = self._graph.inputs
        self.dtype: np.dtype[Any] = _checked_dtype(dtype)
        self.n_in = sum(put.n for put in self.inputs)
        self.n_out = self.layers[-1].shape.columns
        self._core = _core.Net(self._graph.nodes, self.dtype, seed)
        self._core.input_names = [put.name for put in self.inputs]
        self._parameters: tuple[NDArray[Any], ...] = tuple(self._core.parameters)
        self._gradients: tuple[NDArray[Any], ...] = tuple(self._core.gradients)
        self.optimizer: Optimizer | None = None
        self.history = History()
        self.epochs_done = 0
        self._fitting = False
        self.metadata: dict[str, Any] = {}

    @property
    def parameters(self) -> tuple[NDArray[Any], ...]:
        """The arrays of all layers, in order, in the network's dtype; of `Dense` W (n_in, n_out) and, if there is one,
        b (n_out,).

        They are views: what is written into them counts, as in ``net.parameters[0][...] = W``.
        """
        return self._parameters

    @property
    def gradients(self) -> tuple[NDArray[Any], ...]:
        """What the last backward pass left: one view a parameter, in the order and shapes of `parameters`.

        After `fit` they hold nothing of use: it updates parameters without storing all gradients.
        """
        return self._gradients

    def named_parameters(self) -> dict[str, NDArray[Any]]:
        """`parameters` by name, such as "layers.2.weight", or "layers.1.layers.0.bias" in a `Residual`.

        Returns
        -------
        dict of arrays
            In the order of `parameters`.
        """
        return {self._name(*place): array for place, array in zip(self._core.names, self._parameters, strict=True)}

    def named_states(self) -> dict[str, NDArray[Any]]:
        """What layers keep beside parameters, such as "layers.1.running_mean": views, as `parameters`."""
        return {self._name(*place): a for place, a in zip(self._core.state_names, self._core.states, strict=True)}

    def _name(self, node: int, array: str) -> str:
        return f"{self._graph.paths[node]}.{array}"

    def parameter_groups(self, patterns: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Groups for an optimizer by patterns of names: other rates, decay, or frozen.

        Parameters
        ----------
        patterns : dict of dicts
            Such as ``{"*.bias": {"weight_decay": 0.0}, "layers.0.*": {"lr_factor": 0.1}}``, or ``{"frozen": True}`` for
            what is not to be trained. Later patterns add to earlier ones, and override them.

        Returns
        -------
        list of dict
            To be given to an optimizer: ``schuss.AdamW(net.parameter_groups({...}), lr=1e-3)``. Frozen arrays are in no
            group; training with such an optimizer computes none of what only their gradients would need.

        Raises
        ------
        ValueError, TypeError
            If a pattern fits no name, or all arrays are frozen.
        """
        return parameter_groups(self.named_parameters(), patterns)

    @property
    def seed(self) -> int:
        """What every random choice of this network follows from."""
        return self._core.seed

    @property
    def n_parameters(self) -> int:
        """Numbers that training changes, of all layers."""
        return sum(array.size for array in self._parameters)

    # -- passes ------------------------------------------------------------------------------------------------------

    def _data(self, x: Any, name: str = "x") -> Data:
        """Turn x into what the core takes; what fits already is taken as it is, without a pass over it."""
        if self._core.takes_inputs(x):
            return x  # type: ignore[no-any-return]
        return inputs.checked(self.inputs, x, name, self.dtype)

    def forward(self, x: Any, training: bool = True) -> NDArray[Any]:
        """The network's output, keeping what `backward` needs.

        Parameters
        ----------
        x : array of shape (rows, n_in)
            Real numbers of any dtype and layout. With several inputs a dict by their names, or a tuple in their order.
        training : bool
            Whether dropout applies, statistics are those of the batch, and `backward` may follow.

        Returns
        -------
        array of shape (rows, n_out)
            A new one. NaN in x gives NaN here.
        """
        return self._core.forward(self._data(x), flag("training", training))

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
        return self._core.backward(array, True)

    def predict(self, X: Any, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """The network's output, without dropout.

        Parameters
        ----------
        X : array of shape (rows, n_in), or (n_in,) for one row
            Real numbers of any dtype and layout. NaN in a row gives NaN in its output. With several inputs a dict by
            their names, or a tuple in their order, of (rows, ...) arrays.
        out : array, optional
            Where to write: the result's shape, the network's dtype, C-contiguous, writable.

        Returns
        -------
        array of shape (rows, n_out), or (n_out,) for one row
            Probabilities if the output layer is softmax or sigmoid, otherwise what the last layer gives (logits, for a
            network trained with a cross-entropy).

        Raises
        ------
        ValueError, TypeError
            If X or out is not as described.
        """
        found = self._core.try_predict(X, out)
        if found is not None:
            return found
        if out is not None:
            if not isinstance(out, np.ndarray):
                raise TypeError(f"out must be a numpy.ndarray; got {shown(out)} ({type(out).__name__})")
            if not out.flags.carray:
                raise ValueError("out must be C-contiguous, aligned and writable; got an array that is not")
        if len(self.inputs) > 1 or self.inputs[0].codes or isinstance(X, Mapping):
            return self._core.predict(self._data(X, "X"), out)
        array = arrays.real_array("X", X)
        if array.ndim != 1:
            return self._core.predict(self._data(array, "X"), out)
        if len(array) != self.n_in:
            raise ValueError(f"X must have shape (rows, {self.n_in}) or ({self.n_in},); got {array.shape}")
        if out is not None and out.shape != (self.n_out,):
            raise ValueError(f"out must have shape ({self.n_out},); got {out.shape}")
        return self._core.predict(arrays.converted(array, self.dtype), out)

    __call__ = predict

    def loss_and_gradients(
        self, x: Any, y: Any, loss: AnyLoss, *, sample_weight: Any = None, class_weight: Any = None
    ) -> float:
        """Forward and backward pass with dropout: fills `gradients`, returns the weighted mean loss.

        Parameters
        ----------
        x : array of shape (rows, n_in)
        y : array
            As for `fit`.
        loss, sample_weight, class_weight
            As for `fit`.

        Raises
        ------
        ValueError, TypeError
            If an argument is not as described, or x or y is not finite. Only `gradients` may have changed.
        DivergenceError
            If the loss is NaN or infinite; the parameters are as they were.
        """
        value = None
        if class_weight is None:
            known = _SPECS.get(loss) if type(loss) is str else loss
            value = self._core.try_loss_and_gradients(x, y, sample_weight, known)
        if value is None:
            chosen = losses.resolve(loss)
            x, y, weights = self._batch(x, y, chosen, sample_weight, class_weight)
            if isinstance(chosen, Loss):
                value = self._core.loss_and_gradients(x, y, weights, chosen.spec)
            else:
                with self._as_before_on_failure():
                    return self._finite(self._own_loss_and_gradients(x, y, chosen), x, y)
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
        optimizer: Optimizer | Averaged,
        *,
        sample_weight: Any = None,
        class_weight: Any = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> float:
        """One step on one batch: forward, backward and update in a single call; returns the loss before the step.

        Parameters
        ----------
        x, y, loss, sample_weight, class_weight, clip_norm, clip_value
            As for `fit`.
        optimizer : Optimizer
            Over this network's `parameters`.

        Raises
        ------
        ValueError, TypeError
            If an argument is not as described, or x or y is not finite.
        DivergenceError
            If the loss or a gradient is NaN or infinite although x and y are not.

        Parameters and optimizer are then as they were.
        """
        if isinstance(optimizer, Averaged):
            optimizer = optimizer.optimizer
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be an Optimizer over net.parameters; got {shown(optimizer)}")
        groups = optimizer.param_groups
        stepper = optimizer._stepper
        try:
            if class_weight is None:
                known = _SPECS.get(loss) if type(loss) is str else loss
                value = self._core.try_train_step(x, y, sample_weight, known, stepper, groups, clip_value, clip_norm)
                if value is not None:
                    return value
            chosen = losses.resolve(loss)
            x, y, weights = self._batch(x, y, chosen, sample_weight, class_weight)
            if not isinstance(chosen, Loss):
                return self._own_train_step(x, y, chosen, optimizer, clip_value, clip_norm)
            return self._core.train_step(x, y, weights, chosen.spec, stepper, groups, clip_value, clip_norm)
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
    ) -> float:
        indices = [iter(group) for group in self._indices_of(optimizer)]
        order = [next(indices[group]) for group in optimizer._group_of]
        with self._as_before_on_failure():
            value = self._own_loss_and_gradients(x, y, loss)
            if value - value != 0.0:
                self._check_batch(x, y)
                raise DivergenceError(_not_finite("train_step", value), lr=optimizer.param_groups[0]["lr"], loss=value)
            gradients = [self.gradients[index] for index in order]
            optimizer.step(gradients, clip_norm=clip_norm, clip_value=clip_value, on_nonfinite="raise")
        return value

    @contextmanager
    def _as_before_on_failure(self) -> Iterator[None]:
        """What a forward pass in training changes is as it was if anything is raised."""
        states, draws = self._core.flat_states.copy(), self._core.draws
        try:
            yield
        except BaseException:
            self._core.flat_states[...], self._core.draws = states, draws
            raise

    def _batch(
        self, x: Any, y: Any, loss: Loss | losses.LossFunction, sample_weight: Any, class_weight: Any
    ) -> tuple[Data, NDArray[Any], NDArray[np.float64] | None]:
        """A batch as the core takes it. Whether it is finite is left to the loss, the range of int64 labels to the core
        unless class weights are looked up with them."""
        x = self._data(x)
        rows = inputs.rows(x)
        if class_weight is not None or not self._core.takes_targets(y, rows, loss):
            y = targets.prepare(loss, y, rows, self.n_out, self.dtype)
        weights = None
        if sample_weight is not None or class_weight is not None:
            weights = targets.prepare_weights(loss, sample_weight, class_weight, y, self.n_out)
        return x, y, weights

    def _check_batch(self, x: Data, y: NDArray[Any]) -> None:
        """Whether what was not finite came in with the data: ValueError that says where. Looked at only then."""
        inputs.check_finite(self.inputs, "x", x)
        arrays.check_finite("y", y)

    def _own_loss_and_gradients(self, x: Data, y: NDArray[Any], loss: losses.LossFunction) -> float:
        prediction = self._core.forward(x, True)
        value, gradient = losses.evaluated(loss, prediction, y)
        self._core.backward(gradient, False)
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

    # -- training ----------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        loss: AnyLoss,
        optimizer: Optimizer | Averaged | str | None = None,
        lr: float | Callable[[int], float] | None = None,
        epochs: int = 10,
        batch_size: int | None = 32,
        shuffle: bool = True,
        validation_data: Sequence[Any] | None = None,
        validation_fraction: float = 0.0,
        sample_weight: Any = None,
        class_weight: str | Mapping[int, float] | Any = None,
        metrics: str | metrics.Metric | Iterable[str | metrics.Metric] = (),
        early_stopping: bool | int | EarlyStopping | None = None,
        callbacks: Iterable[Callable[[EpochRecord], Any]] = (),
        verbose: int = 0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        restore_on_divergence: bool = True,
    ) -> History:
        """Train for some epochs, in compiled code. Calling it again goes on where it stopped.

        Parameters
        ----------
        X : array of shape (rows, n_in)
            Finite real numbers of any dtype and layout, read-only and memory-mapped ones included; converted to the
            network's dtype where that is another. With several inputs a dict by their names, such as
            ``{"numbers": X, "codes": C}``, or a tuple in their order.
        y : array
            For cross_entropy integer labels (rows,) from 0 to n_out - 1, or rows of probabilities (rows, n_out). For
            binary_cross_entropy values in [0, 1], for poisson values >= 0, for the others real numbers, of shape
            (rows, n_out), or (rows,) if n_out is 1.
        loss : str, loss object or callable
            mse, mae, huber, quantile, cross_entropy, binary_cross_entropy, focal, binary_focal, poisson, gamma,
            tweedie, gaussian; an object such as ``schuss.Huber(2.0)``; or a function
            ``(prediction, target) -> (mean value, gradient by the prediction)``, called once a batch.
        optimizer : Optimizer or str, optional
            An optimizer over ``net.parameters``, or a name: that of a class of ``schuss.optim`` in lower case, as adam,
            adamw, lion or schedule_free_sgd. A name means the optimizer of the last fit, its state included, if that is
            of this kind; otherwise a new one with default arguments. Default: the optimizer of the last fit, or a new
            Adam.
        lr : float or callable, optional
            Learning rate, or a schedule: one of ``schuss.schedules`` or a function ``step -> lr`` where step counts the
            optimizer's steps from 0. Replaces the rate of an optimizer that goes on. Not with an Optimizer object,
            which has its own. A ``ReduceOnPlateau`` gets the validation loss (the loss, without validation data; or
            what it monitors) after each epoch.
        epochs : int
            How many more epochs.
        batch_size : int or None
            Rows a step; the last batch of an epoch may be shorter and is used. None: all rows.
        shuffle : bool
            Whether each epoch takes the rows in a new order, which follows from the network's seed and the epoch's
            number.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Evaluated after each epoch. Class weights do not apply to it.
        validation_fraction : float
            In [0, 1): share of the rows to hold out instead, chosen by the network's seed.
        sample_weight : array of shape (rows,), optional
            Finite, >= 0. The loss of a batch is the weighted mean over its rows.
        class_weight : "balanced", dict or array, optional
            Weights by label, times the sample weights; a dict's missing labels weigh 1. "balanced" is rows / (classes
            present * rows of the class). For integer labels and for binary_cross_entropy with one output.
        metrics : str, callable or sequence of these
            accuracy, mse, mae, r2, or functions ``(prediction, target) -> number``, which get what `predict` gives and
            no weights. Computed after each epoch on the training rows and, as "val_...", on the validation rows.
        early_stopping : bool, int or EarlyStopping, optional
            True: ``EarlyStopping()``; an int: its patience.
        callbacks : callables
            Called after each epoch with an `EpochRecord`; one that returns True ends the fit.
        verbose : int
            0: silent; 1: a progress bar on stderr if that is a terminal, otherwise as 2; 2: a line an epoch.
        clip_norm, clip_value : float, optional
            Limits of the gradients' global norm and of their elements, applied in the other order.
        restore_on_divergence : bool
            Whether to keep a copy of the parameters and of the optimizer's state to go back to. Without, a fit with
            Adam takes half the memory, and after divergence the network is as the failing step left it, possibly not
            finite.

        Returns
        -------
        History
            Of this fit; `history` has all fits.

        Raises
        ------
        ValueError, TypeError
            If an argument is not as described. Nothing has changed.
        DivergenceError
            If a loss or gradient was not finite. The network has the parameters and the optimizer the state of the
            start of that epoch (or of one before: if the first batch failed already, or where epochs are so short that
            keeping each would slow them down) unless ``restore_on_divergence=False``, or the best parameters if early
            stopping keeps them.
        KeyboardInterrupt
            On Ctrl-C, within about 50 ms and the batch at hand. The network stays usable, with the best parameters if
            early stopping keeps them.
        RuntimeError
            If this network is being fitted already, by another thread or around a callback.
        """
        from .training import fit

        if self._fitting:
            raise RuntimeError("this network is being fitted already, by another thread or around this callback")
        self._fitting = True
        try:
            return fit(
                self,
                X,
                y,
                loss=loss,
                optimizer=optimizer,
                lr=lr,
                epochs=epochs,
                batch_size=batch_size,
                shuffle=shuffle,
                validation_data=validation_data,
                validation_fraction=validation_fraction,
                sample_weight=sample_weight,
                class_weight=class_weight,
                metrics=metrics,
                early_stopping=early_stopping,
                callbacks=callbacks,
                verbose=verbose,
                clip_norm=clip_norm,
                clip_value=clip_value,
                restore_on_divergence=restore_on_divergence,
            )
        finally:
            self._fitting = False

    def evaluate(
        self,
        X: Any,
        y: Any,
        loss: AnyLoss,
        metrics: str | metrics.Metric | Iterable[str | metrics.Metric] = (),
        *,
        sample_weight: Any = None,
        class_weight: Any = None,
    ) -> dict[str, float]:
        """Weighted mean loss and metrics over all rows, without dropout.

        Parameters
        ----------
        X, y, loss, metrics, sample_weight, class_weight
            As for `fit`.

        Returns
        -------
        dict of float
            "loss" and the metrics by name.
        """
        chosen = losses.resolve(loss)
        measures = self._measures(metrics, chosen)
        data = self._checked_data(X, y, chosen, sample_weight, class_weight)
        return self._evaluate(data, chosen, measures)

    def _measures(self, given: Any, loss: Loss | losses.LossFunction) -> dict[str, metrics.Measure]:
        return metrics.resolve(given, loss, self.n_out, self._graph.activation)

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
        x = self._data(X, names[0])
        target = targets.prepare(loss, y, inputs.rows(x), self.n_out, self.dtype, names[1])
        inputs.check_finite(self.inputs, names[0], x)
        self._core.check_inputs(x)
        arrays.check_finite(names[1], target)
        weights = targets.prepare_weights(loss, sample_weight, class_weight, target, self.n_out, names[2])
        targets.check_not_all_zero(weights, names[2])
        return x, target, weights

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
            if isinstance(loss, Loss):
                found["loss"] = self._core.loss(x, y, weights, loss.spec)
            else:
                prediction = self._core.predict(x, None)
                found["loss"] = losses.evaluated(loss, prediction, y)[0]
        if measures and prediction is None:
            prediction = self._core.predict(x, None)
        for name, measure in measures.items():
            assert prediction is not None
            found[name] = measure(prediction, y, weights)
        return found

    # -- state -------------------------------------------------------------------------------------------------------

    def save(
        self,
        path: str | os.PathLike[str],
        optimizer: Optimizer | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Write the network to one file, atomically. `schuss.load` reads it.

        Saved are layers, parameters, seed, counters, history, `metadata`, and the optimizer's kind, hyperparameters and
        state, so that training goes on as if nothing had happened. Its schedule is saved too if it is one of
        ``schuss.schedules`` without a function in it; of a function, the current value is: give it as ``lr=`` to the
        next `fit`, where it goes on at the optimizer's step. Averages (`EMA` and others) have a ``state_dict()`` of
        their own.

        Parameters
        ----------
        path : str or path
            Ending in .npz, or in .safetensors where the safetensors package is installed. The content is the same.
        optimizer : Optimizer, optional
            Over this network's parameters. Default: that of the last fit.
        metadata : dict, optional
            What JSON can hold: tuples come back as lists, keys as strings. Default: the network's `metadata`.

        Raises
        ------
        ValueError, TypeError
            If the ending is another, the optimizer is not over this network's parameters, or the metadata is not JSON.
        OSError
            If the file cannot be written; an old one is still there.
        """
        from .serialization import save

        save(self, path, optimizer, metadata)

    def summary(self) -> str:
        """A table of the layers."""
        rows = [("layer", "activation", "init", "dropout", "parameters"), *_rows_of(self.layers, "")]
        rows.append((f"{self.dtype}, seed {self.seed}", "", "", "", f"{self.n_parameters:,}"))
        # The last row's text may run on over the empty cells beside it.
        widths = [max(len(row[k]) for row in rows[:-1]) for k in range(5)]
        widths[4] = max(len(row[4]) for row in rows)
        widths[0] = max(widths[0], len(rows[-1][0]) - sum(widths[1:4]) - 6)
        lines = ["  ".join([*map(str.ljust, row[:4], widths), row[4].rjust(widths[4])]) for row in rows[:-1]]
        last = rows[-1]
        lines.append(last[0].ljust(sum(widths[:4]) + 6) + "  " + last[4].rjust(widths[4]))
        rule = "-" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])

    def __repr__(self) -> str:
        return f"Network({list(self.layers)!r}, seed={self.seed}, dtype={self.dtype.name!r})"

    def __getstate__(self) -> dict[str, Any]:
        optimizer = None
        if self.optimizer is not None:
            state = self.optimizer.__getstate__()
            groups = [{**group, "params": None} for group in state["groups"]]
            optimizer = (type(self.optimizer), self._indices_of(self.optimizer), {**state, "groups": groups})
        return {
            "layers": self.layers,
            "seed": self.seed,
            "dtype": self.dtype.name,
            "parameters": list(self.parameters),
            "states": list(self._core.states),
            "draws": self._core.draws,
            "epochs_done": self.epochs_done,
            "history": self.history,
            "metadata": self.metadata,
            "optimizer": optimizer,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._build(state["layers"], state["seed"], state["dtype"])
        for mine, theirs in zip(self.parameters, state["parameters"], strict=True):
            mine[...] = theirs
        for mine, theirs in zip(self._core.states, state.get("states", ()), strict=True):
            mine[...] = theirs
        self._core.draws = state["draws"]
        self.epochs_done = state["epochs_done"]
        self.history = state["history"]
        self.metadata = state["metadata"]
        if state["optimizer"] is not None:
            kind, indices, inner = state["optimizer"]
            groups = [
                {**group, "params": [self.parameters[k] for k in own]}
                for group, own in zip(inner["groups"], indices, strict=True)
            ]
            optimizer = kind.__new__(kind)
            optimizer.__setstate__({**inner, "groups": groups})
            self.optimizer = optimizer

    def __copy__(self) -> Network:
        raise TypeError("a Network's parameters lie in one piece of memory: use copy.deepcopy")

    def __deepcopy__(self, memo: dict[int, Any]) -> Network:
        from copy import deepcopy

        new = Network.__new__(type(self))
        memo[id(self)] = new
        new.__setstate__(deepcopy(self.__getstate__(), memo))
        # So that an optimizer copied together with its network is bound to the copy.
        memo.update((id(mine), copy) for mine, copy in zip(self.parameters, new.parameters, strict=True))
        if self.optimizer is not None:
            memo[id(self.optimizer)] = new.optimizer
        return new


ADVICE = "try a lower lr, clip_norm=1.0, or inputs scaled to about unit size"


def _not_finite(where: str, value: float) -> str:
    return f"the loss in {where} was {value}; {ADVICE}"


def _rows_of(layers: Iterable[Layer], indent: str) -> list[tuple[str, str, str, str, str]]:
    """Rows of a summary; layers inside of others are indented."""
    rows = []
    for layer in layers:
        text, *rest = layer.row()
        branches = getattr(layer, "branches", None)
        inner = branches if branches is not None else [layer.layers] if hasattr(layer, "layers") else []
        rows.append((indent + text, *rest, "" if inner else f"{layer.n_parameters:,}"))
        for k, branch in enumerate(inner):
            if branches is not None:
                rows.append((f"{indent}  branch {k}", "", "", "", ""))
            rows += _rows_of(branch, indent + ("    " if branches is not None else "  "))
    return rows  # type: ignore[return-value]


def _checked_dtype(dtype: Any) -> np.dtype[Any]:
    found: np.dtype[Any] | None
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or not found.isnative or found.name not in _DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(_DTYPES)}; got {shown(dtype)}")
    return found
