"""An interrupt, wherever it comes, leaves an estimator that predicts and can be fitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import schuss
from schuss.sklearn import MLPRegressor
from tests.interrupts import broken


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", [{"early_stopping": True, "validation_fraction": 0.3}, {"solver": "lbfgs"}])
def test_estimators(options: dict[str, Any]) -> None:
    """Locks and threads are free; a fitted one predicts, and fits anew as ever."""
    x = np.random.default_rng(0).normal(size=(12, 3))
    y, threads = x @ [1.0, -2.0, 0.5], schuss.get_num_threads()

    def begin() -> Any:
        return MLPRegressor(hidden_layer_sizes=(3,), max_iter=2, random_state=0, **options).fit(x, y)

    fitted = begin()
    wanted = fitted.predict(x).tobytes()

    def check(estimator: Any) -> None:
        free = not estimator._lock.locked() and schuss.get_num_threads() == threads
        schuss._core.set_thread_limit(0)
        assert free
        estimator.predict(x)

    def check_all(estimator: Any) -> None:
        check(estimator)
        assert estimator.fit(x, y).predict(x).tobytes() == wanted

    operations: list[tuple[Callable[[Any], Any], Callable[[Any], None], int]] = [
        (lambda estimator: estimator.predict(x), check, 1),
        (lambda estimator: estimator.fit(x, y), check_all, 17),
    ]
    for operation, checked, every in operations:
        assert not broken((lambda: fitted) if every == 1 else begin, operation, checked, every)
