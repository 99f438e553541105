"""scikit-learn's own tests of its networks, from the installed package, with the two names swapped before its import.

They belong to scikit-learn, and come and go with its version. Skipped are those that reach into what is private there.
"""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

neural_network = pytest.importorskip("sklearn.neural_network")

from schuss.sklearn import MLPClassifier, MLPRegressor  # noqa: E402

PRIVATE = {
    "test_gradient": "calls _loss_grad_lbfgs; tests/network/test_gradients.py checks the compiled gradients",
}

pytestmark = pytest.mark.filterwarnings("default")


def swapped() -> ModuleType:
    """A copy of scikit-learn's module of tests that has imported our estimators as its own."""
    found = importlib.util.find_spec("sklearn.neural_network.tests.test_mlp")
    if found is None or found.origin is None:
        pytest.skip("this scikit-learn comes without its tests", allow_module_level=True)
    spec = importlib.util.spec_from_file_location("sklearn_tests_of_networks", found.origin)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    theirs = neural_network.MLPClassifier, neural_network.MLPRegressor
    neural_network.MLPClassifier, neural_network.MLPRegressor = MLPClassifier, MLPRegressor
    try:
        spec.loader.exec_module(module)
    finally:
        neural_network.MLPClassifier, neural_network.MLPRegressor = theirs
    return module


@pytest.fixture
def global_random_seed() -> int:
    """scikit-learn's, for tests that have to pass for any seed."""
    return 42


_module = swapped()
assert _module.MLPClassifier is MLPClassifier and _module.MLPRegressor is MLPRegressor
for _name, _test in vars(_module).copy().items():
    if _name.startswith("test_"):
        globals()[_name] = pytest.mark.skip(reason=PRIVATE[_name])(_test) if _name in PRIVATE else _test


def test_there_are_some() -> None:
    assert sum(name.startswith("test_") for name in vars(_module)) > 30
