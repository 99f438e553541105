"""Rules that take whole arrays: NumPy twins, the same bits for any number of threads, stages, mixed groups."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import schuss
from tests.reference import arrays, optim
from tests.reference.rule_cases import ARRAY_CASES, ARRAY_STAGES, MATRIX_CASES, SOAP_CASES, Case

Array = NDArray[Any]
Shape = tuple[int, ...]
SetThreads = Callable[[int], None]

MATRICES: list[Shape] = [(31, 7), (7, 31), (1, 1), (1, 40), (40, 1), (32, 32), (70, 40), (33, 130)]
# Small matrices together, many large ones, matrices in parts along either side, and vectors.
OTHERS: list[Shape] = [
    (),
    (1,),
    (37,),
    (20_001,),
    (50, 3, 3),
    (2, 5, 1, 7),
    (3, 0),
    (260, 200),
    (3, 150, 130),
    (20_000, 3),
]
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}
dtypes = pytest.mark.parametrize("dtype", list(TOLERANCE))


def shapes_of(case: Case) -> list[Shape]:
    return MATRICES + OTHERS if case in ARRAY_CASES else MATRICES


def normal(seed: int, shapes: Sequence[Shape], dtype: str) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.normal(size=s) * rng.choice([0.5, 1.0, 2.0])).astype(dtype) for s in shapes]


def made(case: Case, params: Any) -> schuss.Optimizer:
    kind: type[schuss.Optimizer] = getattr(schuss, case.optimizer)
    return kind(params, **case.options)


def assert_close(got: Sequence[Array], wanted: Sequence[Array], dtype: str) -> None:
    """Within the tolerance of the largest number of the array."""
    for a, b in zip(got, wanted, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        if a.size:
            np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE[dtype] * np.abs(b).max())


def assert_same(a: Sequence[Array], b: Sequence[Array], message: str = "") -> None:
    for p, q in zip(a, b, strict=True):
        assert_array_equal(p.view(np.uint8) if p.ndim else p, q.view(np.uint8) if q.ndim else q, err_msg=message)


def states_of(optimizer: schuss.Optimizer) -> list[Array]:
    return [array for states in optimizer._states() for array in states.values()]


# ---- the rules -------------------------------------------------------------------------------------------------------


@dtypes
@pytest.mark.parametrize("case", ARRAY_CASES + MATRIX_CASES, ids=str)
def test_follows_the_twin(case: Case, dtype: str, isa: str) -> None:
    follow(case, dtype, shapes_of(case), 20)


@dtypes
@pytest.mark.parametrize("case", [ARRAY_CASES[0], *MATRIX_CASES[:2]], ids=str)
def test_large_arrays_follow_the_twin(case: Case, dtype: str, isa: str, threads: int) -> None:
    """Products in parts, half of the symmetric ones copied."""
    follow(case, dtype, [(300, 150), (140, 290), (260, 260)], 2)


@dtypes
@pytest.mark.parametrize("stages", ARRAY_STAGES, ids=str)
@pytest.mark.parametrize("case", [ARRAY_CASES[1], *MATRIX_CASES[1:2]], ids=str)
def test_stages(case: Case, stages: dict[str, float], dtype: str) -> None:
    follow(case, dtype, shapes_of(case), 10, **stages)


def follow(case: Case, dtype: str, shapes: Sequence[Shape], steps: int, **stages: float) -> None:
    params, twins = normal(0, shapes, dtype), normal(0, shapes, dtype)
    states = [[np.zeros(s, dtype) for s in arrays.state_shapes(case.group, shape)] for shape in shapes]
    optimizer = made(case, params)
    for t in range(1, steps + 1):
        grads = normal(t, shapes, dtype)
        kept = copy.deepcopy(grads)
        optimizer.step(grads, **stages)  # type: ignore[arg-type]
        assert not optimizer.nonfinite
        assert_same(grads, kept, "a step must only read the gradients")
        optim.step(twins, grads, states, [case.group], t, **stages)
    assert_close(params, twins, dtype)
    assert_close(states_of(optimizer), [s for of in states for s in of], dtype)


SHARED: dict[str, list[Shape]] = {
    # These take long enough that the members of a team share each; the small ones beside them are shared out.
    "Adafactor": [
        (400, 500),
        (3, 37),
        (500, 400),
        (150_001,),
        (70, 50, 40),
        (64, 60, 50),
        (9, 3, 3),
        (5,),
        (33_000, 4),
    ],
    "Muon": [(150, 300), (310, 140), (7, 9), (200, 200), (30, 40), (1, 5)],
    "SOAP": [(90, 130), (140, 60), (7, 9), (100, 100), (70_000,), (5,), (12, 13, 14), (40, 20, 3, 3)],
}


@dtypes
@pytest.mark.parametrize("case", [ARRAY_CASES[0], MATRIX_CASES[0], MATRIX_CASES[2], *SOAP_CASES[4:]], ids=str)
def test_bits_do_not_depend_on_threads(
    case: Case, dtype: str, each_isa: Callable[[], Iterator[str]], set_threads: SetThreads
) -> None:
    """Nor on the instruction set, but for products on the baseline, which has no fused multiply-add."""
    shapes = SHARED[case.optimizer]
    by_level: dict[str, list[Array]] = {}
    for isa in each_isa():
        for threads in (1, 2, 3, 7):
            set_threads(threads)
            params = normal(0, shapes, dtype)
            optimizer = made(case, params)
            for t in range(4):
                optimizer.step(normal(10 + t, shapes, dtype), clip_norm=100.0)
            found = [*params, *states_of(optimizer)]
            assert_same(found, by_level.setdefault(isa, found), f"{threads} threads")
    levels = [found for isa, found in by_level.items() if isa != "baseline" or case.optimizer == "Adafactor"]
    for found in levels[1:]:
        assert_same(found, levels[0])


@pytest.mark.parametrize("case", [ARRAY_CASES[0], MATRIX_CASES[0], SOAP_CASES[0]], ids=str)
def test_threads_and_instruction_sets_that_change(
    case: Case, each_isa: Callable[[], Iterator[str]], set_threads: SetThreads
) -> None:
    """Room for more threads, and for another level's products, is made when they come."""
    shapes = SHARED[case.optimizer]
    params = normal(0, shapes, "float32")
    optimizer = made(case, params)
    for _ in range(2):
        for threads in (1, 5, 2):
            set_threads(threads)
            for _ in each_isa():
                optimizer.step(normal(1, shapes, "float32"))
    assert all(np.isfinite(p).all() for p in params)


@dtypes
@pytest.mark.parametrize("case", [ARRAY_CASES[0], MATRIX_CASES[0]], ids=str)
def test_zero_gradients(case: Case, dtype: str) -> None:
    shapes = shapes_of(case)
    params = normal(0, shapes, dtype)
    optimizer = made(case, params)
    before = copy.deepcopy(params)
    for grads in ([np.zeros_like(p) for p in params], normal(1, shapes, dtype), [np.zeros_like(p) for p in params]):
        optimizer.step(grads)
        assert all(np.isfinite(p).all() for p in params)
        if optimizer.steps == 1:
            keep = 1 - optimizer.param_groups[0]["lr"] * optimizer.param_groups[0]["weight_decay"]
            assert_close(params, [np.asarray(keep * p, dtype) for p in before], dtype)


# ---- what comes before and after a rule ------------------------------------------------------------------------------


@dtypes
@pytest.mark.parametrize("case", [ARRAY_CASES[1], MATRIX_CASES[1], SOAP_CASES[1]], ids=str)
def test_averages_and_zeroed_gradients(case: Case, dtype: str, set_threads: SetThreads) -> None:
    shapes = SHARED[case.optimizer]
    set_threads(2)
    params, plain = normal(0, shapes, dtype), normal(0, shapes, dtype)
    optimizer, by_hand = made(case, params), made(case, plain)
    ema = schuss.EMA(optimizer, decay=0.5)
    wanted: list[Array] = []
    for t in range(4):
        grads = normal(1 + t, shapes, dtype)
        by_hand.step(grads)
        ema.step(grads, zero_grad=True)
        assert all((g == 0).all() for g in grads)
        half = plain[0].dtype.type(0.5)
        wanted = [a + half * (p - a) for a, p in zip(wanted or plain, plain, strict=True)]
    assert_same(params, plain)
    assert_same(optimizer._stepper.averages[0], wanted)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("case", [ARRAY_CASES[0], MATRIX_CASES[0], SOAP_CASES[2]], ids=str)
def test_nonfinite_gradients(case: Case, threads: int, set_threads: SetThreads) -> None:
    shapes = SHARED[case.optimizer]
    set_threads(threads)
    for index in (0, 1, len(shapes) - 1):
        params = normal(0, shapes, "float32")
        optimizer = made(case, params)
        optimizer.step(normal(1, shapes, "float32"))
        assert not optimizer.nonfinite
        before = copy.deepcopy([*params, *states_of(optimizer)])
        grads = normal(2, shapes, "float32")
        grads[index].reshape(-1)[-1] = np.nan
        for stages in ({"on_nonfinite": "raise"}, {"clip_norm": 1.0}):
            with pytest.raises(schuss.DivergenceError):
                optimizer.step(grads, **stages)  # type: ignore[arg-type]
            assert optimizer.nonfinite and optimizer.steps == 1
        optimizer.step(grads, on_nonfinite="skip")
        assert optimizer.nonfinite and optimizer.steps == 1
        assert_same([*params, *states_of(optimizer)], before)
        optimizer.step(grads)
        assert optimizer.nonfinite and optimizer.steps == 2
        untouched = [k for k in range(len(shapes)) if k != index]
        assert all(np.isfinite(params[k]).all() for k in untouched)


def test_room_of_adafactor() -> None:
    """Less than a megabyte on two threads, whatever the shape."""
    for shape in (
        (2000, 5000),
        (5000, 2000),
        (10_000_000,),
        (1_000_000, 10),
        (10, 1_000_000),
        (1000, 1000, 10),
        (3162, 3162),
    ):
        p = np.zeros(shape, np.float32)
        optimizer = schuss.Adafactor(p)
        with schuss.threads(2):
            optimizer.step(np.zeros(shape, np.float32))
        assert optimizer._stepper.scratch.nbytes < 1 << 20


def test_states_of_adafactor() -> None:
    params = [np.zeros(shape, np.float32) for shape in ((3, 4), (2, 5, 3, 4), (7,), ())]
    shapes = [{k: v.shape for k, v in states.items()} for states in schuss.Adafactor(params)._states()]
    assert shapes == [
        {"row_var": (3, 1), "col_var": (1, 4)},
        {"row_var": (2, 5, 3, 1), "col_var": (2, 5, 1, 4)},
        {"variance": (7,)},
        {"variance": ()},
    ]


# ---- Muon and AdamW --------------------------------------------------------------------------------------------------


MIXED: list[Shape] = [(40, 50), (50,), (), (50, 60), (60,), (3, 4, 5)]


@dtypes
@pytest.mark.parametrize("threads", [1, 2])
def test_adamw_for_what_is_no_matrix(dtype: str, threads: int, set_threads: SetThreads) -> None:
    """In the caller's order; the bits of two optimizers."""
    set_threads(threads)
    params, others = normal(0, MIXED, dtype), normal(0, MIXED, dtype)
    together = schuss.Muon(params, lr=0.1, adamw={"lr": 0.02, "betas": (0.8, 0.9)}, maximize=True)
    assert [group["use_muon"] for group in together.param_groups] == [True, False]
    muon = schuss.Muon([p for p in others if p.ndim == 2], lr=0.1, maximize=True)
    adamw = schuss.AdamW([p for p in others if p.ndim != 2], lr=0.02, betas=(0.8, 0.9), maximize=True)
    for t in range(5):
        grads = normal(1 + t, MIXED, dtype)
        together.step(grads)
        muon.step([g for g in grads if g.ndim == 2])
        adamw.step([g for g in grads if g.ndim != 2])
    assert_same(params, others)


def test_groups_of_adamw() -> None:
    params, others = normal(0, MIXED, "float32"), normal(0, MIXED, "float32")
    together = schuss.Muon(
        [
            {"params": params[:1], "lr": 0.1},
            {"params": params[1:], "use_muon": False, "lr": 0.02, "eps": 1e-6, "weight_decay": 0.3, "amsgrad": True},
        ],
        adamw={"betas": (0.8, 0.9), "lr": 7.0},
    )
    group = together.param_groups[1]
    assert (group["lr"], group["betas"], group["eps"], group["rule"]) == (0.02, (0.8, 0.9), 1e-6, "adam")
    assert not group.keys() & {"momentum", "nesterov", "ns_steps"}
    muon = schuss.Muon(others[:1], lr=0.1)
    adamw = schuss.AdamW(others[1:], lr=0.02, betas=(0.8, 0.9), eps=1e-6, weight_decay=0.3, amsgrad=True)
    for t in range(5):
        grads = normal(1 + t, MIXED, "float32")
        together.step(grads)
        muon.step(grads[:1])
        adamw.step(grads[1:])
    assert_same(params, others)


def test_mixed_groups_as_states() -> None:
    """state_dict, pickle and deepcopy of both kinds of groups, and no_decay beside them."""
    params = normal(0, MIXED, "float32")
    optimizer = schuss.Muon(params, adamw={}, no_decay=True)
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.1, 0.01, 0.0]
    optimizer.step(normal(1, MIXED, "float32"))
    other = copy.deepcopy(optimizer)
    third = schuss.Muon(copy.deepcopy(params), adamw={"lr": 0.5}, no_decay=True)
    third.load_state_dict(optimizer.state_dict())
    for t in range(2):
        for o in (optimizer, other, third):
            o.step(normal(2 + t, MIXED, "float32"))
    for o in (other, third):
        assert_same(o._stepper.params, params)
        np.testing.assert_equal(o.state_dict(), optimizer.state_dict())


def test_groups_where_all_are_moved() -> None:
    params = normal(0, [(3,), (4, 5), (6,)], "float32")
    optimizer = schuss.Muon([{"params": params[:1], "lr": 0.3}, {"params": params[1:]}], adamw={})
    assert [(g["use_muon"], len(g["params"])) for g in optimizer.param_groups] == [(False, 1), (True, 1), (False, 1)]
    assert optimizer.param_groups[0]["lr"] == 1e-3


def test_muon_by_name() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 8)).astype(np.float32)
    net = schuss.Network([schuss.Dense(8, 16, "relu"), schuss.Dense(16, 2)], seed=0)
    history = net.fit(X, (X[:, 0] > 0).astype(int), loss="cross_entropy", optimizer="muon", lr=0.02, epochs=20)
    assert history["loss"][-1] < 0.2
    assert [g["use_muon"] for g in net.optimizer.param_groups] == [True, False]


def test_matrices_wanted() -> None:
    w, b = np.ones((3, 4)), np.ones(4)
    for params, where in (([w, b], r"params\[1\]"), ({"w": w, "b": b}, r"params\['b'\]"), (b, "params")):
        with pytest.raises(ValueError, match=rf"^{where} must be a matrix, or in a group with use_muon False.*\(4,\)"):
            schuss.Muon(params)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"params\[0\]'s key 'momentum' is not known"):
        schuss.Muon([{"params": [w], "use_muon": False, "momentum": 0.9}])
    with pytest.raises(ValueError, match="adamw's key 'beta' is not known; did you mean 'betas'"):
        schuss.Muon(w, adamw={"beta": 0.9})
    with pytest.raises(TypeError, match="adamw must be a dict"):
        schuss.Muon(w, adamw=0.1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="use_muon must be True or False"):
        schuss.Muon([{"params": [w], "use_muon": 1}])


def test_rows_go_to_adamw() -> None:
    table, w = np.ones((10, 3), np.float32), np.ones((4, 4), np.float32)
    optimizer = schuss.Muon([{"params": [table], "use_muon": False}, {"params": [w]}])
    rows = schuss.Rows([2, 5], np.ones((2, 3), np.float32))
    optimizer.step([rows, np.ones_like(w)])
    assert (np.abs(table - 1).max(1) > 0).nonzero()[0].tolist() == [2, 5]
    with pytest.raises(TypeError, match="whole arrays"):
        optimizer.step([table, schuss.Rows([1], np.ones((1, 4), np.float32))])
