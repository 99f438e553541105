"""Parameters of 16 bits, and states in fewer bits, beside torch's optimizers and beside the same over arrays."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

torch: Any = pytest.importorskip("torch")

import schuss  # noqa: E402
import schuss.torch  # noqa: E402
from tests.torch.infos import ALL, BOTH, Info  # noqa: E402
from tests.torch.models import clones, difference, give, parameters, same_bits, train  # noqa: E402

HALVES = (torch.bfloat16, torch.float16)
# Whose 8-bit states have to be tried on more elements than other tests need.
LARGE = [(70, 80), (5000,), (3,)]
PRECISIONS: list[dict[str, Any]] = [
    {},
    {"states": "bfloat16"},
    {"states": "8bit"},
    {"rounding": "stochastic", "seed": 5},
    {"states": "bfloat16", "rounding": "stochastic", "seed": 2},
    {"master": "float32"},
    {"master": "split"},
    {"master": "split", "states": "8bit"},
]


def bits(p: Any) -> Any:
    p = p.detach()
    return p.view(torch.uint16).numpy() if p.dtype is torch.bfloat16 else p.numpy()


@pytest.mark.parametrize("info", BOTH, ids=str)
@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_follows_torch_in_float32(info: Info, dtype: Any) -> None:
    """Parameters of 16 bits with a float32 master are those of a float32 run with the same gradients, rounded."""
    ours = parameters(info.shapes, dtype)
    theirs = [torch.nn.Parameter(p.detach().float()) for p in ours]
    opt = getattr(schuss.torch, info.name)(ours, **info.options, master="float32")
    torch_opt = getattr(torch.optim, info.name)(theirs, **info.options, foreach=False)
    for t in range(60):
        give(ours, seed=t)
        for p, q in zip(ours, theirs, strict=True):
            q.grad = p.grad.float()
        opt.step()
        torch_opt.step()
    assert difference([opt.state[p]["master"] for p in ours], theirs) <= 1e-5
    largest = max(float(q.detach().abs().max()) for q in theirs)
    for p, q in zip(ours, theirs, strict=True):
        assert (p.float() - q).abs().max() <= largest * (2**-8 if dtype is torch.bfloat16 else 2**-11)


@pytest.mark.parametrize("info", [info for info in ALL if not info.matrices], ids=str)
@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
def test_same_bits_as_over_arrays(info: Info, precision: dict[str, Any]) -> None:
    params = parameters(LARGE, torch.bfloat16)
    arrays = [bits(p).copy() for p in params]
    opt = getattr(schuss.torch, info.name)(params, **info.options, **precision)
    other = getattr(schuss, info.name)(arrays, **info.options)
    other.set_precision(**precision)
    for t in range(4):
        give(params, seed=t)
        opt.step()
        other.step([bits(p.grad) for p in params])
    for p, array in zip(params, arrays, strict=True):
        assert bits(p).tobytes() == array.tobytes()


@pytest.mark.parametrize("name", ["AdamW", "NAdam", "SGD", "Adafactor", "Lion"])
@pytest.mark.parametrize("precision", PRECISIONS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, *HALVES], ids=str)
def test_copies_and_state_dicts_go_on_with_the_same_bits(name: str, precision: dict[str, Any], dtype: Any) -> None:
    options = {**precision, **({"momentum": 0.9} if name == "SGD" else {})}
    if dtype is torch.float32:
        if "master" in precision or ("rounding" in precision and "states" not in precision):
            pytest.skip("is of 16 bits")
    elif dtype is torch.float16 and (precision.get("master") == "split" or precision == PRECISIONS[3]):
        pytest.skip("is of bfloat16")
    params = parameters(LARGE, dtype)
    opt = getattr(schuss.torch, name)(params, lr=0.01, **options)
    train(opt, params, 0, 3)
    copied, opt_copied = copy.deepcopy((torch.nn.ParameterList(params), opt))
    loaded = clones(params)
    opt_loaded = getattr(schuss.torch, name)(loaded, lr=0.01, **options)
    opt_loaded.load_state_dict(copy.deepcopy(opt.state_dict()))
    train(opt, params, 3, 6)
    train(opt_copied, list(copied), 3, 6)
    train(opt_loaded, loaded, 3, 6)
    assert same_bits([p.float() for p in copied], [p.float() for p in params])
    assert same_bits([p.float() for p in loaded], [p.float() for p in params])


def test_moments_of_bfloat16_parameters_are_float32() -> None:
    params = parameters(LARGE, torch.bfloat16)
    opt = schuss.torch.AdamW(params)
    train(opt, params, 0, 3)
    assert {value.dtype for entry in opt.state.values() for value in entry.values()} == {torch.float32}
    saved = copy.deepcopy(opt.state_dict())
    again = schuss.torch.AdamW(params)
    again.load_state_dict(saved)
    for p, entry in zip(params, saved["state"].values(), strict=True):
        assert torch.equal(again.state[p]["exp_avg"], entry["exp_avg"])


def test_states_of_torchs_bfloat16_optimizer() -> None:
    """Go in and come back; torch keeps them in bfloat16."""
    ours = parameters(LARGE, torch.bfloat16)
    theirs = clones(ours)
    torch_opt = torch.optim.AdamW(theirs, lr=0.01, foreach=False)
    train(torch_opt, theirs, 0, 3)
    for p, q in zip(ours, theirs, strict=True):
        p.data.copy_(q.data)
    opt = schuss.torch.AdamW(ours, lr=0.01)
    opt.load_state_dict(torch_opt.state_dict())
    train(opt, ours, 3, 6)
    train(torch_opt, theirs, 3, 6)
    assert difference(ours, theirs) <= 0.02
    again = clones(ours)
    other = torch.optim.AdamW(again, lr=0.01, foreach=False)
    other.load_state_dict(copy.deepcopy(opt.state_dict()))
    train(opt, ours, 6, 8)
    train(other, again, 6, 8)
    assert difference(ours, again) <= 0.02


@pytest.mark.parametrize("first", ["float32", "bfloat16", "8bit"])
@pytest.mark.parametrize("second", ["float32", "bfloat16", "8bit"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_states_of_another_precision(first: str, second: str, dtype: Any) -> None:
    """Are converted when they are loaded."""
    params = parameters(LARGE, dtype)
    opt = schuss.torch.AdamW(params, lr=0.01, states=first)
    train(opt, params, 0, 5)
    other = clones(params)
    masters = {"master": "split"} if dtype is torch.bfloat16 else {}
    again = schuss.torch.AdamW(other, lr=0.01, states=second, **masters)
    again.load_state_dict(copy.deepcopy(opt.state_dict()))
    assert float(again.state[other[0]]["step"]) == 5
    train(opt, params, 5, 6)
    train(again, other, 5, 6)
    assert difference(params, other) <= 0.01
    kept = {"float32": torch.float32, "bfloat16": torch.bfloat16, "8bit": torch.uint8}[second]
    assert again.state[other[0]]["exp_avg_sq"].dtype is kept


def test_8bit_states_of_parameters_in_another_order() -> None:
    p = torch.nn.Parameter(torch.randn(8, 16, 10, 10).to(memory_format=torch.channels_last))
    q = torch.nn.Parameter(p.detach().permute(0, 2, 3, 1).contiguous())
    opt, other = (schuss.torch.AdamW([x], states="8bit") for x in (p, q))
    for t in range(3):
        give([p], seed=t)
        q.grad = p.grad.permute(0, 2, 3, 1).contiguous()
        opt.step()
        other.step()
    assert torch.equal(p.detach().permute(0, 2, 3, 1), q.detach())
    codes = opt.state[p]["exp_avg"]
    assert codes.dtype is torch.uint8
    assert codes.stride() == p.stride()
    loaded = torch.nn.Parameter(p.detach().clone(memory_format=torch.preserve_format))
    again = schuss.torch.AdamW([loaded])
    again.load_state_dict(copy.deepcopy(opt.state_dict()))
    plain = torch.nn.Parameter(q.detach().clone())
    plain_again = schuss.torch.AdamW([plain])
    plain_again.load_state_dict(copy.deepcopy(other.state_dict()))
    assert torch.equal(again.state[loaded]["exp_avg"].permute(0, 2, 3, 1), plain_again.state[plain]["exp_avg"])


@pytest.mark.parametrize(
    ("options", "dtype", "error"),
    [
        ({"states": "4bit"}, torch.float32, "states"),
        ({"master": "split"}, torch.float16, "master must be None or 'float32'"),
        ({"master": "float32"}, torch.float32, "master must be None"),
        ({"rounding": "stochastic"}, torch.float32, "rounding must be 'nearest'"),
        ({"seed": -1}, torch.bfloat16, "seed"),
        ({"states": "8bit"}, torch.float64, "float64"),
    ],
    ids=str,
)
def test_precisions_that_are_refused(options: dict[str, Any], dtype: Any, error: str) -> None:
    params = parameters([(3, 4)], dtype)
    before = clones(params)
    give(params, seed=0)
    with pytest.raises((ValueError, TypeError), match=error):
        schuss.torch.AdamW(params, **options).step()
    assert same_bits([p.float() for p in params], [p.float() for p in before])


def test_dtypes_of_16_and_32_bits_in_one_optimizer() -> None:
    """Are one step, and have one norm."""
    params = [parameters([(40, 30)], dtype)[0] for dtype in (torch.float32, *HALVES)]
    opt = schuss.torch.SGD(params, lr=1.0, clip_norm=1.0)
    give(params, seed=0)
    before = [p.detach().float().clone() for p in params]
    opt.step()
    assert len(opt._steppers()) == 1
    norm = torch.linalg.vector_norm(torch.cat([p.grad.float().ravel() for p in params])).item()
    assert opt.grad_norm == pytest.approx(norm, rel=1e-6)
    for p, q in zip(params, before, strict=True):
        torch.testing.assert_close(p.detach().float(), q - p.grad.float() / norm, rtol=0.01, atol=1e-3)


def test_sparse_gradients_of_bfloat16() -> None:
    p = torch.nn.Parameter(torch.ones(20, 7, dtype=torch.bfloat16))
    index = torch.tensor([[3, 3, 5]])
    p.grad = torch.sparse_coo_tensor(index, torch.ones(3, 7, dtype=torch.bfloat16), (20, 7), check_invariants=True)
    schuss.torch.SGD([p], lr=0.25).step()
    assert torch.equal(
        p.detach()[:, 0].float(), torch.ones(20).scatter(0, torch.tensor([3, 5]), torch.tensor([0.5, 0.75]))
    )


def test_numpy_sees_the_same_memory() -> None:
    p = parameters([(9,)], torch.bfloat16)[0]
    memory = bits(p)
    opt = schuss.torch.SGD([p], lr=1.0)
    give([p], seed=0)
    before = memory.copy()
    opt.step()
    assert not np.array_equal(memory, before)
