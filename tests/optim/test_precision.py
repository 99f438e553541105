"""Optimizers whose states and parameters are kept in fewer bits: the bits of the rule in float32, narrowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import schuss
from schuss import _core
from schuss.optim import BY_NAME

Array = NDArray[Any]
SetThreads = Callable[[int], None]

SHAPES = [(5003,), (), (0,), (33,), (70, 80), (4096,), (16, 3)]
STEPS = 3
# The pass that sums writes these states, and the update is made of what they are rounded to.
ROUNDED_BEFORE_USE = {"LAMB"}
PRECISIONS = [
    ("uint16", {}),
    ("uint16", {"master": "float32"}),
    ("uint16", {"master": "split", "states": "8bit"}),
    ("uint16", {"rounding": "stochastic", "states": "bfloat16", "seed": 2**63 + 5}),
    ("float16", {"states": "bfloat16"}),
    ("float16", {"master": "float32", "states": "bfloat16", "rounding": "stochastic"}),
    ("float32", {"states": "8bit"}),
    ("float32", {"states": "bfloat16"}),
]
OPTIONS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9, "lr": 0.05, "weight_decay": 0.1, "maximize": True},
    "Adam": {"amsgrad": True, "weight_decay": 0.1},
    "RMSProp": {"centered": True, "momentum": 0.5},
    "Signum": {"momentum": 0.9},
    "LARS": {"momentum": 0.9, "lr": 0.1},
    "FTRL": {"l1": 0.01},
    "SOAP": {"precondition_frequency": 2},
}
KINDS = [kind for kind in BY_NAME.values() if issubclass(kind, schuss.Optimizer)]


def widened(array: Array, name: str, more: Array | None = None) -> Array:
    """A float32 array of what is stored."""
    out = np.empty(array.size, np.float32)
    _core.widen(name, np.ascontiguousarray(array).reshape(-1), None if more is None else more.reshape(-1), out)
    return out.reshape(array.shape)


def narrowed(x: Array, name: str, seed: int = 0, number: int = 0, t: int = 0) -> tuple[Array, Array | None]:
    codes = np.empty(x.size, np.uint8 if "8bit" in name else np.uint16)
    more = None
    if name == "split":
        more = np.empty(x.size, np.uint16)
    elif "8bit" in name:
        more = np.empty((x.size + 255) // 256, np.float32)
    _core.narrow(name, np.ascontiguousarray(x).reshape(-1), codes, more, seed, number, t)
    return codes.reshape(x.shape), more


def stored_name(dtype: np.dtype[Any]) -> str:
    return {"uint16": "bfloat16", "float16": "float16", "float32": "float32"}[str(dtype)]


def problem(dtype: str, shapes: list[tuple[int, ...]], steps: int) -> tuple[list[Array], list[list[Array]]]:
    rng = np.random.default_rng(7)
    params = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    grads = [
        [rng.normal(size=shape).astype(np.float32) * rng.choice([0.1, 1, 3]) for shape in shapes] for _ in range(steps)
    ]
    kept = [p if dtype == "float32" else narrowed(p, stored_name(np.dtype(dtype)))[0].view(dtype) for p in params]
    return kept, grads


def formats_of(opt: schuss.Optimizer, i: int) -> dict[str, str]:
    """The format of each state of a parameter, by name."""
    states = opt._states()[i]
    found = {}
    for name, array in states.items():
        if name in ("master", "low") or name.endswith("_absmax"):
            continue
        kind = str(array.dtype)
        if kind == "uint8":
            kind = "8bit_unsigned" if is_positive(opt, name) else "8bit_signed"
        elif kind == "uint16":
            kind = "bfloat16_stochastic" if opt._precision.rounding == "stochastic" else "bfloat16"
        found[name] = kind
    return found


def is_positive(opt: schuss.Optimizer, name: str) -> bool:
    words = ("_sq", "square", "sum", "acc_delta", "_var", "exp_inf", "accumulator")
    return any(word in name for word in words)


def values_of(opt: schuss.Optimizer, i: int, given: Array) -> tuple[Array, dict[str, Array]]:
    """A parameter and its states in float32, from how they are stored."""
    states = opt._states()[i]
    if "master" in states:
        p = states["master"].copy()
    elif "low" in states:
        p = widened(given, "split", states["low"])
    else:
        p = widened(given, stored_name(given.dtype)) if given.dtype != np.float32 else given.copy()
    wide = {
        name: widened(states[name], kind, states.get(name + "_absmax"))
        for name, kind in formats_of(opt, i).items()
        if kind != "float32"
    }
    return p, {**{name: states[name].copy() for name in formats_of(opt, i) if name not in wide}, **wide}


@pytest.mark.parametrize(("dtype", "how"), PRECISIONS, ids=str)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_equals_the_rule_in_float32_narrowed(
    kind: type[schuss.Optimizer], dtype: str, how: dict[str, Any], isa: str
) -> None:
    name = kind.__name__
    shapes = [(70, 80), (16, 3), (40, 120)] if kind._rule == "muon" else SHAPES
    params, grads = problem(dtype, shapes, STEPS)
    options = OPTIONS.get(name, {})
    opt = kind(list(params), **options)
    opt.set_precision(**how)
    plain = [np.zeros(p.shape, np.float32) for p in params]
    twin = kind(plain, **options)
    slots = opt._stepper.state_names
    for t, gs in enumerate(grads, 1):
        for i, p in enumerate(params):
            plain[i][...], states = values_of(opt, i, p)
            for state, array in twin._states()[i].items():
                array[...] = states[state]
        twin.step([g.copy() for g in gs])
        opt.step(gs)
        for i, p in enumerate(params):
            wide, stored = twin._states()[i], opt._states()[i]
            precision = opt._precision
            for state, how_kept in formats_of(opt, i).items():
                number = i * 8 + slots[i].index(state) + 2 if state in slots[i] else 0
                if how_kept == "float32":
                    assert_array_equal(stored[state], wide[state])
                else:
                    codes, more = narrowed(wide[state], how_kept, precision.seed, number, t)
                    assert_array_equal(stored[state], codes, f"{state} {i} {t}")
                    if more is not None:
                        assert_array_equal(stored[state + "_absmax"], more)
            if name in ROUNDED_BEFORE_USE and precision.states != "float32":
                assert_allclose(values_of(opt, i, p)[0], plain[i], rtol=2e-2, atol=5e-3)
                continue
            if "master" in stored:
                assert_array_equal(stored["master"], plain[i])
                assert_array_equal(p.view(np.uint16), narrowed(plain[i], stored_name(p.dtype))[0])
            elif "low" in stored:
                high, low = narrowed(plain[i], "split")
                assert_array_equal(p, high)
                assert_array_equal(stored["low"].reshape(-1), low)
            elif p.dtype == np.float32:
                assert_array_equal(p, plain[i])
            else:
                how_p = stored_name(p.dtype)
                if how_p == "bfloat16" and precision.rounding == "stochastic":
                    how_p = "bfloat16_stochastic"
                assert_array_equal(p.view(np.uint16), narrowed(plain[i], how_p, precision.seed, i * 8 + 1, t)[0])
