"""Every rule of ranking by pairs beside its twin in NumPy: the same bits, on each instruction set and any threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import log
from typing import Any

import numpy as np
import pytest

import schuss
from schuss import _core
from schuss.recommend.table import Tables
from tests.reference import pairwise as twin

LOSSES = ("logistic", "bpr", "warp", "warp-kos")


def task(loss: str, dim: int = 10, dtype: Any = np.float32, seed: int = 3, **changes: Any) -> twin.Task:
    rng = np.random.default_rng(seed)
    users, items = 7, 9
    # a user with nothing and one with everything; items twice
    taken = rng.random((users, items)) < 0.4
    taken[2], taken[5] = False, True
    pairs = [(int(u), int(i)) for u, i in zip(*np.nonzero(taken), strict=True)] + [(0, 0), (0, 0)]
    known = [sorted({i for u, i in pairs if u == user}) for user in range(users)]
    liked = [True] * len(pairs)
    if loss == "logistic":
        pairs, liked = [*pairs, (2, 3), (1, 8)], [*liked, False, False]
    given: dict[str, Any] = {
        "weights": rng.random(len(pairs)).astype(dtype).tolist(),
        "features": (None, None),
        **changes,
    }
    rows = [n if f is None else f.shape[1] for n, f in zip((users, items), given["features"], strict=True)]
    slots = 2 if given.get("adadelta") is None else 3
    tables = Tables.empty(0, 0, dim, slots, np.dtype(dtype)).grown(rows[0], rows[1], seed)
    # scores that are far apart, so that searches take more than one try
    tables.users[:, 0, : dim + 1] += rng.normal(size=(rows[0], dim + 1))
    tables.items[:, 0, : dim + 1] += rng.normal(size=(rows[1], dim + 1))
    return twin.Task(loss, (tables.users, tables.items), dim, pairs, liked, known=known, seed=seed, **given)


def compressed(dense: Any) -> Any:
    if dense is None:
        return None
    rows, columns = np.nonzero(dense)
    start = np.concatenate([[0], np.cumsum(np.count_nonzero(dense, axis=1))]).astype(np.int64)
    return start, columns.astype(np.int32), np.ascontiguousarray(dense[rows, columns])


def trainer(t: twin.Task, tables: tuple[Any, Any]) -> _core.Pairwise:
    dtype = tables[0].dtype
    counts = [len(x) if f is None else len(f) for x, f in zip(tables, t.features, strict=True)]
    users = _core.TableRows(counts[0], tables[0], compressed(t.features[0]), t.alphas[0])
    items = _core.TableRows(counts[1], tables[1], compressed(t.features[1]), t.alphas[1])
    seen_users, seen_items = (np.array(x, np.int32) for x in zip(*t.pairs, strict=True))
    liked = np.array(t.liked, np.uint8) if t.loss == "logistic" else None
    seen = (seen_users, seen_items, liked, np.array(t.weights, dtype))
    if t.loss == "warp-kos":
        seen = (seen_users, seen_items[:0], None, None)
    start = np.concatenate([[0], np.cumsum([len(x) for x in t.known])]).astype(np.int64)
    ranks = [min(10.0, log(max(1, (counts[1] - 1) // k))) for k in range(1, t.max_sampled + 1)]
    return _core.Pairwise(
        t.loss,
        t.dim,
        users,
        items,
        seen,
        (start, np.array([item for items in t.known for item in items], np.int32)),
        adadelta=t.adadelta,
        popular=seen_items if t.popularity and t.loss == "bpr" else None,
        max_sampled=t.max_sampled,
        rank_losses=np.array(ranks),
        kos=t.kos,
        seed=t.seed,
        batch=t.batch,
    )


def check(t: twin.Task, levels: Callable[[], Iterator[str]], threads: tuple[int, ...] = (1,), epochs: int = 2) -> None:
    begun = [x.copy() for x in t.tables]
    losses = [twin.epoch(t, number) for number in range(epochs)]
    assert all(np.isfinite(x).all() for x in t.tables)
    for level in levels():
        for n in threads:
            tables = tuple(_core.table_rows(*x.shape, x.dtype) for x in begun)
            for to, source in zip(tables, begun, strict=True):
                to[:] = source
            with schuss.threads(n):
                core = trainer(t, tables)  # type: ignore[arg-type]
                for number in range(epochs):
                    core.begin(number, np.full(1, t.lr))
                    assert not core.run(60.0)
                    assert core.loss == pytest.approx(losses[number], rel=1e-12), (level, number)
            for side in (0, 1):
                assert tables[side].tobytes() == t.tables[side].tobytes(), (level, n, side)


@pytest.mark.parametrize("batch", [0, 1, 5, 1000])
@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss(loss: str, batch: int, each_isa: Callable[[], Iterator[str]]) -> None:
    check(task(loss, batch=batch), each_isa, threads=(1, 2, 3) if batch else (1,))


@pytest.mark.parametrize("dim", [1, 3, 15, 16, 31, 33])
def test_odd_lengths(dim: int, each_isa: Callable[[], Iterator[str]]) -> None:
    check(task("bpr", dim), each_isa)
    check(task("warp", dim, batch=4), each_isa)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("batch", [0, 6])
def test_adadelta_penalties_and_double(loss: str, batch: int, each_isa: Callable[[], Iterator[str]]) -> None:
    alphas = (0.01, 0.02)
    check(task(loss, 5, np.float64, adadelta=(0.95, 1e-6), alphas=alphas, batch=batch), each_isa)
    check(task(loss, 5, adadelta=(0.9, 1e-5), alphas=alphas, batch=batch), each_isa)
    check(task(loss, 18, np.float64, alphas=alphas, batch=batch), each_isa)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("batch", [0, 6])
@pytest.mark.parametrize("sides", [(True, True), (True, False), (False, True)])
def test_features(loss: str, batch: int, sides: tuple[bool, bool], each_isa: Callable[[], Iterator[str]]) -> None:
    rng = np.random.default_rng(5)
    dense = []
    for rows, given in zip((7, 9), sides, strict=True):
        found = np.where(rng.random((rows, 12)) < 0.3, rng.normal(size=(rows, 12)), 0).astype(np.float32) / 2
        found[3] = 0  # one without features
        dense.append(found if given else None)
    check(task(loss, 4, features=tuple(dense), batch=batch), each_isa, threads=(1, 3) if batch else (1,))


@pytest.mark.parametrize("loss", ["logistic", "bpr"])
def test_long_batches_whose_rows_are_asked_for_once_or_more(loss: str, each_isa: Callable[[], Iterator[str]]) -> None:
    rng = np.random.default_rng(6)
    users, items, n, dim = 300, 500, 1500, 20
    seen = [
        (int(u), int(i))
        for u, i in zip(rng.integers(0, users, n), rng.integers(0, items, n) ** 2 // items, strict=True)
    ]
    # what is known leaves out some of what was seen, so that an item can be its own negative
    known: list[list[int]] = [[] for _ in range(users)]
    for user, item in seen[::3]:
        known[user].append(item)
    liked = [loss == "bpr" or k % 3 > 0 for k in range(n)]
    tables = Tables.empty(0, 0, dim, 2, np.dtype(np.float32)).grown(users, items, 1)
    t = twin.Task(
        loss, (tables.users, tables.items), dim, seen, liked, rng.random(n).astype(np.float32).tolist(),
        [sorted(set(of)) for of in known], alphas=(0.01, 0.02), batch=900,
    )  # fmt: skip
    check(t, each_isa, threads=(1, 2, 3), epochs=1)


def test_uniform_negatives_and_few_tries(each_isa: Callable[[], Iterator[str]]) -> None:
    check(task("bpr", popularity=False), each_isa)
    check(task("warp", max_sampled=1), each_isa)
    check(task("warp", max_sampled=33), each_isa)
    check(task("warp-kos", kos=(1, 1)), each_isa)
    check(task("warp-kos", kos=(3, 3), max_sampled=2), each_isa)


def test_runs_in_slices_are_the_same() -> None:
    t = task("warp", batch=2)
    whole, cut = (tuple(x.copy() for x in t.tables) for _ in range(2))
    one, other = trainer(t, whole), trainer(t, cut)
    one.begin(4, np.full(1, 0.1))
    one.run(60.0)
    other.begin(4, np.full(1, 0.1))
    turns = 1
    while other.run(0.0):
        turns += 1
    assert turns > 3 and one.loss == other.loss
    assert all(a.tobytes() == b.tobytes() for a, b in zip(whole, cut, strict=True))


def test_known_items_are_found_with_and_without_bits() -> None:
    """Few pairs among many users and items are searched; more have a bit each."""
    rng = np.random.default_rng(0)
    users, items = 3000, 4000
    for pairs in (40, 60_000):
        u, i = rng.integers(users, size=pairs), rng.integers(items, size=pairs)
        key = np.unique(u * items + i)
        start = np.concatenate([[0], np.cumsum(np.bincount(key // items, minlength=users))]).astype(np.int64)
        known = (key % items).astype(np.int32)
        tables = Tables.empty(0, 0, 2, 2, np.dtype(np.float32)).grown(users, items, 0)
        before = tables.items[:, 1, 2].copy()
        seen = (np.zeros(1, np.int32), np.zeros(1, np.int32), None, None)
        core = _core.Pairwise(
            "bpr", 2, _core.TableRows(users, tables.users), _core.TableRows(items, tables.items), seen, (start, known)
        )
        core.begin(0, np.full(1, 0.1))
        assert not core.run(60.0)
        touched = np.flatnonzero(tables.items[:, 1, 2] != before)
        assert len(touched) == 2
        assert not set(touched[1:].tolist()) & set(known[start[0] : start[1]].tolist())


def test_an_item_that_alone_is_left_is_the_negative() -> None:
    """After all tries that met what is known, those that are left are all as likely."""
    users, items = 200, 5000
    left = 4321
    known = np.tile(np.delete(np.arange(items, dtype=np.int32), left), users)
    start = np.arange(users + 1, dtype=np.int64) * (items - 1)
    tables = Tables.empty(0, 0, 2, 2, np.dtype(np.float32)).grown(users, items, 0)
    seen = (np.arange(users, dtype=np.int32), np.zeros(users, np.int32), None, None)
    core = _core.Pairwise(
        "bpr", 2, _core.TableRows(users, tables.users), _core.TableRows(items, tables.items), seen, (start, known)
    )
    core.begin(0, np.full(1, 0.1))
    core.run(60.0)
    assert core.skipped == 0
    assert np.flatnonzero(tables.items[:, 1, 2] != 1).tolist() == [0, left]


def test_what_does_not_fit_is_refused() -> None:
    t = task("warp")
    core = trainer(t, t.tables)
    with pytest.raises(RuntimeError, match="no epoch has begun"):
        core.run(1.0)
    with pytest.raises(ValueError, match="lrs has shape"):
        core.begin(0, np.full(3, 0.1))
    table = t.tables[0]
    with pytest.raises(ValueError, match=r"codes\[1\] is 7"):
        _core.TableRows(1, table, (np.array([0, 2]), np.array([0, 7], np.int32), np.ones(2, np.float32)))
    with pytest.raises(ValueError, match="start goes from 0 to 1"):
        _core.TableRows(1, table, (np.array([0, 1]), np.array([0, 1], np.int32), np.ones(2, np.float32)))
    with pytest.raises(ValueError, match="there are 8"):
        _core.TableRows(8, table)
    with pytest.raises(TypeError, match="values"):
        _core.TableRows(1, table, (np.array([0, 1]), np.zeros(1, np.int32), np.ones(1)))
