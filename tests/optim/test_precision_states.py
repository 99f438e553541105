"""Optimizers of reduced precision, saved and loaded, also as another precision."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import schuss
from schuss.optim.precision import PLAIN
from tests.optim.test_precision import KINDS, OPTIONS, PRECISIONS, narrowed, problem, widened

Array = NDArray[Any]

SHAPES: list[tuple[int, ...]] = [(70, 80), (16, 3), (5003,)]


def bits(arrays: list[Array]) -> list[bytes]:
    return [np.ascontiguousarray(array).tobytes() for array in arrays]


def all_bits(opt: schuss.Optimizer) -> list[bytes]:
    states = [state[name] for state in opt._states() for name in state]
    return bits([*opt._stepper.params, *states])


def made(kind: type[schuss.Optimizer], dtype: str, how: dict[str, Any]) -> tuple[schuss.Optimizer, list[list[Array]]]:
    shapes = [(70, 80), (16, 3), (40, 120)] if kind._rule == "muon" else SHAPES
    params, grads = problem(dtype, shapes, 4)
    opt = kind(params, **OPTIONS.get(kind.__name__, {}))
    opt.set_precision(**how)
    return opt, grads


def like(opt: schuss.Optimizer, how: dict[str, Any] | None = None) -> schuss.Optimizer:
    """A new one over copies of the parameters as they are."""
    options = OPTIONS.get(type(opt).__name__, {})
    new = type(opt)([p.copy() for p in opt._stepper.params], **options)
    new.set_precision(**(opt._precision._asdict() if how is None else how))
    return new


def by_state(opt: schuss.Optimizer) -> schuss.Optimizer:
    new = like(opt)
    new.load_state_dict(opt.state_dict())
    return new


def by_pickle(opt: schuss.Optimizer) -> schuss.Optimizer:
    return pickle.loads(pickle.dumps(opt))  # type: ignore[no-any-return]


def by_tensors(opt: schuss.Optimizer) -> schuss.Optimizer:
    new = like(opt)
    new.load_state_dict(opt.state_dict(like="torch"))
    return new


@pytest.mark.parametrize("way", [by_state, by_pickle, copy.deepcopy, by_tensors], ids=lambda way: way.__name__)
@pytest.mark.parametrize(("dtype", "how"), PRECISIONS, ids=str)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_run_goes_on_with_the_same_bits(
    kind: type[schuss.Optimizer], dtype: str, how: dict[str, Any], way: Callable[[schuss.Optimizer], schuss.Optimizer]
) -> None:
    opt, grads = made(kind, dtype, how)
    for gs in grads[:2]:
        opt.step(gs)
    before = all_bits(opt)
    other = way(opt)
    assert all_bits(opt) == before
    # torch's Prodigy and FTRL keep no more than numbers of 32 bits of what is remembered.
    exact = way is not by_tensors
    if exact:
        assert all_bits(other) == before
        assert other._precision == opt._precision
    for gs in grads[2:]:
        opt.step(gs)
        other.step(gs)
    if exact:
        assert all_bits(other) == all_bits(opt)


@pytest.mark.parametrize("way", [by_state, by_pickle, copy.deepcopy], ids=lambda way: way.__name__)
def test_before_the_first_step(way: Callable[[schuss.Optimizer], schuss.Optimizer]) -> None:
    for kind in (schuss.AdamW, schuss.Rprop, schuss.AdaGrad, schuss.ScheduleFreeAdamW, schuss.Prodigy):
        for dtype, how in PRECISIONS:
            opt, grads = made(kind, dtype, how)
            other = way(opt)
            for gs in grads:
                opt.step(gs)
                other.step(gs)
            assert all_bits(other) == all_bits(opt)


def test_what_a_state_dict_has() -> None:
    p = narrowed(np.ones((70, 80), np.float32), "bfloat16")[0]
    opt = schuss.AdamW([p])
    opt.set_precision(states="8bit", master="split")
    opt.step([np.ones((70, 80), np.float32)])
    state = opt.state_dict()["state"][0]
    found = {name: (value.dtype.name, value.shape) for name, value in state.items() if name != "step"}
    assert found == {
        "exp_avg": ("uint8", (70, 80)),
        "exp_avg_sq": ("uint8", (70, 80)),
        "exp_avg_absmax": ("float32", (22,)),
        "exp_avg_sq_absmax": ("float32", (22,)),
        "low": ("uint16", (70, 80)),
    }
    # They are copies.
    state["low"][...] = 5
    state["exp_avg"][...] = 5
    assert not (opt.state_dict()["state"][0]["exp_avg"] == 5).any()

    opt = schuss.AdamW([p])
    opt.set_precision(states="bfloat16", master="float32")
    opt.step([np.ones((70, 80), np.float32)])
    state = opt.state_dict()["state"][0]
    assert {name: value.dtype.name for name, value in state.items() if name != "step"} == {
        "exp_avg": "uint16",
        "exp_avg_sq": "uint16",
        "master": "float32",
    }
    tensors = opt.state_dict(like="torch")["state"][0]
    assert {name: value.dtype for name, value in tensors.items()} == {
        "step": torch.float32,
        "exp_avg": torch.bfloat16,
        "exp_avg_sq": torch.bfloat16,
        "master": torch.float32,
    }
    assert_array_equal(tensors["exp_avg"].float().numpy(), widened(state["exp_avg"], "bfloat16"))


def wide(opt: schuss.Optimizer, i: int) -> dict[str, Array]:
    """States in float32."""
    found = {}
    for name, value in opt._states()[i].items():
        if name in ("master", "low") or name.endswith("_absmax"):
            continue
        if value.dtype == np.uint8:
            code = opt._stepper.codes()[i][name]
            found[name] = widened(value, code, opt._states()[i][name + "_absmax"])
        else:
            found[name] = widened(value, "bfloat16") if value.dtype == np.uint16 else value
    return found


STATES = ["float32", "bfloat16", "8bit"]


@pytest.mark.parametrize("kind", [schuss.AdamW, schuss.LAMB, schuss.Lion, schuss.SOAP], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("theirs", STATES)
@pytest.mark.parametrize("mine", STATES)
def test_states_of_another_precision_are_rounded_to_the_nearest(
    mine: str, theirs: str, kind: type[schuss.Optimizer]
) -> None:
    opt, grads = made(kind, "float32", {"states": theirs})
    for gs in grads[:2]:
        opt.step(gs)
    new = like(opt, {"states": mine})
    new.load_state_dict(opt.state_dict())
    assert new.steps == 2
    for i in range(len(SHAPES)):
        expected, got = wide(opt, i), new._states()[i]
        assert list(wide(new, i)) == list(expected)
        for name, value in expected.items():
            if got[name].dtype == np.uint8:
                codes, scales = narrowed(value, new._stepper.codes()[i][name])
                if mine != theirs:
                    assert_array_equal(got[name], codes)
                    assert_array_equal(got[name + "_absmax"], scales)
            elif got[name].dtype == np.uint16:
                assert_array_equal(got[name], narrowed(value, "bfloat16")[0])
            else:
                assert_array_equal(got[name], value)
    new.step(grads[2])


def test_states_of_the_same_precision_are_the_same_bits() -> None:
    for states in STATES:
        opt, grads = made(schuss.AdamW, "float32", {"states": states})
        opt.step(grads[0])
        new = like(opt)
        new.load_state_dict(opt.state_dict())
        assert all_bits(new) == all_bits(opt)


MASTERS: list[dict[str, Any]] = [{}, {"master": "float32"}, {"master": "split"}]


@pytest.mark.parametrize("theirs", MASTERS, ids=str)
@pytest.mark.parametrize("mine", MASTERS, ids=str)
@pytest.mark.parametrize("kind", [schuss.SGD, schuss.AdamW], ids=lambda kind: kind.__name__)
def test_masters(kind: type[schuss.Optimizer], mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    params, grads = problem("uint16", SHAPES, 4)
    opt = kind(params, lr=0.1)
    opt.set_precision(**theirs)
    for gs in grads[:2]:
        opt.step(gs)
    state = opt.state_dict()
    new = kind([p.copy() for p in params], lr=0.1)
    new.set_precision(**mine)
    before = bits(new._stepper.params)
    new.load_state_dict(state)
    assert new.steps == 2
    assert bits(new._stepper.params) == before
    for i, p in enumerate(params):
        has, got = opt._states()[i], new._states()[i]
        if "master" in has:
            exact = has["master"]
        elif "low" in has:
            exact = widened(p, "split", has["low"])
        else:
            exact = widened(p, "bfloat16")
        if "master" in got:
            assert_array_equal(got["master"], exact)
        elif "low" in got and "master" in has:
            # Where rounding to even went up and halves go away from zero, the last bit is one off.
            off = np.abs(widened(p, "split", got["low"]).view(np.int32).astype(np.int64) - exact.view(np.int32))
            assert off.max() <= 1
            assert (off == 0).mean() > 0.999
        elif "low" in got:
            assert_array_equal(widened(p, "split", got["low"]), exact)
    new.step(grads[2])


def test_a_state_of_float32_parameters_begins_a_master() -> None:
    """A state without one: the master is the parameters."""
    p = np.random.default_rng(0).normal(size=5003).astype(np.float32)
    opt = schuss.AdamW([p])
    opt.step([np.ones(5003, np.float32)])
    half = narrowed(p, "bfloat16")[0]
    new = schuss.AdamW([half])
    new.set_precision(master="float32", states="8bit")
    new.load_state_dict(opt.state_dict())
    assert_array_equal(new._states()[0]["master"], widened(half, "bfloat16"))
    assert new.steps == 1
    plain = schuss.AdamW([half])
    plain.load_state_dict(opt.state_dict())
    plain.step([np.ones(5003, np.float32)])


def test_states_of_torch() -> None:
    tensor = torch.nn.Parameter(torch.randn(5003).bfloat16())
    theirs = torch.optim.AdamW([tensor])
    tensor.grad = torch.randn(5003).bfloat16()
    theirs.step()
    state = theirs.state_dict()
    exact = state["state"][0]["exp_avg"].float().numpy()
    for states in STATES:
        opt = schuss.AdamW([tensor.detach().clone()])
        opt.set_precision(states=states)
        opt.load_state_dict(state)
        assert opt.steps == 1
        got = wide(opt, 0)["exp_avg"]
        if states == "8bit":
            assert_array_equal(got, widened(*_coded(exact)))
        else:
            assert_array_equal(got, exact)
        opt.step([torch.randn(5003).bfloat16()])


def _coded(x: Array) -> tuple[Array, str, Array | None]:
    codes, scales = narrowed(x, "8bit_signed")
    return codes, "8bit_signed", scales


def test_states_of_ml_dtypes() -> None:
    opt, grads = made(schuss.AdamW, "float32", {"states": "bfloat16"})
    opt.step(grads[0])
    state = opt.state_dict()
    for entry in state["state"].values():
        for name in ("exp_avg", "exp_avg_sq"):
            entry[name] = entry[name].view(ml_dtypes.bfloat16)
    for states in STATES:
        new = like(opt, {"states": states})
        new.load_state_dict(state)
        if states == "bfloat16":
            assert all_bits(new) == all_bits(opt)


def changed(opt: schuss.Optimizer, **entries: Any) -> dict[str, Any]:
    state = opt.state_dict()
    for name, value in entries.items():
        if value is None:
            del state["state"][2][name]
        else:
            state["state"][2][name] = value
    return state


@pytest.mark.parametrize("states", STATES)
@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"exp_avg_absmax": None}, "absmax"),
        ({"exp_avg": None}, "exp_avg"),
        ({"exp_avg_absmax": np.zeros(19, np.float32)}, "absmax|scales"),
        ({"exp_avg_absmax": np.zeros(20, np.int64)}, "absmax|scales"),
        ({"exp_avg_absmax": np.zeros((20, 1), np.float32)}, "absmax|scales"),
        ({"exp_avg_absmax": "text"}, "absmax|scales"),
        ({"exp_avg": np.zeros(5002, np.uint8)}, "shape|scales"),
        ({"exp_avg": np.zeros(5002, np.uint16), "exp_avg_absmax": None}, "shape"),
        ({"exp_avg": np.zeros(5003, np.int16), "exp_avg_absmax": None}, "exp_avg"),
        ({"exp_avg": np.zeros(5003, complex), "exp_avg_absmax": None}, "exp_avg"),
        ({"exp_avg": np.full(5003, 1e300), "exp_avg_absmax": None}, "larger|can hold"),
        ({"master": np.zeros(5002, np.float32)}, "master"),
        ({"master": np.zeros(5003, np.int32)}, "master"),
        ({"low": np.zeros(5002, np.uint16)}, "low"),
        ({"low": np.zeros(5003, np.float32)}, "low"),
        ({"exp_avg_sq_absmax": np.zeros(20, np.float32), "unknown": 3}, "unknown"),
    ],
)
def test_what_does_not_fit_is_refused(entries: dict[str, Any], message: str, states: str) -> None:
    opt, grads = made(schuss.AdamW, "uint16", {"states": "8bit", "master": "split"})
    opt.step(grads[0])
    state = changed(opt, **entries)
    for master in MASTERS:
        new = like(opt, {"states": states, **master})
        new.step(grads[1])
        before, steps, memories = all_bits(new), new.steps, new._stepper.memories.copy()
        with pytest.raises((ValueError, TypeError), match=message):
            new.load_state_dict(state)
        assert all_bits(new) == before
        assert new.steps == steps
        assert_array_equal(new._stepper.memories, memories)


def test_too_large_for_bfloat16() -> None:
    opt, grads = made(schuss.AdamW, "float32", {})
    opt.step(grads[0])
    state = opt.state_dict()
    state["state"][0]["exp_avg"][0, 0] = np.finfo(np.float32).max
    new = like(opt, {"states": "bfloat16"})
    with pytest.raises(ValueError, match=r"'exp_avg'\] must hold numbers that bfloat16 can hold"):
        new.load_state_dict(state)
    assert new.steps == 0
    like(opt, {"states": "8bit"}).load_state_dict(state)
    state["state"][0]["exp_avg"][0, 0] = np.inf
    new.load_state_dict(state)


def test_the_seed_goes_along() -> None:
    how = {"states": "bfloat16", "rounding": "stochastic", "seed": 2**64 - 1}
    opt, grads = made(schuss.AdamW, "uint16", how)
    opt.step(grads[0])
    for other in (by_pickle(opt), copy.deepcopy(opt)):
        assert other._precision.seed == 2**64 - 1
    another, _ = made(schuss.AdamW, "uint16", {**how, "seed": 2**64 - 2})
    another.step(grads[0])
    assert all_bits(another) != all_bits(opt)


def test_pickles_of_another_precision_are_refused() -> None:
    opt, grads = made(schuss.AdamW, "uint16", {"states": "8bit", "master": "split"})
    opt.step(grads[0])
    parts = opt.__getstate__()
    new = object.__new__(schuss.AdamW)
    with pytest.raises(ValueError, match="states"):
        new.__setstate__({**parts, "precision": PLAIN})
    with pytest.raises((ValueError, TypeError)):
        new.__setstate__({**parts, "precision": opt._precision._replace(states="4bit")})
