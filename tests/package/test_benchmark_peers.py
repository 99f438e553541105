"""The benchmarks' peers train one and the same network: who is slower must not be doing something else."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from benchmarks import images, sequences
from benchmarks.comparison import agreeing, differences
from benchmarks.images.cases import CASES, Case, Conv, Pool
from benchmarks.sequences.cases import Case as Sequence
from tests.interpreter import script

SEQUENCES = [Sequence("GRU", 5, 4, 3, 5)]
IMAGES = [Case("small", (9, 7, 3), (Conv(4, 3, same=True), Conv(3, 2, same=False), Pool()), 6, 2)]
TRAIN = """
import sys
sys.path.insert(0, root)
import json
from benchmarks import comparison, images, sequences
from benchmarks.images.cases import Conv, Pool
found = []
for subject, given in ((sequences, SEQUENCES), (images, IMAGES)):
    # Scans are compiled from the same steps.
    makers = [one for one in subject.PEERS if one.__name__ != "scan"]
    for case in given:
        _, apart = comparison.contenders(makers, case)
        found.append([str(case), apart])
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def trained(request: Any) -> list[tuple[str, dict[str, float]]]:
    """By how much the losses of each peer differ, for each case, in a process that may choose Keras's backend."""
    given = f"from benchmarks.sequences.cases import Case\nSEQUENCES = {SEQUENCES!r}\n"
    given += f"from benchmarks.images.cases import Case, Conv, Pool\nIMAGES = {IMAGES!r}\n"
    lines = TRAIN.replace("found = []", f"{given}found = []")
    root = str(request.config.rootpath)
    found: list[tuple[str, dict[str, float]]] = json.loads(
        script(f"root = {root!r}\n{lines}", timeout=600, KERAS_BACKEND="jax", JAX_PLATFORMS="cpu").splitlines()[-1]
    )
    return found


def test_peers_have_the_same_losses(trained: list[tuple[str, dict[str, float]]]) -> None:
    names = set(trained[0][1])
    if names == {"NumPy"}:
        pytest.skip("no other library is installed")
    for case, apart in trained:
        assert names <= set(apart), case
        assert max(apart.values()) < 2e-5, (case, apart)


def test_operations_are_those_of_the_products() -> None:
    """Counted by walking through the products one by one."""
    for case in (*IMAGES, *CASES):
        total = 0
        for number, one in enumerate(case.placed):
            if not isinstance(one.layer, Conv):
                continue
            sides = []
            for size, out in zip(one.shape[:2], one.out[:2], strict=True):
                places = np.arange(out)[:, None] + np.arange(one.layer.kernel) - one.layer.margin
                sides.append(int(((places >= 0) & (places < size)).sum()))
            total += (3 if number else 2) * sides[0] * sides[1] * one.shape[2] * one.layer.filters
        total += 3 * (case.flat * case.hidden + case.hidden * case.classes)
        assert case.operations == 2 * case.batch * total
    for sequence in SEQUENCES:
        first = 2 * sequence.inputs * sequence.width
        total = sequence.times * first + (sequence.times - 1) * 3 * sequence.units * sequence.width
        assert sequence.operations == 2 * sequence.batch * (total + 3 * sequence.units * sequence.classes)


class _Named:
    unit = 1

    def __init__(self, name: str) -> None:
        self.name = name

    def losses(self, steps: int) -> Any: ...

    def run(self, calls: int) -> None: ...


def test_who_differs_is_not_timed() -> None:
    losses = [np.array([2.0, 1.0]), np.array([2.0, 1.1]), np.array([2.0, 1.0]), np.array([1.5])]
    apart = differences(losses, 2)
    assert apart == pytest.approx([0, 0.1, 0, 0])
    peers = [_Named(name) for name in "abcd"]
    kept, wrong = agreeing(peers, dict(zip("abcd", apart, strict=True)), 1e-3)
    assert [one.name for one in kept] == ["a", "c", "d"] and list(wrong) == ["b"]
    with pytest.raises(RuntimeError, match="ours: fit"):
        agreeing([_Named("ours: fit")], {"ours: fit": float("nan")}, 1e-3)


def test_tolerances_are_stated() -> None:
    for subject in (sequences, images):
        assert 0 < subject.TOLERANCE <= 3e-3
