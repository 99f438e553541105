"""The first items of each user: order, ties, what is left out, bits, memory, bad input."""

from __future__ import annotations

import os
import signal
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from schuss import _core
from schuss.recommend import ranking
from tests.reference import ranking as twin

Array = NDArray[Any]
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
# Users, items, columns: rests of tiles and vectors, one of each, more items than a block has, long rows.
SHAPES = [
    (1, 1, 1),
    (3, 17, 1),
    (37, 130, 13),
    (130, 700, 33),
    (2, 3000, 8),
    (600, 5, 4),
    (5, 40, 5000),
    (3, 40, 9000),
    (1, 1030, 70),
]


def case(shape: tuple[int, int, int], dtype: str, whole: bool = False) -> tuple[Array, Array, Array, Array]:
    """Factors of users and items, biases, and what is left out. whole: small whole numbers, so that many are equal."""
    users, items, dim = shape
    rng = np.random.default_rng(users * 100_003 + items * 101 + dim)
    made = [rng.normal(size=size) for size in ((users, dim), (items, dim), items)]
    u, i, b = (np.round(x).astype(dtype) if whole else x.astype(dtype) for x in made)
    return u, i, b, rng.random((users, items)) < 0.2


def scores_of(u: Array, i: Array, b: Array) -> Array:
    """By the core's own product, so to the bit."""
    return _core.gemm(u, i, transpose_b=True) + b


@dtypes
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("k", [1, 10, 64, 70])
def test_first_items_are_those_of_a_stable_sort(
    shape: tuple[int, int, int], dtype: str, k: int, each_isa: Callable[[], Iterator[str]]
) -> None:
    for level in each_isa():
        for whole in (False, True):
            u, i, b, out = case(shape, dtype, whole)
            found, scores = ranking.recommend((u, i, b), k=k, seen=np.nonzero(out))
            items, values = twin.best(scores_of(u, i, b), out, k)
            assert_array_equal(found, items, err_msg=level)
            assert_array_equal(scores, values, err_msg=level)
            assert found.dtype == np.int64 and scores.dtype == dtype


@dtypes
def test_chosen_users_and_items(dtype: str) -> None:
    u, i, b, out = case((90, 333, 21), dtype, True)
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 90, 200), rng.permutation(333)[:57]
    found, scores = ranking.recommend((u, i, b), users, 60, seen=np.nonzero(out), items=items)
    all_scores = scores_of(u, i, b)
    other = out | ~np.isin(np.arange(333), items)
    wanted, values = twin.best(all_scores[users], other[users], 60)
    assert_array_equal(found, wanted)
    assert_array_equal(scores, values)
    one, own = ranking.recommend((u, i, b), 7, 5, seen=np.nonzero(out))
    assert one.shape == own.shape == (5,)
    assert_array_equal(one, twin.best(all_scores, out, 5)[0][7])


@dtypes
def test_scores_are_ranked_as_factors_are(dtype: str) -> None:
    u, i, b, out = case((70, 900, 9), dtype)
    scores = scores_of(u, i, b)
    wanted = ranking.recommend((u, i, b), k=7, seen=np.nonzero(out))
    for found, right in zip(ranking.recommend(scores, k=7, seen=np.nonzero(out)), wanted, strict=True):
        assert_array_equal(found, right)
    users, items = np.array([3, 3, 69]), np.array([5, 8, 890])
    wanted = ranking.recommend((u, i, b), users, 7, seen=np.nonzero(out), items=items)
    for found, right in zip(
        ranking.recommend(scores, users, 7, seen=np.nonzero(out), items=items), wanted, strict=True
    ):
        assert_array_equal(found, right)
    for found, right in zip(ranking.recommend(scores, users, 7), ranking.recommend((u, i, b), users, 7), strict=True):
        assert_array_equal(found, right)


@dtypes
def test_threads_change_no_bit(dtype: str, set_threads: Callable[[int], None]) -> None:
    u, i, b, out = case((1500, 400, 24), dtype)
    found = []
    for threads in (1, 2, 3):
        set_threads(threads)
        found.append(ranking.recommend((u, i, b), k=9, seen=np.nonzero(out)))
        found.append(ranking.recommend((u, i, b), k=9, seen=np.nonzero(out), num_threads=1))
    for items, scores in found[1:]:
        assert_array_equal(items, found[0][0])
        assert_array_equal(scores, found[0][1])


@dtypes
@pytest.mark.parametrize("placement", ["unaligned", "page end", "page start"])
def test_wherever_arrays_lie(
    placement: str, dtype: str, place: Callable[[str, Array], Array], each_isa: Callable[[], Iterator[str]]
) -> None:
    for shape in ((1, 19, 3), (40, 77, 5), (3, 1000, 17)):
        u, i, b, out = case(shape, dtype)
        start, indices = np.append(0, np.cumsum(out.sum(axis=1))), np.nonzero(out)[1]
        for _ in each_isa():
            scores = scores_of(u, i, b)
            wanted = twin.best(scores, out, 6)[0]
            own = [place(placement, x) for x in (u, i, b)]
            left_out = place(placement, start), place(placement, indices)
            for given in ((*own, None), (None, None, None, place(placement, scores))):
                core = _core.Ranking(*given, None, left_out, shape[1], None)
                assert_array_equal(core.best(6)[0], wanted)
                core.place(left_out)
                core = _core.Ranking(*given, None, None, shape[1], None)
                order = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
                assert_array_equal(core.place(left_out), order[out])


def test_who_has_seen_all_gets_nothing() -> None:
    u, i, b, _ = case((3, 20, 4), "float32")
    seen = np.nonzero(np.arange(3)[:, None] + np.zeros(20) == 1)
    found, scores = ranking.recommend((u, i, b), k=25, seen=seen)
    assert (found[1] == -1).all() and np.isnan(scores[1]).all()
    assert sorted(found[0][:20]) == list(range(20)) and (found[0][20:] == -1).all() and np.isnan(scores[0][20:]).all()


def test_what_is_no_number_is_never_recommended() -> None:
    given = np.array([[np.nan, -np.inf, 0.0, np.inf, np.nan, -1.0]])
    for k in (3, 6, 70):
        items, scores = _core.Ranking(None, None, None, given, None, None, 6, None).best(k)
        assert items[0, :6].tolist() == [3, 2, 5, 1, -1, -1][:k]
        assert_array_equal(scores[0, :6], [np.inf, 0, -1, -np.inf, np.nan, np.nan][:k])


def test_seen_in_any_form() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    u, i, b, out = case((40, 60, 5), "float64")
    rows, columns = np.nonzero(out)
    wanted = ranking.recommend((u, i, b), k=5, seen=(rows, columns))[0]
    order = np.random.default_rng(0).permutation(len(rows))
    values = np.full(len(rows), 2.0)
    mixed = sparse.csr_matrix((40, 60))
    mixed.indptr, mixed.indices = np.searchsorted(rows, np.arange(41)).astype(np.int32), columns.astype(np.int32)
    for start, end in zip(mixed.indptr[:-1], mixed.indptr[1:], strict=True):
        mixed.indices[start:end] = mixed.indices[start:end][::-1].copy()
    mixed.data = values
    doubled = sparse.coo_matrix((np.tile(values, 2), (np.tile(rows, 2), np.tile(columns, 2))), (40, 60))
    zeros = sparse.coo_matrix(
        (np.append(values, 0.0), (np.append(rows, 0), np.append(columns, np.flatnonzero(~out[0])[0]))), (40, 60)
    )
    for seen in (
        (rows[order], columns[order]),
        sparse.csr_matrix((values, (rows, columns)), (40, 60)),
        sparse.csc_array((values, (rows, columns)), (40, 60)),
        mixed,
        doubled,
        zeros,
    ):
        assert_array_equal(ranking.recommend((u, i, b), k=5, seen=seen)[0], wanted)


def test_an_interrupt_comes_through(interruptible: None) -> None:
    rng = np.random.default_rng(0)
    u, i = rng.normal(size=(60_000, 64)).astype(np.float32), rng.normal(size=(20_000, 64)).astype(np.float32)
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        ranking.recommend((u, i))
    timer.join()


def test_memory_is_not_users_times_items() -> None:
    u, i, b, _ = case((6000, 6000, 3), "float32")
    ranking.recommend((u[:2], i, b), k=5)
    tracemalloc.start()
    try:
        ranking.recommend((u, i, b), k=5, num_threads=2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6000 * 6000 * 4 / 20


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"k": 0}, ValueError, "k must be an integer from 1"),
        ({"k": 2.0}, TypeError, "k must be an integer"),
        ({"users": [0, 4]}, ValueError, r"users must be from 0 to 3; users\[1\] is 4"),
        ({"users": [-1]}, ValueError, r"users must be from 0 to 3; users\[0\] is -1"),
        ({"users": [0.5]}, TypeError, "users must be integers"),
        ({"items": [0, 9]}, ValueError, r"items must be from 0 to 5; items\[1\] is 9"),
        ({"items": [2, 3, 2]}, ValueError, "items must be different; 2 is there twice"),
        ({"items": np.zeros(0, int)}, ValueError, "items must be at least one"),
        ({"seen": ([0], [6])}, ValueError, r"seen must have shape \(4, 6\)"),
        ({"seen": ([0], [-1])}, ValueError, r"seen's items must be from 0"),
        ({"seen": ([0, 1], [1])}, ValueError, "equally many"),
        ({"seen": np.zeros((4, 6))}, TypeError, "seen must be a sparse matrix"),
        ({"seen": ([0], [1], [np.nan])}, ValueError, "seen must be finite; that of user 0 and item 1 is nan"),
        ({"num_threads": 0}, ValueError, "num_threads must be an integer from 1"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    u, i, b, _ = case((4, 6, 2), "float32")
    with pytest.raises(error, match=text):
        ranking.recommend((u, i, b), **arguments)


@pytest.mark.parametrize(
    ("model", "error", "text"),
    [
        ((np.zeros((2, 3)), np.zeros((4, 2))), ValueError, "as many columns"),
        ((np.zeros((2, 3)), np.zeros((4, 3)), np.zeros(3)), ValueError, "item biases must be one an item, 4; got 3"),
        ((np.zeros((2, 3)), np.full((4, 3), np.nan)), ValueError, r"item factors must be finite; .*\[0, 0\] is nan"),
        ((np.zeros((2, 0)), np.zeros((4, 0))), ValueError, "one at least"),
        (np.zeros(3), ValueError, "model's scores must have 2 dimensions"),
        (np.array([["a"]]), TypeError, "real numbers"),
        (object(), TypeError, "model must have get_user_representations"),
    ],
)
def test_bad_models(model: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        ranking.recommend(model)


def test_broken_sparse_matrices() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    u, i, b, _ = case((4, 6, 2), "float32")
    for change, text in (
        (lambda m: setattr(m, "indptr", np.array([0, 5, 1, 1, 2], np.int32)), "indptr must rise"),
        (lambda m: setattr(m, "indices", np.array([0, 6], np.int32)), "seen's columns must be from 0 to 5"),
        (lambda m: setattr(m, "indices", np.array([-1, 1], np.int32)), "seen's columns must be from 0 to 5"),
    ):
        matrix = sparse.csr_matrix(([1.0, 1.0], ([0, 3], [2, 3])), (4, 6))
        change(matrix)
        with pytest.raises(ValueError, match=text):
            ranking.recommend((u, i, b), seen=matrix)
    with pytest.raises(ValueError, match=r"seen must have shape \(4, 6\), users and items; got \(6, 4\)"):
        ranking.recommend((u, i, b), seen=sparse.csr_matrix((6, 4)))


def test_core_refuses_what_would_be_read_beyond() -> None:
    u, i, b, _ = case((4, 6, 2), "float32")
    start, indices = np.array([0, 1, 1, 1, 2]), np.array([5, 0])
    for arguments, text in (
        ((u, i, b, None, np.array([4]), None, 6, None), r"users\[0\] is 4"),
        ((u, i, b, None, np.array([-2]), None, 6, None), r"users\[0\] is -2"),
        ((u, i, b, None, None, None, 7, None), "columns is 7"),
        ((u, i, b, None, None, (start[:4], indices[:1]), 6, None), "left_out has 3 rows"),
        ((u, i, b, None, None, (start, indices + 1), 6, None), "left_out holds a column out of range"),
        ((u, i, b, None, None, (start, np.array([1, 2, 3])), 6, None), "start must rise"),
        ((u, i, b, None, None, (np.array([0, 2, 2, 2, 2]), indices), 6, None), "do not increase"),
        ((u, i, b, None, None, None, 9, np.array([0, 1, 2, 3, 4, 4])), "numbers must rise"),
        ((u, i, b, None, None, None, 9, np.array([0, 1, 2, 3, 4, 9])), "numbers must rise"),
    ):
        with pytest.raises(ValueError, match=text):
            _core.Ranking(*arguments)
    core = _core.Ranking(u, i, b, None, None, None, 6, None)
    with pytest.raises(ValueError, match="no places have been found"):
        core.metric("auc", 1, None)
    with pytest.raises(ValueError, match="positives holds a column out of range"):
        core.place((start, indices + 1))
