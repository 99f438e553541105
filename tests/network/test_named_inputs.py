"""Several inputs by name: how they may come, what is refused, and that nothing has changed then."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal, assert_equal
from numpy.typing import NDArray

import schuss

Array = NDArray[Any]
ROWS = 30


def two_inputs(dtype: str = "float32") -> schuss.Network:
    branches = [
        [schuss.Input("numbers", 4), schuss.BatchNorm()],
        [schuss.Input("codes", 2, dtype="int64"), schuss.Embedding(6, 3)],
    ]
    return schuss.Network([schuss.Concatenate(branches), schuss.Dense(8, "tanh"), schuss.Dense(3)], seed=3, dtype=dtype)


def codes_alone(columns: int = 2) -> schuss.Network:
    return schuss.Network(
        [schuss.Input("words", columns, dtype="int64"), schuss.Embedding(6, 3), schuss.BatchNorm(), schuss.Dense(3)],
        seed=3,
    )


def data(rows: int = ROWS) -> tuple[dict[str, Array], Array]:
    rng = np.random.default_rng(0)
    x = {"numbers": rng.normal(size=(rows, 4)).astype(np.float32), "codes": rng.integers(0, 6, (rows, 2))}
    return x, rng.integers(0, 3, rows)


@contextmanager
def unchanged(net: schuss.Network, *optimizers: schuss.Optimizer) -> Iterator[None]:
    def look() -> Any:
        held = [o.state_dict() for o in (net.optimizer, *optimizers) if o is not None]
        named = {**net.named_parameters(), **net.named_states()}
        return copy.deepcopy((named, held, net.epochs_done, net._core.draws, len(net.history)))

    before = look()
    yield
    assert_equal(look(), before)


def uses(net: schuss.Network) -> dict[str, Callable[[Any, Array], Any]]:
    """All that takes x."""
    optimizer = schuss.Adam(net.parameters)
    good, labels = data()
    return {
        "fit": lambda x, y: net.fit(x, y, loss="cross_entropy", optimizer=optimizer),
        "fit on split": lambda x, y: net.fit(x, y, loss="cross_entropy", optimizer=optimizer, validation_fraction=0.2),
        "validation": lambda x, y: net.fit(
            good, labels, loss="cross_entropy", optimizer=optimizer, validation_data=(x, y)
        ),
        "evaluate": lambda x, y: net.evaluate(x, y, "cross_entropy"),
        "train_step": lambda x, y: net.train_step(x, y, "cross_entropy", optimizer),
        "loss_and_gradients": lambda x, y: net.loss_and_gradients(x, y, "cross_entropy"),
        "forward": lambda x, y: net.forward(x),
        "predict": lambda x, y: net.predict(x),
        "call": lambda x, y: net(x),
    }


USES = list(uses(two_inputs()))


def with_(**changed: Any) -> Any:
    x, _ = data()
    x.update(changed)
    return x


def coded(value: Any, row: int = 17, column: int = 1, dtype: Any = np.int64) -> Array:
    codes = data()[0]["codes"].astype(dtype)
    codes[row, column] = value
    return codes


X, _ = data()
BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "wrong name": (with_(other=X["codes"]), ValueError, "'other' is not known.*numbers, codes"),
    "close name": ({"number": X["numbers"], "codes": X["codes"]}, ValueError, "did you mean 'numbers'"),
    "missing": ({"numbers": X["numbers"]}, ValueError, "must have 'codes'; got 'numbers'"),
    "array alone": (X["numbers"], ValueError, "dict of 'numbers', 'codes'.*ndarray"),
    "tuple too short": ((X["numbers"],), ValueError, "tuple of 1"),
    "tuple too long": ((X["numbers"], X["codes"], X["codes"]), ValueError, "tuple of 3"),
    "tuple in wrong order": ((X["codes"], X["numbers"]), ValueError, r"\['numbers'\] must have 4 columns; got 2"),
    "None": (None, ValueError, "NoneType"),
    "rows": (with_(codes=X["codes"][:-1]), ValueError, "30 of 'numbers' and 29 of 'codes'"),
    "columns": (with_(numbers=X["numbers"][:, 1:]), ValueError, r"\['numbers'\] must have 4 columns; got 3"),
    "columns of codes": (with_(codes=X["codes"][:, :1]), ValueError, r"\['codes'\] must have 2 columns; got 1"),
    "one dimension": (with_(numbers=X["numbers"][0]), ValueError, r"\['numbers'\] must have shape \(rows, 4\)"),
    "no rows": ((X["numbers"][:0], X["codes"][:0]), ValueError, "at least one row"),
    "float codes": (
        with_(codes=X["codes"].astype(float)),
        TypeError,
        r"\['codes'\] must hold codes, integers.*float64",
    ),
    "bool codes": (with_(codes=X["codes"] > 2), TypeError, "integers; got dtype bool"),
    "text codes": (with_(codes=X["codes"].astype(str)), TypeError, r"\['codes'\]"),
    "text": (with_(numbers=X["numbers"].astype(str)), TypeError, r"\['numbers'\]"),
    "uint64 too large": (with_(codes=coded(2**63 + 5, dtype=np.uint64)), ValueError, f"below 2..63; got {2**63 + 5}"),
    "code too large": (with_(codes=coded(6)), ValueError, r"codes\[17, 1\] is 6, expected a code in \[0, 6\)"),
    "code below 0": (with_(codes=coded(-1, 0, 0)), ValueError, r"codes\[0, 0\] is -1"),
    "code of int8": (with_(codes=coded(-128, 29, 1, np.int8)), ValueError, r"codes\[29, 1\] is -128"),
    "code of uint64": (with_(codes=coded(2**40, 29, 0, np.uint64)), ValueError, rf"codes\[29, 0\] is {2**40}"),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("what", list(BAD))
def test_refused(what: str, use: str) -> None:
    x, error, match = BAD[what]
    net = two_inputs()
    _, y = data()
    net.fit(*data(), loss="cross_entropy", epochs=1)
    with unchanged(net), pytest.raises(error, match=match):
        uses(net)[use](x, y)
    uses(net)[use](*data())


@pytest.mark.parametrize("use", [use for use in USES if use not in ("forward", "predict", "call")])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(value: float, use: str) -> None:
    x, y = data()
    x["numbers"][7, 2] = value
    net = two_inputs()
    with unchanged(net), pytest.raises(ValueError, match=r"\['numbers'\]\[7, 2\] is (nan|inf)"):
        uses(net)[use](x, y)


@pytest.mark.parametrize("use", USES)
def test_forms(use: str) -> None:
    """Dicts in any order, tuples and lists; one row; any dtype of integers; read-only, strided and mapped arrays."""
    x, y = data()
    wanted = two_inputs()
    result = uses(wanted)[use](x, y)
    frozen = {name: a.copy() for name, a in x.items()}
    for a in frozen.values():
        a.flags.writeable = False
    forms = [
        {"codes": x["codes"], "numbers": x["numbers"]},
        (x["numbers"], x["codes"]),
        [x["numbers"], x["codes"]],
        {"numbers": x["numbers"].astype(np.float64), "codes": x["codes"].astype(np.uint8)},
        {
            "numbers": np.asfortranarray(x["numbers"]),
            "codes": np.repeat(x["codes"], 2, axis=1)[:, ::2].astype(np.int16),
        },
        {"numbers": x["numbers"].tolist(), "codes": x["codes"].tolist()},
        {"numbers": x["numbers"][::-1].copy()[::-1], "codes": x["codes"].astype(">i8")},
        {"numbers": x["numbers"], "codes": x["codes"].astype(np.uint64)},
        frozen,
    ]
    for form in forms:
        net = two_inputs()
        found = uses(net)[use](form, y)
        if isinstance(result, np.ndarray):
            assert_array_equal(found, result)
        for a, b in zip(net.parameters, wanted.parameters, strict=True):
            assert_array_equal(a, b)
        for a, b in zip(net.named_states().values(), wanted.named_states().values(), strict=True):
            assert_array_equal(a, b)


def test_mapped_files(tmp_path: Path) -> None:
    x, y = data()
    for name, a in x.items():
        np.save(tmp_path / f"{name}.npy", a)
    mapped = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in x}
    found, wanted = two_inputs(), two_inputs()
    found.fit(mapped, y, loss="cross_entropy", epochs=2)
    wanted.fit(x, y, loss="cross_entropy", epochs=2)
    for a, b in zip(found.parameters, wanted.parameters, strict=True):
        assert_array_equal(a, b)
    assert_array_equal(found.predict(mapped), wanted.predict(x))


def test_one_row_and_many() -> None:
    """More rows than go through the layers together have the bits of each alone."""
    net = two_inputs()
    x, y = data(9000)
    net.fit(x, y, loss="cross_entropy", epochs=1)
    whole = net.predict(x)
    for row in (0, 4095, 4096, 8999):
        assert_array_equal(net.predict({name: a[row : row + 1] for name, a in x.items()}), whole[row : row + 1])
    value = net.evaluate(x, y, "cross_entropy")["loss"]
    shifted = whole - whole.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    assert value == pytest.approx(-logs[np.arange(9000), y].mean(), rel=1e-5)


def test_predict_into() -> None:
    net = two_inputs()
    x, _ = data()
    out = np.full((ROWS, 3), np.nan, np.float32)
    assert net.predict(x, out=out) is out
    assert_array_equal(out, net.predict(x))
    for bad in (np.empty((ROWS, 4), np.float32), np.empty((ROWS, 3)), np.empty((3, ROWS), np.float32).T):
        with pytest.raises((ValueError, TypeError), match="out"):
            net.predict(x, out=bad)
    own = {"numbers": np.zeros((ROWS, 4), np.float32), "codes": x["codes"]}
    with pytest.raises(ValueError, match="shares memory"):
        net.predict(own, out=own["numbers"].reshape(-1)[: ROWS * 3].reshape(ROWS, 3))
    with pytest.raises(ValueError, match="shares memory"):
        net.predict(x, out=x["codes"].reshape(-1).view(np.float32)[: ROWS * 3].reshape(ROWS, 3))


def test_validation_and_callbacks() -> None:
    """A split takes the same rows of all inputs; weights, metrics and callbacks are as with one."""
    x, y = data()
    net = two_inputs()
    seen: list[tuple[int, dict[str, float]]] = []
    history = net.fit(
        x, y, loss="cross_entropy", epochs=3, validation_fraction=0.3, metrics="accuracy",
        sample_weight=np.linspace(0.5, 2, ROWS), class_weight="balanced", early_stopping=5,
        callbacks=[lambda record: seen.append((record.epoch, dict(record.logs)))],
    )  # fmt: skip
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(seen[0][1])
    assert np.isfinite(history["val_loss"]).all()
    given = two_inputs().fit(
        x, y, loss="cross_entropy", epochs=2, validation_data=(tuple(x.values()), y, np.ones(ROWS))
    )
    assert len(given["val_loss"]) == 2

    # Rows of one input tell those of the other.
    marked = {"numbers": np.repeat(np.arange(ROWS)[:, None], 4, axis=1) * 1.0, "codes": np.zeros((ROWS, 2), np.int64)}
    marked["codes"][:] = (np.arange(ROWS) % 6)[:, None]

    def measure(prediction: Array, target: Array) -> tuple[float, Array]:
        return float(np.mean(prediction**2)), 2 * prediction / prediction.size

    net = two_inputs()
    net.fit(marked, np.zeros((ROWS, 3)), loss=measure, epochs=1, validation_fraction=0.3, batch_size=7)


def test_loss_of_the_users_own() -> None:
    x, y = data()
    targets = np.eye(3, dtype=np.float32)[y]

    def squares(prediction: Array, target: Array) -> tuple[float, Array]:
        d = prediction - target
        return float(np.mean(d * d)), 2 * d / d.size

    own, known = two_inputs("float64"), two_inputs("float64")
    for net, loss in ((own, squares), (known, "mse")):
        net.fit(x, targets, loss=loss, epochs=2, batch_size=7)
        net.train_step(x, targets, loss, net.optimizer)
        net.loss_and_gradients(x, targets, loss)
    for a, b in zip((*own.parameters, *own.gradients), (*known.parameters, *known.gradients), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    for a, b in zip(own.named_states().values(), known.named_states().values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


@pytest.mark.parametrize("code", [6, -1, 2**62, -(2**63)])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("threads", [1, 2])
def test_codes_that_change_during_training(
    code: int, shuffle: bool, threads: int, set_threads: Callable[[int], None]
) -> None:
    set_threads(threads)
    x, y = data(200)
    net = two_inputs()

    def spoil(record: schuss.training.EpochRecord) -> None:
        x["codes"][150:] = code

    with pytest.raises(ValueError, match="codes have changed during training"):
        net.fit(x, y, loss="cross_entropy", epochs=3, callbacks=[spoil], shuffle=shuffle)
    assert all(np.isfinite(p).all() for p in net.parameters)
    x["codes"][150:] = 5
    net.fit(x, y, loss="cross_entropy", epochs=1)


@pytest.mark.parametrize("columns", [1, 2])
def test_codes_alone(columns: int) -> None:
    """One input of codes takes an array; of one column also a vector."""
    net = codes_alone(columns)
    codes = data()[0]["codes"][:, :columns]
    y = data()[1]
    net.fit(codes, y, loss="cross_entropy", epochs=2)
    prediction = net.predict(codes)
    assert_array_equal(net.predict({"words": codes}), prediction)
    if columns == 1:
        assert_array_equal(net.predict(codes[:, 0]), prediction)
    net.forward(codes)
    assert net.backward(np.ones_like(prediction)) is None
    bad = codes.copy()
    bad[3, 0] = 6
    for use in uses(net).values():
        with unchanged(net), pytest.raises((ValueError, TypeError), match=r"\[3, 0\] is 6|validation"):
            use(bad, y)
        break
    with unchanged(net), pytest.raises(ValueError, match=r"\[3, 0\] is 6"):
        net.predict(bad)
    with pytest.raises(TypeError, match="integers"):
        net.predict(codes.astype(float))


def test_two_tables_of_one_input() -> None:
    """The shorter table bounds the codes."""
    put = schuss.Input("c", 1, dtype="int64")
    net = schuss.Network([schuss.Concatenate([[put, schuss.Embedding(9, 2)], [put, schuss.Embedding(5, 2)]])], seed=0)
    assert net.predict(np.array([[4]])).shape == (1, 4)
    with pytest.raises(ValueError, match=r"\[1, 0\] is 5, expected a code in \[0, 5\)"):
        net.predict(np.array([[4], [5]]))


def test_a_dict_for_one_input() -> None:
    net = schuss.Network([schuss.Dense(4, 3)], seed=0)
    x = data()[0]["numbers"]
    assert_array_equal(net.predict({"x": x}), net.predict(x))
    with pytest.raises(ValueError, match="'y' is not known"):
        net.predict({"y": x})
    with pytest.raises(ValueError, match="must have 'x'"):
        net.predict({})


def test_forward_keeps_its_own_copy() -> None:
    """What is done to x between forward and backward does not count."""
    found = []
    for spoils in (False, True):
        net = two_inputs("float64")
        x, _ = data()
        given = {"numbers": x["numbers"].astype(np.float64), "codes": x["codes"].copy()}
        value = net.forward(given)
        if spoils:
            given["numbers"][:] = np.nan
            given["codes"][:] = 77
        by_inputs = net.backward(np.ones_like(value))
        assert isinstance(by_inputs, tuple)
        assert by_inputs[1] is None
        found.append([by_inputs[0], *(g.copy() for g in net.gradients)])
    for a, b in zip(*found, strict=True):
        assert_array_equal(a, b)
