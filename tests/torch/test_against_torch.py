"""Every optimizer that torch has, too, with every option, beside torch's over 200 steps; states go there and back."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

torch: Any = pytest.importorskip("torch")

import schuss  # noqa: E402
import schuss.torch  # noqa: E402
from tests.optim.test_rules_torch import MUON_TOLERANCE, iterated  # noqa: E402
from tests.torch.infos import ALL, BOTH, MUON, OF_TORCH, Info  # noqa: E402
from tests.torch.models import clones, difference, give, parameters, train  # noqa: E402

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-11}
# Arguments by which torch makes its loops, which are its plainest form.
LOOPS = {"foreach": False}


@pytest.fixture(params=TOLERANCE, ids=str)
def dtype(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Torch's optimizers keep numbers such as ASGD's rate in its default dtype, whatever that of the parameters."""
    torch.set_default_dtype(torch.float64)
    yield request.param
    torch.set_default_dtype(torch.float32)


def pair(info: Info, dtype: Any, **more: Any) -> tuple[Any, list[Any], Any, list[Any]]:
    ours = parameters(info.shapes, dtype)
    theirs = clones(ours)
    of_torch = {} if info.name == "Muon" else LOOPS
    mine = getattr(schuss.torch, info.name)(ours, **{**info.options, **more})
    return mine, ours, getattr(torch.optim, info.name)(theirs, **{**info.options, **of_torch, **more}), theirs


@pytest.mark.parametrize("info", BOTH, ids=str)
def test_follows_torch(info: Info, dtype: Any) -> None:
    opt, ours, torch_opt, theirs = pair(info, dtype)
    for t in range(200):
        give(ours, theirs, seed=t)
        opt.step()
        torch_opt.step()
    assert difference(ours, theirs) <= TOLERANCE[dtype]


@pytest.mark.parametrize("info", MUON, ids=str)
def test_muon_follows_torch(info: Info, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose products are in bfloat16; here, as ours, in the parameters' dtype."""
    monkeypatch.setattr("torch.optim._muon._zeropower_via_newtonschulz", iterated)
    opt, ours, torch_opt, theirs = pair(info, dtype)
    for t in range(100):
        give(ours, theirs, seed=t)
        opt.step()
        torch_opt.step()
    assert difference(ours, theirs) <= MUON_TOLERANCE[str(dtype).removeprefix("torch.")]


@pytest.mark.parametrize("info", [*BOTH, *MUON], ids=str)
@pytest.mark.parametrize("steps", [0, 5])
def test_there_and_back(info: Info, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """States of torch's optimizer go into ours, and ours into torch's, in the middle of a run."""
    if info.name == "Muon":
        monkeypatch.setattr("torch.optim._muon._zeropower_via_newtonschulz", iterated)
    torch.set_default_dtype(torch.float64)
    try:
        _, ours, torch_opt, theirs = pair(info, torch.float64)
        train(torch_opt, theirs, 0, steps)
        for p, q in zip(ours, theirs, strict=True):
            p.data.copy_(q.data)
        opt = getattr(schuss.torch, info.name)(ours)
        opt.load_state_dict(torch_opt.state_dict())
        train(opt, ours, 5, 10)
        train(torch_opt, theirs, 5, 10)
        assert difference(ours, theirs) <= 1e-11
        again = clones(ours)
        other = getattr(torch.optim, info.name)(again)
        other.load_state_dict(copy.deepcopy(opt.state_dict()))  # torch shares memory with what it loads
        train(other, again, 10, 15)
        train(opt, ours, 10, 15)
        assert difference(ours, again) <= 1e-11
    finally:
        torch.set_default_dtype(torch.float32)


# Torch's SGD and Muon keep no count, and its SGD without momentum a None.
@pytest.mark.parametrize("info", [*OF_TORCH, *MUON[:1]], ids=str)
def test_states_have_torchs_words_and_shapes(info: Info) -> None:
    opt, ours, torch_opt, theirs = pair(info, torch.float32)
    for t in range(3):
        give(ours, theirs, seed=t)
        opt.step()
        torch_opt.step()
    mine, wanted = opt.state_dict(), torch_opt.state_dict()
    assert set(mine["state"]) >= set(wanted["state"])
    for k, entry in wanted["state"].items():
        shapes = {name: tuple(value.shape) for name, value in entry.items() if value is not None}
        assert {name: tuple(value.shape) for name, value in mine["state"][k].items()} == {"step": (), **shapes}
        for name, value in entry.items():
            if value is not None:
                torch.testing.assert_close(mine["state"][k][name].to(value.dtype), value, rtol=1e-4, atol=1e-6)
    for found, group in zip(mine["param_groups"], wanted["param_groups"], strict=True):
        assert group.keys() <= found.keys()
        assert found["params"] == group["params"]


@pytest.mark.parametrize("info", [*OF_TORCH, Info("Muon"), Info("SparseAdam")], ids=str)
def test_arguments_are_torchs(info: Info) -> None:
    """By name, place and default, so that no call has to change."""
    ours = inspect.signature(getattr(schuss.torch, info.name)).parameters
    theirs = inspect.signature(getattr(torch.optim, info.name)).parameters
    assert [name for name in ours if name in theirs] == list(theirs)
    for name, parameter in theirs.items():
        assert (ours[name].default, ours[name].kind) == (parameter.default, parameter.kind), name
    first = next(iter(inspect.signature(getattr(schuss.torch, info.name).__init__).parameters))
    assert first == "self"


@pytest.mark.parametrize("info", ALL, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_same_bits_as_over_arrays(info: Info, dtype: Any) -> None:
    """Every optimizer makes the steps that the class of the same name makes over NumPy's arrays."""
    ours = parameters(info.shapes, dtype)
    arrays = [p.detach().numpy().copy() for p in ours]
    opt = getattr(schuss.torch, info.name)(ours, **info.options)
    other = getattr(schuss, info.name)(arrays, **info.options)
    for t in range(7):
        give(ours, seed=t)
        opt.step()
        other.step([p.grad.numpy() for p in ours])
    for p, array in zip(ours, arrays, strict=True):
        assert p.detach().numpy().tobytes() == array.tobytes()
    assert {name for entry in opt.state.values() for name in entry} >= {
        name for entry in other.state_dict()["state"].values() for name in entry
    }


def test_all_optimizers_are_here() -> None:
    found = {getattr(schuss.torch, name)._of for name in schuss.torch.__all__ if name != "Optimizer"}
    assert found == set(schuss.optim.BY_NAME.values())
