"""Ways to walk over large arrays: the same bits in all of them, and a choice that holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import schuss
from schuss import _core
from tests.optim.test_rules import LAYOUT, MILLION_CASES, TOTAL, Place, compare, dtypes, run_core, run_twin
from tests.reference import optim
from tests.reference.rule_cases import MEASURED_CASES, RULE_CASES, STAGE_CASES, Case

Array = NDArray[Any]

WAYS = range(len(_core.ways()))
STEPS = 3
LARGE = 600_001
"""Float32 parameters that are far from the CPU."""


@pytest.fixture(autouse=True)
def as_found() -> Iterator[None]:
    """No way is forced after the test, and none is chosen before and after it."""
    _core.forget_ways()
    yield
    _core.force_way(None)
    _core.forget_ways()


def test_ways_are_whole_lines_in_chunks_that_there_is_room_for() -> None:
    assert _core.ways()[0] == (4096, 0)
    assert len(set(_core.ways())) == len(_core.ways()) > 1
    for chunk, ahead in _core.ways():
        assert chunk % 64 == ahead % 64 == 0
        assert 0 < chunk <= 4096
        assert ahead >= 0


def test_only_ways_that_there_are() -> None:
    for number in (-1, len(_core.ways())):
        with pytest.raises(ValueError, match=f"there are ways 0 to {len(_core.ways()) - 1}; got {number}"):
            _core.force_way(number)


@dtypes
@pytest.mark.parametrize("case", RULE_CASES + STAGE_CASES, ids=str)
def test_same_bits_as_twin(case: Case, dtype: str, each_isa: Callable[[], Iterator[str]], place: Place) -> None:
    """Arrays of odd sizes too, up to the last byte of memory that there is."""
    placed = [(place(p, np.empty(n, dtype)), place(p, np.empty(n, dtype))) for p, n in LAYOUT]
    wanted: Any = None
    for _ in each_isa():
        for way in WAYS:
            _core.force_way(way)
            got, norms = run_core(case, dtype, TOTAL, STEPS, placed)
            if wanted is None:
                wanted = run_twin(case, dtype, TOTAL, STEPS, norms)
            compare(got, wanted, dtype.replace("float", "uint"))


@dtypes
@pytest.mark.parametrize("case", MILLION_CASES, ids=str)
def test_same_bits_however_threads_share(
    case: Case, dtype: str, set_threads: Callable[[int], None], place: Place
) -> None:
    sizes = [100_001, 7, 0, 31_072, 33, 68_889, 1]
    n = sum(sizes)
    wanted: Any = None
    for threads in (1, 2, 3):
        set_threads(threads)
        for way in WAYS:
            _core.force_way(way)
            got, norms = run_core(
                case, dtype, n, STEPS, [(place("unaligned", np.empty(k, dtype)), np.empty(k, dtype)) for k in sizes]
            )
            if wanted is None:
                wanted = run_twin(case, dtype, n, STEPS, norms)
            compare(got, wanted, dtype.replace("float", "uint"))


def stepped(make: Callable[[list[Array]], Any], n: int, dtype: str, steps: int) -> list[Array]:
    """Parameters, states and averages after some steps, and gradients that were zeroed."""
    rng = np.random.default_rng(7)
    params = [rng.normal(size=n).astype(dtype), rng.normal(size=(3, n // 5)).astype(dtype)]
    opt = make(params)
    for _ in range(steps):
        grads = [rng.normal(size=p.shape).astype(dtype) for p in params]
        opt.step(grads)
    state = opt.state_dict()
    found = [np.asarray(v) for of in state["state"].values() for v in of.values()]
    return [*params, *found]


@dtypes
@pytest.mark.parametrize("case", MEASURED_CASES, ids=str)
def test_rules_with_sums_too(case: Case, dtype: str, threads: int) -> None:
    kind = getattr(schuss, case.optimizer)
    seen = []
    for way in WAYS:
        _core.force_way(way)
        seen.append(stepped(lambda params: kind(params, **case.options), 50_021, dtype, STEPS))
    for found in seen[1:]:
        for a, b in zip(found, seen[0], strict=True):
            assert_array_equal(a, b)


@dtypes
def test_averages_too(dtype: str, threads: int) -> None:
    seen = []
    for way in WAYS:
        _core.force_way(way)
        averages: list[Any] = []

        def make(params: list[Array], averages: list[Any] = averages) -> Any:
            opt = schuss.AdamW(params, lr=0.1)
            averages.append(schuss.EMA(opt, 0.9))
            return opt

        found = stepped(make, 50_021, dtype, STEPS)
        seen.append([*found, *averages[0].averages])
    for found in seen[1:]:
        for a, b in zip(found, seen[0], strict=True):
            assert_array_equal(a, b)


@dtypes
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nonfinite_gradient_is_reported(dtype: str, bad: float, threads: int) -> None:
    for way in WAYS:
        _core.force_way(way)
        for position in (0, 15, 63, 64, 127, 128, 1023, 1024, 50_000):
            p, g = np.ones(50_001, dtype), np.ones(50_001, dtype)
            g[position] = bad
            group = optim.options("sgd", lr=0.1)
            stepper = _core.Stepper([p], [0], [group])
            stepper.step([g], [group])
            assert stepper.nonfinite


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_choice_is_made_once(threads: int, set_threads: Callable[[int], None]) -> None:
    """For a rule, by steps of large arrays; and the bits are those of no choice."""
    set_threads(threads)
    rng = np.random.default_rng(5)
    g = rng.normal(size=LARGE).astype(np.float32)
    nbytes, several = g.nbytes, threads > 1

    def made(way: int | None, steps: int) -> tuple[Array, Array]:
        _core.force_way(way)
        p = np.ones(LARGE, np.float32)
        opt = schuss.SGD([p], lr=0.1, momentum=0.9)
        for _ in range(steps):
            opt.step([g])
        return p, opt.state_dict()["state"][0]["momentum_buffer"]

    made(None, 1)
    assert _core.chosen_way("sgd", several, nbytes) is None, "the first step of states is not timed"
    steps = 0
    while _core.chosen_way("sgd", several, nbytes) is None:
        steps += 30
        assert steps <= 300
        got = made(None, 30)
        for a, b in zip(got, made(0, 30), strict=True):
            assert_array_equal(a, b)
    chosen = _core.chosen_way("sgd", several, nbytes)
    assert chosen in WAYS
    for a, b in zip(made(None, 5), made(0, 5), strict=True):
        assert_array_equal(a, b)
    assert _core.chosen_way("sgd", several, nbytes) == chosen
    assert _core.chosen_way("adam", several, nbytes) is None
    assert _core.chosen_way("sgd", not several, nbytes) is None
    assert _core.chosen_way("sgd", several, 100 * nbytes) is None
    _core.forget_ways()
    assert _core.chosen_way("sgd", several, nbytes) is None


def test_small_steps_choose_nothing() -> None:
    p, g = np.ones(100_000, np.float32), np.ones(100_000, np.float32)
    opt = schuss.SGD([p], lr=0.1)
    for _ in range(1000):
        opt.step([g])
    assert _core.chosen_way("sgd", False, p.nbytes) == 0
    assert _core.chosen_way("sgd", False, 4 * LARGE) is None


PRECISIONS: list[tuple[str, dict[str, Any]]] = [
    ("uint16", {}),
    ("uint16", {"rounding": "stochastic", "seed": 3}),
    ("uint16", {"master": "float32"}),
    ("uint16", {"master": "split", "states": "bfloat16"}),
    ("uint16", {"master": "split", "states": "8bit"}),
    ("float16", {}),
    ("float32", {"states": "8bit"}),
]
"""Of parameters and gradients."""


def in_precision(kind: Callable[..., Any], dtype: str, how: dict[str, Any], n: int, steps: int) -> list[Array]:
    """Parameters, gradients and all states after some steps, the last of which zeroes the gradients."""
    rng = np.random.default_rng(11)

    def drawn(shape: Any, scale: float) -> Array:
        x = (rng.normal(size=shape) * scale).astype(np.float32)
        return (x.view(np.uint32) >> 16).astype(np.uint16) if dtype == "uint16" else x.astype(dtype)

    params = [drawn(n, 1), drawn((3, n // 7), 1), drawn(5, 1)]
    opt = kind(params)
    opt.set_precision(**how)
    for t in range(1, steps + 1):
        grads = [drawn(p.shape, 0.1) for p in params]
        opt.step(grads, zero_grad=t == steps)
    return [*params, *grads, *(np.asarray(a).copy() for of in opt._states() for a in of.values())]


@pytest.mark.parametrize(("dtype", "how"), PRECISIONS, ids=str)
@pytest.mark.parametrize("kind", [schuss.AdamW, schuss.LAMB, schuss.RowAdaGrad], ids=lambda k: k.__name__)
def test_other_precisions_too(
    kind: Any, dtype: str, how: dict[str, Any], each_isa: Callable[[], Iterator[str]], set_threads: Any
) -> None:
    """Chunks of all lengths, however far ahead they are fetched."""
    if kind is schuss.RowAdaGrad and how.get("states", "float32") != "float32":
        how = {k: v for k, v in how.items() if k != "states"}
    wanted = None
    for _ in each_isa():
        for way in range(len(_core.ways("stored"))):
            set_threads(1 + way % 2)
            _core.force_way(way)
            found = in_precision(kind, dtype, how, 30_021, STEPS)
            if wanted is None:
                wanted = found
            for a, b in zip(found, wanted, strict=True):
                assert_array_equal(a.view(f"u{a.itemsize}"), b.view(f"u{b.itemsize}"))


def test_ways_of_other_precisions_have_whole_blocks() -> None:
    assert _core.ways("stored")[0] == (4096, 0)
    assert _core.ways("stored") == _core.ways("blocks")
    assert len(set(_core.ways("stored"))) == len(_core.ways())
    for chunk, ahead in _core.ways("stored"):
        assert 1024 <= chunk <= 4096
        assert chunk % 1024 == ahead % 64 == 0
        assert ahead >= 0


@pytest.mark.parametrize(("kind", "how"), [("stored", {"states": "bfloat16"}), ("blocks", {"states": "8bit"})], ids=str)
def test_choice_is_made_for_each_kind_of_arrays(
    kind: str, how: dict[str, Any], set_threads: Callable[[int], None]
) -> None:
    set_threads(1)
    wanted = in_precision(schuss.Lion, "float32", how, LARGE, 3)
    steps = 0
    while _core.chosen_way("lion", False, 4 * (LARGE + 3 * (LARGE // 7) + 5), kind) is None:
        steps += 30
        assert steps <= 300
        in_precision(schuss.Lion, "float32", how, LARGE, 30)
    for other in {"plain", "stored", "blocks"} - {kind}:
        assert _core.chosen_way("lion", False, 4 * (LARGE + 3 * (LARGE // 7) + 5), other) is None
    for a, b in zip(in_precision(schuss.Lion, "float32", how, LARGE, 3), wanted, strict=True):
        assert_array_equal(a, b)
