"""A training run has the same bits for any threads and instruction set, in pieces, and by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import schuss
from schuss import _core
from tests.reference import optim
from tests.reference.network import nodes_of

Array = NDArray[Any]
LOSS = ("cross_entropy", 0.0)
ROWS = {1: 64, 7: 150, 256: 600, None: 600}
"""Rows of the data for each batch size; None: all rows."""
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
batches = pytest.mark.parametrize("batch", list(ROWS))
dropouts = pytest.mark.parametrize("dropout", [0.0, 0.3], ids=["plain", "dropout"])


class Run:
    """A network with its optimizer and data, and the loss after each epoch."""

    def __init__(
        self, dtype: str, batch: int | None, dropout: float, rule: str = "adam", weighted: bool = False
    ) -> None:
        rng = np.random.default_rng(0)
        rows = ROWS[batch]
        self.batch = batch or rows
        self.x = rng.normal(size=(rows, 200)).astype(dtype)
        self.y = np.argmax(self.x[:, :10] + 0.3 * rng.normal(size=(rows, 10)), axis=1)
        self.weights = rng.uniform(0, 2, rows) if weighted else None
        self.net = _core.Net(
            nodes_of(
                [
                    (200, 300, "relu", 0.0, True, dropout),
                    (300, 150, "tanh", 0.0, True, dropout),
                    (150, 10, "identity", 0.0, True, 0.0),
                ]
            ),
            dtype,
            17,
        )
        for i, p in enumerate(self.net.parameters):
            if p.ndim == 2:
                _core.initialise(p, "uniform", float(np.sqrt(6 / p.shape[0])), 17, i // 2)
        momentum: dict[str, Any] = {"momentum": 0.9} if rule == "sgd" else {}
        self.groups = [optim.options(rule, lr=0.01 if rule == "sgd" else 1e-3, **momentum)]
        n = len(self.net.parameters)
        self.stepper = _core.Stepper(self.net.parameters, [0] * n, self.groups)
        self.clip_norm = 1.0 if rule == "sgd" else 0.0
        self.losses: list[float] = []
        self.last_losses: list[float] = []

    def epochs(self, first: int, last: int, seconds: float = 0.05) -> None:
        """Epochs first to last - 1, whole in the core."""
        trainer = _core.Trainer(
            self.net, self.stepper, self.groups, LOSS, self.x, self.y, self.weights, self.batch, 0.0, self.clip_norm
        )
        for epoch in range(first, last):
            trainer.start_epoch(17, epoch, None)
            while trainer.run(seconds):
                pass
            self.losses.append(trainer.loss)
            self.last_losses.append(trainer.last_loss)

    def epochs_by_hand(self, first: int, last: int) -> None:
        """The same a step at a time, from parts."""
        for epoch in range(first, last):
            whole = self.batch == len(self.x)  # no shuffling where the batch is all rows
            order = np.arange(len(self.x)) if whole else _core.permutation(len(self.x), 17, epoch)
            total = weight = 0.0
            for start in range(0, len(order), self.batch):
                rows = order[start : start + self.batch]
                w = self.weights[rows] if self.weights is not None else None
                loss = self.net.loss_and_gradients(self.x[rows], self.y[rows], w, LOSS)
                self.stepper.step(self.net.gradients, self.groups, clip_norm=self.clip_norm or None)
                share = float(w.sum()) if w is not None else len(rows)
                total, weight = total + share * loss, weight + share
            self.losses.append(total / weight)
            self.last_losses.append(loss)

    def copy_to(self, other: Run) -> None:
        """What a saved file carries."""
        other.net.flat_parameters[...] = self.net.flat_parameters
        other.net.draws = self.net.draws
        other.stepper.steps = self.stepper.steps
        for theirs, ours in zip(other.stepper.states, self.stepper.states, strict=True):
            for a, b in zip(theirs, ours, strict=True):
                a[...] = b
        other.losses = list(self.losses)
        other.last_losses = list(self.last_losses)


def assert_same(run: Run, wanted: Run, losses_too: bool = True) -> None:
    for a, b in zip(run.net.parameters, wanted.net.parameters, strict=True):
        assert_array_equal(a, b)
    for ours, theirs in zip(run.stepper.states, wanted.stepper.states, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert_array_equal(a, b)
    assert run.last_losses == wanted.last_losses
    if losses_too:
        assert run.losses == wanted.losses


@dtypes
@batches
@dropouts
def test_threads_and_instruction_sets(
    dtype: str,
    batch: int | None,
    dropout: float,
    each_fma_isa: Callable[[], Iterator[str]],
    set_threads: Callable[[int], None],
) -> None:
    runs = []
    for _ in each_fma_isa():
        for threads in (1, 2, 3, 7):
            set_threads(threads)
            run = Run(dtype, batch, dropout)
            run.epochs(0, 2)
            runs.append(run)
    if not runs:
        pytest.skip("no instruction set with fused multiply-add")
    assert np.isfinite(runs[0].losses).all()
    for run in runs[1:]:
        assert_same(run, runs[0])


@dtypes
def test_threads_on_baseline(dtype: str, keep_isa: None, set_threads: Callable[[int], None]) -> None:
    _core.use_isa(_core.isa_levels()[0])
    runs = []
    for threads in (1, 2, 3, 7):
        set_threads(threads)
        runs.append(Run(dtype, 256, 0.3, "sgd", weighted=True))
        runs[-1].epochs(0, 2)
    for run in runs[1:]:
        assert_same(run, runs[0])


@dtypes
@batches
@dropouts
@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_loop_by_hand(dtype: str, batch: int | None, dropout: float, rule: str, isa: str) -> None:
    """The epoch's loss is a sum that may be added up in another order; everything else is the same bits."""
    fused, by_hand = (Run(dtype, batch, dropout, rule, weighted=rule == "sgd") for _ in range(2))
    fused.epochs(0, 2)
    by_hand.epochs_by_hand(0, 2)
    assert_same(fused, by_hand, losses_too=False)
    np.testing.assert_allclose(fused.losses, by_hand.losses, rtol=1e-12)


@dtypes
@batches
@dropouts
def test_interrupted_and_resumed(dtype: str, batch: int | None, dropout: float) -> None:
    """Two epochs, moved to new objects, two more: as four; whatever the pauses within an epoch."""
    whole, first, second = (Run(dtype, batch, dropout) for _ in range(3))
    whole.epochs(0, 4)
    first.epochs(0, 2, seconds=0.0)
    first.copy_to(second)
    second.epochs(2, 4, seconds=1e-4)
    assert_same(second, whole)


@dtypes
def test_train_step_is_its_parts(dtype: str, isa: str, threads: int) -> None:
    whole, parts = (Run(dtype, 256, 0.3, "sgd", weighted=True) for _ in range(2))
    assert whole.weights is not None
    assert parts.weights is not None
    for i in range(4):
        rows = slice(100 * i, 100 * i + 100)
        loss = whole.net.train_step(
            whole.x[rows], whole.y[rows], whole.weights[rows], LOSS, whole.stepper, whole.groups, None, 1.0
        )
        assert loss == parts.net.loss_and_gradients(parts.x[rows], parts.y[rows], parts.weights[rows], LOSS)
        parts.stepper.step(parts.net.gradients, parts.groups, clip_norm=1.0)
    assert_same(whole, parts)


@dtypes
def test_learning_rates_and_clipping_of_the_loop(dtype: str) -> None:
    """A learning rate for each step, and both ways to clip, are those of steps by hand."""
    fused, by_hand = (Run(dtype, 7, 0.0, "sgd") for _ in range(2))
    rates = np.linspace(0.1, 0.01, -(-len(fused.x) // 7))
    trainer = _core.Trainer(
        fused.net, fused.stepper, fused.groups, LOSS, fused.x, fused.y, None, 7, clip_value=0.01, clip_norm=0.5
    )
    assert trainer.steps_per_epoch == len(rates)
    trainer.start_epoch(None, 0, rates)
    while trainer.run(0.01):
        pass
    assert trainer.batches_done == len(rates)
    for i, lr in enumerate(rates.tolist()):
        rows = slice(7 * i, 7 * i + 7)
        by_hand.net.loss_and_gradients(by_hand.x[rows], by_hand.y[rows], None, LOSS)
        groups = [by_hand.groups[0] | {"lr": lr}]
        by_hand.stepper.step(by_hand.net.gradients, groups, clip_value=0.01, clip_norm=0.5)
    assert_same(fused, by_hand)


@dtypes
@batches
def test_loss_of_the_users_own(dtype: str, batch: int | None) -> None:
    """A callable gets the rows of the batch, and its gradient goes back as by hand."""
    fused, by_hand = (Run(dtype, batch, 0.3, "sgd") for _ in range(2))
    targets = np.eye(10, dtype=dtype)[fused.y]

    def squares(prediction: Array, target: Array) -> tuple[float, Array]:
        d = prediction - target
        return float(np.mean(d * d)), 2 * d / d.size

    trainer = _core.Trainer(
        fused.net, fused.stepper, fused.groups, squares, fused.x, targets, None, fused.batch, 0.0, 0.0
    )
    trainer.start_epoch(17, 0, None)
    while trainer.run(0.01):
        pass
    order = _core.permutation(len(targets), 17, 0)
    for start in range(0, len(order), by_hand.batch):
        rows = order[start : start + by_hand.batch]
        loss, gradient = squares(by_hand.net.forward(by_hand.x[rows], True), targets[rows])
        by_hand.net.backward(gradient, False)
        by_hand.stepper.step(by_hand.net.gradients, by_hand.groups)
    assert trainer.last_loss == loss
    assert_same(fused, by_hand)


def test_training_learns() -> None:
    run = Run("float32", 256, 0.0)
    run.epochs(0, 30)
    assert run.losses[-1] < 0.2 * run.losses[0]


@dtypes
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("optimizer", ["SGD", "AdaGrad", "RMSProp", "Adam", "AdamW"])
def test_saved_and_loaded(optimizer: str, suffix: str, dtype: str, tmp_path: Path) -> None:
    """The public way: n epochs, a file, n more epochs are 2 n epochs bit for bit."""
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    rng = np.random.default_rng(1)
    x = rng.normal(size=(100, 20)).astype(dtype)
    y = np.argmax(x[:, :4], axis=1)
    options: dict[str, Any] = {"SGD": {"lr": 0.1, "momentum": 0.9}, "RMSProp": {"momentum": 0.5, "centered": True}}.get(
        optimizer, {}
    )

    def fresh() -> tuple[schuss.Network, Any]:
        net = schuss.Network([schuss.Dense(20, 30, "relu", dropout=0.2), schuss.Dense(30, 4)], seed=3, dtype=dtype)
        return net, getattr(schuss, optimizer)(net.parameters, **options)

    def fit(net: schuss.Network, opt: Any) -> Any:
        return net.fit(x, y, loss="cross_entropy", optimizer=opt, epochs=3, batch_size=7, verbose=0)

    whole, opt = fresh()
    fit(whole, opt)
    wanted = fit(whole, opt)
    part, opt = fresh()
    fit(part, opt)
    path = tmp_path / f"model{suffix}"
    part.save(path)
    again = schuss.load(path)
    got = again.fit(x, y, loss="cross_entropy", epochs=3, batch_size=7, verbose=0)
    for a, b in zip(again.parameters, whole.parameters, strict=True):
        assert a.dtype == dtype
        assert_array_equal(a, b)
    assert_array_equal(np.asarray(got["loss"])[-3:], np.asarray(wanted["loss"])[-3:])
