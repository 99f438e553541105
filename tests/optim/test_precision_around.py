"""What stands around optimizers of reduced precision, and what may be done to them at the wrong time."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import schuss
from tests.interrupts import broken
from tests.optim.test_precision import narrowed, widened

Array = NDArray[Any]

HOWS: list[dict[str, Any]] = [
    {},
    {"master": "float32"},
    {"master": "split"},
    {"master": "split", "states": "8bit"},
    {"master": "float32", "states": "bfloat16", "rounding": "stochastic"},
]


def numbers(seed: int = 0, shape: tuple[int, ...] = (5003,)) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def half(seed: int = 0, shape: tuple[int, ...] = (5003,)) -> Array:
    return narrowed(numbers(seed, shape), "bfloat16")[0]


def bits(opt: schuss.Optimizer) -> list[bytes]:
    states = [state[name] for state in opt._states() for name in state]
    return [np.ascontiguousarray(array).tobytes() for array in (*opt._stepper.params, *states)]


def made(how: dict[str, Any], kind: Any = schuss.AdamW, **options: Any) -> tuple[Array, schuss.Optimizer]:
    p = half()
    opt = kind([p], **options)
    opt.set_precision(**how)
    return p, opt


def exact(opt: schuss.Optimizer) -> Array:
    """The parameter in float32."""
    state, p = opt._states()[0], opt._stepper.params[0]
    if "master" in state:
        return state["master"].copy()
    return widened(p, "split", state["low"]) if "low" in state else widened(p, "bfloat16")


# -- averages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", HOWS, ids=str)
def test_averages_are_of_the_numbers_in_float32(how: dict[str, Any]) -> None:
    _, opt = made(how, lr=1e-2)
    ema = schuss.EMA(opt, 0.999)
    swa = schuss.SWA(opt)
    expected = exact(opt)
    seen = []
    for t in range(5):
        ema.step([numbers(t + 1)])
        # The step averages the numbers that its rule gave, before they are rounded.
        seen.append(exact(opt))
    assert ema.averages[0].dtype == np.float32
    if how.get("master") is not None:
        expected = seen[0]
        for x in seen[1:]:
            expected = expected + np.float32(1 - 0.999) * (x - expected)
        np.testing.assert_allclose(ema.averages[0], expected, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(swa.averages[0], np.mean(seen, axis=0), rtol=1e-5, atol=1e-7)
    assert (ema.averages[0] != seen[0]).mean() > 0.9  # they move


@pytest.mark.parametrize("how", HOWS, ids=str)
def test_averages_applied_and_copied(how: dict[str, Any]) -> None:
    p, opt = made(how, lr=0.1)
    ema = schuss.EMA(opt, 0.9)
    for t in range(3):
        ema.step([numbers(t + 1)])
    before = bits(opt)
    nearest = narrowed(ema.averages[0], "split" if "low" in opt._states()[0] else "bfloat16")
    with ema.applied():
        assert_array_equal(p, nearest[0])
        if how.get("master") is not None:
            assert_array_equal(exact(opt), ema.averages[0])
    assert bits(opt) == before
    ema.copy_to_params()
    assert_array_equal(p, nearest[0])
    if how.get("master") is not None:
        assert_array_equal(exact(opt), ema.averages[0])
    ema.step([numbers(9)])


@pytest.mark.parametrize("how", HOWS, ids=str)
def test_lookahead(how: dict[str, Any]) -> None:
    _, opt = made(how, kind=schuss.SGD, lr=0.5)
    ahead = schuss.Lookahead(opt, k=2, alpha=0.5)
    start = exact(opt)
    for _ in range(2):
        ahead.step([np.ones(5003, np.float32)])
    assert_array_equal(widened(opt._stepper.params[0], "bfloat16").shape, start.shape)
    # Two steps of 0.5 down, half of the way back: in float32 the slow weights are 0.5 below the start.
    np.testing.assert_allclose(ahead.averages[0], start - 0.5, atol=0.02 if how.get("master") is None else 1e-6)
    np.testing.assert_allclose(exact(opt), ahead.averages[0], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("how", HOWS, ids=str)
@pytest.mark.parametrize("around", [schuss.EMA, schuss.SWA, schuss.Lookahead], ids=lambda kind: kind.__name__)
def test_averages_are_saved_and_loaded(around: Any, how: dict[str, Any]) -> None:
    p, opt = made(how, lr=0.1)
    average = around(opt)
    for t in range(3):
        average.step([numbers(t + 1)])
    state = average.state_dict()
    other = schuss.AdamW([p.copy()], lr=0.1)
    other.set_precision(**how)
    loaded = around(other)
    loaded.load_state_dict(state)
    copies = [loaded, pickle.loads(pickle.dumps(average)), copy.deepcopy(average)]
    for t in range(6):
        for one in (average, *copies):
            one.step([numbers(t + 5)])
    for one in copies:
        assert bits(one.optimizer) == bits(opt)
        assert_array_equal(one.averages[0], average.averages[0])
    state["averages"][0]["arrays"][0] = half()
    with pytest.raises(ValueError, match="like each parameter"):
        loaded.load_state_dict(state)


def test_averages_before_set_precision() -> None:
    opt = schuss.AdamW([half()])
    schuss.EMA(opt)
    with pytest.raises(ValueError, match="before averages are kept; 1 are"):
        opt.set_precision(states="8bit")


# -- others ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", HOWS, ids=str)
def test_accumulate(how: dict[str, Any]) -> None:
    """Sums are in float32, whatever the gradients are."""
    _, opt = made(how, lr=0.1)
    _, plain = made(how, lr=0.1)
    sums = schuss.Accumulate(opt, 2)
    gs = [numbers(1).astype(np.float16), half(2)]
    assert not sums.step([gs[0]])
    other = pickle.loads(pickle.dumps(sums))
    assert sums.step([gs[1]])
    assert other.step([gs[1]])
    plain.step([gs[0].astype(np.float32) + widened(gs[1], "bfloat16")], grad_scale=0.5)
    assert bits(opt) == bits(plain) == bits(other.optimizer)
    sums.load_state_dict(sums.state_dict())


@pytest.mark.parametrize("how", HOWS, ids=str)
def test_sam(how: dict[str, Any]) -> None:
    p, opt = made(how, lr=0.1)
    sam = schuss.SAM(opt, rho=0.5)
    opt.step([numbers(1)])
    before = bits(opt)
    sam.first_step([half(2)])
    assert (np.frombuffer(before[0], np.uint16) != p).any()
    other = pickle.loads(pickle.dumps(sam))
    _, twin = made(how, lr=0.1)
    twin.step([numbers(1)])
    twin.step([half(3)])
    for one in (sam, other):
        one.second_step([half(3)])
        assert bits(one.optimizer) == bits(twin)

    def fails() -> Any:
        raise ValueError("of the closure")

    before = bits(opt)
    with pytest.raises(ValueError, match="of the closure"):
        sam.step(fails)
    assert bits(opt) == before


@pytest.mark.parametrize("how", HOWS, ids=str)
def test_switch(how: dict[str, Any]) -> None:
    p, first = made(how, lr=0.1)
    second = schuss.SGD([p], lr=0.1, momentum=0.9)
    second.set_precision(master="float32")
    switch = schuss.Switch(first, second, at=2)
    for t in range(3):
        switch.step([numbers(t + 1)])
    # The master of the second begins with the parameters as the first has left them.
    other = pickle.loads(pickle.dumps(switch))
    same = schuss.Switch(*_pair(p, how), at=2)
    same.load_state_dict(switch.state_dict())
    for one in (switch, other, same):
        one.step([numbers(7)])
    assert bits(other.second) == bits(second) == bits(same.second)


def _pair(p: Array, how: dict[str, Any]) -> tuple[schuss.Optimizer, schuss.Optimizer]:
    p = p.copy()
    first, second = schuss.AdamW([p], lr=0.1), schuss.SGD([p], lr=0.1, momentum=0.9)
    first.set_precision(**how)
    second.set_precision(master="float32")
    return first, second


@pytest.mark.parametrize("kind", [schuss.ScheduleFreeAdamW, schuss.ScheduleFreeSGD], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("how", HOWS, ids=str)
def test_schedule_free(how: dict[str, Any], kind: Any) -> None:
    _, opt = made(how, kind=kind, lr=0.01)
    plain = kind([exact(opt)], lr=0.01)
    for t in range(4):
        opt.step([numbers(t + 1)])
        plain.step([numbers(t + 1)])
    y = exact(opt)
    opt.eval()
    plain.eval()
    loose = (
        {"rtol": 0.03, "atol": 0.03} if how.get("master") is None or "states" in how else {"rtol": 1e-5, "atol": 1e-6}
    )
    np.testing.assert_allclose(exact(opt), plain._stepper.params[0], **loose)
    if how.get("master") == "float32":
        assert_array_equal(opt._stepper.params[0], narrowed(exact(opt), "bfloat16")[0])
    with pytest.raises(RuntimeError, match="eval mode"):
        opt.step([numbers(1)])
    other = pickle.loads(pickle.dumps(opt))
    assert not other.training
    opt.train()
    other.train()
    np.testing.assert_allclose(exact(opt), y, rtol=0.02 if how.get("master") is None else 1e-5, atol=1e-6)
    opt.step([numbers(9)])
    other.step([numbers(9)])
    assert bits(opt) == bits(other)


def test_lbfgs_refuses_them() -> None:
    for p in (half(), np.zeros(3, np.float16), np.zeros(3, ml_dtypes.bfloat16)):
        with pytest.raises(TypeError, match=r"params\[0\] has dtype .*, expected native float32 or float64"):
            schuss.LBFGS([p])


def test_arrays_of_several_formats_in_one_optimizer() -> None:
    rng = np.random.default_rng(0)
    wide = [rng.normal(size=5003).astype(np.float32) for _ in range(4)]
    params = [
        wide[0].copy(),
        narrowed(wide[1], "bfloat16")[0],
        wide[2].astype(np.float16),
        wide[3].astype(ml_dtypes.bfloat16),
    ]
    for how in ({}, {"master": "float32"}, {"master": "float32", "states": "8bit"}):
        mine = [p.copy() for p in params]
        groups = [{"params": mine[:2]}, {"params": mine[2:], "weight_decay": 0.0}]
        opt = schuss.AdamW(groups, lr=0.1)
        opt.set_precision(**how)
        alone = []
        for k, p in enumerate(params):
            one = p.copy()
            of_one = schuss.AdamW([one], lr=0.1, **({"weight_decay": 0.0} if k > 1 else {}))
            of_one.set_precision(
                **({} if k == 0 and "states" not in how else {**how, **({"master": None} if k == 0 else {})})
            )
            for _ in range(2):
                of_one.step([wide[k]])
            alone.append(one)
        for _ in range(2):
            opt.step([[wide[0], wide[1]], [wide[2], wide[3]]])
        for p, expected in zip(mine, alone, strict=True):
            assert p.tobytes() == expected.tobytes()
    with pytest.raises(ValueError, match="master must be None or 'float32' for parameters in float16"):
        schuss.AdamW([p.copy() for p in params]).set_precision(master="split")


def test_parameters_without_decay() -> None:
    params = {"weight": half(0, (70, 80)), "bias": half(1, (80,))}
    opt = schuss.AdamW(params, lr=0.1, weight_decay=0.5, no_decay=True)
    opt.set_precision(master="split")
    before = params["bias"].copy()
    opt.step({"weight": np.zeros((70, 80), np.float16), "bias": np.zeros(80, ml_dtypes.bfloat16)})
    assert_array_equal(params["bias"], before)
    assert (params["weight"] != half(0, (70, 80))).mean() > 0.9


@pytest.mark.parametrize("offset", range(1, 9))
def test_parameters_at_any_address(offset: int) -> None:
    for dtype in (np.uint16, np.float16):
        room = np.zeros(5003 + 16, dtype)
        p = room[offset : offset + 5003]
        p[...] = half() if dtype == np.uint16 else numbers().astype(np.float16)
        twin = p.copy()
        for array in (p, twin):
            opt = schuss.AdamW([array], lr=0.1)
            opt.set_precision(states="8bit")
            opt.step([numbers(1)])
        assert_array_equal(p, twin)
        assert not room[:offset].any()
        assert not room[offset + 5003 :].any()
    odd = np.zeros(5003 * 2 + 1, np.uint8)[1:].view(np.uint16)
    with pytest.raises(ValueError, match=r"params\[0\] is misaligned"):
        schuss.AdamW([odd])


# -- at the wrong time -------------------------------------------------------------------------------------------------


def test_set_precision_again() -> None:
    p, opt = made({"states": "8bit", "master": "split"})
    opt.set_precision()
    assert list(opt._states()[0]) == ["exp_avg", "exp_avg_sq"]
    opt.set_precision(states="bfloat16")
    opt.step([numbers(1)])
    before, precision = bits(opt), opt._precision
    with pytest.raises(ValueError, match="before the first step; 1 were made"):
        opt.set_precision(states="8bit")
    assert bits(opt) == before
    assert opt._precision == precision
    opt.step([numbers(1)])
    assert p.any()


@pytest.mark.parametrize(
    "given",
    [
        {"states": "4bit"},
        {"states": None},
        {"master": "float64"},
        {"master": 3},
        {"rounding": "up"},
        {"seed": 2**64},
        {"seed": -1},
        {"seed": 1.5},
        {"seed": True},
        {"seed": "0"},
    ],
    ids=str,
)
def test_arguments_that_are_none(given: dict[str, Any]) -> None:
    _, opt = made({"states": "bfloat16"})
    before = opt._stepper
    with pytest.raises((ValueError, TypeError), match=next(iter(given))):
        opt.set_precision(**given)
    assert opt._stepper is before
    assert opt._precision.states == "bfloat16"


def test_nothing_that_it_is_about() -> None:
    opt = schuss.AdamW([np.zeros(3, np.float32)])
    with pytest.raises(ValueError, match="master must be None, as parameters are in float32"):
        opt.set_precision(master="float32")
    with pytest.raises(ValueError, match="rounding must be 'nearest'"):
        opt.set_precision(rounding="stochastic")
    with pytest.raises(ValueError, match="must be left out, as parameters are in float64; got "):
        schuss.AdamW([np.zeros(3)]).set_precision(states="8bit")
    with pytest.raises(TypeError, match="expected one dtype to compute in"):
        schuss.AdamW([np.zeros(3), half()])
    schuss.AdamW([np.zeros(3)]).set_precision()


def test_within_a_step() -> None:
    p = half()

    def rate(t: int) -> float:
        if t == 1 or p.size == 1:
            opt.set_precision(states="8bit")
        return 0.1

    opt = schuss.AdamW([p], lr=rate)
    opt.step([numbers(1)])
    with pytest.raises(RuntimeError, match="set_precision was called within a step"):
        opt.step([numbers(1)])
    assert opt.steps == 1
    assert opt._precision.states == "float32"


def test_settings_that_ask_for_more_states_later() -> None:
    """What is kept beside states lies where more states would be."""
    for how in HOWS:
        for kind, change in ((schuss.Adam, {"amsgrad": True}), (schuss.SGD, {"momentum": 0.9})):
            p, opt = made(how, kind=kind, lr=0.1)
            opt.step([numbers(1)])
            before = p.copy()
            opt.param_groups[0].update(change)
            with pytest.raises(ValueError, match="now asks for a state"):
                opt.step([numbers(1)])
            assert_array_equal(p, before)
            opt.param_groups[0].update({name: type(value)(0) for name, value in change.items()})
            opt.step([numbers(1)])


@pytest.mark.parametrize("rows", ["lazy", "exact"])
def test_rows(rows: str) -> None:
    shape = (100, 60)
    with pytest.raises(ValueError, match=r"param_groups\[0\]\['rows'\] must be None, since params\[0\] or its states"):
        schuss.Adam([half(0, shape)], rows=rows)
    opt = schuss.Adam([numbers(0, shape)], rows=rows)
    for states in ("8bit", "bfloat16"):
        with pytest.raises(
            ValueError, match=r"param_groups\[0\]\['rows'\] must be None, since params\[0\] or its states"
        ):
            opt.set_precision(states=states)
    opt.step([numbers(1, shape)])
    opt = schuss.Adam([numbers(0, shape)])
    opt.set_precision(states="8bit")
    before = bits(opt)
    with pytest.raises(TypeError, match="states are kept in 8 bits"):
        opt.step([schuss.Rows(np.array([3]), numbers(0, (1, 60)))])
    opt.param_groups[0]["rows"] = rows
    with pytest.raises(ValueError, match=r"\['rows'\] must be None, since params\[0\] or its states"):
        opt.step([numbers(1, shape)])
    assert bits(opt) == before
    assert opt.steps == 0
    opt.param_groups[0]["rows"] = None
    opt.step([numbers(1, shape)])


def test_gradients_that_are_what_a_step_writes() -> None:
    p, opt = made({"states": "8bit", "master": "split"})
    opt.step([numbers(1)])
    room = np.zeros(3 * 5003, np.uint16)
    for array in opt._states()[0].values():
        flat = array.reshape(-1).view(np.uint8)
        for dtype in (np.uint16, np.float16, np.float32):
            view = flat[: flat.size // 8 * 8].view(dtype)
            if view.size < 5003:
                continue
            before = bits(opt)
            with pytest.raises(ValueError, match="shares memory with a state"):
                opt.step([view[:5003]])
            assert bits(opt) == before
    with pytest.raises(ValueError, match="shares memory with a parameter"):
        opt.step([p])
    q = room[5003 : 2 * 5003]
    other = schuss.SGD([q], lr=0.1)
    for start in (1, 5002, 2 * 5003 - 1):
        with pytest.raises(ValueError, match="shares memory with a parameter"):
            other.step([room[start : start + 5003]])
    other.step([room[:5003]])
    other.step([room[2 * 5003 :]])
    # Gradients of more bytes reach further.
    more = np.zeros(4 * 5003, np.uint16)
    q = more[2 * 5003 : 3 * 5003]
    other = schuss.SGD([q], lr=0.1)
    other.step([more[: 2 * 5003].view(np.float32)])
    with pytest.raises(ValueError, match="shares memory with a parameter"):
        other.step([more[2 : 2 * 5003 + 2].view(np.float32)])


@pytest.mark.parametrize(
    "change",
    [
        lambda p: setattr(p, "dtype", np.float16),
        lambda p: setattr(p, "dtype", np.int16),
        lambda p: p.setflags(write=False),
    ],
)
def test_arrays_that_have_changed(change: Callable[[Array], None]) -> None:
    p, opt = made({"master": "float32", "states": "8bit"})
    opt.step([numbers(1)])
    states = bits(opt)[1:]
    change(p)
    with pytest.raises(ValueError, match=r"params\[0\] has become"):
        opt.step([numbers(1)])
    assert bits(opt)[1:] == states
    with pytest.raises(ValueError, match="resize"):
        p.resize(7000, refcheck=False)


def test_empty_arrays_and_scalars() -> None:
    shapes: list[tuple[int, ...]] = [(0,), (), (0, 5), (3, 0), (1,)]
    for kind in (schuss.AdamW, schuss.LAMB, schuss.Adafactor, schuss.SOAP, schuss.RowAdaGrad, schuss.ScheduleFreeAdamW):
        for how in HOWS:
            opt = kind([np.zeros(shape, np.uint16) for shape in shapes])
            opt.set_precision(**how)
            for dtype in (np.float16, np.float64):
                opt.step([np.ones(shape, dtype) for shape in shapes], clip_norm=1.0, zero_grad=True)
            other = pickle.loads(pickle.dumps(opt))
            other.load_state_dict(opt.state_dict())
            assert bits(other) == bits(opt)


def test_after_very_many_steps() -> None:
    _, opt = made({"states": "bfloat16", "rounding": "stochastic", "seed": 2**64 - 1})
    opt._stepper.steps = 2**52
    opt.step([numbers(1)])
    assert opt.steps == 2**52 + 1
    other = pickle.loads(pickle.dumps(opt))
    opt.step([numbers(2)])
    other.step([numbers(2)])
    assert bits(other) == bits(opt)


def test_what_a_master_is_read_from() -> None:
    p, opt = made({"master": "float32"}, kind=schuss.SGD, lr=0.5)
    p[...] = narrowed(np.full(5003, 3, np.float32), "bfloat16")[0]
    opt.step([np.ones(5003, np.float32)])
    assert_array_equal(opt._states()[0]["master"], np.full(5003, 2.5))
    p[...] = 0
    opt.step([np.ones(5003, np.float32)])
    assert_array_equal(widened(p, "bfloat16"), np.full(5003, 2.0))
    p, opt = made({"master": "split"}, kind=schuss.SGD, lr=0.5)
    opt.step([np.ones(5003, np.float32)])
    p[...] = narrowed(np.full(5003, 3, np.float32), "bfloat16")[0]
    opt._states()[0]["low"][...] = 0
    opt.step([np.ones(5003, np.float32)])
    assert_array_equal(widened(p, "bfloat16"), np.full(5003, 2.5))


def test_threads_of_python() -> None:
    """Two that step at once: one is refused, or they come after each other."""
    _, opt = made({"master": "split", "states": "8bit"})
    refused = []

    def steps() -> None:
        for _ in range(50):
            try:
                opt.step([numbers(1)])
            except RuntimeError:
                refused.append(1)

    threads = [threading.Thread(target=steps) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opt.steps + len(refused) == 150


@pytest.mark.parametrize("how", HOWS[2:4], ids=str)
def test_interrupts(how: dict[str, Any]) -> None:
    def make() -> tuple[Array, schuss.Optimizer, schuss.EMA]:
        p = half(0, (4200,))
        opt = schuss.AdamW([p], lr=0.1)
        opt.set_precision(**how)
        ema = schuss.EMA(opt, 0.5)
        ema.step([numbers(1, (4200,))])
        return p, opt, ema

    _, opt, _ = make()
    before = bits(opt)

    def operation(subject: tuple[Array, schuss.Optimizer, schuss.EMA]) -> None:
        with subject[2].applied():
            pass

    def check(subject: tuple[Array, schuss.Optimizer, schuss.EMA]) -> None:
        assert bits(subject[1]) == before

    broken(make, operation, check)

    _, opt, _ = make()
    opt.step([numbers(2, (4200,))])
    after = bits(opt)
    state = opt.state_dict()

    def load(subject: tuple[Array, schuss.Optimizer, schuss.EMA]) -> None:
        subject[1].load_state_dict(state)

    def whole(subject: tuple[Array, schuss.Optimizer, schuss.EMA]) -> None:
        assert bits(subject[1])[1:] in (before[1:], after[1:])

    broken(make, load, whole)

    fresh = schuss.AdamW([half(0, (4200,))])

    def change(subject: schuss.Optimizer) -> None:
        subject.set_precision(**how)

    def consistent(subject: schuss.Optimizer) -> None:
        subject.step([numbers(1, (4200,))])
        pickle.loads(pickle.dumps(subject))

    broken(lambda: copy.deepcopy(fresh), change, consistent)
