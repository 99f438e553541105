"""Random numbers: published vectors, permutations, and the distributions that networks start from."""

from __future__ import annotations

import math
from collections import Counter
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from schuss import Dense, Network, _core
from tests.reference import init, philox

Array = NDArray[Any]

# Published with Random123, for ten rounds: counter, key, output.
ONES = 0xFFFFFFFF
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "wanted"), KNOWN, ids=["zeros", "ones", "pi"])
def test_published_vectors(counter: tuple[int, ...], key: tuple[int, int], wanted: tuple[int, ...]) -> None:
    assert _core.philox(counter, key) == wanted
    assert tuple(int(v) for v in philox.philox(counter, key)) == wanted


def test_philox_matches_twin() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        words = [int(v) for v in rng.integers(0, 2**32, 6)]
        twin = philox.philox(words[:4], (words[4], words[5]))
        assert _core.philox(words[:4], words[4:]) == tuple(int(v) for v in twin)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 1000, 100_003])
def test_permutation_holds_each_number_once(n: int) -> None:
    order = _core.permutation(n, 1, 0)
    assert order.dtype == np.int64
    assert_array_equal(np.sort(order), np.arange(n))
    assert_array_equal(order, init.permutation(n, 1, 0))


def test_permutation_belongs_to_seed_and_epoch() -> None:
    first = _core.permutation(1000, 1, 0)
    assert_array_equal(_core.permutation(1000, 1, 0), first)
    others = [_core.permutation(1000, seed, epoch) for seed, epoch in ((1, 1), (2, 0), (2**32 + 1, 0), (1, 2**32))]
    for other in others:
        assert np.count_nonzero(other == first) < 20


def test_permutations_are_even() -> None:
    """All 120 orders of five come up equally often: chi squared with 119 degrees of freedom."""
    draws = 12_000
    seen = Counter(tuple(_core.permutation(5, 9, epoch).tolist()) for epoch in range(draws))
    assert len(seen) == 120
    chi2 = sum((count - draws / 120) ** 2 / (draws / 120) for count in seen.values())
    assert 65 < chi2 < 190


def test_permutation_leaves_no_trend() -> None:
    """Where a row ends up says nothing about where it was, nor about its neighbour."""
    n = 100_000
    order = _core.permutation(n, 3, 4)
    assert abs(np.corrcoef(order, np.arange(n))[0, 1]) < 5 / math.sqrt(n)
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 5 / math.sqrt(n)


def draw(
    kind: str,
    shape: tuple[int, int] = (300, 333),
    scale: float = 1.0,
    seed: int = 1,
    stream: int = 0,
    dtype: str = "float64",
) -> Array:
    out = np.full(shape, np.nan, dtype)
    _core.initialise(out, kind, scale, seed, stream)
    return out


def test_zeros() -> None:
    assert_array_equal(draw("zeros"), 0)


def test_uniform() -> None:
    w = draw("uniform", scale=0.5).ravel()
    assert -0.5 <= w.min() < -0.4999
    assert 0.4999 < w.max() < 0.5
    assert kolmogorov(np.sort(w) + 0.5) < 1.95


def test_normal() -> None:
    w = np.sort(draw("normal").ravel())
    n = len(w)
    assert abs(w.mean()) < 4 / math.sqrt(n)
    assert abs(w.std() - 1) < 4 / math.sqrt(2 * n)
    normal = NormalDist()
    assert kolmogorov(np.array([normal.cdf(v) for v in w])) < 1.95
    for q in (0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999):
        wanted = normal.inv_cdf(q)
        error = math.sqrt(q * (1 - q) / n) / normal.pdf(wanted)
        assert abs(np.quantile(w, q) - wanted) < 4 * error
    assert 3.5 < -w[0] < 6.5
    assert 3.5 < w[-1] < 6.5


def kolmogorov(sorted_units: Array) -> float:
    """The Kolmogorov-Smirnov statistic times sqrt(n); above 1.95 once in a thousand."""
    n = len(sorted_units)
    steps = np.arange(n + 1) / n
    return float(math.sqrt(n) * max(np.max(steps[1:] - sorted_units), np.max(sorted_units - steps[:-1])))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (5, 5), (7, 40), (40, 7), (128, 128)], ids=str)
@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_orthogonal(shape: tuple[int, int], scale: float) -> None:
    w = draw("orthogonal", shape, scale)
    gram = w @ w.T if shape[0] <= shape[1] else w.T @ w
    np.testing.assert_allclose(gram, scale**2 * np.eye(min(shape)), atol=1e-12)


def test_orthogonal_has_no_preferred_direction() -> None:
    """Each entry of many 3 x 3 draws has mean 0 and variance 1/3; so do the signs of the diagonal."""
    many = np.array([draw("orthogonal", (3, 3), seed=seed) for seed in range(3000)])
    assert np.all(np.abs(many.mean(axis=0)) < 4.5 * math.sqrt(1 / 3 / 3000))
    assert np.all(np.abs((many**2).mean(axis=0) - 1 / 3) < 0.03)


@pytest.mark.parametrize("kind", ["uniform", "normal", "orthogonal"])
def test_float32_is_float64_rounded(kind: str) -> None:
    for shape in ((1, 1), (3, 5), (64, 33), (33, 64)):
        assert_array_equal(draw(kind, shape, 0.3, dtype="float32"), draw(kind, shape, 0.3).astype("float32"))


@pytest.mark.parametrize("kind", ["uniform", "normal", "orthogonal"])
def test_draws_belong_to_seed_and_stream(kind: str) -> None:
    first = draw(kind, (20, 20))
    assert_array_equal(draw(kind, (20, 20)), first)
    for seed, stream in ((2, 0), (1, 1), (1 + 2**32, 0)):
        other = draw(kind, (20, 20), seed=seed, stream=stream)
        assert np.count_nonzero(other == first) == 0
        assert abs(np.corrcoef(other.ravel(), first.ravel())[0, 1]) < 0.25


@pytest.mark.parametrize("kind", ["zeros", "uniform", "normal", "orthogonal"])
@pytest.mark.parametrize("shape", [(1, 1), (7, 1), (40, 33), (33, 40)], ids=str)
def test_matches_twin(kind: str, shape: tuple[int, int]) -> None:
    """The uniform draws to the bit; the others as far as logarithms and sums may be rounded otherwise."""
    got = draw(kind, shape, 0.7, seed=2**33 + 5, stream=3)
    wanted = init.initialise(shape, kind, 0.7, 2**33 + 5, 3)
    if kind in ("zeros", "uniform"):
        assert_array_equal(got, wanted)
    else:
        np.testing.assert_allclose(got, wanted, rtol=1e-13, atol=1e-12 if kind == "orthogonal" else 0)


@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_scale_only_scales(kind: str) -> None:
    np.testing.assert_allclose(draw(kind, scale=0.25), 0.25 * draw(kind), rtol=1e-15)


@pytest.mark.parametrize("kind", ["uniform", "normal", "orthogonal"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_bits_on_all_instruction_sets(kind: str, dtype: str, each_isa: Any) -> None:
    results = [draw(kind, (33, 65), dtype=dtype) for _ in each_isa()]
    for w in results[1:]:
        assert_array_equal(w, results[0])


def test_defaults_suit_the_activation() -> None:
    chosen = {name: Dense(3, 2, name).init for name in ("relu", "mish", "hard_swish", "selu", "tanh", "identity")}
    he = dict.fromkeys(("relu", "mish", "hard_swish"), "he_uniform")
    assert chosen == {**he, "selu": "lecun_normal", "tanh": "glorot_uniform", "identity": "glorot_uniform"}


def test_selu_keeps_mean_and_variance_through_many_layers() -> None:
    """What its constants are made for (Klambauer et al., 2017): near 0 and 1, from other values too."""
    net = Network([Dense(500, 500, "selu") for _ in range(16)], seed=1)
    y = net.predict(np.random.default_rng(0).normal(0.1, 1.2, (200, 500)))
    assert abs(y.mean()) < 0.1
    assert abs(y.var() - 1) < 0.2
