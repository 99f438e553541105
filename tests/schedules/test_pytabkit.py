"""Schedules beside pytabkit's of the same names. Skipped without it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from schuss import schedules as s

scheduling = pytest.importorskip("pytabkit.models.training.scheduling")


@pytest.mark.parametrize("steps", [1, 7, 1000, 10240])
@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        ("coslog1", lambda steps: s.CosLog(1.0, steps, 1)),
        ("coslog4", lambda steps: s.CosLog(1.0, steps)),
        ("coslog9", lambda steps: s.CosLog(1.0, steps, 9)),
        ("flat_cos", lambda steps: s.FlatCos(1.0, steps)),
        ("cos", lambda steps: s.Cosine(1.0, steps)),
    ],
)
def test_values(name: str, schedule: Any, steps: int) -> None:
    theirs = scheduling.get_schedule(name)
    expected = [theirs.call_time_(step / steps) for step in range(steps + 1)]
    np.testing.assert_allclose(schedule(steps).values(steps + 1), expected, rtol=1e-12, atol=1e-14)
