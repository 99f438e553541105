"""`fit` updates weights where gradients are born, or all arrays at once: the bits of steps by hand, for every rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal, assert_equal
from numpy.typing import NDArray

import schuss
from schuss import _core
from tests.reference.rule_cases import (
    ARRAY_CASES,
    MATRIX_CASES,
    MEASURED_CASES,
    MEASURED_STAGE_CASES,
    RULE_CASES,
    SOAP_CASES,
    Case,
)

Array = NDArray[Any]
SetThreads = Callable[[int], None]

# Under 8 KiB of parameters: one thread updates all arrays at once. Then a team shares the rows of a batch, and, where a
# layer has more than 64 KiB of weights, each layer's columns; the columns of weights with few rows in any case.
NETS = {"small": (20, 23, 4), "middle": (64, 100, 10), "wide": (20, 700, 6), "large": (97, 90, 203, 5)}
ROWS = {1: 5, 7: 16, 64: 150}
"""Rows of the data for each batch size; the last batch is a smaller one."""
EPOCHS = 2
Ways = dict[int, tuple[Sequence[int], Sequence[int]]]
EVERY_WAY: Ways = dict.fromkeys(ROWS, ((1, 2, 3, 5), (1, 3)))
"""For each batch size, numbers of threads to fit on, and to make single steps on."""
# How a step is shared does not depend on its rule: each rule has all numbers of threads with the largest batches, and
# each of them once more with smaller ones. Groups, schedules and clipped gradients have all with all.
SOME_WAYS: Ways = {1: ((1, 3), (3,)), 7: ((2, 5), (1,)), 64: EVERY_WAY[64]}
CLIP_CASES = [
    Case("SGD", {"lr": 0.1, "momentum": 0.9}, {"clip_value": 0.003}),
    Case("Adam", {"maximize": True, "weight_decay": 0.1}, {"clip_value": 0.003}),
    Case("RMSProp", {"weight_decay": 0.1}, {"clip_norm": 0.1}),
    Case("AdamW", {"lr": 0.1}, {"clip_value": 0.003, "clip_norm": 0.1}),
]
# Networks' steps are not unscaled.
MEASURED_CLIP_CASES = [
    Case(case.optimizer, case.options, {"clip_value": 0.003, "clip_norm": 0.1}) for case in MEASURED_STAGE_CASES
]
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
nets = pytest.mark.parametrize("size", list(NETS))

Optimized = Callable[[schuss.Network], schuss.Optimizer]


def network(size: str, dtype: str, activation: str) -> schuss.Network:
    units = NETS[size]
    layers = [schuss.Dense(a, b, activation) for a, b in pairwise(units[:-1])]
    return schuss.Network([*layers, schuss.Dense(*units[-2:])], seed=5, dtype=dtype)


def data(size: str, dtype: str, batch: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(batch)
    X = rng.normal(size=(ROWS[batch], NETS[size][0])).astype(dtype)
    return X, rng.integers(0, NETS[size][-1], len(X))


def batches(net: schuss.Network, X: Array, y: Array, batch: int) -> list[list[tuple[Array, Array]]]:
    """Those of each epoch, as `fit` cuts and shuffles them."""
    orders = [_core.permutation(len(X), net.seed, epoch) for epoch in range(EPOCHS)]
    cuts = [[order[k : k + batch] for k in range(0, len(X), batch)] for order in orders]
    return [[(X[rows], y[rows]) for rows in epoch] for epoch in cuts]


def assert_same(net: schuss.Network, optimizer: schuss.Optimizer, by_hand: Sequence[Any]) -> None:
    for p, q in zip(net.parameters, by_hand[0].parameters, strict=True):
        assert_array_equal(p, q)
    assert_equal(optimizer.state_dict(), by_hand[1].state_dict())


def check(
    size: str,
    dtype: str,
    make: Optimized,
    stages: dict[str, Any],
    set_threads: SetThreads,
    activation: str = "relu",
    ways: Ways = EVERY_WAY,
) -> None:
    """Fits on each number of threads against gradients and steps by hand on one; and the step that is one call."""
    for batch, (threads_of_fits, threads_of_steps) in ways.items():
        X, y = data(size, dtype, batch)
        set_threads(1)
        net = network(size, dtype, activation)
        start = [p.copy() for p in net.parameters]
        optimizer = make(net)
        for epoch in batches(net, X, y, batch):
            optimizer._enter_steps()
            for x, labels in epoch:
                net.loss_and_gradients(x, labels, "cross_entropy")
                of = {id(p): g for p, g in zip(net.parameters, net.gradients, strict=True)}
                optimizer.step([of[id(p)] for p in optimizer._stepper.params], **stages)
            optimizer._leave_steps()
        assert not optimizer.nonfinite
        assert all(np.isfinite(p).all() for p in net.parameters)
        assert not all(np.array_equal(p, q) for p, q in zip(net.parameters, start, strict=True))
        by_hand = net, optimizer
        for threads in threads_of_fits:
            set_threads(threads)
            net = network(size, dtype, activation)
            optimizer = make(net)
            net.fit(
                X, y, loss="cross_entropy", optimizer=optimizer, epochs=EPOCHS, batch_size=batch, verbose=0, **stages
            )
            assert_same(net, optimizer, by_hand)
        for threads in threads_of_steps:
            set_threads(threads)
            net = network(size, dtype, activation)
            optimizer = make(net)
            for epoch in batches(net, X, y, batch):
                optimizer._enter_steps()
                for x, labels in epoch:
                    net.train_step(x, labels, "cross_entropy", optimizer, **stages)
                optimizer._leave_steps()
            assert_same(net, optimizer, by_hand)


EVERY_CASE = [*RULE_CASES, *MEASURED_CASES, *MEASURED_CLIP_CASES, *CLIP_CASES, *ARRAY_CASES, *MATRIX_CASES]
EVERY_CASE += [SOAP_CASES[0], SOAP_CASES[4]]


@pytest.mark.parametrize("case", EVERY_CASE, ids=str)
@dtypes
@nets
def test_every_rule(size: str, dtype: str, case: Case, set_threads: SetThreads) -> None:
    kind = getattr(schuss, case.optimizer)
    changed: dict[str, Any] = {"lr": 0.001} if case.options.get("maximize") else {}  # the loss has no maximum
    if case in MATRIX_CASES:
        changed["adamw"] = {}
    if size == "wide" and case.optimizer == "SOAP":  # its bases of 700 take minutes; the large network has some of 203
        changed["max_precond_dim"] = min(case.options.get("max_precond_dim", 250), 250)
    ways = EVERY_WAY if case.stages else SOME_WAYS
    check(size, dtype, lambda net: kind(net.parameters, **case.options | changed), case.stages, set_threads, ways=ways)


GROUPS: dict[str, Callable[[Sequence[Array]], Any]] = {
    "two rates": lambda p: [{"params": list(p[:2]), "lr": 0.01}, {"params": list(p[2:]), "lr": 0.002}],
    "weights and biases": lambda p: [{"params": list(p[1::2]), "weight_decay": 0.0}, {"params": list(p[::2])}],
    "the last layer": lambda p: list(p[-2:]),
    "the first layer": lambda p: list(p[:2]),
    "weights": lambda p: list(p[::2]),
    "backwards": lambda p: list(p[::-1]),
}


@pytest.mark.parametrize("groups", list(GROUPS))
@pytest.mark.parametrize("optimizer", ["SGD", "RMSProp", "AdamW"])
@dtypes
@nets
def test_groups_and_some_parameters(
    size: str, dtype: str, optimizer: str, groups: str, set_threads: SetThreads
) -> None:
    options = {"SGD": {"lr": 0.1, "momentum": 0.9}, "RMSProp": {"centered": True, "momentum": 0.5}}.get(optimizer, {})
    kind = getattr(schuss, optimizer)
    check(size, dtype, lambda net: kind(GROUPS[groups](net.parameters), weight_decay=0.1, **options), {}, set_threads)


@dtypes
@nets
@pytest.mark.parametrize("optimizer", ["RMSProp", "Adam"])
def test_schedule(size: str, dtype: str, optimizer: str, set_threads: SetThreads) -> None:
    kind = getattr(schuss, optimizer)
    check(size, dtype, lambda net: kind(net.parameters, lr=lambda step: 0.01 / (step + 1)), {}, set_threads)


@dtypes
@nets
def test_no_eps(size: str, dtype: str, set_threads: SetThreads) -> None:
    """Zeros between the arrays of a small network would become 0 / 0 if they went through the rule."""
    check(size, dtype, lambda net: schuss.Adam(net.parameters, eps=0.0), {}, set_threads, activation="tanh")
