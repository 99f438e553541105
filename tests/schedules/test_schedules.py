"""Schedules as objects and as functions. Their formulas beside other libraries' are in test_torch.py."""

from __future__ import annotations

import copy
import inspect
import json
import math
import pickle
import re
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import schuss
from schuss import schedules as s
from schuss.schedules import elementwise


def slowly(step: int) -> float:
    """A function of the step that can be pickled."""
    assert type(step) is int
    return 1.0 / (1 + step)


# One of each, with arguments that are not the defaults.
EXAMPLES: list[s.Schedule] = [
    s.Constant(0.3),
    s.Lambda(slowly, 0.3),
    s.Multiplicative(0.3, slowly),
    s.Linear(0.3, 40, 0.01),
    s.Polynomial(0.3, 40, 2.0, 0.01),
    s.Polynomial(0.3, 40, 1.5),
    s.Exponential(0.3, 0.97),
    s.Exponential(0.3, 0.5, 10, 0.01),
    s.Exponential(0.1, 1.5, 10, 2.0, staircase=True),
    s.InverseTime(0.3, 0.1),
    s.InverseTime(0.3, 0.1, 7, 0.5, staircase=True),
    s.InverseSqrt(0.3, 10),
    s.Step(0.3, 7, 0.5),
    s.MultiStep(0.3, [3, 3, 50], 0.5),
    s.PiecewiseConstant([3, 50], [0.3, 0.0, 0.1]),
    s.PiecewiseLinear([3, 50, 60], [0.3, 0.0, 0.1]),
    s.Cosine(0.3, 40, 0.01),
    s.Cosine(0.3, 40, 0.01, warmup_steps=7, periodic=True),
    s.CosineRestarts(0.3, 7, min_lr=0.01, lr_mult=0.7),
    s.CosineRestarts(0.3, 7, 2, 0.01, lr_mult=0.7),
    s.OneCycle(0.3, 60, 0.25, "linear", 10.0, 100.0, three_phase=True),
    s.OneCycle(0.3, 60),
    s.Cyclic(0.1, 0.3, 7, 9, "triangular2"),
    s.Cyclic(0.1, 0.3, 7, mode="exp_range", gamma=0.99),
    s.Sequence([0.1, s.Cosine(0.3, 20), slowly], [5, 20]),
    s.Product(s.Linear(0, 10, 1), s.Step(0.3, 20), 0.5),
    s.WarmUp(10, s.Cosine(0.3, 50), 0.1),
    s.PerEpoch(7, s.Step(0.3, 2)),
    s.CosLog(0.3, 90, 3),
    s.FlatCos(0.3, 90, 0.3, 0.01),
    s.ReduceOnPlateau(0.3, 0.5, 3),
]
PURE = [schedule for schedule in EXAMPLES if not isinstance(schedule, s.ReduceOnPlateau)]


def name_of(schedule: object) -> str:
    """Without the addresses of functions, which differ from process to process."""
    return re.sub(" at 0x[0-9a-f]+", "", repr(schedule))


each = pytest.mark.parametrize("schedule", EXAMPLES, ids=name_of)
each_pure = pytest.mark.parametrize("schedule", PURE, ids=name_of)

rates = st.floats(0, 10)
counts = st.integers(1, 200)
parts = st.one_of(st.sampled_from(PURE), rates, st.just(slowly))


def composed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[s.Schedule]:
    boundaries = st.lists(counts, max_size=4, unique=True).map(sorted)
    return st.one_of(
        boundaries.flatmap(
            lambda found: st.builds(
                s.Sequence, st.lists(inner, min_size=len(found) + 1, max_size=len(found) + 1), st.just(found)
            )
        ),
        st.builds(s.Product, inner, inner),
        st.builds(s.WarmUp, counts, inner, st.floats(0, 1)),
        st.builds(s.PerEpoch, counts, inner),
    )


drawn = st.one_of(
    st.builds(s.Linear, rates, counts, rates),
    st.builds(s.Polynomial, rates, counts, st.floats(0.1, 5), rates),
    st.builds(s.Exponential, rates, st.floats(0.1, 10), counts, st.none() | rates, staircase=st.booleans()),
    st.builds(s.InverseTime, rates, rates, counts, st.floats(0.1, 5), staircase=st.booleans()),
    st.builds(s.InverseSqrt, rates, counts),
    st.builds(s.Step, rates, counts, st.floats(0.1, 10)),
    st.builds(s.MultiStep, rates, st.lists(st.integers(0, 200)).map(sorted), st.floats(0.1, 10)),
    st.builds(
        lambda lr, steps, final, warmup, periodic: s.Cosine(
            lr, steps, final, warmup_steps=warmup % steps, periodic=periodic
        ),
        rates,
        counts,
        rates,
        st.integers(0, 200),
        st.booleans(),
    ),
    st.builds(
        lambda lr, steps, mult, share, lr_mult: s.CosineRestarts(lr, steps, mult, share * lr, lr_mult=lr_mult),
        rates,
        counts,
        st.integers(1, 2**53),
        st.floats(0, 1),
        st.floats(0.1, 1),
    ),
    st.builds(s.CosLog, rates, counts, st.integers(1, 50)),
    st.builds(s.FlatCos, rates, counts, st.floats(0, 1, exclude_max=True), rates),
    st.builds(
        s.OneCycle,
        rates,
        counts,
        st.floats(0, 0.5),
        st.sampled_from(["cos", "linear"]),
        st.floats(0.1, 100),
        st.floats(0.1, 1e5),
        st.booleans(),
    ),
    st.builds(
        lambda base, more, *rest: s.Cyclic(base, base + more, *rest),
        rates,
        rates,
        counts,
        st.none() | counts,
        st.sampled_from(["triangular", "triangular2", "exp_range"]),
        st.floats(0.5, 1),
    ),
    st.recursive(parts, composed, max_leaves=6).filter(lambda found: isinstance(found, s.Schedule)),
)


# -- as functions ------------------------------------------------------------------------------------------------------


@given(schedule=drawn, n=st.integers(0, 60), first=st.integers(0, 500) | st.integers(0, 10**6))
@settings(deadline=None, max_examples=500)
def test_values_are_those_of_calls(schedule: s.Schedule, n: int, first: int) -> None:
    assume(first < 1000 or not any(kind in repr(schedule) for kind in ("Multiplicative", "Lambda")))
    values = schedule.values(n, first)
    assert values.dtype == np.float64
    assert values.shape == (n,)
    one_by_one = [schedule(step) for step in range(first, first + n)]
    assert all(type(value) is float for value in one_by_one)
    np.testing.assert_array_equal(values, one_by_one)
    assert (values >= 0).all()


@each
def test_values_of_examples(schedule: s.Schedule) -> None:
    np.testing.assert_array_equal(schedule.values(200), [schedule(step) for step in range(200)])
    np.testing.assert_array_equal(schedule.values(50, first=17), schedule.values(200)[17:67])
    assert schedule.values(0).shape == schedule.values(0, 10).shape == (0,)
    assert schedule(np.int64(3)) == schedule(3)


@each
def test_far_away(schedule: s.Schedule) -> None:
    """No overflow, no endless loop, no error at the last steps there are."""
    if isinstance(schedule, s.Multiplicative) or "slowly" in repr(schedule):
        return
    last = 2**53 - 1
    with np.errstate(all="raise"):
        assert schedule.values(3, last - 2).tolist() == [schedule(last - 2), schedule(last - 1), schedule(last)]
    assert math.isfinite(schedule(last))


def test_growth_beyond_all_numbers() -> None:
    for schedule in (s.Exponential(1.0, 10.0), s.Exponential(1.0, 10.0, 2), s.Step(1.0, 1, 10.0)):
        with np.errstate(all="raise"):
            assert schedule(10_000) == math.inf
            assert schedule.values(2, 10_000).tolist() == [math.inf, math.inf]
    assert s.Exponential(1.0, 10.0, 2, final_lr=3.0)(10_000) == 3.0
    assert s.Exponential(1.0, 0.1, 2)(10_000) == 0.0


def test_ends_are_met_exactly() -> None:
    for lr, end in ((0.3, 0.1), (0.7, 0.007), (1e-3, 1e-9), (0.1, 0.3)):
        for schedule in (s.Linear(lr, 7, end), s.Polynomial(lr, 7, 1.3, end), s.Cosine(lr, 7, end)):
            assert schedule(0) == lr
            assert schedule(7) == schedule(8) == schedule(10**9) == end
            assert min(lr, end) < schedule(6) < max(lr, end)
    assert s.WarmUp(5, s.Cosine(0.3, 10))(5) == 0.3
    assert s.OneCycle(0.3, 100)(29) == 0.3
    assert s.OneCycle(0.3, 100, div_factor=10)(0) == 0.03
    assert s.CosineRestarts(0.3, 7, 2)(7) == s.CosineRestarts(0.3, 7, 2)(21) == 0.3
    assert s.Cyclic(0.1, 0.3, 7)(7) == 0.3
    assert s.Cyclic(0.1, 0.3, 7)(14) == 0.1
    waves = s.CosLog(0.3, 150)
    # Waves of 10, 20, 40 and 80 steps: 2^k - 1 of 15 parts have passed at their ends.
    assert [waves(step) for step in (0, 10, 30, 70, 150, 151, 10**9)] == [0.0] * 7
    assert waves(75) > 0
    assert s.CosLog(0.3, 1, 50)(0) == s.CosLog(0.3, 1, 50)(1) == 0
    flat = s.FlatCos(0.3, 100, final_lr=0.1)
    assert flat(0) == flat(50) == 0.3
    assert flat(100) == flat(10**9) == 0.1
    assert 0.1 < flat(99) < flat(51) < 0.3
    assert s.FlatCos(0.3, 100, 0.0).values(120).tolist() == s.Cosine(0.3, 100).values(120).tolist()


def test_formulas() -> None:
    """Those that torch and optax lack, and arguments of ours."""
    t = np.arange(300)
    for schedule, expected in (
        (s.InverseTime(0.3, 0.1), 0.3 / (1 + 0.1 * t)),
        (s.InverseTime(0.3, 0.1, 7, staircase=True), 0.3 / (1 + 0.1 * (t // 7))),
        (s.InverseTime(0.3, 1.0, power=0.5), 0.3 / np.sqrt(1 + t)),
        (s.InverseSqrt(0.3, 40), 0.3 * np.minimum((t + 1) / 40, np.sqrt(40 / (t + 1)))),
        (s.InverseSqrt(0.3, 1), 0.3 / np.sqrt(t + 1)),
        (s.Exponential(0.3, 0.5, 7, staircase=True), s.Step(0.3, 7, 0.5).values(300)),
        (s.PiecewiseLinear([10, 50, 200], [0.3, 0.1, 0.2]), np.interp(t, [10, 50, 200], [0.3, 0.1, 0.2])),
        (s.WarmUp(40, 0.3), 0.3 * np.minimum(t / 40, 1)),
        (s.Cosine(0.3, 200, 0.1, warmup_steps=40), s.WarmUp(40, s.Cosine(0.3, 160, 0.1)).values(300)),
        (s.PerEpoch(7, s.Linear(0.3, 20)), s.Linear(0.3, 20).values(43).repeat(7)[:300]),
        (s.Lambda(slowly, 0.3), 0.3 / (1 + t)),
        (s.Multiplicative(0.3, lambda k: 0.5 if k in (3, 7) else 1.0), 0.3 * 0.5 ** ((t >= 3) * 1 + (t >= 7))),
    ):
        np.testing.assert_allclose(schedule.values(300), expected, rtol=1e-13, err_msg=repr(schedule))


def test_the_same_bits_everywhere() -> None:
    """On any platform, with any C library and any NumPy."""
    found = b"".join(schedule.values(200).astype("<f8").tobytes() for schedule in PURE)
    assert zlib.crc32(found) == 4095629552


def test_restarts_become_lower() -> None:
    schedule = s.CosineRestarts(0.3, 4, 3, 0.1, lr_mult=0.5)
    assert [schedule(step) for step in (0, 4, 16, 52)] == pytest.approx([0.3, 0.2, 0.15, 0.125], rel=1e-14)
    u = np.arange(12)
    expected = 0.1 + 0.1 * (1 + np.cos(np.pi * u / 12)) / 2
    np.testing.assert_allclose(schedule.values(12, first=4), expected, rtol=1e-14)


@given(pieces=st.lists(st.tuples(st.sampled_from(PURE), counts), min_size=1, max_size=5))
@settings(deadline=None)
def test_a_sequence_starts_each_part_anew(pieces: list[tuple[s.Schedule, int]]) -> None:
    boundaries = np.cumsum([length for _, length in pieces])
    sequence = s.Sequence([part for part, _ in pieces], boundaries[:-1].tolist())
    expected = np.concatenate([part.values(length) for part, length in pieces])
    np.testing.assert_array_equal(sequence.values(int(boundaries[-1])), expected)
    assert sequence(int(boundaries[-1])) == pieces[-1][0](pieces[-1][1])


@given(a=st.sampled_from(PURE), b=st.sampled_from(PURE), c=rates)
@settings(deadline=None)
def test_products(a: s.Schedule, b: s.Schedule, c: float) -> None:
    x, y = a.values(100), b.values(100)
    np.testing.assert_array_equal((a * b).values(100), x * y)
    np.testing.assert_array_equal((c * a).values(100), c * x)
    np.testing.assert_array_equal((a * np.float32(c)).values(100), x * float(np.float32(c)))
    np.testing.assert_array_equal((np.float64(c) * a).values(100), c * x)
    np.testing.assert_array_equal((a * slowly).values(100), x * (1 / np.arange(1, 101)))
    np.testing.assert_array_equal((a * b * c).values(100), x * y * c)
    assert a * b * c == s.Product(a * b, c) == s.Product(a, b, c)


def test_products_with_what_is_no_factor() -> None:
    for other in ("0.5", None, [0.5], np.ones(3), True, 1j):
        for multiply in (lambda a, b: a * b, lambda a, b: b * a):
            with pytest.raises(TypeError):
                multiply(s.Constant(0.1), other)
    with pytest.raises(ValueError, match=r"factors\[1\] must be a number in \[0, inf\); got -0\.5"):
        s.Constant(0.1) * -0.5


def test_a_multiplicative_asks_once_a_step() -> None:
    asked: list[int] = []

    def function(step: int) -> float:
        asked.append(step)
        return 0.9

    schedule = s.Multiplicative(1.0, function)
    for step in range(20):
        schedule(step)
    assert asked == list(range(1, 20))
    forwards = schedule.values(30, 5)
    again = s.Multiplicative(1.0, function)
    np.testing.assert_array_equal([again(step) for step in range(34, 4, -1)][::-1], forwards)


def test_functions_of_elements() -> None:
    """Against the C library, and the same bits one by one."""
    x = np.random.default_rng(0).uniform(0, 1, 2000)
    for mine, theirs, values in (
        (elementwise.half_cosine, lambda v: math.cos(math.pi / 2 * v) ** 2, x[x < 0.99]),
        (elementwise.log, math.log, np.exp(1400 * x - 700)),
        (elementwise.log2, math.log2, np.exp(1400 * x - 700)),
        (elementwise.exp, math.exp, 1400 * x - 700),
        (lambda v: elementwise.power(v, 0.37), lambda v: v**0.37, x),
        (lambda v: elementwise.power(v, 7.0), lambda v: v**7, x),
        (lambda v: elementwise.whole_power(0.97, v), lambda v: 0.97**v, np.floor(1000 * x)),
    ):
        found = mine(values)
        np.testing.assert_allclose(found, [theirs(v) for v in values.tolist()], rtol=1e-12)
        np.testing.assert_array_equal(found, [mine(v) for v in values.tolist()])
    assert elementwise.half_cosine(0.0) == 1.0
    assert elementwise.half_cosine(1.0) == 0.0
    assert elementwise.half_cosine(0.5) == pytest.approx(0.5, rel=1e-15)
    tiny = 2.0**-30
    assert elementwise.half_cosine(1.0 - tiny) == pytest.approx((math.pi / 2 * tiny) ** 2, rel=1e-14)


# -- as objects --------------------------------------------------------------------------------------------------------


def test_every_kind_has_an_example() -> None:
    kinds = {kind for kind in vars(s).values() if inspect.isclass(kind) and issubclass(kind, s.Schedule)}
    assert {type(schedule) for schedule in EXAMPLES} == kinds - {s.Schedule}
    assert {kind.__name__ for kind in kinds} <= set(s.__all__)


def test_every_kind_is_in_the_docs() -> None:
    """With its arguments, in order, keyword-only ones of a plateau left out."""
    page = (Path(__file__).parents[2] / "docs" / "schedules.md").read_text(encoding="utf-8")
    for schedule in EXAMPLES:
        kind = type(schedule)
        found = re.search(rf"^\| `{kind.__name__}\((.*?)\)`", page, re.M)
        assert found, kind
        if "..." not in found[1]:
            names = [argument.split("=")[0] for argument in found[1].split(", ")]
            assert names == list(inspect.signature(kind).parameters)


@each
def test_copies_and_pickles(schedule: s.Schedule) -> None:
    for again in (pickle.loads(pickle.dumps(schedule)), copy.copy(schedule), copy.deepcopy(schedule)):
        assert again == schedule
        assert again is not schedule
        np.testing.assert_array_equal(again.values(100), schedule.values(100))
        if not isinstance(schedule, s.ReduceOnPlateau):
            assert hash(again) == hash(schedule)


@each
def test_repr_makes_an_equal_one(schedule: s.Schedule) -> None:
    if "slowly" not in repr(schedule):
        assert eval(repr(schedule), vars(s)) == schedule


def test_repr_is_short() -> None:
    assert repr(s.Cosine(1e-3, 1000)) == "Cosine(lr=0.001, steps=1000)"
    assert repr(s.Cosine(1e-3, 1000, warmup_steps=10)) == "Cosine(lr=0.001, steps=1000, warmup_steps=10)"
    assert repr(0.5 * s.Step(1, 10)) == "Product(Constant(lr=0.5), Step(lr=1.0, step_size=10))"


def test_equality() -> None:
    for k, a in enumerate(EXAMPLES):
        for j, b in enumerate(EXAMPLES):
            assert (a == b) == (k == j)
    assert s.Linear(1, 10) == s.Linear(1.0, np.int32(10), np.float64(0))
    assert s.Linear(1, 10) != s.Linear(1, 11)
    assert s.Linear(1, 10) != s.Polynomial(1, 10)
    assert s.MultiStep(1, [1, 2]) == s.MultiStep(1, np.array([1, 2]))
    assert s.Constant(1) != 1
    assert len({*PURE, *copy.deepcopy(PURE)}) == len(PURE)
    used = s.Multiplicative(0.3, slowly)
    used(10)
    assert used == s.Multiplicative(0.3, slowly)
    assert hash(used) == hash(s.Multiplicative(0.3, slowly))


def test_schedules_do_not_change() -> None:
    schedule = s.Cosine(0.1, 10)
    with pytest.raises(AttributeError, match=r"a schedule does not change: make a new one; lr of Cosine"):
        schedule.lr = 0.2
    with pytest.raises(AttributeError, match="does not change"):
        del schedule.steps
    with pytest.raises(AttributeError, match="does not change"):
        schedule.new = 1  # type: ignore[attr-defined]
    assert schedule == s.Cosine(0.1, 10)
    values = schedule.values(5)
    values[:] = 0
    assert schedule(0) == 0.1
    given = [1, 2]
    steps = s.MultiStep(0.1, given)
    given.append(3)
    assert steps.milestones == (1, 2)


def test_types_of_arguments() -> None:
    schedule = s.Polynomial(np.float32(0.5), np.int16(7), 2, 0)
    assert [type(value) for value in (schedule.lr, schedule.steps, schedule.power, schedule.final_lr)] == [
        float,
        int,
        float,
        float,
    ]


def test_loaded_only_when_asked_for() -> None:
    program = """if True:
        import sys, schuss
        assert not any(name.startswith("schuss.schedules") for name in sys.modules)
        assert "schedules" in dir(schuss)
        assert schuss.schedules.Constant(1)(0) == 1.0
        assert not any(name.split(".")[0] == "matplotlib" for name in sys.modules)
        from schuss import *
        assert schedules is schuss.schedules
        try:
            schuss.schedule
        except AttributeError as error:
            assert str(error) == "module 'schuss' has no attribute 'schedule'"
        else:
            raise AssertionError
    """
    subprocess.run([sys.executable, "-c", program], check=True)


@each
def test_plot(schedule: s.Schedule) -> None:
    pytest.importorskip("matplotlib")
    figure = schedule.plot(50)
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), schedule.values(50))
    assert axes.lines[0].get_label() == repr(schedule)
    assert s.Constant(1).plot(3, ax=axes) is figure
    assert len(axes.lines) == 2


def test_plot_refuses() -> None:
    for steps in (0, -1, 1.5, True):
        with pytest.raises((ValueError, TypeError), match="steps must be an integer"):
            s.Constant(1).plot(steps)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="ax must be matplotlib Axes; got 3"):
        s.Constant(1).plot(3, ax=3)


# -- bad input ---------------------------------------------------------------------------------------------------------

NUMBERS = {
    "lr": "[0, inf)",
    "final_lr": "[0, inf)",
    "max_lr": "[0, inf)",
    "base_lr": "[0, inf)",
    "power": "(0, inf)",
    "gamma": "(0, ",
    "decay": "[0, inf)",
    "min_lr": "[0, 0.3]",
    "lr_mult": "(0, 1]",
    "pct_start": "[0, 1]",
    "div_factor": "(0, inf)",
    "final_div_factor": "(0, inf)",
    "start": "[0, inf)",
    "factor": "(0, 1)",
    "threshold": "[0, 1)",
    "eps": "[0, inf)",
}
COUNTS = {
    "steps": 1,
    "warmup_steps": 0,
    "step_size": 1,
    "t_mult": 1,
    "total_steps": 1,
    "step_size_up": 1,
    "step_size_down": 1,
    "steps_per_epoch": 1,
    "patience": 0,
    "cooldown": 0,
}
FLAGS = ("staircase", "periodic", "three_phase")
CHOICES = ("anneal_strategy", "mode", "threshold_mode")
GOOD: dict[type[s.Schedule], dict[str, Any]] = {
    s.Constant: {"lr": 0.3},
    s.Lambda: {"function": slowly, "lr": 0.3},
    s.Multiplicative: {"lr": 0.3, "function": slowly},
    s.Linear: {"lr": 0.3, "steps": 5, "final_lr": 0.0},
    s.Polynomial: {"lr": 0.3, "steps": 5, "power": 1.0, "final_lr": 0.0},
    s.Exponential: {"lr": 0.3, "gamma": 0.9, "steps": 5, "final_lr": 0.0, "staircase": False},
    s.InverseTime: {"lr": 0.3, "decay": 0.1, "steps": 5, "power": 1.0, "staircase": False},
    s.InverseSqrt: {"lr": 0.3, "warmup_steps": 5},
    s.Step: {"lr": 0.3, "step_size": 5, "gamma": 0.1},
    s.MultiStep: {"lr": 0.3, "milestones": [5], "gamma": 0.1},
    s.PiecewiseConstant: {"boundaries": [5], "lrs": [0.3, 0.1]},
    s.PiecewiseLinear: {"steps": [0, 5], "lrs": [0.3, 0.1]},
    s.Cosine: {"lr": 0.3, "steps": 5, "final_lr": 0.0, "warmup_steps": 0, "periodic": False},
    s.CosineRestarts: {"lr": 0.3, "steps": 5, "t_mult": 1, "min_lr": 0.0, "lr_mult": 1.0},
    s.OneCycle: {
        "max_lr": 0.3,
        "total_steps": 5,
        "pct_start": 0.3,
        "anneal_strategy": "cos",
        "div_factor": 25.0,
        "final_div_factor": 1e4,
        "three_phase": False,
    },
    s.Cyclic: {
        "base_lr": 0.3,
        "max_lr": 0.5,
        "step_size_up": 5,
        "step_size_down": 5,
        "mode": "triangular",
        "gamma": 1.0,
    },
    s.Sequence: {"schedules": [0.3, 0.1], "boundaries": [5]},
    s.WarmUp: {"steps": 5, "then": 0.3, "start": 0.0},
    s.PerEpoch: {"steps_per_epoch": 5, "schedule": 0.3},
    s.ReduceOnPlateau: {
        "lr": 0.3,
        "factor": 0.1,
        "patience": 10,
        "threshold": 1e-4,
        "threshold_mode": "rel",
        "cooldown": 0,
        "min_lr": 0.0,
        "eps": 1e-8,
        "mode": "min",
        "monitor": None,
    },
}


@pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)
def test_every_argument_is_checked(kind: type[s.Schedule]) -> None:
    good = GOOD[kind]
    assert list(good) == list(inspect.signature(kind).parameters)
    kind(**good)
    for name in good:
        if name in NUMBERS and not (kind is s.Cyclic and name == "max_lr"):
            bad: tuple[Any, ...] = (-0.1, math.nan, math.inf, -math.inf, 10**400, "1", [0.1], True, 1j)
            if name != "final_lr" or kind is not s.Exponential:
                bad += (None,)
            expected = rf"{name} must be a number in {NUMBERS[name]}"
        elif name in COUNTS or (name == "steps" and kind is not s.PiecewiseLinear):
            if kind is s.PiecewiseLinear:
                continue
            low = 1 if kind is s.InverseSqrt else COUNTS[name]
            bad = (low - 1, -5, 1.0, 2**60 if name not in ("patience", "cooldown") else -1, "1", True, [1])
            expected = f"{name} must be an integer "
        elif name in FLAGS:
            bad = (0, 1, "True", None)
            expected = f"{name} must be True or False; got "
        elif name in CHOICES:
            bad = ("cosine", "RELATIVE", 1, None, True)
            expected = f"{name} "
        elif name == "function":
            bad = (0.1, None, "x")
            expected = "function must be a function of the step; got "
        elif name in ("then", "schedule"):
            bad = ("x", None, [0.1], True)
            expected = f"{name} must be a schedule, a function of the step or a number; got "
        else:
            continue
        for value in bad:
            with pytest.raises((ValueError, TypeError)) as caught:
                kind(**{**good, name: value})
            assert str(caught.value).startswith(expected), (name, value, str(caught.value))
        assert kind(**good) == kind(**good)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: s.Step(0.1, 10, 0.0), r"gamma must be a number in \(0, inf\); got 0\.0"),
        (lambda: s.Cosine(0.1, 10, warmup_steps=10), "warmup_steps must be an integer from 0 to 9; got 10"),
        (lambda: s.CosineRestarts(0.1, 10, min_lr=0.2), r"min_lr must be a number in \[0, 0\.1\]; got 0\.2"),
        (lambda: s.Cyclic(0.3, 0.2), r"max_lr must be a number in \[0\.3, inf\); got 0\.2"),
        (lambda: s.Cyclic(0.1, 0.2, gamma=1.1), r"gamma must be a number in \(0, 1\]; got 1\.1"),
        (lambda: s.Cyclic(0.1, 0.2, mode="triangular3"), "did you mean 'triangular"),
        (lambda: s.OneCycle(1.0, 10, div_factor=1e-320), r"max_lr / div_factor must be a number"),
        (lambda: s.OneCycle(1.0, 10, final_div_factor=1e-320), r"max_lr / div_factor / final_div_factor must be"),
        (lambda: s.MultiStep(0.1, 5), "milestones must be a list of steps; got 5"),
        (lambda: s.MultiStep(0.1, "5"), "milestones must be a list of steps; got '5'"),
        (lambda: s.MultiStep(0.1, [5, 3]), r"milestones must be in order; got \[5, 3\]"),
        (lambda: s.MultiStep(0.1, [-1]), r"milestones\[0\] must be an integer from 0 to \d+; got -1"),
        (lambda: s.MultiStep(0.1, [1.0]), r"milestones\[0\] must be an integer"),
        (lambda: s.PiecewiseConstant([0], [1, 2]), r"boundaries\[0\] must be an integer from 1 to \d+; got 0"),
        (lambda: s.PiecewiseConstant([3, 3], [1, 2, 3]), r"boundaries must be rising; got \[3, 3\]"),
        (lambda: s.PiecewiseConstant([3], [1]), "lrs must be one more than boundaries, 2; got 1"),
        (lambda: s.PiecewiseConstant([3], [1, -1]), r"lrs\[1\] must be a number in \[0, inf\); got -1"),
        (lambda: s.PiecewiseConstant([3], 1), "lrs must be a list of numbers; got 1"),
        (lambda: s.PiecewiseLinear([3], [1]), r"steps must hold at least two; got \(3,\)"),
        (lambda: s.PiecewiseLinear([3, 2], [1, 1]), r"steps must be rising; got \[3, 2\]"),
        (lambda: s.PiecewiseLinear([2, 3], [1]), "lrs must be as many as steps, 2; got 1"),
        (lambda: s.PiecewiseLinear([2, None], [1, 1]), r"steps\[1\] must be an integer"),
        (lambda: s.Sequence([], []), "schedules must hold at least one; got none"),
        (lambda: s.Sequence(0.1, []), "schedules must be a list of schedules; got 0.1"),
        (lambda: s.Sequence([0.1, "x"], [3]), r"schedules\[1\] must be a schedule, a function of the step or a number"),
        (lambda: s.Sequence([0.1, -1.0], [3]), r"schedules\[1\] must be a number in \[0, inf\); got -1\.0"),
        (lambda: s.Sequence([0.1, 0.2], []), "boundaries must be one fewer than schedules, 1; got 0"),
        (lambda: s.Sequence([0.1, 0.2], [0]), r"boundaries\[0\] must be an integer from 1"),
        (lambda: s.Product(), "factors must hold at least one; got none"),
        (lambda: s.Product(0.1, "x"), r"factors\[1\] must be a schedule"),
        (lambda: s.ReduceOnPlateau(0.1, threshold=1.0), r"threshold must be a number in \[0, 1\); got 1\.0"),
        (lambda: s.ReduceOnPlateau(0.1, min_lr=0.2), r"min_lr must be a number in \[0, 0\.1\]; got 0\.2"),
        (lambda: s.ReduceOnPlateau(0.1, monitor=3), "monitor must be a recorded name or None; got 3"),
        (lambda: s.Constant(0.1)(-1), r"step must be an integer from 0 to \d+; got -1"),
        (lambda: s.Constant(0.1)(1.0), r"step must be an integer from 0 to \d+; got 1\.0"),
        (lambda: s.Constant(0.1)(True), r"step must be an integer"),
        (lambda: s.Constant(0.1)(2**53), r"step must be an integer"),
        (lambda: s.Constant(0.1).values(-1), r"n must be an integer from 0 to \d+; got -1"),
        (lambda: s.Constant(0.1).values(1, -1), r"first must be an integer from 0 to \d+; got -1"),
        (lambda: s.Constant(0.1).values(2.0), "n must be an integer"),
        (lambda: s.Lambda(lambda k: -1.0)(3), r"function\(3\) must be a number in \[0, inf\); got -1\.0"),
        (lambda: s.Lambda(lambda k: math.nan).values(3), r"function\(0\) must be a number in \[0, inf\); got nan"),
        (lambda: s.Lambda(lambda k: "x")(3), r"function\(3\) must be a number"),
        (lambda: s.Multiplicative(0.1, lambda k: -1.0)(3), r"function\(1\) must be a number in \[0, inf\); got -1\.0"),
        (lambda: s.Schedule(), "abstract"),
    ],
)
def test_bad_input(make: Callable[[], object], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_absolute_thresholds_may_be_large() -> None:
    assert s.ReduceOnPlateau(0.1, threshold=5.0, threshold_mode="abs").threshold == 5.0


# -- the one with a state ----------------------------------------------------------------------------------------------


def test_plateau_step_by_step() -> None:
    schedule = s.ReduceOnPlateau(0.4, 0.5, patience=1, cooldown=1, min_lr=0.15)
    assert schedule.state == s.PlateauState(lr=0.4, best=math.inf, bad=0, cooldown=0, reports=0)
    assert schedule(0) == schedule(10**6) == 0.4
    assert [schedule.report(value) for value in (1.0, 1.0, 1.0)] == [False, False, True]
    assert schedule.state == (0.2, 1.0, 0, 1, 3)
    assert schedule.values(3).tolist() == [0.2] * 3
    assert [schedule.report(value) for value in (1, np.float32(1.0), math.nan, np.float32(np.nan))] == [
        False,
        False,
        True,
        False,
    ]
    assert schedule(0) == 0.15
    for _ in range(10):
        schedule.report(1.0)
    assert schedule(0) == 0.15
    assert repr(schedule).endswith(" after 17 reports: lr=0.15")
    for value in ("1", None, [1.0], True, 1j):
        before = schedule.state
        with pytest.raises(TypeError, match="value must be a number"):
            schedule.report(value)  # type: ignore[arg-type]
        assert schedule.state is before


def test_plateau_is_compared_with_its_state() -> None:
    a, b = s.ReduceOnPlateau(0.4), s.ReduceOnPlateau(0.4)
    assert a == b
    a.report(1.0)
    assert a != b
    b.report(1.0)
    assert a == b
    with pytest.raises(TypeError, match="unhashable"):
        hash(a)
    with pytest.raises(TypeError, match="unhashable"):
        hash(0.5 * a)
    with pytest.raises(AttributeError, match="does not change"):
        a.state = b.state
    assert a != s.Constant(0.4)


def test_plateau_keeps_its_state() -> None:
    schedule = s.ReduceOnPlateau(0.4, 0.5, patience=1)
    for value in (1.0, 1.0, 1.0, 1.0):
        schedule.report(value)
    fresh = s.ReduceOnPlateau(0.4, 0.5, patience=1)
    fresh.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    copies = [pickle.loads(pickle.dumps(schedule)), copy.deepcopy(schedule), copy.copy(schedule), fresh]
    assert all(again == schedule for again in copies)
    schedule.report(1.0)
    assert schedule(0) == 0.1
    for again in copies:
        assert again(0) == 0.2
        again.report(1.0)
        assert again == schedule
    unused = s.ReduceOnPlateau(0.4)
    fresh.load_state_dict(json.loads(json.dumps(unused.state_dict())))
    assert fresh.state == unused.state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": -1.0}, r"state_dict\['lr'\] must be a number in \[0, inf\); got -1\.0"),
        ({"best": "x"}, r"state_dict\['best'\] must be a number"),
        ({"best": math.nan}, r"state_dict\['best'\] must be a number"),
        ({"bad": -1}, r"state_dict\['bad'\] must be an integer >= 0; got -1"),
        ({"cooldown": 1.0}, r"state_dict\['cooldown'\] must be an integer"),
        ({"reports": None}, r"state_dict\['reports'\] must be an integer"),
        ({"bads": 1}, "state_dict's key 'bads' is not known; did you mean 'bad'"),
        (None, "state_dict must have lr, best, bad, cooldown, reports; reports is missing"),
        (3, "state_dict must be a dict with lr, best, bad, cooldown, reports; got 3"),
    ],
)
def test_plateau_refuses_a_state(change: Any, message: str) -> None:
    schedule = s.ReduceOnPlateau(0.4)
    schedule.report(1.0)
    before = schedule.state
    state: Any = schedule.state_dict()
    if isinstance(change, dict):
        state.update(change)
    elif change is None:
        del state["reports"]
    else:
        state = change
    with pytest.raises((ValueError, TypeError), match=message):
        schedule.load_state_dict(state)
    assert schedule.state is before


# -- in optimizers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [schuss.SGD, schuss.AdamW])
@each
def test_in_an_optimizer(kind: type[schuss.Optimizer], schedule: s.Schedule) -> None:
    """The same bits as with the rate written by hand before each step."""
    rng = np.random.default_rng(0)
    mine, by_hand = [np.ones((5, 3)), np.ones(7)], [np.ones((5, 3)), np.ones(7)]
    scheduled, plain = kind(mine, lr=schedule), kind(by_hand, lr=1.0)
    assert scheduled.param_groups[0]["lr"] == schedule(0)
    for step in range(30):
        grads = [rng.normal(size=p.shape) for p in mine]
        scheduled.step(grads)
        plain.param_groups[0]["lr"] = schedule(step)
        plain.step(grads)
        assert scheduled.param_groups[0]["lr"] == schedule(step)
    for p, q in zip(mine, by_hand, strict=True):
        np.testing.assert_array_equal(p, q)


def test_groups_have_their_own() -> None:
    a, b = np.zeros(1), np.zeros(1)
    optimizer = schuss.SGD([{"params": [a]}, {"params": [b], "lr": 0.1 * s.Step(1.0, 1, 0.5)}], lr=s.Linear(1.0, 4))
    for _ in range(3):
        optimizer.step([-np.ones(1), -np.ones(1)])
    np.testing.assert_allclose([a[0], b[0]], [1 + 0.75 + 0.5, 0.1 * 1.75])


def test_an_infinite_rate_is_refused() -> None:
    x = np.ones(1)
    optimizer = schuss.SGD(x, lr=s.Exponential(1.0, 1e200))
    for _ in range(2):
        optimizer.step(np.zeros(1))
    with pytest.raises(ValueError, match=r"lr\(2\) must be a number in \[0, inf\); got inf"):
        optimizer.step(np.zeros(1))
    assert optimizer.steps == 2


# -- in fit ------------------------------------------------------------------------------------------------------------


def data(rows: int = 50) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 4)).astype(np.float32), rng.integers(0, 3, rows)


def network() -> schuss.Network:
    return schuss.Network([schuss.Dense(4, 5, "tanh"), schuss.Dense(5, 3)], seed=1)


def assert_same(a: schuss.Network, b: schuss.Network) -> None:
    for p, q in zip(a.parameters, b.parameters, strict=True):
        np.testing.assert_array_equal(p, q)


@each_pure
def test_in_fit(schedule: s.Schedule) -> None:
    """The same bits as by steps with the rate written by hand; going on where it stopped."""
    X, y = data()
    net, other = network(), network()
    history = net.fit(X, y, loss="cross_entropy", optimizer="adam", lr=schedule, epochs=2, batch_size=20)
    net.fit(X, y, loss="cross_entropy", epochs=1, batch_size=20)
    np.testing.assert_array_equal(history.lr, [schedule(2), schedule(5)])
    optimizer = schuss.Adam(other.parameters)
    for epoch in range(3):
        order = schuss._core.permutation(50, other.seed, epoch)
        for k in range(3):
            rows = order[20 * k : 20 * k + 20]
            optimizer.param_groups[0]["lr"] = schedule(3 * epoch + k)
            other.train_step(X[rows], y[rows], "cross_entropy", optimizer)
    assert_same(net, other)


def test_fit_refuses_an_infinite_rate() -> None:
    X, y = data()
    net = network()
    before = [p.copy() for p in net.parameters]
    with pytest.raises(ValueError, match=r"lr\(2\) must be a number in \[0, inf\); got inf"):
        net.fit(X, y, loss="cross_entropy", optimizer="sgd", lr=s.Exponential(1.0, 1e200), batch_size=10)
    for p, q in zip(net.parameters, before, strict=True):
        np.testing.assert_array_equal(p, q)


def plateau(**options: Any) -> s.ReduceOnPlateau:
    return s.ReduceOnPlateau(0.5, 0.5, 0, threshold=0.2, **options)


@pytest.mark.parametrize("validated", [False, True])
def test_fit_reports_a_loss(validated: bool) -> None:
    X, y = data()
    options: dict[str, Any] = {"loss": "cross_entropy", "epochs": 6, "batch_size": 20}
    if validated:
        options["validation_data"] = (X[:10], y[:10])
    net, schedule = network(), plateau()
    history = net.fit(X, y, optimizer="sgd", lr=schedule, **options)
    by_hand, expected = plateau(), []
    for value in history["val_loss" if validated else "loss"]:
        expected.append(by_hand(0))
        by_hand.report(value)
    np.testing.assert_array_equal(history.lr, expected)
    assert schedule == by_hand
    assert schedule.state.reports == 6
    assert schedule(0) < 0.1


def test_fit_reports_what_is_monitored() -> None:
    X, y = data()
    net, schedule = network(), plateau(mode="max", threshold_mode="abs", monitor="accuracy")
    history = net.fit(X, y, loss="cross_entropy", metrics=["accuracy"], optimizer="sgd", lr=schedule, epochs=4)
    by_hand = plateau(mode="max", threshold_mode="abs", monitor="accuracy")
    for value in history["accuracy"]:
        by_hand.report(value)
    assert schedule == by_hand


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"monitor": "val_loss"}, "monitor must be one of loss; got 'val_loss'; nothing is given to validate with"),
        ({"monitor": "accuracy"}, "monitor must be one of loss; got 'accuracy'"),
        ({"mode": "max"}, "monitor must be named for a fit with mode='max'; got None"),
    ],
)
def test_fit_refuses_a_monitor(options: dict[str, Any], message: str) -> None:
    X, y = data()
    for schedule in (plateau(**options), 0.5 * plateau(**options), s.Sequence([0.1, plateau(**options)], [10**6])):
        net = network()
        before = [p.copy() for p in net.parameters]
        for given_as in ({"optimizer": "sgd", "lr": schedule}, {"optimizer": schuss.SGD(net.parameters, schedule)}):
            with pytest.raises(ValueError, match=message):
                net.fit(X, y, loss="cross_entropy", **given_as)
        assert net.optimizer is None
        for p, q in zip(net.parameters, before, strict=True):
            np.testing.assert_array_equal(p, q)


def test_fit_reports_within_products_and_sequences() -> None:
    """Once a plateau's turn has come, and to each once."""
    X, y = data()
    inner = plateau()
    for schedule, told in (
        (0.5 * inner, 4),
        (inner * inner, 4),
        (s.WarmUp(6, inner), 2),
        (s.WarmUp(5, inner), 3),
        (s.Sequence([0.1, inner, 0.1], [3, 9]), 2),
        (s.PerEpoch(3, s.Sequence([0.1, inner, 0.1], [1, 3])), 2),
        (s.Sequence([0.1, s.WarmUp(3, inner) * s.Linear(1, 20)], [6]), 1),
    ):
        inner.load_state_dict(plateau().state_dict())
        network().fit(X, y, loss="cross_entropy", optimizer="sgd", lr=schedule, epochs=4, batch_size=20)
        assert inner.state.reports == told, schedule


@pytest.mark.parametrize("means", ["again", "pickle", "deepcopy", "file"])
def test_a_fit_with_a_plateau_goes_on(means: str, tmp_path: Path) -> None:
    X, y = data()
    whole, part, schedule = network(), network(), plateau()
    options: dict[str, Any] = {"loss": "cross_entropy", "batch_size": 20}
    whole.fit(X, y, optimizer="adam", lr=plateau(), epochs=7, **options)
    part.fit(X, y, optimizer="adam", lr=schedule, epochs=4, **options)
    if means == "again":
        part.fit(X, y, epochs=3, **options)
        assert schedule.state.reports == 7
    elif means == "file":
        part.save(tmp_path / "net.npz", metadata={"plateau": schedule.state_dict()})
        part = schuss.load(tmp_path / "net.npz")
        again = plateau()
        again.load_state_dict(part.metadata["plateau"])
        part.fit(X, y, lr=again, epochs=3, **options)
    else:
        part = pickle.loads(pickle.dumps(part)) if means == "pickle" else copy.deepcopy(part)
        part.fit(X, y, epochs=3, **options)
        assert schedule.state.reports == 4
    assert_same(whole, part)
    np.testing.assert_array_equal(whole.history.lr, part.history.lr)
