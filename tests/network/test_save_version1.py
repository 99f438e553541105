"""Files of format version 1, as schuss 0.1.0 wrote them: they load, and training goes on from them with the same bits.

tests/files/make_version1.py made them, and says what is in each.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import schuss
from tests.files.make_version1 import FOLDER, KINDS, OTHERS, RATES, data, hashed, inputs, numbers_of_states

EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
files = pytest.mark.parametrize("name", list(EXPECTED))


def loaded(name: str) -> schuss.Network:
    if name.endswith(".safetensors"):
        pytest.importorskip("safetensors")
    return schuss.load(FOLDER / name)


def assert_optimizer(optimizer: schuss.Optimizer, wanted: dict[str, Any], exact: bool = True) -> None:
    """Kind, steps, hyperparameters, what groups remember, and states. There may be hyperparameters of a newer day."""
    assert type(optimizer).__name__ == wanted["kind"]
    assert optimizer.steps == wanted["steps"]
    groups = optimizer.state_dict()["param_groups"]
    assert len(groups) == len(wanted["groups"])
    for group, numbers in zip(groups, wanted["groups"], strict=True):
        for key, value in numbers.items():
            found = list(group[key]) if isinstance(value, list) else group[key]
            if exact or not isinstance(value, float):
                assert found == value, key
            else:
                assert found == pytest.approx(value, rel=1e-3), key
    if exact:
        assert hashed(numbers_of_states(optimizer)) == wanted["states"]


def test_all_files_are_tested() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*EXPECTED, "expected.json"}
    assert {Path(name).stem for name in EXPECTED} == {*(f"kind_{kind}" for kind in KINDS), *OTHERS}


@files
def test_what_is_in_it(name: str) -> None:
    wanted, net = EXPECTED[name], loaded(name)
    assert (net.dtype.name, net.seed, net.epochs_done) == (wanted["dtype"], wanted["seed"], wanted["epochs_done"])
    assert len(net.layers) == len(wanted["layers"])
    for layer, numbers in zip(net.layers, wanted["layers"], strict=True):
        assert {key: getattr(layer, key) for key in numbers} == numbers
    assert net.metadata == wanted["metadata"]
    assert {p.dtype.name for p in net.parameters} == {wanted["dtype"]}
    assert hashed(net.parameters) == wanted["parameters"]


@files
def test_history(name: str) -> None:
    wanted, history = EXPECTED[name], loaded(name).history
    assert set(history.names) == set(wanted["history"])
    for column, values in wanted["history"].items():
        assert_array_equal(history[column], values)
    assert_array_equal(history.epochs, wanted["epochs"])
    assert_array_equal(history.times, wanted["times"])
    assert_array_equal(history.lr, wanted["rates"])
    assert (history.stopped, history.best_epoch) == (wanted["stopped"], wanted["best_epoch"])


@files
def test_optimizer(name: str) -> None:
    wanted, net = EXPECTED[name]["optimizer"], loaded(name)
    if wanted is None:
        assert net.optimizer is None
        return
    assert net.optimizer is not None
    assert_optimizer(net.optimizer, wanted)
    own = {id(p) for p in net.parameters}
    for group, shapes in zip(net.optimizer.param_groups, wanted["shapes"], strict=True):
        assert [list(p.shape) for p in group["params"]] == shapes
        assert {id(p) for p in group["params"]} <= own
        schedule = group["schedule"]
        assert (None if schedule is None else repr(schedule)) == wanted["schedule"]
        if schedule is not None:
            assert schedule.values(RATES, net.optimizer.steps).tolist() == wanted["next_rates"]


@files
def test_prediction(name: str, isa: str) -> None:
    wanted, net = np.array(EXPECTED[name]["prediction"]), loaded(name)
    found = net.predict(inputs())
    if isa == "baseline":
        assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    else:
        assert_array_equal(found, wanted)


@files
def test_going_on(name: str, isa: str) -> None:
    """The same bits as in the build that wrote the file; without fused multiply-add nearly the same."""
    wanted, net = EXPECTED[name], loaded(name)
    arguments = dict(wanted["fit"])
    x, y = data(arguments.pop("target"))
    wanted = wanted["continued"]
    net.fit(x, y, epochs=len(wanted["losses"]), **arguments)
    assert net.epochs_done == wanted["epochs_done"]
    assert_array_equal(net.history.lr, wanted["rates"])
    exact = isa != "baseline"
    assert_allclose(net.history["loss"][-len(wanted["losses"]) :], wanted["losses"], rtol=1e-12 if exact else 1e-3)
    assert net.optimizer is not None
    assert_optimizer(net.optimizer, wanted["optimizer"], exact)
    if exact:
        assert hashed(net.parameters) == wanted["parameters"]
