"""schuss.minimize: what it reaches, its options, its result. Beside SciPy's own door: test_scipy.py."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import schuss
from schuss import minimize, schedules
from schuss.minimization.options import Options, method_of
from schuss.optim import BY_NAME

Vector = NDArray[np.float64]


def rosenbrock(x: Vector) -> tuple[float, Vector]:
    a, b = 1 - x[:-1], x[1:] - x[:-1] ** 2
    gradient = np.zeros_like(x)
    gradient[:-1] = -2 * a - 400 * x[:-1] * b
    gradient[1:] += 200 * b
    return float(a @ a + 100 * b @ b), gradient


def beale(x: Vector) -> tuple[float, Vector]:
    a, b = x
    parts = [(1.5 - a + a * b, b - 1, a), (2.25 - a + a * b**2, b**2 - 1, 2 * a * b)]
    parts.append((2.625 - a + a * b**3, b**3 - 1, 3 * a * b**2))
    return sum(u * u for u, _, _ in parts), np.array([sum(2 * p[0] * p[k] for p in parts) for k in (1, 2)])


def himmelblau(x: Vector) -> tuple[float, Vector]:
    a, b = x
    u, v = a * a + b - 11, a + b * b - 7
    return u * u + v * v, np.array([4 * a * u + 2 * v, 2 * u + 4 * b * v])


SCALES = np.logspace(0, 4, 12)


def ill_conditioned(x: Vector) -> tuple[float, Vector]:
    return float(x @ (SCALES * x)) / 2, SCALES * x


def bowl(x: Vector) -> tuple[float, Vector]:
    return float((x - 3) @ (x - 3)), 2 * (x - 3)


def sum_of_squares(x: Vector) -> float:
    return float((x - 3) @ (x - 3))


rng = np.random.default_rng(0)
TABLE = rng.normal(size=(200, 5))
LABELS = np.where(TABLE @ [1.0, -2.0, 0.5, 0.0, 3.0] + rng.normal(size=200) > 0, 1.0, -1.0)


def logistic(w: Vector, rows: Any = slice(None)) -> tuple[float, Vector]:
    X, y = TABLE[rows], LABELS[rows]
    margin = y * (X @ w)
    loss = np.logaddexp(0, -margin).mean() + 0.005 * w @ w
    return float(loss), -(X.T @ (y / (1 + np.exp(margin)))) / len(y) + 0.01 * w


LOGISTIC = minimize(logistic, np.zeros(5), method="lbfgs", jac=True, options={"gtol": 1e-10}).x

PROBLEMS: dict[str, tuple[Callable[..., Any], Vector, list[Any]]] = {
    "rosenbrock": (rosenbrock, np.array([-1.2, 1.0]), [[1.0, 1.0]]),
    "rosenbrock of 100": (rosenbrock, np.tile([-1.2, 1.0], 50), [np.ones(100)]),
    "beale": (beale, np.array([1.0, 1.0]), [[3.0, 0.5]]),
    "himmelblau": (
        himmelblau,
        np.array([0.0, 0.0]),
        [[3.0, 2.0], [-2.805118, 3.131313], [-3.779310, -3.283186], [3.584428, -1.848127]],
    ),
    "ill-conditioned": (ill_conditioned, np.ones(12), [np.zeros(12)]),
    "logistic": (logistic, np.zeros(5), [LOGISTIC]),
}


# ---- what it reaches -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("lbfgs", {}),
        ("adam", {"lr": 0.02, "maxiter": 100_000}),
        ("adam", {"lr": schedules.Cosine(0.1, 30_000), "maxiter": 30_000}),
        ("nadam", {"lr": schedules.Linear(0.02, 50_000), "maxiter": 50_000}),
        ("adan", {"lr": schedules.Linear(0.02, 50_000), "maxiter": 50_000}),
        ("yogi", {"lr": schedules.Linear(0.1, 50_000), "maxiter": 50_000}),
        ("prodigy", {"maxiter": 30_000}),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value.get("lr", "")).partition("(")[0],
)
def test_reaches_the_optimum(problem: str, method: str, options: dict[str, Any]) -> None:
    fun, x0, minima = PROBLEMS[problem]
    before = x0.copy()
    result = minimize(fun, x0, method=method, jac=True, options=options)
    if method in ("lbfgs", "adam") and not callable(options.get("lr")):
        assert result.success, result
    assert min(np.abs(result.x - np.array(at)).max() for at in minima) < (2e-3 if result.success else 0.02), result
    np.testing.assert_array_equal(x0, before)
    loss, gradient = fun(result.x)
    assert result.fun == loss
    np.testing.assert_array_equal(result.jac, gradient)


def test_a_noisy_objective() -> None:
    noise = np.random.default_rng(1)

    def noisy(x: Vector, batch: Vector) -> tuple[float, Vector]:
        loss, gradient = bowl(x)
        return loss + batch[0], gradient + batch[1:]

    stream = (noise.normal(size=3) for _ in itertools.count())
    options = {"lr": schedules.Cosine(0.1, 2000), "maxiter": 2000, "average": "mean", "average_start": 500}
    result = minimize(noisy, [0.0, 10.0], jac=True, batches=stream, options=options)
    assert result.success and result.nit == result.nfev == 2000
    np.testing.assert_allclose(result.x, 3, atol=0.03)
    assert abs(result.fun) < 0.5 and "jac" not in result


def test_mini_batches_reach_what_all_rows_reach() -> None:
    order = np.random.default_rng(2)
    batches = (order.choice(200, 20, replace=False) for _ in range(3000))
    options = {"lr": 0.03, "average": "mean", "average_start": 1000}
    result = minimize(logistic, np.zeros(5), jac=True, batches=batches, options=options)
    assert result.success and "batches are used up" in result.message and result.nit == 3000
    np.testing.assert_allclose(result.x, LOGISTIC, atol=0.05)


# ---- every method ----------------------------------------------------------------------------------------------------

RATES = {
    "adagrad": 0.5,
    "rowadagrad": 0.5,
    "adadelta": 10.0,
    "lion": 0.01,
    "ftrl": 0.5,
    "lamb": 0.05,
    "adopt": 0.01,
    "ademamix": 0.01,
}
RATES |= {"muon": 0.02, "lars": 5.0, "sgd": 0.05, "schedule_free_sgd": 0.1, "schedule_free_adamw": 0.05}


def options_of(name: str) -> dict[str, Any]:
    options: dict[str, Any] = {"lr": RATES.get(name, 0.02)}
    if name == "muon":
        options["shape"] = (2, 2)
    if name == "prodigy":
        del options["lr"]
    return options


@pytest.mark.parametrize("name", [*BY_NAME, "lbfgs"])
def test_every_method(name: str) -> None:
    options = options_of(name) if name != "lbfgs" else {}
    result = minimize(bowl, [1.0, 2.0, 4.0, 5.0], method=name, jac=True, options=options)
    assert result.fun < 1e-4, result
    kind = method_of(name).kind
    assert kind is not None
    again = minimize(bowl, [1.0, 2.0, 4.0, 5.0], method=kind, jac=True, options=options)
    np.testing.assert_array_equal(again.x, result.x)
    assert not set(method_of(name).hyperparameters) & set(Options.__dataclass_fields__)


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_steps_are_the_optimizers(name: str, dtype: Any) -> None:
    options = options_of(name)
    x = np.array([1.0, 2.0, 4.0, 5.0], dtype).reshape(options.get("shape", 4))
    shape = options.pop("shape", 4)
    decays = {"weight_decay", "lambd"} & set(method_of(name).hyperparameters)
    optimizer = BY_NAME[name](x, **options, **dict.fromkeys(decays, 0.0))
    for _ in range(30):
        optimizer.step((2 * (x - 3)).astype(dtype))
    if hasattr(optimizer, "eval"):
        optimizer.eval()
    options |= {"maxiter": 30, "best": False, "shape": shape}
    result = minimize(bowl, np.array([1, 2, 4, 5], dtype), method=name, jac=True, options=options)
    np.testing.assert_array_equal(result.x, x.reshape(-1))
    assert result.x.dtype == dtype and (result.nit, result.status) == (30, 1)


def test_decay_is_off_unless_asked_for() -> None:
    def steps(method: Any, **options: Any) -> Any:
        return minimize(bowl, [0.0, 1.0], method=method, jac=True, options={"lr": 0.1, "maxiter": 50, **options}).x

    np.testing.assert_array_equal(steps("adamw"), steps("adam"))
    assert (steps("adamw", weight_decay=0.1) != steps("adam")).any()
    np.testing.assert_array_equal(steps("muon", adamw={"lr": 0.1}), steps("adam"))


def test_a_factory() -> None:
    def steps(method: Any) -> Any:
        return minimize(bowl, [0.0, 1.0], method=method, jac=True, options={"maxiter": 50})

    named = minimize(bowl, [0.0, 1.0], method="adam", jac=True, options={"lr": 0.1, "maxiter": 50})
    np.testing.assert_array_equal(steps(lambda x: schuss.Adam(x, lr=0.1)).x, named.x)
    np.testing.assert_array_equal(steps(lambda x: schuss.Lookahead(schuss.Adam(x, lr=0.1), k=100)).x, named.x)
    assert steps(lambda x: schuss.LBFGS(x, max_iter=1)).success
    kept: list[Any] = []
    averaged = minimize(
        bowl,
        [0.0, 1.0],
        method=lambda x: kept.append(schuss.EMA(schuss.Adam(x, lr=0.1), 0.9)) or kept[0],
        jac=True,
        options={"maxiter": 50, "best": False},
    )
    np.testing.assert_array_equal(averaged.x, kept[0].averages[0])


# ---- options ---------------------------------------------------------------------------------------------------------


def test_limits() -> None:
    def run(**options: Any) -> Any:
        return minimize(rosenbrock, [-1.2, 1.0], jac=True, options=options)

    result = run(maxiter=7)
    assert (result.nit, result.nfev, result.njev, result.status, result.success) == (7, 8, 8, 1, False)
    assert result.message == "Maximum number of iterations has been exceeded."
    result = run(maxiter=0)
    assert (result.nit, result.nfev, result.x.tolist(), result.fun) == (0, 1, [-1.2, 1.0], 24.199999999999996)
    result = run(maxfun=7)
    assert (result.nit, result.nfev, result.status) == (6, 7, 1)
    assert result.message == "Maximum number of function evaluations has been exceeded."
    result = run(maxtime=0)
    assert (result.nit, result.status, result.message) == (0, 1, "Maximum time has been exceeded.")
    result = run(maxiter=7, gtol=0)  # nothing else could end it
    assert (result.nit, result.status, result.success) == (7, 0, True)
    assert "iterations asked for are used up" in result.message


@pytest.mark.parametrize("maxfun", [1, 2, 5, 9, 10, 40])
@pytest.mark.parametrize("jac", [True, None])
def test_maxfun_is_kept(maxfun: int, jac: Any) -> None:
    for method, options in (("adam", {}), ("lbfgs", {}), ("adam", {"average": 0.5}), ("schedule_free_adamw", {})):
        fun = rosenbrock if jac else lambda x: rosenbrock(x)[0]
        result = minimize(fun, [-1.2, 1.0], method=method, jac=jac, options={"maxfun": maxfun, **options})
        assert result.nfev <= max(maxfun, 1 if jac else 3)
        assert result.status == 1 and np.isfinite(result.fun)


def test_gtol_and_norm() -> None:
    for norm in (np.inf, 2, 1):
        options = {"lr": 0.1, "gtol": 1e-3, "norm": norm}
        result = minimize(bowl, [0.0, 1.0, 2.0], jac=True, options=options)
        assert result.success and "gtol" in result.message
        assert np.linalg.norm(result.jac, norm) <= 1e-3
        points: list[Vector] = []
        minimize(bowl, [0.0, 1.0, 2.0], jac=True, callback=points.append, options=options)
        assert all(np.linalg.norm(bowl(x)[1], norm) > 1e-3 for x in points[:-1])  # the first such point
    assert minimize(bowl, [3.0, 3.0], jac=True).nit == 0
    assert minimize(bowl, [0.0, 1.0], jac=True, options={"gtol": np.inf}).nit == 0


def test_ftol_and_patience() -> None:
    losses: list[float] = []

    def note(intermediate_result: Any) -> None:
        losses.append(intermediate_result.fun)

    options = {"lr": 0.1, "ftol": 1e-3, "patience": 20, "gtol": 0}
    result = minimize(bowl, [0.0, 1.0], jac=True, callback=note, options=options)
    assert result.success and "ftol in 20 iterations" in result.message
    mark, since = bowl(np.array([0.0, 1.0]))[0], 0
    for k, loss in enumerate(losses, 1):
        if loss < mark - 1e-3 * max(1, mark):
            mark, since = loss, k
        assert (k - since >= 20) == (k == result.nit)
    assert "in 100 iterations" in minimize(bowl, [0.0], jac=True, options={"lr": 0.1, "ftol": 1e-3}).message
    flat = minimize(lambda x: 1.0, [0.0], jac=lambda x: np.ones(1), options={"patience": 5})
    assert (flat.nit, flat.status) == (5, 0)


def test_f_target_and_tol() -> None:
    result = minimize(bowl, [0.0, 1.0], jac=True, options={"lr": 0.1, "f_target": 0.5})
    assert result.success and result.fun <= 0.5 and "f_target" in result.message
    loose = minimize(bowl, [0.0, 1.0], jac=True, tol=1e-2, options={"lr": 0.1})
    assert np.abs(loose.jac).max() <= 1e-2 and loose.nit < minimize(bowl, [0.0, 1.0], jac=True, options={"lr": 0.1}).nit
    kept = minimize(bowl, [0.0, 1.0], jac=True, tol=1e-2, options={"lr": 0.1, "gtol": 1e-4, "ftol": 0})
    assert np.abs(kept.jac).max() <= 1e-4


def test_best_or_last() -> None:
    options = {"lr": 1.5, "maxiter": 21}  # a rate at which it swings over
    best = minimize(bowl, [0.0, 1.0], jac=True, options=options)
    points: list[Vector] = [np.array([0.0, 1.0])]
    last = minimize(bowl, [0.0, 1.0], jac=True, callback=points.append, options={**options, "best": False})
    losses = [bowl(x)[0] for x in points]
    assert best.fun == min(losses) < losses[-1] == last.fun
    np.testing.assert_array_equal(best.x, points[int(np.argmin(losses))])
    np.testing.assert_array_equal(last.x, points[-1])


@pytest.mark.parametrize(("average", "start"), [("mean", 1), (0.9, 1), ("mean", 11), (0.5, 11), (0.5, 1000)])
@pytest.mark.parametrize("bounds", [None, [(0.0, 3.05), (None, 1.5)]])
def test_averages(average: Any, start: int, bounds: Any) -> None:
    points: list[Vector] = []
    options = {"lr": 0.3, "maxiter": 40, "gtol": 0, "best": False, "average": average, "average_start": start}
    result = minimize(
        bowl, [0.0, 1.0], method="signum", jac=True, bounds=bounds, callback=points.append, options=options
    )
    expected = points[-1]
    if start <= 40:
        expected = points[start - 1].copy()
        for k, x in enumerate(points[start:], 2):
            expected += (x - expected) * (1 / k if average == "mean" else 1 - average)
    np.testing.assert_allclose(result.x, expected, rtol=1e-12)
    assert result.fun == bowl(result.x)[0] and result.nfev == 42
    if bounds:
        assert min(x[1] for x in points) < max(x[1] for x in points) == 1.5
    best = minimize(bowl, [0.0, 1.0], method="signum", jac=True, bounds=bounds, options={**options, "best": True})
    assert best.fun == min(result.fun, *(bowl(x)[0] for x in points))


@pytest.mark.parametrize(("r", "power"), [(0.0, 2.0), (1.0, 1.0)])
def test_schedule_free_within_bounds(r: float, power: float) -> None:
    """Its projection beside the formulas with z projected."""
    lr, beta, high = 0.2, 0.9, np.array([1.5, 2.0])
    z = x = np.array([0.0, 1.0])
    total = 0.0
    for t in range(1, 26):
        y = (1 - beta) * z + beta * x
        z = np.minimum(z - lr * bowl(y)[1], high)
        total += t**r * lr**power
        x = x + t**r * lr**power / total * (z - x)
    options = {"lr": lr, "momentum": beta, "maxiter": 25, "best": False, "r": r, "weight_lr_power": power, "gtol": 0}
    bounds = [(None, 1.5), (None, 2.0)]
    result = minimize(bowl, [0.0, 1.0], method="schedule_free_sgd", jac=True, bounds=bounds, options=options)
    np.testing.assert_allclose(result.x, x, rtol=1e-12)


def test_return_all_and_disp(capsys: pytest.CaptureFixture[str]) -> None:
    points: list[Vector] = []
    options = {"maxiter": 5, "return_all": True, "disp": True}
    result = minimize(bowl, [0.0, 1.0], jac=True, callback=points.append, options=options)
    np.testing.assert_array_equal(result.allvecs, [[0.0, 1.0], *points])
    printed = capsys.readouterr().out
    assert "Maximum number of iterations" in printed and "Iterations: 5" in printed and "evaluations: 6" in printed


def test_schedules() -> None:
    asked: list[int] = []

    def rate(step: int) -> float:
        asked.append(step)
        return 0.1 / (1 + step)

    minimize(bowl, [0.0, 1.0], jac=True, options={"lr": rate, "maxiter": 4})
    assert sorted(set(asked)) == [0, 1, 2, 3]
    plateau = schedules.ReduceOnPlateau(0.5, patience=9, factor=0.5)
    result = minimize(bowl, [0.1234, 1.0], jac=True, options={"lr": plateau, "maxiter": 500, "gtol": 0})
    assert plateau.state.reports == result.nit == 500 and plateau.state.lr < 0.5
    np.testing.assert_allclose(result.x, 3, atol=0.05)
    plateau = schedules.ReduceOnPlateau(1.0, patience=9)
    result = minimize(rosenbrock, [-1.2, 1.0], jac=True, method="lbfgs", options={"lr": plateau})
    assert plateau.state.reports == result.nit > 0


def test_lbfgs_options() -> None:
    plain = minimize(bowl, [0.0, 1.0], jac=True, method="lbfgs", options={"line_search_fn": None, "lr": 0.5})
    assert plain.success
    lost = minimize(lambda x: (1e8 + bowl(x)[0], bowl(x)[1]), [0.0, 1.0], jac=True, method="lbfgs")
    assert lost.success or (lost.status == 2 and "precision loss" in lost.message)
    uphill = minimize(lambda x: (bowl(x)[0], -bowl(x)[1]), [0.0, 1.0], jac=True, method="lbfgs")
    assert (uphill.status, uphill.success, uphill.nit) == (2, False, 0)
    for history in (1, 3):
        result = minimize(rosenbrock, [-1.2, 1.0], jac=True, method="lbfgs", options={"history_size": history})
        np.testing.assert_allclose(result.x, 1, atol=1e-4)


def test_lbfgs_is_that_of_one_step() -> None:
    """Iterations made one by one are those of one call, and cost no more evaluations."""
    x = np.array([-1.2, 1.0])
    count = itertools.count()

    def closure() -> tuple[float, Vector]:
        next(count)
        return rosenbrock(x)

    schuss.LBFGS(x, max_iter=20, max_eval=1000, line_search_fn="strong_wolfe").step(closure)
    result = minimize(rosenbrock, [-1.2, 1.0], jac=True, method="lbfgs", options={"maxiter": 20, "best": False})
    np.testing.assert_array_equal(result.x, x)
    assert result.nfev == next(count)


# ---- gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
@pytest.mark.parametrize(("jac", "calls"), [(None, 3), (False, 3), ("2-point", 3), ("3-point", 5)])
def test_differences(method: str, jac: Any, calls: int) -> None:
    result = minimize(sum_of_squares, [0.0, 10.0], method=method, jac=jac, options={"lr": 0.5})
    np.testing.assert_allclose(result.x, 3, atol=1e-4)
    assert result.nfev == calls * result.njev


@given(
    x=st.lists(st.floats(-10, 10), min_size=1, max_size=5),
    low=st.floats(-12, 12),
    width=st.floats(0, 5),
    jac=st.sampled_from(["2-point", "3-point"]),
    single=st.booleans(),
)
def test_differences_within_bounds(x: list[float], low: float, width: float, jac: str, single: bool) -> None:
    dtype = np.float32 if single else np.float64
    seen: list[Any] = []

    def fun(x: Any) -> float:
        assert ((low <= x).all() and (x <= low + width).all()) or (single and width < 1e-5)  # no float32 is between
        seen.append(x)
        return float(np.sum(np.sin(x.astype(np.float64))))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = minimize(
            fun, np.array(x, dtype), jac=jac, bounds=[(low, low + width)] * len(x), options={"maxiter": 0}
        )
    expected = np.cos(result.x.astype(np.float64))
    if width > 0.01:
        np.testing.assert_allclose(result.jac, expected, atol=5e-3 if single else 2e-6)
    elif width == 0 or low == low + width:
        assert not result.jac.any()


def test_a_step_of_ones_own() -> None:
    seen: list[Vector] = []
    minimize(lambda x: seen.append(x) or 0.0, [4.0, -0.5], options={"finite_diff_rel_step": [0.5, 0.25], "maxiter": 0})
    np.testing.assert_array_equal(seen, [[4.0, -0.5], [6.0, -0.5], [4.0, -0.75]])


def test_many_differences_are_warned_of() -> None:
    def run(n: int, jac: Any) -> Any:
        return minimize(lambda x: float(x @ x), np.ones(n), jac=jac, options={"maxiter": 1})

    with pytest.warns(Warning, match=r"jac is None: each gradient takes 101 calls") as caught:
        result = run(101, None)
    assert caught[0].filename == __file__ and result.nfev == 204
    run(100, None)
    run(101, "2-point")


# ---- bounds ----------------------------------------------------------------------------------------------------------


@given(
    x0=st.lists(st.floats(-5, 5), min_size=3, max_size=3),
    low=st.lists(st.one_of(st.none(), st.floats(-6, 6)), min_size=3, max_size=3),
    method=st.sampled_from(["sgd", "adam", "rprop", "schedule_free_adamw", "schedule_free_sgd", "ftrl", "lion"]),
    average=st.sampled_from([None, "mean", 0.9]),
)
def test_never_outside(x0: list[float], low: list[float | None], method: str, average: Any) -> None:
    bounds = [(side, None if side is None else side + 1.0) for side in low]
    lows = np.array([-np.inf if side is None else side for side in low])
    highs = np.array([np.inf if side is None else side + 1.0 for side in low])

    def fun(x: Vector) -> tuple[float, Vector]:
        assert (lows <= x).all() and (x <= highs).all()
        return bowl(x)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"lr": 0.1, "maxiter": 40, "average": average}
        result = minimize(fun, x0, jac=True, method=method, bounds=bounds, options=options)
    assert (lows <= result.x).all() and (result.x <= highs).all()


@pytest.mark.parametrize("method", ["sgd", "adam", "adamw", "rprop", "prodigy", "schedule_free_sgd", "yogi", "adan"])
def test_an_optimum_at_the_bounds(method: str) -> None:
    bounds = [(None, 1.0), (2.0, 2.0), (3.5, None), (0, 10)]
    options = {} if method == "prodigy" else {"lr": 0.1}
    result = minimize(bowl, [0.0, 2.0, 5.0, 4.0], jac=True, method=method, bounds=bounds, options=options)
    np.testing.assert_allclose(result.x, [1.0, 2.0, 3.5, 3.0], atol=5e-4)
    assert result.success or method == "schedule_free_sgd"  # the mean of all its points gets there slowly


def test_a_start_outside_is_moved_with_a_warning() -> None:
    x0 = np.array([5.0, 0.0])
    with pytest.warns(Warning, match=r"x0 is not within the bounds and was moved there; x0\[0\] was 5, is 1") as caught:
        result = minimize(bowl, x0, jac=True, bounds=[(0, 1), (0, 1)], options={"lr": 0.1})
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(x0, [5.0, 0.0])
    np.testing.assert_array_equal(result.x, [1.0, 1.0])


# ---- batches ---------------------------------------------------------------------------------------------------------


def weighted(x: Vector, batch: float, scale: float = 1.0) -> tuple[float, Vector]:
    return scale * batch * bowl(x)[0], scale * batch * bowl(x)[1]


def test_one_step_a_batch() -> None:
    x = np.array([0.0, 1.0])
    optimizer = schuss.Adam(x, lr=0.1)
    for batch in (1.0, 2.0, 0.5):
        optimizer.step(weighted(x, batch, 3.0)[1])
    for given_as in ({"batches": [1.0, 2.0, 0.5]}, {"options": {"batches": iter([1.0, 2.0, 0.5])}}):
        options = {"lr": 0.1, **given_as.pop("options", {})}
        result = minimize(weighted, [0.0, 1.0], (3.0,), jac=True, options=options, **given_as)
        np.testing.assert_array_equal(result.x, x)
        assert (result.nit, result.nfev, result.status) == (3, 3, 0)
    apart = minimize(
        lambda x, batch: weighted(x, batch, 3.0)[0],
        [0.0, 1.0],
        jac=lambda x, batch: weighted(x, batch, 3.0)[1],
        batches=[1.0, 2.0, 0.5],
        options={"lr": 0.1},
    )
    np.testing.assert_array_equal(apart.x, x)


def test_no_batch_is_taken_in_vain() -> None:
    batches = itertools.cycle([1.0, 2.0])
    taken: list[float] = []

    def stream() -> Iterator[float]:
        for batch in batches:
            taken.append(batch)
            yield batch

    result = minimize(weighted, [0.0, 1.0], jac=True, batches=stream(), options={"maxiter": 5})
    assert len(taken) == result.nit == result.nfev == 5 and result.success
    result = minimize(weighted, [0.0, 1.0], jac=True, batches=[], options={"maxiter": 5})
    assert (result.nit, result.status, result.x.tolist()) == (0, 0, [0.0, 1.0]) and np.isnan(result.fun)


def test_the_smoothed_loss() -> None:
    losses: list[float] = []

    def note(intermediate_result: Any) -> None:
        losses.append(intermediate_result.fun)

    raw = [3.0, 1.0, 5.0, 2.0, 2.0]
    options = {"smooth": 3, "lr": 0.0}
    result = minimize(
        lambda x, batch: (batch, np.ones(1)), [0.0], jac=True, batches=raw, callback=note, options=options
    )
    expected = [3.0]
    for k, loss in enumerate(raw[1:], 2):
        expected.append(expected[-1] + (loss - expected[-1]) / min(k, 3))
    assert losses == pytest.approx(expected) and result.fun == losses[-1]


def test_batches_end_by_patience_and_keep_the_best() -> None:
    rows = np.random.default_rng(3)
    stream = (rows.choice(200, 50) for _ in itertools.count())
    options = {"lr": 0.05, "patience": 200, "ftol": 1e-3, "best": True}
    result = minimize(logistic, np.zeros(5), jac=True, batches=stream, options=options)
    assert result.success and "ftol" in result.message and result.nit < 10_000
    assert result.fun < 1.1 * logistic(LOGISTIC)[0]


# ---- what ends it otherwise ------------------------------------------------------------------------------------------


def turns(value: float, where: str, after: int) -> Callable[..., Any]:
    """The bowl, of which the loss or the gradient turns into a value after so many calls."""
    calls = itertools.count(1)

    def fun(x: Vector, batch: Any = None) -> tuple[float, Vector]:
        loss, gradient = bowl(x)
        if next(calls) > after:
            if where == "loss":
                loss = value
            else:
                gradient[1] = value
        return loss, gradient

    return fun


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["loss", "gradient"])
@pytest.mark.parametrize(
    ("method", "batches"),
    [*itertools.product(["adam", "sgd", "schedule_free_adamw"], [None, range(100)]), ("lbfgs", None)],
)
def test_not_finite(value: float, where: str, batches: Any, method: str) -> None:
    for best in (True, False):
        options = {"lr": 0.1, "best": best}
        if method == "lbfgs":
            options["line_search_fn"] = None  # with one it goes back
        points: list[Vector] = []
        result = minimize(
            turns(value, where, 5),
            [0.0, 1.0],
            jac=True,
            method=method,
            batches=batches,
            callback=points.append,
            options=options,
        )
        assert (result.status, result.success, result.nit) == (3, False, 5)
        assert "NaN result encountered" in result.message and "5 iterations" in result.message
        np.testing.assert_array_equal(result.x, points[3])  # the one before the last step
        assert np.isfinite(result.fun)
    result = minimize(turns(value, where, 0), [0.0, 1.0], jac=True, method=method, batches=batches)
    assert (result.status, result.nit, result.x.tolist()) == (3, 0, [0.0, 1.0])


def test_a_line_search_goes_round_what_is_not_finite() -> None:
    def barrier(x: Vector) -> tuple[float, Vector]:
        with np.errstate(all="ignore"):
            return float(np.sum(x - np.log(x))), 1 - 1 / x

    result = minimize(barrier, [0.1, 50.0], jac=True, method="lbfgs")
    assert result.success
    np.testing.assert_allclose(result.x, 1, atol=1e-4)


def test_divergence_is_quiet_but_told() -> None:
    result = minimize(lambda x: (1.0, np.full(2, 1e180)), [1.0, 1.0], jac=True, method="sgd", bounds=[(0, 5)] * 2)
    assert (result.status, result.x.tolist()) == (0, [0.0, 0.0])
    with pytest.warns(RuntimeWarning):  # of the function's own
        result = minimize(lambda x: (float(np.sum(x**4)), 4 * x**3), [3.0], jac=True, method="sgd", options={"lr": 1.0})
    assert result.status == 3 and result.x.tolist() == [3.0]


def test_callbacks() -> None:
    points: list[Vector] = []
    results: list[Any] = []

    def by_name(intermediate_result: Any) -> None:
        results.append(intermediate_result)

    for method in ("adam", "lbfgs"):
        points.clear(), results.clear()
        minimize(rosenbrock, [-1.2, 1.0], jac=True, method=method, callback=points.append, options={"maxiter": 5})
        minimize(rosenbrock, [-1.2, 1.0], jac=True, method=method, callback=by_name, options={"maxiter": 5})
        np.testing.assert_array_equal(points, [result.x for result in results])
        assert len({id(x) for x in points}) == 5 == len(np.unique(points, axis=0))
        assert [result.fun for result in results] == [rosenbrock(x)[0] for x in points]
        assert [result.nit for result in results] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
def test_a_callback_stops_it(method: str) -> None:
    def stop(x: Vector) -> None:
        calls.append(x)
        if len(calls) == 3:
            raise StopIteration

    calls: list[Vector] = []
    result = minimize(rosenbrock, [-1.2, 1.0], jac=True, method=method, callback=stop)
    assert (result.nit, result.status, result.success) == (3, 99, False)
    assert result.message == "`callback` raised `StopIteration`."
    calls = []
    result = minimize(weighted, [0.0, 1.0], jac=True, callback=stop, batches=itertools.repeat(1.0))
    assert (result.nit, result.status) == (3, 99)


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
def test_what_functions_raise_passes(method: str) -> None:
    def raises(kind: type[BaseException]) -> Callable[[Vector], Any]:
        calls = itertools.count()

        def fun(x: Vector) -> tuple[float, Vector]:
            if next(calls) == 4:
                raise kind("here")
            return rosenbrock(x)

        return fun

    for kind in (ZeroDivisionError, StopIteration):
        with pytest.raises(kind, match="here"):
            minimize(raises(kind), [-1.2, 1.0], jac=True, method=method)
    with pytest.raises(KeyboardInterrupt) as caught:
        minimize(raises(KeyboardInterrupt), [-1.2, 1.0], jac=True, method=method)
    result = caught.value.result  # type: ignore[attr-defined]
    assert result.status == 99 and result.fun < 24.2 and result.fun == rosenbrock(result.x)[0]


# ---- what goes in and out --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
def test_x0_of_any_kind(method: str) -> None:
    options = {"lr": 0.5}
    expected = minimize(bowl, np.array([0.0, 1.0, 2.0, 4.0]), jac=True, method=method, options=options).x
    for x0 in (
        [0, 1, 2, 4],
        (0.0, 1.0, 2.0, 4.0),
        np.array([0, 1, 2, 4]),
        np.array([0, 1, 2, 4], np.float16),
        np.array([0, 1, 2, 4], ">f8"),
        np.array([[0.0, 1.0], [2.0, 4.0]]),
        np.arange(10.0)[[0, 1, 2, 4]][::1],
    ):
        seen: list[Any] = []
        result = minimize(lambda x, s=seen: s.append(x) or bowl(x), x0, jac=True, method=method, options=options)
        np.testing.assert_array_equal(result.x, expected)
        assert all(x.shape == (4,) and x.dtype == np.float64 for x in [result.x, result.jac, *seen])
        assert len({x.ctypes.data for x in seen}) == len(seen)  # none is another's memory
    single = minimize(bowl, np.array([0, 1, 2, 4], np.float32), jac=True, method=method, options=options)
    assert single.x.dtype == single.jac.dtype == np.float32
    np.testing.assert_allclose(single.x, 3, atol=1e-4)
    assert minimize(bowl, 2.0, jac=True, method=method).x.shape == (1,)


@pytest.mark.parametrize("method", ["adam", "lbfgs", "schedule_free_adamw"])
def test_functions_may_keep_change_and_reuse_arrays(method: str) -> None:
    expected = minimize(rosenbrock, [-1.2, 1.0], jac=True, method=method, options={"maxiter": 60})
    buffer = np.empty(2)

    def careless(x: Vector) -> tuple[Any, Vector]:
        loss, buffer[...] = rosenbrock(x)
        x[...] = np.nan
        return np.array([loss]), buffer

    def change(intermediate_result: Any) -> None:
        intermediate_result.x[...] = np.nan

    result = minimize(careless, [-1.2, 1.0], jac=True, method=method, callback=change, options={"maxiter": 60})
    np.testing.assert_array_equal(result.x, expected.x)
    np.testing.assert_array_equal(result.jac, expected.jac)


def test_gradients_in_other_forms() -> None:
    expected = minimize(bowl, [0.0, 1.0], jac=True, options={"maxiter": 9}).x
    for form in (list, lambda g: g[None, :], lambda g: g.astype(">f8"), lambda g: np.repeat(g, 2)[::2]):
        result = minimize(sum_of_squares, [0.0, 1.0], jac=lambda x, f=form: f(bowl(x)[1]), options={"maxiter": 9})
        np.testing.assert_array_equal(result.x, expected)
    assert minimize(lambda x: x[0] ** 2, [1.0], jac=lambda x: 2 * x[0], options={"lr": 0.1}).success


def test_args() -> None:
    for args in ((2.0,), 2.0):
        result = minimize(lambda x, a: (x[0] - a) ** 2, [0.0], args, jac=lambda x, a: 2 * (x - a), options={"lr": 0.1})
        assert result.x[0] == pytest.approx(2, abs=1e-4)


def test_within_itself() -> None:
    """A function may minimize another."""

    def outer(x: Vector) -> float:
        inner = minimize(lambda y: ((y[0] - x[0]) ** 2, 2 * (y - x)), [0.0], jac=True, method="lbfgs")
        return float(inner.x[0] ** 2 + (x[0] - 1) ** 2)

    assert minimize(outer, [3.0], method="lbfgs").x[0] == pytest.approx(0.5, abs=1e-4)


BAD: list[tuple[Any, type[Exception], str]] = [
    ({"fun": 3}, TypeError, r"fun must be a function of x; got 3 \(int\)"),
    ({"fun": bowl, "jac": None}, TypeError, r"fun must return a number; got .*; jac=True says that it returns the gr"),
    ({"fun": lambda x: 1.0}, ValueError, r"fun must return \(loss, gradient\) with jac=True; got 1\.0"),
    ({"fun": lambda x: ("a", x)}, TypeError, r"fun must return \(loss, gradient\), the loss .* got 'a'"),
    ({"fun": lambda x: (1j, x)}, TypeError, r"fun must return \(loss, gradient\), the loss being a number"),
    ({"fun": lambda x: (x, x)}, TypeError, r"fun must return \(loss, gradient\), the loss being a number"),
    ({"fun": lambda x: (1.0, np.ones(3))}, ValueError, r"fun's gradient must have shape \(2,\); got \(3,\)"),
    ({"fun": sum_of_squares, "jac": lambda x: np.ones((2, 2))}, ValueError, r"jac's value must have shape \(2,\)"),
    ({"fun": sum_of_squares, "jac": lambda x: ["a", "b"]}, TypeError, "jac's value must be an array of real numbers"),
    ({"jac": "cs"}, ValueError, r"jac must be a function, True .*; got 'cs'"),
    ({"jac": 1}, ValueError, r"jac must be a function, True .*; got 1"),
    ({"x0": []}, ValueError, r"x0 must have at least one variable; got shape \(0,\)"),
    ({"x0": [1.0, np.nan]}, ValueError, r"x0 must be finite; x0\[1\] is nan"),
    ({"x0": [1j, 2]}, TypeError, "x0 must be an array of real numbers"),
    ({"x0": "ab"}, TypeError, "x0 must be an array of real numbers"),
    ({"method": "adma"}, ValueError, r"method 'adma' is not known; did you mean .*'adam'"),
    ({"method": "BFGS"}, ValueError, r"method 'bfgs' is not known; did you mean 'lbfgs'"),
    ({"method": 3}, TypeError, "method must be the name or the class of an optimizer, or a function"),
    ({"method": schuss.SAM}, TypeError, "method must be the name or the class of an optimizer, or a function"),
    ({"method": lambda x: 3}, TypeError, r"method must make an optimizer of an array.*; got 3 \(int\)"),
    ({"method": lambda x: schuss.SAM(schuss.SGD(x))}, TypeError, "method must make an optimizer of an array"),
    ({"method": lambda x: schuss.Adam(x.copy())}, ValueError, "method must make an optimizer of the array that it is"),
    ({"method": lambda x: schuss.Adam(x, maximize=True)}, ValueError, "method must make an optimizer that minimizes"),
    ({"method": lambda x: schuss.Adam(x), "options": {"lr": 1}}, ValueError, "option 'lr' is not known.*has to bring"),
    ({"method": "muon"}, ValueError, r"x0 or the option shape must have two dimensions for muon.*; got shape \(2,\)"),
    ({"bounds": [(0, 1)]}, ValueError, "bounds must have a pair for each of the 2 variables; got 1"),
    ({"bounds": [(0, 1), (2, 1)]}, ValueError, r"bounds\[1\] must be \(low, high\) with low <= high; got \(2, 1\)"),
    ({"bounds": [(0, 1), 3]}, TypeError, r"bounds must be a sequence of \(low, high\)"),
    ({"bounds": 3}, TypeError, r"bounds must be a sequence of \(low, high\)"),
    ({"bounds": [(0, 1), (np.nan, 1)]}, ValueError, "bounds must not be NaN"),
    ({"bounds": [(0, 1), (0, 1)], "method": "lbfgs"}, ValueError, "bounds must be None for lbfgs"),
    ({"batches": [1], "method": "lbfgs"}, ValueError, "batches must be None for lbfgs"),
    ({"options": {"average": "mean"}, "method": "lbfgs"}, ValueError, "average must be None for lbfgs"),
    ({"batches": 3}, TypeError, r"batches must be an iterable; got 3 \(int\)"),
    ({"batches": [1], "options": {"batches": [1]}}, ValueError, "batches must be given once"),
    ({"tol": -1}, ValueError, r"tol must be a number in \[0, inf\); got -1"),
    ({"callback": 3}, TypeError, r"callback must be a function of x; got 3 \(int\)"),
    ({"options": [("lr", 1)]}, TypeError, r"options must be a dict; got \[\('lr', 1\)\] \(list\)"),
    ({"options": {"learning_rate": 1}}, ValueError, "adam's option 'learning_rate' is not known"),
    ({"options": {"max_iter": 1}}, ValueError, "adam's option 'max_iter' is not known; did you mean 'maxiter'"),
    ({"options": {"max_iter": 1}, "method": "lbfgs"}, ValueError, "lbfgs's option 'max_iter' is not known"),
    ({"options": {"momentum": 0.9}}, ValueError, "adam's option 'momentum' is not known"),
    ({"options": {"maximize": True}}, ValueError, "adam's option 'maximize' is not known"),
    ({"options": {"lr": -1}}, ValueError, r"lr must be a number in \[0, inf\); got -1"),
    ({"options": {"betas": (2, 0)}}, ValueError, r"betas\[0\] must be a number in"),
    ({"options": {"maxiter": -1}}, ValueError, "maxiter must be an integer >= 0; got -1"),
    ({"options": {"maxiter": 1.5}}, TypeError, r"maxiter must be an integer >= 0; got 1\.5"),
    ({"options": {"maxfun": 0}}, ValueError, "maxfun must be an integer >= 1; got 0"),
    ({"options": {"maxtime": "1"}}, TypeError, "maxtime must be a number"),
    ({"options": {"gtol": -1}}, ValueError, "gtol must be a number"),
    ({"options": {"norm": 0}}, ValueError, "norm must be a number"),
    ({"options": {"ftol": np.nan}}, ValueError, "ftol must be a number"),
    ({"options": {"patience": 0}}, ValueError, "patience must be an integer >= 1; got 0"),
    ({"options": {"f_target": None, "best": 1}}, TypeError, "best must be True or False; got 1"),
    ({"options": {"average": "median"}}, ValueError, "average must be 'mean' or the decay of a moving one; got 'med"),
    ({"options": {"average": 1.0}}, ValueError, r"average must be a number in \[0, 1\); got 1"),
    ({"options": {"average_start": 0}}, ValueError, "average_start must be an integer >= 1"),
    (
        {"options": {"average": "mean"}, "method": lambda x: schuss.SWA(schuss.SGD(x))},
        ValueError,
        "average must not be given with a method that keeps one",
    ),
    ({"options": {"shape": (3, 1)}}, ValueError, r"shape must hold the 2 variables of x0; got \(3, 1\)"),
    ({"options": {"shape": (2.0,)}}, TypeError, r"shape\[0\] must be an integer >= 1"),
    (
        {"options": {"finite_diff_rel_step": 0}, "jac": None},
        ValueError,
        "finite_diff_rel_step must be a number > 0, or",
    ),
]


@pytest.mark.parametrize(("changes", "kind", "message"), BAD, ids=[str(k) for k in range(len(BAD))])
def test_bad_input(changes: dict[str, Any], kind: type[Exception], message: str) -> None:
    x0 = np.array([0.0, 1.0])
    with pytest.raises(kind, match=message):
        minimize(**{"fun": bowl, "x0": x0, "jac": True, **changes})
    np.testing.assert_array_equal(x0, [0.0, 1.0])


def test_every_option_is_on_the_page_and_in_the_docstring() -> None:
    page = (Path(__file__).parents[2] / "docs" / "minimize.md").read_text(encoding="utf-8")
    assert minimize.__doc__ is not None
    for name in Options.__dataclass_fields__:
        assert f"`{name}`" in page and re.search(rf"^ {{8}}(\w+, )?{name}\b.* : ", minimize.__doc__, re.M), name


def test_options_are_left_alone() -> None:
    options = {"lr": 0.1, "maxiter": 3}
    minimize(bowl, [0.0], jac=True, tol=0.1, batches=None, options=options)
    minimize(weighted, [0.0], jac=True, batches=[1.0], options=options)
    assert options == {"lr": 0.1, "maxiter": 3}


def test_import_does_not_load_it() -> None:
    script = """
import sys, schuss
assert not any(name.startswith(("scipy", "schuss.minimization", "schuss.scipy")) for name in sys.modules)
assert {"minimize", "scipy"} <= set(dir(schuss))
assert schuss.scipy.method("adam", lr=0.1) and schuss.minimize.__name__ == "minimize"
assert not any(name == "scipy" for name in sys.modules)
from schuss import minimize
assert minimize is schuss.minimize
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
