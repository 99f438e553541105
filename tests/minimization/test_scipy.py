"""schuss.minimize beside scipy.optimize.minimize: the same calls by both doors; the same results without SciPy."""

from __future__ import annotations

import doctest
import itertools
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import schuss
from schuss import schedules
from schuss.minimization.result import Result
from schuss.optim import BY_NAME

optimize = pytest.importorskip("scipy.optimize")
rosen, rosen_der = optimize.rosen, optimize.rosen_der

Vector = NDArray[np.float64]


def both(x: Vector) -> tuple[float, Vector]:
    return float(rosen(x)), rosen_der(x)


def assert_same(ours: Any, theirs: Any) -> None:
    assert type(ours) is type(theirs) is optimize.OptimizeResult
    assert list(ours) == list(theirs)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    assert repr(ours) == repr(theirs)


def doors(fun: Any, x0: Any, method: Any = "adam", options: Any = None, **arguments: Any) -> tuple[Any, Any]:
    """The same call through both."""
    ours = schuss.minimize(fun, x0, method=method, options=options, **arguments)
    theirs = optimize.minimize(fun, x0, method=schuss.scipy.method(method), options=options, **arguments)
    assert_same(ours, theirs)
    bound = optimize.minimize(fun, x0, method=schuss.scipy.method(method, **(options or {})), **arguments)
    assert_same(ours, bound)
    return ours, theirs


@pytest.mark.parametrize("name", [*BY_NAME, "lbfgs"])
def test_every_method_through_both_doors(name: str) -> None:
    options: dict[str, Any] = {"maxiter": 40, "shape": (2, 2)}
    doors(rosen, np.array([-1.2, 1.0, 0.5, 2.0]), name, {**options, "lr": 1e-3}, jac=rosen_der)
    doors(both, [-1, 1, 0, 2], name, {**options, "lr": 1e-3}, jac=True)


BOUNDS = [(-1.0, 0.8), (None, 0.5), (0.1, None)]


@pytest.mark.parametrize(
    "arguments",
    [
        {"tol": 1e-2, "options": {"lr": 0.1}},
        {"bounds": BOUNDS, "options": {"lr": 0.1}},
        {"bounds": optimize.Bounds([-1, -np.inf, 0.1], [0.8, 0.5, np.inf]), "options": {"lr": 0.1}},
        {"bounds": optimize.Bounds(0.0, 0.5), "options": {"lr": 0.1}, "method": "schedule_free_adamw"},
        {"options": {"lr": schedules.Cosine(0.1, 300), "maxiter": 300, "average": 0.9}},
        {"options": {"maxfun": 50, "ftol": 1e-6, "patience": 30, "return_all": True}},
        {"method": "lbfgs", "tol": 1e-8},
        {"method": schuss.AdaBelief, "options": {"lr": 0.05, "norm": 2}},
        {"method": lambda x: schuss.Lookahead(schuss.SGD(x, lr=1e-4))},
    ],
    ids=range(9),
)
def test_arguments_through_both_doors(arguments: dict[str, Any]) -> None:
    doors(rosen, [0.5, 0.2, 0.3], jac=rosen_der, **arguments)
    if "return_all" not in arguments.get("options", {}):
        doors(rosen, [0.5, 0.2, 0.3], **arguments)


def test_bounds_in_both_forms_are_the_same() -> None:
    found = [
        schuss.minimize(rosen, [0.5, 0.2, 0.3], jac=rosen_der, bounds=bounds, options={"lr": 0.1})
        for bounds in (BOUNDS, optimize.Bounds([-1, -np.inf, 0.1], [0.8, 0.5, np.inf]))
    ]
    assert_same(*found)
    exact = optimize.minimize(rosen, found[0].x, jac=rosen_der, bounds=BOUNDS, method="L-BFGS-B")
    np.testing.assert_allclose(found[0].x, exact.x, atol=1e-4)


def test_batches_through_both_doors() -> None:
    def noisy(x: Vector, batch: float, scale: float) -> tuple[float, Vector]:
        loss, gradient = both(x)
        return scale * loss + batch, scale * gradient + batch

    for lr in (0.0, 0.01):  # at 0 x stays, of which SciPy's wrapper knows the gradient already
        options = {"maxiter": 7, "lr": lr, "best": False}
        ours = schuss.minimize(noisy, [-1.2, 1.0], 2.0, jac=True, batches=itertools.count(1.0), options=options)
        method = schuss.scipy.method("adam", batches=itertools.count(1.0))
        assert_same(ours, optimize.minimize(noisy, [-1.2, 1.0], 2.0, jac=True, method=method, options=options))
        assert ours.fun == pytest.approx(ours.fun) and ours.nfev == 7


def test_callbacks_through_both_doors() -> None:
    seen: list[list[Any]] = []

    def at(calls: list[Any]) -> Callable[[Any], None]:
        def callback(intermediate_result: Any) -> None:
            calls.append((intermediate_result.fun, *intermediate_result.x))
            if len(calls) == 4:
                raise StopIteration

        return callback

    for minimize, method in ((schuss.minimize, "adam"), (optimize.minimize, schuss.scipy.method("adam"))):
        seen.append([])
        result = minimize(rosen, [-1.2, 1.0], jac=rosen_der, method=method, callback=at(seen[-1]))
        plain: list[Any] = []
        minimize(rosen, [-1.2, 1.0], jac=rosen_der, method=method, callback=plain.append, options={"maxiter": 4})
        np.testing.assert_array_equal(plain, [call[1:] for call in seen[-1]])
    assert seen[0] == seen[1] and (result.nit, result.status) == (4, 99)
    theirs = optimize.minimize(rosen, [-1.2, 1.0], jac=rosen_der, method="BFGS", callback=at([]))
    assert (theirs.nit, theirs.status, theirs.message, theirs.success) == (4, 99, result.message, result.success)


def test_conventions_of_scipys_own_methods() -> None:
    """What its BFGS counts and calls, ours does."""
    for method, name in (("BFGS", "lbfgs"), ("BFGS", "adam")):
        found = []
        for minimize, kind in ((optimize.minimize, method), (schuss.minimize, name)):
            fun_calls: list[Any] = []
            jac_calls: list[Any] = []
            points: list[Any] = []
            result = minimize(
                lambda x, c=fun_calls: c.append(x) or rosen(x),
                [-1.2, 1.0],
                jac=lambda x, c=jac_calls: c.append(x) or rosen_der(x),
                method=kind,
                callback=points.append,
                options={"maxiter": 9, "return_all": True},
            )
            assert (result.nfev, result.njev, result.nit) == (len(fun_calls), len(jac_calls), len(points))
            np.testing.assert_array_equal(result.allvecs[1:], points)
            np.testing.assert_array_equal(result.allvecs[0], [-1.2, 1.0])
            assert result.fun == rosen(result.x) and result.jac.tolist() == rosen_der(result.x).tolist()
            found.append((result.nit, result.status, result.success, result.message, type(result.fun)))
        assert found[0][:4] == found[1][:4]
        assert set(schuss.minimize(rosen, [0.0, 0.0], jac=rosen_der)) <= {
            *optimize.minimize(rosen, [0.0, 0.0], jac=rosen_der, method="BFGS")
        }


def test_a_method_is_an_object() -> None:
    method = schuss.scipy.method("adam", lr=0.1, maxiter=5)
    assert repr(method) == "method('adam', lr=0.1, maxiter=5)"
    assert repr(schuss.scipy.method(schuss.SGD)) == "method(SGD)"
    again = pickle.loads(pickle.dumps(method))
    for kind in (method, again):
        result = optimize.minimize(rosen, [-1.2, 1.0], jac=rosen_der, method=kind, options={"maxiter": 3})
        assert result.nit == 3  # those of the call go before
    assert method.options == {"lr": 0.1, "maxiter": 5}


def test_examples_of_docstrings() -> None:
    for module in (schuss.scipy, sys.modules[schuss.minimize.__module__]):
        assert doctest.testmod(module) == (0, {"schuss.scipy": 5}.get(module.__name__, 4))


def test_what_is_not_used() -> None:
    with pytest.raises(ValueError, match=r"adma.* is not known; did you mean .*'adam'"):
        schuss.scipy.method("adma")
    with pytest.raises(ValueError, match="sgd's option 'betas' is not known"):
        schuss.scipy.method("sgd", betas=(0.9, 0.99))
    method = schuss.scipy.method("adam", maxiter=2)
    with pytest.raises(ValueError, match="adam's option 'momentum' is not known"):
        optimize.minimize(rosen, [-1.2, 1.0], method=method, options={"momentum": 0.9})
    constraint = {"type": "eq", "fun": lambda x: x[0]}
    for constraints in (constraint, [constraint], optimize.LinearConstraint([[1, 1]], 0, 1)):
        with pytest.raises(ValueError, match="constraints must be empty: adam takes bounds only"):
            optimize.minimize(rosen, [-1.2, 1.0], method=method, constraints=constraints)
    hessian = optimize.rosen_hess
    with pytest.warns(optimize.OptimizeWarning, match="Method adam does not use Hessian information") as caught:
        optimize.minimize(rosen, [-1.2, 1.0], method=method, jac=rosen_der, hess=hessian)
    assert caught[0].filename == __file__


# ---- without SciPy ---------------------------------------------------------------------------------------------------

WITHOUT = """
import sys
sys.modules["scipy"] = sys.modules["scipy.optimize"] = None
import warnings
import numpy as np
import schuss
def fun(x):
    return float(np.sum((x - 3) ** 2)), 2 * (x - 3)
seen = []
def note(intermediate_result):
    seen.append(intermediate_result)
result = schuss.minimize(fun, np.arange(20.0), jac=True, callback=note, options={"maxiter": 3, "return_all": True})
assert seen[0].nit == 1 and seen[2].fun > result.fun or seen[2].fun == result.fun
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    schuss.minimize(fun, [5.0], jac=True, bounds=[(0, 1)])
assert caught[0].category is RuntimeWarning and caught[0].filename == "<string>"
print(type(result).__module__, type(result).__name__, ",".join(result))
print(result)
"""


def test_without_scipy() -> None:
    def fun(x: Vector) -> tuple[float, Vector]:
        return float(np.sum((x - 3) ** 2)), 2 * (x - 3)

    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    head, _, printed = done.stdout.partition("\n")
    result = schuss.minimize(fun, np.arange(20.0), jac=True, options={"maxiter": 3, "return_all": True})
    assert head == f"schuss.minimization.result Result {','.join(result)}"
    assert printed == f"{result}\n"


@pytest.mark.parametrize(
    "entries",
    [
        {},
        {"x": np.arange(3.0), "success": True, "message": "m", "zeta": 3, "nit": 7},
        {"jac": np.ones((3, 2)), "x": np.linspace(-1e10, 1e-10, 50), "fun": 1.5, "status": 99},
        {"x": np.array([np.nan, np.inf, -np.inf, 0.0]), "allvecs": [np.arange(2.0)] * 3, "message": "one\ntwo"},
        {"x": np.arange(30), "x32": np.arange(13, dtype=np.float32)},
    ],
    ids=range(5),
)
def test_our_result_is_scipys_twin(entries: dict[str, Any]) -> None:
    ours, theirs = Result(entries), optimize.OptimizeResult(entries)
    expected = repr(theirs).replace("OptimizeResult()", "Result()")
    assert repr(ours) == expected and dir(ours) == dir(theirs)
    for name in entries:
        assert getattr(ours, name) is entries[name]
    ours.nit = 12
    assert ours["nit"] == 12
    del ours.nit
    for missing in (lambda: ours.nit, lambda: ours.__delattr__("nit")):
        with pytest.raises(AttributeError, match="'nit'"):
            missing()
    assert pickle.loads(pickle.dumps(ours)).keys() == ours.keys()
