"""What becomes of jac="2-point" and "3-point" on the way through SciPy's door, as docs/minimize.md has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import schuss

optimize = pytest.importorskip("scipy.optimize")


def cubes(x: np.ndarray[Any, Any]) -> float:
    return float((x**3).sum())


@pytest.mark.parametrize("jac", ["2-point", "3-point"])
def test_scipy_hands_none_to_methods_that_are_not_its_own(jac: str) -> None:
    given = []

    def method(fun: Any, x0: Any, args: Any = (), **rest: Any) -> Any:
        given.append(rest["jac"])
        return optimize.OptimizeResult(x=x0, fun=fun(x0))

    optimize.minimize(cubes, [1.0, 2.0], method=method, jac=jac)
    assert given == [None]


@pytest.mark.parametrize("jac", [None, "2-point", "3-point"])
def test_through_scipy_they_are_forward_differences(jac: str | None) -> None:
    options = {"maxiter": 3, "lr": 0.01}
    method = schuss.scipy.method("adam", **options)
    through = optimize.minimize(cubes, [1.0, 2.0], method=method, jac=jac)
    assert through.nfev == 4 * 3  # four points, each with one more call by variable
    here = schuss.minimize(cubes, [1.0, 2.0], method="adam", jac="2-point", options=options)
    assert through.x.tolist() == here.x.tolist()


def test_at_home_three_points_are_three() -> None:
    found = schuss.minimize(cubes, [1.0, 2.0], method="adam", jac="3-point", options={"maxiter": 3, "lr": 0.01})
    assert found.nfev == 4 * 5
