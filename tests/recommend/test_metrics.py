"""Metrics of rankings against their definitions and against scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from schuss import _core
from schuss.recommend import metrics, ranking
from tests.reference import ranking as twin

Array = NDArray[Any]
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
FUNCTIONS: dict[str, Callable[..., Array]] = {
    "precision": metrics.precision_at_k,
    "recall": metrics.recall_at_k,
    "ndcg": metrics.ndcg_at_k,
    "auc": metrics.auc_score,
}
SHAPES = [(30, 130, 13), (9, 1500, 3), (520, 21, 4), (3, 2, 1)]


def case(shape: tuple[int, int, int], dtype: str, whole: bool) -> tuple[Array, Array, Array, Array, Array]:
    """Factors, biases, gains of tests and what is left out: some users have no test, some have all of one of both."""
    users, items, dim = shape
    rng = np.random.default_rng(users * 1009 + items * 11 + dim)
    made = [rng.normal(size=size) for size in ((users, dim), (items, dim), items)]
    u, i, b = (np.round(x).astype(dtype) if whole else x.astype(dtype) for x in made)
    share = rng.random((users, 1)) * 0.5
    out = rng.random((users, items)) < share
    test = np.where(rng.random((users, items)) < share, rng.integers(1, 6, (users, items)), 0) * ~out
    test[0], out[1], test[1], test[2], out[2] = 0, True, 0, 3, False
    return u, i, b, test, out


def entries(x: Array) -> tuple[Array, Array, Array]:
    rows, columns = np.nonzero(x)
    return rows, columns, x[rows, columns]


def measured(name: str, model: Any, test: Array, out: Array, k: int, **arguments: Any) -> Array:
    if name != "auc":
        arguments["k"] = k
    return FUNCTIONS[name](model, entries(test), entries(out), preserve_rows=True, **arguments)


@dtypes
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("whole", [False, True], ids=["different", "ties"])
def test_values_are_those_of_the_definition(
    name: str, shape: tuple[int, int, int], whole: bool, dtype: str, each_isa: Callable[[], Iterator[str]]
) -> None:
    u, i, b, test, out = case(shape, dtype, whole)
    for level in each_isa():
        scores = _core.gemm(u, i, transpose_b=True) + b
        for k in (1, 10, 4000) if name != "auc" else (1,):
            wanted = twin.metric(name, scores, test, out, k)
            for model in ((u, i, b), scores):
                found = measured(name, model, test, out, k)
                assert_allclose(found, wanted, rtol=1e-12, atol=1e-14, err_msg=f"{level} {k}")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_threads_change_no_bit(name: str) -> None:
    u, i, b, test, out = case((1100, 90, 8), "float32", False)
    wanted = measured(name, (u, i, b), test, out, 5)
    for threads in (1, 2, 3, None):
        assert_array_equal(measured(name, (u, i, b), test, out, 5, num_threads=threads), wanted)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rows_of_users_without_positives(name: str) -> None:
    u, i, b, test, out = case((30, 130, 13), "float64", False)
    kept = measured(name, (u, i, b), test, out, 5)
    some = FUNCTIONS[name]((u, i, b), entries(test), entries(out), **({} if name == "auc" else {"k": 5}))
    has = (test > 0).any(axis=1)
    assert not has[0] and not has[1] and has[2]
    assert_array_equal(some, kept[has])
    assert (kept[~has] == (0.5 if name == "auc" else 0)).all()
    if name == "auc":
        assert kept[2] == 0.5  # all of its items are positives


def test_graded_gains() -> None:
    u, i, b, test, out = case((30, 130, 13), "float64", False)
    scores = _core.gemm(u, i, transpose_b=True) + b
    for k in (1, 7, 130):
        found = measured("ndcg", (u, i, b), test, out, k, graded=True)
        assert_allclose(found, twin.metric("ndcg", scores, test, out, k, graded=True), rtol=1e-12)


def test_scikit_learn_agrees() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    u, i, b, test, out = case((30, 130, 13), "float64", False)
    out[:] = False
    scores = _core.gemm(u, i, transpose_b=True) + b
    found = measured("ndcg", scores, test, out, 8, graded=True)
    for row in np.flatnonzero(test.any(axis=1)):
        wanted = sklearn.ndcg_score(test[row : row + 1], scores[row : row + 1], k=8, ignore_ties=True)
        assert_allclose(found[row], wanted, rtol=1e-12)
    places, positives = ranking.places(scores, entries(test))
    users = np.repeat(np.arange(30), np.diff(positives.start))
    furthest = np.array([places.place[users == row].max(initial=-1) + 1 for row in range(30)])
    assert_allclose(furthest.mean(), sklearn.coverage_error(test > 0, scores))
    ties = np.round(scores)
    auc = measured("auc", ties, test, out, 1)
    for row in np.flatnonzero((test > 0).any(axis=1) & (test == 0).any(axis=1)):
        assert_allclose(auc[row], sklearn.roc_auc_score(test[row] > 0, ties[row]), rtol=1e-12)


def test_places_are_those_in_the_list() -> None:
    u, i, b, test, out = case((30, 130, 13), "float32", True)
    places, positives = ranking.places((u, i, b), entries(test), entries(out))
    items = ranking.recommend((u, i, b), k=130, seen=entries(out))[0]
    users = np.repeat(np.arange(30), np.diff(positives.start))
    assert_array_equal(items[users, places.place], positives.indices)


def test_precision_is_that_of_the_list() -> None:
    u, i, b, test, out = case((30, 130, 13), "float32", True)
    items = ranking.recommend((u, i, b), k=10, seen=entries(out))[0]
    hits = (np.take_along_axis(test, np.maximum(items, 0), 1) > 0) & (items >= 0)
    assert_array_equal(measured("precision", (u, i, b), test, out, 10), hits.sum(axis=1) / 10)


def test_models_of_others() -> None:
    u, i, b, test, out = case((30, 130, 13), "float32", False)
    wanted = measured("auc", (u, i, b), test, out, 1)

    class LightFM:
        def get_user_representations(self, features: Any = None) -> Any:
            assert features is None or features == "of users"
            return np.ones(30, np.float32), u

        def get_item_representations(self, features: Any = None) -> Any:
            assert features is None or features == "of items"
            return b, i

    assert_array_equal(measured("auc", LightFM(), test, out, 1), wanted)
    asked = measured("auc", LightFM(), test, out, 1, user_features="of users", item_features="of items")
    assert_array_equal(asked, wanted)
    ones = SimpleNamespace(
        user_factors=np.column_stack([u, np.ones(30, np.float32)]), item_factors=np.column_stack([i, b])
    )
    assert_allclose(measured("auc", ones, test, out, 1), wanted, atol=1e-3)
    with pytest.raises(TypeError, match="user_features and item_features must be None for a SimpleNamespace"):
        measured("auc", ones, test, out, 1, user_features="of users")


def test_test_entries_that_are_left_out() -> None:
    scores = np.array([[5.0, 4.0, 3.0, 2.0]])
    test, train = ([0, 0], [0, 2]), ([0, 0], [0, 1])
    with pytest.raises(ValueError, match="none in common; 1 are in both, such as user 0 and item 0"):
        metrics.recall_at_k(scores, test, train, k=1)
    assert metrics.recall_at_k(scores, test, train, k=1, check_intersections=False) == [1.0]
    assert metrics.auc_score(scores, test, train, check_intersections=False) == [1.0]
    none = metrics.precision_at_k(scores, ([0], [0]), ([0], [0]), k=1, check_intersections=False)
    assert none.shape == (0,)


def test_entries_that_are_no_positives_or_twice() -> None:
    scores = np.array([[5.0, 4.0, 3.0, 2.0]])
    assert metrics.recall_at_k(scores, ([0, 0, 0], [3, 1, 0], [1, 2, -1]), k=2) == [0.5]
    assert metrics.recall_at_k(scores, ([0, 0, 0, 0], [0, 3, 1, 0], [-1, 1, 1, 2]), k=1) == pytest.approx([1 / 3])
    assert metrics.recall_at_k(scores, ([0, 0], [3, 3], [1, -1]), k=1).shape == (0,)


def test_scipy_matrices_need_not_be_sorted() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    u, i, b, test, out = case((30, 130, 13), "float32", False)
    wanted = measured("ndcg", (u, i, b), test, out, 10)
    rows, columns, values = entries(test)
    order = np.lexsort((-columns, rows))
    matrix = sparse.csr_matrix((values[order], columns[order], np.searchsorted(rows[order], np.arange(31))), test.shape)
    before = matrix.indices.copy()
    found = metrics.ndcg_at_k((u, i, b), matrix, sparse.csc_matrix(out), k=10, preserve_rows=True)
    assert_array_equal(found, wanted)
    assert_array_equal(matrix.indices, before)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"k": 0}, ValueError, "k must be an integer from 1"),
        ({"preserve_rows": 1}, TypeError, "preserve_rows must be True or False"),
        ({"check_intersections": None, "train_interactions": ([0], [2])}, TypeError, "check_intersections must be"),
        ({"num_threads": "2"}, TypeError, "num_threads must be an integer"),
        ({"test_interactions": ([0], [4])}, ValueError, r"test_interactions must have shape \(1, 4\)"),
        ({"test_interactions": ([0], [1], [np.inf])}, ValueError, "test_interactions must be finite"),
        ({"train_interactions": [1]}, TypeError, "train_interactions must be a sparse matrix"),
        ({"model": np.array([[1.0, np.nan, 0.0, 2.0]])}, ValueError, r"model's scores must be finite.*\[0, 1\]"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    given = {"model": np.array([[5.0, 4.0, 3.0, 2.0]]), "test_interactions": ([0], [1]), **arguments}
    with pytest.raises(error, match=text):
        metrics.precision_at_k(**given)


def test_nothing_to_test() -> None:
    for function in FUNCTIONS.values():
        assert function(np.zeros((2, 3)), (np.zeros(0, int), np.zeros(0, int))).shape == (0,)
