"""Augmented images are those of the plain twin; training with them is the same for any threads and after a stop."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import schuss
from schuss import Augment, Concatenate, Dense, Flatten, Input, MaxPool, _core
from tests.reference.augment import augmented

Array = NDArray[Any]
ALL: dict[str, Any] = {"shift": (2, 3), "flip": True, "flip_vertical": True, "crop": 0.6, "fill": -1.5}


def images(rows: int = 40, shape: tuple[int, int, int] = (8, 6, 2)) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, *shape)).astype(np.float32), rng.integers(0, 3, rows)


def network(dtype: str = "float32", **options: Any) -> schuss.Network:
    layers = [Input("x", (8, 6, 2), **options), MaxPool(2), Flatten(), Dense(8, "tanh", dropout=0.2), Dense(3)]
    return schuss.Network(layers, seed=7, dtype=dtype)


def fit(net: schuss.Network, epochs: int = 2, augment: Augment | None = None, **options: Any) -> schuss.Network:
    x, y = images()
    augment = Augment(**ALL) if augment is None else augment
    net.fit(x, y, loss="cross_entropy", epochs=epochs, batch_size=12, augment=augment, **options)
    return net


def assert_same(a: schuss.Network, b: schuss.Network) -> None:
    for mine, other in zip(a.parameters, b.parameters, strict=True):
        assert_array_equal(mine, other)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3)),
    shifts=st.tuples(st.integers(0, 8), st.integers(0, 8)),
    flips=st.tuples(st.booleans(), st.booleans()),
    crop=st.sampled_from([1.0, 0.99, 0.5, 0.05]),
    seed=st.sampled_from([0, 3, 2**64 - 1]),
    draw=st.sampled_from([0, 1, 2**32 + 5]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_as_the_twin(
    shape: tuple[int, int, int],
    shifts: tuple[int, int],
    flips: tuple[bool, bool],
    crop: float,
    seed: int,
    draw: int,
    dtype: str,
) -> None:
    x = np.random.default_rng(1).normal(size=(5, *shape)).astype(dtype)
    shift = (min(shifts[0], shape[0] - 1), min(shifts[1], shape[1] - 1))
    options: dict[str, Any] = {"flip": flips[0], "flip_vertical": flips[1], "crop": crop, "fill": 0.25}
    found = Augment(shift, **options).of(x, seed, draw)
    assert found.dtype == dtype
    assert_array_equal(found, augmented(x, seed, draw, shift=shift, **options))


@pytest.mark.parametrize("name", list(ALL))
def test_each_change_alone(name: str) -> None:
    """Flips and shifts lose nothing else; all that is possible happens; draws differ by row, draw and seed."""
    x = np.arange(1.0, 31).reshape(1, 5, 6, 1).repeat(400, axis=0)
    found = Augment(**{name: ALL[name]}).of(x)
    kinds = {image.tobytes() for image in found}
    wanted = {"shift": 35, "flip": 2, "flip_vertical": 2, "crop": None, "fill": 1}[name]
    assert len(kinds) == wanted if wanted is not None else len(kinds) > 10
    if name.startswith("flip"):
        axis = 2 if name == "flip" else 1
        assert {x[0].tobytes(), np.flip(x, axis)[0].tobytes()} == kinds
        assert 150 < sum(image.tobytes() == x[0].tobytes() for image in found) < 250
    if name == "crop":
        assert set(np.unique(found)) <= set(np.unique(x))
    if name != "fill":
        assert not np.array_equal(found, Augment(**{name: ALL[name]}).of(x, 0, 1))
        assert not np.array_equal(found, Augment(**{name: ALL[name]}).of(x, 1, 0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("batch", [1, 12, 40])
def test_fit_is_its_steps(dtype: str, shuffle: bool, batch: int) -> None:
    """Batches have what `of` gives for the network's seed and the number of the pass."""
    fitted, by_hand = network(dtype), network(dtype)
    x, y = images()
    augment = Augment(**ALL)
    fitted.fit(
        x, y, loss="cross_entropy", optimizer="sgd", epochs=2, batch_size=batch, shuffle=shuffle, augment=augment
    )
    optimizer = schuss.SGD(by_hand.parameters)
    for epoch in range(2):
        order = _core.permutation(len(y), 7, epoch) if shuffle and batch < len(y) else np.arange(len(y))
        for start in range(0, len(y), batch):
            rows = order[start : start + batch]
            changed = augment.of(x[rows].astype(dtype), 7, by_hand._core.draws)
            by_hand.train_step(changed, y[rows], "cross_entropy", optimizer)
    assert_same(fitted, by_hand)


def test_same_for_any_threads(set_threads: Callable[[int], None]) -> None:
    found = []
    for threads in (1, 2, 3):
        set_threads(threads)
        found.append(fit(network()))
    assert_same(found[0], found[1])
    assert_same(found[0], found[2])


def test_goes_on_after_a_stop(tmp_path: Any) -> None:
    whole, part, other = fit(network(), 4), fit(network(), 2), fit(network(), 2)
    part.save(tmp_path / "net.npz")
    assert_same(fit(schuss.load(tmp_path / "net.npz"), 2), whole)
    assert_same(fit(pickle.loads(pickle.dumps(other)), 2), whole)


def test_channels_first_are_the_same_images() -> None:
    first = schuss.Network(
        [Input("x", (2, 8, 6), channels="first"), MaxPool(2), Flatten(), Dense(8, "tanh", dropout=0.2), Dense(3)],
        seed=7,
    )
    x, y = images()
    first.fit(np.moveaxis(x, -1, 1), y, loss="cross_entropy", epochs=2, batch_size=12, augment=Augment(**ALL))
    assert_same(first, fit(network()))


def test_no_change_is_none() -> None:
    plain = network()
    x, y = images()
    plain.fit(x, y, loss="cross_entropy", epochs=2, batch_size=12)
    assert_same(plain, fit(network(), augment=Augment()))


def test_only_training_rows_change() -> None:
    """Metrics and validation see images as they are."""
    x, y = images()
    net = network()
    net.fit(x, y, loss="cross_entropy", epochs=1, batch_size=12, lr=0.0, optimizer="sgd",
            augment=Augment(**ALL), validation_data=(x, y), metrics="accuracy")  # fmt: skip
    assert net.history["val_loss"][0] == pytest.approx(network().evaluate(x, y, "cross_entropy")["loss"])
    assert net.history["loss"][0] != net.history["val_loss"][0]
    assert net.history["accuracy"] == net.history["val_accuracy"]


def test_beside_other_inputs() -> None:
    layers = [
        Concatenate([[Input("image", (8, 6, 2)), Flatten()], [Input("numbers", 3), Dense(2, "tanh")]]),
        Dense(3),
    ]
    x, y = images()
    numbers = np.random.default_rng(3).normal(size=(len(x), 3))
    net, by_hand = (schuss.Network(layers, seed=1) for _ in range(2))
    augment = Augment(2, flip=True)
    net.fit({"image": x, "numbers": numbers}, y, loss="cross_entropy", epochs=1, batch_size=None, augment=augment)
    by_hand.fit({"image": augment.of(x, 1, 0), "numbers": numbers}, y, loss="cross_entropy", epochs=1, batch_size=None)
    assert_same(net, by_hand)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Augment(-1), "shift must be"),
        (lambda: Augment((1, 2, 3)), "shift must be a number, or"),
        (lambda: Augment((0, -2)), r"shift\[1\] must be"),
        (lambda: Augment(crop=0), "crop must be a number in"),
        (lambda: Augment(crop=1.5), "crop must be a number in"),
        (lambda: Augment(fill=np.nan), "fill must be"),
        (lambda: Augment(2).of(np.zeros((3, 8, 6))), "X must have shape"),
        (lambda: Augment(7).of(np.zeros((3, 8, 6, 1))), "shift must be less than the image's width, 6; got 7"),
        (lambda: fit(network(), augment=Augment(6)), "augment.shift must be less than the image's width, 6; got 6"),
    ],
)
def test_wrong_numbers(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("first", [Input("x", 96), Input("x", (48, 2)), Input("x", (8, 6, 2), dtype="int64")])
def test_only_of_images(first: Input) -> None:
    layers = [first, Dense(3)] if not first.codes else [first, schuss.Embedding(9, 3), Flatten(), Dense(3)]
    if len(first.dims) == 1:
        layers.insert(1, Flatten())
    net = schuss.Network(layers, seed=0)
    before = net.parameters[0].copy()
    with pytest.raises(ValueError, match="augment must be None for a network without one input of images"):
        net.fit(np.zeros((4, *first.row_shape), int), [0, 1, 2, 0], loss="cross_entropy", epochs=1, augment=Augment(1))
    assert_array_equal(net.parameters[0], before)


def test_only_an_augment() -> None:
    x, y = images()
    with pytest.raises(TypeError, match=r"augment must be a schuss.Augment or None; got 'flip'"):
        network().fit(x, y, loss="cross_entropy", augment="flip")  # type: ignore[arg-type]
