"""Files of format version 3 load, and training goes on from them with the same bits.

tests/files/make_version3.py made them, and says what is in each.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import schuss
from tests.files.make_version1 import data, inputs
from tests.files.make_version2 import FIT
from tests.files.make_version3 import FOLDER, MADE, numbers_of

EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))


def test_all_files_are_tested() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*EXPECTED, "expected.json"}
    assert set(EXPECTED) == set(MADE)


@pytest.mark.parametrize("name", list(EXPECTED))
def test_it_loads_and_goes_on(name: str, isa: str) -> None:
    if name.endswith(".safetensors"):
        pytest.importorskip("safetensors")
    wanted, net = EXPECTED[name], schuss.load(FOLDER / name)
    assert net.metadata == {"name": name}
    assert numbers_of(net) == wanted["loaded"]
    exact = isa != "baseline"
    np.testing.assert_allclose(net.predict(inputs()), wanted["prediction"], rtol=0 if exact else 1e-5, atol=1e-6)
    x, y = data("labels")
    net.fit(x, y, epochs=2, **FIT)
    if exact:
        found, continued = numbers_of(net), dict(wanted["continued"])
        np.testing.assert_allclose(found.pop("losses"), continued.pop("losses"), rtol=1e-12)
        assert found == continued
