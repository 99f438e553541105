"""Values with positions: layers that know nothing of them work at each, as on rows of their own."""

from __future__ import annotations

import numpy as np
import pytest

import schuss

TIMES, FEATURES, OUT = 5, 3, 2


def layers(first: list[schuss.layers.Layer]) -> list[schuss.layers.Layer]:
    return [
        *first,
        schuss.Dense(FEATURES, 7, "tanh"),
        schuss.LayerNorm(),
        schuss.Residual([schuss.Dense(7, 7, "gelu")]),
        schuss.Concatenate([schuss.Dense(4, "relu"), []]),
        schuss.BatchNorm(),
        schuss.Dense(OUT),
    ]


def pair(dtype: str = "float64", seed: int = 3) -> tuple[schuss.Network, schuss.Network]:
    """The same layers at each time of sequences, and on rows."""
    shaped = schuss.Network(layers([schuss.Input("x", (TIMES, FEATURES))]), seed=seed, dtype=dtype)
    flat = schuss.Network(layers([]), seed=seed, dtype=dtype)
    for mine, theirs in zip(shaped.parameters, flat.parameters, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    return shaped, flat


def data(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(rows, TIMES, FEATURES)),
        rng.normal(size=(rows, TIMES, OUT)),
        rng.integers(0, OUT, (rows, TIMES)),
    )


@pytest.mark.quick
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_each_position_is_a_row(dtype: str) -> None:
    shaped, flat = pair(dtype)
    X, Y, labels = data(11)
    rows = X.reshape(-1, FEATURES)
    np.testing.assert_array_equal(shaped.predict(X), flat.predict(rows).reshape(11, TIMES, OUT))
    np.testing.assert_array_equal(shaped.predict(X[4]), flat.predict(rows).reshape(11, TIMES, OUT)[4])
    out = np.empty((11, TIMES, OUT), dtype)
    assert shaped.predict(X, out) is out
    np.testing.assert_array_equal(out, shaped.predict(X))
    assert shaped.loss_and_gradients(X, Y, "mse") == flat.loss_and_gradients(rows, Y.reshape(-1, OUT), "mse")
    for mine, theirs in zip(shaped.gradients, flat.gradients, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert shaped.loss_and_gradients(X, labels, "cross_entropy") == flat.loss_and_gradients(
        rows, labels.reshape(-1), "cross_entropy"
    )
    weights = np.random.default_rng(1).random((11, TIMES))
    assert shaped.loss_and_gradients(X, Y, "mae", sample_weight=weights) == flat.loss_and_gradients(
        rows, Y.reshape(-1, OUT), "mae", sample_weight=weights.reshape(-1)
    )
    first = shaped.evaluate(X, labels, "cross_entropy", ["accuracy"], sample_weight=weights[:, 0])
    second = flat.evaluate(
        rows, labels.reshape(-1), "cross_entropy", ["accuracy"], sample_weight=np.repeat(weights[:, 0], TIMES)
    )
    assert first == second
    y = shaped.forward(X)
    dx = shaped.backward(np.ones_like(y))
    assert isinstance(dx, np.ndarray)
    flat.forward(rows)
    np.testing.assert_array_equal(dx.reshape(-1, FEATURES), flat.backward(np.ones((55, OUT))))


@pytest.mark.quick
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_fit_is_that_of_rows(threads: int) -> None:
    shaped, flat = pair("float32")
    X, Y, _ = data(24)
    with schuss.threads(threads):
        a = shaped.fit(X, Y, loss="mse", epochs=3, batch_size=8, shuffle=False, validation_data=(X[:5], Y[:5]))
        b = flat.fit(
            X.reshape(-1, FEATURES),
            Y.reshape(-1, OUT),
            loss="mse",
            epochs=3,
            batch_size=8 * TIMES,
            shuffle=False,
            validation_data=(X[:5].reshape(-1, FEATURES), Y[:5].reshape(-1, OUT)),
        )
    np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-14)  # means of means
    np.testing.assert_array_equal(a["val_loss"], b["val_loss"])
    for mine, theirs in zip(shaped.parameters, flat.parameters, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_shuffled_weighted_fit_with_a_function_as_loss() -> None:
    X, Y, _ = data(20)
    weights = np.random.default_rng(2).random((20, TIMES))

    def squares(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        assert prediction.shape == target.shape == (prediction.shape[0], OUT)
        error = prediction - target
        return float(np.mean(error**2)), 2 * error / error.size

    own, built = pair()[0], pair()[0]
    a = own.fit(X, Y, loss=squares, epochs=2, batch_size=6, validation_fraction=0.2)
    b = built.fit(X, Y, loss="mse", epochs=2, batch_size=6, validation_fraction=0.2)
    np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-12)
    np.testing.assert_allclose(a["val_loss"], b["val_loss"], rtol=1e-12)
    weighted = pair()[0].fit(X, Y, loss="mse", epochs=2, batch_size=6, sample_weight=weights, validation_fraction=0.2)
    assert np.isfinite(weighted["val_loss"]).all() and (weighted["loss"] != b["loss"]).all()


@pytest.mark.quick
def test_lengths_weigh_what_is_there() -> None:
    net = pair()[0]
    X, Y, labels = data(6)
    lengths = np.array([0, 1, 5, 3, 2, 4])
    there = np.arange(TIMES) < lengths[:, None]
    expected = net.loss_and_gradients(X, Y, "mse", sample_weight=there.astype(float))
    gradients = [g.copy() for g in net.gradients]
    Y[~there] = np.nan  # what is not there may be anything
    assert net.loss_and_gradients(X, Y, "mse", lengths=lengths) == expected
    for mine, theirs in zip(gradients, net.gradients, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    labels[~there] = -1
    found = net.evaluate(X, labels, "cross_entropy", "accuracy", lengths=lengths)
    hits = (net.predict(X).argmax(-1) == labels)[there]
    assert found["accuracy"] == pytest.approx(hits.mean())
    net.fit(X, labels, loss="cross_entropy", epochs=2, lengths=lengths, validation_fraction=0.3)
    ragged = schuss.Sequences([x[:n] for x, n in zip(X, lengths, strict=True)])
    assert ragged.lengths.tolist() == lengths.tolist()
    net.fit(ragged, labels, loss="cross_entropy", epochs=2)


@pytest.mark.quick
def test_images_channels_first() -> None:
    X = np.random.default_rng(0).random((4, 3, 6, 5))
    first = schuss.Network([schuss.Input("x", (3, 6, 5), channels="first"), schuss.Dense(2)], seed=0)
    last = schuss.Network([schuss.Input("x", (6, 5, 3)), schuss.Dense(2)], seed=0)
    np.testing.assert_array_equal(first.predict(X), last.predict(np.moveaxis(X, 1, -1)))
    assert first.predict(X).shape == (4, 6, 5, 2)
    again = schuss.layers.of_description(first.layers[0].described())
    assert again == first.layers[0]


@pytest.mark.quick
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, Y: (X[:, :, :2], Y), r"x must have shape \(rows, 5, 3\); got \(6, 5, 2\)"),
        (lambda X, Y: (X[0], Y), r"x must have shape \(rows, 5, 3\); got \(5, 3\); one row is x\[None\]"),
        (lambda X, Y: (X.reshape(6, -1), Y), r"x must have shape \(rows, 5, 3\); got \(6, 15\)"),
        (lambda X, Y: (X, Y[:, 0]), r"y must have shape \(6, 5\) or \(6, 5, columns\), one at each position"),
        (lambda X, Y: (X, Y[:5]), r"y must have shape \(6, 5\)"),
    ],
)
def test_wrong_shapes_are_named(change: object, message: str) -> None:
    net = pair()[0]
    X, Y, _ = data(6)
    x, y = change(X, Y)  # type: ignore[operator]
    before = [p.copy() for p in net.parameters]
    with pytest.raises(ValueError, match=message):
        net.train_step(x, y, "mse", schuss.SGD(net.parameters, lr=0.1))
    for mine, theirs in zip(before, net.parameters, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([1, 2, 3, 4, 5, 6], ValueError, r"lengths must be in \[0, 5\], the times there are; lengths\[5\] is 6"),
        ([1, 2, 3, 4, 5, -1], ValueError, r"lengths\[5\] is -1"),
        ([1, 2], ValueError, r"lengths must have shape \(6,\), one a row; got \(2,\)"),
        ([1.0] * 6, TypeError, "lengths must be integers; got dtype float64"),
    ],
)
def test_wrong_lengths_are_named(lengths: list[float], error: type[Exception], message: str) -> None:
    net = pair()[0]
    X, Y, _ = data(6)
    with pytest.raises(error, match=message):
        net.fit(X, Y, loss="mse", lengths=lengths)
    with pytest.raises(ValueError, match="has no times"):
        pair()[1].predict(X.reshape(-1, FEATURES), lengths=[1] * 30)
