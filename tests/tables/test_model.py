"""Models of tables in files: the same numbers, nothing believed that was not checked; their parts by themselves."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import schuss
from schuss.files.containers import checksum, container
from schuss.sklearn import TabularClassifier, TabularRegressor
from schuss.tables import DataError, TableModel, table_of
from schuss.tables.folds import folds
from schuss.tables.heads import Head, resolved
from schuss.tables.joining import joined
from schuss.tables.model import FORMAT
from schuss.tables.temperature import best_temperature, log_loss

RNG = np.random.default_rng(3)
N = 300
SIZE = np.where(RNG.random(N) < 0.1, np.nan, RNG.normal(size=N))
KIND = RNG.choice(["oak", "elm", "ash"], N).astype(object)
X = np.array([SIZE, KIND, RNG.choice([f"t{k}" for k in range(30)], N)], dtype=object).T
LABELS = np.where((np.nan_to_num(SIZE) > 0) ^ (KIND == "oak"), "sold", "kept")
PRICES = 50 + 10 * np.nan_to_num(SIZE) + 5 * (KIND == "elm")
SMALL: dict[str, Any] = {"recipe": "realmlp-s", "epochs": 4, "random_state": 0}


@pytest.fixture(params=[".npz", ".safetensors"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == ".safetensors":
        pytest.importorskip("safetensors")
    return tmp_path / f"model{request.param}"


# -- the same numbers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_ensemble", [1, 3])
def test_classes_from_a_file(path: Path, n_ensemble: int) -> None:
    clf = TabularClassifier(**SMALL, n_ensemble=n_ensemble).fit(X, LABELS)
    clf.save(path)
    model = schuss.load_table(path)
    assert isinstance(model, TableModel) and len(model.networks) == n_ensemble
    assert np.array_equal(model.predict_proba(X), clf.predict_proba(X))
    assert np.array_equal(model.predict(X), clf.predict(X)) and model.classes == ("kept", "sold")
    assert model.score(X, LABELS) == clf.score(X, LABELS)
    assert model.temperature == clf.temperature_ and model.schema == clf.schema_
    frame = {name: X[:, k] for k, name in enumerate(("column_1", "column_2", "column_3"))}
    assert model.score({**frame, "y": LABELS}) == clf.score(X, LABELS)
    gaps = np.where(np.arange(N) % 2, LABELS, None)
    assert model.score({**frame, "y": gaps}) == clf.score(X[1::2], LABELS[1::2])
    model.save(path)
    assert np.array_equal(schuss.load_table(path).predict_proba(X), clf.predict_proba(X))


@pytest.mark.parametrize("loss", [None, "poisson", "gaussian", schuss.Huber(0.3), schuss.Quantile([0.2, 0.8])])
def test_quantities_from_a_file(path: Path, loss: Any) -> None:
    reg = TabularRegressor(**SMALL, loss=loss).fit(X, PRICES)
    reg.save(path)
    model = schuss.load_table(path)
    assert np.array_equal(model.predict(X), reg.predict(X)) and model.head.loss == reg.model_.head.loss
    if loss is None:
        assert model.score(X, PRICES) == pytest.approx(reg.score(X, PRICES), abs=1e-12)
    if loss == "gaussian":
        assert np.array_equal(model.deviations_of(model.schema.read(X)), reg.predict(X, return_std=True)[1])
    with pytest.raises(ValueError, match="predict_proba is for classes"):
        model.predict_proba(X)


def test_large_tables_go_through_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    clf = TabularClassifier(**SMALL).fit(X, LABELS)
    whole = clf.predict_proba(X)
    monkeypatch.setattr("schuss.tables.model.SLAB", 5000)
    np.testing.assert_allclose(clf.predict_proba(X), whole, rtol=1e-6)


@pytest.mark.parametrize("labels", [[False, True], [2**62 + 1, 2**62 + 2], [1.0, 2.0], ["NA", "None"]])
def test_labels_from_a_file(path: Path, labels: list[Any]) -> None:
    y = np.array(labels)[(LABELS == "sold").astype(int)]
    TabularClassifier(**SMALL).fit(X, y).save(path)
    model = schuss.load_table(path)
    assert list(model.classes) == labels and model.predict(X).tolist() == [labels[k] for k in _codes(model)]


def _codes(model: TableModel) -> list[int]:
    return model.predict_proba(X).argmax(axis=1).tolist()  # type: ignore[no-any-return]


def test_a_model_needs_no_scikit_learn(path: Path) -> None:
    clf = TabularClassifier(**SMALL).fit(X, LABELS)
    clf.save(path)
    np.save(path.with_suffix(".rows.npy"), X, allow_pickle=True)
    code = f"""
import sys
sys.modules["sklearn"] = sys.modules["pandas"] = None
import numpy as np, schuss
X = np.load({str(path.with_suffix(".rows.npy"))!r}, allow_pickle=True)
print(schuss.load_table({str(path)!r}).predict_proba(X).tobytes().hex())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == clf.predict_proba(X).tobytes().hex()


def test_a_target_called_something(path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    TabularClassifier(**SMALL).fit(X, pandas.Series(LABELS, name="fate")).save(path)
    assert schuss.load_table(path).target.name == "fate"


# -- files that are wrong ----------------------------------------------------------------------------------------------


def rewritten(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a file's header, with checksums that fit."""
    encode, decode = container(str(path))
    content, text, _ = decode(str(path), path.read_bytes())
    header = json.loads(text)
    change(header)
    header["checksums"] = {name: checksum(array) for name, array in content.items()}
    path.write_bytes(encode(content, json.dumps(header)))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "model.npz"
    TabularClassifier(**SMALL, n_ensemble=2).fit(X, LABELS).save(path)
    return path.read_bytes()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All places within plain data; of long lists only the first."""
    found = [path]
    if isinstance(value, dict):
        for key in value:
            found += places(value[key], (*path, key))
    if isinstance(value, list) and value:
        found += places(value[0], (*path, 0))
    return found


def test_whatever_stands_in_the_metadata_is_checked(saved: bytes, tmp_path: Path) -> None:
    """Every field in turn becomes something else, or goes: what comes of it is a ValueError, or a model that works."""
    path = tmp_path / "model.npz"
    path.write_bytes(saved)
    model = schuss.load_table(path)
    wrong = 0
    for place in places(model.to_dict())[1:]:
        for value in (None, -1, 2**70, "x", {}, [None], "gone"):
            path.write_bytes(saved)

            def change(header: dict[str, Any], place: Any = place, value: Any = value) -> None:
                inner = header["metadata"]["table"]
                for key in place[:-1]:
                    inner = inner[key]
                if value == "gone":
                    del inner[place[-1]]
                else:
                    inner[place[-1]] = value

            rewritten(path, change)
            try:
                found = schuss.load_table(path)
            except ValueError:
                wrong += 1
                continue
            with contextlib.suppress(DataError):
                assert found.predict_proba(X).shape == (N, 2), (place, value)
    assert wrong > 100


def test_versions_and_other_kinds(saved: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    path.write_bytes(saved)
    with pytest.raises(ValueError, match="holds 2 networks, of a table's model"):
        schuss.load(path)
    rewritten(path, lambda header: header["metadata"]["table"].update(format=FORMAT + 1))
    with pytest.raises(ValueError, match=f"of format {FORMAT + 1}, newer than {FORMAT}; update schuss"):
        schuss.load_table(path)
    schuss.Network([schuss.Dense(2, 1)], seed=0).save(path)
    with pytest.raises(ValueError, match=r"holds a network and no table's model: schuss\.load reads it"):
        schuss.load_table(path)
    with pytest.raises(ValueError, match=r"path must end in \.npz or \.safetensors"):
        schuss.load_table(tmp_path / "model.txt")
    with pytest.raises(OSError, match="none"):
        schuss.load_table(tmp_path / "none.npz")


def test_parts_of_different_models(saved: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    changes: list[Callable[[dict[str, Any]], Any]] = [
        lambda header: header["metadata"]["table"]["head"].update(classes=3),
        lambda header: header["metadata"]["table"]["head"].update(loss="quantile", number=[0.1, 0.2]),
        lambda header: header["metadata"]["table"]["target"].update(classes=["a", "b", "c"]),
        lambda header: header["metadata"]["table"]["schema"]["columns"].pop(),
        lambda header: header["others"].pop(),
        lambda header: header.pop("others"),
        lambda header: header["others"].append(header["others"][0]),
        lambda header: header["others"][0]["layers"].pop(),
    ]
    for change in changes:
        path.write_bytes(saved)
        rewritten(path, change)
        with pytest.raises(ValueError, match="damaged"):
            schuss.load_table(path)


@pytest.mark.parametrize("at", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_damaged_bytes(saved: bytes, tmp_path: Path, at: float) -> None:
    path = tmp_path / "model.npz"
    place = int(len(saved) * at)
    for data in (saved[:place], saved[:place] + bytes([saved[place] ^ 0x55]) + saved[place + 1 :]):
        path.write_bytes(data)
        try:
            model = schuss.load_table(path)
        except ValueError:
            continue
        assert model.predict(X).shape == (N,)


# -- parts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [2, 9, 10, 101, 1000])
@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.33, 0.5, 0.9])
@pytest.mark.parametrize("classes", [0, 2, 7])
def test_folds(rows: int, fraction: float, classes: int) -> None:
    labels = np.arange(rows) % classes if classes else None
    found = folds(rows, fraction, 7, 3, labels)
    assert len(found) == 7
    held = int(rows * fraction + 1e-9)
    times = np.zeros(rows, int)
    for member, (train, test) in enumerate(found):
        assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(rows)) and (np.diff(train) > 0).all()
        assert len(test) <= held and (labels is not None or len(test) == held)
        if labels is not None and held:
            assert set(labels[train]) == set(labels)
            shares = np.bincount(labels[test], minlength=classes) - np.bincount(labels, minlength=classes) * held / rows
            assert (np.abs(shares) <= 1.0 + 1e-9).all() or len(test) < held
        if held and member < rows // held:
            times[test] += 1
    assert times.max() <= 1
    again = folds(rows, fraction, 7, 3, labels)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(found, again, strict=True))
    other = folds(rows, fraction, 7, 4, labels)
    assert held == 0 or rows <= 10 or any(not np.array_equal(a[1], b[1]) for a, b in zip(found, other, strict=True))


def test_temperature_is_that_of_the_least_log_loss() -> None:
    logits = RNG.normal(size=(4000, 3)) * 2
    labels = np.array([RNG.choice(3, p=p) for p in _softmax(logits)])

    def probabilities(t: float) -> Any:
        return _softmax(5 * logits / t)

    found = best_temperature(probabilities, labels)
    grid = min(np.linspace(1, 20, 400), key=lambda t: log_loss(probabilities(t), labels))
    assert found == pytest.approx(grid, abs=0.06) and found == pytest.approx(5, rel=0.1)
    weights = (labels == 0).astype(float)
    assert best_temperature(probabilities, labels, weights) == pytest.approx(
        best_temperature(lambda t: probabilities(t)[labels == 0], labels[labels == 0]), rel=1e-3
    )


def test_few_rows_or_rows_all_right_do_not_drive_it_to_its_bounds() -> None:
    right = np.array([[3.0, 0.0]] * 2)
    assert 0.05 < best_temperature(lambda t: _softmax(right / t), np.zeros(2, int)) < 1
    assert 1 < best_temperature(lambda t: _softmax(right / t), np.ones(2, int)) < 20


def _softmax(z: Any) -> Any:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_heads() -> None:
    y = np.array([1.0, 2.0, 6.0])
    plain = Head.of_numbers(schuss.MSE(), y, None)
    np.testing.assert_allclose(plain.quantities([plain.targets(y)]), y)
    np.testing.assert_allclose(plain.targets(y).std(), 1)
    log = Head.of_numbers(schuss.Poisson(), y, None)
    np.testing.assert_allclose(log.quantities([np.log(log.targets(y))]), y)
    assert Head.of_numbers(schuss.Poisson(), np.zeros(3), None).quantities([np.zeros((3, 1))]).tolist() == [1, 1, 1]
    gauss = Head.of_numbers(schuss.Gaussian(), y, None)
    outputs = [np.array([[0.0, 0.0]]), np.array([[2.0, 0.0]])]
    spread = y.std()
    np.testing.assert_allclose(gauss.quantities(outputs), y.mean() + spread)
    np.testing.assert_allclose(gauss.deviations(outputs), np.sqrt(2) * spread)
    several = Head.of_numbers(schuss.Quantile([0.1, 0.9]), y, None)
    assert several.outputs == 2 and several.targets(y).shape == several.quantities([several.targets(y)]).shape == (3, 2)
    with pytest.raises(ValueError, match=r"y must be >= 0 for poisson; y\[1\] is -2\.0"):
        Head.of_numbers(schuss.Poisson(), np.array([1.0, -2.0]), None)


def test_what_a_network_gives_may_be_probabilities_or_amounts() -> None:
    shares = np.array([[0.9, 0.1], [1.0, 0.0]])
    logits = Head(schuss.CrossEntropy(), 2)
    head = Head(schuss.CrossEntropy(), 2, None, "softmax")
    np.testing.assert_allclose(head.probabilities([shares], 1.0), shares, atol=1e-12)
    with np.errstate(divide="ignore"):
        as_logits = [np.maximum(np.log(shares), -700)]
    for t in (0.5, 1.0, 3.0):
        np.testing.assert_allclose(head.probabilities([shares], t), logits.probabilities(as_logits, t), atol=1e-12)
    several = [shares, np.array([[0.5, 0.5], [0.5, 0.5]])]
    np.testing.assert_allclose(head.probabilities(several, 1.0), [[0.7, 0.3], [0.75, 0.25]])
    amounts = Head.of_numbers(schuss.Poisson(), np.array([1.0, 3.0]), None)
    found = Head(amounts.loss, 0, amounts.standard, "exp").quantities([np.array([[1.5]])])
    np.testing.assert_allclose(found, [3.0])


def test_losses_by_name_and_object() -> None:
    assert resolved(None, True) is None and resolved("log_loss", True) == schuss.CrossEntropy()
    assert resolved(schuss.Tweedie(1.2), False) == schuss.Tweedie(1.2)
    with pytest.raises(ValueError, match="did you mean 'poisson'"):
        resolved("poison", False)
    with pytest.raises(ValueError, match="loss must be one for classes"):
        resolved(schuss.MSE(), True)
    with pytest.raises(TypeError, match="loss must be a name"):
        resolved(3, True)


def test_tables_below_each_other() -> None:
    first = table_of(
        {"a": np.array([1, 2]), "b": ["x", None], "c": np.array([True, False]), "d": np.array([1.5, np.nan])}
    )
    second = table_of({"d": np.array([3]), "a": [4.5], "b": ["y"], "c": ["TRUE"]})
    both = joined(first, second)
    assert both.n_rows == 3 and both.names == first.names
    assert both.cells("a").values.tolist() == [1, 2, 4.5]  # type: ignore[union-attr]
    assert both.cells("b").texts() == ["x", "", "y"]  # type: ignore[union-attr]
    assert both.cells("c").texts() == ["True", "False", "TRUE"]  # type: ignore[union-attr]
    assert both.cells("d").missing.tolist() == [False, True, False]  # type: ignore[union-attr]
