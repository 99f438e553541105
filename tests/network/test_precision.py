"""Networks whose optimizer keeps states in fewer bits: its steps, fused or by hand, and files of them."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import schuss
from schuss import schedules
from schuss.files import versions
from tests.network.file_cases import rewritten

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 100)).astype(np.float32)
Y = RNG.integers(0, 3, 96)

KINDS: list[Callable[..., schuss.Optimizer]] = [
    schuss.AdamW,
    schuss.SGD,
    schuss.LAMB,
    schuss.NovoGrad,
    schuss.Adafactor,
    schuss.Prodigy,
    schuss.ScheduleFreeAdamW,
    schuss.SOAP,
    schuss.RowAdaGrad,
]
HOWS: list[dict[str, Any]] = [
    {"states": "8bit"},
    {"states": "bfloat16"},
    {"states": "bfloat16", "rounding": "stochastic", "seed": 5},
]


def network() -> schuss.Network:
    return schuss.Network([schuss.Dense(100, 70, "relu"), schuss.Dense(70, 3)], seed=3)


def made(net: schuss.Network, kind: Callable[..., schuss.Optimizer], how: dict[str, Any]) -> schuss.Optimizer:
    more = {"momentum": 0.9} if kind is schuss.SGD else {}
    opt = kind(net.parameters, lr=0.01, **more)
    opt.set_precision(**how)
    return opt


def bits(net: schuss.Network, opt: schuss.Optimizer) -> list[bytes]:
    states = [state[name] for state in opt._states() for name in state]
    return [np.ascontiguousarray(array).tobytes() for array in (*net.parameters, *states)]


@pytest.mark.parametrize("how", HOWS, ids=str)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_fit_is_its_steps(kind: Callable[..., schuss.Optimizer], how: dict[str, Any], isa: str) -> None:
    net, by_hand = network(), network()
    opt, other = made(net, kind, how), made(by_hand, kind, how)
    net.fit(X, Y, loss="cross_entropy", epochs=2, batch_size=32, optimizer=opt, shuffle=False)
    for _ in range(2):
        if isinstance(other, schuss.ScheduleFreeAdamW):
            other.train()
        for start in range(0, 96, 32):
            by_hand.loss_and_gradients(X[start : start + 32], Y[start : start + 32], "cross_entropy")
            other.step(list(by_hand.gradients))
        if isinstance(other, schuss.ScheduleFreeAdamW):
            other.eval()
    assert opt.steps == other.steps == 6
    assert bits(net, opt) == bits(by_hand, other)


@pytest.mark.parametrize("how", HOWS, ids=str)
def test_threads_make_no_difference(how: dict[str, Any], set_threads: Callable[[int], None]) -> None:
    found = []
    for threads in (1, 2):
        set_threads(threads)
        net = network()
        opt = made(net, schuss.AdamW, how)
        net.fit(X, Y, loss="cross_entropy", epochs=2, batch_size=32, optimizer=opt)
        found.append(bits(net, opt))
    assert found[0] == found[1]


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
@pytest.mark.parametrize("how", HOWS, ids=str)
def test_files_pickles_and_copies_go_on_with_the_same_bits(how: dict[str, Any], ending: str, tmp_path: Path) -> None:
    net = network()
    opt = made(net, schuss.AdamW, how)
    ema = schuss.EMA(opt, 0.9)
    net.fit(X, Y, loss="cross_entropy", epochs=2, batch_size=32, optimizer=ema)
    path = tmp_path / f"net{ending}"
    net.save(path)
    others = [schuss.load(path), pickle.loads(pickle.dumps(net)), copy.deepcopy(net)]
    for one in (net, *others):
        one.fit(X, Y, loss="cross_entropy", epochs=2, batch_size=32)
    expected = bits(net, opt)
    for one in others:
        mine = one.optimizer
        assert isinstance(mine, schuss.Optimizer | schuss.EMA)
        inner = mine if isinstance(mine, schuss.Optimizer) else mine.optimizer
        assert bits(one, inner) == expected
        assert inner._precision == opt._precision
        assert_array_equal(inner._stepper.averages[0][0], opt._stepper.averages[0][0])


def test_the_version_of_a_file(tmp_path: Path) -> None:
    """Only files that have to say it say so."""
    net = network()
    opt = made(net, schuss.AdamW, {"states": "8bit"})
    net.fit(X, Y, loss="cross_entropy", epochs=1, optimizer=opt)
    path = tmp_path / "net.npz"
    net.save(path)
    header = _header(path)
    assert header["version"] == 8
    assert header["optimizer"]["precision"] == {"states": "8bit", "master": None, "rounding": "nearest", "seed": 0}
    plain = network()
    plain.fit(X, Y, loss="cross_entropy", epochs=1, optimizer=schuss.AdamW(plain.parameters))
    plain.save(path)
    assert _header(path)["version"] == versions.OLDEST
    assert "precision" not in _header(path)["optimizer"]


def _header(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def note(header: dict[str, Any], arrays: dict[str, Any]) -> None:
        found.update(json.loads(json.dumps(header)))

    rewritten(path, note)
    return found


@pytest.mark.parametrize(
    "precision",
    [
        {"states": "4bit"},
        {"states": "float32"},
        {"states": "bfloat16"},
        {"master": "float32"},
        {"master": "split"},
        {"rounding": "stochastic"},
        {"seed": 2**64},
        {"seed": -1},
        {"states": None},
        {"more": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hostile_files(precision: dict[str, Any], dtype: str, tmp_path: Path) -> None:
    net = schuss.Network([schuss.Dense(100, 70, "relu"), schuss.Dense(70, 3)], seed=3, dtype=dtype)
    opt = schuss.AdamW(net.parameters)
    if dtype == "float32":
        opt.set_precision(states="8bit")
    elif precision == {"states": "float32"}:
        return  # as which it is read
    net.fit(X, Y, loss="cross_entropy", epochs=1, optimizer=opt)
    path = tmp_path / "net.npz"
    net.save(path)

    def change(header: dict[str, Any], arrays: dict[str, Any]) -> None:
        whole = {"states": "8bit", "master": None, "rounding": "nearest", "seed": 0}
        header["optimizer"]["precision"] = {**whole, **precision}
        header["version"] = 8

    rewritten(path, change)
    with pytest.raises((ValueError, TypeError)):
        schuss.load(path)


def test_a_rate_cannot_set_it_within_a_fit() -> None:
    net = network()

    def rate(t: int) -> float:
        if armed and t == 0:
            opt.set_precision(states="8bit")
        return 0.01

    armed: list[int] = []
    opt = schuss.AdamW(net.parameters, lr=rate)
    armed.append(1)
    before = [p.copy() for p in net.parameters]
    with pytest.raises(RuntimeError, match="set_precision was called within this fit"):
        net.fit(X, Y, loss="cross_entropy", epochs=1, optimizer=opt)
    assert_array_equal(net.parameters[0], before[0])
    assert opt.steps == 0
    armed.clear()
    net.fit(X, Y, loss="cross_entropy", epochs=1, optimizer=opt)


def test_train_step_and_schedules() -> None:
    net, other = network(), network()
    opt = made(net, schuss.AdamW, {"states": "8bit"})
    same = made(other, schuss.AdamW, {"states": "8bit"})
    for one, of in ((net, opt), (other, same)):
        for start in range(0, 96, 32):
            one.train_step(X[start : start + 32], Y[start : start + 32], "cross_entropy", of, clip_norm=0.5)
    assert bits(net, opt) == bits(other, same)
    with_rate = network()
    opt = schuss.AdamW(with_rate.parameters, lr=schedules.Cosine(0.01, 60))
    opt.set_precision(states="bfloat16", rounding="stochastic")
    with_rate.fit(X, Y, loss="cross_entropy", epochs=2, optimizer=opt)
    assert np.isfinite(with_rate.history["loss"]).all()


@pytest.mark.parametrize("how", HOWS, ids=str)
def test_after_divergence_all_is_as_before(how: dict[str, Any]) -> None:
    net = network()
    opt = made(net, schuss.AdamW, how)
    net.fit(X, Y, loss="cross_entropy", epochs=1, optimizer=opt)
    before = bits(net, opt)
    opt.param_groups[0]["lr"] = 1e37
    with pytest.raises(schuss.DivergenceError):
        net.fit(X, Y, loss="cross_entropy", epochs=2, batch_size=32, shuffle=False, optimizer=opt)
    assert bits(net, opt) == before
    opt.param_groups[0]["lr"] = 0.01
    net.fit(X, Y, loss="cross_entropy", epochs=1, batch_size=32, optimizer=opt)
    net.fit(X, Y, loss="cross_entropy", epochs=2, batch_size=32, optimizer=opt, on_divergence="recover")


def test_tables() -> None:
    """Rows of a table that a step does not touch."""
    codes = RNG.integers(0, 200, 96)
    for how, kind in ((HOWS[0], schuss.AdamW), (HOWS[1], schuss.RowAdaGrad), (HOWS[1], schuss.SparseAdam)):
        net = schuss.Network(
            [schuss.Input("codes", 1, dtype="int64"), schuss.Embedding(200, 40), schuss.Dense(40, 3)], seed=3
        )
        opt = made(net, kind, how)
        net.fit(codes, Y, loss="cross_entropy", epochs=2, batch_size=32, optimizer=opt)
        assert opt.steps == 6
