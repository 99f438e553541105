"""L-BFGS against its twin in NumPy and at known optima; its bits, its state, and what may go wrong."""

from __future__ import annotations

import copy
import pickle
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import schuss
from schuss import _core
from schuss.optim.lbfgs import Point, cubic_minimum
from tests.reference import functions, lbfgs

Array = NDArray[Any]
Place = Callable[[str, Array], Array]
Levels = Callable[[], Iterator[str]]

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
searches = pytest.mark.parametrize("search", [None, "strong_wolfe"], ids=["fixed step", "line search"])


def closure_of(f: functions.Function, params: list[Array], calls: list[float] | None = None) -> Callable[[], Any]:
    """Evaluates f at the parameters laid end to end, in double."""
    bounds = np.cumsum([p.size for p in params])[:-1]

    def closure() -> tuple[float, list[Array]]:
        value, g = f(np.concatenate([p.reshape(-1) for p in params]).astype(float))
        if calls is not None:
            calls.append(value)
        parts = np.split(g, bounds)
        return value, [part.reshape(p.shape).astype(p.dtype) for part, p in zip(parts, params, strict=True)]

    return closure


def problem(n: int, pairs: int, dtype: str, seed: int = 0) -> tuple[lbfgs.Pairs, Array, Array]:
    """Pairs of a quadratic with curvatures of 0.1 to 10, and two gradients, rounded to dtype."""
    rng = np.random.default_rng(seed)
    curvature = np.exp(rng.uniform(-2.3, 2.3, n))
    steps = [rng.normal(size=n).astype(dtype) for _ in range(pairs)]
    found = [(s, (curvature * s).astype(dtype)) for s in steps]
    return found, rng.normal(size=n).astype(dtype), rng.normal(size=n).astype(dtype)


def loaded(params: list[Array], pairs: lbfgs.Pairs, scale: float, most: int, d: Array, g: Array, t: float) -> Any:
    core = _core.Lbfgs(params, most)
    steps, changes = [s for s, _ in pairs], [y for _, y in pairs]
    core.load(steps, changes, [1 / (y.astype(float) @ s) for s, y in pairs], scale, d, g, t, 1)
    return core


# ---- the direction ---------------------------------------------------------------------------------------------------

SIZES = (1, 15, 16, 17, 255, 1023, 1024, 1025, 5003, 70_001)


@dtypes
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("pairs", [0, 1, 7])
def test_direction_as_twin(n: int, pairs: int, dtype: str, each_isa: Levels) -> None:
    """float64 to 1e-12. float32 vectors are computed with in double, as the twin does: to their own rounding."""
    known, before, g = problem(n, pairs, dtype)
    d = (0.5 * g).astype(dtype)
    t = -1.0 if float((g - before) @ d) < 0 else 1.0  # whatever makes a pair of it
    exact = [(s.astype(float), y.astype(float)) for s, y in known]
    scale = lbfgs.learn(exact, 0.7, t * d.astype(float), (g - before).astype(float), 5)
    wanted = lbfgs.direction(exact, scale, g.astype(float))
    seen = set()
    for _ in each_isa():
        core = loaded([np.zeros(n, dtype)], known[-5:], 0.7, 5, d, before, t)
        core.gather(g, 1)
        slope, longest = core.direction(1)
        got = core.state[4].copy()
        assert got.dtype == dtype
        tolerance = 1e-12 if dtype == "float64" else 1e-7
        assert_allclose(got, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())
        assert_allclose(slope, got.astype(float) @ g.astype(float), rtol=1e-9)
        assert longest == np.abs(got).max()
        seen.add((got.tobytes(), slope))
    assert len(seen) == 1


@dtypes
def test_what_is_found_of_a_gradient(dtype: str, each_isa: Levels, place: Place) -> None:
    """Gradients and parameters of odd sizes, anywhere in memory; none is read or written beyond its end."""
    rng = np.random.default_rng(1)
    places = ("aligned", "unaligned", "page end", "page start")
    sizes = [n for n in (0, 1, 15, 17, 1024, 3001) for _ in places]
    params = [place(where, rng.normal(size=n).astype(dtype)) for n, where in zip(sizes, places * 6, strict=True)]
    grads = [place(where, rng.normal(size=n).astype(dtype)) for n, where in zip(sizes, places * 6, strict=True)]
    flat = np.concatenate(grads).astype(float)
    start = np.concatenate(params)
    for _ in each_isa():
        core = _core.Lbfgs(params, 3)
        finite, slope, total, largest = core.gather(grads, 0)
        assert (finite, slope, largest) == (True, 0.0, np.abs(flat).max())
        assert_allclose(total, np.abs(flat).sum(), rtol=1e-13)
        core.direction(0)
        assert_array_equal(core.state[4], -np.concatenate(grads))
        assert core.move(0.25)
        assert_array_equal(np.concatenate(params), start - np.concatenate(grads) * start.dtype.type(0.25))
        core.restore()
        assert_array_equal(np.concatenate(params), start)
        for bad in (np.nan, np.inf, -np.inf):
            spoiled = [g.copy() for g in grads]
            spoiled[-3][7] = bad
            assert not core.gather(spoiled, 1)[0]


@dtypes
def test_same_bits(dtype: str, each_isa: Levels, set_threads: Callable[[int], None]) -> None:
    """On every instruction set, for any number of threads, in one array or several."""
    n, seen = 150_003, set()
    known, before, g = problem(n, 9, dtype)
    cuts = [[], [1, 1, 70_000, 70_013]]
    for _ in each_isa():
        for threads in (1, 2, 5):
            for cut in cuts:
                set_threads(threads)
                params = np.split(np.zeros(n, dtype), cut)
                core = loaded([p.copy() for p in params], known, 1.0, 9, known[0][0], before, 0.5)
                looks = core.gather(np.split(g, cut), 1)
                found = core.direction(1)
                core.move(0.3)
                bits = b"".join(p.tobytes() for p in core.state[0] + core.state[1] + [core.state[4]])
                seen.add((looks, found, bits, tuple(core.state[2])))
    assert len(seen) == 1


# ---- whole runs ------------------------------------------------------------------------------------------------------

RUNS = {
    "logistic": (functions.logistic(30, 300), np.zeros(30), 1.0),
    "quadratic": (functions.quadratic(40, 1e2)[0], np.zeros(40), 1.0),
    "rosenbrock": (functions.rosenbrock, np.tile([-1.2, 1.0], 10), 0.1),
}


@searches
@pytest.mark.parametrize("name", list(RUNS))
@pytest.mark.parametrize("history_size", [4, 100])
def test_runs_as_twin(name: str, history_size: int, search: str | None) -> None:
    f, start, lr = RUNS[name]
    x = start.copy()
    optimizer = schuss.LBFGS(
        x, lr, max_iter=1, max_eval=25, history_size=history_size, line_search_fn=search,
        tolerance_grad=0, tolerance_change=0,
    )  # fmt: skip
    closure = closure_of(f, [x])
    twin = lbfgs.iterations(f, start, lr=lr, history_size=history_size, search=search is not None, most=24)
    for wanted in islice(twin, 15):
        optimizer.step(closure)
        assert_allclose(x, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())


@dtypes
@pytest.mark.parametrize(
    ("f", "start", "optima"),
    [
        (functions.rosenbrock, [-1.2, 1.0], [[1.0, 1.0]]),
        (functions.rosenbrock, [-1.2, 1.0] * 50, [[1.0] * 100]),
        (functions.beale, [1.0, 1.0], [[3.0, 0.5]]),
        (functions.beale, [0.0, 0.0], [[3.0, 0.5]]),
        (
            functions.himmelblau,
            [0.0, 0.0],
            [[3.0, 2.0], [-2.805118, 3.131312], [-3.779310, -3.283186], [3.584428, -1.848126]],
        ),
    ],
    ids=["rosenbrock-2", "rosenbrock-100", "beale", "beale-0", "himmelblau"],
)
def test_finds_the_optimum(f: functions.Function, start: list[float], optima: list[list[float]], dtype: str) -> None:
    x = np.array(start, dtype)
    optimizer = schuss.LBFGS(x, max_iter=400, history_size=10, line_search_fn="strong_wolfe", tolerance_change=1e-14)
    calls: list[float] = []
    for _ in range(3):
        optimizer.step(closure_of(f, [x], calls))
    assert not optimizer.nonfinite
    assert min(np.abs(x - optimum).max() for optimum in optima) < (1e-5 if dtype == "float64" else 1e-3)
    assert len(calls) < 700


@searches
def test_finds_the_optimum_of_an_ill_conditioned_quadratic(search: str | None) -> None:
    f, optimum = functions.quadratic(60, 1e4)
    x = np.zeros(60)
    optimizer = schuss.LBFGS(x, max_iter=400, line_search_fn=search, tolerance_grad=1e-11, tolerance_change=0)
    closure = closure_of(f, [x])
    loss = optimizer.step(closure)
    assert loss == f(np.zeros(60))[0]
    assert_allclose(x, optimum, rtol=0, atol=1e-5)  # pairs with y . s <= 1e-10 are not learnt


def test_forms_of_params() -> None:
    f, optimum = functions.quadratic(12, 10)
    for dtype in ("float32", "float64"):
        one, parts = np.zeros(12, dtype), [np.zeros((2, 3), dtype), np.zeros((), dtype), np.zeros(5, dtype)]
        for params in ([one], parts):
            closure = closure_of(f, params)
            single = params is not parts
            optimizer = schuss.LBFGS(one if single else params, tolerance_change=0)
            optimizer.step((lambda closure=closure: (closure()[0], closure()[1][0])) if single else closure)
        flat = np.concatenate([p.reshape(-1) for p in parts])
        assert_allclose(one, optimum, atol=1e-3)
        assert_array_equal(one, flat)
    grouped = schuss.LBFGS([{"params": [one], "lr": 0.5}], history_size=7)
    assert (grouped.param_groups[0]["lr"], grouped.param_groups[0]["history_size"]) == (0.5, 7)


def test_counts_and_limits() -> None:
    x = np.array([-1.2, 1.0])
    calls: list[float] = []
    closure = closure_of(functions.rosenbrock, [x], calls)
    optimizer = schuss.LBFGS(x, lr=0.1, max_iter=6)
    assert optimizer.param_groups[0]["max_eval"] == 7
    first = optimizer.step(closure)
    assert (first, len(calls), optimizer.steps) == (calls[0], 6, 1)  # the last iteration is not evaluated
    state = optimizer.state_dict()["state"][0]
    assert (state["n_iter"], state["func_evals"], len(state["old_stps"])) == (6, 6, 5)
    optimizer.param_groups[0]["max_eval"] = 3
    optimizer.step(closure)
    assert len(calls) == 9
    optimizer.param_groups[0]["tolerance_grad"] = 1e9
    before = x.copy()
    optimizer.step(closure)
    assert (len(calls), optimizer.state_dict()["state"][0]["n_iter"]) == (10, 8)
    assert_array_equal(x, before)


def test_schedule() -> None:
    x = np.array([3.0])
    optimizer = schuss.LBFGS(x, lr=lambda step: 0.25 * 2.0**step, max_iter=1, tolerance_change=0)
    seen = []
    for _ in range(3):
        optimizer.step(closure_of(lambda x: (float(x @ x), 2 * x), [x]))
        seen.append(optimizer.param_groups[0]["lr"])
    assert seen == [0.25, 0.5, 1.0]
    optimizer.param_groups[0]["schedule"] = lambda step: -1.0
    with pytest.raises(ValueError, match=r"lr\(3\)"):
        optimizer.step(closure_of(lambda x: (float(x @ x), 2 * x), [x]))


def test_lr_of_zero_moves_nothing() -> None:
    for search in (None, "strong_wolfe"):
        x = np.array([-1.2, 1.0])
        optimizer = schuss.LBFGS(x, lr=0, line_search_fn=search)
        optimizer.step(closure_of(functions.rosenbrock, [x]))
        assert_array_equal(x, [-1.2, 1.0])
        assert not optimizer.nonfinite


def test_no_parameters_at_all() -> None:
    optimizer = schuss.LBFGS([np.zeros(0), np.zeros((0, 3))])
    assert optimizer.step(lambda: (2, [np.zeros(0), np.zeros((0, 3))])) == 2.0


# ---- the line search -------------------------------------------------------------------------------------------------


def test_cubic_minimum() -> None:
    def at(t: float) -> Point:
        return Point(t, t**3 - 3 * t, 3 * t * t - 3, 0, 0, 0)

    assert_allclose(cubic_minimum(at(0.0), at(3.0), 0, 3), 1.0)
    assert_allclose(cubic_minimum(at(3.0), at(0.0), 0, 3), 1.0)
    assert cubic_minimum(at(0.0), at(3.0), 1.5, 3) == 1.5
    assert cubic_minimum(at(0.0), at(1.0)._replace(loss=np.inf), 0, 1) == 0.5
    assert cubic_minimum(at(0.0), at(1.0)._replace(loss=np.inf, slope=np.nan), 0, 1) == 0.5
    line = Point(0.0, 0.0, -1.0, 0, 0, 0)
    assert cubic_minimum(line, line._replace(t=1.0, loss=-1.0), 0, 10) == 5.0  # a line has no minimum


def test_steps_meet_the_strong_wolfe_conditions() -> None:
    x = np.tile([-1.2, 1.0], 10)
    optimizer = schuss.LBFGS(x, max_iter=1, max_eval=30, line_search_fn="strong_wolfe", tolerance_change=0)
    for _ in range(40):
        before = x.copy()
        loss, g = functions.rosenbrock(before)
        optimizer.step(closure_of(functions.rosenbrock, [x]))
        step = x - before
        new, slope = functions.rosenbrock(x)[0], g @ step
        assert new <= loss + 1e-4 * slope + 1e-12
        assert abs(functions.rosenbrock(x)[1] @ step) <= -0.9 * slope + 1e-12


# ---- state -----------------------------------------------------------------------------------------------------------


def started(search: str | None, dtype: Any, steps: int, history_size: int = 5) -> tuple[schuss.LBFGS, list[Array], Any]:
    params = [np.tile([-1.2, 1.0], 10).astype(dtype).reshape(4, 5), np.ones(3, dtype) / 2]
    optimizer = schuss.LBFGS(params, 0.1, max_iter=4, history_size=history_size, line_search_fn=search)
    closure = closure_of(functions.rosenbrock, params)
    for _ in range(steps):
        optimizer.step(closure)
    return optimizer, params, closure


def assert_same(a: list[Array], b: list[Array]) -> None:
    for p, q in zip(a, b, strict=True):
        assert_array_equal(p, q)


@dtypes
@searches
@pytest.mark.parametrize("steps", [0, 1, 5])
def test_state_dict_goes_on_bit_for_bit(search: str | None, dtype: str, steps: int) -> None:
    optimizer, params, closure = started(search, dtype, steps)
    state = optimizer.state_dict()
    others = [p.copy() for p in params]
    fresh = schuss.LBFGS(others, lr=3, history_size=9)
    fresh.load_state_dict(state)
    np.testing.assert_equal(fresh.state_dict(), state)
    for _ in range(4):
        optimizer.step(closure)  # the state_dict holds copies
        fresh.step(closure_of(functions.rosenbrock, others))
    assert_same(params, others)
    np.testing.assert_equal(fresh.state_dict(), optimizer.state_dict())


@searches
@pytest.mark.parametrize("how", [copy.deepcopy, lambda optimizer: pickle.loads(pickle.dumps(optimizer))])
@pytest.mark.parametrize("steps", [0, 5])
def test_copies(how: Callable[[schuss.LBFGS], schuss.LBFGS], search: str | None, steps: int) -> None:
    optimizer, params, closure = started(search, "float64", steps)
    other = how(optimizer)
    np.testing.assert_equal(other.state_dict(), optimizer.state_dict())
    others = other.param_groups[0]["params"]
    assert not any(np.shares_memory(p, q) for p, q in zip(params, others, strict=True))
    for _ in range(3):
        other.step(closure_of(functions.rosenbrock, others))
    assert optimizer.steps == steps
    for _ in range(3):
        optimizer.step(closure)
    assert_same(params, others)
    with pytest.raises(TypeError, match="deepcopy"):
        copy.copy(optimizer)


@pytest.mark.parametrize("history_size", [1, 3, 20])
def test_history_size_can_be_changed(history_size: int) -> None:
    """The newest pairs stay."""
    optimizer, params, closure = started(None, "float64", 3, history_size=8)
    before = optimizer.state_dict()["state"][0]["old_stps"]
    optimizer.param_groups[0].update(history_size=history_size, max_iter=1)
    optimizer.step(closure)
    after = optimizer.state_dict()["state"][0]["old_stps"]
    kept = [*before[-history_size:], after[-1]][-history_size:]
    assert_same(after, kept)
    other, others, its_closure = started(None, "float64", 3, history_size=8)
    state = other.state_dict()
    for key in ("old_stps", "old_dirs", "ro"):
        state["state"][0][key] = state["state"][0][key][-history_size:]
    state["param_groups"][0]["history_size"] = history_size
    other.load_state_dict(state)
    other.param_groups[0]["max_iter"] = 1
    other.step(its_closure)
    assert_same(params, others)


def change(state: dict[str, Any], what: str) -> dict[str, Any]:
    """A state_dict, spoiled."""
    group, entry = state["param_groups"][0], state["state"][0]
    match what:
        case "no groups":
            del state["param_groups"]
        case "two groups":
            state["param_groups"].append(group)
        case "fewer params":
            group["params"] = group["params"][:-1]
        case "lr":
            group["lr"] = -1.0
        case "search":
            group["line_search_fn"] = "armijo"
        case "stranger":
            state["state"][1] = entry
        case "extra":
            entry["exp_avg"] = entry["d"]
        case "missing":
            del entry["old_dirs"]
        case "shape":
            entry["d"] = entry["d"][:-1]
        case "dtype":
            entry["old_stps"][1] = entry["old_stps"][1].astype(np.float32)
        case "lengths":
            entry["ro"].pop()
        case "too many":
            group["history_size"] = 2
        case "ro":
            entry["ro"][0] = np.nan
        case "t":
            entry["t"] = "0.1"
        case "n_iter":
            entry["n_iter"] = -1
        case "no dict":
            state["state"][0] = 3
    return state


@pytest.mark.parametrize(
    ("what", "match"),
    [
        ("no groups", "param_groups"),
        ("two groups", "param_groups"),
        ("fewer params", "2 params; got 1"),
        ("lr", "lr"),
        ("search", "line_search_fn.*armijo.*strong_wolfe"),
        ("stranger", "1"),
        ("extra", "exp_avg"),
        ("missing", "old_dirs is missing"),
        ("shape", r"\['d'\] must be float64 of shape \(23,\); got .*\(22,\)"),
        ("dtype", r"\['old_stps'\]\[1\] must be float64"),
        ("lengths", "one length"),
        ("too many", "history_size=2"),
        ("ro", r"\['ro'\]\[0\]"),
        ("t", r"\['t'\]"),
        ("n_iter", "n_iter"),
        ("no dict", r"state\[0\] must be a dict"),
    ],
)
def test_load_state_dict_checks_everything_first(what: str, match: str) -> None:
    state = started(None, "float64", 3)[0].state_dict()
    optimizer, params, closure = started("strong_wolfe", "float64", 1)
    before, values = optimizer.state_dict(), [p.copy() for p in params]
    with pytest.raises((ValueError, TypeError), match=match):
        optimizer.load_state_dict(change(state, what))
    np.testing.assert_equal(optimizer.state_dict(), before)
    assert_same(params, values)
    optimizer.step(closure)


def test_a_state_of_torch_before_its_first_iteration_loads() -> None:
    optimizer = started(None, "float64", 3)[0]
    state = optimizer.state_dict()
    optimizer.load_state_dict({"state": {}, "param_groups": state["param_groups"]})
    assert optimizer.state_dict()["state"] == {0: {"func_evals": 0, "n_iter": 0, "step": 0}}
    optimizer.load_state_dict({"state": {0: {"func_evals": 1, "n_iter": 0}}, "param_groups": state["param_groups"]})
    assert optimizer.state_dict()["state"] == {0: {"func_evals": 1, "n_iter": 0, "step": 0}}


def test_repr() -> None:
    text = repr(started("strong_wolfe", "float32", 0)[0])
    assert text.startswith("LBFGS([(4, 5), (3,)], lr=0.1, max_iter=4, max_eval=5,")
    assert "line_search_fn='strong_wolfe'" in text


# ---- what may go wrong -----------------------------------------------------------------------------------------------


@searches
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_exception_leaves_the_last_finished_iteration(search: str | None, error: type[BaseException]) -> None:
    """Whichever evaluation it comes from. The next step goes on from there, bit for bit."""
    options = {"max_eval": 1000, "tolerance_grad": 0, "tolerance_change": 0}
    optimizer, params, closure = started(search, "float64", 0)
    optimizer.param_groups[0].update(max_iter=1, **options)
    way = [[p.copy() for p in params]]
    for _ in range(12):
        optimizer.step(closure)
        way.append([p.copy() for p in params])
    seen = set()
    for fatal in range(1, 1000):
        optimizer, params, closure = started(search, "float64", 0)
        optimizer.param_groups[0].update(max_iter=12, **options)
        calls = 0

        def failing(closure: Any = closure, fatal: int = fatal) -> Any:
            nonlocal calls
            calls += 1
            if calls == fatal:
                raise error
            return closure()

        try:
            optimizer.step(failing)
        except error:
            assert optimizer.steps == 0
        else:
            break
        made = optimizer.state_dict()["state"][0]["n_iter"]
        seen.add(made)
        assert_same(params, way[made])
        optimizer.param_groups[0]["max_iter"] = 12 - made
        optimizer.step(closure)
        assert_same(params, way[12])
    assert seen >= set(range(11))  # a fixed step's last iteration is not evaluated


BAD_RESULTS = [
    (None, TypeError, "closure must return"),
    (1.0, TypeError, "closure must return"),
    ((1.0, np.ones(2), 3), TypeError, "closure must return"),
    (("1.0", np.ones(2)), TypeError, "number as loss"),
    ((np.ones(1), np.ones(2)), TypeError, "number as loss"),
    ((1j, np.ones(2)), TypeError, "number as loss"),
    ((1.0, None), TypeError, "grads"),
    ((1.0, np.ones(3)), ValueError, "grads"),
    ((1.0, np.ones(2, np.float32)), ValueError, "grads"),
    ((1.0, [np.ones(2), np.ones(2)]), ValueError, "2 arrays"),
]


@searches
@pytest.mark.parametrize(("result", "error", "match"), BAD_RESULTS)
@pytest.mark.parametrize("good_calls", [0, 1])
def test_closures_of_no_use(result: Any, error: type, match: str, search: str | None, good_calls: int) -> None:
    x = np.array([-1.2, 1.0])
    optimizer = schuss.LBFGS(x, 0.1, line_search_fn=search)
    answers = iter([functions.rosenbrock(x)] * good_calls + [result])
    with pytest.raises(error, match=match):
        optimizer.step(lambda: next(answers))
    assert_array_equal(x, [-1.2, 1.0])
    assert optimizer.steps == 0
    state = optimizer.state_dict()["state"][0]
    assert (state["n_iter"], "d" in state) == (0, False)
    optimizer.step(closure_of(functions.rosenbrock, [x]))


def test_no_function_at_all() -> None:
    for wrong in (None, 3.0, np.ones(2)):
        with pytest.raises(TypeError, match="closure must be a function"):
            schuss.LBFGS(np.ones(2)).step(wrong)  # type: ignore[arg-type]


def test_a_gradient_that_is_a_parameter() -> None:
    x = np.ones(2)
    with pytest.raises(ValueError, match="shares memory with a parameter"):
        schuss.LBFGS(x).step(lambda: (1.0, x))


def test_gradients_in_other_layouts() -> None:
    """As for any optimizer: made contiguous and native. The same array may come back each time."""
    results = []
    for form in ("plain", "strided", "swapped", "read-only", "the same"):
        x, kept = np.array([-1.2, 1.0, 0.3]), np.empty(3)

        def closure(x: Array = x, kept: Array = kept, form: str = form) -> Any:
            loss, g = functions.rosenbrock(x)
            if form == "strided":
                g = np.repeat(g, 2)[::2]
            elif form == "swapped":
                g = g.astype(g.dtype.newbyteorder())
            elif form == "read-only":
                g.flags.writeable = False
            elif form == "the same":
                kept[:] = g
                g = kept
            return loss, g

        schuss.LBFGS(x, line_search_fn="strong_wolfe").step(closure)
        results.append(x)
    for x in results[1:]:
        assert_array_equal(x, results[0])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"lr": -1.0}, "lr"),
        ({"lr": np.nan}, "lr"),
        ({"lr": "1"}, "lr"),
        ({"max_iter": 0}, "max_iter"),
        ({"max_iter": 2.5}, "max_iter"),
        ({"max_eval": 0}, "max_eval"),
        ({"tolerance_grad": -1e-9}, "tolerance_grad"),
        ({"tolerance_change": np.inf}, "tolerance_change"),
        ({"history_size": 0}, "history_size"),
        ({"history_size": 10**9}, "history_size"),
        ({"line_search_fn": "wolfe"}, "line_search_fn.*strong_wolfe"),
        ({"line_search_fn": 3}, "line_search_fn"),
    ],
)
def test_arguments_out_of_range(options: dict[str, Any], match: str) -> None:
    x = np.ones(2)
    with pytest.raises((TypeError, ValueError), match=match):
        schuss.LBFGS(x, **options)
    optimizer = schuss.LBFGS(x)
    optimizer.param_groups[0].update(options)
    with pytest.raises((TypeError, ValueError), match=match):
        optimizer.step(closure_of(functions.rosenbrock, [x]))
    assert_array_equal(x, [1.0, 1.0])


def test_params_of_no_use() -> None:
    x = np.ones(4)
    read_only = np.ones(4)
    read_only.flags.writeable = False
    cases: list[tuple[Any, str]] = [
        ([x[:2], x[1:]], "overlaps"),
        (np.ones((2, 4)).T, "contiguous"),
        (read_only, "read-only"),
        (np.ones(3, np.int64), "dtype"),
        ([np.ones(2), np.ones(2, np.float32)], "one dtype"),
        ([], "at least one"),
        ("x", "params"),
        ([{"params": [np.ones(2)]}, {"params": [np.ones(2)]}], "one group"),
        ([{"params": [np.ones(2)], "momentum": 0.9}], "momentum"),
    ]
    for params, match in cases:
        with pytest.raises((TypeError, ValueError), match=match):
            schuss.LBFGS(params)


def test_a_step_within_a_step() -> None:
    x = np.array([-1.2, 1.0])
    optimizer = schuss.LBFGS(x)
    inner = [lambda: optimizer.step(closure), lambda: optimizer.load_state_dict(optimizer.state_dict())]
    for call in inner:

        def closure(call: Callable[[], Any] = call) -> Any:
            call()
            raise AssertionError

        with pytest.raises(RuntimeError, match="in a step"):
            optimizer.step(closure)
    optimizer.step(closure_of(functions.rosenbrock, [x]))


# ---- NaN and infinity ------------------------------------------------------------------------------------------------

BARRIERS = [np.nan, np.inf, -np.inf]


def walled(x: Array, beyond: float, in_gradient: bool) -> tuple[float, Array]:
    """A parabola with its minimum at 0.9, and nothing finite from 1 on."""
    g = 2 * (x - 0.9)
    if x[0] < 1:
        return float((x[0] - 0.9) ** 2), g
    return (0.0, np.full_like(x, beyond)) if in_gradient else (beyond, g)


@pytest.mark.parametrize("beyond", BARRIERS)
@pytest.mark.parametrize("in_gradient", [False, True])
def test_a_line_search_goes_back_from_what_is_not_finite(beyond: float, in_gradient: bool) -> None:
    x = np.array([-30.0])
    optimizer = schuss.LBFGS(x, lr=100, max_eval=1000, line_search_fn="strong_wolfe")
    optimizer.step(closure_of(lambda x: walled(x, beyond, in_gradient), [x]))
    assert optimizer.nonfinite
    assert_allclose(x, 0.9, atol=1e-6)
    optimizer.param_groups[0]["lr"] = 0.1
    optimizer.step(closure_of(lambda x: walled(x, beyond, in_gradient), [x]))
    assert not optimizer.nonfinite


def test_a_line_search_that_finds_nothing_finite_stays() -> None:
    x = np.array([0.5])
    optimizer = schuss.LBFGS(x, line_search_fn="strong_wolfe")
    answers = iter([(1.0, np.ones(1))] + [(np.nan, np.ones(1))] * 1000)
    optimizer.step(lambda: next(answers))
    assert optimizer.nonfinite
    assert_array_equal(x, [0.5])


@pytest.mark.parametrize("beyond", BARRIERS)
@pytest.mark.parametrize("in_gradient", [False, True])
def test_a_fixed_step_ends_at_the_last_good_point(beyond: float, in_gradient: bool) -> None:
    """The optimizer remembers nothing of what it then undid: with another step length it goes on."""
    x = np.array([-30.0])
    optimizer = schuss.LBFGS(x, lr=1.1)
    closure = closure_of(lambda x: walled(x, beyond, in_gradient), [x])
    assert optimizer.step(closure) == 30.9**2
    assert optimizer.nonfinite
    assert np.isfinite(x).all() and x[0] < 1
    state = optimizer.state_dict()["state"][0]
    assert all(np.isfinite(v).all() for v in [state["d"], state["prev_flat_grad"], *state["old_stps"]])
    assert state["t"] == 0
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.step(closure)
    assert not optimizer.nonfinite
    assert_allclose(x, 0.9, atol=1e-3)


@searches
def test_nothing_finite_at_the_start(search: str | None) -> None:
    for answer in ((np.nan, np.ones(2)), (1.0, np.array([np.inf, 1.0]))):
        x = np.ones(2)
        optimizer = schuss.LBFGS(x, line_search_fn=search)
        assert_array_equal(optimizer.step(lambda answer=answer: answer), answer[0])
        assert optimizer.nonfinite
        assert_array_equal(x, [1.0, 1.0])
        assert optimizer.state_dict()["state"][0]["n_iter"] == 0


@dtypes
@searches
@pytest.mark.parametrize("max_iter", [1, 5])
def test_parameters_never_overflow(search: str | None, dtype: str, max_iter: int) -> None:
    """Not even in the last iteration of a fixed step, which is not evaluated."""
    most = np.finfo(dtype).max
    x = np.array([0.9 * most, 1.0], dtype)
    optimizer = schuss.LBFGS(x, lr=1e30, max_iter=max_iter, line_search_fn=search)
    g = np.array([-0.3 * most, 0.0], dtype)
    optimizer.step(lambda: (float(-x[0] / most), g))
    assert optimizer.nonfinite or np.isfinite(g.astype(float) @ g.astype(float))
    assert np.isfinite(x).all()


def test_the_history_wraps() -> None:
    """Many more pairs than fit, growing memory as it goes: as a twin that keeps lists."""
    f, _ = functions.quadratic(50, 30)
    for most in (1, 2, 7, 8, 9, 17):
        x = np.zeros(50)
        optimizer = schuss.LBFGS(x, 0.7, max_iter=1, history_size=most, tolerance_grad=0, tolerance_change=0)
        for wanted in islice(lbfgs.iterations(f, np.zeros(50), lr=0.7, history_size=most), 30):
            optimizer.step(closure_of(f, [x]))
            assert_allclose(x, wanted, rtol=0, atol=1e-10)
        assert len(optimizer.state_dict()["state"][0]["old_stps"]) == min(most, 29)


# ---- memory and threads ----------------------------------------------------------------------------------------------


@searches
def test_nothing_is_allocated_once_the_history_is_full(search: str | None) -> None:
    n = 100_000
    curvature = np.linspace(1, 50, n)
    x, g = np.ones(n), np.empty(n)

    def closure() -> tuple[float, Array]:
        np.multiply(curvature, x, out=g)
        return 0.5 * float(x @ g), g

    optimizer = schuss.LBFGS(
        x, 0.3, max_iter=8, max_eval=100, history_size=4, line_search_fn=search, tolerance_grad=0, tolerance_change=0
    )
    optimizer.step(closure)
    tracemalloc.start()
    try:
        for _ in range(3):
            optimizer.step(closure)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes / 8


def test_two_threads_with_an_optimizer_each(set_threads: Callable[[int], None]) -> None:
    set_threads(2)

    def run(seed: int) -> Array:
        f, _ = functions.quadratic(60, 100, seed)
        params = [np.zeros(60), np.zeros(40_000)]

        def closure() -> tuple[float, list[Array]]:
            loss, g = f(params[0])
            return loss + float(params[1] @ params[1]) - float(params[1].sum()), [g, 2 * params[1] - 1]

        schuss.LBFGS(params, max_iter=30, history_size=6, line_search_fn="strong_wolfe").step(closure)
        return np.concatenate(params)

    alone = [run(seed) for seed in range(2)]
    with ThreadPoolExecutor(2) as pool:
        assert_same(list(pool.map(run, range(2))), alone)


def test_keys_of_the_users_are_kept_and_given_back() -> None:
    p = np.ones(3)
    optimizer = schuss.LBFGS(p)
    state = optimizer.state_dict()
    own = {"initial_lr": 0.5, "param_names": ["w"]}
    state["param_groups"][0].update(own)
    optimizer.load_state_dict(state)
    optimizer.step(lambda: (float((p**2).sum()), [2 * p]))
    again = schuss.LBFGS(np.ones(3))
    again.load_state_dict(optimizer.state_dict())
    found = again.state_dict()["param_groups"][0]
    assert {key: found[key] for key in own} == own
