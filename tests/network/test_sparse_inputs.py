"""Sparse inputs: what takes them, as which data, beside others; what is refused by name; the same as dense ones."""

from __future__ import annotations

import copy
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import schuss
from schuss import Bags, Concatenate, Dense, Embedding, EmbeddingBag, Hashed, Input, _core
from tests.network.test_named_inputs import unchanged

sparse = pytest.importorskip("scipy.sparse")
Array = NDArray[Any]
ROWS, WORDS = 40, 30


def matrix(rows: int = ROWS, n: int = WORDS, seed: int = 0, dtype: Any = np.float64) -> Any:
    """CSR with empty rows."""
    rng = np.random.default_rng(seed)
    dense = rng.normal(size=(rows, n)) * (rng.uniform(size=(rows, n)) < 0.2)
    dense[::7] = 0
    return sparse.csr_array(dense.astype(dtype))


def network(dtype: str = "float32", seed: int = 3) -> schuss.Network:
    branches = [
        [Input("words", WORDS, dtype="sparse"), EmbeddingBag(WORDS, 6, "mean")],
        [Input("numbers", 4), Dense(3, "tanh")],
        [Input("site", 2, dtype=Hashed(64)), Embedding(64, 2)],
        [Input("words", WORDS, dtype="sparse"), Dense(5, "relu", dropout=0.2)],
        [Input("more", 9, dtype="sparse"), EmbeddingBag(9, 2)],
    ]
    return schuss.Network([Concatenate(branches), Dense(8, "tanh"), Dense(3)], seed=seed, dtype=dtype)


def data(rows: int = ROWS) -> tuple[dict[str, Any], Array]:
    rng = np.random.default_rng(1)
    x = {
        "words": matrix(rows),
        "numbers": rng.normal(size=(rows, 4)),
        "site": rng.choice(np.array(["a", "b", None, 7, "\xe9"], object), (rows, 2)),
        "more": Bags([rng.integers(0, 9, rng.integers(0, 5)) for _ in range(rows)]),
    }
    return x, rng.integers(0, 3, rows)


def uses(net: schuss.Network) -> dict[str, Any]:
    """All that takes x."""
    optimizer = schuss.Adam(net.parameters)
    good, labels = data()
    loss = "cross_entropy"
    return {
        "fit": lambda x, y: net.fit(x, y, loss=loss, optimizer=optimizer, epochs=2, batch_size=16),
        "in order": lambda x, y: net.fit(x, y, loss=loss, optimizer=optimizer, batch_size=16, shuffle=False),
        "one batch": lambda x, y: net.fit(x, y, loss=loss, optimizer=optimizer),
        "one a batch": lambda x, y: net.fit(x, y, loss=loss, optimizer=optimizer, batch_size=1),
        "split": lambda x, y: net.fit(
            x, y, loss=loss, optimizer=optimizer, validation_fraction=0.2, early_stopping=2, epochs=3
        ),
        "validation": lambda x, y: net.fit(good, labels, loss=loss, optimizer=optimizer, validation_data=(x, y)),
        "evaluate": lambda x, y: net.evaluate(x, y, loss),
        "train_step": lambda x, y: net.train_step(x, y, loss, optimizer),
        "loss_and_gradients": lambda x, y: net.loss_and_gradients(x, y, loss),
        "forward": lambda x, y: net.forward(x),
        "predict": lambda x, y: net.predict(x),
    }


USES = list(uses(network()))


def results(use: str, x: Any, dtype: str = "float32") -> list[Array]:
    net = network(dtype)
    found = uses(net)[use](x, data()[1])
    if isinstance(found, schuss.History):
        found = found["loss"] if "loss" in found else [r.loss for r in found]
    gradients = net.gradients if use == "loss_and_gradients" else []  # others need not leave them anywhere
    return [np.asarray(found), *net.parameters, *gradients]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_forms(use: str, dtype: str) -> None:
    """The same bits for arrays and matrices of scipy, int32 and int64, other formats, bags; tuples; views, either order
    of bytes, read-only, Fortran order, frames."""
    x, _ = data()
    words = x["words"]
    wanted = results(use, x, dtype)
    wide = sparse.csr_array((words.data, words.indices.astype(np.int64), words.indptr.astype(np.int64)), words.shape)
    swapped = words.copy()
    swapped.data = words.data.astype(">f8")
    swapped.indices, swapped.indptr = words.indices.astype(">i4"), words.indptr.astype(">i8")
    strided = words.copy()
    strided.indices = np.repeat(words.indices, 2)[::2]
    strided.data = np.repeat(words.data, 3)[::3]
    frozen = words.copy()
    for part in (frozen.data, frozen.indices, frozen.indptr):
        part.flags.writeable = False
    roomy = words.copy()
    roomy.indices = np.append(words.indices, np.int32(-5))
    roomy.data = np.append(words.data, np.nan)
    forms = [
        sparse.csr_matrix(words), wide, swapped, strided, frozen, roomy, Bags(words), words.tocsc(), words.tocoo(),
        Bags(words.indices, words.indptr, words.data),
    ]  # fmt: skip
    for form in forms:
        for found, one in zip(results(use, {**x, "words": form}, dtype), wanted, strict=True):
            assert_array_equal(found, one)
    more = {
        "site": np.asfortranarray(x["site"]),
        "numbers": np.asfortranarray(x["numbers"]),
        "more": x["more"][np.arange(ROWS)],
    }
    given = tuple({**x, **more}[put.name] for put in network().inputs)
    for found, one in zip(results(use, given, dtype), wanted, strict=True):
        assert_array_equal(found, one)


@pytest.mark.parametrize("use", USES)
def test_unsorted_and_doubled_entries(use: str) -> None:
    """A matrix's are sorted and summed as scipy does, on a copy; those of bags are sorted, and count twice."""
    x, _ = data()
    words = x["words"]
    rng = np.random.default_rng(2)
    rows = np.repeat(np.arange(ROWS), np.diff(words.indptr))
    order = np.lexsort((rng.uniform(size=len(rows)), rows))
    shuffled = sparse.csr_array((words.data[order], words.indices[order], words.indptr), words.shape)
    halves = sparse.csr_array(
        (np.repeat(words.data, 2) / 2, np.repeat(words.indices, 2), words.indptr * 2), words.shape
    )
    wanted = results(use, x)
    for form in (shuffled, halves, Bags(words.indices[order], words.indptr, words.data[order])):
        kept = copy.deepcopy(form)
        for found, one in zip(results(use, {**x, "words": form}), wanted, strict=True):
            assert_array_equal(found, one)
        if form is shuffled:
            assert_array_equal(form.indices, kept.indices)
            assert_array_equal(form.data, kept.data)


def test_a_doubled_code_counts_twice() -> None:
    net = schuss.Network([EmbeddingBag(5, 2, "mean")], seed=0, dtype="float64")
    table = net.parameters[0]
    np.testing.assert_allclose(net.predict(Bags([[3, 1, 3]]))[0], (2 * table[3] + table[1]) / 3)
    doubled = sparse.csr_array((np.ones(3), np.array([3, 1, 3]), np.array([0, 3])), (1, 5))
    np.testing.assert_allclose(net.predict(doubled)[0], (2 * table[3] + table[1]) / 2)


@pytest.mark.parametrize("indices", ["int32", "int64"])
@pytest.mark.parametrize(("n", "units"), [(7, 3), (5000, 1), (9000, 33)])
def test_dense_layers_are_as_on_dense_rows(n: int, units: int, indices: str, threads: int, isa: str) -> None:
    """The same bits of training, gradients and prediction."""
    if isa == "baseline":
        pytest.skip("has no fused multiply-add")
    words = matrix(60, n, dtype=np.float32)
    words.indices = words.indices.astype(indices)
    y = np.random.default_rng(0).normal(size=(60, units))
    found = []
    for put, x in ((Input("x", n), words.toarray()), (Input("x", n, dtype="sparse"), words)):
        net = schuss.Network([put, Dense(units, "tanh"), Dense(units)], seed=0)
        net.fit(x, y, loss="mse", optimizer=schuss.Adam(net.parameters, lr=0.01), epochs=2, batch_size=25)
        losses = [net.loss_and_gradients(x, y, "mse"), net.evaluate(x, y, "mse")["loss"]]
        found.append([*net.parameters, *net.gradients, net.predict(x), np.array(losses)])
    for one, other in zip(*found, strict=True):
        assert_array_equal(one, other)


def broken(**parts: Any) -> Any:
    """A matrix whose parts were changed behind scipy's back."""
    words = matrix()
    for name, change in parts.items():
        setattr(words, name, change(getattr(words, name).copy()))
    return words


def put_in(k: int, value: Any, dtype: Any = None) -> Any:
    def change(array: Array) -> Array:
        array = array.astype(dtype or array.dtype)
        array[k] = value
        return array

    return change


ROW = int(np.searchsorted(matrix().indptr, 20, "right")) - 1
COLUMN = int(matrix().indices[20])
BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "dense": (matrix().toarray(), TypeError, r"\['words'\] must be a sparse matrix.*csr_array"),
    "list": ([[1], [2]], TypeError, r"\['words'\] must be a sparse matrix.*schuss.Bags"),
    "None": (None, TypeError, "got None"),
    "columns": (matrix(n=WORDS + 1), ValueError, rf"\['words'\] must have shape \(rows, {WORDS}\); got"),
    "fewer columns": (matrix(n=WORDS - 1), ValueError, rf"must have shape \(rows, {WORDS}\)"),
    "rows": (matrix(ROWS - 1), ValueError, "as many rows in each input"),
    "no rows": (matrix(0), ValueError, r"\['words'\] must have at least one row"),
    "no bags": (Bags([]), ValueError, r"\['words'\] must have at least one row"),
    "column too large": (
        broken(indices=put_in(20, WORDS)),
        ValueError,
        rf"\['words'\] must hold columns in \[0, {WORDS}\); got {WORDS} in row {ROW}",
    ),
    "column below 0": (broken(indices=put_in(20, -1)), ValueError, rf"got -1 in row {ROW}"),
    "column of uint64": (broken(indices=put_in(20, 2**63 + 1, np.uint64)), ValueError, rf"{2**63 + 1} in row {ROW}"),
    "beyond 32 bits": (broken(indices=put_in(20, 2**40, np.int64)), ValueError, rf"{2**40} in row {ROW}"),
    "beyond 32 bits, below them in range": (
        broken(indices=put_in(20, 2**32 + COLUMN, np.int64)),
        ValueError,
        f"got {2**32 + COLUMN} in row {ROW}",
    ),
    "start falls": (broken(indptr=put_in(3, 60)), ValueError, r"\['words'\].indptr must not decrease; got 60 and then"),
    "start below 0": (
        broken(indptr=put_in(3, -4)),
        ValueError,
        r"\['words'\].indptr must not decrease; got \d+ and then -4",
    ),
    "start is not 0": (broken(indptr=put_in(0, 1)), ValueError, r"\['words'\].indptr must go from 0 to"),
    "start beyond": (
        broken(indptr=put_in(-1, 10**6)),
        ValueError,
        r"indptr must go from 0 to .*, \d+; got 0 to 1000000",
    ),
    "end below 0": (broken(indptr=put_in(-1, -1)), ValueError, "indptr must go from 0"),
    "start too short": (broken(indptr=lambda a: a[:-1]), ValueError, rf"indptr must have {ROWS + 1} elements"),
    "start too long": (
        broken(indptr=lambda a: np.append(a, a[-1])),
        ValueError,
        rf"indptr must have {ROWS + 1} elements",
    ),
    "indices too short": (broken(indices=lambda a: a[:-1]), ValueError, "must have one shape"),
    "data of two dimensions": (broken(data=lambda a: a[None]), ValueError, "must have one shape"),
    "indices of floats": (
        broken(indices=lambda a: a.astype(float)),
        TypeError,
        r"\['words'\].indices must be integers",
    ),
    "start of floats": (broken(indptr=lambda a: a.astype(float)), TypeError, r"\['words'\].indptr must be integers"),
    "NaN": (broken(data=put_in(20, np.nan)), ValueError, rf"\['words'\]\[{ROW}, {COLUMN}\] is nan"),
    "infinite": (broken(data=put_in(20, -np.inf)), ValueError, rf"\['words'\]\[{ROW}, {COLUMN}\] is -inf"),
    "too large": (broken(data=put_in(20, 1e200)), ValueError, rf"\[{ROW}, {COLUMN}\] is inf as float32"),
    "bags too large": (Bags(broken(data=put_in(20, 1e200))), ValueError, rf"\[{ROW}, {COLUMN}\] is inf as float32"),
    "complex": (broken(data=lambda a: a.astype(complex)), TypeError, "data must be an array of real numbers"),
    "objects": (broken(data=lambda a: a.astype(object)), TypeError, "data must be an array of real numbers"),
    "code too large": (
        Bags([[1]] * 17 + [[2, WORDS + 3, 1]] + [[]] * (ROWS - 18)),
        ValueError,
        rf"\['words'\] must hold codes in \[0, {WORDS}\); got {WORDS + 3} in row 17",
    ),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("what", list(BAD))
def test_refused(what: str, use: str) -> None:
    """By name and place, with nothing changed."""
    bad, error, message = BAD[what]
    x, y = data()
    net = network()
    net.fit(x, y, loss="cross_entropy", epochs=1)
    with unchanged(net), pytest.raises(error, match=message):
        uses(net)[use]({**x, "words": bad}, y)
    uses(net)[use](x, y)


@pytest.mark.parametrize("use", USES)
def test_raw_categories_that_are_refused(use: str) -> None:
    x, y = data()
    net = network()
    net.fit(x, y, loss="cross_entropy", epochs=1)
    for value, message in (
        (1.5, r"\['site'\]\[17, 1\] must be a string.*got 1.5"),
        ("\ud800", r"\[17, 1\] must be text"),
    ):
        site = x["site"].copy()
        site[17, 1] = value
        with unchanged(net), pytest.raises((TypeError, ValueError), match=message):
            uses(net)[use]({**x, "site": site}, y)
    for site in (x["site"][:, :1], x["site"][:, 0], x["site"][None]):
        with unchanged(net), pytest.raises(ValueError, match=r"\['site'\] must have shape \(rows, 2\)"):
            uses(net)[use]({**x, "site": site}, y)


def test_dense_inputs_take_no_sparse_matrix() -> None:
    net = schuss.Network([Dense(WORDS, 2)], seed=0)
    for x in (matrix(), Bags(matrix())):
        with pytest.raises(TypeError, match=r"X must be an array; got .*Input\('x', n, dtype='sparse'\) takes"):
            net.fit(x, np.zeros(ROWS), loss="mse")
    with pytest.raises(TypeError, match="X must be"):
        net.predict(matrix())


def test_start_from_data_says_that_it_cannot() -> None:
    with pytest.raises(ValueError, match="has an input of dtype 'sparse'"):
        schuss.start_from_data(network(), data()[0])


def test_one_input_alone() -> None:
    """Given alone, or by name."""
    net = schuss.Network([Input("words", WORDS, dtype="sparse"), Dense(2)], seed=0)
    words = matrix()
    wanted = words.toarray() @ net.parameters[0] + net.parameters[1]
    for x in (words, {"words": words}, Bags(words), {"words": Bags(words)}):
        np.testing.assert_allclose(net.predict(x), wanted, 1e-5, 1e-6)
    out = np.empty((ROWS, 2), np.float32)
    assert net.predict(words, out) is out
    np.testing.assert_allclose(out, wanted, 1e-5, 1e-6)


def test_prediction_goes_slab_by_slab(threads: int) -> None:
    """More rows than go through the layers together, and other inputs whose rows overlap."""
    rows = 9001
    words = matrix(rows)
    series = np.random.default_rng(0).normal(size=rows + 3).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(series, 4)
    net = schuss.Network(
        [Concatenate([[Input("w", WORDS, dtype="sparse"), EmbeddingBag(WORDS, 300)], [Input("n", 4), Dense(2)]])],
        seed=0,
    )
    found = net.predict((words, windows))
    y = np.zeros((rows, 302))
    for part in (slice(0, 100), slice(4000, 4200), slice(8900, 9001)):
        assert_array_equal(found[part], net.predict((words[part], windows[part])))
    wanted = np.mean(np.square(found, dtype=float))
    np.testing.assert_allclose(net.evaluate((words, windows), y, "mse")["loss"], wanted, 1e-5)


def test_bags() -> None:
    bags = Bags([[3, 1], np.array([], int), (0, 0, 7)], weights=[[0.5, 2], [], [1, 2, 3]])
    assert len(bags) == 3 and repr(bags) == "<Bags of 3 rows, 5 codes below 8>"
    assert bags.codes.tolist() == [1, 3, 0, 0, 7] and bags.weights.tolist() == [2, 0.5, 1, 2, 3]
    assert bags.offsets.tolist() == [0, 2, 2, 5] and bags.codes.dtype == np.int32
    same = Bags(np.array([3, 1, 0, 0, 7]), np.array([0, 2, 2, 5]), np.array([0.5, 2, 1, 2, 3]))
    for other in (
        same,
        copy.copy(bags),
        copy.deepcopy(bags),
        pickle.loads(pickle.dumps(bags)),
        bags[:],
        bags[[0, 1, 2]],
    ):
        assert type(other) is Bags
        for one, two in zip(other.arrays(), bags.arrays(), strict=True):
            assert_array_equal(one, two)
    bags.codes[0] = 10**6  # a copy
    assert bags.codes[0] == 1
    taken = bags[np.array([2, 0, 2])]
    assert taken.codes.tolist() == [0, 0, 7, 1, 3, 0, 0, 7] and taken.offsets.tolist() == [0, 3, 5, 8]
    assert bags[np.array([False, True, True])].offsets.tolist() == [0, 0, 3]
    assert bags[::-1].codes.tolist() == [0, 0, 7, 1, 3]
    assert len(bags[5:]) == 0 and len(Bags([])) == 0
    with pytest.raises(TypeError, match="index must choose rows"):
        bags[1]
    with pytest.raises(IndexError):
        bags[[3]]
    with pytest.raises(TypeError):
        iter(bags)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("text",), TypeError, "codes must be a list"),
        ((5,), TypeError, "codes must be a list"),
        (([[1], 5],), TypeError, r"codes\[1\] must be integers of one dimension"),
        (([[1], [1.5]],), TypeError, r"codes\[1\] must be integers"),
        (([[1], ["a"]],), TypeError, r"codes\[1\]"),
        (([[1], [2, -3]],), ValueError, r"codes\[1\] must hold codes from 0 on; got -3"),
        (([np.array([2**63], np.uint64)],), ValueError, rf"codes below 2\*\*63; got {2**63}"),
        ((np.array([1, 2]),), ValueError, "offsets must be given"),
        (([1, 2], [0, 1]), ValueError, "offsets must go from 0 to the number of entries, 2; got 0 to 1"),
        (([1, 2], [0, 2, 1, 2]), ValueError, "offsets must not decrease; got 2 and then 1, of row 1"),
        (([1, 2], [1, 2]), ValueError, "offsets must go from 0"),
        (([1, 2], []), ValueError, "offsets must have one element more than rows"),
        (([1, 2], [0.0, 2.0]), TypeError, "offsets must be integers"),
        (([1, 2], [[0, 2]]), TypeError, "offsets must be integers of one dimension"),
        (([1, 2], [0, 2], [1.0]), ValueError, r"weights must have shape \(2,\)"),
        (([1, 2], [0, 2], [1.0, np.nan]), ValueError, r"weights must be finite; weights\[0, 2\] is nan"),
        (([[1], [2]], None, [[1.0]]), ValueError, "weights must be a list as codes, of 2 rows"),
        (([[1], [2]], None, [[1.0], [1.0, 2.0]]), ValueError, r"weights\[1\] must have shape \(1,\)"),
        ((matrix(), [0]), TypeError, "must be None where codes are a sparse matrix"),
    ],
)
def test_bags_that_are_refused(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Bags(*arguments)


def test_save_and_resume_exactly(tmp_path: Path) -> None:
    """Two epochs, a file, two more: as four at once; and another network of the file is of the same words."""
    x, y = data()

    def trained(net: schuss.Network, epochs: int) -> None:
        net.fit(x, y, loss="cross_entropy", optimizer=net.optimizer or "adam", epochs=epochs, batch_size=16)

    whole, half = network(), network()
    trained(whole, 4)
    trained(half, 2)
    for ending in ("npz", "safetensors"):
        path = tmp_path / f"net.{ending}"
        if ending == "safetensors":
            pytest.importorskip("safetensors")
        half.save(path)
        found = schuss.load(path)
        assert found.layers == half.layers and found.inputs == half.inputs
        assert found.inputs[2].dtype == Hashed(64)
        trained(found, 2)
        for p, q in zip(found.parameters, whole.parameters, strict=True):
            assert_array_equal(p, q)
        assert_array_equal(found.predict(x), whole.predict(x))
    for other in (copy.deepcopy(half), pickle.loads(pickle.dumps(half))):
        trained(other, 2)
        assert_array_equal(other.predict(x), whole.predict(x))


def test_hashed_inputs() -> None:
    """Raw categories are as their codes; sequences of words; tables that are too short for the codes."""
    hashed = Hashed(50, 1)
    words = np.array([["a", "b"], [None, "a"], ["c", 5]], object)
    raw = schuss.Network([Input("w", 2, dtype=hashed), Embedding(50, 3)], seed=0)
    coded = schuss.Network([Input("w", 2, dtype="int64"), Embedding(50, 3)], seed=0)
    assert_array_equal(raw.predict(words), coded.predict(hashed(words)))
    assert_array_equal(raw.predict(words.tolist()), coded.predict(hashed(words)))
    assert "Input 'w' 2 Hashed(50, seed=1)" in raw.summary()
    assert repr(raw.inputs[0]) == "Input(name='w', n=2, dtype=Hashed(50, seed=1))"
    one = schuss.Network([Input("w", 1, dtype=hashed), Embedding(50, 3)], seed=0)
    assert_array_equal(one.predict(words[:, 0]), one.predict(words[:, :1]))
    with pytest.raises(
        ValueError, match=r"layers\[1\].n must be at least 50, as many codes as Hashed\(50, seed=1\) has"
    ):
        schuss.Network([Input("w", 2, dtype=hashed), Embedding(49, 3)], seed=0)
    tokens = np.array([["the", "cat", "sat"], ["a", None, "end"]], object)
    series = schuss.Network([Input("w", (3, 1), dtype=hashed), Embedding(50, 4), schuss.GRU(2)], seed=0)
    by_code = schuss.Network([Input("w", (3, 1), dtype="int64"), Embedding(50, 4), schuss.GRU(2)], seed=0)
    codes = Hashed(50, 1, salted=False)(tokens)
    assert_array_equal(series.predict(tokens), by_code.predict(codes))
    assert_array_equal(series.predict(tokens[..., None]), by_code.predict(codes))


def test_interchange_says_that_it_cannot() -> None:
    pytest.importorskip("torch")
    for put, layer in ((Input("x", 5, dtype="sparse"), Dense(2)), (Input("x", 1, dtype=Hashed(5)), Embedding(5, 2))):
        with pytest.raises(ValueError, match="network must take numbers or codes; got an input of dtype"):
            schuss.to_torch(schuss.Network([put, layer], seed=0))


def test_what_the_caller_writes_later_does_not_matter() -> None:
    """Rows are private once they are checked: whatever is written into a matrix while a network trains on it."""
    x, y = data()
    wanted = network()
    wanted.fit(x, y, loss="cross_entropy", epochs=3, batch_size=8)
    net = network()
    words = x["words"].copy()

    def spoil(record: Any) -> None:
        words.indices[:] = 10**9
        words.indptr[:] = -7
        words.data[:] = np.nan

    net.fit({**x, "words": words}, y, loss="cross_entropy", epochs=3, batch_size=8, callbacks=[spoil])
    for p, q in zip(net.parameters, wanted.parameters, strict=True):
        assert_array_equal(p, q)


def test_threads_that_write_meanwhile() -> None:
    """A result or an error by name, never memory of another's."""
    words = matrix(3000)
    net = schuss.Network([EmbeddingBag(WORDS, 8)], seed=0)
    good = words.indices.copy()
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            words.indices[:] = 2**31 - 1
            words.indices[:] = good

    writer = threading.Thread(target=write)
    writer.start()
    refused = []
    for _ in range(200):
        try:
            assert net.predict(words).shape == (3000, 8)
        except ValueError as error:
            refused.append(str(error))
    stop.set()
    writer.join()
    assert all("columns in" in message or "indices holds" in message for message in refused)


numbers = st.one_of(st.floats(-9, 9, width=32), st.sampled_from([0.0, np.nan, np.inf, 1e300]))
places = st.one_of(st.integers(0, 4), st.integers(-2, 7), st.sampled_from([2**31, 2**32 + 1, 2**63 - 1, -(2**63)]))


@settings(max_examples=300, deadline=None)
@given(
    start=st.lists(st.one_of(st.integers(0, 6), st.integers(-1, 2**40)), min_size=1, max_size=6),
    orderly=st.booleans(),
    entries=st.lists(st.tuples(places, numbers), max_size=9),
    kept=st.integers(0, 9),
)
def test_whatever_a_matrix_holds(start: list[int], orderly: bool, entries: list[tuple[int, float]], kept: int) -> None:
    """The product that scipy's dense matrix gives, where scipy and the finite say it is one; else a ValueError."""
    found = np.array([column for column, _ in entries], np.int64)
    values = np.array([value for _, value in entries])
    indptr = np.array(start, np.int64)
    if orderly:
        indptr = np.sort(np.minimum(np.maximum(indptr, 0), len(found)))
        indptr[0], indptr[-1] = 0, min(kept, len(found)) if len(indptr) > 1 else 0
        indptr = np.minimum(indptr, indptr[-1])
    words = sparse.csr_array((len(indptr) - 1, 5))
    words.indptr, words.indices, words.data = indptr, found, values
    end = int(indptr[-1])
    fits = (
        len(indptr) > 1
        and indptr[0] == 0
        and end <= len(found)
        and bool((np.diff(indptr) >= 0).all())
        and bool(((found[:end] >= 0) & (found[:end] < 5)).all())
        and bool((np.abs(values[:end]) < 3e38).all())
    )
    net = schuss.Network([EmbeddingBag(5, 3)], seed=0)
    if not fits:
        with pytest.raises(ValueError, match="X"):
            net.predict(words)
        return
    dense = np.zeros((len(indptr) - 1, 5))
    np.add.at(dense, (np.repeat(np.arange(len(dense)), np.diff(indptr)), found[:end]), values[:end])
    np.testing.assert_allclose(net.predict(words), dense @ net.parameters[0], 1e-4, 1e-4)


class Liar(np.ndarray):  # type: ignore[type-arg]
    """An array that says that it is of another length."""

    @property
    def shape(self) -> Any:
        return (10**6,)


def test_the_core_by_itself() -> None:
    """Whatever comes, it takes rows that fit or says no."""
    start, indices, values = np.array([0, 2, 3]), np.array([1, 4, 0]), np.ones(3, np.float32)
    good = _core.Compressed(start, indices, values, 5)
    assert good.shape == (2, 5) and good.entries == 3
    good.__init__(start, indices, values)  # type: ignore[misc]
    for bad in (
        (start, indices, values, 4),
        (start, np.array([4, 1, 0]), values, 5),
        (start[::-1].copy(), indices, values, 5),
        (start, np.array([1, 1, 0]), values, 5),
        (np.array([0, 2, 2**40]), indices, values, 5),
        (start, indices, np.array([1, np.nan, 2], np.float32)),
    ):
        with pytest.raises(_core.CompressedFault):
            _core.Compressed(*bad)
    for worse in (
        (start, indices, values.astype(np.float16)),
        (start, indices.astype(float), values),
        (start, indices, values[:2]),
        (np.zeros((2, 2), int), indices, values),
        (np.zeros(0, int), indices, values),
        (start, indices.view(Liar), np.ones(5, np.float32).view(Liar)),
    ):
        with pytest.raises((TypeError, ValueError)):
            _core.Compressed(*worse)
    assert _core.Compressed(start, np.array([1, 1, 0]), values, 5, True).entries == 3
    net = schuss.Network([EmbeddingBag(4, 2)], seed=0)
    for x in (good, good.as_dtype(np.dtype("float64")), values, None):
        with pytest.raises((TypeError, ValueError, AttributeError)):
            net._core.predict(x, None)
    with pytest.raises(TypeError, match="expected a class of compressed rows"):
        _core.compressed_rows(dict, start, indices, values)


def test_many_columns() -> None:
    """The columns of an input cost nothing by themselves."""
    net = schuss.Network([Input("x", 3_000_000, dtype="sparse"), Dense(1)], seed=0)
    net.fit(Bags([[5, 2_999_999], [], [17]]), np.ones(3), loss="mse", optimizer="sgd", lr=0.1, epochs=2, batch_size=1)
    assert np.count_nonzero(np.diff(net.predict(Bags([[5], [2_999_999], [17]]))[:, 0]))
    with pytest.raises(OverflowError, match="exceeds the address space"):
        schuss.Network([EmbeddingBag(2**61, 8)], seed=0)
