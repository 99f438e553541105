"""L-BFGS beside torch.optim.LBFGS, and states handed from one to the other.

Any two roundings of the same iteration part sooner or later: torch itself, started one unit in the last place away, is
the measure of how soon.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import schuss
from tests.reference import functions

torch: Any = pytest.importorskip("torch")

Array = NDArray[Any]
SHAPES = [(3, 4), (), (7,)]  # 20 parameters
searches = pytest.mark.parametrize("search", [None, "strong_wolfe"], ids=["fixed step", "line search"])

# Function, start, step length without a line search.
PROBLEMS: dict[str, tuple[functions.Function, Array, float]] = {
    "logistic": (functions.logistic(20, 400), np.zeros(20), 1.0),
    "quadratic": (functions.quadratic(20, 1e2)[0], np.ones(20), 1.0),
    "ill-conditioned": (functions.quadratic(20, 1e4)[0], np.ones(20), 1.0),
    "rosenbrock": (functions.rosenbrock, np.tile([-1.2, 1.0], 10), 0.1),
}


def split(flat: Array, dtype: Any) -> list[Array]:
    bounds = np.cumsum([int(np.prod(shape)) for shape in SHAPES])[:-1]
    return [part.reshape(shape).astype(dtype) for part, shape in zip(np.split(flat, bounds), SHAPES, strict=True)]


def joined(params: list[Array]) -> Array:
    return np.concatenate([p.reshape(-1) for p in params])


class Ours:
    """schuss on the 20 parameters of a problem."""

    def __init__(self, f: functions.Function, start: Array, dtype: Any, **options: Any) -> None:
        self.params = split(start, dtype)
        self.f, self.dtype = f, dtype
        self.optimizer = schuss.LBFGS(self.params, **options)

    def closure(self) -> tuple[float, list[Array]]:
        loss, g = self.f(joined(self.params).astype(float))
        return loss, split(g, self.dtype)

    def step(self) -> float:
        return self.optimizer.step(self.closure)

    def state_for_torch(self) -> dict[str, Any]:
        def tensors(value: Any) -> Any:
            if isinstance(value, list):
                return [tensors(part) for part in value]
            return torch.from_numpy(value) if isinstance(value, np.ndarray) else value

        state = self.optimizer.state_dict()
        return state | {"state": {0: {key: tensors(value) for key, value in state["state"][0].items()}}}


class Torchs:
    """torch on the same."""

    def __init__(self, f: functions.Function, start: Array, dtype: Any, **options: Any) -> None:
        self.tensors = [torch.nn.Parameter(torch.from_numpy(p)) for p in split(start, dtype)]
        self.params = [t.detach().numpy() for t in self.tensors]
        self.f, self.dtype = f, dtype
        self.optimizer = torch.optim.LBFGS(self.tensors, **options)

    def closure(self) -> Any:
        loss, g = self.f(joined(self.params).astype(float))
        for tensor, part in zip(self.tensors, split(g, self.dtype), strict=True):
            tensor.grad = torch.from_numpy(part)
        return torch.tensor(loss, dtype=torch.float64)

    def step(self) -> float:
        return float(self.optimizer.step(self.closure))


def apart(a: Any, b: Any) -> float:
    """Largest difference of a parameter, relative to the largest parameter."""
    p, q = joined(a.params), joined(b.params)
    return float(np.abs(p - q).max() / np.abs(q).max())


def options_of(name: str, search: str | None, **more: Any) -> dict[str, Any]:
    lr = PROBLEMS[name][2] if search is None else 1.0
    return {"lr": lr, "line_search_fn": search, "history_size": 8, **more}


@searches
@pytest.mark.parametrize("name", list(PROBLEMS))
def test_follows_torch(name: str, search: str | None) -> None:
    """Up to 200 iterations in float64, within 1e-11, or 30 times how far one rounding of the start takes torch.

    The first 20 iterations are within 1e-11 by themselves, as are all of the logistic regression.
    """
    f, start, _ = PROBLEMS[name]
    options = options_of(name, search, max_iter=5)
    ours, theirs = Ours(f, start, np.float64, **options), Torchs(f, start, np.float64, **options)
    moved = Torchs(f, np.where(start == 0, 1e-16, start * (1 + 2.0**-52)), np.float64, **options)
    spread = 0.0
    for call in range(40):
        losses = ours.step(), theirs.step()
        moved.step()
        spread = max(spread, apart(moved, theirs))
        near = call < 4 or name == "logistic"
        assert apart(ours, theirs) <= (1e-11 if near else max(1e-11, 30 * spread))
        if near:
            assert_allclose(*losses, rtol=1e-11)
            mine, its = ours.optimizer.state_dict()["state"][0], theirs.optimizer.state[theirs.tensors[0]]
            assert (mine["n_iter"], mine["func_evals"]) == (its["n_iter"], its["func_evals"])


@searches
@pytest.mark.parametrize("name", list(PROBLEMS))
@pytest.mark.parametrize("history_size", [3, 100])
def test_follows_torch_from_wherever_it_is(name: str, history_size: int, search: str | None) -> None:
    """Up to 200 iterations, each made by a new torch as well that has our state: so nothing builds up. To 1e-11.

    Until steps are lost in the parameters' rounding, or a line search's in the loss's, which decides where it stops.
    """
    f, start, _ = PROBLEMS[name]
    options = options_of(name, search, max_iter=1, max_eval=20, history_size=history_size)
    options |= {"tolerance_grad": 0.0, "tolerance_change": 0.0}
    ours = Ours(f, start, np.float64, **options)
    for call in range(200):
        before = joined(ours.params)
        theirs = Torchs(f, before, np.float64, **options)
        theirs.optimizer.load_state_dict(ours.state_for_torch())
        loss = ours.step()
        theirs.step()
        gain = abs(f(joined(ours.params))[0] - loss)
        if np.abs(joined(ours.params) - before).max() < 1e-9 or (search and gain < 1e-9 * abs(loss)):
            assert call >= 8
            break
        assert apart(ours, theirs) <= 1e-11


@searches
@pytest.mark.parametrize("name", ["logistic", "quadratic"])
def test_follows_torch_in_float32(name: str, search: str | None) -> None:
    f, start, _ = PROBLEMS[name]
    options = options_of(name, search, max_iter=10, tolerance_grad=1e-3)
    ours, theirs = Ours(f, start, np.float32, **options), Torchs(f, start, np.float32, **options)
    for _ in range(2):
        assert_allclose(ours.step(), theirs.step(), rtol=1e-5)
        assert apart(ours, theirs) <= 1e-5


@searches
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_states_are_handed_over(steps: int, dtype: str, search: str | None) -> None:
    """To torch and back, in the middle of a run; who takes over goes on as the other would have."""
    f, start, _ = PROBLEMS["logistic"]
    options = options_of("logistic", search, max_iter=3, max_eval=50)
    tolerance = 1e-11 if dtype == "float64" else 1e-5
    theirs = Torchs(f, start, dtype, **options)
    for _ in range(steps):
        theirs.step()
    ours = Ours(f, joined(theirs.params), dtype, history_size=1, line_search_fn=None)
    ours.optimizer.load_state_dict(theirs.optimizer.state_dict())
    assert ours.optimizer.steps == min(steps, 1)
    mine, its = ours.optimizer.state_dict(), theirs.optimizer.state_dict()
    for key, value in its["param_groups"][0].items():
        assert mine["param_groups"][0][key] == value
    if steps:
        assert set(mine["state"][0]) == {*its["state"][0], "step"}
        for key in ("d", "prev_flat_grad"):
            assert_array_equal(mine["state"][0][key], its["state"][0][key].numpy())
        for key in ("old_dirs", "old_stps"):
            for a, b in zip(mine["state"][0][key], its["state"][0][key], strict=True):
                assert_array_equal(a, b.numpy())
        for key in ("t", "H_diag", "n_iter", "func_evals", "prev_loss"):
            assert mine["state"][0][key] == float(its["state"][0][key])
        assert mine["state"][0]["ro"] == [float(value) for value in its["state"][0]["ro"]]
    for _ in range(2):
        assert_allclose(ours.step(), theirs.step(), rtol=tolerance)
        assert apart(ours, theirs) <= tolerance
    back = Torchs(f, joined(ours.params), dtype, history_size=1)
    back.optimizer.load_state_dict(ours.state_for_torch())
    for _ in range(2):
        assert_allclose(back.step(), ours.step(), rtol=tolerance)
        assert apart(back, ours) <= tolerance


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_where_there_is_no_way_down(search: str | None) -> None:
    """Both stop, and count the iteration; ours remembers that it made no step."""
    make: Callable[..., Any]
    found = []
    for make in (Ours, Torchs):
        one = make(functions.rosenbrock, np.ones(20), np.float64, tolerance_grad=0.0, line_search_fn=search)
        one.params[0][0, 0] += 1e-11
        one.step()
        entry = one.optimizer.state_dict()["state"][0]
        found.append((entry["n_iter"], entry["func_evals"], joined(one.params).tolist()))
    assert found[0] == found[1]


def test_defaults_are_torchs() -> None:
    ours = inspect.signature(schuss.LBFGS).parameters
    theirs = inspect.signature(torch.optim.LBFGS).parameters
    assert list(ours) == list(theirs)
    for option in list(theirs)[1:]:
        assert ours[option].default == theirs[option].default, option
