"""An interrupt, wherever it comes, has the result of a minimization up to there."""

from __future__ import annotations

import traceback
from typing import Any

import numpy as np
import pytest

import schuss
from tests.interrupts import broken


@pytest.mark.parametrize("options", [{}, {"average": "mean"}, {"method": "lbfgs"}], ids=["adam", "average", "lbfgs"])
def test_minimize(options: dict[str, Any]) -> None:
    """The interrupt has the result up to there: a point, its value and its gradient."""

    def bowl(x: Any) -> tuple[float, Any]:
        return float(((x - 1) ** 2).sum()), 2 * (x - 1)

    method = options.get("method", "adam")
    more = {name: value for name, value in options.items() if name != "method"}

    def minimize(found: list[Any]) -> None:
        try:
            found.append(schuss.minimize(bowl, [0.0, 3.0], jac=True, method=method, options={"maxiter": 3, **more}))
        except KeyboardInterrupt as interrupt:
            found.append(getattr(interrupt, "result", None))
            names = [entry.name for entry in traceback.extract_tb(interrupt.__traceback__)]
            assert found[0] is not None or not {"descend", "descend_lbfgs", "_take_last", "_result"} & set(names)
            raise

    def check(found: list[Any]) -> None:
        (result,) = found
        if result is not None and not np.isnan(result.fun):
            value, gradient = bowl(result.x)
            assert value == result.fun and gradient.tolist() == result.jac.tolist()

    assert not broken(list[Any], minimize, check, every=2)
