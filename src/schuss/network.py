"""Networks: layers that can be fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .habits import hinted, meets
from .optim import Averaged, Optimizer, Switch
from .trained import Trained

if TYPE_CHECKING:
    import os

    from . import metrics
    from .augment import Augment
    from .history import History
    from .passes import AnyLoss
    from .training import EarlyStopping, EpochRecord


@meets(
    "Network",
    "add build compile train eval cpu cuda to zero_grad state_dict get_weights set_weights "
    "trainable_weights trainable_variables count_params modules children save_weights load_weights "
    "train_on_batch test_on_batch predict_on_batch partial_fit predict_proba score",
)
class Network(Trained):
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
        That of the last fit, without what stands around it: that is `wrapper`.
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
    and deep copies hold the network with the optimizer of its last fit and the wrapper around it, which are bound to
    the copy's parameters.
    """

    # -- training ----------------------------------------------------------------------------------------------------

    @hinted("fit")
    def fit(
        self,
        X: Any,
        y: Any,
        *,
        loss: AnyLoss,
        optimizer: Optimizer | Averaged | Switch | str | None = None,
        lr: float | Callable[[int], float] | None = None,
        epochs: int = 10,
        batch_size: int | None = 32,
        drop_last: bool = False,
        shuffle: bool | None = None,
        validation_data: Sequence[Any] | None = None,
        validation_fraction: float = 0.0,
        sample_weight: Any = None,
        class_weight: str | Mapping[int, float] | Any = None,
        lengths: Any = None,
        carry_state: bool = False,
        augment: Augment | None = None,
        metrics: str | metrics.Metric | Iterable[str | metrics.Metric] = (),
        training_metrics: bool = True,
        early_stopping: bool | int | EarlyStopping | None = None,
        callbacks: Iterable[Callable[[EpochRecord], Any]] = (),
        verbose: int = 0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        dropout_factor: float | Callable[[int], float] | None = None,
        restore_on_divergence: bool = True,
        on_divergence: str = "raise",
        explosion: float | None = None,
        resume: str | os.PathLike[str] | None = None,
    ) -> History:
        """Train for some epochs, in compiled code. Calling it again goes on where it stopped.

        Parameters
        ----------
        X : array of shape (rows, n_in)
            Finite real numbers of any dtype and layout, read-only and memory-mapped ones included; converted to the
            network's dtype where that is another. Rows may overlap, as those of `schuss.windows`: then nothing as large
            as all of them is copied. With several inputs a dict by their names, such as
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
            An optimizer over ``net.parameters``, an average or a `Switch` of such, or a name: that of a class of
            ``schuss.optim`` in lower case, as adam, adamw, lion or schedule_free_sgd. A name means the optimizer of the
            last fit, its state included, if that is of this kind; otherwise a new one with default arguments. Default:
            the optimizer of the last fit, or a new Adam.
        lr : float or callable, optional
            Learning rate, or a schedule: one of ``schuss.schedules`` or a function ``step -> lr`` where step counts the
            optimizer's steps from 0. Replaces the rate of an optimizer that goes on. Not with an Optimizer object,
            which has its own. A ``ReduceOnPlateau`` gets the validation loss (the loss, without validation data; or
            what it monitors) after each epoch.
        epochs : int
            How many more epochs; with `resume`, how many in all.
        batch_size : int or None
            Rows a step. None: all rows.
        drop_last : bool
            Whether the last batch of an epoch is left out where it is shorter than the others, as other rows each time.
        shuffle : bool, optional
            Whether each epoch takes the rows in a new order, which follows from the network's seed and the epoch's
            number. Default: True, but False with `carry_state`.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Evaluated after each epoch. Class weights do not apply to it.
        validation_fraction : float
            In [0, 1): share of the rows to hold out instead, chosen by the network's seed.
        sample_weight : array of shape (rows,), optional
            Finite, >= 0. The loss of a batch is the weighted mean over its rows. Where the network has an output at
            each position, y has a target for each, (rows, times) or (rows, times, n_out), and weights may be
            (rows, times).
        class_weight : "balanced", dict or array, optional
            Weights by label, times the sample weights; a dict's missing labels weigh 1. "balanced" is rows / (classes
            present * rows of the class). For integer labels and for binary_cross_entropy with one output.
        lengths : array of integers (rows,), optional
            How many times of each row of X are there, see `Sequences`. What lies beyond is computed by no layer that
            goes through times, and counts in no loss at each time.
        carry_state : bool
            Whether layers that go through times go on: row i of a batch begins in the state in which row i of the batch
            before ended, and those of an epoch's first batch begin at zeros. So sequences may be far longer than what
            gradients go back through, which is one row: truncated backpropagation through time. `schuss.streams` brings
            long series into such rows. The batch size has to divide the rows, and nothing is shuffled. Validation
            begins each row at zeros.
        augment : Augment, optional
            What happens to images at random each time they are trained on: shifts, flips, crops. Validation rows and
            metrics have the images as they are.
        metrics : str, callable or sequence of these
            accuracy, error, balanced_accuracy, log_loss, auc (of two classes), mse, rmse, mae, r2, or functions
            ``(prediction, target) -> number``, which get what `predict` gives and no weights. Computed after each epoch
            on the training rows and, as "val_...", on the validation rows.
        training_metrics : bool
            Whether metrics are computed on the training rows too, which takes another pass over them each epoch.
        early_stopping : bool, int or EarlyStopping, optional
            True: ``EarlyStopping()``; an int: its patience.
        callbacks : callables
            Called after each epoch with an `EpochRecord`; one that returns True ends the fit. `schuss.callbacks` has
            some that write files, keep checkpoints or look into layers.
        verbose : int
            0: silent; 1: a progress bar on stderr if that is a terminal, otherwise as 2; 2: a line an epoch.
        clip_norm, clip_value : float, optional
            Limits of the gradients' global norm and of their elements, applied in the other order.
        dropout_factor : float or callable, optional
            What the probability of every dropout is multiplied by: a number, or a schedule of the optimizer's steps as
            lr may be, such as ``schuss.schedules.FlatCos(1.0, steps)``. Each product must stay below 1; of 0, nothing
            is dropped. It belongs to this call alone: to go on with it, give it again.
        restore_on_divergence : bool
            Whether to keep a copy of the parameters and of the optimizer's state to go back to. Without, a fit with
            Adam takes half the memory, and after divergence the network is as the failing step left it, possibly not
            finite.
        on_divergence : {"raise", "recover"}
            "recover": after divergence the fit goes back to the last good state, halves its learning rate and all later
            values of its schedule, and goes on; then it tries some lower rates for a few epochs each, and keeps the one
            with which the loss falls furthest. Each time is noted in ``history.recoveries``. After 30 divergences it
            raises as otherwise. Callbacks are called again for epochs that are made again.
        explosion : float, optional
            Counts as divergence, too: a median of the losses of 8 batches that lies above the lowest one before by more
            than this many times the spread of losses, and by more than half of what was gained. 10 is a good number.
        resume : str or path, optional
            A file of `save`, such as `callbacks.Checkpoint` writes, of a network of the same layers, to go on from: its
            parameters, optimizer with state and schedule, seed, counters, history and what early stopping remembers
            become this network's, in place of its own, and of an Optimizer or rate that is given here. Only schedules
            that are functions are taken from here, since no file holds them. `epochs` then counts all epochs that the
            network has had, and the History returned has all of them. Where there is no such file yet, training begins
            with the network as it is: so the same call, made again after an interruption, goes on to the bits of a
            training that was never interrupted.

        Returns
        -------
        History
            Of this fit, or of all epochs with `resume`; `history` has all fits.

        Raises
        ------
        ValueError, TypeError
            If an argument is not as described, or the file of `resume` is damaged or does not fit. Nothing has changed.
        OSError
            If the file of `resume` is there and cannot be read. Nothing has changed.
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
            found = fit(
                self,
                X,
                y,
                loss=loss,
                optimizer=optimizer,
                lr=lr,
                epochs=epochs,
                batch_size=batch_size,
                drop_last=drop_last,
                shuffle=shuffle,
                validation_data=validation_data,
                validation_fraction=validation_fraction,
                sample_weight=sample_weight,
                class_weight=class_weight,
                lengths=lengths,
                carry_state=carry_state,
                augment=augment,
                metrics=metrics,
                training_metrics=training_metrics,
                early_stopping=early_stopping,
                callbacks=callbacks,
                verbose=verbose,
                clip_norm=clip_norm,
                clip_value=clip_value,
                dropout_factor=dropout_factor,
                restore_on_divergence=restore_on_divergence,
                on_divergence=on_divergence,
                explosion=explosion,
                resume=resume,
            )
        finally:
            self._fitting = False
        return found
